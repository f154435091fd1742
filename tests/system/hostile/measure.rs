//! What one check costs: how long after its deadline it ended, what it took of memory, and what it cost its neighbours.
//!
//! All of the probe runs on the thread that measures, on a runtime of that one thread, and the servers run on others:
//! what this thread allocates is the probe's. Lateness is what the probe is to blame for, so time in which the machine
//! had no processor to give to this thread is told apart (the second figure of Linux' `schedstat`).

use std::{cell::Cell, fs, path::PathBuf, sync::mpsc, thread};

use anyhow::{Context, Result};
use quorate_agent::{
    clock::{Tick, tick},
    probe::{Checked, Prober},
};
use quorate_proto::{Matcher, Micros, MonitorSpec, Outcome, Step};
use tokio::runtime::Runtime;

use super::{
    behaviour::{echo, monitor},
    peer::Server,
};

/// What a check cost.
pub(crate) struct Cost {
    /// What it found.
    pub(crate) checked: Checked,
    /// From its deadline to its end, less the time in which the machine did not let it run; negative where it ended early.
    pub(crate) late_ms: f64,
    /// The most that it held of memory at one time, in bytes.
    pub(crate) held_bytes: u64,
}

/// The probe's thread, and what it runs on.
pub(crate) struct Bench {
    runtime: Runtime,
    prober: Prober,
    neighbour: MonitorSpec,
    _echo: Server,
}

impl Bench {
    /// Makes the bench on this thread, with a good server for the neighbours.
    pub(crate) fn new(prober: Prober) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let echo = Server::start(echo, None)?;
        let mut neighbour = monitor(&format!("ws://{}/", echo.address), Micros::from_secs(10))?;
        neighbour.steps = vec![Step::send("{{nonce}}"), Step::expect(Matcher::contains("{{nonce}}"), None)];
        Ok(Self { runtime, prober, neighbour, _echo: echo })
    }

    /// Makes a check on its own, with another probe where one is given.
    pub(crate) fn alone(&self, prober: Option<&Prober>, spec: &MonitorSpec) -> Result<Cost> {
        let prober = prober.unwrap_or(&self.prober);
        let deadline = Deadline::in_span(spec.timeout);
        let mut found = None;
        let memory = allocation_counter::measure(|| {
            found = Some(self.runtime.block_on(prober.check(spec, None)));
        });
        let checked = found.context("nothing was found")?;
        Ok(Cost { checked, late_ms: deadline.late_ms(), held_bytes: memory.bytes_max })
    }

    /// Makes a check while good checks are made beside it, at least a few of them. Gives the longest span, in milliseconds,
    /// that one of those took beyond what the machine kept from it.
    pub(crate) fn in_company(&self, prober: Option<&Prober>, spec: &MonitorSpec) -> (Cost, f64) {
        let prober = prober.unwrap_or(&self.prober);
        let deadline = Deadline::in_span(spec.timeout);
        let late_ms = Cell::new(None);
        let hostile = async {
            let checked = prober.check(spec, None).await;
            late_ms.set(Some(deadline.late_ms()));
            checked
        };
        let neighbours = async {
            let mut slowest = 0.0_f64;
            let mut count = 0;
            while late_ms.get().is_none() || count < 3 {
                let (started, denied) = (tick(), denied_ms(&own_schedstat()));
                let checked = self.prober.check(&self.neighbour, None).await;
                assert_eq!(checked.outcome, Outcome::Passed, "a neighbour");
                let denied = denied_ms(&own_schedstat()) - denied;
                slowest = slowest.max(ms(tick().since(started)) - denied);
                count += 1;
            }
            slowest
        };
        let (checked, slowest) = self.runtime.block_on(async { tokio::join!(hostile, neighbours) });
        let late_ms = late_ms.get().unwrap_or_default();
        (Cost { checked, late_ms, held_bytes: 0 }, slowest)
    }
}

/// The end of a check's patience, as another thread sees it.
struct Deadline {
    at: Tick,
    schedstat: PathBuf,
    /// Milliseconds for which the machine had kept the processor from this thread when the deadline came.
    denied_ms: mpsc::Receiver<f64>,
}

impl Deadline {
    fn in_span(span: Micros) -> Self {
        let schedstat = own_schedstat();
        let (sender, denied_ms) = mpsc::sync_channel(1);
        let watched = schedstat.clone();
        let at = tick().after(span);
        thread::spawn(move || {
            thread::sleep(at.since(tick()).into());
            // Nobody wants to know where the check has ended before.
            let _ = sender.send(self::denied_ms(&watched));
        });
        Self { at, schedstat, denied_ms }
    }

    fn late_ms(&self) -> f64 {
        let end = tick();
        if end <= self.at {
            return -ms(self.at.since(end));
        }
        let denied_since = self.denied_ms.recv().map_or(0.0, |then| denied_ms(&self.schedstat) - then);
        (ms(end.since(self.at)) - denied_since).max(0.0)
    }
}

fn ms(span: Micros) -> f64 {
    span.0 as f64 / 1000.0
}

fn own_schedstat() -> PathBuf {
    let thread = fs::read_link("/proc/thread-self").unwrap_or_default();
    PathBuf::from("/proc").join(thread).join("schedstat")
}

/// How long a thread has been ready to run without being let, since it began; nothing where the system does not tell.
fn denied_ms(schedstat: &PathBuf) -> f64 {
    let text = fs::read_to_string(schedstat).unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0) / 1e6
}
