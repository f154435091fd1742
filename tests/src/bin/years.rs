//! Runs the engine through monitor-years without any fault of the server, and through total outages, and prints how
//! often it pages falsely and how soon rightly: `quorate_tests::years` has the world and the argument.

use std::io::{IsTerminal as _, Write as _};

use clap::{Parser, ValueEnum};
use quorate_proto::Micros;
use quorate_quorum::{Quorum, Sensitivity};
use quorate_tests::{
    clock::{CpuStopwatch, Stopwatch},
    years::{Detections, Fault, Odd, Paths, Run, Setup, Spells, Years, bound, detections, years},
};
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  years --monitor-years 100000                          every sensitivity, and 1, 2, 3, 5 and 7 regions
  years --sensitivity balanced --regions 5 --share 0.01 paths of 99 %
  years --regions 5 --odd fails-all                     with one agent of five that says that everything fails
  years --regions 5 --share 0.01 --calibrated           on bad paths, with rules that follow them
  years --regions 5 --starved 0.01                      with agents that are starved, and say so, 1 % of the time
  years --regions 5 --providers 2 --common-share 0.0001 --common-lasts 300 [--no-domains]
                                                        with providers that fail, known by the agents' labels or not

Speed:
  1,400 to 3,400 monitor-years a CPU second on the usual paths (release, one core of a busy machine); the last column has
  it. Outages that cannot page are drawn and not run. Slow is what pages: one region, two with no evidence span, and paths
  that are bad 1 % of the time; below 1,000 the reason is told under the table.";

/// False pages in 1,000 monitor-years, with the upper end of their one-sided 95 % interval; and seconds from a total
/// outage to the verdict down.
#[derive(Parser)]
#[command(after_help = EXAMPLES)]
struct Arguments {
    /// Monitor-years of each row; a row ends sooner where it has seen --pages-max false pages
    #[arg(long, default_value_t = 1_000.0)]
    monitor_years: f64,
    /// Which sets of numbers
    #[arg(long, value_delimiter = ',', default_value = "fast,balanced,strict")]
    sensitivity: Vec<Set>,
    /// How many regions, 1 to 32
    #[arg(long, value_delimiter = ',', default_value = "1,2,3,5,7", value_parser = clap::value_parser!(u16).range(1..=32))]
    regions: Vec<u16>,
    /// Seconds from one check to the next, a multiple of 5
    #[arg(long, default_value_t = 30)]
    interval: u64,
    /// Seconds that a check may take
    #[arg(long, default_value_t = 10)]
    timeout: u64,
    /// Regions that must fail, in place of the default
    #[arg(long)]
    quorum: Option<u16>,
    /// Seconds that the evidence must span, in place of the sensitivity's
    #[arg(long)]
    confirm_for: Option<u64>,
    /// The part of the time that each path is bad
    #[arg(long, default_value_t = 0.000_9)]
    share: f64,
    /// For how many seconds at a time, in the mean
    #[arg(long, default_value_t = 20.0)]
    lasts: f64,
    /// Every spell lasts so long; otherwise exponential
    #[arg(long)]
    fixed: bool,
    /// So many regions have paths as --worse-share and --worse-lasts say
    #[arg(long, default_value_t = 0)]
    worse: u16,
    /// The part of the time that those paths are bad
    #[arg(long, default_value_t = 0.05)]
    worse_share: f64,
    /// For how many seconds at a time, in the mean
    #[arg(long, default_value_t = 20.0)]
    worse_lasts: f64,
    /// The chance of a single check on a good path to be lost
    #[arg(long, default_value_t = 0.000_1)]
    loss: f64,
    /// So many providers share the regions; 0: none
    #[arg(long, default_value_t = 3)]
    providers: u16,
    /// Agents do not say at which provider they stand, so that providers are no domains
    #[arg(long)]
    no_domains: bool,
    /// The part of the time that a provider fails with all its regions
    #[arg(long, default_value_t = 0.000_001)]
    common_share: f64,
    /// For how many seconds at a time, in the mean
    #[arg(long, default_value_t = 60.0)]
    common_lasts: f64,
    /// The part of the time that each agent is starved: its checks fail, and it says that it is sick
    #[arg(long, default_value_t = 0.0)]
    starved: f64,
    /// What the first region's agent says whatever it sees
    #[arg(long)]
    odd: Option<OddName>,
    /// The rules follow the paths, as after two weeks of measuring them
    #[arg(long)]
    calibrated: bool,
    /// Total outages of each row and kind
    #[arg(long, default_value_t = 2_000)]
    outages: u64,
    /// A row ends after so many false pages
    #[arg(long, default_value_t = 1_000)]
    pages_max: u64,
    /// For every draw
    #[arg(long, default_value_t = 20_261_122)]
    seed: u64,
    /// For machines: one JSON object a row
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Set {
    Fast,
    Balanced,
    Strict,
}

#[derive(Clone, Copy, ValueEnum)]
enum OddName {
    FailsAll,
    PassesAll,
}

/// What one row of the table says.
struct Row {
    setup: Setup,
    ran: Years,
    /// What that took of one core.
    cpu_seconds: f64,
    refused: Detections,
    silent: Detections,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    anyhow::ensure!(
        arguments.interval >= 5 && arguments.interval.is_multiple_of(5),
        "--interval {}: wanted a multiple of 5, the seconds between two heartbeats",
        arguments.interval
    );
    let paths = arguments.paths();
    let mut out = std::io::stdout().lock();
    let mut slow = Vec::new();
    if !arguments.json {
        writeln!(out, "{}\n{HEAD}", arguments.title(&paths))?;
    }
    for regions in &arguments.regions {
        for set in &arguments.sensitivity {
            let row = arguments.row(*regions, *set, &paths);
            let line = if arguments.json { row.json(&paths).to_string() } else { row.line() };
            writeln!(out, "{line}")?;
            out.flush()?;
            slow.extend(row.why_slow());
        }
    }
    if !arguments.json && !slow.is_empty() {
        writeln!(out, "\nBelow {FAST_ENOUGH:.0} monitor-years a CPU second:")?;
        slow.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    }
    Ok(())
}

impl Arguments {
    fn paths(&self) -> Paths {
        let spells =
            |share, lasts: f64, is_fixed| Spells { share, lasts: Micros((lasts * 1e6) as u64), is_fixed };
        let worse = spells(self.worse_share, self.worse_lasts, self.fixed);
        Paths {
            usual: spells(self.share, self.lasts, self.fixed),
            worse: (self.worse > 0).then_some((self.worse, worse)),
            loss: self.loss,
            providers: self.providers,
            common: spells(self.common_share, self.common_lasts, false),
            starved: spells(self.starved, 60.0, false),
        }
    }

    fn title(&self, paths: &Paths) -> String {
        let of = |spells: &Spells| {
            format!("{:.5} % of the time, {} at a time", spells.share * 100.0, spells.lasts)
        };
        let worse = paths
            .worse
            .map_or_else(String::new, |(count, worse)| format!(" ({count} of them {})", of(&worse)));
        format!(
            "seed {}; T = {} s, timeout {} s; paths bad {}{worse}; {} % of checks lost; {} providers bad {}, {}; agents starved {}",
            self.seed,
            self.interval,
            self.timeout,
            of(&paths.usual),
            paths.loss * 100.0,
            paths.providers,
            of(&paths.common),
            if self.no_domains { "and no domains" } else { "and domains" },
            of(&paths.starved),
        )
    }

    fn setup(&self, regions: u16, set: Set) -> Setup {
        Setup {
            regions,
            interval: Micros::from_secs(self.interval),
            timeout: Micros::from_secs(self.timeout),
            quorum: self.quorum.map_or(Quorum::Default, Quorum::AtLeast),
            sensitivity: match set {
                Set::Fast => Sensitivity::Fast,
                Set::Balanced => Sensitivity::Balanced,
                Set::Strict => Sensitivity::Strict,
            },
            confirm_for: self.confirm_for.map(Micros::from_secs),
            providers: if self.no_domains { 0 } else { self.providers },
            odd: self.odd.map(|odd| match odd {
                OddName::FailsAll => Odd::FailsAll,
                OddName::PassesAll => Odd::PassesAll,
            }),
            fitting: None,
        }
    }

    fn row(&self, regions: u16, set: Set, paths: &Paths) -> Row {
        let setup = self.setup(regions, set);
        let setup = if self.calibrated { setup.calibrated(paths) } else { setup };
        let limits = Run {
            monitor_years: self.monitor_years,
            lone_max: 3_000,
            pages_max: self.pages_max,
            seed: self.seed,
        };
        let (watch, cpu) = (Stopwatch::start(), CpuStopwatch::start());
        let mut told_at = 0.0;
        let is_watched = std::io::stderr().is_terminal();
        let ran = years(&setup, paths, &limits, |done| {
            if is_watched && watch.seconds() - told_at > 1.0 {
                told_at = watch.seconds();
                let rate = done.monitor_years / told_at;
                eprint!(
                    "\r{regions} regions: {:.0} years, {rate:.0} a second, {} pages ",
                    done.monitor_years, done.pages
                );
            }
        });
        if told_at > 0.0 {
            eprint!("\r{:60}\r", "");
        }
        let cpu_seconds = cpu.seconds();
        let found = |fault| detections(&setup, fault, false, self.outages, self.seed);
        Row { setup, ran, cpu_seconds, refused: found(Fault::Refused), silent: found(Fault::Silent) }
    }
}

const HEAD: &str = " n sensitivity    W  k |  false pages (by rule 4) in years |  per 1,000  below (95 %) \
    | refused: mean   p99   max | silent: mean   p99   max | missed | extra load | years/CPU s";

/// Monitor-years a CPU second that are wanted of every row.
const FAST_ENOUGH: f64 = 1_000.0;

impl Row {
    fn per_thousand(&self, count: f64) -> f64 {
        count / self.ran.monitor_years * 1_000.0
    }

    /// Monitor-years a CPU second.
    fn speed(&self) -> f64 {
        self.ran.monitor_years / self.cpu_seconds
    }

    /// Where it is slow, what of it has to be run in full.
    fn why_slow(&self) -> Option<String> {
        let ran = &self.ran;
        let a_year = |count: u64| count as f64 / ran.monitor_years;
        (self.speed() < FAST_ENOUGH).then(|| {
            format!(
                "{:2} {:<11} {:>6.0}: of {:.0} clusters of outages a year {:.1} may page and are run event by event{}: {:.0} events a year, and {:.0} ns an event",
                self.setup.regions,
                self.sensitivity(),
                self.speed(),
                a_year(ran.clusters),
                a_year(ran.clusters_run),
                if ran.lone_run > 0 { format!(", as are {} others in all, to see that they do not", ran.lone_run) } else { String::new() },
                a_year(ran.events),
                self.cpu_seconds / ran.events as f64 * 1e9,
            )
        })
    }

    fn sensitivity(&self) -> String {
        format!("{:?}", self.setup.sensitivity).to_lowercase()
    }

    fn line(&self) -> String {
        let (setup, ran, policy) = (&self.setup, &self.ran, self.setup.policy());
        let found = |found: &Detections| {
            let seconds = |span: Micros| span.as_secs_f64();
            format!("{:5.1} {:5.1} {:5.1}", seconds(found.mean), seconds(found.p99), seconds(found.slowest))
        };
        format!(
            "{:2} {:<11} {:>4} {:>2} | {:>12} {:>11} {:>8.0} | {:>10.3} {:>13.3} |       {} |      {} | {:>6} | {:>8.2} % | {:>11.0}{}",
            setup.regions,
            self.sensitivity(),
            policy.span_needed(setup.regions).to_string(),
            policy.needed(setup.regions),
            ran.pages,
            format!("({})", ran.pages_by_majority),
            ran.monitor_years,
            self.per_thousand(ran.pages as f64),
            self.per_thousand(bound::upper(ran.pages)),
            found(&self.refused),
            found(&self.silent),
            self.refused.missed + self.silent.missed,
            ran.extra_load * 100.0,
            self.speed(),
            if ran.pages_impossible > 0 { "  WRONG: pages where none can be" } else { "" },
        )
    }

    fn json(&self, paths: &Paths) -> serde_json::Value {
        let (setup, ran, policy) = (&self.setup, &self.ran, self.setup.policy());
        let spells = |spells: Spells| json!({ "share": spells.share, "lasts_s": spells.lasts.as_secs_f64(), "fixed": spells.is_fixed });
        let found = |found: &Detections| {
            json!({
                "outages": found.outages,
                "missed": found.missed,
                "mean_s": found.mean.as_secs_f64(),
                "p99_s": found.p99.as_secs_f64(),
                "max_s": found.slowest.as_secs_f64(),
                "recovery_max_s": found.recovery_slowest.as_secs_f64(),
            })
        };
        json!({
            "seed": ran.seed,
            "regions": setup.regions,
            "sensitivity": self.sensitivity(),
            "interval_s": setup.interval.as_secs_f64(),
            "timeout_s": setup.timeout.as_secs_f64(),
            "needed": policy.needed(setup.regions),
            "span_s": policy.span_needed(setup.regions).as_secs_f64(),
            "paths": spells(paths.usual),
            "worse": paths.worse.map(|(regions, worse)| json!({ "regions": regions, "paths": spells(worse) })),
            "loss": paths.loss,
            "providers": paths.providers,
            "domains": setup.providers > 0,
            "common": spells(paths.common),
            "starved": spells(paths.starved),
            "monitor_years": ran.monitor_years,
            "false_pages": ran.pages,
            "false_pages_by_majority": ran.pages_by_majority,
            "per_1000_years": self.per_thousand(ran.pages as f64),
            "per_1000_years_below": self.per_thousand(bound::upper(ran.pages)),
            "per_1000_years_above": self.per_thousand(bound::lower(ran.pages)),
            "outages": ran.outages,
            "clusters": ran.clusters,
            "clusters_run": ran.clusters_run,
            "impossible_pages": ran.pages_impossible,
            "extra_load": ran.extra_load,
            "refused": found(&self.refused),
            "silent": found(&self.silent),
            "events": ran.events,
            "cpu_seconds": self.cpu_seconds,
            "years_per_cpu_second": self.speed(),
            "why_slow": self.why_slow(),
        })
    }
}
