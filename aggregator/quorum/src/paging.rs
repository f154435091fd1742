//! Whom to tell, and when not: a pure fold from verdicts to messages.
//!
//! The engine says what is; here it becomes a page, or a part of one, or silence with a reason. Every message that is
//! not sent is explained by another that is, so that people hear of every outage once. The rest of this page says which
//! explains which. Numbers that an operator may set are in [`PagingSettings`]; the others stand in `paging/settings.rs`
//! with their reasons.
//!
//! # A single outage
//! It is told at once. A monitor's *incident* is the time in which its verdict is not up. What its channels want to hear
//! of is told at every change of its verdict ([`PagingEffect::Tell`]), and its end to those who were told
//! ([`PagingEffect::Resolve`]). An *edge* is a change into down, or out of it to up or partial; *unobserved* is none. A
//! page falls due at an edge to down, and passes, in this order: parents, flapping, the fleet guard. The first that explains
//! it keeps it.
//!
//! # Parents
//! A monitor may depend on others, and those on others again. While any of its ancestors is *down*, its incident is held. An
//! ancestor that is partial or unobserved explains nothing. Where none is down but one is *suspect*, the page waits for its
//! verdict, until the suspicion is over or for 15 s: children are often found first. A child whose parent fails later
//! than that has been paged, and stays so.
//!
//! When no ancestor is down any more, a child that is still down has a grace of one vote's lifetime, `max(2T, T + 15 s)` of
//! its own interval: every region has checked it again by then. A child that recovers meanwhile pages nobody; one
//! that does not falls due. Time in which no ancestor is down adds up over the whole hold, so that a parent that comes and
//! goes cannot hide a child for ever. Edges of a monitor that is held do not count as flapping: they are its parent's.
//!
//! # Flapping
//! Three edges in ten minutes. In place of the third page goes a message that the monitor flaps; then a digest every 30
//! min, with edges and time down; after ten minutes without an edge a last one that tells the state. No page meanwhile,
//! except that of an outage that outlasts 5 min: that is ten checks, and longer than any of the spells that made it
//! flap can have been on average. An incident that was told before still has its end told.
//!
//! # The fleet guard
//! Pages of at least five monitors, on at least five targets, and of more than 30 % of all monitors, that fall due within
//! 60 s are one message: it may be our side that fails, and if it is not, one message says it better than hundreds. It is
//! sent in any case. Pages that went out before stay; the group names their monitors too.
//!
//! A page can only become part of a group if it is still here. So one waits for at most 5 s, and only while the guard could
//! trip: while those that fell due and those that are *suspect* would be enough together. A common fault makes all monitors
//! suspect at least 11 s before the first is decided, so that this tells the two cases apart: a single outage never
//! waits, and a page that does goes out within 23 s + 5 s of the fault. The group is told when the first of them would
//! have been. For as long as others follow within 60 s of one another (5 min at most), they join, and are told of
//! together within 5 s. It is over when the incidents of all its members are; who is back before is told of once a minute.
//!
//! # Agents
//! An agent that is silent for 15 s does not vote. Its operator is told after 60 s more: a restart takes less. Those
//! that are missed within 10 s of one another are one notice, with the monitors that lose a voter and whether those
//! left can still say down. In a region with another agent no monitor loses one. A second notice tells that they are
//! back. A monitor that turns unobserved because agents are silent is covered by that notice: only those who knew of
//! its incident hear of it. Where it stays unobserved though no agent is missing, it is told after at most two votes' lifetimes.
//!
//! # Starts
//! What was told, held, grouped and counted is kept through a restart ([`PagingEffect::Remember`], [`Paging::restored`]), so
//! that nothing is told twice or forgotten; what came due meanwhile is done when all monitors are known again
//! ([`PagingEvent::Started`]). Suspicions are not kept: they come again. Agents that have not been heard from since a start
//! have 60 s more, the longest pause between two attempts to connect. An incident of which nothing is kept (an older
//! version's) counts as told. After a standstill of the caller silence counts from its end.

mod agenda;
mod effect;
mod event;
mod family;
mod flapping;
mod fleet;
mod guard;
mod memory;
mod settings;
mod ward;

use std::collections::{BTreeMap, BTreeSet};

use quorate_proto::MonitorId;

use self::{
    agenda::{Agenda, Due},
    fleet::Fleet,
    guard::Guard,
    settings::FLEET_WINDOW,
    ward::Ward,
};
pub use self::{
    effect::{
        AgentAway, AgentsBack, AgentsOffline, FlappingTurn, GroupMember, GroupTurn, PagingEffect, Phase,
        Quiet, VoterLoss,
    },
    event::PagingEvent,
    memory::{AgentMemory, FlappingMemory, GroupMemory, MemberMemory, Memory, MonitorMemory, Wait},
    settings::PagingSettings,
};
use crate::{Moment, Policy, Verdict};

/// The machine that decides whom to tell.
///
/// Call [`Paging::handle`] with every event in the order in which it happened, and carry out the effects that it
/// returns; call it with [`PagingEvent::Tick`] at [`Paging::next_deadline`]. As with the engine, what is due between two
/// calls is worked off at its own moment, and moments never go back.
///
/// One that was [`Paging::restored`] does nothing by itself before [`PagingEvent::Started`].
#[derive(Clone, Debug)]
pub struct Paging {
    settings: PagingSettings,
    started: bool,
    now: Moment,
    wards: BTreeMap<MonitorId, Ward>,
    /// The children of each monitor that has any.
    children: BTreeMap<MonitorId, BTreeSet<MonitorId>>,
    guard: Guard,
    fleet: Fleet,
    agenda: Agenda,
    /// Monitors of which something may have to be kept, or done later.
    touched: BTreeSet<MonitorId>,
    groups_touched: BTreeSet<Moment>,
}

impl Paging {
    /// A machine that knows nothing.
    pub fn new(settings: PagingSettings) -> Self {
        Self {
            settings,
            started: true,
            now: Moment::default(),
            wards: BTreeMap::new(),
            children: BTreeMap::new(),
            guard: Guard::default(),
            fleet: Fleet::default(),
            agenda: Agenda::default(),
            touched: BTreeSet::new(),
            groups_touched: BTreeSet::new(),
        }
    }

    /// A machine that goes on where one ended, at a moment; with the verdicts that stood.
    pub fn restored(
        settings: PagingSettings,
        memories: impl IntoIterator<Item = Memory>,
        verdicts: impl IntoIterator<Item = (MonitorId, Verdict)>,
        at: Moment,
    ) -> Self {
        let mut paging = Self { started: false, now: at, ..Self::new(settings) };
        for (monitor, verdict) in verdicts {
            let ward = paging.wards.entry(monitor).or_default();
            ward.verdict = Some(verdict);
            ward.kept.told = verdict != Verdict::Up;
            ward.kept.is_down = verdict == Verdict::Down;
        }
        for memory in memories {
            match memory {
                Memory::Monitor(monitor, Some(kept)) => {
                    let ward = paging.wards.entry(monitor).or_default();
                    ward.saved = kept.clone();
                    ward.kept = kept.clamped(at);
                }
                Memory::Group(group, Some(kept)) => {
                    let report_at = kept.report_at.map(|due| due.min(at.after(FLEET_WINDOW)));
                    paging.agenda.set(Due::Group(group), report_at);
                    paging.guard.groups.insert(group, GroupMemory { report_at, ..kept });
                }
                Memory::Agent(agent, Some(kept)) => paging.fleet.restore(agent, kept, at),
                Memory::Monitor(_, None) | Memory::Group(_, None) | Memory::Agent(_, None) => {}
            }
        }
        paging
    }

    /// Takes one event, and says what is to be done about it, in order.
    pub fn handle(&mut self, event: PagingEvent, at: Moment) -> Vec<PagingEffect> {
        let mut effects = Vec::new();
        let at = at.max(self.now);
        if event == PagingEvent::Paused {
            // Before what came due meanwhile: nobody could be heard then.
            self.agents_paused(at);
        }
        self.advance(at, &mut effects);
        match event {
            PagingEvent::Follow(settings) => self.settings = settings,
            PagingEvent::Watch { monitor, policy, parents } => {
                self.watch(&monitor, *policy, parents, at, &mut effects);
            }
            PagingEvent::Unwatch { monitor } => self.unwatch(&monitor, at, &mut effects),
            PagingEvent::Started => {
                self.started = true;
                self.advance(at, &mut effects);
            }
            PagingEvent::Turned { monitor, to } => self.turned(&monitor, to, at, &mut effects),
            PagingEvent::Suspected { monitor, suspect } => {
                self.suspected(&monitor, suspect, at, &mut effects);
            }
            PagingEvent::Enrolled { agent, region } => self.enrolled(agent, region, at),
            PagingEvent::Heard { agent, region } => self.heard(agent, region, at),
            PagingEvent::Forgotten { agent } => self.forgotten(agent, &mut effects),
            PagingEvent::Paused | PagingEvent::Tick => {}
        }
        self.settle(&mut effects);
        self.remember_groups(&mut effects);
        effects
    }

    /// When it wants to be called even if nothing happens.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.agenda.next().filter(|_| self.started)
    }

    /// What the open incident of a monitor waits for.
    pub fn wait(&self, monitor: &MonitorId) -> Option<&Wait> {
        self.wards.get(monitor)?.kept.wait.as_ref()
    }

    /// How a monitor flaps, where it does.
    pub fn flapping(&self, monitor: &MonitorId) -> Option<&FlappingMemory> {
        self.wards.get(monitor)?.kept.flapping.as_ref()
    }

    /// Everything that must survive a restart, as [`PagingEffect::Remember`] gave it out bit by bit.
    pub fn memories(&self) -> Vec<Memory> {
        let monitors = self.wards.iter().filter(|(_, ward)| ward.saved != MonitorMemory::default());
        let monitors = monitors.map(|(id, ward)| Memory::Monitor(id.clone(), Some(ward.saved.clone())));
        let groups = self.guard.groups.iter().map(|(group, kept)| Memory::Group(*group, Some(kept.clone())));
        monitors.chain(groups).chain(self.fleet.memories()).collect()
    }

    /// Works off what is due up to a moment, each thing at its own.
    fn advance(&mut self, at: Moment, effects: &mut Vec<PagingEffect>) {
        while self.started
            && let Some((due, what)) = self.agenda.pop(at)
        {
            let due = due.max(self.now);
            self.now = due;
            match what {
                Due::Agent(agent) => self.agent_due(agent, due),
                Due::Offline => self.offline_due(due, effects),
                Due::Back => self.back_due(due, effects),
                Due::Group(group) => self.group_due(group, effects),
                Due::Monitor(monitor) => self.ward_due(&monitor, due, effects),
            }
            self.settle(effects);
        }
        self.now = at;
    }

    fn watch(
        &mut self,
        id: &MonitorId,
        policy: Policy,
        parents: BTreeSet<MonitorId>,
        at: Moment,
        effects: &mut Vec<PagingEffect>,
    ) {
        let ward = self.wards.entry(id.clone()).or_default();
        let is_known = ward.policy.replace(policy).is_some();
        if !is_known
            && ward.kept.is_down
            && let Some(due_at) = ward.kept.due_at
        {
            self.guard.turn(id, ward.target(), due_at);
        }
        self.touched.insert(id.clone());
        if ward.parents != parents {
            ward.parents.clone_from(&parents);
            self.adopt(id, &parents);
            if is_known {
                self.look_at_held(id, at, effects);
                self.look_at_descendants(id, at, effects);
            }
        }
    }

    fn unwatch(&mut self, id: &MonitorId, at: Moment, effects: &mut Vec<PagingEffect>) {
        let Some(ward) = self.wards.get_mut(id) else { return };
        if ward.kept.told {
            effects.push(PagingEffect::Resolve { monitor: id.clone() });
        }
        effects.extend(ward.end_flapping(id, at));
        (ward.verdict, ward.suspect) = (None, false);
        self.guard.turn_back(id, ward.kept.due_at);
        self.guard.suspect(id, "", false);
        self.leave_group(id, at, effects);
        self.look_at_descendants(id, at, effects);
        self.adopt(id, &BTreeSet::new());
        self.agenda.set(Due::Monitor(id.clone()), None);
        self.touched.remove(id);
        let gone = self.wards.remove(id);
        if gone.is_some_and(|ward| ward.saved != MonitorMemory::default()) {
            effects.push(PagingEffect::Remember(Box::new(Memory::Monitor(id.clone(), None))));
        }
    }

    /// Enters when to look again at what was touched, and gives out what of it is to be kept.
    fn settle(&mut self, effects: &mut Vec<PagingEffect>) {
        for id in std::mem::take(&mut self.touched) {
            let Some(ward) = self.wards.get_mut(&id) else { continue };
            let due = ward.due_at(&self.settings).map(|due| due.max(self.now));
            self.agenda.set(Due::Monitor(id.clone()), due);
            if ward.kept != ward.saved {
                ward.saved = ward.kept.clone();
                let kept = (ward.kept != MonitorMemory::default()).then(|| ward.kept.clone());
                effects.push(PagingEffect::Remember(Box::new(Memory::Monitor(id, kept))));
            }
        }
    }
}
