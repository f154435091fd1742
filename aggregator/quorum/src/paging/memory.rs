//! What must survive a restart: one value a monitor, a group and an agent.

use std::collections::{BTreeMap, BTreeSet};

use quorate_proto::{AgentKey, Micros, MonitorId, Region};

use crate::Moment;

/// What is to be kept of one thing; none: nothing any more.
#[derive(Clone, Debug, PartialEq)]
pub enum Memory {
    /// Of a monitor.
    Monitor(MonitorId, Option<MonitorMemory>),
    /// Of a group, by its beginning.
    Group(Moment, Option<GroupMemory>),
    /// Of an agent that was said to be offline.
    Agent(AgentKey, Option<AgentMemory>),
}

/// What is kept of a monitor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MonitorMemory {
    /// Whether its open incident was told on its own.
    pub told: bool,
    /// Whether the latest verdict that was not *unobserved* is down.
    pub is_down: bool,
    /// When its latest page fell due, where it is down and that page became part of no group.
    pub due_at: Option<Moment>,
    /// The group that its open incident belongs to.
    pub group: Option<Moment>,
    /// What its open incident waits for before it is told.
    pub wait: Option<Wait>,
    /// The latest edges, oldest first.
    pub edges: Vec<Moment>,
    /// How it flaps.
    pub flapping: Option<FlappingMemory>,
}

/// What an incident waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Others to become one page with.
    Fleet {
        /// No longer than until then.
        until: Moment,
    },
    /// Its parents.
    Parents {
        /// Those that held it last.
        by: BTreeSet<MonitorId>,
        /// Where none of them is down yet: no longer than until then.
        until: Option<Moment>,
        /// Since when none is down any more.
        clear_since: Option<Moment>,
        /// Time in which none was down before that.
        cleared: Micros,
    },
    /// Nothing: its group tells of it.
    Group,
    /// The end of flapping, or a long outage.
    Flapping,
    /// Agents without which nobody can tell.
    Agents {
        /// When to look again.
        look_at: Moment,
        /// Whether at the latest look no agent was missing.
        doubted: bool,
    },
}

/// How a monitor flaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlappingMemory {
    /// The first of the edges that made it flap.
    pub since: Moment,
    /// Edges since then.
    pub edges: u32,
    /// Of those, edges that were told of.
    pub edges_told: u32,
    /// The latest edge.
    pub edge_at: Moment,
    /// Since when it is down, where it is.
    pub down_since: Option<Moment>,
    /// Time down before that.
    pub down_for: Micros,
    /// Time down that was told of.
    pub down_told: Micros,
    /// When the next message is due.
    pub digest_at: Moment,
}

/// What is kept of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupMemory {
    /// Whether it was told.
    pub opened: bool,
    /// When its latest member joined.
    pub joined_at: Moment,
    /// When it is told next.
    pub report_at: Option<Moment>,
    /// All that ever belonged to it.
    pub members: BTreeMap<MonitorId, MemberMemory>,
}

/// What is kept of a member of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemberMemory {
    /// Whether its incident is over.
    pub is_over: bool,
    /// Whether it was paged on its own before.
    pub is_paged: bool,
    /// Whether a message named it.
    pub is_named: bool,
}

/// What is kept of an agent that was said to be offline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentMemory {
    /// Its region.
    pub region: Region,
    /// When it was last heard from before that.
    pub heard: Option<Moment>,
}

impl MonitorMemory {
    /// The same after a restart. Where the wall clock, from which moments begin, was set back meanwhile, what lies in
    /// the future has just happened.
    pub(super) fn clamped(mut self, at: Moment) -> Self {
        for moment in self.edges.iter_mut().chain(&mut self.due_at) {
            *moment = (*moment).min(at);
        }
        if let Some(flapping) = &mut self.flapping {
            for moment in
                [&mut flapping.since, &mut flapping.edge_at].into_iter().chain(&mut flapping.down_since)
            {
                *moment = (*moment).min(at);
            }
        }
        match &mut self.wait {
            Some(Wait::Parents { until, clear_since, .. }) => {
                *until = until.map(|until| until.min(at.after(super::settings::PARENT_WAIT)));
                *clear_since = clear_since.map(|since| since.min(at));
            }
            Some(Wait::Fleet { until }) => *until = (*until).min(at.after(super::settings::PARENT_WAIT)),
            Some(Wait::Agents { look_at, .. }) => {
                *look_at = (*look_at).min(at.after(super::settings::FLEET_WINDOW))
            }
            Some(Wait::Group | Wait::Flapping) | None => {}
        }
        self
    }
}
