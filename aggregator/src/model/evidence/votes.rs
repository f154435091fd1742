//! Regions and their agents' latest checks, to and from the engine's own.

use std::collections::BTreeMap;

use quorate_proto::{AgentKey, AgentName, BootEpoch, Micros, Region, Sequence};
use quorate_quorum::{Abstention, BallotGrounds, Finding, Moment, RegionGrounds, Source, Vote};
use serde::{Deserialize, Serialize};

use super::as_text;

/// One region's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionRecord {
    /// Which region.
    pub region: Region,
    /// `ok`, `fail` or `abstain`.
    pub vote: String,
    /// Why it abstained.
    pub abstains: Option<String>,
    /// Whether it counted as a voter although its vote was not in.
    pub awaited: bool,
    /// The end of its latest failing check, where its failure was established before.
    pub settled_us: Option<u64>,
    /// When it was asked to check, where it had not answered.
    pub asked_us: Option<u64>,
    /// The latest check of each of its agents.
    pub ballots: Vec<BallotRecord>,
}

/// The latest check of one agent, and the run of equal findings that it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BallotRecord {
    /// The agent's key.
    #[serde(with = "as_text")]
    pub agent: AgentKey,
    /// Its name, as enrolled.
    pub name: Option<AgentName>,
    /// Its labels, as enrolled.
    pub labels: BTreeMap<String, String>,
    /// The start of the agent in which the check was signed.
    pub epoch: u64,
    /// The unit's place in the epoch.
    pub sequence: u64,
    /// The result's place in the unit.
    pub index: u16,
    /// SHA-256 of the signed unit, in hexadecimal; none where the store did not have it at the decision.
    pub digest: Option<String>,
    /// `passed`, `failed` or `agents_own_fault`.
    pub finding: String,
    /// When the check ended.
    pub ended_us: u64,
    /// How long it took, and no longer than its deadline.
    pub took_us: u64,
    /// The start of the first check of the run.
    pub run_started_us: u64,
    /// Checks of the run.
    pub run_checks: u16,
    /// The epoch of the unit in which the run begins.
    pub run_first_epoch: u64,
    /// That unit's place in its epoch.
    pub run_first_sequence: u64,
    /// Why it did not count, where it did not.
    pub discounted: Option<String>,
}

/// Who an agent is, as enrolled.
pub type Enrolled<'a> = &'a dyn Fn(&AgentKey) -> Option<(AgentName, BTreeMap<String, String>)>;

impl RegionRecord {
    pub(super) fn of(region: &RegionGrounds, enrolled: Enrolled<'_>) -> Self {
        Self {
            region: region.region.clone(),
            vote: region.vote.name().to_owned(),
            abstains: match region.vote {
                Vote::Abstain(why) => Some(why.name().to_owned()),
                Vote::Ok | Vote::Fail => None,
            },
            awaited: region.is_awaited,
            settled_us: region.settled.map(|at| at.0),
            asked_us: region.asked.map(|at| at.0),
            ballots: region.ballots.iter().map(|ballot| BallotRecord::of(ballot, enrolled)).collect(),
        }
    }

    pub(super) fn grounds(&self) -> Option<RegionGrounds> {
        let vote = match self.vote.as_str() {
            "ok" => Vote::Ok,
            "fail" => Vote::Fail,
            // Any abstention is judged alike.
            "abstain" => Vote::Abstain(Abstention::Silent),
            _ => return None,
        };
        Some(RegionGrounds {
            region: self.region.clone(),
            vote,
            is_awaited: self.awaited,
            settled: self.settled_us.map(Moment),
            asked: self.asked_us.map(Moment),
            ballots: self.ballots.iter().map(BallotRecord::grounds).collect::<Option<_>>()?,
        })
    }
}

impl BallotRecord {
    fn of(ballot: &BallotGrounds, enrolled: Enrolled<'_>) -> Self {
        let Source { agent, epoch, sequence, index } = ballot.source;
        let (name, labels) =
            enrolled(&agent).map_or((None, BTreeMap::new()), |(name, labels)| (Some(name), labels));
        Self {
            agent,
            name,
            labels,
            epoch: epoch.0,
            sequence: sequence.0,
            index,
            digest: None,
            finding: finding_name(ballot.finding).to_owned(),
            ended_us: ballot.ended.0,
            took_us: ballot.took.0,
            run_started_us: ballot.run_started.0,
            run_checks: ballot.run_checks,
            run_first_epoch: ballot.run_first.0.0,
            run_first_sequence: ballot.run_first.1.0,
            discounted: ballot.discounted.map(|why| why.name().to_owned()),
        }
    }

    /// Where the latest check is signed.
    pub fn source(&self) -> Source {
        Source {
            agent: self.agent,
            epoch: BootEpoch(self.epoch),
            sequence: Sequence(self.sequence),
            index: self.index,
        }
    }

    /// What the engine judges.
    pub fn grounds(&self) -> Option<BallotGrounds> {
        let findings = [Finding::Passed, Finding::Failed, Finding::AgentsOwnFault];
        Some(BallotGrounds {
            source: self.source(),
            finding: findings.into_iter().find(|finding| finding_name(*finding) == self.finding)?,
            ended: Moment(self.ended_us),
            took: Micros(self.took_us),
            run_started: Moment(self.run_started_us),
            run_checks: self.run_checks,
            run_first: (BootEpoch(self.run_first_epoch), Sequence(self.run_first_sequence)),
            discounted: self.discounted.as_ref().map(|_| Abstention::Silent),
        })
    }

    /// What people call the agent.
    pub fn who(&self) -> String {
        self.name.as_ref().map_or_else(|| self.agent.to_string(), AgentName::to_string)
    }
}

/// The stable name of a finding.
pub fn finding_name(finding: Finding) -> &'static str {
    match finding {
        Finding::Passed => "passed",
        Finding::Failed => "failed",
        Finding::AgentsOwnFault => "agents_own_fault",
    }
}
