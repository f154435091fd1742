//! Memory per held connection: how much larger a process becomes that holds nothing but the client's side.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{
    bare::Bare,
    client::{Kind, Scheme, Target, runtime},
    echo::Echo,
    median, words,
};

/// Held connections of each kind.
const HELD_WS: usize = 5_000;
const HELD_WSS: usize = 2_000;

/// Descriptors for [`HELD_WS`] connections and what else is open.
const FILES: u64 = 8_192;

/// Processes of each kind; the middle one counts.
const ROUNDS: usize = 3;

/// Prints the comparison.
pub(super) fn print() -> Result<()> {
    println!("\nMemory per held connection (KiB of resident memory, client's side; medians of 3 processes)");
    println!("  {:<34} {:>10}", "", "bare");
    for (name, scheme, count) in
        [("5,000 ws://", Scheme::Ws, HELD_WS), ("2,000 wss://", Scheme::Wss, HELD_WSS)]
    {
        let bare = median((0..ROUNDS).map(|_| kib(Kind::Bare, scheme, count)).collect::<Result<_>>()?);
        println!("  {name:<34} {bare:>10.2} KiB");
    }
    Ok(())
}

/// Starts a server and a process that holds connections to it. KiB per connection.
fn kib(kind: Kind, scheme: Scheme, count: usize) -> Result<f64> {
    let echo = Echo::start()?;
    let (number, target) = (count.to_string(), echo.target.to_string());
    let output = Command::new(std::env::current_exe()?)
        .args(words("hold", kind, scheme, &number, &target))
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let grown: f64 = text.trim().parse().context("the holding process said no number")?;
    Ok(grown / count as f64)
}

/// Holds so many connections, and says by how many KiB that made this process larger.
pub(super) fn hold(kind: Kind, scheme: Scheme, count: usize, target: &Target) -> Result<()> {
    raise_file_limit()?;
    ensure!(kind == Kind::Bare, "no canary here yet");
    let bare = match scheme {
        Scheme::Ws => Bare::ws(target),
        Scheme::Wss => Bare::wss(target, false)?,
    };
    runtime()?.block_on(async {
        let mut held = tokio::task::JoinSet::new();
        // The first ones pay for what all share.
        for _ in 0..10 {
            held.spawn(bare.hold().await?);
        }
        let before = resident_kib("self")?;
        for _ in 0..count {
            held.spawn(bare.hold().await?);
        }
        // Each is polled once before the reading.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        let grown = resident_kib("self")? - before;
        ensure!(held.try_join_next().is_none(), "a connection ended");
        println!("{grown}");
        Ok(())
    })
}

/// Resident memory of a process, exactly (`statm` is off by what its threads have not added up yet).
pub(super) fn resident_kib(process: &str) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).context("no Rss")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

/// Thousands of connections want thousands of descriptors.
pub(super) fn raise_file_limit() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(FILES, |maximum| maximum.min(FILES));
    ensure!(wanted >= FILES, "this system allows a process {wanted} open files; {FILES} are needed");
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })?;
    Ok(())
}
