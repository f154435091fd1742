//! Every bound of the aggregator that the protocol does not already set, each with its reason.

use std::time::Duration;

use quorate_proto::Micros;

// --- store

/// Commits handed to the writer and not begun: the core waits for one before it hands over the next, and a start-up
/// step may have one of its own.
pub const COMMITS_QUEUED_MAX: usize = 4;

/// How long a commit waits where another process (a backup, a shell) holds the write lock, before it counts as failed.
pub const WRITE_BUSY_WAIT: Duration = Duration::from_secs(1);

/// Page cache of the writer, in KiB: the indexes' hot pages at 17,000 results a second.
pub const WRITE_CACHE_KIB: i64 = 32 * 1024;

/// Prepared statements kept by a connection: more than there are.
pub const STATEMENTS_CACHED_MAX: usize = 64;

/// The WAL is moved into the database when it is this large: some seconds of a busy aggregator, and quickly read again
/// after a crash.
pub const WAL_BYTES_CHECKPOINT: u64 = 8 * 1024 * 1024;

/// At this size readers have kept the WAL from starting over; the writer then waits for them up to
/// [`WRITE_BUSY_WAIT`].
pub const WAL_BYTES_TRUNCATE: u64 = 256 * 1024 * 1024;

/// What stays allocated of the WAL's file after it started over.
pub const WAL_BYTES_KEPT_MAX: i64 = 16 * 1024 * 1024;

/// Read connections: the faces are few, and each connection costs its cache.
pub const READ_CONNECTIONS_MAX: usize = 4;

/// Page cache of one read connection, in KiB.
pub const READ_CACHE_KIB: i64 = 4 * 1024;

/// How long a question waits for a free read connection.
pub const READ_WAIT_MAX: Duration = Duration::from_secs(2);

/// How long a question may take; then it is interrupted. Every question goes along an index.
pub const READ_TIME_MAX: Duration = Duration::from_secs(5);

/// Rows of one page of any list.
pub const PAGE_ROWS_MAX: u32 = 500;

/// Rows of a page where none were asked for.
pub const PAGE_ROWS_DEFAULT: u32 = 50;

/// Deliveries shown with one incident: far more than its decisions and channels make.
pub const INCIDENT_DELIVERIES_MAX: u32 = 1_000;

/// Old rows deleted at a time: some milliseconds of the writer.
pub const PRUNE_ROWS: u32 = 1_000;

/// How often the writer looks for old rows.
pub const PRUNE_PAUSE: Micros = Micros::from_secs(10);

/// The pause between two bites while there are old rows: at 1,000 rows a bite this keeps up with 20,000 results a
/// second and leaves the writer most of its time.
pub const PRUNE_BITE_PAUSE: Micros = Micros::from_millis(50);

/// How long a join token's row is kept after it expired, so that the log can say that it did.
pub const JOIN_TOKEN_KEPT: Micros = Micros::from_secs(24 * 3600);

const _: () =
    assert!(WAL_BYTES_CHECKPOINT < WAL_BYTES_TRUNCATE, "truncating is for a WAL that keeps growing");
