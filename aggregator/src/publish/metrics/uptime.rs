//! Maintenance and uptime, as far as the status page reckons it: over its 90 days.

use std::{collections::BTreeMap, sync::Arc};

use quorate_proto::MonitorId;

use super::{Family, MonitorView};
use crate::publish::recent::Days;

pub(super) fn maintenance(monitors: &[Arc<MonitorView>]) -> Vec<Family> {
    let mut on = Family::gauge("quorate_monitor_maintenance", "1 while the monitor is maintained.");
    for monitor in monitors {
        let is_on = f64::from(u8::from(monitor.maintenance.is_some()));
        on.push(&[("monitor", monitor.id.as_str())], is_on);
    }
    vec![on]
}

/// The figures of the status page; absent where nothing was observed, or the store does not say.
pub(in crate::publish) fn uptime(days: &BTreeMap<MonitorId, Days>) -> Vec<Family> {
    let mut ratio = Family::gauge(
        "quorate_monitor_uptime_ratio",
        "Of the observed time of the last 90 days, the share in which the monitor was up or partial.",
    );
    let mut unobserved = Family::gauge(
        "quorate_monitor_unobserved_ratio",
        "Of the time of the last 90 days that should have been observed, the share that was not.",
    );
    for (monitor, days) in days {
        let labels = [("monitor", monitor.as_str())];
        if let Some(share) = days.whole.uptime() {
            ratio.push(&labels, share);
        }
        if let Some(share) = days.whole.unobserved_share() {
            unobserved.push(&labels, share);
        }
    }
    vec![ratio, unobserved]
}
