//! The agent as it is shipped: the size of its program, its memory while it has joined and nothing is to be done, and what
//! it costs as a whole while it checks: schedule, probe, signature, spool and uplink.

use std::{fs, path::PathBuf, process::Command, sync::Arc, thread::sleep, time::Duration};

use anyhow::{Context as _, Result};
use quorate::{
    config::{Environment, parse},
    run::{Aggregator, Options, Running},
};
use quorate_tests::{
    clock::{Stopwatch, wait_for},
    process::Process,
};
use tokio::runtime::Runtime;

use super::{echo::Echo, memory::resident_kib};

/// Monitors of the agent that checks, every 10 s each.
const MONITORS: usize = 1_000;

/// Prints all of it.
pub(super) fn print() -> Result<()> {
    println!("\nThe shipped agent (--profile agent)");
    let Some(program) = program()? else {
        println!("  not measured: it is not built (cargo build --locked --profile agent -p quorate-agent)");
        return Ok(());
    };
    let size = fs::metadata(&program)?.len();
    line("size of the stripped program", size as f64 / MIB, "MiB", "under 8 MiB");
    let idle = Joined::start(&program, "")?;
    // Two reports of health later it is at rest.
    sleep(Duration::from_secs(12));
    line("resident memory, idle", idle.resident_mib()?, "MiB", "under 12 MiB");
    idle.stop()?;
    busy(&program)
}

const MIB: f64 = 1024.0 * 1024.0;

fn line(name: &str, figure: f64, unit: &str, aim: &str) {
    println!("  {name:<44} {figure:>10.2} {unit:<4}       aim: {aim}");
}

/// The agent at work, over two rounds of all its monitors.
fn busy(program: &PathBuf) -> Result<()> {
    let echo = Echo::start()?;
    let mut monitors = String::new();
    for number in 0..MONITORS {
        monitors += &format!(
            "[[monitors]]\nid = \"m{number}\"\nurl = \"ws://{}/{number}\"\ninterval = \"10s\"\ntimeout = \"5s\"\n",
            echo.target.ws
        );
    }
    let agent = Joined::start(program, &monitors)?;
    wait_for("a round of checks", 60.0, || (agent.checks() > MONITORS as u64).then_some(()));
    let (checks, spent, watch) = (agent.checks(), agent.cpu_seconds()?, Stopwatch::start());
    sleep(Duration::from_secs(20));
    let (seconds, spent, checks) =
        (watch.seconds(), agent.cpu_seconds()? - spent, (agent.checks() - checks) as f64);
    line("checks a second (1,000 ws:// every 10 s)", checks / seconds, "", "100");
    line("CPU time per check, everything", spent / checks * 1e6, "us", "none");
    line("of one core", spent / seconds * 100.0, "%", "none");
    line("resident memory", agent.resident_mib()?, "MiB", "none");
    agent.stop()
}

fn program() -> Result<Option<PathBuf>> {
    let own = std::env::current_exe()?;
    let target = own.ancestors().nth(3).context("this bench stands in no target folder")?;
    Ok(Some(target.join("agent/quorate-agent")).filter(|path| path.exists()))
}

/// An agent that has joined an aggregator of this process.
struct Joined {
    agent: Process,
    running: Running,
    runtime: Runtime,
    _folder: tempfile::TempDir,
}

impl Joined {
    fn start(program: &PathBuf, monitors: &str) -> Result<Self> {
        let folder = tempfile::TempDir::with_prefix("quorate-bench-")?;
        let text = format!(
            "regions = [\"eu-west\"]\n[server]\ndata = {:?}\nhttp = \"127.0.0.1:0\"\nquic = \"127.0.0.1:0\"\n\
             {monitors}",
            folder.path().join("data")
        );
        let loaded = parse(&text, "bench.toml", &Environment::of_process());
        let config = Arc::new(loaded.map_err(|faults| anyhow::anyhow!("{faults:?}"))?.config);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let running = runtime.block_on(Aggregator::start(Options { config, watched: None }))?;
        let join = runtime.block_on(running.add_agent("bench".parse()?, "eu-west".parse()?))?.to_string();
        let mut command = Command::new(program);
        command.args(["run", "--egress", "private", "--join", &join, "--state"]);
        let agent = Process::start("agent", folder.path(), command.arg(folder.path().join("agent")))?;
        wait_for("the agent to be connected", 30.0, || {
            running.snapshot.load().agents.iter().any(|agent| agent.connected).then_some(())
        });
        Ok(Self { agent, running, runtime, _folder: folder })
    }

    /// Checks that the aggregator has of it.
    fn checks(&self) -> u64 {
        self.running.snapshot.load().counts.checks.values().sum()
    }

    fn resident_mib(&self) -> Result<f64> {
        Ok(resident_kib(&self.agent.pid()?.as_raw_nonzero().to_string())? / 1024.0)
    }

    /// CPU time of all its threads.
    fn cpu_seconds(&self) -> Result<f64> {
        let mut nanoseconds = 0.0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.agent.pid()?.as_raw_nonzero()))? {
            let spent = fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += spent.split(' ').next().context("no CPU time")?.parse::<f64>()?;
        }
        Ok(nanoseconds / 1e9)
    }

    fn stop(self) -> Result<()> {
        drop(self.agent);
        self.runtime.block_on(self.running.stop());
        Ok(())
    }
}
