//! Who may vote (rule 2): agents as their heartbeats describe them, and the regions in which they stand.
//!
//! Whether an agent is eligible is worked out when a vote is counted, from its last heartbeat and the moment. So a
//! heartbeat touches no monitor, however many its agent watches; only a *change* (silent, sick, another revision) makes
//! the engine look at the monitors of the region.

use std::collections::{BTreeMap, BTreeSet};

use quorate_proto::{AgentKey, Doubt, MonitorId, Region, limits::HEARTBEAT_STALE};

use super::outliers::{Record, TargetId};
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
    target_ids: BTreeMap<String, TargetId>,
    /// Whether any agent ever had a label.
    has_labels: bool,
}

#[derive(Clone, Debug, Default)]
struct Agent {
    region: Option<RegionId>,
    /// Its labels, which form domains.
    labels: BTreeMap<String, String>,
    /// None before the first heartbeat, and after the agent is forgotten.
    heard: Option<Moment>,
    /// Since when it has been neither silent nor sick.
    well_since: Moment,
    revision: u64,
    sick: Option<Doubt>,
    /// How it compares with the others.
    record: Record,
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
    /// The region that it left.
    pub(super) left: Option<(AgentId, RegionId)>,
    /// When to see whether it fell silent, where the agenda has no entry for it.
    pub(super) enter: Option<(Moment, AgentId)>,
}

impl Fleet {
    /// The place of an agent, new where it was not heard of.
    #[inline]
    pub(super) fn agent(&mut self, key: AgentKey) -> AgentId {
        let next = AgentId(u32::try_from(self.agents.len()).unwrap_or(u32::MAX));
        let id = *self.agent_ids.entry(key).or_insert(next);
        if id == next {
            self.agents.push(Agent::default());
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
        if !was_well && sick.is_none() {
            agent.well_since = at;
        }
        (agent.heard, agent.revision, agent.sick) = (Some(at), revision, sick);
        if !agent.entered {
            agent.entered = true;
            heard.enter = Some((at.after(HEARTBEAT_STALE), id));
        }
        let arrived = self.station(id, region, &mut heard);
        heard.regions.extend((changed || arrived).then_some(region));
        heard
    }

    /// Takes what an agent was enrolled as.
    pub(super) fn enrol(
        &mut self,
        key: AgentKey,
        region: &Region,
        labels: BTreeMap<String, String>,
    ) -> Heard {
        let id = self.agent(key);
        let region = self.region(region);
        let mut heard = Heard::default();
        self.has_labels |= !labels.is_empty();
        let Some(agent) = slot_mut(&mut self.agents, id.0) else { return heard };
        let changed = std::mem::replace(&mut agent.labels, labels) != agent.labels;
        let arrived = self.station(id, region, &mut heard);
        heard.regions.extend((changed || arrived).then_some(region));
        heard
    }

    /// Puts an agent into a region; says whether it was not there before. One that comes from another region leaves
    /// behind what it said there.
    fn station(&mut self, id: AgentId, region: RegionId, heard: &mut Heard) -> bool {
        let Some(agent) = slot_mut(&mut self.agents, id.0) else { return false };
        let before = agent.region.replace(region);
        if before == Some(region) {
            return false;
        }
        if let Some(left) = before {
            agent.record = Record::default();
            if let Some(roster) = slot_mut(&mut self.regions, left.0) {
                roster.agents.retain(|agent| *agent != id);
            }
            heard.left = Some((id, left));
            heard.regions.push(left);
        }
        if let Some(roster) = slot_mut(&mut self.regions, region.0) {
            roster.agents.push(id);
        }
        true
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
        agent.record = Record::default();
        let region = agent.region.take();
        if let Some(roster) = region.and_then(|region| slot_mut(&mut self.regions, region.0)) {
            roster.agents.retain(|agent| *agent != id);
        }
        Some((id, region))
    }

    /// Whether an agent may vote on a monitor of a revision.
    pub(super) fn is_eligible(&self, id: AgentId, revision: u64, at: Moment) -> bool {
        self.may_vote(id, revision, at).is_ok()
    }

    /// Whether an agent may vote on a monitor of a revision, or why not.
    pub(super) fn may_vote(&self, id: AgentId, revision: u64, at: Moment) -> Result<(), Abstention> {
        slot(&self.agents, id.0).ok_or(Abstention::Silent)?.standing(revision, at)
    }

    /// The agents of a region, whether or not they may vote.
    pub(super) fn stationed(&self, region: RegionId) -> &[AgentId] {
        slot(&self.regions, region.0).map_or(&[], |roster| &roster.agents)
    }

    /// Whether any agent has labels.
    pub(super) fn has_labels(&self) -> bool {
        self.has_labels
    }

    /// The domain of an agent by a label: the label's value, or its region's name.
    pub(super) fn domain<'a>(&'a self, id: AgentId, label: &str, region: &'a Region) -> &'a str {
        let value = slot(&self.agents, id.0).and_then(|agent| agent.labels.get(label));
        value.map_or(region.as_str(), String::as_str)
    }

    /// The place of a target, new where it was not heard of.
    pub(super) fn target(&mut self, name: &str) -> TargetId {
        if let Some(id) = self.target_ids.get(name) {
            return *id;
        }
        let id = TargetId(u32::try_from(self.target_ids.len()).unwrap_or(u32::MAX));
        self.target_ids.insert(name.to_owned(), id);
        id
    }

    /// The place of an agent that was not forgotten, and of its region.
    pub(super) fn place(&self, key: AgentKey) -> Option<(AgentId, RegionId)> {
        let id = *self.agent_ids.get(&key)?;
        Some((id, slot(&self.agents, id.0)?.region?))
    }

    /// The name of a region.
    pub(super) fn region_name(&self, region: RegionId) -> Option<Region> {
        self.region_ids.iter().find(|(_, id)| **id == region).map(|(name, _)| name.clone())
    }

    /// How an agent compares with the others.
    pub(super) fn record_mut(&mut self, id: AgentId) -> Option<&mut Record> {
        slot_mut(&mut self.agents, id.0).map(|agent| &mut agent.record)
    }

    /// How an agent that was not forgotten compares with the others.
    pub(super) fn record(&self, key: &AgentKey) -> Option<&Record> {
        slot(&self.agents, self.agent_ids.get(key)?.0).map(|agent| &agent.record)
    }

    /// How the agents that were not forgotten compare with the others.
    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.agent_ids.values().filter_map(|id| slot(&self.agents, id.0)).map(|agent| &agent.record)
    }

    /// Why an agent may not vote on a monitor of a revision; none where it may.
    pub(super) fn why_not(&self, id: AgentId, revision: u64, at: Moment) -> Option<Abstention> {
        slot(&self.agents, id.0).map_or(Some(Abstention::Silent), |agent| agent.standing(revision, at).err())
    }

    /// Whether any agent of a region may vote on a monitor of a revision: since when the youngest of them is well, or
    /// why none may.
    pub(super) fn standing(&self, region: RegionId, revision: u64, at: Moment) -> Result<Moment, Abstention> {
        let mut reason = Abstention::Silent;
        let mut well_since = None;
        for agent in self.stationed(region).iter().filter_map(|id| slot(&self.agents, id.0)) {
            match agent.standing(revision, at) {
                Ok(()) => well_since = well_since.max(Some(agent.well_since)),
                // In order of declaration silent, outdated, sick, outlier: the reason of the agent nearest to a vote.
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
        } else if self.record.is_outlier() {
            Err(Abstention::Outlier)
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
