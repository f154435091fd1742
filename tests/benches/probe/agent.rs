//! The agent as it is shipped: the size of its program, and its memory while it has joined and nothing is to be done.

use std::{path::PathBuf, process::Command, sync::Arc};

use anyhow::{Context as _, Result};
use quorate::{
    config::{Environment, parse},
    run::{Aggregator, Options},
};
use quorate_tests::{clock::wait_for, process::Process};

use super::memory::resident_kib;

/// Prints both.
pub(super) fn print() -> Result<()> {
    println!("\nThe shipped agent (--profile agent)");
    let Some(program) = program()? else {
        println!("  not measured: it is not built (cargo build --locked --profile agent -p quorate-agent)");
        return Ok(());
    };
    let size = std::fs::metadata(&program)?.len();
    println!(
        "  {:<34} {:>10.2} MiB            aim: under 8 MiB",
        "size of the stripped program",
        mib(size as f64)
    );
    let kib = idle(program)?;
    println!(
        "  {:<34} {:>10.2} MiB            aim: under 12 MiB",
        "resident memory, idle",
        mib(kib * 1024.0)
    );
    Ok(())
}

fn mib(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}

fn program() -> Result<Option<PathBuf>> {
    let own = std::env::current_exe()?;
    let target = own.ancestors().nth(3).context("this bench stands in no target folder")?;
    Ok(Some(target.join("agent/quorate-agent")).filter(|path| path.exists()))
}

/// Joins an agent to an aggregator of this process that has no monitors, and gives the KiB it comes to rest at.
fn idle(program: PathBuf) -> Result<f64> {
    let folder = tempfile::TempDir::with_prefix("quorate-bench-")?;
    let text = format!(
        "regions = [\"eu-west\"]\n[server]\ndata = {:?}\nhttp = \"127.0.0.1:0\"\nquic = \"127.0.0.1:0\"\n",
        folder.path().join("data")
    );
    let loaded = parse(&text, "bench.toml", &Environment::of_process());
    let config = Arc::new(loaded.map_err(|faults| anyhow::anyhow!("{faults:?}"))?.config);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let running = runtime.block_on(Aggregator::start(Options { config, watched: None }))?;
    let join = runtime.block_on(running.add_agent("bench".parse()?, "eu-west".parse()?))?;
    let mut command = Command::new(program);
    command.args(["run", "--join", &join.to_string(), "--state"]).arg(folder.path().join("agent"));
    let agent = Process::start("agent", folder.path(), &mut command)?;
    let snapshot = Arc::clone(&running.snapshot);
    wait_for("the agent to be connected", 30.0, || {
        snapshot.load().agents.iter().any(|agent| agent.connected).then_some(())
    });
    // Two reports of health later it is at rest.
    std::thread::sleep(std::time::Duration::from_secs(12));
    let kib = resident_kib(&agent.pid()?.as_raw_nonzero().to_string())?;
    drop(agent);
    runtime.block_on(running.stop());
    Ok(kib)
}
