//! The fold.

use std::collections::BTreeMap;

use quorate_proto::{AgentKey, MonitorId, Region};

use crate::{Effect, Event, Moment, Source, Verdict, Vote};

/// The decision engine.
///
/// Call [`Engine::handle`] with every event in the order in which it happened, and carry out the effects that it
/// returns; call it with [`Event::Tick`] at [`Engine::next_deadline`]. Moments never go back.
#[derive(Debug, Default)]
pub struct Engine {}

/// What the engine thinks of one monitor.
#[derive(Clone, Debug, PartialEq)]
pub struct MonitorState {
    /// The verdict; none until the first is made.
    pub verdict: Option<Verdict>,
    /// Since when.
    pub since: Moment,
    /// Whether a failure is being confirmed.
    pub suspect: bool,
    /// Every configured region's standing.
    pub regions: BTreeMap<Region, RegionState>,
}

/// One region's standing on one monitor.
#[derive(Clone, Debug, PartialEq)]
pub struct RegionState {
    /// Its vote.
    pub vote: Vote,
    /// Its latest check.
    pub source: Option<Source>,
    /// When that check ended.
    pub ended: Option<Moment>,
}

impl Engine {
    /// Takes one event, and says what is to be done about it.
    pub fn handle(&mut self, _event: Event, _at: Moment) -> Vec<Effect> {
        Vec::new()
    }

    /// When the engine wants to be called even if nothing happens.
    pub fn next_deadline(&self) -> Option<Moment> {
        None
    }

    /// What the engine thinks of a monitor as of a moment.
    pub fn monitor(&self, _monitor: &MonitorId, _at: Moment) -> Option<MonitorState> {
        None
    }

    /// Agents that have been heard from, with the moment of their last heartbeat.
    pub fn agents(&self) -> impl Iterator<Item = (AgentKey, Moment)> + '_ {
        std::iter::empty()
    }
}
