//! Rows as the API shows them.

use std::collections::BTreeMap;

use quorate_proto::{AgentName, Region, WallMicros};
use serde::{Deserialize, Serialize};

/// One stored check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResultRow {
    /// The region that checked.
    pub region: Region,
    /// The agent that checked.
    pub agent: Option<AgentName>,
    /// `scheduled` or `confirming`.
    pub kind: &'static str,
    /// When it ended, by the aggregator's clock, RFC 3339.
    pub ended_at: String,
    /// Whether it passed.
    pub passed: bool,
    /// The failure's name.
    pub failure: Option<String>,
    /// The failure's phase.
    pub phase: Option<String>,
    /// The failure's detail.
    pub detail: Option<String>,
    /// The HTTP status of a refused upgrade.
    pub status: Option<u16>,
    /// Whether the same agent's canary lived while the check failed.
    pub canary_lives: bool,
    /// Round trip or whole check, in milliseconds.
    pub latency_ms: f64,
    /// The whole check, in milliseconds.
    pub total_ms: f64,
    /// Phase by phase, in milliseconds.
    pub phases_ms: PhasesMs,
    /// Its round trips, where it was to make several.
    pub round_trips: Option<RoundTripsMs>,
    /// The address that was dialled.
    pub address: Option<String>,
    /// What each address found, where several were checked on their own.
    pub addresses: Vec<AddressRow>,
    /// Whether it came too late to decide.
    pub late: bool,
}

/// How long each phase took, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PhasesMs {
    /// Resolving.
    pub dns: Option<f64>,
    /// TCP handshake.
    pub tcp: Option<f64>,
    /// TLS handshake.
    pub tls: Option<f64>,
    /// HTTP upgrade.
    pub upgrade: Option<f64>,
    /// Steps.
    pub exchange: Option<f64>,
    /// Closing handshake.
    pub close: Option<f64>,
}

/// Round trips summed up, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RoundTripsMs {
    /// How many.
    pub count: u32,
    /// The quickest.
    pub min: f64,
    /// The one in the middle.
    pub p50: f64,
    /// The slowest.
    pub max: f64,
    /// The mean of the differences between one and the next.
    pub jitter: f64,
}

/// What one of several addresses found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AddressRow {
    /// The address.
    pub address: String,
    /// What went wrong there, such as `upgrade_status 502`; none where the check passed.
    pub failure: Option<String>,
    /// From the start of its check to the end, in milliseconds.
    pub total_ms: f64,
}

/// One stored event of a canary.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CanaryRow {
    /// The region that holds the connection.
    pub region: Region,
    /// The agent that does.
    pub agent: Option<AgentName>,
    /// `opened`, `not_opened`, `alive`, `ended` or `left` ([`quorate_proto::canary::CanaryEvent::name`]).
    pub event: String,
    /// When it happened, by the aggregator's clock, RFC 3339.
    pub at: String,
    /// The address that it is connected to.
    pub address: Option<String>,
    /// `opened`: how long opening took, in milliseconds.
    pub took_ms: Option<f64>,
    /// `opened`: from the end of the one before, in milliseconds.
    pub after_ms: Option<f64>,
    /// `opened`: attempts that failed since then.
    pub failed_attempts: Option<u32>,
    /// `alive`, `ended`, `left`: for how long it had been open, in milliseconds.
    pub open_for_ms: Option<f64>,
    /// `alive`, `ended`: heartbeats answered since it was opened.
    pub heartbeats: Option<u64>,
    /// `ended`: from the last inbound frame to the end, in milliseconds.
    pub quiet_for_ms: Option<f64>,
    /// `alive`: the round trips of heartbeats since the report before.
    pub round_trips: Option<RoundTripsMs>,
    /// `ended`: the close code, 1005 where the frame had none, 1006 where none came.
    pub code: Option<u16>,
    /// `ended`, `not_opened`: the failure's name.
    pub failure: Option<String>,
    /// The failure's phase.
    pub phase: Option<String>,
    /// The failure's detail.
    pub detail: Option<String>,
    /// `not_opened`: the HTTP status of a refused upgrade.
    pub status: Option<u16>,
    /// Whether it came too late to matter.
    pub late: bool,
}

/// What one search for the idle timeout of a path found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IdleTimeoutRow {
    /// The region that looked.
    pub region: Region,
    /// The agent that looked.
    pub agent: Option<AgentName>,
    /// When the search ended, by the aggregator's clock, RFC 3339.
    pub at: String,
    /// `cut`: idle connections are cut. `not_within`: not up to `survived_ms`. `failed`: the connections failed for
    /// another reason.
    pub finding: String,
    /// The longest idle time that a connection survived, in milliseconds.
    pub survived_ms: Option<f64>,
    /// The shortest after which one was cut, in milliseconds.
    pub cut_ms: Option<f64>,
    /// `cut`: the close code, 1005 where the frame had none, 1006 where none came.
    pub code: Option<u16>,
    /// How it was cut, or why the search failed: the failure's name.
    pub failure: Option<String>,
    /// The failure's detail.
    pub detail: Option<String>,
    /// Whether it came too late to matter.
    pub late: bool,
}

/// How finely checks are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// By the hour; kept for [`super::super::Retention::hours`].
    Hour,
    /// By the day, in UTC.
    Day,
}

/// The checks of one region in one hour or day.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollup {
    /// Which region.
    pub region: Region,
    /// When the hour or day begins.
    pub at: WallMicros,
    /// Scheduled checks that passed.
    pub passed: u64,
    /// Scheduled checks that failed.
    pub failed: u64,
    /// Confirming checks, whatever they found.
    pub confirming: u64,
    /// Checks that failed for a reason of the agent's own.
    pub own_fault: u64,
    /// Checks within a maintenance.
    pub maintained: u64,
    /// Of all of these, those that came too late to decide.
    pub late: u64,
    /// Hours in which a scheduled check ended.
    pub hours: u32,
    /// Failed and confirming checks that failed, by the failure's name.
    pub failures: BTreeMap<String, u64>,
}
