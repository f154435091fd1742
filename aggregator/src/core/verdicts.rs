//! What the engine wants done: confirmations asked for, verdicts written down, incidents opened and resolved.

use std::collections::BTreeMap;

use quorate_proto::{AgentKey, MonitorId, Region, frame::AggregatorControl};
use quorate_quorum::{PagingEvent, Timeline, Verdict, VerdictChange};

use super::{
    chance,
    effect::{Effect, Now},
    standing::enter,
    state::{Core, Watched},
};
use crate::{
    decide::{self, Decision, Sighting, Situation},
    limits,
    model::{DecisionRecord, Evidence, IncidentTimeline, Push, Tracked, view::PAGE_SECONDS_BOUNDS},
    store::Change,
};

impl Core {
    /// Asks every connected agent of these regions to check now. Nothing durable, so it does not wait for a commit.
    pub(super) fn confirm(&mut self, monitor: &MonitorId, regions: &[Region], request: u64) {
        let frame = AggregatorControl::Confirm { monitor: monitor.clone(), request };
        let pushes = regions.iter().flat_map(|region| self.connections_in(region));
        let pushes = pushes.map(|(_, connection)| connection.push.clone()).collect::<Vec<_>>();
        for push in pushes {
            self.counts.confirmations += 1;
            self.effects.push(Effect::Push(push, Push::Send(frame.clone())));
        }
        self.canvas.touch(monitor);
    }

    /// A verdict changed.
    pub(super) fn changed(&mut self, change: &VerdictChange, now: Now) {
        let Some(watched) = self.monitors.get(&change.monitor) else { return };
        *self.counts.verdict_changes.entry(change.to.name()).or_default() += 1;
        let open = self.incidents.get(&change.monitor);
        let before = open.map(|tracked| tracked.incident.verdict.clone());
        let decision = self.decision(watched, change, now);
        tracing::info!(
            monitor = %change.monitor,
            from = change.from.map(Verdict::name),
            to = change.to.name(),
            rule = decide::reason(change),
            "verdict"
        );
        let since = now.wall_of(change.timeline.decided_at);
        let verdict = Change::Verdict { monitor: change.monitor.clone(), verdict: change.to, since };
        self.ledger.change(verdict, now.moment);
        self.judge_verdict(&change.monitor, change.to, now);
        self.turn(&change.monitor, Some(change.to), since, now);
        self.canvas.touch(&change.monitor);
        if let Some(decision) = decision {
            let is_new = change.to == Verdict::Down && before.as_deref() != Some(Verdict::Down.name());
            if is_new && self.maintenance.of(&change.monitor).is_none() {
                self.count_page(&change.timeline);
            }
            self.keep_evidence(change, &decision, now);
            self.decided(change.to.name(), decision, now);
        }
        self.page(PagingEvent::Turned { monitor: change.monitor.clone(), to: change.to }, now);
    }

    /// Enough regions fail, and down is withheld: the monitor's incident says why.
    pub(super) fn withheld(&mut self, change: &VerdictChange, now: Now) {
        let Some(watched) = self.monitors.get(&change.monitor) else { return };
        tracing::info!(monitor = %change.monitor, rule = decide::reason(change), "down is withheld");
        if !self.incidents.contains_key(&change.monitor) {
            return;
        }
        if let Some(decision) = self.decision(watched, change, now) {
            self.keep_evidence(change, &decision, now);
            self.decided(change.to.name(), decision, now);
        }
        self.canvas.touch(&change.monitor);
    }

    /// What follows from a change of verdict.
    fn decision(&self, watched: &Watched, change: &VerdictChange, now: Now) -> Option<Decision> {
        decide::decide(&Situation {
            monitor: &watched.monitor,
            // Who hears of it, paging decides; the end of an incident goes to whoever was told of it.
            channels: &[],
            open: self.incidents.get(&change.monitor),
            change,
            sightings: &self.sightings(change),
            timeline: timeline(&change.timeline, now),
            incident_id: &chance::id("inc_", now.wall),
            at: now.wall,
        })
    }

    /// Writes down what a decision was made from, in the same transaction.
    fn keep_evidence(&mut self, change: &VerdictChange, decision: &Decision, now: Now) {
        let enrolled = |key: &AgentKey| {
            let record = self.enrolment.record(key)?;
            Some((record.name.clone(), record.labels.clone()))
        };
        let offset = now.wall.0.saturating_sub(now.moment.to_wall().0);
        let record = DecisionRecord::of(change, decision.rule.clone(), offset, &enrolled);
        let spans = record.spans(limits::EVIDENCE_RUN_UNITS_MAX);
        let incident = decision.tracked.incident.id.clone();
        let evidence = Evidence { incident, decided_at: now.wall, record, spans };
        self.ledger.change(Change::Evidence(Box::new(evidence)), now.moment);
    }

    /// Ends the incident of a monitor that is not configured any more.
    pub(super) fn withdraw(&mut self, monitor: &MonitorId, now: Now) {
        let Some(open) = self.incidents.get(monitor) else { return };
        let decision = decide::withdraw(open, now.wall);
        self.decided("removed", decision, now);
    }

    pub(super) fn decided(&mut self, verdict: &'static str, decision: Decision, now: Now) {
        let Decision { tracked, rule, announcements } = decision;
        let monitor = tracked.incident.monitor.id.clone();
        let incident = tracked.incident.id.clone();
        self.ledger.change(Change::IncidentEvent { incident, at: now.wall, verdict, rule }, now.moment);
        self.track(tracked.clone(), now);
        for announcement in announcements {
            self.announce(announcement, now);
        }
        if tracked.incident.resolved_at.is_some() {
            self.incidents.remove(&monitor);
        }
        self.ledger.hurry();
    }

    /// Takes up an incident as it stands.
    pub(super) fn track(&mut self, tracked: Tracked, now: Now) {
        self.ledger.change(Change::Incident(Box::new(tracked.clone())), now.moment);
        self.incidents.insert(tracked.incident.monitor.id.clone(), tracked);
        self.canvas.touch_incidents();
    }

    /// The latest check of each region whose vote was counted.
    fn sightings(&self, change: &VerdictChange) -> BTreeMap<Region, Sighting> {
        let Some(watched) = self.monitors.get(&change.monitor) else { return BTreeMap::new() };
        let of = |counted: &quorate_quorum::CountedVote| {
            let seen = watched.sightings.get(&counted.source?.agent)?;
            Some((counted.region.clone(), seen.sighting.clone()))
        };
        change.votes.iter().filter_map(of).collect()
    }

    fn count_page(&mut self, timeline: &Timeline) {
        let Some(first) = timeline.first_failure_at else { return };
        let seconds = timeline.decided_at.since(first).as_secs_f64();
        enter(&mut self.counts.page_seconds, &PAGE_SECONDS_BOUNDS, seconds);
        self.counts.page_seconds_sum += seconds;
    }
}

fn timeline(timeline: &Timeline, now: Now) -> IncidentTimeline {
    let wall = |moment| now.wall_of(moment);
    IncidentTimeline {
        first_failure_at: timeline.first_failure_at.map(wall),
        suspected_at: timeline.suspected_at.map(wall),
        quorum_at: timeline.quorum_at.map(wall),
        decided_at: Some(wall(timeline.decided_at)),
        sent_at: None,
    }
}
