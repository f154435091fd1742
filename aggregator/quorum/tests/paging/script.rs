//! A small language for verdicts and agents, and for whom paging tells of them.
//!
//! ```text
//! watch shop every 30 in 3 on shop.org after gateway      T = 30 s, regions r1..r3; defaults: 30, 5, NAME.org, no parent
//! watch m1..m9                                            nine monitors
//! agents r1 r2/b                                          report their health every five seconds from the start
//! 10 down shop, partial shop, up shop, unobserved shop    verdicts
//! 10..20/1 down m1..m11                                   one of them each second
//! 12 suspect m1..m6, clear m1                             suspicions
//! 20 silent r1, heard r1, forget r1, pause
//! 30 restart                                              all that was remembered comes back, and nothing else
//! 40 unwatch shop, end
//! ```
//!
//! What is done is written one effect a line; what is to be remembered is kept by the script and not written.

use std::collections::{BTreeMap, BTreeSet};

use quorate_proto::{AgentKey, Micros, MonitorId, Region};
use quorate_quorum::{
    Moment, Paging, PagingEffect, PagingEvent, PagingSettings, Policy, Verdict,
    paging::{FlappingTurn, GroupTurn, Memory, Phase, Quiet},
};

/// Runs a script and compares what is done.
#[track_caller]
pub(crate) fn check(script: &str, expected: &str) {
    let lines = |text: &str| {
        text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
    };
    let mut runner = Runner::default();
    runner.run(script);
    let done = runner.done.join("\n");
    assert_eq!(lines(&done), lines(expected), "\n--- did:\n{done}\n--- script:\n{script}");
}

pub(crate) struct Runner {
    pub(crate) paging: Paging,
    pub(crate) done: Vec<String>,
    pub(crate) effects: Vec<(Moment, PagingEffect)>,
    watched: BTreeMap<MonitorId, (Policy, BTreeSet<MonitorId>)>,
    pub(crate) verdicts: BTreeMap<MonitorId, Verdict>,
    agents: BTreeSet<String>,
    silent: BTreeSet<String>,
    kept: BTreeMap<String, Memory>,
}

impl Default for Runner {
    fn default() -> Self {
        Self {
            paging: Paging::new(PagingSettings::default()),
            done: vec![],
            effects: vec![],
            watched: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            agents: BTreeSet::new(),
            silent: BTreeSet::new(),
            kept: BTreeMap::new(),
        }
    }
}

impl Runner {
    fn run(&mut self, script: &str) {
        let mut steps = steps(script);
        let end = steps.iter().map(|(at, _)| *at).max().unwrap_or_default();
        steps.extend((0..=end.0 / 5_000_000).map(|beat| (Moment(beat * 5_000_000), "beat".to_owned())));
        steps.sort_by_key(|(at, what)| (*at, what != "beat" && !what.starts_with("watch ")));
        for (at, what) in steps {
            self.step(at, &what);
        }
    }

    pub(crate) fn handle(&mut self, event: PagingEvent, at: Moment) {
        while let Some(deadline) = self.paging.next_deadline().filter(|deadline| *deadline <= at) {
            let effects = self.paging.handle(PagingEvent::Tick, deadline);
            self.take(effects, deadline);
        }
        let effects = self.paging.handle(event, at);
        self.take(effects, at);
    }

    fn take(&mut self, effects: Vec<PagingEffect>, at: Moment) {
        for effect in effects {
            if let PagingEffect::Remember(memory) = &effect {
                self.remember((**memory).clone());
            }
            if let Some(words) = words(&effect) {
                self.done.push(format!("{} {words}", seconds_of(at)));
            }
            self.effects.push((at, effect));
        }
    }

    fn remember(&mut self, memory: Memory) {
        let (key, is_kept) = match &memory {
            Memory::Monitor(id, kept) => (format!("monitor {id}"), kept.is_some()),
            Memory::Group(group, kept) => (format!("group {}", group.0), kept.is_some()),
            Memory::Agent(agent, kept) => (format!("agent {agent}"), kept.is_some()),
        };
        match is_kept {
            true => self.kept.insert(key, memory),
            false => self.kept.remove(&key),
        };
    }

    /// Nothing survives but what was remembered, the verdicts, the configuration and the list of agents.
    pub(crate) fn restart(&mut self, at: Moment) {
        self.handle(PagingEvent::Tick, at);
        let memories = self.kept.values().cloned().collect::<Vec<_>>();
        let mut told = self.paging.memories();
        told.sort_by_key(|memory| format!("{memory:?}"));
        let mut kept = memories.clone();
        kept.sort_by_key(|memory| format!("{memory:?}"));
        assert_eq!(told, kept, "what was given out is what there is");
        self.paging = Paging::restored(PagingSettings::default(), memories, self.verdicts.clone(), at);
        for (monitor, (policy, parents)) in self.watched.clone() {
            let policy = Box::new(policy);
            self.handle(PagingEvent::Watch { monitor, policy, parents }, at);
        }
        for name in self.agents.clone() {
            self.handle(PagingEvent::Enrolled { agent: key(&name), region: region(&name) }, at);
        }
        self.handle(PagingEvent::Started, at);
    }

    pub(crate) fn step(&mut self, at: Moment, what: &str) {
        let words: Vec<&str> = what.split_whitespace().collect();
        match words[..] {
            ["end"] => self.handle(PagingEvent::Tick, at),
            ["pause"] => self.handle(PagingEvent::Paused, at),
            ["restart"] => self.restart(at),
            ["beat"] => {
                self.handle(PagingEvent::Tick, at);
                for name in self.agents.difference(&self.silent).cloned().collect::<Vec<_>>() {
                    self.beat(&name, at);
                }
            }
            ["watch", names, ..] => {
                for name in range(names) {
                    self.watch(&name, &words, at);
                }
            }
            [verb, ref names @ ..] => {
                for name in names.iter().flat_map(|names| range(names)) {
                    self.act(verb, &name, at);
                }
            }
            [] => {}
        }
    }

    fn watch(&mut self, name: &str, words: &[&str], at: Moment) {
        let option = |key: &str| words.iter().position(|word| *word == key).map(|index| words[index + 1]);
        let regions = option("in").unwrap_or("5").parse::<u16>().unwrap();
        let interval = Micros::from_secs(option("every").unwrap_or("30").parse().unwrap());
        let regions = (1..=regions).map(|number| format!("r{number}").parse().unwrap()).collect();
        let target = option("on").map_or(format!("{name}.org"), str::to_owned);
        let policy = Policy { target, ..Policy::new(regions, interval, Micros::from_secs(10)) };
        let parents = option("after").into_iter().flat_map(|names| names.split(','));
        let parents = parents.map(|parent| parent.parse().unwrap()).collect::<BTreeSet<_>>();
        let monitor: MonitorId = name.parse().unwrap();
        self.watched.insert(monitor.clone(), (policy.clone(), parents.clone()));
        self.handle(PagingEvent::Watch { monitor, policy: Box::new(policy), parents }, at);
    }

    fn act(&mut self, verb: &str, name: &str, at: Moment) {
        let monitor = || name.parse::<MonitorId>().unwrap();
        let event = match verb {
            "agents" | "heard" => {
                self.agents.insert(name.to_owned());
                self.silent.remove(name);
                return self.beat(name, at);
            }
            "silent" => {
                self.silent.insert(name.to_owned());
                return;
            }
            "forget" => {
                self.agents.remove(name);
                PagingEvent::Forgotten { agent: key(name) }
            }
            "suspect" | "clear" => PagingEvent::Suspected { monitor: monitor(), suspect: verb == "suspect" },
            "unwatch" => {
                self.watched.remove(&monitor());
                self.verdicts.remove(&monitor());
                PagingEvent::Unwatch { monitor: monitor() }
            }
            verdict => {
                let to = Verdict::from_name(verdict).unwrap_or_else(|| panic!("unknown verb: {verdict}"));
                self.verdicts.insert(monitor(), to);
                PagingEvent::Turned { monitor: monitor(), to }
            }
        };
        self.handle(event, at);
    }

    fn beat(&mut self, name: &str, at: Moment) {
        self.handle(PagingEvent::Heard { agent: key(name), region: region(name) }, at);
    }
}

fn steps(script: &str) -> Vec<(Moment, String)> {
    let seconds = |text: &str| Moment((text.parse::<f64>().unwrap() * 1e6).round() as u64);
    let mut steps = Vec::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with("watch ") || line.starts_with("agents ") {
            steps.push((Moment(0), line.to_owned()));
            continue;
        }
        let (times, what) = line.split_once(' ').unwrap();
        let Some((from, rest)) = times.split_once("..") else {
            steps.extend(what.split(',').map(|what| (seconds(times), what.trim().to_owned())));
            continue;
        };
        // One name a time.
        let (_, every) = rest.split_once('/').unwrap();
        let (verb, names) = what.split_once(' ').unwrap();
        let mut at = seconds(from);
        for name in range(names) {
            steps.push((at, format!("{verb} {name}")));
            at = at.after(Micros(seconds(every).0));
        }
    }
    steps
}

/// `m1..m3` as three names.
fn range(names: &str) -> Vec<String> {
    let Some((first, last)) = names.split_once("..") else { return vec![names.to_owned()] };
    let digits = first.find(|letter: char| letter.is_ascii_digit()).unwrap();
    let (stem, from) = first.split_at(digits);
    let (from, to): (u32, u32) = (from.parse().unwrap(), last[digits..].parse().unwrap());
    (from..=to).map(|number| format!("{stem}{number}")).collect()
}

fn region(name: &str) -> Region {
    name.split('/').next().unwrap().parse().unwrap()
}

fn key(name: &str) -> AgentKey {
    let mut key = [0; 32];
    key[..name.len()].copy_from_slice(name.as_bytes());
    AgentKey(key)
}

fn name(key: AgentKey) -> String {
    String::from_utf8(key.0.iter().copied().filter(|byte| *byte != 0).collect()).unwrap()
}

fn seconds_of(moment: Moment) -> String {
    (moment.0 as f64 / 1e6).to_string()
}

fn words(effect: &PagingEffect) -> Option<String> {
    let list =
        |names: &BTreeSet<MonitorId>| names.iter().map(MonitorId::as_str).collect::<Vec<_>>().join(" ");
    Some(match effect {
        PagingEffect::Tell { monitor } => format!("tell {monitor}"),
        PagingEffect::Update { monitor } => format!("update {monitor}"),
        PagingEffect::Resolve { monitor } => format!("resolve {monitor}"),
        PagingEffect::Quiet { monitor, why } => match why {
            Quiet::Held { by } => format!("hold {monitor} by {}", list(by)),
            // The group's own message names it.
            Quiet::Grouped { .. } => return None,
            Quiet::Flapping => format!("hush {monitor}"),
            Quiet::AgentsSilent => format!("blind {monitor}"),
        },
        PagingEffect::Group(turn) => group(turn),
        PagingEffect::Flapping(turn) => flapping(turn),
        PagingEffect::AgentsOffline(offline) => {
            let agents = offline.agents.iter().map(|away| {
                let others =
                    if away.substitutes > 0 { format!("(+{})", away.substitutes) } else { String::new() };
                format!("{}{others}", name(away.agent))
            });
            let losses = offline.monitors.iter().map(|loss| {
                let needed = loss.needed.map_or("none".to_owned(), |needed| needed.to_string());
                format!("; {} {} of {} left, {needed} needed", loss.monitor, loss.voters, loss.of)
            });
            let agents = agents.collect::<Vec<_>>().join(" ");
            format!("offline {agents}, {} heard{}", offline.heard, losses.collect::<String>())
        }
        PagingEffect::AgentsBack(back) => {
            let agents = back.agents.iter().map(|back| name(back.agent)).collect::<Vec<_>>();
            format!("back {}, {} away", agents.join(" "), back.away)
        }
        PagingEffect::Remember(_) => return None,
    })
}

/// `group began m1 m2* m3+ of 7`: a star for one that was paged before, a plus for one that is named for the first time after
/// the group's first message, brackets for one that is over.
fn group(turn: &GroupTurn) -> String {
    let member = |member: &quorate_quorum::paging::GroupMember| {
        let mark = match (member.is_paged, member.is_new && turn.phase != Phase::Began) {
            (true, _) => "*",
            (false, true) => "+",
            (false, false) => "",
        };
        if member.is_over { format!("({})", member.monitor) } else { format!("{}{mark}", member.monitor) }
    };
    let members = turn.members.iter().map(member).collect::<Vec<_>>().join(" ");
    format!("group {} {members} of {} on {}", phase(turn.phase), turn.monitors, turn.targets)
}

fn flapping(turn: &FlappingTurn) -> String {
    let verdict = turn.verdict.map_or("gone", Verdict::name);
    format!(
        "flapping {} {} {verdict}: {} edges ({} new), down {} ({} new)",
        turn.monitor,
        phase(turn.phase),
        turn.edges,
        turn.edges_new,
        turn.down_for,
        turn.down_new
    )
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Began => "began",
        Phase::Goes => "goes on",
        Phase::Ended => "ended",
    }
}
