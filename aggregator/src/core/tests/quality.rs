//! Degraded: who is told, what is shown, and what survives a restart.

use quorate_proto::{
    CheckResult, Doubt, DoubtReport, FailureKind, Micros, Outcome, Timings, WallMicros,
    canary::{Canary, CanaryEvent, CanaryMode},
    frame::Health,
    outcome::TlsFacts,
};
use quorate_quorum::{
    quality::{Baseline, Event, LatencySla, Memory},
    uptime::Stretch,
};

use super::bench::{Bench, REGIONS, config};
use crate::{
    config::{Config, MaintenancePlan, MaintenanceTimes},
    limits,
    model::{AlertEvent, EventKind, Intake, fixture},
    store::fixture::{canary, check, ended, opened, refused},
};

const S: fn(u64) -> Micros = Micros::from_secs;
const ALL: [usize; 5] = [0, 1, 2, 3, 4];
const QUIET: [&str; 0] = [];

/// 100 ms for 95 of 100; `x` hears pages, `y` of degraded too.
fn shop() -> Config {
    let mut monitor = fixture::monitor("shop", &REGIONS);
    monitor.spec.interval = S(60);
    monitor.latency = Some(LatencySla::of(Micros::from_millis(100)));
    monitor.spec.canary = Some(Canary { heartbeat: S(30), grace: S(10), mode: CanaryMode::Ping });
    config(vec![monitor], &["x", "y:d"])
}

fn watching(config: Config) -> Bench {
    let mut bench = Bench::new(config);
    for region in REGIONS {
        bench.enrol(region);
    }
    bench.connect_all();
    bench.work(20, &[]);
    assert_eq!(bench.verdicts()["shop"], Some("up"));
    bench
}

fn trip(ms: u64) -> CheckResult {
    let round_trip = Some(Micros::from_millis(ms));
    let timings = Timings { round_trip, total: Micros::from_millis(ms + 20), ..Timings::default() };
    CheckResult { timings, ..check("shop", Outcome::Passed) }
}

/// Checks every 10 s that take so long in each region.
fn work(bench: &mut Bench, seconds: u64, ms: impl Fn(usize) -> u64) {
    for second in 0..seconds {
        for index in ALL {
            bench.health(index);
            if second % 10 == u64::try_from(index * 2).unwrap() {
                drop(bench.batch(index, vec![trip(ms(index))]));
            }
        }
        bench.pass(S(1));
    }
}

fn reasons(bench: &Bench) -> Vec<String> {
    bench.picture.monitors[0].degraded.iter().map(|reason| reason.kind.clone()).collect()
}

fn restart(bench: &mut Bench, config: Config) {
    bench.kill(config);
    let revision = bench.core.assignments.revision;
    for index in ALL {
        bench.connect(index, revision);
    }
}

#[test]
fn slow_round_trips_are_told_once_whatever_is_restarted_and_so_is_their_end() {
    let mut bench = watching(shop());
    work(&mut bench, 120, |index| if index < 3 { 180 } else { 40 });
    let told = bench.dispatched.clone();
    let [delivery] = &told[..] else { panic!("{:?}", bench.heard()) };
    let AlertEvent::Degraded(degradation) = &delivery.alert.event else { panic!("{delivery:?}") };
    assert_eq!(delivery.channel, "y");
    let [reason] = &degradation.reasons[..] else { panic!("{degradation:?}") };
    assert!(reason.summary.contains("100ms are promised"), "{}", reason.summary);
    assert!(reason.summary.contains("above it: a 179.2ms"), "{}", reason.summary);
    let trips = degradation.round_trips.as_ref().unwrap();
    assert!(trips.merged.p95_ms > 175.0 && trips.regions.len() == 5, "{trips:?}");

    assert_eq!(bench.verdicts()["shop"], Some("up"), "degraded is no verdict");
    assert_eq!(reasons(&bench), ["latency"]);
    let view = &bench.picture.monitors[0];
    assert!(view.regions[0].round_trips.unwrap().p95 > Micros::from_millis(175));
    assert!(view.regions[4].round_trips.unwrap().p95 < Micros::from_millis(45));
    assert_eq!(bench.core.counts.events["degraded"], 1);

    bench.settle(&told);
    restart(&mut bench, shop());
    work(&mut bench, 120, |_| 180);
    assert_eq!(reasons(&bench), ["latency"], "known from the store");
    assert_eq!(bench.heard(), QUIET);
    work(&mut bench, 660, |_| 40);
    let told = bench.dispatched.clone();
    let [delivery] = &told[..] else { panic!("{:?}", bench.heard()) };
    let AlertEvent::Recovered(recovered) = &delivery.alert.event else { panic!("{delivery:?}") };
    assert_eq!((recovered.id.as_str(), delivery.channel.as_str()), (degradation.id.as_str(), "y"));
    assert!(recovered.reasons[0].ended_at.is_some() && recovered.recovered_at.is_some());
    assert_eq!(reasons(&bench), QUIET);
    let kinds = bench.events().iter().map(|event| event.kind).collect::<Vec<_>>();
    assert_eq!(kinds, [EventKind::Degraded, EventKind::Recovered]);
    restart(&mut bench, shop());
    work(&mut bench, 60, |_| 40);
    assert_eq!(bench.events().len(), 2);
}

#[test]
fn what_does_not_count() {
    // Late ones, those that failed, confirmations, and those of an agent that is slow itself.
    let mut bench = watching(shop());
    for _ in 0..60 {
        for index in ALL {
            bench.health(index);
            let unit = bench.agents[index].agent.batch(vec![trip(4_000)]);
            drop(bench.send(index, unit, Some(limits::RESULT_FRESH_MAX + S(1))));
            let kind = quorate_proto::CheckKind::Confirming { request: 1, attempt: 1 };
            drop(bench.batch(index, vec![CheckResult { kind, ..trip(4_000) }]));
        }
        let revision = bench.core.assignments.revision;
        let late = Doubt::EventLoopLate;
        let doubts = vec![DoubtReport { doubt: late, lasting: S(1), detail: "by 3 s".to_owned() }];
        let health = Health { revision, doubts, ..Health::default() };
        let (agent, connection) = (bench.key(0), bench.agents[0].connection);
        bench.tell(Intake::Health { agent, connection, health, received: bench.now.moment });
        drop(bench.batch(0, vec![trip(4_000)]));
        drop(bench.batch(1, vec![CheckResult { timings: trip(4_000).timings, ..refused("shop", "x") }]));
        drop(bench.batch(1, vec![trip(40)]));
        bench.pass(S(5));
    }
    let merged = bench.picture.monitors[0].round_trips.unwrap();
    assert!(merged.p99 < Micros::from_millis(45) && merged.count >= 55, "{merged:?}");
    assert_eq!(bench.heard(), QUIET);
}

#[test]
fn while_it_is_down_nothing_is_said_of_it_and_who_was_told_is_told_the_end() {
    let mut bench = watching(shop());
    work(&mut bench, 120, |_| 180);
    assert_eq!(bench.heard(), ["y monitor.degraded"]);
    bench.work(60, &ALL);
    assert_eq!(bench.verdicts()["shop"], Some("down"));
    assert_eq!(reasons(&bench), QUIET, "there is worse to say");
    assert_eq!(bench.picture.monitors[0].round_trips, None);
    work(&mut bench, 240, |_| 40);
    assert_eq!(reasons(&bench), ["latency"], "nobody has seen yet that it is over");
    work(&mut bench, 240, |_| 40);
    let heard = bench.heard();
    let of_y = heard.iter().filter(|one| one.starts_with('y')).collect::<Vec<_>>();
    assert_eq!(of_y, ["y incident.opened", "y incident.resolved", "y monitor.recovered"], "{heard:?}");
}

#[test]
fn a_monitor_that_goes_and_a_promise_that_is_taken_back_end_it() {
    let mut bench = watching(shop());
    work(&mut bench, 120, |_| 180);
    assert_eq!(bench.heard(), ["y monitor.degraded"]);
    let mut unpromised = shop();
    unpromised.monitors[0].latency = None;
    bench.tell(Intake::Configure(unpromised.into()));
    bench.pass(S(1));
    assert_eq!(bench.heard(), ["y monitor.recovered"]);
    assert!(bench.picture.monitors[0].round_trips.is_some(), "measured all the same");

    bench.tell(Intake::Configure(shop().into()));
    work(&mut bench, 60, |_| 180);
    assert_eq!(bench.heard(), ["y monitor.degraded"]);
    bench.tell(Intake::Configure(config(vec![], &["x", "y:d"]).into()));
    bench.pass(S(1));
    assert_eq!(bench.heard(), ["y monitor.recovered"]);
    assert!(bench.recovered().quality.is_empty(), "forgotten with it");
}

#[test]
fn several_reasons_are_one_stretch() {
    let mut bench = watching(shop());
    let shown = |ends: WallMicros| TlsFacts {
        version: 0x0304,
        cipher: 0x1301,
        not_after: Some(ends),
        fingerprint: [1; 32],
        verified: true,
    };
    let soon = bench.now.wall.after(S(2 * 86_400));
    drop(bench.batch(2, vec![CheckResult { tls: Some(shown(soon)), ..trip(40) }]));
    bench.pass(S(1));
    assert_eq!(bench.heard(), ["y monitor.degraded"]);
    assert_eq!(reasons(&bench), ["certificate"]);
    for _ in 0..3 {
        for index in ALL {
            bench.canaries(index, vec![ended("shop", 5, FailureKind::Dropped), opened("shop", false)]);
        }
        bench.answer(5, &[]);
    }
    assert_eq!(reasons(&bench), ["certificate", "reconnects"]);
    let both = bench.dispatched.last().unwrap().alert.event.clone();
    let AlertEvent::Degraded(both) = both else { panic!("{both:?}") };
    assert_eq!(both.reasons.len(), 2);
    assert_eq!(bench.heard(), ["y monitor.degraded"]);

    let renewed = bench.now.wall.after(S(90 * 86_400));
    for _ in 0..70 {
        for index in ALL {
            drop(bench.batch(index, vec![CheckResult { tls: Some(shown(renewed)), ..trip(40) }]));
            let alive = CanaryEvent::Alive { open_for: S(60), heartbeats: 1, round_trips: None };
            bench.canaries(index, vec![canary("shop", alive)]);
        }
        bench.answer(60, &[]);
    }
    assert_eq!(bench.heard(), ["y monitor.recovered"], "once, when both are over");
    assert_eq!(reasons(&bench), QUIET);
}

#[test]
fn abnormal_closes_are_judged_against_what_the_store_remembers() {
    let mut bench = watching(shop());
    let alive = |bench: &mut Bench| {
        for index in ALL {
            let alive = CanaryEvent::Alive { open_for: S(60), heartbeats: 1, round_trips: None };
            bench.canaries(index, vec![canary("shop", alive)]);
        }
    };
    // Two days but a minute, and then some minutes: quiet hours are written down every six.
    let two_days = Baseline { ends: 0.0, hours: 47.99, at: bench.now.moment };
    let usual = REGIONS.iter().map(|region| (Bench::region(region), two_days)).collect();
    let memory = Memory { usual, ..Memory::default() };
    bench.core.judge(Event::Restore { monitor: "shop".parse().unwrap(), memory }, bench.now);
    for _ in 0..10 {
        alive(&mut bench);
        bench.pass(S(144));
    }
    restart(&mut bench, shop());
    let usual = &bench.core.monitors.values().next().unwrap().quality.usual;
    assert_eq!(usual.len(), 5);
    assert!(usual.values().all(|usual| usual.hours >= 48.0 && usual.ends == 0.0), "{usual:?}");
    bench.work(60, &[]);
    assert_eq!(bench.verdicts()["shop"], Some("up"));
    assert_eq!(reasons(&bench), QUIET);
    let deliveries = bench.dispatched.len();
    for _ in 0..6 {
        alive(&mut bench);
        for index in ALL {
            let code = FailureKind::Closed { code: 1011, reason: String::new() };
            bench.canaries(index, vec![ended("shop", 300, code)]);
        }
        bench.work(60, &[]);
    }
    let summary = bench.picture.monitors[0].degraded[0].summary.clone();
    assert!(summary.contains("with 1011") && summary.contains("of 5 regions"), "{summary}");
    let heard = bench.heard().split_off(deliveries);
    assert_eq!(heard, ["y monitor.degraded"]);
}

/// `shop`, in a maintenance from the next second on.
fn maintained(bench: &Bench, lasts: u64) -> Config {
    let from = bench.now.wall.after(S(1));
    let plan = MaintenancePlan {
        id: "work".to_owned(),
        name: "Work".to_owned(),
        reason: String::new(),
        monitors: None,
        times: MaintenanceTimes::Once(Stretch { from, to: from.after(S(lasts)) }),
    };
    Config { maintenance: vec![plan], ..shop() }
}

#[test]
fn degraded_since_a_maintenance_is_told_after_it_where_it_is_seen_then() {
    for is_restarted in [false, true] {
        let mut bench = watching(shop());
        let config = maintained(&bench, 300);
        bench.tell(Intake::Configure(config.clone().into()));
        work(&mut bench, 120, |_| 180);
        assert_eq!((reasons(&bench), bench.heard()), (vec!["latency".to_owned()], vec![]));
        if is_restarted {
            restart(&mut bench, config);
        }
        work(&mut bench, 170, |_| 180);
        assert_eq!(bench.heard(), QUIET, "it is maintained");
        work(&mut bench, 90, |_| 180);
        assert_eq!(bench.heard(), ["y monitor.degraded"], "restarted: {is_restarted}");
        work(&mut bench, 60, |_| 180);
        assert_eq!(bench.heard(), QUIET, "told once");
        work(&mut bench, 660, |_| 40);
        assert_eq!(bench.heard(), ["y monitor.recovered"]);
    }
}

#[test]
fn what_a_maintenance_left_behind_is_told_to_nobody() {
    // Slow at its beginning, and well since; at its end that has not lasted for long enough to be called over.
    let mut bench = watching(shop());
    let config = maintained(&bench, 600);
    bench.tell(Intake::Configure(config.into()));
    work(&mut bench, 120, |_| 180);
    work(&mut bench, 500, |_| 40);
    assert_eq!(bench.picture.monitors[0].maintenance, None);
    assert_eq!(reasons(&bench), ["latency"], "not over yet");
    work(&mut bench, 600, |_| 40);
    assert_eq!((reasons(&bench), bench.heard()), (vec![], vec![]));
    // The next one is told as ever.
    work(&mut bench, 120, |_| 180);
    assert_eq!(bench.heard(), ["y monitor.degraded"]);
}
