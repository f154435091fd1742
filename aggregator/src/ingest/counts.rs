//! What happened at the door, for the metrics.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Counts since the start, shared with the metrics. Only rare events are counted here; a unit that passes is counted
/// by the core.
#[derive(Debug, Default)]
pub struct Counts(Mutex<Reading>);

/// The counts at one moment. All labels are from closed lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Enrolled agents' connections that are open.
    pub connections_open: u64,
    /// Enrolled agents' connections since the start.
    pub connections: u64,
    /// Connections that were not admitted, by reason: `unknown_key`, `no_raw_key`, `protocol`, `timeout`, `full`,
    /// `lost`, `tls`.
    pub handshakes_refused: BTreeMap<&'static str, u64>,
    /// Units refused before they reached the core, by [`quorate_proto::Refusal::name`].
    pub units_refused: BTreeMap<&'static str, u64>,
    /// Frames refused, by reason: `malformed`, `oversized`, `version`, `trailing`, `truncated`, `unexpected`, `slow`.
    pub frames_refused: BTreeMap<&'static str, u64>,
    /// Joins, by outcome: `enrolled`, `refused`, `failed`.
    pub joins: BTreeMap<&'static str, u64>,
    /// Enrolled agents' connections that ended, by reason: `lost`, `going_away`, `revoked`, `hostile`, `superseded`,
    /// `too_slow`.
    pub connections_ended: BTreeMap<&'static str, u64>,
}

impl Counts {
    /// The counts as they are.
    pub fn read(&self) -> Reading {
        self.with(|reading| reading.clone())
    }

    pub(super) fn opened(&self) {
        self.with(|reading| {
            reading.connections_open += 1;
            reading.connections += 1;
        });
    }

    pub(super) fn ended(&self, why: &'static str) {
        self.with(|reading| {
            reading.connections_open = reading.connections_open.saturating_sub(1);
            *reading.connections_ended.entry(why).or_default() += 1;
        });
    }

    pub(super) fn handshake_refused(&self, why: &'static str) {
        self.with(|reading| *reading.handshakes_refused.entry(why).or_default() += 1);
    }

    pub(super) fn unit_refused(&self, why: &'static str) {
        self.with(|reading| *reading.units_refused.entry(why).or_default() += 1);
    }

    pub(super) fn frame_refused(&self, why: &'static str) {
        self.with(|reading| *reading.frames_refused.entry(why).or_default() += 1);
    }

    pub(super) fn joined(&self, outcome: &'static str) {
        self.with(|reading| *reading.joins.entry(outcome).or_default() += 1);
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Reading) -> T) -> T {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
