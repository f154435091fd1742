//! An incident and its alerts, and the golden files, for the tests of this stage.

use quorate_proto::WallMicros;
use serde_json::Value;

use crate::{
    config::{Channel, ChannelKind},
    model::{
        AgentsAlert, Alert, AlertEvent, AwayAgent, Degradation, DegradedReason, Delivery, DeliveryState,
        FlappingAlert, GroupAlert, GroupedMonitor, Incident, IncidentCause, IncidentTimeline, LosingMonitor,
        MonitorReference, QuantilesMs, RegionEvidence, RegionRoundTrips, RoundTripsSeen, Secret,
    },
};

/// 2026-11-22T18:11:48.2Z, when the first check failed.
pub(super) const FAILED_AT: WallMicros = WallMicros(1_795_371_108_200_000);
/// 14.2 seconds later.
pub(super) const SENT_AT: WallMicros = WallMicros(1_795_371_122_400_000);

pub(super) fn wall(after_seconds: f64) -> WallMicros {
    WallMicros(FAILED_AT.0 + (after_seconds * 1e6) as i64)
}

pub(super) fn region(name: &str, vote: &str, failure: Option<&str>) -> RegionEvidence {
    RegionEvidence {
        region: name.parse().unwrap(),
        vote: vote.to_owned(),
        failure: failure.map(str::to_owned),
        agent: (vote != "abstain").then(|| format!("{name}-1")),
        latency_ms: (vote == "ok").then_some(12.345),
    }
}

/// Four of six regions fail, and one has no say.
pub(super) fn incident(id: &str) -> Incident {
    let refused = Some("connection_refused: Connection refused (os error 111)");
    Incident {
        id: id.to_owned(),
        monitor: MonitorReference {
            id: "trading".parse().unwrap(),
            name: "Trading feed <live> & quotes".to_owned(),
            url: "wss://feed.example.com/v1?a=1&b=2".to_owned(),
        },
        verdict: "down".to_owned(),
        worst: "down".to_owned(),
        cause: IncidentCause {
            kind: "connection_refused".to_owned(),
            summary: "The server refused the TCP connection.".to_owned(),
            hint: "Nothing listens on the port. Check that the process runs and on which address it listens."
                .to_owned(),
            mend: Vec::new(),
        },
        rule: "4 of 5 voting regions failed for 11s".to_owned(),
        started_at: FAILED_AT,
        resolved_at: None,
        regions: vec![
            region("ap-south", "ok", None),
            region("eu-west", "fail", refused),
            region("us-east", "fail", refused),
            region("us-west", "fail", refused),
            region("af-south", "fail", Some("unreachable: No route to host (os error 113)")),
            region("sa-east", "abstain", Some("no_result")),
        ],
        maintenance: None,
        held_for_maintenance: false,
        timeline: IncidentTimeline {
            first_failure_at: Some(FAILED_AT),
            suspected_at: Some(wall(0.1)),
            quorum_at: Some(wall(3.4)),
            decided_at: Some(wall(14.1)),
            sent_at: None,
        },
        held_by: Vec::new(),
        group: None,
        flapping: false,
    }
}

/// Three monitors of seven.
pub(super) fn group() -> GroupAlert {
    let monitor = |id: &str, over, paged, new| GroupedMonitor {
        monitor: MonitorReference {
            id: id.parse().unwrap(),
            name: format!("Feed <{id}>"),
            url: format!("wss://{id}.example.com/v1"),
        },
        over,
        paged,
        new,
    };
    GroupAlert {
        id: "grp_1795371108200000".to_owned(),
        summary: "6 of 12 monitors went down within a minute of one another, on 6 unrelated targets. One of them was paged \
                  on its own before."
            .to_owned(),
        hint: "Possibly on our side: see whether the agents reach the network at all.".to_owned(),
        began_at: FAILED_AT,
        resolved_at: None,
        open: 5,
        size: 6,
        monitors_watched: 12,
        monitors: vec![
            monitor("chat", false, false, true),
            monitor("trading", false, true, false),
            monitor("news", true, false, false),
        ],
        monitors_omitted: 3,
    }
}

/// Ten changes.
pub(super) fn flapping() -> FlappingAlert {
    FlappingAlert {
        monitor: incident("").monitor,
        summary: "It flaps still: down or back 7 times since the last message, and down for 690s; it is up."
            .to_owned(),
        verdict: Some("up".to_owned()),
        since: FAILED_AT,
        changes: 10,
        changes_new: 7,
        down_seconds: 750.0,
        down_seconds_new: 690.0,
        cause: Some("The server refused the TCP connection.".to_owned()),
    }
}

/// One agent, two monitors.
pub(super) fn agents() -> AgentsAlert {
    let monitor = |id: &str, voters, needed| LosingMonitor {
        monitor: MonitorReference {
            id: id.parse().unwrap(),
            name: format!("Feed <{id}>"),
            url: format!("wss://{id}.example.com/v1"),
        },
        voters,
        of: 3,
        needed,
    };
    AgentsAlert {
        summary:
            "Agent eu-1 (eu-west) is offline. 2 monitors lose a voter; for 1 of them too few are left to say \
                  anything."
                .to_owned(),
        hint: "See whether its machine runs.".to_owned(),
        agents: vec![AwayAgent {
            name: "eu-1".parse().unwrap(),
            region: "eu-west".parse().unwrap(),
            last_seen_at: Some(FAILED_AT),
            substitutes: 0,
        }],
        agents_omitted: 0,
        monitors: vec![monitor("chat", 1, None), monitor("trading", 2, Some(2))],
        monitors_omitted: 0,
    }
}

/// Every alert about more than one incident, with its name in golden files.
pub(super) fn of_paging() -> Vec<(&'static str, AlertEvent)> {
    let ended = GroupAlert {
        summary: "All 6 are up again, after 12m.".to_owned(),
        hint: String::new(),
        resolved_at: Some(wall(723.9)),
        open: 0,
        ..group()
    };
    let stable = FlappingAlert {
        summary: "It has been stable for ten minutes: it is up.".to_owned(),
        changes_new: 0,
        ..flapping()
    };
    let back = AgentsAlert {
        summary: "Agent eu-1 (eu-west) is back. No other is offline.".to_owned(),
        hint: String::new(),
        monitors: vec![],
        ..agents()
    };
    vec![
        ("group_opened", AlertEvent::GroupOpened(Box::new(group()))),
        ("group_updated", AlertEvent::GroupUpdated(Box::new(group()))),
        ("group_resolved", AlertEvent::GroupResolved(Box::new(ended))),
        ("flapping_started", AlertEvent::FlappingStarted(Box::new(flapping()))),
        ("flapping_digest", AlertEvent::FlappingDigest(Box::new(flapping()))),
        ("flapping_ended", AlertEvent::FlappingEnded(Box::new(stable))),
        ("agents_offline", AlertEvent::AgentsOffline(Box::new(agents()))),
        ("agents_back", AlertEvent::AgentsBack(Box::new(back))),
    ]
}

/// The same alert with texts and lists that no configuration would allow.
pub(super) fn absurd_of_paging(event: AlertEvent, text: &str) -> AlertEvent {
    let group = || {
        let mut group = group();
        group.summary = text.to_owned();
        let mut monitor = group.monitors.remove(0);
        (monitor.monitor.name, monitor.monitor.url) = (text.to_owned(), text.to_owned());
        group.monitors = vec![monitor; 30];
        Box::new(group)
    };
    let flapping = || {
        let mut flapping = flapping();
        (flapping.summary, flapping.cause) = (text.to_owned(), Some(text.to_owned()));
        (flapping.monitor.name, flapping.monitor.url) = (text.to_owned(), text.to_owned());
        Box::new(flapping)
    };
    let agents = || {
        let mut agents = agents();
        agents.summary = text.to_owned();
        let mut monitor = agents.monitors.remove(0);
        (monitor.monitor.name, monitor.monitor.url) = (text.to_owned(), text.to_owned());
        agents.monitors = vec![monitor; 30];
        agents.agents = vec![agents.agents.remove(0); 30];
        Box::new(agents)
    };
    match event {
        AlertEvent::GroupOpened(_) => AlertEvent::GroupOpened(group()),
        AlertEvent::GroupUpdated(_) => AlertEvent::GroupUpdated(group()),
        AlertEvent::GroupResolved(_) => AlertEvent::GroupResolved(group()),
        AlertEvent::FlappingStarted(_) => AlertEvent::FlappingStarted(flapping()),
        AlertEvent::FlappingDigest(_) => AlertEvent::FlappingDigest(flapping()),
        AlertEvent::FlappingEnded(_) => AlertEvent::FlappingEnded(flapping()),
        AlertEvent::AgentsOffline(_) => AlertEvent::AgentsOffline(agents()),
        AlertEvent::AgentsBack(_) => AlertEvent::AgentsBack(agents()),
        AlertEvent::Opened(_)
        | AlertEvent::Updated(_)
        | AlertEvent::Resolved(_)
        | AlertEvent::Event(_)
        | AlertEvent::Degraded(_)
        | AlertEvent::Recovered(_)
        | AlertEvent::Notice { .. } => event,
    }
}

/// Round trips are slow in one of three regions.
pub(super) fn degradation() -> Degradation {
    let quantiles = |count, p95_ms| QuantilesMs { count, p50_ms: 31.5, p95_ms, p99_ms: p95_ms + 20.0 };
    let region = |name: &str, p95_ms| RegionRoundTrips {
        region: name.parse().unwrap(),
        quantiles: quantiles(10, p95_ms),
    };
    Degradation {
        id: "deg_1".to_owned(),
        monitor: incident("inc_1").monitor,
        since: wall(14.1),
        recovered_at: None,
        reasons: vec![DegradedReason {
            kind: "latency".to_owned(),
            since: wall(14.1),
            ended_at: None,
            summary: "Round trips are slower than promised: 95 of 100 took up to 180ms over 5m, and 100ms are promised."
                .to_owned(),
        }],
        round_trips: Some(RoundTripsSeen {
            merged: quantiles(30, 180.0),
            regions: vec![region("ap-south", 210.0), region("eu-west", 40.0), region("us-east", 60.0)],
        }),
    }
}

pub(super) fn alert(event: AlertEvent) -> Alert {
    Alert { id: "msg_01935d2c7a5f7c3e8f0a1b2c3d4e5f60".to_owned(), event, decided_at: wall(14.1) }
}

/// The opening of incident `incident_id`, owed to `channel` as outbox row `id`.
pub(super) fn delivery(id: u64, channel: &str, incident_id: &str) -> Box<Delivery> {
    let event = AlertEvent::Opened(Box::new(incident(incident_id)));
    Box::new(Delivery {
        id,
        channel: channel.to_owned(),
        alert: Alert { id: format!("msg_{id}"), ..alert(event) },
        state: DeliveryState::Pending,
        attempts: 0,
        due_at: None,
        first_sent_at: None,
        delivered_at: None,
        status: None,
        error: None,
    })
}

pub(super) fn channel(id: &str, kind: ChannelKind) -> Channel {
    Channel { id: id.to_owned(), kind, partial: true, operator: true, events: true, degraded: true }
}

pub(super) fn webhook(id: &str, url: &str) -> Channel {
    let secrets = vec![Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")];
    channel(id, ChannelKind::Webhook { url: Secret::new(url), secrets })
}

/// Compares with a file of `golden/`.
pub(super) fn golden(name: &str, made: &Value) {
    crate::golden::check(&format!("notify/golden/{name}"), &format!("{made:#}\n"));
}
