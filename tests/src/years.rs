//! Thousands of monitor-years of the real engine, on paths that fail and servers that do not; and total outages, to see
//! how long they take to be decided.
//!
//! # The world
//! Regions check one monitor in staggered phases and send heartbeats every 5 s. Each path from a region to the server is
//! out for a fixed time at random moments, independent of the others. A check on a path that is out fails: refused
//! outages answer after 40 ms, silent ones after the whole timeout, even if the path is back before (which real
//! retransmission would notice: the world is worse than the real one). Agents answer a confirmation with two attempts
//! one second apart, and ignore a request while they work on another. Results take their time to the aggregator.
//!
//! # Why quiet stretches may be skipped
//! A year at T = 30 s has 5 million checks, nearly all of them passes that change nothing. They are skipped thus: an
//! engine is warmed up once, for ten minutes of passes; outages that lie less than [`QUIET`] apart form a *cluster*; each
//! cluster is run in full on a clone of the warm engine, moved in time by a multiple of the interval and of the heartbeat.
//! That is exact because the engine knows moments only by their differences and everything that it remembers of an
//! outage is gone after [`QUIET`] without one: votes are replaced within an interval, failures are released within the
//! recovery span or a vote's lifetime, a monitor's rounds are earned back in 240 s. The one thing that lasts longer is
//! the ration of the whole engine; at 99.9 % a fleet earns about 160 checks between two outages and spends 12 on one,
//! so it is full when a cluster starts.  [`compare`] runs the same days with and without skipping, and the system test
//! wants equal changes of verdict at equal moments.
//!
//! A cluster in which no two paths fail at the same time is counted and not run: one failing region of several is never a
//! quorum (the engine's property tests hold that), so it cannot page. A path counts as failing from the start of its
//! outage until its next check has surely passed. [`Years::lone_run`] of these are run all the same.

mod world;

use quorate_proto::Micros;
use quorate_quorum::{Moment, Quorum, Sensitivity, Verdict};

use self::world::World;
pub use self::world::{Change, Fault, Outage};

/// Outages that lie further apart than this do not know of each other.
pub const QUIET: Micros = Micros::from_secs(300);

const YEAR: f64 = 365.25 * 86_400.0;

/// The monitor that is watched.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Regions that watch it.
    pub regions: u16,
    /// From one scheduled check to the next; a multiple of the heartbeat's 5 s.
    pub interval: Micros,
    /// The deadline around one check.
    pub timeout: Micros,
    /// The quorum of the fast rule.
    pub quorum: Quorum,
    /// Which set of numbers applies.
    pub sensitivity: Sensitivity,
}

/// The paths on which it is watched.
#[derive(Clone, Copy, Debug)]
pub struct Paths {
    /// The part of the time that each path is out.
    pub unavailable: f64,
    /// How long an outage takes.
    pub outage: Micros,
}

/// What happened in some monitor-years without any fault of the server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Years {
    /// The seed of the run.
    pub seed: u64,
    /// How many.
    pub monitor_years: f64,
    /// Path outages.
    pub outages: u64,
    /// Clusters of outages.
    pub clusters: u64,
    /// Clusters in which several paths fail at once: all were run.
    pub clusters_run: u64,
    /// Others that were run.
    pub lone_run: u64,
    /// Events that the engine handled.
    pub events: u64,
    /// Times that the verdict turned partial.
    pub partials: u64,
    /// Times that the verdict turned down: false pages, every one.
    pub pages: u64,
}

/// How total outages were found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Detections {
    /// The seed of the run.
    pub seed: u64,
    /// Outages.
    pub outages: u64,
    /// Outages that were not decided before they were over, or decided before they began.
    pub missed: u64,
    /// The longest time from fault to decision.
    pub slowest: Micros,
    /// The mean of that time.
    pub mean: Micros,
    /// The longest time from the server's return to the verdict up.
    pub recovery_slowest: Micros,
}

impl Setup {
    /// Five regions at T = 30 s with the defaults.
    pub const DEFAULT: Self = Self {
        regions: 5,
        interval: Micros::from_secs(30),
        timeout: Micros::from_secs(10),
        quorum: Quorum::Default,
        sensitivity: Sensitivity::Balanced,
    };
}

/// Runs monitor-years without a fault of the server, and counts the pages. Of the clusters in
/// which paths fail one at a time only the first `lone_max` are run.
pub fn years(setup: &Setup, paths: &Paths, monitor_years: f64, lone_max: u64, seed: u64) -> Years {
    let mut report = Years { seed, monitor_years, ..Years::default() };
    let warm = World::warm(setup);
    for cluster in Clusters::new(setup, paths, monitor_years * YEAR, seed) {
        report.outages += cluster.len() as u64;
        report.clusters += 1;
        if fail_at_once(setup, &cluster) {
            report.clusters_run += 1;
        } else if report.lone_run < lone_max {
            report.lone_run += 1;
        } else {
            continue;
        }
        let ran = run(&warm, &cluster);
        report.events += ran.events;
        let turns = |to| ran.changes.iter().filter(|change| change.to == to).count() as u64;
        report.partials += turns(Verdict::Partial);
        report.pages += turns(Verdict::Down);
    }
    report
}

/// Lets the server fail `count` times, each at a random moment and for two intervals and some minutes. Where it is
/// `disturbed`, one path is out for 40 s of its own, beginning within a minute before or after.
pub fn detections(setup: &Setup, fault: Fault, disturbed: bool, count: u64, seed: u64) -> Detections {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut report = Detections { seed, outages: count, ..Detections::default() };
    let warm = World::warm(setup);
    let mut sum = 0;
    for _ in 0..count {
        let start = Moment(120_000_000 + random.u64(0..setup.interval.0 * 2));
        let lasts = setup.interval * 2 + Micros::from_secs(120) + Micros(random.u64(0..setup.interval.0));
        let end = start.after(lasts);
        let mut outages = vec![Outage { region: None, start, end, fault }];
        if disturbed {
            let region = Some(random.u16(0..setup.regions));
            let start = start.before(Micros::from_secs(60)).after(Micros(random.u64(0..120_000_000)));
            let fault = if random.bool() { Fault::Refused } else { Fault::Silent };
            outages.push(Outage { region, start, end: start.after(Micros::from_secs(40)), fault });
            outages.sort_by_key(|outage| outage.start);
        }

        let ran = run(&warm, &outages);
        let turned = |to, within: std::ops::Range<Moment>| {
            ran.changes.iter().find(|change| change.to == to && within.contains(&change.at))
        };
        let (down, up) = (turned(Verdict::Down, start..end), turned(Verdict::Up, end..Moment(u64::MAX)));
        let (Some(down), Some(up)) = (down, up) else {
            report.missed += 1;
            continue;
        };
        let took = down.at.since(start);
        sum += took.0;
        report.slowest = report.slowest.max(took);
        report.recovery_slowest = report.recovery_slowest.max(up.at.since(end));
    }
    report.mean = Micros(sum) / (count - report.missed).max(1);
    report
}

/// Runs the same days with quiet stretches skipped and in full: the changes of verdict of both, with their moments.
pub fn compare(setup: &Setup, paths: &Paths, days: f64, seed: u64) -> (Vec<Change>, Vec<Change>) {
    let warm = World::warm(setup);
    let clusters: Vec<_> = Clusters::new(setup, paths, days * 86_400.0, seed).collect();
    let skipping = clusters.iter().flat_map(|cluster| run(&warm, cluster).changes).collect();
    let all: Vec<_> = clusters.iter().flatten().copied().collect();
    let mut world = warm;
    let from = world.now();
    world.carry_on(all.iter().map(|outage| outage.later(from)).collect());
    let full = world.changes.iter().map(|change| Change { at: change.at.before(Micros(from.0)), ..*change });
    (skipping, full.collect())
}

/// Whether several paths fail at the same time. A failing check may begin when the outage ends and last the timeout; a
/// pass of the next scheduled check ends the vote.
fn fail_at_once(setup: &Setup, cluster: &[Outage]) -> bool {
    let lingers = setup.interval + setup.timeout * 2;
    let meet =
        |one: &Outage, other: &Outage| one.region != other.region && other.start < one.end.after(lingers);
    let pairs = |(index, one)| cluster.iter().skip(index + 1).any(|other| meet(one, other));
    cluster.iter().enumerate().any(pairs)
}

struct Ran {
    changes: Vec<Change>,
    events: u64,
}

/// Runs one cluster on a clone of the warm world; the changes are given in the cluster's own time.
fn run(warm: &World, cluster: &[Outage]) -> Ran {
    let mut world = warm.clone();
    let start = cluster.first().map_or(0, |outage| outage.start.0);
    // The world repeats itself with every interval: moving the cluster by whole intervals changes nothing.
    let moved = start - start % warm.period().0;
    let from = world.now();
    world.carry_on(cluster.iter().map(|outage| outage.earlier(Micros(moved)).later(from)).collect());
    let own_time = |at: Moment| at.before(Micros(from.0)).after(Micros(moved));
    let changes = world.changes.iter().map(|change| Change { at: own_time(change.at), ..*change }).collect();
    Ran { changes, events: world.events - warm.events }
}

/// The outages of all paths over a time, in clusters.
struct Clusters {
    random: fastrand::Rng,
    /// The next outage of each path.
    next: Vec<Outage>,
    end: Moment,
    outage: Micros,
    /// Mean seconds from the end of an outage to the start of the path's next.
    between: f64,
}

impl Clusters {
    fn new(setup: &Setup, paths: &Paths, seconds: f64, seed: u64) -> Self {
        let between = paths.outage.as_secs_f64() * (1.0 - paths.unavailable) / paths.unavailable;
        let mut clusters = Self {
            random: fastrand::Rng::with_seed(seed),
            next: Vec::new(),
            end: Moment((seconds * 1e6) as u64),
            outage: paths.outage,
            between,
        };
        clusters.next = (0..setup.regions).map(|region| clusters.outage_after(region, Moment(0))).collect();
        clusters
    }

    fn outage_after(&mut self, region: u16, after: Moment) -> Outage {
        let wait = -(1.0 - self.random.f64()).ln() * self.between;
        let start = after.after(Micros((wait * 1e6) as u64));
        let fault = if self.random.bool() { Fault::Refused } else { Fault::Silent };
        Outage { region: Some(region), start, end: start.after(self.outage), fault }
    }

    fn take(&mut self, before: Moment) -> Option<Outage> {
        let index = (0..self.next.len()).min_by_key(|index| self.next.get(*index).map(|next| next.start))?;
        let next = *self.next.get(index).filter(|next| next.start < before)?;
        let following = self.outage_after(next.region?, next.end);
        if let Some(slot) = self.next.get_mut(index) {
            *slot = following;
        }
        Some(next)
    }
}

impl Iterator for Clusters {
    type Item = Vec<Outage>;

    fn next(&mut self) -> Option<Vec<Outage>> {
        let first = self.take(self.end)?;
        let mut last = first.end;
        let mut cluster = vec![first];
        while let Some(outage) = self.take(self.end.min(last.after(QUIET))) {
            last = last.max(outage.end);
            cluster.push(outage);
        }
        Some(cluster)
    }
}
