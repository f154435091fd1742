//! The engine against the reference model: random policies, random weather, random happenings; every verdict of both, at
//! the same second, by the same rule. And what must hold after every step, whatever either says.

use std::collections::BTreeSet;

use proptest::{collection::vec, prelude::*, strategy::ValueTree, test_runner::TestRunner};
use quorate_proto::{AgentKey, BootEpoch, Doubt, Micros, MonitorId, Region, Sequence};
use quorate_quorum::{
    Calibrated, Effect, Engine, Event, Finding, Heartbeat, Moment, Observation, Policy, Quorum, Rule,
    Sensitivity, Source, Verdict, Vote,
};

use crate::reference::{Check, Found, Reference, Second, Turn};

const AGENTS_MAX: usize = 7;

/// What an agent's checks find, and how it fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    Passes,
    /// At once.
    Refused,
    /// After the timeout.
    Silent,
    /// Now this, now that.
    Mixed,
    /// The agent's own fault.
    OwnFault,
    /// No heartbeat, no checks; what was found is not heard of either.
    Absent,
    /// By its own word.
    Sick,
    /// Results come after a minute or more.
    Late,
}

/// What happens once.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Nothing,
    Pause,
    Restore(Verdict),
    Renew,
    /// Its paths were measured: other numbers, and some regions that abstain. What was drawn for it.
    Recalibrate(Option<(u64, bool, u64, u32)>),
    Forget(usize),
}

#[derive(Clone, Debug)]
struct Script {
    policy: Policy,
    agents: usize,
    /// How long each lasts, every agent's weather, and what happens at its beginning.
    spells: Vec<(Second, Vec<Weather>, Happening)>,
    seed: u64,
}

struct World {
    engine: Engine,
    reference: Reference,
    policy: Policy,
    regions: Vec<Region>,
    agents: usize,
    /// Checks that will be heard of, by the second.
    underway: Vec<(Second, Check)>,
    random: u64,
    sequence: u64,
    last_request: u64,
    turns: Vec<Turn>,
    verdict: Option<Verdict>,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_decides_as_the_reference_model(script in scripts()) {
        let mut world = World::new(&script);
        let mut second = 100;
        for (lasts, weather, happening) in &script.spells {
            world.happen(*happening, second);
            for _ in 0..*lasts {
                second += 1;
                world.pass(second, weather);
            }
        }
    }
}

/// The model and the worlds are of use: every verdict and every rule is reached, each from each side.
#[test]
fn the_comparison_reaches_every_rule() {
    let mut runner = TestRunner::deterministic();
    let mut reached = BTreeSet::new();
    for _ in 0..300 {
        let script = scripts().new_tree(&mut runner).unwrap().current();
        let mut world = World::new(&script);
        let mut second = 100;
        for (lasts, weather, happening) in &script.spells {
            world.happen(*happening, second);
            for _ in 0..*lasts {
                second += 1;
                world.pass(second, weather);
            }
        }
        reached.extend(world.turns.iter().map(|turn| (turn.to, turn.rule)));
    }
    let wanted = [
        (Verdict::Up, "first"),
        (Verdict::Up, "recovered"),
        (Verdict::Partial, "some"),
        (Verdict::Down, "fast"),
        (Verdict::Down, "majority"),
        (Verdict::Down, "single"),
        (Verdict::Unobserved, "few"),
    ];
    assert_eq!(reached, BTreeSet::from(wanted));
}

fn policies() -> impl Strategy<Value = Policy> {
    let quorum = prop_oneof![
        5 => Just(Quorum::Default),
        1 => Just(Quorum::Majority),
        1 => Just(Quorum::AllButOne),
        1 => Just(Quorum::All),
        1 => (2_u16..4).prop_map(Quorum::AtLeast),
    ];
    let sensitivity = prop_oneof![
        4 => Just(Sensitivity::Balanced), 1 => Just(Sensitivity::Fast), 1 => Just(Sensitivity::Strict)
    ];
    let interval = prop_oneof![3 => 5_u64..31, 1 => 31_u64..120];
    let confirm_for = prop::option::weighted(0.1, (0_u64..60).prop_map(Micros::from_secs));
    let regions =
        prop_oneof![1 => Just(1_usize), 1 => Just(2), 2 => Just(3), 1 => Just(4), 4 => Just(5), 1 => Just(7)];
    (regions, interval, 1_u64..15, quorum, sensitivity, confirm_for).prop_map(
        |(regions, interval, timeout, quorum, sensitivity, confirm_for)| {
            let interval = Micros::from_secs(interval);
            let timeout = Micros::from_secs(timeout).min(interval);
            let base = Policy::new((0..regions).map(region).collect(), interval, timeout);
            Policy { quorum, sensitivity, confirm_for, revision: 1, ..base }
        },
    )
}

/// Numbers that may have been measured: any spans, and any regions, also too many.
fn calibrated(policy: &Policy, (span, together, majority, noisy): (u64, bool, u64, u32)) -> Calibrated {
    let chosen = |(index, _): &(usize, &Region)| noisy & (1 << index) != 0;
    let noisy: BTreeSet<_> =
        policy.regions.iter().enumerate().filter(chosen).map(|(_, region)| region.clone()).collect();
    Calibrated {
        span: Micros::from_secs(span),
        together,
        majority_span: Micros::from_secs(majority),
        voters: (policy.regions.len() - noisy.len()) as u16,
        noisy,
    }
}

fn scripts() -> impl Strategy<Value = Script> {
    let weather = || {
        prop_oneof![
            10 => Just(Weather::Passes),
            4 => Just(Weather::Refused),
            3 => Just(Weather::Silent),
            2 => Just(Weather::Mixed),
            1 => Just(Weather::OwnFault),
            2 => Just(Weather::Absent),
            1 => Just(Weather::Sick),
            1 => Just(Weather::Late),
        ]
    };
    // All regions alike, all but a few, or each by itself.
    let all = (weather(), vec(prop::option::weighted(0.15, weather()), AGENTS_MAX))
        .prop_map(|(all, others)| others.into_iter().map(|other| other.unwrap_or(all)).collect::<Vec<_>>());
    let spell = prop_oneof![3 => all, 1 => vec(weather(), AGENTS_MAX)];
    let verdict = prop_oneof![
        Just(Verdict::Up),
        Just(Verdict::Partial),
        Just(Verdict::Down),
        Just(Verdict::Unobserved)
    ];
    let happening = prop_oneof![
        12 => Just(Happening::Nothing),
        1 => Just(Happening::Pause),
        1 => verdict.prop_map(Happening::Restore),
        1 => Just(Happening::Renew),
        2 => prop::option::weighted(0.8, (0_u64..50, any::<bool>(), 60_u64..400, any::<u32>(), any::<u32>()))
            .prop_map(|drawn| drawn.map(|(span, together, majority, one, other)| (span, together, majority, one & other)))
            .prop_map(Happening::Recalibrate),
        1 => (0..AGENTS_MAX).prop_map(Happening::Forget),
    ];
    let lasts = prop_oneof![2 => 1_u64..40, 2 => 40_u64..130, 1 => 130_u64..420];
    let begins = || vec(Just(Weather::Passes), AGENTS_MAX);
    let first = (30_u64..200, begins(), Just(Happening::Nothing));
    // One agent a region, or as many agents as there is weather: then some regions have two or three.
    let agents = prop_oneof![2 => Just(0_usize), 1 => Just(AGENTS_MAX)];
    let spells = vec((lasts, spell, happening), 1..8);
    (policies(), agents, prop::option::of(first), spells, any::<u64>()).prop_map(
        |(policy, agents, first, spells, seed)| Script {
            agents: agents.max(policy.regions.len()),
            policy,
            spells: first.into_iter().chain(spells).collect(),
            seed,
        },
    )
}

impl World {
    fn new(script: &Script) -> Self {
        let mut engine = Engine::default();
        let at = 100;
        let configure = Event::Configure { monitor: monitor(), policy: script.policy.clone() };
        assert_eq!(engine.handle(configure, moment(at)), []);
        Self {
            engine,
            reference: Reference::new(script.policy.clone(), script.agents, at),
            regions: script.policy.regions.iter().cloned().collect(),
            agents: script.agents,
            policy: script.policy.clone(),
            underway: Vec::new(),
            random: script.seed | 1,
            sequence: 0,
            last_request: 0,
            turns: Vec::new(),
            verdict: None,
        }
    }

    fn happen(&mut self, happening: Happening, at: Second) {
        match happening {
            Happening::Nothing => {}
            Happening::Forget(agent) => {
                let turns = self.reference.forget(agent, at);
                self.handle(Event::Forget { agent: key(agent) }, turns, at);
            }
            Happening::Recalibrate(drawn) => {
                self.policy.calibrated = drawn.map(|drawn| calibrated(&self.policy, drawn));
                let turns = self.reference.recalibrate(self.policy.clone(), at);
                let configure = Event::Configure { monitor: monitor(), policy: self.policy.clone() };
                self.handle(configure, turns, at);
            }
            Happening::Pause => {
                let turns = self.reference.pause(at);
                self.handle(Event::Paused, turns, at);
            }
            Happening::Restore(verdict) => {
                let turns = self.reference.restore(verdict, at);
                self.verdict = Some(verdict);
                self.handle(Event::Restore { monitor: monitor(), verdict, since: moment(at) }, turns, at);
            }
            Happening::Renew => {
                // Agents have the new form at once: outdated ones are the matter of other tests.
                self.policy.revision += 1;
                for agent in 0..self.agents {
                    self.beat(agent, false, at);
                }
                self.underway.clear();
                let turns = self.reference.renew(self.policy.clone(), at);
                let configure = Event::Configure { monitor: monitor(), policy: self.policy.clone() };
                self.handle(configure, turns, at);
            }
        }
    }

    /// Lets one second pass.
    fn pass(&mut self, at: Second, weather: &[Weather]) {
        let turns = self.reference.look(at);
        self.handle(Event::Tick, turns, at);
        let heard: Vec<_> = self.underway.extract_if(.., |(due, _)| *due <= at).collect();
        for (_, check) in heard {
            self.hear(check, at);
        }
        let interval = self.policy.interval.0 / 1_000_000;
        for (agent, weather) in (0..self.agents).zip(weather) {
            if *weather == Weather::Absent {
                continue;
            }
            if (at + agent as u64).is_multiple_of(5) {
                self.beat(agent, *weather == Weather::Sick, at);
            }
            if (at + agent as u64 * interval / self.agents as u64).is_multiple_of(interval) {
                self.check(agent, *weather, at);
            }
        }
        self.answer(weather, at);
    }

    /// Most that were asked make a check within some seconds; an agent that is away makes none.
    fn answer(&mut self, weather: &[Weather], at: Second) {
        for (agent, weather) in (0..self.agents).zip(weather) {
            if self.reference.is_asked(agent % self.regions.len()) && self.chance(2) {
                self.check(agent, *weather, at);
            }
        }
    }

    fn check(&mut self, agent: usize, weather: Weather, at: Second) {
        let timeout = self.policy.timeout.0 / 1_000_000;
        let (found, takes, comes) = match weather {
            Weather::Passes | Weather::Sick => (Found::Pass, self.up_to(2).min(timeout), self.up_to(2)),
            Weather::Refused => (Found::Fail, 0, self.up_to(2)),
            Weather::Silent => (Found::Fail, timeout, 0),
            Weather::Mixed if self.chance(2) => (Found::Fail, self.up_to(3).min(timeout), 0),
            Weather::Mixed => (Found::Pass, 1.min(timeout), 0),
            Weather::OwnFault => (Found::OwnFault, 0, 0),
            Weather::Late => (Found::Fail, 0, 40 + self.up_to(100)),
            Weather::Absent => return,
        };
        let check = Check { agent, started: at, ended: at + takes, found };
        self.underway.push((at + takes + comes, check));
    }

    fn beat(&mut self, agent: usize, sick: bool, at: Second) {
        let turns = self.reference.beat(agent, sick, at);
        let region = self.region_of(agent);
        let sick = sick.then_some(Doubt::SpoolFailing);
        let heartbeat = Heartbeat { agent: key(agent), region, revision: self.policy.revision, sick };
        self.handle(Event::Heartbeat(heartbeat), turns, at);
    }

    fn hear(&mut self, check: Check, at: Second) {
        self.sequence += 1;
        let turns = self.reference.hear(check, at);
        let observation = Observation {
            monitor: monitor(),
            region: self.region_of(check.agent),
            started: moment(check.started),
            ended: moment(check.ended),
            finding: match check.found {
                Found::Pass => Finding::Passed,
                Found::Fail => Finding::Failed,
                Found::OwnFault => Finding::AgentsOwnFault,
            },
            revision: self.policy.revision,
            source: Source {
                agent: key(check.agent),
                epoch: BootEpoch(1),
                sequence: Sequence(self.sequence),
                index: 0,
            },
        };
        self.handle(Event::Observed(observation), turns, at);
    }

    /// Gives the engine one event, and compares what it says with what the model said.
    fn handle(&mut self, event: Event, expected: Vec<Turn>, at: Second) {
        let mut said = Vec::new();
        for effect in self.engine.handle(event.clone(), moment(at)) {
            match effect {
                Effect::Confirm { regions, request, .. } => {
                    assert!(request > self.last_request, "a request's number is used twice");
                    self.last_request = request;
                    let asked: Vec<_> = (0..self.regions.len())
                        .filter(|region| regions.contains(&self.regions[*region]))
                        .collect();
                    self.reference.ask(&asked, at);
                }
                Effect::Changed(change) => {
                    assert_eq!(change.timeline.decided_at, moment(at), "{change:?}");
                    let failing = change.votes.iter().filter(|counted| counted.vote == Vote::Fail).count();
                    let (rule, eligible) = read(&change.rule);
                    said.push(Turn {
                        at,
                        from: change.from,
                        to: change.to,
                        rule,
                        failing,
                        eligible: eligible
                            .unwrap_or(expected.get(said.len()).map_or(0, |turn| turn.eligible)),
                    });
                }
                // Suspicion is nobody's verdict.
                Effect::Suspected { .. } => {}
                Effect::Restarted { .. } => panic!("no canary said anything: {effect:?}"),
                Effect::Withheld(_) | Effect::Outlier(_) | Effect::OutlierOver { .. } => {
                    panic!("no agent has labels, and one monitor sets nobody aside: {effect:?}")
                }
            }
        }
        assert_eq!(said, expected, "at {at} after {event:?}\n{:#?}", self.reference);
        for turn in said {
            self.examine(turn);
            self.turns.push(turn);
        }
    }

    /// What holds whatever was decided.
    fn examine(&mut self, turn: Turn) {
        assert_eq!(turn.from, self.verdict, "each verdict begins where the last one ended");
        assert_ne!(turn.from, Some(turn.to), "a change changes something");
        self.verdict = Some(turn.to);
        if turn.to == Verdict::Down && self.regions.len() > 1 {
            assert!(turn.failing >= 2, "one region alone is never down: {turn:?}");
            assert!(turn.failing * 2 > turn.eligible || matches!(self.policy.quorum, Quorum::AtLeast(_)));
        }
    }

    fn region_of(&self, agent: usize) -> Region {
        self.regions[agent % self.regions.len()].clone()
    }

    fn up_to(&mut self, max: u64) -> u64 {
        // A linear congruential generator with Knuth's constants is chance enough for weather.
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % (max + 1)
    }

    fn chance(&mut self, of: u64) -> bool {
        self.up_to(of - 1) == 0
    }
}

fn read(rule: &Rule) -> (&'static str, Option<usize>) {
    let some = |eligible: &u16| Some(usize::from(*eligible));
    match rule {
        Rule::FastQuorum { eligible, .. } => ("fast", some(eligible)),
        Rule::Majority { eligible, .. } => ("majority", some(eligible)),
        Rule::SingleRegion { .. } => ("single", None),
        Rule::SomeFail { eligible, .. } => ("some", some(eligible)),
        Rule::TooFewVoters { eligible, .. } => ("few", some(eligible)),
        Rule::Recovered { eligible, .. } => ("recovered", some(eligible)),
        Rule::FirstVotes { eligible, .. } => ("first", some(eligible)),
        Rule::TooFewDomains { eligible, .. } => ("domains", some(eligible)),
    }
}

fn monitor() -> MonitorId {
    "m".parse().unwrap()
}

fn region(index: usize) -> Region {
    format!("r{index}").parse().unwrap()
}

fn key(index: usize) -> AgentKey {
    AgentKey([u8::try_from(index).unwrap(); 32])
}

fn moment(second: Second) -> Moment {
    Moment(second * 1_000_000)
}
