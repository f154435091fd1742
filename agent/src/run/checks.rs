//! Checks under way: scheduled ones, and confirming ones with their second attempts.

use std::{collections::BTreeMap, net::IpAddr, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use quorate_proto::{
    CheckKind, Failure, FailureKind, Micros, MonitorId, Outcome, Phase, Timings, WallMicros,
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    clock::{self, Tick},
    limits,
    probe::{Checked, Facts, Prepared, Prober},
};

/// All checks under way.
pub(super) struct Checks {
    prober: Arc<Prober>,
    tasks: JoinSet<Finished>,
    scheduled: usize,
    /// The request that each confirmation under way answers.
    confirming: BTreeMap<MonitorId, u64>,
}

/// A check that is over.
pub(super) struct Finished {
    pub(super) monitor: Arc<Prepared>,
    pub(super) kind: CheckKind,
    /// The revision of the assignments when it started.
    pub(super) revision: u64,
    pub(super) checked: Checked,
}

/// What became of a request to confirm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Confirmation {
    Started,
    /// Another one of this monitor is under way, and answers this one too.
    Joined,
    /// Too many are under way.
    Crowded,
}

impl Checks {
    pub(super) fn new(prober: Arc<Prober>) -> Self {
        Self { prober, tasks: JoinSet::new(), scheduled: 0, confirming: BTreeMap::new() }
    }

    /// Whether another scheduled check may start.
    pub(super) fn has_room(&self) -> bool {
        self.scheduled < limits::CHECKS_CONCURRENT_MAX
    }

    pub(super) fn start(&mut self, monitor: Arc<Prepared>, revision: u64) {
        self.scheduled += 1;
        self.spawn(monitor, CheckKind::Scheduled, revision, None, Micros::ZERO);
    }

    pub(super) fn confirm(&mut self, monitor: &Arc<Prepared>, revision: u64, request: u64) -> Confirmation {
        let id = &monitor.spec().id;
        if self.confirming.contains_key(id) {
            return Confirmation::Joined;
        }
        if self.confirming.len() >= limits::CONFIRMATIONS_CONCURRENT_MAX {
            return Confirmation::Crowded;
        }
        self.confirming.insert(id.clone(), request);
        let kind = CheckKind::Confirming { request, attempt: 1 };
        self.spawn(Arc::clone(monitor), kind, revision, None, Micros::ZERO);
        Confirmation::Started
    }

    /// The next check that is over. Waits for ever while none is under way. A confirmation that failed once is tried
    /// once more, at another address where there is one.
    pub(super) async fn next(&mut self) -> Finished {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(finished)) => {
                    self.settle(&finished);
                    return finished;
                }
                // Checks catch their own panics, and are aborted with the whole set only.
                Some(Err(error)) => tracing::error!(%error, "a check was lost"),
                None => std::future::pending::<()>().await,
            }
        }
    }

    /// Gives up everything under way.
    pub(super) fn abort(&mut self) {
        self.tasks.abort_all();
        self.tasks.detach_all();
        self.scheduled = 0;
        self.confirming.clear();
    }

    fn settle(&mut self, finished: &Finished) {
        let Finished { monitor, kind, revision, checked } = finished;
        match kind {
            CheckKind::Scheduled => self.scheduled = self.scheduled.saturating_sub(1),
            CheckKind::Confirming { request, attempt: 1 } if checked.outcome != Outcome::Passed => {
                let kind = CheckKind::Confirming { request: *request, attempt: 2 };
                self.spawn(Arc::clone(monitor), kind, *revision, checked.address, limits::CONFIRM_PAUSE);
            }
            CheckKind::Confirming { .. } => {
                self.confirming.remove(&monitor.spec().id);
            }
        }
    }

    fn spawn(
        &mut self,
        monitor: Arc<Prepared>,
        kind: CheckKind,
        revision: u64,
        avoid: Option<IpAddr>,
        pause: Micros,
    ) {
        let prober = Arc::clone(&self.prober);
        self.tasks.spawn(async move {
            // A timer costs a wake-up even where it is due at once, and rounds up to a millisecond.
            if pause > Micros::ZERO {
                sleep(pause.into()).await;
            }
            let checked = check(&prober, &monitor, avoid).await;
            Finished { monitor, kind, revision, checked }
        });
    }
}

/// One check, with a second deadline around the probe's own, and without a way to take the agent down.
async fn check(prober: &Prober, monitor: &Prepared, avoid: Option<IpAddr>) -> Checked {
    let (started, started_at) = (clock::tick(), clock::wall());
    let within = Duration::from(monitor.spec().timeout + limits::CHECK_GRACE);
    let checked =
        AssertUnwindSafe(timeout(within, prober.check_prepared(monitor, avoid))).catch_unwind().await;
    match checked {
        Ok(Ok(checked)) => checked,
        Ok(Err(_)) => fault("the check did not end by its deadline", started, started_at),
        Err(_) => {
            tracing::error!(monitor = %monitor.spec().id, "a check panicked");
            fault("the check panicked", started, started_at)
        }
    }
}

fn fault(detail: &str, started: Tick, started_at: WallMicros) -> Checked {
    let ended = clock::tick();
    Checked {
        outcome: Outcome::Failed(Failure::new(FailureKind::AgentFault, Phase::Dns, detail)),
        timings: Timings { total: ended.since(started), ..Timings::default() },
        address: None,
        addresses: Vec::new(),
        started_at,
        started,
        ended,
        facts: Facts::default(),
    }
}
