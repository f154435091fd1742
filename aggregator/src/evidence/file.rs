//! The evidence file. `deploy/evidence.md` describes it field by field.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use quorate_proto::{AgentKey, AggregatorKey, MonitorId, SignedUnit, SigningKey, WallMicros};
use serde::{Deserialize, Serialize};

use super::seal::{self, Seal};
use crate::{
    model::{DecisionRecord, Delivery, evidence::as_text, rfc3339},
    store::Dossier,
};

/// What every file begins with.
pub const FORMAT: &str = "quorate evidence";
/// The version of the format.
pub const VERSION: u32 = 1;

/// An incident's evidence. The fields stand in this order, one a line, as `serde_json` writes them with two spaces; any
/// other way to write the same is refused, so that every byte matters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceFile {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// The aggregator that received, decided, and seals.
    #[serde(with = "as_text")]
    pub aggregator: AggregatorKey,
    /// Its software.
    pub software: String,
    /// When the file was made.
    #[serde(with = "rfc3339")]
    pub exported_at: WallMicros,
    /// What it is about.
    pub incident: IncidentSummary,
    /// What was sent about it.
    pub pages: Vec<Page>,
    /// Every decision, oldest first.
    pub decisions: Vec<DecisionRecord>,
    /// The signed units that the decisions rest on, in order of agent, epoch and sequence.
    pub units: Vec<ReceivedUnit>,
    /// Whether units that say nothing of the monitor were left out because there were too many.
    pub units_reduced: bool,
    /// The aggregator's signature over all above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seal: Option<Seal>,
}

/// An incident, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncidentSummary {
    /// Its id.
    pub id: String,
    /// The monitor's id: what results are named by.
    pub monitor: MonitorId,
    /// The monitor's name.
    pub name: String,
    /// Its URL, without user information.
    pub url: String,
    /// The likely cause, by name.
    pub cause: String,
    /// The likely cause, in a sentence.
    pub summary: String,
    /// When the first failing check began.
    #[serde(with = "rfc3339")]
    pub started_at: WallMicros,
    /// When a quorum passed again.
    #[serde(with = "rfc3339::option")]
    pub resolved_at: Option<WallMicros>,
}

/// One alert to one channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// The channel's id.
    pub channel: String,
    /// The alert's type, such as `incident.opened`.
    pub event: String,
    /// When it was decided.
    #[serde(with = "rfc3339")]
    pub decided_at: WallMicros,
    /// When it was first sent.
    #[serde(with = "rfc3339::option")]
    pub first_sent_at: Option<WallMicros>,
    /// When it was taken.
    #[serde(with = "rfc3339::option")]
    pub delivered_at: Option<WallMicros>,
    /// `pending`, `delivered` or `failed`.
    pub state: String,
}

/// A signed unit, and when it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceivedUnit {
    /// Whose.
    #[serde(with = "as_text")]
    pub agent: AgentKey,
    /// Since which start of the agent.
    pub epoch: u64,
    /// Its place in the epoch.
    pub sequence: u64,
    /// When it was received, in microseconds by the aggregator's steady clock.
    pub received_us: Option<u64>,
    /// From signing to sending, as the agent measured it.
    pub held_us: Option<u64>,
    /// As signed and as received, in base64.
    pub bytes: String,
}

impl EvidenceFile {
    /// The evidence of an incident, not sealed yet.
    pub fn of(dossier: &Dossier, aggregator: AggregatorKey, exported_at: WallMicros) -> Self {
        let incident = &dossier.incident;
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            aggregator,
            software: concat!("quorate ", env!("CARGO_PKG_VERSION")).to_owned(),
            exported_at,
            incident: IncidentSummary {
                id: incident.id.clone(),
                monitor: incident.monitor.id.clone(),
                name: incident.monitor.name.clone(),
                url: incident.monitor.url.clone(),
                cause: incident.cause.kind.clone(),
                summary: incident.cause.summary.clone(),
                started_at: incident.started_at,
                resolved_at: incident.resolved_at,
            },
            pages: dossier.deliveries.iter().map(Page::of).collect(),
            decisions: dossier.decisions.clone(),
            units: dossier
                .units
                .iter()
                .filter_map(|unit| {
                    let place = *SignedUnit::parse(unit.bytes.clone()).ok()?.place();
                    Some(ReceivedUnit {
                        agent: place.agent,
                        epoch: place.epoch.0,
                        sequence: place.sequence.0,
                        received_us: unit.received.map(|at| at.0),
                        held_us: unit.held.map(|held| held.0),
                        bytes: BASE64.encode(&unit.bytes),
                    })
                })
                .collect(),
            units_reduced: dossier.is_reduced,
            seal: None,
        }
    }

    /// The file as it is handed on. None for a value that is not JSON: a defect.
    pub fn sealed(mut self, key: &SigningKey) -> Option<String> {
        self.seal = None;
        let body = self.written()?;
        self.seal = Some(Seal::of(&body, key));
        Some(self.written()? + "\n")
    }

    /// What the seal is over.
    pub fn body(&self) -> Option<String> {
        Self { seal: None, ..self.clone() }.written()
    }

    /// As it must be written.
    pub fn text(&self) -> Option<String> {
        Some(self.written()? + "\n")
    }

    /// The name of an agent, as enrolled; its key where no decision names it.
    pub fn who(&self, agent: &AgentKey) -> String {
        let ballots =
            self.decisions.iter().flat_map(|decision| &decision.regions).flat_map(|region| &region.ballots);
        let named = ballots.filter(|ballot| ballot.agent == *agent).find_map(|ballot| ballot.name.as_ref());
        named.map_or_else(|| agent.to_string(), ToString::to_string)
    }

    /// The names of all agents, as enrolled.
    pub fn names(&self) -> BTreeMap<AgentKey, String> {
        let ballots =
            self.decisions.iter().flat_map(|decision| &decision.regions).flat_map(|region| &region.ballots);
        let mut names = BTreeMap::new();
        for ballot in ballots {
            names.entry(ballot.agent).or_insert_with(|| ballot.who());
        }
        names
    }

    /// A place in the file with what stands there: `units[3].bytes (unit 12 of agent eu-1, epoch 5)`.
    pub fn describe(&self, path: &str) -> String {
        let index = |list: &str| seal::index(path, list);
        let unit = index("units").and_then(|index| self.units.get(index));
        if let Some(unit) = unit {
            let who = self.who(&unit.agent);
            return format!("{path} (unit {} of agent {who}, epoch {})", unit.sequence, unit.epoch);
        }
        let decision = index("decisions").and_then(|index| self.decisions.get(index));
        let region = index("regions").and_then(|index| decision?.regions.get(index));
        let Some(region) = region else { return path.to_owned() };
        match index("ballots").and_then(|index| region.ballots.get(index)) {
            Some(ballot) => format!("{path} (agent {} of region {})", ballot.who(), region.region),
            None => format!("{path} (region {})", region.region),
        }
    }

    fn written(&self) -> Option<String> {
        serde_json::to_string_pretty(self).ok()
    }
}

impl Page {
    fn of(delivery: &Delivery) -> Self {
        Self {
            channel: delivery.channel.clone(),
            event: delivery.alert.event.name().to_owned(),
            decided_at: delivery.alert.decided_at,
            first_sent_at: delivery.first_sent_at,
            delivered_at: delivery.delivered_at,
            state: delivery.state.name().to_owned(),
        }
    }
}
