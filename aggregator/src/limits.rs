//! Every bound of the aggregator that the protocol does not already set, each with its reason.

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

/// Faults of one configuration that are printed: nobody reads more before mending the first.
pub const FAULTS_PRINTED_MAX: usize = 100;

/// The promise: seconds from the outage to the page, within which the warnings of a configuration judge it.
pub const PAGE_SECONDS_PROMISED: u64 = 60;

// --- demo

/// Connections that one of the demo's servers holds: five agents, their confirmations, and a browser tab or two.
pub const DEMO_CONNECTIONS_MAX: usize = 256;

/// How long one connection to a demo server may last: longer than any check.
pub const DEMO_CONNECTION_LIFETIME: std::time::Duration = std::time::Duration::from_secs(60);

/// Between two attempts to listen on the same port again.
pub const DEMO_REBIND_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// Read buffer of one connection to a demo server; the library's own is 128 KiB.
pub const DEMO_BUFFER_BYTES: usize = 4096;

/// Bytes of a message to a demo server: checks send a few dozen.
pub const DEMO_MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// Messages that arrived at the demo's webhook receiver and were not shown yet.
pub const DEMO_ARRIVALS_MAX: usize = 64;

/// Bytes of a message to the demo's webhook receiver: Standard Webhooks asks for at most 20 kB.
pub const DEMO_BODY_BYTES_MAX: usize = 64 * 1024;
// --- notify

/// Bytes of a webhook's signing secret, as Standard Webhooks 1.0.0 sets them.
pub const WEBHOOK_SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
