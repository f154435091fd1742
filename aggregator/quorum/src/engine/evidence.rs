//! Counting votes, and measuring what they prove.
//!
//! A region's vote is that of most of its agents. Its *stretch* is the unbroken run of checks behind the vote, from the
//! start of the first to the end of the latest: a check that waited ten seconds for a reply is evidence for those ten.
//!
//! The *evidence span* of `k` failing regions runs to the moment until which `k` of them have failing checks: so one region
//! that answers faster than the others cannot complete the span for them. It starts with the first failure; a region
//! whose failure was settled before the others began to fail does not count towards that: it has proven its own path
//! broken, and nothing about theirs. Or, for the majority rule and on paths that want it, it starts when the `k`-th of
//! them began to fail: the time over which they fail *together*.

use quorate_proto::Micros;

use super::{
    domains::Lack,
    eligibility::Fleet,
    monitor::{Ballot, Lane, Monitor},
};
use crate::{Abstention, CountedVote, Finding, Moment, Vote, policy};

/// What one region says at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opinion {
    pub(super) vote: Vote,
    /// The checks behind the vote; none for an abstention.
    pub(super) stretch: Stretch,
    /// Whether it may vote, and may be asked to check.
    pub(super) is_eligible: bool,
    /// Whether it counts as a voter although its vote is not in yet.
    pub(super) is_awaited: bool,
}

/// The unbroken run of checks behind a vote.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stretch {
    pub(super) start: Moment,
    pub(super) end: Moment,
    pub(super) checks: u16,
    /// How long the latest check took.
    pub(super) took: Micros,
}

/// All opinions on a monitor, counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    pub(super) failing: u16,
    pub(super) passing: u16,
    /// Regions that have a vote, or whose vote is waited for: *m*.
    pub(super) eligible: u16,
    /// When time alone changes the count.
    pub(super) changes_at: Option<Moment>,
}

/// Since when enough regions fail for a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crossing {
    /// When enough of them failed.
    pub(super) at: Moment,
    /// Where the evidence starts.
    pub(super) first: Moment,
}

/// Where evidence starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Starts {
    /// With the first failure.
    WithFirst,
    /// When so many failed.
    Together(u16),
}

impl Monitor {
    /// Where the fast rule's evidence starts.
    pub(super) fn fast_from(&self, needed: u16) -> Starts {
        if self.policy.counts_together() { Starts::Together(needed) } else { Starts::WithFirst }
    }

    /// Reads every lane as of a moment into `opinions`, in order of region, and counts.
    pub(super) fn count(&self, fleet: &Fleet, at: Moment, opinions: &mut Vec<Opinion>) -> Tally {
        opinions.clear();
        let mut tally = Tally { failing: 0, passing: 0, eligible: 0, changes_at: None };
        let mut changes_at = Moment(u64::MAX);
        for lane in &self.lanes {
            let opinion = if self.policy.is_noisy(&lane.region) {
                Opinion::noisy()
            } else {
                self.opinion(lane, fleet, at, &mut changes_at)
            };
            tally.failing += u16::from(opinion.vote == Vote::Fail);
            tally.passing += u16::from(opinion.vote == Vote::Ok);
            tally.eligible += u16::from(opinion.is_awaited);
            opinions.push(opinion);
        }
        tally.eligible += tally.failing + tally.passing;
        if self.is_graced(at) {
            tally.eligible = self.policy.voters();
            changes_at = changes_at.min(self.grace_until);
        }
        tally.changes_at = (changes_at < Moment(u64::MAX)).then_some(changes_at);
        tally
    }

    fn opinion(&self, lane: &Lane, fleet: &Fleet, at: Moment, changes_at: &mut Moment) -> Opinion {
        let stale_after = self.policy.stale_after();
        let counts = |ballot: &&Ballot| {
            at < ballot.ended.after(stale_after) && fleet.is_eligible(ballot.agent, self.policy.revision, at)
        };
        let (mut fails, mut passes, mut faults) = (0, 0, 0);
        for ballot in lane.ballots.iter().filter(counts) {
            *changes_at = (*changes_at).min(ballot.ended.after(stale_after));
            match ballot.finding {
                Finding::Failed => fails += 1,
                Finding::Passed => passes += 1,
                Finding::AgentsOwnFault => faults += 1,
            }
        }

        let needed = usize::from(policy::majority(fails + passes));
        let of = |finding| {
            Stretch::of(
                needed,
                lane.ballots.iter().filter(counts).filter(move |ballot| ballot.finding == finding),
            )
        };
        let voted = |vote, stretch| Opinion { vote, stretch, is_eligible: true, is_awaited: false };
        match (fails, passes) {
            (0, 0) => self.abstention(lane, fleet, at, faults > 0, changes_at),
            _ if fails > passes => voted(Vote::Fail, of(Finding::Failed)),
            _ if passes > fails => voted(Vote::Ok, of(Finding::Passed)),
            _ => voted(Vote::Abstain(Abstention::Tied), Stretch::default()),
        }
    }

    /// A region without a vote. One that is eligible and has simply not checked yet, because it is new or was away, is
    /// waited for as long as a vote lives: those who happen to be first must not decide as if they were all.
    fn abstention(
        &self,
        lane: &Lane,
        fleet: &Fleet,
        at: Moment,
        is_own_fault: bool,
        changes_at: &mut Moment,
    ) -> Opinion {
        let standing = fleet.standing(lane.id, self.policy.revision, at);
        let (reason, is_awaited) = match standing {
            _ if is_own_fault => (Abstention::AgentsOwnFault, false),
            Err(reason) => (reason, false),
            Ok(well_since) => {
                let awaited_until = well_since.max(lane.added_at).after(self.policy.stale_after());
                if at < awaited_until {
                    *changes_at = (*changes_at).min(awaited_until);
                }
                let reason = if lane.ballots.is_empty() { Abstention::NoResult } else { Abstention::Stale };
                (reason, at < awaited_until)
            }
        };
        Opinion {
            vote: Vote::Abstain(reason),
            stretch: Stretch::default(),
            is_eligible: standing.is_ok(),
            is_awaited,
        }
    }

    /// Follows whether enough regions fail for rules 3 and 4, and are of enough domains.
    pub(super) fn follow_crossings(
        &mut self,
        tally: &Tally,
        opinions: &[Opinion],
        lack: impl FnOnce(&Self) -> Option<Lack>,
        at: Moment,
    ) {
        let mut quorum = tally.failing >= self.policy.needed(tally.eligible);
        let mut majority = tally.failing >= policy::majority(tally.eligible);
        self.lack = None;
        if quorum || majority {
            self.lack = lack(self);
        }
        self.lack_told &= self.lack.is_some();
        if self.lack.is_some() {
            (quorum, majority) = (false, false);
        }
        let crossing = |before: Option<Crossing>, crossed: bool| {
            let fresh = || Crossing::new(at, self.evidence_starts(opinions).max(self.evidence_from()));
            crossed.then(|| before.unwrap_or_else(fresh))
        };
        (self.quorum, self.majority) = (crossing(self.quorum, quorum), crossing(self.majority, majority));
    }

    /// The start of the first failure that is news. Where none is, because a region whose failure was settled passed for a
    /// moment, that of the latest: what fails together does so since then.
    fn evidence_starts(&self, opinions: &[Opinion]) -> Moment {
        let failing = || self.lanes.iter().zip(opinions).filter(|(_, opinion)| opinion.vote == Vote::Fail);
        let news = failing().filter(|(lane, _)| lane.settled.is_none());
        let start = |(_, opinion): (_, &Opinion)| opinion.stretch.start;
        news.map(start).min().or_else(|| failing().map(start).max()).unwrap_or_default()
    }

    /// Every region's vote with its evidence, in order of region.
    pub(super) fn counted_votes(&self, opinions: &[Opinion]) -> Vec<CountedVote> {
        let counted = |(lane, opinion): (&Lane, &Opinion)| {
            let latest = lane.latest(opinion.vote);
            CountedVote {
                region: lane.region.clone(),
                vote: opinion.vote,
                source: latest.map(|ballot| ballot.source),
                ended: latest.map(|ballot| ballot.ended),
            }
        };
        self.lanes.iter().zip(opinions).map(counted).collect()
    }
}

impl Opinion {
    /// What a region says whose path is noisy.
    fn noisy() -> Self {
        Self {
            vote: Vote::Abstain(Abstention::Noisy),
            stretch: Stretch::default(),
            is_eligible: false,
            is_awaited: false,
        }
    }
}

impl Lane {
    /// The latest check that says what the region votes, or simply the latest.
    pub(super) fn latest(&self, vote: Vote) -> Option<&Ballot> {
        let agrees = |ballot: &Ballot| match vote {
            Vote::Fail => ballot.finding == Finding::Failed,
            Vote::Ok => ballot.finding == Finding::Passed,
            Vote::Abstain(_) => false,
        };
        self.ballots.iter().max_by_key(|ballot| (agrees(ballot), ballot.ended, ballot.source))
    }
}

impl Stretch {
    /// The stretch over which `needed` of a region's agents agree.
    fn of<'a>(needed: usize, mut ballots: impl Iterator<Item = &'a Ballot> + Clone) -> Self {
        if needed == 1
            && let Some(Ballot { run_started, ended, run_checks, took, .. }) = ballots.next()
        {
            return Self { start: *run_started, end: *ended, checks: *run_checks, took: *took };
        }
        Self {
            start: kth_earliest(ballots.clone().map(|ballot| ballot.run_started), needed).unwrap_or_default(),
            end: kth_latest(ballots.clone().map(|ballot| ballot.ended), needed).unwrap_or_default(),
            checks: ballots.clone().fold(0, |sum, ballot| sum.saturating_add(ballot.run_checks)),
            took: ballots.map(|ballot| ballot.took).min().unwrap_or_default(),
        }
    }

    pub(super) fn span(&self) -> Micros {
        self.end.since(self.start)
    }
}

impl Crossing {
    pub(super) fn new(at: Moment, first: Moment) -> Self {
        Self { at, first }
    }

    /// Where the evidence starts: stretches that have ended since do not count.
    pub(super) fn starts(&self, opinions: &[Opinion], from: Starts) -> Moment {
        let starts = voting(opinions, Vote::Fail).map(|stretch| stretch.start);
        let start = match from {
            Starts::WithFirst => starts.min(),
            Starts::Together(needed) => kth_earliest(starts, usize::from(needed)),
        };
        start.unwrap_or_default().max(self.first)
    }

    /// The evidence span of `needed` failing regions.
    pub(super) fn span(&self, opinions: &[Opinion], needed: u16, from: Starts) -> Micros {
        let ends = voting(opinions, Vote::Fail).map(|stretch| stretch.end);
        let end = kth_latest(ends, usize::from(needed)).unwrap_or_default();
        end.since(self.starts(opinions, from))
    }
}

/// The stretches of the regions that vote so.
pub(super) fn voting(opinions: &[Opinion], vote: Vote) -> impl Iterator<Item = &Stretch> + Clone {
    opinions.iter().filter(move |opinion| opinion.vote == vote).map(|opinion| &opinion.stretch)
}

/// The moment that `k` of the values have reached or passed: the latest such.
pub(super) fn kth_latest(values: impl Iterator<Item = Moment> + Clone, k: usize) -> Option<Moment> {
    let reached = |value: &Moment| values.clone().filter(|other| other >= value).count() >= k;
    values.clone().filter(reached).max()
}

/// The earliest moment by which `k` of the values lie.
pub(super) fn kth_earliest(values: impl Iterator<Item = Moment> + Clone, k: usize) -> Option<Moment> {
    let reached = |value: &Moment| values.clone().filter(|other| other <= value).count() >= k;
    values.clone().filter(reached).min()
}
