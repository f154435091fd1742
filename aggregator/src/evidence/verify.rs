//! Whether an evidence file holds. Nothing but the file and the pinned keys is asked.
//!
//! Looked at in this order: the bytes (bounded, JSON, written as it must be), the seal, the keys, each unit (signature,
//! chain), and each decision: that every vote is in the unit that it names, that the run behind it is no longer than the
//! signed checks bear, and that the engine's own rules give this verdict for these votes.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::BASE64;
use quorate_proto::{AgentKey, AggregatorKey, BootEpoch, Micros, Region, Sequence, unit::Content};
use quorate_quorum::{Moment, Verdict, Vote, judge};
use serde::Serialize;

use super::{
    file::{EvidenceFile, FORMAT, ReceivedUnit, VERSION},
    rebuild::{self, Check, ReadUnit, Units},
    seal,
};
use crate::{
    limits,
    model::{
        DecisionRecord,
        evidence::{BallotRecord, RegionRecord, RuleRecord, as_text, digest_text, finding_name},
    },
};

/// The keys that a reader trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pins {
    /// The aggregator's.
    pub aggregator: Option<AggregatorKey>,
    /// The agents', each with the name that it must have, where one is given. Empty: any.
    pub agents: BTreeMap<AgentKey, Option<String>>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The incident's id, where the file could be read.
    pub incident: Option<String>,
    /// The monitor's id.
    pub monitor: Option<String>,
    /// The key that the file names as its aggregator's.
    pub aggregator: Option<String>,
    /// Whether that key was pinned.
    pub aggregator_pinned: bool,
    /// Whether the agents' keys were pinned.
    pub agents_pinned: bool,
    /// What is wrong. A file with any of these is refused.
    pub faults: Vec<Fault>,
    /// Units whose signature is good.
    pub units: usize,
    /// Stretches of units that are not in the file, between others of the same epoch.
    pub gaps: Vec<Gap>,
    /// Every decision.
    pub decisions: Vec<DecisionReport>,
}

/// Something that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The place: a line or a field, and what stands there.
    pub place: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Units that are not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Whose.
    #[serde(with = "as_text")]
    pub agent: AgentKey,
    /// The agent's name.
    pub name: String,
    /// The epoch.
    pub epoch: u64,
    /// The first that is missing.
    pub first: u64,
    /// The last that is missing.
    pub last: u64,
    /// The agent's own word for it, where it signed that they are lost.
    pub signed: Option<&'static str>,
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DecisionReport {
    /// From which verdict to which.
    pub verdict: String,
    /// When, by the wall clock.
    pub decided_at: String,
    /// The rule in a sentence.
    pub rule: String,
    /// How far it is proven.
    pub proof: Proof,
    /// Votes that were found in signed units.
    pub votes_proven: usize,
    /// What is the aggregator's word, or cannot be proven.
    pub remarks: Vec<String>,
}

/// How far a decision is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// The rules, applied to signed votes, give this verdict.
    Proven,
    /// Nothing contradicts it, and signed votes do not suffice to give it.
    NotProven,
    /// The file contradicts it.
    Refuted,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn holds(&self) -> bool {
        self.faults.is_empty()
    }

    /// Whether nothing is wrong and every decision is proven.
    pub fn is_proven(&self) -> bool {
        let proven = |decision: &DecisionReport| decision.proof == Proof::Proven;
        self.holds() && !self.decisions.is_empty() && self.decisions.iter().all(proven)
    }

    fn refused(place: impl Into<String>, problem: impl Into<String>) -> Self {
        let mut report = Self::empty();
        report.fault(place, problem);
        report
    }

    fn empty() -> Self {
        Self {
            incident: None,
            monitor: None,
            aggregator: None,
            aggregator_pinned: false,
            agents_pinned: false,
            faults: Vec::new(),
            units: 0,
            gaps: Vec::new(),
            decisions: Vec::new(),
        }
    }

    fn fault(&mut self, place: impl Into<String>, problem: impl Into<String>) {
        if self.faults.len() < limits::EVIDENCE_FAULTS_MAX {
            self.faults.push(Fault { place: place.into(), problem: problem.into() });
        }
    }
}

/// Verifies a file.
pub fn verify(bytes: &[u8], pins: &Pins) -> Report {
    let (file, text) = match read(bytes) {
        Ok(read) => read,
        Err(report) => return *report,
    };
    let mut report = Report {
        incident: Some(file.incident.id.clone()),
        monitor: Some(file.incident.monitor.to_string()),
        aggregator: Some(file.aggregator.to_string()),
        aggregator_pinned: pins.aggregator.is_some(),
        agents_pinned: !pins.agents.is_empty(),
        ..Report::empty()
    };
    check_seal(&file, text, &mut report);
    check_pins(&file, pins, &mut report);
    let units = check_units(&file, &mut report);
    check_chains(&file, &units, &mut report);
    let checks = rebuild::checks(&units, &file.incident.monitor);
    for (decision, number) in file.decisions.iter().zip(0..) {
        let found =
            Judge { file: &file, decision, number, units: &units, checks: &checks }.judge(&mut report);
        report.decisions.push(found);
    }
    report
}

/// The file, where its bytes are one.
fn read(bytes: &[u8]) -> Result<(EvidenceFile, &str), Box<Report>> {
    let refused = |place: String, problem: String| Box::new(Report::refused(place, problem));
    if bytes.len() > limits::EVIDENCE_FILE_BYTES_MAX {
        let problem =
            format!("has {} bytes; at most {} are read", bytes.len(), limits::EVIDENCE_FILE_BYTES_MAX);
        return Err(refused("the file".to_owned(), problem));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let whole = bytes.get(..error.valid_up_to()).and_then(|whole| std::str::from_utf8(whole).ok());
        let line = whole.map_or(0, |whole| whole.lines().count().max(1));
        let lossy = String::from_utf8_lossy(bytes);
        refused(
            at(&lossy, seal::first_altered(&lossy).unwrap_or(line)),
            "has a byte that is no text".to_owned(),
        )
    })?;
    let file: EvidenceFile = serde_json::from_str(text).map_err(|error| {
        let line = seal::first_altered(text).unwrap_or(error.line());
        refused(at(text, line), format!("is not what an evidence file has there: {error}"))
    })?;
    if file.format != FORMAT || file.version != VERSION {
        let problem = format!(
            "is {:?} version {}; this program reads {FORMAT:?} version {VERSION}",
            file.format, file.version
        );
        return Err(refused("format, version".to_owned(), problem));
    }
    let canonical = file.text().unwrap_or_default();
    if canonical != text {
        let differs = text.split('\n').zip(canonical.split('\n')).position(|(one, other)| one != other);
        let line = differs.map_or_else(|| text.lines().count().max(1), |index| index + 1);
        let line = seal::first_altered(text).unwrap_or(line);
        let problem =
            "is not written as `quorate export` writes it: every byte counts, spaces and line ends too";
        return Err(refused(at(text, line), problem.to_owned()));
    }
    let regions = file.decisions.iter().map(|decision| decision.regions.len());
    let ballots = file.decisions.iter().flat_map(|one| &one.regions).map(|region| region.ballots.len());
    for (what, count, most) in [
        ("decisions", file.decisions.len(), usize::try_from(2 * limits::EVIDENCE_DECISIONS_MAX).unwrap_or(0)),
        ("units", file.units.len(), limits::EVIDENCE_UNITS_MAX),
        ("decisions[].regions", regions.max().unwrap_or(0), limits::EVIDENCE_REGIONS_MAX),
        ("decisions[].regions[].ballots", ballots.max().unwrap_or(0), limits::EVIDENCE_REGIONS_MAX),
    ] {
        if count > most {
            return Err(refused(what.to_owned(), format!("has {count} entries; at most {most} are read")));
        }
    }
    Ok((file, text))
}

fn check_seal(file: &EvidenceFile, text: &str, report: &mut Report) {
    let Some(seal) = &file.seal else { return report.fault("seal", "is missing") };
    let body = file.body().unwrap_or_default();
    let is_signed = seal.is_signed(&body, &file.aggregator);
    if is_signed && seal.is_marked(&body) {
        return;
    }
    if is_signed {
        return report.fault("seal.lines", "was altered; the signature holds for all the rest");
    }
    let altered = seal.altered(&body, limits::EVIDENCE_FAULTS_MAX);
    for line in &altered {
        let place = format!("line {line}, {}", file.describe(&seal::path(text, *line)));
        report.fault(place, "was altered after the aggregator sealed it");
    }
    if altered.is_empty() {
        report.fault(
            "seal.signature",
            "is not the aggregator's: it was altered, or something else was and the marks of its lines with it",
        );
    }
}

fn check_pins(file: &EvidenceFile, pins: &Pins, report: &mut Report) {
    if let Some(pinned) = pins.aggregator.filter(|pinned| *pinned != file.aggregator) {
        report.fault("aggregator", format!("is {}, and pinned is {pinned}", file.aggregator));
    }
    if pins.agents.is_empty() {
        return;
    }
    let ballots =
        file.decisions.iter().flat_map(|decision| &decision.regions).flat_map(|region| &region.ballots);
    let mut agents: BTreeSet<AgentKey> = ballots.map(|ballot| ballot.agent).collect();
    agents.extend(file.units.iter().map(|unit| unit.agent));
    for agent in agents {
        let name = file.who(&agent);
        match pins.agents.get(&agent) {
            None => {
                report.fault(format!("agent {name}"), format!("has the key {agent}, which is not pinned"))
            }
            Some(Some(pinned)) if *pinned != name => {
                report.fault(format!("agent {name}"), format!("has the key that is pinned for {pinned}"));
            }
            Some(_) => {}
        }
    }
}

/// Units whose signature is good; what is wrong with the others is told.
fn check_units(file: &EvidenceFile, report: &mut Report) -> Units {
    let mut units = Units::new();
    for (entry, index) in file.units.iter().zip(0..) {
        let place = |field: &str| file.describe(&format!("units[{index}]{field}"));
        match read_unit(file, entry) {
            Err((field, problem)) => report.fault(place(field), problem),
            Ok(unit) => {
                let key = (unit.place.agent, unit.place.epoch, unit.place.sequence);
                // A gap may start where a batch stands that came after all.
                let is_gap = matches!(unit.content, Content::Gap(_));
                if let Some(other) = units.get(&key).filter(|_| !is_gap) {
                    if !matches!(other.content, Content::Gap(_)) {
                        report.fault(place(""), "stands where another unit of the file stands");
                    }
                }
                if !(is_gap && units.contains_key(&key)) {
                    units.insert(key, unit);
                }
                report.units += 1;
            }
        }
    }
    units
}

fn read_unit(file: &EvidenceFile, entry: &ReceivedUnit) -> Result<ReadUnit, (&'static str, String)> {
    let bytes = BASE64
        .decode(entry.bytes.as_bytes())
        .map_err(|error| (".bytes", format!("is no base64: {error}")))?;
    let (received, held) = (entry.received_us.map(Moment), entry.held_us.map(Micros));
    let signed = quorate_proto::SignedUnit::parse(bytes.clone())
        .map_err(|error| (".bytes", format!("is no unit: {error}")))?;
    let found = *signed.place();
    for (field, is_same, is) in [
        (".agent", found.agent == entry.agent, found.agent.to_string()),
        (".epoch", found.epoch.0 == entry.epoch, found.epoch.0.to_string()),
        (".sequence", found.sequence.0 == entry.sequence, found.sequence.0.to_string()),
    ] {
        if !is_same {
            return Err((field, format!("is not what the unit itself says, which is {is}")));
        }
    }
    if found.aggregator != file.aggregator {
        let problem = format!("was signed for another aggregator, {}", found.aggregator);
        return Err((".bytes", problem));
    }
    if !signed.is_signed() {
        let problem = "is not as its agent signed it: the signature does not hold";
        return Err((".bytes", problem.to_owned()));
    }
    ReadUnit::read(bytes, received, held).map_err(|error| (".bytes", format!("is no unit: {error}")))
}

/// That each unit names the one before; what is missing between two of one epoch is a gap.
fn check_chains(file: &EvidenceFile, units: &Units, report: &mut Report) {
    let mut before: Option<&ReadUnit> = None;
    for unit in units.values() {
        let place = &unit.place;
        let same = before.filter(|one| one.place.agent == place.agent && one.place.epoch == place.epoch);
        let who = file.who(&place.agent);
        let stands = || format!("unit {} of agent {who}, epoch {}", place.sequence.0, place.epoch.0);
        if place.sequence == Sequence(0) && place.previous != quorate_proto::Digest::NONE {
            report.fault(stands(), "is the first of its epoch and names one before");
        }
        if let Some(one) = same {
            let (next, digest, cause) = match &one.content {
                Content::Batch(_) => (one.place.sequence.next(), one.digest, None),
                Content::Gap(gap) => (gap.resume, gap.resume_previous, Some(gap.cause.name())),
            };
            let is_batch = matches!(unit.content, Content::Batch(_));
            if let Some(cause) = cause {
                report.gap(file, place.agent, place.epoch, one.place.sequence.0, next.0, Some(cause));
            }
            if place.sequence > next {
                report.gap(file, place.agent, place.epoch, next.0, place.sequence.0, None);
            } else if place.sequence == next && place.previous != digest && is_batch {
                report.fault(stands(), "does not name the digest of the unit before: the chain is broken");
            }
        }
        before = Some(unit);
    }
}

impl Report {
    fn gap(
        &mut self,
        file: &EvidenceFile,
        agent: AgentKey,
        epoch: BootEpoch,
        first: u64,
        next: u64,
        signed: Option<&'static str>,
    ) {
        let last = next.saturating_sub(1).max(first);
        self.gaps.push(Gap { agent, name: file.who(&agent), epoch: epoch.0, first, last, signed });
    }
}

/// One decision and what it is judged by.
struct Judge<'a> {
    file: &'a EvidenceFile,
    decision: &'a DecisionRecord,
    number: usize,
    units: &'a Units,
    checks: &'a [Check<'a>],
}

/// What was found of a ballot.
enum Found {
    /// Signed, with the run that the signed checks bear.
    Signed(Box<BallotRecord>),
    /// Not in the file.
    Absent,
}

impl Judge<'_> {
    fn judge(&self, report: &mut Report) -> DecisionReport {
        let decision = self.decision;
        let faults_before = report.faults.len();
        let mut told = DecisionReport {
            verdict: format!("{} -> {}", decision.from.as_deref().unwrap_or("none"), decision.to),
            decided_at: crate::model::rfc3339::text(decision.wall(decision.decided_us)),
            rule: decision.sentence.clone(),
            proof: Proof::Proven,
            votes_proven: 0,
            remarks: Vec::new(),
        };
        let mut borne = decision.clone();
        for (region, index) in borne.regions.iter_mut().zip(0..) {
            self.bear(region, index, &mut told, report);
        }
        self.rules(&borne, &mut told, report);
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
                    *ballot = *signed;
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
        let grounds = self.decision.grounds()?;
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
        let Some(check) = self.checks.iter().find(|check| check.source == source) else {
            fault("index", format!("the unit has no result of monitor {} there", self.file.incident.monitor));
            return None;
        };
        let finding = finding_name(check.finding());
        if finding != claimed.finding {
            fault("finding", format!("is {:?}, and the agent signed {finding:?}", claimed.finding));
            return None;
        }
        let took = check.took(&grounds.policy);
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
        let rebuilt = rebuild::ballot(claimed, region, &grounds.policy, decided, self.checks)?;
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
    fn rules(&self, borne: &DecisionRecord, told: &mut DecisionReport, report: &mut Report) {
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
        for (vote, region) in judged.votes.iter().zip(&decision.regions) {
            let abstains = matches!(vote, Vote::Abstain(_));
            if abstains != (region.vote == "abstain") || (!abstains && vote.name() != region.vote) {
                let problem = format!("is {:?}, and its agents' checks give {:?}", region.vote, vote.name());
                report.fault(format!("{} (region {})", place(".regions[].vote"), region.region), problem);
            }
        }
        let given = judged.verdict.map(|(verdict, rule)| (verdict, RuleRecord::of(&rule)));
        match given {
            Some((verdict, rule)) if verdict == stated && rule == decision.rule => {}
            Some((verdict, rule)) if verdict == stated => {
                let problem = format!("is {:?}, and the rules give {rule:?}", decision.rule);
                report.fault(place(".rule"), problem);
            }
            _ if told.proof == Proof::NotProven => {}
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

/// A line of a text with what stands there.
fn at(text: &str, line: usize) -> String {
    match seal::path(text, line) {
        path if path.is_empty() => format!("line {line}"),
        path => format!("line {line}, {path}"),
    }
}
