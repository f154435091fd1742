//! One enrolled agent's connection, from its first words to its end.

use std::{net::SocketAddr, sync::atomic::Ordering};

use quinn::{Connection, ConnectionError, RecvStream, SendStream};
use quorate_proto::{
    AgentKey, AgentName, Refusal,
    codec::CodecError,
    frame::{AgentControl, AggregatorControl, CloseCode, Hello, Welcome},
    limits::{AGENT_CONTROL_FRAME_BYTES_MAX, SOFTWARE_BYTES_MAX},
};
use tokio::{
    sync::mpsc,
    time::{interval, timeout},
};

use super::{
    Shared, control, uploads,
    wire::{FrameFault, SendFault, close_code, read_one, send},
};
use crate::{
    clock, limits,
    model::{AgentRecord, Intake, Push},
};

/// Why a connection ends.
#[derive(Debug)]
pub(super) enum End {
    /// QUIC says so.
    Lost(ConnectionError),
    /// The core says so.
    Told(CloseCode),
    /// The agent is not in the roster.
    Revoked,
    /// The aggregator ends.
    GoingAway,
    /// The agent sent what is not a frame, or not the one to come, or not in time.
    Fault(FrameFault),
    /// The agent sent a unit that is not its own, or not for here.
    Refused(Refusal),
    /// The core pushed what cannot be sent.
    Unencodable(CodecError),
}

impl End {
    /// The code with which the connection is closed.
    fn code(&self) -> CloseCode {
        match self {
            Self::Lost(_) | Self::GoingAway | Self::Unencodable(_) | Self::Fault(FrameFault::Gone) => {
                CloseCode::GoingAway
            }
            Self::Told(code) => *code,
            Self::Revoked => CloseCode::Revoked,
            Self::Fault(FrameFault::Slow) => CloseCode::TooSlow,
            Self::Fault(FrameFault::Truncated | FrameFault::Unexpected | FrameFault::Frame(_))
            | Self::Refused(_) => CloseCode::Hostile,
        }
    }

    /// The stable name, for a metric's label.
    fn name(&self) -> &'static str {
        match self {
            Self::Lost(_) | Self::Fault(FrameFault::Gone) => "lost",
            Self::GoingAway
            | Self::Unencodable(_)
            | Self::Told(_)
            | Self::Revoked
            | Self::Fault(_)
            | Self::Refused(_) => match self.code() {
                CloseCode::GoingAway => "going_away",
                CloseCode::Revoked => "revoked",
                CloseCode::Hostile => "hostile",
                CloseCode::Superseded => "superseded",
                CloseCode::TooSlow => "too_slow",
            },
        }
    }
}

/// Serves one connection of `agent`, whose key TLS has proven.
pub(super) async fn serve(shared: &Shared, connection: Connection, agent: AgentKey) {
    let remote = connection.remote_address();
    let Some(record) = shared.roster.load().agents.get(&agent).cloned() else {
        shared.counts.handshake_refused("unknown_key");
        if let Some(suppressed) = shared.ration.take(clock::now()) {
            tracing::info!(%remote, key = %agent, suppressed, "a key that is not enrolled was refused");
        }
        connection.close(close_code(CloseCode::Revoked), b"not enrolled");
        return;
    };
    shared.counts.opened();
    let end = talk(shared, &connection, &record).await;
    connection.close(close_code(end.code()), b"");
    shared.counts.ended(end.name());
    report(shared, &record.name, remote, &end);
}

async fn talk(shared: &Shared, connection: &Connection, record: &AgentRecord) -> End {
    let agent = record.key;
    let greeting = greeting(connection);
    let (mut send_stream, mut receive_stream, hello) = tokio::select! {
        greeting = timeout(limits::HELLO_DEADLINE.into(), greeting) => match greeting {
            Ok(Ok(greeting)) => greeting,
            Ok(Err(end)) => return end,
            Err(_) => return End::Fault(FrameFault::Slow),
        },
        end = watch_roster(shared, agent) => return end,
    };
    let number = shared.numbers.fetch_add(1, Ordering::Relaxed) + 1;
    let (push, mut pushes) = mpsc::channel(limits::PUSHES_MAX);
    let remote = connection.remote_address();
    tracing::info!(agent = %record.name, %remote, software = %printable(&hello.software), "agent connected");
    let connected = Intake::Connected { agent, connection: number, hello, remote, push };
    if shared.intake.send(connected).await.is_err() {
        return End::GoingAway;
    }
    let end = tokio::select! {
        end = converse(&mut send_stream, &mut pushes, record) => end,
        end = control::hear(&mut receive_stream, agent, number, &shared.intake) => end,
        end = uploads::receive(shared, connection, agent, number) => end,
        end = watch_roster(shared, agent) => end,
        error = connection.closed() => End::Lost(error),
        () = shared.cancel.cancelled() => End::GoingAway,
    };
    // The reason why QUIC ended is more telling than the stream that noticed it first.
    let end = match connection.close_reason() {
        Some(error) if matches!(end, End::Fault(FrameFault::Gone)) => End::Lost(error),
        Some(_) | None => end,
    };
    connection.close(close_code(end.code()), b"");
    // The core may be gone already, and then needs not be told.
    let _ = shared.intake.send(Intake::Disconnected { agent, connection: number }).await;
    end
}

/// Waits for the control stream and the first words on it.
async fn greeting(connection: &Connection) -> Result<(SendStream, RecvStream, Hello), End> {
    let (send, mut receive) = connection.accept_bi().await.map_err(End::Lost)?;
    match read_one(&mut receive, AGENT_CONTROL_FRAME_BYTES_MAX).await.map_err(End::Fault)? {
        AgentControl::Hello(hello) if hello.software.len() <= SOFTWARE_BYTES_MAX => {
            Ok((send, receive, hello))
        }
        AgentControl::Hello(_) | AgentControl::Health(_) => Err(End::Fault(FrameFault::Unexpected)),
    }
}

/// Welcomes the agent, and from then on sends what the core pushes.
async fn converse(stream: &mut SendStream, pushes: &mut mpsc::Receiver<Push>, record: &AgentRecord) -> End {
    let welcome = AggregatorControl::Welcome(Welcome {
        name: record.name.clone(),
        region: record.region.clone(),
        wall: clock::wall(),
    });
    match send(stream, &welcome, limits::PUSH_FRAME_BYTES_MAX, limits::CONTROL_DEADLINE).await {
        Ok(()) => control::push(stream, pushes).await,
        Err(SendFault::Slow) => End::Fault(FrameFault::Slow),
        Err(SendFault::Gone) => End::Fault(FrameFault::Gone),
        Err(SendFault::Encode(error)) => End::Unencodable(error),
    }
}

/// Ends when the agent is not enrolled any more.
async fn watch_roster(shared: &Shared, agent: AgentKey) -> End {
    let mut looks = interval(limits::ROSTER_LOOK_INTERVAL.into());
    loop {
        looks.tick().await;
        if !shared.roster.load().agents.contains_key(&agent) {
            return End::Revoked;
        }
    }
}

/// Counts and logs how a connection ended.
fn report(shared: &Shared, agent: &AgentName, remote: SocketAddr, end: &End) {
    match end {
        End::Fault(fault) => {
            let Some(name) = fault.name() else {
                tracing::info!(%agent, %remote, "agent disconnected");
                return;
            };
            shared.counts.frame_refused(name);
            if let Some(suppressed) = shared.ration.take(clock::now()) {
                tracing::warn!(%agent, %remote, reason = %fault, suppressed, "agent broke the protocol; connection closed");
            }
        }
        End::Refused(refusal) => {
            shared.counts.unit_refused(refusal.name());
            if let Some(suppressed) = shared.ration.take(clock::now()) {
                tracing::warn!(
                    %agent, %remote, reason = %refusal, suppressed, "agent sent a unit that is refused; connection closed"
                );
            }
        }
        End::Unencodable(error) => {
            tracing::error!(%agent, %error, "a push to an agent cannot be sent; connection closed");
        }
        End::Lost(error) => tracing::info!(%agent, %remote, reason = %error, "agent disconnected"),
        End::Told(_) | End::Revoked | End::GoingAway => {
            tracing::info!(%agent, %remote, reason = end.name(), "agent's connection closed");
        }
    }
}

/// A text of an agent's, fit for a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
