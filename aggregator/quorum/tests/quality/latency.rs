//! Latency against its promise, and certificates.

use quorate_proto::{Micros, Timings, outcome::RoundTrips};
use quorate_quorum::{
    Verdict,
    quality::{Effect, Event, Figures, Kind, LatencySla, Quantiles, Reason, Trips},
};

use crate::script::{DAY, Script, monitor, ms, of_regions, region, terms, with};

const QUIET: [&str; 0] = [];

#[test]
fn slow_round_trips_are_told_once_and_so_is_their_end() {
    let mut script = Script::new(terms());
    script.work(1_200, |_, _| 40);
    assert_eq!(script.told(), QUIET);
    script.work(1_200, |_, _| 140);
    let [Effect::Began { reason: Reason::Latency { sla, figures }, .. }] = &script.effects[..] else {
        panic!("{:?}", script.effects)
    };
    assert_eq!(sla.p95, ms(100));
    assert!(figures.merged.p95 > ms(138) && figures.merged.p95 < ms(142), "{figures:?}");
    assert_eq!(figures.slower_than(sla.p95).count(), 5);
    assert_eq!(script.told(), ["+latency"]);
    let began = script.now;
    script.work(3_000, |_, _| 40);
    assert_eq!(script.told(), ["-latency"]);
    assert_eq!(script.degraded(), []);
    assert!(script.now.since(began) >= Micros::from_secs(3_000));
}

#[test]
fn it_begins_within_the_window_and_ends_a_window_after_the_last_slow_one_left_it() {
    let mut script = Script::new(terms());
    script.work(600, |_, _| 40);
    let turned = script.now;
    while script.degraded().is_empty() {
        script.work(30, |_, _| 140);
    }
    let began = script.now.since(turned);
    // Three of fifty are above the 95th percentile; the first full slot of slow ones has five.
    assert!(began <= Micros::from_secs(90), "{began}");
    let turned = script.now;
    while !script.degraded().is_empty() {
        script.work(30, |_, _| 40);
    }
    let ended = script.now.since(turned);
    assert!((Micros::from_secs(540)..=Micros::from_secs(690)).contains(&ended), "{ended}");
}

#[test]
fn at_the_edge_it_does_not_come_and_go() {
    let mut script = Script::new(terms());
    // The windows are by turns just above and just below.
    script.work(6 * 3_600, |_, round| if (round / 9) % 2 == 0 { 101 } else { 98 });
    assert_eq!(script.told(), ["+latency"]);
}

#[test]
fn one_slow_region_shows_in_its_line_and_makes_the_whole_slow_only_where_the_whole_is() {
    let slow_every = |every: u64| {
        let mut script = Script::new(terms());
        script.work(3_600, |index, round| if index == 2 && round % every == 0 { 300 } else { 40 });
        let figures = script.quality.figures(&monitor()).unwrap();
        let slow = figures.slower_than(ms(100)).cloned().collect::<Vec<_>>();
        (slow, figures.merged.p95 > ms(100), script.told())
    };
    // One in ten of one region of five is a fiftieth of all; each is a fifth.
    assert_eq!(slow_every(10), (vec![region(2)], false, vec![]));
    assert_eq!(slow_every(1), (vec![region(2)], true, vec!["+latency".to_owned()]));
}

#[test]
fn too_few_round_trips_say_nothing_and_end_nothing() {
    let sparse = |script: &mut Script, rounds: usize, span: u64| {
        for _ in 0..rounds {
            for index in 0..3 {
                script.check(index, Trips::One(ms(span)));
            }
            script.pass(Micros::from_secs(60));
        }
    };
    let mut script = Script::new(terms());
    sparse(&mut script, 60, 300);
    assert_eq!(script.quality.figures(&monitor()).unwrap().merged.count, 15);
    assert_eq!(script.told(), QUIET);
    script.work(600, |_, _| 300);
    assert_eq!(script.told(), ["+latency"]);
    sparse(&mut script, 600, 40);
    assert_eq!(script.degraded(), [Kind::Latency], "15 of them are no answer");
    script.work(900, |_, _| 40);
    assert_eq!(script.told(), ["-latency"]);
}

#[test]
fn nothing_is_said_while_it_is_down_and_what_was_measured_then_is_forgotten() {
    let mut script = Script::new(terms());
    script.decide(Verdict::Down);
    script.work(600, |_, _| 900);
    assert_eq!(script.told(), QUIET);
    assert_eq!(script.quality.figures(&monitor()), None);
    script.decide(Verdict::Up);
    script.work(600, |_, _| 40);
    assert_eq!(script.told(), QUIET, "the window began anew");

    script.work(600, |_, _| 900);
    assert_eq!(script.told(), ["+latency"]);
    script.decide(Verdict::Down);
    script.pass(Micros::from_secs(3_600));
    script.decide(Verdict::Up);
    script.work(270, |_, _| 40);
    assert_eq!(script.degraded(), [Kind::Latency], "its calm begins anew");
    script.work(600, |_, _| 40);
    assert_eq!(script.told(), ["-latency"], "who was told that it began is told that it is over");
}

#[test]
fn before_a_verdict_and_without_observers_nothing_begins() {
    let mut script = Script::new(terms());
    script.decide(Verdict::Unobserved);
    script.work(900, |_, _| 900);
    assert_eq!(script.told(), QUIET);
    script.decide(Verdict::Partial);
    script.work(60, |_, _| 900);
    assert_eq!(script.told(), ["+latency"], "some regions pass, and slowly");
}

#[test]
fn a_restart_tells_nothing_twice_and_what_changed_meanwhile_is_withdrawn() {
    let mut script = Script::new(terms());
    script.work(600, |_, _| 900);
    assert_eq!(script.told(), ["+latency"]);
    script.restart(terms(), Verdict::Up);
    assert_eq!(script.degraded(), [Kind::Latency]);
    script.work(1_200, |_, _| 900);
    assert_eq!(script.told(), QUIET);
    script.work(1_200, |_, _| 40);
    assert_eq!(script.told(), ["-latency"]);

    script.work(600, |_, _| 900);
    assert_eq!(script.told(), ["+latency"]);
    script.restart(with(|terms| terms.latency = None), Verdict::Up);
    assert_eq!(script.told(), ["~latency"]);
}

#[test]
fn other_terms_apply_to_what_was_measured() {
    let mut script = Script::new(terms());
    script.work(600, |_, _| 140);
    let laxer = with(|terms| terms.latency = Some(LatencySla::of(ms(200))));
    script.tell(Event::Configure { monitor: monitor(), terms: laxer });
    assert_eq!(script.quality.figures(&monitor()).unwrap().merged.count, 50, "the same window");
    script.work(600, |_, _| 140);
    assert_eq!(script.told(), ["+latency", "-latency"]);
    script.tell(Event::Configure { monitor: monitor(), terms: with(|terms| terms.latency = None) });
    script.work(600, |_, _| 900);
    assert_eq!(script.told(), QUIET);
    assert_eq!(script.quality.figures(&monitor()).unwrap().merged.count, 50, "measured all the same");
    script.tell(Event::Configure { monitor: monitor(), terms: of_regions(2) });
    assert_eq!(script.quality.figures(&monitor()), None, "of other regions nothing was looked at");
    script.work(600, |_, _| 40);
    assert_eq!(script.quality.figures(&monitor()).unwrap().regions.len(), 2);
    script.tell(Event::Remove { monitor: monitor() });
    assert_eq!(script.quality.next_deadline(), None);
}

/// Over another window: what was counted in slots of another length is no part of it.
#[test]
fn another_window_begins_anew() {
    let mut script = Script::new(terms());
    script.work(600, |_, _| 40);
    let longer = LatencySla { over: Micros::from_secs(600), ..LatencySla::of(ms(100)) };
    let terms = with(|terms| terms.latency = Some(longer));
    script.tell(Event::Configure { monitor: monitor(), terms });
    assert_eq!(script.quality.figures(&monitor()), None);
    script.work(1_200, |_, _| 40);
    assert_eq!(script.quality.figures(&monitor()).unwrap().merged.count, 100);
}

/// Up and partial are both judged: a turn from one to the other does not keep a spell from its end.
#[test]
fn turns_between_up_and_partial_hold_nothing_up() {
    let mut script = Script::new(terms());
    script.work(600, |_, _| 140);
    assert_eq!(script.told(), ["+latency"]);
    let turned = script.now;
    while !script.degraded().is_empty() && script.now.since(turned) < Micros::from_secs(3_600) {
        script.decide(Verdict::Partial);
        script.work(30, |_, _| 40);
        script.decide(Verdict::Up);
    }
    let ended = script.now.since(turned);
    assert!((Micros::from_secs(540)..=Micros::from_secs(690)).contains(&ended), "{ended}");
}

/// *Above* a span is above it.
#[test]
fn regions_that_are_slower_than_promised() {
    let of = |p95| Quantiles { count: 20, p50: ms(1), p95: ms(p95), p99: ms(900) };
    let regions = [99, 100, 101].into_iter().enumerate().map(|(index, p95)| (region(index), of(p95)));
    let figures = Figures { merged: of(100), regions: regions.collect() };
    assert_eq!(figures.slower_than(ms(100)).collect::<Vec<_>>(), [&region(2)]);
}

#[test]
fn names_of_reasons_are_stable() {
    assert_eq!(Kind::ALL.map(Kind::name), ["latency", "certificate", "reconnects", "closes"]);
    assert_eq!(Kind::ALL.map(|kind| Kind::from_name(kind.name())), Kind::ALL.map(Some));
    assert_eq!(Kind::from_name("mood"), None);
}

#[test]
fn another_form_is_measured_anew() {
    let mut script = Script::new(terms());
    script.work(120, |_, _| 900);
    script.tell(Event::Reformed { monitor: monitor() });
    script.work(600, |_, _| 40);
    let merged = script.quality.figures(&monitor()).unwrap().merged;
    assert!(merged.p99 < ms(41), "{merged:?}");
}

#[test]
fn a_check_tells_its_round_trips_or_its_upgrade() {
    let several = RoundTrips { count: 5, min: ms(10), p50: ms(20), max: ms(90), jitter: ms(1) };
    let timings = Timings { total: ms(500), upgrade: Some(ms(30)), ..Timings::default() };
    for (timings, wanted) in [
        (timings, Some(Trips::One(ms(30)))),
        (Timings { round_trip: Some(ms(12)), ..timings }, Some(Trips::One(ms(12)))),
        (
            Timings { round_trip: Some(ms(90)), samples: Some(several), ..timings },
            Some(Trips::Several(several)),
        ),
        (
            Timings {
                round_trip: Some(ms(12)),
                samples: Some(RoundTrips { count: 1, ..several }),
                ..timings
            },
            Some(Trips::One(ms(12))),
        ),
        (Timings { total: ms(500), ..Timings::default() }, None),
    ] {
        assert_eq!(Trips::of(&timings), wanted);
    }
    let mut script = Script::new(terms());
    for _ in 0..20 {
        script.check(0, Trips::Several(several));
        script.pass(Micros::from_secs(10));
    }
    script.pass(Micros::from_secs(60));
    let merged = script.quality.figures(&monitor()).unwrap().merged;
    assert_eq!(merged.count, 100);
    assert!(merged.p50 < ms(21) && merged.p95 > ms(89), "{merged:?}");
    // An agent may say anything.
    script.pass(Micros::from_secs(600));
    script.check(0, Trips::Several(RoundTrips { count: u32::MAX, ..several }));
    script.pass(Micros::from_secs(60));
    assert_eq!(script.quality.figures(&monitor()).unwrap().merged.count, 100);
}

#[test]
fn a_certificate_that_is_about_to_end_is_told_by_whoever_is_shown_it() {
    let mut script = Script::new(terms());
    let days = |days: u64| Micros::from_secs(days * DAY);
    (0..5).for_each(|index| script.certificate(index, days(4)));
    assert_eq!(script.told(), QUIET);
    script.certificate(3, days(3));
    assert_eq!(script.told(), QUIET);
    script.certificate(3, Micros::from_secs(3 * DAY - 1));
    assert_eq!(script.told(), ["+certificate"]);
    // One node has the new one already, and another has not.
    for turn in 0..40 {
        script.certificate(3, if turn % 2 == 0 { days(90) } else { days(2) });
        script.pass(Micros::from_secs(1_800));
    }
    assert_eq!(script.told(), QUIET);
    script.pass(days(7));
    assert_eq!(script.degraded(), [Kind::Certificate], "nobody has seen the new one alone yet");
    script.certificate(3, days(2));
    for _ in 0..60 {
        script.certificate(3, days(90));
        script.pass(Micros::from_secs(60));
    }
    assert_eq!(script.told(), QUIET);
    script.certificate(3, days(90));
    assert_eq!(script.told(), ["-certificate"]);
    script.certificate(1, Micros::ZERO);
    assert_eq!(script.told(), ["+certificate"], "ended already");
    let never = with(|terms| terms.certificate = Micros::ZERO);
    script.tell(Event::Configure { monitor: monitor(), terms: never });
    assert_eq!(script.told(), ["~certificate"], "nobody wants to hear of it any more");
}

/// A server that was down may be another one since: what its round trips were says nothing.
#[test]
fn an_outage_forgets_round_trips() {
    let mut script = Script::new(terms());
    script.work(600, |_, _| 90);
    script.decide(Verdict::Down);
    script.decide(Verdict::Up);
    script.pass(Micros::from_secs(60));
    assert_eq!(script.quality.figures(&monitor()), None);
    script.work(120, |_, _| 40);
    let figures = script.quality.figures(&monitor()).unwrap();
    assert!(figures.merged.p95 < ms(42), "{figures:?}");
}

/// As slow as promised is not slower than promised.
#[test]
fn at_the_promise_nothing_is_told() {
    let mut script = Script::new(terms());
    script.work(600, |_, _| 90);
    let p95 = script.quality.figures(&monitor()).unwrap().merged.p95;
    for (p95, told) in [(p95, vec![]), (Micros(p95.0 - 1), vec!["+latency"])] {
        let mut script = Script::new(with(|terms| terms.latency = Some(LatencySla::of(p95))));
        script.work(600, |_, _| 90);
        assert_eq!(script.told(), told);
    }
}

/// Two exchanges of one check: the slower and the faster one, and no third.
#[test]
fn what_was_not_measured_is_no_round_trip() {
    let mut script = Script::new(terms());
    let two = RoundTrips { count: 2, min: ms(10), p50: ms(20), max: ms(20), jitter: ms(10) };
    script.check(0, Trips::Several(two));
    script.pass(Micros::from_secs(60));
    assert_eq!(script.quality.figures(&monitor()).unwrap().merged.count, 2);
    // None at all are no reason to look again.
    let mut script = Script::new(terms());
    script.check(0, Trips::One(ms(10)));
    script.pass(Micros::from_secs(600));
    assert_eq!((script.quality.figures(&monitor()), script.quality.next_deadline()), (None, None));
}
