//! Assignments: which agent watches what, under which revision, and how it comes to know.
//!
//! An agent watches every monitor that lists its region. The revision grows when any monitor's specification or regions
//! change, and only then. What an agent is given is on the disk before it is given it, so that its results are never
//! taken for a stranger's, whatever happens to the aggregator meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use quorate_proto::{AgentKey, Assignment, Digest, MonitorId, Region, Slot, codec};
use quorate_quorum::{Event, Moment, PagingEvent, Policy};

use super::{
    effect::{Effect, HandOver, HandedOver, Now, Parcel},
    ledger::After,
    standing::{Standing, TlsStanding},
    state::{Core, Watched},
};
use crate::{
    config::{Config, Monitor},
    decide,
    model::{Dispatch, QualityKept},
    store::{Change, MonitorForm, StoredVerdict},
};

/// The assignments in force.
#[derive(Debug, Default)]
pub(super) struct Assignments {
    pub(super) revision: u64,
    /// The latest change, so that agents that have the revision before need not be given everything.
    step: Option<Step>,
    /// The form of each monitor.
    pub(super) forms: BTreeMap<MonitorId, MonitorForm>,
    /// All monitors of a region, made when first asked for.
    sets: BTreeMap<Region, Arc<[Assignment]>>,
}

/// What one revision changed.
#[derive(Debug)]
struct Step {
    from: u64,
    monitors: BTreeSet<MonitorId>,
}

impl Assignments {
    /// What was in force before the start.
    pub(super) fn restored(revision: u64, forms: BTreeMap<MonitorId, MonitorForm>) -> Self {
        Self { revision, forms, ..Self::default() }
    }
}

impl Core {
    /// Takes up a configuration.
    pub(super) fn configure(&mut self, config: Arc<Config>, now: Now) {
        let channels_changed = self.config.channels != config.channels;
        let controls_changed = self.config.controls != config.controls;
        self.config = config;
        self.page(PagingEvent::Follow(self.config.paging), now);
        if channels_changed {
            self.effects.push(Effect::Dispatch(Dispatch::Channels(self.config.channels.clone())));
        }
        let wanted = self.config.monitors.iter().map(|monitor| monitor.spec.id.clone()).collect();
        let gone = self.remove_monitors(&wanted, now);
        self.revise(gone, now);
        self.take_up_monitors(now);
        self.maintenance.touch();
        self.canvas.reset();
        self.ledger.hurry();
        self.assign_all(now);
        if controls_changed {
            self.give_controls_to_all();
        }
        self.warn_of_domains();
    }

    /// Gives every connected agent what it lacks.
    pub(super) fn assign_all(&mut self, now: Now) {
        let connected = self.agents.iter().filter(|(_, agent)| agent.connection.is_some());
        for agent in connected.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.assign(agent, now);
        }
    }

    /// Gives an agent what it lacks, where it is connected; what it was never given before is recorded first.
    pub(super) fn assign(&mut self, key: AgentKey, now: Now) {
        let Some(region) = self.enrolment.region(&key) else { return };
        let set = self.set(&region);
        let revision = self.assignments.revision;
        let Some(agent) = self.agents.get_mut(&key) else { return };
        let Some(connection) = &mut agent.connection else { return };
        if connection.revision == Some(revision) || connection.handing_over || connection.recording {
            return;
        }
        let new = set.iter().map(|one| &one.spec.id).filter(|id| !agent.given.contains(*id));
        let new = new.cloned().collect::<Vec<_>>();
        if !new.is_empty() {
            if self.ledger.is_writable() {
                connection.recording = true;
                self.ledger.wish(Change::Given { agent: key, monitors: new.clone() }, now.moment);
                self.ledger.after(After::Given { agent: key, monitors: new }, now.moment);
                self.ledger.hurry();
            }
            return;
        }
        let step = self.assignments.step.as_ref().filter(|step| connection.revision == Some(step.from));
        let parcel = match step {
            Some(step) => step.parcel(&set, &agent.given),
            None => Parcel::Full(set),
        };
        connection.revision = Some(revision);
        connection.handing_over = true;
        connection.handed_at = now.moment;
        let (connection, push) = (connection.number, connection.push.clone());
        self.effects.push(Effect::HandOver(HandOver { agent: key, connection, push, revision, parcel }));
    }

    /// A hand-over ended.
    pub(super) fn handed_over(&mut self, ended: HandedOver, now: Now) {
        let Some(agent) = self.agents.get_mut(&ended.agent) else { return };
        let Some(connection) = agent.connection.as_mut().filter(|one| one.number == ended.connection) else {
            return;
        };
        connection.handing_over = false;
        if ended.whole {
            self.assign(ended.agent, now);
        } else {
            // The connection takes nothing, so it is ending, or the agent's next report of health says otherwise.
            connection.revision = None;
        }
    }

    /// What an agent is to be given is on the disk.
    pub(super) fn given(&mut self, key: AgentKey, monitors: Vec<MonitorId>, now: Now) {
        let agent = self.agents.entry(key).or_default();
        agent.given.extend(monitors);
        self.not_given(key);
        self.assign(key, now);
    }

    /// What an agent is to be given could not be recorded: it is tried again when the store has recovered.
    pub(super) fn not_given(&mut self, key: AgentKey) {
        let agent = self.agents.get_mut(&key);
        if let Some(connection) = agent.and_then(|agent| agent.connection.as_mut()) {
            connection.recording = false;
        }
    }

    /// Begins the next revision, in which these monitors are new, different or gone.
    pub(super) fn next_revision(&mut self, monitors: BTreeSet<MonitorId>, now: Now) {
        let assignments = &mut self.assignments;
        assignments.step = Some(Step { from: assignments.revision, monitors });
        // Never one that was in force before, even in a history that was lost with a disk.
        let seconds = u64::try_from(now.wall.as_unix_seconds()).unwrap_or(0);
        assignments.revision = assignments.revision.saturating_add(1).max(seconds);
        assignments.sets.clear();
        self.ledger.change(Change::Revision(assignments.revision), now.moment);
    }

    /// Takes leave of monitors that are not wanted, and gives those that agents may have.
    fn remove_monitors(&mut self, wanted: &BTreeSet<MonitorId>, now: Now) -> BTreeSet<MonitorId> {
        let known = self.assignments.forms.keys().chain(self.incidents.keys()).chain(self.restored.keys());
        let gone = known.filter(|id| !wanted.contains(*id)).cloned().collect::<BTreeSet<_>>();
        for monitor in &gone {
            tracing::info!(%monitor, "monitor removed");
            self.withdraw(monitor, now);
            self.withdraw_quality(monitor, now);
            self.feed(Event::Remove { monitor: monitor.clone() }, now);
            self.monitors.remove(monitor);
            self.restored.remove(monitor);
            self.remembered.said.remove(monitor);
            self.remembered.tls.remove(monitor);
            self.remembered.calibration.remove(monitor);
            self.turn(monitor, None, now.wall, now);
            self.ledger.change(Change::MonitorGone { monitor: monitor.clone() }, now.moment);
        }
        gone.into_iter().filter(|monitor| self.assignments.forms.remove(monitor).is_some()).collect()
    }

    /// Begins a new revision where any monitor is new or different in what agents see of it, or gone.
    fn revise(&mut self, gone: BTreeSet<MonitorId>, now: Now) {
        let fingerprints = self.config.monitors.iter().map(|one| (one.spec.id.clone(), fingerprint(one)));
        let forms = &self.assignments.forms;
        let is_new = |(id, fingerprint): &(MonitorId, Digest)| {
            forms.get(id).is_none_or(|form| form.fingerprint != *fingerprint)
        };
        let new = fingerprints.filter(is_new).collect::<Vec<_>>();
        if new.is_empty() && gone.is_empty() {
            return;
        }
        self.next_revision(new.iter().map(|(id, _)| id.clone()).chain(gone).collect(), now);
        for (monitor, fingerprint) in new {
            let form = MonitorForm { monitor, fingerprint, revision: self.assignments.revision };
            self.ledger.change(Change::Monitor(form.clone()), now.moment);
            self.assignments.forms.insert(form.monitor.clone(), form);
        }
    }

    /// Tells the engine of every monitor whose policy is new, and of what was last decided of it before the start.
    fn take_up_monitors(&mut self, now: Now) {
        for monitor in Arc::clone(&self.config).monitors.iter().cloned() {
            let id = monitor.spec.id.clone();
            let revision = self.assignments.forms.get(&id).map_or(0, |form| form.revision);
            let policy = decide::policy(&monitor, revision);
            let before = self.monitors.get(&id).map(|before| before.policy.revision);
            let reformed = before.is_some_and(|before| before != policy.revision);
            let policy = self.calibrated(&monitor, policy);
            let parents = monitor.depends_on.iter().cloned().collect();
            let watch = PagingEvent::Watch { monitor: id.clone(), policy: Box::new(policy.clone()), parents };
            self.page(watch, now);
            let watched = match self.monitors.remove(&id) {
                Some(before) if before.policy == policy => {
                    self.monitors.insert(id, Watched { monitor: monitor.clone(), ..before });
                    self.take_terms(&monitor, &policy, false, now);
                    continue;
                }
                Some(mut before) => {
                    if before.policy.revision != policy.revision {
                        // It may be another server.
                        before.standings.values_mut().for_each(Standing::begin_anew);
                    }
                    Watched { monitor: monitor.clone(), policy: policy.clone(), ..before }
                }
                None => self.remembered(monitor.clone(), policy.clone()),
            };
            self.monitors.insert(id.clone(), watched);
            self.take_terms(&monitor, &policy, reformed, now);
            self.feed(Event::Configure { monitor: id, policy }, now);
        }
        // The engine wants to know of every monitor before it hears what was decided of any.
        for (monitor, StoredVerdict { verdict, since }) in std::mem::take(&mut self.restored) {
            let since = Moment(u64::try_from(since.0).unwrap_or(0)).min(now.moment);
            self.feed(Event::Restore { monitor: monitor.clone(), verdict, since }, now);
            self.judge_verdict(&monitor, verdict, now);
        }
    }

    /// A monitor that is new to this process, with what the store remembers of it.
    fn remembered(&mut self, monitor: Monitor, policy: Policy) -> Watched {
        let id = &monitor.spec.id;
        let said = self.remembered.said.remove(id).unwrap_or_default();
        let tls = self.remembered.tls.remove(id).unwrap_or_default();
        let standing = |stored| Standing { tls: Some(TlsStanding::restored(stored)), ..Standing::default() };
        let standings = tls.into_iter().map(|(region, stored)| (region, standing(stored))).collect();
        let quality = QualityKept::default();
        let calibration = self.remembered_calibration(id, &policy);
        Watched { monitor, policy, sightings: BTreeMap::new(), standings, said, quality, calibration }
    }

    /// What agents of a region watch.
    fn set(&mut self, region: &Region) -> Arc<[Assignment]> {
        let monitors = &self.config.monitors;
        let make = || monitors.iter().filter_map(|monitor| assignment(monitor, region)).collect();
        self.assignments.sets.entry(region.clone()).or_insert_with(make).clone()
    }
}

impl Step {
    /// What an agent that has the revision before must be told.
    fn parcel(&self, set: &[Assignment], given: &BTreeSet<MonitorId>) -> Parcel {
        let changed =
            set.iter().filter(|one| self.monitors.contains(&one.spec.id)).cloned().collect::<Vec<_>>();
        let stays = changed.iter().map(|one| &one.spec.id).collect::<BTreeSet<_>>();
        let removed = self.monitors.iter().filter(|id| given.contains(*id) && !stays.contains(id));
        Parcel::Change { removed: removed.cloned().collect(), changed }
    }
}

fn assignment(monitor: &Monitor, region: &Region) -> Option<Assignment> {
    let index = monitor.regions.iter().position(|one| one == region)?;
    let number = |count| u16::try_from(count).unwrap_or(u16::MAX);
    let slot = Slot { index: number(index), of: number(monitor.regions.len()) };
    Some(Assignment { spec: monitor.spec.clone(), slot })
}

/// What of a monitor agents see: its specification, and through the stagger its regions.
fn fingerprint(monitor: &Monitor) -> Digest {
    let bytes = codec::encode(&(&monitor.spec, &monitor.regions), usize::MAX);
    bytes.map_or(Digest::NONE, |bytes| Digest::of(&bytes))
}
