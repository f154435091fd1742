//! How each path to a monitor behaves by itself: measured from *solo failures*, a region that fails while most others
//! pass.
//!
//! A check stands for the time since the one before it: so the part of the time that a path is bad is right however often
//! it is checked, and rounds of confirmation, which follow each other quickly, weigh little. A spell lasts from the start
//! of its first failing check to that of the first that passes. Where half of the regions fail or more, it may be the
//! server: every spell that is under way then says nothing of its path, and is dropped. What is still bad an hour after
//! others were for the last time is no aftermath, and bad by itself from there on. Paths that are known to be noisy do not count as
//! others: what fails all the time would make of each other failure a common one.
//!
//! Of spells in progress at a random moment, the mean time that is left is `E[l²] / 2 E[l]` (the inspection paradox of
//! renewal theory). That is the length that is told: for exponential spells it is their mean, and of many short and a few
//! long ones, which outlast any evidence span, it is what the long ones make of it.
//!
//! What is assumed of an unknown path ([`PathQuality::ASSUMED`]) counts as a day of observation, so that a few hours
//! without a failure promise nothing. What was observed fades with a mean age of two weeks.

use std::collections::{BTreeMap, BTreeSet};

use quorate_proto::{Micros, Region};

use crate::{Moment, PathQuality};

/// The weight of what is assumed.
const ASSUMED_S: f64 = 86_400.0;
/// The mean age of what is known.
const FADES_IN_S: f64 = 14.0 * 86_400.0;

/// For how long after a fault of the server a region that still fails may owe it to that.
const AFTERMATH: Micros = Micros::from_secs(3_600);
/// No sum is larger: the squares of spells of a hundred years.
const SUM_MAX: f64 = 1e20;

/// The paths from all regions of one monitor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Paths {
    meters: BTreeMap<Region, Meter>,
    /// Regions that say nothing of the server.
    noisy: BTreeSet<Region>,
    /// A vote counts for so long.
    stale_after: Micros,
}

/// What is known of one path: sums over all that was observed, less what has faded. Times are in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PathSums {
    /// For how long it was watched.
    pub observed_s: f64,
    /// For how long of that it was bad by itself.
    pub bad_s: f64,
    /// In how many spells.
    pub spells: f64,
    /// The lengths of these.
    pub lasted_s: f64,
    /// The squares of their lengths, in s².
    pub lasted_squared: f64,
    /// Failing checks in them.
    pub failures: f64,
    /// How long those took.
    pub wait_s: f64,
    /// The shares of other paths that were bad when this one turned so, 0 to 1 each.
    pub met: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Meter {
    sums: PathSums,
    latest: Option<Moment>,
    spell: Option<Spell>,
}

/// A time in which a path fails.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Spell {
    started: Moment,
    bad_s: f64,
    failures: f64,
    wait_s: f64,
    met: f64,
    /// When half of the regions failed as well, at last.
    common_at: Option<Moment>,
}

impl Paths {
    /// Of nothing yet; a check stands for `stale_after` at most.
    pub fn new(stale_after: Micros) -> Self {
        Self { stale_after, ..Self::default() }
    }

    /// Takes a check: in order of their starts, of each region.
    pub fn observe(&mut self, region: &Region, started: Moment, ended: Moment, failed: bool) {
        if !self.meters.contains_key(region) {
            self.meters.insert(region.clone(), Meter::default());
        }
        let (others, bad) = self.others(region, started);
        let itself = u32::from(!self.noisy.contains(region));
        let is_common = (bad + itself) * 2 >= others + itself;
        let Some(meter) = self.meters.get_mut(region) else { return };
        let gap = meter.latest.map_or(Micros::ZERO, |latest| started.since(latest)).min(self.stale_after);
        let gap_s = gap.as_secs_f64();
        meter.sums.fade(gap_s);
        meter.latest = meter.latest.max(Some(started));
        meter.sums.observed_s += gap_s;
        if !failed {
            if let Some(spell) = meter.spell.take().filter(|spell| spell.common_at.is_none()) {
                meter.sums.close(&spell, started);
            }
            return;
        }
        let met = if others > 0 { f64::from(bad) / f64::from(others) } else { 0.0 };
        let is_over = |spell: &Spell| spell.common_at.is_some_and(|at| at.after(AFTERMATH) <= started);
        let standing = meter.spell.filter(|spell| !is_over(spell));
        let spell = meter.spell.insert(standing.unwrap_or(Spell { started, met, ..Spell::default() }));
        spell.bad_s += gap_s;
        spell.failures += 1.0;
        spell.wait_s += ended.since(started).as_secs_f64();
        if is_common {
            self.drop_spells(started);
        }
    }

    /// What is known of each path that was ever heard of, a spell that is under way included.
    pub fn sums(&self) -> impl Iterator<Item = (&Region, PathSums)> + '_ {
        self.meters.iter().map(|(region, meter)| (region, meter.known()))
    }

    /// What is known of one path; nothing of one that was never heard of.
    pub fn known(&self, region: &Region) -> PathSums {
        self.meters.get(region).map(Meter::known).unwrap_or_default()
    }

    /// Takes up what was known before a start; nothing where that cannot have been measured.
    pub fn restore(&mut self, region: Region, sums: PathSums) {
        let sums = if sums.is_sane() { sums } else { PathSums::default() };
        self.meters.insert(region, Meter { sums, ..Meter::default() });
    }

    /// Whose word is not heeded from here on.
    pub fn noisy(&mut self, regions: BTreeSet<Region>) {
        self.noisy = regions;
    }

    /// A check stands for another time at most.
    pub fn stale_after(&mut self, span: Micros) {
        self.stale_after = span;
    }

    /// Forgets paths from other regions.
    pub fn retain(&mut self, regions: &BTreeSet<Region>) {
        self.meters.retain(|region, _| regions.contains(region));
    }

    /// Nobody looked, or what was seen says nothing: spells that are under way are dropped, and the time until the next
    /// check is not counted.
    pub fn pause(&mut self) {
        for meter in self.meters.values_mut() {
            (meter.latest, meter.spell) = (None, None);
        }
    }

    /// Other regions that are heeded and were heard of lately, and those of them that fail.
    fn others(&self, region: &Region, at: Moment) -> (u32, u32) {
        let fresh = |meter: &&Meter| meter.latest.is_some_and(|latest| at < latest.after(self.stale_after));
        let heeded = |(other, _): &(&Region, &Meter)| *other != region && !self.noisy.contains(*other);
        let others = self.meters.iter().filter(heeded).map(|(_, meter)| meter).filter(fresh);
        others.fold((0, 0), |(all, bad), meter| (all + 1, bad + u32::from(meter.spell.is_some())))
    }

    fn drop_spells(&mut self, at: Moment) {
        for spell in self.meters.values_mut().filter_map(|meter| meter.spell.as_mut()) {
            spell.common_at = spell.common_at.max(Some(at));
        }
    }
}

impl Meter {
    /// A path that is bad is known to be so before it is good again.
    fn known(&self) -> PathSums {
        let mut known = self.sums;
        if let (Some(spell), Some(latest)) =
            (self.spell.filter(|spell| spell.common_at.is_none()), self.latest)
        {
            known.close(&spell, latest);
        }
        known
    }
}

impl PathSums {
    fn each(&mut self) -> [&mut f64; 8] {
        let Self { observed_s, bad_s, spells, lasted_s, lasted_squared, failures, wait_s, met } = self;
        [observed_s, bad_s, spells, lasted_s, lasted_squared, failures, wait_s, met]
    }

    fn fade(&mut self, gap_s: f64) {
        let kept = (1.0 - gap_s / FADES_IN_S).max(0.0);
        self.each().into_iter().for_each(|sum| *sum *= kept);
    }

    fn is_sane(mut self) -> bool {
        self.each().into_iter().all(|sum| (0.0..=SUM_MAX).contains(sum))
    }

    fn close(&mut self, spell: &Spell, passed: Moment) {
        let lasted = passed.since(spell.started).as_secs_f64();
        // What was seen in a long spell has faded meanwhile as well.
        self.bad_s = (self.bad_s + spell.bad_s).min(self.observed_s.max(self.bad_s));
        self.spells += 1.0;
        self.lasted_s += lasted;
        self.lasted_squared += lasted * lasted;
        self.failures += spell.failures;
        self.wait_s += spell.wait_s;
        self.met += spell.met;
    }

    /// How the path behaves, as far as is known; see [`PathQuality::ASSUMED`] for what is not.
    pub fn quality(&self) -> PathQuality {
        let known = self;
        let assumed = PathQuality::ASSUMED;
        let (length, wait) = (assumed.spell.as_secs_f64(), assumed.wait.as_secs_f64());
        let bad_s = ASSUMED_S * assumed.share;
        let spells = bad_s / length;
        let share = (bad_s + known.bad_s) / (ASSUMED_S + known.observed_s);
        // Of exponential spells the mean square is twice the square of the mean.
        let left = (spells * 2.0 * length * length + known.lasted_squared) / (bad_s + known.lasted_s) / 2.0;
        let met = (spells * assumed.share + known.met) / (spells + known.spells);
        PathQuality {
            share: share.clamp(0.0, 1.0),
            spell: Micros((left * 1e6) as u64),
            wait: Micros(((spells * wait + known.wait_s) / (spells + known.failures) * 1e6) as u64),
            together: met.clamp(0.0, 1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Micros = Micros::from_secs;

    fn region(name: &str) -> Region {
        name.parse().unwrap()
    }

    fn at(second: u64) -> Moment {
        Moment(0).after(S(second))
    }

    /// Five regions over so many days; `fails` says what a check of one finds at a second.
    fn measured(days: u64, fails: impl Fn(u64, u64) -> bool) -> BTreeMap<Region, PathQuality> {
        let mut paths = Paths::new(S(60));
        for second in (0..days * 86_400).step_by(6) {
            let number = second / 6 % 5;
            let failed = fails(number, second);
            let took = if failed { S(10) } else { Micros::ZERO };
            paths.observe(&region(&format!("r{number}")), at(second), at(second).after(took), failed);
        }
        paths.sums().map(|(region, sums)| (region.clone(), sums.quality())).collect()
    }

    #[test]
    fn what_is_unknown_is_as_assumed() {
        let mut paths = Paths::new(S(60));
        paths.observe(&region("r"), at(0), at(0), false);
        let quality = paths.sums().next().unwrap().1.quality();
        assert!((quality.share - 0.001).abs() < 1e-9 && quality.spell == S(20) && quality.wait == S(5));
    }

    #[test]
    fn good_paths_become_better_than_assumed() {
        let quality = measured(10, |_, _| false)[&region("r0")];
        assert!(quality.share < 0.000_2, "{quality:?}");
    }

    /// One path is bad for two minutes an hour.
    #[test]
    fn solo_failures_are_measured() {
        let qualities = measured(10, |number, second| number == 2 && second % 3600 < 120);
        let (bad, good) = (qualities[&region("r2")], qualities[&region("r0")]);
        assert!((0.025..0.04).contains(&bad.share), "{bad:?}");
        assert!((50..70).contains(&(bad.spell.0 / 1_000_000)), "half of what each lasts: {bad:?}");
        assert!(bad.wait > S(9) && bad.together < 0.01, "{bad:?}");
        assert!(good.share < 0.000_2, "{good:?}");
    }

    #[test]
    fn an_outage_says_nothing_of_the_paths() {
        let qualities = measured(10, |_, second| second % 3600 < 120);
        assert!(qualities.values().all(|quality| quality.share < 0.000_5), "{qualities:?}");
    }

    #[test]
    fn what_turns_bad_together_is_seen_to() {
        let qualities = measured(10, |number, second| number < 2 && second % 3600 < 120);
        let two = qualities[&region("r0")].together + qualities[&region("r1")].together;
        assert!(two > 0.2, "one of four others, each time that the second turns bad: {qualities:?}");
    }

    /// One path is bad all the time: what others do alone is seen nevertheless, once that one is known to be noisy, and a
    /// moment in which three fail does not make a good path of it.
    #[test]
    fn what_fails_all_the_time_hides_nothing() {
        let mut paths = Paths::new(S(60));
        paths.noisy([region("r3"), region("r4")].into());
        for second in (0..86_400).step_by(6) {
            let number = second / 6 % 5;
            let alone = number == 0 && second % 3_600 < 120;
            let blip = number < 3 && (40_000..40_060).contains(&second);
            let failed = number >= 3 || alone || blip;
            paths.observe(&region(&format!("r{number}")), at(second), at(second), failed);
        }
        let bad = ["r0", "r1", "r3", "r4"].map(|name| paths.known(&region(name)).bad_s);
        assert!((2_000.0..4_000.0).contains(&bad[0]), "{bad:?}");
        assert!(bad[1] < 1e-9, "{bad:?}");
        assert!(bad[2] > 40_000.0 && bad[3] > 40_000.0, "after the blip: {bad:?}");
    }

    /// Half a year of failing is known no better than two weeks of it, and is forgotten as soon.
    #[test]
    fn long_spells_fade() {
        let fails = |number, second| number == 2 && second < 180 * 86_400;
        assert!(measured(180, fails)[&region("r2")].share > 0.9);
        let after = measured(210, fails)[&region("r2")].share;
        assert!((0.05..0.2).contains(&after), "{after}");
    }

    #[test]
    fn what_cannot_have_been_measured_is_not_taken_up() {
        for wrong in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
            for field in 0..8 {
                let mut sums = PathSums { observed_s: 1e6, ..PathSums::default() };
                *sums.each()[field] = wrong;
                let mut paths = Paths::new(S(60));
                paths.restore(region("r"), sums);
                assert_eq!(paths.known(&region("r")), PathSums::default(), "{sums:?}");
            }
        }
    }

    #[test]
    fn old_failures_fade() {
        let qualities =
            measured(70, |number, second| number == 2 && second < 86_400 * 7 && second % 600 < 60);
        assert!(qualities[&region("r2")].share < 0.003, "{qualities:?}");
    }
}
