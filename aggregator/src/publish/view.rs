//! Monitors and regions as JSON: the parts that the public document and the API share.

mod calibration;
mod canary;
mod quality;

use quorate_proto::{MonitorId, Region, WallMicros};
use quorate_quorum::Vote;
use serde::Serialize;

use self::{
    calibration::CalibrationJson,
    canary::{CanaryJson, TlsJson},
    quality::RoundTripsJson,
};
use super::{tally, words};
use crate::model::{DegradedReason, MonitorView, QuantilesMs, RegionView, rfc3339};

/// One monitor as everybody may see it.
#[derive(Debug, Serialize)]
pub(super) struct PublicMonitor<'a> {
    id: &'a MonitorId,
    name: &'a str,
    /// `up`, `partial`, `down` or `unobserved`, or `maintenance`, whatever the verdict is meanwhile; a monitor without a
    /// verdict yet is `unobserved`.
    status: &'static str,
    #[serde(with = "rfc3339")]
    since: WallMicros,
    /// The maintenance that it is in.
    maintenance: Option<MaintenanceNote<'a>>,
    /// Why it works and not well; empty where it does, or does not work.
    degraded: &'a [DegradedReason],
    regions: Vec<PublicRegion<'a>>,
}

/// The maintenance that a monitor is in.
#[derive(Debug, Serialize)]
struct MaintenanceNote<'a> {
    id: &'a str,
    name: &'a str,
    reason: &'a str,
    #[serde(with = "rfc3339")]
    until: WallMicros,
}

/// One region's standing as everybody may see it.
#[derive(Debug, Serialize)]
pub(super) struct PublicRegion<'a> {
    region: &'a Region,
    /// `ok`, `fail` or `abstain`.
    vote: &'static str,
    latency_ms: Option<f64>,
    #[serde(with = "rfc3339::option")]
    last_checked_at: Option<WallMicros>,
    /// The failure's name and detail, or why the region abstains.
    failure: Option<String>,
}

/// One monitor as operators see it.
#[derive(Debug, Serialize)]
pub(super) struct FullMonitor<'a> {
    id: &'a MonitorId,
    name: &'a str,
    url: &'a str,
    status: &'static str,
    /// The quorum's verdict, which maintenance does not change; `null` before the first.
    verdict: Option<&'static str>,
    #[serde(with = "rfc3339")]
    since: WallMicros,
    maintenance: Option<MaintenanceNote<'a>>,
    /// Whether a failure is being confirmed.
    suspect: bool,
    interval_ms: f64,
    /// How the quorum is set, in words.
    quorum: &'a str,
    verify_tls: bool,
    /// Why it works and not well; empty where it does, or does not work.
    degraded: &'a [DegradedReason],
    round_trips: RoundTripsJson,
    /// The monitors that it depends on and that hold its page.
    held_by: &'a [MonitorId],
    /// Whether it flaps, so that it is not paged for each time.
    flapping: bool,
    /// How its paths were measured, and the numbers that were found fitting.
    calibration: Option<CalibrationJson<'a>>,
    regions: Vec<FullRegion<'a>>,
}

/// One region's standing as operators see it.
#[derive(Debug, Serialize)]
pub(super) struct FullRegion<'a> {
    #[serde(flatten)]
    public: PublicRegion<'a>,
    /// The stable name of the reason, where the region abstains.
    abstention: Option<&'static str>,
    /// The name of the agent that made the latest check.
    agent: Option<&'a str>,
    /// The connection that the agent holds open; `null` where it is not to hold one.
    canary: Option<CanaryJson<'a>>,
    tls: Option<TlsJson>,
    /// Which of several addresses fail.
    addresses: Option<&'a str>,
    /// After which idle time the path cuts a connection, where that was looked for.
    idle_timeout: Option<&'a str>,
    /// Those of the monitor's window; `null` where there are none.
    round_trips: Option<QuantilesMs>,
}

impl<'a> PublicMonitor<'a> {
    pub(super) fn of(monitor: &'a MonitorView) -> Self {
        Self {
            id: &monitor.id,
            name: &monitor.name,
            status: tally::state(monitor),
            since: monitor.since,
            maintenance: MaintenanceNote::of(monitor),
            degraded: &monitor.degraded,
            regions: monitor.regions.iter().map(PublicRegion::of).collect(),
        }
    }
}

impl<'a> MaintenanceNote<'a> {
    fn of(monitor: &'a MonitorView) -> Option<Self> {
        let one = monitor.maintenance.as_ref()?;
        Some(Self { id: &one.id, name: &one.name, reason: &one.reason, until: one.until })
    }
}

impl<'a> PublicRegion<'a> {
    fn of(region: &'a RegionView) -> Self {
        Self {
            region: &region.region,
            vote: region.vote.name(),
            latency_ms: region.latency.map(quorate_proto::Micros::as_millis_f64),
            last_checked_at: region.last_checked_at,
            failure: words::failure(region),
        }
    }
}

impl<'a> FullMonitor<'a> {
    pub(super) fn of(monitor: &'a MonitorView) -> Self {
        Self {
            id: &monitor.id,
            name: &monitor.name,
            url: &monitor.url,
            status: tally::state(monitor),
            verdict: monitor.verdict.map(quorate_quorum::Verdict::name),
            since: monitor.since,
            maintenance: MaintenanceNote::of(monitor),
            suspect: monitor.suspect,
            interval_ms: monitor.interval.as_millis_f64(),
            quorum: &monitor.quorum,
            verify_tls: monitor.verify_tls,
            degraded: &monitor.degraded,
            round_trips: RoundTripsJson::of(monitor),
            held_by: &monitor.held_by,
            flapping: monitor.flapping,
            calibration: monitor.calibration.as_ref().map(CalibrationJson::of),
            regions: monitor.regions.iter().map(FullRegion::of).collect(),
        }
    }
}

impl<'a> FullRegion<'a> {
    fn of(region: &'a RegionView) -> Self {
        let abstention = match region.vote {
            Vote::Ok | Vote::Fail => None,
            Vote::Abstain(reason) => Some(reason.name()),
        };
        let agent = region.agent.as_ref().map(quorate_proto::AgentName::as_str);
        Self {
            public: PublicRegion::of(region),
            abstention,
            agent,
            canary: region.canary.as_ref().map(CanaryJson::of),
            tls: region.tls.as_ref().map(TlsJson::of),
            addresses: region.addresses.as_deref(),
            idle_timeout: region.idle_timeout.as_deref(),
            round_trips: region.round_trips.map(QuantilesMs::from),
        }
    }
}
