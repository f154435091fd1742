//! Bounds of the probe: what a server may say, how long a way to it is looked for, and what a check may cost.

use quorate_proto::Micros;

/// Bytes of an upgrade response's head. nginx and Node.js refuse request heads above 8 to 16 KiB, and a server that
/// needs more to say `101` is not one.
pub const UPGRADE_HEAD_BYTES_MAX: usize = 16 * 1024;

/// Header lines of an upgrade response. A large site sends about thirty.
pub const UPGRADE_HEADERS_MAX: usize = 96;

/// Interim (1xx) responses before the final one (RFC 9110 section 15.2). One is common with early hints.
pub const INTERIM_RESPONSES_MAX: usize = 4;

/// How long the body of a refused upgrade is waited for. The status is known by then; the body only helps to read it.
pub const REFUSAL_BODY_WAIT: Micros = Micros::from_millis(500);

/// Bytes of one received message or frame. Replies to a probe are small (the library's own default is 64 MiB), and one
/// that comes in fragments takes four times its size while it grows: no server makes a check take more than 1 MiB.
pub const MESSAGE_BYTES_MAX: usize = 192 * 1024;

/// Fragments of one received message: the largest in pieces of 64 bytes. Empty fragments have no other bound.
pub const FRAGMENTS_MAX: u32 = 3 * 1024;

/// Bytes that one check takes in a row before others have their turn. As frames of two bytes they are 32,000 frames, a
/// millisecond's work.
pub const TURN_BYTES: usize = 64 * 1024;

/// Frames that one step skips while it waits for its reply. A busy feed sends some hundred messages a second, and one
/// that drowns the reply in more than this is not answering.
pub const FRAMES_SKIPPED_MAX: u32 = 1_000;

/// Bytes that come while one step waits, so that [`FRAMES_SKIPPED_MAX`] messages of [`MESSAGE_BYTES_MAX`] do not cost an
/// agent a gigabyte of traffic every interval.
pub const RECEIVED_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Messages kept for a later step while a ping waits for its pong.
pub const MESSAGES_KEPT_MAX: usize = 64;

/// Bytes of all messages kept: a usual reply is a few hundred.
pub const KEPT_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a received JSON value that is compared: the longest that a step can want, and as much again for white space.
pub const JSON_VALUE_BYTES_MAX: usize = 2 * EXPANDED_BYTES_MAX;

/// Bytes of a message that is not UTF-8 in which a regular expression is searched: as text it takes three times that.
pub const BINARY_SEARCHED_BYTES_MAX: usize = 64 * 1024;

/// Bytes of the WebSocket library's read buffer, per connection (its default is 128 KiB).
pub const READ_BUFFER_BYTES: usize = 4 * 1024;

/// Bytes that wait to be sent, per connection: the largest message a step sends once its placeholders are filled, and
/// as much again for pongs.
pub const WRITE_BUFFER_BYTES_MAX: usize = 128 * 1024;

/// Bytes of a text once its placeholders are filled: a text of the protocol's limit doubles by `{{nonce}}` and
/// `{{now_ms}}`, and may carry a few captured tokens besides.
pub const EXPANDED_BYTES_MAX: usize = 8 * quorate_proto::limits::STEP_TEXT_BYTES_MAX;

/// Bytes of all values that one connection has captured: a few tokens of 4 KiB, which are common. They are held for as long
/// as a canary lives.
pub const CAPTURED_BYTES_MAX: usize = 16 * 1024;

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

/// Replies to a server's heartbeats that wait to be sent. Each is sent before the next frame is read.
pub const REPLIES_WAITING_MAX: usize = 8;

/// A published time may be this far ahead of the agent's clock. Two hosts that keep time differ by less; with more, one of
/// the two clocks is wrong, and no age can be told.
pub const FUTURE_MAX: Micros = Micros::from_secs(60);

/// How long the other address family may lag behind where each address is checked on its own. A nameserver that never
/// answers for AAAA must not take the whole check with it.
pub const FAMILY_LAG_FOR_EACH_MAX: Micros = Micros::from_secs(1);

/// Names of a certificate that are shown. Those of large sites name a hundred hosts.
pub const CERTIFICATE_NAMES_MAX: usize = 16;

/// Times that the kernel is told to acknowledge at once what a server sent, from one write of ours to the next: enough
/// for an answer in many pieces, and nothing that a stream of messages would pay for each of them.
pub const HASTE: u8 = 16;

const _: () =
    assert!(WRITE_BUFFER_BYTES_MAX >= 2 * EXPANDED_BYTES_MAX, "the largest message must fit beside a pong");
