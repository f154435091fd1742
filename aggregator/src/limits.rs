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

// --- core

/// How long a unit waits for others to share its commit. A failure, or whatever else somebody waits for, does not wait.
pub const GROUP_WAIT: Micros = Micros::from_millis(20);

/// Units that make a commit go off without waiting: the gain of a larger group is small, its latency is not.
pub const GROUP_UNITS_ENOUGH: usize = 500;

/// Units gathered while a commit is under way; above it agents are told to send them again later.
pub const GROUP_UNITS_MAX: usize = 2_000;

/// Bytes of units that make a commit go off without waiting.
pub const GROUP_BYTES_ENOUGH: usize = 4 * 1024 * 1024;

/// Bytes of units gathered while a commit is under way.
pub const GROUP_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A commit that takes this long counts as storage trouble: a page that waits for it must not wait longer.
pub const COMMIT_STALLED: Micros = Micros::from_secs(2);

/// From a failed commit to the next try.
pub const COMMIT_RETRY: Micros = Micros::from_secs(1);

/// For how long every commit must succeed before storage is called good again: a full disk takes a small commit now and
/// then, and its operator wants one message, not ten.
pub const STORAGE_GOOD_AFTER: Micros = Micros::from_secs(10);

/// Changes of state kept in memory while the store cannot be written. Latest values, one for each thing that changed:
/// this many is a day of trouble with thousands of incidents.
pub const BACKLOG_CHANGES_MAX: usize = 20_000;

/// How long a unit whose predecessor is missing waits for it: the two were sent at once on streams of their own, and
/// one that comes later than this was lost with its stream and is sent again anyway.
pub const PARKED_TIME_MAX: Micros = Micros::from_secs(10);

/// The age at receipt up to which a result decides. An agent whose results take longer has not been heard from for as
/// long as makes its region silent ([`quorate_proto::limits::HEARTBEAT_STALE`]), so that an older result could only
/// speak for a region that has no vote; and what is caught up after an absence must page nobody. On a good path a
/// result is 100 ms of batching and one way old.
pub const RESULT_FRESH_MAX: Micros = Micros::from_secs(15);

/// An agent whose event loop or schedule was late by this much says of itself that it is sick: its timings, and with
/// them its timeouts, tell more of itself than of any server.
pub const AGENT_LAG_SICK: Micros = Micros::from_secs(2);

/// Deliveries owed at one time. When more come, the oldest of all is given up: it has been failing for longest.
pub const OUTBOX_MAX: usize = 10_000;

/// Join tokens that can be used at one time; above it the one that expires first goes.
pub const JOIN_TOKENS_MAX: usize = 1_000;

/// An agent that still works under another revision this long after it was given the latest is given all of it again.
pub const ASSIGN_AGAIN: Micros = Micros::from_secs(10);

/// How long one frame of assignments may wait for room in a connection's queue.
pub const HAND_OVER_WAIT: Duration = Duration::from_secs(10);

/// The picture of the present is painted at most this often.
pub const PICTURE_PERIOD: Micros = Micros::from_millis(200);

/// The picture is painted at least this often: votes grow stale without anything happening.
pub const PICTURE_AGE_MAX: Micros = Micros::from_secs(1);

/// Paintings in which every monitor is looked at again once, changed or not.
pub const PICTURE_ROUNDS: usize = 10;

/// What may lie between the steady clock and the wall clock before it is taken for a correction of the latter.
pub const CLOCKS_APART_MAX: Micros = Micros::from_millis(20);

/// How long the core waits at its end for the last commit.
pub const CORE_STOP_WAIT: Duration = Duration::from_secs(5);

const _: () = assert!(GROUP_UNITS_ENOUGH < GROUP_UNITS_MAX && GROUP_BYTES_ENOUGH < GROUP_BYTES_MAX);
const _: () = assert!(RESULT_FRESH_MAX.0 >= quorate_proto::limits::HEARTBEAT_STALE.0);
const _: () = assert!(
    PARKED_TIME_MAX.0 > COMMIT_STALLED.0,
    "a parked unit outlasts one slow commit of its predecessor"
);
