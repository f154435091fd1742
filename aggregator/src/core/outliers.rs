//! Domains and outliers, between the engine and people: labels go in, notices come out.

use std::collections::BTreeSet;

use quorate_proto::AgentKey;
use quorate_quorum::{Event, MIN_DOMAINS, Moment, Outlier};

use super::{effect::Now, state::Core};
use crate::{config::Monitor, decide, model::view::OutlierView};

impl Core {
    /// Tells the engine of every enrolled agent.
    pub(super) fn enrol_all(&mut self, now: Now) {
        for agent in self.enrolment.active().map(|record| record.key).collect::<Vec<_>>() {
            self.enrolled(&agent, now);
        }
    }

    /// Tells the engine of an enrolled agent.
    pub(super) fn enrolled(&mut self, agent: &AgentKey, now: Now) {
        let Some(record) = self.enrolment.record(agent) else { return };
        let (region, labels) = (record.region.clone(), record.labels.clone());
        self.feed(Event::Enrolled { agent: *agent, region, labels }, now);
    }

    /// Says so where a monitor wants more domains than its agents can span. It is no fault of the configuration: agents
    /// are enrolled later.
    pub(super) fn warn_of_domains(&self) {
        for monitor in self.config.monitors.iter().filter(|monitor| monitor.domains.min > MIN_DOMAINS) {
            for label in &monitor.domains.labels {
                let there = self.domains_there(monitor, label);
                if there < usize::from(monitor.domains.min) {
                    tracing::warn!(
                        monitor = %monitor.spec.id,
                        label,
                        there,
                        wanted = monitor.domains.min,
                        "agents of fewer domains are enrolled than min_domains wants: all that are there have to fail"
                    );
                }
            }
        }
    }

    /// An agent contradicts the others.
    pub(super) fn outlier(&mut self, outlier: &Outlier, now: Now) {
        let Some(record) = self.enrolment.record(&outlier.agent) else { return };
        tracing::warn!(
            agent = %record.name,
            region = %outlier.region,
            contradiction = outlier.contradiction.name(),
            disagreements = outlier.disagreements,
            compared = outlier.compared,
            "an agent contradicts the others; its votes do not count"
        );
        let notice = decide::outlier(&record.name, outlier, &self.config.channels);
        self.announce(notice, now);
        self.canvas.touch_agents();
    }

    /// An agent agrees with the others again.
    pub(super) fn outlier_over(&mut self, outlier: &Outlier, until: Moment, now: Now) {
        let Some(record) = self.enrolment.record(&outlier.agent) else { return };
        tracing::info!(agent = %record.name, region = %outlier.region, "an agent agrees with the others again");
        let held = until.since(outlier.since);
        let notice = decide::outlier_over(&record.name, outlier, held, &self.config.channels);
        self.announce(notice, now);
        self.canvas.touch_agents();
    }

    /// How an agent contradicts the others, where it does.
    pub(super) fn outlier_view(&self, agent: &AgentKey, now: Now) -> Option<OutlierView> {
        let outlier = self.engine.outlier(agent)?;
        Some(OutlierView {
            contradiction: outlier.contradiction,
            since: now.wall_of(outlier.since),
            disagreements: outlier.disagreements,
            compared: outlier.compared,
        })
    }

    /// The domains of a label in a monitor's regions. A region without an agent may yet get one of another domain.
    fn domains_there(&self, monitor: &Monitor, label: &str) -> usize {
        let mut domains = BTreeSet::new();
        for region in &monitor.regions {
            let mut agents = self.enrolment.active().filter(|record| record.region == *region).peekable();
            if agents.peek().is_none() {
                domains.insert(region.as_str());
            }
            domains.extend(
                agents.map(|record| record.labels.get(label).map_or(region.as_str(), String::as_str)),
            );
        }
        domains.len()
    }
}
