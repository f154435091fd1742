//! Agents: which are heard, and which were said to be offline.

use std::collections::{BTreeMap, BTreeSet};

use quorate_proto::{AgentKey, Micros, Region, limits::HEARTBEAT_STALE};

use super::{
    AgentAway, AgentMemory, AgentsBack, AgentsOffline, Memory, Paging, PagingEffect, VoterLoss,
    agenda::Due,
    settings::{AGENTS_GATHER, RECONNECT_MAX},
};
use crate::Moment;

/// All agents that are enrolled, as far as paging was told of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Fleet {
    agents: BTreeMap<AgentKey, Agent>,
}

#[derive(Clone, Debug)]
struct Agent {
    region: Region,
    /// When it was last heard from; none where it was not since the start.
    heard: Option<Moment>,
    /// From when its silence counts: then, or when it had its time to connect after a start.
    silent_from: Moment,
    standing: Standing,
}

/// What was said of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Nothing, and there is nothing to say.
    Here,
    /// It is past patience, and the notice gathers others.
    Missing,
    /// It was said to be offline.
    Away,
    /// It was, and is heard again; that notice gathers others.
    Returning,
}

impl Agent {
    fn is_heard(&self, at: Moment) -> bool {
        self.heard.is_some_and(|heard| at < heard.after(HEARTBEAT_STALE))
    }
}

impl Fleet {
    pub(super) fn restore(&mut self, agent: AgentKey, kept: AgentMemory, at: Moment) {
        let AgentMemory { region, heard } = kept;
        self.agents.insert(agent, Agent { region, heard, silent_from: at, standing: Standing::Away });
    }

    /// Regions with an agent that is heard, and regions with agents none of which is.
    pub(super) fn regions(&self, at: Moment) -> (BTreeSet<&Region>, BTreeSet<&Region>) {
        let heard = self.agents.values().filter(|agent| agent.is_heard(at)).map(|agent| &agent.region);
        let heard = heard.collect::<BTreeSet<_>>();
        let silent = self.agents.values().map(|agent| &agent.region).filter(|region| !heard.contains(region));
        let silent = silent.collect();
        (heard, silent)
    }

    /// What is kept of agents that were said to be offline.
    pub(super) fn memories(&self) -> impl Iterator<Item = Memory> + '_ {
        let away = |agent: &&Agent| matches!(agent.standing, Standing::Away | Standing::Returning);
        self.agents.iter().filter(move |(_, agent)| away(agent)).map(|(key, agent)| {
            Memory::Agent(*key, Some(AgentMemory { region: agent.region.clone(), heard: agent.heard }))
        })
    }

    fn heard_in(&self, region: &Region, at: Moment) -> usize {
        self.agents.values().filter(|agent| agent.region == *region && agent.is_heard(at)).count()
    }

    /// Moves all agents from one standing to another, and gives them.
    fn move_all(&mut self, from: Standing, to: Standing, at: Moment) -> Vec<AgentAway> {
        let mut moved = Vec::new();
        for (key, agent) in &mut self.agents {
            if agent.standing == from {
                agent.standing = to;
                moved.push((*key, agent.region.clone(), agent.heard));
            }
        }
        let away = |(agent, region, heard): (AgentKey, Region, Option<Moment>)| AgentAway {
            agent,
            substitutes: self.heard_in(&region, at),
            region,
            heard,
        };
        moved.into_iter().map(away).collect()
    }

    fn count(&self, standing: Standing) -> usize {
        self.agents.values().filter(|agent| agent.standing == standing).count()
    }
}

impl Paging {
    /// An agent that there is, and that has not been heard from since the start.
    pub(super) fn enrolled(&mut self, key: AgentKey, region: Region, at: Moment) {
        let silent_from = at.after(RECONNECT_MAX);
        let agent = Agent { region, heard: None, silent_from, standing: Standing::Here };
        let agent = self.fleet.agents.entry(key).or_insert(agent);
        if agent.standing == Standing::Here {
            let due = agent.silent_from.after(self.silence());
            self.agenda.set_if_none(Due::Agent(key), due);
        }
    }

    pub(super) fn heard(&mut self, key: AgentKey, region: Region, at: Moment) {
        let due = at.after(self.silence());
        let agent = self.fleet.agents.entry(key).or_insert_with(|| Agent {
            region: region.clone(),
            heard: None,
            silent_from: at,
            standing: Standing::Here,
        });
        agent.region = region;
        agent.heard = Some(at);
        agent.silent_from = at;
        match agent.standing {
            Standing::Here | Standing::Returning => {}
            Standing::Missing => agent.standing = Standing::Here,
            Standing::Away => {
                agent.standing = Standing::Returning;
                self.agenda.set_if_none(Due::Back, at.after(AGENTS_GATHER));
            }
        }
        self.agenda.set_if_none(Due::Agent(key), due);
    }

    pub(super) fn forgotten(&mut self, key: AgentKey, effects: &mut Vec<PagingEffect>) {
        let Some(agent) = self.fleet.agents.remove(&key) else { return };
        self.agenda.set(Due::Agent(key), None);
        if matches!(agent.standing, Standing::Away | Standing::Returning) {
            effects.push(PagingEffect::Remember(Box::new(Memory::Agent(key, None))));
        }
    }

    /// Nobody could be heard: silence counts from here.
    pub(super) fn agents_paused(&mut self, at: Moment) {
        let due = at.after(self.silence());
        for (key, agent) in &mut self.fleet.agents {
            agent.silent_from = at;
            if agent.standing == Standing::Missing {
                agent.standing = Standing::Here;
                self.agenda.set_if_none(Due::Agent(*key), due);
            }
        }
    }

    /// Sees whether an agent is past patience.
    pub(super) fn agent_due(&mut self, key: AgentKey, at: Moment) {
        let silence = self.silence();
        let Some(agent) = self.fleet.agents.get_mut(&key) else { return };
        let due = agent.silent_from.after(silence);
        if due > at {
            return self.agenda.set(Due::Agent(key), Some(due));
        }
        if agent.standing == Standing::Here {
            agent.standing = Standing::Missing;
            self.agenda.set_if_none(Due::Offline, at.after(AGENTS_GATHER));
        }
    }

    /// Tells of all agents that are missing.
    pub(super) fn offline_due(&mut self, at: Moment, effects: &mut Vec<PagingEffect>) {
        let agents = self.fleet.move_all(Standing::Missing, Standing::Away, at);
        if agents.is_empty() {
            return;
        }
        for away in &agents {
            let kept = AgentMemory { region: away.region.clone(), heard: away.heard };
            effects.push(PagingEffect::Remember(Box::new(Memory::Agent(away.agent, Some(kept)))));
        }
        let lost = agents.iter().filter(|away| away.substitutes == 0).map(|away| &away.region);
        let monitors = self.losses(&lost.collect(), at);
        let heard = self.fleet.agents.values().filter(|agent| agent.is_heard(at)).count();
        effects.push(PagingEffect::AgentsOffline(Box::new(AgentsOffline { agents, heard, monitors })));
    }

    /// Tells of all agents that are back.
    pub(super) fn back_due(&mut self, at: Moment, effects: &mut Vec<PagingEffect>) {
        let agents = self.fleet.move_all(Standing::Returning, Standing::Here, at);
        for back in &agents {
            effects.push(PagingEffect::Remember(Box::new(Memory::Agent(back.agent, None))));
        }
        let away = self.fleet.count(Standing::Away);
        if !agents.is_empty() {
            effects.push(PagingEffect::AgentsBack(Box::new(AgentsBack { agents, away })));
        }
    }

    /// The monitors that are watched from any of these regions, as their voters stand.
    fn losses(&self, regions: &BTreeSet<&Region>, at: Moment) -> Vec<VoterLoss> {
        let (heard, _) = self.fleet.regions(at);
        let loss = |(monitor, policy): (&quorate_proto::MonitorId, &crate::Policy)| {
            let count = |count| u16::try_from(count).unwrap_or(u16::MAX);
            let voters = count(policy.voting().filter(|region| heard.contains(region)).count());
            let is_told = voters >= policy.voters_min();
            VoterLoss {
                monitor: monitor.clone(),
                voters,
                of: count(policy.regions.len()),
                needed: is_told.then(|| policy.needed(voters)),
            }
        };
        let watched = self.wards.iter().filter_map(|(monitor, ward)| Some((monitor, ward.policy.as_ref()?)));
        let losing =
            watched.filter(|(_, policy)| policy.regions.iter().any(|region| regions.contains(region)));
        losing.map(loss).collect()
    }

    /// How long an agent may be silent before its operator is told.
    fn silence(&self) -> Micros {
        HEARTBEAT_STALE + self.settings.offline_patience
    }
}
