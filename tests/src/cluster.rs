//! A whole Quorate: an aggregator and agents, each a process of its own, enrolled as a user would do it.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    clock, http,
    network::Namespace,
    process::{Process, binary},
    servers::free_port,
};

/// The regions of the agents, in order.
pub const REGIONS: [&str; 5] = ["ap-south", "eu-west", "sa-east", "us-east", "us-west"];

/// The signing secret of every webhook channel of the tests.
pub const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// What differs from one cluster to the next.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// `[[monitors]]` and `[[channels]]` tables, as TOML.
    pub tables: String,
    /// The address that agents connect to; loopback where empty.
    pub host: String,
    /// Puts the data folder on a disk of its own of this many mebibytes. Needs root.
    pub disk_mebibytes: Option<u32>,
}

/// A running cluster. Everything ends with its value.
#[derive(Debug)]
pub struct Cluster {
    /// The agents, in the order of [`REGIONS`].
    pub agents: Vec<Process>,
    /// The aggregator.
    pub aggregator: Process,
    /// Where its HTTP listens.
    pub http: SocketAddr,
    /// Its data folder.
    pub data: PathBuf,
    folder: TempDir,
    config: PathBuf,
}

impl Cluster {
    /// Starts an aggregator and five agents, and enrols them.
    ///
    /// # Errors
    /// Where a process does not start or an agent cannot be added.
    pub fn start(plan: &Plan) -> Result<Self> {
        Self::start_with(plan, &|_| None)
    }

    /// The same, with agents of some regions in namespaces.
    ///
    /// # Errors
    /// Where a process does not start or an agent cannot be added.
    pub fn start_with<'a>(plan: &Plan, namespace: &dyn Fn(&str) -> Option<&'a Namespace>) -> Result<Self> {
        let folder = TempDir::with_prefix("quorate-test-")?;
        let data = folder.path().join("data");
        fs::create_dir(&data)?;
        let host = if plan.host.is_empty() { "127.0.0.1" } else { &plan.host };
        let (http_port, quic_port) = (free_port()?, free_port()?);
        let http = SocketAddr::from((Ipv4Addr::LOCALHOST, http_port));
        let config = folder.path().join("quorate.toml");
        let regions = REGIONS.map(|region| format!("{region:?}")).join(", ");
        fs::write(
            &config,
            format!(
                "regions = [{regions}]\n[server]\ndata = {data:?}\nhttp = \"{http}\"\nquic = \"0.0.0.0:{quic_port}\"\n\
                 public_address = \"{host}:{quic_port}\"\n{}",
                plan.tables
            ),
        )?;
        let aggregator =
            start_aggregator(folder.path(), &config, plan.disk_mebibytes.map(|size| (size, data.as_path())))?;
        // A disk of its own is mounted where only the aggregator sees it.
        let data = match plan.disk_mebibytes {
            Some(_) => {
                PathBuf::from(format!("/proc/{}/root{}", aggregator.pid()?.as_raw_nonzero(), data.display()))
            }
            None => data,
        };
        let mut cluster = Self { agents: Vec::new(), aggregator, http, data, folder, config };
        cluster.wait_until_ready();
        for region in REGIONS {
            let join = cluster.join_string(&format!("agent-{region}"), region)?;
            let agent = cluster.start_agent(region, Some(&join), namespace(region))?;
            cluster.agents.push(agent);
        }
        Ok(cluster)
    }

    /// The folder of configuration, logs and states.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration file.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Starts the aggregator again, on the same ports and data.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn restart_aggregator(&mut self) -> Result<()> {
        self.aggregator = start_aggregator(self.folder.path(), &self.config, None)?;
        self.wait_until_ready();
        Ok(())
    }

    /// Starts an agent, with the state folder of its region.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start_agent(
        &self,
        region: &str,
        join: Option<&str>,
        namespace: Option<&Namespace>,
    ) -> Result<Process> {
        let program = binary("quorate-agent")?;
        let mut command = match namespace {
            Some(namespace) => namespace.command(&program),
            None => Command::new(&program),
        };
        command.args(["run", "--egress", "private", "--state"]).arg(self.agent_state(region));
        if let Some(join) = join {
            command.args(["--join", join]);
        }
        Process::start(&format!("agent-{region}"), self.folder.path(), &mut command)
    }

    /// The state folder of a region's agent.
    pub fn agent_state(&self, region: &str) -> PathBuf {
        self.folder.path().join(format!("agent-{region}"))
    }

    /// Adds an agent as an operator would, and gives its join string.
    ///
    /// # Errors
    /// Where the command fails.
    pub fn join_string(&self, name: &str, region: &str) -> Result<String> {
        let output = self.quorate(&["agents", "add", name, "--region", region])?;
        let join = output.split_whitespace().find(|word| word.starts_with("qj1_"));
        Ok(join.with_context(|| format!("no join string in {output:?}"))?.to_owned())
    }

    /// Runs `quorate` against this aggregator, and gives what it prints.
    ///
    /// # Errors
    /// Where it fails.
    pub fn quorate(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(binary("quorate")?)
            .args(arguments)
            .env("QUORATE_SERVER", format!("http://{}", self.http))
            .env("QUORATE_TOKEN", self.token())
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        Ok(text)
    }

    /// The admin token.
    pub fn token(&self) -> String {
        fs::read_to_string(self.data.join("admin.token")).unwrap_or_default().trim().to_owned()
    }

    /// Fetches JSON from the API, with the admin token.
    ///
    /// # Errors
    /// Where the answer is not 200 with JSON.
    pub fn json(&self, path: &str) -> Result<Value> {
        let response = http::get(self.http, path, Some(&self.token()))?;
        ensure!(response.status == 200, "{path}: {} {}", response.status, response.body);
        response.json()
    }

    /// The status of a monitor on the status page.
    pub fn status(&self, monitor: &str) -> Option<String> {
        let status = self.json("/status.json").ok()?;
        let monitors = status.get("monitors")?.as_array()?.clone();
        let found = monitors.iter().find(|entry| entry.get("id").and_then(Value::as_str) == Some(monitor))?;
        Some(found.get("status")?.as_str()?.to_owned())
    }

    /// How many regions vote `vote` on a monitor.
    pub fn votes(&self, monitor: &str, vote: &str) -> Option<usize> {
        let status = self.json("/status.json").ok()?;
        let monitors = status.get("monitors")?.as_array()?.clone();
        let found = monitors.iter().find(|entry| entry.get("id").and_then(Value::as_str) == Some(monitor))?;
        let regions = found.get("regions")?.as_array()?;
        Some(regions.iter().filter(|region| region.get("vote").and_then(Value::as_str) == Some(vote)).count())
    }

    /// Waits until every region passes a monitor and the verdict is up.
    ///
    /// # Panics
    /// Where that does not come within `seconds`.
    pub fn wait_until_up(&self, monitor: &str, seconds: f64) {
        clock::wait_for(format!("{monitor} to be up in all regions"), seconds, || {
            (self.status(monitor)? == "up" && self.votes(monitor, "ok")? == REGIONS.len()).then_some(())
        });
    }

    fn wait_until_ready(&self) {
        clock::wait_for("the aggregator to be ready", 30.0, || {
            http::get(self.http, "/readyz", None).ok().filter(|response| response.status == 200)
        });
    }
}

fn start_aggregator(folder: &Path, config: &Path, disk: Option<(u32, &Path)>) -> Result<Process> {
    let program = binary("quorate")?;
    let mut command = match disk {
        None => Command::new(&program),
        Some((mebibytes, data)) => {
            let mount =
                format!("mount -t tmpfs -o size={mebibytes}m none {} && exec \"$0\" \"$@\"", data.display());
            let mut command = Command::new("unshare");
            command.args(["--mount", "sh", "-c", &mount]).arg(&program);
            command
        }
    };
    command.args(["serve", "--config"]).arg(config);
    Process::start("aggregator", folder, &mut command)
}

/// A webhook channel, as TOML.
pub fn webhook(id: &str, url: &str) -> String {
    format!("[[channels]]\nid = {id:?}\ntype = \"webhook\"\nurl = {url:?}\nsecret = {SECRET:?}\n")
}

/// A monitor that sends a JSON ping and expects the matching pong, as TOML.
pub fn monitor(id: &str, url: &str, interval: &str, timeout: &str) -> String {
    format!(
        "[[monitors]]\nid = {id:?}\nurl = {url:?}\ninterval = {interval:?}\ntimeout = {timeout:?}\n\
         steps = [{{ send = '{{\"type\":\"ping\",\"id\":\"{{{{nonce}}}}\"}}' }}, \
         {{ expect = {{ contains = \"{{{{nonce}}}}\" }} }}]\n"
    )
}
