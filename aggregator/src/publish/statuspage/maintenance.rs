//! Scheduled maintenance in the form of Statuspage v2: an incident with `scheduled_for` and `scheduled_until`.
//!
//! When a maintenance was planned is not written down: it is said to have been created on the day of which the picture is,
//! or when it began, whichever is earlier, so that a poll gets 304 until something changes.

use std::sync::Arc;

use axum::{extract::State, http::HeaderMap, response::Response};
use quorate_proto::{Micros, WallMicros};
use serde::Serialize;

use super::{CACHE, Component, IncidentJson, PageJson, Update, components, picture};
use crate::{
    limits,
    model::{Maintenance, Snapshot, rfc3339},
    publish::{Shared, document::Document, error::Error, picture::Picture, uptime},
};

/// A maintenance: the fields of an incident, and when it is.
#[derive(Serialize)]
pub(super) struct MaintenanceJson {
    #[serde(flatten)]
    incident: IncidentJson,
    scheduled_for: String,
    scheduled_until: String,
}

/// Which of them are asked for.
#[derive(Clone, Copy)]
pub(in crate::publish) enum Which {
    All,
    Upcoming,
    Active,
}

#[derive(Serialize)]
struct List {
    page: PageJson,
    scheduled_maintenances: Vec<MaintenanceJson>,
}

/// Answers `GET /api/v2/scheduled-maintenances.json`.
pub(in crate::publish) async fn all(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    answer(&shared, &headers, Which::All).await
}

/// Answers `GET /api/v2/scheduled-maintenances/upcoming.json`.
pub(in crate::publish) async fn upcoming(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    answer(&shared, &headers, Which::Upcoming).await
}

/// Answers `GET /api/v2/scheduled-maintenances/active.json`.
pub(in crate::publish) async fn active(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    answer(&shared, &headers, Which::Active).await
}

async fn answer(shared: &Shared, headers: &HeaderMap, which: Which) -> Result<Response, Error> {
    let rendering = match which {
        Which::All => &shared.pictures.statuspage_maintenance,
        Which::Upcoming => &shared.pictures.statuspage_upcoming,
        Which::Active => &shared.pictures.statuspage_active,
    };
    let render = |picture: &Picture| render(picture, &shared.local_url, which);
    Ok(rendering.of(picture(shared), render).await?.answer(headers))
}

fn render(picture: &Picture, local_url: &str, which: Which) -> Result<Document, Error> {
    let page = PageJson::of(picture, local_url);
    let components = components(&picture.snapshot, &page.id);
    let mut list = picture
        .snapshot
        .maintenance
        .iter()
        .filter(|one| which.includes(one, picture.snapshot.at))
        .map(|one| MaintenanceJson::of(one, &components, &page, picture.snapshot.at))
        .collect::<Vec<_>>();
    // As Statuspage lists them: the latest first.
    list.reverse();
    list.truncate(limits::MAINTENANCE_LISTED_MAX);
    Document::public_json(&List { page, scheduled_maintenances: list }, CACHE)
}

/// What the summary shows: what is on, and what is to come.
pub(super) fn of_summary(
    snapshot: &Snapshot,
    components: &[Component],
    page: &PageJson,
) -> Vec<MaintenanceJson> {
    let is_open = |one: &&Maintenance| one.until > snapshot.at && !one.ended_early;
    let open = snapshot.maintenance.iter().filter(is_open).take(limits::MAINTENANCE_LISTED_MAX);
    open.map(|one| MaintenanceJson::of(one, components, page, snapshot.at)).collect()
}

impl Which {
    fn includes(self, one: &Maintenance, now: WallMicros) -> bool {
        match self {
            // One that was taken back before it began never was.
            Self::All => one.stretch().lasts() > Micros::ZERO,
            Self::Upcoming => one.from > now && !one.ended_early,
            Self::Active => one.is_on(now),
        }
    }
}

impl MaintenanceJson {
    fn of(one: &Maintenance, components: &[Component], page: &PageJson, now: WallMicros) -> Self {
        let created_at = one.from.min(uptime::begin(now, Micros::from_secs(86_400)));
        let mut updates = vec![(created_at, "scheduled", announcement(one))];
        if one.from <= now {
            updates.push((one.from, "in_progress", "The maintenance has begun.".to_owned()));
        }
        if one.until <= now {
            updates.push((one.until, "completed", "The maintenance is over.".to_owned()));
        }
        let (updated_at, status) = updates.last().map_or((created_at, "scheduled"), |last| (last.0, last.1));
        let updates =
            (0..).zip(updates).map(|(number, (at, status, body))| update(one, number, at, status, body));
        let mut incident_updates = updates.collect::<Vec<_>>();
        incident_updates.reverse();
        let concerned = |component: &&Component| {
            component.id.parse().is_ok_and(|id: quorate_proto::MonitorId| one.concerns(&id))
        };
        let incident = IncidentJson {
            id: one.id.clone(),
            name: one.name.clone(),
            status,
            created_at: rfc3339::text(created_at),
            updated_at: rfc3339::text(updated_at),
            monitoring_at: None,
            resolved_at: (one.until <= now).then(|| rfc3339::text(one.until)),
            impact: "none",
            shortlink: page.url.clone(),
            started_at: rfc3339::text(one.from),
            page_id: page.id.clone(),
            incident_updates,
            components: components.iter().filter(concerned).cloned().collect(),
        };
        Self { incident, scheduled_for: rfc3339::text(one.from), scheduled_until: rfc3339::text(one.until) }
    }
}

fn announcement(one: &Maintenance) -> String {
    match one.reason.as_str() {
        "" => "Maintenance is planned.".to_owned(),
        reason => format!("Maintenance is planned: {reason}"),
    }
}

fn update(one: &Maintenance, number: u8, at: WallMicros, status: &'static str, body: String) -> Update {
    let at = rfc3339::text(at);
    Update {
        id: format!("{}-{number}", one.id),
        status,
        body,
        incident_id: one.id.clone(),
        created_at: at.clone(),
        updated_at: at.clone(),
        display_at: at,
        affected_components: None,
        deliver_notifications: false,
        custom_tweet: None,
        tweet_id: None,
    }
}
