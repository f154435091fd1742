//! The fleet guard: many monitors that go down at once are one page.

use std::collections::{BTreeMap, BTreeSet};

use quorate_proto::MonitorId;

use super::{
    GroupMember, GroupMemory, GroupTurn, MemberMemory, Memory, Paging, PagingEffect, Phase, Quiet, Wait,
    agenda::Due,
    settings::{FLEET_MONITORS_MIN, FLEET_TARGETS_MIN, FLEET_WINDOW, GROUP_GROWS_MAX, GROUP_SHRINKS},
};
use crate::Moment;

/// What the guard looks at.
#[derive(Clone, Debug, Default)]
pub(super) struct Guard {
    /// Monitors whose page fell due lately, that are down and in no group.
    turned: Lot,
    /// When each of them did, oldest first.
    times: BTreeSet<(Moment, MonitorId)>,
    /// Monitors whose failure is being confirmed.
    suspects: Lot,
    pub(super) groups: BTreeMap<Moment, GroupMemory>,
}

/// Some monitors, and how many there are of each target.
#[derive(Clone, Debug, Default)]
struct Lot {
    monitors: BTreeMap<MonitorId, String>,
    targets: BTreeMap<String, usize>,
}

impl Lot {
    fn insert(&mut self, monitor: &MonitorId, target: &str) {
        self.remove(monitor);
        self.monitors.insert(monitor.clone(), target.to_owned());
        *self.targets.entry(target.to_owned()).or_default() += 1;
    }

    fn remove(&mut self, monitor: &MonitorId) {
        let Some(target) = self.monitors.remove(monitor) else { return };
        if let Some(count) = self.targets.get_mut(&target) {
            *count -= 1;
            if *count == 0 {
                self.targets.remove(&target);
            }
        }
    }
}

impl Guard {
    /// Notes a monitor whose page falls due.
    pub(super) fn turn(&mut self, monitor: &MonitorId, target: &str, at: Moment) {
        self.turned.insert(monitor, target);
        self.times.insert((at, monitor.clone()));
    }

    /// Forgets that a monitor's page fell due.
    pub(super) fn turn_back(&mut self, monitor: &MonitorId, due_at: Option<Moment>) {
        self.turned.remove(monitor);
        if let Some(due_at) = due_at {
            self.times.remove(&(due_at, monitor.clone()));
        }
    }

    pub(super) fn suspect(&mut self, monitor: &MonitorId, target: &str, suspect: bool) {
        match suspect {
            true => self.suspects.insert(monitor, target),
            false => self.suspects.remove(monitor),
        }
    }

    fn expire(&mut self, at: Moment) {
        while let Some((due_at, monitor)) = self.times.first().cloned() {
            if at.since(due_at) < FLEET_WINDOW {
                break;
            }
            self.turn_back(&monitor, Some(due_at));
        }
    }

    /// Whether so many monitors on so many targets are a fleet.
    fn is_fleet(monitors: usize, targets: usize, of: usize, share: u8) -> bool {
        monitors >= FLEET_MONITORS_MIN
            && targets >= FLEET_TARGETS_MIN
            && monitors.saturating_mul(100) > of.saturating_mul(usize::from(share))
    }

    /// Whether what turned lately is a fleet.
    fn trips(&self, of: usize, share: u8) -> bool {
        Self::is_fleet(self.turned.monitors.len(), self.turned.targets.len(), of, share)
    }

    /// Whether it were, with all that are suspect.
    fn may_trip(&self, of: usize, share: u8) -> bool {
        let monitors = self.turned.monitors.len() + self.suspects.monitors.len();
        let some = |lot: &Lot| lot.targets.keys().take(FLEET_TARGETS_MIN).cloned().collect::<BTreeSet<_>>();
        let targets = some(&self.turned).union(&some(&self.suspects)).count();
        Self::is_fleet(monitors, targets, of, share)
    }

    /// The group that a monitor joins which goes down at a moment.
    fn joined_by(&self, at: Moment) -> Option<Moment> {
        let (group, kept) = self.groups.last_key_value()?;
        let is_young = at.since(*group) < GROUP_GROWS_MAX && at.since(kept.joined_at) < FLEET_WINDOW;
        is_young.then_some(*group)
    }
}

impl Paging {
    /// A page falls due, of a monitor that is explained by nothing else: it becomes part of a group, or waits a moment
    /// for others, or goes out.
    pub(super) fn pass_guard(&mut self, id: &MonitorId, at: Moment, effects: &mut Vec<PagingEffect>) {
        let (of, share, hold) = (self.wards.len(), self.settings.fleet_share, self.settings.fleet_hold);
        self.guard.expire(at);
        let Some(ward) = self.wards.get_mut(id) else { return };
        let before = ward.kept.due_at.replace(at);
        self.guard.turn_back(id, before);
        if let Some(group) = self.guard.joined_by(at) {
            return self.join(id, group, false, at, effects);
        }
        self.guard.turn(id, ward.target(), at);
        if self.guard.trips(of, share) {
            return self.trip(id, at, effects);
        }
        if hold.0 > 0 && self.guard.may_trip(of, share) {
            ward.kept.wait = Some(Wait::Fleet { until: at.after(hold) });
            return;
        }
        self.tell(id, effects);
    }

    /// Makes a group of all that turned lately, of which `last` is the latest.
    fn trip(&mut self, last: &MonitorId, at: Moment, effects: &mut Vec<PagingEffect>) {
        // The latest is the one that others join; where the clock was set back, one from before begins later.
        let group = at.max(self.guard.groups.last_key_value().map_or(at, |(last, _)| Moment(last.0 + 1)));
        let hold_ends = |paging: &Self, id: &MonitorId| match paging.wards.get(id)?.kept.wait {
            Some(Wait::Fleet { until }) => Some(until),
            Some(Wait::Parents { .. } | Wait::Group | Wait::Flapping | Wait::Agents { .. }) | None => None,
        };
        let members = self.guard.turned.monitors.keys().cloned().collect::<Vec<_>>();
        // What gathers goes out when the first of them would have.
        let waited = members.iter().filter_map(|id| hold_ends(self, id)).min();
        let report_at = waited.unwrap_or(at.after(self.settings.fleet_hold)).max(at);
        self.guard.groups.insert(group, GroupMemory { report_at: Some(report_at), ..GroupMemory::default() });
        for id in members {
            let is_paged = id != *last && self.wards.get(&id).is_some_and(|ward| ward.kept.wait.is_none());
            self.join(&id, group, is_paged, at, effects);
        }
        self.agenda.set(Due::Group(group), Some(report_at));
    }

    /// Adds a monitor that is down to a group; it leaves the one that it was in.
    fn join(
        &mut self,
        id: &MonitorId,
        group: Moment,
        is_paged: bool,
        at: Moment,
        effects: &mut Vec<PagingEffect>,
    ) {
        let hold = self.settings.fleet_hold;
        if self.wards.get(id).is_some_and(|ward| ward.kept.group.is_some_and(|before| before != group)) {
            self.leave_group(id, at, effects);
        }
        let Some(ward) = self.wards.get_mut(id) else { return };
        self.guard.turn_back(id, ward.kept.due_at.take());
        ward.kept.group = Some(group);
        if !is_paged {
            ward.kept.wait = Some(Wait::Group);
        }
        // What many do at once tells nothing about one of them.
        ward.kept.edges.pop();
        self.touched.insert(id.clone());
        let Some(kept) = self.guard.groups.get_mut(&group) else { return };
        kept.joined_at = at;
        kept.members.insert(id.clone(), MemberMemory { is_over: false, is_paged, is_named: false });
        let report_at = kept.report_at.map_or(at.after(hold), |report_at| report_at.min(at.after(hold)));
        kept.report_at = Some(report_at);
        self.agenda.set(Due::Group(group), Some(report_at));
        self.groups_touched.insert(group);
        effects.push(PagingEffect::Quiet { monitor: id.clone(), why: Quiet::Grouped { group } });
    }

    /// The incident of a member is over.
    pub(super) fn leave_group(&mut self, id: &MonitorId, at: Moment, effects: &mut Vec<PagingEffect>) {
        let Some(group) = self.wards.get_mut(id).and_then(|ward| ward.kept.group.take()) else { return };
        let Some(kept) = self.guard.groups.get_mut(&group) else { return };
        self.groups_touched.insert(group);
        if let Some(member) = kept.members.get_mut(id) {
            member.is_over = true;
        }
        if kept.members.values().all(|member| member.is_over) {
            if kept.opened {
                effects.push(self.group_turn(group, Phase::Ended));
            }
            self.guard.groups.remove(&group);
            self.agenda.set(Due::Group(group), None);
        } else if kept.opened {
            let report_at = *kept.report_at.get_or_insert(at.after(GROUP_SHRINKS));
            self.agenda.set(Due::Group(group), Some(report_at));
        }
    }

    /// Tells of a group as it stands.
    pub(super) fn group_due(&mut self, group: Moment, effects: &mut Vec<PagingEffect>) {
        let Some(kept) = self.guard.groups.get_mut(&group) else { return };
        kept.report_at = None;
        let phase = if std::mem::replace(&mut kept.opened, true) { Phase::Goes } else { Phase::Began };
        self.groups_touched.insert(group);
        effects.push(self.group_turn(group, phase));
        if let Some(kept) = self.guard.groups.get_mut(&group) {
            kept.members.values_mut().for_each(|member| member.is_named = true);
        }
    }

    fn group_turn(&self, group: Moment, phase: Phase) -> PagingEffect {
        let kept = self.guard.groups.get(&group);
        let members = kept.into_iter().flat_map(|kept| &kept.members);
        let targets = members.clone().filter_map(|(id, _)| Some(self.wards.get(id)?.target()));
        let targets = targets.collect::<BTreeSet<_>>().len();
        let member = |(monitor, member): (&MonitorId, &MemberMemory)| GroupMember {
            monitor: monitor.clone(),
            is_over: member.is_over,
            is_paged: member.is_paged,
            is_new: !member.is_named,
        };
        let members = members.map(member).collect();
        PagingEffect::Group(Box::new(GroupTurn {
            group,
            phase,
            members,
            monitors: self.wards.len(),
            targets,
        }))
    }

    /// What is to be kept of groups that changed.
    pub(super) fn remember_groups(&mut self, effects: &mut Vec<PagingEffect>) {
        for group in std::mem::take(&mut self.groups_touched) {
            let kept = self.guard.groups.get(&group).cloned();
            effects.push(PagingEffect::Remember(Box::new(Memory::Group(group, kept))));
        }
    }
}
