//! An open connection: heartbeats, life, and its end. Pure.
//!
//! The order of calls: [`Machine::take`] with every frame that comes, and then, and whenever the time of
//! [`Machine::deadline`] comes, [`Machine::due`] until there is nothing more. A frame that has come is taken before the
//! clock is looked at: it is not late because the agent was.
//!
//! A heartbeat is a ping, or the monitor's own steps. A ping is due when nothing came for a while: whatever comes shows as
//! much. Steps are due by the clock, because what they show, that the application answers, no other frame does.

use quorate_proto::{
    Failure, FailureKind, Micros, Phase,
    canary::{Canary, CanaryEvent, CanaryMode},
    limits as protocol,
    outcome::{RoundTrips, SilentDrop},
};

use crate::{
    clock::{Now, Tick},
    limits,
    probe::held::{Action, Conversation, Outgoing, Received},
};

/// An open connection.
#[derive(Debug)]
pub(crate) struct Machine {
    canary: Canary,
    /// Random bits, from which payloads are made that nobody else sends.
    seed: u64,
    opened: Tick,
    /// When the last frame came; at first, when it was opened.
    heard: Tick,
    /// When the last heartbeat was answered; at first, when it was opened.
    rested: Tick,
    /// When the heartbeat was sent whose answer is waited for.
    beating: Option<Tick>,
    /// Whether the next heartbeat is due at once.
    is_hurried: bool,
    /// Heartbeats answered since the start.
    answered: u64,
    /// Round trips since the last report.
    round_trips: Vec<Micros>,
    /// When it is next told that the connection lives.
    report: Tick,
    /// What is said besides pings; none where that is nothing.
    talk: Option<Box<Talk>>,
}

/// What is said besides pings.
#[derive(Debug)]
struct Talk {
    conversation: Conversation,
    /// Until when it waits.
    until: Option<Tick>,
    /// Whether it listens to a stream, for as long as the connection lives.
    is_listening: bool,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// This is to be sent.
    Send(Outgoing),
    /// This is to be told.
    Tell(CanaryEvent),
    /// The connection is given up.
    End(Ending),
}

/// Why we give a connection up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// A heartbeat was sent, and nothing at all came since; whoever has the socket asks the kernel where that is.
    Unanswered(Micros),
    /// Anything else.
    Failed(Failure),
}

impl Machine {
    /// A connection that was opened at this time, and the conversation on it behind its hello.
    pub(crate) fn new(canary: Canary, conversation: Conversation, seed: u64, now: Tick) -> Self {
        Self {
            canary,
            seed,
            opened: now,
            heard: now,
            rested: now,
            beating: None,
            is_hurried: false,
            answered: 0,
            round_trips: Vec::new(),
            report: now.after(protocol::CANARY_REPORT_INTERVAL),
            talk: Talk::new(conversation, canary.mode),
        }
    }

    /// Takes a frame that came.
    pub(crate) fn take(&mut self, frame: &Received, now: Now) {
        self.heard = now.tick;
        if let (Some(sent), Received::Pong(payload)) = (self.beating, frame)
            && self.canary.mode == CanaryMode::Ping
            && **payload == self.payload()
        {
            self.answered(now.tick.since(sent), now.tick);
        }
        if let Some(talk) = &mut self.talk {
            talk.conversation.handle(now, frame.inbound());
        }
    }

    /// What is to be done at this time; to be asked until there is nothing more.
    pub(crate) fn due(&mut self, now: Now) -> Option<Output> {
        if now.tick >= self.report {
            return Some(Output::Tell(self.alive(now.tick)));
        }
        if let Some(output) = self.converse(now) {
            return Some(output);
        }
        if now.tick < self.patience() {
            return None;
        }
        match (self.beating, self.canary.mode) {
            (Some(sent), _) => Some(Output::End(self.unanswered(sent, now.tick))),
            (None, CanaryMode::Listen) => Some(Output::End(Ending::Failed(self.not_heard(now.tick)))),
            (None, CanaryMode::Ping) => {
                self.begin(now.tick);
                Some(Output::Send(Outgoing::Ping(self.payload())))
            }
            (None, CanaryMode::Steps) => {
                self.begin(now.tick);
                if let Some(talk) = &mut self.talk {
                    talk.conversation.begin_round();
                }
                self.converse(now)
            }
        }
    }

    /// When something is due, if no frame comes before.
    pub(crate) fn deadline(&self) -> Tick {
        let talk = self.talk.as_ref().and_then(|talk| talk.until);
        let patience = self.patience().min(self.report);
        talk.map_or(patience, |talk| talk.min(patience))
    }

    /// The end of the connection, however it came.
    pub(crate) fn ended(&self, failure: Failure, now: Tick) -> CanaryEvent {
        CanaryEvent::Ended {
            open_for: now.since(self.opened),
            heartbeats: self.answered,
            quiet_for: now.since(self.heard),
            failure,
        }
    }

    /// That we closed it.
    pub(crate) fn left(&self, now: Tick) -> CanaryEvent {
        CanaryEvent::Left { open_for: now.since(self.opened) }
    }

    /// Has the next heartbeat come at once: somebody doubts that the server lives. A canary that listens says nothing.
    pub(crate) fn hurry(&mut self) {
        self.is_hurried = self.beating.is_none();
    }

    /// Since when an answer is waited for, with nothing else coming in its place.
    pub(crate) fn unanswered_since(&self) -> Option<Tick> {
        self.beating.filter(|sent| self.heard <= *sent)
    }

    /// For how long it has been open.
    pub(crate) fn open_for(&self, now: Tick) -> Micros {
        now.since(self.opened)
    }

    fn alive(&mut self, now: Tick) -> CanaryEvent {
        self.report = now.after(protocol::CANARY_REPORT_INTERVAL);
        let round_trips = RoundTrips::of(&std::mem::take(&mut self.round_trips));
        CanaryEvent::Alive { open_for: now.since(self.opened), heartbeats: self.answered, round_trips }
    }

    fn begin(&mut self, now: Tick) {
        self.beating = Some(now);
        self.is_hurried = false;
    }

    fn answered(&mut self, round_trip: Micros, now: Tick) {
        self.beating = None;
        self.rested = now;
        self.answered += 1;
        if self.round_trips.len() < limits::CANARY_ROUND_TRIPS_MAX {
            self.round_trips.push(round_trip);
        }
    }

    /// Lets the conversation go on.
    fn converse(&mut self, now: Now) -> Option<Output> {
        let talk = self.talk.as_mut()?;
        talk.until = None;
        match talk.conversation.poll(now) {
            Action::Send(outgoing) => Some(Output::Send(outgoing)),
            Action::Wait(until) => {
                talk.until = until;
                None
            }
            Action::Idle => {
                if let (Some(sent), CanaryMode::Steps) = (self.beating, self.canary.mode) {
                    let round_trip = talk.conversation.round_trip();
                    self.answered(round_trip.unwrap_or(now.tick.since(sent)), now.tick);
                }
                None
            }
            Action::Failed(failure) => {
                let sent = self.beating.filter(|sent| self.heard <= *sent);
                let unanswered = sent.filter(|_| failure.kind == FailureKind::ReplyTimeout);
                let ending = match unanswered {
                    Some(sent) => Ending::Unanswered(now.tick.since(sent)),
                    None => Ending::Failed(failure),
                };
                Some(Output::End(ending))
            }
        }
    }

    /// Until when there is nothing to do but to wait for frames.
    fn patience(&self) -> Tick {
        let Canary { heartbeat, grace, mode } = self.canary;
        let silence = self.heard.after(heartbeat + grace);
        match (self.beating, mode) {
            // Other frames may have come in its place. Each shows that the connection lives, and that the answer may be on
            // its way behind them.
            (Some(sent), _) => sent.max(self.heard).after(grace).min(sent.after(heartbeat + grace)),
            (None, CanaryMode::Ping | CanaryMode::Steps) if self.is_hurried => Tick::default(),
            (None, CanaryMode::Ping) => self.heard.after(heartbeat),
            (None, CanaryMode::Steps) => self.rested.after(heartbeat),
            (None, CanaryMode::Listen) => match self.talk.as_deref() {
                // The stream has its own measure.
                Some(Talk { is_listening: true, until: Some(until), .. }) => *until,
                Some(_) | None => silence,
            },
        }
    }

    /// The payload of the heartbeat that is under way, or of the next.
    fn payload(&self) -> [u8; 8] {
        self.seed.wrapping_add(self.answered).to_be_bytes()
    }

    fn unanswered(&self, sent: Tick, now: Tick) -> Ending {
        let span = now.since(sent);
        if self.heard <= sent {
            return Ending::Unanswered(span);
        }
        if let (CanaryMode::Steps, Some(talk)) = (self.canary.mode, &self.talk) {
            return Ending::Failed(talk.conversation.overdue(now, span));
        }
        let last = now.since(self.heard);
        let detail =
            format!("no pong with our payload came within {span}, but other frames, the last {last} ago");
        Ending::Failed(Failure::new(FailureKind::ReplyTimeout, Phase::Exchange, detail))
    }

    fn not_heard(&self, now: Tick) -> Failure {
        let detail = format!("no frame came for {}", now.since(self.heard));
        // Nothing was sent, so there is nothing that the kernel could know of.
        Failure::new(FailureKind::SilentDrop(SilentDrop::Unknown), Phase::Exchange, detail)
    }
}

impl Talk {
    fn new(mut conversation: Conversation, mode: CanaryMode) -> Option<Box<Self>> {
        let is_listening = mode == CanaryMode::Listen && conversation.listen();
        let is_of_use = is_listening || mode == CanaryMode::Steps || conversation.has_replies();
        is_of_use.then(|| Box::new(Self { conversation, until: None, is_listening }))
    }
}
