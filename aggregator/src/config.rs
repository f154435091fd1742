//! What the operator wants, as types that cannot be wrong.
//!
//! A [`Config`] exists only if every key of the file was known and every value made sense; otherwise there is a list
//! of all faults, each with file, line and key.

use std::{net::SocketAddr, path::PathBuf};

use quorate_proto::{MonitorSpec, Region};
use quorate_quorum::{Quorum, Sensitivity};

use crate::model::{ChannelId, Secret};

/// Everything that the operator set.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where the aggregator listens and keeps its data. Read at the start; a change wants a restart.
    pub server: Server,
    /// What the status page calls itself.
    pub page: Page,
    /// The regions that agents may be enrolled in, in order of the file.
    pub regions: Vec<Region>,
    /// The regions in which `quorate up` starts agents of its own.
    pub local_regions: Vec<Region>,
    /// Where alerts go.
    pub channels: Vec<Channel>,
    /// What is watched, in order of the file.
    pub monitors: Vec<Monitor>,
}

/// Where the aggregator listens and keeps its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The folder of the database, the key and the first admin token.
    pub data: PathBuf,
    /// Where HTTP is served (TCP).
    pub http: SocketAddr,
    /// Where agents connect (UDP).
    pub quic: SocketAddr,
    /// `host:port` that agents outside are told to connect to; none: the QUIC address itself.
    pub public_address: Option<String>,
}

/// What the status page calls itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its title.
    pub title: String,
    /// Where people reach it, for links in alerts; none: no links.
    pub url: Option<String>,
}

/// Where alerts go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its id.
    pub id: ChannelId,
    /// How it is spoken to.
    pub kind: ChannelKind,
    /// Whether it also wants to hear of `partial`.
    pub partial: bool,
    /// Whether it wants the operator's notices and `unobserved`.
    pub operator: bool,
}

/// How a channel is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelKind {
    /// A Standard Webhooks 1.0.0 receiver.
    Webhook {
        /// Where to post. May hold a token: shown only without path and query.
        url: Secret,
        /// The signing secrets (`whsec_…`); several sign at once, for rotation. None: unsigned, which is said loudly.
        secrets: Vec<Secret>,
    },
    /// A Slack incoming webhook.
    Slack {
        /// Its URL, which is a secret.
        url: Secret,
    },
}

/// One monitor: the agents' half and the deciders' half.
#[derive(Clone, Debug, PartialEq)]
pub struct Monitor {
    /// What agents need to know. Its id is the monitor's.
    pub spec: MonitorSpec,
    /// What people call it.
    pub name: String,
    /// The regions that watch it, a subset of [`Config::regions`].
    pub regions: Vec<Region>,
    /// How many must fail.
    pub quorum: Quorum,
    /// For how long they must, where the default does not apply.
    pub confirm_for: Option<quorate_proto::Micros>,
    /// Which set of numbers applies.
    pub sensitivity: Sensitivity,
    /// The channels that hear of it.
    pub channels: Vec<ChannelId>,
}
