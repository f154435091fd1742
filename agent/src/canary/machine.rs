//! An open connection: heartbeats, life, and its end. Pure.
//!
//! The order of calls: [`Machine::take`] with every frame that comes, and then, and whenever the time of
//! [`Machine::deadline`] comes, [`Machine::due`] until there is nothing more. A frame that has come is taken before the
//! clock is looked at: it is not late because the agent was.

use quorate_proto::{
    Failure, FailureKind, Micros, Phase,
    canary::{Canary, CanaryEvent, CanaryMode},
    limits as protocol,
    outcome::{RoundTrips, SilentDrop},
};

use crate::{
    clock::Tick,
    limits,
    probe::held::{Inbound, Outbound},
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
    /// When the heartbeat was sent whose answer is waited for.
    beating: Option<Tick>,
    /// Heartbeats answered since the start.
    answered: u64,
    /// Round trips since the last report.
    round_trips: Vec<Micros>,
    /// When it is next told that the connection lives.
    report: Tick,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// This is to be sent.
    Send(Outbound),
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
    /// A connection that was opened at this time.
    pub(crate) fn new(canary: Canary, seed: u64, now: Tick) -> Self {
        Self {
            canary,
            seed,
            opened: now,
            heard: now,
            beating: None,
            answered: 0,
            round_trips: Vec::new(),
            report: now.after(protocol::CANARY_REPORT_INTERVAL),
        }
    }

    /// Takes a frame that came.
    pub(crate) fn take(&mut self, frame: &Inbound, now: Tick) {
        self.heard = now;
        if let (Some(sent), Inbound::Pong(payload)) = (self.beating, frame)
            && **payload == self.payload()
        {
            self.beating = None;
            self.answered += 1;
            if self.round_trips.len() < limits::CANARY_ROUND_TRIPS_MAX {
                self.round_trips.push(now.since(sent));
            }
        }
    }

    /// What is to be done at this time; to be asked until there is nothing more.
    pub(crate) fn due(&mut self, now: Tick) -> Option<Output> {
        if now >= self.report {
            self.report = now.after(protocol::CANARY_REPORT_INTERVAL);
            let round_trips = RoundTrips::of(&std::mem::take(&mut self.round_trips));
            let (open_for, heartbeats) = (now.since(self.opened), self.answered);
            return Some(Output::Tell(CanaryEvent::Alive { open_for, heartbeats, round_trips }));
        }
        if now < self.patience() {
            return None;
        }
        match (self.beating, self.canary.mode) {
            (Some(sent), _) => Some(Output::End(self.unanswered(sent, now))),
            (None, CanaryMode::Listen) => Some(Output::End(Ending::Failed(self.not_heard(now)))),
            (None, CanaryMode::Ping | CanaryMode::Steps) => {
                self.beating = Some(now);
                Some(Output::Send(Outbound::Ping(self.payload())))
            }
        }
    }

    /// When something is due, if no frame comes before.
    pub(crate) fn deadline(&self) -> Tick {
        self.patience().min(self.report)
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

    /// For how long it has been open.
    pub(crate) fn open_for(&self, now: Tick) -> Micros {
        now.since(self.opened)
    }

    /// Until when there is nothing to do but to wait for frames.
    fn patience(&self) -> Tick {
        let Canary { heartbeat, grace, mode } = self.canary;
        match (self.beating, mode) {
            // Other frames may have come in its place. Each shows that the connection lives, and that the answer may be on
            // its way behind them.
            (Some(sent), _) => sent.max(self.heard).after(grace).min(sent.after(heartbeat + grace)),
            (None, CanaryMode::Ping | CanaryMode::Steps) => self.heard.after(heartbeat),
            (None, CanaryMode::Listen) => self.heard.after(heartbeat + grace),
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
