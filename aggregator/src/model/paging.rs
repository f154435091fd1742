//! Messages that are about more than one incident, and what paging keeps through a restart.

use std::collections::{BTreeMap, BTreeSet};

use quorate_proto::{AgentKey, AgentName, Micros, MonitorId, Region, WallMicros};
use quorate_quorum::{
    Moment,
    paging::{AgentMemory, FlappingMemory, GroupMemory, MemberMemory, Memory, MonitorMemory, Wait},
};
use serde::{Deserialize, Serialize};

use super::{ChannelId, MonitorReference, rfc3339};

/// Many monitors that went down at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupAlert {
    /// `grp_` and the moment of its beginning; the `group` of its incidents.
    pub id: String,
    /// In one or two sentences, with the numbers.
    pub summary: String,
    /// What it likely means, and what to do.
    pub hint: String,
    /// When it began.
    #[serde(with = "rfc3339")]
    pub began_at: WallMicros,
    /// When the last of its incidents was over.
    #[serde(with = "rfc3339::option")]
    pub resolved_at: Option<WallMicros>,
    /// Monitors of it whose incident is not over.
    pub open: usize,
    /// All monitors of it.
    pub size: usize,
    /// All monitors that there are.
    pub monitors_watched: usize,
    /// The monitors, those that are new to it and those that are not over first.
    pub monitors: Vec<GroupedMonitor>,
    /// Monitors that were left out of the list.
    pub monitors_omitted: usize,
}

/// A monitor of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupedMonitor {
    /// Which.
    #[serde(flatten)]
    pub monitor: MonitorReference,
    /// Whether its incident is over.
    pub over: bool,
    /// Whether it was paged on its own before the group was seen.
    pub paged: bool,
    /// Whether no message of the group named it before.
    pub new: bool,
}

/// A monitor that goes up and down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlappingAlert {
    /// Which.
    pub monitor: MonitorReference,
    /// In one or two sentences, with the numbers.
    pub summary: String,
    /// Its verdict; none where it was removed from the configuration.
    pub verdict: Option<String>,
    /// The first of the changes that made it flap.
    #[serde(with = "rfc3339")]
    pub since: WallMicros,
    /// Changes between down and not down since then.
    pub changes: u32,
    /// Of those, changes since the message before.
    pub changes_new: u32,
    /// Time down since then.
    pub down_seconds: f64,
    /// Of that, time since the message before.
    pub down_seconds_new: f64,
    /// What was seen last.
    pub cause: Option<String>,
}

/// Agents that are offline, or back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentsAlert {
    /// In one or two sentences, with the numbers.
    pub summary: String,
    /// What to do; empty where nothing is.
    pub hint: String,
    /// Which.
    pub agents: Vec<AwayAgent>,
    /// Agents that were left out of the list.
    pub agents_omitted: usize,
    /// Monitors that lose a voter by it, those that nobody can tell of any more first. Empty when agents are back.
    pub monitors: Vec<LosingMonitor>,
    /// Monitors that were left out of the list.
    pub monitors_omitted: usize,
}

/// An agent that is offline, or back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwayAgent {
    /// Its name.
    pub name: AgentName,
    /// Its region.
    pub region: Region,
    /// When it was last heard from before, where that is known.
    #[serde(with = "rfc3339::option")]
    pub last_seen_at: Option<WallMicros>,
    /// Other agents of its region that are heard.
    pub substitutes: usize,
}

/// A monitor that loses a voter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LosingMonitor {
    /// Which.
    #[serde(flatten)]
    pub monitor: MonitorReference,
    /// Regions that are left.
    pub voters: u16,
    /// Regions that are configured.
    pub of: u16,
    /// How many of those left must fail for *down* to be said; `null`: too few are left to say anything.
    pub needed: Option<u16>,
}

/// One thing that paging keeps: a row of the table `paging`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// Of a monitor.
    Monitor(KeptMonitor),
    /// Of a group.
    Group(KeptGroup),
    /// Of an agent that was said to be offline.
    Agent(KeptAgent),
    /// Who was told of a group, or of a monitor that flaps.
    Told(BTreeSet<ChannelId>),
}

/// [`MonitorMemory`], as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptMonitor {
    monitor: MonitorId,
    told: bool,
    is_down: bool,
    due_at: Option<u64>,
    group: Option<u64>,
    wait: Option<KeptWait>,
    edges: Vec<u64>,
    flapping: Option<KeptFlapping>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KeptWait {
    Fleet { until: u64 },
    Parents { by: BTreeSet<MonitorId>, until: Option<u64>, clear_since: Option<u64>, cleared: u64 },
    Group,
    Flapping,
    Agents { look_at: u64, doubted: bool },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KeptFlapping {
    since: u64,
    edges: u32,
    edges_told: u32,
    edge_at: u64,
    down_since: Option<u64>,
    down_for: u64,
    down_told: u64,
    digest_at: u64,
}

/// [`GroupMemory`], as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptGroup {
    group: u64,
    opened: bool,
    joined_at: u64,
    report_at: Option<u64>,
    members: BTreeMap<MonitorId, KeptMember>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KeptMember {
    is_over: bool,
    is_paged: bool,
    is_named: bool,
}

/// [`AgentMemory`], as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAgent {
    agent: AgentKey,
    region: Region,
    heard: Option<u64>,
}

impl Kept {
    /// The row of a memory: its key, and what stands there; none where it goes.
    pub fn of(memory: &Memory) -> (String, Option<Self>) {
        match memory {
            Memory::Monitor(monitor, kept) => {
                let kept = kept.as_ref().map(|kept| Self::Monitor(KeptMonitor::of(monitor, kept)));
                (format!("monitor/{monitor}"), kept)
            }
            Memory::Group(group, kept) => {
                let kept = kept.as_ref().map(|kept| Self::Group(KeptGroup::of(*group, kept)));
                (format!("group/{}", group.0), kept)
            }
            Memory::Agent(agent, kept) => {
                let kept = kept.as_ref().map(|kept| KeptAgent {
                    agent: *agent,
                    region: kept.region.clone(),
                    heard: kept.heard.map(|heard| heard.0),
                });
                (format!("agent/{agent}"), kept.map(Self::Agent))
            }
        }
    }

    /// The memory of a row, where it is one.
    pub fn into_memory(self) -> Option<Memory> {
        match self {
            Self::Monitor(kept) => {
                let (monitor, memory) = kept.into_memory();
                Some(Memory::Monitor(monitor, Some(memory)))
            }
            Self::Group(kept) => Some(Memory::Group(Moment(kept.group), Some(kept.into_memory()))),
            Self::Agent(KeptAgent { agent, region, heard }) => {
                Some(Memory::Agent(agent, Some(AgentMemory { region, heard: heard.map(Moment) })))
            }
            Self::Told(_) => None,
        }
    }
}

impl KeptMonitor {
    fn of(monitor: &MonitorId, memory: &MonitorMemory) -> Self {
        let MonitorMemory { told, is_down, due_at, group, wait, edges, flapping } = memory.clone();
        let wait = wait.map(|wait| match wait {
            Wait::Fleet { until } => KeptWait::Fleet { until: until.0 },
            Wait::Parents { by, until, clear_since, cleared } => KeptWait::Parents {
                by,
                until: until.map(|at| at.0),
                clear_since: clear_since.map(|at| at.0),
                cleared: cleared.0,
            },
            Wait::Group => KeptWait::Group,
            Wait::Flapping => KeptWait::Flapping,
            Wait::Agents { look_at, doubted } => KeptWait::Agents { look_at: look_at.0, doubted },
        });
        let flapping = flapping.map(|kept| KeptFlapping {
            since: kept.since.0,
            edges: kept.edges,
            edges_told: kept.edges_told,
            edge_at: kept.edge_at.0,
            down_since: kept.down_since.map(|at| at.0),
            down_for: kept.down_for.0,
            down_told: kept.down_told.0,
            digest_at: kept.digest_at.0,
        });
        Self {
            monitor: monitor.clone(),
            told,
            is_down,
            due_at: due_at.map(|at| at.0),
            group: group.map(|at| at.0),
            wait,
            edges: edges.into_iter().map(|at| at.0).collect(),
            flapping,
        }
    }

    fn into_memory(self) -> (MonitorId, MonitorMemory) {
        let wait = self.wait.map(|wait| match wait {
            KeptWait::Fleet { until } => Wait::Fleet { until: Moment(until) },
            KeptWait::Parents { by, until, clear_since, cleared } => Wait::Parents {
                by,
                until: until.map(Moment),
                clear_since: clear_since.map(Moment),
                cleared: Micros(cleared),
            },
            KeptWait::Group => Wait::Group,
            KeptWait::Flapping => Wait::Flapping,
            KeptWait::Agents { look_at, doubted } => Wait::Agents { look_at: Moment(look_at), doubted },
        });
        let flapping = self.flapping.map(|kept| FlappingMemory {
            since: Moment(kept.since),
            edges: kept.edges,
            edges_told: kept.edges_told,
            edge_at: Moment(kept.edge_at),
            down_since: kept.down_since.map(Moment),
            down_for: Micros(kept.down_for),
            down_told: Micros(kept.down_told),
            digest_at: Moment(kept.digest_at),
        });
        let memory = MonitorMemory {
            told: self.told,
            is_down: self.is_down,
            due_at: self.due_at.map(Moment),
            group: self.group.map(Moment),
            wait,
            edges: self.edges.into_iter().map(Moment).collect(),
            flapping,
        };
        (self.monitor, memory)
    }
}

impl KeptGroup {
    fn of(group: Moment, memory: &GroupMemory) -> Self {
        let member = |(monitor, member): (&MonitorId, &MemberMemory)| {
            let MemberMemory { is_over, is_paged, is_named } = *member;
            (monitor.clone(), KeptMember { is_over, is_paged, is_named })
        };
        Self {
            group: group.0,
            opened: memory.opened,
            joined_at: memory.joined_at.0,
            report_at: memory.report_at.map(|at| at.0),
            members: memory.members.iter().map(member).collect(),
        }
    }

    fn into_memory(self) -> GroupMemory {
        let member = |(monitor, member): (MonitorId, KeptMember)| {
            let KeptMember { is_over, is_paged, is_named } = member;
            (monitor, MemberMemory { is_over, is_paged, is_named })
        };
        GroupMemory {
            opened: self.opened,
            joined_at: Moment(self.joined_at),
            report_at: self.report_at.map(Moment),
            members: self.members.into_iter().map(member).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(memory: Memory) {
        let (_, kept) = Kept::of(&memory);
        let text = serde_json::to_string(&kept).unwrap();
        let back: Option<Kept> = serde_json::from_str(&text).unwrap();
        assert_eq!(back.unwrap().into_memory(), Some(memory), "{text}");
    }

    #[test]
    fn what_is_kept_comes_back_as_it_was() {
        let (shop, chat): (MonitorId, MonitorId) = ("shop".parse().unwrap(), "chat".parse().unwrap());
        let flapping = FlappingMemory {
            since: Moment(1),
            edges: 2,
            edges_told: 3,
            edge_at: Moment(4),
            down_since: Some(Moment(5)),
            down_for: Micros(6),
            down_told: Micros(7),
            digest_at: Moment(8),
        };
        let waits = [
            Wait::Fleet { until: Moment(1) },
            Wait::Parents {
                by: BTreeSet::from([chat]),
                until: Some(Moment(2)),
                clear_since: Some(Moment(3)),
                cleared: Micros(4),
            },
            Wait::Group,
            Wait::Flapping,
            Wait::Agents { look_at: Moment(5), doubted: true },
        ];
        for wait in waits.map(Some).into_iter().chain([None]) {
            let memory = MonitorMemory {
                told: true,
                is_down: wait.is_none(),
                due_at: Some(Moment(9)),
                group: Some(Moment(10)),
                wait,
                edges: vec![Moment(11), Moment(12)],
                flapping: Some(flapping.clone()),
            };
            there_and_back(Memory::Monitor(shop.clone(), Some(memory)));
        }
        there_and_back(Memory::Monitor(shop.clone(), Some(MonitorMemory::default())));
        let member = MemberMemory { is_over: true, is_paged: false, is_named: true };
        let group = GroupMemory {
            opened: true,
            joined_at: Moment(1),
            report_at: Some(Moment(2)),
            members: BTreeMap::from([(shop, member)]),
        };
        there_and_back(Memory::Group(Moment(3), Some(group)));
        let agent = AgentMemory { region: "eu".parse().unwrap(), heard: Some(Moment(4)) };
        there_and_back(Memory::Agent(AgentKey([5; 32]), Some(agent)));
    }
}
