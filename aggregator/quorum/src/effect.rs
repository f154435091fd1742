//! What the engine wants done.

use quorate_proto::{AgentKey, Micros, MonitorId, Region};

use crate::{Grounds, Moment, Source, Verdict, Vote};

/// One thing to do. Effects are values: the engine has done nothing about them.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Ask these regions to check this monitor now.
    Confirm {
        /// Which monitor.
        monitor: MonitorId,
        /// Which regions.
        regions: Vec<Region>,
        /// The number of the request, larger than every earlier one.
        request: u64,
    },
    /// The verdict on a monitor changed.
    Changed(Box<VerdictChange>),
    /// The server said that it would go away, and a quorum of regions has reconnected within the restart budget.
    Restarted {
        /// Which monitor.
        monitor: MonitorId,
        /// The regions that have reconnected.
        regions: Vec<Region>,
        /// The first announcement.
        began: Moment,
        /// From then until a quorum was connected again.
        took: Micros,
    },
    /// A failure of a monitor is being confirmed, or is not any more. Nobody is told; pages of others may wait for it.
    Suspected {
        /// Which monitor.
        monitor: MonitorId,
        /// Whether it is.
        suspect: bool,
    },
    /// Enough regions fail to make a monitor that is partial down, and they are of too few domains: it stays partial.
    /// Told once, as a change from partial to partial.
    Withheld(Box<VerdictChange>),
    /// An agent contradicts the others on most of what it watches: it abstains from here on.
    Outlier(Outlier),
    /// An outlier has agreed with the others for a while: it votes again.
    OutlierOver {
        /// What it was.
        outlier: Outlier,
        /// When it may vote again.
        until: Moment,
    },
}

/// An agent that contradicts the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlier {
    /// Which agent.
    pub agent: AgentKey,
    /// Its region.
    pub region: Region,
    /// How it contradicts them.
    pub contradiction: Contradiction,
    /// When it first contradicted them on most of what it watches.
    pub began: Moment,
    /// Since when it abstains.
    pub since: Moment,
    /// Unrelated targets on which it contradicted the others when that was found.
    pub disagreements: u32,
    /// Unrelated targets on which it could be compared with them.
    pub compared: u32,
}

/// How an agent contradicts the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contradiction {
    /// What they pass fails from there.
    FailsAlone,
    /// What they find failing passes from there.
    PassesAlone,
}

impl Contradiction {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FailsAlone => "fails_alone",
            Self::PassesAlone => "passes_alone",
        }
    }
}

/// A change of verdict, with all that explains it.
#[derive(Clone, Debug, PartialEq)]
pub struct VerdictChange {
    /// Which monitor.
    pub monitor: MonitorId,
    /// From what; none for the first verdict of a new monitor.
    pub from: Option<Verdict>,
    /// To what.
    pub to: Verdict,
    /// The rule that applied, with its numbers.
    pub rule: Rule,
    /// When each step happened.
    pub timeline: Timeline,
    /// Every region's vote, whether it counted or not, in order of region.
    pub votes: Vec<CountedVote>,
    /// All that it was made from, so that it can be judged again.
    pub grounds: Grounds,
}

/// When each step towards a verdict happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// The start of the first check of this spell that failed.
    pub first_failure_at: Option<Moment>,
    /// When the aggregator first heard of it and asked the others.
    pub suspected_at: Option<Moment>,
    /// When enough regions failed.
    pub quorum_at: Option<Moment>,
    /// When the verdict fell.
    pub decided_at: Moment,
}

/// One region's vote in a verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct CountedVote {
    /// Which region.
    pub region: Region,
    /// What it said.
    pub vote: Vote,
    /// Its latest check, where there is one.
    pub source: Option<Source>,
    /// When that check ended.
    pub ended: Option<Moment>,
}

/// The rule that made a verdict, with the numbers that applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Rule 3: nearly all regions fail, and the evidence spans long enough.
    FastQuorum {
        /// Regions that fail.
        failing: u16,
        /// Regions that have a vote.
        eligible: u16,
        /// Regions that had to fail.
        needed: u16,
        /// The time that the evidence spans.
        span: Micros,
        /// The time that it had to span.
        span_needed: Micros,
    },
    /// Rule 4: more than half fail, for long enough.
    Majority {
        /// Regions that fail.
        failing: u16,
        /// Regions that have a vote.
        eligible: u16,
        /// For how long.
        held: Micros,
        /// How long it had to be.
        held_needed: Micros,
    },
    /// Rule 5: the operator configured one region, and its attempts agree.
    SingleRegion {
        /// Attempts that failed without a break.
        attempts: u16,
        /// The time that they span.
        span: Micros,
    },
    /// Some regions fail, and no rule makes that down.
    SomeFail {
        /// Regions that fail.
        failing: u16,
        /// Regions that have a vote.
        eligible: u16,
    },
    /// Rule 5: too few regions have a vote.
    TooFewVoters {
        /// Regions that have a vote.
        eligible: u16,
        /// Regions that are configured.
        configured: u16,
    },
    /// Rule 6: enough regions passed twice.
    Recovered {
        /// Regions that pass.
        passing: u16,
        /// Regions that have a vote.
        eligible: u16,
    },
    /// The first verdict: a majority passes.
    FirstVotes {
        /// Regions that pass.
        passing: u16,
        /// Regions that have a vote.
        eligible: u16,
    },
    /// Enough regions fail, and no rule makes that down because they are of too few domains.
    TooFewDomains {
        /// Regions that fail.
        failing: u16,
        /// Regions that have a vote.
        eligible: u16,
        /// Domains that they are of, by the label of which they span too few.
        domains: u16,
        /// Domains that they had to be of.
        domains_needed: u16,
    },
}
