//! Every bound of the agent that the protocol does not already set, each with its reason.

use quorate_proto::{Micros, limits::UNIT_BYTES_MAX};

// --- spool

/// Bytes of the spool on disk unless `--spool-max` says otherwise. At about 60 bytes a result this holds more than a
/// million of them: 1,000 monitors at 30 s for nine hours.
pub const SPOOL_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;

/// The smallest spool: a few of the largest units in a few segments. Below it, nearly every write would drop something.
pub const SPOOL_BYTES_MIN: u64 = 16 * UNIT_BYTES_MAX as u64;

/// A segment ends at this part of the spool's bound, so that making room costs that part at most.
pub const SPOOL_SEGMENTS: u64 = 64;

/// Bytes at which a segment ends in a large spool: reading one back after a start stays cheap in memory.
pub const SPOOL_SEGMENT_BYTES_MAX: u64 = 1024 * 1024;

/// Bytes at which a segment ends in a small spool: one unit of the largest kind.
pub const SPOOL_SEGMENT_BYTES_MIN: u64 = UNIT_BYTES_MAX as u64;

/// Units in the spool, wherever they are. Each costs about 200 bytes of memory for its place in the order; at one a
/// second, which is the pace without a connection, this is eighteen hours.
pub const SPOOL_UNITS_MAX: usize = 65_536;

/// Bytes of units that are in memory alone because the disk takes none: about eight hours of 100 monitors.
pub const SPOOL_MEMORY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of units kept in memory although they are on disk, so that the live way never reads what it just wrote.
pub const SPOOL_CACHE_BYTES_MAX: usize = 1024 * 1024;

/// Bytes written, and bytes read ahead, in one go: one unit of the largest kind.
pub const SPOOL_GROUP_BYTES_MAX: usize = UNIT_BYTES_MAX;

/// Bytes of an acknowledged segment above which it is deleted although it could be filled further.
pub const SPOOL_SEGMENT_STALE_BYTES: u64 = 64 * 1024;

/// From a unit's arrival to its write: a unit that is acknowledged within this time never reaches the disk, and
/// write and `fdatasync` still begin within 100 ms.
pub const SPOOL_WRITE_DELAY: Micros = Micros::from_millis(75);

/// From one failed write to the next attempt.
pub const SPOOL_RETRY_PAUSE: Micros = Micros::from_secs(1);

/// The longest that a stop waits for the spool's last write.
pub const SPOOL_CLOSE_WITHIN: Micros = Micros::from_secs(5);

const _: () = assert!(SPOOL_BYTES_MIN >= 4 * (SPOOL_SEGMENT_BYTES_MIN + 2 * SPOOL_GROUP_BYTES_MAX as u64));
const _: () = assert!(SPOOL_BYTES_DEFAULT >= SPOOL_BYTES_MIN);

// --- uplink

/// The cap of the first delay before connecting again. Agents of one aggregator lose it in the same second; spread over
/// this they come back as a trickle, and well within the time after which their votes would be stale.
pub const RECONNECT_DELAY_FIRST: Micros = Micros::from_secs(5);

/// The cap of every later delay: an aggregator that comes back after an hour is found within a minute.
pub const RECONNECT_DELAY_MAX: Micros = Micros::from_secs(60);

/// A connection that lived this long was a good one: the next delay starts small again.
pub const UPLINK_SETTLED_AFTER: Micros = Micros::from_secs(10);

/// The aggregator's name is resolved by then.
pub const RESOLVE_DEADLINE: Micros = Micros::from_secs(5);

/// Addresses of one name that are tried.
pub const DIAL_ADDRESSES_MAX: usize = 8;

/// The head start of each address before the next one (RFC 8305 section 5).
pub const DIAL_STAGGER: Micros = Micros::from_millis(250);

/// A handshake is done by then: four round trips (one for address validation) of the slowest path, with losses.
pub const DIAL_DEADLINE: Micros = Micros::from_secs(10);

/// The whole dialogue of joining, the aggregator's commit included.
pub const JOIN_DEADLINE: Micros = Micros::from_secs(15);

/// The aggregator's welcome comes by then.
pub const WELCOME_DEADLINE: Micros = Micros::from_secs(15);

/// A report of health is taken by then: it is the heartbeat, and a late one is none.
pub const REPORT_DEADLINE: Micros = Micros::from_secs(10);

/// Reports of health are at least this far apart, however often health changes.
pub const HEALTH_GAP_MIN: Micros = Micros::from_millis(500);

/// A stream is to be had by then. There always is one, unless the aggregator stopped working.
pub const OPEN_DEADLINE: Micros = Micros::from_secs(10);

/// The aggregator's verdict on a unit comes by then, or the unit is sent again: a commit takes some 20 ms, a pile of
/// them after an hour of absence a few seconds.
pub const ACK_DEADLINE: Micros = Micros::from_secs(30);

/// Bytes of units on the way at once. An upload's age is measured when it is handed to QUIC; what waits there grows
/// older unseen, so little may wait: at 1 Mbit/s this is 4 s, and at a round trip of 200 ms it still carries 2.5 MB/s.
pub const UPLOAD_BYTES_IN_FLIGHT_MAX: usize = 512 * 1024;

/// The pause before a unit is sent again to a busy aggregator; doubles up to [`BUSY_PAUSE_MAX`].
pub const BUSY_PAUSE_FIRST: Micros = Micros::from_millis(250);

/// See [`BUSY_PAUSE_FIRST`]. A full disk is found to have room again within this.
pub const BUSY_PAUSE_MAX: Micros = Micros::from_secs(15);

/// Bytes of all parts of one set of assignments: 20,000 monitors of 12 KiB each, or fewer with CA files.
pub const ASSIGNMENT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bytes that the aggregator may send on a stream before they are read: a frame is read as it comes.
pub const UPLINK_WINDOW_BYTES: u32 = 1024 * 1024;

/// Bytes that wait in QUIC to be sent: see [`UPLOAD_BYTES_IN_FLIGHT_MAX`], which is reached by one unit of the largest.
pub const UPLINK_SEND_WINDOW_BYTES: u64 = 1024 * 1024;

/// Bytes asked of the system for each of the socket's two buffers: one window of uploads.
pub const UPLINK_SOCKET_BUFFER_BYTES: usize = 1024 * 1024;

/// A packet at least this often, so that no NAT on the way forgets the connection (most hold UDP for 30 s).
pub const UPLINK_KEEP_ALIVE: Micros = Micros::from_secs(5);

/// A connection without a packet for this long is over: two keep-alives may be lost.
pub const UPLINK_IDLE_TIMEOUT: Micros = Micros::from_secs(15);

/// A goodbye is on its way by then.
pub const HANG_UP_DEADLINE: Micros = Micros::from_millis(500);

const _: () = assert!(UPLINK_IDLE_TIMEOUT.0 > 2 * UPLINK_KEEP_ALIVE.0, "one keep-alive may be lost");
const _: () = assert!(
    HEALTH_GAP_MIN.0 < quorate_proto::limits::HEALTH_INTERVAL.0,
    "heartbeats must keep their interval"
);
