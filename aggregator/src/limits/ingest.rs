//! Bounds of ingest: connections, what one of them may hold in memory, and the deadlines of the dialogue.

use quorate_proto::Micros;

/// Agents connected at once. A region rarely has more than a handful; a thousand regions fit.
pub const CONNECTIONS_MAX: usize = 4096;

/// TLS handshakes at once. One costs under a millisecond of CPU, so the door does not starve the core, and a flood of
/// strangers waits in front of it.
pub const HANDSHAKES_MAX: usize = 256;

/// Connection attempts that wait for a handshake. More are refused, and agents try again with jitter.
pub const INCOMING_MAX: usize = 1024;

/// Bytes kept of one connection attempt that waits: a client's first flight with a post-quantum key share, and room.
pub const INCOMING_BYTES_MAX: u64 = 16 * 1024;

/// Bytes kept of all connection attempts that wait.
pub const INCOMING_BYTES_TOTAL_MAX: u64 = INCOMING_MAX as u64 * INCOMING_BYTES_MAX;

/// Joins at once. Joining is rare and by hand; strangers must not fill the core's queue.
pub const JOINS_MAX: usize = 16;

/// Uploads that are read or wait for their verdict, over all connections. Times the largest unit, and twice for the
/// moment of decoding, this is what uploads may cost: 512 MiB where every agent sends the largest units at once.
pub const UPLOADS_MAX: usize = 1024;

/// Bytes that one connection may send before they are read: four of the largest uploads. At a round trip of 300 ms
/// that still carries 3 MB/s of backlog.
pub const CONNECTION_WINDOW_BYTES: u32 = 4 * STREAM_WINDOW_BYTES;

/// Bytes that one stream may send before they are read: the largest upload.
pub const STREAM_WINDOW_BYTES: u32 =
    (quorate_proto::limits::UPLOAD_FRAME_BYTES_MAX + quorate_proto::frame::PREFIX_BYTES) as u32;

/// Bytes that wait for one agent to take them: a few frames of assignments.
pub const SEND_WINDOW_BYTES: u64 = 1024 * 1024;

/// Bytes of a pushed frame before it is split. The decoder counts values by their size in memory, which is above
/// their size on the wire; half of its bound leaves room.
pub const PUSH_FRAME_BYTES_MAX: usize = quorate_proto::limits::AGGREGATOR_CONTROL_FRAME_BYTES_MAX / 2;

/// Messages of the core that wait for one connection: a full set of assignments in its smallest frames, and as many
/// changes and confirmations again as fit a bad minute.
pub const PUSHES_MAX: usize =
    quorate_proto::limits::MONITORS_PER_AGENT_MAX / quorate_proto::limits::ASSIGNMENTS_PER_FRAME_MAX + 1024;

/// Bytes asked of the system for each of the socket's two buffers. A thousand agents that reconnect within the same
/// second send about 3 MiB of handshakes; the usual default of 208 KiB loses most of them.
pub const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// A handshake is done by then: three round trips of the slowest path, with losses.
pub const HANDSHAKE_DEADLINE: Micros = Micros::from_secs(10);

/// An agent's first words come by then.
pub const HELLO_DEADLINE: Micros = Micros::from_secs(5);

/// An upload is whole by then: the largest window of uploads at 35 kB/s.
pub const UPLOAD_DEADLINE: Micros = Micros::from_secs(30);

/// A control frame, once its first byte is there, is whole by then, and one that is sent is taken by then.
pub const CONTROL_DEADLINE: Micros = Micros::from_secs(10);

/// From one report of health to the next that is read. Agents keep 500 ms; one that reports without pause, well and
/// sick by turns, would keep the core looking at all monitors of its region.
pub const HEALTH_READ_PAUSE: Micros = Micros::from_millis(100);

/// How long a connection that is closed as hostile stays open: a refused unit's verdict must be there first, or its
/// agent sends the same unit again on every later connection.
pub const HOSTILE_LINGER: Micros = Micros::from_millis(500);

/// The whole dialogue of joining, the core's answer included.
pub const JOIN_DEADLINE: Micros = Micros::from_secs(10);

/// A connection without a packet for this long is over. Agents send a keep-alive every 5 s.
pub const IDLE_TIMEOUT: Micros = Micros::from_secs(15);

/// How often a connection looks whether its agent is still enrolled. The core closes it at once; this holds the
/// promise of one second whatever the core does.
pub const ROSTER_LOOK_INTERVAL: Micros = Micros::from_millis(250);

/// The goodbye at the end is over by then.
pub const GOODBYE_DEADLINE: Micros = Micros::from_secs(2);

/// The door's lines in the log, at most this many in a burst; one more every [`DOOR_LINE_INTERVAL`].
pub const DOOR_LINES_MAX: u32 = 20;

/// See [`DOOR_LINES_MAX`].
pub const DOOR_LINE_INTERVAL: Micros = Micros::from_secs(3);

const _: () = assert!(ROSTER_LOOK_INTERVAL.0 < 1_000_000, "revoked is closed within one second");
const _: () = assert!(IDLE_TIMEOUT.0 > 2 * 5_000_000, "one lost keep-alive must not end a connection");
