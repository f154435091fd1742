//! Every bound of the aggregator that the protocol does not already set, each with its reason.

mod history;
mod ingest;
mod notify;

use std::time::Duration;

use quorate_proto::Micros;

pub use self::{history::*, ingest::*, notify::*};

// --- config

/// Bytes of a configuration file: the largest allowed number of monitors at a few hundred bytes each.
pub const CONFIG_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of a file that the configuration refers to by `file:` or `ca_file`: the largest of them is a chain of
/// certificates.
pub const CONFIG_FILE_REFERENCE_BYTES_MAX: usize = quorate_proto::limits::CA_PEM_BYTES_MAX;

/// Regions: more than there are on any cloud; the page draws one column for each.
pub const REGIONS_MAX: usize = 64;

/// Channels: each has a queue and a task of its own.
pub const CHANNELS_MAX: usize = 64;

/// Signing secrets of one webhook: the old one and the new one, and room for a rotation that overlaps another.
pub const WEBHOOK_SECRETS_MAX: usize = 4;

/// Characters of a monitor's name and of the page's title: a Slack header holds 150.
pub const TITLE_CHARS_MAX: usize = 120;

/// Presets in the operator's folder: one a protocol.
pub const PRESETS_MAX: usize = 256;

/// Faults of one configuration that are printed: nobody reads more before mending the first.
pub const FAULTS_PRINTED_MAX: usize = 100;

/// The promise: seconds from the outage to the page, within which the warnings of a configuration judge it.
pub const PAGE_SECONDS_PROMISED: u64 = 60;

// --- demo

/// Connections that one of the demo's servers holds: five agents, their confirmations, and a browser tab or two.
pub const DEMO_CONNECTIONS_MAX: usize = 256;

/// How long one connection to a demo server may last: longer than any check.
pub const DEMO_CONNECTION_LIFETIME: Duration = Duration::from_secs(60);

/// Between two attempts to listen on the same port again.
pub const DEMO_REBIND_PAUSE: Duration = Duration::from_millis(100);

/// Read buffer of one connection to a demo server; the library's own is 128 KiB.
pub const DEMO_BUFFER_BYTES: usize = 4096;

/// Bytes of a message to a demo server: checks send a few dozen.
pub const DEMO_MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// Messages that arrived at the demo's webhook receiver and were not shown yet.
pub const DEMO_ARRIVALS_MAX: usize = 64;

/// Messages whose ids the demo remembers, to tell a second delivery of one from another.
pub const DEMO_MESSAGES_REMEMBERED_MAX: usize = 1024;

/// Bytes of a message to the demo's webhook receiver: Standard Webhooks asks for at most 20 kB.
pub const DEMO_BODY_BYTES_MAX: usize = 64 * 1024;

// --- command line

/// How long the command line waits for an answer of the API.
pub const API_CLIENT_SECONDS_MAX: u64 = 15;

/// Bytes that the command line reads of one answer: a page of 500 agents is some 300 kB.
pub const API_CLIENT_BYTES_MAX: usize = 4 * 1024 * 1024;

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

// --- publish

/// HTTP connections at a time. A proxy in front keeps a few dozen; each costs some kilobytes. Further ones wait in the
/// kernel's backlog.
pub const HTTP_CONNECTIONS_MAX: usize = 1024;

/// From the start of a request's head, or of waiting for one, to its end: also how long a connection may idle. Longer
/// than any honest client takes to send a head, and short so that silent peers give their places back.
pub const HTTP_HEAD_MAX: Duration = Duration::from_secs(10);

/// Bytes of a request's head: as most servers allow, and a bearer token takes 47.
pub const HTTP_HEAD_BYTES_MAX: usize = 16 * 1024;

/// Bytes of a request's body: the largest honest one, an agent with its labels, is a few kilobytes.
pub const HTTP_BODY_BYTES_MAX: usize = 64 * 1024;

/// From a whole head to the answer, reading the body included.
pub const HTTP_REQUEST_MAX: Duration = Duration::from_secs(10);

/// How long a connection lives: a peer that reads its answer a byte at a time is cut after this and the drain.
pub const HTTP_CONNECTION_LIFE_MAX: Duration = Duration::from_secs(60);

/// How long a begun answer may still take at the end of a connection or of the process.
pub const HTTP_DRAIN_MAX: Duration = Duration::from_secs(5);

/// How long the core may take to accept, and then to answer, an operator's wish: a commit and some queueing.
pub const HTTP_ADMIN_MAX: Duration = Duration::from_secs(4);

/// Labels of one agent: provider, network, zone and a handful of the operator's own.
pub const AGENT_LABELS_MAX: usize = 16;

/// Bytes of a label's name or value.
pub const AGENT_LABEL_BYTES_MAX: usize = 128;

/// Tokens whose being good is remembered, and as many whose being bad is. More than an installation has; 40 bytes each.
pub const TOKENS_REMEMBERED_MAX: usize = 1024;

/// How long it is remembered that a token is good or bad: the longest that a removed token still opens a door.
pub const TOKENS_REMEMBERED_FOR: Duration = Duration::from_secs(10);

/// Questions to the store about tokens at a time, so that guessing tokens leaves read connections for others.
pub const TOKEN_LOOKUPS_MAX: usize = 2;

/// Resolved incidents on the status page.
pub const PAGE_RESOLVED_MAX: u32 = 10;

/// Events on the status page.
pub const PAGE_EVENTS_MAX: u32 = 10;

/// How old the list of resolved incidents on the status page may be.
pub const PAGE_RESOLVED_AGE_MAX: Duration = Duration::from_secs(5);

/// How long the status page waits for the store before it shows the list that it has.
pub const PAGE_RESOLVED_WAIT_MAX: Duration = Duration::from_secs(1);

/// Monitors that the status page draws, those in trouble first: about 2 KB each, so the page stays under a megabyte.
/// The rest is counted, and listed in `/status.json`.
pub const PAGE_MONITORS_MAX: usize = 400;

/// Open incidents that the status page draws, newest first; the rest is counted.
pub const PAGE_INCIDENTS_MAX: usize = 50;

const _: () = assert!(
    HTTP_ADMIN_MAX.as_secs() * 2 < HTTP_REQUEST_MAX.as_secs(),
    "a wish must be refused by name before the request as a whole is"
);

// --- run

/// Messages that wait for the core. Agents' units are the bulk; where it is full, connections stop reading, and QUIC's
/// windows hold the agents back. Each entry may hold a unit, so that this is a matter of memory.
pub const INTAKE_WAITING_MAX: usize = 512;

/// Deliveries that wait for `notify`; the core keeps the rest.
pub const DISPATCHES_WAITING_MAX: usize = 256;

/// How long a wish of this process's own, such as enrolling a local agent, may take.
pub const ADMIN_WAIT: Duration = Duration::from_secs(10);

/// How long a stage may take to end. Service managers wait 10 s and more before they kill.
pub const STAGE_STOP_WAIT: Duration = Duration::from_secs(5);

/// How long a local agent may take to join: the aggregator is in the same process.
pub const LOCAL_JOIN_WAIT: Duration = Duration::from_secs(15);

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

/// The core wakes once a second at least (see [`PICTURE_AGE_MAX`]). Where that much lies between two of its steps, the
/// process or its machine stood still: agents were not silent, they were not heard. Below the time after which an agent
/// counts as silent, with room for a busy machine.
pub const STANDSTILL_MIN: Micros = Micros::from_secs(5);

const _: () = assert!(STANDSTILL_MIN.0 > 2 * PICTURE_AGE_MAX.0, "an ordinary wait is no standstill");
const _: () =
    assert!(STANDSTILL_MIN.0 < quorate_proto::limits::HEARTBEAT_STALE.0, "noticed before silence counts");

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

// --- canaries and events

/// How long a canary counts as open after it was last heard of: it says that it lives every
/// [`quorate_proto::limits::CANARY_REPORT_INTERVAL`], and one such report may be lost.
pub const CANARY_HEARD_MAX: Micros = Micros::from_secs(150);

/// The time over which reconnections are counted.
pub const RECONNECTS_SPAN: Micros = Micros::from_secs(60);

/// Reconnections of one agent's canary within [`RECONNECTS_SPAN`] that are not worth a word. A client that comes back more
/// than once a minute is one of a storm.
pub const RECONNECTS_USUAL: u32 = 1;

/// Reconnections remembered of one agent's canary: one a second of [`RECONNECTS_SPAN`]; more are counted as that many.
pub const RECONNECTS_REMEMBERED_MAX: usize = 60;

/// Without frequent reconnections for this long, the next ones are a new spell, and told again.
pub const RECONNECTS_SPELL: Micros = Micros::from_secs(15 * 60);

/// Close codes counted apart in one region of one monitor; any more are counted as code 0. The server chooses them.
pub const CLOSE_CODES_MAX: usize = 32;

/// The longest that a canary is taken to have lasted: an agent may say anything, and sums must stay of use.
pub const CANARY_LASTED_MAX: Micros = Micros::from_secs(366 * 86_400);

/// Agents of one region whose canaries on one monitor are remembered apart, beside those heard of lately.
pub const CANARY_AGENTS_MAX: usize = 16;

/// Certificates of one monitor whose end was announced: a fleet's worth. When there are more, those that end first are
/// forgotten.
pub const CERTIFICATES_SAID_MAX: usize = 64;

/// How long before its end a certificate is announced again, after the first announcement. Between them the monitor counts as
/// degraded, which is told apart.
pub const CERTIFICATE_REMINDERS: [Micros; 2] = [Micros::from_secs(7 * 86_400), Micros::from_secs(86_400)];

/// Certificates of one monitor that end within this time of each other are told as one: a fleet renews them together.
pub const CERTIFICATES_TOGETHER: Micros = Micros::from_secs(86_400);

/// For how long two regions must each be shown its own certificate, at the same time, before it is told: nodes behind one
/// name take a new certificate within minutes of each other.
pub const CERTIFICATES_DIFFER_FOR: Micros = Micros::from_secs(10 * 60);

/// For how long regions must have been shown the same before a difference is told again. Networks that always show
/// each region its own certificate are told of once.
pub const CERTIFICATES_AGREE_FOR: Micros = Micros::from_secs(86_400);

/// How often what goes on is written down again, so that a restart knows of it.
pub const SAID_REFRESHED: Micros = Micros::from_secs(60);

const _: () = assert!(CANARY_HEARD_MAX.0 > 2 * quorate_proto::limits::CANARY_REPORT_INTERVAL.0);
const _: () = assert!(SAID_REFRESHED.0 < RECONNECTS_SPELL.0 && SAID_REFRESHED.0 < CERTIFICATES_AGREE_FOR.0);

// --- degraded

/// Monitors' windows are looked at this often at most, all that are due at once: each has its own moment, and the core need not
/// wake for every one of a hundred thousand.
pub const QUALITY_PAUSE: Micros = Micros::from_millis(250);

/// Reasons remembered of one stretch of being degraded. When there are more, the oldest that has ended is forgotten.
pub const DEGRADED_REASONS_MAX: usize = 16;

// --- paging

/// Monitors or agents that one alert lists; the rest is counted. Nobody reads further on a phone, and 25 of them with long
/// names and URLs fit into a webhook.
pub const ALERT_LIST_MAX: usize = 25;

/// Agents that the first sentence of an alert names; the rest is counted.
pub const ALERT_NAMES_MAX: usize = 5;

// --- self-doubt

/// An agent that has doubted itself for this long is told of: a doubt that ends by itself is over by then, and this one
/// will not be.
pub const DOUBT_TOLD_AFTER: Micros = Micros::from_secs(300);
