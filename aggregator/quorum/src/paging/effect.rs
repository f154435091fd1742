//! What paging wants done.

use std::collections::BTreeSet;

use quorate_proto::{AgentKey, Micros, MonitorId, Region};

use super::Memory;
use crate::{Moment, Verdict};

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum PagingEffect {
    /// Tell of a monitor's open incident as it stands: whoever wants to hear of its verdict, and whoever knows of it.
    Tell {
        /// Which monitor.
        monitor: MonitorId,
    },
    /// Tell of it as it stands only those who know of it.
    Update {
        /// Which monitor.
        monitor: MonitorId,
    },
    /// A monitor's incident that was told is over: tell those who were told.
    Resolve {
        /// Which monitor.
        monitor: MonitorId,
    },
    /// A monitor's open incident is not told on its own, or not yet. Replaces what was said before.
    Quiet {
        /// Which monitor.
        monitor: MonitorId,
        /// Why not.
        why: Quiet,
    },
    /// Tell of many monitors at once.
    Group(Box<GroupTurn>),
    /// Tell that a monitor flaps, goes on flapping, or has ended to.
    Flapping(Box<FlappingTurn>),
    /// Tell the operator that agents are offline.
    AgentsOffline(Box<AgentsOffline>),
    /// Tell the operator that agents are back.
    AgentsBack(Box<AgentsBack>),
    /// Keep this through a restart, in one transaction with everything else that was wanted.
    Remember(Box<Memory>),
}

/// Why an incident is not told on its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quiet {
    /// Monitors that it depends on are down, or about to be.
    Held {
        /// Which.
        by: BTreeSet<MonitorId>,
    },
    /// It is part of a group; or it was told before the group was seen, and is named by it.
    Grouped {
        /// The group's beginning, which is its name.
        group: Moment,
    },
    /// The monitor flaps.
    Flapping,
    /// Agents are silent without which nobody can tell: their notice covers it.
    AgentsSilent,
}

/// Where a message stands in the course of what it tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The first.
    Began,
    /// It goes on.
    Goes,
    /// The last.
    Ended,
}

/// Many monitors that went down at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupTurn {
    /// Its beginning, which is its name.
    pub group: Moment,
    /// Where it stands.
    pub phase: Phase,
    /// All that ever belonged to it, in order of id.
    pub members: Vec<GroupMember>,
    /// Monitors that there are.
    pub monitors: usize,
    /// Different targets among the members.
    pub targets: usize,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// Which monitor.
    pub monitor: MonitorId,
    /// Whether its incident is over.
    pub is_over: bool,
    /// Whether it was paged on its own before the group was seen.
    pub is_paged: bool,
    /// Whether no message of the group named it before.
    pub is_new: bool,
}

/// A monitor that goes up and down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlappingTurn {
    /// Which monitor.
    pub monitor: MonitorId,
    /// Where it stands.
    pub phase: Phase,
    /// Its verdict; none where the monitor is gone.
    pub verdict: Option<Verdict>,
    /// The first of the edges that made it flap.
    pub since: Moment,
    /// Edges since then.
    pub edges: u32,
    /// Edges since the message before.
    pub edges_new: u32,
    /// Time down since then.
    pub down_for: Micros,
    /// Time down since the message before.
    pub down_new: Micros,
}

/// Agents that fell silent at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentsOffline {
    /// Which, in order of key.
    pub agents: Vec<AgentAway>,
    /// Agents that are still heard.
    pub heard: usize,
    /// Monitors that lose a voter by it, in order of id.
    pub monitors: Vec<VoterLoss>,
}

/// An agent that is or was offline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentAway {
    /// Which.
    pub agent: AgentKey,
    /// Its region.
    pub region: Region,
    /// When it was last heard from; none where it was not since the start.
    pub heard: Option<Moment>,
    /// Other agents of its region that are heard: with one, no monitor loses a voter.
    pub substitutes: usize,
}

/// A monitor that lost a voter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoterLoss {
    /// Which monitor.
    pub monitor: MonitorId,
    /// Regions that are left.
    pub voters: u16,
    /// Regions that are configured.
    pub of: u16,
    /// How many of those left must fail for *down* to be said; none where too few are left to say anything.
    pub needed: Option<u16>,
}

/// Agents that are heard again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentsBack {
    /// Which, in order of key.
    pub agents: Vec<AgentAway>,
    /// Agents that are still offline.
    pub away: usize,
}
