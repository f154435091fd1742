//! What a signed unit says: a batch of results, or that some results are lost.

use serde::{Deserialize, Serialize};

use crate::{
    limits,
    outcome::CheckResult,
    time::WallMicros,
    unit::{Digest, Sequence},
};

/// The results of a short while, signed together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchBody {
    /// The agent's wall clock when it signed. For people.
    pub signed_at: WallMicros,
    /// The revision of the assignments under which the checks were made.
    pub revision: u64,
    /// The results, oldest first; 1 to [`limits::BATCH_RESULTS_MAX`].
    pub results: Vec<CheckResult>,
}

/// A stretch of units that the agent made and no longer has. Where the aggregator has them all, it says nothing new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The first sequence number after the stretch.
    pub resume: Sequence,
    /// The digest of the last unit of the stretch: what the unit at `resume` names as its predecessor.
    pub resume_previous: Digest,
    /// Results that were lost.
    pub results: u64,
    /// Why.
    pub cause: GapCause,
}

/// Why units are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GapCause {
    /// The spool was full; oldest go first.
    SpoolFull,
    /// A record on the agent's disk was damaged.
    SpoolDamaged,
    /// The aggregator refused them.
    Refused,
    /// They were acknowledged once. Whoever lacks them was restored from an older copy.
    Forgotten,
}

impl GapCause {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::SpoolFull => "spool_full",
            Self::SpoolDamaged => "spool_damaged",
            Self::Refused => "refused",
            Self::Forgotten => "forgotten",
        }
    }
}

impl BatchBody {
    /// Whether the batch and each of its results are within their bounds.
    pub fn is_within_limits(&self) -> bool {
        (1..=limits::BATCH_RESULTS_MAX).contains(&self.results.len())
            && self.results.iter().all(CheckResult::is_within_limits)
    }
}
