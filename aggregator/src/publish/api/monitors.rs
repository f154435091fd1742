//! `/api/v1/monitors`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    response::{IntoResponse, Response},
};
use quorate_proto::{MonitorId, Region};

use super::{Error, Paged, Parameters, Shared, absent, named, page};
use crate::{
    model::{MonitorView, Snapshot},
    publish::view::FullMonitor,
    store::{CanaryRow, Cursor, IdleTimeoutRow, ResultRow},
};

/// `GET /api/v1/monitors?limit=&before=`: every monitor as it stands, in the order of the configuration.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    let cursor = Parameters::cursor_alone(query.as_deref())?;
    let snapshot = shared.snapshot();
    let paged =
        page(&snapshot.monitors, &cursor, |monitor| monitor.id.as_str(), |monitor| FullMonitor::of(monitor))?;
    Ok(Json(paged).into_response())
}

/// `GET /api/v1/monitors/{id}`: one monitor as it stands.
pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    path: Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    Parameters::read(query.as_deref()).finish()?;
    let id = named(&path, "monitor")?;
    let snapshot = shared.snapshot();
    Ok(Json(FullMonitor::of(find(&snapshot, &id)?)).into_response())
}

/// `GET /api/v1/monitors/{id}/results?region=&limit=&before=`: its checks, newest first.
pub(super) async fn results(
    State(shared): State<Arc<Shared>>,
    path: Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Paged<ResultRow>>, Error> {
    let mut parameters = Parameters::read(query.as_deref());
    let (cursor, region) = rows_of(&mut parameters)?;
    parameters.finish()?;
    let id = known(&shared, &path)?;
    Ok(Json(shared.sources.reader.results(&id, region.as_ref(), &cursor).await?))
}

/// `GET /api/v1/monitors/{id}/canaries?region=&alive=&limit=&before=`: what happened to the connections that its agents
/// hold open, newest first. `alive=true` also gives the reports that nothing happened.
pub(super) async fn canaries(
    State(shared): State<Arc<Shared>>,
    path: Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Paged<CanaryRow>>, Error> {
    let mut parameters = Parameters::read(query.as_deref());
    let (cursor, region) = rows_of(&mut parameters)?;
    let alive = parameters.take_as("alive", "true or false")?.unwrap_or(false);
    parameters.finish()?;
    let id = known(&shared, &path)?;
    Ok(Json(shared.sources.reader.canaries(&id, region.as_ref(), alive, &cursor).await?))
}

/// `GET /api/v1/monitors/{id}/idle-timeouts?region=&limit=&before=`: searches for the time after which the path cuts idle
/// connections, newest first.
pub(super) async fn idle_timeouts(
    State(shared): State<Arc<Shared>>,
    path: Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Paged<IdleTimeoutRow>>, Error> {
    let mut parameters = Parameters::read(query.as_deref());
    let (cursor, region) = rows_of(&mut parameters)?;
    parameters.finish()?;
    let id = known(&shared, &path)?;
    Ok(Json(shared.sources.reader.idle_timeouts(&id, region.as_ref(), &cursor).await?))
}

/// The monitor that a path names, where there is one.
fn known(shared: &Shared, path: &Path<String>) -> Result<MonitorId, Error> {
    let id = named(path, "monitor")?;
    find(&shared.snapshot(), &id)?;
    Ok(id)
}

/// Which rows of a monitor are asked for: a page of them, of one region or of all.
fn rows_of(parameters: &mut Parameters) -> Result<(Cursor, Option<Region>), Error> {
    Ok((parameters.take_cursor()?, parameters.take_as("region", "the name of a region")?))
}

pub(super) fn find<'a>(snapshot: &'a Snapshot, id: &MonitorId) -> Result<&'a MonitorView, Error> {
    let found = snapshot.monitors.iter().find(|monitor| monitor.id == *id);
    found.map(Arc::as_ref).ok_or_else(|| absent("monitor", id.as_str()))
}
