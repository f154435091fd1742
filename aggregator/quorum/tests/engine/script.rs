//! A small language for what happens to one monitor, and for what the engine is to do about it.
//!
//! ```text
//! watch 5 every 30          five regions r1..r5, T = 30 s (timeout 10 s); then options as in `Script::watch`
//! 0 ok all                  at 0 s a check of every region passes
//! 30..90/30 fail r1 r2      at 30, 60, 90 s a check of r1 and one of r2 fail
//! 40 fail r3 took 10        the check began at 30 s
//! 41 ok r3 aged 20          the check ended at 21 s
//! 41 ok r3 under 0          it was made under revision 0, whatever its agent works under
//! 42 fault r3               the agent itself was at fault
//! 50 fail r1/b              a second agent of r1
//! 60 silent r4, heard r4, sick r4, well r4, forget r4, revision 2 r4, old r4 (heartbeats of revision 0)
//! 65 close r1 r2, cut r3    canaries of r1 and r2 are closed with an announcement, that of r3 without
//! 66 open r1                a canary of r1 is open again
//! 70 restore down, 70 remove, 70 watch …
//! 0 label r1 r2 provider=a  agents of r1 and r2 are enrolled with a label
//! 99 end                    nothing; time passes
//! ```
//!
//! Agents that were not declared silent send a heartbeat every five seconds from the start (`absent` in the options: none
//! does before it is `heard`). The engine is ticked at its deadlines. What it does is written one effect a line.

use std::collections::{BTreeMap, BTreeSet};

use quorate_proto::{AgentKey, BootEpoch, Doubt, Micros, MonitorId, Region, Sequence};
use quorate_quorum::{
    Calibrated, CanaryReport, CanaryTurn, Effect, Engine, Event, Finding, Heartbeat, Moment, Observation,
    Outlier, Policy, Quorum, Rule, Sensitivity, Source, Verdict, Vote, judge,
};

/// Runs a script and compares what the engine does.
#[track_caller]
pub(crate) fn check(script: &str, expected: &str) {
    let lines = |text: &str| {
        text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
    };
    let done = run(script).0;
    assert_eq!(lines(&done), lines(expected), "\n--- did:\n{done}\n--- script:\n{script}");
}

/// Runs a script; gives what the engine did, in words and as it is.
pub(crate) fn run(script: &str) -> (String, Vec<Effect>, Engine) {
    let mut runner = Runner::default();
    let mut steps = steps(script);
    let end = steps.iter().map(|(at, _)| *at).max().unwrap_or_default();
    steps.extend((0..=end.0 / 5_000_000).map(|beat| (Moment(beat * 5_000_000), "beat".to_owned())));
    // Heartbeats first, so that who is there is known before it is counted.
    steps.sort_by_key(|(at, what)| (*at, what != "beat" && !what.starts_with("watch")));
    for (at, what) in steps {
        runner.step(at, &what);
    }
    for effect in &runner.effects {
        judge_again(effect);
    }
    let told = runner.effects.iter().filter(|effect| !matches!(effect, Effect::Suspected { .. }));
    let words = told.map(words).collect::<Vec<_>>().join("\n");
    (words, runner.effects, runner.engine)
}

/// The rules give every verdict again from its grounds alone.
#[track_caller]
pub(crate) fn judge_again(effect: &Effect) {
    let Effect::Changed(change) = effect else { return };
    let judged = judge(&change.grounds, change.from);
    assert_eq!(judged.verdict, Some((change.to, change.rule)), "{:#?}", change.grounds);
    for (vote, counted) in judged.votes.iter().zip(&change.votes) {
        let both_abstain = matches!((vote, counted.vote), (Vote::Abstain(_), Vote::Abstain(_)));
        assert!(both_abstain || *vote == counted.vote, "{change:#?}");
    }
}

/// Seconds as a moment.
pub(crate) fn seconds(text: &str) -> Micros {
    Micros((text.parse::<f64>().unwrap_or_else(|_| panic!("seconds: {text}")) * 1e6).round() as u64)
}

fn steps(script: &str) -> Vec<(Moment, String)> {
    let mut steps = Vec::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with("watch") {
            steps.push((Moment(0), line.to_owned()));
            continue;
        }
        let (times, what) = line.split_once(' ').unwrap();
        let Some((from, rest)) = times.split_once("..") else {
            steps.push((Moment(seconds(times).0), what.to_owned()));
            continue;
        };
        let (to, every) = rest.split_once('/').unwrap();
        let (mut at, to, every) = (seconds(from).0, seconds(to).0, seconds(every).0);
        while at <= to {
            steps.push((Moment(at), what.to_owned()));
            at += every;
        }
    }
    steps
}

#[derive(Default)]
struct Runner {
    engine: Engine,
    effects: Vec<Effect>,
    policy: Option<Policy>,
    /// Region, revision and sickness of every agent that sends heartbeats, by its name.
    agents: BTreeMap<String, (Region, u64, bool)>,
    observations: u64,
}

impl Runner {
    fn handle(&mut self, event: Event, at: Moment) {
        while let Some(deadline) = self.engine.next_deadline().filter(|deadline| *deadline <= at) {
            self.effects.extend(self.engine.handle(Event::Tick, deadline));
        }
        self.effects.extend(self.engine.handle(event, at));
    }

    fn step(&mut self, at: Moment, what: &str) {
        let words: Vec<&str> = what.split_whitespace().collect();
        let monitor = monitor();
        match words[..] {
            ["end"] => self.handle(Event::Tick, at),
            ["beat"] => {
                for name in self.agents.keys().cloned().collect::<Vec<_>>() {
                    self.beat(&name, at);
                }
            }
            ["watch", ..] => self.watch(&words, at),
            ["remove"] => self.handle(Event::Remove { monitor }, at),
            ["restore", verdict] => {
                let verdict = Verdict::from_name(verdict).unwrap();
                self.handle(Event::Restore { monitor, verdict, since: Moment(0) }, at);
            }
            ["revision", revision, ref who @ ..] => {
                for name in self.names(who) {
                    self.agents.get_mut(&name).unwrap().1 = revision.parse().unwrap();
                    self.beat(&name, at);
                }
            }
            ["label", ref who @ .., label] => {
                let (label, value) = label.split_once('=').unwrap();
                for name in self.names(who) {
                    let region = name.split('/').next().unwrap().parse().unwrap();
                    let labels = [(label.to_owned(), value.to_owned())].into();
                    self.handle(Event::Enrolled { agent: key(&name), region, labels }, at);
                }
            }
            [verb, ref who @ ..] => {
                for name in self.names(who) {
                    self.act(verb, &name, who, at);
                }
            }
            [] => {}
        }
    }

    /// `watch N every T`, and any of: `timeout S`, `quorum majority|all-but-one|all|N`, `confirm S`, `fast`, `strict`,
    /// `budget S`, `domains N`, `revision R`, `absent`; and as measured: `span S`, `together S`, `most S`, `noisy r1,r2`.
    fn watch(&mut self, words: &[&str], at: Moment) {
        let option = |key: &str| words.iter().position(|word| *word == key).map(|index| words[index + 1]);
        let regions: Vec<Region> = (1..=words[1].parse::<u16>().unwrap())
            .map(|number| format!("r{number}").parse().unwrap())
            .collect();
        let policy = Policy {
            quorum: match option("quorum") {
                None => Quorum::Default,
                Some("majority") => Quorum::Majority,
                Some("all-but-one") => Quorum::AllButOne,
                Some("all") => Quorum::All,
                Some(number) => Quorum::AtLeast(number.parse().unwrap()),
            },
            confirm_for: option("confirm").map(seconds),
            sensitivity: match words.iter().find(|word| ["fast", "strict"].contains(word)) {
                Some(&"fast") => Sensitivity::Fast,
                Some(_) => Sensitivity::Strict,
                None => Sensitivity::Balanced,
            },
            restart_budget: seconds(option("budget").unwrap_or("30")),
            min_domains: option("domains").map_or(2, |number| number.parse().unwrap()),
            revision: option("revision").map_or(1, |revision| revision.parse().unwrap()),
            calibrated: ["span", "together", "most", "noisy"].iter().any(|key| option(key).is_some()).then(
                || {
                    let noisy = option("noisy").into_iter().flat_map(|names| names.split(','));
                    let noisy: BTreeSet<Region> = noisy.map(|name| name.parse().unwrap()).collect();
                    let together = option("together");
                    Calibrated {
                        span: seconds(together.or(option("span")).unwrap_or("11")),
                        together: together.is_some(),
                        majority_span: seconds(option("most").unwrap_or("90")),
                        voters: u16::try_from(regions.len() - noisy.len()).unwrap(),
                        noisy,
                    }
                },
            ),
            ..Policy::new(
                regions.iter().cloned().collect(),
                seconds(option("every").unwrap()),
                seconds(option("timeout").unwrap_or("10")),
            )
        };
        self.policy = Some(policy.clone());
        self.handle(Event::Configure { monitor: monitor(), policy }, at);
        if !words.contains(&"absent") && self.agents.is_empty() {
            for region in regions {
                self.agents.insert(region.to_string(), (region, 1, false));
            }
        }
    }

    fn names(&self, who: &[&str]) -> Vec<String> {
        if who.first() == Some(&"all") {
            return self.policy.as_ref().unwrap().regions.iter().map(Region::to_string).collect();
        }
        let names = who.iter().take_while(|word| !["took", "aged", "under"].contains(word));
        names.map(|name| (*name).to_owned()).collect()
    }

    fn act(&mut self, verb: &str, name: &str, words: &[&str], at: Moment) {
        let region: Region = name.split('/').next().unwrap().parse().unwrap();
        let finding = match verb {
            "ok" => Finding::Passed,
            "fail" => Finding::Failed,
            "fault" => Finding::AgentsOwnFault,
            "close" | "cut" | "open" => return self.canary(verb, name, region, words, at),
            "silent" => {
                self.agents.remove(name);
                return;
            }
            "forget" => {
                self.agents.remove(name);
                return self.handle(Event::Forget { agent: key(name) }, at);
            }
            "heard" | "sick" | "well" | "old" => {
                self.agents.insert(name.to_owned(), (region, u64::from(verb != "old"), verb == "sick"));
                return self.beat(name, at);
            }
            other => panic!("unknown verb: {other}"),
        };
        let option = |key: &str| {
            words.iter().position(|word| *word == key).map_or(Micros(0), |index| seconds(words[index + 1]))
        };
        let ended = at.before(option("aged"));
        self.observations += 1;
        let observation = Observation {
            monitor: monitor(),
            region,
            started: ended.before(option("took")),
            ended,
            finding,
            revision: self.revision(name, words),
            source: Source {
                agent: key(name),
                epoch: BootEpoch(1),
                sequence: Sequence(self.observations),
                index: 0,
            },
        };
        self.handle(Event::Observed(observation), at);
    }

    fn canary(&mut self, verb: &str, name: &str, region: Region, words: &[&str], at: Moment) {
        let aged = words.iter().position(|word| *word == "aged").map(|index| seconds(words[index + 1]));
        let turn = match verb {
            "open" => CanaryTurn::Opened,
            _ => CanaryTurn::Ended { announced: verb == "close" },
        };
        let revision = self.revision(name, words);
        let at_then = at.before(aged.unwrap_or_default());
        let report =
            CanaryReport { monitor: monitor(), region, agent: key(name), at: at_then, turn, revision };
        self.handle(Event::Canary(report), at);
    }

    /// The revision that something was made under: what the words say, or what the agent works under.
    fn revision(&self, name: &str, words: &[&str]) -> u64 {
        let under = words.iter().position(|word| *word == "under").map(|index| words[index + 1]);
        let works_under = self.agents.get(name).map_or(1, |agent| agent.1);
        under.map_or(works_under, |under| under.parse().unwrap())
    }

    fn beat(&mut self, name: &str, at: Moment) {
        let (region, revision, sick) = self.agents[name].clone();
        let sick = sick.then_some(Doubt::EventLoopLate);
        self.handle(Event::Heartbeat(Heartbeat { agent: key(name), region, revision, sick }), at);
    }
}

/// The one monitor of a script.
pub(crate) fn monitor() -> MonitorId {
    "m".parse().unwrap()
}

fn key(name: &str) -> AgentKey {
    let mut key = [0; 32];
    key[..name.len()].copy_from_slice(name.as_bytes());
    AgentKey(key)
}

/// One effect in words: `12.5 ask r1 r2`, `12.5 up -> down: 4 of 5 fail for 11s (4 for 11s needed), first 1, suspected 1.5,
/// quorum 2`.
fn words(effect: &Effect) -> String {
    let named = |outlier: &Outlier| format!("{} {:?}", outlier.region, outlier.contradiction);
    let change = match effect {
        Effect::Confirm { regions, request, .. } => {
            let regions: Vec<&str> = regions.iter().map(Region::as_str).collect();
            return format!("{} ask {}", at(Moment(*request)), regions.join(" "));
        }
        Effect::Changed(change) => change,
        Effect::Restarted { regions, began, took, .. } => {
            let regions: Vec<&str> = regions.iter().map(Region::as_str).collect();
            return format!("restarted {}: began {}, took {took}", regions.join(" "), at(*began));
        }
        Effect::Withheld(change) => change,
        Effect::Outlier(outlier) => return format!("{} outlier {}", at(outlier.since), named(outlier)),
        Effect::OutlierOver { outlier, until } => {
            return format!("{} no outlier {}", at(*until), named(outlier));
        }
        Effect::Suspected { monitor, suspect } => return format!("suspected {monitor}: {suspect}"),
    };
    let rule = match change.rule {
        Rule::FastQuorum { failing, eligible, needed, span, span_needed } => {
            format!("{failing} of {eligible} fail for {span} ({needed} for {span_needed} needed)")
        }
        Rule::Majority { failing, eligible, held, held_needed } => {
            format!("{failing} of {eligible}, a majority, fail for {held} ({held_needed} needed)")
        }
        Rule::SingleRegion { attempts, span } => format!("{attempts} attempts fail for {span}"),
        Rule::SomeFail { failing, eligible } => format!("{failing} of {eligible} fail"),
        Rule::TooFewVoters { eligible, configured } => format!("{eligible} of {configured} vote"),
        Rule::Recovered { passing, eligible } => format!("{passing} of {eligible} pass twice"),
        Rule::FirstVotes { passing, eligible } => format!("{passing} of {eligible} pass"),
        Rule::TooFewDomains { failing, eligible, domains, domains_needed } => {
            format!("{failing} of {eligible} fail, of {domains} domains ({domains_needed} needed)")
        }
    };
    let timeline = [
        ("first", change.timeline.first_failure_at),
        ("suspected", change.timeline.suspected_at),
        ("quorum", change.timeline.quorum_at),
    ];
    let timeline: Vec<String> =
        timeline.iter().filter_map(|(name, moment)| Some(format!("; {name} {}", at((*moment)?)))).collect();
    let from = change.from.map_or("new", Verdict::name);
    format!("{} {from} -> {}: {rule}{}", at(change.timeline.decided_at), change.to.name(), timeline.concat())
}

fn at(moment: Moment) -> String {
    (moment.0 as f64 / 1e6).to_string()
}
