//! The one writer: a thread that owns the writing connection, and with it checkpoints and pruning.

#[cfg(feature = "simulation")]
mod simulated;

use std::{
    fs::File,
    sync::mpsc::{Receiver, RecvTimeoutError},
};

use quorate_proto::{Micros, WallMicros};
use rusqlite::{Connection, ErrorCode, TransactionBehavior, params};
use tokio::sync::oneshot;

use super::{
    commit::{Commit, CommitError},
    rows,
};
use crate::{clock, limits};

/// One transaction to make, and where to say what became of it.
pub(super) struct Job {
    pub(super) commit: Commit,
    pub(super) done: oneshot::Sender<Result<(), CommitError>>,
}

/// For how long what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The log as received.
    pub batches: Micros,
    /// Checks, and what happened to canaries.
    pub results: Micros,
    /// Counts of checks by the hour; those by the day are kept as long as records.
    pub hours: Micros,
    /// What is rare and is looked up long after: events, idle timeouts, gaps, and deliveries that are settled and whose
    /// incident is resolved; and what uptime is made of.
    pub records: Micros,
}

impl Default for Retention {
    /// The log for 7 days, checks for 30, hours for 45, records for 400: a year later one may still look them up.
    fn default() -> Self {
        const DAY: Micros = Micros::from_secs(24 * 3600);
        Self { batches: DAY * 7, results: DAY * 30, hours: DAY * 45, records: DAY * 400 }
    }
}

/// What the thread owns.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) retention: Retention,
    /// Held so that no other process opens the database before this thread has let go of it.
    pub(super) _lock: File,
}

impl Writer {
    /// Works until every [`super::Store`] is gone and the queue is empty, and then leaves a database without a WAL.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        let mut prune_at = clock::now().after(limits::PRUNE_PAUSE);
        loop {
            match jobs.recv_timeout(prune_at.since(clock::now()).into()) {
                Ok(Job { commit, done }) => {
                    let outcome = self.commit(&commit);
                    // Whoever asked may have gone; the rows are there all the same.
                    let _ = done.send(outcome);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.checkpoint();
            if clock::now() >= prune_at {
                prune_at = clock::now().after(self.prune_bite());
            }
        }
        if let Err(error) = self.checkpoint_all() {
            tracing::warn!(%error, "the database's WAL was not emptied at the end; nothing is lost");
        }
    }

    /// Prunes a little, since a commit never waits for more than one bite, and says how long to pause.
    fn prune_bite(&self) -> Micros {
        match self.prune(clock::wall()) {
            0 => limits::PRUNE_PAUSE,
            _ => limits::PRUNE_BITE_PAUSE,
        }
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), CommitError> {
        let made = (|| {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            rows::write(&transaction, commit)?;
            transaction.commit()
        })();
        made.map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => CommitError::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => CommitError::Locked,
            _ => CommitError::Sqlite(error.to_string()),
        })
    }

    /// Moves what the WAL holds into the database once the WAL has grown; waits for no reader.
    fn checkpoint(&self) {
        let bytes = self
            .connection
            .path()
            .and_then(|path| std::fs::metadata(format!("{path}-wal")).ok())
            .map_or(0, |metadata| metadata.len());
        if bytes < limits::WAL_BYTES_CHECKPOINT {
            return;
        }
        let checkpoint = match bytes < limits::WAL_BYTES_TRUNCATE {
            true => "PRAGMA wal_checkpoint(PASSIVE)",
            // Readers kept the WAL from starting over for long: wait for them, a little.
            false => "PRAGMA wal_checkpoint(TRUNCATE)",
        };
        if let Err(error) = self.connection.query_row(checkpoint, [], |_| Ok(())) {
            tracing::debug!(%error, bytes, "checkpoint put off");
        }
    }

    fn checkpoint_all(&self) -> Result<(), rusqlite::Error> {
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }

    /// Deletes one bite of rows that are too old from each table, and says how many.
    fn prune(&self, wall: WallMicros) -> usize {
        let Retention { batches, results, hours, records } = self.retention;
        let old = [
            (
                "DELETE FROM batch WHERE rowid IN (SELECT rowid FROM batch WHERE received_at < ?1 LIMIT ?2)",
                batches,
            ),
            ("DELETE FROM result WHERE id IN (SELECT id FROM result WHERE ended_at < ?1 LIMIT ?2)", results),
            ("DELETE FROM canary WHERE id IN (SELECT id FROM canary WHERE at < ?1 LIMIT ?2)", results),
            (
                "DELETE FROM idle_timeout WHERE id IN (SELECT id FROM idle_timeout WHERE at < ?1 LIMIT ?2)",
                records,
            ),
            (
                "DELETE FROM monitor_event WHERE id IN (SELECT id FROM monitor_event WHERE at < ?1 LIMIT ?2)",
                records,
            ),
            (
                "DELETE FROM gap WHERE (agent, epoch, sequence, resume) IN
                     (SELECT agent, epoch, sequence, resume FROM gap WHERE received_at < ?1 LIMIT ?2)",
                records,
            ),
            // The newest stays, so that its number is not given out again.
            (
                "DELETE FROM delivery WHERE id IN
                     (SELECT id FROM delivery WHERE state <> 'pending' AND decided_at < ?1
                          AND id < (SELECT max(id) FROM delivery)
                          AND NOT EXISTS (SELECT 1 FROM incident
                              WHERE incident.id = delivery.incident AND incident.resolved_at IS NULL)
                      LIMIT ?2)",
                records,
            ),
            (
                "DELETE FROM join_token WHERE id IN (SELECT id FROM join_token WHERE expires_at < ?1 LIMIT ?2)",
                limits::JOIN_TOKEN_KEPT,
            ),
            // The latest of each monitor before then stays: it says what it was since.
            (
                "DELETE FROM turn WHERE (monitor, since) IN
                     (SELECT monitor, since FROM turn t WHERE since < ?1
                          AND EXISTS (SELECT 1 FROM turn later
                              WHERE later.monitor = t.monitor AND later.since > t.since AND later.since < ?1)
                      LIMIT ?2)",
                records,
            ),
            ("DELETE FROM away WHERE since IN (SELECT since FROM away WHERE since < ?1 LIMIT ?2)", records),
            (
                "DELETE FROM mend WHERE (monitor, since, until) IN
                     (SELECT monitor, since, until FROM mend WHERE since < ?1 LIMIT ?2)",
                records,
            ),
            (
                "DELETE FROM late_vote WHERE (monitor, slot, until, region) IN
                     (SELECT monitor, slot, until, region FROM late_vote WHERE slot < ?1 LIMIT ?2)",
                results,
            ),
            (
                "DELETE FROM rollup_hour WHERE (monitor, at, region) IN
                     (SELECT monitor, at, region FROM rollup_hour WHERE at < ?1 LIMIT ?2)",
                hours,
            ),
            (
                "DELETE FROM rollup_day WHERE (monitor, at, region) IN
                     (SELECT monitor, at, region FROM rollup_day WHERE at < ?1 LIMIT ?2)",
                records,
            ),
            (
                "DELETE FROM maintenance WHERE id IN (SELECT id FROM maintenance WHERE until < ?1 LIMIT ?2)",
                records,
            ),
        ];
        let bite = |(statement, age): (&str, Micros)| {
            self.connection
                .prepare_cached(statement)?
                .execute(params![wall.before(age).0, limits::PRUNE_ROWS])
        };
        if let Err(error) = super::rows::prune_evidence(&self.connection, wall, batches, records) {
            tracing::debug!(%error, "evidence was not taken over; the log stays until it is");
            return 0;
        }
        let deleted = old.into_iter().map(bite).sum::<Result<usize, rusqlite::Error>>();
        deleted.unwrap_or_else(|error| {
            tracing::debug!(%error, "old rows were not deleted; the next turn tries again");
            0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Change, fixture::Agent, open};

    fn writer(folder: &std::path::Path) -> Writer {
        let opened = open::open(folder).unwrap();
        Writer { connection: opened.connection, retention: Retention::default(), _lock: opened.lock }
    }

    fn count(writer: &Writer, table: &str) -> i64 {
        writer.connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_unit_is_stored_once_however_often_it_comes() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(folder.path());
        let mut agent = Agent::new("eu-a", "eu");
        let unit = agent.passed("shop", 1_000_000);
        for _ in 0..3 {
            let commit = Commit { units: vec![unit.clone()], changes: vec![] };
            writer.commit(&commit).unwrap();
        }
        assert_eq!((count(&writer, "batch"), count(&writer, "result")), (1, 1));
        assert_eq!(count(&writer, "chain_head"), 1);
    }

    #[test]
    fn a_full_disk_leaves_nothing_of_the_commit() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(folder.path());
        let pages: i64 = writer.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        writer
            .connection
            .pragma_update_and_check(None, "max_page_count", pages + 1, |row| row.get::<_, i64>(0))
            .unwrap();
        let mut agent = Agent::new("eu-a", "eu");
        let units = (0..64).map(|_| agent.failed("shop", 1_000_000, &"x".repeat(500))).collect();
        assert_eq!(writer.commit(&Commit { units, changes: vec![] }), Err(CommitError::Full));
        assert_eq!((count(&writer, "batch"), count(&writer, "result")), (0, 0));
        let change = Change::Revision(1);
        assert_eq!(
            writer.commit(&Commit { units: vec![], changes: vec![change] }),
            Ok(()),
            "room for little"
        );
    }

    #[test]
    fn old_rows_go_and_young_ones_stay() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(folder.path());
        let mut agent = Agent::new("eu-a", "eu");
        let day = 24 * 3_600_000_000_i64;
        let units =
            vec![agent.passed("shop", day), agent.passed("shop", 20 * day), agent.passed("shop", 39 * day)];
        writer.commit(&Commit { units, changes: vec![] }).unwrap();
        assert_eq!(writer.prune(WallMicros(40 * day)), 3);
        assert_eq!((count(&writer, "batch"), count(&writer, "result")), (1, 2));
        assert_eq!(writer.prune(WallMicros(40 * day)), 0);
    }

    #[test]
    fn records_go_later_and_what_is_owed_or_open_stays() {
        use crate::model::{
            DeliveryState, Tracked,
            fixture::{alert, delivery, event, incident},
        };
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(folder.path());
        let day = 24 * 3_600_000_000_i64;
        let mut changes = Vec::new();
        // Incident 0 is open. Each has a delivery that is taken and one that is owed; a third is of no incident.
        for number in 0..2 {
            let mut incident = incident(&format!("inc_{number}"), "shop");
            incident.resolved_at = (number > 0).then_some(WallMicros(5));
            for state in [DeliveryState::Delivered, DeliveryState::Pending, DeliveryState::Failed] {
                let id = u64::try_from(changes.len()).unwrap();
                let mut row = delivery(id, "x", alert("msg_1", &incident));
                row.state = state;
                changes.push(Change::Delivery(Box::new(row)));
            }
            let opened_at = WallMicros(1);
            changes.push(Change::Incident(Box::new(Tracked {
                incident,
                opened_at,
                told: Default::default(),
            })));
        }
        changes.push(Change::Event(Box::new(event("evt_1", "shop", WallMicros(day)))));
        changes.push(Change::Event(Box::new(event("evt_2", "shop", WallMicros(399 * day)))));
        let newest = delivery(99, "x", alert("msg_2", &incident("inc_1", "shop")));
        changes.push(Change::Delivery(Box::new(crate::model::Delivery {
            state: DeliveryState::Delivered,
            ..newest
        })));
        let mut agent = Agent::new("eu-a", "eu");
        let gap = agent.gap(3, quorate_proto::Digest([1; 32]), 3);
        let gap = agent.rows_of(gap, day);
        writer.commit(&Commit { units: vec![gap], changes }).unwrap();
        assert_eq!(writer.prune(WallMicros(400 * day)), 0);
        // Of the incident that is resolved, the two deliveries that are settled; the event; the gap.
        assert_eq!(writer.prune(WallMicros(402 * day)), 4);
        assert_eq!((count(&writer, "delivery"), count(&writer, "incident")), (5, 2));
        assert_eq!((count(&writer, "monitor_event"), count(&writer, "gap")), (1, 0));
        assert_eq!(writer.prune(WallMicros(402 * day)), 0);
    }

    #[test]
    fn what_uptime_is_made_of_goes_with_its_age_and_the_latest_turn_stays() {
        use quorate_quorum::{Verdict, uptime::Stretch};
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(folder.path());
        let day = 24 * 3_600_000_000_i64;
        let turn = |monitor: &str, at, verdict| Change::Turn {
            monitor: monitor.parse().unwrap(),
            at: WallMicros(at),
            verdict,
        };
        let away = |from, to| Change::Away(Stretch { from: WallMicros(from), to: WallMicros(to) });
        let changes = vec![
            turn("shop", 1, Some(Verdict::Up)),
            turn("shop", day, Some(Verdict::Down)),
            turn("shop", 2 * day, Some(Verdict::Up)),
            turn("shop", 2 * day + 1, Some(Verdict::Up)),
            turn("chat", 5, Some(Verdict::Up)),
            away(1, 2),
            away(401 * day, 401 * day + 1),
        ];
        let mut agent = Agent::new("eu-a", "eu");
        let units = vec![agent.passed("shop", day), agent.passed("shop", 395 * day)];
        writer.commit(&Commit { units, changes }).unwrap();
        assert_eq!(count(&writer, "turn"), 4, "one that changes nothing is none");
        // Of what was set back by the wall clock the order stays.
        writer
            .commit(&Commit { units: vec![], changes: vec![turn("shop", 3, Some(Verdict::Down))] })
            .unwrap();
        let latest: i64 =
            writer.connection.query_row("SELECT max(since) FROM turn", [], |row| row.get(0)).unwrap();
        assert_eq!(latest, 2 * day + 1);
        while writer.prune(WallMicros(402 * day)) > 0 {}
        let rows = ["turn", "away", "rollup_hour", "rollup_day"].map(|table| count(&writer, table));
        assert_eq!(rows, [4, 1, 1, 1], "of shop the latest before then, and what came later");
    }

    #[test]
    fn epochs_are_remembered_long_enough_to_know_which_are_over() {
        use quorate_proto::{BootEpoch, limits::EPOCHS_REMEMBERED_MAX};
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(folder.path());
        let mut agent = Agent::new("eu-a", "eu");
        for _ in 0..EPOCHS_REMEMBERED_MAX + 9 {
            agent.restart();
            writer.commit(&Commit { units: vec![agent.passed("shop", 1)], changes: vec![] }).unwrap();
        }
        assert_eq!(count(&writer, "chain_head"), i64::try_from(EPOCHS_REMEMBERED_MAX + 1).unwrap());
        let recovered = super::super::recover::recover(&writer.connection).unwrap();
        let chains = &recovered.chains[&agent.key()];
        assert_eq!(chains.heads().count(), EPOCHS_REMEMBERED_MAX);
        assert!(chains.head(BootEpoch(10)).is_none() && chains.head(BootEpoch(11)).is_some());
    }
}
