//! Choosing the numbers of the rules by the paths of a monitor, as they were measured.
//!
//! A false page needs paths that fail at the same time, by themselves. How often that happens follows from how often each
//! fails and for how long ([`crate::Paths`] measures both, [`crate::Forecast`] has the formulas). So the evidence need not
//! span longer than these paths want, and must not span less: what is chosen is the smallest span under which fewer
//! than [`PAGES_MAX`] false pages are expected in 1,000 years of the monitor.
//!
//! # The choice
//! 1. A span from the *least* (11 s; 22 s if strict) to the usual one, counted from the first failure, as the fast rule does.
//!    Paths that are good shorten it, for three voters or fewer.
//! 2. Where the usual one is too short: a span over which all of the quorum fail *together*. Counted from the first failure a
//!    longer span would hardly help, since the others may join at its end; together it rules out the more the more
//!    regions are wanted. In an outage all fail together, so it delays a page by no more than its length. Only where
//!    rounds of confirmation are denied it costs up to an interval more, which is why it is not the usual way.
//!    It never exceeds what lets the page come within a minute of the fault, where connections are refused; where nothing
//!    answers, the others begin to fail a timeout later.
//! 3. More than half of the regions, which rule 4 asks, may be few and bad for long. It is for faults that are real and not
//!    total, and has more time: its span is doubled or doubled twice where it alone would expect half of the limit.
//! 4. Where that does not suffice either: without the path whose absence helps most, if it helps by half or more and is known
//!    to be bad: three times as often as most, in five spells or for six hours. It is *noisy*, and abstains, which its
//!    owner is told. Never so many that no majority of the configured regions is left.
//! 5. A path that is bad for a quarter of its time is noisy in any case: what fails from there says nothing, and makes of two
//!    regions with a common fault, which no formula for independent paths expects, a majority of five.
//!
//! What suffices with none of these is done as well as it can be, less what would delay pages and hardly help; and it is
//! said ([`Calibration::expected`]).
//!
//! # Care
//! Nothing is chosen before a majority of the regions was watched for a day. What stands is looked at once an hour of
//! checks, made stricter when it expects too much, and easier only when that would expect less than half of the limit.
//! Server faults teach nothing: where half of the regions fail or more, what is seen says nothing of paths, and the
//! caller feeds nothing while a monitor is down or maintained. What was learnt outlives restarts.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use quorate_proto::{AgentKey, Micros, Region};

use crate::{Calibrated, Forecast, Moment, PathQuality, PathSums, Paths, Policy};

/// False pages that may be expected in 1,000 years of one monitor.
pub const PAGES_MAX: f64 = 0.5;

/// What stands is made easier when so many would be expected then.
const EASY: f64 = PAGES_MAX / 2.0;

/// A path is known when it was watched for that long.
const KNOWN_AFTER_S: f64 = 86_400.0;

/// From one look at what stands to the next.
const REVIEWED_EVERY: Micros = Micros::from_secs(3_600);

/// A page comes within a minute; the rest of it is for answers on their way and for the message.
const PAGED_WITHIN: Micros = Micros::from_secs(60);
const ON_THE_WAY: Micros = Micros::from_secs(3);

/// A path that fails now and then is known to do so after so many spells.
const NOISY_SPELLS: f64 = 5.0;
/// And one that fails all the time, after so long: a region that cannot reach a server for an hour is news.
const NOISY_FOR_S: f64 = 6.0 * 3_600.0;

/// It is worse than most, by that factor.
const NOISY_FACTOR: f64 = 3.0;

/// A path that is bad for so much of its time says nothing, and is listened to again when it is half as bad.
const HOPELESS: f64 = 0.25;

/// What comes within this of the best that can be done is as good.
const AS_GOOD: f64 = 1.1;

/// Times the usual span of rule 4.
const MAJORITY_FACTORS: [u64; 3] = [1, 2, 4];

/// Paths that are tried without, the worst first: bounds the work where many regions are bad.
const TRIED_WITHOUT: usize = 4;

/// The paths of one monitor, and the numbers that fit them.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    paths: Paths,
    /// Whose checks stand for each region: of several agents one, while it is there.
    witnesses: BTreeMap<Region, (AgentKey, Moment)>,
    stale_after: Micros,
    chosen: Option<Calibrated>,
    expected: Option<f64>,
    review_at: Moment,
}

/// What a review changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Recalibrated {
    /// What applies from here on; none: the usual numbers.
    pub calibrated: Option<Calibrated>,
    /// Regions that abstain from here on, with how their paths were measured.
    pub turned_noisy: Vec<(Region, PathQuality)>,
    /// Regions that vote again.
    pub calmed: Vec<Region>,
    /// False pages in 1,000 years that are expected under what applies.
    pub expected: f64,
}

impl Calibration {
    /// Of a monitor of which nothing is known yet.
    pub fn new(policy: &Policy) -> Self {
        Self {
            paths: Paths::new(policy.stale_after()),
            witnesses: BTreeMap::new(),
            stale_after: policy.stale_after(),
            chosen: None,
            expected: None,
            review_at: Moment::default(),
        }
    }

    /// The monitor has another policy: what is known of its paths stands, and is looked at with the next check.
    pub fn follow(&mut self, policy: &Policy) {
        self.stale_after = policy.stale_after();
        self.paths.stale_after(policy.stale_after());
        self.review_at = Moment::default();
    }

    /// Takes up what was known before a start: what applied, and the sums of each path.
    pub fn restore(
        &mut self,
        chosen: Option<Calibrated>,
        paths: impl IntoIterator<Item = (Region, PathSums)>,
    ) {
        self.take(chosen);
        for (region, sums) in paths {
            self.paths.restore(region, sums);
        }
    }

    /// Takes a check that was heard of in time, and was not the agent's own fault. Says whether a review is due.
    pub fn observe(
        &mut self,
        (agent, region): (AgentKey, &Region),
        started: Moment,
        ended: Moment,
        failed: bool,
    ) -> bool {
        match self.witnesses.get_mut(region) {
            Some((witness, heard)) if *witness == agent => *heard = ended.max(*heard),
            Some((_, heard)) if ended < heard.after(self.stale_after) => return false,
            _ => {
                self.witnesses.insert(region.clone(), (agent, ended));
            }
        }
        self.paths.observe(region, started, ended, failed);
        self.review_at <= ended
    }

    /// Nobody looked for a while, or what was seen was the server's doing.
    pub fn pause(&mut self) {
        self.paths.pause();
    }

    /// Looks whether what applies still fits; the next review is due an hour later. `policy` is the monitor's: what it
    /// carries of an earlier choice does not matter. Nothing where all stays as it is.
    pub fn review(&mut self, policy: &Policy, at: Moment) -> Option<Recalibrated> {
        self.review_at = at.after(REVIEWED_EVERY);
        self.paths.retain(&policy.regions);
        self.witnesses.retain(|region, _| policy.regions.contains(region));
        let chosen = self.choice(policy);
        let expected = self.pages(policy, chosen.clone());
        self.expected = Some(expected);
        if chosen == self.chosen {
            return None;
        }
        let noisy = |of: &Option<Calibrated>| of.as_ref().map(|one| one.noisy.clone()).unwrap_or_default();
        let (before, after) = (noisy(&self.chosen), noisy(&chosen));
        let quality = |region: &Region| (region.clone(), self.paths.known(region).quality());
        let turned_noisy = after.difference(&before).map(quality).collect();
        let calmed = before.difference(&after).cloned().collect();
        self.take(chosen.clone());
        Some(Recalibrated { calibrated: chosen, turned_noisy, calmed, expected })
    }

    /// What applies; none: the usual numbers.
    pub fn chosen(&self) -> Option<&Calibrated> {
        self.chosen.as_ref()
    }

    /// The paths as they were measured.
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// False pages in 1,000 years that are expected under what applies, as of the latest review.
    pub fn expected(&self) -> Option<f64> {
        self.expected
    }

    fn take(&mut self, chosen: Option<Calibrated>) {
        self.paths.noisy(chosen.as_ref().map(|one| one.noisy.clone()).unwrap_or_default());
        self.chosen = chosen;
    }

    fn choice(&self, policy: &Policy) -> Option<Calibrated> {
        let known =
            policy.regions.iter().filter(|region| self.paths.known(region).observed_s >= KNOWN_AFTER_S);
        if !policy.may_calibrate() || known.count() * 2 <= policy.regions.len() {
            return None;
        }
        let fits_still = |standing: &&Calibrated| {
            let is_of_these = standing.noisy.is_subset(&policy.regions)
                && usize::from(standing.voters) + standing.noisy.len() == policy.regions.len();
            is_of_these
                && Bounds::of(policy, standing.voters).hold(standing)
                && self.hopeless(policy, HOPELESS).is_subset(&standing.noisy)
                && self.pages(policy, Some((*standing).clone())) <= PAGES_MAX
        };
        let Some(standing) = self.chosen.as_ref().filter(fits_still) else {
            let noisy = self.noisy_anew(policy);
            return Some(self.choose(policy, noisy, PAGES_MAX));
        };
        let easier = self.choose(policy, self.hopeless(policy, HOPELESS / 2.0), EASY);
        let ease = |one: &Calibrated| (one.noisy.len(), one.majority_span, one.together, one.span);
        let is_easier = ease(&easier) < ease(standing) && self.pages(policy, Some(easier.clone())) <= EASY;
        Some(if is_easier { easier } else { standing.clone() })
    }

    /// The numbers under which no more than `limit` false pages are expected, or the best that there are, where these are
    /// noisy in any case.
    fn choose(&self, policy: &Policy, noisy: BTreeSet<Region>, limit: f64) -> Calibrated {
        let (mut best, mut pages) = self.with_noisy(policy, noisy, limit);
        while pages > limit && best.noisy.len() < policy.noisy_max() {
            let without = |region: Region| {
                let mut noisy = best.noisy.clone();
                noisy.insert(region);
                self.with_noisy(policy, noisy, limit)
            };
            let tried = self.worst_but(policy, &best.noisy).into_iter().map(without);
            let helps = tried.min_by(|(_, one), (_, other)| one.total_cmp(other));
            match helps.filter(|(_, fewer)| *fewer <= limit || *fewer * 2.0 <= pages) {
                Some(better) => (best, pages) = better,
                None => break,
            }
        }
        best
    }

    /// The paths that are known to be bad for so much of their time; the worst, where there are more than may abstain.
    fn hopeless(&self, policy: &Policy, share: f64) -> BTreeSet<Region> {
        let mut bad: Vec<_> = policy
            .regions
            .iter()
            .map(|region| (self.share(region), region))
            .filter(|(bad, region)| *bad >= share && self.paths.known(region).bad_s >= NOISY_FOR_S)
            .collect();
        bad.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        bad.into_iter().take(policy.noisy_max()).map(|(_, region)| region.clone()).collect()
    }

    /// Which paths are noisy whatever the others come to, where another choice is to be made.
    fn noisy_anew(&self, policy: &Policy) -> BTreeSet<Region> {
        let (mut noisy, hopeless) = (self.still_noisy(policy), self.hopeless(policy, HOPELESS));
        let max = policy.noisy_max();
        if noisy.union(&hopeless).count() > max {
            noisy.retain(|region| self.share(region) >= HOPELESS / 2.0);
        }
        let others: Vec<_> = hopeless.difference(&noisy).cloned().collect();
        noisy.into_iter().chain(others).take(max).collect()
    }

    /// Those that abstain, are still worse than most, if only half as much as made them, and whose votes would not help:
    /// where the limit cannot be met, two bad paths would otherwise abstain by turns.
    fn still_noisy(&self, policy: &Policy) -> BTreeSet<Region> {
        let mut shares: Vec<_> = policy.regions.iter().map(|region| self.share(region)).collect();
        shares.sort_by(f64::total_cmp);
        let most = shares.get(shares.len().saturating_sub(1) / 2).copied().unwrap_or(0.0);
        let is_hopeless = |region: &Region| self.share(region) >= HOPELESS / 2.0;
        let is_bad = |region: &Region| self.share(region) >= most * NOISY_FACTOR / 2.0 || is_hopeless(region);
        let standing = self.chosen.iter().flat_map(|standing| &standing.noisy);
        let still = standing.filter(|region| policy.regions.contains(*region) && is_bad(region));
        let mut still: BTreeSet<_> = still.cloned().collect();
        for region in still.clone().into_iter().filter(|region| !is_hopeless(region)) {
            let mut fewer = still.clone();
            fewer.remove(&region);
            let pages = |noisy: &BTreeSet<Region>| self.with_noisy(policy, noisy.clone(), PAGES_MAX).1;
            if pages(&fewer) < pages(&still) {
                still = fewer;
            }
        }
        still
    }

    /// The worst of the paths that are known to be bad, and worse than most.
    fn worst_but(&self, policy: &Policy, noisy: &BTreeSet<Region>) -> Vec<Region> {
        let voting = policy.regions.iter().filter(|region| !noisy.contains(*region));
        let mut voting: Vec<_> = voting.map(|region| (self.share(region), region)).collect();
        voting.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let most = voting.get(voting.len().saturating_sub(1) / 2).map_or(0.0, |(share, _)| *share);
        let is_bad = |(share, region): &&(f64, &Region)| {
            let known = self.paths.known(region);
            *share >= most * NOISY_FACTOR && (known.spells >= NOISY_SPELLS || known.bad_s >= NOISY_FOR_S)
        };
        voting.iter().rev().take(TRIED_WITHOUT).filter(is_bad).map(|(_, region)| (*region).clone()).collect()
    }

    fn share(&self, region: &Region) -> f64 {
        self.paths.known(region).quality().share
    }

    /// The smallest spans that suffice where some regions abstain, or the best that there are, and what they are expected
    /// to cost.
    fn with_noisy(&self, policy: &Policy, noisy: BTreeSet<Region>, limit: f64) -> (Calibrated, f64) {
        let voters = u16::try_from(policy.regions.len() - noisy.len()).unwrap_or(u16::MAX);
        let Bounds { least, usual, longest, usual_majority } = Bounds::of(policy, voters);
        let mut calibrated = Calibrated {
            span: Micros::from_secs(longest),
            together: true,
            majority_span: usual_majority,
            voters,
            noisy,
        };
        for factor in MAJORITY_FACTORS {
            calibrated.majority_span = usual_majority * factor;
            if self.forecast(policy, Some(calibrated.clone())).by_majority <= limit / 2.0 {
                break;
            }
        }
        let of = |together, seconds| {
            let span = Micros::from_secs(seconds);
            let calibrated = Calibrated { span, together, ..calibrated.clone() };
            let pages = self.pages(policy, Some(calibrated.clone()));
            (calibrated, pages)
        };
        let by_first = of(false, usual).1;
        let limit = limit.max(by_first.min(of(true, longest).1) * AS_GOOD);
        let (together, longest) = if by_first <= limit { (false, usual) } else { (true, longest) };
        // The longer, the fewer: the smallest that suffices is found by halves.
        let (mut low, mut high) = (least, longest);
        while low < high {
            let middle = low.midpoint(high);
            if of(together, middle).1 <= limit {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        of(together, high)
    }

    fn pages(&self, policy: &Policy, calibrated: Option<Calibrated>) -> f64 {
        self.forecast(policy, calibrated).false_pages()
    }

    fn forecast(&self, policy: &Policy, calibrated: Option<Calibrated>) -> Forecast {
        let policy = Policy { calibrated, ..policy.clone() };
        Forecast::of(&policy, |region| self.paths.known(region).quality())
    }
}

/// Between what the spans of a policy may be chosen, in whole seconds but the last.
struct Bounds {
    least: u64,
    usual: u64,
    /// If all have to fail together.
    longest: u64,
    usual_majority: Micros,
}

impl Bounds {
    /// Where so many vote.
    fn of(policy: &Policy, voters: u16) -> Self {
        let usual = seconds(policy.usual_span(voters));
        let until_seen = policy.interval / u64::from(voters.max(1));
        let longest = PAGED_WITHIN.saturating_sub(until_seen).saturating_sub(ON_THE_WAY);
        Self {
            least: seconds(policy.least_span()),
            usual,
            longest: seconds(longest).max(usual),
            usual_majority: policy.usual_majority_span(voters),
        }
    }

    /// Whether something that was chosen, maybe under another interval or sensitivity, could be chosen again.
    fn hold(&self, chosen: &Calibrated) -> bool {
        let longest = if chosen.together { self.longest } else { self.usual };
        (self.least..=longest).contains(&seconds(chosen.span))
            && MAJORITY_FACTORS.iter().any(|factor| chosen.majority_span == self.usual_majority * *factor)
    }
}

fn seconds(span: Micros) -> u64 {
    span.0 / 1_000_000
}
