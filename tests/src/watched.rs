//! The usual scene: a server on npm's `ws`, a cluster that watches it as `chat`, and a receiver of what is said of it.

use anyhow::Result;
use tempfile::TempDir;

use crate::{
    cluster::{Cluster, Plan, monitor, webhook},
    process::Process,
    receiver::{Behaviour, Receiver},
    servers,
};

/// A server that is watched. Everything ends with its value.
#[derive(Debug)]
pub struct Watched {
    /// The cluster. The monitor is `chat`, and its alerts go to the channel `hook`.
    pub cluster: Cluster,
    /// The server.
    pub server: Process,
    /// Where the channel `hook` leads.
    pub receiver: Receiver,
    /// What `chat` watches.
    pub url: String,
    port: u16,
    folder: TempDir,
}

impl Watched {
    /// Watches it every `interval` with a deadline of `timeout`, and waits until it is up.
    ///
    /// # Errors
    /// Where something does not start.
    pub fn start(interval: &str, timeout: &str) -> Result<Self> {
        Self::start_with(interval, timeout, |_| Plan::default())
    }

    /// The same in a cluster that is planned by the server's URL; the plan's tables come after the scene's own.
    ///
    /// # Errors
    /// Where something does not start.
    pub fn start_with(interval: &str, timeout: &str, plan: impl FnOnce(&str) -> Plan) -> Result<Self> {
        let receiver = Receiver::start(Behaviour::Take)?;
        let folder = tempfile::tempdir()?;
        let port = servers::free_port()?;
        let server = servers::node_ws(folder.path(), port)?;
        let url = format!("ws://127.0.0.1:{port}/");
        let further = plan(&url);
        let tables =
            webhook("hook", &receiver.url()) + &monitor("chat", &url, interval, timeout) + &further.tables;
        let cluster = Cluster::start(&Plan { tables, ..further })?;
        cluster.wait_until_up("chat", 60.0);
        Ok(Self { cluster, server, receiver, url, port, folder })
    }

    /// Starts the server again, where it was.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn mend(&mut self) -> Result<()> {
        self.server = servers::node_ws(self.folder.path(), self.port)?;
        Ok(())
    }
}
