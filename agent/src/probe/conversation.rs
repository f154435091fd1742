//! What is said and expected on one open connection, as a state machine: messages and time in, what to send and what to make
//! of it out.
//!
//! The order of calls: [`Conversation::poll`] until it wants to wait, whenever anything happened and when the time comes that
//! it named; [`Conversation::handle`] with every frame that comes, whether anything is under way or not. It begins with the
//! hello; when that is said (at once, where there is none) it is [`Action::Idle`], and [`Conversation::begin_round`] or
//! [`Conversation::listen`] begins what is next. A message that came is looked at before the clock: what is there when it is
//! looked for is not late because the agent was.

mod capture;
mod demand;
mod memory;
mod number;
mod taking;
#[cfg(test)]
mod tests;
mod waiting;
mod words;

use std::{collections::VecDeque, mem, sync::Arc};

use quorate_proto::{
    Failure, FailureKind, Micros, Payload, Phase, WallMicros, outcome::ContentFault, template::Place,
};

pub(crate) use self::memory::Memory;
use self::waiting::Waiting;
use super::{
    expand::{FillError, Role, Seeds, Values},
    matcher::Pattern,
    script::{Act, Awaited, Flow, Script},
};
use crate::{
    clock::{Now, Tick},
    limits,
};

/// The conversation on one open connection.
#[derive(Debug)]
pub(crate) struct Conversation {
    script: Arc<Script>,
    values: Values,
    /// The step that is taken, or is the next.
    place: Place,
    state: State,
    waiting: Waiting,
    /// What is due to messages that want a reply.
    replies: VecDeque<Outgoing>,
    kept: VecDeque<(Box<[u8]>, Tick)>,
    kept_bytes: usize,
    /// Whether something is being sent: it was given out, and nothing happened since.
    is_sending: bool,
    /// When the latest message of the round was sent; pings are timed by themselves.
    sent: Option<Tick>,
    /// The slowest round trip of the round.
    round_trip: Option<Micros>,
    pings: u64,
    followed: Box<[Option<i128>]>,
    /// Whether a message came, since a stream was last listened to, that may have belonged to it.
    has_overlooked: bool,
    /// Whether the stream has no end.
    is_listening: bool,
}

#[derive(Debug)]
enum State {
    /// Nothing is under way.
    Idle,
    /// The step at the place begins.
    Next,
    Expecting {
        pattern: Pattern,
        since: Tick,
    },
    Pinging {
        payload: [u8; 8],
        sent: Tick,
    },
    Streaming {
        pattern: Pattern,
        came: u32,
        /// When the latest one came, or the step began.
        last: Tick,
    },
    Failed(Box<Failure>),
}

/// A frame that came.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Inbound<'a> {
    /// A text or binary message.
    Data(&'a [u8]),
    /// A ping. Whoever reads the frames answers it.
    Ping,
    /// A pong with its payload.
    Pong(&'a [u8]),
}

/// A message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outgoing {
    Text(String),
    Binary(Vec<u8>),
    Ping([u8; 8]),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send this, and ask again.
    Send(Outgoing),
    /// Wait for a frame, or until then.
    Wait(Option<Tick>),
    /// What was under way is done.
    Idle,
    /// It failed, and stays so.
    Failed(Failure),
}

/// What is wrong, before its phase is added.
type Wrong = (FailureKind, String);

impl Conversation {
    /// Begins with the hello.
    pub(crate) fn new(script: Arc<Script>, seeds: Seeds) -> Self {
        let followed = vec![None; script.follows].into();
        Self {
            script,
            values: Values::new(seeds),
            place: Place::Hello(0),
            state: State::Next,
            waiting: Waiting::default(),
            replies: VecDeque::new(),
            kept: VecDeque::new(),
            kept_bytes: 0,
            is_sending: false,
            sent: None,
            round_trip: None,
            pings: 0,
            followed,
            has_overlooked: false,
            is_listening: false,
        }
    }

    /// Begins one round trip: the monitor's steps. Does nothing while something else is under way.
    pub(crate) fn begin_round(&mut self) {
        if !matches!(self.state, State::Idle) {
            return;
        }
        self.values.count += 1;
        self.place = Place::Step(0);
        self.state = State::Next;
        self.sent = None;
        self.round_trip = None;
        self.is_listening = false;
    }

    /// Begins to listen to the monitor's stream without an end, after what is said before it. Does nothing, and says so,
    /// where the steps have no stream.
    pub(crate) fn listen(&mut self) -> bool {
        let has_stream = self.script.steps.iter().any(|act| matches!(act, Act::Stream(_)));
        if has_stream {
            self.begin_round();
            self.is_listening = true;
        }
        has_stream
    }

    /// Whether there are messages that it answers by itself.
    pub(crate) fn has_replies(&self) -> bool {
        !self.script.replies.is_empty()
    }

    /// The slowest round trip of the round that is under way or over. The hello has none.
    pub(crate) fn round_trip(&self) -> Option<Micros> {
        self.round_trip
    }

    /// What is to be done at this moment.
    pub(crate) fn poll(&mut self, now: Now) -> Action {
        self.is_sending = false;
        loop {
            if let State::Failed(failure) = &self.state {
                return Action::Failed(Failure::clone(failure));
            }
            if let Some(reply) = self.replies.pop_front() {
                self.is_sending = true;
                return Action::Send(reply);
            }
            match &self.state {
                State::Idle => return Action::Idle,
                State::Next => match self.begin_step(now) {
                    Ok(None) => {}
                    Ok(Some(outgoing)) => {
                        self.is_sending = true;
                        return Action::Send(outgoing);
                    }
                    Err(wrong) => self.fail(wrong),
                },
                State::Expecting { .. } | State::Pinging { .. } | State::Streaming { .. } => {
                    match self.until() {
                        Some((until, span)) if now.tick >= until => {
                            let wrong = self.late(now.tick, span);
                            self.fail(wrong);
                        }
                        until => return Action::Wait(until.map(|(until, _)| until)),
                    }
                }
                State::Failed(_) => {}
            }
        }
    }

    /// Takes a frame that came.
    pub(crate) fn handle(&mut self, now: Now, inbound: Inbound<'_>) {
        if let State::Failed(_) = self.state {
            return;
        }
        let taken = match inbound {
            Inbound::Ping => {
                self.waiting.control();
                Ok(())
            }
            Inbound::Pong(payload) => {
                self.waiting.receive(payload.len());
                self.handle_pong(now, payload);
                Ok(())
            }
            Inbound::Data(message) => {
                self.waiting.receive(message.len());
                match self.reply_to(message, now.wall) {
                    Some(reply) => {
                        self.waiting.reply();
                        if self.replies.len() < limits::REPLIES_WAITING_MAX {
                            self.replies.push_back(reply);
                        }
                        Ok(())
                    }
                    None => self.take(now, now.tick, message),
                }
            }
        };
        if let Err(wrong) = taken.and_then(|()| self.not_too_much()) {
            self.fail(wrong);
        }
    }

    fn fail(&mut self, (kind, detail): Wrong) {
        self.state = State::Failed(Box::new(Failure::new(kind, Phase::Exchange, detail)));
        (self.kept, self.kept_bytes) = (VecDeque::new(), 0);
        self.replies = VecDeque::new();
    }

    /// Begins steps until one sends something or waits.
    fn begin_step(&mut self, now: Now) -> Result<Option<Outgoing>, Wrong> {
        let script = Arc::clone(&self.script);
        let Some(act) = self.act(&script) else {
            self.state = State::Idle;
            return Ok(None);
        };
        self.waiting = Waiting::default();
        match act {
            Act::Send(payload) => {
                let outgoing = self.fill(payload, now.wall).map_err(|error| unfit(&error))?;
                self.sent = Some(now.tick);
                self.end_step();
                Ok(Some(outgoing))
            }
            Act::Ping { within: _ } => {
                self.pings += 1;
                let payload = self.values.seeds.ping_payload(self.pings);
                self.state = State::Pinging { payload, sent: now.tick };
                Ok(Some(Outgoing::Ping(payload)))
            }
            Act::Expect(awaited) => {
                let pattern =
                    awaited.wanted.pattern(&self.values, now.wall).map_err(|error| unfit(&error))?;
                self.state = State::Expecting { pattern, since: now.tick };
                self.take_kept(now)?;
                Ok(None)
            }
            Act::Stream(flow) => {
                let pattern = flow.wanted.pattern(&self.values, now.wall).map_err(|error| unfit(&error))?;
                if mem::take(&mut self.has_overlooked) {
                    self.forget_sequence(&flow.requirements);
                }
                self.state = State::Streaming { pattern, came: 0, last: now.tick };
                self.take_kept(now)?;
                Ok(None)
            }
        }
    }

    fn act<'script>(&self, script: &'script Script) -> Option<&'script Act> {
        match self.place {
            Place::Hello(index) => script.hello.get(index),
            Place::Step(index) => script.steps.get(index),
            Place::Reply(_) => None,
        }
    }

    fn end_step(&mut self) {
        self.place = match self.place {
            Place::Hello(index) => Place::Hello(index + 1),
            Place::Step(index) => Place::Step(index + 1),
            Place::Reply(index) => Place::Reply(index),
        };
        self.state = State::Next;
        self.waiting = Waiting::default();
    }

    fn fill(&self, payload: &Payload, wall: WallMicros) -> Result<Outgoing, FillError> {
        Ok(match payload {
            Payload::Text(text) => Outgoing::Text(self.values.fill(text, Role::Text, wall)?.into_owned()),
            Payload::Binary(bytes) => Outgoing::Binary(bytes.clone()),
        })
    }

    /// What a message is answered with by itself. A reply that wants what is not captured yet is not given.
    fn reply_to(&self, message: &[u8], wall: WallMicros) -> Option<Outgoing> {
        let answer = self.script.replies.iter().find(|answer| answer.to.matches(message))?;
        self.fill(&answer.with, wall).ok()
    }

    fn note_round_trip(&mut self, took: Micros) {
        if let Place::Step(_) = self.place {
            self.round_trip = self.round_trip.max(Some(took));
        }
    }

    /// Until when the step waits, and for how long that is from where it began.
    fn until(&self) -> Option<(Tick, Micros)> {
        match (&self.state, self.act(&self.script)?) {
            (State::Expecting { since, .. }, Act::Expect(Awaited { within: Some(span), .. }))
            | (State::Pinging { sent: since, .. }, Act::Ping { within: Some(span) }) => {
                Some((since.after(*span), *span))
            }
            (State::Streaming { last, .. }, Act::Stream(Flow { every, .. })) => {
                Some((last.after(*every), *every))
            }
            _ => None,
        }
    }
}

fn unfit(error: &dyn std::error::Error) -> Wrong {
    unreadable(capture::unfit(error))
}

fn unreadable(detail: String) -> Wrong {
    (FailureKind::Content(ContentFault::Unreadable), detail)
}
