//! Thousands of monitor-years of the real engine, on paths that fail and servers that do not; and total outages, to see
//! how long they take to be decided. `cargo run --release -p quorate-tests --bin years -- --help` is its face.
//!
//! # The world
//! Regions check one monitor in staggered phases and send heartbeats every 5 s. Their agents may be enrolled with the
//! provider at which they stand, as in production, so that the rule of domains applies ([`Setup::providers`]); with one
//! monitor there are no outliers, as an agent contradicts the others on ten or on none. What goes wrong is in `clusters.rs`: paths
//! that lose single checks and have bad spells, providers that take several regions with them, starved agents. A check
//! on a path that is bad fails: refused ones after 40 ms, silent ones after the whole timeout, even if the path is good
//! before (which real retransmission would notice: the world is worse than the real one). Agents answer a confirmation
//! with two attempts one second apart, and ignore a request while they work on another. Results take their time to
//! the aggregator.
//!
//! # Why quiet stretches may be skipped
//! A year at T = 30 s has 5 million checks, nearly all of them passes that change nothing. They are skipped thus: an
//! engine is warmed up once, for ten minutes of passes; outages that lie less than [`Setup::quiet`] apart form a
//! *cluster*; each cluster is run in full on a clone of the warm engine, moved in time by a multiple of the interval and
//! of the heartbeat. That is exact because the engine knows moments only by their differences and everything that it
//! remembers of an outage is gone after that time without one: votes are replaced within an interval, failures are
//! released within the recovery span or a vote's lifetime, a monitor's rounds are earned back in 240 s. The one thing
//! that lasts longer is the ration of the whole engine; at 99.9 % a fleet earns about 160 checks between two outages and
//! spends 12 on one, so it is full when a cluster starts. [`compare`] runs the same days with and without skipping, and
//! the system test wants equal changes of verdict at equal moments.
//!
//! A confirming attempt may be lost like any check. Which of a cluster's attempts are lost is drawn before it is run, for
//! as many as the ration allows: so it is known without running it how many failures there can be besides the outages.
//!
//! Clusters that cannot page, because too few regions can vote *fail* at the same time or not for long enough, are counted
//! and not run (`skip.rs` has the argument). Of these the first [`Run::lone_max`] are run all the same: none may page,
//! and what confirmations cost is measured on them.

pub mod bound;
mod clusters;
mod exponential;
mod skip;
mod world;

use quorate_proto::{Micros, Region};
use quorate_quorum::{Calibrated, Calibration, Moment, PathSums, Policy, Quorum, Rule, Sensitivity, Verdict};

pub use self::world::{Change, Fault, Outage};
use self::{
    clusters::{Cluster, Clusters},
    skip::Skip,
    world::World,
};

const YEAR: f64 = 365.25 * 86_400.0;

/// The monitor that is watched.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Regions that watch it: 1 to 32.
    pub regions: u16,
    /// From one scheduled check to the next; a multiple of the heartbeat's 5 s.
    pub interval: Micros,
    /// The deadline around one check.
    pub timeout: Micros,
    /// The quorum of the fast rule.
    pub quorum: Quorum,
    /// Which set of numbers applies.
    pub sensitivity: Sensitivity,
    /// The evidence span, in place of the sensitivity's.
    pub confirm_for: Option<Micros>,
    /// The agent of region `i` is labelled with provider `i % providers`, so that the rule of domains applies; 0: none is.
    pub providers: u16,
    /// What the first region's agent does in place of checking.
    pub odd: Option<Odd>,
    /// Numbers that were found fitting for the paths; none: the usual ones.
    pub fitting: Option<Fitting>,
}

/// Numbers that fit some paths: [`Calibrated`], with the regions as bits.
#[derive(Clone, Copy, Debug)]
pub struct Fitting {
    /// How long the evidence of the fast rule must span.
    pub span: Micros,
    /// Whether a quorum must fail together for that.
    pub together: bool,
    /// How long more than half must fail together.
    pub majority_span: Micros,
    /// Regions that abstain.
    pub noisy: u32,
}

/// What an agent does that lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Odd {
    /// It says that everything fails.
    FailsAll,
    /// It says that everything passes.
    PassesAll,
}

/// The paths on which it is watched.
#[derive(Clone, Copy, Debug)]
pub struct Paths {
    /// Most of them.
    pub usual: Spells,
    /// The first so many regions have other paths.
    pub worse: Option<(u16, Spells)>,
    /// The chance of a single check on a good path to be lost.
    pub loss: f64,
    /// Region `i` is at provider `i % providers`; 0: regions share nothing. What agents say of it is [`Setup::providers`].
    pub providers: u16,
    /// Spells in which a provider fails with all its regions.
    pub common: Spells,
    /// Spells in which an agent is starved, and says so.
    pub starved: Spells,
}

/// When something is bad.
#[derive(Clone, Copy, Debug)]
pub struct Spells {
    /// The part of the time.
    pub share: f64,
    /// For how long at a time, in the mean.
    pub lasts: Micros,
    /// Every spell takes that long; otherwise exponential.
    pub is_fixed: bool,
}

/// How much is run.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Monitor-years.
    pub monitor_years: f64,
    /// Of the clusters that cannot page, so many are run.
    pub lone_max: u64,
    /// After so many pages the run ends: what is to be known is known.
    pub pages_max: u64,
    /// For every draw.
    pub seed: u64,
}

/// What happened in some monitor-years without any fault of the server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Years {
    /// The seed of the run.
    pub seed: u64,
    /// How many.
    pub monitor_years: f64,
    /// Outages of paths, providers and agents, and lost checks.
    pub outages: u64,
    /// Clusters of outages.
    pub clusters: u64,
    /// Clusters that may page: all were run.
    pub clusters_run: u64,
    /// Others that were run.
    pub lone_run: u64,
    /// Events that the engine handled.
    pub events: u64,
    /// Times that the verdict turned partial, in what was run.
    pub partials: u64,
    /// Times that the verdict turned down: false pages, every one.
    pub pages: u64,
    /// Those of them that rule 4 made: more than half of the regions, for long.
    pub pages_by_majority: u64,
    /// Pages of clusters that cannot page: the argument for skipping them would be wrong.
    pub pages_impossible: u64,
    /// Confirming attempts for each scheduled check: measured on what was run, counted for all clusters.
    pub extra_load: f64,
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
    /// What 99 of 100 outages do not exceed.
    pub p99: Micros,
    /// The mean of that time.
    pub mean: Micros,
    /// The longest time from the server's return to the verdict up.
    pub recovery_slowest: Micros,
}

/// What came of clusters, by whether they are skipped.
#[derive(Clone, Copy, Debug, Default)]
pub struct Audit {
    /// Those that cannot page.
    pub skipped: Paged,
    /// Those that may.
    pub others: Paged,
}

/// What came of some clusters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Paged {
    /// How many there were.
    pub clusters: u64,
    /// Times that the verdict turned down.
    pub pages: u64,
}

impl Setup {
    /// Five regions at T = 30 s with the defaults.
    pub const DEFAULT: Self = Self {
        regions: 5,
        interval: Micros::from_secs(30),
        timeout: Micros::from_secs(10),
        quorum: Quorum::Default,
        sensitivity: Sensitivity::Balanced,
        confirm_for: None,
        providers: 0,
        odd: None,
        fitting: None,
    };

    /// The same with what a calibration chooses that has measured the paths for two weeks.
    #[must_use]
    pub fn calibrated(self, paths: &Paths) -> Self {
        let policy = self.policy();
        let mut calibration = Calibration::new(&policy);
        let measured = (0..self.regions).filter_map(|index| {
            let odd = self.odd.filter(|_| index == 0);
            Some((world::region(index)?, paths.of(index).measured(odd == Some(Odd::FailsAll))))
        });
        calibration.restore(None, measured);
        let chosen = calibration.review(&policy, Moment(0)).and_then(|change| change.calibrated);
        let bit =
            |region: &Region| (0..self.regions).find(|index| world::region(*index).as_ref() == Some(region));
        let fitting = chosen.map(|chosen| Fitting {
            span: chosen.span,
            together: chosen.together,
            majority_span: chosen.majority_span,
            noisy: chosen.noisy.iter().filter_map(bit).fold(0, |bits, index| bits | 1 << index),
        });
        Self { fitting, ..self }
    }

    /// Outages that lie further apart than this do not know of each other.
    pub fn quiet(&self) -> Micros {
        Micros::from_secs(300).max(self.policy().stale_after() * 4)
    }

    /// What the engine is told.
    pub fn policy(&self) -> Policy {
        let regions = (0..self.regions).filter_map(world::region).collect();
        Policy {
            quorum: self.quorum,
            sensitivity: self.sensitivity,
            confirm_for: self.confirm_for,
            revision: 1,
            calibrated: self.fitting.map(|fitting| Calibrated {
                span: fitting.span,
                together: fitting.together,
                majority_span: fitting.majority_span,
                voters: self.regions - self.noisy(),
                noisy: (0..self.regions)
                    .filter(|index| fitting.noisy & (1 << index) != 0)
                    .filter_map(world::region)
                    .collect(),
            }),
            ..Policy::new(regions, self.interval, self.timeout)
        }
    }

    /// How many regions abstain because their paths are noisy.
    fn noisy(&self) -> u16 {
        self.fitting.map_or(0, |fitting| fitting.noisy.count_ones() as u16)
    }

    /// Whether the first region always fails, and is listened to.
    fn has_constant_failure(&self) -> bool {
        self.odd == Some(Odd::FailsAll) && self.fitting.is_none_or(|fitting| fitting.noisy & 1 == 0)
    }

    /// Confirming attempts that may be made in a cluster that lasts so long, at most: the ration of one monitor is eight rounds at once and one
    /// more each 30 s, and a round is two attempts of each region.
    fn attempts_max(&self, lasts: Micros) -> u64 {
        (9 + lasts.0 / 30_000_000) * 2 * u64::from(self.regions)
    }
}

impl Spells {
    /// Never bad.
    pub const NONE: Self = Self { share: 0.0, lasts: Micros::from_secs(20), is_fixed: false };

    /// What two weeks of observation make of a path with these, or of one that fails all the time.
    fn measured(&self, always: bool) -> PathSums {
        let observed_s = 14.0 * 86_400.0;
        let (share, lasts) = if always { (1.0, observed_s) } else { (self.share, self.lasts.as_secs_f64()) };
        let bad_s = observed_s * share;
        let spells = bad_s / lasts;
        // Of exponential spells the mean square is twice the square of the mean.
        let square = if self.is_fixed || always { lasts * lasts } else { 2.0 * lasts * lasts };
        PathSums {
            observed_s,
            bad_s,
            spells,
            lasted_s: bad_s,
            lasted_squared: spells * square,
            failures: spells,
            wait_s: spells * 5.0,
            met: spells * share,
        }
    }
}

impl Paths {
    /// Paths that are independent of each other and bad for one time at a time.
    pub const fn independent(share: f64, lasts: Micros, is_fixed: bool) -> Self {
        Self {
            usual: Spells { share, lasts, is_fixed },
            worse: None,
            loss: 0.0,
            providers: 0,
            common: Spells::NONE,
            starved: Spells::NONE,
        }
    }

    fn of(&self, region: u16) -> Spells {
        self.worse.filter(|(count, _)| region < *count).map_or(self.usual, |(_, worse)| worse)
    }
}

/// Runs monitor-years without a fault of the server, and counts the pages. `told` hears of the part that is done.
pub fn years(setup: &Setup, paths: &Paths, limits: &Run, mut told: impl FnMut(&Years)) -> Years {
    let seconds = limits.monitor_years * YEAR;
    let mut report = Years { seed: limits.seed, ..Years::default() };
    let (warm, skip) = (World::warm(setup), Skip::new(setup));
    let (mut attempts, mut lone_attempts) = (0, 0);
    let mut until = seconds;
    let mut clusters = Clusters::new(setup, paths, seconds, limits.seed);
    let mut cluster = Cluster::default();
    while clusters.next_into(&mut cluster) {
        report.outages += cluster.outages.len() as u64;
        report.clusters += 1;
        if report.clusters.is_multiple_of(1 << 16) {
            let at = cluster.outages.first().map_or(0.0, |outage| outage.start.0 as f64 / 1e6);
            told(&Years { monitor_years: at / YEAR, ..report.clone() });
        }
        let is_lone = skip.is_lone(&cluster);
        if is_lone && report.lone_run >= limits.lone_max {
            continue;
        }
        let parts = skip.parts(&cluster);
        if parts.is_empty() {
            if report.lone_run < limits.lone_max && cluster.outages.len() < 64 {
                report.lone_run += 1;
                let ran = run(&warm, &cluster);
                lone_attempts += ran.confirming;
                report.pages_impossible += report.count(&ran);
            }
            continue;
        }
        report.clusters_run += 1;
        for part in &parts {
            let ran = run(&warm, part);
            attempts += ran.confirming;
            report.count(&ran);
        }
        if report.pages >= limits.pages_max {
            until = cluster.outages.last().map_or(seconds, |outage| outage.end.0 as f64 / 1e6);
            break;
        }
    }
    report.monitor_years = until / YEAR;
    let lone = (report.clusters - report.clusters_run) as f64;
    let attempts = attempts as f64 + lone_attempts as f64 / report.lone_run.max(1) as f64 * lone;
    report.extra_load = attempts / (until / setup.interval.as_secs_f64() * f64::from(setup.regions));
    report
}

/// Lets the server fail `count` times, each at a random moment and for two intervals and some minutes. Where it is
/// `disturbed`, one path is out for 40 s of its own, beginning within a minute before or after.
pub fn detections(setup: &Setup, fault: Fault, disturbed: bool, count: u64, seed: u64) -> Detections {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut report = Detections { seed, outages: count, ..Detections::default() };
    let warm = World::warm(setup);
    let mut took_all = Vec::new();
    for _ in 0..count {
        let start = Moment(120_000_000 + random.u64(0..setup.interval.0 * 2));
        let lasts = setup.interval * 2 + Micros::from_secs(120) + Micros(random.u64(0..setup.interval.0));
        let end = start.after(lasts);
        let mut outages = vec![Outage { regions: u32::MAX, start, end, fault }];
        if disturbed {
            let regions = 1 << random.u16(0..setup.regions);
            let start = start.before(Micros::from_secs(60)).after(Micros(random.u64(0..120_000_000)));
            let fault = if random.bool() { Fault::Refused } else { Fault::Silent };
            outages.push(Outage { regions, start, end: start.after(Micros::from_secs(40)), fault });
            outages.sort_by_key(|outage| outage.start);
        }

        let ran = run(&warm, &Cluster { outages, lost: Vec::new() });
        let turned = |to, within: std::ops::Range<Moment>| {
            ran.changes.iter().find(|change| change.to == to && within.contains(&change.at))
        };
        let usual = warm.usual().unwrap_or(Verdict::Up);
        let (down, up) = (turned(Verdict::Down, start..end), turned(usual, end..Moment(u64::MAX)));
        let (Some(down), Some(up)) = (down, up) else {
            report.missed += 1;
            continue;
        };
        took_all.push(down.at.since(start));
        report.recovery_slowest = report.recovery_slowest.max(up.at.since(end));
    }
    took_all.sort_unstable();
    report.slowest = took_all.last().copied().unwrap_or_default();
    report.p99 = took_all.get(took_all.len() * 99 / 100).copied().unwrap_or_default();
    report.mean = Micros(took_all.iter().map(|took| took.0).sum::<u64>() / took_all.len().max(1) as u64);
    report
}

/// Runs the same days with quiet stretches skipped and in full: the changes of verdict of both, with their moments.
pub fn compare(setup: &Setup, paths: &Paths, days: f64, seed: u64) -> (Vec<Change>, Vec<Change>) {
    let warm = World::warm(setup);
    let clusters: Vec<_> = Clusters::new(setup, paths, days * 86_400.0, seed).collect();
    let skipping = clusters.iter().flat_map(|cluster| run(&warm, cluster).changes).collect();
    let mut world = warm;
    let from = world.now();
    world.carry_on(clusters.iter(), from, Micros::ZERO);
    let full = world.changes.iter().map(|change| Change { at: change.at.before(Micros(from.0)), ..*change });
    (skipping, full.collect())
}

/// Runs all clusters of some days, those as well that cannot page: what came of either kind.
pub fn audit(setup: &Setup, paths: &Paths, days: f64, seed: u64) -> Audit {
    let (warm, skip) = (World::warm(setup), Skip::new(setup));
    let mut audit = Audit::default();
    for cluster in Clusters::new(setup, paths, days * 86_400.0, seed) {
        let pages = run(&warm, &cluster).changes.iter().filter(|change| change.to == Verdict::Down).count();
        let kind = if skip.parts(&cluster).is_empty() { &mut audit.skipped } else { &mut audit.others };
        kind.clusters += 1;
        kind.pages += pages as u64;
    }
    audit
}

impl Years {
    /// Adds what came of a cluster; gives how often it paged.
    fn count(&mut self, ran: &Ran) -> u64 {
        let turns = |to| ran.changes.iter().filter(|change| change.to == to).count() as u64;
        let by_majority = |change: &&Change| matches!(change.rule, Rule::Majority { .. });
        self.events += ran.events;
        self.partials += turns(Verdict::Partial);
        self.pages += turns(Verdict::Down);
        self.pages_by_majority += ran.changes.iter().filter(by_majority).count() as u64;
        turns(Verdict::Down)
    }
}

struct Ran {
    changes: Vec<Change>,
    events: u64,
    confirming: u64,
}

/// Runs one cluster on a clone of the warm world; the changes are given in the cluster's own time.
fn run(warm: &World, cluster: &Cluster) -> Ran {
    let mut world = warm.clone();
    let start = cluster.outages.first().map_or(0, |outage| outage.start.0);
    // The world repeats itself with every interval: moving the cluster by whole intervals changes nothing.
    let moved = start - start % warm.period().0;
    let from = world.now();
    world.carry_on(std::iter::once(cluster), from, Micros(moved));
    let own_time = |at: Moment| at.before(Micros(from.0)).after(Micros(moved));
    let changes = world.changes.iter().map(|change| Change { at: own_time(change.at), ..*change }).collect();
    Ran { changes, events: world.events - warm.events, confirming: world.confirming - warm.confirming }
}
