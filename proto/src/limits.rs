//! Every bound of the protocol, each with its reason. Bounds of one binary alone stand in that binary's `limits.rs`.

use crate::time::Micros;

/// Bytes of a monitor's, region's or agent's name: a DNS label's size, so that names fit labels and file names.
pub const NAME_BYTES_MAX: usize = 64;

/// Results in one batch. At 100 ms batching, 1,000 monitors at a 10 s interval make about 10 a batch; a backlog is
/// packed tighter, and at about 100 bytes a result this many stay well under [`UNIT_BYTES_MAX`].
pub const BATCH_RESULTS_MAX: usize = 256;

/// Bytes of one signed unit. 256 results of the largest allowed detail (see [`DETAIL_BYTES_MAX`] and
/// [`BODY_EXCERPT_BYTES_MAX`]) do not fit, so a batch is closed by bytes as well as by count.
pub const UNIT_BYTES_MAX: usize = 256 * 1024;

/// Bytes of a frame that carries one unit: the unit and a little framing.
pub const UPLOAD_FRAME_BYTES_MAX: usize = UNIT_BYTES_MAX + 64;

/// Bytes of a frame an agent sends on its control stream: a hello or a health report, both small.
pub const AGENT_CONTROL_FRAME_BYTES_MAX: usize = 16 * 1024;

/// Bytes of a frame the aggregator sends on the control stream. An assignment of thousands of monitors is split into
/// frames by [`ASSIGNMENTS_PER_FRAME_MAX`]; one monitor may carry a CA file.
pub const AGGREGATOR_CONTROL_FRAME_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of one monitor's specification, encoded: a CA file, a client certificate, and texts. What single bounds allow
/// is more than all of them together may have.
pub const SPEC_BYTES_MAX: usize = 240 * 1024;

/// Monitors in one `Assign` frame: with the largest allowed monitor this stays under the frame's bound.
pub const ASSIGNMENTS_PER_FRAME_MAX: usize = 32;

/// Monitors that one agent takes. Above it the aggregator's configuration is refused.
pub const MONITORS_PER_AGENT_MAX: usize = 20_000;

/// Bytes of an acknowledgement frame.
pub const ACK_FRAME_BYTES_MAX: usize = 1024;

/// Bytes of a frame of the joining dialogue.
pub const JOIN_FRAME_BYTES_MAX: usize = 4 * 1024;

/// Bytes of a failure's free text. Long enough for a TLS library's longest message.
pub const DETAIL_BYTES_MAX: usize = 512;

/// Bytes kept of the body of a refused upgrade: the error page's first paragraph names the proxy that wrote it.
pub const BODY_EXCERPT_BYTES_MAX: usize = 1024;

/// Bytes kept of the `Server` header of a refused upgrade.
pub const SERVER_HEADER_BYTES_MAX: usize = 128;

/// Bytes of a WebSocket close reason (RFC 6455 section 5.5: a control frame holds 125, of which the code takes two).
pub const CLOSE_REASON_BYTES_MAX: usize = 123;

/// Bytes of a monitor's URL, as most servers limit a request line.
pub const URL_BYTES_MAX: usize = 4 * 1024;

/// Steps of one monitor.
pub const STEPS_MAX: usize = 32;

/// Bytes of one step's text or pattern.
pub const STEP_TEXT_BYTES_MAX: usize = 4 * 1024;

/// Conditions of one matcher.
pub const CONDITIONS_MAX: usize = 16;

/// Things taken from one message.
pub const CAPTURES_MAX: usize = 16;

/// Demands on one message.
pub const DEMANDS_MAX: usize = 8;

/// Kinds of messages that are answered by themselves.
pub const REPLIES_MAX: usize = 8;

/// Round trips of one check: enough for a middle and a jitter, and no load test.
pub const SAMPLES_MAX: u16 = 100;

/// Messages of a stream that one check takes.
pub const STREAM_MESSAGES_MAX: u16 = 1_000;

/// Addresses that one check looks at on their own. Hosts with more are rare, and each costs a connection.
pub const ADDRESSES_MAX: usize = 16;

/// Headers kept of a refused upgrade.
pub const REFUSAL_HEADERS_MAX: usize = 8;

/// Heartbeat and grace of a canary: from what a game may ask to what outlives every proxy.
pub const CANARY_SPAN_MIN: Micros = Micros::from_millis(500);

/// See [`CANARY_SPAN_MIN`].
pub const CANARY_SPAN_MAX: Micros = Micros::from_secs(3600);

/// How often an agent says that a canary lives: often enough for a page, rarely enough to cost nothing.
pub const CANARY_REPORT_INTERVAL: Micros = Micros::from_secs(60);

/// The least pause between two searches for an idle timeout: each holds several connections for minutes.
pub const IDLE_SEARCH_INTERVAL_MIN: Micros = Micros::from_secs(3600);

/// The shortest span up to which an idle timeout is looked for.
pub const IDLE_SEARCH_MAX_MIN: Micros = Micros::from_secs(1);

/// The longest span up to which an idle timeout is looked for: longer than any proxy's default.
pub const IDLE_SEARCH_MAX_MAX: Micros = Micros::from_secs(2 * 3600);

/// Extra request headers of one monitor.
pub const HEADERS_MAX: usize = 32;

/// Bytes of one extra header, name and value together. A bearer token of 4 KiB is common.
pub const HEADER_BYTES_MAX: usize = 8 * 1024 + 128;

/// Subprotocols a monitor may offer.
pub const SUBPROTOCOLS_MAX: usize = 16;

/// Bytes of one subprotocol's name.
pub const SUBPROTOCOL_BYTES_MAX: usize = 128;

/// Bytes of a monitor's own CA file (PEM): a chain of a few certificates.
pub const CA_PEM_BYTES_MAX: usize = 64 * 1024;

/// The shortest interval between scheduled checks: shorter is a load test.
pub const INTERVAL_MIN: Micros = Micros::from_secs(1);

/// The longest interval: a vote is stale after two of them, and an older one tells nothing.
pub const INTERVAL_MAX: Micros = Micros::from_secs(3600);

/// The shortest deadline around a check: below it, distance alone fails it.
pub const TIMEOUT_MIN: Micros = Micros::from_millis(100);

/// The longest deadline around a check: more, and no outage is paged within 60 seconds.
pub const TIMEOUT_MAX: Micros = Micros::from_secs(60);

/// Boot epochs whose chain heads an aggregator remembers per agent. Uploads in flight may span a few restarts of an
/// agent; older epochs are complete, because an agent sends oldest first.
pub const EPOCHS_REMEMBERED_MAX: usize = 64;

/// Uploads an agent has on the way without an acknowledgement. Times [`UNIT_BYTES_MAX`] this is the receive window
/// that one connection may ask of the aggregator.
pub const UPLOADS_IN_FLIGHT_MAX: usize = 32;

/// How often an agent reports its health.
pub const HEALTH_INTERVAL: Micros = Micros::from_secs(5);

/// After this long without a health report a region has no vote: two may be lost, the third counts.
pub const HEARTBEAT_STALE: Micros = Micros::from_secs(15);

/// How long a join string may be used.
pub const JOIN_TOKEN_LIFETIME: Micros = Micros::from_secs(15 * 60);

/// Bytes of the aggregator's address (`host:port`) in a join string: a DNS name's limit and a port.
pub const ADDRESS_BYTES_MAX: usize = 260;

/// Bytes of a software version text.
pub const SOFTWARE_BYTES_MAX: usize = 64;

// --- self-doubt

/// How long an agent must be clean before its vote counts again: two checks of the usual interval may have been started
/// in the trouble's last moment, and a machine that is starved or flaps is rarely well for half a minute.
pub const DOUBT_CLEAN: Micros = Micros::from_secs(30);

/// Control targets: with fewer, one broken target could silence an agent.
pub const CONTROLS_MIN: usize = 3;

/// Control targets: more prove no more, and each costs a connection every few seconds.
pub const CONTROLS_MAX: usize = 16;

/// Bytes of a control target: a short URL.
pub const CONTROL_BYTES_MAX: usize = 512;

/// From one look at a control to the next: seldom enough for somebody else's server.
pub const CONTROL_EVERY_MIN: Micros = Micros::from_secs(5);

/// See [`CONTROL_EVERY_MIN`]. More, and an agent that is cut off goes on voting for too long.
pub const CONTROL_EVERY_MAX: Micros = Micros::from_secs(300);

const _: () =
    assert!(HEARTBEAT_STALE.0 >= 2 * HEALTH_INTERVAL.0, "one lost report must not silence a region");
const _: () =
    assert!(EPOCHS_REMEMBERED_MAX > UPLOADS_IN_FLIGHT_MAX, "uploads in flight may each be of another epoch");
const _: () = assert!(
    UNIT_BYTES_MAX > 64 * (DETAIL_BYTES_MAX + BODY_EXCERPT_BYTES_MAX),
    "a batch of failures must fit"
);
const _: () = assert!(
    ASSIGNMENTS_PER_FRAME_MAX * (SPEC_BYTES_MAX + 64) < AGGREGATOR_CONTROL_FRAME_BYTES_MAX,
    "a frame of assignments must fit its bound"
);
