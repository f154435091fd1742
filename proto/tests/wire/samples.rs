//! One fixed value of every type that crosses the wire, for the golden vectors and as seeds of mutations.

use std::net::IpAddr;

use quorate_proto::{
    AggregatorKey, Assignment, BatchBody, BootEpoch, CheckKind, CheckResult, Digest, Failure, FailureKind,
    Gap, GapCause, Matcher, Micros, MonitorSpec, Outcome, Phase, Sequence, SignedUnit, SigningKey, Slot,
    Step, Timings, WallMicros,
    frame::{
        Ack, AckVerdict, AgentControl, AggregatorControl, Health, Hello, JoinReply, JoinRequest, Upload,
        Welcome,
    },
    limits,
    monitor::Header,
    outcome::{DnsFault, UpgradeFault, UpgradeRefusal},
    unit::{Content, Place},
};

/// A key whose private half is 32 times the same byte (RFC 8410 section 7).
pub(super) fn key(byte: u8) -> SigningKey {
    const PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    SigningKey::from_pkcs8(&[PREFIX.as_slice(), &[byte; 32]].concat()).unwrap()
}

pub(super) fn agent_key() -> SigningKey {
    key(0xa1)
}

pub(super) fn aggregator_key() -> AggregatorKey {
    key(0xa9).aggregator_key()
}

pub(super) fn place(sequence: u64, previous: Digest) -> Place {
    Place {
        aggregator: aggregator_key(),
        agent: agent_key().agent_key(),
        epoch: BootEpoch(3),
        sequence: Sequence(sequence),
        previous,
    }
}

pub(super) fn result(outcome: Outcome) -> CheckResult {
    CheckResult {
        monitor: "chat".parse().unwrap(),
        kind: CheckKind::Scheduled,
        started_at: WallMicros(1_790_000_000_000_001),
        age: Micros::from_millis(40),
        outcome,
        timings: Timings {
            dns: Some(Micros(1_200)),
            tcp: Some(Micros(20_000)),
            tls: None,
            upgrade: None,
            exchange: None,
            close: None,
            round_trip: None,
            total: Micros(21_200),
        },
        address: Some(IpAddr::from([192, 0, 2, 7])),
    }
}

pub(super) fn batch() -> BatchBody {
    let passed = result(Outcome::Passed);
    let confirming = CheckResult {
        kind: CheckKind::Confirming { request: 77, attempt: 2 },
        address: Some("2001:db8::1".parse().unwrap()),
        ..result(Outcome::Failed(Failure::new(FailureKind::Dropped, Phase::Exchange, "no close frame")))
    };
    BatchBody {
        signed_at: WallMicros(1_790_000_000_100_000),
        revision: 12,
        results: vec![passed, confirming],
    }
}

pub(super) fn gap() -> Gap {
    Gap { resume: Sequence(9), resume_previous: Digest([0x5a; 32]), results: 300, cause: GapCause::SpoolFull }
}

pub(super) fn unit(sequence: u64, previous: Digest, content: &Content) -> SignedUnit {
    SignedUnit::sign(&place(sequence, previous), content, &agent_key()).unwrap()
}

/// Every kind of failure, in order of declaration, with every case of those that have cases.
pub(super) fn failure_kinds() -> Vec<FailureKind> {
    use FailureKind as F;
    let dns = [DnsFault::NotFound, DnsFault::NoAddress, DnsFault::ServerFailure, DnsFault::Timeout];
    let upgrade = [
        UpgradeFault::NotHttp,
        UpgradeFault::HttpVersion,
        UpgradeFault::HeadTooLarge,
        UpgradeFault::UpgradeHeader,
        UpgradeFault::ConnectionHeader,
        UpgradeFault::AcceptMissing,
        UpgradeFault::AcceptMismatch,
        UpgradeFault::Subprotocol,
        UpgradeFault::Extension,
    ];
    let mut kinds: Vec<F> = dns.into_iter().map(F::Dns).collect();
    kinds.extend([
        F::ConnectionRefused,
        F::Unreachable,
        F::ConnectTimeout,
        F::ConnectionReset,
        F::TlsHandshake,
        F::TlsTimeout,
        F::CertificateExpired,
        F::CertificateName,
        F::CertificateUntrusted,
        F::UpgradeStatus(502),
    ]);
    kinds.extend(upgrade.into_iter().map(F::UpgradeInvalid));
    kinds.extend([
        F::UpgradeTimeout,
        F::ReplyTimeout,
        F::ReplyMismatch,
        F::Closed { code: 1011, reason: "internal error".into() },
        F::Dropped,
        F::ProtocolViolation,
        F::TooLarge,
        F::EgressBlocked,
        F::AgentFault,
    ]);
    kinds
}

/// One result for each of [`failure_kinds`], over all phases.
pub(super) fn failures() -> Vec<CheckResult> {
    let phases = [Phase::Dns, Phase::Tcp, Phase::Tls, Phase::Upgrade, Phase::Exchange, Phase::Close];
    let refusal =
        UpgradeRefusal { status: 502, server: Some("nginx".into()), body: "<h1>502 Bad Gateway</h1>".into() };
    let failure = |(kind, phase): (FailureKind, Phase)| Failure {
        refusal: matches!(kind, FailureKind::UpgradeStatus(_)).then(|| refusal.clone()),
        ..Failure::new(kind, phase, "in words")
    };
    failure_kinds()
        .into_iter()
        .zip(phases.into_iter().cycle())
        .map(|pair| result(Outcome::Failed(failure(pair))))
        .collect()
}

pub(super) fn assignment() -> Assignment {
    let within = Some(Micros::from_secs(2));
    let expect = |matcher| Step::Expect { matcher, within };
    let spec = MonitorSpec {
        id: "chat".parse().unwrap(),
        url: "wss://chat.example.org/socket".into(),
        interval: Micros::from_secs(30),
        timeout: Micros::from_secs(10),
        steps: vec![
            Step::Send { text: r#"{"id":"{{nonce}}"}"#.into() },
            expect(Matcher::JsonEquals { pointer: "/ok".into(), value: "true".into() }),
            expect(Matcher::Contains("ok".into())),
            expect(Matcher::Regex("o+k".into())),
            Step::Expect { matcher: Matcher::Any, within: None },
            Step::Ping { within },
        ],
        headers: vec![Header { name: "x-key".into(), value: "secret".into() }],
        subprotocols: vec!["graphql-transport-ws".into()],
        origin: Some("https://example.org".into()),
        sni: Some("inner.example.org".into()),
        connect_to: Some("192.0.2.7:443".into()),
        ca_pem: Some("-----BEGIN CERTIFICATE-----".into()),
        verify_tls: true,
    };
    Assignment { spec, slot: Slot { index: 1, of: 5 } }
}

pub(super) fn hello() -> Hello {
    Hello { software: "quorate-agent 0.1.0".into(), epoch: BootEpoch(3), revision: 12 }
}

pub(super) fn health() -> Health {
    Health {
        revision: 12,
        monitors: 40,
        checks: 1_000_000,
        event_loop_lag_max: Micros(900),
        schedule_lag_max: Micros(12_000),
        spool_units: 2,
        spool_bytes: 70_000,
        results_dropped: 0,
        records_torn: 1,
        spool_failing: true,
    }
}

pub(super) fn welcome() -> Welcome {
    Welcome {
        name: "paris-1".parse().unwrap(),
        region: "eu-west".parse().unwrap(),
        wall: WallMicros(1_790_000_000_000_000),
    }
}

pub(super) fn upload() -> Upload {
    let unit = unit(0, Digest::NONE, &Content::Batch(batch()));
    Upload { unit: unit.as_bytes().to_vec(), held: Some(Micros::from_millis(3)) }
}

pub(super) fn ack() -> Ack {
    Ack { epoch: BootEpoch(3), sequence: Sequence(300), verdict: AckVerdict::Busy }
}

pub(super) fn join_request() -> JoinRequest {
    JoinRequest { token: [1; 8], secret: [2; 16], software: "quorate-agent 0.1.0".into() }
}

pub(super) fn enrolled() -> JoinReply {
    JoinReply::Enrolled { name: "paris-1".parse().unwrap(), region: "eu-west".parse().unwrap() }
}

pub(super) fn assign() -> AggregatorControl {
    AggregatorControl::Assign { revision: 12, assignments: vec![assignment()], first: true, last: false }
}

pub(super) fn change() -> AggregatorControl {
    AggregatorControl::Change {
        revision: 13,
        changed: vec![assignment()],
        removed: vec!["old".parse().unwrap(), "older".parse().unwrap()],
        last: true,
    }
}

pub(super) fn confirm() -> AggregatorControl {
    AggregatorControl::Confirm { monitor: "chat".parse().unwrap(), request: 77 }
}

/// The bytes of every frame, unit and body here.
pub(super) fn encodings() -> Vec<Vec<u8>> {
    use quorate_proto::{codec, frame::encode};
    let upload_max = limits::UPLOAD_FRAME_BYTES_MAX;
    let all = BatchBody { results: failures(), ..batch() };
    let whole = unit(0, Digest::NONE, &Content::Batch(all.clone()));
    let frames = [
        encode(&AgentControl::Hello(hello()), upload_max),
        encode(&AgentControl::Health(health()), upload_max),
        encode(&AggregatorControl::Welcome(welcome()), upload_max),
        encode(&assign(), upload_max),
        encode(&change(), upload_max),
        encode(&confirm(), upload_max),
        encode(&AggregatorControl::Revoke, upload_max),
        encode(&upload(), upload_max),
        encode(&ack(), upload_max),
        encode(&join_request(), upload_max),
        encode(&enrolled(), upload_max),
        encode(&JoinReply::Refused, upload_max),
        codec::encode(&all, upload_max),
        codec::encode(&gap(), upload_max),
        Ok(whole.as_bytes().to_vec()),
        Ok(unit(4, Digest([1; 32]), &Content::Gap(gap())).as_bytes().to_vec()),
    ];
    frames.into_iter().map(Result::unwrap).collect()
}
