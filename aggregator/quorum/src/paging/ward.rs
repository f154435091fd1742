//! One monitor under the eyes of paging: what each change of its verdict leads to.

use std::collections::BTreeSet;

use quorate_proto::MonitorId;

use super::{MonitorMemory, Paging, PagingEffect, PagingSettings, Quiet, Wait};
use crate::{Moment, Policy, Verdict};

/// One monitor.
#[derive(Clone, Debug, Default)]
pub(super) struct Ward {
    /// None where it is known from before a restart only.
    pub(super) policy: Option<Policy>,
    pub(super) parents: BTreeSet<MonitorId>,
    pub(super) verdict: Option<Verdict>,
    pub(super) suspect: bool,
    pub(super) kept: MonitorMemory,
    /// What of it was given out to be kept.
    pub(super) saved: MonitorMemory,
}

impl Ward {
    pub(super) fn target(&self) -> &str {
        self.policy.as_ref().map_or("", |policy| &policy.target)
    }

    /// When to look at it although nothing happens.
    pub(super) fn due_at(&self, settings: &PagingSettings) -> Option<Moment> {
        self.policy.as_ref()?;
        let flapping =
            self.kept.flapping.as_ref().map(|flapping| flapping.due_at(self.hides_outage(), settings));
        [flapping, self.wait_ends()].into_iter().flatten().min()
    }

    /// Whether it is down, and told as flapping only.
    pub(super) fn hides_outage(&self) -> bool {
        self.kept.wait == Some(Wait::Flapping) && self.verdict == Some(Verdict::Down)
    }

    /// When what its incident waits for is over by itself.
    fn wait_ends(&self) -> Option<Moment> {
        let policy = self.policy.as_ref()?;
        match &self.kept.wait {
            Some(Wait::Fleet { until }) => Some(*until),
            Some(Wait::Parents { clear_since: Some(since), cleared, .. }) => {
                let grace = policy.stale_after().0.saturating_sub(cleared.0);
                Some(since.after(quorate_proto::Micros(grace)))
            }
            Some(Wait::Parents { until, .. }) => *until,
            Some(Wait::Agents { look_at, .. }) => Some(*look_at),
            Some(Wait::Group | Wait::Flapping) | None => None,
        }
    }
}

impl Paging {
    pub(super) fn turned(
        &mut self,
        id: &MonitorId,
        to: Verdict,
        at: Moment,
        effects: &mut Vec<PagingEffect>,
    ) {
        let Some(ward) = self.wards.get_mut(id) else { return };
        self.touched.insert(id.clone());
        ward.verdict = Some(to);
        if to == Verdict::Down {
            // What is decided is no suspicion any more, whether or not that has been said yet.
            ward.suspect = false;
            self.guard.suspect(id, "", false);
        }
        let was_down = ward.kept.is_down;
        if to != Verdict::Unobserved {
            ward.kept.is_down = to == Verdict::Down;
            if matches!(ward.kept.wait, Some(Wait::Agents { .. })) {
                ward.kept.wait = None;
            }
        }
        match to {
            Verdict::Up => self.up(id, was_down, at, effects),
            Verdict::Partial => self.partial(id, was_down, at, effects),
            Verdict::Down => self.down(id, was_down, at, effects),
            Verdict::Unobserved => self.unobserved(id, at, effects),
        }
        self.look_at_descendants(id, at, effects);
    }

    pub(super) fn suspected(
        &mut self,
        id: &MonitorId,
        suspect: bool,
        at: Moment,
        effects: &mut Vec<PagingEffect>,
    ) {
        let Some(ward) = self.wards.get_mut(id) else { return };
        ward.suspect = suspect;
        self.guard.suspect(id, ward.target(), suspect);
        self.look_at_descendants(id, at, effects);
    }

    /// Tells of an incident as it stands.
    pub(super) fn tell(&mut self, id: &MonitorId, effects: &mut Vec<PagingEffect>) {
        let Some(ward) = self.wards.get_mut(id) else { return };
        self.touched.insert(id.clone());
        ward.kept.wait = None;
        ward.kept.told = true;
        effects.push(PagingEffect::Tell { monitor: id.clone() });
    }

    /// Tells of an incident that is not down, unless the monitor flaps.
    pub(super) fn tell_or_flap(&mut self, id: &MonitorId, effects: &mut Vec<PagingEffect>) {
        match self.wards.get(id).is_some_and(|ward| ward.kept.flapping.is_some()) {
            true => self.wait_for_rest(id, effects),
            false => self.tell(id, effects),
        }
    }

    /// The page of a monitor that is down falls due: no parent explains it. Where its parents were down it has been so for
    /// longer than a monitor that flaps.
    pub(super) fn fall_due(
        &mut self,
        id: &MonitorId,
        was_held: bool,
        at: Moment,
        effects: &mut Vec<PagingEffect>,
    ) {
        self.touched.insert(id.clone());
        let counts = !was_held || self.flapping(id).is_some();
        if counts && self.edge(id, true, at, effects) && !was_held {
            self.wait_for_rest(id, effects);
        } else {
            self.pass_guard(id, at, effects);
        }
    }

    /// Nobody can tell how a monitor is.
    pub(super) fn unobserved(&mut self, id: &MonitorId, at: Moment, effects: &mut Vec<PagingEffect>) {
        let is_explained = self.do_agents_explain(id, at);
        let Some(ward) = self.wards.get_mut(id) else { return };
        if ward.kept.wait.is_some() {
            return;
        }
        if !is_explained {
            return self.tell(id, effects);
        }
        let look_at = at.after(ward.policy.as_ref().map(Policy::stale_after).unwrap_or_default());
        ward.kept.wait = Some(Wait::Agents { look_at, doubted: false });
        effects.push(PagingEffect::Quiet { monitor: id.clone(), why: Quiet::AgentsSilent });
        if ward.kept.told {
            effects.push(PagingEffect::Update { monitor: id.clone() });
        }
    }

    /// Does what is due about a monitor.
    pub(super) fn ward_due(&mut self, id: &MonitorId, at: Moment, effects: &mut Vec<PagingEffect>) {
        let Some(ward) = self.wards.get(id) else { return };
        self.touched.insert(id.clone());
        let wait = ward.kept.wait.clone().filter(|_| ward.wait_ends().is_some_and(|ends| ends <= at));
        match wait {
            Some(Wait::Fleet { .. }) => self.tell(id, effects),
            Some(Wait::Parents { .. }) => self.release(id, at, effects),
            Some(Wait::Agents { doubted, .. }) => self.look_for_agents(id, doubted, at, effects),
            Some(Wait::Group | Wait::Flapping) | None => {}
        }
        self.flapping_due(id, at, effects);
    }

    fn up(&mut self, id: &MonitorId, was_down: bool, at: Moment, effects: &mut Vec<PagingEffect>) {
        if self.wards.get_mut(id).is_some_and(|ward| std::mem::take(&mut ward.kept.told)) {
            effects.push(PagingEffect::Resolve { monitor: id.clone() });
        }
        self.back(id, was_down, at, effects);
        self.leave_group(id, at, effects);
        if let Some(ward) = self.wards.get_mut(id) {
            ward.kept.wait = None;
        }
    }

    fn partial(&mut self, id: &MonitorId, was_down: bool, at: Moment, effects: &mut Vec<PagingEffect>) {
        self.back(id, was_down, at, effects);
        if self.wards.get(id).is_some_and(|ward| ward.kept.wait.is_some()) {
            return;
        }
        if !self.is_held(id, false, at, effects) {
            self.tell_or_flap(id, effects);
        }
    }

    fn down(&mut self, id: &MonitorId, was_down: bool, at: Moment, effects: &mut Vec<PagingEffect>) {
        let Some(ward) = self.wards.get(id) else { return };
        match &ward.kept.wait {
            // They explain it still.
            Some(Wait::Parents { .. } | Wait::Group) => {}
            Some(Wait::Flapping) => {
                if !was_down {
                    self.edge(id, true, at, effects);
                }
            }
            Some(Wait::Fleet { .. } | Wait::Agents { .. }) | None => {
                if was_down {
                    // It was told before nobody could tell.
                    self.tell(id, effects);
                } else if !self.is_held(id, true, at, effects) {
                    self.fall_due(id, false, at, effects);
                }
            }
        }
    }

    /// A monitor that was down is not any more.
    fn back(&mut self, id: &MonitorId, was_down: bool, at: Moment, effects: &mut Vec<PagingEffect>) {
        let Some(ward) = self.wards.get_mut(id).filter(|_| was_down) else { return };
        self.guard.turn_back(id, ward.kept.due_at.take());
        let is_own = !matches!(ward.kept.wait, Some(Wait::Parents { .. } | Wait::Group));
        if is_own && ward.kept.group.is_none() {
            self.edge(id, false, at, effects);
        }
    }

    /// Looks again at a monitor that agents explain. When no agent is missing, regions have a vote's lifetime to check.
    fn look_for_agents(
        &mut self,
        id: &MonitorId,
        doubted: bool,
        at: Moment,
        effects: &mut Vec<PagingEffect>,
    ) {
        let is_explained = self.do_agents_explain(id, at);
        let Some(ward) = self.wards.get_mut(id) else { return };
        if !is_explained && doubted {
            return self.tell(id, effects);
        }
        let look_at = at.after(ward.policy.as_ref().map(Policy::stale_after).unwrap_or_default());
        ward.kept.wait = Some(Wait::Agents { look_at, doubted: !is_explained });
    }

    /// Whether a monitor would have enough voters, were all agents heard that there are.
    fn do_agents_explain(&self, id: &MonitorId, at: Moment) -> bool {
        let Some(policy) = self.wards.get(id).and_then(|ward| ward.policy.as_ref()) else { return false };
        let (heard, silent) = self.fleet.regions(at);
        let count = |of: &BTreeSet<&quorate_proto::Region>| {
            policy.regions.iter().filter(|region| of.contains(region)).count()
        };
        let (heard, silent) = (count(&heard), count(&silent));
        let needed = usize::from(policy.voters_min());
        heard < needed && heard + silent >= needed
    }
}
