//! A bounded pool of read-only connections, used on the threads for blocking work.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use super::StoreError;
use crate::{limits, store::open};

/// The pool. A connection is opened when it is first needed.
pub(super) struct Pool {
    file: PathBuf,
    permits: Semaphore,
    /// How long a question waits for a connection, and how long it may then take.
    wait_max: Duration,
    time_max: Duration,
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    /// Opens the first connection, so that what cannot be read is known at once.
    pub(super) fn open(file: &Path) -> Result<Self, rusqlite::Error> {
        let first = open::open_reader(file)?;
        Ok(Self {
            file: file.to_owned(),
            permits: Semaphore::new(limits::READ_CONNECTIONS_MAX),
            wait_max: limits::READ_WAIT_MAX,
            time_max: limits::READ_TIME_MAX,
            idle: Mutex::new(vec![first]),
        })
    }

    /// Asks one question on a free connection. One that takes too long is interrupted.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = timeout(self.wait_max, self.permits.acquire()).await;
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
        let asked = match timeout(self.time_max, &mut asking).await {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const ENDLESS: &str =
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";

    fn pool(folder: &Path, wait_max: Duration, time_max: Duration) -> Pool {
        let opened = open::open(folder).unwrap();
        Pool { wait_max, time_max, ..Pool::open(&opened.file).unwrap() }
    }

    fn one(connection: &Connection) -> Result<i64, rusqlite::Error> {
        connection.query_row("SELECT 1", [], |row| row.get(0))
    }

    #[tokio::test]
    async fn a_question_that_takes_too_long_is_interrupted_and_its_connection_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let pool = pool(folder.path(), Duration::from_secs(60), Duration::from_millis(20));
        for _ in 0..limits::READ_CONNECTIONS_MAX + 1 {
            let answer =
                pool.ask(|connection| connection.query_row(ENDLESS, [], |row| row.get::<_, i64>(0))).await;
            assert!(matches!(answer, Err(StoreError::Busy)), "{answer:?}");
        }
        assert_eq!(pool.ask(one).await.unwrap(), 1);
        assert_eq!(pool.idle.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn connections_are_bounded_and_a_question_does_not_wait_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let pool = Arc::new(pool(folder.path(), Duration::from_millis(20), Duration::from_secs(60)));
        let gate = Arc::new(std::sync::Barrier::new(limits::READ_CONNECTIONS_MAX + 1));
        let held = (0..limits::READ_CONNECTIONS_MAX).map(|_| {
            let (pool, gate) = (Arc::clone(&pool), Arc::clone(&gate));
            tokio::spawn(async move {
                let wait = move |_: &Connection| Ok(gate.wait().is_leader());
                pool.ask(wait).await
            })
        });
        let held = held.collect::<Vec<_>>();
        while pool.permits.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(pool.ask(one).await, Err(StoreError::Busy)));
        spawn_blocking(move || gate.wait().is_leader()).await.unwrap();
        for one in held {
            one.await.unwrap().unwrap();
        }
        assert_eq!(pool.ask(one).await.unwrap(), 1);
    }
}
