//! The picture of the present that the faces show: painted a few times a second, and only what may have changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use quorate_proto::{MonitorId, Region};
use quorate_quorum::{Abstention, Moment, MonitorState, RegionState, Verdict, Vote, paging::Wait};

use super::{
    effect::{Effect, Now},
    state::{Core, Watched},
};
use crate::{
    decide, limits,
    model::{AgentView, DegradedReason, Incident, MonitorView, RegionView, Snapshot},
};

/// What was painted, and what is to be painted again.
#[derive(Debug, Default)]
pub(super) struct Canvas {
    views: BTreeMap<MonitorId, Arc<MonitorView>>,
    incidents: Vec<Arc<Incident>>,
    touched: BTreeSet<MonitorId>,
    incidents_touched: bool,
    changed: bool,
    painted_at: Moment,
    /// The monitor after which the next round of looking at everything goes on.
    round: Option<MonitorId>,
}

impl Canvas {
    /// A monitor may look different.
    pub(super) fn touch(&mut self, monitor: &MonitorId) {
        if !self.touched.contains(monitor) {
            self.touched.insert(monitor.clone());
        }
        self.changed = true;
    }

    /// Monitors may look different because time passed: they are looked at again within the next rounds.
    pub(super) fn touch_rest(&mut self) {
        self.changed = true;
    }

    /// Open incidents are different.
    pub(super) fn touch_incidents(&mut self) {
        self.incidents_touched = true;
        self.changed = true;
    }

    /// An agent is different.
    pub(super) fn touch_agents(&mut self) {
        self.changed = true;
    }

    /// A count or the state of the store is different.
    pub(super) fn touch_counts(&mut self) {
        self.changed = true;
    }

    /// Everything is different.
    pub(super) fn reset(&mut self) {
        self.views.clear();
        self.touch_incidents();
    }

    /// When it is to be painted next.
    pub(super) fn due_at(&self) -> Moment {
        let pause = if self.changed { limits::PICTURE_PERIOD } else { limits::PICTURE_AGE_MAX };
        self.painted_at.after(pause)
    }
}

impl Core {
    /// Paints the picture, where it is due.
    pub(super) fn paint(&mut self, now: Now) {
        if self.canvas.due_at() > now.moment {
            return;
        }
        let mut touched = std::mem::take(&mut self.canvas.touched);
        touched.extend(self.next_round());
        let missing = self.monitors.keys().filter(|id| !self.canvas.views.contains_key(*id));
        touched.extend(missing.cloned());
        for id in touched {
            let Some(watched) = self.monitors.get(&id) else { continue };
            let view = self.view(watched, now);
            let painted = self.canvas.views.get(&id).is_some_and(|painted| **painted == view);
            if !painted {
                self.canvas.views.insert(id, Arc::new(view));
            }
        }
        if std::mem::take(&mut self.canvas.incidents_touched) {
            let mut open = self.incidents.values().collect::<Vec<_>>();
            open.sort_by(|a, b| (b.opened_at, &b.incident.id).cmp(&(a.opened_at, &a.incident.id)));
            self.canvas.incidents = open.into_iter().map(|open| Arc::new(open.incident.clone())).collect();
        }
        self.canvas.changed = false;
        self.canvas.painted_at = now.moment;
        let picture = self.picture(now);
        self.effects.push(Effect::Picture(Box::new(picture)));
    }

    fn picture(&self, now: Now) -> Snapshot {
        let monitors = self.config.monitors.iter();
        let mut counts = self.counts.clone();
        counts.deliveries_pending = self.outbox.counts();
        counts.confirmation_rounds_denied = self.engine.rounds_denied();
        let mut agents =
            self.enrolment.active().map(|record| self.agent_view(record, now)).collect::<Vec<_>>();
        agents.sort_by(|a, b| a.name.cmp(&b.name));
        Snapshot {
            at: now.wall,
            revision: self.assignments.revision,
            monitors: monitors.filter_map(|one| self.canvas.views.get(&one.spec.id).cloned()).collect(),
            agents,
            incidents_open: self.canvas.incidents.clone(),
            maintenance: self.maintenance.list(),
            storage: self.storage_state(),
            counts,
        }
    }

    /// The monitors that are looked at again this time, whether or not anything happened to them.
    fn next_round(&mut self) -> Vec<MonitorId> {
        let count = self.monitors.len().div_ceil(limits::PICTURE_ROUNDS);
        let after = self.canvas.round.take();
        let rest = self.monitors.keys().filter(|id| after.as_ref().is_none_or(|after| *id > after));
        // Round and round, so that few monitors are looked at every time and not every other.
        let next = rest.chain(self.monitors.keys()).take(count).cloned().collect::<Vec<_>>();
        self.canvas.round = next.last().cloned();
        next
    }

    fn view(&self, watched: &Watched, now: Now) -> MonitorView {
        let monitor = &watched.monitor;
        let state = self.engine.monitor(&monitor.spec.id, now.moment);
        let figures = self.quality.figures(&monitor.spec.id);
        let region_view = |region: &Region| {
            let state = state.as_ref().and_then(|state: &MonitorState| state.regions.get(region));
            let seen = state
                .and_then(|state: &RegionState| state.source)
                .and_then(|source| watched.sightings.get(&source.agent));
            let standing = watched.standings.get(region);
            let vote = state.map_or(Vote::Abstain(Abstention::NoResult), |state| state.vote);
            let sighting = seen.map(|seen| &seen.sighting);
            RegionView {
                region: region.clone(),
                vote,
                latency: sighting.map(|sighting| sighting.latency),
                last_checked_at: seen.map(|seen| now.wall_of(seen.ended)),
                failure: sighting
                    .and_then(|sighting| sighting.failure.as_ref())
                    .and_then(|failure| decide::vote_words(Vote::Fail, Some(failure))),
                agent: sighting.map(|sighting| sighting.agent.clone()),
                canary: monitor
                    .spec
                    .canary
                    .map(|_| standing.map(|standing| standing.canary.view(now.moment)).unwrap_or_default()),
                tls: standing.and_then(|standing| standing.tls).map(|tls| tls.stored.facts),
                addresses: standing.and_then(|standing| decide::events::address_words(&standing.addresses)),
                idle_timeout: watched.idle_timeout(region),
                round_trips: figures
                    .as_ref()
                    .and_then(|figures| figures.regions.iter().find(|(one, _)| one == region))
                    .map(|(_, quantiles)| *quantiles),
            }
        };
        MonitorView {
            id: monitor.spec.id.clone(),
            name: monitor.name.clone(),
            url: decide::shown_url(&monitor.spec.url),
            verdict: state.as_ref().and_then(|state| state.verdict),
            since: now.wall_of(state.as_ref().map_or(now.moment, |state| state.since)),
            suspect: state.as_ref().is_some_and(|state| state.suspect),
            maintenance: self.maintenance.of(&monitor.spec.id).cloned(),
            interval: monitor.spec.interval,
            quorum: watched.policy.describe(),
            verify_tls: monitor.spec.verify_tls,
            held_by: match self.paging.wait(&monitor.spec.id) {
                Some(Wait::Parents { by, .. }) => by.iter().cloned().collect(),
                Some(Wait::Fleet { .. } | Wait::Group | Wait::Flapping | Wait::Agents { .. }) | None => {
                    vec![]
                }
            },
            flapping: self.paging.flapping(&monitor.spec.id).is_some(),
            regions: monitor.regions.iter().map(region_view).collect(),
            degraded: degraded(watched, state.as_ref().and_then(|state| state.verdict)),
            round_trips: figures.as_ref().map(|figures| figures.merged),
            latency: monitor.latency,
            calibration: self.calibration_view(&monitor.spec.id),
        }
    }

    fn agent_view(&self, record: &crate::model::AgentRecord, now: Now) -> AgentView {
        let agent = self.agents.get(&record.key);
        let connection = agent.and_then(|agent| agent.connection.as_ref());
        AgentView {
            key: record.key,
            name: record.name.clone(),
            region: record.region.clone(),
            labels: record.labels.clone(),
            connected: connection.is_some(),
            remote: connection.map(|connection| connection.remote.to_string()),
            software: agent.and_then(|agent| agent.software.clone()),
            last_seen_at: agent.and_then(|agent| agent.seen_at).map(|at| now.wall_of(at)),
            health: agent.and_then(|agent| agent.health.clone()),
            enrolled_at: record.enrolled_at,
            outlier: self.outlier_view(&record.key, now),
        }
    }
}

/// Why a monitor is degraded. Where it does not work, or nobody looks, that is all there is to say.
fn degraded(watched: &Watched, verdict: Option<Verdict>) -> Vec<DegradedReason> {
    match verdict {
        Some(Verdict::Up | Verdict::Partial) => {
            watched.quality.degradation.iter().flat_map(|one| one.going().cloned()).collect()
        }
        Some(Verdict::Down | Verdict::Unobserved) | None => Vec::new(),
    }
}
