//! Who votes on a monitor, and the numbers of the rules.

use std::collections::BTreeSet;

use quorate_proto::{Micros, Region};

/// Who votes on one monitor, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The regions that watch it: all that are configured, whether or not an agent is there.
    pub regions: BTreeSet<Region>,
    /// From one scheduled check to the next, in each region.
    pub interval: Micros,
    /// The deadline around one check.
    pub timeout: Micros,
    /// How many regions must fail for the fast rule.
    pub quorum: Quorum,
    /// How long the evidence must span for the fast rule; none: by sensitivity and number of regions.
    pub confirm_for: Option<Micros>,
    /// Which set of numbers applies.
    pub sensitivity: Sensitivity,
    /// The revision of the assignments that brought the monitor's present form. Votes of agents that work under an
    /// older one do not count.
    pub revision: u64,
}

/// How many of *m* regions must fail for the fast rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quorum {
    /// `m - floor(m / 5)`: 2/2, 3/3, 4/4, 4/5, 5/6, 6/7.
    #[default]
    Default,
    /// `floor(m / 2) + 1`.
    Majority,
    /// `m - 1`, and never fewer than a majority.
    AllButOne,
    /// `m`.
    All,
    /// This many, or all where fewer have a vote; never fewer than 2 unless one region is configured.
    AtLeast(u16),
}

/// Which set of numbers applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sensitivity {
    /// No evidence span at all: pages soonest, and falsely most often.
    Fast,
    /// The numbers of the rules.
    #[default]
    Balanced,
    /// Twice the spans of `Balanced`.
    Strict,
}

/// Why a policy makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// No region watches the monitor.
    #[error("no region watches the monitor")]
    NoRegions,
    /// The quorum is larger than the number of regions.
    #[error("a quorum of {quorum} cannot be reached by {regions} regions")]
    QuorumTooLarge {
        /// The wanted quorum.
        quorum: u16,
        /// The regions that there are.
        regions: usize,
    },
    /// One failing region of several would page.
    #[error("a quorum of {0} lets one region page alone; at least 2 are wanted where several regions watch")]
    QuorumTooSmall(u16),
}
