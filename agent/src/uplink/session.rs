//! One connection, from our first words to its end.

use quinn::{Connection, RecvStream};
use quorate_proto::{
    Micros,
    frame::{AgentControl, AggregatorControl, CloseCode, Health, Hello, Welcome},
    limits::{
        AGENT_CONTROL_FRAME_BYTES_MAX, AGGREGATOR_CONTROL_FRAME_BYTES_MAX, HEALTH_INTERVAL,
        SOFTWARE_BYTES_MAX,
    },
    outcome::cut,
};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Event, Options,
    assembly::{Assembly, Breach, Step},
    dial::{DialError, Line},
    uploads,
    wire::{Meaning, Outgoing, WireFault, meaning, read_sized},
};
use crate::{clock, limits, spool::Parcels};

/// What a connection works with.
pub(super) struct Session<'a> {
    pub(super) options: &'a Options,
    /// The revision of the assignments in force; moves with what comes.
    pub(super) revision: &'a mut u64,
    pub(super) parcels: &'a mut Parcels,
    pub(super) health: &'a mut watch::Receiver<Health>,
    pub(super) events: &'a mpsc::Sender<Event>,
    pub(super) cancel: &'a CancellationToken,
}

/// How an attempt to have a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// The agent ends.
    Cancelled,
    /// The aggregator does not admit this agent.
    Refused,
    /// There was no connection.
    NotConnected(DialError),
    /// There was one.
    Lost {
        /// Whether the aggregator had said welcome.
        welcomed: bool,
        /// The code with which the aggregator closed it.
        code: Option<CloseCode>,
        /// Why, for the log.
        reason: String,
    },
}

/// Why a conversation stopped.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    #[error("the agent ends")]
    Cancelled,
    #[error("revoked")]
    Revoked,
    #[error("{0}")]
    Fault(#[from] WireFault),
    #[error("the aggregator broke the protocol: {0}")]
    Breach(#[from] Breach),
}

impl Session<'_> {
    /// Talks until the connection ends or the agent does.
    pub(super) async fn talk(self, line: Line) -> End {
        let cancel = self.cancel;
        let mut welcomed = false;
        let stop = {
            let conversation = self.converse(&line.connection, &mut welcomed);
            tokio::select! {
                stop = conversation => stop,
                () = cancel.cancelled() => Stop::Cancelled,
            }
        };
        let closed = line.connection.close_reason();
        line.hang_up(limits::HANG_UP_DEADLINE).await;
        if matches!(stop, Stop::Cancelled) {
            return End::Cancelled;
        }
        let code = match closed.as_ref().map(meaning) {
            Some(Meaning::Refused) => return End::Refused,
            Some(Meaning::Closed(code)) => Some(code),
            Some(Meaning::Lost) | None => None,
        };
        if matches!(stop, Stop::Revoked) {
            return End::Refused;
        }
        let reason = match (&stop, closed) {
            // QUIC knows more than the stream that noticed it.
            (Stop::Fault(WireFault::Gone), Some(error)) => error.to_string(),
            _ => stop.to_string(),
        };
        End::Lost { welcomed, code, reason }
    }

    async fn converse(self, connection: &Connection, welcomed: &mut bool) -> Stop {
        let Self { options, revision, parcels, health, events, .. } = self;
        let greeting = timeout(limits::WELCOME_DEADLINE.into(), greet(connection, options, *revision));
        let (mut send, mut receive, welcome) = match greeting.await {
            Ok(Ok(greeting)) => greeting,
            Ok(Err(stop)) => return stop,
            Err(_) => return Stop::Fault(WireFault::Slow),
        };
        *welcomed = true;
        tracing::info!(name = %welcome.name, region = %welcome.region, address = %options.address, "connected");
        if events.send(Event::Welcome(welcome)).await.is_err() {
            return Stop::Cancelled;
        }
        parcels.rewind();
        tokio::select! {
            stop = hear(&mut receive, revision, events) => stop,
            stop = report(&mut send, health) => stop,
            stop = uploads::send(connection, parcels) => stop,
            _ = connection.closed() => Stop::Fault(WireFault::Gone),
        }
    }
}

impl End {
    /// One line for the operator.
    pub(super) fn log(&self, address: &str, delay: Micros) {
        match self {
            Self::Cancelled | Self::Refused => {}
            Self::NotConnected(error) => {
                tracing::warn!(%address, %error, retry_in = %delay, "not connected");
            }
            Self::Lost { code: Some(CloseCode::Superseded), .. } => tracing::warn!(
                %address, retry_in = %delay,
                "another process runs with this agent's key: every agent needs a state folder of its own"
            ),
            Self::Lost { code: Some(CloseCode::Hostile), .. } => tracing::warn!(
                %address, retry_in = %delay,
                "the aggregator takes what this agent sends for hostile; its log says why"
            ),
            Self::Lost { reason, .. } => {
                tracing::warn!(%address, reason, retry_in = %delay, "connection lost")
            }
        }
    }
}

/// Says hello and waits for the welcome: a connection without it may yet be refused.
async fn greet(
    connection: &Connection,
    options: &Options,
    revision: u64,
) -> Result<(Outgoing, RecvStream, Welcome), Stop> {
    let (send, mut receive) = connection.open_bi().await.map_err(|_| WireFault::Gone)?;
    let mut send = Outgoing::ahead(send);
    let software = cut(options.software.clone(), SOFTWARE_BYTES_MAX);
    let hello = AgentControl::Hello(Hello { software, epoch: options.epoch, revision });
    send.send(&hello, AGENT_CONTROL_FRAME_BYTES_MAX, limits::WELCOME_DEADLINE).await?;
    match read_sized(&mut receive, AGGREGATOR_CONTROL_FRAME_BYTES_MAX).await?.0 {
        AggregatorControl::Welcome(welcome) => Ok((send, receive, welcome)),
        AggregatorControl::Revoke => Err(Stop::Revoked),
        AggregatorControl::Assign { .. }
        | AggregatorControl::Change { .. }
        | AggregatorControl::Confirm { .. }
        | AggregatorControl::Controls(_) => Err(Breach::Order.into()),
    }
}

/// Passes on what the aggregator wants.
async fn hear(receive: &mut RecvStream, revision: &mut u64, events: &mpsc::Sender<Event>) -> Stop {
    let mut assembly = Assembly::default();
    loop {
        let (frame, bytes) = match read_sized(receive, AGGREGATOR_CONTROL_FRAME_BYTES_MAX).await {
            Ok(read) => read,
            Err(fault) => return fault.into(),
        };
        let event = match assembly.take(frame, bytes) {
            Ok(Step::Event(event)) => event,
            Ok(Step::More) => continue,
            Ok(Step::Revoked) => return Stop::Revoked,
            Err(breach) => return breach.into(),
        };
        match &event {
            Event::Assigned { revision: new, .. } | Event::Changed { revision: new, .. } => *revision = *new,
            Event::Welcome(_)
            | Event::Confirm { .. }
            | Event::Controls(_)
            | Event::Disconnected
            | Event::Revoked => {}
        }
        if events.send(event).await.is_err() {
            return Stop::Cancelled;
        }
    }
}

/// Reports health at once, then whenever it changes, and at the latest every [`HEALTH_INTERVAL`].
async fn report(send: &mut Outgoing, health: &mut watch::Receiver<Health>) -> Stop {
    loop {
        let report = AgentControl::Health(health.borrow_and_update().clone());
        if let Err(fault) = send.send(&report, AGENT_CONTROL_FRAME_BYTES_MAX, limits::REPORT_DEADLINE).await {
            return fault.into();
        }
        let sent = clock::tick();
        sleep(limits::HEALTH_GAP_MIN.into()).await;
        let changed = async {
            if health.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let left = HEALTH_INTERVAL.saturating_sub(clock::tick().since(sent));
        let _ = timeout(left.into(), changed).await;
    }
}
