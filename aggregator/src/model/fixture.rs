//! Monitors, channels, incidents and deliveries for tests.

use quorate_proto::{Micros, MonitorSpec, WallMicros};
use quorate_quorum::{Quorum, Sensitivity};

use super::{
    Alert, AlertEvent, Delivery, DeliveryState, EventKind, Incident, IncidentCause, IncidentTimeline,
    MonitorEvent, MonitorReference, Secret,
};
use crate::config::{Channel, ChannelKind, Domains, Monitor};

/// A channel from its id and what it asks for: `x`, `x:p` for partial, `x:o` for the operator's, `x:po` for both.
pub(crate) fn channel(text: &str) -> Channel {
    let (id, wants) = text.split_once(':').unwrap_or((text, ""));
    Channel {
        id: id.to_owned(),
        kind: ChannelKind::Slack { url: Secret::new("https://hooks.example.org/x") },
        partial: wants.contains('p'),
        operator: wants.contains('o'),
        events: wants.contains('e'),
        degraded: wants.contains('d'),
    }
}

/// A monitor that these regions watch every 10 s, and of which the channels `x`, `y` and `z` hear.
pub(crate) fn monitor(id: &str, regions: &[&str]) -> Monitor {
    Monitor {
        spec: MonitorSpec::new(
            id.parse().unwrap(),
            format!("wss://user:secret@{id}.example.org/socket"),
            Micros::from_secs(10),
            Micros::from_secs(5),
        ),
        name: id.to_uppercase(),
        regions: regions.iter().map(|region| region.parse().unwrap()).collect(),
        quorum: Quorum::Default,
        confirm_for: None,
        sensitivity: Sensitivity::Balanced,
        calibrate: true,
        domains: Domains::default(),
        restart_budget: Micros::from_secs(30),
        depends_on: vec![],
        certificate_warning: Micros::from_secs(14 * 86_400),
        certificate_degraded: Micros::from_secs(3 * 86_400),
        latency: None,
        channels: ["x", "y", "z"].map(str::to_owned).to_vec(),
    }
}

/// An open incident.
pub(crate) fn incident(id: &str, monitor: &str) -> Incident {
    Incident {
        id: id.to_owned(),
        monitor: MonitorReference {
            id: monitor.parse().unwrap(),
            name: monitor.to_uppercase(),
            url: format!("wss://{monitor}.example.org/"),
        },
        verdict: "down".to_owned(),
        worst: "down".to_owned(),
        cause: IncidentCause {
            kind: "connection_refused".to_owned(),
            summary: "refused".to_owned(),
            hint: "look".to_owned(),
            mend: Vec::new(),
        },
        rule: "4 of 5 regions failed for 12s; 4 had to for 11s.".to_owned(),
        started_at: WallMicros(1_000_000),
        resolved_at: None,
        regions: vec![],
        maintenance: None,
        held_for_maintenance: false,
        timeline: IncidentTimeline::default(),
        held_by: vec![],
        group: None,
        flapping: false,
    }
}

/// An event of a monitor.
pub(crate) fn event(id: &str, monitor: &str, at: WallMicros) -> MonitorEvent {
    let kind = EventKind::ReconnectsFrequent;
    MonitorEvent {
        id: id.to_owned(),
        monitor: incident("", monitor).monitor,
        region: Some("eu".parse().unwrap()),
        at,
        kind,
        severity: kind.severity(),
        summary: "often".to_owned(),
    }
}

/// The opening of an incident.
pub(crate) fn alert(id: &str, incident: &Incident) -> Alert {
    let event = AlertEvent::Opened(Box::new(incident.clone()));
    Alert { id: id.to_owned(), event, decided_at: WallMicros(2_000_000) }
}

/// A delivery that is owed.
pub(crate) fn delivery(id: u64, channel: &str, alert: Alert) -> Delivery {
    Delivery {
        id,
        channel: channel.to_owned(),
        alert,
        state: DeliveryState::Pending,
        attempts: 0,
        due_at: Some(WallMicros(2_000_000)),
        first_sent_at: None,
        delivered_at: None,
        status: None,
        error: None,
    }
}
