//! The tables, as migrations: each brings the schema one version further and is never edited after it shipped.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::OpenError;

/// Marks the file as ours (`PRAGMA application_id`): "QUOR" in ASCII.
pub(super) const APPLICATION_ID: i32 = 0x5155_4f52;

/// Version *n* is reached by running the first *n* of these.
const MIGRATIONS: [&str; 4] = [V1, V2, V3, V4];

/// The version that this program writes.
pub(super) const VERSION: i32 = MIGRATIONS.len() as i32;

/// Times are microseconds since 1970 by the aggregator's wall clock unless a comment says otherwise. Keys, digests and
/// hashes are raw bytes. `epoch` and `sequence` are unsigned in the protocol and keep their bits as signed integers.
const V1: &str = "
-- The log as received. Everything else about checks can be made again from it, while it is kept.
CREATE TABLE batch (
    agent BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    digest BLOB NOT NULL,
    received_at INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (agent, epoch, sequence)
) STRICT;
CREATE INDEX batch_received ON batch (received_at);

-- What each agent's next unit must name.
CREATE TABLE chain_head (
    agent BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    next INTEGER NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (agent, epoch)
) STRICT, WITHOUT ROWID;

-- Units of the log that say that others are missing. Beside the batches, because one may start at the sequence number
-- of a batch that came after all.
CREATE TABLE gap (
    agent BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    resume INTEGER NOT NULL,
    results INTEGER NOT NULL,
    cause TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (agent, epoch, sequence, resume)
) STRICT, WITHOUT ROWID;

-- History, one row a check. `failure` is null for a check that passed.
CREATE TABLE result (
    id INTEGER PRIMARY KEY,
    monitor TEXT NOT NULL,
    region TEXT NOT NULL,
    agent BLOB NOT NULL,
    confirming INTEGER NOT NULL,
    ended_at INTEGER NOT NULL,
    late INTEGER NOT NULL,
    failure TEXT,
    phase TEXT,
    detail TEXT,
    status INTEGER,
    server TEXT,
    body TEXT,
    total_us INTEGER NOT NULL,
    round_trip_us INTEGER,
    dns_us INTEGER,
    tcp_us INTEGER,
    tls_us INTEGER,
    upgrade_us INTEGER,
    exchange_us INTEGER,
    close_us INTEGER,
    address TEXT
) STRICT;
CREATE INDEX result_monitor ON result (monitor, ended_at, id);
CREATE INDEX result_ended ON result (ended_at);

-- `body` is the incident in its JSON form; `told` the channels that got the opening, as a JSON list.
CREATE TABLE incident (
    id TEXT PRIMARY KEY,
    monitor TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    resolved_at INTEGER,
    told TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX incident_opened ON incident (opened_at, id);
CREATE INDEX incident_monitor ON incident (monitor, opened_at, id);
CREATE INDEX incident_open ON incident (opened_at, id) WHERE resolved_at IS NULL;

-- Every decision about an incident.
CREATE TABLE incident_event (
    incident TEXT NOT NULL,
    at INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    rule TEXT NOT NULL,
    PRIMARY KEY (incident, at, verdict)
) STRICT, WITHOUT ROWID;

-- The outbox. `alert` is the alert in its JSON form.
CREATE TABLE delivery (
    id INTEGER PRIMARY KEY,
    channel TEXT NOT NULL,
    incident TEXT,
    alert TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    due_at INTEGER,
    first_sent_at INTEGER,
    delivered_at INTEGER,
    status INTEGER,
    error TEXT
) STRICT;
CREATE INDEX delivery_channel ON delivery (channel, id);
CREATE INDEX delivery_incident ON delivery (incident, id);
CREATE INDEX delivery_pending ON delivery (id) WHERE state = 'pending';

-- What was last decided of each monitor, and its open incident.
CREATE TABLE verdict (
    monitor TEXT PRIMARY KEY,
    verdict TEXT NOT NULL,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Which form of each monitor the agents were given, and the revision that brought it.
CREATE TABLE monitor (
    monitor TEXT PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE agent (
    key BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    region TEXT NOT NULL,
    labels TEXT NOT NULL,
    enrolled_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

-- Monitors that an agent was ever given: it may have results of them in its spool.
CREATE TABLE assignment_given (
    agent BLOB NOT NULL,
    monitor TEXT NOT NULL,
    PRIMARY KEY (agent, monitor)
) STRICT, WITHOUT ROWID;

CREATE TABLE join_token (
    id BLOB PRIMARY KEY,
    secret_hash BLOB NOT NULL,
    name TEXT NOT NULL,
    region TEXT NOT NULL,
    labels TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    used_by BLOB
) STRICT, WITHOUT ROWID;

CREATE TABLE api_token (
    sha256 BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Single values: `aggregator_key`, `revision`, `pulse` (when the store was last tried).
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Canaries, idle timeouts, events, and what is known of TLS. Columns are added without touching rows that are there.
const V2: &str = "
-- What happened to canaries, one row an event: `opened`, `not_opened`, `alive`, `ended`, `left`. `code` is the close code
-- by which an end is counted: 1005 where the frame had none, 1006 where none came.
CREATE TABLE canary (
    id INTEGER PRIMARY KEY,
    monitor TEXT NOT NULL,
    region TEXT NOT NULL,
    agent BLOB NOT NULL,
    at INTEGER NOT NULL,
    late INTEGER NOT NULL,
    event TEXT NOT NULL,
    address TEXT,
    took_us INTEGER,
    after_us INTEGER,
    failed_attempts INTEGER,
    open_for_us INTEGER,
    heartbeats INTEGER,
    quiet_for_us INTEGER,
    round_trips INTEGER,
    round_trip_min_us INTEGER,
    round_trip_p50_us INTEGER,
    round_trip_max_us INTEGER,
    jitter_us INTEGER,
    code INTEGER,
    failure TEXT,
    phase TEXT,
    detail TEXT,
    status INTEGER
) STRICT;
CREATE INDEX canary_monitor ON canary (monitor, at, id);
-- Most rows say that nothing happened.
CREATE INDEX canary_turn ON canary (monitor, at, id) WHERE event <> 'alive';
CREATE INDEX canary_at ON canary (at);

-- What searches for the idle timeout of a path found: `cut`, `not_within`, `failed`.
CREATE TABLE idle_timeout (
    id INTEGER PRIMARY KEY,
    monitor TEXT NOT NULL,
    region TEXT NOT NULL,
    agent BLOB NOT NULL,
    at INTEGER NOT NULL,
    late INTEGER NOT NULL,
    finding TEXT NOT NULL,
    survived_us INTEGER,
    cut_us INTEGER,
    code INTEGER,
    failure TEXT,
    detail TEXT
) STRICT;
CREATE INDEX idle_timeout_monitor ON idle_timeout (monitor, at, id);
CREATE INDEX idle_timeout_region ON idle_timeout (monitor, region, at);
CREATE INDEX idle_timeout_at ON idle_timeout (at);

-- Events that are no incident. `body` is the event in its JSON form.
CREATE TABLE monitor_event (
    id TEXT PRIMARY KEY,
    monitor TEXT NOT NULL,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX monitor_event_at ON monitor_event (at, id);
CREATE INDEX monitor_event_monitor ON monitor_event (monitor, at, id);

-- What has been said of a monitor by events, so that a restart does not say it again. JSON.
CREATE TABLE said (
    monitor TEXT PRIMARY KEY,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What TLS agreed on last, and since when it is that. A row a region and not a check: for months every check says the
-- same.
CREATE TABLE tls (
    monitor TEXT NOT NULL,
    region TEXT NOT NULL,
    since INTEGER NOT NULL,
    version INTEGER NOT NULL,
    cipher INTEGER NOT NULL,
    not_after INTEGER,
    fingerprint BLOB NOT NULL,
    verified INTEGER NOT NULL,
    PRIMARY KEY (monitor, region)
) STRICT, WITHOUT ROWID;

-- Of checks that make several round trips, and of those that look at several addresses (JSON).
ALTER TABLE result ADD COLUMN round_trips INTEGER;
ALTER TABLE result ADD COLUMN round_trip_min_us INTEGER;
ALTER TABLE result ADD COLUMN round_trip_p50_us INTEGER;
ALTER TABLE result ADD COLUMN round_trip_max_us INTEGER;
ALTER TABLE result ADD COLUMN jitter_us INTEGER;
ALTER TABLE result ADD COLUMN addresses TEXT;
ALTER TABLE result ADD COLUMN canary_lives INTEGER NOT NULL DEFAULT 0;

-- Old deliveries and gaps are deleted: when a delivery was decided says how old it is.
ALTER TABLE delivery ADD COLUMN decided_at INTEGER;
UPDATE delivery SET decided_at = unixepoch(json_extract(alert, '$.decided_at')) * 1000000;
CREATE INDEX delivery_decided ON delivery (decided_at) WHERE state <> 'pending';
CREATE INDEX gap_received ON gap (received_at);
";

/// Evidence of verdicts, uptime, and what paging has to remember: a file each.
const V3: &str = concat!(
    include_str!("schema/evidence.sql"),
    include_str!("schema/uptime.sql"),
    include_str!("schema/paging.sql"),
    include_str!("schema/quality.sql"),
);

/// What paths are like.
const V4: &str = include_str!("schema/paths.sql");

/// Looks whose database it is, and changes nothing. Gives its version; 0 for an empty file.
///
/// # Errors
/// [`OpenError::Newer`] where the database is further already, [`OpenError::OtherProgram`] where it is not ours.
pub(super) fn check(connection: &Connection, file: &Path) -> Result<i32, OpenError> {
    let refused = |error| OpenError::sqlite(file, error);
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let application = pragma("application_id").map_err(refused)?;
    let version = pragma("user_version").map_err(refused)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(refused)?;
    let is_empty = application == 0 && version == 0 && tables == 0;
    if application != APPLICATION_ID && !is_empty {
        return Err(OpenError::OtherProgram { file: file.to_owned() });
    }
    if version > VERSION {
        return Err(OpenError::Newer { file: file.to_owned(), found: version, known: VERSION });
    }
    Ok(version)
}

/// Brings a database to [`VERSION`] in one transaction. One that is there already is not written: a full disk must not
/// keep the aggregator from starting.
///
/// # Errors
/// As [`check`], and where SQLite cannot write.
pub(super) fn migrate(connection: &mut Connection, file: &Path) -> Result<(), OpenError> {
    let refused = |error| OpenError::sqlite(file, error);
    if check(connection, file)? == VERSION {
        return Ok(());
    }
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(refused)?;
    let version = check(&transaction, file)?;
    for step in MIGRATIONS.iter().skip(usize::try_from(version).unwrap_or(0)) {
        transaction.execute_batch(step).map_err(refused)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(refused)?;
    transaction.pragma_update(None, "user_version", VERSION).map_err(refused)?;
    transaction.commit().map_err(refused)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    /// A database as version 1 wrote it, with a check, a delivery and a gap.
    fn version_1() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(V1).unwrap();
        connection
            .execute_batch(
                "INSERT INTO result (monitor, region, agent, confirming, ended_at, late, total_us)
                     VALUES ('shop', 'eu', x'01', 0, 7, 0, 50000);
                 INSERT INTO result (monitor, region, agent, confirming, ended_at, late, failure, total_us)
                     VALUES ('chat', 'eu', x'01', 0, 3600000000, 0, NULL, 1),
                            ('chat', 'eu', x'01', 0, 3600000001, 1, 'closed', 1),
                            ('chat', 'eu', x'01', 1, 3600000002, 0, 'closed', 1),
                            ('chat', 'eu', x'01', 0, 7200000000, 0, 'agent_fault', 1),
                            ('chat', 'eu', x'01', 0, 7200000001, 0, NULL, 1);
                 INSERT INTO verdict (monitor, verdict, since) VALUES ('chat', 'up', 9000000000), ('shop', 'up', 9);
                 INSERT INTO incident (id, monitor, opened_at, told, body)
                     VALUES ('inc_1', 'chat', 8000000000, '[]', '{}'), ('inc_2', 'old', 1, '[]', '{}');
                 INSERT INTO incident_event (incident, at, verdict, rule)
                     VALUES ('inc_1', 8000000000, 'partial', ''), ('inc_1', 8500000000, 'down', ''),
                            ('inc_1', 9000000000, 'up', ''), ('inc_2', 1, 'down', ''), ('inc_2', 2, 'removed', '');
                 INSERT INTO delivery (id, channel, alert, state, attempts)
                     VALUES (1, 'x', '{\"decided_at\":\"1970-01-01T01:00:02.500000+01:00\"}', 'delivered', 1),
                            (2, 'x', '{}', 'failed', 1);
                 INSERT INTO gap (agent, epoch, sequence, resume, results, cause, received_at, bytes)
                     VALUES (x'01', 1, 2, 3, 4, 'spool_full', 9, x'');",
            )
            .unwrap();
        connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        connection
    }

    #[test]
    fn a_database_of_version_1_is_brought_up_with_what_it_holds() {
        let mut connection = version_1();
        migrate(&mut connection, Path::new("test.db")).unwrap();
        let version: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(version, VERSION);
        let one =
            |question: &str| -> Option<i64> { connection.query_row(question, [], |row| row.get(0)).unwrap() };
        assert_eq!(
            one(
                "SELECT total_us FROM result WHERE monitor = 'shop' AND canary_lives = 0 AND addresses IS NULL"
            ),
            Some(50_000)
        );
        assert_eq!(one("SELECT decided_at FROM delivery WHERE id = 1"), Some(2_000_000));
        assert_eq!(one("SELECT decided_at FROM delivery WHERE id = 2"), None, "it does not say");
        assert_eq!(one("SELECT results FROM gap"), Some(4));
        for table in ["canary", "idle_timeout", "monitor_event", "said", "tls"] {
            assert_eq!(one(&format!("SELECT count(*) FROM {table}")), Some(0));
        }
    }

    #[test]
    fn uptime_begins_with_what_an_older_version_knew() {
        let mut connection = version_1();
        migrate(&mut connection, Path::new("test.db")).unwrap();
        let rows = |question: &str| {
            let mut statement = connection.prepare(question).unwrap();
            let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
            rows.collect::<Result<Vec<_>, _>>().unwrap()
        };
        assert_eq!(
            rows("SELECT monitor || ' ' || verdict || ' ' || since FROM turn ORDER BY monitor, since"),
            [
                "chat up 3600000000",
                "chat partial 8000000000",
                "chat down 8500000000",
                "chat up 9000000000",
                "old down 1",
                "old gone 2",
                "shop up 7",
                "shop up 9"
            ]
        );
        let counts = "monitor || ' ' || at || ' ' || passed || failed || confirming || own_fault || late";
        assert_eq!(
            rows(&format!("SELECT {counts} FROM rollup_hour ORDER BY monitor, at")),
            ["chat 3600000000 11101", "chat 7200000000 10010", "shop 0 10000"]
        );
        assert_eq!(
            rows(&format!("SELECT {counts} || ' ' || hours FROM rollup_day ORDER BY monitor, at")),
            ["chat 0 21111 6", "shop 0 10000 1"]
        );
    }

    /// Both ways lead to the same tables.
    #[test]
    fn a_new_database_is_as_one_that_was_brought_up() {
        let schema = |mut connection: Connection| {
            migrate(&mut connection, Path::new("test.db")).unwrap();
            let mut tables = connection.prepare("SELECT sql FROM sqlite_schema ORDER BY name").unwrap();
            let tables = tables.query_map([], |row| row.get::<_, Option<String>>(0)).unwrap();
            tables.collect::<Result<Vec<_>, _>>().unwrap()
        };
        assert_eq!(schema(Connection::open_in_memory().unwrap()), schema(version_1()));
    }
}
