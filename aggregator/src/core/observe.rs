//! Results: how old they are, which of them decide, and what is remembered of the latest.
//!
//! Nobody's wall clock decides (invariant 5). A check ended as long ago as its agent measured: its age when its batch was
//! signed, and how long the batch was held until it was sent, both by a clock that also runs while the machine sleeps.
//! Counted back from the moment of receipt, that gives the end of the check by the aggregator's own clock, late by the
//! way over the network and by no more. Where the agent cannot tell how long a batch was held, because it restarted,
//! its results are history.

use quorate_proto::{
    AgentKey, BatchBody, CheckResult, Gap, Micros, MonitorSpec, Outcome, WallMicros, unit::Content,
    verify::Unit,
};
use quorate_quorum::{Event, Finding, Moment, Observation, Source};

use super::{
    effect::Now,
    state::{Core, Seen},
    units::Ticket,
};
use crate::{
    decide::Sighting,
    limits,
    store::{BatchFacts, EntryFacts},
};

impl Core {
    /// Counts what a unit says, and tells the engine what of it is fresh.
    pub(super) fn observe(&mut self, unit: &Unit, ticket: &Ticket, now: Now) -> BatchFacts {
        match &unit.content {
            Content::Batch(batch) => {
                let agent = unit.place.agent;
                // Checks first: a canary's end is news where none of them tells of it.
                let results = self.observe_results(unit, batch, ticket, now);
                let mending = self.mending(unit, batch, &results);
                let mut facts = BatchFacts { results, mending, ..BatchFacts::default() };
                for canary in &batch.canaries {
                    let when = When::of(canary.age, canary.at, ticket, now);
                    facts.canaries.push(when.facts());
                    self.hear_canary(agent, canary, batch.revision, when, now);
                }
                for found in &batch.idle_timeouts {
                    facts.idle_timeouts.push(When::of(found.age, found.at, ticket, now).facts());
                    self.hear_idle_timeout(agent, found, batch.revision, now);
                }
                facts
            }
            Content::Gap(gap) => {
                self.note_gap(unit, gap);
                BatchFacts::default()
            }
        }
    }

    fn observe_results(
        &mut self,
        unit: &Unit,
        batch: &BatchBody,
        ticket: &Ticket,
        now: Now,
    ) -> Vec<EntryFacts> {
        let agent = unit.place.agent;
        let mut facts = Vec::with_capacity(batch.results.len());
        for (index, result) in batch.results.iter().enumerate() {
            let ended = When::of_result(result, ticket, now);
            let maintained = self.maintenance.covers(&result.monitor, ended.at);
            facts.push(EntryFacts { maintained, ..ended.facts() });
            self.count(agent, result, ended.fresh.is_none());
            if let Some(ended) = ended.fresh {
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

    fn note_gap(&mut self, unit: &Unit, gap: &Gap) {
        let lost = self.counts.results_lost.entry(gap.cause.name()).or_default();
        // The agent says how many, and may say anything.
        *lost = lost.saturating_add(gap.results);
        if gap.results > 0 {
            let name = self.enrolment.name(&unit.place.agent);
            tracing::warn!(agent = name, results = gap.results, cause = gap.cause.name(), "results are lost");
        }
    }

    /// What is to be stored of a unit that was decided on when it came for the first time.
    pub(super) fn decided_before(&self, unit: &Unit, ticket: &Ticket, now: Now) -> BatchFacts {
        let Content::Batch(batch) = &unit.content else { return BatchFacts::default() };
        // Whether it was late then is not remembered: only where its age is unknown it must have been.
        let facts = |when: When| EntryFacts { late: when.moment.is_none(), ..when.facts() };
        let when = |age, at| facts(When::of(age, at, ticket, now));
        let results = batch.results.iter().map(|one| {
            let facts = facts(When::of_result(one, ticket, now));
            EntryFacts { maintained: self.maintenance.covers(&one.monitor, facts.at), ..facts }
        });
        let results = results.collect::<Vec<_>>();
        BatchFacts {
            mending: self.mending(unit, batch, &results),
            results,
            canaries: batch.canaries.iter().map(|one| when(one.age, one.at)).collect(),
            idle_timeouts: batch.idle_timeouts.iter().map(|one| when(one.age, one.at)).collect(),
        }
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
        let took = took(result, &watched.monitor.spec);
        self.canvas.touch(&result.monitor);
        if let Some(witness) = self.witness(source.agent, &result.monitor, revision) {
            self.see_check(&witness, result, ended, now);
            self.judge_check(&witness, result, ended, now);
        }
        let observation = Observation {
            monitor: result.monitor.clone(),
            region,
            started: ended.before(took),
            ended,
            finding: finding(result),
            revision,
            source,
        };
        // Measured first: a failure that makes a page belongs to the server, and is dropped when the verdict is known.
        self.measure(&observation, now);
        self.feed(Event::Observed(observation), now);
    }
}

/// Whether somebody waits for a unit to be stored: one with a failure or a canary's end may be what a page waits for.
pub(super) fn is_waited_for(unit: &Unit) -> bool {
    match &unit.content {
        Content::Batch(batch) => {
            batch.results.iter().any(|result| result.failure().is_some())
                || batch.canaries.iter().any(|canary| canary.event.failure().is_some())
        }
        Content::Gap(_) => false,
    }
}

/// When something happened to an agent.
#[derive(Clone, Copy, Debug)]
pub(super) struct When {
    /// By the aggregator's steady clock, where the agent can tell.
    pub(super) moment: Option<Moment>,
    /// The same, where it is not too long ago to matter.
    pub(super) fresh: Option<Moment>,
    /// For people.
    pub(super) at: WallMicros,
}

impl When {
    /// Of something of an age, at a reading of the agent's wall clock, which stands for it where nothing better is
    /// known; it never comes after receipt.
    pub(super) fn of(age: Micros, at: WallMicros, ticket: &Ticket, now: Now) -> Self {
        let moment = ticket.held.map(|held| ticket.received.before(held + age));
        let fresh = moment.filter(|moment| ticket.received.since(*moment) <= limits::RESULT_FRESH_MAX);
        let at = moment.map_or(at.min(now.wall_of(ticket.received)), |moment| now.wall_of(moment));
        Self { moment, fresh, at }
    }

    /// Of the end of a check.
    fn of_result(result: &CheckResult, ticket: &Ticket, now: Now) -> Self {
        Self::of(result.age, result.started_at.after(result.timings.total), ticket, now)
    }

    pub(super) fn facts(self) -> EntryFacts {
        EntryFacts { at: self.at, late: self.fresh.is_none(), maintained: false }
    }
}

/// How long a check took, and no longer than it may have taken: evidence reaches back to the start of a check, and an
/// agent that was suspended in the middle of one, or that lies, must not make an outage of a blip.
fn took(result: &CheckResult, spec: &MonitorSpec) -> Micros {
    result.timings.total.min(spec.timeout)
}

fn finding(result: &CheckResult) -> Finding {
    match &result.outcome {
        Outcome::Passed => Finding::Passed,
        Outcome::Failed(failure) if failure.kind.is_agents_own() => Finding::AgentsOwnFault,
        Outcome::Failed(_) => Finding::Failed,
    }
}
