//! How well a monitor works, on its card: why it is degraded, and how long round trips took.

use quorate_quorum::quality::{LatencySla, Quantiles};

use crate::{model::MonitorView, publish::words};

/// A table of round trips.
pub(super) struct Trips<'a> {
    /// Over which time, and what is promised.
    pub(super) caption: String,
    /// Every region that has any, and all of them together.
    pub(super) rows: Vec<TripsRow<'a>>,
}

/// One line of it.
pub(super) struct TripsRow<'a> {
    pub(super) name: &'a str,
    pub(super) p50: String,
    pub(super) p95: String,
    pub(super) p99: String,
    /// Whether it is above what is promised.
    pub(super) is_slow: bool,
}

/// The table, where there is anything to show.
pub(super) fn trips(monitor: &MonitorView) -> Option<Trips<'_>> {
    let merged = monitor.round_trips?;
    let over = monitor.latency.map_or(LatencySla::OVER, |sla| sla.over);
    let promise =
        monitor.latency.map(|sla| format!(" · promised: 95 of 100 within {}", words::latency(sla.p95)));
    let row = |name, trips: Quantiles| TripsRow {
        name,
        p50: words::latency(trips.p50),
        p95: words::latency(trips.p95),
        p99: words::latency(trips.p99),
        is_slow: monitor.latency.is_some_and(|sla| trips.p95 > sla.p95),
    };
    let regions =
        monitor.regions.iter().filter_map(|region| Some((region.region.as_str(), region.round_trips?)));
    let all = (monitor.regions.len() > 1).then_some(("all", merged));
    Some(Trips {
        caption: format!(
            "{} round trips over {}{}",
            merged.count,
            words::span(over),
            promise.unwrap_or_default()
        ),
        rows: regions.chain(all).map(|(name, trips)| row(name, trips)).collect(),
    })
}
