//! The agent as a whole: wires schedule, probe, signer, spool and uplink, and runs them on one thread.
//!
//! There is one owner: `Agent` has all state, this loop waits for whatever happens next, and a plain method applies it.
//! Checks are tasks beside it; the spool's disk has a thread of its own.

mod agent;
mod canaries;
mod checks;
mod controls;
mod descriptors;
mod monitors;
mod searches;
#[cfg(test)]
mod tests;

use std::{io, sync::Arc, time::Duration};

use quorate_proto::{Controls, Micros, monitor::Proxy};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use self::{agent::Agent, canaries::Canaries, controls::Looks};
use crate::{
    clock,
    egress::Egress,
    limits,
    probe::{self, Nameservers, Prober, ProberError},
    spool::{self, SpoolError},
    state::{Assigned, AssignmentsFile, State, StateError},
    uplink::{self, UplinkError},
};

/// The program and its version, as the aggregator is told.
pub const SOFTWARE: &str = concat!("quorate-agent ", env!("CARGO_PKG_VERSION"));

/// What an agent has to know.
#[derive(Debug)]
pub struct Options {
    /// The state folder, open, and enrolled.
    pub state: State,
    /// Which addresses may be probed.
    pub egress: Egress,
    /// Who is asked for addresses of servers.
    pub nameservers: Nameservers,
    /// The proxy that checks go through where the monitor names none. The uplink does not: it is QUIC.
    pub proxy: Option<Proxy>,
    /// What to look at to see whether the agent is the fault itself; none: what the aggregator says.
    pub controls: Option<Controls>,
    /// Bytes of the spool on disk: see [`spool::Options::bytes_max`].
    pub spool_bytes_max: u64,
}

/// Why an agent does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It never joined an aggregator.
    #[error("this agent has not joined an aggregator yet")]
    NotEnrolled,
    /// The aggregator does not admit it, and will not: its assignments are forgotten.
    #[error(transparent)]
    Revoked(UplinkError),
    /// The uplink cannot work.
    #[error(transparent)]
    Uplink(UplinkError),
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The spool cannot be opened.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The probe cannot work.
    #[error(transparent)]
    Prober(#[from] ProberError),
    /// A task of the agent ended in a panic.
    #[error("a part of the agent failed: {0}")]
    Task(#[from] io::Error),
}

/// Runs an agent until it is cancelled, or until its aggregator does not want it any more. Needs a tokio runtime with
/// timer and I/O; a current-thread runtime of its own is best, because the agent measures delays of its event loop.
///
/// When cancelled it starts no more checks, signs what it has, gives the uplink [`limits::DRAIN_WITHIN`] to send it,
/// and syncs the rest to disk.
///
/// # Errors
/// Any [`RunError`].
pub async fn run(options: Options, cancel: CancellationToken) -> Result<(), RunError> {
    let Options { state, egress, nameservers, proxy, controls, spool_bytes_max } = options;
    let enrolment = state.enrolment().cloned().ok_or(RunError::NotEnrolled)?;
    let region = Some(enrolment.region.clone());
    let prober = Prober::new(probe::Options { egress, region, nameservers, proxy })?;
    let epoch = state.next_epoch(clock::wall())?;
    let (spool, parcels) = spool::open(spool::Options {
        folder: state.spool_folder(),
        bytes_max: spool_bytes_max,
        key: Arc::clone(state.key()),
        aggregator: enrolment.aggregator,
    })?;
    let assigned = state.assigned();
    let uplink_options = uplink::Options {
        aggregator: enrolment.aggregator,
        address: enrolment.address.clone(),
        key: Arc::clone(state.key()),
        software: SOFTWARE.into(),
        epoch,
        revision: assigned.revision,
    };
    tracing::info!(
        agent = %enrolment.name, region = %enrolment.region, key = %state.key().agent_key(),
        aggregator = %enrolment.address, epoch = epoch.0, monitors = assigned.assignments.len(),
        spooled = spool.standing().units, "the agent starts"
    );

    let (keep, kept) = watch::channel(Assigned::default());
    let keeper = tokio::spawn(keep_assignments(state.assignments_file(), kept));
    let (report, health) = watch::channel(Default::default());
    let (send, mut events) = mpsc::channel(limits::EVENTS_WAITING_MAX);
    let hang_up = CancellationToken::new();
    let uplink = tokio::spawn(uplink::run(uplink_options, parcels, health, send, hang_up.clone()));
    let signer = crate::sign::Signer::new(Arc::clone(state.key()), enrolment.aggregator, epoch);
    let prober = Arc::new(prober);
    let canaries = Canaries::new(Arc::clone(&prober), descriptors::places_for_canaries());
    let looks = Looks::new(Arc::clone(&prober), controls, clock::tick());
    let mut agent = Agent::new(signer, spool, &prober, canaries, looks, report, keep, assigned);

    let mut running = Running { uplink, hang_up };
    let ended = work(&mut agent, &mut events, &mut running.uplink, &cancel).await;
    let outcome = match ended {
        Some(outcome) => {
            agent.stop().await;
            outcome
        }
        None => running.stop(&mut agent).await,
    };
    let written = agent.close().await;
    let _ = timeout(limits::STOP_WITHIN.into(), keeper).await;
    if matches!(outcome, Err(RunError::Revoked(_)))
        && let Err(error) = state.revoke()
    {
        tracing::warn!(%error, "that the agent is revoked cannot be written down");
    }
    if !written {
        tracing::warn!("results that were not acknowledged could not be written to the spool and are lost");
    }
    tracing::info!("the agent has stopped");
    outcome
}

struct Running {
    uplink: JoinHandle<Result<(), UplinkError>>,
    hang_up: CancellationToken,
}

impl Running {
    /// A graceful stop: last results are signed and sent, then the line is closed.
    async fn stop(self, agent: &mut Agent) -> Result<(), RunError> {
        agent.stop().await;
        if agent.is_connected() {
            let _ = timeout(limits::DRAIN_WITHIN.into(), agent.drained()).await;
        }
        self.hang_up.cancel();
        match timeout(limits::STOP_WITHIN.into(), self.uplink).await {
            Ok(ended) => uplink_outcome(ended),
            Err(_) => Ok(()),
        }
    }
}

/// Runs until cancelled (none), or until the uplink ended by itself.
async fn work(
    agent: &mut Agent,
    events: &mut mpsc::Receiver<uplink::Event>,
    uplink: &mut JoinHandle<Result<(), UplinkError>>,
    cancel: &CancellationToken,
) -> Option<Result<(), RunError>> {
    let mut beat = interval(limits::BEAT.into());
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let wait = agent.step();
        tokio::select! {
            () = cancel.cancelled() => return None,
            ended = &mut *uplink => return Some(uplink_outcome(ended)),
            Some(event) = events.recv() => agent.handle_event(event),
            finished = agent.checks.next() => agent.handle_finished(finished),
            report = agent.canaries.next() => agent.handle_report(report),
            found = agent.searches.next() => agent.handle_found(found),
            _ = agent.looks.next() => agent.look_at_controls(),
            _ = beat.tick() => agent.handle_beat(),
            () = sleep(wait.map_or(Duration::MAX, Duration::from)), if wait.is_some() => {}
        }
    }
}

fn uplink_outcome(ended: Result<Result<(), UplinkError>, tokio::task::JoinError>) -> Result<(), RunError> {
    match ended {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error @ UplinkError::Refused { .. })) => Err(RunError::Revoked(error)),
        Ok(Err(error @ UplinkError::Key(_))) => Err(RunError::Uplink(error)),
        Err(error) => Err(RunError::Task(error.into())),
    }
}

/// Writes assignments down as they change, the latest where they change faster than the disk takes them.
async fn keep_assignments(file: AssignmentsFile, mut kept: watch::Receiver<Assigned>) {
    while kept.changed().await.is_ok() {
        let assigned = kept.borrow_and_update().clone();
        let file = file.clone();
        #[cfg(feature = "simulation")]
        if crate::simulation::world().is_some() {
            let _ = file.keep(&assigned);
            continue;
        }
        let write = tokio::task::spawn_blocking(move || file.keep(&assigned));
        match write.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "assignments cannot be written down"),
            Err(error) => tracing::error!(%error, "writing assignments down failed"),
        }
    }
}

/// The shorter of two waits, where there is one.
fn sooner(one: Option<Micros>, other: Option<Micros>) -> Option<Micros> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
