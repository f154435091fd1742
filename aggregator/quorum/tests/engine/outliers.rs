//! Agents that contradict the others: set aside when it is certain, and harmless before, while and after.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use quorate_proto::{AgentKey, BootEpoch, Micros, MonitorId, Region, Sequence};
use quorate_quorum::{
    Abstention, Contradiction, Effect, Engine, Event, Finding, Heartbeat, Moment, Observation, Outlier,
    Policy, Source, Verdict, Vote,
};

/// The agent that is not like the others.
const LIAR: usize = 2;
const MINUTE: u64 = 60;

/// What an agent says of a monitor that fails or not, at a second.
type Word = Box<dyn FnMut(usize, bool, u64) -> bool>;

/// Regions, five without a word, each with one agent; monitors that are checked every 30 s, staggered as agents do.
struct World {
    engine: Engine,
    agents: usize,
    monitors: usize,
    /// The revision that all work under.
    revision: u64,
    /// Whether a monitor fails at a second.
    fails: Box<dyn Fn(usize, u64) -> bool>,
    /// What each agent says, given the truth.
    words: Vec<Word>,
    /// Checks that were asked for, with the second in which they are made.
    asked: Vec<(u64, usize, usize)>,
    effects: Vec<(u64, Effect)>,
    checks: u64,
    now: u64,
}

impl World {
    fn new(monitors: usize) -> Self {
        Self::with(monitors, |number| format!("site-{number}.example"), &[])
    }

    /// A world whose monitors have these targets, and whose agents these providers.
    fn with(monitors: usize, target: impl Fn(usize) -> String, providers: &[&str]) -> Self {
        Self::of(5, monitors, target, providers)
    }

    fn of(agents: usize, monitors: usize, target: impl Fn(usize) -> String, providers: &[&str]) -> Self {
        let mut engine = Engine::default();
        for (agent, provider) in providers.iter().enumerate() {
            let labels = [("provider".to_owned(), (*provider).to_owned())].into();
            engine.handle(Event::Enrolled { agent: key(agent), region: region(agent), labels }, Moment(0));
        }
        let mut world = Self {
            engine,
            agents,
            monitors,
            revision: 0,
            fails: Box::new(|_, _| false),
            words: (0..agents).map(|_| -> Word { Box::new(|_, fails, _| fails) }).collect(),
            asked: Vec::new(),
            effects: Vec::new(),
            checks: 0,
            now: 0,
        };
        for number in 0..monitors {
            world.configure(number, target(number));
        }
        world
    }

    fn configure(&mut self, number: usize, target: String) {
        let policy = self.policy(target);
        self.tell(Event::Configure { monitor: monitor(number), policy });
    }

    fn policy(&self, target: String) -> Policy {
        let regions = (0..self.agents).map(region).collect();
        let policy = Policy::new(regions, Micros::from_secs(30), Micros::from_secs(10));
        Policy { target, revision: self.revision, ..policy }
    }

    fn says(mut self, agent: usize, word: impl FnMut(usize, bool, u64) -> bool + 'static) -> Self {
        self.words[agent] = Box::new(word);
        self
    }

    fn fails(mut self, fails: impl Fn(usize, u64) -> bool + 'static) -> Self {
        self.fails = Box::new(fails);
        self
    }

    fn until(mut self, end: u64) -> Self {
        while self.now < end {
            let now = self.now;
            if now.is_multiple_of(5) {
                for agent in 0..self.agents {
                    let (agent, region, revision) = (key(agent), region(agent), self.revision);
                    self.tell(Event::Heartbeat(Heartbeat { agent, region, revision, sick: None }));
                }
            }
            let asked: Vec<_> = self.asked.extract_if(.., |(due, ..)| *due <= now).collect();
            let agents = self.agents;
            let scheduled =
                (0..self.monitors).flat_map(|number| (0..agents).map(move |agent| (number, agent))).filter(
                    |(number, agent)| (now + 30 - (number * 7 + agent * 6) as u64 % 30).is_multiple_of(30),
                );
            let due: Vec<_> =
                asked.into_iter().map(|(_, number, agent)| (number, agent)).chain(scheduled).collect();
            for (number, agent) in due {
                self.check(number, agent);
            }
            self.now += 1;
        }
        self
    }

    fn check(&mut self, number: usize, agent: usize) {
        let truth = (self.fails)(number, self.now);
        let finding =
            if self.words[agent](number, truth, self.now) { Finding::Failed } else { Finding::Passed };
        self.checks += 1;
        let ended = Moment(self.now * 1_000_000 + self.checks % 1_000);
        self.tell(Event::Observed(Observation {
            monitor: monitor(number),
            region: region(agent),
            started: ended.before(Micros::from_millis(80)),
            ended,
            finding,
            revision: self.revision,
            source: Source {
                agent: key(agent),
                epoch: BootEpoch(1),
                sequence: Sequence(self.checks),
                index: 0,
            },
        }));
    }

    fn tell(&mut self, event: Event) {
        let at = Moment(self.now * 1_000_000 + self.checks % 1_000);
        for effect in self.engine.handle(event, at) {
            if let Effect::Confirm { monitor, regions, .. } = &effect {
                let number = (0..self.monitors).find(|number| self::monitor(*number) == *monitor).unwrap();
                let agents = (0..self.agents).filter(|agent| regions.contains(&region(*agent)));
                self.asked.extend(agents.map(|agent| (self.now + 1, number, agent)));
            }
            self.effects.push((self.now, effect));
        }
    }

    /// Seconds at which agents were set aside, and taken back.
    fn outliers(&self) -> (Vec<(u64, Outlier)>, Vec<u64>) {
        let set_aside = self.effects.iter().filter_map(|(at, effect)| {
            let Effect::Outlier(outlier) = effect else { return None };
            Some((*at, outlier.clone()))
        });
        let over = self.effects.iter().filter(|(_, effect)| matches!(effect, Effect::OutlierOver { .. }));
        (set_aside.collect(), over.map(|(at, _)| *at).collect())
    }

    /// Seconds at which monitors turned so.
    fn turned(&self, to: Verdict) -> BTreeMap<usize, Vec<u64>> {
        let mut turned = BTreeMap::<usize, Vec<u64>>::new();
        for (at, effect) in &self.effects {
            let Effect::Changed(change) = effect else { continue };
            if change.to == to {
                let number = (0..self.monitors).find(|number| monitor(*number) == change.monitor).unwrap();
                turned.entry(number).or_default().push(*at);
            }
        }
        turned
    }

    #[track_caller]
    fn nobody_is_set_aside(&self) {
        assert_eq!(self.outliers(), (Vec::new(), Vec::new()));
    }

    #[track_caller]
    fn nothing_is_down(&self) {
        assert_eq!(self.turned(Verdict::Down), BTreeMap::new());
    }
}

fn key(agent: usize) -> AgentKey {
    AgentKey([agent as u8 + 1; 32])
}

fn region(agent: usize) -> Region {
    format!("r{agent}").parse().unwrap()
}

fn monitor(number: usize) -> MonitorId {
    format!("m{number:02}").parse().unwrap()
}

/// What is said of a monitor that fails or not, at a second.
type Lie = fn(usize, bool, u64) -> bool;

/// What a liar may say.
fn lies() -> Vec<(&'static str, Lie)> {
    vec![
        ("fails all", |_, _, _| true),
        ("passes all", |_, _, _| false),
        ("alternates", |_, _, now| (now / 30).is_multiple_of(2)),
        ("alternates check by check", |number, _, now| (now / 2 + number as u64).is_multiple_of(2)),
        ("contradicts", |_, fails, _| !fails),
        ("fails one", |number, fails, _| number == 3 || fails),
        ("passes one", |number, fails, _| number != 3 && fails),
    ]
}

/// With one liar of five no false down and no missed outage, whatever it says: of one monitor or of all, before it is
/// found and after.
#[test]
fn one_liar_of_five_neither_makes_down_nor_hides_an_outage() {
    for (name, lie) in lies() {
        for monitors in [4, 12] {
            let world = World::new(monitors).says(LIAR, lie).until(20 * MINUTE);
            assert_eq!(world.turned(Verdict::Down), BTreeMap::new(), "{name}, {monitors} monitors");

            // One server after another fails for four minutes, and then all together.
            let outage = |number: usize, now: u64| {
                let began = 16 * MINUTE + 5 * MINUTE * number as u64;
                (began..began + 4 * MINUTE).contains(&now) || (100 * MINUTE..110 * MINUTE).contains(&now)
            };
            let world = World::new(monitors).says(LIAR, lie).fails(outage).until(120 * MINUTE);
            let downs = world.turned(Verdict::Down);
            for number in 0..monitors {
                let told: Vec<u64> = downs[&number]
                    .iter()
                    .map(|at| {
                        let alone = 16 * MINUTE + 5 * MINUTE * number as u64;
                        at - if *at < 100 * MINUTE { alone } else { 100 * MINUTE }
                    })
                    .collect();
                // Four of four want 20 s where the liar is set aside.
                let is_in_time = told.len() == 2 && told.iter().all(|took| *took <= 45);
                assert!(is_in_time, "{name}, {monitors} monitors: m{number} after {told:?}");
            }
        }
    }
}

/// A sick region is set aside, said once, and taken back when it has agreed for ten minutes.
#[test]
fn a_sick_region_is_set_aside_and_taken_back() {
    let world = World::new(12).says(LIAR, |_, fails, now| fails || now < 20 * MINUTE).until(40 * MINUTE);
    let (set_aside, over) = world.outliers();
    let [(at, outlier)] = &set_aside[..] else { panic!("{set_aside:?}") };
    assert_eq!((outlier.agent, &outlier.region), (key(LIAR), &region(LIAR)));
    assert_eq!(outlier.contradiction, Contradiction::FailsAlone);
    assert!(outlier.disagreements > 6 && outlier.compared >= 10, "{outlier:?}");
    assert!((180..300).contains(at), "after {at} s");
    let [over] = over[..] else { panic!("{over:?}") };
    assert!((30 * MINUTE..32 * MINUTE).contains(&over), "at {over}");
    world.nothing_is_down();
}

#[test]
fn what_an_outlier_says_is_an_abstention_with_its_reason() {
    let world = World::new(12).says(LIAR, |_, _, _| true).until(10 * MINUTE);
    let at = Moment(world.now * 1_000_000);
    for number in 0..12 {
        let state = world.engine.monitor(&monitor(number), at).unwrap();
        assert_eq!(state.verdict, Some(Verdict::Up), "partial is over when the outlier is set aside");
        assert_eq!(state.regions[&region(LIAR)].vote, Vote::Abstain(Abstention::Outlier));
    }
    assert_eq!(world.engine.outliers().map(|outlier| outlier.agent).collect::<Vec<_>>(), [key(LIAR)]);
    let asked = world.effects.iter().filter(|(at, _)| *at > 8 * MINUTE);
    assert_eq!(asked.filter(|(_, effect)| matches!(effect, Effect::Confirm { .. })).count(), 0);
}

#[test]
fn who_passes_what_the_others_find_failing_is_set_aside() {
    let outage = |_, now| (10 * MINUTE..20 * MINUTE).contains(&now);
    let world = World::new(12).fails(outage).says(LIAR, |_, _, _| false).until(40 * MINUTE);
    let (set_aside, over) = world.outliers();
    let [(at, outlier)] = &set_aside[..] else { panic!("{set_aside:?}") };
    assert_eq!((outlier.agent, outlier.contradiction), (key(LIAR), Contradiction::PassesAlone));
    assert!((13 * MINUTE..15 * MINUTE).contains(at), "at {at}");
    assert_eq!(over.len(), 1);
    assert_eq!(world.turned(Verdict::Down).len(), 12);
}

/// Nine targets are too few, however many monitors they have.
#[test]
fn fewer_than_ten_targets_leave_it_to_the_quorum() {
    World::new(9).says(LIAR, |_, _, _| true).until(20 * MINUTE).nobody_is_set_aside();
    let related = World::with(30, |number| format!("site-{}.example", number % 9), &[]);
    let world = related.says(LIAR, |_, _, _| true).until(20 * MINUTE);
    world.nobody_is_set_aside();
    world.nothing_is_down();
    World::with(12, |_| String::new(), &[])
        .says(LIAR, |_, _, _| true)
        .until(20 * MINUTE)
        .nobody_is_set_aside();
    let ten = World::new(10).says(LIAR, |_, _, _| true).until(20 * MINUTE);
    assert_eq!(ten.outliers().0.len(), 1);
}

/// Half is not most: a region that cannot reach one provider's servers is no outlier.
#[test]
fn half_of_the_targets_are_not_most() {
    World::new(12).says(LIAR, |number, _, _| number < 6).until(20 * MINUTE).nobody_is_set_aside();
    let seven = World::new(12).says(LIAR, |number, _, _| number < 7).until(20 * MINUTE);
    assert_eq!(seven.outliers().0.len(), 1);
}

/// A minute's spell of a region's path is no sickness.
#[test]
fn a_spell_is_no_sickness() {
    for length in [20, 60] {
        let spell = move |_: usize, fails: bool, now: u64| fails || (600..600 + length).contains(&now);
        let world = World::new(12).says(LIAR, spell).until(30 * MINUTE);
        world.nobody_is_set_aside();
        world.nothing_is_down();
    }
}

/// Who sees an outage of everything first or last, and its end, contradicts nobody.
#[test]
fn an_outage_of_everything_sets_nobody_aside() {
    let outage = |_, now| (10 * MINUTE..20 * MINUTE).contains(&now);
    let world = World::new(12).fails(outage).until(40 * MINUTE);
    world.nobody_is_set_aside();
    let downs = world.turned(Verdict::Down);
    assert!(downs.len() == 12 && downs.values().all(|at| at.len() == 1), "{downs:?}");
    let late = move |_: usize, fails: bool, now: u64| fails && now >= 10 * MINUTE + 25;
    let world = World::new(12).fails(outage).says(LIAR, late).until(40 * MINUTE);
    world.nobody_is_set_aside();
}

/// Where two of five say otherwise nobody can tell who is right.
#[test]
fn two_that_agree_are_not_outliers() {
    let world = World::new(12).says(1, |_, _, _| true).says(LIAR, |_, _, _| true).until(20 * MINUTE);
    world.nobody_is_set_aside();
    world.nothing_is_down();
}

/// Four regions of one provider fail, and the fifth passes: its agent is not set aside, or down would be said.
#[test]
fn one_provider_sets_nobody_aside_for_passing() {
    let mut world = World::with(12, |number| format!("site-{number}.example"), &["a", "a", "b", "a", "a"]);
    for agent in [0, 1, 3, 4] {
        world = world.says(agent, |_, _, now| now > 5 * MINUTE);
    }
    let world = world.until(30 * MINUTE);
    world.nobody_is_set_aside();
    world.nothing_is_down();
    assert_eq!(world.turned(Verdict::Partial).len(), 12);
    // With two providers among those who fail, it is the fifth that is wrong.
    let mut world = World::with(12, |number| format!("site-{number}.example"), &["a", "a", "b", "a", "c"]);
    for agent in [0, 1, 3, 4] {
        world = world.says(agent, |_, _, now| now > 5 * MINUTE);
    }
    let world = world.until(30 * MINUTE);
    assert_eq!(world.turned(Verdict::Down).len(), 12);
    assert_eq!(world.outliers().0.len(), 1);
}

/// Monitors that go take what was counted with them, and so does a new target.
#[test]
fn what_is_gone_does_not_count() {
    let sick = || World::new(12).says(LIAR, |_, _, _| true).until(2 * MINUTE);
    let mut world = sick();
    for number in 9..12 {
        world.tell(Event::Remove { monitor: monitor(number) });
    }
    world.until(20 * MINUTE).nobody_is_set_aside();
    let mut world = sick();
    for number in 8..12 {
        world.configure(number, "site-0.example".to_owned());
    }
    world.until(20 * MINUTE).nobody_is_set_aside();
    let mut world = sick();
    world.tell(Event::Forget { agent: key(LIAR) });
    let world = world.until(2 * MINUTE + 2);
    assert_eq!(world.engine.outliers().count(), 0);
}

/// A monitor of another target, in another form or watched from elsewhere is compared anew; one whose policy is only said
/// again, or with another number, is not.
#[test]
fn what_changed_is_compared_anew() {
    let set_aside_at = |change: &dyn Fn(&mut World, usize) -> Policy| {
        let mut world = World::new(12).says(LIAR, |_, _, _| true).until(2 * MINUTE);
        let policies = (0..12).map(|number| change(&mut world, number)).collect::<Vec<_>>();
        for (number, policy) in policies.into_iter().enumerate() {
            world.tell(Event::Configure { monitor: monitor(number), policy });
        }
        let (set_aside, _) = world.until(20 * MINUTE).outliers();
        set_aside[0].0
    };
    let same = |number: usize| format!("site-{number}.example");
    let unchanged = set_aside_at(&|world, number| world.policy(same(number)));
    assert!(unchanged < 5 * MINUTE, "{unchanged}");
    let confirmed = set_aside_at(&|world, number| Policy {
        confirm_for: Some(Micros::from_secs(40)),
        ..world.policy(same(number))
    });
    assert_eq!(confirmed, unchanged);
    for (what, changed) in [
        ("target", set_aside_at(&|world, number| world.policy(format!("other-{number}.example")))),
        (
            "form",
            set_aside_at(&|world, number| {
                world.revision = 1;
                world.policy(same(number))
            }),
        ),
        (
            "regions",
            set_aside_at(&|world, number| {
                let mut policy = world.policy(same(number));
                policy.regions.insert("elsewhere".parse().unwrap());
                policy
            }),
        ),
    ] {
        assert!(changed >= 5 * MINUTE + 30, "{what}: at {changed}, and {unchanged} without the change");
    }
}

/// Of the five others of six regions four are a word: two that are sick in different ways are both set aside.
#[test]
fn one_of_five_others_may_say_otherwise() {
    let world = World::of(6, 12, |number| format!("site-{number}.example"), &[]);
    let world = world.says(LIAR, |_, _, _| true).says(4, |number, _, _| number < 10).until(20 * MINUTE);
    let set_aside = world.outliers().0.into_iter().map(|(_, outlier)| outlier.agent).collect::<BTreeSet<_>>();
    assert_eq!(set_aside, [key(LIAR), key(4)].into());
    let outlier = |agent| world.engine.outlier(&key(agent)).map(|outlier| outlier.agent);
    assert_eq!((outlier(LIAR), outlier(0)), (Some(key(LIAR)), None));
    world.nothing_is_down();
}

/// Who is set aside is not remembered over a restart: whoever lies still is found again, and whoever does not is not.
#[test]
fn after_a_restart_a_liar_is_found_again() {
    let restarted = |lies_until: u64| {
        let lie = move |_: usize, fails: bool, now: u64| fails || now < lies_until;
        let mut world = World::new(12).says(LIAR, lie).until(10 * MINUTE);
        world.engine = Engine::default();
        world.asked.clear();
        for number in 0..12 {
            world.configure(number, format!("site-{number}.example"));
        }
        for number in 0..12 {
            let (monitor, verdict) = (monitor(number), Verdict::Up);
            world.tell(Event::Restore { monitor, verdict, since: Moment(0) });
        }
        assert_eq!(world.engine.outliers().count(), 0);
        let world = world.until(20 * MINUTE);
        world.nothing_is_down();
        world.outliers().0.iter().map(|(at, _)| *at).collect::<Vec<_>>()
    };
    let lies_on = restarted(20 * MINUTE);
    assert!(lies_on.len() == 2 && (13 * MINUTE..15 * MINUTE).contains(&lies_on[1]), "{lies_on:?}");
    assert_eq!(restarted(10 * MINUTE).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// While it is set aside, nothing that an outlier says changes any verdict, or the moment of it.
    #[test]
    fn an_outlier_never_changes_a_verdict(seed in any::<u64>(), outages in prop::collection::vec((0_usize..12, 600_u64..1_700, 1_u64..300), 0..12)) {
        let fails = move |number: usize, now: u64| {
            outages.iter().any(|(of, from, length)| *of == number && (*from..from + length).contains(&now))
        };
        // It fails all until it is set aside, and then says whatever the seed wants.
        let lie = move |number: usize, _: bool, now: u64| {
            let dice = (seed ^ (now * 31 + number as u64)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
            now < 400 || dice.is_multiple_of(2)
        };
        let constant = World::new(12).fails(fails.clone()).says(LIAR, |_, _, _| true).until(2_000);
        let random = World::new(12).fails(fails).says(LIAR, lie).until(2_000);
        for world in [&constant, &random] {
            let (set_aside, over) = world.outliers();
            prop_assert!(set_aside.len() == 1 && set_aside[0].0 < 400 && over.is_empty(), "{:?} {:?}", set_aside, over);
        }
        let changes = |world: &World| {
            let told = world.effects.iter().filter_map(|(at, effect)| {
                let Effect::Changed(change) = effect else { return None };
                Some((*at, change.monitor.clone(), change.to, change.rule))
            });
            told.collect::<Vec<_>>()
        };
        prop_assert_eq!(changes(&constant), changes(&random));
    }
}
