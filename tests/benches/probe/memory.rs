//! Memory per held connection: how much larger a process becomes that holds nothing but the client's side. A canary is
//! the agent's own task, with its heartbeats and its timer.

use std::{process::Command, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use quorate_agent::{
    canary::{self, Line, Report, Shared},
    limits::{CANARIES_OPENING_MAX, CANARY_REPORTS_WAITING_MAX},
    probe::Prepared,
};
use quorate_proto::{MonitorSpec, canary::CanaryEvent};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    bare::Bare,
    client::{Kind, Scheme, Target, prober, runtime, spec},
    compare,
    echo::Echo,
    heading, median, words,
};

/// Held connections of each kind.
const HELD_WS: usize = 5_000;
const HELD_WSS: usize = 2_000;

/// Descriptors for [`HELD_WS`] connections and what else is open.
const FILES: u64 = 8_192;

/// Processes of each kind; the middle one counts.
const ROUNDS: usize = 3;

/// From the last opening to the reading.
const SETTLING: Duration = Duration::from_secs(1);

/// Prints the comparison.
pub(super) fn print() -> Result<()> {
    heading("Resident memory per held connection (client's side; medians of 3 processes)", "canary");
    for (name, scheme, count, aim) in
        [("5,000 ws://", Scheme::Ws, HELD_WS, "7 KiB"), ("2,000 wss://", Scheme::Wss, HELD_WSS, "16 KiB")]
    {
        let kib = |kind| Ok(median((0..ROUNDS).map(|_| kib(kind, scheme, count)).collect::<Result<_>>()?));
        let (bare, ours): (Result<f64>, Result<f64>) = (kib(Kind::Bare), kib(Kind::Ours));
        compare(name, "KiB", bare?, ours?, aim);
    }
    Ok(())
}

/// Starts a server and a process that holds connections to it. KiB per connection.
fn kib(kind: Kind, scheme: Scheme, count: usize) -> Result<f64> {
    let echo = Echo::start()?;
    let (number, target) = (count.to_string(), echo.target.to_string());
    let output = Command::new(std::env::current_exe()?)
        .args(words("hold", kind, scheme, &number, &target))
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let grown: f64 = text.trim().parse().context("the holding process said no number")?;
    Ok(grown / count as f64)
}

/// Holds so many connections, and says by how many KiB that made this process larger.
pub(super) fn hold(kind: Kind, scheme: Scheme, count: usize, target: &Target) -> Result<()> {
    raise_file_limit()?;
    let grown = match kind {
        Kind::Bare => runtime()?.block_on(hold_bare(scheme, count, target)),
        Kind::Ours => runtime()?.block_on(hold_canaries(scheme, count, target)),
    };
    println!("{}", grown?);
    Ok(())
}

/// Connections of either kind that are there before the first reading: they pay for what all share.
const FIRST: usize = 10;

async fn hold_bare(scheme: Scheme, count: usize, target: &Target) -> Result<f64> {
    let bare = match scheme {
        Scheme::Ws => Bare::ws(target),
        Scheme::Wss => Bare::wss(target, false)?,
    };
    let mut held = JoinSet::new();
    for _ in 0..FIRST {
        held.spawn(bare.hold().await?);
    }
    let before = resident_kib("self")?;
    for _ in 0..count {
        held.spawn(bare.hold().await?);
    }
    // Each is polled before the reading.
    sleep(SETTLING).await;
    ensure!(held.try_join_next().is_none(), "a connection ended");
    Ok(resident_kib("self")? - before)
}

/// Canaries as the agent spawns them. Their monitors are there before: those are checked as well, canary or not.
async fn hold_canaries(scheme: Scheme, count: usize, target: &Target) -> Result<f64> {
    let prober = Arc::new(prober()?);
    let monitors = (0..FIRST + count).map(|number| {
        let id = format!("monitor-{number}").parse()?;
        Ok(Arc::new(prober.prepare(Arc::new(MonitorSpec { id, ..spec(scheme, target)? }))))
    });
    let monitors = monitors.collect::<Result<Vec<_>>>()?;
    let (reports, mut told) = mpsc::channel(CANARY_REPORTS_WAITING_MAX);
    let openings = Arc::new(Semaphore::new(CANARIES_OPENING_MAX));
    let shared = Shared { prober, openings, reports };
    let mut held = JoinSet::new();
    let mut hold = |monitors: &[Arc<Prepared>]| {
        for (number, monitor) in (0..).zip(monitors) {
            let Some(canary) = monitor.spec().canary else { continue };
            let line = Arc::new(Line::new(number, Arc::clone(monitor)));
            held.spawn(canary::hold(shared.clone(), line, canary));
        }
    };
    let (first, others) = monitors.split_at(FIRST);
    hold(first);
    open(&mut told, first.len()).await?;
    let before = resident_kib("self")?;
    hold(others);
    open(&mut told, others.len()).await?;
    sleep(SETTLING).await;
    ensure!(told.try_recv().is_err() && held.try_join_next().is_none(), "a canary ended");
    Ok(resident_kib("self")? - before)
}

/// Waits until so many canaries are open.
async fn open(told: &mut mpsc::Receiver<Report>, count: usize) -> Result<()> {
    for _ in 0..count {
        let report = timeout(Duration::from_secs(60), told.recv()).await?.context("no canary is left")?;
        let event = report.result.event;
        ensure!(matches!(event, CanaryEvent::Opened { .. }), "a canary did not open: {event:?}");
    }
    Ok(())
}

/// Resident memory of a process, exactly (`statm` is off by what its threads have not added up yet).
pub(super) fn resident_kib(process: &str) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).context("no Rss")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

/// Thousands of connections want thousands of descriptors.
pub(super) fn raise_file_limit() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(FILES, |maximum| maximum.min(FILES));
    ensure!(wanted >= FILES, "this system allows a process {wanted} open files; {FILES} are needed");
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })?;
    Ok(())
}
