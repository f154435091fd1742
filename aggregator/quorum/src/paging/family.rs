//! Parents and children: what explains the failure of a monitor by that of another.

use std::collections::BTreeSet;

use quorate_proto::{Micros, MonitorId};

use super::{Paging, PagingEffect, Quiet, Wait, settings::PARENT_WAIT};
use crate::{Moment, Verdict};

/// How the ancestors of a monitor stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Ancestors {
    /// Those that are down.
    pub(super) down: BTreeSet<MonitorId>,
    /// Those whose failure is being confirmed.
    pub(super) suspect: BTreeSet<MonitorId>,
}

impl Paging {
    /// Takes the parents of a monitor.
    pub(super) fn adopt(&mut self, child: &MonitorId, parents: &BTreeSet<MonitorId>) {
        for children in self.children.values_mut() {
            children.remove(child);
        }
        for parent in parents {
            self.children.entry(parent.clone()).or_default().insert(child.clone());
        }
        self.children.retain(|_, children| !children.is_empty());
    }

    /// How all ancestors of a monitor stand.
    pub(super) fn ancestors(&self, child: &MonitorId) -> Ancestors {
        let mut found = Ancestors::default();
        let mut seen = BTreeSet::from([child]);
        let mut open = vec![child];
        while let Some(monitor) = open.pop() {
            let Some(ward) = self.wards.get(monitor) else { continue };
            for parent in &ward.parents {
                if !seen.insert(parent) {
                    continue;
                }
                open.push(parent);
                match self.wards.get(parent) {
                    Some(ward) if ward.verdict == Some(Verdict::Down) => found.down.insert(parent.clone()),
                    Some(ward) if ward.suspect => found.suspect.insert(parent.clone()),
                    Some(_) | None => continue,
                };
            }
        }
        found
    }

    /// Makes an incident wait for its parents, where they explain it; says whether they do. A suspicion explains only a
    /// failure that has just been decided.
    pub(super) fn is_held(
        &mut self,
        id: &MonitorId,
        by_suspicion: bool,
        at: Moment,
        effects: &mut Vec<PagingEffect>,
    ) -> bool {
        let Ancestors { down, suspect } = self.ancestors(id);
        let (by, until) = match (down.is_empty(), by_suspicion && !suspect.is_empty()) {
            (false, _) => (down, None),
            (true, true) => (suspect, Some(at.after(PARENT_WAIT))),
            (true, false) => return false,
        };
        let Some(ward) = self.wards.get_mut(id) else { return false };
        let cleared = Micros::ZERO;
        ward.kept.wait = Some(Wait::Parents { by: by.clone(), until, clear_since: None, cleared });
        effects.push(PagingEffect::Quiet { monitor: id.clone(), why: Quiet::Held { by } });
        true
    }

    /// Something about a monitor changed: its descendants that are held are looked at.
    pub(super) fn look_at_descendants(
        &mut self,
        of: &MonitorId,
        at: Moment,
        effects: &mut Vec<PagingEffect>,
    ) {
        if !self.children.contains_key(of) {
            return;
        }
        for child in self.descendants(of) {
            self.look_at_held(&child, at, effects);
        }
    }

    /// Follows the parents of a monitor that is held.
    pub(super) fn look_at_held(&mut self, id: &MonitorId, at: Moment, effects: &mut Vec<PagingEffect>) {
        let Ancestors { down, suspect } = self.ancestors(id);
        let Some(ward) = self.wards.get_mut(id) else { return };
        let Some(Wait::Parents { by, until, clear_since, cleared }) = &mut ward.kept.wait else { return };
        self.touched.insert(id.clone());
        if !down.is_empty() {
            if let Some(since) = clear_since.take() {
                *cleared = *cleared + at.since(since);
            }
            *until = None;
            if *by != down {
                by.clone_from(&down);
                effects.push(PagingEffect::Quiet { monitor: id.clone(), why: Quiet::Held { by: down } });
            }
        } else if until.is_none() {
            clear_since.get_or_insert(at);
        } else if suspect.is_empty() {
            self.release(id, at, effects);
        }
    }

    /// A monitor's parents explain its failure no longer.
    pub(super) fn release(&mut self, id: &MonitorId, at: Moment, effects: &mut Vec<PagingEffect>) {
        let Some(ward) = self.wards.get_mut(id) else { return };
        let by_suspicion = matches!(ward.kept.wait.take(), Some(Wait::Parents { until: Some(_), .. }));
        match ward.verdict {
            Some(Verdict::Down) => self.fall_due(id, !by_suspicion, at, effects),
            Some(Verdict::Partial) => self.tell_or_flap(id, effects),
            Some(Verdict::Unobserved) => self.unobserved(id, at, effects),
            Some(Verdict::Up) | None => {}
        }
    }

    fn descendants(&self, of: &MonitorId) -> BTreeSet<MonitorId> {
        let mut seen = BTreeSet::new();
        let mut open = vec![of];
        while let Some(monitor) = open.pop() {
            for child in self.children.get(monitor).into_iter().flatten() {
                if seen.insert(child.clone()) {
                    open.push(child);
                }
            }
        }
        seen
    }
}
