//! Incidents: a stretch of time in which a verdict was not up, with its evidence.

use std::collections::BTreeSet;

use quorate_proto::{MonitorId, Region, WallMicros};
use serde::{Deserialize, Serialize};

use super::{ChannelId, rfc3339};

/// One incident, in the JSON form that the API, the alerts and the store share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// `inc_` and a UUID, version 7.
    pub id: String,
    /// What it is about.
    pub monitor: MonitorReference,
    /// `down`, `partial` or `unobserved`: the latest verdict that was not up.
    pub verdict: String,
    /// The worst verdict so far: `down` is worse than `partial` is worse than `unobserved`.
    pub worst: String,
    /// The likely cause.
    pub cause: IncidentCause,
    /// The rule that applied, in one sentence.
    pub rule: String,
    /// When the first failing check began, as far as it is known.
    #[serde(with = "rfc3339")]
    pub started_at: WallMicros,
    /// When a quorum passed again.
    #[serde(with = "rfc3339::option")]
    pub resolved_at: Option<WallMicros>,
    /// Every configured region's vote at the latest decision.
    pub regions: Vec<RegionEvidence>,
    /// When each step of the latest decision happened.
    pub timeline: IncidentTimeline,
    /// The monitors that it depends on and that are down: while they are, it is not told. Empty where none holds it, and
    /// in incidents that an older version wrote.
    #[serde(default)]
    pub held_by: Vec<MonitorId>,
    /// The group of incidents that it is told with, or that names it.
    #[serde(default)]
    pub group: Option<String>,
    /// Whether its monitor flapped, so that it was told as flapping.
    #[serde(default)]
    pub flapping: bool,
}

/// An incident that is not resolved, or has just been.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracked {
    /// The incident.
    pub incident: Incident,
    /// When it was opened.
    pub opened_at: WallMicros,
    /// The channels that got the opening.
    pub told: BTreeSet<ChannelId>,
}

/// The monitor of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorReference {
    /// Its id.
    pub id: MonitorId,
    /// Its name.
    pub name: String,
    /// Its URL, without user information.
    pub url: String,
}

/// The likely cause of an incident: the failure that most of the failing regions saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentCause {
    /// [`quorate_proto::FailureKind::name`]; `connection_limit` or `draining` where newcomers fail beside canaries that live;
    /// or `unobserved`.
    pub kind: String,
    /// One sentence: what was seen.
    pub summary: String,
    /// What it likely means, and what to do.
    pub hint: String,
    /// The exact mend, line by line: configuration or commands. Empty where there is none to give, and in incidents that
    /// an older version wrote.
    #[serde(default)]
    pub mend: Vec<String>,
}

/// One region's vote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegionEvidence {
    /// Which region.
    pub region: Region,
    /// `ok`, `fail` or `abstain`.
    pub vote: String,
    /// The failure's name and detail, or why the region abstains.
    pub failure: Option<String>,
    /// The name of the agent that checked.
    pub agent: Option<String>,
    /// The latency of its latest check, in milliseconds.
    pub latency_ms: Option<f64>,
}

/// When each step towards a decision happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentTimeline {
    /// The start of the first failing check.
    #[serde(with = "rfc3339::option")]
    pub first_failure_at: Option<WallMicros>,
    /// When the aggregator heard of it and asked the other regions.
    #[serde(with = "rfc3339::option")]
    pub suspected_at: Option<WallMicros>,
    /// When enough regions failed.
    #[serde(with = "rfc3339::option")]
    pub quorum_at: Option<WallMicros>,
    /// When the verdict fell.
    #[serde(with = "rfc3339::option")]
    pub decided_at: Option<WallMicros>,
    /// When this alert was first sent; `null` in the API before that.
    #[serde(with = "rfc3339::option")]
    pub sent_at: Option<WallMicros>,
}
