//! One fixed value of every type that crosses the wire, for the golden vectors and as seeds of mutations.

use std::net::IpAddr;

use quorate_proto::{
    AggregatorKey, Assignment, BatchBody, BootEpoch, CheckKind, CheckResult, Controls, Digest, Doubt,
    DoubtReport, Failure, FailureKind, Gap, GapCause, Matcher, Micros, MonitorSpec, Outcome, Payload, Phase,
    Sequence, SignedUnit, SigningKey, Slot, Step, Timings, WallMicros,
    canary::{Canary, CanaryEvent, CanaryMode, CanaryResult, IdleFinding, IdleSearch, IdleTimeoutResult},
    frame::{
        Ack, AckVerdict, AgentControl, AggregatorControl, Health, Hello, JoinReply, JoinRequest, Upload,
        Welcome,
    },
    limits,
    monitor::{Addresses, ClientCertificate, Family, Header, Proxy},
    outcome::{ContentFault, DnsFault, RoundTrips, SilentDrop, TlsFacts, UpgradeFault, UpgradeRefusal},
    step::{Capture, CaptureFrom, Condition, Demand, Expect, JsonTest, JsonType, Must, Reply, Stream},
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
            samples: None,
            total: Micros(21_200),
        },
        address: Some(IpAddr::from([192, 0, 2, 7])),
        tls: None,
        addresses: Vec::new(),
    }
}

pub(super) fn tls() -> TlsFacts {
    TlsFacts {
        version: 0x0304,
        cipher: 0x1301,
        not_after: Some(WallMicros(1_800_000_000_000_000)),
        fingerprint: [0x5c; 32],
        verified: true,
    }
}

/// One of every kind of event.
pub(super) fn canaries() -> Vec<CanaryResult> {
    let failure = Failure::new(FailureKind::SilentDrop(SilentDrop::Stuck), Phase::Exchange, "no pong");
    let open_for = Micros::from_secs(3_600);
    let events = [
        CanaryEvent::Opened {
            took: Micros::from_millis(80),
            after: Some(Micros::from_millis(300)),
            failed_attempts: 2,
            tls: Some(tls()),
        },
        CanaryEvent::NotOpened { failure: failure.clone() },
        CanaryEvent::Alive {
            open_for,
            heartbeats: 120,
            round_trips: RoundTrips::of(&[Micros(900), Micros(1_100)]),
        },
        CanaryEvent::Ended { open_for, heartbeats: 120, quiet_for: Micros::from_secs(40), failure },
        CanaryEvent::Left { open_for },
    ];
    let canary = |event| CanaryResult {
        monitor: "chat".parse().unwrap(),
        at: WallMicros(1_790_000_000_000_002),
        age: Micros::from_millis(10),
        address: Some(IpAddr::from([192, 0, 2, 7])),
        event,
    };
    events.into_iter().map(canary).collect()
}

/// One of every kind of finding.
pub(super) fn idle_timeouts() -> Vec<IdleTimeoutResult> {
    let failure = || Failure::new(FailureKind::Dropped, Phase::Exchange, "cut");
    let (survived, cut) = (Micros::from_secs(60), Micros::from_secs(61));
    let findings = [
        IdleFinding::Cut { survived, cut, failure: failure() },
        IdleFinding::NotWithin(Micros::from_secs(1_200)),
        IdleFinding::Failed(failure()),
    ];
    let result = |finding| IdleTimeoutResult {
        monitor: "chat".parse().unwrap(),
        at: WallMicros(1_790_000_000_000_003),
        age: Micros::from_millis(10),
        finding,
    };
    findings.into_iter().map(result).collect()
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
        canaries: canaries(),
        idle_timeouts: idle_timeouts(),
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
        F::TlsAlert(40),
        F::SilentDrop(SilentDrop::Stuck),
        F::SilentDrop(SilentDrop::PathDead),
        F::SilentDrop(SilentDrop::Unknown),
        F::StreamStale,
        F::Content(ContentFault::NotGrowing),
        F::Content(ContentFault::SequenceGap),
        F::Content(ContentFault::SequenceRepeat),
        F::Content(ContentFault::TooOld),
        F::Content(ContentFault::Unreadable),
        F::Proxy,
    ]);
    kinds
}

/// One result for each of [`failure_kinds`], over all phases.
pub(super) fn failures() -> Vec<CheckResult> {
    let phases = [Phase::Dns, Phase::Tcp, Phase::Tls, Phase::Upgrade, Phase::Exchange, Phase::Close];
    let refusal = UpgradeRefusal {
        status: 502,
        server: Some("nginx".into()),
        headers: vec!["via: 1.1 edge".into()],
        body: "<h1>502 Bad Gateway</h1>".into(),
    };
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

/// One of every kind of step, condition, capture and demand.
pub(super) fn steps() -> Vec<Step> {
    let within = Some(Micros::from_secs(2));
    let expect = |matcher| Step::expect(matcher, within);
    let json = |test| Matcher::of(Condition::Json { pointer: "/ok".into(), test });
    let demand = |must| Demand { pointer: "/n".into(), must };
    vec![
        Step::send(r#"{"id":"{{nonce}}"}"#),
        Step::Send(Payload::Binary(vec![0xc0, 0])),
        expect(json(JsonTest::Equals("true".into()))),
        expect(json(JsonTest::Present)),
        expect(json(JsonTest::Type(JsonType::Integer))),
        expect(json(JsonTest::Matches("o+k".into()))),
        expect(Matcher::contains("ok")),
        expect(Matcher::regex("o+k")),
        expect(Matcher::of(Condition::Prefix(vec![0xd0, 0]))),
        Step::Expect(Expect {
            matcher: Matcher::ANY,
            within: None,
            captures: vec![
                Capture { name: "id".into(), from: CaptureFrom::Json("/id".into()) },
                Capture { name: "token".into(), from: CaptureFrom::Regex("t=(.*)".into()) },
            ],
            demands: vec![
                demand(Must::Grow { within: Micros::from_secs(60) }),
                demand(Must::Follow),
                demand(Must::BeFresh { age: Micros::from_secs(5) }),
            ],
        }),
        Step::Stream(Stream {
            matcher: Matcher::ANY,
            every: Micros::from_secs(2),
            messages: 3,
            demands: vec![demand(Must::Follow)],
        }),
        Step::Ping { within },
    ]
}

pub(super) fn assignment() -> Assignment {
    let within = Some(Micros::from_secs(2));
    let spec = MonitorSpec {
        hello: vec![Step::send("hello"), Step::expect(Matcher::ANY, None)],
        steps: steps(),
        samples: 5,
        replies: vec![Reply { to: Matcher::contains("2"), with: Payload::Text("3".into()) }],
        headers: vec![Header { name: "x-key".into(), value: "secret".into() }],
        subprotocols: vec!["graphql-transport-ws".into()],
        origin: Some("https://example.org".into()),
        sni: Some("inner.example.org".into()),
        connect_to: Some("192.0.2.7:443".into()),
        ca_pem: Some("-----BEGIN CERTIFICATE-----".into()),
        verify_tls: true,
        client_certificate: Some(ClientCertificate { chain_pem: "chain".into(), key_pem: "key".into() }),
        proxy: Some(Proxy { address: "proxy:3128".into(), authorization: Some("Basic eA==".into()) }),
        addresses: Addresses::All,
        family: Family::Both,
        canary: Some(Canary {
            heartbeat: Micros::from_secs(30),
            grace: Micros::from_secs(10),
            mode: CanaryMode::Steps,
        }),
        idle_search: Some(IdleSearch { every: Micros::from_secs(86_400), max: Micros::from_secs(1_200) }),
        ..MonitorSpec::new(
            "chat".parse().unwrap(),
            "wss://chat.example.org/socket",
            Micros::from_secs(30),
            within.map_or(Micros::ZERO, |within| within * 5),
        )
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
        canaries: 30,
        canaries_without: 2,
        doubts: vec![DoubtReport {
            doubt: Doubt::ControlsFailing,
            lasting: Micros::from_secs(7),
            detail: "2 of 3 do not answer".to_owned(),
        }],
    }
}

pub(super) fn controls() -> Controls {
    Controls {
        targets: ["wss://a.example/", "https://b.example/", "tcp://192.0.2.1:443"]
            .map(str::to_owned)
            .to_vec(),
        every: Micros::from_secs(15),
        resolves: Some("example.com".to_owned()),
        resolves_not: Some("nothing.invalid".to_owned()),
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
        encode(&AggregatorControl::Controls(controls()), upload_max),
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
