//! What the engine is told.

use std::collections::BTreeMap;

use quorate_proto::{AgentKey, BootEpoch, Doubt, MonitorId, Region, Sequence};

use crate::{Moment, Policy, Verdict};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A monitor is there, or its policy changed. What is known of it is kept.
    Configure {
        /// Which monitor.
        monitor: MonitorId,
        /// Who votes on it, and how.
        policy: Policy,
    },
    /// A monitor is gone.
    Remove {
        /// Which monitor.
        monitor: MonitorId,
    },
    /// After a start, before any observation: what was last decided. The verdict is held until regions have fresh
    /// votes or the policy's grace is over.
    Restore {
        /// Which monitor; it must be configured.
        monitor: MonitorId,
        /// What was last decided.
        verdict: Verdict,
        /// Since when.
        since: Moment,
    },
    /// An agent reported its health.
    Heartbeat(Heartbeat),
    /// An agent was revoked: what it said does not count any more.
    Forget {
        /// Which agent.
        agent: AgentKey,
    },
    /// A check was made.
    Observed(Observation),
    /// Something happened to an agent's canary. It is no vote.
    Canary(CanaryReport),
    /// The caller itself stood still for a while, and heard nobody: its machine was suspended, or it was stopped. So
    /// silence says nothing, and verdicts are held as after a start.
    Paused,
    /// Nothing happened, and time passed.
    Tick,
    /// An agent is enrolled, or was when the caller started. It may vote once it is heard.
    Enrolled {
        /// Which agent.
        agent: AgentKey,
        /// Its region.
        region: Region,
        /// Its labels, which form domains.
        labels: BTreeMap<String, String>,
    },
}

/// What an agent reports of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Which agent.
    pub agent: AgentKey,
    /// Its region, as enrolled.
    pub region: Region,
    /// The revision of the assignments that it works under.
    pub revision: u64,
    /// Why it doubts itself, where it does: the gravest reason.
    pub sick: Option<Doubt>,
}

/// One check, as the engine sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Which monitor.
    pub monitor: MonitorId,
    /// The region of the agent, as enrolled.
    pub region: Region,
    /// When the check began, by the aggregator's clock: the moment of receipt less the measured age and duration.
    pub started: Moment,
    /// When the check ended, by the aggregator's clock.
    pub ended: Moment,
    /// What it found.
    pub finding: Finding,
    /// The revision of the assignments under which it was made.
    pub revision: u64,
    /// Where the evidence is.
    pub source: Source,
}

/// What happened to an agent's canary, as the engine sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct CanaryReport {
    /// On which monitor.
    pub monitor: MonitorId,
    /// The region of the agent, as enrolled.
    pub region: Region,
    /// Whose canary.
    pub agent: AgentKey,
    /// When it happened, by the aggregator's clock.
    pub at: Moment,
    /// What happened.
    pub turn: CanaryTurn,
    /// The revision of the assignments under which it was held.
    pub revision: u64,
}

/// What happened to a canary, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CanaryTurn {
    /// It is open: upgraded, and its hello is said.
    Opened,
    /// It ended, and not by the agent.
    Ended {
        /// Whether the server said that it goes away on purpose (close codes 1001, 1012, 1013).
        announced: bool,
    },
}

/// What a check found, as far as it decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It passed.
    Passed,
    /// It failed.
    Failed,
    /// The agent itself was at fault: it says nothing of the monitor.
    AgentsOwnFault,
}

/// Where the evidence of a vote is: a signed unit, and the place of the result in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// Who signed it.
    pub agent: AgentKey,
    /// Since which start of the agent.
    pub epoch: BootEpoch,
    /// The unit's place in the epoch.
    pub sequence: Sequence,
    /// The result's place in the unit.
    pub index: u16,
}
