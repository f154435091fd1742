//! A region's held connection and its TLS, as JSON for operators.

use std::collections::BTreeMap;

use quorate_proto::{Micros, WallMicros, outcome::TlsFacts};
use serde::Serialize;

use crate::model::{
    CanaryView, rfc3339,
    view::{CANARY_SECONDS_BOUNDS, RECONNECT_SECONDS_BOUNDS},
};

/// The connection that a region's agent holds open. Counts are since the aggregator's start.
#[derive(Debug, Serialize)]
pub(in crate::publish) struct CanaryJson<'a> {
    open: bool,
    #[serde(with = "rfc3339::option")]
    open_since: Option<WallMicros>,
    /// How the latest one ended.
    last_end: Option<&'a str>,
    #[serde(with = "rfc3339::option")]
    last_ended_at: Option<WallMicros>,
    /// The middle one of the latest heartbeats.
    round_trip_ms: Option<f64>,
    opened: u64,
    ended: u64,
    silent_drops: u64,
    /// Of those that ended, the share that had lasted less than 10 s; `null` before one ended.
    lost_within_10s_share: Option<f64>,
    reconnects_last_minute: u32,
    /// Ends by close code; 1005 is a close frame without a code, 1006 an end without a close frame.
    close_codes: &'a BTreeMap<u16, u64>,
    /// How long they lasted.
    lasted_seconds: HistogramJson,
    /// How long it took to reconnect.
    reconnect_seconds: HistogramJson,
}

/// A distribution: how many were at most so long.
#[derive(Debug, Serialize)]
struct HistogramJson {
    count: u64,
    sum: f64,
    /// In order; each counts those above the bound before it. The last has no bound.
    buckets: Vec<BucketJson>,
}

#[derive(Debug, Serialize)]
struct BucketJson {
    at_most: Option<f64>,
    count: u64,
}

/// What TLS agreed on.
#[derive(Debug, Serialize)]
pub(in crate::publish) struct TlsJson {
    version: String,
    cipher: String,
    /// When the first certificate of the chain ends.
    #[serde(with = "rfc3339::option")]
    not_after: Option<WallMicros>,
    /// SHA-256 of the server's own certificate, in hexadecimal.
    fingerprint_sha256: String,
    verified: bool,
}

impl<'a> CanaryJson<'a> {
    pub(in crate::publish) fn of(canary: &'a CanaryView) -> Self {
        let share = canary.lost_within_10s as f64 / canary.ended as f64;
        Self {
            open: canary.open_since.is_some(),
            open_since: canary.open_since,
            last_end: canary.last_end.as_deref(),
            last_ended_at: canary.last_ended_at,
            round_trip_ms: canary.round_trip.map(Micros::as_millis_f64),
            opened: canary.opened,
            ended: canary.ended,
            silent_drops: canary.silent_drops,
            lost_within_10s_share: (canary.ended > 0).then_some(share),
            reconnects_last_minute: canary.reconnects_last_minute,
            close_codes: &canary.close_codes,
            lasted_seconds: HistogramJson::of(
                &CANARY_SECONDS_BOUNDS,
                &canary.lasted_seconds,
                canary.lasted_seconds_sum,
            ),
            reconnect_seconds: HistogramJson::of(
                &RECONNECT_SECONDS_BOUNDS,
                &canary.reconnect_seconds,
                canary.reconnect_seconds_sum,
            ),
        }
    }
}

impl HistogramJson {
    fn of(bounds: &[f64], counts: &[u64], sum: f64) -> Self {
        let edges = bounds.iter().copied().map(Some).chain([None]);
        let counts = counts.iter().copied().chain(std::iter::repeat(0));
        let buckets: Vec<_> =
            edges.zip(counts).map(|(at_most, count)| BucketJson { at_most, count }).collect();
        Self { count: buckets.iter().map(|bucket| bucket.count).sum(), sum, buckets }
    }
}

impl TlsJson {
    pub(in crate::publish) fn of(facts: &TlsFacts) -> Self {
        Self {
            version: facts.version_name().into_owned(),
            cipher: facts.cipher_name().into_owned(),
            not_after: facts.not_after,
            fingerprint_sha256: facts.fingerprint_hex(),
            verified: facts.verified,
        }
    }
}
