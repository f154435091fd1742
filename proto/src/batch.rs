//! What a signed unit says: a batch of results, or that some results are lost.

use serde::{Deserialize, Serialize};

use crate::{
    canary::{CanaryResult, IdleTimeoutResult},
    id::MonitorId,
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
    /// The results, oldest first. All lists together have 1 to [`limits::BATCH_RESULTS_MAX`] entries.
    pub results: Vec<CheckResult>,
    /// What happened to canaries, oldest first.
    pub canaries: Vec<CanaryResult>,
    /// Idle timeouts that were looked for, oldest first.
    pub idle_timeouts: Vec<IdleTimeoutResult>,
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
    /// Entries of all lists.
    pub fn entries(&self) -> usize {
        self.results.len() + self.canaries.len() + self.idle_timeouts.len()
    }

    /// The monitors of all entries; one may come more than once.
    pub fn monitors(&self) -> impl Iterator<Item = &MonitorId> {
        let results = self.results.iter().map(|result| &result.monitor);
        let canaries = self.canaries.iter().map(|result| &result.monitor);
        results.chain(canaries).chain(self.idle_timeouts.iter().map(|result| &result.monitor))
    }

    /// Whether the batch and each of its entries are within their bounds.
    pub fn is_within_limits(&self) -> bool {
        (1..=limits::BATCH_RESULTS_MAX).contains(&self.entries())
            && self.results.iter().all(CheckResult::is_within_limits)
            && self.canaries.iter().all(CanaryResult::is_within_limits)
            && self.idle_timeouts.iter().all(IdleTimeoutResult::is_within_limits)
    }
}
