//! What holds whatever happens.

use proptest::prelude::*;
use quorate_proto::{Micros, outcome::RoundTrips};
use quorate_quorum::{
    Verdict,
    quality::{CanaryNews, Effect, Event, Kind, Quality, Trips},
};

use crate::script::{Script, monitor, region, terms};

#[derive(Clone, Debug)]
enum Step {
    Check(usize, u64),
    Several(usize, u32, u64),
    Canary(usize, CanaryNews),
    Certificate(usize, u64),
    Decide(Verdict),
    Pass(u64),
    Restart,
    Reform,
}

fn step() -> impl Strategy<Value = Step> {
    let news = prop_oneof![
        Just(CanaryNews::Alive),
        (0_u32..4).prop_map(|within_minute| CanaryNews::Reconnected { within_minute }),
        prop_oneof![Just(1006), Just(1011), Just(1012), Just(4000)]
            .prop_map(|code| CanaryNews::Ended { code }),
    ];
    let verdict = prop_oneof![
        4 => Just(Verdict::Up), 1 => Just(Verdict::Partial), 1 => Just(Verdict::Down), 1 => Just(Verdict::Unobserved)
    ];
    prop_oneof![
        8 => (0_usize..5, 1_u64..400).prop_map(|(index, ms)| Step::Check(index, ms)),
        1 => (0_usize..5, any::<u32>(), any::<u64>()).prop_map(|(index, count, us)| Step::Several(index, count, us)),
        6 => (0_usize..5, news).prop_map(|(index, news)| Step::Canary(index, news)),
        1 => (0_usize..5, 0_u64..800_000).prop_map(|(index, seconds)| Step::Certificate(index, seconds)),
        1 => verdict.prop_map(Step::Decide),
        6 => (1_u64..400).prop_map(Step::Pass),
        1 => Just(Step::Restart),
        1 => Just(Step::Reform),
    ]
}

fn play(script: &mut Script, step: &Step, verdict: &mut Verdict) {
    match *step {
        Step::Check(index, ms) => script.check(index, Trips::One(Micros::from_millis(ms))),
        Step::Several(index, count, us) => {
            let span = Micros(us);
            let trips = RoundTrips { count, min: span, p50: span, max: span, jitter: span };
            script.check(index, Trips::Several(trips));
        }
        Step::Canary(index, news) => script.canary(index, news),
        Step::Certificate(index, seconds) => script.certificate(index, Micros::from_secs(seconds)),
        Step::Decide(decided) => {
            *verdict = decided;
            script.decide(decided);
        }
        Step::Pass(seconds) => script.pass(Micros::from_secs(seconds)),
        Step::Restart => {
            // What the last process said is kept apart; the new one starts with nothing said.
            let effects = std::mem::take(&mut script.effects);
            script.restart(terms(), *verdict);
            script.effects.splice(0..0, effects);
        }
        Step::Reform => script.tell(Event::Reformed { monitor: monitor() }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Each reason begins and ends by turns, begins only where the verdict lets it, and what is told is what goes on.
    #[test]
    fn what_is_told_is_what_goes_on(steps in prop::collection::vec(step(), 1..300)) {
        let mut script = Script::new(terms());
        let mut verdict = Verdict::Up;
        let mut going = Vec::<Kind>::new();
        for step in &steps {
            play(&mut script, step, &mut verdict);
            for effect in script.effects.drain(..) {
                match effect {
                    Effect::Began { reason, .. } => {
                        prop_assert!(!going.contains(&reason.kind()));
                        prop_assert!(matches!(verdict, Verdict::Up | Verdict::Partial));
                        going.push(reason.kind());
                    }
                    Effect::Ended { kind, .. } => {
                        prop_assert!(going.contains(&kind));
                        going.retain(|one| *one != kind);
                    }
                    Effect::Learned { .. } => {}
                }
            }
            going.sort();
            prop_assert_eq!(&going, &script.degraded());
            if let Some(due) = script.quality.next_deadline() {
                prop_assert!(due > script.now, "a deadline that is over makes its caller spin");
            }
        }
    }

    /// The same script twice tells the same, and remembers the same.
    #[test]
    fn it_is_a_fold(steps in prop::collection::vec(step(), 1..200)) {
        let run = || {
            let (mut script, mut verdict) = (Script::new(terms()), Verdict::Up);
            steps.iter().for_each(|step| play(&mut script, step, &mut verdict));
            (format!("{:?}", script.effects), script.quality.memory(&monitor()))
        };
        prop_assert_eq!(run(), run());
    }
}

/// An SLA that nothing exceeds is not told of, whatever the order of regions.
#[test]
fn strangers_are_nobody() {
    let mut quality = Quality::default();
    let at = quorate_quorum::Moment(1);
    for event in [
        Event::Checked { monitor: monitor(), region: region(0), ended: at, trips: Trips::One(Micros(1)) },
        Event::Canary { monitor: monitor(), region: region(0), news: CanaryNews::Alive },
        Event::Certificate { monitor: monitor(), region: region(0), left: Micros(0) },
        Event::Decided { monitor: monitor(), verdict: Verdict::Up },
        Event::Remove { monitor: monitor() },
        Event::Tick,
    ] {
        assert_eq!(quality.handle(event, at), []);
    }
    let mut script = Script::new(terms());
    let stranger = "z".parse().unwrap();
    let trips = Trips::One(Micros::from_secs(9));
    script.tell(Event::Checked { monitor: monitor(), region: stranger, ended: script.now, trips });
    script.pass(Micros::from_secs(60));
    assert_eq!(script.quality.figures(&monitor()), None);
}
