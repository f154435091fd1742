//! `/api/v1/maintenance`: what is on and planned, and how an operator starts and ends one.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{Path, RawQuery, State, rejection::BytesRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use quorate_proto::{Micros, MonitorId, WallMicros};
use serde::{Deserialize, Serialize};

use super::{Error, Parameters, Shared, agents, page};
use crate::{
    config::spans,
    limits,
    model::{Admin, Maintenance, MaintenanceWish, rfc3339},
};

/// What is wanted: `monitors` or `all`, and `for` how long.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    monitors: Option<BTreeSet<MonitorId>>,
    #[serde(default)]
    all: bool,
    #[serde(default, with = "rfc3339::option")]
    from: Option<WallMicros>,
    #[serde(rename = "for")]
    lasts: String,
}

#[derive(Serialize)]
struct MaintenanceJson<'a> {
    #[serde(flatten)]
    maintenance: &'a Maintenance,
    /// `scheduled`, `active` or `over`.
    state: &'static str,
}

impl<'a> MaintenanceJson<'a> {
    fn of(maintenance: &'a Maintenance, now: WallMicros) -> Self {
        let state = match () {
            () if maintenance.until <= now => "over",
            () if maintenance.from <= now => "active",
            () => "scheduled",
        };
        Self { maintenance, state }
    }
}

/// `GET /api/v1/maintenance?limit=&before=`: what is planned, on, and was lately; the latest to begin first.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    let cursor = Parameters::cursor_alone(query.as_deref())?;
    let snapshot = shared.snapshot();
    let latest_first = snapshot.maintenance.iter().rev();
    let rows = latest_first.map(|one| MaintenanceJson::of(one, snapshot.at)).collect::<Vec<_>>();
    let paged = page(&rows, &cursor, |row| row.maintenance.id.as_str(), |row| row)?;
    Ok(Json(paged).into_response())
}

/// `POST /api/v1/maintenance` with `{"monitors": […] or "all": true, "for": "30m", "name", "reason", "from"}`.
pub(super) async fn start(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Error> {
    Parameters::read(query.as_deref()).finish()?;
    let wanted = read(&agents::body(body)?)?;
    tracing::info!(name = wanted.name, "an operator starts a maintenance");
    let wish = |reply| Admin::StartMaintenance { wish: Box::new(wanted), reply };
    let maintenance = agents::wish(&shared, wish).await?;
    let now = shared.snapshot().at.max(maintenance.from);
    Ok((StatusCode::CREATED, Json(MaintenanceJson::of(&maintenance, now))).into_response())
}

/// `DELETE /api/v1/maintenance/{id}`: ends it, or takes it back.
pub(super) async fn end(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    Parameters::read(query.as_deref()).finish()?;
    tracing::info!(maintenance = id, "an operator ends a maintenance");
    let maintenance = agents::wish(&shared, |reply| Admin::EndMaintenance { id, reply }).await?;
    Ok(Json(MaintenanceJson::of(&maintenance, maintenance.until)).into_response())
}

fn read(body: &[u8]) -> Result<MaintenanceWish, Error> {
    let bad = |text: String| Error::Body(text);
    let wanted: Wanted = serde_json::from_slice(body).map_err(|error| bad(error.to_string()))?;
    let bounds = limits::MAINTENANCE_LASTS_MIN..=limits::MAINTENANCE_LASTS_MAX;
    let lasts = spans::parse(&wanted.lasts).filter(|lasts| bounds.contains(lasts)).ok_or_else(|| {
        bad(format!("for: wanted a span between {} and 30d, such as \"30m\"", limits::MAINTENANCE_LASTS_MIN))
    })?;
    let monitors = match (wanted.monitors, wanted.all) {
        (Some(monitors), false) if !monitors.is_empty() => Some(monitors),
        (None, true) => None,
        (Some(_), false) => return Err(bad("monitors: wanted at least one id".to_owned())),
        (Some(_), true) => return Err(bad("wanted either monitors or all, found both".to_owned())),
        (None, false) => return Err(bad("wanted monitors (a list of ids), or all = true".to_owned())),
    };
    let title = |text: Option<String>, key: &str| match text {
        Some(text)
            if text.chars().count() > limits::TITLE_CHARS_MAX || text.chars().any(char::is_control) =>
        {
            let most = limits::TITLE_CHARS_MAX;
            Err(bad(format!("{key}: wanted one line of at most {most} characters")))
        }
        text => Ok(text.filter(|text| !text.trim().is_empty())),
    };
    let reason = title(wanted.reason, "reason")?.unwrap_or_default();
    let name = title(wanted.name, "name")?;
    Ok(MaintenanceWish {
        name: name.unwrap_or_else(|| "Maintenance".to_owned()),
        reason,
        monitors,
        from: wanted.from.filter(|from| from.since(WallMicros(0)) > Micros::ZERO),
        lasts,
    })
}
