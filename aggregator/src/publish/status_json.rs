//! `GET /status.json`: the present in our own words, for everybody.

use std::sync::Arc;

use axum::{extract::State, http::HeaderMap, response::Response};
use quorate_proto::WallMicros;
use serde::Serialize;

use super::{
    Shared, document::Document, error::Error, picture::Picture, tally::Tally, view::PublicMonitor, words,
};
use crate::model::{
    Incident, IncidentCause, IncidentTimeline, MonitorReference, RegionEvidence, Snapshot, rfc3339,
};

/// May be kept by a cache for a moment, and is asked for again with its tag.
const CACHE: &str = "public, max-age=1";

#[derive(Serialize)]
struct StatusJson<'a> {
    /// The worst verdict of all monitors that are not maintained; `maintenance` where all are.
    status: &'static str,
    /// When this picture was made.
    #[serde(with = "rfc3339")]
    updated_at: WallMicros,
    monitors: Vec<PublicMonitor<'a>>,
    /// Those that are not resolved, newest first.
    incidents: Vec<PublicIncident<'a>>,
}

/// An incident without the names of agents.
#[derive(Serialize)]
struct PublicIncident<'a> {
    id: &'a str,
    monitor: MonitorReference,
    verdict: &'a str,
    worst: &'a str,
    cause: &'a IncidentCause,
    rule: &'a str,
    #[serde(with = "rfc3339")]
    started_at: WallMicros,
    #[serde(with = "rfc3339::option")]
    resolved_at: Option<WallMicros>,
    regions: Vec<PublicEvidence<'a>>,
    maintenance: Option<&'a str>,
    timeline: IncidentTimeline,
}

#[derive(Serialize)]
struct PublicEvidence<'a> {
    region: &'a quorate_proto::Region,
    vote: &'a str,
    failure: Option<&'a str>,
    latency_ms: Option<f64>,
}

/// Answers `GET /status.json`.
pub(super) async fn serve(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<Response, Error> {
    let picture = Picture { snapshot: shared.snapshot(), page: shared.sources.page.load_full(), past: None };
    let document = shared.pictures.status_json.of(picture, |picture| render(&picture.snapshot)).await?;
    Ok(document.answer(&headers))
}

/// Renders the document.
pub(super) fn render(snapshot: &Snapshot) -> Result<Document, Error> {
    let status = StatusJson {
        status: Tally::of(snapshot).state(),
        updated_at: snapshot.at,
        monitors: snapshot.monitors.iter().map(|monitor| PublicMonitor::of(monitor)).collect(),
        incidents: snapshot.incidents_open.iter().map(|incident| PublicIncident::of(incident)).collect(),
    };
    Document::public_json(&status, CACHE)
}

impl<'a> PublicIncident<'a> {
    fn of(incident: &'a Incident) -> Self {
        let monitor =
            MonitorReference { url: words::public_url(&incident.monitor.url), ..incident.monitor.clone() };
        Self {
            id: &incident.id,
            monitor,
            verdict: &incident.verdict,
            worst: &incident.worst,
            cause: &incident.cause,
            rule: &incident.rule,
            started_at: incident.started_at,
            resolved_at: incident.resolved_at,
            regions: incident.regions.iter().map(PublicEvidence::of).collect(),
            maintenance: incident.maintenance.as_deref(),
            timeline: incident.timeline,
        }
    }
}

impl<'a> PublicEvidence<'a> {
    fn of(evidence: &'a RegionEvidence) -> Self {
        Self {
            region: &evidence.region,
            vote: &evidence.vote,
            failure: evidence.failure.as_deref(),
            latency_ms: evidence.latency_ms,
        }
    }
}
