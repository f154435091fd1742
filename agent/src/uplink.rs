//! The agent's line to its aggregator: joins once, then stays connected, sends what the spool holds, and passes on what
//! the aggregator wants.
//!
//! The aggregator is known by its key, never by its address: a server with another key is left within the TLS
//! handshake, before anything was said to it. Whatever else goes wrong is tried again, with full jitter, for ever; only a
//! key that the aggregator does not admit ends it.

mod assembly;
mod backoff;
mod dial;
mod flow;
mod join;
mod session;
mod tls;
mod uploads;
mod wire;

use std::sync::Arc;

use quorate_proto::{
    AggregatorKey, Assignment, BootEpoch, Controls, MonitorId, SigningKey,
    frame::{ALPN, CloseCode, Health, Welcome},
};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use self::{
    backoff::Backoff,
    dial::Dialer,
    session::{End, Session},
};
pub use self::{
    dial::DialError,
    join::{JoinError, Joined, join},
    wire::WireFault,
};
use crate::{clock, limits, spool::Parcels};

/// A simulated UDP socket.
#[cfg(feature = "simulation")]
pub type Datagrams = Arc<dyn quinn::AsyncUdpSocket>;

/// What the stage needs.
#[derive(Clone, Debug)]
pub struct Options {
    /// The key that the aggregator must have.
    pub aggregator: AggregatorKey,
    /// Where it listens: `host:port`.
    pub address: String,
    /// The agent's key: its identity.
    pub key: Arc<SigningKey>,
    /// The program and its version, such as `quorate-agent 0.1.0`.
    pub software: String,
    /// This start of the agent.
    pub epoch: BootEpoch,
    /// The revision of the assignments that the agent still has, or 0.
    pub revision: u64,
}

/// What the aggregator wants, and how the line stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Connected and admitted.
    Welcome(Welcome),
    /// A full set of assignments: it replaces all that was assigned before.
    Assigned {
        /// Its revision.
        revision: u64,
        /// The set.
        assignments: Vec<Assignment>,
    },
    /// A change of the set.
    Changed {
        /// The revision that results.
        revision: u64,
        /// Monitors that are new or different.
        changed: Vec<Assignment>,
        /// Monitors that are gone.
        removed: Vec<MonitorId>,
    },
    /// Check this monitor now.
    Confirm {
        /// Which monitor.
        monitor: MonitorId,
        /// The number of the request.
        request: u64,
    },
    /// What to look at to see whether the agent is the fault itself; replaces what was said before.
    Controls(Controls),
    /// The connection is lost; another one is tried.
    Disconnected,
    /// The aggregator does not admit this agent. The uplink ends.
    Revoked,
}

/// Why the uplink ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum UplinkError {
    /// The aggregator does not admit this agent's key.
    #[error(
        "the aggregator at {address} does not admit this agent (key {key}): it was revoked or never enrolled there; \
         to enrol it anew, run `quorate agents add` on the aggregator's side and start with the join string it prints"
    )]
    Refused {
        /// The aggregator's address.
        address: String,
        /// The agent's key.
        key: quorate_proto::AgentKey,
    },
    /// The agent's key cannot be used for TLS.
    #[error("this agent's key cannot be used for TLS: {0}")]
    Key(rustls::Error),
}

/// Keeps the line until cancelled. The first attempt is made at once; later ones wait.
///
/// # Errors
/// [`UplinkError`] where trying again makes no sense. [`Event::Revoked`] was sent before [`UplinkError::Refused`].
pub async fn run(
    options: Options,
    mut parcels: Parcels,
    mut health: watch::Receiver<Health>,
    events: mpsc::Sender<Event>,
    cancel: CancellationToken,
) -> Result<(), UplinkError> {
    let dialer = Dialer::new(options.aggregator, options.address.clone(), &options.key, ALPN)
        .map_err(UplinkError::Key)?;
    let mut backoff = Backoff::default();
    let mut revision = options.revision;
    loop {
        let started = clock::tick();
        let session = Session {
            options: &options,
            revision: &mut revision,
            parcels: &mut parcels,
            health: &mut health,
            events: &events,
            cancel: &cancel,
        };
        let end = match dial(&dialer, &cancel).await {
            Some(Ok(line)) => session.talk(line).await,
            Some(Err(error)) => End::NotConnected(error),
            None => End::Cancelled,
        };
        match &end {
            End::Cancelled => return Ok(()),
            End::Refused => {
                let _ = events.send(Event::Revoked).await;
                let (address, key) = (options.address.clone(), options.key.agent_key());
                return Err(UplinkError::Refused { address, key });
            }
            End::Lost { welcomed, code, .. } => {
                let lived = clock::tick().since(started);
                if *welcomed && lived >= limits::UPLINK_SETTLED_AFTER && !is_our_fault(*code) {
                    backoff = Backoff::default();
                }
                if *welcomed && events.send(Event::Disconnected).await.is_err() {
                    return Ok(());
                }
            }
            End::NotConnected(_) => {}
        }
        let delay = backoff.next(fastrand::f64());
        end.log(&options.address, delay);
        parcels.rewind();
        if cancel.run_until_cancelled(tokio::time::sleep(delay.into())).await.is_none() {
            return Ok(());
        }
    }
}

async fn dial(dialer: &Dialer, cancel: &CancellationToken) -> Option<Result<dial::Line, DialError>> {
    cancel.run_until_cancelled(dialer.dial()).await
}

/// Whether reconnecting quickly would only do it again.
fn is_our_fault(code: Option<CloseCode>) -> bool {
    match code {
        Some(CloseCode::Hostile | CloseCode::Superseded | CloseCode::TooSlow) => true,
        Some(CloseCode::GoingAway | CloseCode::Revoked) | None => false,
    }
}
