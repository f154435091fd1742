//! Who may vote (rule 2): agents as their heartbeats describe them, and the regions in which they stand.
//!
//! Whether an agent is eligible is worked out when a vote is counted, from its last heartbeat and the moment. So a
//! heartbeat touches no monitor, however many its agent watches; only a *change* (silent, sick, another revision) makes
//! the engine look at the monitors of the region.

use std::collections::{BTreeMap, BTreeSet};

use quorate_proto::{AgentKey, Doubt, MonitorId, Region, limits::HEARTBEAT_STALE};

use crate::{Abstention, Moment};

/// An agent's place in the table. Never given to another agent, so that no vote is ever credited to the wrong one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AgentId(u32);

/// A region's place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RegionId(u32);

/// All agents and regions that were ever heard of.
#[derive(Clone, Debug, Default)]
pub(super) struct Fleet {
    agents: Vec<Agent>,
    agent_ids: BTreeMap<AgentKey, AgentId>,
    regions: Vec<Roster>,
    region_ids: BTreeMap<Region, RegionId>,
}

#[derive(Clone, Debug)]
struct Agent {
    region: Option<RegionId>,
    /// None before the first heartbeat, and after the agent is forgotten.
    heard: Option<Moment>,
    /// Since when it has been neither silent nor sick.
    well_since: Moment,
    revision: u64,
    sick: Option<Doubt>,
    /// Whether the agenda has an entry for it.
    entered: bool,
}

/// Who stands in a region, and what is watched from there.
#[derive(Clone, Debug, Default)]
struct Roster {
    agents: Vec<AgentId>,
    monitors: BTreeSet<MonitorId>,
}

/// What a heartbeat changed.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    /// Regions whose monitors have to be looked at: the agent's, and the one that it left.
    pub(super) regions: Vec<RegionId>,
    /// When to see whether it fell silent, where the agenda has no entry for it.
    pub(super) enter: Option<(Moment, AgentId)>,
}

impl Fleet {
    /// The place of an agent, new where it was not heard of.
    pub(super) fn agent(&mut self, key: AgentKey) -> AgentId {
        let next = AgentId(u32::try_from(self.agents.len()).unwrap_or(u32::MAX));
        let id = *self.agent_ids.entry(key).or_insert(next);
        if id == next {
            self.agents.push(Agent {
                region: None,
                heard: None,
                well_since: Moment::default(),
                revision: 0,
                sick: None,
                entered: false,
            });
        }
        id
    }

    /// The place of a region, new where it was not heard of.
    pub(super) fn region(&mut self, region: &Region) -> RegionId {
        if let Some(id) = self.region_ids.get(region) {
            return *id;
        }
        let id = RegionId(u32::try_from(self.regions.len()).unwrap_or(u32::MAX));
        self.region_ids.insert(region.clone(), id);
        self.regions.push(Roster::default());
        id
    }

    /// Takes a heartbeat.
    pub(super) fn heartbeat(
        &mut self,
        key: AgentKey,
        region: &Region,
        revision: u64,
        sick: Option<Doubt>,
        at: Moment,
    ) -> Heard {
        let id = self.agent(key);
        let region = self.region(region);
        let mut heard = Heard::default();
        let Some(agent) = slot_mut(&mut self.agents, id.0) else { return heard };

        let was_well = agent.is_heard(at) && agent.sick.is_none();
        let changed = !agent.is_heard(at) || agent.sick != sick || agent.revision != revision;
        let left = agent.region.filter(|left| *left != region);
        let arrived = agent.region != Some(region);
        if !was_well && sick.is_none() {
            agent.well_since = at;
        }
        (agent.region, agent.heard, agent.revision, agent.sick) = (Some(region), Some(at), revision, sick);
        if !agent.entered {
            agent.entered = true;
            heard.enter = Some((at.after(HEARTBEAT_STALE), id));
        }

        if let Some(roster) = left.and_then(|left| slot_mut(&mut self.regions, left.0)) {
            roster.agents.retain(|agent| *agent != id);
        }
        if let Some(roster) = slot_mut(&mut self.regions, region.0).filter(|_| arrived) {
            roster.agents.push(id);
        }
        heard.regions.extend(left);
        heard.regions.extend((changed || arrived).then_some(region));
        heard
    }

    /// Looks at an agent whose entry in the agenda came due: either when to look again, or its region, because it fell
    /// silent.
    pub(super) fn look_at(&mut self, id: AgentId, at: Moment) -> Result<Moment, Option<RegionId>> {
        let agent = slot_mut(&mut self.agents, id.0).ok_or(None)?;
        match agent.heard {
            Some(heard) if agent.is_heard(at) => Ok(heard.after(HEARTBEAT_STALE)),
            _ => {
                agent.entered = false;
                Err(agent.region)
            }
        }
    }

    /// Forgets an agent; gives its place and the region in which it stood.
    pub(super) fn forget(&mut self, key: AgentKey) -> Option<(AgentId, Option<RegionId>)> {
        let id = self.agent_ids.remove(&key)?;
        let agent = slot_mut(&mut self.agents, id.0)?;
        agent.heard = None;
        let region = agent.region.take();
        if let Some(roster) = region.and_then(|region| slot_mut(&mut self.regions, region.0)) {
            roster.agents.retain(|agent| *agent != id);
        }
        Some((id, region))
    }

    /// Whether an agent may vote on a monitor of a revision.
    pub(super) fn is_eligible(&self, id: AgentId, revision: u64, at: Moment) -> bool {
        slot(&self.agents, id.0).is_some_and(|agent| agent.standing(revision, at).is_ok())
    }

    /// Why an agent may not vote on a monitor of a revision; none where it may.
    pub(super) fn why_not(&self, id: AgentId, revision: u64, at: Moment) -> Option<Abstention> {
        slot(&self.agents, id.0).map_or(Some(Abstention::Silent), |agent| agent.standing(revision, at).err())
    }

    /// Whether any agent of a region may vote on a monitor of a revision: since when the youngest of them is well, or
    /// why none may.
    pub(super) fn standing(&self, region: RegionId, revision: u64, at: Moment) -> Result<Moment, Abstention> {
        let agents = slot(&self.regions, region.0).map_or(&[][..], |roster| &roster.agents);
        let mut reason = Abstention::Silent;
        let mut well_since = None;
        for agent in agents.iter().filter_map(|id| slot(&self.agents, id.0)) {
            match agent.standing(revision, at) {
                Ok(()) => well_since = well_since.max(Some(agent.well_since)),
                // In order of declaration silent, outdated, sick: the reason of the agent that is nearest to a vote.
                Err(why) => reason = reason.max(why),
            }
        }
        well_since.ok_or(reason)
    }

    /// Notes that a monitor is watched from a region, or not any more.
    pub(super) fn watch(&mut self, region: RegionId, monitor: &MonitorId, watched: bool) {
        let Some(roster) = slot_mut(&mut self.regions, region.0) else { return };
        if watched {
            roster.monitors.insert(monitor.clone());
        } else {
            roster.monitors.remove(monitor);
        }
    }

    /// What is watched from a region.
    pub(super) fn monitors(&self, region: RegionId) -> Vec<MonitorId> {
        slot(&self.regions, region.0)
            .map(|roster| roster.monitors.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// Agents that have been heard from, with the moment of their last heartbeat.
    pub(super) fn heard(&self) -> impl Iterator<Item = (AgentKey, Moment)> + '_ {
        self.agent_ids
            .iter()
            .filter_map(|(key, id)| Some((*key, slot(&self.agents, id.0).and_then(|agent| agent.heard)?)))
    }
}

impl Agent {
    fn is_heard(&self, at: Moment) -> bool {
        self.heard.is_some_and(|heard| at < heard.after(HEARTBEAT_STALE))
    }

    fn standing(&self, revision: u64, at: Moment) -> Result<(), Abstention> {
        if !self.is_heard(at) {
            Err(Abstention::Silent)
        } else if let Some(doubt) = self.sick {
            Err(Abstention::Sick(doubt))
        } else if self.revision < revision {
            Err(Abstention::Outdated)
        } else {
            Ok(())
        }
    }
}

fn slot<T>(table: &[T], index: u32) -> Option<&T> {
    table.get(usize::try_from(index).ok()?)
}

fn slot_mut<T>(table: &mut [T], index: u32) -> Option<&mut T> {
    table.get_mut(usize::try_from(index).ok()?)
}
