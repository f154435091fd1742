//! What goes wrong over the years, without the server's doing: one stream of outages, cut into clusters.
//!
//! Each region's path has two states. While it is good, single checks are lost at random (memoryless); while it is bad, all
//! fail. How long it stays good is always exponential; how long it stays bad is exponential or fixed. Providers fail as
//! a whole in the same manner, which takes all their regions at once: the common cause. Agents have spells in which they
//! are starved: their checks fail, and their heartbeats say that they are sick.

use quorate_proto::Micros;
use quorate_quorum::Moment;

use super::{Fault, Outage, Paths, Setup, world};

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

/// All clusters of a time.
pub(super) struct Clusters {
    random: fastrand::Rng,
    setup: Setup,
    loss: f64,
    sources: Vec<Source>,
    /// When the next outage of each source starts: beside each other, so that the first is found quickly.
    starts: Vec<u64>,
    end: Moment,
    /// Outages that lie further apart than this do not know of each other.
    quiet: Micros,
}

/// One thing that fails again and again.
struct Source {
    regions: u32,
    kind: Kind,
    next: Outage,
}

#[derive(Clone, Copy)]
enum Kind {
    /// Bad from time to time: the mean seconds between, and how long it lasts.
    Spells { between: f64, lasts: Micros, is_fixed: bool, starves: bool },
    /// Loses single scheduled checks of a region.
    Loss { region: u16 },
}

impl Clusters {
    pub(super) fn new(setup: &Setup, paths: &Paths, seconds: f64, seed: u64) -> Self {
        let mut clusters = Self {
            random: fastrand::Rng::with_seed(seed),
            setup: *setup,
            loss: paths.loss,
            sources: Vec::new(),
            starts: Vec::new(),
            end: Moment((seconds * 1e6) as u64),
            quiet: setup.quiet(),
        };
        for region in 0..setup.regions {
            let path = paths.of(region);
            clusters.add_spells(1 << region, path.share, path.lasts, path.is_fixed, false);
            clusters.add_spells(1 << region, paths.starved.share, paths.starved.lasts, false, true);
            if paths.loss > 0.0 {
                clusters.add(1 << region, Kind::Loss { region });
            }
        }
        for provider in 0..paths.providers {
            let mine = (0..setup.regions).filter(|region| region % paths.providers == provider);
            let regions = mine.fold(0, |regions, region| regions | 1 << region);
            clusters.add_spells(regions, paths.common.share, paths.common.lasts, false, false);
        }
        clusters
    }

    fn add_spells(&mut self, regions: u32, share: f64, lasts: Micros, is_fixed: bool, starves: bool) {
        if share > 0.0 && regions != 0 {
            let between = lasts.as_secs_f64() * (1.0 - share) / share;
            self.add(regions, Kind::Spells { between, lasts, is_fixed, starves });
        }
    }

    fn add(&mut self, regions: u32, kind: Kind) {
        let next = self.following(regions, kind, Moment(0));
        self.sources.push(Source { regions, kind, next });
        self.starts.push(next.start.0);
    }

    /// The next outage of a source after a moment.
    fn following(&mut self, regions: u32, kind: Kind, after: Moment) -> Outage {
        let fault = if self.random.bool() { Fault::Refused } else { Fault::Silent };
        match kind {
            Kind::Spells { between, lasts, is_fixed, starves } => {
                let start = after.after(self.exponential(between));
                let lasts = if is_fixed { lasts } else { self.exponential(lasts.as_secs_f64()) };
                let fault = if starves { Fault::Starved } else { fault };
                Outage { regions, start, end: start.after(lasts), fault }
            }
            Kind::Loss { region } => {
                let (interval, phase) = (self.setup.interval.0, world::phase(&self.setup, region).0);
                let checks_before = (after.0 + interval - phase) / interval;
                let passed = geometric(&mut self.random, self.loss);
                let check =
                    phase.saturating_add(interval.saturating_mul(checks_before.saturating_add(passed)));
                // No other check of the region begins within the same microsecond.
                Outage { regions, start: Moment(check), end: Moment(check.saturating_add(1)), fault }
            }
        }
    }

    fn exponential(&mut self, mean: f64) -> Micros {
        Micros((-(1.0 - self.random.f64()).ln() * mean * 1e6) as u64 + 1)
    }

    fn take(&mut self, before: Moment) -> Option<Outage> {
        let (mut index, mut earliest) = (0, u64::MAX);
        for (other, start) in self.starts.iter().enumerate() {
            if *start < earliest {
                (index, earliest) = (other, *start);
            }
        }
        let source = self.sources.get(index).filter(|_| earliest < before.0)?;
        let (next, regions, kind) = (source.next, source.regions, source.kind);
        let following = self.following(regions, kind, next.end);
        if let (Some(source), Some(start)) = (self.sources.get_mut(index), self.starts.get_mut(index)) {
            source.next = following;
            *start = following.start.0;
        }
        Some(next)
    }

    /// The next cluster, in place of the one that is given; none when the time is over.
    pub(super) fn next_into(&mut self, cluster: &mut Cluster) -> bool {
        cluster.outages.clear();
        cluster.lost.clear();
        let Some(first) = self.take(self.end) else { return false };
        let mut last = first.end;
        cluster.outages.push(first);
        while let Some(outage) = self.take(self.end.min(last.after(self.quiet))) {
            last = last.max(outage.end);
            cluster.outages.push(outage);
            if cluster.outages.len() == OUTAGES_MAX {
                break;
            }
        }
        if self.loss > 0.0 {
            self.draw_lost(cluster, last.since(first.start));
        }
        true
    }

    /// Draws which confirming attempts are lost, among as many as a cluster may have at most.
    fn draw_lost(&mut self, cluster: &mut Cluster, lasts: Micros) {
        let attempts_max = self.setup.attempts_max(lasts + self.quiet * 2);
        let mut attempt = geometric(&mut self.random, self.loss);
        while attempt < attempts_max {
            cluster.lost.push(u32::try_from(attempt).unwrap_or(u32::MAX));
            attempt += 1 + geometric(&mut self.random, self.loss);
        }
    }
}

impl Iterator for Clusters {
    type Item = Cluster;

    fn next(&mut self) -> Option<Cluster> {
        let mut cluster = Cluster::default();
        self.next_into(&mut cluster).then_some(cluster)
    }
}

/// Tries that do not happen before one does, each with a chance.
fn geometric(random: &mut fastrand::Rng, chance: f64) -> u64 {
    ((1.0 - random.f64()).ln() / (1.0 - chance).ln()) as u64
}
