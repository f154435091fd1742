//! A `quorate-join/1` connection: one request, one reply. The secret is compared by the core, in constant time.

use quinn::{Connection, SendStream};
use quorate_proto::{
    AgentKey, Micros,
    frame::{CloseCode, JoinReply, JoinRequest},
    limits::{JOIN_FRAME_BYTES_MAX, SOFTWARE_BYTES_MAX},
};
use tokio::{sync::oneshot, time::timeout};

use super::{
    Shared,
    wire::{FrameFault, SendFault, close_code, read_only, send},
};
use crate::{clock, limits, model::Intake};

/// How a dialogue that came to no answer ended.
enum Failure {
    Frame(FrameFault),
    /// The core ends, or took too long.
    NoAnswer,
    /// The agent did not take its answer, or went away.
    Gone,
}

/// Serves one joining agent.
pub(super) async fn serve(shared: &Shared, connection: &Connection, agent: AgentKey) {
    let remote = connection.remote_address();
    let Ok(_permit) = shared.joins.try_acquire() else {
        shared.counts.joined("failed");
        connection.close(close_code(CloseCode::GoingAway), b"too many join at once; try again");
        return;
    };
    let dialogue = timeout(limits::JOIN_DEADLINE.into(), dialogue(shared, connection, agent));
    let outcome = tokio::select! {
        outcome = dialogue => outcome.unwrap_or(Err(Failure::Frame(FrameFault::Slow))),
        () = shared.cancel.cancelled() => Err(Failure::NoAnswer),
    };
    let code = match outcome {
        Ok(JoinReply::Enrolled { name, region }) => {
            shared.counts.joined("enrolled");
            tracing::info!(%remote, agent = %name, %region, key = %agent, "an agent joined");
            CloseCode::GoingAway
        }
        Ok(JoinReply::Refused) => {
            shared.counts.joined("refused");
            if let Some(suppressed) = shared.ration.take(clock::now()) {
                tracing::warn!(%remote, key = %agent, suppressed, "a join was refused: token unknown, used or expired");
            }
            CloseCode::GoingAway
        }
        Err(failure) => fail(shared, remote, &failure),
    };
    connection.close(close_code(code), b"");
}

async fn dialogue(shared: &Shared, connection: &Connection, agent: AgentKey) -> Result<JoinReply, Failure> {
    let (mut answer, mut stream) = connection.accept_bi().await.map_err(|_| Failure::Gone)?;
    let request: JoinRequest =
        read_only(&mut stream, JOIN_FRAME_BYTES_MAX, limits::JOIN_DEADLINE).await.map_err(Failure::Frame)?;
    if request.software.len() > SOFTWARE_BYTES_MAX {
        return Err(Failure::Frame(FrameFault::Unexpected));
    }
    let (reply, decided) = oneshot::channel();
    let joining = Intake::Join { agent, request, reply };
    shared.intake.send(joining).await.map_err(|_| Failure::NoAnswer)?;
    let reply = decided.await.map_err(|_| Failure::NoAnswer)?;
    deliver(&mut answer, &reply).await?;
    Ok(reply)
}

/// Sends the reply and waits until the agent has it: closing the connection would overtake it.
async fn deliver(stream: &mut SendStream, reply: &JoinReply) -> Result<(), Failure> {
    const DEADLINE: Micros = limits::CONTROL_DEADLINE;
    send(stream, reply, JOIN_FRAME_BYTES_MAX, DEADLINE).await.map_err(|fault| match fault {
        SendFault::Slow => Failure::Frame(FrameFault::Slow),
        SendFault::Gone | SendFault::Encode(_) => Failure::Gone,
    })?;
    stream.finish().map_err(|_| Failure::Gone)?;
    // An agent that closes the connection because it has what it wanted has it, too.
    let _ = stream.stopped().await;
    Ok(())
}

fn fail(shared: &Shared, remote: std::net::SocketAddr, failure: &Failure) -> CloseCode {
    shared.counts.joined("failed");
    let (code, name, reason) = match failure {
        Failure::NoAnswer => (CloseCode::GoingAway, None, "the core gave no answer".to_owned()),
        Failure::Gone | Failure::Frame(FrameFault::Gone) => {
            (CloseCode::GoingAway, None, "the agent went away".to_owned())
        }
        Failure::Frame(fault @ FrameFault::Slow) => (CloseCode::TooSlow, fault.name(), fault.to_string()),
        Failure::Frame(fault @ (FrameFault::Truncated | FrameFault::Unexpected | FrameFault::Frame(_))) => {
            (CloseCode::Hostile, fault.name(), fault.to_string())
        }
    };
    if let Some(name) = name {
        shared.counts.frame_refused(name);
    }
    if let Some(suppressed) = shared.ration.take(clock::now()) {
        tracing::info!(%remote, reason, suppressed, "a join came to nothing");
    }
    code
}
