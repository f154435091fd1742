//! Whatever happens: every outage is told or explained, once; nothing waits for ever; restarts lose nothing.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use quorate_proto::{Micros, MonitorId};
use quorate_quorum::{
    Moment, PagingEffect, PagingEvent, Policy, Verdict,
    paging::{Phase, Quiet, Wait},
};

use crate::script::Runner;

/// `m1` and `m2` are parents, of `m3`, `m4` and of `m5`, which is `m6`'s.
const FAMILY: [(&str, &str); 12] = [
    ("m1", ""),
    ("m2", ""),
    ("m3", "after m1"),
    ("m4", "after m1,m2"),
    ("m5", "after m2"),
    ("m6", "after m5"),
    ("m7", ""),
    ("m8", ""),
    ("m9", ""),
    ("m10", ""),
    ("m11", ""),
    ("m12", ""),
];

#[derive(Clone, Debug)]
enum Step {
    Turn(usize, Verdict),
    /// Several at once.
    Fleet(usize, usize, Verdict),
    Suspect(usize, bool),
    Silent(usize),
    Heard(usize),
    Pass,
}

fn step() -> impl Strategy<Value = (u64, Step)> {
    let verdict = prop_oneof![
        4 => Just(Verdict::Up),
        4 => Just(Verdict::Down),
        1 => Just(Verdict::Partial),
        1 => Just(Verdict::Unobserved),
    ];
    let step = prop_oneof![
        8 => (0..12_usize, verdict.clone()).prop_map(|(who, verdict)| Step::Turn(who, verdict)),
        1 => (0..12_usize, 5..12_usize, verdict).prop_map(|(from, count, to)| Step::Fleet(from, count, to)),
        2 => (0..12_usize, any::<bool>()).prop_map(|(who, suspect)| Step::Suspect(who, suspect)),
        1 => (1..6_usize).prop_map(Step::Silent),
        1 => (1..6_usize).prop_map(Step::Heard),
        1 => Just(Step::Pass),
    ];
    let gap = prop_oneof![4 => 0..8_000_u64, 3 => 0..90_000_u64, 1 => 0..1_000_000_u64];
    (gap, step)
}

/// A world, and what must be true of it at every moment.
struct World {
    runner: Runner,
    now: Moment,
    suspects: BTreeSet<MonitorId>,
    /// Effects that were looked at.
    seen: usize,
    told: BTreeSet<MonitorId>,
    /// Down without a break (unobserved is none), and how often that was told before the verdict changed again.
    tells: BTreeMap<MonitorId, u32>,
    /// Since when each verdict stands.
    since: BTreeMap<MonitorId, Moment>,
    waits: BTreeMap<MonitorId, (Wait, Moment)>,
    groups: BTreeMap<Moment, BTreeSet<MonitorId>>,
    flapping: BTreeSet<MonitorId>,
    away: usize,
}

impl World {
    fn new(with_agents: bool) -> Self {
        let mut world = Self {
            runner: Runner::default(),
            now: Moment(0),
            suspects: BTreeSet::new(),
            seen: 0,
            told: BTreeSet::new(),
            tells: BTreeMap::new(),
            since: BTreeMap::new(),
            waits: BTreeMap::new(),
            groups: BTreeMap::new(),
            flapping: BTreeSet::new(),
            away: 0,
        };
        for (name, parents) in FAMILY {
            world.runner.step(Moment(0), &format!("watch {name} every 30 in 3 {parents}"));
        }
        if with_agents {
            world.runner.step(Moment(0), "agents r1 r2 r3");
        }
        world
    }

    fn pass(&mut self, milliseconds: u64, with_agents: bool) {
        let end = self.now.after(Micros::from_millis(milliseconds));
        while self.now < end {
            self.now = self.now.after(Micros::from_secs(5)).min(end);
            self.runner.step(self.now, if with_agents { "beat" } else { "end" });
            self.look();
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Turn(who, to) => self.turn(*who, *to),
            Step::Fleet(from, count, to) => (*from..from + count).for_each(|who| self.turn(who % 12, *to)),
            Step::Suspect(who, suspect) => {
                let monitor = id(*who);
                if *suspect && self.runner.verdicts.get(&monitor) == Some(&Verdict::Down) {
                    return;
                }
                match suspect {
                    true => self.suspects.insert(monitor.clone()),
                    false => self.suspects.remove(&monitor),
                };
                self.runner.handle(PagingEvent::Suspected { monitor, suspect: *suspect }, self.now);
            }
            Step::Silent(agent) => self.runner.step(self.now, &format!("silent r{}", agent % 3 + 1)),
            Step::Heard(agent) => self.runner.step(self.now, &format!("heard r{}", agent % 3 + 1)),
            Step::Pass => self.runner.step(self.now, "end"),
        }
        self.look();
    }

    fn turn(&mut self, who: usize, to: Verdict) {
        let monitor = id(who);
        if self.runner.verdicts.get(&monitor).copied().unwrap_or(Verdict::Up) == to {
            return;
        }
        // The last effects of the moment before belong to the verdict before.
        self.runner.step(self.now, "end");
        self.look();
        self.runner.step(self.now, &format!("{} {monitor}", to.name()));
        if to == Verdict::Down {
            self.suspects.remove(&monitor);
        }
        self.since.insert(monitor.clone(), self.now);
        self.tells.remove(&monitor);
        self.look();
    }

    /// Takes in what was done, and checks what must be true at every moment.
    fn look(&mut self) {
        let new = self.runner.effects[self.seen..].to_vec();
        self.seen = self.runner.effects.len();
        for (at, effect) in new {
            self.take(at, effect);
        }
        for (monitor, verdict) in self.runner.verdicts.clone() {
            if verdict != Verdict::Up {
                self.is_told_or_explained(&monitor, verdict);
            } else {
                assert!(!self.told.contains(&monitor), "{monitor} is up and not resolved");
                assert_eq!(self.runner.paging.wait(&monitor), None);
                self.waits.remove(&monitor);
            }
        }
    }

    fn take(&mut self, at: Moment, effect: PagingEffect) {
        match effect {
            PagingEffect::Tell { monitor } => {
                assert_ne!(self.runner.verdicts[&monitor], Verdict::Up, "{monitor} is up");
                self.told.insert(monitor.clone());
                let tells = self.tells.entry(monitor.clone()).or_default();
                *tells += 1;
                assert_eq!(*tells, 1, "{monitor} is told twice of one verdict");
            }
            PagingEffect::Update { monitor } => assert!(self.told.contains(&monitor), "{monitor}"),
            PagingEffect::Resolve { monitor } => {
                assert!(self.told.remove(&monitor), "{monitor} is resolved and was not told");
            }
            PagingEffect::Group(turn) => {
                let open = turn.members.iter().filter(|member| !member.is_over).count();
                let known = match turn.phase {
                    Phase::Began => self.groups.insert(turn.group, BTreeSet::new()).is_some(),
                    Phase::Goes => self.groups.contains_key(&turn.group),
                    Phase::Ended => self.groups.remove(&turn.group).is_some(),
                };
                assert_eq!(known, turn.phase != Phase::Began);
                assert_eq!(open == 0, turn.phase == Phase::Ended);
                let names = turn.members.into_iter().map(|member| member.monitor);
                if let Some(named) = self.groups.get_mut(&turn.group) {
                    named.extend(names);
                }
            }
            PagingEffect::Flapping(turn) => {
                let changed = match turn.phase {
                    Phase::Began => self.flapping.insert(turn.monitor),
                    Phase::Goes => self.flapping.contains(&turn.monitor),
                    Phase::Ended => self.flapping.remove(&turn.monitor),
                };
                assert!(changed, "{:?} out of order", turn.phase);
            }
            PagingEffect::AgentsOffline(offline) => self.away += offline.agents.len(),
            PagingEffect::AgentsBack(back) => self.away -= back.agents.len(),
            PagingEffect::Quiet { monitor, why: Quiet::Grouped { .. } } => {
                // One that nobody can tell of any more was down a moment ago.
                assert!(matches!(self.runner.verdicts[&monitor], Verdict::Down | Verdict::Unobserved));
            }
            PagingEffect::Quiet { .. } => {}
            PagingEffect::Remember(_) => assert!(at <= self.now),
        }
    }

    /// An open incident is told, or something explains it, and not for longer than that may.
    fn is_told_or_explained(&mut self, monitor: &MonitorId, verdict: Verdict) {
        let Some(wait) = self.runner.paging.wait(monitor).cloned() else {
            self.waits.remove(monitor);
            return assert!(self.told.contains(monitor), "{monitor} is {verdict:?} and nobody was told");
        };
        let since = match self.waits.get(monitor) {
            Some((before, since)) if std::mem::discriminant(before) == std::mem::discriminant(&wait) => {
                *since
            }
            Some(_) | None => self.now,
        };
        self.waits.insert(monitor.clone(), (wait.clone(), since));
        let span = self.now.since(since);
        match wait {
            Wait::Fleet { .. } => assert!(span <= Micros::from_secs(5), "{monitor} waits for {span}"),
            Wait::Parents { by, until, .. } => {
                let is_down = |parent: &MonitorId| self.runner.verdicts.get(parent) == Some(&Verdict::Down);
                assert!(!by.is_empty());
                if until.is_some() {
                    assert!(span <= Micros::from_secs(15), "{monitor} waits for {span}");
                } else if !by.iter().any(is_down) {
                    let back = by.iter().filter_map(|parent| self.since.get(parent)).max();
                    let clear = self.now.since(*back.unwrap());
                    assert!(
                        clear <= Micros::from_secs(60),
                        "{monitor} is held for {clear} after its parents"
                    );
                }
            }
            Wait::Group => {
                let named = self.groups.values().any(|members| members.contains(monitor));
                assert!(named || span <= Micros::from_secs(5), "{monitor} is in no group that was told");
            }
            Wait::Flapping => {
                assert!(self.flapping.contains(monitor), "{monitor} does not flap");
                if verdict == Verdict::Down {
                    let down = self.now.since(self.since[monitor]);
                    // It may have waited for the verdict on a parent before.
                    assert!(
                        down <= Micros::from_secs(300 + 15),
                        "{monitor} is down for {down} and nobody hears of it"
                    );
                }
            }
            Wait::Agents { .. } => assert_eq!(verdict, Verdict::Unobserved),
        }
    }
}

fn id(who: usize) -> MonitorId {
    format!("m{}", who + 1).parse().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_outage_is_told_or_explained(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new(true);
        for (gap, step) in &steps {
            world.pass(*gap, true);
            world.step(step);
        }
        // Then nothing happens any more: what waits is only what stands as long as its reason does.
        for agent in 1..4 {
            world.runner.step(world.now, &format!("heard r{agent}"));
        }
        for monitor in world.suspects.clone() {
            world.runner.handle(PagingEvent::Suspected { monitor, suspect: false }, world.now);
        }
        world.pass(3_600_000, true);
        prop_assert_eq!(world.away, 0);
        prop_assert!(world.flapping.is_empty());
        for (monitor, verdict) in world.runner.verdicts.clone() {
            match world.runner.paging.wait(&monitor) {
                None | Some(Wait::Group) => {}
                Some(Wait::Parents { by, .. }) => {
                    prop_assert!(by.iter().all(|parent| world.runner.verdicts[parent] == Verdict::Down));
                }
                Some(wait) => prop_assert!(false, "{monitor} is {verdict:?} and waits for {wait:?}"),
            }
        }
        // And when all is well, nothing is left over.
        for who in 0..12 {
            world.turn(who, Verdict::Up);
        }
        world.pass(1_800_000, true);
        prop_assert!(world.told.is_empty() && world.groups.is_empty() && world.flapping.is_empty());
        prop_assert_eq!(world.runner.paging.memories().iter().filter(|memory| {
            !matches!(memory, quorate_quorum::paging::Memory::Monitor(_, Some(kept)) if kept.edges.len() < 3)
        }).count(), 0);
    }

    /// Restarts at any point change nothing of what is told, nor when.
    #[test]
    fn restarts_lose_nothing(
        steps in prop::collection::vec(step(), 1..60),
        restarts in prop::collection::vec(any::<bool>(), 60),
    ) {
        let run = |restarts: &[bool]| {
            let mut world = World::new(false);
            for ((gap, step), restarts) in steps.iter().zip(restarts) {
                world.pass(*gap / 2, false);
                if *restarts {
                    world.runner.restart(world.now);
                    for monitor in world.suspects.clone() {
                        world.runner.handle(PagingEvent::Suspected { monitor, suspect: true }, world.now);
                    }
                }
                world.pass(*gap - *gap / 2, false);
                if !matches!(step, Step::Silent(_) | Step::Heard(_)) {
                    world.step(step);
                }
            }
            world.pass(3_600_000, false);
            world.runner.done
        };
        prop_assert_eq!(run(&[false; 60]), run(&restarts));
    }

    /// The same events give the same effects, however often it is called between them.
    #[test]
    fn it_is_a_fold(steps in prop::collection::vec(step(), 1..60)) {
        let run = |every: u64| {
            let mut runner = Runner::default();
            for (name, parents) in FAMILY {
                runner.step(Moment(0), &format!("watch {name} every 30 in 3 {parents}"));
            }
            let mut now = Moment(0);
            for (gap, step) in &steps {
                let end = now.after(Micros::from_millis(*gap));
                while every > 0 && now < end {
                    now = now.after(Micros::from_millis(every)).min(end);
                    runner.step(now, "end");
                }
                now = end;
                if let Step::Turn(who, to) = step {
                    runner.step(now, &format!("{} {}", to.name(), id(*who)));
                }
            }
            runner.step(now, "end");
            runner.effects
        };
        prop_assert_eq!(run(0), run(700));
    }
}

#[test]
fn a_policy_has_a_target() {
    let policy = Policy::new(BTreeSet::new(), Micros::from_secs(30), Micros::from_secs(10));
    assert_eq!(policy.target, "");
}
