//! The control stream of one connection: the agent's health in, the core's messages out.

use std::{collections::VecDeque, pin::Pin};

use quinn::{RecvStream, SendStream};
use quorate_proto::{
    AgentKey,
    codec::CodecError,
    frame::{self, AgentControl, AggregatorControl, CloseCode},
    limits::AGENT_CONTROL_FRAME_BYTES_MAX,
};
use tokio::{
    sync::mpsc,
    time::{Sleep, sleep},
};

use super::{
    connection::End,
    wire::{FrameFault, read_next},
};
use crate::{
    clock, limits,
    model::{Intake, Push},
};

/// Hands the agent's reports of health to the core until the connection ends.
pub(super) async fn hear(
    stream: &mut RecvStream,
    agent: AgentKey,
    connection: u64,
    intake: &mpsc::Sender<Intake>,
) -> End {
    loop {
        let frame = read_next(stream, AGENT_CONTROL_FRAME_BYTES_MAX, limits::CONTROL_DEADLINE).await;
        let health = match frame {
            Ok(Some(AgentControl::Health(health))) if health.is_within_limits() => health,
            Ok(Some(AgentControl::Health(_))) => return End::Fault(FrameFault::Unexpected),
            Ok(Some(AgentControl::Hello(_))) => return End::Fault(FrameFault::Unexpected),
            Ok(None) => return End::Fault(FrameFault::Gone),
            Err(fault) => return End::Fault(fault),
        };
        let report = Intake::Health { agent, connection, health, received: clock::now() };
        if intake.send(report).await.is_err() {
            return End::GoingAway;
        }
        sleep(limits::HEALTH_READ_PAUSE.into()).await;
    }
}

/// Sends what the core pushes until the core, or the connection, ends it. A `Close` overtakes all that waits to be
/// sent: whoever is closed for good reason need not read the rest first.
pub(super) async fn push(stream: &mut SendStream, pushes: &mut mpsc::Receiver<Push>) -> End {
    let mut waiting = VecDeque::new();
    let mut sending: Option<Sending> = None;
    loop {
        if sending.is_none()
            && let Some(frame) = waiting.pop_front()
        {
            match encode(frame) {
                Ok(pieces) => sending = Some(Sending::new(pieces)),
                // The agent would be left with a set of assignments that the core believes it has.
                Err(error) => return End::Unencodable(error),
            }
        }
        tokio::select! {
            biased;
            pushed = pushes.recv(), if waiting.len() < limits::PUSHES_MAX => match pushed {
                Some(Push::Send(frame)) => waiting.push_back(frame),
                Some(Push::Close(code)) => return told(code).await,
                None => return End::GoingAway,
            },
            written = write_some(stream, &mut sending), if sending.is_some() => match written {
                Ok(()) => {}
                Err(end) => return end,
            },
        }
    }
}

/// The end that the core wants, once the agent can know why.
async fn told(code: CloseCode) -> End {
    if code == CloseCode::Hostile {
        sleep(limits::HOSTILE_LINGER.into()).await;
    }
    End::Told(code)
}

/// A frame, or what is left of it, on its way.
struct Sending {
    bytes: Vec<u8>,
    sent: usize,
    deadline: Pin<Box<Sleep>>,
}

impl Sending {
    fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, sent: 0, deadline: Box::pin(sleep(limits::CONTROL_DEADLINE.into())) }
    }
}

/// Writes as much as the agent takes at once. Safe to cancel: what is written is noted in the same poll.
async fn write_some(stream: &mut SendStream, sending: &mut Option<Sending>) -> Result<(), End> {
    let Some(frame) = sending else { return Ok(()) };
    let left = frame.bytes.get(frame.sent..).unwrap_or_default();
    tokio::select! {
        biased;
        written = stream.write(left) => match written {
            Ok(written) => frame.sent += written,
            Err(_) => return Err(End::Fault(FrameFault::Gone)),
        },
        () = frame.deadline.as_mut() => return Err(End::Fault(FrameFault::Slow)),
    }
    if frame.sent >= frame.bytes.len() {
        *sending = None;
    }
    Ok(())
}

/// Encodes a push; a set of assignments that is too large for one frame becomes several.
fn encode(push: AggregatorControl) -> Result<Vec<u8>, CodecError> {
    match frame::encode(&push, limits::PUSH_FRAME_BYTES_MAX) {
        Err(CodecError::TooLarge { bytes, bytes_max }) => {
            let (front, back) = split(push).ok_or(CodecError::TooLarge { bytes, bytes_max })?;
            let mut bytes = encode(front)?;
            bytes.extend(encode(back)?);
            Ok(bytes)
        }
        other => other,
    }
}

/// Two halves that mean the same as the whole, one after the other.
fn split(push: AggregatorControl) -> Option<(AggregatorControl, AggregatorControl)> {
    match push {
        AggregatorControl::Assign { revision, mut assignments, first, last } if assignments.len() > 1 => {
            let back = assignments.split_off(assignments.len() / 2);
            Some((
                AggregatorControl::Assign { revision, assignments, first, last: false },
                AggregatorControl::Assign { revision, assignments: back, first: false, last },
            ))
        }
        AggregatorControl::Change { revision, mut changed, removed, last } if changed.len() > 1 => {
            let back = changed.split_off(changed.len() / 2);
            Some((
                AggregatorControl::Change { revision, changed, removed, last: false },
                AggregatorControl::Change { revision, changed: back, removed: Vec::new(), last },
            ))
        }
        AggregatorControl::Assign { .. }
        | AggregatorControl::Change { .. }
        | AggregatorControl::Welcome(_)
        | AggregatorControl::Confirm { .. }
        | AggregatorControl::Revoke
        | AggregatorControl::Controls(_) => None,
    }
}
