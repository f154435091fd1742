//! What a decision was made from, in the JSON form that the store, the API and exported evidence share.
//!
//! Times that end in `_us` are microseconds by the aggregator's steady clock, which decided; `wall_offset_us` added to one
//! gives microseconds since 1970 by its wall clock, for people.

mod rules;
mod votes;

pub use rules::{CalibratedRecord, PolicyRecord, RuleRecord};

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use quorate_proto::{AgentKey, BootEpoch, Digest, Micros, Region, Sequence, WallMicros, unit::Place};
use quorate_quorum::{Crossed, Grounds, Moment, Reprieved, Verdict, VerdictChange};
use serde::{Deserialize, Serialize};

pub use self::votes::{BallotRecord, Enrolled, RegionRecord, finding_name};

/// One decision about an incident, as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// Which incident.
    pub incident: String,
    /// When it was decided, by the wall clock.
    pub decided_at: WallMicros,
    /// What it was made from.
    pub record: DecisionRecord,
    /// Where the signed units are that it rests on.
    pub spans: Vec<UnitSpan>,
}

/// A stretch of an agent's units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnitSpan {
    /// Whose.
    pub agent: AgentKey,
    /// Since which start of the agent.
    pub epoch: BootEpoch,
    /// From this unit on.
    pub first: Sequence,
    /// To this one.
    pub last: Sequence,
}

/// A unit as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredUnit {
    /// When, by the aggregator's steady clock; unknown for one that an older version stored.
    pub received: Option<Moment>,
    /// From signing to sending, as the agent measured it.
    pub held: Option<Micros>,
    /// As signed.
    pub bytes: Vec<u8>,
}

/// One decision, with everything that it was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionRecord {
    /// When it was made.
    pub decided_us: u64,
    /// The wall clock's reading less the steady clock's.
    pub wall_offset_us: i64,
    /// The verdict before; none for the first.
    pub from: Option<String>,
    /// The verdict; the same as before where down was withheld.
    pub to: String,
    /// The rule that applied, with its numbers.
    pub rule: RuleRecord,
    /// The same in one sentence.
    pub sentence: String,
    /// The start of the first failing check.
    pub first_failure_us: Option<u64>,
    /// When the aggregator heard of it and asked the other regions.
    pub suspected_us: Option<u64>,
    /// When enough regions failed.
    pub quorum_us: Option<u64>,
    /// The monitor's settings at that moment.
    pub policy: PolicyRecord,
    /// What else the rules looked at.
    pub state: StateRecord,
    /// Every configured region.
    pub regions: Vec<RegionRecord>,
}

/// What the rules look at beside votes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateRecord {
    /// Whether absent regions were waited for and counted as voters.
    pub graced: bool,
    /// Since when enough regions failed for the fast rule.
    pub quorum: Option<CrossedRecord>,
    /// Since when more than half failed.
    pub majority: Option<CrossedRecord>,
    /// Until when answers to confirmations were waited for.
    pub answers_due_us: Option<u64>,
    /// The restart that the server had announced.
    pub reprieve: Option<ReprieveRecord>,
    /// How the failing regions spread over domains, for each label.
    pub spread: Vec<SpreadRecord>,
}

/// How the failing regions spread over the domains of one label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpreadRecord {
    /// Which label.
    pub label: String,
    /// The domains that fail, each with its failing regions.
    pub failing: BTreeMap<String, BTreeSet<Region>>,
    /// The domains that were there.
    pub there: BTreeSet<String>,
    /// How many of them had to fail.
    pub needed: u16,
}

/// Since when enough regions fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrossedRecord {
    /// When enough of them failed.
    pub at_us: u64,
    /// Where their evidence starts, at the earliest.
    pub first_us: u64,
}

/// A restart that the server had announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReprieveRecord {
    /// Until when it was waited for.
    pub until_us: u64,
    /// Whether a quorum had reconnected.
    pub is_back: bool,
}

impl DecisionRecord {
    /// Writes a change of verdict down.
    pub fn of(change: &VerdictChange, sentence: String, wall_offset_us: i64, enrolled: Enrolled<'_>) -> Self {
        let Grounds { policy, at, is_graced, quorum, majority, answers_due, reprieve, regions, spread } =
            &change.grounds;
        let us = |moment: Moment| moment.0;
        let crossed = |one: Crossed| CrossedRecord { at_us: one.at.0, first_us: one.first.0 };
        Self {
            decided_us: at.0,
            wall_offset_us,
            from: change.from.map(|verdict| verdict.name().to_owned()),
            to: change.to.name().to_owned(),
            rule: RuleRecord::of(&change.rule),
            sentence,
            first_failure_us: change.timeline.first_failure_at.map(us),
            suspected_us: change.timeline.suspected_at.map(us),
            quorum_us: change.timeline.quorum_at.map(us),
            policy: PolicyRecord::of(policy),
            state: StateRecord {
                graced: *is_graced,
                quorum: quorum.map(crossed),
                majority: majority.map(crossed),
                answers_due_us: answers_due.map(us),
                reprieve: reprieve.map(|one| ReprieveRecord { until_us: one.until.0, is_back: one.is_back }),
                spread: spread.iter().map(SpreadRecord::of).collect(),
            },
            regions: regions.iter().map(|region| RegionRecord::of(region, enrolled)).collect(),
        }
    }

    /// What the engine judges. None where a word or a number is none of ours.
    pub fn grounds(&self) -> Option<Grounds> {
        let crossed = |one: CrossedRecord| Crossed { at: Moment(one.at_us), first: Moment(one.first_us) };
        let regions = self.regions.iter().map(RegionRecord::grounds).collect::<Option<Vec<_>>>()?;
        let names = regions.iter().map(|region| region.region.clone());
        Some(Grounds {
            policy: self.policy.policy(names.collect())?,
            at: Moment(self.decided_us),
            is_graced: self.state.graced,
            quorum: self.state.quorum.map(crossed),
            majority: self.state.majority.map(crossed),
            answers_due: self.state.answers_due_us.map(Moment),
            reprieve: self
                .state
                .reprieve
                .map(|one| Reprieved { until: Moment(one.until_us), is_back: one.is_back }),
            regions,
            spread: self.state.spread.iter().map(SpreadRecord::spread).collect(),
        })
    }

    /// The verdict before; none where there was none. An error where the word is none of ours.
    ///
    /// # Errors
    /// The word.
    pub fn before(&self) -> Result<Option<Verdict>, &str> {
        let Some(name) = &self.from else { return Ok(None) };
        Verdict::from_name(name).map(Some).ok_or(name)
    }

    /// Whether it changes no verdict, and says why what is partial is no more than that.
    pub fn is_withheld(&self) -> bool {
        self.from.as_ref() == Some(&self.to)
    }

    /// A moment by the wall clock.
    pub fn wall(&self, us: u64) -> WallMicros {
        WallMicros(i64::try_from(us).unwrap_or(i64::MAX).saturating_add(self.wall_offset_us))
    }

    /// Whether the length of a ballot's run matters to the rules, and not its latest check alone.
    pub fn needs_run(&self, ballot: &BallotRecord) -> bool {
        let was_up = matches!(self.from.as_deref(), None | Some("up"));
        let is_recovery = self.to == "up" || (self.to == "partial" && !was_up && !self.is_withheld());
        ballot.discounted.is_none() && (ballot.finding == "failed" || is_recovery)
    }

    /// Units that hold some last passes of a run, as its agent has made them so far.
    fn units_of_passes(&self, ballot: &BallotRecord) -> u64 {
        let last = self.policy.interval_us.saturating_mul(3).saturating_add(60_000_000);
        let spent = ballot.ended_us.saturating_sub(ballot.run_started_us).max(1);
        let units = ballot.sequence.saturating_sub(ballot.run_first_sequence);
        (units.saturating_mul(last) / spent).saturating_add(8)
    }

    /// Where the signed units are that it rests on. Of agents that failed all of the run, and where the verdict is up all
    /// runs; of the others the latest check is enough.
    pub fn spans(&self, units_max: u64) -> Vec<UnitSpan> {
        let mut spans = Vec::new();
        for ballot in self.regions.iter().flat_map(|region| &region.ballots) {
            let (agent, epoch) = (ballot.agent, BootEpoch(ballot.epoch));
            let last = Sequence(ballot.sequence);
            let is_run = self.needs_run(ballot);
            // Of a run of passes the end is enough: two of them over ten seconds.
            let units_max = if ballot.finding == "failed" {
                units_max
            } else {
                units_max.min(self.units_of_passes(ballot))
            };
            let begins = (ballot.run_first_epoch, ballot.run_first_sequence);
            let same = begins.0 == ballot.epoch;
            let first = match (is_run, same) {
                (false, _) => last,
                (true, true) => Sequence(begins.1),
                (true, false) => Sequence(0),
            };
            let kept = Sequence(last.0.saturating_sub(units_max));
            spans.push(UnitSpan { agent, epoch, first: first.max(kept).min(last), last });
            if is_run && !same {
                let first = Sequence(begins.1);
                let last = Sequence(begins.1.saturating_add(units_max));
                spans.push(UnitSpan { agent, epoch: BootEpoch(begins.0), first, last });
            } else if first < kept {
                spans.push(UnitSpan { agent, epoch, first, last: first });
            }
        }
        spans
    }
}

impl UnitSpan {
    /// Whether a unit stands in it.
    pub fn holds(&self, place: &Place) -> bool {
        self.agent == place.agent
            && self.epoch == place.epoch
            && (self.first..=self.last).contains(&place.sequence)
    }
}

/// A digest as evidence shows it.
pub fn digest_text(digest: Digest) -> String {
    digest.to_string()
}

/// A value by its text. For `#[serde(with)]`.
pub mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::{FromStr, fmt};

    /// Serializes by `Display`.
    ///
    /// # Errors
    /// The serializer's own.
    pub fn serialize<T: fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    /// Deserializes by `FromStr`.
    ///
    /// # Errors
    /// Where the text is none.
    pub fn deserialize<'de, T: FromStr<Err: fmt::Display>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
