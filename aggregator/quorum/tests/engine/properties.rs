//! What holds for any sequence of events, checked against a slow and obvious count of votes.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*};
use quorate_proto::{
    AgentKey, BootEpoch, Doubt, Micros, MonitorId, Region, Sequence, limits::HEARTBEAT_STALE,
};
use quorate_quorum::{
    CanaryReport, CanaryTurn, Effect, Engine, Event, Finding, Heartbeat, Moment, Observation, Policy, Quorum,
    Rule, Sensitivity, Source, Verdict, VerdictChange, Vote,
};

fn region(number: u8) -> Region {
    format!("r{number}").parse().unwrap()
}

fn monitor(number: u8) -> MonitorId {
    format!("m{number}").parse().unwrap()
}

/// Agents are numbered; the region of agent `a` is `a % 8`, so that regions have up to two.
fn agent(number: u8) -> AgentKey {
    AgentKey([number; 32])
}

fn policies() -> impl Strategy<Value = Policy> {
    let quorum = prop_oneof![
        3 => Just(Quorum::Default),
        1 => Just(Quorum::Majority),
        1 => Just(Quorum::AllButOne),
        1 => Just(Quorum::All),
        1 => (1_u16..8).prop_map(Quorum::AtLeast),
    ];
    let sensitivity =
        prop_oneof![Just(Sensitivity::Balanced), Just(Sensitivity::Fast), Just(Sensitivity::Strict)];
    let interval =
        prop_oneof![8 => (1_u64..400).prop_map(Micros::from_secs), 1 => any::<u64>().prop_map(Micros)];
    let confirm_for = prop::option::weighted(0.2, (0_u64..700).prop_map(Micros::from_secs));
    let budget = prop_oneof![4 => 0_u64..60, 1 => any::<u64>()].prop_map(Micros::from_secs);
    (1_u8..8, interval, 0_u64..60, quorum, confirm_for, sensitivity, budget, 0_u64..3).prop_map(
        |(regions, interval, timeout, quorum, confirm_for, sensitivity, restart_budget, revision)| Policy {
            quorum,
            confirm_for,
            sensitivity,
            restart_budget,
            revision,
            ..Policy::new((0..regions).map(region).collect(), interval, Micros::from_secs(timeout))
        },
    )
}

fn observations() -> impl Strategy<Value = Event> {
    let finding = prop_oneof![4 => Just(Finding::Failed), 3 => Just(Finding::Passed), 1 => Just(Finding::AgentsOwnFault)];
    // Offsets from the moment of the event stand in for moments; `at` puts them in their place.
    let took = prop_oneof![4 => 0_u64..15_000_000, 1 => any::<u64>()];
    let aged = prop_oneof![8 => Just(0_u64), 1 => 0_u64..40_000_000, 1 => any::<u64>()];
    (0_u8..2, 0_u8..12, finding, took, aged, 0_u64..4).prop_map(|(on, by, finding, took, aged, revision)| {
        Event::Observed(Observation {
            monitor: monitor(on),
            region: region(by % 8),
            started: Moment(took),
            ended: Moment(aged),
            finding,
            revision,
            source: Source { agent: agent(by), epoch: BootEpoch(1), sequence: Sequence(0), index: 0 },
        })
    })
}

fn canaries() -> impl Strategy<Value = Event> {
    let turn = prop_oneof![
        2 => Just(CanaryTurn::Opened),
        2 => Just(CanaryTurn::Ended { announced: true }),
        1 => Just(CanaryTurn::Ended { announced: false }),
    ];
    let aged = prop_oneof![8 => Just(0_u64), 1 => 0_u64..40_000_000, 1 => any::<u64>()];
    (0_u8..2, 0_u8..12, turn, aged, 0_u64..4).prop_map(|(on, by, turn, aged, revision)| {
        let (monitor, region, agent) = (monitor(on), region(by % 8), agent(by));
        Event::Canary(CanaryReport { monitor, region, agent, at: Moment(aged), turn, revision })
    })
}

/// All events but [`Event::Paused`]: after it, what came due before it does not happen any more, so that it matters
/// whether somebody ticked in between.
fn events() -> impl Strategy<Value = Event> {
    let verdict = prop_oneof![
        Just(Verdict::Up),
        Just(Verdict::Partial),
        Just(Verdict::Down),
        Just(Verdict::Unobserved)
    ];
    prop_oneof![
        40 => observations(),
        10 => canaries(),
        20 => (0_u8..12, 0_u64..4, prop::bool::weighted(0.1)).prop_map(|(by, revision, sick)| {
            Event::Heartbeat(Heartbeat {
                agent: agent(by),
                region: region(by % 8),
                revision,
                sick: sick.then_some(Doubt::EventLoopLate),
            })
        }),
        1 => (0_u8..2, policies()).prop_map(|(on, policy)| Event::Configure { monitor: monitor(on), policy }),
        1 => (0_u8..2, verdict).prop_map(|(on, verdict)| Event::Restore {
            monitor: monitor(on), verdict, since: Moment(0)
        }),
        1 => (0_u8..2).prop_map(|on| Event::Remove { monitor: monitor(on) }),
        1 => (0_u8..12).prop_map(|by| Event::Forget { agent: agent(by) }),
        2 => Just(Event::Tick),
        4 => (0_u8..12, prop::sample::select(vec!["a", "b"])).prop_map(|(by, provider)| Event::Enrolled {
            agent: agent(by),
            region: region(by % 8),
            labels: [("provider".to_owned(), provider.to_owned())].into(),
        }),
    ]
}

/// Events with their moments, the first of which configure both monitors.
fn histories() -> impl Strategy<Value = Vec<(Moment, Event)>> {
    let gap = prop_oneof![
        10 => 0_u64..1_000_000,
        10 => 0_u64..12_000_000,
        2 => 0_u64..200_000_000,
        1 => Just(0),
    ];
    let far = prop::option::weighted(0.1, any::<u64>());
    (vec(policies(), 2), vec((gap, events()), 1..200), far).prop_map(|(policies, steps, far)| {
        let configure = |(on, policy)| Event::Configure { monitor: monitor(on), policy };
        let intervals: Vec<_> = policies.iter().map(|policy| policy.interval).collect();
        let mut history: Vec<_> =
            (0..).zip(policies).map(configure).map(|event| (Moment(1_000_000), event)).collect();
        let mut now = Moment(1_000_000);
        for (number, (gap, event)) in steps.into_iter().enumerate() {
            now = now.after(Micros(gap));
            let mut event = at(event, now, number as u64);
            if let Event::Configure { monitor, policy } = &mut event {
                // The interval stays, so that a stale vote stays stale and the count below can be simple.
                policy.interval = intervals[usize::from(*monitor == self::monitor(1))];
            }
            history.push((now, event));
        }
        history.extend(far.map(|far| (now.after(Micros(far)), Event::Tick)));
        history
    })
}

fn at(event: Event, now: Moment, number: u64) -> Event {
    if let Event::Canary(mut report) = event {
        report.at = now.before(Micros(report.at.0));
        return Event::Canary(report);
    }
    let Event::Observed(mut observation) = event else { return event };
    observation.ended = now.before(Micros(observation.ended.0));
    observation.started = observation.ended.before(Micros(observation.started.0));
    observation.source.sequence = Sequence(number);
    Event::Observed(observation)
}

/// Plays a history, ticking at every deadline and `more` times in between; `look` sees every call.
fn play(
    history: &[(Moment, Event)],
    more: u64,
    mut look: impl FnMut(&Event, Moment, &[Effect]),
) -> Vec<Effect> {
    let (mut engine, mut all, mut before) = (Engine::default(), Vec::new(), Moment(0));
    let mut call = |engine: &mut Engine, event: &Event, at: Moment| {
        let effects = engine.handle(event.clone(), at);
        assert!(engine.next_deadline().is_none_or(|next| next > at), "a deadline that was met stands");
        look(event, at, &effects);
        all.extend(effects);
    };
    for (at, event) in history {
        for step in 1..=more {
            let between = before.after(Micros(at.since(before).0 / (more + 1) * step));
            while let Some(deadline) = engine.next_deadline().filter(|deadline| *deadline <= between) {
                call(&mut engine, &Event::Tick, deadline);
            }
            call(&mut engine, &Event::Tick, between);
        }
        while let Some(deadline) = engine.next_deadline().filter(|deadline| *deadline <= *at) {
            call(&mut engine, &Event::Tick, deadline);
        }
        call(&mut engine, event, *at);
        before = *at;
    }
    all
}

/// The slow and obvious count: it remembers everything that was said, and asks for each region afresh.
#[derive(Default)]
struct Count {
    policies: BTreeMap<MonitorId, Policy>,
    heartbeats: BTreeMap<AgentKey, (Moment, Region, u64, bool)>,
    said: Vec<Observation>,
    providers: BTreeMap<AgentKey, String>,
}

impl Count {
    fn hear(&mut self, event: &Event, at: Moment) {
        match event {
            Event::Configure { monitor, policy } => {
                self.policies.insert(monitor.clone(), policy.clone());
                let stays = |said: &Observation| {
                    policy.regions.contains(&said.region) && said.revision >= policy.revision
                };
                self.said.retain(|said| said.monitor != *monitor || stays(said));
            }
            Event::Remove { monitor } => {
                self.policies.remove(monitor);
                self.said.retain(|said| said.monitor != *monitor);
            }
            Event::Heartbeat(Heartbeat { agent, region, revision, sick }) => {
                self.heartbeats.insert(*agent, (at, region.clone(), *revision, sick.is_some()));
            }
            Event::Forget { agent } => {
                self.heartbeats.remove(agent);
                self.providers.remove(agent);
                self.said.retain(|said| said.source.agent != *agent);
            }
            Event::Observed(said) => {
                let Some(policy) = self.policies.get(&said.monitor) else { return };
                let is_late = said.ended.after(policy.stale_after()) <= at;
                if policy.regions.contains(&said.region) && said.revision >= policy.revision && !is_late {
                    // Only the latest of an agent counts: an earlier one does not come back when a newer form of the
                    // monitor drops that.
                    let is_past = |old: &Observation| {
                        old.monitor == said.monitor
                            && old.source.agent == said.source.agent
                            && old.ended <= said.ended
                    };
                    self.said.retain(|old| !is_past(old));
                    self.said.push(said.clone());
                }
            }
            Event::Canary(_) | Event::Restore { .. } | Event::Paused | Event::Tick => {}
            Event::Enrolled { agent, labels, .. } => {
                self.providers.insert(*agent, labels["provider"].clone());
            }
        }
    }

    /// What an agent's latest check of a monitor says, if it counts.
    fn vote(&self, monitor: &MonitorId, key: &AgentKey, at: Moment) -> Option<Finding> {
        let policy = &self.policies[monitor];
        let (heard, _, revision, sick) = self.heartbeats.get(key)?;
        let is_eligible = at < heard.after(HEARTBEAT_STALE) && *revision >= policy.revision && !sick;
        let latest = self
            .said
            .iter()
            .filter(|said| {
                said.monitor == *monitor && said.source.agent == *key && said.revision >= policy.revision
            })
            .max_by_key(|said| (said.ended, said.source.sequence))?;
        (is_eligible && at < latest.ended.after(policy.stale_after())).then_some(latest.finding)
    }

    /// Failing and passing regions.
    fn votes(&self, monitor: &MonitorId, at: Moment) -> (u16, u16) {
        let (mut failing, mut passing) = (0, 0);
        for region in &self.policies[monitor].regions {
            let votes = |finding| {
                let said = (0..12).filter(|by| *region == self::region(by % 8));
                said.filter(|by| self.vote(monitor, &agent(*by), at) == Some(finding)).count()
            };
            failing += u16::from(votes(Finding::Failed) > votes(Finding::Passed));
            passing += u16::from(votes(Finding::Passed) > votes(Finding::Failed));
        }
        (failing, passing)
    }

    /// Whether the failing votes are of one provider, and an agent of another one passes. Without one an agent is of its
    /// region.
    fn is_one_provider_against_another(&self, change: &VerdictChange) -> bool {
        let (mut failing, mut passing) = (BTreeSet::new(), BTreeSet::new());
        for by in 0..12 {
            let (agent, region) = (agent(by), region(by % 8));
            let Some(counted) = change.votes.iter().find(|counted| counted.region == region) else {
                continue;
            };
            let provider = self.providers.get(&agent).cloned().unwrap_or(region.to_string());
            match self.vote(&change.monitor, &agent, change.timeline.decided_at) {
                Some(Finding::Failed) if counted.vote == Vote::Fail => failing.insert(provider),
                Some(Finding::Passed) => passing.insert(provider),
                _ => continue,
            };
        }
        failing.len() == 1 && !passing.is_subset(&failing)
    }

    fn examine(&self, change: &VerdictChange) {
        assert!(
            change.to != Verdict::Down || !self.is_one_provider_against_another(change),
            "one domain makes down alone: {change:?}"
        );
        let policy = &self.policies[&change.monitor];
        let (failing, passing) = self.votes(&change.monitor, change.timeline.decided_at);
        let voted = |vote| change.votes.iter().filter(|counted| counted.vote == vote).count();
        assert_eq!(voted(Vote::Fail), usize::from(failing), "{change:?}");
        assert_eq!(voted(Vote::Ok), usize::from(passing), "{change:?}");
        assert!(change.votes.iter().map(|counted| &counted.region).eq(&policy.regions), "{change:?}");
        let is_single = policy.regions.len() == 1;
        let holds = match (change.to, change.rule) {
            (Verdict::Down, Rule::FastQuorum { failing: told, eligible, needed, span, span_needed }) => {
                told == failing
                    && eligible >= failing + passing
                    && needed == policy.needed(eligible)
                    && needed >= 2
                    && failing >= needed
                    && span_needed == policy.span_needed(eligible)
                    && span >= span_needed
            }
            (Verdict::Down, Rule::Majority { failing: told, eligible, held, held_needed }) => {
                told == failing
                    && eligible >= (failing + passing).max(2)
                    && failing * 2 > eligible
                    && held_needed == policy.majority_span_needed(eligible)
                    && held >= held_needed
            }
            (Verdict::Down, Rule::SingleRegion { attempts, span }) => {
                is_single && failing == 1 && attempts >= 3 && span >= policy.span_needed(1)
            }
            (Verdict::Partial, Rule::SomeFail { failing: told, eligible }) => {
                !is_single && told == failing && failing >= 1 && eligible >= 2
            }
            (Verdict::Partial, Rule::TooFewDomains { failing: told, eligible, domains, domains_needed }) => {
                told == failing && failing * 2 >= eligible.min(4) && domains < domains_needed
            }
            (Verdict::Unobserved, Rule::TooFewVoters { eligible, configured }) => {
                eligible < if is_single { 1 } else { 2 }
                    && failing + passing <= eligible
                    && usize::from(configured) == policy.regions.len()
            }
            (
                Verdict::Up,
                Rule::Recovered { passing: told, eligible } | Rule::FirstVotes { passing: told, eligible },
            ) => told == passing && eligible >= failing + passing && passing * 2 > eligible,
            _ => false,
        };
        assert!(holds, "{failing} fail, {passing} pass: {change:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// No verdict without the votes for it, whatever happens; and each change starts where the last one ended.
    #[test]
    fn verdicts_have_their_votes(history in histories()) {
        let (mut count, mut standing) = (Count::default(), BTreeMap::<MonitorId, Verdict>::new());
        play(&history, 0, |event, at, effects| {
            count.hear(event, at);
            match event {
                Event::Restore { monitor, verdict, .. } if count.policies.contains_key(monitor) => {
                    standing.insert(monitor.clone(), *verdict);
                }
                Event::Remove { monitor } => {
                    standing.remove(monitor);
                }
                Event::Configure { .. }
                | Event::Restore { .. }
                | Event::Heartbeat(_)
                | Event::Forget { .. }
                | Event::Observed(_)
                | Event::Canary(_)
                | Event::Paused
                | Event::Tick
                | Event::Enrolled { .. } => {}
            }
            for effect in effects {
                crate::script::judge_again(effect);
                let Effect::Changed(change) = effect else { continue };
                assert_eq!(change.from, standing.insert(change.monitor.clone(), change.to));
                assert_ne!(change.from, Some(change.to));
                assert_eq!(change.timeline.decided_at, at);
                let told = [change.timeline.first_failure_at, change.timeline.suspected_at, change.timeline.quorum_at];
                assert!(told.iter().flatten().all(|moment| *moment <= at), "{change:?}");
                count.examine(change);
            }
        });
    }

    /// The same events give the same effects, however often the engine is ticked in between.
    #[test]
    fn ticks_change_nothing(history in histories(), more in 1_u64..5) {
        let ticked = play(&history, 0, |_, _, _| {});
        prop_assert_eq!(&ticked, &play(&history, 0, |_, _, _| {}), "the same again");
        prop_assert_eq!(&ticked, &play(&history, more, |_, _, _| {}), "ticked more often");
        let mut engine = Engine::default();
        let unticked: Vec<_> =
            history.iter().flat_map(|(at, event)| engine.handle(event.clone(), *at)).collect();
        prop_assert_eq!(&ticked, &unticked, "never ticked");
    }

    /// Requests are numbered upwards and ask eligible regions of the monitor, each once.
    #[test]
    fn rounds_are_numbered(history in histories()) {
        let (mut count, mut latest) = (Count::default(), 0);
        play(&history, 0, |event, at, effects| {
            count.hear(event, at);
            for effect in effects {
                let Effect::Confirm { monitor, regions, request } = effect else { continue };
                assert!(*request > std::mem::replace(&mut latest, *request));
                assert!(!regions.is_empty() && regions.is_sorted() && regions.windows(2).all(|two| two[0] != two[1]));
                let policy = &count.policies[monitor];
                for asked in regions {
                    let is_eligible = |(heard, region, revision, sick): &(Moment, Region, u64, bool)| {
                        region == asked && at < heard.after(HEARTBEAT_STALE) && *revision >= policy.revision && !sick
                    };
                    assert!(policy.regions.contains(asked) && count.heartbeats.values().any(is_eligible));
                }
            }
        });
    }

    /// A server that fails everywhere goes down, even when no agent answers a confirmation: within the evidence span and
    /// three intervals.
    #[test]
    fn total_outages_are_found(mut policy in policies(), seconds in 1_u64..400) {
        policy.interval = Micros::from_secs(seconds);
        let (mut engine, regions) = (Engine::default(), policy.regions.len() as u64);
        engine.handle(Event::Configure { monitor: monitor(0), policy: policy.clone() }, Moment(0));
        let slot = policy.interval.0 / regions;
        let fails_from = policy.interval.0 * 3;
        let span = policy.span_needed(policy.regions.len() as u16);
        let bound = Moment(fails_from).after(policy.interval * 3 + span);
        for check in 0..regions * 2000 {
            let (now, by) = (Moment(check / regions * policy.interval.0 + check % regions * slot), (check % regions) as u8);
            for by in 0..regions as u8 {
                let mut beat = Moment(now.0.saturating_sub(slot));
                while beat <= now {
                    engine.handle(Event::Heartbeat(Heartbeat { agent: agent(by), region: region(by), revision: 9, sick: None }), beat.max(Moment(0)));
                    beat = beat.after(Micros::from_secs(400));
                }
                engine.handle(Event::Heartbeat(Heartbeat { agent: agent(by), region: region(by), revision: 9, sick: None }), now);
            }
            let finding = if now.0 >= fails_from { Finding::Failed } else { Finding::Passed };
            engine.handle(Event::Observed(Observation {
                monitor: monitor(0), region: region(by), started: now, ended: now, finding, revision: 9,
                source: Source { agent: agent(by), epoch: BootEpoch(1), sequence: Sequence(check), index: 0 },
            }), now);
            if now > bound {
                break;
            }
        }
        let state = engine.monitor(&monitor(0), bound).unwrap();
        prop_assert_eq!(state.verdict, Some(Verdict::Down), "{:?}", state);
    }
}
