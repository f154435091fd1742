//! How many events a second one core folds: `cargo run --release -p quorate-quorum --example throughput`.
//!
//! Ten thousand monitors in five regions, in rounds: all pass; then one in a hundred fails everywhere for five rounds.

use quorate_proto::{AgentKey, BootEpoch, Micros, MonitorId, Region, Sequence};
use quorate_quorum::{Effect, Engine, Event, Finding, Heartbeat, Moment, Observation, Policy, Source};

const MONITORS: u64 = 10_000;
const ROUNDS: u64 = 40;
const INTERVAL: Micros = Micros::from_secs(30);

fn main() -> Result<(), quorate_proto::id::NameError> {
    let regions = ["ap-east", "eu-north", "eu-west", "us-east", "us-west"]
        .iter()
        .zip(0_u8..)
        .map(|(name, number)| Ok((name.parse()?, AgentKey([number; 32]))))
        .collect::<Result<Vec<(Region, AgentKey)>, _>>()?;
    let monitors = (0..MONITORS)
        .map(|number| format!("monitor-{number:05}").parse())
        .collect::<Result<Vec<MonitorId>, _>>()?;
    let policy = Policy {
        revision: 1,
        ..Policy::new(
            regions.iter().map(|(region, _)| region.clone()).collect(),
            INTERVAL,
            Micros::from_secs(10),
        )
    };

    let mut engine = Engine::default();
    for monitor in &monitors {
        let event = Event::Configure { monitor: monitor.clone(), policy: policy.clone() };
        engine.handle(event, Moment(0));
    }
    let gap = INTERVAL.0 / (MONITORS * regions.len() as u64);
    let (mut now, mut events, mut changes, mut rounds) = (0, 0_u64, 0_u64, 0_u64);
    #[expect(clippy::disallowed_methods, reason = "measures")]
    let start = std::time::Instant::now();
    for round in 0..ROUNDS {
        for (region, agent) in &regions {
            for (number, monitor) in (0..).zip(&monitors) {
                now += gap;
                // Each agent sends a heartbeat every 5 s.
                if number % (MONITORS / 2) == 0 {
                    for (region, agent) in &regions {
                        let (agent, region) = (*agent, region.clone());
                        engine.handle(
                            Event::Heartbeat(Heartbeat { agent, region, revision: 1, sick: None }),
                            Moment(now),
                        );
                        events += 1;
                    }
                }
                let fails = number % 100 == 7 && (20..25).contains(&round);
                let observation = Observation {
                    monitor: monitor.clone(),
                    region: region.clone(),
                    started: Moment(now - 1),
                    ended: Moment(now),
                    finding: if fails { Finding::Failed } else { Finding::Passed },
                    revision: 1,
                    source: Source {
                        agent: *agent,
                        epoch: BootEpoch(1),
                        sequence: Sequence(events),
                        index: 0,
                    },
                };
                events += 1;
                for effect in engine.handle(Event::Observed(observation), Moment(now)) {
                    match effect {
                        Effect::Changed(_) => changes += 1,
                        Effect::Confirm { .. } => rounds += 1,
                        Effect::Restarted { .. } | Effect::Suspected { .. } => {}
                        Effect::Withheld(_) | Effect::Outlier(_) | Effect::OutlierOver { .. } => {}
                    }
                }
            }
        }
    }
    #[expect(clippy::disallowed_methods, reason = "measures")]
    let took = start.elapsed().as_secs_f64();
    println!(
        "{events} events in {took:.2} s: {:.0} a second; {changes} changes of verdict, {rounds} rounds asked, {} denied",
        events as f64 / took,
        engine.rounds_denied()
    );
    Ok(())
}
