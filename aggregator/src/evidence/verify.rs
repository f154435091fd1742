//! Whether an evidence file holds. Nothing but the file and the pinned keys is asked.
//!
//! Looked at in this order: the bytes (bounded, JSON, written as it must be), the seal, the keys, each unit (signature,
//! chain), and each decision: that every vote is in the unit that it names, that the run behind it is no longer than the
//! signed checks bear, and that the engine's own rules give this verdict for these votes.

mod decision;
mod units;

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

use quorate_proto::{AgentKey, AggregatorKey};
use serde::Serialize;

use self::{
    decision::Judge,
    units::{check_chains, check_units},
};
use super::{
    file::{EvidenceFile, FORMAT, VERSION},
    rebuild, seal,
};
use crate::{limits, model::evidence::as_text};

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
    let work = Cell::new(limits::EVIDENCE_CHECKS_REPLAYED_MAX);
    for (decision, number) in file.decisions.iter().zip(0..) {
        let found = Judge { file: &file, decision, number, units: &units, checks: &checks, work: &work }
            .judge(&mut report);
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
    let names = file.names();
    let ballots =
        file.decisions.iter().flat_map(|decision| &decision.regions).flat_map(|region| &region.ballots);
    let mut agents: BTreeSet<AgentKey> = ballots.map(|ballot| ballot.agent).collect();
    agents.extend(file.units.iter().map(|unit| unit.agent));
    for agent in agents {
        let name = names.get(&agent).cloned().unwrap_or_else(|| agent.to_string());
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

/// A line of a text with what stands there.
fn at(text: &str, line: usize) -> String {
    match seal::path(text, line) {
        path if path.is_empty() => format!("line {line}"),
        path => format!("line {line}, {path}"),
    }
}
