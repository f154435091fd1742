//! Degraded: a monitor that works, and not well. Beside the verdict, and no incident.

use std::collections::{BTreeMap, BTreeSet};

use quorate_proto::{Micros, Region, WallMicros};
use quorate_quorum::quality::{Figures, Kind, Quantiles};
use serde::{Deserialize, Serialize};

use super::{ChannelId, MonitorReference, rfc3339};

/// A stretch of time in which a monitor was degraded, whatever the reasons were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Degradation {
    /// `deg_` and a UUID, version 7: the same at its beginning and at its end.
    pub id: String,
    /// Which monitor.
    pub monitor: MonitorReference,
    /// Since when.
    #[serde(with = "rfc3339")]
    pub since: WallMicros,
    /// Until when; none while it goes on.
    #[serde(with = "rfc3339::option")]
    pub recovered_at: Option<WallMicros>,
    /// Every reason that there was, in the order in which they began.
    pub reasons: Vec<DegradedReason>,
    /// The round trips as last looked at, where there are any.
    pub round_trips: Option<RoundTripsSeen>,
}

/// Why a monitor is degraded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DegradedReason {
    /// `latency`, `certificate`, `reconnects` or `closes`.
    pub kind: String,
    /// Since when.
    #[serde(with = "rfc3339")]
    pub since: WallMicros,
    /// Until when; none while it goes on.
    #[serde(with = "rfc3339::option")]
    pub ended_at: Option<WallMicros>,
    /// In one or two sentences, with the numbers as they were when it began, and what to do.
    pub summary: String,
}

/// The round trips of a monitor over its window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundTripsSeen {
    /// Of all regions together.
    #[serde(flatten)]
    pub merged: QuantilesMs,
    /// Of each region that has any.
    pub regions: Vec<RegionRoundTrips>,
}

/// The round trips of one region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegionRoundTrips {
    /// Which.
    pub region: Region,
    /// How long they took.
    #[serde(flatten)]
    pub quantiles: QuantilesMs,
}

/// A distribution in four numbers, each right to 0.8 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantilesMs {
    /// How many round trips.
    pub count: u64,
    /// Half took no longer.
    pub p50_ms: f64,
    /// 95 of 100 took no longer.
    pub p95_ms: f64,
    /// 99 of 100 took no longer.
    pub p99_ms: f64,
}

/// What is remembered of how well a monitor works. A part that an older version did not know is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct QualityKept {
    /// What goes on.
    pub degradation: Option<Degradation>,
    /// The channels that were told.
    pub told: BTreeSet<ChannelId>,
    /// The reasons that began in a maintenance and go on untold.
    #[serde(default)]
    pub held: BTreeSet<String>,
    /// What is usual for the canary of each region.
    pub usual: BTreeMap<Region, UsualKept>,
}

/// How often the canary of a region ends abnormally.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsualKept {
    /// Ends, older ones for less.
    pub ends: f64,
    /// Hours for which it was held, older ones for less.
    pub hours: f64,
    /// As of when.
    pub at: WallMicros,
}

impl Degradation {
    /// The reasons that go on.
    pub fn going(&self) -> impl Iterator<Item = &DegradedReason> {
        self.reasons.iter().filter(|reason| reason.ended_at.is_none())
    }

    /// The reason of a kind that goes on.
    pub fn going_mut(&mut self, kind: Kind) -> Option<&mut DegradedReason> {
        self.reasons.iter_mut().find(|reason| reason.ended_at.is_none() && reason.kind == kind.name())
    }
}

impl From<&Figures> for RoundTripsSeen {
    fn from(figures: &Figures) -> Self {
        let region = |(region, quantiles): &(Region, Quantiles)| RegionRoundTrips {
            region: region.clone(),
            quantiles: (*quantiles).into(),
        };
        Self { merged: figures.merged.into(), regions: figures.regions.iter().map(region).collect() }
    }
}

impl From<Quantiles> for QuantilesMs {
    fn from(quantiles: Quantiles) -> Self {
        let Quantiles { count, p50, p95, p99 } = quantiles;
        let [p50_ms, p95_ms, p99_ms] = [p50, p95, p99].map(Micros::as_millis_f64);
        Self { count, p50_ms, p95_ms, p99_ms }
    }
}
