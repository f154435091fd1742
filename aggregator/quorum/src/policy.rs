//! Who votes on a monitor, and the numbers of the rules.

use std::collections::BTreeSet;

use quorate_proto::{Micros, Region};

/// Who votes on one monitor, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The regions that watch it: all that are configured, whether or not an agent is there.
    pub regions: BTreeSet<Region>,
    /// From one scheduled check to the next, in each region.
    pub interval: Micros,
    /// The deadline around one check.
    pub timeout: Micros,
    /// How many regions must fail for the fast rule.
    pub quorum: Quorum,
    /// How long the evidence must span for the fast rule; none: by sensitivity and number of regions.
    pub confirm_for: Option<Micros>,
    /// Which set of numbers applies.
    pub sensitivity: Sensitivity,
    /// How long a restart that the server announced may take before it is an outage. Default 30 s; zero: none is waited
    /// for.
    pub restart_budget: Micros,
    /// The labels of agents whose values form domains. Default `provider` and `network`; none: regions alone count.
    pub domains: BTreeSet<String>,
    /// How many domains of each of those labels the failing regions must span for down, where so many are there.
    /// Default 2: no domain alone makes down while another one votes; 1: domains do not matter.
    pub min_domains: u16,
    /// What is watched, as far as its failing has to do with that of other monitors: those with the same target are
    /// *related*, and count once where an agent is compared with the others. Default empty, which is a target like
    /// any other.
    pub target: String,
    /// What was found fitting for the monitor's paths as they were measured; none: the usual numbers apply. What the
    /// operator set outweighs it.
    pub calibrated: Option<Calibrated>,
    /// The revision of the assignments that brought the monitor's present form. Votes of agents that work under an
    /// older one do not count.
    pub revision: u64,
}

/// How many of *m* regions must fail for the fast rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quorum {
    /// `m - floor(m / 5)`: 2/2, 3/3, 4/4, 4/5, 5/6, 6/7.
    #[default]
    Default,
    /// `floor(m / 2) + 1`.
    Majority,
    /// `m - 1`, and never fewer than a majority.
    AllButOne,
    /// `m`.
    All,
    /// This many, or all where fewer have a vote; never fewer than 2 unless one region is configured.
    AtLeast(u16),
}

/// Which set of numbers applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sensitivity {
    /// No evidence span at all: pages soonest, and falsely most often.
    Fast,
    /// The numbers of the rules.
    #[default]
    Balanced,
    /// Twice the spans of `Balanced`.
    Strict,
}

/// The numbers that fit the paths of a monitor, as [`crate::Calibration`] found them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calibrated {
    /// How long the evidence must span for the fast rule.
    pub span: Micros,
    /// Whether enough regions must fail *together* for that span: counted from when the last of them began to fail, in
    /// place of the first.
    pub together: bool,
    /// How long more than half must fail together for rule 4.
    pub majority_span: Micros,
    /// With so many voters or more; with fewer the usual spans apply where they are longer.
    pub voters: u16,
    /// Regions whose paths fail by themselves so often that their votes do more harm than good: they abstain.
    pub noisy: BTreeSet<Region>,
}

/// Why a policy makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// No region watches the monitor.
    #[error("no region watches the monitor")]
    NoRegions,
    /// The quorum is larger than the number of regions.
    #[error("a quorum of {quorum} cannot be reached by {regions} regions")]
    QuorumTooLarge {
        /// The wanted quorum.
        quorum: u16,
        /// The regions that there are.
        regions: usize,
    },
    /// One failing region of several would page.
    #[error("a quorum of {0} lets one region page alone; at least 2 are wanted where several regions watch")]
    QuorumTooSmall(u16),
    /// The evidence would have to span so long that nobody is paged in time.
    #[error("confirm_for of {wanted} delays every page that long; at most {max} are allowed", max = CONFIRM_FOR_MAX)]
    ConfirmForTooLong {
        /// The wanted span.
        wanted: Micros,
    },
    /// More domains are wanted than there are regions.
    #[error("min_domains of {min_domains} cannot be spanned by {regions} regions")]
    DomainsTooMany {
        /// The wanted domains.
        min_domains: u16,
        /// The regions that there are.
        regions: usize,
    },
    /// No domain at all has to fail.
    #[error("min_domains of 0 means nothing; 1 turns domains off")]
    DomainsTooFew,
}

/// The labels whose values form domains, without being said.
pub const DOMAIN_LABELS: [&str; 2] = ["provider", "network"];

/// Domains that failing regions must span where so many are there, without being said.
pub const MIN_DOMAINS: u16 = 2;

/// The longest evidence span that may be asked for: rule 4 pages after 300 s whatever the fast rule does, and twice
/// that under [`Sensitivity::Strict`], so a longer span would never apply.
pub const CONFIRM_FOR_MAX: Micros = Micros::from_secs(600);

/// Attempts of a single configured region that must fail without a break (rule 5).
pub const SINGLE_REGION_ATTEMPTS: u16 = 3;

/// Five or more regions. Paths that are out for 20 s at a time, 99.9 % available, and independent of each other: four of
/// five are out together for 11 s about once in 250,000 monitor-years.
const SPAN_OF_FIVE: Micros = Micros::from_secs(11);
/// Three or four regions: one vote less to corroborate, so the evidence outlasts one path outage of 20 s.
const SPAN_OF_THREE: Micros = Micros::from_secs(20);
/// One or two regions: nothing but time corroborates.
const SPAN_OF_FEWER: Micros = Micros::from_secs(30);
/// Rule 4 from five regions on: three checks of each at the usual 30 s.
const MAJORITY_OF_FIVE: Micros = Micros::from_secs(90);
/// Rule 4 below five regions, where more than half may be two paths that share a carrier.
const MAJORITY_OF_FEWER: Micros = Micros::from_secs(300);
/// Rule 6: shorter, and a server that crashes as soon as it has started would be called up each time.
const RECOVERY: Micros = Micros::from_secs(10);
/// A vote survives one lost check however short the interval is: an agent that reconnects needs a few seconds.
const STALE_MARGIN: Micros = Micros::from_secs(15);
/// What a server that says it will be back is given.
const RESTART_BUDGET: Micros = Micros::from_secs(30);
/// The longest pause of an agent between two attempts to reconnect: after a restart of the aggregator a region may be
/// absent for that long, and its first check comes an interval later.
const RECONNECT_MAX: Micros = Micros::from_secs(60);

impl Policy {
    /// The default rules for these regions, under revision 0.
    pub fn new(regions: BTreeSet<Region>, interval: Micros, timeout: Micros) -> Self {
        Self {
            regions,
            interval,
            timeout,
            quorum: Quorum::Default,
            confirm_for: None,
            sensitivity: Sensitivity::Balanced,
            restart_budget: RESTART_BUDGET,
            domains: DOMAIN_LABELS.map(str::to_owned).into(),
            min_domains: MIN_DOMAINS,
            target: String::new(),
            calibrated: None,
            revision: 0,
        }
    }

    /// What is wrong with the policy: every fault, in a fixed order. Empty for a policy that makes sense.
    pub fn validate(&self) -> Vec<PolicyError> {
        let regions = self.regions.len();
        let mut errors = Vec::new();
        if regions == 0 {
            errors.push(PolicyError::NoRegions);
        }
        if let Quorum::AtLeast(quorum) = self.quorum {
            if regions > 0 && usize::from(quorum) > regions {
                errors.push(PolicyError::QuorumTooLarge { quorum, regions });
            }
            if quorum == 0 || (quorum == 1 && regions > 1) {
                errors.push(PolicyError::QuorumTooSmall(quorum));
            }
        }
        if let Some(wanted) = self.confirm_for.filter(|wanted| *wanted > CONFIRM_FOR_MAX) {
            errors.push(PolicyError::ConfirmForTooLong { wanted });
        }
        match self.min_domains {
            0 => errors.push(PolicyError::DomainsTooFew),
            // The default asks for no more domains than are there.
            min_domains if min_domains > MIN_DOMAINS && regions > 0 && usize::from(min_domains) > regions => {
                errors.push(PolicyError::DomainsTooMany { min_domains, regions });
            }
            _ => {}
        }
        errors
    }

    /// How many of `eligible` regions must fail for the fast rule (rule 3). Where several regions are configured it is
    /// never fewer than two, so that one eligible region alone cannot reach it.
    pub fn needed(&self, eligible: u16) -> u16 {
        let needed = match self.quorum {
            Quorum::Default => eligible - eligible / 5,
            Quorum::Majority => majority(eligible),
            Quorum::AllButOne => eligible.saturating_sub(1).max(majority(eligible)),
            Quorum::All => eligible,
            Quorum::AtLeast(quorum) => quorum.min(eligible),
        };
        needed.max(if self.is_single() { 1 } else { 2 })
    }

    /// How long the evidence must span for the fast rule (rule 3), and for the single region's (rule 5).
    pub fn span_needed(&self, eligible: u16) -> Micros {
        let usual = self.usual_span(eligible);
        match self.calibrated() {
            Some(calibrated) if eligible >= calibrated.voters => calibrated.span,
            Some(calibrated) => calibrated.span.max(usual),
            None => usual,
        }
    }

    /// The same without regard to what was measured.
    pub fn usual_span(&self, eligible: u16) -> Micros {
        let balanced = match eligible {
            0..=2 => SPAN_OF_FEWER,
            3..=4 => SPAN_OF_THREE,
            5.. => SPAN_OF_FIVE,
        };
        match (self.confirm_for, self.sensitivity) {
            (Some(span), _) => span,
            (None, Sensitivity::Fast) => Micros::ZERO,
            (None, Sensitivity::Balanced | Sensitivity::Strict) => self.doubled_if_strict(balanced),
        }
    }

    /// The shortest span that may be found fitting, however good the paths are: no measurement of paths tells of a server
    /// that restarts for a few seconds.
    pub(crate) fn least_span(&self) -> Micros {
        self.doubled_if_strict(SPAN_OF_FIVE)
    }

    /// Whether the numbers of the rules may follow what is measured of the paths: nothing else was asked for, and more
    /// than one region votes.
    pub fn may_calibrate(&self) -> bool {
        self.confirm_for.is_none() && self.sensitivity != Sensitivity::Fast && !self.is_single()
    }

    /// Whether the evidence of the fast rule starts when enough regions fail, and not when the first does.
    pub fn counts_together(&self) -> bool {
        self.calibrated().is_some_and(|calibrated| calibrated.together)
    }

    /// Whether a region abstains because its path is noisy.
    pub fn is_noisy(&self, region: &Region) -> bool {
        self.calibrated().is_some_and(|calibrated| calibrated.noisy.contains(region))
    }

    /// Regions that may vote: all that are configured, less the noisy ones.
    pub fn voters(&self) -> u16 {
        u16::try_from(self.voting().count()).unwrap_or(u16::MAX)
    }

    /// Those regions.
    pub fn voting(&self) -> impl Iterator<Item = &Region> {
        self.regions.iter().filter(|region| !self.is_noisy(region))
    }

    /// What was measured, where it applies. It never takes the word from so many that no majority of the configured
    /// regions is left.
    fn calibrated(&self) -> Option<&Calibrated> {
        let calibrated = self.calibrated.as_ref().filter(|_| self.may_calibrate())?;
        (calibrated.noisy.len() <= self.noisy_max()).then_some(calibrated)
    }

    /// How many regions may abstain because their paths are noisy: a majority of those configured is left, and two.
    pub(crate) fn noisy_max(&self) -> usize {
        let regions = self.regions.len();
        regions - (regions / 2 + 1).max(2).min(regions)
    }

    /// How long more than half must fail without a break (rule 4).
    pub fn majority_span_needed(&self, eligible: u16) -> Micros {
        let usual = self.usual_majority_span(eligible);
        match self.calibrated() {
            Some(calibrated) if eligible >= calibrated.voters => calibrated.majority_span,
            Some(calibrated) => calibrated.majority_span.max(usual),
            None => usual,
        }
    }

    /// The same without regard to what was measured.
    pub(crate) fn usual_majority_span(&self, eligible: u16) -> Micros {
        self.doubled_if_strict(if eligible >= 5 { MAJORITY_OF_FIVE } else { MAJORITY_OF_FEWER })
    }

    /// How long a majority must pass before the verdict is up again (rule 6).
    pub fn recovery_span_needed(&self) -> Micros {
        self.doubled_if_strict(RECOVERY)
    }

    /// The age at which a vote does not count any more: `max(2T, T + 15 s)`.
    pub fn stale_after(&self) -> Micros {
        (self.interval * 2).max(self.interval + STALE_MARGIN)
    }

    /// For how long after a restart absent regions are waited for before a verdict turns unobserved, and the few that
    /// are there decide by the rules of few: a vote's lifetime, or the time an agent may need to reconnect and check.
    pub fn restart_grace(&self) -> Micros {
        self.stale_after().max(self.interval + RECONNECT_MAX)
    }

    /// Whether the operator wanted one region and no more (rule 5).
    pub fn is_single(&self) -> bool {
        self.regions.len() == 1
    }

    /// Rule 5: with fewer voters nothing is observed.
    pub(crate) fn voters_min(&self) -> u16 {
        if self.is_single() { 1 } else { 2 }
    }

    /// The fast rule in words, as it applies when every configured region has a vote: `4 of 5 regions for 11s`.
    pub fn describe(&self) -> String {
        let regions = self.voters();
        let span = self.span_needed(regions);
        let together = if self.counts_together() { " together" } else { "" };
        let times =
            if span == Micros::ZERO { ", at once".to_owned() } else { format!("{together} for {span}") };
        if self.is_single() {
            return format!("1 region, {SINGLE_REGION_ATTEMPTS} attempts{times}");
        }
        let domains = match self.min_domains {
            0..=MIN_DOMAINS => String::new(),
            more => format!(", in {more} domains"),
        };
        format!("{} of {regions} regions{times}{domains}", self.needed(regions))
    }

    fn doubled_if_strict(&self, span: Micros) -> Micros {
        match self.sensitivity {
            Sensitivity::Fast | Sensitivity::Balanced => span,
            Sensitivity::Strict => span * 2,
        }
    }
}

/// More than half.
pub(crate) const fn majority(of: u16) -> u16 {
    of / 2 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(regions: usize) -> Policy {
        Policy {
            revision: 1,
            ..Policy::new(
                (0..regions).map(|index| format!("r{index}").parse().unwrap()).collect(),
                Micros::from_secs(30),
                Micros::from_secs(10),
            )
        }
    }

    #[test]
    fn the_quorum_grows_with_the_voters() {
        // Of 2 to 10 regions.
        for (quorum, needed) in [
            (Quorum::Default, [2, 3, 4, 4, 5, 6, 7, 8, 8]),
            (Quorum::Majority, [2, 2, 3, 3, 4, 4, 5, 5, 6]),
            (Quorum::AllButOne, [2, 2, 3, 4, 5, 6, 7, 8, 9]),
            (Quorum::All, [2, 3, 4, 5, 6, 7, 8, 9, 10]),
            (Quorum::AtLeast(3), [2, 3, 3, 3, 3, 3, 3, 3, 3]),
            (Quorum::AtLeast(1), [2, 2, 2, 2, 2, 2, 2, 2, 2]),
        ] {
            let policy = Policy { quorum, ..policy(10) };
            assert_eq!(
                [2, 3, 4, 5, 6, 7, 8, 9, 10].map(|eligible| policy.needed(eligible)),
                needed,
                "{quorum:?}"
            );
            assert_eq!([0, 1].map(|eligible| policy.needed(eligible)), [2, 2], "one of several, {quorum:?}");
        }
        assert_eq!(policy(1).needed(1), 1);
    }

    #[test]
    fn every_fault_is_named() {
        let with =
            |regions, quorum, confirm_for| Policy { quorum, confirm_for, ..policy(regions) }.validate();
        assert_eq!(with(5, Quorum::Default, None), []);
        assert_eq!(with(1, Quorum::AtLeast(1), None), []);
        assert_eq!(with(0, Quorum::AtLeast(2), None), [PolicyError::NoRegions]);
        assert_eq!(with(5, Quorum::AtLeast(1), None), [PolicyError::QuorumTooSmall(1)]);
        assert_eq!(with(1, Quorum::AtLeast(0), None), [PolicyError::QuorumTooSmall(0)]);
        assert_eq!(with(5, Quorum::Default, Some(CONFIRM_FOR_MAX)), []);
        let wanted = Micros::from_secs(601);
        assert_eq!(
            with(3, Quorum::AtLeast(4), Some(wanted)),
            [
                PolicyError::QuorumTooLarge { quorum: 4, regions: 3 },
                PolicyError::ConfirmForTooLong { wanted }
            ]
        );
        let spanning = |regions, min_domains| Policy { min_domains, ..policy(regions) }.validate();
        assert_eq!(spanning(1, 2), [], "the default");
        assert_eq!(spanning(5, 5), []);
        assert_eq!(spanning(5, 0), [PolicyError::DomainsTooFew]);
        assert_eq!(spanning(5, 6), [PolicyError::DomainsTooMany { min_domains: 6, regions: 5 }]);
    }

    #[test]
    fn policies_say_what_they_do() {
        let described = |regions, sensitivity, confirm_for| {
            Policy { sensitivity, confirm_for, ..policy(regions) }.describe()
        };
        assert_eq!(described(5, Sensitivity::Balanced, None), "4 of 5 regions for 11s");
        assert_eq!(described(3, Sensitivity::Balanced, None), "3 of 3 regions for 20s");
        assert_eq!(described(2, Sensitivity::Strict, None), "2 of 2 regions for 60s");
        assert_eq!(described(5, Sensitivity::Fast, None), "4 of 5 regions, at once");
        assert_eq!(described(7, Sensitivity::Strict, Some(Micros::from_secs(5))), "6 of 7 regions for 5s");
        assert_eq!(described(1, Sensitivity::Balanced, None), "1 region, 3 attempts for 30s");
        let spanning = Policy { min_domains: 3, ..policy(5) };
        assert_eq!(spanning.describe(), "4 of 5 regions for 11s, in 3 domains");
    }
}
