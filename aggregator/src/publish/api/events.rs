//! `/api/v1/events`: what happened to monitors and is no incident.

use std::sync::Arc;

use axum::{
    Json,
    extract::{RawQuery, State},
};

use super::{Error, Paged, Parameters, Shared};
use crate::model::MonitorEvent;

/// `GET /api/v1/events?monitor=&limit=&before=`: newest first.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Paged<MonitorEvent>>, Error> {
    let mut parameters = Parameters::read(query.as_deref());
    let cursor = parameters.take_cursor()?;
    let monitor = parameters.take_as("monitor", "the id of a monitor")?;
    parameters.finish()?;
    Ok(Json(shared.sources.reader.events(monitor.as_ref(), &cursor).await?))
}
