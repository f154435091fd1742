//! How far a check has come: its phase, what is missing in it, and what it has measured.
//!
//! It lives outside the future that the deadline may cut off, so that the failure can still say where the check stood.

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
};

use quorate_proto::{Failure, FailureKind, Micros, Phase, Timings};

use super::{Facts, classify};
use crate::clock::{Tick, tick};

/// How far a check has come.
pub(crate) struct Progress {
    started: Tick,
    phase: Phase,
    /// None between phases.
    phase_started: Option<Tick>,
    /// What did not happen, as a clause: "no answer to the upgrade request came".
    missing: Cow<'static, str>,
    /// The failure that is certain already, while more about it is still to come.
    settled: Option<Failure>,
    /// What the deadline's failure is, where that is not the phase's own.
    blamed: Option<FailureKind>,
    pub(crate) timings: Timings,
    pub(crate) address: Option<IpAddr>,
    pub(crate) facts: Facts,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let started = tick();
        Self {
            started,
            phase: Phase::Dns,
            phase_started: None,
            missing: Cow::Borrowed(""),
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
    pub(crate) fn enter(&mut self, phase: Phase, missing: impl Into<Cow<'static, str>>) {
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
    pub(crate) fn wait_for(&mut self, missing: impl Into<Cow<'static, str>>) {
        self.missing = missing.into();
    }

    pub(crate) fn dialling(&mut self, address: SocketAddr) {
        self.address.get_or_insert(address.ip());
        let missing = match self.missing.as_ref() {
            "" => format!("no answer from {address}"),
            before => format!("{before}, {address}"),
        };
        self.missing = missing.into();
    }

    /// Notes the address that answered, and the time of its own handshake, without what other addresses cost.
    pub(crate) fn connected(&mut self, address: SocketAddr, took: Micros) {
        self.address = Some(address.ip());
        self.timings.tcp = Some(took);
        self.phase_started = None;
    }

    /// Notes a failure that no deadline changes any more.
    pub(crate) fn settle(&mut self, failure: Failure) {
        self.settled = Some(failure);
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
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
        Some(self.fail((kind, format!("{} within {span}", self.missing))))
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
