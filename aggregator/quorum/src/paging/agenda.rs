//! When to look at what although nothing happens.

use std::collections::{BTreeMap, BTreeSet};

use quorate_proto::{AgentKey, MonitorId};

use crate::Moment;

/// What is due. Of things due at once, agents come before the monitors that they explain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    Agent(AgentKey),
    Offline,
    Back,
    Group(Moment),
    Monitor(MonitorId),
}

/// Every thing has one entry at most.
#[derive(Clone, Debug, Default)]
pub(super) struct Agenda {
    queue: BTreeSet<(Moment, Due)>,
    entered: BTreeMap<Due, Moment>,
}

impl Agenda {
    /// Enters when a thing is due; none: it is not.
    pub(super) fn set(&mut self, what: Due, at: Option<Moment>) {
        let before = match at {
            Some(at) => self.entered.insert(what.clone(), at),
            None => self.entered.remove(&what),
        };
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.queue.remove(&(before, what.clone()));
        }
        if let Some(at) = at {
            self.queue.insert((at, what));
        }
    }

    /// Enters when a thing is due where it has no entry.
    pub(super) fn set_if_none(&mut self, what: Due, at: Moment) {
        if !self.entered.contains_key(&what) {
            self.set(what, Some(at));
        }
    }

    /// The next thing that is due by a moment.
    pub(super) fn pop(&mut self, at: Moment) -> Option<(Moment, Due)> {
        let (due, _) = self.queue.first().filter(|(due, _)| *due <= at)?;
        let due = *due;
        let (_, what) = self.queue.pop_first()?;
        self.entered.remove(&what);
        Some((due, what))
    }

    /// When the next thing is due.
    pub(super) fn next(&self) -> Option<Moment> {
        self.queue.first().map(|(due, _)| *due)
    }
}
