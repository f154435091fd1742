//! What the demo is played on: the servers, the receiver, the aggregator and its agents.

use std::{collections::BTreeMap, sync::Arc};

use quorate_proto::{Micros, Region};

use super::{
    endpoint::{Behaviour, Endpoint},
    folder::Folder,
    receiver::Receiver,
    script::Fault,
};
use crate::{
    cli::CliError,
    config::{self, Config, Environment},
    model::{Secret, Snapshot},
    notify::WebhookSecret,
    run::{Aggregator, LocalAgents, Options, Running, StageEnded},
};

/// From one check to the next, in each region.
pub(super) const INTERVAL: Micros = Micros::from_secs(5);
/// The deadline around one check.
const TIMEOUT: Micros = Micros::from_secs(3);
/// How long a reply is waited for, where the server is slow.
const REPLY_WITHIN: Micros = Micros::from_secs(1);
/// How late the slow server answers: within the check's deadline, past the reply's.
const SLOW_BY: Micros = Micros::from_secs(2);

/// Five regions, as in the default rule: four of them must agree.
const REGIONS: [&str; 5] = ["eu-west", "us-east", "us-west", "ap-south", "sa-east"];

/// Everything that runs. Dropped in this order, so the folder goes last.
#[derive(Debug)]
pub(super) struct Stage {
    agents: Option<LocalAgents>,
    running: Running,
    servers: BTreeMap<Fault, Endpoint>,
    pub(super) receiver: Receiver,
    folder: Folder,
}

pub(super) fn regions() -> Vec<Region> {
    REGIONS.iter().filter_map(|region| region.parse().ok()).collect()
}

impl Stage {
    /// Starts all but the agents, and returns the URL of the status page, which can be shown at once.
    pub(super) async fn open() -> Result<(Self, String), CliError> {
        let of_system = |done| move |error| CliError::Demo { done, error };
        let folder = Folder::make().map_err(of_system("make a temporary folder"))?;
        let secret = WebhookSecret::generate().unwrap_or(Secret::new(""));
        let receiver = Receiver::start(&secret).await.map_err(of_system("start the webhook receiver"))?;
        let mut servers = BTreeMap::new();
        for fault in Fault::ALL {
            let server = Endpoint::start().await.map_err(of_system("start a WebSocket server"))?;
            servers.insert(fault, server);
        }
        let config = configuration(&folder, &receiver, &secret, &servers)?;
        let running = Aggregator::start(Options { config: Arc::new(config), watched: None }).await?;
        let page = format!("http://{}/", running.http_addr);
        Ok((Self { agents: None, running, servers, receiver, folder }, page))
    }

    /// Enrols and starts the agents.
    pub(super) async fn start_agents(mut self) -> Result<Self, CliError> {
        let folder = self.folder.path().join("agents");
        match LocalAgents::start(&self.running, &regions(), &folder).await {
            Ok(agents) => {
                self.agents = Some(agents);
                Ok(self)
            }
            Err(error) => {
                self.close().await;
                Err(error.into())
            }
        }
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.running.snapshot.load_full()
    }

    /// A part of the aggregator that ended by itself, where there is one.
    pub(super) fn ended(&self) -> Option<StageEnded> {
        self.running.ended_stage()
    }

    pub(super) fn break_with(&self, fault: Fault) {
        let behaviour = match fault {
            Fault::Killed => Behaviour::Killed,
            Fault::Silent => Behaviour::Silent,
            Fault::Slow => Behaviour::Slow(SLOW_BY),
            Fault::OneRegion => regions().pop().map_or(Behaviour::Healthy, Behaviour::CutOff),
        };
        self.behave(fault, behaviour);
    }

    pub(super) fn heal(&self, fault: Fault) {
        self.behave(fault, Behaviour::Healthy);
    }

    fn behave(&self, fault: Fault, behaviour: Behaviour) {
        if let Some(server) = self.servers.get(&fault) {
            server.behave(behaviour);
        }
    }

    /// Ends everything in order.
    pub(super) async fn close(self) {
        if let Some(agents) = self.agents {
            agents.stop().await;
        }
        self.running.stop().await;
    }
}

/// A configuration as a user would write it, read by the same code.
fn configuration(
    folder: &Folder,
    receiver: &Receiver,
    secret: &Secret,
    servers: &BTreeMap<Fault, Endpoint>,
) -> Result<Config, CliError> {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    // What breaks here does so again and again, and each time a page is what one wants to see.
    let mut text = format!(
        "regions = {regions:?}\n\
         [server]\ndata = {data}\nhttp = \"127.0.0.1:0\"\nquic = \"127.0.0.1:0\"\n\
         [page]\ntitle = \"Quorate demo\"\n\
         [defaults]\ninterval = \"{INTERVAL}\"\ntimeout = \"{TIMEOUT}\"\n\
         [paging]\nflapping = false\n\
         [[channels]]\nid = \"demo\"\ntype = \"webhook\"\nurl = {url}\nsecret = {secret}\noperator = false\n",
        regions = REGIONS,
        data = quoted(&folder.path().join("data").to_string_lossy()),
        url = quoted(&receiver.url()),
        secret = quoted(secret.expose()),
    );
    for (fault, server) in servers {
        let steps = match fault {
            // Only an exchange can be slow while all else is well.
            Fault::Slow => format!(
                "steps = [{{ send = \"{{{{nonce}}}}\" }}, {{ expect = {{ contains = \"{{{{nonce}}}}\" }}, within = \"{REPLY_WITHIN}\" }}]\n"
            ),
            Fault::Killed | Fault::Silent | Fault::OneRegion => String::new(),
        };
        text.push_str(&format!(
            "[[monitors]]\nid = \"{id}\"\nname = \"Server that is {id}\"\nurl = {url}\n{steps}",
            id = fault.monitor(),
            url = quoted(&server.url()),
        ));
    }
    let loaded = config::parse(&text, "demo", &Environment::of_process()).map_err(CliError::Config)?;
    Ok(loaded.config)
}
