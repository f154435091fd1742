//! When the engine has to look again although nothing happened.
//!
//! An entry may be earlier than needed, never later: an observation that moves a deadline back leaves the entry where
//! it is, and the early look finds nothing and writes a later one. So the steady state costs one look per monitor and
//! lifetime of a vote in place of one change of the agenda per observation.

use std::collections::BTreeSet;

use quorate_proto::MonitorId;

use super::eligibility::AgentId;
use crate::Moment;

/// What is due, in order of time; at the same moment agents before monitors.
#[derive(Clone, Debug, Default)]
pub(super) struct Agenda {
    agents: BTreeSet<(Moment, AgentId)>,
    monitors: BTreeSet<(Moment, MonitorId)>,
}

/// One thing that is due.
pub(super) enum Due {
    /// To see whether an agent fell silent.
    Agent(AgentId),
    /// To evaluate a monitor.
    Monitor(MonitorId),
}

impl Agenda {
    /// The earliest entry.
    pub(super) fn next(&self) -> Option<Moment> {
        let agent = self.agents.first().map(|(due, _)| *due);
        let monitor = self.monitors.first().map(|(due, _)| *due);
        agent.into_iter().chain(monitor).min()
    }

    /// Takes out the earliest entry, if it is due.
    pub(super) fn pop(&mut self, at: Moment) -> Option<(Moment, Due)> {
        let next = self.next().filter(|next| *next <= at)?;
        if self.agents.first().is_some_and(|(due, _)| *due == next) {
            self.agents.pop_first().map(|(due, agent)| (due, Due::Agent(agent)))
        } else {
            self.monitors.pop_first().map(|(due, monitor)| (due, Due::Monitor(monitor)))
        }
    }

    /// Enters an agent. An agent has one entry at most; the caller knows whether it has it.
    pub(super) fn enter_agent(&mut self, due: Moment, agent: AgentId) {
        self.agents.insert((due, agent));
    }

    /// Enters a monitor, in place of a later entry; `entered` is where it stands.
    pub(super) fn enter_monitor(
        &mut self,
        due: Option<Moment>,
        monitor: &MonitorId,
        entered: &mut Option<Moment>,
    ) {
        let Some(due) = due.filter(|due| entered.is_none_or(|entered| *due < entered)) else { return };
        self.remove_monitor(monitor, entered.take());
        self.monitors.insert((due, monitor.clone()));
        *entered = Some(due);
    }

    /// Takes a monitor out.
    pub(super) fn remove_monitor(&mut self, monitor: &MonitorId, entered: Option<Moment>) {
        if let Some(entered) = entered {
            self.monitors.remove(&(entered, monitor.clone()));
        }
    }
}
