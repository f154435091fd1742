//! The signer under a clock that the test turns, read back through the aggregator's gate.

use std::net::IpAddr;

use proptest::prelude::*;
use quorate_proto::{
    Admission, Chains, CheckKind, Failure, FailureKind, Phase, Timings, codec, limits as protocol,
    outcome::{AddressResult, RoundTrips, SilentDrop, TlsFacts, UpgradeRefusal},
    verify,
};

use super::*;

fn passed() -> CheckResult {
    CheckResult {
        monitor: "shop".parse().unwrap(),
        kind: CheckKind::Scheduled,
        started_at: WallMicros(1),
        age: Micros::ZERO,
        outcome: Outcome::Passed,
        timings: Timings::default(),
        address: None,
        tls: None,
        addresses: Vec::new(),
    }
}

fn failed(detail: usize) -> CheckResult {
    let failure = Failure::new(FailureKind::Dropped, Phase::Exchange, "x".repeat(detail));
    CheckResult { outcome: Outcome::Failed(failure), ..passed() }
}

fn millis(milliseconds: u64) -> Tick {
    Tick(Micros::from_millis(milliseconds))
}

const LIVE: Circumstances = Circumstances { revision: 1, behind: false };
const BEHIND: Circumstances = Circumstances { revision: 1, behind: true };

struct World {
    signer: Signer,
    key: Arc<SigningKey>,
    aggregator: AggregatorKey,
    chains: Chains,
}

impl World {
    fn new() -> Self {
        let key = Arc::new(SigningKey::generate().unwrap());
        let aggregator = SigningKey::generate().unwrap().aggregator_key();
        let signer = Signer::new(Arc::clone(&key), aggregator, BootEpoch(3));
        Self { signer, key, aggregator, chains: Chains::default() }
    }

    fn push(&mut self, result: CheckResult, circumstances: Circumstances, now: Tick) -> Option<BatchBody> {
        self.push_entry(Entry::Check(Box::new(result)), circumstances, now)
    }

    fn push_entry(&mut self, entry: Entry, circumstances: Circumstances, now: Tick) -> Option<BatchBody> {
        let signed = self.signer.push(entry, now, circumstances, now, WallMicros(5)).unwrap();
        signed.map(|signed| self.read(signed))
    }

    fn flush(&mut self, now: Tick) -> Option<BatchBody> {
        let signed = self.signer.flush(now, WallMicros(5)).unwrap();
        signed.map(|signed| self.read(signed))
    }

    fn read(&mut self, signed: Signed) -> BatchBody {
        let unit = SignedUnit::parse(signed.unit.as_bytes().to_vec()).unwrap();
        let unit = verify::authenticate(unit, &self.key.agent_key(), &self.aggregator).unwrap();
        let Ok(Admission::Next(unit)) = verify::admit(unit, &self.chains, |_| true) else {
            panic!("not the next of the chain")
        };
        self.chains.advance(&unit);
        let Content::Batch(batch) = unit.into_inner().content else { panic!("not a batch") };
        assert_eq!(batch.entries() as u32, signed.results);
        batch
    }
}

#[test]
fn passing_checks_share_a_batch_and_know_their_age() {
    let mut world = World::new();
    assert_eq!(world.signer.deadline(), None);
    assert_eq!(world.push(passed(), LIVE, millis(10)), None);
    assert_eq!(world.push(passed(), LIVE, millis(60)), None);
    assert_eq!(world.signer.deadline(), Some(millis(110)), "100 ms after the first");
    let batch = world.flush(millis(110)).unwrap();
    let ages: Vec<_> = batch.results.iter().map(|result| result.age.as_millis()).collect();
    assert_eq!((ages, batch.revision, batch.signed_at), (vec![100, 50], 1, WallMicros(5)));
    assert_eq!((world.flush(millis(111)), world.signer.deadline()), (None, None));
}

#[test]
fn a_failure_does_not_wait_and_many_share() {
    let mut world = World::new();
    world.push(passed(), LIVE, millis(10));
    world.push(failed(9), LIVE, millis(20));
    assert_eq!(world.signer.deadline(), Some(millis(20)));
    assert_eq!(world.flush(millis(20)).unwrap().results.len(), 2);
    world.push(failed(9), LIVE, millis(21));
    let deadline = world.signer.deadline().unwrap();
    assert_eq!(deadline, millis(20).after(limits::BATCH_SPACING));
    world.push(failed(9), LIVE, millis(22));
    assert_eq!(world.signer.deadline(), Some(deadline));
}

#[test]
fn behind_there_is_no_haste() {
    let mut world = World::new();
    world.push(failed(9), BEHIND, millis(0));
    world.push(passed(), BEHIND, millis(500));
    assert_eq!(world.signer.deadline(), Some(Tick(limits::BATCH_WINDOW_BEHIND)));
}

#[test]
fn a_batch_is_closed_by_count_by_bytes_and_by_revision() {
    let mut world = World::new();
    for _ in 0..BATCH_RESULTS_MAX {
        assert_eq!(world.push(passed(), LIVE, millis(1)), None);
    }
    assert_eq!(world.push(passed(), LIVE, millis(1)).unwrap().results.len(), BATCH_RESULTS_MAX);
    let newer = Circumstances { revision: 2, ..LIVE };
    let batch = world.push(passed(), newer, millis(1)).unwrap();
    assert_eq!((batch.results.len(), batch.revision), (1, 1));
    assert_eq!(world.flush(millis(2)).unwrap().revision, 2);

    let mut large = failed(protocol::DETAIL_BYTES_MAX);
    if let Outcome::Failed(failure) = &mut large.outcome {
        let body = "x".repeat(protocol::BODY_EXCERPT_BYTES_MAX);
        failure.refusal = Some(UpgradeRefusal { status: 502, server: None, headers: Vec::new(), body });
    }
    let closed_by: Vec<usize> = (0..BATCH_RESULTS_MAX)
        .filter_map(|_| world.push(large.clone(), LIVE, millis(3)))
        .map(|batch| batch.results.len())
        .collect();
    assert!(
        !closed_by.is_empty() && closed_by.iter().all(|results| (100..BATCH_RESULTS_MAX).contains(results))
    );
}

prop_compose! {
    fn any_result()(
        numbers in prop::collection::vec(any::<u64>(), 10),
        name in 1..=64_usize,
        texts in prop::collection::vec(0..1024_usize, 4),
        address in any::<[u8; 16]>(),
    ) -> CheckResult {
        let time = |index: usize| Some(Micros(numbers[index]));
        let reason = "r".repeat(texts[0] % 124);
        let kind = FailureKind::Closed { code: numbers[0] as u16, reason };
        let address_failure = kind.clone();
        let mut failure = Failure::new(kind, Phase::Close, "d".repeat(texts[1] % 513));
        let server = Some("s".repeat(texts[2] % 129));
        failure.refusal = Some(UpgradeRefusal {
            status: numbers[1] as u16,
            server,
            headers: vec!["h".repeat(texts[2] % 129); texts[2] % 9],
            body: "b".repeat(texts[3]),
        });
        CheckResult {
            monitor: "m".repeat(name).parse().unwrap(),
            kind: CheckKind::Confirming { request: numbers[2], attempt: numbers[3] as u8 },
            started_at: WallMicros(numbers[4] as i64),
            age: Micros(numbers[5]),
            outcome: Outcome::Failed(failure),
            timings: Timings {
                dns: time(0), tcp: time(1), tls: time(2), upgrade: time(3), exchange: time(4), close: time(5),
                round_trip: time(6), samples: RoundTrips::of(&[Micros(numbers[8])]), total: Micros(numbers[7]),
            },
            address: Some(IpAddr::from(address)),
            tls: Some(TlsFacts {
                version: numbers[0] as u16, cipher: numbers[1] as u16, not_after: Some(WallMicros(numbers[2] as i64)),
                fingerprint: [numbers[3] as u8; 32], verified: true,
            }),
            addresses: vec![
                AddressResult { address: IpAddr::from(address), failure: Some(address_failure), total: Micros(numbers[9]) };
                texts[0] % 17
            ],
        }
    }
}

fn any_entry() -> impl Strategy<Value = Entry> {
    (any_result(), 0..8_usize, any::<[u64; 4]>()).prop_map(|(result, which, numbers)| {
        let failure = result.failure().cloned().unwrap();
        let [open_for, heartbeats, quiet_for, more] = numbers;
        let (open_for, quiet_for) = (Micros(open_for), Micros(quiet_for));
        let trips = RoundTrips {
            count: more as u32,
            min: open_for,
            p50: quiet_for,
            max: open_for,
            jitter: quiet_for,
        };
        let (monitor, at, age) = (result.monitor.clone(), result.started_at, result.age);
        let event = match which {
            0 => CanaryEvent::Opened {
                took: open_for,
                after: Some(quiet_for),
                failed_attempts: more as u32,
                tls: result.tls,
            },
            1 => CanaryEvent::NotOpened { failure },
            2 => CanaryEvent::Alive { open_for, heartbeats, round_trips: Some(trips) },
            3 => CanaryEvent::Ended { open_for, heartbeats, quiet_for, failure },
            4 => CanaryEvent::Left { open_for },
            5 | 6 => {
                let finding = if which == 5 {
                    IdleFinding::Cut { survived: open_for, cut: quiet_for, failure }
                } else {
                    IdleFinding::NotWithin(open_for)
                };
                return Entry::IdleTimeout(IdleTimeoutResult { monitor, at, age, finding });
            }
            _ => return Entry::Check(Box::new(result)),
        };
        Entry::Canary(CanaryResult { monitor, at, age, address: result.address, event })
    })
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_entry_is_larger_than_reckoned(entry in any_entry()) {
        let encoded = match &entry {
            Entry::Check(result) => codec::encode(result, usize::MAX),
            Entry::Canary(result) => codec::encode(result, usize::MAX),
            Entry::IdleTimeout(result) => codec::encode(result, usize::MAX),
        };
        let (encoded, reckoned) = (encoded.unwrap().len(), bytes_max_of(&entry));
        prop_assert!(encoded <= reckoned && reckoned <= encoded + limits::RESULT_BYTES_FIXED);
    }
}

fn canary(event: CanaryEvent) -> Entry {
    let (monitor, at) = ("shop".parse().unwrap(), WallMicros(1));
    Entry::Canary(CanaryResult { monitor, at, age: Micros::ZERO, address: None, event })
}

#[test]
fn the_end_of_a_canary_does_not_wait_and_the_rest_does() {
    let failure = || Failure::new(FailureKind::SilentDrop(SilentDrop::Stuck), Phase::Exchange, "");
    let open_for = Micros(7);
    for (event, waits) in [
        (CanaryEvent::Opened { took: open_for, after: None, failed_attempts: 0, tls: None }, true),
        (CanaryEvent::Alive { open_for, heartbeats: 1, round_trips: None }, true),
        (CanaryEvent::Left { open_for }, true),
        (CanaryEvent::NotOpened { failure: failure() }, false),
        (CanaryEvent::Ended { open_for, heartbeats: 1, quiet_for: open_for, failure: failure() }, false),
    ] {
        let mut world = World::new();
        assert_eq!(world.push_entry(canary(event.clone()), LIVE, millis(10)), None);
        let due = if waits { millis(10).after(limits::BATCH_WINDOW) } else { millis(10) };
        assert_eq!(world.signer.deadline(), Some(due), "{event:?}");
        let batch = world.flush(millis(40)).unwrap();
        assert_eq!((batch.canaries.len(), batch.results.len()), (1, 0));
        assert_eq!((batch.canaries[0].age, &batch.canaries[0].event), (Micros::from_millis(30), &event));
    }
}

#[test]
fn entries_of_all_kinds_share_a_batch_and_its_bound() {
    let mut world = World::new();
    let finding = IdleFinding::NotWithin(Micros(1));
    let (monitor, at) = ("shop".parse().unwrap(), WallMicros(1));
    let idle = IdleTimeoutResult { monitor, at, age: Micros::ZERO, finding };
    let kinds = [
        Entry::Check(Box::new(passed())),
        canary(CanaryEvent::Left { open_for: Micros(1) }),
        Entry::IdleTimeout(idle),
    ];
    for entry in kinds.iter().cycle().take(BATCH_RESULTS_MAX) {
        assert_eq!(world.push_entry(entry.clone(), LIVE, millis(1)), None);
    }
    let batch = world.push(passed(), LIVE, millis(1)).unwrap();
    assert_eq!(
        (batch.entries(), batch.canaries.len(), batch.idle_timeouts.len()),
        (BATCH_RESULTS_MAX, 85, 85)
    );
}
