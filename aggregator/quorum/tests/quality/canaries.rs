//! Reconnections, and close codes against what is usual.

use quorate_proto::Micros;
use quorate_quorum::{
    Verdict,
    quality::{CanaryNews, Effect, Kind, Reason},
};

use crate::script::{Script, monitor, of_regions, region, terms, with};

const QUIET: [&str; 0] = [];
const HOUR: u64 = 60;

fn ended(code: u16) -> CanaryNews {
    CanaryNews::Ended { code }
}

/// Canaries that have been held for two days.
fn known() -> Script {
    let mut script = Script::new(terms());
    script.live(48 * HOUR);
    script
}

#[test]
fn frequent_reconnections_in_a_quorum_of_regions_are_told_and_those_of_one_path_are_not() {
    let mut script = Script::new(terms());
    script.live(5);
    let storm = |script: &mut Script, regions: std::ops::Range<usize>, minutes: u64| {
        for _ in 0..minutes {
            for index in regions.clone() {
                script.canary(index, CanaryNews::Reconnected { within_minute: 3 });
            }
            script.live(1);
        }
    };
    storm(&mut script, 0..3, 30);
    assert_eq!(script.told(), QUIET, "three of five are no quorum");
    storm(&mut script, 0..4, 30);
    let [Effect::Began { reason: Reason::Reconnects { regions, of }, .. }] = &script.effects[..] else {
        panic!("{:?}", script.effects)
    };
    assert_eq!((regions.len(), *of, &regions[0]), (4, 5, &(region(0), 3)));
    assert_eq!(script.told(), ["+reconnects"]);
    script.live(12);
    assert_eq!(script.told(), QUIET);
    script.live(5);
    assert_eq!(script.told(), ["-reconnects"]);
}

#[test]
fn one_reconnection_a_minute_is_nobodys_storm() {
    let mut script = Script::new(terms());
    for _ in 0..60 {
        (0..5).for_each(|index| script.canary(index, CanaryNews::Reconnected { within_minute: 1 }));
        script.live(1);
    }
    assert_eq!(script.told(), QUIET);
}

#[test]
fn a_spike_of_abnormal_closes_is_told_against_what_is_usual() {
    let mut script = known();
    // Five in an hour, in every region: with nothing in two days it takes five.
    for number in 1..=5 {
        for index in 0..5 {
            assert_eq!(script.told(), QUIET, "{number} in region {index}");
            script.canary(index, ended(if number == 5 { 1011 } else { 1006 }));
            if number == 5 && index == 3 {
                break;
            }
        }
        script.live(5);
    }
    let began = script.effects.iter().find_map(|effect| match effect {
        Effect::Began { reason, .. } => Some(reason.clone()),
        Effect::Ended { .. } | Effect::Learned { .. } => None,
    });
    let Some(Reason::Closes { regions, of, codes, usual_per_day }) = began else { panic!("{began:?}") };
    assert_eq!((regions.len(), of, codes), (4, 5, [(1006, 16), (1011, 4)].into()));
    assert!(usual_per_day < 0.1, "{usual_per_day}");
    assert_eq!(script.told(), ["+closes"]);
    script.live(90);
    assert_eq!(script.told(), QUIET);
    script.live(45);
    assert_eq!(script.told(), ["-closes"]);
}

#[test]
fn what_is_no_spike() {
    // One path drops; a server crashes twice; what was announced; what the application says.
    let cases: [(&str, &[usize], u16, usize); 4] = [
        ("one path", &[2], 1006, 30),
        ("two crashes", &[0, 1, 2, 3, 4], 1006, 2),
        ("restarts", &[0, 1, 2, 3, 4], 1012, 30),
        ("the application", &[0, 1, 2, 3, 4], 4401, 30),
    ];
    for (name, regions, code, times) in cases {
        let mut script = known();
        for _ in 0..times {
            regions.iter().for_each(|index| script.canary(*index, ended(code)));
            script.live(1);
        }
        script.live(HOUR);
        assert_eq!(script.told(), QUIET, "{name}");
    }
}

#[test]
fn before_a_day_of_history_nothing_is_judged() {
    let mut script = Script::new(terms());
    script.live(23 * HOUR);
    for _ in 0..10 {
        (0..5).for_each(|index| script.canary(index, ended(1006)));
        script.live(1);
    }
    assert_eq!(script.told(), QUIET);
}

#[test]
fn what_is_usual_survives_a_restart() {
    let mut script = known();
    script.restart(terms(), Verdict::Up);
    script.live(5);
    for _ in 0..5 {
        (0..5).for_each(|index| script.canary(index, ended(1006)));
        script.live(1);
    }
    assert_eq!(script.told(), ["+closes"]);
    script.restart(terms(), Verdict::Up);
    for _ in 0..5 {
        (0..5).for_each(|index| script.canary(index, ended(1006)));
        script.live(1);
    }
    assert_eq!(script.told(), QUIET);
    assert_eq!(script.degraded(), [Kind::Closes]);
    script.restart(with(|terms| terms.canary = false), Verdict::Up);
    assert_eq!(script.told(), ["~closes"]);
}

#[test]
fn a_server_that_always_closes_so_is_not_degraded_by_it() {
    let mut script = Script::new(terms());
    // Once an hour, for a fortnight, in every region at once: a proxy that recycles its workers.
    for _ in 0..14 * 24 {
        (0..5).for_each(|index| script.canary(index, ended(1006)));
        script.live(HOUR);
    }
    assert_eq!(script.told(), QUIET);
    let usual = script.quality.memory(&monitor()).usual;
    assert!(usual.values().all(|usual| (23.0..25.0).contains(&usual.per_day())), "{usual:?}");
    // And then every four minutes.
    for _ in 0..15 {
        (0..5).for_each(|index| script.canary(index, ended(1006)));
        script.live(4);
    }
    assert_eq!(script.told(), ["+closes"]);
}

#[test]
fn an_outage_is_no_spike_and_makes_nothing_usual() {
    let mut script = known();
    for _ in 0..4 {
        (0..5).for_each(|index| script.canary(index, ended(1006)));
    }
    script.decide(Verdict::Down);
    for _ in 0..20 {
        (0..5).for_each(|index| script.canary(index, ended(1006)));
        script.pass(Micros::from_secs(10));
    }
    script.decide(Verdict::Up);
    (0..5).for_each(|index| script.canary(index, ended(1006)));
    assert_eq!(script.told(), QUIET, "one since it is up");
    script.decide(Verdict::Down);
    script.decide(Verdict::Up);
    script.live(2 * HOUR);
    assert_eq!(script.told(), QUIET);
    let memory = script.quality.memory(&monitor());
    assert!(memory.usual.values().all(|usual| usual.ends == 0.0), "{memory:?}");
}

/// A region whose canary is known for too short a time has no say: the spike is of four, not of five.
#[test]
fn who_is_not_known_for_long_enough_is_not_counted() {
    let mut script = Script::new(terms());
    let minute = |script: &mut Script, regions: std::ops::Range<usize>| {
        regions.for_each(|index| script.canary(index, CanaryNews::Alive));
        script.pass(Micros::from_secs(60));
    };
    (0..48 * HOUR).for_each(|_| minute(&mut script, 0..4));
    (0..5).for_each(|_| minute(&mut script, 0..5));
    for _ in 0..5 {
        (0..4).for_each(|index| script.canary(index, ended(1006)));
        minute(&mut script, 0..5);
    }
    let began = script.effects.iter().find_map(|effect| match effect {
        Effect::Began { reason: Reason::Closes { regions, of, .. }, .. } => Some((regions.len(), *of)),
        Effect::Began { .. } | Effect::Ended { .. } | Effect::Learned { .. } => None,
    });
    assert_eq!(began, Some((4, 4)));
}

/// What a region learns while the others' spike is looked at is worth writing down, though the region is not heard of.
#[test]
fn what_becomes_usual_in_the_others_spike_is_learned() {
    let mut script = known();
    script.canary(4, ended(1006));
    script.live(50);
    for _ in 0..5 {
        (0..4).for_each(|index| script.canary(index, ended(1006)));
    }
    assert_eq!(script.told(), ["+closes"]);
    for _ in 0..15 {
        (0..4).for_each(|index| script.canary(index, CanaryNews::Alive));
        script.effects.clear();
        script.pass(Micros::from_secs(60));
        if script.effects.contains(&Effect::Learned { monitor: monitor() }) {
            return;
        }
    }
    panic!("{:?}", script.quality.memory(&monitor()));
}

/// Reconnections stand for a minute and no longer.
#[test]
fn reconnections_further_apart_are_of_no_storm() {
    for (seconds, told) in [(59, vec!["+reconnects"]), (60, vec![])] {
        let mut script = Script::new(terms());
        script.live(5);
        (0..3).for_each(|index| script.canary(index, CanaryNews::Reconnected { within_minute: 3 }));
        script.pass(Micros::from_secs(seconds));
        script.canary(3, CanaryNews::Reconnected { within_minute: 3 });
        assert_eq!(script.told(), told, "{seconds} s");
    }
}

/// For as long as it is seen; what is only remembered from before a start was not seen.
#[test]
fn when_it_was_last_seen() {
    let mut script = Script::new(terms());
    script.live(5);
    let seen = |script: &Script| script.quality.last_seen(&monitor(), Kind::Reconnects);
    assert_eq!(seen(&script), None);
    (0..5).for_each(|index| script.canary(index, CanaryNews::Reconnected { within_minute: 3 }));
    let now = script.now;
    assert_eq!(seen(&script), Some(now));
    script.live(5);
    assert_eq!(seen(&script), Some(now));
    script.restart(terms(), Verdict::Up);
    assert_eq!((script.degraded(), seen(&script)), (vec![Kind::Reconnects], None));
}

#[test]
fn a_single_region_judges_alone_and_the_rest_of_several_does_not() {
    let mut script = Script::new(of_regions(1));
    let live = |script: &mut Script, minutes: u64| {
        for _ in 0..minutes {
            script.canary(0, CanaryNews::Alive);
            script.pass(Micros::from_secs(60));
        }
    };
    live(&mut script, 2);
    script.canary(0, CanaryNews::Reconnected { within_minute: 2 });
    assert_eq!(script.told(), ["+reconnects"]);
    let mut script = Script::new(terms());
    live(&mut script, 2);
    script.canary(0, CanaryNews::Reconnected { within_minute: 9 });
    assert_eq!(script.told(), QUIET, "four of five canaries are gone: nobody can tell");
}

/// Whatever comes in meanwhile, what goes on is looked at each minute.
#[test]
fn news_puts_no_look_off() {
    let mut script = Script::new(terms());
    script.live(5);
    (0..5).for_each(|index| script.canary(index, CanaryNews::Reconnected { within_minute: 3 }));
    assert_eq!(script.told(), ["+reconnects"]);
    for _ in 0..17 * 6 {
        (0..5).for_each(|index| script.canary(index, CanaryNews::Alive));
        script.pass(Micros::from_secs(10));
    }
    assert_eq!(script.told(), ["-reconnects"]);
}
