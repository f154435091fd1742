//! Every bound of the agent that the protocol does not already set, each with its reason.

use quorate_proto::Micros;

// --- probe

/// Bytes of an upgrade response's head. nginx and Node.js refuse request heads above 8 to 16 KiB, and a server that
/// needs more to say `101` is not one.
pub const UPGRADE_HEAD_BYTES_MAX: usize = 16 * 1024;

/// Header lines of an upgrade response. A large site sends about thirty.
pub const UPGRADE_HEADERS_MAX: usize = 96;

/// Interim (1xx) responses before the final one (RFC 9110 section 15.2). One is common with early hints.
pub const INTERIM_RESPONSES_MAX: usize = 4;

/// How long the body of a refused upgrade is waited for. The status is known by then; the body only helps to read it.
pub const REFUSAL_BODY_WAIT: Micros = Micros::from_millis(500);

/// Bytes of one received message or frame. Replies to a probe are small; the library's own default is 64 MiB.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// Frames that one step skips while it waits for its reply. A busy feed sends some hundred messages a second, and one
/// that drowns the reply in more than this is not answering.
pub const FRAMES_SKIPPED_MAX: u32 = 1_000;

/// Bytes that one check takes from a server after the upgrade, so that [`FRAMES_SKIPPED_MAX`] messages of
/// [`MESSAGE_BYTES_MAX`] do not cost an agent a gigabyte of traffic every interval.
pub const RECEIVED_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Messages kept for a later step while a ping waits for its pong.
pub const MESSAGES_KEPT_MAX: usize = 64;

/// Bytes of the WebSocket library's read buffer, per connection (its default is 128 KiB).
pub const READ_BUFFER_BYTES: usize = 4 * 1024;

/// Bytes that wait to be sent, per connection: the largest message a step sends once its placeholders are filled, and
/// as much again for pongs.
pub const WRITE_BUFFER_BYTES_MAX: usize = 128 * 1024;

/// Bytes of a text once its placeholders are filled. `{{now_ms}}` takes ten bytes and gives thirteen, `{{nonce}}` takes
/// nine and gives sixteen, so that a text of the protocol's limit at most doubles.
pub const EXPANDED_BYTES_MAX: usize = 2 * quorate_proto::limits::STEP_TEXT_BYTES_MAX;

/// Bytes of a compiled regular expression.
pub const REGEX_BYTES_MAX: usize = 1024 * 1024;

/// How long the server's close frame is waited for. A server that answers at all answers within a round trip.
pub const CLOSE_WAIT: Micros = Micros::from_millis(1_000);

/// Addresses of one host that are tried. More than this behind one name is a service that spreads load, and all of
/// the first ones being dead says enough.
pub const ADDRESSES_TRIED_MAX: usize = 6;

/// After this long without an answer from one address the next one is tried as well (RFC 8305 section 5).
pub const ADDRESS_STAGGER: Micros = Micros::from_millis(250);

/// How long the other address family may lag behind the first that has an answer (RFC 8305 section 3).
pub const FAMILY_LAG_MAX: Micros = Micros::from_millis(50);

/// One question to the nameservers, retransmissions included; after it the question is put again, until the check's own
/// deadline.
pub const LOOKUP_WAIT: Micros = Micros::from_secs(5);

/// Nameservers asked at once: as many as `resolv.conf` may name, so that a dead one delays nothing.
pub const NAMESERVERS_ASKED_MAX: usize = 3;

/// Bytes of a server's own words that are quoted in a failure's detail, so that the numbers around them are not cut.
pub const QUOTE_BYTES_MAX: usize = 160;

/// Bytes of `/etc/hosts` that are read. Block lists made of it reach a few megabytes.
pub const HOSTS_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Bytes of `/etc/resolv.conf` that are read: a few lines are usual.
pub const RESOLV_CONF_BYTES_MAX: u64 = 64 * 1024;

/// Bytes of the file that `check --ca-file` reads.
pub const CA_FILE_BYTES_MAX: u64 = quorate_proto::limits::CA_PEM_BYTES_MAX as u64;

const _: () =
    assert!(WRITE_BUFFER_BYTES_MAX >= 2 * EXPANDED_BYTES_MAX, "the largest message must fit beside a pong");
