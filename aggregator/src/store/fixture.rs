//! Rows for tests: agents that sign, and the units that they make.

use std::collections::BTreeMap;

use quorate_proto::{
    Admission, AgentKey, AggregatorKey, BatchBody, BootEpoch, Chains, CheckKind, CheckResult, Digest,
    Failure, FailureKind, Gap, GapCause, Micros, Outcome, Phase, Region, Sequence, SignedUnit, SigningKey,
    Timings, WallMicros,
    canary::{CanaryEvent, CanaryResult, IdleTimeoutResult},
    unit::{Content, Place},
    verify::{self, Authentic},
};

use super::commit::{BatchFacts, EntryFacts, UnitRows};
use crate::model::AgentRecord;

/// The key of every test's aggregator.
pub(crate) const AGGREGATOR: AggregatorKey = AggregatorKey([7; 32]);

/// An agent that signs and remembers its chain.
pub(crate) struct Agent {
    pub(crate) record: AgentRecord,
    signing: SigningKey,
    pub(crate) epoch: BootEpoch,
    pub(crate) next: Sequence,
    pub(crate) previous: Digest,
    pub(crate) revision: u64,
    chains: Chains,
}

/// One check, as tests say it.
pub(crate) fn check(monitor: &str, outcome: Outcome) -> CheckResult {
    CheckResult {
        monitor: monitor.parse().unwrap(),
        kind: CheckKind::Scheduled,
        started_at: WallMicros(0),
        age: Micros::ZERO,
        outcome,
        timings: Timings {
            total: Micros::from_millis(50),
            round_trip: Some(Micros::from_millis(20)),
            dns: Some(Micros::from_millis(5)),
            ..Timings::default()
        },
        address: Some([192, 0, 2, 1].into()),
        tls: None,
        addresses: Vec::new(),
    }
}

/// A check that was refused.
pub(crate) fn refused(monitor: &str, detail: &str) -> CheckResult {
    check(monitor, Outcome::Failed(Failure::new(FailureKind::ConnectionRefused, Phase::Tcp, detail)))
}

/// Something that happened to a canary.
pub(crate) fn canary(monitor: &str, event: CanaryEvent) -> CanaryResult {
    CanaryResult {
        monitor: monitor.parse().unwrap(),
        at: WallMicros(0),
        age: Micros::ZERO,
        address: Some([192, 0, 2, 1].into()),
        event,
    }
}

/// A canary that ended after some seconds.
pub(crate) fn ended(monitor: &str, seconds: u64, kind: FailureKind) -> CanaryResult {
    let event = CanaryEvent::Ended {
        open_for: Micros::from_secs(seconds),
        heartbeats: 2,
        quiet_for: Micros::from_secs(1),
        failure: Failure::new(kind, Phase::Exchange, "as seen"),
    };
    canary(monitor, event)
}

/// A canary that is open again half a second after the last one ended; none ended where it is the first.
pub(crate) fn opened(monitor: &str, first: bool) -> CanaryResult {
    let after = (!first).then_some(Micros::from_millis(500));
    canary(
        monitor,
        CanaryEvent::Opened { took: Micros::from_millis(40), after, failed_attempts: 0, tls: None },
    )
}

impl Agent {
    pub(crate) fn new(name: &str, region: &str) -> Self {
        let signing = SigningKey::generate().unwrap();
        let record = AgentRecord {
            key: signing.agent_key(),
            name: name.parse().unwrap(),
            region: region.parse::<Region>().unwrap(),
            labels: BTreeMap::new(),
            enrolled_at: WallMicros(1),
            revoked_at: None,
        };
        Self {
            record,
            signing,
            epoch: BootEpoch(1),
            next: Sequence(0),
            previous: Digest::NONE,
            revision: 0,
            chains: Chains::default(),
        }
    }

    pub(crate) fn key(&self) -> AgentKey {
        self.record.key
    }

    /// A new start: a new epoch.
    pub(crate) fn restart(&mut self) {
        self.epoch.0 += 1;
        self.next = Sequence(0);
        self.previous = Digest::NONE;
    }

    /// The next unit of the chain, signed and authenticated.
    pub(crate) fn batch(&mut self, results: Vec<CheckResult>) -> Authentic {
        self.said(results, Vec::new(), Vec::new())
    }

    /// The same with what happened to canaries, and idle timeouts.
    pub(crate) fn said(
        &mut self,
        results: Vec<CheckResult>,
        canaries: Vec<CanaryResult>,
        idle_timeouts: Vec<IdleTimeoutResult>,
    ) -> Authentic {
        let revision = self.revision;
        let body = BatchBody { signed_at: WallMicros(1), revision, results, canaries, idle_timeouts };
        self.content(Content::Batch(body))
    }

    /// A gap from the next unit to `resume`.
    pub(crate) fn gap(&mut self, resume: u64, resume_previous: Digest, results: u64) -> Authentic {
        let cause = GapCause::SpoolFull;
        let gap = Gap { resume: Sequence(resume), resume_previous, results, cause };
        let unit = self.content(Content::Gap(gap));
        self.next = gap.resume;
        self.previous = resume_previous;
        unit
    }

    fn content(&mut self, content: Content) -> Authentic {
        let place = Place {
            aggregator: AGGREGATOR,
            agent: self.key(),
            epoch: self.epoch,
            sequence: self.next,
            previous: self.previous,
        };
        let unit = SignedUnit::sign(&place, &content, &self.signing).unwrap();
        self.next = self.next.next();
        self.previous = unit.digest();
        verify::authenticate(unit, &self.key(), &AGGREGATOR).unwrap()
    }

    /// Rows of a unit with one check that passed, received when the check ended.
    pub(crate) fn passed(&mut self, monitor: &str, at: i64) -> UnitRows {
        self.rows(check(monitor, Outcome::Passed), at)
    }

    /// Rows of a unit with one check that was refused.
    pub(crate) fn failed(&mut self, monitor: &str, at: i64, detail: &str) -> UnitRows {
        self.rows(refused(monitor, detail), at)
    }

    /// Rows of a unit with one check.
    pub(crate) fn rows(&mut self, result: CheckResult, at: i64) -> UnitRows {
        let unit = self.batch(vec![result]);
        self.rows_of(unit, at)
    }

    /// Rows of a unit with one entry in each of its lists, all of which happened at one moment.
    pub(crate) fn rows_of(&mut self, unit: Authentic, at: i64) -> UnitRows {
        let Ok(Admission::Next(unit)) = verify::admit(unit, &self.chains, |_| true) else {
            panic!("a unit of the fixture is not the next one")
        };
        self.chains.advance(&unit);
        let facts = EntryFacts { at: WallMicros(at), late: false, maintained: false };
        UnitRows {
            head: self.chains.head(self.epoch).unwrap(),
            unit: *unit,
            received_at: WallMicros(at),
            region: self.record.region.clone(),
            facts: BatchFacts {
                results: vec![facts],
                canaries: vec![facts],
                idle_timeouts: vec![facts],
                ..BatchFacts::default()
            },
        }
    }
}
