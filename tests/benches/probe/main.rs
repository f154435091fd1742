//! What the agent costs, beside the least that it could cost. Figures, not tests: nothing here fails for being slow.
//!
//! ```text
//! cargo bench -p quorate-tests --bench probe                  everything
//! cargo bench -p quorate-tests --bench probe -- cpu           CPU time per check
//! cargo bench -p quorate-tests --bench probe -- callgrind     user instructions per check, which do not move with the
//!                                                             machine's speed (wants valgrind)
//! cargo bench -p quorate-tests --bench probe -- memory        memory per held connection
//! cargo bench -p quorate-tests --bench probe -- agent         the shipped agent: its size, and its memory while idle
//! ```
//!
//! The least is a bare tokio-tungstenite loop (`bare.rs`): connect, upgrade, one echo, close; same TLS provider, roots and
//! read buffer, nothing measured, nothing classified. The server is another process, so that only the client's cost is
//! counted; both sides of a comparison take turns in the same minute, because machines change their speed.

mod agent;
mod bare;
mod callgrind;
mod client;
mod cpu;
mod echo;
mod memory;

use std::{path::Path, process::ExitCode};

use anyhow::{Context, Result, bail};

use self::client::{Kind, Scheme};

fn main() -> ExitCode {
    // Cargo says `--bench`, which is no news here.
    let words: Vec<_> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match run(&words.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<()> {
    match words {
        [] => {
            cpu::print()?;
            callgrind::print()?;
            memory::print()?;
            agent::print()
        }
        ["cpu"] => cpu::print(),
        ["callgrind"] => callgrind::print(),
        ["memory"] => memory::print(),
        ["agent"] => agent::print(),
        // The roles of the processes that the above start.
        ["serve", folder] => echo::serve(Path::new(folder)),
        ["visit", kind, scheme, count, target] => {
            let client = client::Client::new(kind.parse()?, scheme.parse()?, &target.parse()?)?;
            client::runtime()?.block_on(client.visit(number(count)?))
        }
        ["hold", kind, scheme, count, target] => {
            memory::hold(kind.parse()?, scheme.parse()?, number(count)?, &target.parse()?)
        }
        other => {
            bail!("cannot make sense of {other:?}; the head of benches/probe/main.rs says what there is")
        }
    }
}

fn number(text: &str) -> Result<usize> {
    text.parse().with_context(|| format!("{text:?} is not a number"))
}

/// The middle one of some figures.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// One line of a comparison: the limit, ours, and how many times it.
fn compare(name: &str, unit: &str, bare: f64, ours: f64, aim: &str) {
    println!("  {name:<34} {bare:>10.1} {ours:>10.1} {unit:<4} {:>6.2} x   aim: {aim}", ours / bare);
}

fn heading(title: &str, ours: &str) {
    println!("\n{title}\n  {:<34} {:>10} {ours:>10}", "", "bare");
}

/// Every kind of client with every scheme, as the roles of other processes spell them.
fn words<'a>(role: &'a str, kind: Kind, scheme: Scheme, count: &'a str, target: &'a str) -> [&'a str; 5] {
    [role, kind.word(), scheme.word(), count, target]
}
