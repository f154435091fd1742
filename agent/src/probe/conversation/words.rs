//! What a conversation says of itself where it comes to no good end: what was missing, for how long, and what came instead.

use quorate_proto::{Failure, FailureKind, Micros, Phase};

use super::{
    super::script::{Act, Awaited, Flow},
    Conversation, State, Wrong,
    waiting::Excess,
};
use crate::clock::Tick;

impl Conversation {
    /// The failure of having waited until a deadline that stands around all of this.
    pub(crate) fn overdue(&self, now: Tick, span: Micros) -> Failure {
        if let State::Failed(failure) = &self.state {
            return Failure::clone(failure);
        }
        let (kind, detail) = self.late(now, span);
        Failure::new(kind, Phase::Exchange, detail)
    }

    /// Where it stands, for the failure of a connection that ends: what was missing, and what came.
    pub(crate) fn standing(&self) -> String {
        format!("{} before, {}", self.missing(), self.waiting.came(&self.values))
    }

    /// What is wrong where the step has waited for a span, and the time is over.
    pub(super) fn late(&self, now: Tick, span: Micros) -> Wrong {
        let instead = self.waiting.came(&self.values);
        match (&self.state, self.act(&self.script)) {
            (State::Streaming { came, last, .. }, Some(Act::Stream(flow))) if !self.is_sending => {
                let ago = now.since(*last);
                let so_far = match (came, self.is_listening) {
                    (0, _) => "none had come".to_owned(),
                    (came, true) => format!("{came} had come"),
                    (came, false) => format!("{came} of {} had come", flow.messages),
                };
                let missing = self.missing();
                let every = flow.every;
                let detail = match ago < every {
                    // Not the stream is late, but the check with all that it wants of it.
                    true => format!("{so_far} within {span}, the last {ago} ago, {instead}"),
                    false => {
                        format!("{missing} for {ago}, where one is due every {every}; {so_far}, {instead}")
                    }
                };
                (FailureKind::StreamStale, detail)
            }
            _ => (FailureKind::ReplyTimeout, format!("{} within {span}, {instead}", self.missing())),
        }
    }

    /// What did not happen, as a clause.
    fn missing(&self) -> String {
        let wanted = match (&self.state, self.act(&self.script)) {
            _ if self.is_sending => return "the server did not take our message".to_owned(),
            (State::Pinging { .. }, _) => return "no pong with our payload came".to_owned(),
            (State::Expecting { .. }, Some(Act::Expect(Awaited { wanted, .. })))
            | (State::Streaming { .. }, Some(Act::Stream(Flow { wanted, .. }))) => wanted,
            _ => return "nothing was waited for".to_owned(),
        };
        format!("no message {} came", wanted.describe(&self.values))
    }

    /// Whether too much came that nobody waits for. Where nothing is under way, nobody waits and all of it may come.
    pub(super) fn not_too_much(&self) -> Result<(), Wrong> {
        if let State::Idle | State::Next | State::Failed(_) = self.state {
            return Ok(());
        }
        let came = || self.waiting.came(&self.values);
        match self.waiting.excess() {
            None => Ok(()),
            Some(Excess::Frames) => {
                Err((FailureKind::ReplyMismatch, format!("{}, {}", self.missing(), came())))
            }
            Some(Excess::Bytes(bytes)) => {
                Err((FailureKind::ReplyMismatch, format!("{} in {bytes} bytes, {}", self.missing(), came())))
            }
        }
    }
}
