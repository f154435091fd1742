//! What the engine's events and effects mean for paging.

use quorate_proto::{AgentKey, Micros};
use quorate_quorum::{
    Effect, Engine, Event, Finding, Heartbeat, Moment, Observation, PagingEvent, Policy, Source, Verdict,
};

const AGENT: AgentKey = AgentKey([7; 32]);

#[test]
fn what_the_engine_is_told_and_paging_with_it() {
    let (monitor, region) = ("shop".parse().unwrap(), "r1".parse().unwrap());
    let heartbeat = Heartbeat { agent: AGENT, region, revision: 1, sick: None };
    let heard = PagingEvent::Heard { agent: AGENT, region: "r1".parse().unwrap() };
    let policy = Policy::new(Default::default(), Micros::from_secs(30), Micros::from_secs(10));
    for (event, wanted) in [
        (Event::Heartbeat(heartbeat), Some(heard)),
        (Event::Forget { agent: AGENT }, Some(PagingEvent::Forgotten { agent: AGENT })),
        (
            Event::Remove { monitor: "shop".parse().unwrap() },
            Some(PagingEvent::Unwatch { monitor: "shop".parse().unwrap() }),
        ),
        (Event::Paused, Some(PagingEvent::Paused)),
        (Event::Configure { monitor, policy }, None),
        (Event::Tick, None),
    ] {
        assert_eq!(PagingEvent::of_event(&event), wanted, "{event:?}");
    }
}

/// A single region that fails: a suspicion and a verdict, which paging hears of; and a round of checks, which it does not.
#[test]
fn what_the_engine_does_and_paging_hears_of() {
    let mut engine = Engine::default();
    let monitor = "shop".parse().unwrap();
    let policy = Policy::new(["r1".parse().unwrap()].into(), Micros::from_secs(30), Micros::from_secs(10));
    engine.handle(Event::Configure { monitor, policy }, Moment(0));
    let mut effects = Vec::new();
    for second in 1..=60 {
        let at = Moment(second * 1_000_000);
        let region: quorate_proto::Region = "r1".parse().unwrap();
        let heartbeat = Heartbeat { agent: AGENT, region: region.clone(), revision: 0, sick: None };
        effects.extend(engine.handle(Event::Heartbeat(heartbeat), at));
        let observation = Observation {
            monitor: "shop".parse().unwrap(),
            region,
            started: at.before(Micros(1)),
            ended: at,
            finding: if second < 10 { Finding::Passed } else { Finding::Failed },
            revision: 0,
            source: Source {
                agent: AGENT,
                epoch: Default::default(),
                sequence: Default::default(),
                index: second as u16,
            },
        };
        effects.extend(engine.handle(Event::Observed(observation), at));
    }
    let heard = effects.iter().filter_map(PagingEvent::of_effect).collect::<Vec<_>>();
    let monitor = || "shop".parse().unwrap();
    assert_eq!(
        heard,
        [
            PagingEvent::Turned { monitor: monitor(), to: Verdict::Up },
            PagingEvent::Suspected { monitor: monitor(), suspect: true },
            PagingEvent::Turned { monitor: monitor(), to: Verdict::Down },
            PagingEvent::Suspected { monitor: monitor(), suspect: false },
        ]
    );
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Confirm { .. })), "{effects:?}");
}
