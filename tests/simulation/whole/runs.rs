//! Many runs, each in a process of its own, and what is told of those that fail.
//!
//! A process of its own, because tokio counts its runtimes in a static: the second run of a process would not be what it
//! is alone, and a failure could not be made again.
//!
//! Which runs are made can be chosen, for long runs and for a single one:
//!
//! - `QUORATE_SIMULATION_RUNS=200..1000` these numbers instead of the few that a test makes. By chance the number is the
//!   seed; of cuts and crashes there are as many as there are passages, and higher ones begin anew with another seed.
//! - `QUORATE_SIMULATION_TRACE=1` prints the trace of each run that fails.

use std::{
    env, fs,
    ops::Range,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::{
    checks,
    house::{AGGREGATOR, Left, Plan, RECEIVER, SERVER, name, run},
    machine::{Border, Fault},
    plans::{at, by_chance, cuts, short_day},
};

/// Which kind of runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A day without trouble but the server's.
    Day,
    /// Troubles by chance.
    Chance,
    /// One cut, by the step.
    Cut,
    /// One crash, by the step.
    Crash,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Chance => "chance",
            Self::Cut => "cut",
            Self::Crash => "crash",
        }
    }
}

/// One run, as a process is told of it.
#[derive(Clone, Debug)]
struct Job {
    kind: Kind,
    number: u64,
    /// Where the fault strikes: a host and its so-manieth passage.
    passage: Option<(String, u64)>,
}

/// What a run has written down.
pub(crate) struct Report {
    /// Why it failed, with its plan; empty where it did not.
    pub(crate) failure: String,
    pub(crate) trace: String,
    passages: String,
}

const JOB: &str = "QUORATE_SIMULATION_JOB";
const FOLDER: &str = "QUORATE_SIMULATION_FOLDER";

/// The process of one run; as a test among others it does nothing.
#[test]
fn one_run() {
    let (Ok(job), Some(folder)) = (env::var(JOB), env::var_os(FOLDER)) else { return };
    let job = Job::parse(&job).unwrap();
    let plan = job.plan();
    let told = format!("{plan:#?}");
    let folder = Path::new(&folder);
    let judged = run(plan).and_then(|left| {
        write(folder, &left)?;
        checks::all(&left)
    });
    let failure = judged.err().map(|error| format!("{}\n{told}", error.root_cause())).unwrap_or_default();
    fs::write(folder.join("failure"), failure).unwrap();
}

fn write(folder: &Path, left: &Left) -> Result<()> {
    let passages = left.passages.iter().map(|(host, border)| {
        let sort = if matches!(border, Border::Disk(_)) { "durable" } else { "network" };
        format!("{host} {sort}\n")
    });
    fs::write(folder.join("passages"), passages.collect::<String>())?;
    Ok(fs::write(folder.join("trace"), left.trace.join("\n"))?)
}

/// A run of its own, by number.
pub(crate) fn report(kind: Kind, number: u64) -> Result<Report> {
    Job { kind, number, passage: None }.made()
}

impl Job {
    fn parse(text: &str) -> Result<Self> {
        let mut words = text.split(' ');
        let kind = words.next().unwrap_or_default();
        let kinds = [Kind::Day, Kind::Chance, Kind::Cut, Kind::Crash];
        let kind = kinds.into_iter().find(|known| known.name() == kind).context("the kind")?;
        let number = words.next().context("the number")?.parse()?;
        let passage = match (words.next(), words.next()) {
            (Some(host), Some(number)) => Some((host.to_owned(), number.parse()?)),
            _ => None,
        };
        Ok(Self { kind, number, passage })
    }

    /// Makes it, in a process of its own.
    fn made(&self) -> Result<Report> {
        let folder = TempDir::new()?;
        let passage = self.passage.as_ref().map(|(host, number)| format!(" {host} {number}"));
        let job = format!("{} {}{}", self.kind.name(), self.number, passage.unwrap_or_default());
        let output = Command::new(env::current_exe()?)
            .args(["--exact", "runs::one_run", "--nocapture", "--test-threads=1"])
            .env(JOB, job)
            .env(FOLDER, folder.path())
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the process of the run ended with {}: {said}", output.status);
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
        Ok(Report { failure: read("failure"), trace: read("trace"), passages: read("passages") })
    }

    fn plan(&self) -> Plan {
        let number = self.number;
        let Some((host, passage)) = &self.passage else {
            return if self.kind == Kind::Chance { by_chance(number) } else { short_day(number) };
        };
        let fault = match self.kind {
            Kind::Crash => {
                Fault::Crash { host: host.clone(), down: if number % 3 == 2 { AWAY } else { SHORT } }
            }
            Kind::Cut | Kind::Chance | Kind::Day => {
                let mut others = vec![AGGREGATOR.to_owned(), SERVER.to_owned(), RECEIVER.to_owned()];
                others.extend((0..3).map(name));
                let kinds = cuts(host, &others);
                let ways = kinds.into_iter().nth((number % CUTS) as usize).unwrap_or_default();
                Fault::Cut { ways, span: if (number / CUTS) % 2 == 1 { LONG } else { SHORT } }
            }
        };
        let plan = short_day(0);
        let length = plan.length + LONG;
        Plan { trigger: at(host, *passage, fault), length, ..plan }
    }
}

/// How many kinds of cuts there are, and how long they last: below QUIC's patience, and above it.
const CUTS: u64 = 4;
const SHORT: Duration = Duration::from_millis(1_500);
const LONG: Duration = Duration::from_secs(17);
/// How long a host without power is away, once in three times.
const AWAY: Duration = Duration::from_secs(7);

/// Makes the runs of a kind, two at a time.
///
/// # Panics
/// Where one fails.
pub(crate) fn all_of(kind: Kind, usual: Range<u64>) {
    let steps = Steps::of(kind).map_err(|error| format!("{error:#}"));
    assert_eq!(steps.as_ref().err(), None, "the day without trouble");
    let Ok(steps) = steps else { return };
    let numbers = chosen().unwrap_or(usual);
    let (next, failed) = (AtomicU64::new(numbers.start), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= numbers.end {
                return;
            }
            let report = steps.job(kind, number).made();
            let (failure, trace) = match report {
                Ok(report) => (report.failure, report.trace),
                Err(error) => (format!("{error:#}"), String::new()),
            };
            if !failure.is_empty() {
                tell(kind, number, &failure, &trace);
                failed.lock().unwrap_or_else(PoisonError::into_inner).push(number);
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{}: {} runs, {} failed", kind.name(), numbers.end - numbers.start, failed.len());
    assert!(failed.is_empty(), "{}: runs {failed:?} failed; see above", kind.name());
}

fn tell(kind: Kind, number: u64, failure: &str, trace: &str) {
    let commit = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    let commit = commit.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let (kind, commit) = (kind.name(), commit.unwrap_or_default());
    println!("FAILED: {kind} {number} at commit {commit}: {failure}\nAlone: tests/simulate {kind} {number}");
    if env::var_os("QUORATE_SIMULATION_TRACE").is_some() {
        println!("{trace}");
    }
}

/// The runs that the environment asks for.
fn chosen() -> Option<Range<u64>> {
    let text = env::var("QUORATE_SIMULATION_RUNS").ok()?;
    let (first, end) = text.split_once("..")?;
    Some(first.trim().parse().ok()?..end.trim().parse().ok()?)
}

/// The passages at which faults strike, so spread that any stretch of numbers has some of the whole day.
struct Steps(Vec<(String, u64)>);

/// The hosts that are tried: the other agents are like the first.
const TRIED: [&str; 2] = [AGGREGATOR, "agent-0"];

impl Steps {
    /// The steps of the day without trouble; of a crash the durable points first.
    fn of(kind: Kind) -> Result<Self> {
        if matches!(kind, Kind::Chance | Kind::Day) {
            return Ok(Self(Vec::new()));
        }
        let day = report(Kind::Day, 0)?;
        ensure!(day.failure.is_empty(), "{}", day.failure);
        let mut durable = Vec::new();
        let mut network = Vec::new();
        for tried in TRIED {
            let passages = day.passages.lines().filter_map(|line| line.split_once(' '));
            for (number, (_, sort)) in (1..).zip(passages.filter(|(host, _)| *host == tried)) {
                let list = if sort == "durable" { &mut durable } else { &mut network };
                list.push((tried.to_owned(), number));
            }
        }
        Ok(match kind {
            Kind::Crash => Self([spread_out(&durable), spread_out(&network)].concat()),
            Kind::Cut | Kind::Chance | Kind::Day => Self(spread_out(&[durable, network].concat())),
        })
    }

    fn job(&self, kind: Kind, number: u64) -> Job {
        let count = self.0.len() as u64;
        if count == 0 {
            return Job { kind, number, passage: None };
        }
        // In each round over all steps another fault strikes at each of them.
        Job { kind, number: number + number / count, passage: self.0.get((number % count) as usize).cloned() }
    }
}

/// The same in another order, in which neighbours stood far apart.
fn spread_out<T: Clone>(list: &[T]) -> Vec<T> {
    let count = list.len();
    let step = (1..).find(|step| step * 5 > count * 3 && gcd(*step, count) == 1).unwrap_or(1);
    (0..count).filter_map(|index| list.get(index * step % count).cloned()).collect()
}

fn gcd(one: usize, other: usize) -> usize {
    if other == 0 { one } else { gcd(other, one % other) }
}
