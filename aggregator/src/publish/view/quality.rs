//! How well a monitor works, as JSON.

use quorate_proto::Micros;
use quorate_quorum::quality::LatencySla;
use serde::Serialize;

use crate::model::{MonitorView, QuantilesMs};

/// The round trips of all regions together, and what is promised of them.
#[derive(Debug, Serialize)]
pub(in crate::publish) struct RoundTripsJson {
    /// How many in the window.
    count: u64,
    /// Half took no longer; `null` where there are none, as are the others.
    p50_ms: Option<f64>,
    /// 95 of 100 took no longer.
    p95_ms: Option<f64>,
    /// 99 of 100 took no longer.
    p99_ms: Option<f64>,
    /// The window over which they are looked at.
    over_ms: f64,
    /// `null` where nothing is promised.
    sla: Option<SlaJson>,
}

#[derive(Debug, Serialize)]
struct SlaJson {
    p95_ms: f64,
    min_samples: u32,
}

impl RoundTripsJson {
    pub(in crate::publish) fn of(monitor: &MonitorView) -> Self {
        let merged = monitor.round_trips.map(QuantilesMs::from);
        Self {
            count: merged.map_or(0, |merged| merged.count),
            p50_ms: merged.map(|merged| merged.p50_ms),
            p95_ms: merged.map(|merged| merged.p95_ms),
            p99_ms: merged.map(|merged| merged.p99_ms),
            over_ms: monitor.latency.map_or(LatencySla::OVER, |sla| sla.over).as_millis_f64(),
            sla: monitor
                .latency
                .map(|sla| SlaJson { p95_ms: Micros::as_millis_f64(sla.p95), min_samples: sla.min_samples }),
        }
    }
}
