//! What the faces show: a picture of the present, made by the core and read without waiting for it.

use std::{collections::BTreeMap, sync::Arc};

use quorate_proto::{AgentKey, AgentName, Micros, MonitorId, Region, WallMicros, outcome::TlsFacts};
use quorate_quorum::{
    Calibrated, Contradiction, PathSums, Verdict, Vote,
    quality::{LatencySla, Quantiles},
};

use super::{DegradedReason, Incident, Maintenance};

/// A picture of the present. Replaced as a whole, at most five times a second.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// When it was made.
    pub at: WallMicros,
    /// The assignments' revision in force.
    pub revision: u64,
    /// Every monitor, in the order of the configuration.
    pub monitors: Vec<Arc<MonitorView>>,
    /// Every enrolled agent that is not revoked, in order of name.
    pub agents: Vec<AgentView>,
    /// Incidents that are not resolved, newest first.
    pub incidents_open: Vec<Arc<Incident>>,
    /// Maintenance that is on, planned, or over not long ago, the earliest first.
    pub maintenance: Arc<[Maintenance]>,
    /// Whether the store can be written.
    pub storage: StorageState,
    /// Counts since the start, for `/metrics`.
    pub counts: Counts,
}

/// One monitor as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct MonitorView {
    /// Its id.
    pub id: MonitorId,
    /// Its name.
    pub name: String,
    /// Its URL, without user information.
    pub url: String,
    /// The verdict; none before the first.
    pub verdict: Option<Verdict>,
    /// Since when.
    pub since: WallMicros,
    /// Whether a failure is being confirmed.
    pub suspect: bool,
    /// The maintenance that it is in: nobody is paged, whatever the verdict.
    pub maintenance: Option<Maintenance>,
    /// From one scheduled check to the next.
    pub interval: Micros,
    /// How the quorum is set, in words, such as `4 of 5 regions for 11s`.
    pub quorum: String,
    /// Whether the server's certificate is verified.
    pub verify_tls: bool,
    /// The monitors that it depends on and that hold its page.
    pub held_by: Vec<MonitorId>,
    /// Whether it flaps, so that it is not paged for each time.
    pub flapping: bool,
    /// Every configured region, in order.
    pub regions: Vec<RegionView>,
    /// Why it is degraded, where it is; empty too where its verdict is worse than that.
    pub degraded: Vec<DegradedReason>,
    /// The round trips of all regions together over the window, where there are any.
    pub round_trips: Option<Quantiles>,
    /// What is promised of them.
    pub latency: Option<LatencySla>,
    /// How its paths were measured, and what follows from that.
    pub calibration: Option<CalibrationView>,
}

/// How the paths of a monitor were measured, and what follows from that.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CalibrationView {
    /// The numbers that were found fitting and apply; none: the usual ones do.
    pub applies: Option<Calibrated>,
    /// False pages in 1,000 years that are expected under what applies; none before the first review.
    pub expected: Option<f64>,
    /// What is known of each path.
    pub paths: Vec<(Region, PathSums)>,
}

/// One region's standing on one monitor.
#[derive(Clone, Debug, PartialEq)]
pub struct RegionView {
    /// Which region.
    pub region: Region,
    /// Its vote.
    pub vote: Vote,
    /// The latency of its latest check.
    pub latency: Option<Micros>,
    /// When its latest check ended.
    pub last_checked_at: Option<WallMicros>,
    /// The failure of its latest check: name and detail.
    pub failure: Option<String>,
    /// The name of the agent that made it.
    pub agent: Option<AgentName>,
    /// The connection that the region's agent holds open, where it is to hold one.
    pub canary: Option<CanaryView>,
    /// What TLS agreed on at the latest check that came so far.
    pub tls: Option<TlsFacts>,
    /// Which of several addresses fail, such as `1 of 4 addresses fails: 192.0.2.7 (connection_refused)`.
    pub addresses: Option<String>,
    /// After which idle time the path cuts a connection, in words, where that was looked for.
    pub idle_timeout: Option<String>,
    /// Its round trips over the monitor's window, where there are any.
    pub round_trips: Option<Quantiles>,
}

/// The canary of one region on one monitor: as it stands, and counts since the aggregator's start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CanaryView {
    /// Since when it is open; none while it is not.
    pub open_since: Option<WallMicros>,
    /// How the latest one ended: the failure's name and detail.
    pub last_end: Option<String>,
    /// When.
    pub last_ended_at: Option<WallMicros>,
    /// The middle round trip of its latest heartbeats.
    pub round_trip: Option<Micros>,
    /// How often it was opened.
    pub opened: u64,
    /// How often it ended, and not by us.
    pub ended: u64,
    /// How often it ended within 10 s of being opened.
    pub lost_within_10s: u64,
    /// How often it ended as a silent drop.
    pub silent_drops: u64,
    /// Reconnections within the last minute.
    pub reconnects_last_minute: u32,
    /// Ends by close code: that of the close frame, 1005 where it had none, 1006 where no frame came; 0 for codes beyond
    /// those that are counted apart ([`crate::limits::CLOSE_CODES_MAX`]).
    pub close_codes: BTreeMap<u16, u64>,
    /// How long connections lasted, in seconds: a histogram over [`CANARY_SECONDS_BOUNDS`], as
    /// [`Counts::page_seconds`].
    pub lasted_seconds: Vec<u64>,
    /// The sum of those seconds.
    pub lasted_seconds_sum: f64,
    /// How long it took to reconnect, in seconds: a histogram over [`RECONNECT_SECONDS_BOUNDS`].
    pub reconnect_seconds: Vec<u64>,
    /// The sum of those seconds.
    pub reconnect_seconds_sum: f64,
}

/// Upper bounds, in seconds, of how long connections last: under 10 s clients fail at once, and the usual idle limits of
/// proxies (30 s, 60 s, 5 min, 1 h) each have a border of their own.
pub const CANARY_SECONDS_BOUNDS: [f64; 10] =
    [1.0, 10.0, 31.0, 61.0, 121.0, 301.0, 901.0, 3_601.0, 21_601.0, 86_401.0];

/// Upper bounds, in seconds, of the time to reconnect.
pub const RECONNECT_SECONDS_BOUNDS: [f64; 8] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// One agent as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentView {
    /// Its identity.
    pub key: AgentKey,
    /// Its name.
    pub name: AgentName,
    /// Its region.
    pub region: Region,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it is connected.
    pub connected: bool,
    /// The address it connects from.
    pub remote: Option<String>,
    /// Its program and version.
    pub software: Option<String>,
    /// When it was last heard from.
    pub last_seen_at: Option<WallMicros>,
    /// Its last report of health.
    pub health: Option<quorate_proto::frame::Health>,
    /// When it joined.
    pub enrolled_at: WallMicros,
    /// How it contradicts the other regions, where its votes do not count because of that.
    pub outlier: Option<OutlierView>,
}

/// How an agent contradicts the other regions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlierView {
    /// In which way.
    pub contradiction: Contradiction,
    /// Since when its votes do not count.
    pub since: WallMicros,
    /// Unrelated targets on which it contradicted the others when that was found.
    pub disagreements: u32,
    /// Unrelated targets on which it was compared with them.
    pub compared: u32,
}

/// Whether the store can be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StorageState {
    /// It can.
    #[default]
    Good,
    /// It cannot, and why.
    Failing(String),
}

/// Counts since the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// Units stored.
    pub units_stored: u64,
    /// Units that were there already.
    pub units_duplicate: u64,
    /// Units refused, by the refusal's name.
    pub units_refused: BTreeMap<&'static str, u64>,
    /// Checks by region and outcome (`passed` or a failure's name).
    pub checks: BTreeMap<(Region, &'static str), u64>,
    /// Results that came too late to decide.
    pub results_late: u64,
    /// Results that agents report as lost, by cause.
    pub results_lost: BTreeMap<&'static str, u64>,
    /// Confirmations asked for.
    pub confirmations: u64,
    /// Rounds of confirmations that were not asked for because the ration was spent: the scheduled checks served instead.
    pub confirmation_rounds_denied: u64,
    /// Verdict changes, by the new verdict.
    pub verdict_changes: BTreeMap<&'static str, u64>,
    /// Events of monitors, by kind.
    pub events: BTreeMap<&'static str, u64>,
    /// Alerts decided, by event type.
    pub alerts: BTreeMap<&'static str, u64>,
    /// Delivery attempts, by channel and outcome (`delivered`, `retry`, `failed`).
    pub attempts: BTreeMap<(String, &'static str), u64>,
    /// Deliveries pending, by channel.
    pub deliveries_pending: BTreeMap<String, u64>,
    /// Commits made.
    pub commits: u64,
    /// Commits that failed.
    pub commits_failed: u64,
    /// Seconds from the first failing check to the decision, of each page so far: the buckets of a histogram with the
    /// bounds [`PAGE_SECONDS_BOUNDS`]. Each bucket has its own count, not added up, and a last one holds what is above
    /// every bound. Empty before the first page.
    pub page_seconds: Vec<u64>,
    /// The sum of those seconds.
    pub page_seconds_sum: f64,
}

/// Upper bounds, in seconds, of the buckets of the time from first failure to decision; 60 is the promise.
pub const PAGE_SECONDS_BOUNDS: [f64; 8] = [5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 120.0];
