//! An incident in plain sentences: what happened, who saw what and when, which rule with its numbers, why not sooner, why
//! some votes did not count, and where the time went.
//!
//! One decision is explained: the first of the worst verdict, for that is what people were paged about. The others
//! are told in a line each.

mod domains;
mod sentences;
mod timeline;

use quorate_proto::WallMicros;
use serde::{Deserialize, Serialize};

pub use self::sentences::clock;
pub use self::timeline::{Lane, Mark, MarkKind, Moments, Timeline};
use super::rebuild::{self, ReadUnit, Units};
use crate::{
    model::{DecisionRecord, Incident},
    store::Dossier,
};

/// An incident explained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The incident's id.
    pub incident: String,
    /// The monitor's id.
    pub monitor: String,
    /// What happened, in one sentence.
    pub headline: String,
    /// The rest, under headings.
    pub sections: Vec<Section>,
    /// A drawing of the decision that is explained; none where an older version decided.
    pub timeline: Option<Timeline>,
    /// Everything that the decisions were made from.
    pub decisions: Vec<DecisionRecord>,
}

/// A heading and its sentences.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// The heading.
    pub title: String,
    /// One sentence or two each.
    pub lines: Vec<String>,
}

/// When the page about a decision went out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Paged {
    sent: Option<WallMicros>,
    delivered: Option<WallMicros>,
}

/// Explains an incident.
pub fn explain(dossier: &Dossier) -> Explanation {
    let incident = &dossier.incident;
    let units = units(dossier);
    let checks = rebuild::checks(&units, &incident.monitor.id);
    let main = main_decision(dossier);
    let mut sections = Vec::new();
    let mut drawn = None;
    match main {
        Some(decision) => {
            let paged = paged(dossier, decision);
            sections.extend(sentences::sections(incident, decision, &checks, paged));
            drawn = Some(timeline::draw(decision, &checks, paged));
        }
        None => sections.push(Section {
            title: "What is known".to_owned(),
            lines: vec![
                incident.rule.clone(),
                "How it was decided was not kept: an older version decided it, or it is older than evidence is kept."
                    .to_owned(),
            ],
        }),
    }
    sections.push(domains::why_not_down(dossier));
    sections.push(sentences::what_followed(dossier, main));
    sections.retain(|section| !section.lines.is_empty());
    Explanation {
        incident: incident.id.clone(),
        monitor: incident.monitor.id.to_string(),
        headline: headline(incident),
        sections,
        timeline: drawn,
        decisions: dossier.decisions.clone(),
    }
}

impl Explanation {
    /// What strangers may read: without keys, units, agents' names and settings.
    pub fn public(mut self) -> Self {
        self.decisions.clear();
        for section in &mut self.sections {
            for line in &mut section.lines {
                *line = sentences::without_brackets(line);
            }
        }
        self.sections.retain(|section| {
            !["What else", "What did not count, and why"].contains(&section.title.as_str())
        });
        self
    }

    /// All of it as text, without the drawing.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.headline);
        for section in &self.sections {
            text.push_str(&format!("\n{}\n", section.title));
            for line in &section.lines {
                text.push_str(&format!("  {line}\n"));
            }
        }
        text
    }
}

fn headline(incident: &Incident) -> String {
    let name = &incident.monitor.name;
    let was = match (incident.worst.as_str(), incident.resolved_at.is_some()) {
        ("down", true) => "was down",
        ("down", false) => "is down",
        ("partial", true) => "failed in some regions",
        ("partial", false) => "fails in some regions",
        (_, true) => "was not observed",
        (_, false) => "is not observed",
    };
    let started = sentences::date_time(incident.started_at);
    match incident.resolved_at {
        Some(end) => {
            let lasted = sentences::span(end.since(incident.started_at));
            format!("{name} {was} for {lasted}, from {started} to {}.", sentences::date_time(end))
        }
        None => format!("{name} {was} since {started}."),
    }
}

/// The first decision of the worst verdict.
fn main_decision(dossier: &Dossier) -> Option<&DecisionRecord> {
    let of = |verdict: &str| dossier.decisions.iter().find(|decision| decision.to == verdict);
    of("down").or_else(|| of("partial")).or_else(|| of("unobserved")).or_else(|| dossier.decisions.first())
}

/// When people were first told of a decision: of the alerts decided at it, the first that went out.
fn paged(dossier: &Dossier, decision: &DecisionRecord) -> Paged {
    let decided = decision.wall(decision.decided_us);
    let mut paged = Paged::default();
    for delivery in &dossier.deliveries {
        let told = delivery.alert.event.incident().filter(|incident| incident.verdict == decision.to);
        if told.is_none() || delivery.alert.decided_at < decided.before(quorate_proto::Micros::from_secs(1)) {
            continue;
        }
        let earliest = |known: Option<WallMicros>, new: Option<WallMicros>| match (known, new) {
            (Some(known), Some(new)) => Some(known.min(new)),
            (known, new) => known.or(new),
        };
        paged.sent = earliest(paged.sent, delivery.first_sent_at);
        paged.delivered = earliest(paged.delivered, delivery.delivered_at);
    }
    paged
}

fn units(dossier: &Dossier) -> Units {
    let read = |unit: &crate::model::StoredUnit| {
        let unit = ReadUnit::read(unit.bytes.clone(), unit.received, unit.held).ok()?;
        Some(((unit.place.agent, unit.place.epoch, unit.place.sequence), unit))
    };
    dossier.units.iter().filter_map(read).collect()
}
