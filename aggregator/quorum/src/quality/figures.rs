//! Round trips as people see them.

use quorate_proto::{Micros, Region};

use super::sketch::Sketch;

/// The round trips of one monitor over its window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Of all regions together: what is judged.
    pub merged: Quantiles,
    /// Of each region that has any, in order: what tells where it is slow.
    pub regions: Vec<(Region, Quantiles)>,
}

/// A distribution in four numbers, each right to 0.8 %.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// How many round trips.
    pub count: u64,
    /// Half took no longer.
    pub p50: Micros,
    /// 95 of 100 took no longer.
    pub p95: Micros,
    /// 99 of 100 took no longer.
    pub p99: Micros,
}

impl Quantiles {
    /// Of a sketch that has counted any.
    pub fn of(sketch: &Sketch) -> Option<Self> {
        let [p50, p95, p99] = [50, 95, 99].map(|percent| sketch.quantile(percent));
        Some(Self { count: sketch.count(), p50: p50?, p95: p95?, p99: p99? })
    }
}

impl Figures {
    /// The regions whose own 95th percentile is above a span, in order.
    pub fn slower_than(&self, span: Micros) -> impl Iterator<Item = &Region> {
        self.regions.iter().filter(move |(_, quantiles)| quantiles.p95 > span).map(|(region, _)| region)
    }
}
