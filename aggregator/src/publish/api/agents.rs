//! `/api/v1/agents`: who is enrolled, and the only two things that can be changed over HTTP.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{Path, RawQuery, State, rejection::BytesRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use quorate_proto::{AgentName, DoubtReport, Region, WallMicros, frame::Health, limits::JOIN_TOKEN_LIFETIME};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{sync::oneshot, time::timeout};

use super::{Error, Parameters, Shared, named, page};
use crate::{
    clock, limits,
    model::{Admin, AdminError, AgentView, Intake, rfc3339, view::OutlierView},
};

/// What is wanted of a new agent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: AgentName,
    region: Region,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct AgentJson<'a> {
    name: &'a AgentName,
    region: &'a Region,
    labels: &'a BTreeMap<String, String>,
    key: String,
    connected: bool,
    remote: Option<&'a str>,
    software: Option<&'a str>,
    #[serde(with = "rfc3339::option")]
    last_seen_at: Option<WallMicros>,
    #[serde(with = "rfc3339")]
    enrolled_at: WallMicros,
    health: Option<HealthJson>,
    /// The gravest first; empty where the agent trusts itself.
    doubts: Vec<DoubtJson<'a>>,
    outlier: Option<OutlierJson>,
}

#[derive(Serialize)]
struct OutlierJson {
    contradiction: &'static str,
    #[serde(with = "rfc3339")]
    since: WallMicros,
    disagreements: u32,
    compared: u32,
}

#[derive(Serialize)]
struct HealthJson {
    revision: u64,
    monitors: u32,
    checks: u64,
    event_loop_lag_max_ms: f64,
    schedule_lag_max_ms: f64,
    spool_units: u64,
    spool_bytes: u64,
    spool_failing: bool,
    results_dropped: u64,
    records_torn: u64,
}

/// One reason why the agent does not trust itself, so that its vote abstains.
#[derive(Serialize)]
struct DoubtJson<'a> {
    /// The stable name.
    doubt: &'static str,
    /// How long it has been so, in seconds, at its last report.
    lasting_s: f64,
    /// What was seen, with the numbers.
    detail: &'a str,
    /// What is the matter, and what to do about it.
    summary: String,
}

/// `GET /api/v1/agents?limit=&before=`: enrolled agents that are not revoked, by name.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    let cursor = Parameters::cursor_alone(query.as_deref())?;
    let snapshot = shared.snapshot();
    let paged = page(&snapshot.agents, &cursor, |agent| agent.name.as_str(), AgentJson::of)?;
    Ok(Json(paged).into_response())
}

/// `POST /api/v1/agents` with `{"name", "region", "labels"}`: a join string for a new agent. It is in this answer and
/// nowhere else.
pub(super) async fn add(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Error> {
    Parameters::read(query.as_deref()).finish()?;
    let wanted = read(&self::body(body)?)?;
    tracing::info!(agent = %wanted.name, region = %wanted.region, "an operator adds an agent");
    let asked_at = clock::wall();
    let join = wish(&shared, |reply| Admin::AddAgent {
        name: wanted.name,
        region: wanted.region,
        labels: wanted.labels,
        reply,
    })
    .await?;
    let expires_at = rfc3339::text(asked_at.after(JOIN_TOKEN_LIFETIME));
    let answer = json!({ "join": join.to_string(), "expires_at": expires_at });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// `DELETE /api/v1/agents/{name}`: revokes it; its connection is closed at once.
pub(super) async fn revoke(
    State(shared): State<Arc<Shared>>,
    path: Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    Parameters::read(query.as_deref()).finish()?;
    let name: AgentName = named(&path, "agent")?;
    tracing::info!(agent = %name, "an operator revokes an agent");
    let agent = wish(&shared, |reply| Admin::RevokeAgent { name, reply }).await?;
    Ok(Json(json!({
        "name": agent.name,
        "region": agent.region,
        "labels": agent.labels,
        "key": agent.key.to_string(),
        "enrolled_at": rfc3339::text(agent.enrolled_at),
        "revoked_at": agent.revoked_at.map(rfc3339::text),
    }))
    .into_response())
}

/// The body of a request, where it came whole.
pub(super) fn body(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Error> {
    body.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Error::BodyTooLarge
        } else {
            Error::Body(rejection.body_text())
        }
    })
}

fn read(body: &[u8]) -> Result<Wanted, Error> {
    let wanted: Wanted = serde_json::from_slice(body).map_err(|error| Error::Body(error.to_string()))?;
    if wanted.labels.len() > limits::AGENT_LABELS_MAX {
        let (found, most) = (wanted.labels.len(), limits::AGENT_LABELS_MAX);
        return Err(Error::Body(format!("labels: {found} are given; at most {most} are allowed")));
    }
    let is_bad = |text: &str| text.is_empty() || text.len() > limits::AGENT_LABEL_BYTES_MAX;
    if let Some((name, _)) = wanted.labels.iter().find(|(name, value)| is_bad(name) || is_bad(value)) {
        let most = limits::AGENT_LABEL_BYTES_MAX;
        return Err(Error::Body(format!("labels: {name:?}: name and value have 1 to {most} bytes each")));
    }
    Ok(wanted)
}

/// Asks the core for something, and waits for what became of it, both under a deadline.
pub(super) async fn wish<T>(
    shared: &Shared,
    admin: impl FnOnce(oneshot::Sender<Result<T, AdminError>>) -> Admin,
) -> Result<T, Error> {
    let (reply, answer) = oneshot::channel();
    let message = Intake::Admin(admin(reply));
    shared.sources.intake.send_timeout(message, limits::HTTP_ADMIN_MAX).await.map_err(|_| Error::NotTaken)?;
    match timeout(limits::HTTP_ADMIN_MAX, answer).await {
        Ok(Ok(answer)) => Ok(answer?),
        Ok(Err(_)) | Err(_) => Err(Error::Unanswered),
    }
}

impl<'a> AgentJson<'a> {
    fn of(agent: &'a AgentView) -> Self {
        Self {
            name: &agent.name,
            region: &agent.region,
            labels: &agent.labels,
            key: agent.key.to_string(),
            connected: agent.connected,
            remote: agent.remote.as_deref(),
            software: agent.software.as_deref(),
            last_seen_at: agent.last_seen_at,
            enrolled_at: agent.enrolled_at,
            health: agent.health.as_ref().map(HealthJson::of),
            doubts: agent.health.iter().flat_map(|health| &health.doubts).map(DoubtJson::of).collect(),
            outlier: agent.outlier.as_ref().map(OutlierJson::of),
        }
    }
}

impl<'a> DoubtJson<'a> {
    fn of(report: &'a DoubtReport) -> Self {
        let doubt = report.doubt;
        Self {
            doubt: doubt.name(),
            lasting_s: report.lasting.as_secs_f64(),
            detail: &report.detail,
            summary: format!("The agent doubts itself: {}. {}", doubt.words(), doubt.advice()),
        }
    }
}

impl OutlierJson {
    fn of(outlier: &OutlierView) -> Self {
        let OutlierView { contradiction, since, disagreements, compared } = *outlier;
        Self { contradiction: contradiction.name(), since, disagreements, compared }
    }
}

impl HealthJson {
    fn of(health: &Health) -> Self {
        Self {
            revision: health.revision,
            monitors: health.monitors,
            checks: health.checks,
            event_loop_lag_max_ms: health.event_loop_lag_max.as_millis_f64(),
            schedule_lag_max_ms: health.schedule_lag_max.as_millis_f64(),
            spool_units: health.spool_units,
            spool_bytes: health.spool_bytes,
            spool_failing: health.spool_failing,
            results_dropped: health.results_dropped,
            records_torn: health.records_torn,
        }
    }
}
