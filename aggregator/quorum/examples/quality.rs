//! What it costs to know how well monitors work: `cargo run --release -p quorate-quorum --example quality`.
//!
//! 20,000 monitors in five regions, each checked every 30 s for a quarter of an hour with round trips that scatter by half, and
//! each with five canaries: bytes a monitor, time a check and a look. The memory is the process's own (`/proc`).

use quorate_proto::{Micros, MonitorId, Region};
use quorate_quorum::{
    Moment, Policy, Verdict,
    quality::{CanaryNews, Event, LatencySla, Quality, Terms, Trips},
};

const MONITORS: u64 = 20_000;
const ROUNDS: u64 = 30;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let regions = ["ap-east", "eu-north", "eu-west", "us-east", "us-west"].map(str::parse::<Region>);
    let regions = regions.into_iter().collect::<Result<Vec<Region>, _>>()?;
    let names = (0..MONITORS).map(|number| format!("monitor-{number:05}").parse());
    let monitors = names.collect::<Result<Vec<MonitorId>, _>>()?;
    let policy = Policy::new(regions.iter().cloned().collect(), Micros::from_secs(30), Micros::from_secs(10));
    let before = resident()?;
    let mut quality = Quality::default();
    let mut now = Moment(1_795_371_120_000_000);
    for monitor in &monitors {
        let terms = Terms::new(&policy, Some(LatencySla::of(Micros::from_millis(100))), Micros(1), true);
        quality.handle(Event::Configure { monitor: monitor.clone(), terms }, now);
        quality.handle(Event::Decided { monitor: monitor.clone(), verdict: Verdict::Up }, now);
    }
    let empty = resident()?;
    let (mut checks, mut looks, mut effects) = (Micros::ZERO, Micros::ZERO, 0);
    let step = Micros(30_000_000 / (MONITORS / 100));
    for round in 0..ROUNDS {
        for (index, monitor) in (0_u64..).zip(&monitors) {
            let started = clock();
            for (number, region) in (0_u64..).zip(&regions) {
                let scatter =
                    (index ^ (round << 20) ^ (number << 40)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
                let trips = Trips::One(Micros(40_000 + scatter));
                let (monitor, region) = (monitor.clone(), region.clone());
                effects += quality.handle(Event::Checked { monitor, region, ended: now, trips }, now).len();
            }
            checks = checks + clock().since(started);
            if index % 100 == 99 {
                now = now.after(step);
                let started = clock();
                effects += quality.handle(Event::Tick, now).len();
                looks = looks + clock().since(started);
            }
        }
    }
    let full = resident()?;
    for monitor in &monitors {
        for region in &regions {
            let (monitor, region) = (monitor.clone(), region.clone());
            quality.handle(Event::Canary { monitor, region, news: CanaryNews::Alive }, now);
        }
    }
    let held = resident()?;
    let per = |bytes: u64| bytes / MONITORS;
    println!(
        "bytes a monitor of 5 regions: {} empty, {} with its window, {} with canaries",
        per(empty - before),
        per(full - before),
        per(held - before)
    );
    println!(
        "a check takes {:.2} us; a look {:.2} us ({effects} effects)",
        checks.0 as f64 / (MONITORS * 5 * ROUNDS) as f64,
        looks.0 as f64 / (MONITORS * ROUNDS) as f64,
    );
    Ok(())
}

/// Bytes of this process in memory.
fn resident() -> Result<u64, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages = text.split(' ').nth(1).ok_or("no second field")?;
    Ok(pages.parse::<u64>()? * 4096)
}

#[expect(clippy::disallowed_methods, reason = "measures")]
fn clock() -> Moment {
    thread_local!(static START: std::time::Instant = std::time::Instant::now());
    Moment(0).after(START.with(std::time::Instant::elapsed).into())
}
