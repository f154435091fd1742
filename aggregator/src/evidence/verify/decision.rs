//! One decision: that its votes are signed, that their runs are no longer than signed checks bear, and that the rules give
//! its verdict for them.

use std::{cell::Cell, collections::BTreeSet};

use quorate_proto::{BootEpoch, Region, Sequence};
use quorate_quorum::{Grounds, Moment, Rule, Verdict, Vote, judge};

use super::{DecisionReport, Proof, Report};
use crate::{
    evidence::{
        EvidenceFile,
        rebuild::{self, Checks, Units},
    },
    model::{
        DecisionRecord,
        evidence::{BallotRecord, RegionRecord, RuleRecord, digest_text, finding_name},
        rfc3339,
    },
};

/// One decision and what it is judged by.
pub(super) struct Judge<'a> {
    pub(super) file: &'a EvidenceFile,
    pub(super) decision: &'a DecisionRecord,
    pub(super) number: usize,
    pub(super) units: &'a Units,
    pub(super) checks: &'a Checks<'a>,
    /// Checks that may still be replayed.
    pub(super) work: &'a Cell<usize>,
}

/// What was found of a ballot.
enum Found {
    /// Signed, with the run that the signed checks bear.
    Signed(Box<BallotRecord>),
    /// Not in the file.
    Absent,
}

impl Judge<'_> {
    pub(super) fn judge(&self, report: &mut Report) -> DecisionReport {
        let decision = self.decision;
        let faults_before = report.faults.len();
        let mut told = DecisionReport {
            verdict: match decision.is_withheld() {
                true => format!("{}, down withheld", decision.to),
                false => format!("{} -> {}", decision.from.as_deref().unwrap_or("none"), decision.to),
            },
            decided_at: rfc3339::text(decision.wall(decision.decided_us)),
            rule: decision.sentence.clone(),
            proof: Proof::Proven,
            votes_proven: 0,
            remarks: Vec::new(),
        };
        let mut borne = decision.clone();
        for (region, index) in borne.regions.iter_mut().zip(0..) {
            self.bear(region, index, &mut told, report);
        }
        let is_whole = borne.regions == decision.regions;
        self.rules(&borne, is_whole, &mut told, report);
        if report.faults.len() > faults_before {
            told.proof = Proof::Refuted;
        }
        told
    }

    /// Replaces what a region claims by what signed checks bear.
    fn bear(&self, region: &mut RegionRecord, index: usize, told: &mut DecisionReport, report: &mut Report) {
        let name = region.region.clone();
        if region.vote == "abstain" {
            let why = region.abstains.as_deref().unwrap_or("no reason given");
            told.remarks.push(match region.awaited {
                true => {
                    format!("region {name} had no vote and was waited for ({why}): the aggregator's word")
                }
                false => {
                    format!("region {name} abstained ({why}): the aggregator's word, as no check shows it")
                }
            });
        }
        let counts = region.vote != "abstain";
        for (ballot, nth) in region.ballots.iter_mut().zip(0..) {
            let path = format!("regions[{index}].ballots[{nth}]");
            let who = ballot.who();
            match self.find(ballot, &name, &path, told, report) {
                Some(Found::Signed(signed)) => {
                    told.votes_proven += usize::from(counts && ballot.discounted.is_none());
                    // Of the others only the latest check is in the file, and enough.
                    if self.decision.needs_run(ballot) {
                        *ballot = *signed;
                    }
                }
                Some(Found::Absent) if counts && ballot.discounted.is_none() => {
                    told.proof = Proof::NotProven;
                    told.remarks.push(format!(
                        "the check of agent {who} (region {name}) is in unit {} of epoch {}, which is not in the file: \
                         the vote is the aggregator's word",
                        ballot.sequence, ballot.epoch
                    ));
                }
                Some(Found::Absent) | None => {}
            }
            if ballot.discounted.is_some() && counts {
                let why = ballot.discounted.as_deref().unwrap_or_default();
                told.remarks.push(format!(
                    "agent {who} (region {name}) did not count ({why}): the aggregator's word"
                ));
            }
        }
    }

    /// Finds a ballot's check in the unit that it names. What contradicts it is a fault, and gives nothing.
    fn find(
        &self,
        claimed: &BallotRecord,
        region: &Region,
        path: &str,
        told: &mut DecisionReport,
        report: &mut Report,
    ) -> Option<Found> {
        let decided = Moment(self.decision.decided_us);
        // Its regions do not matter to one agent's run, and there may be many.
        let policy = self.decision.policy.policy(BTreeSet::from([region.clone()]))?;
        let mut fault = |field: &str, problem: String| {
            let path = format!("decisions[{}].{path}.{field}", self.number);
            report.fault(self.file.describe(&path), problem);
        };
        let key = (claimed.agent, BootEpoch(claimed.epoch), Sequence(claimed.sequence));
        let Some(unit) = self.units.get(&key) else { return Some(Found::Absent) };
        if claimed.digest.as_ref().is_some_and(|digest| *digest != digest_text(unit.digest)) {
            fault("digest", format!("is not that of the unit, {}", digest_text(unit.digest)));
            return None;
        }
        let source = claimed.source();
        let Some(check) = self.checks.get(&source) else {
            fault("index", format!("the unit has no result of monitor {} there", self.file.incident.monitor));
            return None;
        };
        let finding = finding_name(check.finding());
        if finding != claimed.finding {
            fault("finding", format!("is {:?}, and the agent signed {finding:?}", claimed.finding));
            return None;
        }
        let took = check.took(&policy);
        if took.0 != claimed.took_us {
            fault("took_us", format!("is {}, and the agent signed {}", claimed.took_us, took.0));
            return None;
        }
        if let Some(times) = check.times.filter(|times| times.received <= decided)
            && times.ended.min(times.received).0 != claimed.ended_us
        {
            let ended = times.ended.0;
            fault("ended_us", format!("is {}, and receipt and age give {ended}", claimed.ended_us));
            return None;
        }
        let mut work = self.work.get();
        let rebuilt = rebuild::ballot(claimed, region, &policy, decided, self.checks, &mut work);
        self.work.set(work);
        let rebuilt = rebuilt?;
        let mut borne = claimed.clone();
        borne.run_checks = claimed.run_checks.min(rebuilt.ballot.run_checks);
        borne.run_started_us = claimed.run_started_us.max(rebuilt.ballot.run_started.0);
        if rebuilt.by_agents_clock {
            let who = claimed.who();
            told.remarks.push(format!(
                "agent {who}: a unit was stored when it was sent again, so the agent's own clock orders its checks"
            ));
        }
        if borne != *claimed && self.decision.needs_run(claimed) {
            let who = claimed.who();
            told.remarks.push(format!(
                "agent {who}: {} of {} checks of its run are borne by units of the file",
                borne.run_checks, claimed.run_checks
            ));
        }
        Some(Found::Signed(Box::new(borne)))
    }

    /// Lets the engine's rules look at what is borne.
    ///
    /// Where less is borne than was claimed, another verdict refutes nothing: units may be lost.
    fn rules(&self, borne: &DecisionRecord, is_whole: bool, told: &mut DecisionReport, report: &mut Report) {
        let decision = self.decision;
        let place = |field: &str| format!("decisions[{}]{field}", self.number);
        let unique: BTreeSet<&Region> = decision.regions.iter().map(|region| &region.region).collect();
        if unique.len() != decision.regions.len() {
            return report.fault(place(".regions"), "names a region twice");
        }
        let (Some(grounds), Ok(before), Some(stated)) =
            (borne.grounds(), decision.before(), Verdict::from_name(&decision.to))
        else {
            return report.fault(place(""), "has a word that is none of ours");
        };
        let judged = judge(&grounds, before);
        for ((vote, region), index) in judged.votes.iter().zip(&decision.regions).zip(0..) {
            let abstains = matches!(vote, Vote::Abstain(_));
            if abstains != (region.vote == "abstain") || (!abstains && vote.name() != region.vote) {
                let problem = format!("is {:?}, and its agents' checks give {:?}", region.vote, vote.name());
                let path = place(&format!(".regions[{index}].vote"));
                report.fault(self.file.describe(&path), problem);
            }
        }
        let given = match decision.is_withheld() {
            true => judged.verdict.or_else(|| withheld(&grounds)),
            false => judged.verdict,
        };
        let given = given.map(|(verdict, rule)| (verdict, RuleRecord::of(&rule)));
        match given {
            Some((verdict, rule)) if verdict == stated && rule == decision.rule => {}
            Some((verdict, rule)) if verdict == stated => {
                let problem = format!("is {:?}, and the rules give {rule:?}", decision.rule);
                report.fault(place(".rule"), problem);
            }
            _ if told.proof == Proof::NotProven => {}
            other if !is_whole => {
                let gives = other.map_or("no change", |(verdict, _)| verdict.name());
                told.proof = Proof::NotProven;
                told.remarks.push(format!(
                    "the checks of the file do not bear it: applied to them, the rules give {gives}; the units that bear it \
                     are missing, or there are none"
                ));
            }
            other => {
                let gives = other.map_or("no change", |(verdict, _)| verdict.name());
                let problem =
                    format!("is {:?}, and the rules applied to these votes give {gives}", decision.to);
                report.fault(place(".to"), problem);
            }
        }
        if stated == Verdict::Unobserved {
            told.proof = Proof::NotProven;
            told.remarks.push(
                "that nobody could tell is the aggregator's word: no signature shows that agents were silent"
                    .to_owned(),
            );
        }
        if decision.state.graced {
            told.remarks.push(
                "after a start or a change, absent regions were counted as voters: that makes a verdict harder, not easier"
                    .to_owned(),
            );
        }
    }
}

/// Why what stays partial is not down. The rules give that as the reason of a verdict, so they are asked as of a monitor that
/// was up: that what fails was established before is the aggregator's word, as with every verdict.
fn withheld(grounds: &Grounds) -> Option<(Verdict, Rule)> {
    let mut asked = grounds.clone();
    for region in asked.regions.iter_mut().filter(|region| region.vote == Vote::Fail) {
        region.settled = region.ballots.iter().map(|ballot| ballot.ended).max();
    }
    judge(&asked, Some(Verdict::Up)).verdict.filter(|(_, rule)| matches!(rule, Rule::TooFewDomains { .. }))
}
