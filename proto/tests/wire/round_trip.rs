//! Values, there and back.

use std::fmt::Debug;

use proptest::{collection::vec, option, prelude::*};
use quorate_proto::{
    Assignment, BatchBody, BootEpoch, CheckKind, CheckResult, Controls, Digest, Doubt, DoubtReport, Failure,
    Gap, GapCause, Micros, MonitorSpec, Outcome, Phase, Sequence, Slot, Timings, WallMicros,
    frame::{
        self, Ack, AckVerdict, AgentControl, AggregatorControl, Health, Hello, JoinReply, JoinRequest,
        Upload, Welcome,
    },
    join::JoinString,
    limits,
    monitor::Header,
    outcome::{UpgradeRefusal, cut},
};
use serde::{Serialize, de::DeserializeOwned};

use super::samples;

fn name<T>() -> impl Strategy<Value = T>
where
    T: std::str::FromStr<Err: Debug> + Debug,
{
    "[a-z0-9][a-z0-9._-]{0,63}".prop_map(|text| text.parse().unwrap())
}

fn micros() -> impl Strategy<Value = Micros> {
    any::<u64>().prop_map(Micros)
}

fn wall() -> impl Strategy<Value = WallMicros> {
    any::<i64>().prop_map(WallMicros)
}

fn assignment() -> impl Strategy<Value = Assignment> {
    let steps = || vec(proptest::sample::select(samples::steps()), 0..4);
    let header = (".{0,10}", ".{0,10}").prop_map(|(name, value)| Header { name, value });
    let texts = || option::of(".{0,20}");
    let lists = (steps(), steps(), vec(header, 0..3), vec(".{0,9}", 0..3));
    let options = (texts(), texts(), texts(), texts(), any::<bool>());
    (name(), ".{0,40}", micros(), micros(), lists, options, any::<(u16, u16, u16)>()).prop_map(
        |(id, url, interval, timeout, lists, options, (samples, index, of))| {
            let (hello, steps, headers, subprotocols) = lists;
            let (origin, sni, connect_to, ca_pem, verify_tls) = options;
            let spec = MonitorSpec {
                hello,
                steps,
                samples,
                headers,
                subprotocols,
                origin,
                sni,
                connect_to,
                ca_pem,
                verify_tls,
                ..MonitorSpec::new(id, url, interval, timeout)
            };
            Assignment { spec, slot: Slot { index, of } }
        },
    )
}

fn failure() -> impl Strategy<Value = Failure> {
    let phases = [Phase::Dns, Phase::Tcp, Phase::Tls, Phase::Upgrade, Phase::Exchange, Phase::Close];
    let refusal = (any::<u16>(), option::of(".{0,30}"), vec(".{0,9}", 0..3), ".{0,99}")
        .prop_map(|(status, server, headers, body)| UpgradeRefusal { status, server, headers, body });
    let kinds = proptest::sample::select(samples::failure_kinds());
    (kinds, proptest::sample::select(phases.to_vec()), ".{0,99}", option::of(refusal), any::<bool>())
        .prop_map(|(kind, phase, detail, refusal, canary_lives)| Failure {
            kind,
            phase,
            detail,
            refusal,
            canary_lives,
        })
}

fn result() -> impl Strategy<Value = CheckResult> {
    let kind = prop_oneof![
        Just(CheckKind::Scheduled),
        any::<(u64, u8)>().prop_map(|(request, attempt)| CheckKind::Confirming { request, attempt }),
    ];
    let outcome = prop_oneof![Just(Outcome::Passed), failure().prop_map(Outcome::Failed)];
    let timings = (option::of(micros()), option::of(micros()), option::of(micros()), micros()).prop_map(
        |(dns, upgrade, round_trip, total)| Timings { dns, upgrade, round_trip, total, ..Timings::default() },
    );
    (name(), kind, wall(), micros(), outcome, timings, any::<Option<std::net::IpAddr>>()).prop_map(
        |(monitor, kind, started_at, age, outcome, timings, address)| CheckResult {
            monitor,
            kind,
            started_at,
            age,
            outcome,
            timings,
            address,
            tls: address.map(|_| samples::tls()),
            addresses: Vec::new(),
        },
    )
}

fn batch() -> impl Strategy<Value = BatchBody> {
    let canaries = vec(proptest::sample::select(samples::canaries()), 0..3);
    let idle_timeouts = vec(proptest::sample::select(samples::idle_timeouts()), 0..3);
    (wall(), any::<u64>(), vec(result(), 1..6), canaries, idle_timeouts).prop_map(
        |(signed_at, revision, results, canaries, idle_timeouts)| BatchBody {
            signed_at,
            revision,
            results,
            canaries,
            idle_timeouts,
        },
    )
}

fn gap() -> impl Strategy<Value = Gap> {
    let causes = [GapCause::SpoolFull, GapCause::SpoolDamaged, GapCause::Refused, GapCause::Forgotten];
    (any::<u64>(), any::<[u8; 32]>(), any::<u64>(), proptest::sample::select(causes.to_vec())).prop_map(
        |(resume, previous, results, cause)| Gap {
            resume: Sequence(resume),
            resume_previous: Digest(previous),
            results,
            cause,
        },
    )
}

fn agent_control() -> impl Strategy<Value = AgentControl> {
    let hello = (".{0,16}", any::<(u64, u64)>()).prop_map(|(software, (epoch, revision))| Hello {
        software,
        epoch: BootEpoch(epoch),
        revision,
    });
    let doubt = (0..Doubt::ALL.len(), any::<u64>(), ".{0,16}").prop_map(|(index, lasting, detail)| {
        DoubtReport { doubt: Doubt::ALL[index], lasting: Micros(lasting), detail }
    });
    let health = (any::<([u32; 3], [u64; 8], bool)>(), vec(doubt, 0..3)).prop_map(|(numbers, doubts)| {
        let (counts, numbers, spool_failing) = numbers;
        let [monitors, canaries, canaries_without] = counts;
        let [revision, checks, loop_lag, lag, spool_units, spool_bytes, results_dropped, records_torn] =
            numbers;
        Health {
            revision,
            monitors,
            checks,
            event_loop_lag_max: Micros(loop_lag),
            schedule_lag_max: Micros(lag),
            spool_units,
            spool_bytes,
            results_dropped,
            records_torn,
            spool_failing,
            canaries,
            canaries_without,
            doubts,
        }
    });
    prop_oneof![hello.prop_map(AgentControl::Hello), health.prop_map(AgentControl::Health)]
}

fn aggregator_control() -> impl Strategy<Value = AggregatorControl> {
    prop_oneof![
        (name(), name(), wall()).prop_map(|(name, region, wall)| AggregatorControl::Welcome(Welcome {
            name,
            region,
            wall
        })),
        (any::<(u64, bool, bool)>(), vec(assignment(), 0..3)).prop_map(
            |((revision, first, last), assignments)| AggregatorControl::Assign {
                revision,
                assignments,
                first,
                last
            }
        ),
        (any::<(u64, bool)>(), vec(assignment(), 0..3), vec(name(), 0..3)).prop_map(
            |((revision, last), changed, removed)| AggregatorControl::Change {
                revision,
                changed,
                removed,
                last
            }
        ),
        (name(), any::<u64>()).prop_map(|(monitor, request)| AggregatorControl::Confirm { monitor, request }),
        Just(AggregatorControl::Revoke),
        (vec(".{0,16}", 0..4), any::<u64>(), option::of(".{0,9}"), option::of(".{0,9}")).prop_map(
            |(targets, every, resolves, resolves_not)| AggregatorControl::Controls(Controls {
                targets,
                every: Micros(every),
                resolves,
                resolves_not
            })
        ),
    ]
}

fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) -> Result<(), TestCaseError> {
    let bytes_max = limits::AGGREGATOR_CONTROL_FRAME_BYTES_MAX;
    let frame = frame::encode(value, bytes_max).unwrap();
    let (prefix, payload) = frame.split_first_chunk().unwrap();
    prop_assert_eq!(frame::payload_bytes(*prefix, bytes_max), Ok(payload.len()));
    let decoded = frame::decode::<T>(payload, bytes_max);
    prop_assert_eq!(decoded.as_ref(), Ok(value));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn control_frames(agent in agent_control(), aggregator in aggregator_control()) {
        check(&agent)?;
        check(&aggregator)?;
    }

    #[test]
    fn uploads_and_their_answers(
        unit in vec(any::<u8>(), 0..600),
        held in option::of(micros()),
        place in any::<(u64, u64)>(),
        verdict in proptest::sample::select(vec![AckVerdict::Stored, AckVerdict::Busy, AckVerdict::Refused]),
    ) {
        check(&Upload { unit, held })?;
        check(&Ack { epoch: BootEpoch(place.0), sequence: Sequence(place.1), verdict })?;
    }

    #[test]
    fn joining(token: [u8; 8], secret: [u8; 16], software in ".{0,16}", name in name(), region in name()) {
        check(&JoinRequest { token, secret, software })?;
        check(&JoinReply::Enrolled { name, region })?;
        let join = JoinString {
            aggregator: samples::aggregator_key(), token, secret, address: "example.org:4433".into(),
        };
        prop_assert_eq!(join.to_string().parse(), Ok(join));
    }

    #[test]
    fn units(batch in batch(), gap in gap(), sequence: u64, previous: [u8; 32]) {
        use quorate_proto::unit::Content;
        for content in [Content::Batch(batch), Content::Gap(gap)] {
            let unit = samples::unit(sequence, Digest(previous), &content);
            let parsed = quorate_proto::SignedUnit::parse(unit.as_bytes().to_vec());
            prop_assert_eq!(parsed.as_ref(), Ok(&unit));
            prop_assert!(unit.is_signed());
            prop_assert_eq!(unit.content(), Ok(content));
            prop_assert_eq!(unit.place(), &samples::place(sequence, Digest(previous)));
        }
    }

    #[test]
    fn cut_texts_stay_within_their_bound(text in ".{0,80}", bytes_max in 3_usize..100) {
        prop_assert!(cut(text.clone(), bytes_max).len() <= bytes_max);
        if text.len() <= bytes_max {
            prop_assert_eq!(cut(text.clone(), bytes_max), text);
        }
    }
}
