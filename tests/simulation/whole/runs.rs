//! Many runs at once, and what is told of those that fail.
//!
//! Which runs are made can be chosen, for long runs and for a single one:
//!
//! - `QUORATE_SIMULATION_RUNS=200..1000` these numbers instead of the few that a test makes. By chance the number is the
//!   seed; of cuts and crashes there are as many as there are passages, and higher ones begin anew with another seed.
//! - `QUORATE_SIMULATION_TRACE=1` prints the trace of each run that fails.

use std::{
    env,
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use quorate_agent::simulation::Disk;

use crate::{
    checks,
    house::{AGGREGATOR, Plan, RECEIVER, SERVER, name, run},
    machine::{Border, Fault},
    plans::{at, by_chance, cuts, short_day},
};

/// Which kind of runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Troubles by chance.
    Chance,
    /// One cut, by the step.
    Cut,
    /// One crash, by the step.
    Crash,
}

/// Makes the runs of a kind, two at a time.
///
/// # Panics
/// Where one fails.
pub(crate) fn all_of(kind: Kind) {
    let source = Source::new(kind);
    assert!(source.is_ok(), "the day without trouble: {source:?}");
    let Ok(source) = source else { return };
    let numbers = chosen().unwrap_or_else(|| source.usual());
    let (next, failed) = (AtomicU64::new(numbers.start), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= numbers.end {
                        return;
                    }
                    if let Err(error) = judged(source.plan(number)) {
                        tell(kind, number, &error);
                        failed.lock().unwrap_or_else(PoisonError::into_inner).push(number);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{kind:?}: {} runs, {} failed", numbers.end - numbers.start, failed.len());
    assert!(failed.is_empty(), "{kind:?}: runs {failed:?} failed; see above");
}

fn judged(plan: Plan) -> Result<()> {
    let told = format!("{plan:#?}");
    let left = run(plan).with_context(|| told.clone())?;
    checks::all(&left).with_context(|| match env::var_os("QUORATE_SIMULATION_TRACE") {
        Some(_) => format!("{told}\n{}", left.trace.join("\n")),
        None => told,
    })
}

fn tell(kind: Kind, number: u64, error: &anyhow::Error) {
    let commit = std::process::Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    let commit = commit.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    println!(
        "FAILED: {kind:?} run {number} at commit {}: {}\n{error:?}\nAlone: tests/simulate {} {number}",
        commit.unwrap_or_default(),
        error.root_cause(),
        format!("{kind:?}").to_lowercase(),
    );
}

/// The runs that the environment asks for.
fn chosen() -> Option<Range<u64>> {
    let text = env::var("QUORATE_SIMULATION_RUNS").ok()?;
    let (first, end) = text.split_once("..")?;
    Some(first.trim().parse().ok()?..end.trim().parse().ok()?)
}

/// Where plans come from.
#[derive(Debug)]
struct Source {
    kind: Kind,
    /// The passages of a day without trouble: host, number, what it is.
    passages: Vec<(String, u64, Border)>,
}

/// The hosts that are tried: the other agents are like the first.
const TRIED: [&str; 2] = [AGGREGATOR, "agent-0"];
/// Kinds of cuts, and how long they last: below QUIC's patience, and above it.
const CUTS: u64 = 4;
const SHORT: Duration = Duration::from_millis(1_500);
const LONG: Duration = Duration::from_secs(17);
/// How long a host without power is away, once in three times.
const AWAY: Duration = Duration::from_secs(7);

impl Source {
    fn new(kind: Kind) -> Result<Self> {
        let mut passages = Vec::new();
        if !matches!(kind, Kind::Chance) {
            let left = run(short_day(0))?;
            checks::all(&left)?;
            for tried in TRIED {
                let of_host = left.passages.iter().filter(|(host, _)| host == tried);
                let numbered =
                    (1..).zip(of_host).map(|(number, (_, border))| (tried.to_owned(), number, *border));
                passages.extend(numbered);
            }
        }
        Ok(Self { kind, passages })
    }

    /// The runs that a test makes: few enough to be made by everybody all the time.
    fn usual(&self) -> Range<u64> {
        match self.kind {
            Kind::Chance => 0..200,
            Kind::Cut => 0..60,
            Kind::Crash => 0..60,
        }
    }

    fn plan(&self, number: u64) -> Plan {
        match self.kind {
            Kind::Chance => by_chance(number),
            Kind::Cut => self.cut(number),
            Kind::Crash => self.crash(number),
        }
    }

    /// Steps are spread so that any stretch of numbers has some from the whole day.
    fn cut(&self, number: u64) -> Plan {
        let count = self.passages.len() as u64;
        let (host, passage, _) = self.pick(spread(number % count, count));
        let mut others = vec![AGGREGATOR.to_owned(), SERVER.to_owned(), RECEIVER.to_owned()];
        others.extend((0..3).map(name));
        let (round, kinds) = (number / count, cuts(&host, &others));
        let kind = (number + round) % CUTS;
        let span = if (number / CUTS + round / CUTS) % 2 == 1 { LONG } else { SHORT };
        let (_, ways) = kinds.into_iter().nth(kind as usize).unwrap_or_default();
        let plan = short_day(round);
        Plan { trigger: at(&host, passage, Fault::Cut { ways, span }), length: plan.length + span, ..plan }
    }

    /// Every durable point first, then every datagram.
    fn crash(&self, number: u64) -> Plan {
        let is_durable = |border: &Border| matches!(border, Border::Disk(_));
        let (mut durable, others): (Vec<_>, Vec<_>) =
            self.passages.iter().cloned().partition(|(.., border)| is_durable(border));
        let spread_out = |list: &[(String, u64, Border)]| -> Vec<_> {
            let count = list.len() as u64;
            (0..count).filter_map(|index| list.get(spread(index, count) as usize).cloned()).collect()
        };
        durable = spread_out(&durable);
        durable.extend(spread_out(&others));
        let count = durable.len() as u64;
        let (host, passage, _) =
            durable.get((number % count) as usize).cloned().unwrap_or_else(|| self.pick(0));
        let down = if number % 3 == 2 { AWAY } else { SHORT };
        let plan = short_day(number / count);
        let fault = Fault::Crash { host: host.clone(), down };
        Plan { trigger: at(&host, passage, fault), length: plan.length + down, ..plan }
    }

    fn pick(&self, index: u64) -> (String, u64, Border) {
        let picked = self.passages.get(index as usize).cloned();
        picked.unwrap_or((AGGREGATOR.to_owned(), 1, Border::Disk(Disk::Commit)))
    }
}

/// A permutation of `0..count`: neighbours come far apart.
fn spread(index: u64, count: u64) -> u64 {
    let step = (1..).find(|step| step * 5 > count * 3 && gcd(*step, count) == 1).unwrap_or(1);
    index * step % count.max(1)
}

fn gcd(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { gcd(other, one % other) }
}
