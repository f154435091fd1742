//! What paging is told.

use std::collections::BTreeSet;

use quorate_proto::{AgentKey, MonitorId, Region};

use super::PagingSettings;
use crate::{Effect, Event, Policy, Verdict};

/// One thing that happened, as far as it matters for whom to tell.
#[derive(Clone, Debug, PartialEq)]
pub enum PagingEvent {
    /// Other numbers apply from here on.
    Follow(PagingSettings),
    /// A monitor is there, or its policy or its parents changed.
    Watch {
        /// Which monitor.
        monitor: MonitorId,
        /// Who votes on it, and how.
        policy: Box<Policy>,
        /// The monitors that it cannot work without.
        parents: BTreeSet<MonitorId>,
    },
    /// A monitor is gone.
    Unwatch {
        /// Which monitor.
        monitor: MonitorId,
    },
    /// After a start: everything that there is has been told of, and deadlines count.
    Started,
    /// The verdict on a monitor changed.
    Turned {
        /// Which monitor.
        monitor: MonitorId,
        /// To what.
        to: Verdict,
    },
    /// A failure of a monitor is being confirmed, or is not any more.
    Suspected {
        /// Which monitor.
        monitor: MonitorId,
        /// Whether it is.
        suspect: bool,
    },
    /// After a start: an agent that there is, and that has not been heard from yet.
    Enrolled {
        /// Which agent.
        agent: AgentKey,
        /// Its region.
        region: Region,
    },
    /// An agent reported its health.
    Heard {
        /// Which agent.
        agent: AgentKey,
        /// Its region.
        region: Region,
    },
    /// An agent was revoked.
    Forgotten {
        /// Which agent.
        agent: AgentKey,
    },
    /// The caller stood still, and heard nobody.
    Paused,
    /// Nothing happened, and time passed.
    Tick,
}

impl PagingEvent {
    /// What an effect of the engine means for paging, where it means something.
    pub fn of_effect(effect: &Effect) -> Option<Self> {
        match effect {
            Effect::Changed(change) => Some(Self::Turned { monitor: change.monitor.clone(), to: change.to }),
            Effect::Suspected { monitor, suspect } => {
                Some(Self::Suspected { monitor: monitor.clone(), suspect: *suspect })
            }
            Effect::Confirm { .. } | Effect::Restarted { .. } => None,
            Effect::Withheld(_) | Effect::Outlier(_) | Effect::OutlierOver { .. } => None,
        }
    }

    /// What an event for the engine means for paging, where it means something. A monitor that is configured is told of
    /// by [`PagingEvent::Watch`], because the engine knows nothing of parents.
    pub fn of_event(event: &Event) -> Option<Self> {
        match event {
            Event::Heartbeat(heartbeat) => {
                Some(Self::Heard { agent: heartbeat.agent, region: heartbeat.region.clone() })
            }
            Event::Forget { agent } => Some(Self::Forgotten { agent: *agent }),
            Event::Remove { monitor } => Some(Self::Unwatch { monitor: monitor.clone() }),
            Event::Paused => Some(Self::Paused),
            Event::Configure { .. }
            | Event::Restore { .. }
            | Event::Observed(_)
            | Event::Canary(_)
            | Event::Tick
            | Event::Enrolled { .. } => None,
        }
    }
}
