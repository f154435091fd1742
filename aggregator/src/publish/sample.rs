//! A picture with one of everything, for tests.

use std::sync::Arc;

use quorate_proto::{Doubt, DoubtReport, Micros, Region, WallMicros, frame::Health, outcome::TlsFacts};
use quorate_quorum::{
    Abstention, Calibrated, Contradiction, PathSums, Verdict, Vote,
    quality::{LatencySla, Quantiles},
};

use crate::{
    config::Page,
    model::{
        AgentView, CanaryView, Counts, DegradedReason, EventKind, Incident, IncidentCause, IncidentTimeline,
        MonitorEvent, MonitorReference, MonitorView, RegionEvidence, RegionView, Severity, Snapshot,
        StorageState,
        view::{CalibrationView, OutlierView},
    },
};

/// 2026-11-22T18:12:00Z.
pub(super) const NOW: WallMicros = WallMicros(1_795_371_120_000_000);

pub(super) const REGIONS: [&str; 5] = ["ap-south", "eu-central", "eu-west", "us-east", "us-west"];

pub(super) fn ago(seconds: f64) -> WallMicros {
    NOW.before(Micros((seconds * 1e6) as u64))
}

pub(super) fn page() -> Page {
    Page { title: "Example status".into(), url: Some("https://status.example.org".into()) }
}

/// Four monitors, one of every verdict, two open incidents, five agents of which one is away, a count of everything.
pub(super) fn snapshot() -> Snapshot {
    let ok = |ms| (Vote::Ok, Some(ms), None);
    let fail = |ms, text| (Vote::Fail, Some(ms), Some(text));
    let none = |reason| (Vote::Abstain(reason), None, None);
    let refused = "connection_refused: nothing listens on 203.0.113.7:443";
    let silent = "reply_timeout: no reply to step 2 within 5s; 3 other messages were skipped";
    Snapshot {
        at: NOW,
        revision: 17,
        monitors: vec![
            monitor(
                "chat",
                "Chat gateway",
                Verdict::Up,
                [ok(112.3), ok(18.2), ok(23.4), ok(84.0), ok(141.9)],
            ),
            monitor(
                "orders",
                "Order stream",
                Verdict::Down,
                [
                    fail(2.1, refused),
                    fail(0.9, refused),
                    fail(1.4, refused),
                    fail(1.1, refused),
                    none(Abstention::Silent),
                ],
            ),
            monitor(
                "quotes",
                "Market quotes",
                Verdict::Partial,
                [ok(97.0), ok(14.8), ok(19.0), fail(5_000.0, silent), none(Abstention::Silent)],
            ),
            Arc::new(MonitorView { suspect: true, ..single("lab", "Lab device") }),
        ],
        agents: REGIONS.iter().map(|region| agent(region)).collect(),
        incidents_open: vec![
            Arc::new(down(&["ap-south", "eu-central", "eu-west", "us-east"])),
            Arc::new(partial()),
        ],
        maintenance: Arc::default(),
        storage: StorageState::Failing("database or disk is full".into()),
        counts: counts(),
    }
}

/// Nothing is the matter.
pub(super) fn calm() -> Snapshot {
    let mut snapshot = snapshot();
    let chat = snapshot.monitors.first().unwrap().clone();
    snapshot.monitors = ["Chat gateway", "Order stream", "Market quotes"]
        .into_iter()
        .zip(["chat", "orders", "quotes"])
        .map(|(name, id)| {
            Arc::new(MonitorView {
                id: id.parse().unwrap(),
                name: name.into(),
                url: url(id),
                ..(*chat).clone()
            })
        })
        .collect();
    for agent in &mut snapshot.agents {
        agent.connected = true;
    }
    snapshot.incidents_open.clear();
    snapshot.storage = StorageState::Good;
    snapshot
}

/// A server that restarted in good order.
pub(super) fn event() -> MonitorEvent {
    MonitorEvent {
        id: "evt_0193510c-0000-7000-8000-000000000009".into(),
        monitor: MonitorReference { id: "chat".parse().unwrap(), name: "Chat".into(), url: url("chat") },
        region: None,
        at: ago(3_000.0),
        kind: EventKind::Restarted,
        severity: Severity::Info,
        summary: "The server restarted: 5 of 5 regions were back within 3.1 s.".into(),
    }
}

/// The one open incident's past self.
pub(super) fn resolved() -> Incident {
    let mut incident = down(&["eu-west", "us-east"]);
    incident.id = "inc_0193510c-0000-7000-8000-000000000003".into();
    incident.started_at = ago(90_000.0);
    incident.resolved_at = Some(ago(89_200.0));
    let at = |seconds| Some(incident.started_at.after(Micros((seconds * 1e6) as u64)));
    incident.timeline = IncidentTimeline {
        first_failure_at: at(0.0),
        suspected_at: at(0.1),
        quorum_at: at(3.3),
        decided_at: at(14.2),
        sent_at: at(14.4),
    };
    incident
}

type Standing<'a> = (Vote, Option<f64>, Option<&'a str>);

fn monitor(id: &str, name: &str, verdict: Verdict, standings: [Standing<'_>; 5]) -> Arc<MonitorView> {
    let regions = REGIONS.iter().zip(standings).map(|(region, (vote, latency, failure))| RegionView {
        region: region.parse().unwrap(),
        vote,
        latency: latency.map(|ms: f64| Micros((ms * 1e3) as u64)),
        last_checked_at: latency.map(|_| ago(4.0)),
        failure: failure.map(str::to_owned),
        agent: latency.map(|_| format!("{region}-1").parse().unwrap()),
        canary: latency.map(|_| canary()),
        tls: latency.map(|_| tls()),
        addresses: None,
        idle_timeout: None,
        round_trips: latency.filter(|_| failure.is_none()).map(|ms| trips(10, ms)),
    });
    let seconds = match verdict {
        Verdict::Up => 356_400.0,
        Verdict::Partial => 48.0,
        Verdict::Down => 192.0,
        Verdict::Unobserved => 9.0,
    };
    Arc::new(MonitorView {
        id: id.parse().unwrap(),
        name: name.into(),
        url: url(id),
        verdict: Some(verdict),
        since: ago(seconds),
        suspect: false,
        maintenance: None,
        interval: Micros::from_secs(10),
        quorum: "4 of 5 regions for 11s".into(),
        verify_tls: true,
        held_by: vec![],
        flapping: false,
        regions: regions.collect(),
        degraded: Vec::new(),
        round_trips: (verdict == Verdict::Up).then(|| trips(50, 112.0)),
        latency: (verdict == Verdict::Up).then(|| LatencySla::of(Micros::from_millis(500))),
        calibration: (verdict == Verdict::Up).then(calibration),
    })
}

/// One path of five is noisy.
fn calibration() -> CalibrationView {
    let sums = PathSums { observed_s: 864_000.0, ..PathSums::default() };
    let bad =
        PathSums { bad_s: 8_640.0, spells: 72.0, lasted_s: 8_640.0, lasted_squared: 1_036_800.0, ..sums };
    CalibrationView {
        applies: Some(Calibrated {
            span: Micros::from_secs(11),
            together: false,
            majority_span: Micros::from_secs(300),
            voters: 4,
            noisy: ["ap-south".parse().unwrap()].into(),
        }),
        expected: Some(0.125),
        paths: vec![("ap-south".parse().unwrap(), bad), ("eu-west".parse().unwrap(), sums)],
    }
}

fn trips(count: u64, p50_ms: f64) -> Quantiles {
    let span = |factor: f64| Micros((p50_ms * 1e3 * factor) as u64);
    Quantiles { count, p50: span(1.0), p95: span(1.5), p99: span(2.0) }
}

/// Works, and not well.
pub(super) fn degraded(monitor: &MonitorView) -> Arc<MonitorView> {
    Arc::new(MonitorView {
        degraded: vec![DegradedReason {
            kind: "latency".into(),
            since: ago(310.0),
            ended_at: None,
            summary: "Round trips are slower than promised: 95 of 100 took up to 168ms over 5m, and 100ms are promised."
                .into(),
        }],
        latency: Some(LatencySla::of(Micros::from_millis(100))),
        ..monitor.clone()
    })
}

fn canary() -> CanaryView {
    CanaryView {
        open_since: Some(ago(5_400.0)),
        last_end: Some("closed 1012: the close frame gives no reason".into()),
        last_ended_at: Some(ago(5_400.8)),
        round_trip: Some(Micros(21_400)),
        opened: 5,
        ended: 4,
        lost_within_10s: 1,
        silent_drops: 1,
        reconnects_last_minute: 0,
        close_codes: [(1006, 1), (1012, 2)].into(),
        lasted_seconds: vec![0, 1, 0, 2, 0, 0, 0, 0, 1],
        lasted_seconds_sum: 7_325.5,
        reconnect_seconds: vec![1, 1, 0, 1, 1],
        reconnect_seconds_sum: 2.75,
    }
}

fn tls() -> TlsFacts {
    TlsFacts {
        version: 0x0304,
        cipher: 0x1302,
        not_after: Some(NOW.after(Micros::from_secs(2_000_000))),
        fingerprint: [0x5c; 32],
        verified: true,
    }
}

fn single(id: &str, name: &str) -> MonitorView {
    let region = RegionView {
        region: "eu-west".parse().unwrap(),
        vote: Vote::Abstain(Abstention::AgentsOwnFault),
        latency: Some(Micros::from_millis(3)),
        last_checked_at: Some(ago(11.0)),
        failure: Some("egress_blocked: 10.0.0.9 is private".into()),
        agent: Some("eu-west-1".parse().unwrap()),
        canary: Some(CanaryView {
            last_end: Some("silent_drop path_dead: the heartbeat was not acknowledged".into()),
            last_ended_at: Some(ago(12.0)),
            open_since: None,
            ..canary()
        }),
        tls: None,
        addresses: Some("1 of 4 addresses fails: 192.0.2.7 (connection_refused)".into()),
        idle_timeout: Some("cut after 60.0 s without a close frame".into()),
        round_trips: None,
    };
    MonitorView {
        id: id.parse().unwrap(),
        name: name.into(),
        url: "wss://lab.example.org/ws?token=secret".into(),
        verdict: Some(Verdict::Unobserved),
        since: ago(9.0),
        suspect: false,
        maintenance: None,
        interval: Micros::from_secs(30),
        quorum: "the only region, three times over 30s".into(),
        verify_tls: false,
        held_by: vec![],
        flapping: false,
        regions: vec![region],
        degraded: Vec::new(),
        round_trips: None,
        latency: None,
        calibration: None,
    }
}

fn url(id: &str) -> String {
    format!("wss://{id}.example.org/socket")
}

fn down(failing: &[&str]) -> Incident {
    let evidence = |region: &&str| RegionEvidence {
        region: region.parse().unwrap(),
        vote: if failing.contains(region) { "fail" } else { "abstain" }.into(),
        failure: Some(
            if failing.contains(region) { "connection_refused: nothing listens" } else { "silent" }.into(),
        ),
        agent: Some(format!("{region}-1").parse().unwrap()),
        latency_ms: failing.contains(region).then_some(1.4),
    };
    Incident {
        id: "inc_0193510c-0000-7000-8000-000000000001".into(),
        monitor: MonitorReference {
            id: "orders".parse().unwrap(),
            name: "Order stream".into(),
            url: url("orders"),
        },
        verdict: "down".into(),
        worst: "down".into(),
        cause: IncidentCause {
            kind: "connection_refused".into(),
            summary: "nothing listens on 203.0.113.7:443".into(),
            hint:
                "The server process is not running, or it listens elsewhere. Look at its process and its log."
                    .into(),
            mend: ["# systemd", "systemctl status orders", "ss -ltn 'sport = :443'"]
                .map(String::from)
                .to_vec(),
        },
        rule: "4 of 4 voting regions fail, over 11 s.".into(),
        started_at: ago(203.6),
        resolved_at: None,
        regions: REGIONS.iter().map(evidence).collect(),
        maintenance: None,
        held_for_maintenance: false,
        timeline: IncidentTimeline {
            first_failure_at: Some(ago(203.6)),
            suspected_at: Some(ago(203.5)),
            quorum_at: Some(ago(201.1)),
            decided_at: Some(ago(192.3)),
            sent_at: Some(ago(192.0)),
        },
        held_by: vec![],
        group: None,
        flapping: false,
    }
}

fn partial() -> Incident {
    Incident {
        id: "inc_0193510c-0000-7000-8000-000000000002".into(),
        monitor: MonitorReference {
            id: "quotes".parse().unwrap(),
            name: "Market quotes".into(),
            url: url("quotes"),
        },
        verdict: "partial".into(),
        worst: "partial".into(),
        cause: IncidentCause {
            kind: "reply_timeout".into(),
            summary: "no reply to step 2 within 5s; 3 other messages were skipped".into(),
            hint: "The server accepts connections and does not process messages: look for a stuck worker or a full queue."
                .into(),
            mend: Vec::new(),
        },
        rule: "1 of 4 voting regions fails.".into(),
        started_at: ago(58.0),
        timeline: IncidentTimeline {
            first_failure_at: Some(ago(58.0)),
            suspected_at: Some(ago(52.9)),
            quorum_at: None,
            decided_at: Some(ago(48.0)),
            sent_at: None,
        },
        ..down(&["us-east"])
    }
}

fn agent(region: &str) -> AgentView {
    let doubts = (region == "ap-south").then(|| DoubtReport {
        doubt: Doubt::ControlsFailing,
        lasting: Micros::from_secs(95),
        detail: "2 of 4 do not answer: tcp://192.0.2.1:443 (connect_timeout), wss://a.example/ (dns)"
            .to_owned(),
    });
    let health = Health {
        revision: 17,
        monitors: 4,
        checks: 51_840,
        event_loop_lag_max: Micros(1_200),
        schedule_lag_max: Micros(8_400),
        spool_units: 2,
        spool_bytes: 4_096,
        results_dropped: 0,
        records_torn: 0,
        spool_failing: false,
        canaries: 3,
        canaries_without: 0,
        doubts: doubts.into_iter().collect(),
    };
    let connected = region != "us-west";
    AgentView {
        key: quorate_proto::AgentKey([9; 32]),
        name: format!("{region}-1").parse().unwrap(),
        region: region.parse::<Region>().unwrap(),
        labels: [("provider".to_owned(), "aws".to_owned())].into(),
        connected,
        remote: connected.then(|| "198.51.100.4:50123".into()),
        software: Some("quorate-agent 0.1.0".into()),
        last_seen_at: Some(ago(if connected { 2.0 } else { 700.0 })),
        health: connected.then_some(health),
        enrolled_at: ago(1e6),
        outlier: (region == "ap-south").then(|| OutlierView {
            contradiction: Contradiction::FailsAlone,
            since: ago(400.0),
            disagreements: 12,
            compared: 14,
        }),
    }
}

fn counts() -> Counts {
    let region = |name: &str| name.parse::<Region>().unwrap();
    Counts {
        units_stored: 4_210,
        units_duplicate: 3,
        units_refused: [("bad_signature", 1)].into(),
        checks: [((region("eu-west"), "passed"), 51_800), ((region("eu-west"), "connection_refused"), 19)]
            .into(),
        results_late: 7,
        results_lost: [("spool_full", 5)].into(),
        confirmations: 24,
        confirmation_rounds_denied: 3,
        verdict_changes: [("down", 1), ("partial", 2)].into(),
        events: [("restarted", 2)].into(),
        alerts: [("incident.opened", 1)].into(),
        attempts: [(("ops".to_owned(), "delivered"), 1), (("ops".to_owned(), "retry"), 2)].into(),
        deliveries_pending: [("ops".to_owned(), 1)].into(),
        commits: 8_000,
        commits_failed: 2,
        page_seconds: vec![0, 0, 2, 0, 1, 0, 0, 0, 0],
        page_seconds_sum: 48.5,
    }
}
