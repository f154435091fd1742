//! The store: SQLite behind a border. One writer thread, read-only connections for everyone else.
//!
//! [`Store`] writes, one [`Commit`] a transaction, and says what became of it when it is on the disk; [`Reader`] reads
//! without ever waiting for it; [`Recovered`] is what the core knows after a start. This is the only home of rusqlite.

mod columns;
pub mod commit;
#[cfg(test)]
pub(crate) mod fixture;
pub mod open;
pub mod past;
pub mod reader;
pub mod recover;
mod rows;
mod schema;
#[cfg(test)]
mod tests;
pub mod writer;

pub use commit::{BatchFacts, Change, Commit, CommitError, EntryFacts, MonitorForm, StoredTls, UnitRows};
pub use open::OpenError;
pub use reader::{
    AddressRow, CanaryRow, Cursor, Dossier, Grain, IdleTimeoutRow, Meant, Paged, PhasesMs, Reader, ResultRow,
    Rollup, RoundTripsMs, StoreError,
};
pub use recover::{Recovered, StoredVerdict};
pub use writer::Retention;

use std::{
    path::Path,
    sync::mpsc::{SyncSender, sync_channel},
    thread::JoinHandle,
};

use tokio::sync::oneshot;

use self::writer::{Job, Writer};
use crate::limits;

/// The way to the writer. When it is dropped, the writer ends by itself after what is queued; [`Store::close`] waits
/// for that.
#[derive(Debug)]
pub struct Store {
    jobs: SyncSender<Job>,
    thread: JoinHandle<()>,
    /// In a simulation a task writes, and the thread has nothing to do.
    #[cfg(feature = "simulation")]
    simulated: Option<tokio::sync::mpsc::Sender<Job>>,
}

impl Store {
    /// Opens the database in a folder, and makes it where there is none.
    ///
    /// # Errors
    /// Any [`OpenError`].
    pub fn open(folder: &Path) -> Result<(Self, Reader, Recovered), OpenError> {
        Self::open_keeping(folder, Retention::default())
    }

    /// The same, with another retention than the default.
    ///
    /// # Errors
    /// Any [`OpenError`].
    pub fn open_keeping(folder: &Path, retention: Retention) -> Result<(Self, Reader, Recovered), OpenError> {
        let opened = open::open(folder)?;
        let refused = |error| OpenError::sqlite(&opened.file, error);
        let recovered = recover::recover(&opened.connection).map_err(refused)?;
        let reader = Reader::open(&opened.file).map_err(refused)?;
        let writer = Writer { connection: opened.connection, retention, _lock: opened.lock };
        let (jobs, queue) = sync_channel(limits::COMMITS_QUEUED_MAX);
        #[cfg(feature = "simulation")]
        if quorate_agent::simulation::world().is_some() {
            let (simulated, queue) = tokio::sync::mpsc::channel(limits::COMMITS_QUEUED_MAX);
            tokio::spawn(writer.run_simulated(folder.to_owned(), queue));
            let thread = std::thread::spawn(|| {});
            return Ok((Self { jobs, thread, simulated: Some(simulated) }, reader, recovered));
        }
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || writer.run(&queue))
            .map_err(|error| OpenError::Folder { path: folder.to_owned(), error })?;
        let store = Self {
            jobs,
            thread,
            #[cfg(feature = "simulation")]
            simulated: None,
        };
        Ok((store, reader, recovered))
    }

    /// Hands a commit to the writer. The answer comes when it is on the disk, or not.
    pub fn submit(&self, commit: Commit) -> oneshot::Receiver<Result<(), CommitError>> {
        let (done, outcome) = oneshot::channel();
        #[cfg(feature = "simulation")]
        if let Some(simulated) = &self.simulated {
            let _ = simulated.try_send(Job { commit, done });
            return outcome;
        }
        // The core has one commit on the way at a time, so that the queue cannot be full; were it, the sender would be
        // dropped, and the core would take that for a failed commit and try again.
        let _ = self.jobs.try_send(Job { commit, done });
        outcome
    }

    /// Hands a commit to the writer and waits for it.
    ///
    /// # Errors
    /// Any [`CommitError`].
    pub async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        self.submit(commit).await.unwrap_or(Err(CommitError::Closed))
    }

    /// Ends the writer and waits until it has let go of the database. Blocks.
    pub fn close(self) {
        drop(self.jobs);
        if self.thread.join().is_err() {
            tracing::error!("the writer thread had failed");
        }
    }
}
