//! The agent's state, and what each happening does to it. Nothing here waits, but for the stop.

use std::sync::Arc;

use quorate_proto::{
    Controls, Doubt, Failure, Micros, Outcome, WallMicros,
    canary::CanaryEvent,
    frame::{Health, Welcome},
};
use tokio::{sync::watch, time::timeout};

use super::{
    canaries::Canaries,
    checks::{Checks, Confirmation, Finished},
    controls::Looks,
    descriptors,
    monitors::Monitors,
    searches::{Found, Searches},
    sooner,
};
use crate::{
    canary::Report,
    clock::{self, Tick},
    doubt::{Judge, Pulse},
    health::{Facts, Vitals},
    limits,
    probe::Prober,
    schedule::{Moment, Schedule},
    sign::{Circumstances, Entry, Signed, Signer},
    spool::Spool,
    state::Assigned,
    uplink::Event,
};

pub(super) struct Agent {
    pub(super) checks: Checks,
    pub(super) canaries: Canaries,
    pub(super) searches: Searches,
    pub(super) looks: Looks,
    monitors: Monitors,
    schedule: Schedule,
    signer: Signer,
    spool: Spool,
    vitals: Vitals,
    judge: Judge,
    /// Of descriptors, as found with the last regular report.
    shortage: Option<String>,
    report: watch::Sender<Health>,
    keep: watch::Sender<Assigned>,
    connected: bool,
    /// Whether nobody decides on what is signed at present.
    behind: bool,
    spool_failing: bool,
    skipped: u64,
}

impl Agent {
    #[expect(clippy::too_many_arguments, reason = "each is a part of the agent, made by whoever wires it")]
    pub(super) fn new(
        signer: Signer,
        spool: Spool,
        prober: &Arc<Prober>,
        canaries: Canaries,
        looks: Looks,
        report: watch::Sender<Health>,
        keep: watch::Sender<Assigned>,
        assigned: Assigned,
    ) -> Self {
        let moment = now();
        let mut schedule = Schedule::default();
        schedule.set(assigned.revision, assigned.assignments, moment);
        let mut agent = Self {
            checks: Checks::new(Arc::clone(prober)),
            canaries,
            searches: Searches::new(Arc::clone(prober)),
            looks,
            monitors: Monitors::new(Arc::clone(prober)),
            schedule,
            signer,
            spool,
            vitals: Vitals::new(moment.tick),
            judge: Judge::new(pulse()),
            shortage: None,
            report,
            keep,
            connected: false,
            behind: true,
            spool_failing: false,
            skipped: 0,
        };
        agent.take_up_monitors();
        agent.tell_health(false);
        agent
    }

    /// Does what is due: starts checks, closes a batch. Gives how long there is nothing to do.
    pub(super) fn step(&mut self) -> Option<Micros> {
        let moment = now();
        while self.checks.has_room()
            && let Some(due) = self.schedule.take_due(moment)
        {
            if let Some(monitor) = self.monitors.get(&due.spec.id) {
                self.vitals.started(due.lag);
                self.judge.late(due.lag, moment.tick);
                self.checks.start(Arc::clone(monitor), due.revision);
            }
        }
        if self.signer.deadline().is_some_and(|deadline| deadline <= moment.tick) {
            self.flush(moment);
        }
        self.searches.start_due(moment.tick);
        self.looks.start_due(moment.tick);
        let wait = |deadline: Tick| deadline.since(moment.tick);
        let schedule = self.schedule.deadline().filter(|_| self.checks.has_room());
        let signing = sooner(self.signer.deadline().map(wait), self.searches.deadline().map(wait));
        sooner(sooner(schedule.map(wait), self.looks.deadline().map(wait)), signing)
    }

    pub(super) fn handle_event(&mut self, event: Event) {
        match event {
            Event::Welcome(welcome) => self.handle_welcome(&welcome),
            Event::Assigned { revision, assignments } => {
                tracing::info!(revision, monitors = assignments.len(), "assigned");
                self.schedule.set(revision, assignments, now());
                self.assignments_changed();
            }
            Event::Changed { revision, changed, removed } => {
                tracing::info!(
                    revision,
                    changed = changed.len(),
                    removed = removed.len(),
                    "assignments changed"
                );
                self.schedule.change(revision, changed, &removed, now());
                self.assignments_changed();
            }
            Event::Confirm { monitor, request } => {
                let Some(prepared) = self.monitors.get(&monitor) else {
                    tracing::debug!(%monitor, request, "asked to confirm a monitor that is not assigned");
                    return;
                };
                let confirmation = self.checks.confirm(prepared, self.schedule.revision(), request);
                match confirmation {
                    Confirmation::Started | Confirmation::Joined => {
                        tracing::debug!(%monitor, request, ?confirmation, "confirming");
                    }
                    Confirmation::Crowded => {
                        tracing::info!(%monitor, request, "too many confirmations are under way for another");
                    }
                }
            }
            Event::Controls(controls) => self.looks.set(controls, clock::tick()),
            Event::Disconnected => {
                self.connected = false;
                self.behind = true;
            }
            // The uplink ends with it, and says so.
            Event::Revoked => {
                self.schedule = Schedule::default();
                self.take_up_monitors();
            }
        }
    }

    pub(super) fn handle_finished(&mut self, finished: Finished) {
        let Finished { monitor, kind, revision, checked } = finished;
        let spec = monitor.spec();
        if matches!(kind, quorate_proto::CheckKind::Scheduled) {
            self.schedule.finish(&spec.id);
        }
        self.vitals.ended();
        tracing::trace!(
            monitor = %spec.id, ?kind, outcome = ?checked.outcome, total = %checked.timings.total, "checked"
        );
        if self.schedule.spec(&spec.id).is_none() {
            return;
        }
        let (started, ended) = (checked.started, checked.ended);
        let mut result = checked.into_result(spec.id.clone(), kind, Micros::ZERO);
        if let Outcome::Failed(failure) = &mut result.outcome {
            failure.canary_lives = self.canaries.lives(&spec.id, clock::tick());
            self.judge_failure(failure, started, ended);
        }
        self.take(Entry::Check(Box::new(result)), ended, revision);
    }

    /// Something happened to a canary.
    pub(super) fn handle_report(&mut self, report: Report) {
        let Report { number: _, mut result, at } = report;
        tracing::debug!(monitor = %result.monitor, event = result.event.name(), "canary");
        let timeout = self.schedule.spec(&result.monitor).map(|spec| spec.timeout);
        let is_assigned = timeout.is_some();
        match &mut result.event {
            CanaryEvent::NotOpened { failure } => {
                self.judge_failure(failure, before(at, timeout.unwrap_or_default()), at);
            }
            CanaryEvent::Ended { failure, quiet_for, .. } => {
                let since = before(at, *quiet_for);
                self.judge_failure(failure, since, at);
            }
            CanaryEvent::Opened { .. } | CanaryEvent::Alive { .. } | CanaryEvent::Left { .. } => {}
        }
        if is_assigned || matches!(result.event, CanaryEvent::Left { .. }) {
            self.take(Entry::Canary(result), at, self.schedule.revision());
        }
    }

    /// A search for an idle timeout is over.
    pub(super) fn handle_found(&mut self, found: Found) {
        let Found { result, at } = found;
        tracing::info!(monitor = %result.monitor, finding = ?result.finding, "idle timeout");
        if self.schedule.spec(&result.monitor).is_some() {
            self.take(Entry::IdleTimeout(result), at, self.schedule.revision());
        }
    }

    /// Ten times a second.
    pub(super) fn handle_beat(&mut self) {
        let tick = clock::tick();
        let regular = self.vitals.beat(tick);
        self.judge.beat(pulse());
        let standing = self.spool.standing();
        self.doubt(regular, standing.counts.failing, tick);
        self.behind = !self.connected || standing.units > limits::UNITS_BEHIND;
        if self.judge.take_news() || regular || standing.counts.failing != self.spool_failing {
            self.spool_failing = standing.counts.failing;
            self.tell_health(regular);
        }
        if regular && self.schedule.skipped() > self.skipped {
            let skipped = self.schedule.skipped() - self.skipped;
            self.skipped = self.schedule.skipped();
            tracing::info!(skipped, "checks missed their turn because the former one still ran");
        }
    }

    /// A control was looked at: what is wrong with it is wrong at once, and not with the next beat.
    pub(super) fn look_at_controls(&mut self) {
        let tick = clock::tick();
        for (doubt, detail) in self.looks.wrong(self.connected) {
            self.judge.wrong(doubt, &detail, tick);
        }
        if self.judge.take_news() {
            self.tell_health(false);
        }
    }

    /// Looks at itself.
    fn doubt(&mut self, regular: bool, spool_failing: bool, tick: Tick) {
        if let Some(due) = self.schedule.deadline() {
            self.judge.late(tick.since(due), tick);
        }
        for (doubt, detail) in self.looks.wrong(self.connected) {
            self.judge.wrong(doubt, &detail, tick);
        }
        if spool_failing {
            self.judge.wrong(Doubt::SpoolFailing, "the log has what the system said", tick);
        }
        if regular {
            self.shortage = descriptors::shortage();
        }
        if let Some(detail) = &self.shortage {
            self.judge.wrong(Doubt::DescriptorsShort, detail, tick);
        }
    }

    /// A failure is looked at once more, and those who can tell whether it is the agent's own are asked.
    fn judge_failure(&mut self, failure: &mut Failure, started: Tick, ended: Tick) {
        let now = pulse();
        if !failure.kind.is_agents_own() {
            self.looks.hurry(now.tick);
        }
        if let Some(excuse) = self.judge.excuse(failure, started, ended, now) {
            *failure = excuse;
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connected
    }

    /// Starts no more checks, gives up those under way, closes canaries, and signs what there is.
    pub(super) async fn stop(&mut self) {
        self.checks.abort();
        self.searches.abort();
        self.looks.abort();
        self.canaries.leave();
        let leaving = async {
            while let Some(report) = self.canaries.last().await {
                self.handle_report(report);
            }
        };
        let _ = timeout(limits::CANARIES_LEAVE_WITHIN.into(), leaving).await;
        self.schedule = Schedule::default();
        self.flush(now());
    }

    /// Waits until everything is acknowledged.
    pub(super) async fn drained(&self) {
        self.spool.emptied().await;
    }

    /// Syncs the spool. Whether everything that is not acknowledged is on disk.
    pub(super) async fn close(self) -> bool {
        self.spool.close().await
    }

    fn handle_welcome(&mut self, welcome: &Welcome) {
        self.connected = true;
        self.behind = false;
        // Those that there are follow it.
        self.looks.set(Controls::default(), clock::tick());
        let wall = clock::wall();
        let off = wall.since(welcome.wall).max(welcome.wall.since(wall));
        tracing::debug!(agent = %welcome.name, region = %welcome.region, "welcome");
        if off >= limits::CLOCK_OFF {
            let clock = if wall > welcome.wall { "fast" } else { "slow" };
            tracing::warn!(%off, clock, "this machine's clock differs from the aggregator's; set it by NTP");
        }
        // What was gathered without haste is of use again.
        self.flush(Moment { tick: clock::tick(), wall });
    }

    /// The schedule has other monitors than before.
    fn take_up_monitors(&mut self) {
        self.monitors.set(self.schedule.specs());
        self.canaries.set(self.monitors.iter());
        self.searches.set(self.monitors.iter(), clock::tick());
    }

    fn assignments_changed(&mut self) {
        self.take_up_monitors();
        let assignments = self.schedule.assignments().collect();
        let _ = self.keep.send(Assigned { revision: self.schedule.revision(), assignments });
        // At once: until the aggregator knows of the revision, this agent has no vote.
        self.tell_health(false);
    }

    fn take(&mut self, entry: Entry, at: Tick, revision: u64) {
        if !entry.is_within_limits() {
            tracing::error!(monitor = %entry.monitor(), "a result is above its bounds and is dropped");
            return;
        }
        let moment = now();
        let circumstances = Circumstances { revision, behind: self.behind };
        let signed = self.signer.push(entry, at, circumstances, moment.tick, moment.wall);
        self.spool(signed);
    }

    fn flush(&mut self, moment: Moment) {
        let signed = self.signer.flush(moment.tick, moment.wall);
        self.spool(signed);
    }

    fn spool(&mut self, signed: Result<Option<Signed>, quorate_proto::codec::CodecError>) {
        match signed {
            Ok(Some(Signed { unit, results, at })) => self.spool.push(&unit, results, at),
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "a batch cannot be signed; its results are lost"),
        }
    }

    fn tell_health(&mut self, regular: bool) {
        let facts = Facts {
            revision: self.schedule.revision(),
            monitors: self.schedule.len(),
            canaries: self.canaries.open(),
            canaries_without: self.canaries.without(),
            spool: self.spool.standing(),
        };
        let doubts = self.judge.reports(clock::tick());
        self.report.send_replace(self.vitals.report(facts, doubts, regular));
    }
}

fn pulse() -> Pulse {
    Pulse { tick: clock::tick(), awake: clock::awake() }
}

/// The moment so long before.
fn before(at: Tick, span: Micros) -> Tick {
    Tick(at.0.saturating_sub(span))
}

fn now() -> Moment {
    let (tick, wall): (Tick, WallMicros) = (clock::tick(), clock::wall());
    Moment { tick, wall }
}
