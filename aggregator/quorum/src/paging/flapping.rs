//! Monitors that go up and down.

use quorate_proto::{Micros, MonitorId};

use super::{
    FlappingMemory, FlappingTurn, Paging, PagingEffect, Phase, Quiet, Wait,
    settings::{FLAPPING_EDGES, FLAPPING_WINDOW, PagingSettings},
    ward::Ward,
};
use crate::{Moment, Verdict};

impl FlappingMemory {
    fn down_for(&self, at: Moment) -> Micros {
        self.down_for + self.down_since.map_or(Micros::ZERO, |since| at.since(since))
    }

    /// Makes a message of how it stands; what it says counts as told.
    fn tell(
        &mut self,
        monitor: &MonitorId,
        phase: Phase,
        verdict: Option<Verdict>,
        at: Moment,
    ) -> PagingEffect {
        let down_for = self.down_for(at);
        let turn = FlappingTurn {
            monitor: monitor.clone(),
            phase,
            verdict,
            since: self.since,
            edges: self.edges,
            edges_new: self.edges - self.edges_told,
            down_for,
            down_new: Micros(down_for.0.saturating_sub(self.down_told.0)),
        };
        (self.edges_told, self.down_told) = (self.edges, down_for);
        PagingEffect::Flapping(Box::new(turn))
    }

    /// When something is to be said or done about it.
    pub(super) fn due_at(&self, hides_outage: bool, settings: &PagingSettings) -> Moment {
        let outage =
            self.down_since.filter(|_| hides_outage).map(|since| since.after(settings.flapping_outage));
        let end = self.edge_at.after(FLAPPING_WINDOW);
        [Some(end), Some(self.digest_at), outage].into_iter().flatten().min().unwrap_or(end)
    }
}

impl Paging {
    /// Counts an edge, to down or back; says whether the monitor flaps.
    pub(super) fn edge(
        &mut self,
        id: &MonitorId,
        is_down: bool,
        at: Moment,
        effects: &mut Vec<PagingEffect>,
    ) -> bool {
        let settings = self.settings;
        let Some(ward) = self.wards.get_mut(id) else { return false };
        let verdict = ward.verdict;
        let edges = &mut ward.kept.edges;
        edges.retain(|edge| at.since(*edge) < FLAPPING_WINDOW);
        edges.push(at);
        if edges.len() > FLAPPING_EDGES {
            edges.remove(0);
        }
        match &mut ward.kept.flapping {
            Some(flapping) => {
                flapping.edges = flapping.edges.saturating_add(1);
                flapping.edge_at = at;
                if is_down {
                    flapping.down_since.get_or_insert(at);
                } else if let Some(since) = flapping.down_since.take() {
                    flapping.down_for = flapping.down_for + at.since(since);
                }
                true
            }
            None if settings.flapping && edges.len() >= FLAPPING_EDGES => {
                // The edges alternate: with the third to down, the first was too.
                let spells = edges.windows(2).filter_map(|pair| Some((*pair.first()?, *pair.get(1)?)));
                let skip = usize::from(!is_down);
                let spell = spells.skip(skip).step_by(2).map(|(from, to)| to.since(from));
                let mut flapping = FlappingMemory {
                    since: edges.first().copied().unwrap_or(at),
                    edges: u32::try_from(edges.len()).unwrap_or(u32::MAX),
                    edges_told: 0,
                    edge_at: at,
                    down_since: is_down.then_some(at),
                    down_for: spell.fold(Micros::ZERO, |sum, one| sum + one),
                    down_told: Micros::ZERO,
                    digest_at: at.after(settings.flapping_digest),
                };
                effects.push(flapping.tell(id, Phase::Began, verdict, at));
                ward.kept.flapping = Some(flapping);
                true
            }
            None => false,
        }
    }

    /// Lets a monitor's incident wait for the end of flapping.
    pub(super) fn wait_for_rest(&mut self, id: &MonitorId, effects: &mut Vec<PagingEffect>) {
        let Some(ward) = self.wards.get_mut(id) else { return };
        ward.kept.wait = Some(Wait::Flapping);
        effects.push(PagingEffect::Quiet { monitor: id.clone(), why: Quiet::Flapping });
    }

    /// Says and does what is due about a monitor that flaps.
    pub(super) fn flapping_due(&mut self, id: &MonitorId, at: Moment, effects: &mut Vec<PagingEffect>) {
        let settings = self.settings;
        let Some(ward) = self.wards.get_mut(id) else { return };
        let (waits, hides) = (ward.kept.wait == Some(Wait::Flapping), ward.hides_outage());
        let Some(flapping) = ward.kept.flapping.as_mut().filter(|one| one.due_at(hides, &settings) <= at)
        else {
            return;
        };
        let outage = flapping.down_since.map(|since| since.after(settings.flapping_outage));
        if hides && outage.is_some_and(|outage| outage <= at) {
            ward.kept.wait = None;
            if !self.is_held(id, false, at, effects) {
                self.tell(id, effects);
            }
            return;
        }
        if flapping.edge_at.after(FLAPPING_WINDOW) <= at {
            effects.push(flapping.tell(id, Phase::Ended, ward.verdict, at));
            ward.kept.flapping = None;
            ward.kept.edges.clear();
            if waits {
                ward.kept.wait = None;
                if !self.is_held(id, false, at, effects) {
                    self.tell(id, effects);
                }
            }
            return;
        }
        if flapping.digest_at <= at {
            effects.push(flapping.tell(id, Phase::Goes, ward.verdict, at));
            flapping.digest_at = at.after(settings.flapping_digest);
        }
    }
}

impl Ward {
    /// The last message about a monitor that flaps and goes.
    pub(super) fn end_flapping(&mut self, id: &MonitorId, at: Moment) -> Option<PagingEffect> {
        Some(self.kept.flapping.take()?.tell(id, Phase::Ended, None, at))
    }
}
