//! What goes wrong over the years, without the server's doing: one stream of outages, cut into clusters.
//!
//! Each region's path has two states. While it is good, single checks are lost at random (memoryless); while it is bad, all
//! fail. How long it stays good is always exponential; how long it stays bad is exponential or fixed. Providers fail as
//! a whole in the same manner, which takes all their regions at once: the common cause. Agents have spells in which they
//! are starved: their checks fail, and their heartbeats say that they are sick.
//!
//! # How it is drawn
//! A year has thousands of outages and hardly one that can page, so what is drawn and thrown away is most of the work.
//! Three things make it cheap, and none of them changes what is likely:
//! - Sources stay good for exponential times, which have no memory. So all spells begin as *one* Poisson process, of the
//!   sum of the rates; each beginning is one source's with the chance of its part of that sum; and one that falls into a
//!   spell of its own source is none: from the end of a spell to the next beginning outside of it is exponential again.
//! - The scheduled checks of all regions, in order of their start, are one row of tries with one chance to be lost. One
//!   number says how many of them come before the next that is.
//! - So are the confirming attempts of all clusters, one after the other.

use quorate_proto::Micros;
use quorate_quorum::Moment;

use super::{Fault, Outage, Paths, Setup, Spells, exponential::Exponential, world};

/// A time in which things go wrong, and quiet around it.
#[derive(Clone, Debug, Default)]
pub(super) struct Cluster {
    /// In order of their start.
    pub(super) outages: Vec<Outage>,
    /// Which of its confirming attempts are lost although their path is good, counted from 0 and in order.
    pub(super) lost: Vec<u32>,
}

/// Where there is no quiet, one cluster ends and another begins after so many: what is lost at the cut is one in so many.
const OUTAGES_MAX: usize = 4_096;

/// Later than everything.
const NEVER: Moment = Moment(u64::MAX);

/// All clusters of a time.
pub(super) struct Clusters {
    random: fastrand::Rng,
    exponential: Exponential,
    setup: Setup,
    end: Moment,
    /// Outages that lie further apart than this do not know of each other.
    quiet: Micros,
    sources: Vec<Source>,
    /// From one beginning of a spell, of whichever source, to the next: the mean, in microseconds.
    between: f64,
    next_spell: Moment,
    checks: Tries,
    /// The next scheduled check that is lost, and the number of the one after it.
    next_loss: Outage,
    next_check: u64,
    attempts: Tries,
}

/// One thing that fails again and again.
struct Source {
    regions: u32,
    /// How often it begins to, in a microsecond in which it does not.
    rate: f64,
    /// A draw up to this, and above that of the source before, is one of its beginnings.
    drawn_to: f64,
    /// The mean, in microseconds.
    lasts: f64,
    is_fixed: bool,
    starves: bool,
    bad_until: Moment,
}

/// A row of independent tries, each of which goes wrong with the same chance.
struct Tries {
    /// The logarithm of the chance to go well.
    ln_well: f64,
    /// How many go well before the next that does not.
    ahead: u64,
}

impl Clusters {
    pub(super) fn new(setup: &Setup, paths: &Paths, seconds: f64, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let never = Outage { regions: 0, start: NEVER, end: NEVER, fault: Fault::Refused };
        let mut clusters = Self {
            exponential: Exponential::new(),
            setup: *setup,
            end: Moment((seconds * 1e6) as u64),
            quiet: setup.quiet(),
            sources: Vec::new(),
            between: 0.0,
            next_spell: NEVER,
            checks: Tries::new(paths.loss, &mut random),
            next_loss: never,
            next_check: 0,
            attempts: Tries::new(paths.loss, &mut random),
            random,
        };
        for region in 0..setup.regions {
            clusters.add(1 << region, paths.of(region), false);
            clusters.add(1 << region, paths.starved, true);
        }
        for provider in 0..paths.providers {
            let mine = (0..setup.regions).filter(|region| region % paths.providers == provider);
            clusters.add(mine.fold(0, |regions, region| regions | 1 << region), paths.common, false);
        }
        clusters.share_out();
        if paths.loss > 0.0 {
            clusters.next_loss = clusters.following_loss();
        }
        clusters
    }

    fn add(&mut self, regions: u32, spells: Spells, starves: bool) {
        if spells.share > 0.0 && regions != 0 {
            let lasts = spells.lasts.0 as f64;
            let rate = spells.share / (lasts * (1.0 - spells.share));
            let (is_fixed, bad_until) = (spells.is_fixed, Moment(0));
            let source = Source { regions, rate, drawn_to: 1.0, lasts, is_fixed, starves, bad_until };
            self.sources.push(source);
        }
    }

    /// Gives every source its part of the beginnings, and draws the first.
    fn share_out(&mut self) {
        let rate: f64 = self.sources.iter().map(|source| source.rate).sum();
        let mut sum = 0.0;
        for source in &mut self.sources {
            sum += source.rate;
            source.drawn_to = sum / rate;
        }
        if rate > 0.0 {
            self.between = 1.0 / rate;
            self.next_spell = Moment(0).after(self.exponential(self.between));
        }
    }

    /// The next spell or lost check, where it begins before a moment.
    fn take(&mut self, before: Moment) -> Option<Outage> {
        loop {
            if self.next_loss.start.min(self.next_spell) >= before {
                return None;
            }
            if self.next_loss.start <= self.next_spell {
                let following = self.following_loss();
                return Some(std::mem::replace(&mut self.next_loss, following));
            }
            let start = self.next_spell;
            self.next_spell = later(start, self.exponential(self.between));
            if let Some(outage) = self.begin(start) {
                return Some(outage);
            }
        }
    }

    /// A spell begins, unless its source is in one.
    fn begin(&mut self, start: Moment) -> Option<Outage> {
        let bits = self.random.u64(..);
        let draw = uniform(bits);
        // Sums may fall short of 1 by a rounding.
        let last = self.sources.len().saturating_sub(1);
        let index = self.sources.iter().position(|source| draw <= source.drawn_to).unwrap_or(last);
        let source = self.sources.get_mut(index).filter(|source| source.bad_until <= start)?;
        let lasts = if source.is_fixed { 1.0 } else { self.exponential.draw(&mut self.random) };
        source.bad_until = later(start, micros(lasts * source.lasts));
        let fault = if source.starves { Fault::Starved } else { fault(bits) };
        Some(Outage { regions: source.regions, start, end: source.bad_until, fault })
    }

    fn exponential(&mut self, mean: f64) -> Micros {
        micros(self.exponential.draw(&mut self.random) * mean)
    }

    /// The next scheduled check that is lost.
    fn following_loss(&mut self) -> Outage {
        let regions = u64::from(self.setup.regions);
        let number = self.next_check.saturating_add(self.checks.next_wrong(&mut self.random));
        self.next_check = number.saturating_add(1);
        let region = u16::try_from(number % regions).unwrap_or_default();
        let phase = world::phase(&self.setup, region);
        let start = Moment(self.setup.interval.0.saturating_mul(number / regions)).after(phase);
        // No other check of the region begins within the same microsecond.
        let end = start.after(Micros(1));
        Outage { regions: 1 << region, start, end, fault: fault(self.random.u64(..)) }
    }

    /// The next cluster, in place of the one that is given; none when the time is over.
    pub(super) fn next_into(&mut self, cluster: &mut Cluster) -> bool {
        cluster.outages.clear();
        cluster.lost.clear();
        let Some(first) = self.take(self.end) else { return false };
        let mut last = first.end;
        cluster.outages.push(first);
        while let Some(outage) = self.take(self.end.min(later(last, self.quiet))) {
            last = last.max(outage.end);
            cluster.outages.push(outage);
            if cluster.outages.len() == OUTAGES_MAX {
                break;
            }
        }
        self.draw_lost(cluster, last.since(first.start));
        true
    }

    /// Draws which confirming attempts are lost, among as many as a cluster may have at most.
    fn draw_lost(&mut self, cluster: &mut Cluster, lasts: Micros) {
        let attempts_max = self.setup.attempts_max(lasts + self.quiet * 2);
        let lost = |attempt: u64| cluster.lost.push(u32::try_from(attempt).unwrap_or(u32::MAX));
        self.attempts.make(attempts_max, &mut self.random, lost);
    }
}

impl Iterator for Clusters {
    type Item = Cluster;

    fn next(&mut self) -> Option<Cluster> {
        let mut cluster = Cluster::default();
        self.next_into(&mut cluster).then_some(cluster)
    }
}

impl Tries {
    fn new(chance: f64, random: &mut fastrand::Rng) -> Self {
        let mut tries = Self { ln_well: (-chance).ln_1p(), ahead: u64::MAX };
        if chance > 0.0 {
            tries.ahead = tries.draw(random);
        }
        tries
    }

    /// How many go well, until one does not: geometric.
    fn draw(&self, random: &mut fastrand::Rng) -> u64 {
        (uniform(random.u64(..)).ln() / self.ln_well) as u64
    }

    /// How many go well before the next that does not.
    fn next_wrong(&mut self, random: &mut fastrand::Rng) -> u64 {
        let following = self.draw(random);
        std::mem::replace(&mut self.ahead, following)
    }

    /// Makes so many tries; `wrong` is told the number of each that goes wrong.
    fn make(&mut self, count: u64, random: &mut fastrand::Rng, mut wrong: impl FnMut(u64)) {
        let mut made = 0;
        while self.ahead < count - made {
            made += self.ahead;
            wrong(made);
            made += 1;
            self.ahead = self.draw(random);
        }
        self.ahead -= count - made;
    }
}

/// [`Moment::after`], here where it is called a hundred million times: what another crate has is not inlined in every profile.
const fn later(moment: Moment, by: Micros) -> Moment {
    Moment(moment.0.saturating_add(by.0))
}

/// Rounded down, and never nothing. By way of `i64`, for which processors have an instruction.
const fn micros(micros: f64) -> Micros {
    let micros = (micros as i64).unsigned_abs();
    Micros(if micros == 0 { 1 } else { micros })
}

/// Above 0, and at most 1, from the 53 highest bits.
fn uniform(bits: u64) -> f64 {
    ((bits >> 11) + 1) as f64 * (1.0 / (1_u64 << 53) as f64)
}

/// Either, by the lowest bit, which [`uniform`] leaves alone.
fn fault(bits: u64) -> Fault {
    if bits & 1 == 0 { Fault::Refused } else { Fault::Silent }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: f64 = 86_400.0;

    fn drawn(setup: &Setup, paths: &Paths, days: f64) -> Vec<Cluster> {
        Clusters::new(setup, paths, days * DAY, 7).collect()
    }

    /// Of every region: the share of the time, the mean length, and how often it is refused.
    #[test]
    fn spells_are_as_often_and_as_long_as_asked_for() {
        let usual = Spells { share: 0.02, lasts: Micros::from_secs(20), is_fixed: false };
        let worse = Spells { share: 0.5, lasts: Micros::from_secs(60), is_fixed: true };
        let paths = Paths { worse: Some((1, worse)), ..Paths::independent(usual.share, usual.lasts, false) };
        let clusters = drawn(&Setup::DEFAULT, &paths, 365.0);
        for (region, spells) in [(0, worse), (1, usual), (4, usual)] {
            let outages = clusters.iter().flat_map(|cluster| &cluster.outages);
            let mine: Vec<_> = outages.filter(|outage| outage.regions == 1 << region).collect();
            let lasts = |outage: &&Outage| outage.end.since(outage.start).as_secs_f64();
            let sum: f64 = mine.iter().map(lasts).sum();
            let (share, mean) = (sum / (365.0 * DAY), sum / mine.len() as f64);
            assert!((share / spells.share - 1.0).abs() < 0.02, "{region}: {share}");
            assert!((mean / spells.lasts.as_secs_f64() - 1.0).abs() < 0.02, "{region}: {mean}");
            assert!(mine.is_sorted_by(|one, next| one.end <= next.start), "{region}: one at a time");
            let refused = mine.iter().filter(|outage| outage.fault == Fault::Refused).count();
            assert!((refused as f64 / mine.len() as f64 - 0.5).abs() < 0.02, "{region}: {refused}");
            // Exponential: one in e of the good times is longer than their mean.
            let good: Vec<_> =
                mine.windows(2).map(|two| two[1].start.since(two[0].end).as_secs_f64()).collect();
            let between = spells.lasts.as_secs_f64() * (1.0 - spells.share) / spells.share;
            let longer = good.iter().filter(|time| **time > between).count() as f64 / good.len() as f64;
            assert!((longer - (-1.0_f64).exp()).abs() < 0.01, "{region}: {longer} of them are longer");
        }
    }

    #[test]
    fn a_provider_takes_its_regions_with_it_and_a_starved_agent_itself() {
        let common = Spells { share: 0.001, lasts: Micros::from_secs(60), is_fixed: false };
        let starved = Spells { share: 0.01, ..common };
        let paths =
            Paths { providers: 3, common, starved, ..Paths::independent(0.0, Micros::from_secs(20), false) };
        let clusters = drawn(&Setup::DEFAULT, &paths, 365.0);
        let expected = |spells: &Spells| 365.0 * DAY / (spells.lasts.as_secs_f64() / spells.share);
        for (regions, is_starved, spells) in [
            (0b01001, false, common),
            (0b10010, false, common),
            (0b00100, false, common),
            (0b01000, true, starved),
        ] {
            let is_mine = |outage: &&Outage| {
                outage.regions == regions && (outage.fault == Fault::Starved) == is_starved
            };
            let count = clusters.iter().flat_map(|cluster| &cluster.outages).filter(is_mine).count() as f64;
            let expected = expected(&spells);
            assert!((count - expected).abs() < 4.0 * expected.sqrt(), "{regions:b}: {count}, not {expected}");
        }
    }

    /// Single scheduled checks of all regions, each when it is due; and confirming attempts.
    #[test]
    fn checks_and_attempts_are_lost_by_chance() {
        let paths = Paths { loss: 0.01, ..Paths::independent(0.0, Micros::from_secs(20), false) };
        let setup = Setup { regions: 3, ..Setup::DEFAULT };
        let clusters = drawn(&setup, &paths, 365.0);
        let outages = || clusters.iter().flat_map(|cluster| &cluster.outages);
        for region in 0..3 {
            let mine = outages().filter(|outage| outage.regions == 1 << region);
            assert!(mine.clone().all(|lost| lost.start.0 % 30_000_000 == region * 10_000_000));
            let expected = 365.0 * DAY / 30.0 * 0.01;
            let count = mine.count() as f64;
            assert!((count - expected).abs() < 4.0 * expected.sqrt(), "{region}: {count}, not {expected}");
        }
        let attempts = |cluster: &Cluster| {
            let (first, last) = (cluster.outages.first().unwrap(), cluster.outages.last().unwrap());
            setup.attempts_max(last.end.since(first.start) + setup.quiet() * 2)
        };
        let expected = clusters.iter().map(attempts).sum::<u64>() as f64 * 0.01;
        let lost: usize = clusters.iter().map(|cluster| cluster.lost.len()).sum();
        assert!((lost as f64 - expected).abs() < 4.0 * expected.sqrt(), "{lost}, not {expected}");
        assert!(clusters.iter().all(|cluster| cluster.lost.is_sorted_by(|one, next| one < next)));
    }

    #[test]
    fn clusters_lie_apart_and_what_is_within_does_not() {
        let paths = Paths { loss: 0.001, ..Paths::independent(0.002, Micros::from_secs(20), false) };
        let clusters = drawn(&Setup::DEFAULT, &paths, 100.0);
        let quiet = Setup::DEFAULT.quiet();
        let mut over = None::<Moment>;
        for cluster in &clusters {
            let first = cluster.outages.first().unwrap();
            assert!(over.is_none_or(|over| over.after(quiet) <= first.start), "{cluster:?}");
            let mut end = first.end;
            for outage in &cluster.outages {
                assert!(outage.start < end.after(quiet), "{cluster:?}");
                end = end.max(outage.end);
            }
            over = Some(end);
        }
        assert!(clusters.len() > 1_000 && clusters.iter().any(|cluster| cluster.outages.len() > 2));
    }
}
