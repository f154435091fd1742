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

use quorate_quorum::Moment;

use super::commit::{BatchFacts, EntryFacts, UnitRows};
use crate::model::AgentRecord;

/// The key of every test's aggregator: that of RFC 8032 section 7.1, test 1.
pub(crate) const AGGREGATOR: AggregatorKey = AggregatorKey([
    0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e,
    0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
]);

/// Both halves of it, in PKCS #8.
const AGGREGATOR_PKCS8: &[u8] = &[
    0x30, 0x51, 0x02, 0x01, 0x01, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20, 0x9d,
    0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49,
    0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60, 0x81, 0x21, 0x00,
    0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e,
    0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
];

/// What signs as every test's aggregator.
pub(crate) fn aggregator() -> SigningKey {
    SigningKey::from_pkcs8(AGGREGATOR_PKCS8).unwrap()
}

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
        Self::with(SigningKey::generate().unwrap(), name, region)
    }

    /// One that has the same key at every run: its private half is 32 times the same byte (RFC 8410 section 7).
    pub(crate) fn known(name: &str, region: &str, byte: u8) -> Self {
        const PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        let signing = SigningKey::from_pkcs8(&[PREFIX.as_slice(), &[byte; 32]].concat()).unwrap();
        Self::with(signing, name, region)
    }

    fn with(signing: SigningKey, name: &str, region: &str) -> Self {
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
            received: Moment(u64::try_from(at).unwrap()),
            held: Some(Micros::ZERO),
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
