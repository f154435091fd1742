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

/// Bytes of a result beside its texts: fifteen numbers of at most ten bytes, an address, and tags.
pub const RESULT_BYTES_FIXED: usize = 224;

/// Bytes of all results of a batch: what a unit holds beside its header and signature.
pub const BATCH_BYTES_MAX: usize = UNIT_BYTES_MAX - 512;

/// Units in the spool above which it is behind. With a connection that works, a few units are on their way.
pub const UNITS_BEHIND: u64 = 64;

// --- state

/// Bytes of the file of last assignments that are read at a start: twice what the largest set takes in memory, for JSON.
pub const ASSIGNMENTS_FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;
