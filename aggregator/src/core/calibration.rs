//! Calibration, between the engine and people: checks go in, numbers of the rules and notices come out.

use quorate_proto::MonitorId;
use quorate_quorum::{Calibration, Event, Finding, Observation, PagingEvent, Policy, Verdict};

use super::{effect::Now, state::Core};
use crate::{
    config::Monitor,
    decide,
    model::{CalibrationKept, view::CalibrationView},
    store::Change,
};

impl Core {
    /// A policy with what was found fitting for the monitor's paths, where it may follow that.
    pub(super) fn calibrated(&mut self, monitor: &Monitor, policy: Policy) -> Policy {
        let id = &monitor.spec.id;
        if let Some(watched) = self.monitors.get_mut(id) {
            // Another server has other paths, and other rules want other numbers.
            if watched.policy.target != policy.target {
                watched.calibration = Calibration::new(&policy);
            } else if (Policy { calibrated: None, ..watched.policy.clone() }) != policy {
                watched.calibration.follow(&policy);
            }
        }
        let known = self.monitors.get(id).map(|watched| watched.calibration.chosen().cloned());
        let remembered = self.remembered.calibration.get(id).filter(|kept| kept.target == policy.target);
        let chosen = match (known, remembered) {
            (Some(chosen), _) => chosen,
            (None, kept) => kept.and_then(|kept| kept.chosen.as_ref()).map(|chosen| chosen.calibrated()),
        };
        Policy { calibrated: chosen.filter(|_| monitor.calibrate), ..policy }
    }

    /// What is known of the paths of a monitor that is new to this process.
    pub(super) fn remembered_calibration(&mut self, monitor: &MonitorId, policy: &Policy) -> Calibration {
        let mut calibration = Calibration::new(policy);
        let kept = self.remembered.calibration.remove(monitor);
        if let Some(kept) = kept.filter(|kept| kept.target == policy.target) {
            kept.restore(&mut calibration);
        }
        calibration
    }

    /// Measures a path by a fresh check. What the agent, the server or an operator does to it is not the path's doing.
    pub(super) fn measure(&mut self, observation: &Observation, now: Now) {
        let agent = observation.source.agent;
        let failed = match observation.finding {
            Finding::Passed => false,
            Finding::Failed => true,
            Finding::AgentsOwnFault => return,
        };
        if self.is_distrusted(&agent) {
            return;
        }
        let monitor = &observation.monitor;
        let is_down =
            self.incidents.get(monitor).is_some_and(|open| open.incident.verdict == Verdict::Down.name());
        let says_nothing = is_down || self.maintenance.of(monitor).is_some();
        let Some(watched) = self.monitors.get_mut(monitor) else { return };
        let is_watched_from = watched.policy.regions.contains(&observation.region);
        if !is_watched_from || observation.revision < watched.policy.revision {
            return;
        }
        if says_nothing {
            watched.calibration.pause();
            return;
        }
        let by = (agent, &observation.region);
        if watched.calibration.observe(by, observation.started, observation.ended, failed) {
            self.recalibrate(monitor, now);
        }
    }

    /// Looks whether the numbers of a monitor's rules still fit its paths.
    fn recalibrate(&mut self, monitor: &MonitorId, now: Now) {
        let Some(watched) = self.monitors.get_mut(monitor) else { return };
        let change = watched.calibration.review(&watched.policy, now.moment);
        let mut kept = CalibrationKept::of(&watched.calibration);
        kept.target.clone_from(&watched.policy.target);
        self.ledger
            .change(Change::Calibration { monitor: monitor.clone(), kept: Box::new(kept) }, now.moment);
        let Some(change) = change.filter(|_| watched.monitor.calibrate) else { return };

        let policy = Policy { calibrated: change.calibrated.clone(), ..watched.policy.clone() };
        tracing::info!(
            %monitor,
            rule = policy.describe(),
            false_pages_per_1000_years = change.expected,
            "the rules follow the paths as measured"
        );
        watched.policy = policy.clone();
        let configured = watched.monitor.clone();
        let notices = decide::recalibrated(&configured, &policy, &change, &self.config.channels);
        let parents = configured.depends_on.iter().cloned().collect();
        self.page(
            PagingEvent::Watch { monitor: monitor.clone(), policy: Box::new(policy.clone()), parents },
            now,
        );
        self.feed(Event::Configure { monitor: monitor.clone(), policy }, now);
        notices.into_iter().for_each(|notice| self.announce(notice, now));
        self.canvas.touch(monitor);
    }

    /// What was measured, and chosen for it.
    pub(super) fn calibration_view(&self, monitor: &MonitorId) -> Option<CalibrationView> {
        let watched = self.monitors.get(monitor)?;
        let calibration = &watched.calibration;
        Some(CalibrationView {
            applies: watched.policy.calibrated.clone(),
            expected: calibration.expected(),
            paths: calibration.paths().sums().map(|(region, sums)| (region.clone(), sums)).collect(),
        })
    }
}
