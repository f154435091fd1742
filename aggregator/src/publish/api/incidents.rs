//! `/api/v1/incidents`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
};
use serde::Serialize;

use super::{Error, Paged, Parameters, Shared, absent};
use crate::model::{Delivery, Incident};

/// One incident with what was sent about it.
#[derive(Serialize)]
pub(super) struct IncidentWithDeliveries {
    #[serde(flatten)]
    incident: Incident,
    deliveries: Vec<Delivery>,
}

/// `GET /api/v1/incidents?monitor=&open=&limit=&before=`: newest first.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Paged<Incident>>, Error> {
    let mut parameters = Parameters::read(query.as_deref());
    let cursor = parameters.take_cursor()?;
    let monitor = parameters.take_as("monitor", "the id of a monitor")?;
    let open = parameters.take_as("open", "true or false")?;
    parameters.finish()?;
    Ok(Json(shared.sources.reader.incidents(monitor.as_ref(), open, &cursor).await?))
}

/// `GET /api/v1/incidents/{id}`.
pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<IncidentWithDeliveries>, Error> {
    Parameters::read(query.as_deref()).finish()?;
    let found = shared.sources.reader.incident(&id).await?;
    let (incident, deliveries) = found.ok_or_else(|| absent("incident", &id))?;
    Ok(Json(IncidentWithDeliveries { incident, deliveries }))
}
