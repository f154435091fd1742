//! Reading without waiting for the writer: a bounded pool of read-only connections.

use quorate_proto::{AgentName, MonitorId, Region};
use serde::Serialize;

use crate::model::{Delivery, Incident};

/// Where a page of rows starts, and how long it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Rows older than this one (an opaque text from [`Paged::next`]); none: the newest.
    pub before: Option<String>,
    /// At most this many rows.
    pub limit: u32,
}

/// One page of rows, newest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Paged<T> {
    /// The rows.
    pub items: Vec<T>,
    /// What to pass as `before` for the next page; `null` at the end.
    pub next: Option<String>,
}

/// One stored check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResultRow {
    /// The region that checked.
    pub region: Region,
    /// The agent that checked.
    pub agent: Option<AgentName>,
    /// `scheduled` or `confirming`.
    pub kind: &'static str,
    /// When it ended, by the aggregator's clock, RFC 3339.
    pub ended_at: String,
    /// Whether it passed.
    pub passed: bool,
    /// The failure's name.
    pub failure: Option<String>,
    /// The failure's phase.
    pub phase: Option<String>,
    /// The failure's detail.
    pub detail: Option<String>,
    /// The HTTP status of a refused upgrade.
    pub status: Option<u16>,
    /// Round trip or whole check, in milliseconds.
    pub latency_ms: f64,
    /// The whole check, in milliseconds.
    pub total_ms: f64,
    /// Phase by phase, in milliseconds.
    pub phases_ms: PhasesMs,
    /// The address that was dialled.
    pub address: Option<String>,
    /// Whether it came too late to decide.
    pub late: bool,
}

/// How long each phase took, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PhasesMs {
    /// Resolving.
    pub dns: Option<f64>,
    /// TCP handshake.
    pub tcp: Option<f64>,
    /// TLS handshake.
    pub tls: Option<f64>,
    /// HTTP upgrade.
    pub upgrade: Option<f64>,
    /// Steps.
    pub exchange: Option<f64>,
    /// Closing handshake.
    pub close: Option<f64>,
}

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite said no.
    #[error("the database: {0}")]
    Sqlite(String),
    /// The cursor is not one of ours.
    #[error("the cursor is not one that this API gave out")]
    Cursor,
    /// All read connections are busy, and stayed so for too long.
    #[error("the database is busy")]
    Busy,
}

/// The way to ask the store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reader {}

impl Reader {
    /// Checks of one monitor, newest first, of one region or all.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn results(
        &self,
        _monitor: &MonitorId,
        _region: Option<&Region>,
        _cursor: &Cursor,
    ) -> Result<Paged<ResultRow>, StoreError> {
        Err(StoreError::Busy)
    }

    /// Incidents, newest first, of one monitor or all, open or resolved or both.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn incidents(
        &self,
        _monitor: Option<&MonitorId>,
        _open: Option<bool>,
        _cursor: &Cursor,
    ) -> Result<Paged<Incident>, StoreError> {
        Err(StoreError::Busy)
    }

    /// One incident, with every alert about it.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn incident(&self, _id: &str) -> Result<Option<(Incident, Vec<Delivery>)>, StoreError> {
        Err(StoreError::Busy)
    }

    /// Deliveries, newest first, of one channel or all.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn deliveries(
        &self,
        _channel: Option<&str>,
        _cursor: &Cursor,
    ) -> Result<Paged<Delivery>, StoreError> {
        Err(StoreError::Busy)
    }

    /// Whether an API token with this SHA-256 is stored.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn has_token(&self, _sha256: [u8; 32]) -> Result<bool, StoreError> {
        Err(StoreError::Busy)
    }
}
