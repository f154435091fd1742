//! Canaries, and the events that follow from what agents tell.

use quorate_proto::{
    Failure, FailureKind, Micros, Outcome, Phase, WallMicros,
    canary::{Canary, CanaryEvent, CanaryMode, CanaryResult, IdleFinding},
    outcome::{AddressResult, TlsFacts},
};

use super::bench::{Bench, Disk, REGIONS, config};
use crate::{
    config::Config,
    limits,
    model::{AlertEvent, EventKind, Severity, fixture},
    store::{
        CommitError,
        fixture::{check, ended, opened, refused},
    },
};

const S: fn(u64) -> Micros = Micros::from_secs;
const ALL: [usize; 5] = [0, 1, 2, 3, 4];
const DAY: Micros = Micros::from_secs(86_400);

fn closed(code: u16) -> FailureKind {
    FailureKind::Closed { code, reason: String::new() }
}

/// One monitor with canaries, checked every five minutes, of which `x` hears pages and `y` events too.
fn shop() -> Config {
    let mut monitor = fixture::monitor("shop", &REGIONS);
    monitor.spec.interval = S(300);
    monitor.spec.canary = Some(Canary { heartbeat: S(30), grace: S(10), mode: CanaryMode::Ping });
    config(vec![monitor], &["x", "y:e"])
}

/// Five agents whose checks have passed and whose canaries are open.
fn watching() -> Bench {
    let mut bench = Bench::new(shop());
    for region in REGIONS {
        bench.enrol(region);
    }
    bench.connect_all();
    for index in ALL {
        bench.health(index);
        drop(bench.batch(index, vec![check("shop", Outcome::Passed)]));
        bench.canaries(index, vec![opened("shop", true)]);
    }
    bench.answer(20, &[]);
    assert_eq!(bench.verdicts()["shop"], Some("up"));
    bench
}

fn restart(bench: &mut Bench) {
    bench.kill(shop());
    let revision = bench.core.assignments.revision;
    for index in ALL {
        bench.connect(index, revision);
    }
    bench.answer(1, &[]);
}

fn kinds(bench: &Bench) -> Vec<EventKind> {
    bench.events().iter().map(|event| event.kind).collect()
}

fn tls(fingerprint: u8, not_after: WallMicros) -> quorate_proto::CheckResult {
    let facts = TlsFacts {
        version: 0x0304,
        cipher: 0x1301,
        not_after: Some(not_after),
        fingerprint: [fingerprint; 32],
        verified: true,
    };
    quorate_proto::CheckResult { tls: Some(facts), ..check("shop", Outcome::Passed) }
}

#[test]
fn a_crash_is_paged_within_seconds_although_checks_are_minutes_apart() {
    let mut bench = watching();
    for index in ALL {
        bench.canaries(index, vec![ended("shop", 20, FailureKind::Dropped)]);
    }
    bench.pass(Micros::from_millis(250));
    assert!(bench.picture.monitors[0].suspect);
    let begins = bench.now.moment;
    while bench.dispatched.is_empty() {
        bench.answer(1, &ALL);
        assert!(bench.now.moment.since(begins) < S(20), "{:?}", bench.verdicts());
    }
    assert_eq!(bench.heard(), ["x incident.opened", "y incident.opened"]);
    assert_eq!(bench.events(), []);
}

#[test]
fn the_end_of_one_canary_makes_nobody_say_anything() {
    let mut bench = watching();
    let asked = bench.core.counts.confirmations;
    bench.canaries(0, vec![ended("shop", 20, FailureKind::Dropped)]);
    assert_eq!(bench.core.counts.confirmations - asked, 5, "everybody is asked, at once");
    bench.answer(60, &[]);
    assert_eq!(bench.core.counts.confirmations - asked, 5);
    assert_eq!(bench.heard(), [""; 0]);
    assert!(!bench.picture.monitors[0].suspect);
}

#[test]
fn an_announced_restart_is_an_event_and_no_incident() {
    let mut bench = watching();
    for index in ALL {
        bench.canaries(index, vec![ended("shop", 20, closed(1012))]);
    }
    bench.answer(20, &ALL);
    for index in ALL {
        bench.canaries(index, vec![opened("shop", false)]);
    }
    bench.answer(60, &[]);
    assert_eq!(bench.heard(), ["y monitor.event"]);
    assert_eq!(bench.verdicts()["shop"], Some("up"));
    assert!(bench.picture.incidents_open.is_empty());
    assert_eq!(bench.picture.counts.events["restarted"], 1);
    let [event] = &bench.events()[..] else { panic!("{:?}", bench.events()) };
    assert_eq!((event.kind, event.severity), (EventKind::Restarted, Severity::Info));
    assert!(event.summary.contains("4 regions were connected again within 20s"), "{}", event.summary);
    restart(&mut bench);
    bench.answer(30, &[]);
    assert_eq!(bench.events().len(), 1);
}

#[test]
fn an_announced_end_without_return_is_paged_at_the_end_of_the_budget() {
    let mut bench = watching();
    for index in ALL {
        bench.canaries(index, vec![ended("shop", 20, closed(1001))]);
    }
    bench.answer(29, &ALL);
    assert_eq!(bench.heard(), [""; 0]);
    bench.answer(3, &ALL);
    assert_eq!(bench.heard(), ["x incident.opened", "y incident.opened"]);
    assert_eq!(bench.events(), []);
}

#[test]
fn late_canaries_are_history() {
    let mut bench = watching();
    let asked = bench.core.counts.confirmations;
    for index in ALL {
        for minute in 0..30 {
            let canaries = vec![ended("shop", 20, closed(1012)), opened("shop", false)];
            let unit = bench.agents[index].agent.said(vec![], canaries, vec![]);
            drop(bench.send(index, unit, Some(S(1_800 - 60 * minute))));
        }
        let unit = bench.agents[index].agent.said(vec![], vec![ended("shop", 1, closed(1001))], vec![]);
        drop(bench.send(index, unit, None));
    }
    bench.answer(30, &[]);
    assert_eq!(bench.core.counts.confirmations, asked);
    assert_eq!((bench.heard(), bench.events()), (vec![], vec![]));
    let view = bench.picture.monitors[0].regions[0].canary.clone().unwrap();
    assert_eq!((view.opened, view.ended, view.reconnects_last_minute), (31, 31, 0));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cursor = crate::store::Cursor { before: None, limit: 500 };
    let monitor = "shop".parse().unwrap();
    let rows = runtime.block_on(bench.reader.canaries(&monitor, None, true, &cursor)).unwrap().items;
    assert_eq!((rows.len(), rows.iter().filter(|row| row.late).count()), (310, 305));
}

#[test]
fn a_region_shows_its_canary() {
    let mut bench = watching();
    let view = |bench: &Bench| bench.picture.monitors[0].regions[2].canary.clone().unwrap();
    let since = view(&bench).open_since.unwrap();
    let trips = quorate_proto::outcome::RoundTrips::of(&[Micros(900), Micros(700)]);
    let alive =
        CanaryEvent::Alive { open_for: bench.now.wall.since(since), heartbeats: 2, round_trips: trips };
    let alive = CanaryResult { event: alive, ..opened("shop", true) };
    bench.canaries(2, vec![alive]);
    bench.answer(60, &[]);
    assert_eq!((view(&bench).open_since, view(&bench).round_trip), (Some(since), Some(Micros(700))));
    bench.canaries(2, vec![ended("shop", 7, closed(4401)), opened("shop", false)]);
    bench.answer(1, &[]);
    let now = view(&bench);
    assert!(now.open_since.unwrap() > since);
    assert_eq!((now.opened, now.ended, now.lost_within_10s, now.reconnects_last_minute), (2, 1, 1, 1));
    assert_eq!(now.last_end.as_deref(), Some("closed 4401: as seen"));
    assert_eq!(now.close_codes.into_iter().collect::<Vec<_>>(), [(4401, 1)]);
    let other = bench.picture.monitors[0].regions[0].canary.clone().unwrap();
    assert_eq!(other.ended, 0);
}

#[test]
fn frequent_reconnections_are_told_once_and_not_again_after_a_restart() {
    let mut bench = watching();
    for _ in 0..8 {
        bench.canaries(1, vec![ended("shop", 14, closed(1013)), opened("shop", false)]);
        bench.answer(15, &[]);
    }
    assert_eq!(kinds(&bench), [EventKind::ReconnectsFrequent]);
    assert_eq!(bench.events()[0].region.as_ref().map(|region| region.as_str()), Some("b"));
    assert_eq!(bench.heard(), ["y monitor.event"]);
    restart(&mut bench);
    for _ in 0..8 {
        bench.canaries(1, vec![ended("shop", 14, closed(1013)), opened("shop", false)]);
        bench.answer(15, &[]);
    }
    assert_eq!(kinds(&bench), [EventKind::ReconnectsFrequent]);
}

#[test]
fn a_certificate_is_announced_once_whatever_is_restarted() {
    let mut bench = watching();
    let ends = bench.now.wall.after(DAY * 10);
    for _ in 0..3 {
        for index in ALL {
            drop(bench.batch(index, vec![tls(1, ends)]));
        }
        bench.answer(5, &[]);
        assert_eq!(kinds(&bench), [EventKind::CertificateExpiring]);
        restart(&mut bench);
        let shown = bench.picture.monitors[0].regions[4].tls.unwrap();
        assert_eq!((shown.not_after, shown.fingerprint), (Some(ends), [1; 32]), "known from the store");
    }
    drop(bench.batch(0, vec![tls(2, ends.after(DAY * 90))]));
    bench.answer(1, &[]);
    assert_eq!(bench.events().len(), 1);
}

#[test]
fn different_certificates_are_told_when_they_stay() {
    let mut bench = watching();
    let far = bench.now.wall.after(DAY * 300);
    let mut told = Vec::new();
    for minute in 0..30 {
        for index in ALL {
            // Region 3 is shown another one from the tenth minute on.
            let fingerprint = if index == 3 && minute >= 10 { 2 } else { 1 };
            drop(bench.batch(index, vec![tls(fingerprint, far)]));
        }
        bench.answer(60, &[]);
        if bench.events().len() > told.len() {
            told.push(minute);
        }
    }
    assert_eq!(told, [20]);
    assert_eq!(kinds(&bench), [EventKind::CertificatesDiffer]);
    assert!(bench.events()[0].summary.contains("d 0202020202020202…"), "{}", bench.events()[0].summary);
}

#[test]
fn an_idle_timeout_is_remembered_and_its_change_is_told() {
    let mut bench = watching();
    let cut = |seconds| IdleFinding::Cut {
        survived: S(seconds - 1),
        cut: S(seconds),
        failure: Failure::new(FailureKind::Dropped, Phase::Exchange, ""),
    };
    bench.idle_timeout(0, cut(60));
    restart(&mut bench);
    bench.idle_timeout(0, cut(60));
    assert_eq!(kinds(&bench), [EventKind::IdleTimeoutChanged]);
    assert_eq!(bench.events()[0].severity, Severity::Info);
    let shown = |bench: &Bench, region: usize| bench.picture.monitors[0].regions[region].idle_timeout.clone();
    bench.answer(1, &[]);
    assert_eq!(shown(&bench, 0).as_deref(), Some("after 60s (dropped)"));
    bench.idle_timeout(0, cut(30));
    bench.idle_timeout(1, IdleFinding::NotWithin(S(1_200)));
    bench.answer(1, &[]);
    assert_eq!(kinds(&bench), [EventKind::IdleTimeoutChanged; 2]);
    assert_eq!(bench.events()[1].severity, Severity::Warning);
    assert_eq!(shown(&bench, 1).as_deref(), Some("none within 20m"));
}

#[test]
fn one_of_several_addresses_fails() {
    let mut bench = watching();
    let found = |failing: bool| {
        let of = |last: u8| AddressResult {
            address: [192, 0, 2, last].into(),
            failure: (failing && last == 7).then_some(FailureKind::ConnectionRefused),
            total: Micros(1),
        };
        quorate_proto::CheckResult { addresses: (5..9).map(of).collect(), ..check("shop", Outcome::Passed) }
    };
    for failing in [true, true, true, false, false, false] {
        drop(bench.batch(4, vec![found(failing)]));
        bench.answer(1, &[]);
        let shown = bench.picture.monitors[0].regions[4].addresses.clone();
        let words = "1 of 4 addresses fails: 192.0.2.7 (connection_refused)";
        assert_eq!(shown.as_deref(), failing.then_some(words));
    }
    assert_eq!(kinds(&bench), [EventKind::AddressesFailing, EventKind::AddressesRecovered]);
    assert_eq!(bench.heard(), ["y monitor.event", "y monitor.event"]);
    assert_eq!(bench.verdicts()["shop"], Some("up"));
}

#[test]
fn newcomers_that_are_refused_beside_living_canaries_are_a_limit() {
    let mut bench = watching();
    let mut limited = refused("shop", "503 Service Unavailable");
    let mut failure = Failure::new(FailureKind::UpgradeStatus(503), Phase::Upgrade, "503");
    failure.canary_lives = true;
    limited.outcome = Outcome::Failed(failure);
    for _ in 0..3 {
        for index in ALL {
            drop(bench.batch(index, vec![limited.clone()]));
            bench.health(index);
        }
        bench.pass(S(10));
    }
    let opened = bench.dispatched.iter().find(|one| one.channel == "x").unwrap();
    let AlertEvent::Opened(incident) = &opened.alert.event else { panic!("{:?}", opened.alert) };
    assert_eq!((incident.verdict.as_str(), incident.cause.kind.as_str()), ("down", "connection_limit"));
}

#[test]
fn an_event_and_what_was_said_are_one_commit() {
    let mut bench = watching();
    bench.pass(limits::GROUP_WAIT);
    bench.disk = Disk::Fails(CommitError::Full);
    let ends = bench.now.wall.after(DAY * 10);
    drop(bench.batch(0, vec![tls(1, ends)]));
    bench.pass(S(2));
    assert_eq!(bench.events(), [], "nothing of it is on the disk");
    assert_eq!(
        bench.heard().iter().filter(|text| text.ends_with("monitor.event")).count(),
        1,
        "it is told all the same"
    );
    bench.disk = Disk::Good;
    bench.pass(S(2));
    assert_eq!(kinds(&bench), [EventKind::CertificateExpiring]);
    assert_eq!(bench.recovered().said.len(), 1);
}
