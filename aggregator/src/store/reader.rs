//! Reading without waiting for the writer: a bounded pool of read-only connections.

mod cursor;
mod pool;
mod questions;

use std::{path::Path, sync::Arc};

use quorate_proto::{AgentName, MonitorId, Region};
use serde::Serialize;

use self::{cursor::Page, pool::Pool};
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
pub struct Reader {
    pool: Arc<Pool>,
}

impl Reader {
    pub(super) fn open(file: &Path) -> Result<Self, rusqlite::Error> {
        Ok(Self { pool: Arc::new(Pool::open(file)?) })
    }

    /// Checks of one monitor, newest first, of one region or all.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn results(
        &self,
        monitor: &MonitorId,
        region: Option<&Region>,
        cursor: &Cursor,
    ) -> Result<Paged<ResultRow>, StoreError> {
        let page = Page::<i64>::of(cursor)?;
        let (monitor, region) = (monitor.clone(), region.cloned());
        self.pool
            .ask(move |connection| questions::results(connection, &monitor, region.as_ref(), &page))
            .await
    }

    /// Incidents, newest first, of one monitor or all, open or resolved or both.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn incidents(
        &self,
        monitor: Option<&MonitorId>,
        open: Option<bool>,
        cursor: &Cursor,
    ) -> Result<Paged<Incident>, StoreError> {
        let page = Page::<String>::of(cursor)?;
        let monitor = monitor.cloned();
        self.pool.ask(move |connection| questions::incidents(connection, monitor.as_ref(), open, &page)).await
    }

    /// One incident, with every alert about it.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn incident(&self, id: &str) -> Result<Option<(Incident, Vec<Delivery>)>, StoreError> {
        let id = id.to_owned();
        self.pool.ask(move |connection| questions::incident(connection, &id)).await
    }

    /// Deliveries, newest first, of one channel or all.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn deliveries(
        &self,
        channel: Option<&str>,
        cursor: &Cursor,
    ) -> Result<Paged<Delivery>, StoreError> {
        let page = Page::<i64>::of(cursor)?;
        let channel = channel.map(str::to_owned);
        self.pool.ask(move |connection| questions::deliveries(connection, channel.as_deref(), &page)).await
    }

    /// Whether an API token with this SHA-256 is stored.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn has_token(&self, sha256: [u8; 32]) -> Result<bool, StoreError> {
        self.pool.ask(move |connection| questions::has_token(connection, &sha256)).await
    }
}
