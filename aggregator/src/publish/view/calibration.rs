//! How the paths of a monitor were measured, as operators read it.

use std::collections::BTreeSet;

use quorate_proto::Region;
use quorate_quorum::PathSums;
use serde::Serialize;

use crate::model::view::CalibrationView;

/// How the paths of one monitor were measured, and what follows from that.
#[derive(Debug, Serialize)]
pub(super) struct CalibrationJson<'a> {
    /// The numbers that were found fitting; `null`: the usual ones apply.
    applies: Option<AppliesJson<'a>>,
    /// Under what applies, without a fault of the server; `null` before the first review.
    expected_false_pages_per_1000_years: Option<f64>,
    /// The path from each region.
    paths: Vec<PathJson<'a>>,
}

#[derive(Debug, Serialize)]
struct AppliesJson<'a> {
    span_s: f64,
    /// Whether a quorum has to fail together for that span, and not only since the first failure.
    together: bool,
    majority_span_s: f64,
    /// Regions that abstain because their paths fail by themselves too often.
    noisy: &'a BTreeSet<Region>,
}

#[derive(Debug, Serialize)]
struct PathJson<'a> {
    region: &'a Region,
    /// For how long it was watched; what is long ago fades.
    watched_s: f64,
    /// The part of the time in which it fails by itself; what is assumed of a path that is little known is in it.
    bad_share: f64,
    /// For how long at a time.
    bad_for_s: f64,
}

impl<'a> CalibrationJson<'a> {
    pub(super) fn of(view: &'a CalibrationView) -> Self {
        Self {
            applies: view.applies.as_ref().map(|applies| AppliesJson {
                span_s: applies.span.as_secs_f64(),
                together: applies.together,
                majority_span_s: applies.majority_span.as_secs_f64(),
                noisy: &applies.noisy,
            }),
            expected_false_pages_per_1000_years: view.expected,
            paths: view.paths.iter().map(|(region, sums)| PathJson::of(region, sums)).collect(),
        }
    }
}

impl<'a> PathJson<'a> {
    fn of(region: &'a Region, sums: &PathSums) -> Self {
        let quality = sums.quality();
        Self {
            region,
            watched_s: sums.observed_s,
            bad_share: quality.share,
            bad_for_s: quality.spell.as_secs_f64(),
        }
    }
}
