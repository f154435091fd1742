//! What the operator wants, as types that cannot be wrong.
//!
//! A [`Config`] exists only if every key of the file was known and every value made sense; otherwise there is a list
//! of all faults, each with file, line and key.

mod access;
mod bytes;
mod canary;
mod channels;
mod controls;
mod demands;
mod dialogue;
mod document;
mod domains;
mod endpoint;
mod environment;
mod fault;
mod maintenance;
mod matchers;
mod monitors;
mod nearest;
mod paging;
mod parameters;
mod placeholders;
pub mod presets;
mod promise;
mod quality;
mod route;
mod server;
pub mod spans;
mod spoken;
mod steps;
#[cfg(test)]
mod tests;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use quorate_proto::{Controls, MonitorId, MonitorSpec, Region};
use quorate_quorum::{PagingSettings, Quorum, Sensitivity, quality::LatencySla};
use toml::de::DeTable;

pub use domains::Domains;
pub use environment::{Environment, Files, Folders, Variables, read_bounded};
pub use fault::{Fault, Warning};
pub use maintenance::{MaintenancePlan, MaintenanceTimes};
pub(crate) use nearest::nearest;
pub use server::REGION_LOCAL;

use crate::{
    limits,
    model::{ChannelId, Secret},
};

/// A configuration that is good, and what its author should know about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// What the operator wants.
    pub config: Config,
    /// What is allowed and unwise.
    pub warnings: Vec<Warning>,
}

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
    /// What agents look at to see whether they are the fault themselves.
    pub controls: Controls,
    /// Where alerts go.
    pub channels: Vec<Channel>,
    /// What is watched, in order of the file.
    pub monitors: Vec<Monitor>,
    /// Whom to tell, and when not.
    pub paging: PagingSettings,
    /// When nobody is paged, in order of the file.
    pub maintenance: Vec<MaintenancePlan>,
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
    /// Whether it also wants to hear of events that are no incident.
    pub events: bool,
    /// Whether it wants to hear that a monitor is degraded. Default: where it wants `partial` or `events`.
    pub degraded: bool,
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
    /// Whether the evidence span follows what is measured of the paths, where nothing else was asked for. Default: it does.
    pub calibrate: bool,
    /// Which domains must fail with it.
    pub domains: Domains,
    /// How long an announced restart (close codes 1001, 1012, 1013) may take before it is an outage. Default 30 s.
    pub restart_budget: quorate_proto::Micros,
    /// How long before a certificate of the chain ends people are told. Default 14 days; zero: never.
    pub certificate_warning: quorate_proto::Micros,
    /// How long before a certificate of the chain ends the monitor is degraded. Default 3 days; zero: never.
    pub certificate_degraded: quorate_proto::Micros,
    /// How quick its round trips have to be; none: they are measured and not judged.
    pub latency: Option<LatencySla>,
    /// The channels that hear of it.
    pub channels: Vec<ChannelId>,
    /// The monitors without which it cannot work: while one of them is down, it is not paged. Without cycles.
    pub depends_on: Vec<MonitorId>,
}

impl Config {
    /// Reads a configuration file. Paths in it are relative to its folder.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(path: &Path, environment: &Environment<'_>) -> Result<Loaded, Vec<Fault>> {
        let file = path.display().to_string();
        let whole = |wanted: &str, found: String| {
            vec![Fault { file: file.clone(), line: 1, key: String::new(), wanted: wanted.to_owned(), found }]
        };
        let bytes = (environment.file)(path).map_err(|error| whole("a readable file", error.to_string()))?;
        if bytes.len() > limits::CONFIG_BYTES_MAX {
            let wanted = format!("a file of at most {} bytes", limits::CONFIG_BYTES_MAX);
            return Err(whole(&wanted, "more".to_owned()));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = error.utf8_error().valid_up_to();
            let line = 1 + error.as_bytes().iter().take(good).filter(|byte| **byte == b'\n').count();
            let mut faults = whole("text in UTF-8", "other bytes".to_owned());
            faults.iter_mut().for_each(|fault| fault.line = line);
            faults
        })?;
        parse(&text, &file, environment)
    }
}

/// Reads a configuration. `file` is what faults call it, and its folder is where relative paths begin.
///
/// # Errors
/// Everything that is wrong with it, in order of line. Where the text is not TOML at all, only that is said: what it
/// means is then anyone's guess.
pub fn parse(text: &str, file: &str, environment: &Environment<'_>) -> Result<Loaded, Vec<Fault>> {
    let document = document::Document::new(text, file, environment);
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors {
            let line = document.line(error.span().map_or(0, |span| span.start));
            document.fault(line, "", "TOML", error.message().lines().collect::<Vec<_>>().join("; "));
        }
        return Err(document.close().0);
    }
    let root = document.root(table.get_ref());
    let config = read(&root);
    root.close();
    match document.close() {
        (faults, warnings) if faults.is_empty() => Ok(Loaded { config, warnings }),
        (faults, _) => Err(faults),
    }
}

fn read(root: &document::Section<'_>) -> Config {
    let server = server::server(root);
    let page = server::page(root);
    let (regions, local_regions) = server::regions(root);
    let controls = controls::controls(root);
    let defaults = monitors::defaults(root);
    let (channels, channel_ids) = channels::channels(root);
    let presets = spoken::presets(root);
    let monitors = monitors::monitors(root, &defaults, &regions, &channel_ids, &presets);
    let paging = paging::settings(root);
    let maintenance = maintenance::maintenance(root, &monitors);
    Config { server, page, regions, local_regions, controls, channels, monitors, paging, maintenance }
}
