//! The whole system in one thread, in virtual time: real agents, the real aggregator with SQLite and the real rules, on a
//! simulated network whose every packet, and disks whose every write, may be the last.

mod checks;
mod datagrams;
mod house;
mod machine;
mod others;
mod plans;
mod recorder;
mod wire;

use std::time::Duration;

use anyhow::{Context as _, Result};
use house::{Left, Plan, run};

#[test]
fn a_result_is_acknowledged_and_stored() {
    let left = run(Plan::quiet(1, 1, Duration::from_secs(12))).unwrap();
    let stored =
        left.trace.iter().filter(|line| line.contains("answered") && line.contains("Stored")).count();
    assert!(stored >= 4, "{:#?}", left.trace);
    checks::all(&left).unwrap();
}

#[test]
fn a_day() {
    let left = run(plans::short_day(1)).unwrap();
    if std::env::var_os("SHOW").is_some() {
        for line in &left.trace {
            println!("{line}");
        }
    }
    for host in ["aggregator", "agent-0", "agent-1"] {
        println!("{host} {}", left.passages.iter().filter(|p| p.0 == host).count());
    }
    checks::all(&left).unwrap();
}

#[test]
fn whatever_happens_by_chance() {
    let seeds: u64 = std::env::var("SEEDS").ok().and_then(|x| x.parse().ok()).unwrap_or(20);
    let first: u64 = std::env::var("FIRST").ok().and_then(|x| x.parse().ok()).unwrap_or(0);
    let mut bad = 0;
    for seed in first..first + seeds {
        if let Err(e) = judged(plans::by_chance(seed)) {
            bad += 1;
            println!("seed {seed}: {e:#}");
        }
    }
    assert_eq!(bad, 0);
}

/// Makes a run and judges it.
fn judged(plan: Plan) -> Result<()> {
    let told = format!("{plan:?}");
    let left: Left = run(plan).context(told.clone())?;
    if std::env::var_os("SHOW").is_some() {
        for line in &left.trace {
            println!("{line}");
        }
        println!("{told}")
    }
    checks::all(&left).context(told)
}
