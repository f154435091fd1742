//! Restarts and outages of a server that announces them, seen from agents that answer as agents do.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};
use quorate_proto::{AgentKey, BootEpoch, Micros, MonitorId, Region, Sequence};
use quorate_quorum::{
    CanaryReport, CanaryTurn, Effect, Engine, Event, Finding, Heartbeat, Moment, Observation, Policy, Quorum,
    Sensitivity, Source, Verdict,
};

const SECOND: u64 = 1_000_000;

/// What happens in one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    Beat,
    /// A check begins.
    Check {
        scheduled: bool,
        attempts: u8,
    },
    /// One ends that began then.
    Checked {
        began: u64,
        passed: bool,
    },
    Canary(u8),
}

const CLOSED: Act = Act::Canary(0);
const OPENED: Act = Act::Canary(1);

/// Agents in several regions, and a server that is away from each of them for a while.
struct World {
    engine: Engine,
    policy: Policy,
    /// From when to when the server is away, as seen from each region.
    away: Vec<(u64, u64)>,
    /// How long a check takes that finds it away: none where it is refused.
    wait: u64,
    queue: BTreeMap<(u64, u64), (usize, Act)>,
    entered: u64,
    effects: Vec<(u64, Effect)>,
}

impl World {
    fn new(policy: Policy, away: Vec<(u64, u64)>, wait: u64) -> Self {
        let (engine, queue) = (Engine::default(), BTreeMap::new());
        let mut world = Self { engine, policy, away, wait, queue, entered: 0, effects: vec![] };
        let regions = world.away.len() as u64;
        for region in 0..world.away.len() {
            world.enter(0, region, Act::Beat);
            let slot = world.policy.interval.0 * region as u64 / regions;
            world.enter(slot, region, Act::Check { scheduled: true, attempts: 1 });
        }
        world.handle(Event::Configure { monitor: monitor(), policy: world.policy.clone() }, 0);
        world
    }

    fn enter(&mut self, at: u64, region: usize, act: Act) {
        self.entered += 1;
        self.queue.insert((at, self.entered), (region, act));
    }

    fn run(&mut self, until: u64) {
        while let Some(((at, _), (region, act))) = self.queue.pop_first() {
            if at > until {
                break;
            }
            while let Some(deadline) = self.engine.next_deadline().filter(|deadline| deadline.0 < at) {
                self.handle(Event::Tick, deadline.0);
            }
            self.act(region, act, at);
        }
        self.handle(Event::Tick, until);
    }

    fn act(&mut self, region: usize, act: Act, at: u64) {
        match act {
            Act::Beat => {
                let (agent, name) = (agent(region), name(region));
                self.handle(Event::Heartbeat(Heartbeat { agent, region: name, revision: 1, sick: None }), at);
                self.enter(at + 5 * SECOND, region, Act::Beat);
            }
            Act::Check { scheduled, attempts } => {
                if scheduled {
                    self.enter(at + self.policy.interval.0, region, act);
                }
                let (from, to) = self.away[region];
                let passed = !(from..to).contains(&at);
                let took = if passed { SECOND / 10 } else { self.wait };
                self.enter(at + took, region, Act::Checked { began: at, passed });
                if !passed && attempts > 1 {
                    let again = at + took + SECOND;
                    self.enter(again, region, Act::Check { scheduled: false, attempts: attempts - 1 });
                }
            }
            Act::Checked { began, passed } => {
                let observation = Observation {
                    monitor: monitor(),
                    region: name(region),
                    started: Moment(began),
                    ended: Moment(at),
                    finding: if passed { Finding::Passed } else { Finding::Failed },
                    revision: 1,
                    source: Source {
                        agent: agent(region),
                        epoch: BootEpoch(1),
                        sequence: Sequence(self.entered),
                        index: 0,
                    },
                };
                self.entered += 1;
                self.handle(Event::Observed(observation), at);
            }
            Act::Canary(turn) => {
                let turn = if act == OPENED {
                    CanaryTurn::Opened
                } else {
                    CanaryTurn::Ended { announced: turn == 0 }
                };
                let (region, agent) = (name(region), agent(region));
                let at_then = Moment(at);
                let report =
                    CanaryReport { monitor: monitor(), region, agent, at: at_then, turn, revision: 1 };
                self.handle(Event::Canary(report), at);
            }
        }
    }

    fn handle(&mut self, event: Event, at: u64) {
        for effect in self.engine.handle(event, Moment(at)) {
            if let Effect::Confirm { regions, .. } = &effect {
                for region in regions {
                    let region = (0..self.away.len()).find(|number| name(*number) == *region).unwrap();
                    let delay = SECOND / 5 + region as u64 * SECOND / 20;
                    self.enter(at + delay, region, Act::Check { scheduled: false, attempts: 2 });
                }
            }
            self.effects.push((at, effect));
        }
    }

    /// The verdicts since a moment, and how often it restarted.
    fn told(&self, since: u64) -> (Vec<Verdict>, usize) {
        let later = || self.effects.iter().filter(|(at, _)| *at >= since);
        let verdict = |(_, effect): &(u64, Effect)| match effect {
            Effect::Changed(change) => Some(change.to),
            Effect::Confirm { .. } | Effect::Restarted { .. } => None,
            Effect::Suspected { .. } => None,
            Effect::Withheld(_) | Effect::Outlier(_) | Effect::OutlierOver { .. } => None,
        };
        let restarts = later().filter(|(_, effect)| matches!(effect, Effect::Restarted { .. })).count();
        (later().filter_map(verdict).collect(), restarts)
    }
}

fn monitor() -> MonitorId {
    "m".parse().unwrap()
}

fn name(region: usize) -> Region {
    format!("r{region}").parse().unwrap()
}

fn agent(region: usize) -> AgentKey {
    AgentKey([u8::try_from(region).unwrap(); 32])
}

/// As a configuration may ask for: no check outlasts its interval.
fn policies() -> impl Strategy<Value = Policy> {
    let quorum = prop_oneof![4 => Just(Quorum::Default), 1 => Just(Quorum::Majority), 1 => Just(Quorum::All)];
    let sensitivity = prop_oneof![3 => Just(Sensitivity::Balanced), 1 => Just(Sensitivity::Fast), 1 => Just(Sensitivity::Strict)];
    (1_usize..8, 5_u64..300, 1_u64..20, quorum, sensitivity, 2_u64..90).prop_map(
        |(regions, interval, timeout, quorum, sensitivity, budget)| Policy {
            quorum,
            sensitivity,
            restart_budget: Micros::from_secs(budget),
            revision: 1,
            ..Policy::new(
                (0..regions).map(name).collect(),
                Micros::from_secs(interval),
                Micros::from_secs(timeout.min(interval)),
            )
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// The server closes every canary within some seconds and is back, for every region, within the budget: whatever checks
    /// find meanwhile, it is an event and neither a page nor partial.
    #[test]
    fn a_restart_within_the_budget_is_an_event(
        policy in policies(),
        begins in 0_u64..1000,
        closes in vec(0.0..0.99_f64, 8),
        backs in vec(0.0..0.98_f64, 8),
        silent in any::<bool>(),
    ) {
        let budget = policy.restart_budget.0;
        let begins = policy.interval.0 * 2 + begins * SECOND / 4 + 30 * SECOND;
        let regions = policy.regions.len();
        // The first closes at once; the others within the time that announcements belong together, the budget, and what the
        // policy waits for before it says partial.
        let span = policy.span_needed(u16::try_from(regions).unwrap());
        let spread = (9 * SECOND).min(budget / 2).min(span.0) as f64;
        let away = (0..regions).map(|region| {
            let close = begins + if region == 0 { 0 } else { (closes[region] * spread) as u64 };
            let rest = begins + budget - close;
            (close, close + 1 + (backs[region] * rest as f64) as u64)
        });
        let away: Vec<_> = away.collect();
        let wait = if silent { policy.timeout.0 } else { 1 };
        let mut world = World::new(policy, away.clone(), wait);
        for (region, (from, to)) in away.iter().enumerate() {
            world.enter(*from, region, CLOSED);
            world.enter(*to, region, OPENED);
        }
        world.run(begins + budget + 900 * SECOND);
        prop_assert_eq!(world.told(begins), (vec![], 1), "{:?}", world.effects);
    }

    /// The server announces that it goes away, and stays away: it is down no later than without announcements, and the
    /// budget. Agents may lie as they like.
    #[test]
    fn an_outage_is_found_whatever_canaries_say(
        policy in policies(),
        begins in 0_u64..1000,
        lies in vec((0_usize..8, 0_u64..2_000, 0_u8..3), 0..300),
        round in prop::option::of((1_u64..90, 0_u64..30)),
        all in any::<bool>(),
        silent in any::<bool>(),
    ) {
        let (budget, interval) = (policy.restart_budget, policy.interval);
        let begins = policy.interval.0 * 2 + begins * SECOND / 4 + 30 * SECOND;
        let regions = policy.regions.len();
        let liars = if all { regions } else { 1 };
        let wait = if silent { policy.timeout.0 } else { 1 };
        let ordinary = interval * 3 + policy.span_needed(u16::try_from(regions).unwrap()) + policy.timeout * 3;
        // Once put off by a budget, once begun anew by a restart that was none, once more put off.
        let end = Moment(begins).after(ordinary * 2 + budget * 3 + Micros::from_secs(60)).0;
        let mut world = World::new(policy, vec![(begins, u64::MAX); regions], wait);
        for region in 0..regions {
            world.enter(begins, region, CLOSED);
        }
        for (region, at, turn) in lies {
            let at = begins - 30 * SECOND + at * (end - begins) / 2_000;
            world.enter(at, region % liars, Act::Canary(turn));
        }
        // Or all together, round and round, as a server does that closes whoever has come.
        if let Some((period, later)) = round {
            for at in (begins..end).step_by((period * SECOND) as usize) {
                for region in 0..liars {
                    world.enter(at, region, CLOSED);
                    world.enter(at + (later % period) * SECOND, region, OPENED);
                }
            }
        }
        world.run(end);
        let state = world.engine.monitor(&monitor(), Moment(end)).unwrap();
        prop_assert_eq!(state.verdict, Some(Verdict::Down), "{:?}", world.effects);
    }

    /// As it is without lies: at the end of the budget, or when the evidence is there, whichever is later.
    #[test]
    fn an_announced_outage_is_paged_at_the_end_of_the_budget(interval in 5_u64..600, silent in any::<bool>()) {
        let policy = Policy { revision: 1, ..Policy::new((0..5).map(name).collect(), Micros::from_secs(interval), Micros::from_secs(10)) };
        let begins = 2 * policy.interval.0 + 7 * SECOND;
        let wait = if silent { policy.timeout.0 } else { 1 };
        let mut world = World::new(policy, vec![(begins, u64::MAX); 5], wait);
        for region in 0..5 {
            world.enter(begins, region, CLOSED);
        }
        world.run(begins + 60 * SECOND);
        let down = world.effects.iter().find_map(|(at, effect)| match effect {
            Effect::Changed(change) if change.to == Verdict::Down => Some(*at),
            Effect::Changed(_) | Effect::Confirm { .. } | Effect::Restarted { .. } => None,
            Effect::Suspected { .. } => None,
            Effect::Withheld(_) | Effect::Outlier(_) | Effect::OutlierOver { .. } => None,
        });
        prop_assert_eq!(down, Some(begins + 30 * SECOND), "{:?}", world.effects);
        prop_assert_eq!(world.told(begins), (vec![Verdict::Down], 0));
    }
}
