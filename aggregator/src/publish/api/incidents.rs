//! `/api/v1/incidents`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    http::header,
    response::{IntoResponse as _, Response},
};
use serde::Serialize;

use super::{Error, Paged, Parameters, Shared, absent};
use crate::{
    evidence::{Explanation, explain},
    model::{Delivery, Incident},
    store::{Dossier, Meant},
};

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

/// An explanation, with all of it as one text.
#[derive(Serialize)]
pub(super) struct Explained {
    #[serde(flatten)]
    explanation: Explanation,
    text: String,
}

/// `GET /api/v1/incidents/{id}/explanation`: why it was decided as it was. The id may be a beginning that no other incident
/// has, `last`, or a monitor's id for its latest.
pub(super) async fn explanation(
    State(shared): State<Arc<Shared>>,
    Path(word): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Explained>, Error> {
    Parameters::read(query.as_deref()).finish()?;
    let dossier = dossier(&shared, &word).await?;
    let explanation = explain(&dossier);
    let text = explanation.text();
    Ok(Json(Explained { explanation, text }))
}

/// `GET /api/v1/incidents/{id}/evidence`: its evidence as one sealed file, to be kept byte for byte.
pub(super) async fn evidence(
    State(shared): State<Arc<Shared>>,
    Path(word): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    Parameters::read(query.as_deref()).finish()?;
    let dossier = dossier(&shared, &word).await?;
    let sealer = Arc::clone(&shared.sources.sealer);
    let sealed = tokio::task::spawn_blocking(move || sealer(&dossier)).await.ok().flatten();
    let sealed = sealed.ok_or_else(|| {
        tracing::error!("evidence could not be written");
        Error::Internal
    })?;
    Ok(([(header::CONTENT_TYPE, "application/json")], sealed).into_response())
}

/// The incident that is meant, with its evidence.
async fn dossier(shared: &Shared, word: &str) -> Result<Dossier, Error> {
    let reader = &shared.sources.reader;
    let id = match reader.meant(word).await? {
        Meant::One(id) => id,
        Meant::None => return Err(absent("incident", word)),
        Meant::Several(ids) => {
            return Err(Error::NotFound(format!("single incident {word:?}: {} begin so", ids.join(", "))));
        }
    };
    reader.dossier(&id).await?.ok_or_else(|| absent("incident", word))
}
