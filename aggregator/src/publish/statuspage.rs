//! Statuspage v2 public JSON (<https://metastatuspage.com/api/v2>), so that existing readers work.
//!
//! Readers paint `major` red, so one failing region of many is `minor` with its component in `partial_outage`. A
//! monitor that nobody observes is never shown as operational: it is `degraded_performance`, and the page `minor`, as is
//! one that works and not well.
//! `updated_at` is the moment of the latest change and not that of the rendering, so that a poll between changes gets
//! 304.

use std::sync::Arc;

use axum::{extract::State, http::HeaderMap, response::Response};
use quorate_proto::WallMicros;
use quorate_quorum::Verdict;
use serde::Serialize;

use super::{
    Shared,
    document::{Document, short_hash},
    error::Error,
    picture::Picture,
    tally::{self, Tally},
    words,
};
use crate::model::{Incident, MonitorView, Snapshot, rfc3339};

const CACHE: &str = "public, max-age=30";

/// `summary.json`.
#[derive(Serialize)]
struct Summary {
    page: PageJson,
    components: Vec<Component>,
    incidents: Vec<IncidentJson>,
    scheduled_maintenances: [(); 0],
    status: Status,
}

/// `status.json`.
#[derive(Serialize)]
struct StatusOnly {
    page: PageJson,
    status: Status,
}

#[derive(Serialize)]
struct PageJson {
    id: String,
    name: String,
    url: String,
    time_zone: &'static str,
    updated_at: String,
}

#[derive(Serialize)]
struct Status {
    /// `none`, `minor`, `major` or `critical`, and never another word.
    indicator: &'static str,
    description: String,
}

#[derive(Clone, Serialize)]
struct Component {
    id: String,
    name: String,
    status: &'static str,
    created_at: String,
    updated_at: String,
    position: usize,
    description: Option<String>,
    showcase: bool,
    start_date: Option<String>,
    group_id: Option<String>,
    page_id: String,
    group: bool,
    only_show_if_degraded: bool,
}

#[derive(Serialize)]
struct IncidentJson {
    id: String,
    name: String,
    status: &'static str,
    created_at: String,
    updated_at: String,
    monitoring_at: Option<String>,
    resolved_at: Option<String>,
    impact: &'static str,
    shortlink: String,
    started_at: String,
    page_id: String,
    incident_updates: Vec<Update>,
    components: Vec<Component>,
}

#[derive(Serialize)]
struct Update {
    id: String,
    status: &'static str,
    body: String,
    incident_id: String,
    created_at: String,
    updated_at: String,
    display_at: String,
    affected_components: Option<Vec<Affected>>,
    deliver_notifications: bool,
    custom_tweet: Option<String>,
    tweet_id: Option<u64>,
}

#[derive(Serialize)]
struct Affected {
    code: String,
    name: String,
    old_status: &'static str,
    new_status: &'static str,
}

/// Answers `GET /api/v2/summary.json`.
pub(super) async fn summary(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let render = |picture: &Picture| render_summary(picture, &shared.local_url);
    let document = shared.pictures.statuspage_summary.of(picture(&shared), render).await?;
    Ok(document.answer(&headers))
}

/// Answers `GET /api/v2/status.json`.
pub(super) async fn status(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<Response, Error> {
    let render = |picture: &Picture| render_status(picture, &shared.local_url);
    let document = shared.pictures.statuspage_status.of(picture(&shared), render).await?;
    Ok(document.answer(&headers))
}

fn picture(shared: &Shared) -> Picture {
    Picture { snapshot: shared.snapshot(), page: shared.sources.page.load_full(), past: None }
}

/// Renders `summary.json`.
pub(super) fn render_summary(picture: &Picture, local_url: &str) -> Result<Document, Error> {
    let snapshot = &picture.snapshot;
    let page = PageJson::of(picture, local_url);
    let components: Vec<Component> = (1..)
        .zip(&snapshot.monitors)
        .map(|(position, monitor)| Component::of(monitor, position, &page.id))
        .collect();
    let incidents = snapshot
        .incidents_open
        .iter()
        .map(|incident| IncidentJson::of(incident, &components, &page))
        .collect();
    let status = Status::of(snapshot);
    Document::public_json(&Summary { page, components, incidents, scheduled_maintenances: [], status }, CACHE)
}

/// Renders `status.json`.
pub(super) fn render_status(picture: &Picture, local_url: &str) -> Result<Document, Error> {
    let status = Status::of(&picture.snapshot);
    Document::public_json(&StatusOnly { page: PageJson::of(picture, local_url), status }, CACHE)
}

impl PageJson {
    fn of(picture: &Picture, local_url: &str) -> Self {
        let url = picture.page.url.clone().unwrap_or_else(|| local_url.to_owned());
        let changes = picture.snapshot.monitors.iter().map(|monitor| component_changed_at(monitor));
        let incidents = picture.snapshot.incidents_open.iter().map(|incident| changed_at(incident));
        let updated_at = changes.chain(incidents).max().unwrap_or(picture.snapshot.at);
        Self {
            // Readers that follow several pages tell them apart by this; the URL is what stays the same.
            id: short_hash(url.as_bytes()).to_lowercase().replace(['-', '_'], "x").chars().take(12).collect(),
            name: picture.page.title.clone(),
            url,
            time_zone: "Etc/UTC",
            updated_at: rfc3339::text(updated_at),
        }
    }
}

impl Status {
    fn of(snapshot: &Snapshot) -> Self {
        let tally = Tally::of(snapshot);
        let indicator = match tally.worst() {
            Verdict::Up if tally.degraded > 0 => "minor",
            Verdict::Up => "none",
            Verdict::Partial | Verdict::Unobserved => "minor",
            Verdict::Down if tally.down == tally.total() => "critical",
            Verdict::Down => "major",
        };
        let description = match tally.worst() {
            // The one sentence that readers look for.
            Verdict::Up if tally.degraded == 0 => "All Systems Operational".to_owned(),
            Verdict::Up | Verdict::Partial | Verdict::Unobserved | Verdict::Down => tally.headline(),
        };
        Self { indicator, description }
    }
}

impl Component {
    fn of(monitor: &MonitorView, position: usize, page_id: &str) -> Self {
        let status = match tally::is_degraded(monitor) {
            true => "degraded_performance",
            false => component_status(tally::verdict(monitor).name()),
        };
        // When a monitor was first configured is not known, so its creation is the start of its present state.
        let since = rfc3339::text(monitor.since);
        Self {
            id: monitor.id.to_string(),
            name: monitor.name.clone(),
            status,
            created_at: since,
            updated_at: rfc3339::text(component_changed_at(monitor)),
            position,
            description: Some(monitor.quorum.clone()),
            showcase: true,
            start_date: None,
            group_id: None,
            page_id: page_id.to_owned(),
            group: false,
            only_show_if_degraded: false,
        }
    }
}

impl IncidentJson {
    fn of(incident: &Incident, components: &[Component], page: &PageJson) -> Self {
        let updates = updates(incident);
        let affected = components.iter().find(|component| component.id == incident.monitor.id.as_str());
        Self {
            id: incident.id.clone(),
            name: format!("{} {}", incident.monitor.name, predicate(&incident.worst)),
            status: incident_status(incident),
            created_at: rfc3339::text(incident.started_at),
            updated_at: rfc3339::text(changed_at(incident)),
            monitoring_at: None,
            resolved_at: incident.resolved_at.map(rfc3339::text),
            impact: if incident.worst == "down" { "major" } else { "minor" },
            shortlink: page.url.clone(),
            started_at: rfc3339::text(incident.started_at),
            page_id: page.id.clone(),
            incident_updates: updates,
            components: affected.cloned().into_iter().collect(),
        }
    }
}

/// What is known of an incident's course, newest first.
fn updates(incident: &Incident) -> Vec<Update> {
    let suspected_at = incident.timeline.suspected_at.unwrap_or(incident.started_at);
    let investigating = "A check failed; the other regions are asked.".to_owned();
    let mut updates = vec![update(incident, 0, "investigating", suspected_at, investigating, None)];
    // The last decision of an incident that is over is its end, which has an update of its own.
    let is_before_end = |at: &WallMicros| incident.resolved_at.is_none_or(|end| *at < end);
    if let Some(decided_at) = incident.timeline.decided_at.filter(is_before_end) {
        let cause = &incident.cause;
        let mut body = format!("{}: {} {} ({})", incident.verdict, cause.summary, cause.hint, incident.rule);
        let unpaged = words::unpaged(&incident.held_by, incident.flapping, incident.group.is_some());
        if let Some(unpaged) = unpaged {
            body.push_str(&format!(" {unpaged}."));
        }
        let affected = Affected {
            code: incident.monitor.id.to_string(),
            name: incident.monitor.name.clone(),
            old_status: component_status("up"),
            new_status: component_status(&incident.verdict),
        };
        updates.push(update(incident, 1, open_status(&incident.verdict), decided_at, body, Some(affected)));
    }
    if let Some(resolved_at) = incident.resolved_at {
        let body = "A quorum of regions passes again.".to_owned();
        let affected = Affected {
            code: incident.monitor.id.to_string(),
            name: incident.monitor.name.clone(),
            old_status: component_status(&incident.verdict),
            new_status: component_status("up"),
        };
        updates.push(update(incident, 2, "resolved", resolved_at, body, Some(affected)));
    }
    updates.reverse();
    updates
}

fn update(
    incident: &Incident,
    number: u8,
    status: &'static str,
    at: WallMicros,
    body: String,
    affected: Option<Affected>,
) -> Update {
    let at = rfc3339::text(at);
    Update {
        id: format!("{}-{number}", incident.id),
        status,
        body,
        incident_id: incident.id.clone(),
        created_at: at.clone(),
        updated_at: at.clone(),
        display_at: at,
        affected_components: affected.map(|affected| vec![affected]),
        deliver_notifications: true,
        custom_tweet: None,
        tweet_id: None,
    }
}

fn component_changed_at(monitor: &MonitorView) -> WallMicros {
    let reasons = monitor.degraded.iter().map(|reason| reason.since);
    reasons.chain([monitor.since]).max().unwrap_or(monitor.since)
}

fn changed_at(incident: &Incident) -> WallMicros {
    incident.resolved_at.or(incident.timeline.decided_at).unwrap_or(incident.started_at)
}

fn incident_status(incident: &Incident) -> &'static str {
    match incident.resolved_at {
        Some(_) => "resolved",
        None => open_status(&incident.verdict),
    }
}

/// A quorum that fails has found what is the matter; anything less is still being looked into.
fn open_status(verdict: &str) -> &'static str {
    if verdict == "down" { "identified" } else { "investigating" }
}

fn component_status(verdict: &str) -> &'static str {
    match Verdict::from_name(verdict) {
        Some(Verdict::Up) => "operational",
        Some(Verdict::Partial) => "partial_outage",
        Some(Verdict::Down) => "major_outage",
        Some(Verdict::Unobserved) | None => "degraded_performance",
    }
}

fn predicate(verdict: &str) -> &'static str {
    match Verdict::from_name(verdict) {
        Some(Verdict::Down) => "is down",
        Some(Verdict::Partial) => "fails in some regions",
        Some(Verdict::Unobserved | Verdict::Up) | None => "is not observed",
    }
}
