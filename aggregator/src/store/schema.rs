//! The tables, as migrations: each brings the schema one version further and is never edited after it shipped.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::OpenError;

/// Marks the file as ours (`PRAGMA application_id`): "QUOR" in ASCII.
pub(super) const APPLICATION_ID: i32 = 0x5155_4f52;

/// Version *n* is reached by running the first *n* of these.
const MIGRATIONS: [&str; 1] = [V1];

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
