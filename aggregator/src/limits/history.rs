//! Bounds on what is kept and read of the past: uptime, maintenance, replays and evidence.

use std::time::Duration;

use quorate_proto::Micros;

use super::REGIONS_MAX;

// --- Uptime and maintenance

/// How often the store is told that the aggregator runs. After a crash the time since the last time counts as unobserved, so
/// this is how much uptime a crash may cost beyond the truth; a commit of its own every so often is nothing for a disk.
pub const PULSE_PERIOD: Micros = Micros::from_secs(5);

/// An absence that is shorter is none: a restart within it cost nobody a check.
pub const AWAY_MIN: Micros = Micros::from_secs(1);

/// The longest slot in which late votes are counted together (see `quorate_quorum::uptime`).
pub const MEND_SLOT_MAX: Micros = Micros::from_secs(3_600);

/// Results that ended longer ago mend nothing: as long as results themselves are kept.
pub const MEND_AGE_MAX: Micros = Micros::from_secs(30 * 86_400);

/// Turns of one monitor's verdict that are read at once, the newest: one every two minutes for 90 days, where flapping ends
/// after ten stable ones.
pub const UPTIME_TURNS_MAX: u32 = 65_536;

/// Mended slots of one monitor that are read at once: 90 days of minutes.
pub const UPTIME_MENDS_MAX: u32 = 129_600;

/// Absences of the aggregator that are read at once: thirty restarts an hour for a month.
pub const UPTIME_AWAY_MAX: u32 = 20_000;

/// Maintenance that is read at once: a hundred windows a day for 90 days.
pub const UPTIME_MAINTENANCE_MAX: u32 = 9_000;

/// Counts of one monitor that are read at once: 31 days of hours in every region.
pub const UPTIME_ROLLUPS_MAX: u32 = 31 * 24 * REGIONS_MAX as u32;

/// Maintenance that the core remembers, the latest to end: what may be on, planned, or shown as just over.
pub const MAINTENANCE_REMEMBERED_MAX: u32 = 500;

/// Spans of one monitor that an answer lists, the newest: more than anybody reads, and some 100 KiB.
pub const UPTIME_SPANS_SHOWN_MAX: usize = 1_000;

/// `[[maintenance]]` tables that a configuration may have.
pub const MAINTENANCE_PLANS_MAX: usize = 200;

/// The shortest maintenance: less is over before anybody has done anything.
pub const MAINTENANCE_LASTS_MIN: Micros = Micros::from_secs(60);

/// The longest maintenance: a monitor that is to be left alone for longer should be taken out.
pub const MAINTENANCE_LASTS_MAX: Micros = Micros::from_secs(30 * 86_400);

/// Maintenances that Statuspage's list shows, as it does of incidents.
pub const MAINTENANCE_LISTED_MAX: usize = 50;

/// Days that the status page shows of each monitor.
pub const PAGE_DAYS: u64 = 90;

/// How old those days may be: nobody sees half a minute of ninety days, and hundreds of monitors are read for it.
pub const PAGE_DAYS_AGE_MAX: Duration = Duration::from_secs(30);

// --- looking back

/// Results of one monitor that are replayed at most: a month of ten regions at 15 s, and about 200 MB in memory.
pub const PAST_CHECKS_MAX: usize = 2_000_000;

// --- evidence

/// Units of one agent's run that a decision refers to, besides the one in which the run begins: ten a second, as 1,000
/// monitors at an interval of 10 s make them, for the longest that a rule wants to see a failure (300 s) would be 3,000, and
/// a verdict by the fast rule needs some 200.
pub const EVIDENCE_RUN_UNITS_MAX: u64 = 1_000;

/// Decisions kept of one incident: the first half and the latest half. One that has more is going to and fro.
pub const EVIDENCE_DECISIONS_MAX: u32 = 32;

/// Bytes of signed units read for one incident. When there are more, units that say nothing of the monitor are left out.
pub const EVIDENCE_UNIT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Units read for one incident.
pub const EVIDENCE_UNITS_MAX: usize = 20_000;

/// Bytes of an evidence file: the units in base64, and some 100 bytes around each, as bounded above.
pub const EVIDENCE_FILE_BYTES_MAX: usize = 48 * 1024 * 1024;

/// Faults told of one evidence file; more are of no further use.
pub const EVIDENCE_FAULTS_MAX: usize = 50;

/// Regions of one decision in an evidence file, and agents of one region: more than anyone has, and the rules look at each
/// a few times.
pub const EVIDENCE_REGIONS_MAX: usize = 1_000;

/// Checks replayed for one evidence file: a decision of five agents needs some hundred, and this many are a few seconds.
pub const EVIDENCE_CHECKS_REPLAYED_MAX: usize = 2_000_000;
