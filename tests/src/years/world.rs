//! One monitor, its regions' agents, and the paths between, in virtual time around a real engine.

use std::{cmp::Reverse, collections::BinaryHeap};

use quorate_proto::{AgentKey, BootEpoch, Doubt, Micros, MonitorId, Region, Sequence, limits};
use quorate_quorum::{Effect, Engine, Event, Finding, Heartbeat, Moment, Observation, Rule, Source, Verdict};

use super::{Odd, Setup, clusters::Cluster};

/// From the start of a check that passes to its end.
const PASS_TAKES: Micros = Micros::from_millis(150);
/// From the start of a check that is refused to its end.
const REFUSAL_TAKES: Micros = Micros::from_millis(40);
/// Passes wait that long in the agent for others to share their batch.
const BATCHED: Micros = Micros::from_millis(100);
/// From the end of a failed attempt to the start of the second.
const BETWEEN_ATTEMPTS: Micros = Micros::from_secs(1);
/// Passes before the world is warm.
const WARM_UP: Micros = Micros::from_secs(600);

/// The label whose values are the domains.
const PROVIDER: &str = "provider";

/// A time in which checks fail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outage {
    /// From which regions, a bit each; all of them where the server itself fails.
    pub regions: u32,
    /// From then on.
    pub start: Moment,
    /// Not any more from then on.
    pub end: Moment,
    /// How.
    pub fault: Fault,
}

/// How a check fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// At once.
    Refused,
    /// After the whole timeout.
    Silent,
    /// After the whole timeout, by the agent's own fault; its heartbeats say that it is sick.
    Starved,
}

/// A change of the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: Moment,
    /// To what.
    pub to: Verdict,
    /// By which rule.
    pub rule: Rule,
}

/// The engine and the world around it.
#[derive(Clone)]
pub(super) struct World {
    engine: Engine,
    monitor: MonitorId,
    interval: Micros,
    timeout: Micros,
    agents: Vec<Agent>,
    now: Moment,
    ahead: BinaryHeap<Reverse<(Moment, u64, Happening)>>,
    happenings: u64,
    /// Outages in order of their start; those before the index are over.
    outages: Vec<Outage>,
    over: usize,
    odd: Option<Odd>,
    /// For each cluster, in order: its start, and which of its confirming attempts are lost.
    lost: Vec<(Moment, Vec<u32>)>,
    /// Confirming attempts since the cluster's start.
    attempts: u32,
    /// The verdict when nothing is wrong that was not always wrong.
    usual: Option<Verdict>,
    pub(super) changes: Vec<Change>,
    /// Events that the engine handled.
    pub(super) events: u64,
    /// Confirming attempts that agents made.
    pub(super) confirming: u64,
}

#[derive(Clone)]
struct Agent {
    key: AgentKey,
    region: Region,
    /// To the aggregator, one way.
    transit: Micros,
    /// Whether it works on a confirmation.
    is_confirming: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Heartbeat(u16),
    Scheduled(u16),
    Attempt { agent: u16, attempt: u8 },
    Result { agent: u16, passed: bool, took: Micros },
}

impl Fault {
    /// From the start of a check that fails so to its end.
    pub(super) fn takes(self, timeout: Micros) -> Micros {
        match self {
            Self::Refused => REFUSAL_TAKES,
            Self::Silent | Self::Starved => timeout,
        }
    }
}

impl Outage {
    pub(super) fn later(self, by: Moment) -> Self {
        Self { start: self.start.after(Micros(by.0)), end: self.end.after(Micros(by.0)), ..self }
    }

    pub(super) fn earlier(self, by: Micros) -> Self {
        Self { start: self.start.before(by), end: self.end.before(by), ..self }
    }
}

impl World {
    /// A world in which every region has passed for ten minutes, at the start of an interval.
    pub(super) fn warm(setup: &Setup) -> Self {
        let agents: Vec<Agent> = (0..setup.regions)
            .filter_map(|index| {
                let region = region(index)?;
                let mut key = [0; 32];
                key.fill(u8::try_from(index).ok()?);
                let transit = Micros::from_millis(20 + 25 * u64::from(index));
                Some(Agent { key: AgentKey(key), region, transit, is_confirming: false })
            })
            .collect();
        let Ok(monitor) = "watched".parse::<MonitorId>() else { unreachable!("the name is good") };
        let mut world = Self {
            engine: Engine::default(),
            monitor: monitor.clone(),
            interval: setup.interval,
            timeout: setup.timeout,
            agents,
            now: Moment(0),
            ahead: BinaryHeap::new(),
            happenings: 0,
            outages: Vec::new(),
            over: 0,
            odd: setup.odd,
            lost: Vec::new(),
            attempts: 0,
            usual: None,
            changes: Vec::new(),
            events: 0,
            confirming: 0,
        };
        world.tell(Event::Configure { monitor, policy: setup.policy() });
        world.enrol(setup.providers);
        for agent in 0..setup.regions {
            world.plan(Moment(0).after(phase(setup, agent)), Happening::Scheduled(agent));
            world.plan(Moment(u64::from(agent) * 700_000), Happening::Heartbeat(agent));
        }
        let warm = Moment(WARM_UP.0 - WARM_UP.0 % world.period().0);
        world.run_until(warm);
        world.changes.clear();
        world.usual = world.engine.monitor(&world.monitor, world.now).and_then(|state| state.verdict);
        world
    }

    /// Enrols every agent with the provider at which it stands.
    fn enrol(&mut self, providers: u16) {
        for (agent, index) in self.agents.clone().into_iter().zip(0_u16..) {
            let provider = index.checked_rem(providers).map(|provider| format!("p{provider}"));
            let labels = provider.map(|provider| (PROVIDER.to_owned(), provider)).into_iter().collect();
            self.tell(Event::Enrolled { agent: agent.key, region: agent.region, labels });
        }
    }

    /// After this time the world looks the same.
    pub(super) fn period(&self) -> Micros {
        self.interval
    }

    pub(super) fn now(&self) -> Moment {
        self.now
    }

    /// The verdict when nothing is wrong that was not always wrong.
    pub(super) fn usual(&self) -> Option<Verdict> {
        self.usual
    }

    /// Runs through clusters, in order of their start, and on until the verdict is as usual and nobody is suspect. They
    /// are moved later by `by`, and earlier by `back`.
    pub(super) fn carry_on<'a>(
        &mut self,
        clusters: impl Iterator<Item = &'a Cluster>,
        by: Moment,
        back: Micros,
    ) {
        self.outages.clear();
        self.lost.clear();
        for cluster in clusters {
            let moved = |outage: &Outage| outage.earlier(back).later(by);
            let start = cluster.outages.first().map_or(self.now, |outage| moved(outage).start);
            if !cluster.lost.is_empty() || !self.lost.is_empty() {
                self.lost.push((start, cluster.lost.clone()));
            }
            self.outages.extend(cluster.outages.iter().map(moved));
        }
        let end = self.outages.iter().map(|outage| outage.end).max().unwrap_or(self.now);
        self.over = 0;
        // What began in an outage has come in by then.
        self.run_until(end.after(self.timeout * 2).after(self.interval));
        let gives_up_at = self.now.after(Micros::from_secs(3600));
        while !self.is_quiet() && self.now < gives_up_at {
            self.run_until(self.now.after(self.interval));
        }
    }

    fn is_quiet(&self) -> bool {
        let state = self.engine.monitor(&self.monitor, self.now);
        state.is_some_and(|state| state.verdict == self.usual && !state.suspect)
    }

    /// Lets everything happen that lies before a moment.
    fn run_until(&mut self, end: Moment) {
        loop {
            let next = self.ahead.peek().map(|Reverse((at, ..))| *at).unwrap_or(end);
            let deadline = self.engine.next_deadline().unwrap_or(end);
            if deadline.min(next) >= end {
                self.now = end;
                return;
            }
            if deadline <= next {
                self.now = deadline;
                self.tell(Event::Tick);
            } else if let Some(Reverse((at, _, happening))) = self.ahead.pop() {
                self.now = at;
                self.happen(happening);
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Heartbeat(index) => {
                self.plan(self.now.after(limits::HEALTH_INTERVAL), happening);
                let Some(agent) = self.agents.get(usize::from(index)) else { return };
                let (agent, region) = (agent.key, agent.region.clone());
                let is_starved = self.outage(index) == Some(Fault::Starved);
                let sick = is_starved.then_some(Doubt::EventLoopLate);
                self.tell(Event::Heartbeat(Heartbeat { agent, region, revision: 1, sick }));
            }
            Happening::Scheduled(agent) => {
                self.plan(self.now.after(self.interval), happening);
                self.check(agent, false);
            }
            Happening::Attempt { agent, attempt } => self.attempt(agent, attempt),
            Happening::Result { agent, passed, took } => self.receive(agent, passed, took),
        }
    }

    /// Answers a confirmation: up to two attempts, the second only where the first failed.
    fn attempt(&mut self, index: u16, attempt: u8) {
        let Some(agent) = self.agents.get_mut(usize::from(index)) else { return };
        if attempt == 1 && agent.is_confirming {
            return;
        }
        agent.is_confirming = false;
        let is_lost = self.is_lost();
        let (passed, took) = self.check(index, is_lost);
        if !passed && attempt == 1 {
            if let Some(agent) = self.agents.get_mut(usize::from(index)) {
                agent.is_confirming = true;
            }
            self.plan(
                self.now.after(took).after(BETWEEN_ATTEMPTS),
                Happening::Attempt { agent: index, attempt: 2 },
            );
        }
    }

    /// Counts a confirming attempt; says whether it is one of those that are lost.
    fn is_lost(&mut self) -> bool {
        self.confirming += 1;
        let begun = self.lost.iter().take_while(|(start, _)| *start <= self.now).count();
        if begun > 1 {
            self.lost.drain(..begun - 1);
            self.attempts = 0;
        }
        let Some((_, lost)) = self.lost.first().filter(|(start, _)| *start <= self.now) else { return false };
        let attempt = self.attempts;
        self.attempts += 1;
        lost.contains(&attempt)
    }

    /// Makes a check that begins at this moment, and sends its result.
    fn check(&mut self, index: u16, is_lost: bool) -> (bool, Micros) {
        let fault = match self.odd.filter(|_| index == 0) {
            Some(Odd::FailsAll) => Some(Fault::Refused),
            Some(Odd::PassesAll) => None,
            None => self.outage(index).or_else(|| is_lost.then_some(Fault::Refused)),
        };
        let took = fault.map_or(PASS_TAKES, |fault| fault.takes(self.timeout));
        let passed = fault.is_none();
        let transit = self.agents.get(usize::from(index)).map_or(Micros::ZERO, |agent| agent.transit);
        let batched = if passed { BATCHED } else { Micros::ZERO };
        let received = self.now.after(took).after(batched).after(transit);
        self.plan(received, Happening::Result { agent: index, passed, took });
        (passed, took)
    }

    /// What is wrong with a region at this moment; that its agent is starved outweighs the rest.
    fn outage(&mut self, index: u16) -> Option<Fault> {
        let now = self.now;
        while self.outages.get(self.over).is_some_and(|outage| outage.end <= now) {
            self.over += 1;
        }
        let begun = self.outages.iter().skip(self.over).take_while(|outage| outage.start <= now);
        let mine = begun.filter(|outage| outage.regions & (1 << index) != 0 && now < outage.end);
        mine.map(|outage| outage.fault).reduce(|one, other| if other == Fault::Starved { other } else { one })
    }

    /// The aggregator gets a result. It knows the age and the duration as the agent measured them, and not the transit.
    fn receive(&mut self, index: u16, passed: bool, took: Micros) {
        let Some(agent) = self.agents.get(usize::from(index)) else { return };
        let batched = if passed { BATCHED } else { Micros::ZERO };
        let ended = self.now.before(batched);
        let observation = Observation {
            monitor: self.monitor.clone(),
            region: agent.region.clone(),
            started: ended.before(took),
            ended,
            finding: if passed { Finding::Passed } else { Finding::Failed },
            revision: 1,
            source: Source {
                agent: agent.key,
                epoch: BootEpoch(1),
                sequence: Sequence(self.happenings),
                index: 0,
            },
        };
        self.tell(Event::Observed(observation));
    }

    fn tell(&mut self, event: Event) {
        self.events += 1;
        for effect in self.engine.handle(event, self.now) {
            match effect {
                Effect::Changed(change) => {
                    self.changes.push(Change {
                        at: change.timeline.decided_at,
                        to: change.to,
                        rule: change.rule,
                    });
                }
                Effect::Restarted { .. } => {}
                Effect::Suspected { .. } => {}
                Effect::Withheld(_) | Effect::Outlier(_) | Effect::OutlierOver { .. } => {}
                Effect::Confirm { regions, .. } => {
                    for region in regions {
                        let Some(index) = self.agents.iter().position(|agent| agent.region == region) else {
                            continue;
                        };
                        let transit = self.agents.get(index).map_or(Micros::ZERO, |agent| agent.transit);
                        let agent = u16::try_from(index).unwrap_or(u16::MAX);
                        self.plan(self.now.after(transit), Happening::Attempt { agent, attempt: 1 });
                    }
                }
            }
        }
    }

    fn plan(&mut self, at: Moment, happening: Happening) {
        self.happenings += 1;
        self.ahead.push(Reverse((at, self.happenings, happening)));
    }
}

/// The name of a region.
pub(super) fn region(index: u16) -> Option<Region> {
    format!("r{index}").parse().ok()
}

/// Where a region's scheduled checks lie in the interval.
pub(super) fn phase(setup: &Setup, region: u16) -> Micros {
    Micros(setup.interval.0 * u64::from(region) / u64::from(setup.regions))
}
