//! Every bound of the aggregator that the protocol does not already set, each with its reason.

// --- publish

use std::time::Duration;

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

/// Rows of one page of a list.
pub const API_ROWS_MAX: u32 = 200;

/// Rows of one page of a list where the client does not say.
pub const API_ROWS_DEFAULT: u32 = 50;

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
