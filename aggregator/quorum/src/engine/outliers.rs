//! Outliers: agents that contradict the others on most of what they watch.
//!
//! A check is *judged* when the agent's next check of the monitor comes, by what the other regions found around it: those
//! whose unbroken run of equal findings began before the check did, and goes on to a check that ended after it. So
//! neither the first who sees an outage nor the first who sees its end contradicts anybody.
//!
//! The others' *word* on a check is what `n - floor(n/5)` of the `n` judging regions found, which is the fast rule's
//! quorum. To contradict a pass takes two of them. To contradict a failure takes three, and more than one domain where
//! the judged agent is of another: an agent that is silenced for passing makes down easier, so that where two sides
//! are as likely to be wrong nobody is silenced.
//!
//! A monitor is *contradicted* from an agent while two of its last four judged checks were; once is a hiccup. Monitors
//! count by target, so that a hundred on one host are one. Nothing is scanned: each ballot carries its [`Mark`], and an
//! agent's [`Record`] changes only when a mark does. Where all is well no mark does.

use std::collections::BTreeMap;

use quorate_proto::{AgentKey, Micros, Region};

use super::{
    eligibility::{AgentId, Fleet, RegionId},
    monitor::{Ballot, Lane, Monitor},
};
use crate::{Abstention, Contradiction, Effect, Finding, Moment, Observation, Outlier, Policy};

/// Unrelated targets that an agent must contradict the others on. With fewer, a few servers that one region cannot reach
/// would look like a sick agent; and the quorum holds against one region whatever it says.
const TARGETS_MIN: u32 = 10;

/// How long it must contradict them on most targets. Longer than a spell of its own path and the checks that wash it
/// out of the marks again: a spell of 60 s at the usual 30 s takes 150 s of it. Nothing hurries: until then the quorum
/// holds against it.
const BEGINS_AFTER: Micros = Micros::from_secs(180);

/// How long it must not contradict them at all: half a dozen checks at the usual interval, and long enough that an agent
/// which is well now and then makes one alert and not twenty.
const ENDS_AFTER: Micros = Micros::from_secs(600);

/// Judged checks that a mark remembers.
const REMEMBERED: u8 = 0b1111;

/// How many of those must be contradicted.
const CONTRADICTED_MIN: u32 = 2;

/// A target's place in the fleet's table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TargetId(pub(super) u32);

/// How one agent's latest checks of one monitor compare with the others'.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// What the others found; none while nothing was judged.
    word: Option<Word>,
    /// One bit a check, the latest the lowest: whether it was contradicted.
    contradicted: u8,
}

/// What the others found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Passes,
    Fails,
}

/// How an agent compares with the others, over all its monitors.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    targets: BTreeMap<TargetId, [Count; 2]>,
    /// Targets, counted for each word: those that were compared, and those on which it is contradicted.
    totals: [Count; 2],
    /// Since when it contradicts the others on most targets.
    began: Option<Moment>,
    /// When a check of it was last contradicted.
    contradicted_at: Moment,
    outlier: Option<Outlier>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    compared: u32,
    contradicted: u32,
}

impl Monitor {
    /// Judges the latest check of an agent of a lane, now that its next has come; gives the agent's mark of the monitor.
    /// Nothing where there is nothing to be learnt.
    pub(super) fn judge(
        &self,
        index: usize,
        latest: &Ballot,
        next: &Observation,
        fleet: &Fleet,
        at: Moment,
    ) -> Option<Mark> {
        let is_next = latest.ended <= next.ended && latest.source != next.source;
        if !is_next || latest.finding == Finding::AgentsOwnFault {
            return None;
        }
        match fleet.may_vote(latest.agent, self.policy.revision, at) {
            Ok(()) | Err(Abstention::Outlier) => {}
            // What it doubts itself, nobody else need.
            Err(_) => return None,
        }
        let word = self.word_of_others(index, latest, fleet, at)?;
        let is_contradicted = (word == Word::Passes) != (latest.finding == Finding::Passed);
        Some(latest.mark.then(word, is_contradicted))
    }

    /// What the other regions say of a check.
    fn word_of_others(&self, index: usize, check: &Ballot, fleet: &Fleet, at: Moment) -> Option<Word> {
        let heeds = |(other, lane): &(usize, &Lane)| *other != index && !self.policy.is_noisy(&lane.region);
        let others = || self.lanes.iter().enumerate().filter(heeds);
        let found = |finding| {
            let says = |(_, lane): &(usize, &Lane)| self.said_around(lane, check, fleet, at) == Some(finding);
            others().filter(says).count()
        };
        let (passing, failing) = (found(Finding::Passed), found(Finding::Failed));
        let judging = passing + failing;
        let needed = judging - judging / 5;
        if judging >= 2 && passing >= needed {
            Some(Word::Passes)
        } else if judging >= 3 && failing >= needed && !self.is_of_another_domain(index, check, fleet, at) {
            Some(Word::Fails)
        } else {
            None
        }
    }

    /// What most of a region's agents found around a check.
    fn said_around(&self, lane: &Lane, check: &Ballot, fleet: &Fleet, at: Moment) -> Option<Finding> {
        let counts = |finding| {
            let says =
                |ballot: &&Ballot| ballot.finding == finding && self.surrounds(ballot, check, fleet, at);
            lane.ballots.iter().filter(says).count()
        };
        match counts(Finding::Passed).cmp(&counts(Finding::Failed)) {
            std::cmp::Ordering::Less => Some(Finding::Failed),
            std::cmp::Ordering::Equal => None,
            std::cmp::Ordering::Greater => Some(Finding::Passed),
        }
    }

    /// Whether an agent found the same before a check began and after it ended, and in between, and may vote.
    fn surrounds(&self, ballot: &Ballot, check: &Ballot, fleet: &Fleet, at: Moment) -> bool {
        ballot.run_started <= check.began()
            && ballot.ended >= check.ended
            && ballot.is_fresh(self, at)
            && fleet.is_eligible(ballot.agent, self.policy.revision, at)
    }

    /// Whether by some label the regions that fail around a check are of one domain, and the agent that made it is of
    /// another.
    fn is_of_another_domain(&self, index: usize, check: &Ballot, fleet: &Fleet, at: Moment) -> bool {
        if self.policy.min_domains < 2 || !fleet.has_labels() {
            return false;
        }
        let Some(own_lane) = self.lanes.get(index) else { return false };
        self.policy.domains.iter().any(|label| {
            let own = fleet.domain(check.agent, label, &own_lane.region);
            let others = self.lanes.iter().enumerate().filter(|(other, _)| *other != index);
            let mut failing = others.flat_map(|(_, lane)| {
                let fails = |ballot: &&Ballot| {
                    ballot.finding == Finding::Failed && self.surrounds(ballot, check, fleet, at)
                };
                let domain = |ballot: &Ballot| fleet.domain(ballot.agent, label, &lane.region);
                lane.ballots.iter().filter(fails).map(domain)
            });
            let first = failing.next();
            first != Some(own) && failing.all(|domain| Some(domain) == first)
        })
    }

    /// Whether under another policy the marks say nothing any more.
    pub(super) fn compares_anew(&self, policy: &Policy) -> bool {
        policy.target != self.policy.target
            || policy.revision > self.policy.revision
            || policy.regions != self.policy.regions
    }

    /// Takes all marks back.
    pub(super) fn drop_marks(&mut self, fleet: &mut Fleet, at: Moment) {
        for ballot in self.lanes.iter_mut().flat_map(|lane| &mut lane.ballots) {
            let mark = std::mem::take(&mut ballot.mark);
            fleet.note(ballot.agent, self.target, mark, Mark::default(), at);
        }
    }
}

impl Ballot {
    /// Whether it passes as all did before, so that where nothing fails there is nothing to judge.
    pub(super) fn is_routine(&self) -> bool {
        self.finding == Finding::Passed && self.mark == Mark::of(Word::Passes)
    }
}

impl Mark {
    /// Judged, and never contradicted.
    const fn of(word: Word) -> Self {
        Self { word: Some(word), contradicted: 0 }
    }

    /// After one more check.
    fn then(self, word: Word, is_contradicted: bool) -> Self {
        let before = if self.word == Some(word) { self.contradicted } else { 0 };
        Self { word: Some(word), contradicted: ((before << 1) | u8::from(is_contradicted)) & REMEMBERED }
    }

    fn is_contradicted(self) -> bool {
        self.contradicted.count_ones() >= CONTRADICTED_MIN
    }

    /// Whether the latest judged check was.
    const fn is_contradicted_anew(self) -> bool {
        self.contradicted & 1 == 1
    }
}

impl Word {
    const fn place(self) -> usize {
        match self {
            Self::Passes => 0,
            Self::Fails => 1,
        }
    }

    /// What it is to contradict it.
    const fn contradiction(self) -> Contradiction {
        match self {
            Self::Passes => Contradiction::FailsAlone,
            Self::Fails => Contradiction::PassesAlone,
        }
    }
}

impl Fleet {
    /// An agent's mark of a monitor changed.
    pub(super) fn note(&mut self, agent: AgentId, target: TargetId, before: Mark, after: Mark, at: Moment) {
        let Some(record) = self.record_mut(agent) else { return };
        if after.is_contradicted_anew() {
            record.contradicted_at = at;
        }
        let is_same = before.word == after.word && before.is_contradicted() == after.is_contradicted();
        if !is_same {
            record.note(target, before, after, at);
        }
    }

    /// Makes an agent an outlier, or ends that, where it is due. Gives the effect, and whose monitors are to be looked at.
    pub(super) fn follow_outlier(&mut self, key: AgentKey, at: Moment) -> Option<(Effect, RegionId)> {
        let (id, region) = self.place(key)?;
        let record = self.record_mut(id)?;
        if record.outlier.is_some() {
            let outlier = record.agrees_again(at)?;
            return Some((Effect::OutlierOver { outlier, until: at }, region));
        }
        if record.began.is_none_or(|began| at < began.after(BEGINS_AFTER)) {
            return None;
        }
        let name = self.region_name(region)?;
        let outlier = self.record_mut(id)?.turns_outlier(key, name, at)?;
        Some((Effect::Outlier(outlier), region))
    }
}

impl Record {
    pub(super) const fn is_outlier(&self) -> bool {
        self.outlier.is_some()
    }

    pub(super) const fn outlier(&self) -> Option<&Outlier> {
        self.outlier.as_ref()
    }

    fn note(&mut self, target: TargetId, before: Mark, after: Mark, at: Moment) {
        let counts = self.targets.entry(target).or_default();
        let stood = *counts;
        for (mark, takes) in [(before, false), (after, true)] {
            let Some(word) = mark.word else { continue };
            let Some(count) = counts.get_mut(word.place()) else { continue };
            count.add(true, mark.is_contradicted(), takes);
        }
        let stands = *counts;
        if stands == [Count::default(); 2] {
            self.targets.remove(&target);
        }
        for ((total, stood), stands) in self.totals.iter_mut().zip(stood).zip(stands) {
            total.add(stood.compared > 0, stood.is_mostly(), false);
            total.add(stands.compared > 0, stands.is_mostly(), true);
        }
        self.began = self.contradicted_word().map(|_| self.began.unwrap_or(at));
    }

    /// The word of the others that it contradicts on more than half of enough targets.
    fn contradicted_word(&self) -> Option<Word> {
        let is_most = |word: &Word| {
            let total = self.totals.get(word.place());
            total.is_some_and(|total| total.compared >= TARGETS_MIN && total.is_mostly())
        };
        [Word::Fails, Word::Passes].into_iter().find(is_most)
    }

    fn turns_outlier(&mut self, agent: AgentKey, region: Region, at: Moment) -> Option<Outlier> {
        let began = self.began?;
        let word = self.contradicted_word()?;
        let total = self.totals.get(word.place())?;
        let outlier = Outlier {
            agent,
            region,
            contradiction: word.contradiction(),
            began,
            since: at,
            disagreements: total.contradicted,
            compared: total.compared,
        };
        self.outlier = Some(outlier.clone());
        Some(outlier)
    }

    fn agrees_again(&mut self, at: Moment) -> Option<Outlier> {
        let is_calm = self.began.is_none() && self.contradicted_at.after(ENDS_AFTER) <= at;
        is_calm.then(|| self.outlier.take()).flatten()
    }
}

impl Count {
    fn add(&mut self, compared: bool, contradicted: bool, takes: bool) {
        for (count, one) in [(&mut self.compared, compared), (&mut self.contradicted, contradicted)] {
            *count = if takes {
                count.saturating_add(u32::from(one))
            } else {
                count.saturating_sub(u32::from(one))
            };
        }
    }

    /// More than half.
    const fn is_mostly(self) -> bool {
        self.contradicted * 2 > self.compared
    }
}
