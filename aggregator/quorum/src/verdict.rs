//! Votes and verdicts.

use quorate_proto::Doubt;

/// One region's standing opinion on one monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vote {
    /// The latest check passed.
    Ok,
    /// The latest check failed.
    Fail,
    /// The region has no say.
    Abstain(Abstention),
}

/// Why a region has no say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Abstention {
    /// No agent of the region has been heard from for [`quorate_proto::limits::HEARTBEAT_STALE`].
    Silent,
    /// Its agents still work under an older configuration.
    Outdated,
    /// Its agent says of itself that it cannot be trusted, and why.
    Sick(Doubt),
    /// It has not checked this monitor yet.
    NoResult,
    /// Its latest check is too old.
    Stale,
    /// Its latest check failed for a reason of the agent's own.
    AgentsOwnFault,
    /// Its agents contradict each other.
    Tied,
    /// Its agent contradicts the other regions on most of what it watches.
    Outlier,
    /// The path from there fails by itself so often that its vote would do more harm than good.
    Noisy,
}

/// What the quorum says of one monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// A quorum passes.
    Up,
    /// Some regions fail, and not enough of them for long enough to say down.
    Partial,
    /// A quorum fails.
    Down,
    /// Too few regions have a vote.
    Unobserved,
}

impl Verdict {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Partial => "partial",
            Self::Down => "down",
            Self::Unobserved => "unobserved",
        }
    }

    /// The verdict of a stable name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Up, Self::Partial, Self::Down, Self::Unobserved]
            .into_iter()
            .find(|verdict| verdict.name() == name)
    }
}

impl Vote {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Fail => "fail",
            Self::Abstain(_) => "abstain",
        }
    }
}

impl Abstention {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Outdated => "outdated",
            Self::Sick(_) => "sick",
            Self::NoResult => "no_result",
            Self::Stale => "stale",
            Self::AgentsOwnFault => "agents_own_fault",
            Self::Tied => "tied",
            Self::Outlier => "outlier",
            Self::Noisy => "noisy",
        }
    }
}
