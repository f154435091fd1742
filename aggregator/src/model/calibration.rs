//! What is remembered of a monitor's paths, and of the numbers that were chosen for them.

use std::collections::BTreeMap;

use quorate_proto::Region;
use quorate_quorum::{Calibration, PathSums};
use serde::{Deserialize, Serialize};

use super::evidence::CalibratedRecord;

/// What is remembered of one monitor's calibration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CalibrationKept {
    /// What they lead to: of another target they say nothing.
    pub target: String,
    /// The numbers that apply; none: the usual ones.
    pub chosen: Option<CalibratedRecord>,
    /// The path from each region.
    pub paths: BTreeMap<Region, PathKept>,
}

/// The sums over one path ([`PathSums`]); times in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PathKept {
    observed_s: f64,
    bad_s: f64,
    spells: f64,
    lasted_s: f64,
    lasted_squared: f64,
    failures: f64,
    wait_s: f64,
    met: f64,
}

impl CalibrationKept {
    /// What is to be remembered.
    pub fn of(calibration: &Calibration) -> Self {
        let paths = calibration.paths().sums().map(|(region, sums)| (region.clone(), PathKept::of(sums)));
        let chosen = calibration.chosen().map(CalibratedRecord::of);
        Self { target: String::new(), chosen, paths: paths.collect() }
    }

    /// Gives it back.
    pub fn restore(self, calibration: &mut Calibration) {
        let chosen = self.chosen.as_ref().map(CalibratedRecord::calibrated);
        calibration.restore(chosen, self.paths.into_iter().map(|(region, kept)| (region, kept.sums())));
    }
}

impl PathKept {
    fn of(sums: PathSums) -> Self {
        let PathSums { observed_s, bad_s, spells, lasted_s, lasted_squared, failures, wait_s, met } = sums;
        Self { observed_s, bad_s, spells, lasted_s, lasted_squared, failures, wait_s, met }
    }

    fn sums(self) -> PathSums {
        let Self { observed_s, bad_s, spells, lasted_s, lasted_squared, failures, wait_s, met } = self;
        PathSums { observed_s, bad_s, spells, lasted_s, lasted_squared, failures, wait_s, met }
    }
}
