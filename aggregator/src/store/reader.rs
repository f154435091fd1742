//! Reading without waiting for the writer: a bounded pool of read-only connections.

mod cursor;
mod evidence;
mod history;
mod pool;
mod questions;
mod rows;
mod uptime;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use quorate_proto::{MonitorId, Region};
use quorate_quorum::uptime::{History, Stretch};
use serde::Serialize;

pub use self::evidence::{Dossier, Meant};
pub use self::rows::{
    AddressRow, CanaryRow, Grain, IdleTimeoutRow, PhasesMs, ResultRow, Rollup, RoundTripsMs,
};
pub(super) use self::uptime::maintenances;
use self::{cursor::Page, pool::Pool};
use super::OpenError;
use crate::model::{Delivery, Incident, Maintenance, MonitorEvent};

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
    /// Reads the database of a data folder, whether or not an aggregator runs on it. Nothing is changed.
    ///
    /// # Errors
    /// [`OpenError`], also for a database whose schema is not this program's.
    pub fn of_folder(folder: &Path) -> Result<Self, OpenError> {
        let (connection, file) = super::open::open_to_read(folder)?;
        drop(connection);
        Self::open(&file).map_err(|error| OpenError::sqlite(&file, error))
    }

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

    /// What happened to canaries of one monitor, newest first, of one region or all. Without `alive` the reports that
    /// nothing happened are left out.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn canaries(
        &self,
        monitor: &MonitorId,
        region: Option<&Region>,
        alive: bool,
        cursor: &Cursor,
    ) -> Result<Paged<CanaryRow>, StoreError> {
        let page = Page::<i64>::of(cursor)?;
        let (monitor, region) = (monitor.clone(), region.cloned());
        self.pool
            .ask(move |connection| history::canaries(connection, &monitor, region.as_ref(), alive, &page))
            .await
    }

    /// Searches for idle timeouts of one monitor's paths, newest first, of one region or all.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn idle_timeouts(
        &self,
        monitor: &MonitorId,
        region: Option<&Region>,
        cursor: &Cursor,
    ) -> Result<Paged<IdleTimeoutRow>, StoreError> {
        let page = Page::<i64>::of(cursor)?;
        let (monitor, region) = (monitor.clone(), region.cloned());
        self.pool
            .ask(move |connection| history::idle_timeouts(connection, &monitor, region.as_ref(), &page))
            .await
    }

    /// The latest search for the idle timeout in each region of one monitor, in order of region.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn idle_timeouts_latest(&self, monitor: &MonitorId) -> Result<Vec<IdleTimeoutRow>, StoreError> {
        let monitor = monitor.clone();
        self.pool.ask(move |connection| history::idle_timeouts_latest(connection, &monitor)).await
    }

    /// Events that are no incident, newest first, of one monitor or all.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn events(
        &self,
        monitor: Option<&MonitorId>,
        cursor: &Cursor,
    ) -> Result<Paged<MonitorEvent>, StoreError> {
        let page = Page::<String>::of(cursor)?;
        let monitor = monitor.cloned();
        self.pool.ask(move |connection| history::events(connection, monitor.as_ref(), &page)).await
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

    /// Which incident a word of the user's means: an id, a beginning of one, `last`, or a monitor for its latest.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn meant(&self, word: &str) -> Result<Meant, StoreError> {
        let word = word.to_owned();
        self.pool.ask(move |connection| evidence::meant(connection, &word)).await
    }

    /// An incident with everything that is kept of how it was decided.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn dossier(&self, id: &str) -> Result<Option<Dossier>, StoreError> {
        let id = id.to_owned();
        self.pool.ask(move |connection| evidence::dossier(connection, &id)).await
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

    /// What is known of the past of these monitors in a window: verdicts, absences, mends, maintenance.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn histories(
        &self,
        monitors: Vec<MonitorId>,
        window: Stretch,
    ) -> Result<BTreeMap<MonitorId, History>, StoreError> {
        self.pool.ask(move |connection| uptime::histories(connection, &monitors, window)).await
    }

    /// Counts of one monitor's checks, by region and by hour or day, in a window, in order of time.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn rollups(
        &self,
        monitor: &MonitorId,
        grain: Grain,
        window: Stretch,
    ) -> Result<Vec<Rollup>, StoreError> {
        let monitor = monitor.clone();
        self.pool.ask(move |connection| uptime::rollups(connection, &monitor, grain, window)).await
    }

    /// Maintenance that has begun, or was planned by hand, the latest to end first.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn maintenances(&self, limit: u32) -> Result<Vec<Maintenance>, StoreError> {
        self.pool.ask(move |connection| uptime::maintenances(connection, limit)).await
    }

    /// Whether an API token with this SHA-256 is stored.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn has_token(&self, sha256: [u8; 32]) -> Result<bool, StoreError> {
        self.pool.ask(move |connection| questions::has_token(connection, &sha256)).await
    }
}
