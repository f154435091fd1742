//! What is said of a monitor's held connections and its certificate, a line each.

use quorate_proto::WallMicros;

use crate::{
    model::{CanaryView, MonitorView},
    publish::words,
};

/// How many held connections are open, and what became of others.
pub(super) fn connections(monitor: &MonitorView, now: WallMicros) -> Option<String> {
    let canaries: Vec<&CanaryView> =
        monitor.regions.iter().filter_map(|region| region.canary.as_ref()).collect();
    if canaries.is_empty() {
        return None;
    }
    let since: Vec<WallMicros> = canaries.iter().filter_map(|canary| canary.open_since).collect();
    let mut line = format!("{} of {} held connections open", since.len(), canaries.len());
    if let Some(longest) = since.iter().min() {
        line.push_str(&format!(", the longest for {}", words::span(now.since(*longest))));
    }
    let sum = |read: fn(&CanaryView) -> u64| canaries.iter().map(|canary| read(canary)).sum::<u64>();
    let lost = [
        (sum(|canary| canary.ended), "lost so far", "lost so far"),
        (sum(|canary| canary.silent_drops), "silent drop", "silent drops"),
    ];
    for (count, one, many) in lost {
        if count > 0 {
            line.push_str(&format!(" · {count} {}", if count == 1 { one } else { many }));
        }
    }
    Some(line)
}

/// When the first certificate of any region's chain ends.
pub(super) fn certificate(monitor: &MonitorView, now: WallMicros) -> Option<String> {
    let facts = monitor.regions.iter().filter_map(|region| region.tls.as_ref());
    let ends = facts.filter_map(|facts| facts.not_after).min()?;
    Some(match ends > now {
        true => format!("certificate ends in {}", words::span(ends.since(now))),
        false => format!("certificate ended {} ago", words::span(now.since(ends))),
    })
}

/// What regions see beside their vote: lost connections, failing addresses, idle timeouts. Region and text.
pub(super) fn remarks(monitor: &MonitorView) -> Vec<(&str, String)> {
    let mut remarks = Vec::new();
    for region in &monitor.regions {
        let name = region.region.as_str();
        let is_lost = |canary: &&CanaryView| canary.open_since.is_none();
        if let Some(end) = region.canary.as_ref().filter(is_lost).and_then(|canary| canary.last_end.as_ref())
        {
            remarks.push((name, format!("the held connection is lost: {end}")));
        }
        remarks.extend(region.addresses.iter().map(|addresses| (name, addresses.clone())));
        remarks.extend(region.idle_timeout.iter().map(|text| (name, format!("idle connections: {text}"))));
    }
    remarks
}

#[cfg(test)]
mod tests {
    use quorate_proto::Micros;

    use super::*;
    use crate::publish::sample;

    #[test]
    fn a_monitor_with_and_without_held_connections() {
        let snapshot = sample::snapshot();
        let by_id = |id: &str| snapshot.monitors.iter().find(|monitor| monitor.id.as_str() == id).unwrap();
        let lab = by_id("lab");
        assert_eq!(
            connections(lab, sample::NOW).as_deref(),
            Some("0 of 1 held connections open · 4 lost so far · 1 silent drop")
        );
        assert_eq!(certificate(lab, sample::NOW), None);
        let remarks: Vec<String> = remarks(lab).into_iter().map(|(_, text)| text).collect();
        assert_eq!(
            remarks,
            [
                "the held connection is lost: silent_drop path_dead: the heartbeat was not acknowledged",
                "1 of 4 addresses fails: 192.0.2.7 (connection_refused)",
                "idle connections: cut after 60.0 s without a close frame",
            ]
        );
        let mut bare = MonitorView::clone(lab);
        bare.regions[0].canary = None;
        assert_eq!(connections(&bare, sample::NOW), None);
    }

    #[test]
    fn the_certificate_that_ends_first_is_told() {
        let snapshot = sample::snapshot();
        let monitor = snapshot.monitors.iter().find(|monitor| monitor.regions[0].tls.is_some()).unwrap();
        let mut monitor = MonitorView::clone(monitor);
        assert_eq!(certificate(&monitor, sample::NOW).as_deref(), Some("certificate ends in 23 d 3 h"));
        monitor.regions[0].tls.as_mut().unwrap().not_after =
            Some(sample::NOW.before(Micros::from_secs(7_300)));
        assert_eq!(certificate(&monitor, sample::NOW).as_deref(), Some("certificate ended 2 h 1 min ago"));
    }
}
