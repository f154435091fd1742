//! Incidents and deliveries for tests.

use quorate_proto::WallMicros;

use crate::model::{
    Alert, AlertEvent, Delivery, DeliveryState, Incident, IncidentCause, IncidentTimeline, MonitorReference,
};

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
        },
        rule: "4 of 5 regions failed for 12s; 4 had to for 11s.".to_owned(),
        started_at: WallMicros(1_000_000),
        resolved_at: None,
        regions: vec![],
        timeline: IncidentTimeline::default(),
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
