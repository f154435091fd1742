//! A bounded pool of read-only connections, used on the threads for blocking work.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rusqlite::{Connection, ErrorCode};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use super::StoreError;
use crate::{limits, store::open};

/// The pool. A connection is opened when it is first needed.
pub(super) struct Pool {
    file: PathBuf,
    permits: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    /// Opens the first connection, so that what cannot be read is known at once.
    pub(super) fn open(file: &Path) -> Result<Self, rusqlite::Error> {
        let first = open::open_reader(file)?;
        Ok(Self {
            file: file.to_owned(),
            permits: Semaphore::new(limits::READ_CONNECTIONS_MAX),
            idle: Mutex::new(vec![first]),
        })
    }

    /// Asks one question on a free connection. One that takes too long is interrupted.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = timeout(limits::READ_WAIT_MAX, self.permits.acquire()).await;
        let Ok(Ok(_permit)) = permit else { return Err(StoreError::Busy) };
        let connection = match self.take() {
            Some(connection) => connection,
            None => open::open_reader(&self.file).map_err(told)?,
        };
        let interrupt = connection.get_interrupt_handle();
        let mut asking = spawn_blocking(move || {
            let answer = question(&connection);
            (connection, answer)
        });
        let asked = match timeout(limits::READ_TIME_MAX, &mut asking).await {
            Ok(asked) => asked,
            Err(_) => {
                interrupt.interrupt();
                asking.await
            }
        };
        let (connection, answer) = asked.map_err(|error| StoreError::Sqlite(error.to_string()))?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        answer.map_err(told)
    }

    fn take(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("file", &self.file).finish_non_exhaustive()
    }
}

fn told(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted | ErrorCode::DatabaseBusy) => StoreError::Busy,
        _ => StoreError::Sqlite(error.to_string()),
    }
}
