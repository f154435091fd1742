//! How well monitors work: round trips, what is promised of them, and what does not hold.

use std::sync::Arc;

use quorate_quorum::quality::{Kind, Quantiles};

use super::Family;
use crate::model::MonitorView;

/// Every family of it.
pub(super) fn quality(monitors: &[Arc<MonitorView>]) -> Vec<Family> {
    let mut degraded = Family::gauge(
        "quorate_monitor_degraded",
        "1 while the monitor works and not well, by reason; 0 otherwise.",
    );
    let mut whole = Family::gauge(
        "quorate_monitor_round_trip_seconds",
        "Percentiles of the round trips of all regions together over the monitor's window.",
    );
    let mut of_region = Family::gauge(
        "quorate_region_round_trip_seconds",
        "Percentiles of the region's round trips over the monitor's window.",
    );
    let mut count = Family::gauge("quorate_monitor_round_trips", "Round trips in the monitor's window.");
    let mut sla = Family::gauge(
        "quorate_monitor_round_trip_sla_seconds",
        "What the 95th percentile of the round trips is promised to be.",
    );
    for monitor in monitors {
        let id = ("monitor", monitor.id.as_str());
        for kind in Kind::ALL {
            let is = monitor.degraded.iter().any(|reason| reason.kind == kind.name());
            degraded.push(&[id, ("reason", kind.name())], f64::from(u8::from(is)));
        }
        if let Some(trips) = monitor.round_trips {
            percentiles(trips)
                .for_each(|(percentile, value)| whole.push(&[id, ("percentile", percentile)], value));
            count.push(&[id], trips.count as f64);
        }
        for region in &monitor.regions {
            let name = ("region", region.region.as_str());
            let trips = region.round_trips.into_iter().flat_map(percentiles);
            trips.for_each(|(percentile, value)| {
                of_region.push(&[id, name, ("percentile", percentile)], value)
            });
        }
        if let Some(promised) = monitor.latency {
            sla.push(&[id], promised.p95.as_secs_f64());
        }
    }
    vec![degraded, whole, of_region, count, sla]
}

fn percentiles(trips: Quantiles) -> impl Iterator<Item = (&'static str, f64)> {
    // The label `quantile` is that of summaries, which these are not: they have no sum.
    [("50", trips.p50), ("95", trips.p95), ("99", trips.p99)]
        .into_iter()
        .map(|(percentile, span)| (percentile, span.as_secs_f64()))
}
