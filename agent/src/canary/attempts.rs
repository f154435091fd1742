//! When the next attempt to open a connection is made, and what is told of attempts. Pure.
//!
//! After an end the first attempt comes at once, but for a little jitter, so that a restart is told from an outage. Then
//! the pauses double. A connection that did not last does not reset them: a server that takes connections and drops them
//! is not stormed.

use quorate_proto::{Failure, Micros, canary::CanaryEvent, outcome::TlsFacts};

use crate::{clock::Tick, limits};

/// The attempts of one canary.
#[derive(Debug)]
pub(crate) struct Attempts {
    /// When the next one is made.
    next: Tick,
    /// Attempts that failed, and connections that did not last, in a row.
    in_a_row: u32,
    /// Attempts that failed since the last connection ended.
    failed: u32,
    /// When the last connection ended.
    ended: Option<Tick>,
}

impl Attempts {
    /// Before the first. `chance` is a random number of all 64 bits, here and below.
    pub(crate) fn new(now: Tick, chance: u64) -> Self {
        let next = now.after(part(limits::CANARY_START_SPREAD, chance));
        Self { next, in_a_row: 0, failed: 0, ended: None }
    }

    /// When the next attempt is made.
    pub(crate) fn next(&self) -> Tick {
        self.next
    }

    /// An attempt failed. Gives what is told of it: of the first one alone.
    pub(crate) fn failed(&mut self, failure: Failure, now: Tick, chance: u64) -> Option<CanaryEvent> {
        self.failed = self.failed.saturating_add(1);
        self.pause(now, chance);
        (self.failed == 1).then_some(CanaryEvent::NotOpened { failure })
    }

    /// An attempt succeeded, that began so long ago. Gives what is told of it.
    pub(crate) fn opened(&mut self, took: Micros, tls: Option<TlsFacts>, now: Tick) -> CanaryEvent {
        CanaryEvent::Opened {
            took,
            after: self.ended.map(|ended| now.since(ended)),
            failed_attempts: std::mem::take(&mut self.failed),
            tls,
        }
    }

    /// The connection ended, after so long.
    pub(crate) fn ended(&mut self, open_for: Micros, now: Tick, chance: u64) {
        self.ended = Some(now);
        if open_for >= limits::CANARY_SETTLED_AFTER {
            self.in_a_row = 0;
        }
        self.pause(now, chance);
    }

    fn pause(&mut self, now: Tick, chance: u64) {
        let pause = match self.in_a_row.checked_sub(1) {
            None => part(limits::CANARY_JITTER, chance),
            Some(doublings) => {
                let pause = limits::CANARY_PAUSE_FIRST * 2_u64.saturating_pow(doublings);
                let pause = pause.min(limits::CANARY_PAUSE_MAX);
                // Half of it fixed, so that agents do not come as one and none comes at once.
                pause / 2 + part(pause / 2, chance)
            }
        };
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.next = now.after(pause);
    }
}

/// A random part of a span.
fn part(span: Micros, chance: u64) -> Micros {
    let part = u128::from(span.0) * u128::from(chance) / u128::from(u64::MAX);
    Micros(u64::try_from(part).unwrap_or(span.0))
}
