//! A verdict's grounds: written down when it is made, and judged again by whoever doubts it.
//!
//! To judge again is to lay the grounds out as a monitor and a fleet, and to let the engine's own rules look at them.
//! There is no second copy of the rules that could differ.

use quorate_proto::AgentKey;

use super::{
    eligibility::Fleet,
    evidence::{Crossing, Opinion},
    monitor::{Ballot, Lane, Monitor},
    outliers::{Mark, TargetId},
};
use crate::{
    Abstention, BallotGrounds, Crossed, Grounds, Moment, Observation, Policy, RegionGrounds, Rule, Verdict,
    Vote,
};

/// What the rules make of some grounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// The verdict, and the rule with its numbers; none where the verdict before stays.
    pub verdict: Option<(Verdict, Rule)>,
    /// What each region says, in order of region: an abstention stands for any.
    pub votes: Vec<Vote>,
}

/// Judges grounds by the rules that the engine uses. Abstentions are taken as stated: they follow from what other monitors
/// or heartbeats told, and no check shows them. So are the domains of agents, which no agent signs.
pub fn judge(grounds: &Grounds, before: Option<Verdict>) -> Judgement {
    let at = grounds.at;
    let mut fleet = Fleet::default();
    let mut monitor = Monitor::new(grounds.policy.clone(), TargetId::default(), at);
    for (region, number) in grounds.regions.iter().zip(0u64..) {
        let lane = region.lay(&mut fleet, newcomer(number), grounds);
        monitor.lanes.push(lane);
    }
    monitor.verdict = before;
    monitor.grace_until = if grounds.is_graced { Moment(u64::MAX) } else { Moment::default() };
    monitor.quorum = grounds.quorum.map(Crossing::from);
    monitor.majority = grounds.majority.map(Crossing::from);
    monitor.await_answers(grounds.answers_due);
    monitor.take_reprieve(grounds.reprieve);

    let mut opinions = Vec::new();
    let tally = monitor.count(&fleet, at, &mut opinions);
    // What is stated does not count where the votes do not bear it.
    monitor.follow_crossings(&tally, &opinions, |monitor| monitor.lack_of(&grounds.spread, &opinions), at);
    Judgement {
        verdict: monitor.verdict_due(&tally, &opinions, at),
        votes: opinions.iter().map(|opinion| opinion.vote).collect(),
    }
}

/// The run of equal findings that one agent's checks end with, as the engine follows it: `observations` are those of one
/// monitor by one agent, in the order of receipt, each with that moment. None where none of them is taken.
pub fn run_of(
    policy: &Policy,
    observations: impl IntoIterator<Item = (Observation, Moment)>,
) -> Option<BallotGrounds> {
    let mut fleet = Fleet::default();
    let mut monitor = Monitor::new(policy.clone(), TargetId::default(), Moment::default());
    for (observation, at) in observations {
        if monitor.lanes.is_empty() {
            let region = &observation.region;
            monitor.lanes.push(Lane::new(region.clone(), fleet.region(region), Moment::default()));
        }
        let agent = fleet.agent(observation.source.agent);
        monitor.observe(&observation, agent, &mut fleet, at);
    }
    let ballot = monitor.lanes.first()?.ballots.first()?;
    Some(ballot.written(None))
}

/// The key of an agent that stands for a vote which is not in.
fn newcomer(number: u64) -> AgentKey {
    let mut key = [0; 32];
    for (to, from) in key.iter_mut().zip(number.to_be_bytes()) {
        *to = from;
    }
    AgentKey(key)
}

impl Monitor {
    /// Writes down what a verdict is made from.
    pub(super) fn grounds(&self, opinions: &[Opinion], fleet: &Fleet, at: Moment) -> Grounds {
        let region = |(lane, opinion): (&Lane, &Opinion)| RegionGrounds {
            region: lane.region.clone(),
            vote: opinion.vote,
            is_awaited: opinion.is_awaited,
            settled: lane.settled,
            asked: lane.asked,
            ballots: lane.ballots.iter().map(|ballot| self.ballot_grounds(ballot, fleet, at)).collect(),
        };
        Grounds {
            policy: self.policy.clone(),
            at,
            is_graced: self.is_graced(at),
            quorum: self.quorum.map(Crossed::from),
            majority: self.majority.map(Crossed::from),
            answers_due: self.answers_due(),
            reprieve: self.reprieved(),
            regions: self.lanes.iter().zip(opinions).map(region).collect(),
            spread: self.spread(fleet, opinions, at),
        }
    }

    fn ballot_grounds(&self, ballot: &Ballot, fleet: &Fleet, at: Moment) -> BallotGrounds {
        let is_stale = ballot.ended.after(self.policy.stale_after()) <= at;
        let absent = fleet.why_not(ballot.agent, self.policy.revision, at);
        ballot.written(absent.or(is_stale.then_some(Abstention::Stale)))
    }
}

impl Ballot {
    fn written(&self, discounted: Option<Abstention>) -> BallotGrounds {
        BallotGrounds {
            source: self.source,
            finding: self.finding,
            ended: self.ended,
            took: self.took,
            run_started: self.run_started,
            run_checks: self.run_checks,
            run_first: self.run_first,
            discounted,
        }
    }
}

impl RegionGrounds {
    /// Lays the region out as a lane. The agents whose checks count are heard from; where a vote was only awaited it is
    /// that of an agent which has just come.
    fn lay(&self, fleet: &mut Fleet, newcomer: AgentKey, grounds: &Grounds) -> Lane {
        let at = grounds.at;
        let revision = grounds.policy.revision;
        let mut lane = Lane::new(self.region.clone(), fleet.region(&self.region), at);
        lane.settled = self.settled;
        lane.asked = self.asked;
        let votes = !matches!(self.vote, Vote::Abstain(_));
        if !votes && self.is_awaited {
            fleet.heartbeat(newcomer, &self.region, revision, None, at);
        }
        for ballot in self.ballots.iter().filter(|ballot| votes && ballot.discounted.is_none()) {
            fleet.heartbeat(ballot.source.agent, &self.region, revision, None, at);
            lane.ballots.push(Ballot {
                agent: fleet.agent(ballot.source.agent),
                finding: ballot.finding,
                ended: ballot.ended,
                took: ballot.took,
                run_started: ballot.run_started,
                run_checks: ballot.run_checks,
                run_first: ballot.run_first,
                source: ballot.source,
                mark: Mark::default(),
                revision,
            });
        }
        lane
    }
}

impl From<Crossing> for Crossed {
    fn from(crossing: Crossing) -> Self {
        Self { at: crossing.at, first: crossing.first }
    }
}

impl From<Crossed> for Crossing {
    fn from(crossed: Crossed) -> Self {
        Self { at: crossed.at, first: crossed.first }
    }
}
