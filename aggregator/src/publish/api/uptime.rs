//! `/api/v1/monitors/{id}/uptime`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    response::{IntoResponse, Response},
};

use super::{Error, Parameters, Shared, monitors::find, named};
use crate::publish::uptime::{Report, Window};

/// `GET /api/v1/monitors/{id}/uptime?window=24h|7d|30d|90d` (default 30d): shares, seconds, spans, regions and days.
pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    path: Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    let mut parameters = Parameters::read(query.as_deref());
    let window = parameters.take_as("window", "24h, 7d, 30d or 90d")?.unwrap_or(Window::Month);
    parameters.finish()?;
    let id = named(&path, "monitor")?;
    let snapshot = shared.snapshot();
    find(&snapshot, &id)?;
    let (now, reader) = (snapshot.at, &shared.sources.reader);
    let histories = reader.histories(vec![id.clone()], window.until(now)).await?;
    let (grain, stretch) = window.rollups(now);
    let rollups = reader.rollups(&id, grain, stretch).await?;
    let history = histories.get(&id).cloned().unwrap_or_default();
    Ok(Json(Report::of(&id, window, now, &history, &rollups)).into_response())
}
