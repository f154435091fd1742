//! What is to be committed: the group that gathers, the commit under way, and what to do while the store fails.
//!
//! One commit is under way at a time; what comes meanwhile gathers into the next. What somebody waits for is kept with
//! the group ([`After`]) and done when its commit is on the disk, never before. That is invariant 2.
//!
//! When a commit fails or takes too long (invariant 8), units are let go: their agents keep them. Changes of state are
//! kept in memory, the latest of each thing, and tried again every second before anything else. Whether storage counts
//! as good again is decided slowly ([`limits::STORAGE_GOOD_AFTER`]), so that a disk on the brink makes one message.

mod changes;

use std::collections::BTreeMap;

use quorate_proto::{
    AgentKey, BootEpoch, Chains, MonitorId, Sequence,
    frame::{AckVerdict, JoinReply},
    join::JoinString,
};
use quorate_quorum::Moment;
use tokio::sync::oneshot;

pub(super) use self::changes::Changes;
use crate::{
    limits,
    model::{AdminError, AgentRecord, Maintenance},
    store::{Change, Commit, CommitError, UnitRows},
};

/// What is to be committed.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    group: Group,
    under_way: Option<UnderWay>,
    /// Changes whose commit failed.
    backlog: Changes,
    trouble: Option<Trouble>,
}

/// What gathers for the next commit.
#[derive(Debug, Default)]
struct Group {
    units: Vec<UnitRows>,
    bytes: usize,
    changes: Changes,
    /// Changes that are dropped when their commit fails, because somebody is told so.
    wishes: Vec<Change>,
    after: Vec<After>,
    since: Option<Moment>,
    urgent: bool,
}

#[derive(Debug)]
struct UnderWay {
    since: Moment,
    stalled: bool,
    units: u64,
    /// Chains as they stand on the disk when this commit is there.
    chains: BTreeMap<AgentKey, Chains>,
    changes: Changes,
    after: Vec<After>,
}

/// Why, and since when, the store is not trusted.
#[derive(Debug)]
struct Trouble {
    reason: String,
    retry_at: Moment,
    /// Since when every commit succeeded.
    good_since: Option<Moment>,
}

/// What is done when a commit is on the disk; where it failed, whoever waits is told so.
#[derive(Debug)]
pub(super) enum After {
    /// Acknowledge a unit; `end` is the first sequence number after it.
    Ack { agent: AgentKey, epoch: BootEpoch, end: Sequence, ack: oneshot::Sender<AckVerdict> },
    /// Send a delivery. Does not wait for a store in trouble.
    Deliver(u64),
    /// These monitors may be given to the agent.
    Given { agent: AgentKey, monitors: Vec<MonitorId> },
    /// The agent has joined with this token; `before` is what was known of it.
    Joined { agent: AgentKey, token: [u8; 8], before: Option<AgentRecord>, reply: oneshot::Sender<JoinReply> },
    /// The token can be used.
    Added { join: JoinString, reply: oneshot::Sender<Result<JoinString, AdminError>> },
    /// The agent stays revoked.
    Revoked { record: AgentRecord, reply: oneshot::Sender<Result<AgentRecord, AdminError>> },
    /// The maintenance is stored; in force it was before.
    Maintained { maintenance: Maintenance, reply: oneshot::Sender<Result<Maintenance, AdminError>> },
}

/// A commit that ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// Units that are on the disk since.
    pub(super) units: u64,
    /// Chains as they stand on the disk since; empty where it failed.
    pub(super) chains: BTreeMap<AgentKey, Chains>,
    /// What waited for it.
    pub(super) after: Vec<After>,
}

impl Ledger {
    /// Whether units are taken: the store is not known to fail, and there is room.
    pub(super) fn takes_units(&self) -> bool {
        self.is_writable()
            && self.group.units.len() < limits::GROUP_UNITS_MAX
            && self.group.bytes < limits::GROUP_BYTES_MAX
    }

    /// Whether the latest commit did not fail and none is stalled.
    pub(super) fn is_writable(&self) -> bool {
        self.trouble.as_ref().is_none_or(|trouble| trouble.good_since.is_some())
    }

    /// Why the store is not trusted, where it is not.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_ref().map(|trouble| trouble.reason.as_str())
    }

    /// A unit for the log.
    pub(super) fn unit(&mut self, unit: UnitRows, at: Moment) {
        self.group.bytes += unit.unit.get().signed.as_bytes().len();
        self.group.units.push(unit);
        self.begin(at);
    }

    /// A change that must become durable, now or when the store has recovered.
    pub(super) fn change(&mut self, change: Change, at: Moment) {
        self.group.changes.put(change);
        // Matters only while a commit hangs: otherwise the group goes off long before.
        self.group.changes.trim();
        self.begin(at);
    }

    /// A change that is dropped when its commit fails.
    pub(super) fn wish(&mut self, change: Change, at: Moment) {
        self.group.wishes.push(change);
        self.begin(at);
    }

    /// Something that waits for the group's commit.
    pub(super) fn after(&mut self, after: After, at: Moment) {
        self.group.after.push(after);
        self.begin(at);
    }

    /// Somebody waits for the group: it goes off as soon as it can.
    pub(super) fn hurry(&mut self) {
        self.group.urgent = true;
    }

    /// The next commit, where one is due. `chains` gives the chain of an agent up to the newest unit of the group.
    pub(super) fn submit(
        &mut self,
        at: Moment,
        chains: impl Fn(AgentKey) -> Option<Chains>,
    ) -> Option<Commit> {
        if self.under_way.is_some() || self.due_at().is_none_or(|due| due > at) {
            return None;
        }
        let group = std::mem::take(&mut self.group);
        let mut changes = std::mem::take(&mut self.backlog);
        changes.overlay(group.changes);
        let agents = group.units.iter().map(|rows| rows.unit.get().place.agent);
        self.under_way = Some(UnderWay {
            since: at,
            stalled: false,
            units: u64::try_from(group.units.len()).unwrap_or(u64::MAX),
            chains: agents.filter_map(|agent| Some((agent, chains(agent)?))).collect(),
            changes: changes.clone(),
            after: group.after,
        });
        let mut all = changes.into_list();
        all.extend(group.wishes);
        if self.trouble.is_some() && all.is_empty() {
            // Nothing is owed, and still one wants to know whether the disk takes anything again.
            all.push(Change::Pulse(at.to_wall()));
        }
        Some(Commit { units: group.units, changes: all })
    }

    /// When the next commit is due, were none under way.
    fn due_at(&self) -> Option<Moment> {
        if let Some(Trouble { retry_at, good_since: None, .. }) = &self.trouble {
            return Some(*retry_at);
        }
        let owed = (!self.backlog.is_empty()).then_some(Moment(0));
        let group = &self.group;
        let enough = group.urgent
            || group.units.len() >= limits::GROUP_UNITS_ENOUGH
            || group.bytes >= limits::GROUP_BYTES_ENOUGH;
        owed.or(group.since.map(|since| if enough { since } else { since.after(limits::GROUP_WAIT) }))
    }

    /// When something is to be done here even if nothing happens.
    pub(super) fn wake_at(&self) -> Option<Moment> {
        let commit = match &self.under_way {
            Some(UnderWay { stalled: true, .. }) => None,
            Some(under_way) => Some(under_way.since.after(limits::COMMIT_STALLED)),
            None => self.due_at(),
        };
        let good = self.trouble.as_ref().and_then(|trouble| trouble.good_since);
        [commit, good.map(|since| since.after(limits::STORAGE_GOOD_AFTER))].into_iter().flatten().min()
    }

    /// The commit under way ended. Gives what waited for it.
    pub(super) fn ended(&mut self, outcome: &Result<(), CommitError>, at: Moment) -> Option<Ended> {
        let UnderWay { units, chains, changes, after, .. } = self.under_way.take()?;
        match outcome {
            Ok(()) => {
                if let Some(trouble) = &mut self.trouble {
                    trouble.good_since.get_or_insert(at);
                }
                Some(Ended { units, chains, after })
            }
            Err(_) => {
                self.backlog = changes;
                self.backlog.trim();
                Some(Ended { units: 0, chains: BTreeMap::new(), after })
            }
        }
    }

    /// The store fails. Gives whether that is news.
    pub(super) fn fails(&mut self, reason: String, at: Moment) -> bool {
        let is_news = self.trouble.is_none();
        self.trouble = Some(Trouble { reason, retry_at: at.after(limits::COMMIT_RETRY), good_since: None });
        is_news
    }

    /// Whether the commit under way has just become too slow. Said once a commit.
    pub(super) fn stalls(&mut self, at: Moment) -> bool {
        match &mut self.under_way {
            Some(under_way) if !under_way.stalled && at.since(under_way.since) >= limits::COMMIT_STALLED => {
                under_way.stalled = true;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Whether storage has just become good again.
    pub(super) fn recovers(&mut self, at: Moment) -> bool {
        let good_since = self.trouble.as_ref().and_then(|trouble| trouble.good_since);
        let recovers = good_since.is_some_and(|since| at.since(since) >= limits::STORAGE_GOOD_AFTER);
        if recovers {
            self.trouble = None;
        }
        recovers
    }

    /// Deliveries that wait for a commit, in order. For a store in trouble: they are sent without it.
    pub(super) fn release_deliveries(&mut self) -> Vec<u64> {
        let waiting = self.under_way.iter_mut().map(|under_way| &mut under_way.after);
        let mut released = Vec::new();
        for after in waiting.chain([&mut self.group.after]) {
            for one in after.extract_if(.., |one| matches!(one, After::Deliver(_))) {
                if let After::Deliver(delivery) = one {
                    released.push(delivery);
                }
            }
        }
        released
    }

    /// Lets go of the group's units, and gives every acknowledgement that waits: agents are told to send again, and
    /// meanwhile have room for what is fresh.
    pub(super) fn release_units(&mut self) -> Vec<After> {
        let is_ack = |one: &mut After| matches!(one, After::Ack { .. });
        let mut released = match &mut self.under_way {
            Some(under_way) => under_way.after.extract_if(.., is_ack).collect(),
            None => Vec::new(),
        };
        self.group.units.clear();
        self.group.bytes = 0;
        released.extend(self.group.after.extract_if(.., is_ack));
        released
    }

    /// An agent's chain as it stands on the disk should the commit under way succeed.
    pub(super) fn chains_under_way(&self, agent: &AgentKey) -> Option<&Chains> {
        self.under_way.as_ref()?.chains.get(agent)
    }

    /// Whether nothing is left to commit.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way.is_none() && self.group.since.is_none() && self.backlog.is_empty()
    }

    fn begin(&mut self, at: Moment) {
        self.group.since.get_or_insert(at);
    }
}
