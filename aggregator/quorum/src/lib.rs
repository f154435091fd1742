//! The decision engine: a pure fold from events to effects.
//!
//! Time comes in as an argument, nothing is ordered by a hash, and no event has a cause outside this crate's types.
//! See [`Engine`] for the order of calls.

mod effect;
mod engine;
mod event;
mod policy;
mod verdict;

pub use effect::{CountedVote, Effect, Rule, Timeline, VerdictChange};
pub use engine::{Engine, MonitorState, RegionState};
pub use event::{Event, Finding, Observation, Source};
pub use policy::{CONFIRM_FOR_MAX, Policy, PolicyError, Quorum, SINGLE_REGION_ATTEMPTS, Sensitivity};
pub use verdict::{Abstention, Verdict, Vote};

use quorate_proto::{Micros, WallMicros};

/// A reading of the aggregator's own steady clock: microseconds since 1970 by its wall clock *at its start*, and from
/// then on counted by a monotonic clock. It never jumps; it may drift from the wall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

impl Moment {
    /// The moment `span` later.
    #[must_use]
    pub const fn after(self, span: Micros) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// The moment `span` earlier.
    #[must_use]
    pub const fn before(self, span: Micros) -> Self {
        Self(self.0.saturating_sub(span.0))
    }

    /// The span since an earlier moment, or zero where that one is later.
    pub const fn since(self, earlier: Self) -> Micros {
        Micros(self.0.saturating_sub(earlier.0))
    }

    /// The moment as a wall clock would have shown it, for people.
    pub fn to_wall(self) -> WallMicros {
        WallMicros(i64::try_from(self.0).unwrap_or(i64::MAX))
    }
}
