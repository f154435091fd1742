//! Canaries and certificates, by monitor and region.

use std::sync::Arc;

use super::{Family, seconds};
use crate::model::{
    CanaryView, MonitorView, RegionView,
    view::{CANARY_SECONDS_BOUNDS, RECONNECT_SECONDS_BOUNDS},
};

type Labels<'a> = [(&'static str, &'a str); 2];

/// Every family of the connections that agents hold open.
pub(super) fn canaries(monitors: &[Arc<MonitorView>]) -> Vec<Family> {
    let mut families = vec![open(monitors), round_trip(monitors), reconnects(monitors)];
    families.extend(totals(monitors));
    families.extend([closes(monitors), lasted(monitors), reconnecting(monitors)]);
    families
}

/// Every family of what TLS agreed on. The names are those of the blackbox exporter.
pub(super) fn certificates(monitors: &[Arc<MonitorView>]) -> Vec<Family> {
    let mut expiry = Family::gauge(
        "probe_ssl_earliest_cert_expiry",
        "When the first certificate of the chain ends that the region was shown.",
    );
    let mut chain = Family::gauge(
        "probe_ssl_last_chain_info",
        "Always 1; the label is the server's own certificate, SHA-256.",
    );
    let mut version =
        Family::gauge("probe_tls_version_info", "Always 1; the label is the version that was agreed on.");
    let mut cipher =
        Family::gauge("probe_tls_cipher_info", "Always 1; the label is the cipher suite that was agreed on.");
    for (labels, region) in regions(monitors) {
        let Some(facts) = &region.tls else { continue };
        if let Some(not_after) = facts.not_after {
            expiry.push(&labels, seconds(not_after));
        }
        let [monitor, region] = labels;
        let fingerprint = facts.fingerprint_hex();
        chain.push(&[monitor, region, ("fingerprint_sha256", &fingerprint)], 1.0);
        version.push(&[monitor, region, ("version", &facts.version_name())], 1.0);
        cipher.push(&[monitor, region, ("cipher", &facts.cipher_name())], 1.0);
    }
    vec![expiry, chain, version, cipher]
}

fn regions(monitors: &[Arc<MonitorView>]) -> impl Iterator<Item = (Labels<'_>, &RegionView)> {
    monitors.iter().flat_map(|monitor| {
        monitor
            .regions
            .iter()
            .map(|region| ([("monitor", monitor.id.as_str()), ("region", region.region.as_str())], region))
    })
}

fn held(monitors: &[Arc<MonitorView>]) -> impl Iterator<Item = (Labels<'_>, &CanaryView)> {
    regions(monitors).filter_map(|(labels, region)| Some((labels, region.canary.as_ref()?)))
}

fn open(monitors: &[Arc<MonitorView>]) -> Family {
    let mut family = Family::gauge("quorate_canary_open", "1 while the region's held connection is open.");
    for (labels, canary) in held(monitors) {
        family.push(&labels, f64::from(u8::from(canary.open_since.is_some())));
    }
    family
}

fn round_trip(monitors: &[Arc<MonitorView>]) -> Family {
    let mut family = Family::gauge(
        "quorate_canary_round_trip_seconds",
        "The middle round trip of the held connection's latest heartbeats.",
    );
    for (labels, canary) in held(monitors) {
        if let Some(round_trip) = canary.round_trip {
            family.push(&labels, round_trip.as_secs_f64());
        }
    }
    family
}

fn reconnects(monitors: &[Arc<MonitorView>]) -> Family {
    let mut family = Family::gauge(
        "quorate_canary_reconnects_per_minute",
        "Reconnections of the held connection in the last minute; more than one is a warning.",
    );
    for (labels, canary) in held(monitors) {
        family.push(&labels, f64::from(canary.reconnects_last_minute));
    }
    family
}

fn totals(monitors: &[Arc<MonitorView>]) -> [Family; 4] {
    type Read = fn(&CanaryView) -> u64;
    let totals: [(&str, &str, Read); 4] = [
        ("quorate_canary_opened_total", "Held connections opened.", |canary| canary.opened),
        ("quorate_canary_ended_total", "Held connections that ended, and not by us.", |canary| canary.ended),
        (
            "quorate_canary_lost_early_total",
            "Held connections that ended within 10 s of being opened.",
            |canary| canary.lost_within_10s,
        ),
        (
            "quorate_canary_silent_drops_total",
            "Held connections whose heartbeat was not answered.",
            |canary| canary.silent_drops,
        ),
    ];
    totals.map(|(name, help, read)| {
        let mut family = Family::counter(name, help);
        for (labels, canary) in held(monitors) {
            family.push(&labels, read(canary) as f64);
        }
        family
    })
}

fn closes(monitors: &[Arc<MonitorView>]) -> Family {
    let mut family = Family::counter(
        "quorate_canary_closes_total",
        "Ends of held connections by close code: 1005 where the close frame had none, 1006 where no frame came.",
    );
    for (labels, canary) in held(monitors) {
        let [monitor, region] = labels;
        for (code, count) in &canary.close_codes {
            family.push(&[monitor, region, ("code", &code.to_string())], *count as f64);
        }
    }
    family
}

fn lasted(monitors: &[Arc<MonitorView>]) -> Family {
    let mut family = Family::of_histograms(
        "quorate_canary_connection_duration_seconds",
        "How long held connections lasted that ended by themselves.",
    );
    for (labels, canary) in held(monitors) {
        family.push_histogram(
            &labels,
            &CANARY_SECONDS_BOUNDS,
            &canary.lasted_seconds,
            canary.lasted_seconds_sum,
        );
    }
    family
}

fn reconnecting(monitors: &[Arc<MonitorView>]) -> Family {
    let mut family = Family::of_histograms(
        "quorate_canary_reconnect_duration_seconds",
        "From the end of a held connection to the next one that was open.",
    );
    for (labels, canary) in held(monitors) {
        family.push_histogram(
            &labels,
            &RECONNECT_SECONDS_BOUNDS,
            &canary.reconnect_seconds,
            canary.reconnect_seconds_sum,
        );
    }
    family
}
