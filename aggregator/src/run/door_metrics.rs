//! What happened at the door, as metrics: `ingest` counts, `publish` shows, and neither imports the other.

use std::collections::BTreeMap;

use crate::{
    ingest::Reading,
    publish::{Family, FamilyKind, Sample},
};

/// The families of the door.
pub(super) fn families(reading: &Reading) -> Vec<Family> {
    let Reading {
        connections_open,
        connections,
        handshakes_refused,
        units_refused,
        frames_refused,
        joins,
        connections_ended,
    } = reading;
    vec![
        one(
            "quorate_ingest_connections",
            "Connections of enrolled agents that are open.",
            FamilyKind::Gauge,
            *connections_open,
        ),
        one(
            "quorate_ingest_connections_total",
            "Connections of enrolled agents since the start.",
            FamilyKind::Counter,
            *connections,
        ),
        by(
            "quorate_ingest_connections_ended_total",
            "Connections that ended, by why.",
            "reason",
            connections_ended,
        ),
        by(
            "quorate_ingest_handshakes_refused_total",
            "Connections that were not admitted, by why.",
            "reason",
            handshakes_refused,
        ),
        by(
            "quorate_ingest_units_refused_total",
            "Units refused before they reached the core, by why.",
            "reason",
            units_refused,
        ),
        by("quorate_ingest_frames_refused_total", "Frames refused, by why.", "reason", frames_refused),
        by("quorate_ingest_joins_total", "Joins, by outcome.", "outcome", joins),
    ]
}

fn one(name: &'static str, help: &'static str, kind: FamilyKind, value: u64) -> Family {
    Family { name, help, kind, samples: vec![Sample { suffix: "", labels: Vec::new(), value: value as f64 }] }
}

fn by(
    name: &'static str,
    help: &'static str,
    label: &'static str,
    counts: &BTreeMap<&'static str, u64>,
) -> Family {
    let sample = |(key, value): (&&'static str, &u64)| Sample {
        suffix: "",
        labels: vec![(label, (*key).to_owned())],
        value: *value as f64,
    };
    Family { name, help, kind: FamilyKind::Counter, samples: counts.iter().map(sample).collect() }
}
