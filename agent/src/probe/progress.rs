//! How far a check has come: its phase, what it waits for, and what it has measured.
//!
//! It lives outside the future that the deadline may cut off, so that the failure can still say where the check stood.

use std::net::{IpAddr, SocketAddr};

use quorate_proto::{Failure, FailureKind, Micros, Phase, Timings};

use super::{Facts, classify, quote};
use crate::clock::{Tick, tick};

/// How far a check has come.
pub(crate) struct Progress {
    started: Tick,
    phase: Phase,
    /// None between phases.
    phase_started: Option<Tick>,
    waiting: Waiting,
    /// The failure that is certain already, while more about it is still to come.
    settled: Option<Failure>,
    /// What the deadline's failure is, where that is not the phase's own.
    blamed: Option<FailureKind>,
    pub(crate) timings: Timings,
    pub(crate) address: Option<IpAddr>,
    pub(crate) facts: Facts,
}

/// What a check waits for, and what came in the meantime.
#[derive(Default)]
pub(crate) struct Waiting {
    /// What did not happen, as a clause: "no pong with our payload came".
    missing: String,
    pub(crate) messages: u32,
    pub(crate) controls: u32,
    pub(crate) last: Option<String>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let started = tick();
        Self {
            started,
            phase: Phase::Dns,
            phase_started: None,
            waiting: Waiting::default(),
            settled: None,
            blamed: None,
            timings: Timings::default(),
            address: None,
            facts: Facts::default(),
        }
    }

    pub(crate) fn started(&self) -> Tick {
        self.started
    }

    /// Begins a phase; `missing` says what is missing for as long as it lasts.
    pub(crate) fn enter(&mut self, phase: Phase, missing: impl Into<String>) {
        self.phase = phase;
        self.phase_started = Some(tick());
        self.wait_for(missing);
    }

    /// Ends the phase, and notes how long it took. One that is entered twice has the time of both.
    pub(crate) fn leave(&mut self) {
        if let Some(started) = self.phase_started.take() {
            let timing = self.timing(self.phase);
            *timing = Some(timing.unwrap_or_default() + tick().since(started));
        }
    }

    /// Says whose fault the deadline is from here on: the phase's own where none is given.
    pub(crate) fn blame(&mut self, kind: Option<FailureKind>) {
        self.blamed = kind;
    }

    /// Says what is missing from here on.
    pub(crate) fn wait_for(&mut self, missing: impl Into<String>) {
        self.waiting = Waiting { missing: missing.into(), ..Waiting::default() };
    }

    pub(crate) fn waiting(&mut self) -> &mut Waiting {
        &mut self.waiting
    }

    pub(crate) fn dialling(&mut self, address: SocketAddr) {
        self.address.get_or_insert(address.ip());
        self.waiting.missing = match self.waiting.missing.is_empty() {
            true => format!("no answer from {address}"),
            false => format!("{}, {address}", self.waiting.missing),
        };
    }

    /// Notes the address that answered, and the time of its own handshake, without what other addresses cost.
    pub(crate) fn connected(&mut self, address: SocketAddr, took: Micros) {
        self.address = Some(address.ip());
        self.timings.tcp = Some(took);
        self.phase_started = None;
    }

    /// Notes a round trip; the slowest one of the check is kept.
    pub(crate) fn round_trip(&mut self, took: Micros) {
        self.timings.round_trip = self.timings.round_trip.max(Some(took));
    }

    /// Notes a failure that no deadline changes any more.
    pub(crate) fn settle(&mut self, failure: Failure) {
        self.settled = Some(failure);
    }

    /// A failure in the phase that the check is in.
    pub(crate) fn fail(&self, (kind, detail): classify::Seen) -> Failure {
        Failure::new(kind, self.phase, detail)
    }

    /// The failure of having waited in vain, or the one that was certain by then. None in the closing handshake, which nothing depends on.
    pub(crate) fn waited(&self, span: Micros) -> Option<Failure> {
        if let Some(settled) = &self.settled {
            return Some(settled.clone());
        }
        let kind = self.blamed.clone().or_else(|| classify::deadline(self.phase))?;
        Some(self.fail((kind, self.waiting.describe(span, self.phase))))
    }

    /// Takes over what one of several attempts found, behind the lookup that all of them share.
    pub(crate) fn adopt(&mut self, attempt: Self) {
        self.leave();
        self.timings = Timings { dns: self.timings.dns, ..attempt.timings };
        self.address = attempt.address;
        let resolved = std::mem::take(&mut self.facts.resolved);
        self.facts = Facts { resolved, ..attempt.facts };
    }

    /// Ends the check: the phase that it broke off in has the time until then.
    pub(crate) fn finish(&mut self) -> Tick {
        self.leave();
        let ended = tick();
        self.timings.total = ended.since(self.started);
        ended
    }

    fn timing(&mut self, phase: Phase) -> &mut Option<Micros> {
        match phase {
            Phase::Dns => &mut self.timings.dns,
            Phase::Tcp => &mut self.timings.tcp,
            Phase::Tls => &mut self.timings.tls,
            Phase::Upgrade => &mut self.timings.upgrade,
            Phase::Exchange => &mut self.timings.exchange,
            Phase::Close => &mut self.timings.close,
        }
    }
}

impl Waiting {
    /// Notes a message that was not the one.
    pub(crate) fn skip(&mut self, message: &[u8]) {
        self.messages += 1;
        self.last = Some(quote::message(message));
    }

    /// What is missing, for how long, and what came instead.
    fn describe(&self, span: Micros, phase: Phase) -> String {
        match phase {
            Phase::Exchange => format!("{} within {span}, {}", self.missing, self.came()),
            Phase::Dns | Phase::Tcp | Phase::Tls | Phase::Upgrade | Phase::Close => {
                format!("{} within {span}", self.missing)
            }
        }
    }

    /// What came instead.
    pub(crate) fn came(&self) -> String {
        let pings = match self.controls {
            0 => String::new(),
            1 => " and 1 ping or pong".to_owned(),
            controls => format!(" and {controls} pings or pongs"),
        };
        match (&self.last, self.messages) {
            (Some(last), 1) => format!("but 1 other message{pings}: {last}"),
            (Some(last), messages) => format!("but {messages} other messages{pings}, the last: {last}"),
            (None, _) if self.controls > 0 => format!("but {}", pings.trim_start_matches(" and ")),
            (None, _) => "nor anything else".to_owned(),
        }
    }

    pub(crate) fn missing(&self) -> &str {
        &self.missing
    }
}
