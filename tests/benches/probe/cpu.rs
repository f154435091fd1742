//! CPU time per check: the clock of the client's thread, kernel included, the server being elsewhere.

use anyhow::Result;
use rustix::time::{ClockId, clock_gettime};

use super::{
    bare::Bare,
    client::{Client, Kind, Scheme, runtime},
    compare,
    echo::{Echo, HANDSHAKES},
    heading, median,
};

/// Rounds of each client, in turn; the middle one counts. Many and short ones, so that what else the machine does falls
/// on both sides.
const ROUNDS: usize = 25;

/// Checks of a round: some 30 ms of CPU.
const CHECKS_WS: usize = 150;
const CHECKS_WSS: usize = 50;

/// Prints the comparison.
pub(super) fn print() -> Result<()> {
    let echo = Echo::start()?;
    heading("CPU time per check (user and system; medians of 25 rounds in turn)", "probe");
    for (name, scheme, checks) in
        [("ws://", Scheme::Ws, CHECKS_WS), ("wss://, full handshake", Scheme::Wss, CHECKS_WSS)]
    {
        let clients = [Kind::Bare, Kind::Ours].map(|kind| Client::new(kind, scheme, &echo.target));
        let [bare, ours] = clients;
        let [bare, ours] = in_turn(&[bare?, ours?], checks)?;
        compare(name, "us", bare, ours, "1.25 x");
    }
    resumption(&echo)
}

/// Microseconds per check of two clients that take turns.
fn in_turn(clients: &[Client; 2], checks: usize) -> Result<[f64; 2]> {
    let runtime = runtime()?;
    let mut rounds = [Vec::new(), Vec::new()];
    for client in clients {
        runtime.block_on(client.visit(checks / 4))?;
    }
    for _ in 0..ROUNDS {
        for (client, spent) in clients.iter().zip(&mut rounds) {
            let before = thread_microseconds();
            runtime.block_on(client.visit(checks))?;
            spent.push((thread_microseconds() - before) / checks as f64);
        }
    }
    Ok(rounds.map(median))
}

/// What the server saw of all this: that no check resumed a session, though it offers tickets. And what a resumed one
/// would have cost.
fn resumption(echo: &Echo) -> Result<()> {
    let runtime = runtime()?;
    let resuming = Bare::wss(&echo.target, true)?;
    let seen = runtime.block_on(Bare::ws(&echo.target).ask(HANDSHAKES))?;
    println!("  the server's count of these TLS handshakes: {seen}");
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let before = thread_microseconds();
        for _ in 0..CHECKS_WSS {
            runtime.block_on(resuming.visit())?;
        }
        rounds.push((thread_microseconds() - before) / CHECKS_WSS as f64);
    }
    let seen = runtime.block_on(Bare::ws(&echo.target).ask(HANDSHAKES))?;
    println!(
        "  {:<34} {:>10.1}            us   (for comparison: {seen})",
        "wss://, bare and resumed",
        median(rounds)
    );
    Ok(())
}

fn thread_microseconds() -> f64 {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    spent.tv_sec as f64 * 1e6 + spent.tv_nsec as f64 / 1e3
}
