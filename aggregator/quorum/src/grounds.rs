//! On what grounds a verdict was made.

use std::collections::{BTreeMap, BTreeSet};

use quorate_proto::{BootEpoch, Micros, Region, Sequence};

use crate::{Abstention, Finding, Moment, Policy, Source, Vote};

/// Everything that a verdict was made from. [`crate::judge`] makes it again, by the rules that made it.
#[derive(Clone, Debug, PartialEq)]
pub struct Grounds {
    /// Who votes, and the numbers of the rules.
    pub policy: Policy,
    /// When the verdict was made.
    pub at: Moment,
    /// Whether absent regions were waited for and counted as voters: after a start, or a change of the monitor.
    pub is_graced: bool,
    /// Since when enough regions failed for the fast rule.
    pub quorum: Option<Crossed>,
    /// Since when more than half failed.
    pub majority: Option<Crossed>,
    /// Until when answers of the regions that were asked were waited for.
    pub answers_due: Option<Moment>,
    /// The restart that the server had announced, where one was waited for.
    pub reprieve: Option<Reprieved>,
    /// Every configured region, in order.
    pub regions: Vec<RegionGrounds>,
    /// Over which domains the failing regions spread: one entry for each label that is looked at. Empty where no region
    /// fails or no agent has a label.
    pub spread: Vec<Spread>,
}

/// How the failing regions spread over the domains of one label. An agent without the label is of a domain of its own,
/// which is named like its region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread {
    /// Which label.
    pub label: String,
    /// The domains of the agents that carry failing votes, each with the regions of those votes.
    pub failing: BTreeMap<String, BTreeSet<Region>>,
    /// The domains that are there: of agents that vote, or are waited for.
    pub there: BTreeSet<String>,
    /// How many domains have to fail for down: as many as the policy wants, or all where fewer are there.
    pub needed: u16,
}

impl Spread {
    /// Whether enough domains fail.
    pub fn suffices(&self) -> bool {
        self.failing.len() >= usize::from(self.needed)
    }
}

/// Since when enough regions fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crossed {
    /// When enough of them failed.
    pub at: Moment,
    /// Where their evidence starts, at the earliest.
    pub first: Moment,
}

/// A restart that the server had announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reprieved {
    /// Until when partial is withheld, and down where the server is not back.
    pub until: Moment,
    /// Whether a quorum has reconnected.
    pub is_back: bool,
}

/// One region's part.
#[derive(Clone, Debug, PartialEq)]
pub struct RegionGrounds {
    /// Which region.
    pub region: Region,
    /// What it said.
    pub vote: Vote,
    /// Whether it was counted as a voter although its vote was not in.
    pub is_awaited: bool,
    /// The end of its latest failing check, where its failure was established before.
    pub settled: Option<Moment>,
    /// When it was asked to check, where it had not answered.
    pub asked: Option<Moment>,
    /// The latest check of each of its agents.
    pub ballots: Vec<BallotGrounds>,
}

/// The latest check of one agent, and the unbroken run of equal findings that it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BallotGrounds {
    /// Where the check is signed.
    pub source: Source,
    /// What it found.
    pub finding: Finding,
    /// When it ended.
    pub ended: Moment,
    /// How long it took.
    pub took: Micros,
    /// The start of the first check of the run; later where a restart of the server explained the beginning.
    pub run_started: Moment,
    /// Checks of the run that count.
    pub run_checks: u16,
    /// The signed unit in which the run begins.
    pub run_first: (BootEpoch, Sequence),
    /// Why it did not count, where it did not.
    pub discounted: Option<Abstention>,
}

impl Default for Grounds {
    /// No grounds at all: nobody votes.
    fn default() -> Self {
        Self {
            policy: Policy::new(Default::default(), Micros::ZERO, Micros::ZERO),
            at: Moment::default(),
            is_graced: false,
            quorum: None,
            majority: None,
            answers_due: None,
            reprieve: None,
            regions: Vec::new(),
            spread: Vec::new(),
        }
    }
}
