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
//!    It never exceeds what lets the page come within a minute of the fault.
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
            return Some(self.choose(policy, self.hopeless(policy, HOPELESS), PAGES_MAX));
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
        // Where nothing answers, the others begin to fail when the first check has waited in vain.
        let until_together = policy.until_seen(voters) + policy.timeout;
        let longest = PAGED_WITHIN.saturating_sub(until_together).saturating_sub(ON_THE_WAY);
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

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Micros = Micros::from_secs;

    fn policy(regions: usize) -> Policy {
        Policy::new((0..regions).map(region).collect(), S(30), S(10))
    }

    fn region(index: usize) -> Region {
        format!("r{index}").parse().unwrap()
    }

    /// Two weeks of a path that is bad for a share of the time, for so many seconds at a time.
    fn watched(share: f64, spell: f64) -> PathSums {
        let observed_s = 14.0 * 86_400.0;
        let bad_s = share * observed_s;
        let spells = bad_s / spell;
        PathSums {
            observed_s,
            bad_s,
            spells,
            lasted_s: bad_s,
            lasted_squared: spells * 2.0 * spell * spell,
            failures: spells,
            wait_s: spells * 0.1,
            met: spells * share,
        }
    }

    fn of(policy: &Policy, paths: &[PathSums]) -> Calibration {
        let mut calibration = Calibration::new(policy);
        let named = paths.iter().enumerate().map(|(index, sums)| (region(index), *sums));
        calibration.restore(None, named);
        calibration
    }

    /// What is chosen for `n` paths that are all alike: the spans in seconds, whether together, and what is expected.
    fn chosen(n: usize, share: f64, spell: f64) -> (u64, bool, u64, f64) {
        let policy = policy(n);
        let change = of(&policy, &vec![watched(share, spell); n]).review(&policy, Moment(0)).unwrap();
        let one = change.calibrated.unwrap();
        assert!(one.noisy.is_empty(), "none is worse than the others");
        (seconds(one.span), one.together, seconds(one.majority_span), change.expected)
    }

    #[test]
    fn the_better_the_paths_the_shorter_the_span() {
        for (regions, share, spell, wanted) in [
            // Nothing is shorter than the least.
            (5, 0.0, 20.0, (11, false, 90)),
            (5, 0.001, 20.0, (11, false, 90)),
            // Three decide as soon as five where their paths are good.
            (3, 0.0, 20.0, (11, false, 300)),
            (3, 0.001, 20.0, (14, false, 300)),
            (3, 0.001, 60.0, (30, true, 300)),
            (5, 0.01, 20.0, (33, true, 180)),
            (7, 0.02, 60.0, (14, true, 180)),
            // Long spells are the majority's matter.
            (5, 0.001, 300.0, (11, false, 360)),
            (3, 0.001, 300.0, (11, false, 1_200)),
        ] {
            let (span, together, majority, expected) = chosen(regions, share, spell);
            assert_eq!((span, together, majority), wanted, "{regions} regions, {share} bad for {spell} s");
            assert!(expected <= PAGES_MAX, "{expected}");
        }
    }

    #[test]
    fn what_cannot_be_met_is_said_and_costs_no_time_for_nothing() {
        let (span, together, _, expected) = chosen(5, 0.05, 20.0);
        assert!(together && span < 51 && expected > 100.0, "{span} {expected}");
        // Of two regions whose spells outlast every span, the usual is as good as any.
        let (span, together, _, expected) = chosen(2, 0.001, 300.0);
        assert!(!together && span <= 30 && expected > 100.0, "{span} {expected}");
    }

    #[test]
    fn a_path_that_fails_alone_abstains_until_it_is_better() {
        let policy = policy(5);
        let good = watched(0.003, 60.0);
        // Bad for the whole of the last hours, in one spell.
        let failing = |hours: f64| PathSums {
            bad_s: hours * 3_600.0,
            spells: 1.0,
            lasted_s: hours * 3_600.0,
            lasted_squared: (hours * 3_600.0).powi(2),
            ..good
        };
        let review = |calibration: &mut Calibration, hours| {
            calibration.restore(calibration.chosen.clone(), [(region(2), failing(hours))]);
            calibration.review(&policy, Moment(0))
        };
        let mut calibration = of(&policy, &[good; 5]);
        calibration.review(&policy, Moment(0));
        let standing = calibration.chosen().unwrap().clone();
        assert_eq!((standing.span, standing.noisy.len()), (S(11), 0));
        let change = review(&mut calibration, 5.0).unwrap();
        assert_eq!(change.turned_noisy, [], "hours are news, and no noise");
        assert!(change.calibrated.unwrap().together);
        let change = review(&mut calibration, 300.0).unwrap();
        assert_eq!(change.turned_noisy.iter().map(|(region, _)| region).collect::<Vec<_>>(), [&region(2)]);
        assert_eq!(change.calibrated.as_ref().unwrap().voters, 4);
        assert!(change.expected <= PAGES_MAX, "{}", change.expected);
        // It does not come and go with every hour: the share has to fade.
        assert_eq!(review(&mut calibration, 80.0), None);
        calibration
            .restore(calibration.chosen.clone(), (0..5).map(|index| (region(index), watched(0.001, 60.0))));
        let change = calibration.review(&policy, Moment(0)).unwrap();
        assert_eq!(change.calmed, [region(2)]);
        assert_eq!(change.turned_noisy, []);
    }

    /// However good the others are.
    #[test]
    fn a_path_that_fails_for_a_quarter_of_its_time_says_nothing() {
        let policy = policy(5);
        let noisy = |calibration: &mut Calibration, share| {
            let paths =
                (0..5).map(|index| (region(index), watched(if index == 3 { share } else { 0.0 }, 600.0)));
            calibration.restore(calibration.chosen.clone(), paths);
            calibration.review(&policy, Moment(0));
            calibration.chosen().unwrap().noisy.len()
        };
        let mut calibration = Calibration::new(&policy);
        let shares = [0.2, 0.3, 0.2, 0.15, 0.1, 0.2];
        assert_eq!(shares.map(|share| noisy(&mut calibration, share)), [0, 1, 1, 1, 0, 0]);
        // Two of three would leave one: the worse one abstains.
        let policy = self::policy(3);
        let mut calibration = of(&policy, &[watched(0.4, 600.0), watched(0.5, 600.0), watched(0.0, 20.0)]);
        let change = calibration.review(&policy, Moment(0)).unwrap();
        assert_eq!(change.calibrated.unwrap().noisy, [region(1)].into());
    }

    #[test]
    fn a_majority_keeps_its_word() {
        for regions in 2..=9 {
            let policy = policy(regions);
            let paths: Vec<_> = (0..regions)
                .map(|index| watched(if index % 2 == 0 { 0.3 } else { 0.000_1 }, 120.0))
                .collect();
            let change = of(&policy, &paths).review(&policy, Moment(0)).unwrap();
            let calibrated = change.calibrated.unwrap();
            let left = regions - calibrated.noisy.len();
            assert!(
                left >= 2 && left * 2 > regions && left == usize::from(calibrated.voters),
                "{calibrated:?}"
            );
        }
    }

    #[test]
    fn what_the_operator_set_stands() {
        let bad = vec![watched(0.02, 60.0); 5];
        for policy in [
            Policy { confirm_for: Some(S(11)), ..policy(5) },
            Policy { sensitivity: crate::Sensitivity::Fast, ..policy(5) },
            policy(1),
        ] {
            assert_eq!(of(&policy, &bad).review(&policy, Moment(0)), None);
        }
        let strict = Policy { sensitivity: crate::Sensitivity::Strict, ..policy(5) };
        let change = of(&strict, &[watched(0.0, 20.0); 5]).review(&strict, Moment(0)).unwrap();
        assert_eq!(change.calibrated.unwrap().span, S(22));
    }

    /// What was chosen under other settings stands only where it could be chosen under these.
    #[test]
    fn another_policy_has_other_bounds() {
        let strict = |policy: Policy| Policy { sensitivity: crate::Sensitivity::Strict, ..policy };
        let often = Policy { interval: S(10), ..policy(5) };
        let seldom = Policy { interval: S(240), ..policy(5) };
        for (before, after, share) in [
            (policy(5), strict(policy(5)), 0.0),
            (strict(policy(5)), policy(5), 0.01),
            (often.clone(), seldom.clone(), 0.04),
            (strict(policy(3)), policy(3), 0.0),
        ] {
            let paths = vec![watched(share, 60.0); before.regions.len()];
            let mut calibration = of(&before, &paths);
            calibration.review(&before, Moment(0)).unwrap();
            calibration.follow(&after);
            calibration.review(&after, Moment(0));
            let anew = of(&after, &paths).review(&after, Moment(0)).unwrap().calibrated;
            assert_eq!(calibration.chosen().cloned(), anew);
        }
        // A row that somebody changed delays no page.
        let mut calibration = of(&policy(5), &[watched(0.3, 60.0); 5]);
        let long = S(86_400);
        let foreign =
            Calibrated { span: long, together: true, majority_span: long, voters: 5, noisy: BTreeSet::new() };
        calibration.restore(Some(foreign), []);
        calibration.review(&policy(5), Moment(0));
        let chosen = calibration.chosen().unwrap();
        assert!(chosen.span < S(60) && chosen.majority_span <= S(1_200), "{chosen:?}");
    }

    #[test]
    fn little_is_no_ground() {
        let policy = policy(3);
        let known = |days: f64| PathSums { observed_s: days * 86_400.0, ..PathSums::default() };
        let review = |paths: &[PathSums]| of(&policy, paths).review(&policy, Moment(0));
        assert_eq!(review(&[known(0.9); 3]), None);
        assert_eq!(review(&[known(1.0), known(0.9), known(0.9)]), None, "no majority is known");
        assert!(review(&[known(1.0), known(1.0), known(0.0)]).is_some());
    }

    #[test]
    fn what_stands_is_eased_only_with_room_to_spare() {
        let policy = policy(5);
        let review = |calibration: &mut Calibration, share| {
            let paths = (0..5).map(|index| (region(index), watched(share, 20.0)));
            calibration.restore(calibration.chosen.clone(), paths);
            calibration.review(&policy, Moment(0)).map(|change| seconds(change.calibrated.unwrap().span))
        };
        let mut calibration = Calibration::new(&policy);
        assert_eq!(review(&mut calibration, 0.01), Some(33));
        assert_eq!(review(&mut calibration, 0.009_5), None, "it would be 32");
        assert_eq!(review(&mut calibration, 0.011), Some(36), "at once");
        assert_eq!(review(&mut calibration, 0.003), Some(11));
    }

    /// Of two agents of one region one is listened to, until it has been away for a vote's lifetime.
    #[test]
    fn one_agent_speaks_for_a_region() {
        let mut calibration = Calibration::new(&policy(3));
        let mut observe = |agent, second: u64, failed| {
            let at = Moment(second * 1_000_000);
            calibration.observe((AgentKey([agent; 32]), &region(0)), at, at, failed);
            calibration.paths().known(&region(0)).failures
        };
        assert!(observe(1, 0, false).abs() < 1e-9);
        assert!(observe(2, 10, true).abs() < 1e-9, "not the first");
        assert!(observe(1, 59, false).abs() < 1e-9);
        // The other regions are silent, so a failure stands for half of those that are there: it is dropped.
        assert!(observe(2, 118, true).abs() < 1e-9);
        assert_eq!(calibration.witnesses[&region(0)].0, AgentKey([1; 32]));
        let at = Moment(120_000_000);
        calibration.observe((AgentKey([2; 32]), &region(0)), at, at, false);
        assert_eq!(calibration.witnesses[&region(0)].0, AgentKey([2; 32]));
    }

    #[test]
    fn a_review_is_due_once_an_hour() {
        let policy = policy(2);
        let mut calibration = Calibration::new(&policy);
        let mut due = |second: u64, reviews: bool| {
            let at = Moment(second * 1_000_000);
            let due = calibration.observe((AgentKey([1; 32]), &region(0)), at, at, false);
            if reviews {
                calibration.review(&policy, at);
            }
            due
        };
        assert!(due(0, true));
        assert!(!due(3_599, false));
        assert!(due(3_600, true));
        assert!(!due(3_601, false));
    }

    proptest::proptest! {
        /// Whatever the paths: a choice is within its bounds, no worse than the usual numbers, and a page still comes within a
        /// minute; the smallest span that suffices is one that a second less would not be enough for.
        #[test]
        fn choices_are_sound(
            paths in proptest::collection::vec((0.0..0.2_f64, 5.0..900.0_f64), 2..12),
            interval in 10_u64..60,
        ) {
            let policy = Policy { interval: S(interval), ..policy(paths.len()) };
            let paths: Vec<_> = paths.into_iter().map(|(share, spell)| watched(share.powi(2), spell)).collect();
            let mut calibration = of(&policy, &paths);
            let usual = calibration.pages(&policy, None);
            let change = calibration.review(&policy, Moment(0)).unwrap();
            let chosen = change.calibrated.unwrap();
            let under = Policy { calibrated: Some(chosen.clone()), ..policy.clone() };
            proptest::prop_assert!(chosen.span >= S(11));
            proptest::prop_assert!(chosen.noisy.len() <= policy.noisy_max());
            proptest::prop_assert!(change.expected <= PAGES_MAX || change.expected <= usual * AS_GOOD, "{} {usual}", change.expected);
            let forecast = Forecast::of(&under, |_| PathQuality::ASSUMED);
            let usual_of_those = Policy {
                calibrated: Some(Calibrated { span: policy.usual_span(chosen.voters), together: false, ..chosen.clone() }),
                ..policy.clone()
            };
            let worst_usual = Forecast::of(&usual_of_those, |_| PathQuality::ASSUMED);
            for (worst, usual) in [(forecast.refused, worst_usual.refused), (forecast.silent, worst_usual.silent)] {
                proptest::prop_assert!(worst.worst <= S(60).max(usual.worst + S(11)), "{worst:?} {usual:?}");
            }
            if change.expected <= PAGES_MAX && chosen.span > S(11) {
                let shorter = Calibrated { span: chosen.span.saturating_sub(S(1)), ..chosen };
                proptest::prop_assert!(calibration.pages(&policy, Some(shorter)) > PAGES_MAX);
            }
        }
    }
}
