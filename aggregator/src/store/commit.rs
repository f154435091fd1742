//! What one transaction holds: units with the rows they make, and changes of state.

use std::collections::BTreeMap;

use quorate_proto::{
    AgentKey, AggregatorKey, Digest, Micros, MonitorId, Region, Verified, WallMicros,
    outcome::TlsFacts,
    verify::{Head, Unit},
};
use quorate_quorum::{
    Moment, Verdict,
    uptime::{MendRule, Stretch},
};

use crate::model::{
    AgentRecord, CalibrationKept, Delivery, Evidence, JoinToken, Kept, Maintenance, MonitorEvent,
    QualityKept, Said, Tracked,
};

/// One transaction: all of it is on disk afterwards, or nothing.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// Units for the log, in the order of their chains.
    pub units: Vec<UnitRows>,
    /// Changes of state, in order.
    pub changes: Vec<Change>,
}

/// One unit, and what the aggregator adds to it.
#[derive(Clone, Debug)]
pub struct UnitRows {
    /// The unit: it passed the gate.
    pub unit: Verified<Unit>,
    /// What the agent's next unit of this epoch must name.
    pub head: Head,
    /// When it was received.
    pub received_at: WallMicros,
    /// The same by the steady clock that decides.
    pub received: Moment,
    /// From signing to sending, as the agent measured it.
    pub held: Option<Micros>,
    /// The region in which the agent is enrolled.
    pub region: Region,
    /// What the aggregator adds to the entries of a batch.
    pub facts: BatchFacts,
}

/// What the aggregator knows of a batch's entries that the agent does not: one for each, in the order of its lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchFacts {
    /// Of the results.
    pub results: Vec<EntryFacts>,
    /// Of what happened to canaries.
    pub canaries: Vec<EntryFacts>,
    /// Of the idle timeouts that were looked for.
    pub idle_timeouts: Vec<EntryFacts>,
    /// How late results mend what was unobserved, for each monitor of theirs that is watched from the agent's region.
    pub mending: BTreeMap<MonitorId, MendRule>,
}

/// What the aggregator knows of one entry that the agent does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryFacts {
    /// When it happened, or the check ended, by the aggregator's clock.
    pub at: WallMicros,
    /// Whether it came too late to decide.
    pub late: bool,
    /// Whether its monitor was maintained then.
    pub maintained: bool,
}

/// One change of state. Making the same change again does no harm.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// An incident as it stands.
    Incident(Box<Tracked>),
    /// A decision about an incident.
    IncidentEvent {
        /// Which incident.
        incident: String,
        /// When it was decided.
        at: WallMicros,
        /// The verdict's name.
        verdict: &'static str,
        /// The rule, in one sentence.
        rule: String,
    },
    /// A monitor's verdict.
    Verdict {
        /// Which monitor.
        monitor: MonitorId,
        /// What was decided.
        verdict: Verdict,
        /// When.
        since: WallMicros,
    },
    /// A turn of a monitor's verdict, for its history; none where it is not watched any more.
    Turn {
        /// Which monitor.
        monitor: MonitorId,
        /// From when on.
        at: WallMicros,
        /// What it is from then on.
        verdict: Option<Verdict>,
    },
    /// The aggregator did not run, or stood still.
    Away(Stretch),
    /// A maintenance as it stands.
    Maintenance(Box<Maintenance>),
    /// A monitor is gone.
    MonitorGone {
        /// Which.
        monitor: MonitorId,
    },
    /// A row of the outbox as it stands.
    Delivery(Box<Delivery>),
    /// Something that happened to a monitor and is no incident.
    Event(Box<MonitorEvent>),
    /// What has been said of a monitor by events.
    Said {
        /// Which monitor.
        monitor: MonitorId,
        /// All of it.
        said: Box<Said>,
    },
    /// What TLS agreed on last.
    Tls {
        /// With which monitor's server.
        monitor: MonitorId,
        /// In which region.
        region: Region,
        /// What, and since when it is that.
        stored: StoredTls,
    },
    /// An agent as it stands.
    Agent(AgentRecord),
    /// A join token as it stands.
    JoinToken(JoinToken),
    /// Monitors that an agent is about to be given.
    Given {
        /// Which agent.
        agent: AgentKey,
        /// Which monitors.
        monitors: Vec<MonitorId>,
    },
    /// The revision of the assignments in force.
    Revision(u64),
    /// The form of a monitor that agents are given.
    Monitor(MonitorForm),
    /// The key that this database's agents know their aggregator by.
    AggregatorKey(AggregatorKey),
    /// A sign that the aggregator runs, and that the store can be written.
    Pulse(WallMicros),
    /// A token of the HTTP API.
    ApiToken {
        /// SHA-256 of the token.
        sha256: [u8; 32],
        /// What it is for.
        name: String,
        /// When it was made.
        created_at: WallMicros,
    },
    /// What paging keeps of one thing.
    Paging {
        /// Which thing.
        key: String,
        /// What; none: nothing any more.
        kept: Option<Box<Kept>>,
    },
    /// How well a monitor works, as far as a restart has to know.
    Quality {
        /// Which monitor.
        monitor: MonitorId,
        /// All of it.
        kept: Box<QualityKept>,
    },
    /// What a decision about an incident was made from.
    Evidence(Box<Evidence>),
    /// What was measured of a monitor's paths, and chosen for them.
    Calibration {
        /// Which monitor.
        monitor: MonitorId,
        /// All of it.
        kept: Box<CalibrationKept>,
    },
}

/// The form in which a monitor is given to agents, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorForm {
    /// Which monitor.
    pub monitor: MonitorId,
    /// The digest of its specification and regions.
    pub fingerprint: Digest,
    /// The revision of the assignments that brought this form.
    pub revision: u64,
}

/// What TLS agreed on last in a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredTls {
    /// What.
    pub facts: TlsFacts,
    /// Since when it is that, by the aggregator's clock.
    pub since: WallMicros,
}

/// Why a commit was not made. Nothing of it is on disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The disk is full, or the database at its largest.
    #[error("the disk is full")]
    Full,
    /// Another process holds the database's write lock.
    #[error("the database is locked by another process")]
    Locked,
    /// The disk or the database fails in another way.
    #[error("{0}")]
    Sqlite(String),
    /// The writer has ended.
    #[error("the store is closed")]
    Closed,
}
