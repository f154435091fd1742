//! From signed units back to the checks that the engine saw, and to the runs that they make.

use std::collections::BTreeMap;

use quorate_proto::{
    AgentKey, BootEpoch, CheckKind, CheckResult, Digest, Micros, MonitorId, Outcome, Region, Sequence,
    SignedUnit,
    unit::{Content, Place},
};
use quorate_quorum::{BallotGrounds, Finding, Moment, Observation, Policy, Source, run_of};

use crate::{limits, model::evidence::BallotRecord};

/// A unit that could be read. Whether it is signed is another question.
#[derive(Clone, Debug)]
pub struct ReadUnit {
    /// Where it says that it stands.
    pub place: Place,
    /// Its digest.
    pub digest: Digest,
    /// What it says.
    pub content: Content,
    /// As signed.
    pub signed: SignedUnit,
    /// When it was received.
    pub received: Option<Moment>,
    /// How long its agent held it.
    pub held: Option<Micros>,
}

/// One check of the monitor, out of a unit.
#[derive(Clone, Debug)]
pub struct Check<'a> {
    /// Where it is signed.
    pub source: Source,
    /// As signed.
    pub result: &'a CheckResult,
    /// When its unit was received, and when it ended by the aggregator's clock; none where that is not known.
    pub times: Option<Times>,
    /// The revision of the assignments under which it was made.
    pub revision: u64,
}

/// When a check ended, and when that was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// When its unit was received.
    pub received: Moment,
    /// When it ended.
    pub ended: Moment,
}

/// Units by where they stand.
pub type Units = BTreeMap<(AgentKey, BootEpoch, Sequence), ReadUnit>;

impl ReadUnit {
    /// Reads a unit's bytes; an error says what is wrong with them.
    ///
    /// # Errors
    /// Where they are no unit.
    pub fn read(
        bytes: Vec<u8>,
        received: Option<Moment>,
        held: Option<Micros>,
    ) -> Result<Self, quorate_proto::unit::UnitError> {
        let signed = SignedUnit::parse(bytes)?;
        let content = signed.content()?;
        Ok(Self { place: *signed.place(), digest: signed.digest(), content, signed, received, held })
    }
}

/// Checks by where they are signed.
pub type Checks<'a> = BTreeMap<Source, Check<'a>>;

/// Every check of a monitor, in order of agent and chain.
pub fn checks<'a>(units: &'a Units, monitor: &MonitorId) -> Checks<'a> {
    let mut checks = Checks::new();
    for unit in units.values() {
        let Content::Batch(batch) = &unit.content else { continue };
        for (result, index) in batch.results.iter().zip(0..).filter(|(result, _)| result.monitor == *monitor)
        {
            let Place { agent, epoch, sequence, .. } = unit.place;
            let times = unit
                .received
                .zip(unit.held)
                .map(|(received, held)| Times { received, ended: received.before(held + result.age) });
            let source = Source { agent, epoch, sequence, index };
            checks.insert(source, Check { source, result, times, revision: batch.revision });
        }
    }
    checks
}

impl Check<'_> {
    /// What it found, as far as it decides.
    pub fn finding(&self) -> Finding {
        match &self.result.outcome {
            Outcome::Passed => Finding::Passed,
            Outcome::Failed(failure) if failure.kind.is_agents_own() => Finding::AgentsOwnFault,
            Outcome::Failed(_) => Finding::Failed,
        }
    }

    /// How long it took, and no longer than it may have taken.
    pub fn took(&self, policy: &Policy) -> Micros {
        self.result.timings.total.min(policy.timeout)
    }

    /// The request that it answers, where it was asked for.
    pub fn request(&self) -> Option<u64> {
        match self.result.kind {
            CheckKind::Scheduled => None,
            CheckKind::Confirming { request, .. } => Some(request),
        }
    }
}

/// A ballot out of signed checks.
#[derive(Clone, Debug, PartialEq)]
pub struct Rebuilt {
    /// The run as the engine follows it.
    pub ballot: BallotGrounds,
    /// Whether a moment of receipt was not usable, so that the agent's own wall clock had to order its checks.
    pub by_agents_clock: bool,
}

/// Rebuilds the run that a ballot claims, by at most as much `work` as is left, from the checks that are there: those of its agent from the unit in which the run
/// begins to the check that it names. None where that check is not among them.
pub fn ballot(
    claimed: &BallotRecord,
    region: &Region,
    policy: &Policy,
    decided: Moment,
    checks: &Checks<'_>,
    work: &mut usize,
) -> Option<Rebuilt> {
    let source = claimed.source();
    let begins = (BootEpoch(claimed.run_first_epoch), Sequence(claimed.run_first_sequence));
    let from = Source { agent: source.agent, epoch: begins.0, sequence: begins.1, index: 0 };
    let named = checks.get(&source)?;
    let is_usable = |times: &Times| times.received <= decided;
    // Backwards, so that the bound leaves the latest; a range must not end before it begins.
    let run = checks.range(from.min(source)..=source).rev().map(|(_, check)| check);
    let mut run: Vec<&Check<'_>> = run.take(*work).collect();
    run.reverse();
    *work = work.saturating_sub(run.len());
    let by_agents_clock = run.iter().any(|check| !check.times.as_ref().is_some_and(is_usable));
    let observed = run.into_iter().filter_map(|check| {
        let times = match check.times.filter(|times| !by_agents_clock && is_usable(times)) {
            Some(times) => times,
            None => by_agent(check, named, claimed),
        };
        let is_fresh = times.received.since(times.ended) <= limits::RESULT_FRESH_MAX;
        let observation = Observation {
            monitor: check.result.monitor.clone(),
            region: region.clone(),
            started: times.ended.before(check.took(policy)),
            ended: times.ended,
            finding: check.finding(),
            revision: check.revision,
            source: check.source,
        };
        is_fresh.then_some((observation, times.received))
    });
    let ballot = run_of(policy, observed)?;
    Some(Rebuilt { ballot, by_agents_clock })
}

/// When a check ended where its receipt does not tell: as long before the named one as the agent's own wall clock says.
fn by_agent(check: &Check<'_>, named: &Check<'_>, claimed: &BallotRecord) -> Times {
    let end = |check: &Check<'_>| check.result.started_at.after(check.result.timings.total);
    let before = end(named).since(end(check));
    let ended = Moment(claimed.ended_us).before(before);
    Times { received: ended, ended }
}
