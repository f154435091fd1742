//! One monitor, its regions' agents, and the paths between, in virtual time around a real engine.

use std::{cmp::Reverse, collections::BinaryHeap};

use quorate_proto::{AgentKey, BootEpoch, Micros, MonitorId, Region, Sequence, limits};
use quorate_quorum::{
    Effect, Engine, Event, Finding, Heartbeat, Moment, Observation, Policy, Source, Verdict,
};

use super::Setup;

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

/// A time in which checks fail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outage {
    /// From which region; none: from all, because the server itself fails.
    pub region: Option<u16>,
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
}

/// A change of the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: Moment,
    /// To what.
    pub to: Verdict,
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
    pub(super) changes: Vec<Change>,
    /// Events that the engine handled.
    pub(super) events: u64,
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
                let region = format!("r{index}").parse().ok()?;
                let mut key = [0; 32];
                key.fill(u8::try_from(index).ok()?);
                let transit = Micros::from_millis(20 + 25 * u64::from(index));
                Some(Agent { key: AgentKey(key), region, transit, is_confirming: false })
            })
            .collect();
        let policy = Policy {
            quorum: setup.quorum,
            sensitivity: setup.sensitivity,
            revision: 1,
            ..Policy::new(
                agents.iter().map(|agent| agent.region.clone()).collect(),
                setup.interval,
                setup.timeout,
            )
        };
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
            changes: Vec::new(),
            events: 0,
        };
        world.tell(Event::Configure { monitor, policy });
        for agent in 0..setup.regions {
            let phase = Micros(setup.interval.0 * u64::from(agent) / u64::from(setup.regions));
            world.plan(Moment(0).after(phase), Happening::Scheduled(agent));
            world.plan(Moment(u64::from(agent) * 700_000), Happening::Heartbeat(agent));
        }
        let warm = Moment(WARM_UP.0 - WARM_UP.0 % world.period().0);
        world.run_until(warm);
        world.changes.clear();
        world
    }

    /// After this time the world looks the same.
    pub(super) fn period(&self) -> Micros {
        self.interval
    }

    pub(super) fn now(&self) -> Moment {
        self.now
    }

    /// Runs through outages, in order of their start, and on until the verdict is up and nobody is suspect.
    pub(super) fn carry_on(&mut self, outages: Vec<Outage>) {
        let end = outages.iter().map(|outage| outage.end).max().unwrap_or(self.now);
        self.outages = outages;
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
        state.is_some_and(|state| state.verdict == Some(Verdict::Up) && !state.suspect)
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
                self.tell(Event::Heartbeat(Heartbeat { agent, region, revision: 1, sick: false }));
            }
            Happening::Scheduled(agent) => {
                self.plan(self.now.after(self.interval), happening);
                self.check(agent);
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
        let (passed, took) = self.check(index);
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

    /// Makes a check that begins at this moment, and sends its result.
    fn check(&mut self, index: u16) -> (bool, Micros) {
        let fault = self.fault(index);
        let took = match fault {
            None => PASS_TAKES,
            Some(Fault::Refused) => REFUSAL_TAKES,
            Some(Fault::Silent) => self.timeout,
        };
        let passed = fault.is_none();
        let transit = self.agents.get(usize::from(index)).map_or(Micros::ZERO, |agent| agent.transit);
        let batched = if passed { BATCHED } else { Micros::ZERO };
        let received = self.now.after(took).after(batched).after(transit);
        self.plan(received, Happening::Result { agent: index, passed, took });
        (passed, took)
    }

    fn fault(&mut self, index: u16) -> Option<Fault> {
        let now = self.now;
        while self.outages.get(self.over).is_some_and(|outage| outage.end <= now) {
            self.over += 1;
        }
        let begun = self.outages.iter().skip(self.over).take_while(|outage| outage.start <= now);
        let mut mine =
            begun.filter(|outage| outage.region.is_none_or(|region| region == index) && now < outage.end);
        mine.next().map(|outage| outage.fault)
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
                    self.changes.push(Change { at: change.timeline.decided_at, to: change.to });
                }
                Effect::Restarted { .. } => {}
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
