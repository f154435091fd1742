//! Results: how old they are, which of them decide, and what is remembered of the latest.
//!
//! Nobody's wall clock decides (invariant 5). A check ended as long ago as its agent measured: its age when its batch was
//! signed, and how long the batch was held until it was sent, both by a clock that also runs while the machine sleeps.
//! Counted back from the moment of receipt, that gives the end of the check by the aggregator's own clock, late by the
//! way over the network and by no more. Where the agent cannot tell how long a batch was held, because it restarted,
//! its results are history.

use quorate_proto::{
    AgentKey, CheckResult, Micros, MonitorSpec, Outcome, WallMicros, unit::Content, verify::Unit,
};
use quorate_quorum::{Event, Finding, Moment, Observation, Source};

use super::{
    effect::Now,
    state::{Core, Seen},
    units::Ticket,
};
use crate::{decide::Sighting, limits, store::ResultFacts};

impl Core {
    /// Counts what a unit says, and tells the engine those results that are fresh.
    pub(super) fn observe(&mut self, unit: &Unit, ticket: &Ticket, now: Now) -> Vec<ResultFacts> {
        let agent = unit.place.agent;
        let batch = match &unit.content {
            Content::Batch(batch) => batch,
            Content::Gap(gap) => {
                let lost = self.counts.results_lost.entry(gap.cause.name()).or_default();
                // The agent says how many, and may say anything.
                *lost = lost.saturating_add(gap.results);
                if gap.results > 0 {
                    let name = self.enrolment.name(&agent);
                    tracing::warn!(
                        agent = name,
                        results = gap.results,
                        cause = gap.cause.name(),
                        "results are lost"
                    );
                }
                return Vec::new();
            }
        };
        let mut facts = Vec::with_capacity(batch.results.len());
        for (index, result) in batch.results.iter().enumerate() {
            let ended = ended(result, ticket);
            let fresh = ended.filter(|ended| is_fresh(*ended, ticket));
            facts.push(ResultFacts { ended_at: ended_at(result, ended, ticket, now), late: fresh.is_none() });
            self.count(agent, result, fresh.is_none());
            if let Some(ended) = fresh {
                let source = Source {
                    agent,
                    epoch: unit.place.epoch,
                    sequence: unit.place.sequence,
                    index: u16::try_from(index).unwrap_or(u16::MAX),
                };
                self.sight(result, source, ended, batch.revision, now);
            }
        }
        facts
    }

    /// What is to be stored of a unit that was decided on when it came for the first time.
    pub(super) fn decided_before(&self, unit: &Unit, ticket: &Ticket, now: Now) -> Vec<ResultFacts> {
        let Content::Batch(batch) = &unit.content else { return Vec::new() };
        let facts = |result| {
            let ended = ended(result, ticket);
            ResultFacts { ended_at: ended_at(result, ended, ticket, now), late: ended.is_none() }
        };
        batch.results.iter().map(facts).collect()
    }

    fn count(&mut self, agent: AgentKey, result: &CheckResult, late: bool) {
        let outcome = result.failure().map_or("passed", |failure| failure.kind.name());
        if let Some(region) = self.enrolment.region(&agent) {
            *self.counts.checks.entry((region, outcome)).or_default() += 1;
        }
        self.counts.results_late += u64::from(late);
    }

    /// Tells the engine of a fresh result, where its monitor is watched from the agent's region.
    fn sight(&mut self, result: &CheckResult, source: Source, ended: Moment, revision: u64, now: Now) {
        let Some(record) = self.enrolment.record(&source.agent) else { return };
        let (region, name) = (record.region.clone(), record.name.clone());
        let Some(watched) = self.monitors.get_mut(&result.monitor) else { return };
        if !watched.monitor.regions.contains(&region) {
            return;
        }
        let latest = watched.sightings.get(&source.agent).map(|seen| seen.ended);
        if latest.is_none_or(|latest| latest <= ended) {
            let failure = result.failure().cloned();
            let sighting = Sighting { agent: name, latency: result.latency(), failure };
            watched.sightings.insert(source.agent, Seen { ended, sighting });
        }
        self.canvas.touch(&result.monitor);
        let observation = Observation {
            monitor: result.monitor.clone(),
            region,
            started: ended.before(took(result, &watched.monitor.spec)),
            ended,
            finding: finding(result),
            revision,
            source,
        };
        self.feed(Event::Observed(observation), now);
    }
}

/// Whether somebody waits for a unit to be stored: one with a failure may be what a page waits for.
pub(super) fn is_waited_for(unit: &Unit) -> bool {
    match &unit.content {
        Content::Batch(batch) => batch.results.iter().any(|result| result.failure().is_some()),
        Content::Gap(_) => false,
    }
}

/// When a check ended, by the aggregator's clock, where the agent can tell.
fn ended(result: &CheckResult, ticket: &Ticket) -> Option<Moment> {
    ticket.held.map(|held| ticket.received.before(held + result.age))
}

fn is_fresh(ended: Moment, ticket: &Ticket) -> bool {
    ticket.received.since(ended) <= limits::RESULT_FRESH_MAX
}

/// How long a check took, and no longer than it may have taken: evidence reaches back to the start of a check, and an
/// agent that was suspended in the middle of one, or that lies, must not make an outage of a blip.
fn took(result: &CheckResult, spec: &MonitorSpec) -> Micros {
    result.timings.total.min(spec.timeout)
}

/// When a check ended, for people: by the agent's wall clock where nothing better is known, and never after receipt.
fn ended_at(result: &CheckResult, ended: Option<Moment>, ticket: &Ticket, now: Now) -> WallMicros {
    match ended {
        Some(ended) => now.wall_of(ended),
        None => result.started_at.after(result.timings.total).min(now.wall_of(ticket.received)),
    }
}

fn finding(result: &CheckResult) -> Finding {
    match &result.outcome {
        Outcome::Passed => Finding::Passed,
        Outcome::Failed(failure) if failure.kind.is_agents_own() => Finding::AgentsOwnFault,
        Outcome::Failed(_) => Finding::Failed,
    }
}
