//! Every bound of the agent that the protocol does not already set, each with its reason.

mod probe;

use quorate_proto::{Micros, limits::UNIT_BYTES_MAX};

pub use self::probe::*;

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

// --- schedule

/// A new monitor's first check comes within this, however long its interval: people who add one want to see it.
pub const FIRST_CHECK_WITHIN: Micros = Micros::from_secs(30);

// --- sign

/// How long a passed check waits for others to share its batch.
pub const BATCH_WINDOW: Micros = Micros::from_millis(100);

/// The same while the spool is behind: fewer and larger units, and a crash costs a second of results.
pub const BATCH_WINDOW_BEHIND: Micros = Micros::from_secs(1);

/// From one batch to the next that a failure closes. A signature takes 20 us, a stream and a commit far more: a hundred
/// batches a second is enough haste for an outage that takes thousands of monitors with it.
pub const BATCH_SPACING: Micros = Micros::from_millis(10);

/// Bytes of a result beside its texts: some twenty numbers of at most ten bytes, an address, a fingerprint, and tags.
pub const RESULT_BYTES_FIXED: usize = 352;

/// Bytes of all results of a batch: what a unit holds beside its header and signature.
pub const BATCH_BYTES_MAX: usize = UNIT_BYTES_MAX - 512;

/// Units in the spool above which it is behind. With a connection that works, a few units are on their way.
pub const UNITS_BEHIND: u64 = 64;

// --- state

/// Bytes of the file of last assignments that are read at a start: twice what the largest set takes in memory, for JSON.
pub const ASSIGNMENTS_FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;

// --- run

/// The event loop's beat: what is later than this is its delay.
pub const BEAT: Micros = Micros::from_millis(100);

/// Scheduled checks under way at once. At 100 ms a check this is 5,000 a second; with every server silent for 10 s, 51.
/// A check takes a socket and some 50 KiB, and most systems give a process 1,024 files.
pub const CHECKS_CONCURRENT_MAX: usize = 512;

/// Confirming checks under way at once, beside the scheduled ones: they must not wait for a crowd of silent servers. More
/// are not made: the aggregator rations them, and scheduled checks serve as well.
pub const CONFIRMATIONS_CONCURRENT_MAX: usize = 128;

/// From the end of a failed confirming check to the second attempt.
pub const CONFIRM_PAUSE: Micros = Micros::from_secs(1);

/// What a check may take beyond its own deadline before it is given up from outside.
pub const CHECK_GRACE: Micros = Micros::from_secs(2);

/// Events from the uplink that wait: above it the aggregator's stream waits.
pub const EVENTS_WAITING_MAX: usize = 256;

/// The longest that a stop waits for units to be acknowledged.
pub const DRAIN_WITHIN: Micros = Micros::from_secs(2);

/// The longest that a stop waits for the uplink to say goodbye, and for assignments to be written down.
pub const STOP_WITHIN: Micros = Micros::from_secs(2);

/// A wall clock that differs from the aggregator's by this much is worth a warning: times in reports are off, and
/// regions do not keep their distance.
pub const CLOCK_OFF: Micros = Micros::from_secs(2);

// --- check

/// Extra connections that a look at conformance has open at once: it must not look like a flood.
pub const CONFORMANCE_CONCURRENT: usize = 3;

/// How long one of them waits for what the server does: ten round trips to the other side of the world.
pub const CONFORMANCE_WAIT: Micros = Micros::from_secs(3);

/// How long a server may take to end a connection on which it has answered a ping behind what it must refuse.
pub const CONFORMANCE_LATE: Micros = Micros::from_millis(500);

/// How often a listener notes how long it has listened.
pub const CONFORMANCE_BEAT: Micros = Micros::from_millis(200);

/// Columns of the graph of `--watch` that are remembered: the widest screen.
pub const WATCH_COLUMNS_MAX: usize = 512;

/// Round trips that the numbers of `--watch` are made of: a day of one a second, at eight bytes.
pub const WATCH_SAMPLES_MAX: usize = 86_400;

/// How often `--find-idle-timeout` says in a pipe that it goes on.
pub const IDLE_SAY_INTERVAL: Micros = Micros::from_secs(30);

// --- idle

/// Connections of the first round of a search for an idle timeout: a ladder of idle times, each [`IDLE_RUNG_RATIO`] of the
/// next, reaches from 20 minutes down to 3.5 s.
pub const IDLE_RUNGS: usize = 12;

/// One idle time of the ladder as a part of the next longer one, in percent.
pub const IDLE_RUNG_RATIO: u64 = 59;

/// The shortest idle time that is tried: below it, nothing is idle.
pub const IDLE_RUNG_MIN: Micros = Micros::from_millis(500);

/// Connections of a round that narrows a silent cut down: each divides what is open by seven.
pub const IDLE_REFINING: usize = 6;

/// From the start of one connection of a round to the next, so that a cut that comes with idle time can be told from a
/// restart, which takes all connections at once.
pub const IDLE_STAGGER: Micros = Micros::from_millis(700);

/// A silent cut is narrowed down to this part of the figure, in percent: people round timeouts to more than that.
pub const IDLE_PRECISION: u64 = 5;

/// Connections of one search, all rounds together.
pub const IDLE_CONNECTIONS_MAX: usize = 40;

/// Time of one search, as a multiple of the longest idle time: the ladder, and two rounds that narrow it down.
pub const IDLE_SEARCH_ROUNDS: u64 = 4;

// --- canary

/// Attempts to open a canary's connection that are under way at once, beside checks. With every server silent for 10 s,
/// 25 a second.
pub const CANARIES_OPENING_MAX: usize = 256;

/// The first attempt of a new canary comes within this, so that a started agent does not open thousands in one moment.
pub const CANARY_START_SPREAD: Micros = Micros::from_secs(1);

/// The first attempt after an end comes within this: agents of many regions lose a server in the same moment.
pub const CANARY_JITTER: Micros = Micros::from_millis(250);

/// The pause before the second attempt in a row; doubles up to [`CANARY_PAUSE_MAX`]. Attempts come about 1, 2.5, 5.5, 11.5
/// and 23.5 s after an end: a server that restarts is found within the seconds that a restart may take.
pub const CANARY_PAUSE_FIRST: Micros = Micros::from_secs(1);

/// See [`CANARY_PAUSE_FIRST`]. Two attempts a minute, from every agent, are no load for a server that is ill.
pub const CANARY_PAUSE_MAX: Micros = Micros::from_secs(30);

/// A connection that lasted this long was a good one: the next pauses start small again. What ends sooner is what
/// people call failing at once.
pub const CANARY_SETTLED_AFTER: Micros = Micros::from_secs(10);

/// A check that failed has its monitor's canary ask at once. While it has waited for an answer for this long, further
/// checks that fail do not say that it lives: a server that stopped working would be taken for one that is full.
pub const CANARY_DOUBT_AFTER: Micros = Micros::from_millis(500);

/// Round trips of one canary that are kept from one report to the next: with the shortest heartbeat there are 120.
pub const CANARY_ROUND_TRIPS_MAX: usize = 128;

/// What happened to canaries and is not taken up yet; above it, canaries wait.
pub const CANARY_REPORTS_WAITING_MAX: usize = 1_024;

/// File descriptors that canaries leave alone: checks and confirmations under way, attempts to open, searches for idle
/// timeouts, and some for everything else.
pub const DESCRIPTORS_RESERVED: usize = CHECKS_CONCURRENT_MAX
    + CONFIRMATIONS_CONCURRENT_MAX
    + CANARIES_OPENING_MAX
    + IDLE_SEARCHES_MAX * IDLE_RUNGS
    + 128;

/// The longest that a stop waits for canaries to close: a close frame, and the server's answer.
pub const CANARIES_LEAVE_WITHIN: Micros = Micros::from_millis(1_500);

/// Searches for an idle timeout under way at once: each holds [`IDLE_RUNGS`] connections for up to an hour.
pub const IDLE_SEARCHES_MAX: usize = 4;

// --- self-doubt

/// An absence of the event loop counts from here on: below it are the usual hiccups of a busy or virtual machine.
pub const ABSENCE_MIN: Micros = Micros::from_millis(250);

/// The while over which absences are added up: the usual timeout of a check.
pub const ABSENT_WINDOW: Micros = Micros::from_secs(10);

/// Absences of this much within [`ABSENT_WINDOW`] make a doubt: a fifth of the time. What is lost up to there a timeout of
/// seconds forgives, and failures that it may have made are excused one by one.
pub const ABSENT_MAX: Micros = Micros::from_secs(2);

/// A failure that waiting makes is no evidence where the loop was absent for one part in so many of its check.
pub const ABSENT_PART: u64 = 10;

/// For how long absences are remembered: as long as a check may last, and be late for.
pub const ABSENCES_KEPT: Micros = Micros::from_secs(120);

/// Absences remembered: as many as fit into [`ABSENCES_KEPT`], each with the beat before it.
pub const ABSENCES_MAX: usize = 343;

/// A check that starts this late says that the agent does not manage what it is given.
pub const SCHEDULE_LATE: Micros = Micros::from_secs(2);

/// The clock that runs in suspend must be ahead by this much between two beats: the two are not read in one moment.
pub const ASLEEP_MIN: Micros = Micros::from_secs(1);

/// How long one look at a control may take: a slow handshake to the other side of the world takes one second.
pub const CONTROL_WAIT: Micros = Micros::from_secs(4);

/// The least pause between two looks at the same control.
pub const CONTROL_AGAIN: Micros = Micros::from_secs(5);

/// A name that must be resolved fails when it was not so often on end.
pub const LOOKUPS_BAD_MIN: u32 = 2;

/// Descriptors that must be free, as one part of the limit: one in sixteen, within [`DESCRIPTORS_FREE_LEAST`] and
/// [`DESCRIPTORS_FREE_MOST`]. A check takes one for each address that it tries, and a lookup a few.
pub const DESCRIPTORS_FREE_PART: u64 = 16;

/// See [`DESCRIPTORS_FREE_PART`].
pub const DESCRIPTORS_FREE_LEAST: u64 = 8;

/// See [`DESCRIPTORS_FREE_PART`].
pub const DESCRIPTORS_FREE_MOST: u64 = 256;

const _: () =
    assert!(ABSENT_MAX.0 * ABSENT_PART >= ABSENT_WINDOW.0, "what makes no doubt is excused where it is much");
const _: () = assert!(
    ABSENCES_KEPT.0 / (ABSENCE_MIN.0 + BEAT.0) <= ABSENCES_MAX as u64,
    "all that are remembered have room"
);
const _: () = assert!(ABSENCES_KEPT.0 >= quorate_proto::limits::TIMEOUT_MAX.0 + CHECK_GRACE.0);
