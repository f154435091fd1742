//! What the core is told, and what it tells the connections: the messages between stages.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use quorate_proto::{
    AgentKey, AgentName, Micros, MonitorId, Region,
    frame::{AckVerdict, AggregatorControl, CloseCode, Health, Hello, JoinReply, JoinRequest},
    join::JoinString,
    verify::Authentic,
};
use quorate_quorum::Moment;
use tokio::sync::{mpsc, oneshot};

use super::{AgentRecord, ChannelId, DeliveryState, Maintenance, MaintenanceWish};
use crate::config::Config;

/// One thing that the core is told. Every variant that wants an answer carries the way for it.
#[derive(Debug)]
pub enum Intake {
    /// An enrolled agent said hello on a new connection. An older connection of the same agent is superseded.
    Connected {
        /// Which agent.
        agent: AgentKey,
        /// The connection's number, unique in this process.
        connection: u64,
        /// Its first words.
        hello: Hello,
        /// Where it connects from.
        remote: SocketAddr,
        /// The way to push to it.
        push: mpsc::Sender<Push>,
    },
    /// An agent reported its health.
    Health {
        /// Which agent.
        agent: AgentKey,
        /// Over which connection.
        connection: u64,
        /// Its report.
        health: Health,
        /// When it was received.
        received: Moment,
    },
    /// A unit came whose signature, keys and bounds are good; whether it continues the chain is for the core to say.
    Unit {
        /// The unit.
        unit: Box<Authentic>,
        /// Over which connection.
        connection: u64,
        /// From signing to sending, as the agent measured it.
        held: Option<Micros>,
        /// When it was received.
        received: Moment,
        /// Where the verdict goes: after the commit, never before.
        ack: oneshot::Sender<AckVerdict>,
    },
    /// A connection ended.
    Disconnected {
        /// Which agent.
        agent: AgentKey,
        /// Which connection.
        connection: u64,
    },
    /// An unknown agent wants to join.
    Join {
        /// Its key, proven by the TLS handshake.
        agent: AgentKey,
        /// What it presents.
        request: JoinRequest,
        /// Where the answer goes.
        reply: oneshot::Sender<JoinReply>,
    },
    /// A delivery was attempted.
    Attempted(Attempt),
    /// A channel's queue was full for a while and has room again: send what is still pending for it.
    Refill {
        /// Which channel.
        channel: ChannelId,
    },
    /// The operator wants something.
    Admin(Admin),
    /// A new configuration is valid.
    Configure(Arc<Config>),
}

/// The outcome of one attempt to deliver.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// Which delivery.
    pub delivery: u64,
    /// Over which channel.
    pub channel: ChannelId,
    /// How it stands after the attempt.
    pub state: DeliveryState,
    /// When it was attempted.
    pub at: quorate_proto::WallMicros,
    /// How long the attempt took.
    pub took: Micros,
    /// When the next attempt is due, where there is one.
    pub due_at: Option<quorate_proto::WallMicros>,
    /// The HTTP status, where one came.
    pub status: Option<u16>,
    /// What went wrong.
    pub error: Option<String>,
}

/// What an operator asks for through the API.
#[derive(Debug)]
pub enum Admin {
    /// A join string for a new agent.
    AddAgent {
        /// Its name; must not be in use by an agent that is not revoked.
        name: AgentName,
        /// Its region; must be configured.
        region: Region,
        /// Its labels.
        labels: BTreeMap<String, String>,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<JoinString, AdminError>>,
    },
    /// Revoke an agent: its connection is closed at once.
    RevokeAgent {
        /// Its name.
        name: AgentName,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<AgentRecord, AdminError>>,
    },
    /// Start or plan a maintenance.
    StartMaintenance {
        /// What is wanted.
        wish: Box<MaintenanceWish>,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<Maintenance, AdminError>>,
    },
    /// End a maintenance before its time, or take back a planned one.
    EndMaintenance {
        /// Its id.
        id: String,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<Maintenance, AdminError>>,
    },
}

/// Why an operator's wish was not granted. The text is for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// The name is taken.
    #[error("an agent named {0} is enrolled already; revoke it first or choose another name")]
    NameTaken(AgentName),
    /// No agent of that name is enrolled.
    #[error("no agent named {0} is enrolled")]
    NoSuchAgent(AgentName),
    /// The region is not configured.
    #[error("region {region} is not configured; known regions: {known}")]
    NoSuchRegion {
        /// The wanted region.
        region: Region,
        /// The configured ones, comma-separated.
        known: String,
    },
    /// No such monitor is configured.
    #[error("no monitor {0} is configured")]
    NoSuchMonitor(MonitorId),
    /// No maintenance of that id is on or planned by hand.
    #[error(
        "no maintenance {0} is on or planned by hand; what is planned in the configuration is taken out there"
    )]
    NoSuchMaintenance(String),
    /// There is too much of it.
    #[error("{0} maintenances are on or planned already; end some first")]
    TooMuchMaintenance(usize),
    /// The store cannot be written at present.
    #[error("the store cannot be written at present; see the log")]
    Storage,
}

/// What the core tells a connection.
#[derive(Clone, Debug, PartialEq)]
pub enum Push {
    /// Send this frame on the control stream.
    Send(AggregatorControl),
    /// Close the connection.
    Close(CloseCode),
}
