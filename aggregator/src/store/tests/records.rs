//! Canaries, idle timeouts, events, and what is remembered of monitors.

use std::collections::BTreeMap;

use quorate_proto::{
    Failure, FailureKind, Micros, MonitorId, Phase,
    canary::{CanaryEvent, IdleFinding, IdleTimeoutResult},
    outcome::{AddressResult, RoundTrips, TlsFacts},
};

use super::{
    super::fixture::{canary, ended, refused},
    *,
};
use crate::model::{IdleSaid, Said, fixture::event};

fn shop() -> MonitorId {
    "shop".parse().unwrap()
}

#[tokio::test]
async fn canaries_are_told_without_the_reports_that_nothing_happened() {
    let Opened { store, reader, .. } = opened();
    let mut eu = Agent::new("eu-a", "eu");
    let trips = RoundTrips::of(&[Micros(1_000), Micros(2_500)]);
    let alive = CanaryEvent::Alive { open_for: Micros::from_secs(60), heartbeats: 2, round_trips: trips };
    let refused = CanaryEvent::NotOpened {
        failure: Failure::new(FailureKind::UpgradeStatus(503), Phase::Upgrade, "full"),
    };
    let events = [
        fixture::opened("shop", true),
        canary("shop", alive),
        ended("shop", 65, FailureKind::Dropped),
        canary("shop", refused),
        fixture::opened("shop", false),
        canary("shop", CanaryEvent::Left { open_for: Micros(9) }),
        ended("other", 1, FailureKind::Dropped),
    ];
    let mut units = Vec::new();
    for (at, event) in events.into_iter().enumerate() {
        let unit = eu.said(vec![], vec![event], vec![]);
        units.push(eu.rows_of(unit, i64::try_from(at).unwrap()));
    }
    let agents = vec![Change::Agent(eu.record.clone())];
    store.commit(Commit { units, changes: agents }).await.unwrap();

    let page = reader.canaries(&shop(), None, false, &cursor(None, 3)).await.unwrap();
    let rest = reader.canaries(&shop(), None, false, &cursor(page.next, 3)).await.unwrap();
    assert_eq!(rest.next, None);
    let rows = page.items.into_iter().chain(rest.items).collect::<Vec<_>>();
    let names = rows.iter().map(|row| row.event.as_str()).collect::<Vec<_>>();
    assert_eq!(names, ["left", "opened", "not_opened", "ended", "opened"]);
    assert_eq!(
        (rows[1].after_ms, rows[1].took_ms, rows[1].failed_attempts),
        (Some(500.0), Some(40.0), Some(0))
    );
    assert_eq!((rows[2].failure.as_deref(), rows[2].code), (Some("upgrade_status"), None));
    let end = &rows[3];
    assert_eq!(
        (end.failure.as_deref(), end.code, end.open_for_ms),
        (Some("dropped"), Some(1006), Some(65_000.0))
    );
    assert_eq!((end.quiet_for_ms, end.heartbeats), (Some(1_000.0), Some(2)));
    assert_eq!(end.agent.as_ref().map(|name| name.as_str()), Some("eu-a"));
    assert_eq!(end.address.as_deref(), Some("192.0.2.1"));

    let eu = "eu".parse().unwrap();
    let all = reader.canaries(&shop(), Some(&eu), true, &cursor(None, 9)).await.unwrap().items;
    assert_eq!(all.len(), 6);
    let trips = all[4].round_trips.unwrap();
    assert_eq!((trips.count, trips.min, trips.p50, trips.max, trips.jitter), (2, 1.0, 1.0, 2.5, 1.5));
    let us = "us".parse().unwrap();
    assert_eq!(reader.canaries(&shop(), Some(&us), true, &cursor(None, 9)).await.unwrap().items, []);
}

#[tokio::test]
async fn the_latest_idle_timeout_of_each_region_is_found() {
    let Opened { store, reader, .. } = opened();
    let mut units = Vec::new();
    for (region, at, finding) in [
        ("eu", 1, IdleFinding::NotWithin(Micros::from_secs(600))),
        ("us", 2, IdleFinding::Failed(Failure::new(FailureKind::ConnectionRefused, Phase::Tcp, "no"))),
        (
            "eu",
            3,
            IdleFinding::Cut {
                survived: Micros::from_secs(59),
                cut: Micros::from_secs(60),
                failure: Failure::new(FailureKind::Dropped, Phase::Exchange, "no close frame"),
            },
        ),
    ] {
        let mut agent = Agent::new(&format!("{region}-{at}"), region);
        let result = IdleTimeoutResult { monitor: shop(), at: WallMicros(0), age: Micros::ZERO, finding };
        let unit = agent.said(vec![], vec![], vec![result]);
        units.push(agent.rows_of(unit, at));
    }
    store.commit(Commit { units, changes: vec![] }).await.unwrap();
    let latest = reader.idle_timeouts_latest(&shop()).await.unwrap();
    let words = latest.iter().map(|row| (row.region.as_str(), row.finding.as_str(), row.cut_ms, row.code));
    assert_eq!(
        words.collect::<Vec<_>>(),
        [("eu", "cut", Some(60_000.0), Some(1006)), ("us", "failed", None, None)]
    );
    let page = reader.idle_timeouts(&shop(), None, &cursor(None, 2)).await.unwrap();
    let rest = reader.idle_timeouts(&shop(), None, &cursor(page.next, 2)).await.unwrap();
    assert_eq!((page.items.len(), rest.items.len()), (2, 1));
    assert_eq!((rest.items[0].finding.as_str(), rest.items[0].survived_ms), ("not_within", Some(600_000.0)));
}

#[tokio::test]
async fn events_are_read_newest_first_and_stored_once() {
    let Opened { store, reader, .. } = opened();
    let made = [("evt_1", "shop", 1), ("evt_2", "chat", 2), ("evt_3", "shop", 3)]
        .map(|(id, monitor, at)| event(id, monitor, WallMicros(at)));
    let rows = made.iter().chain(&made[..1]).map(|event| Change::Event(Box::new(event.clone())));
    store.commit(changes(rows.collect())).await.unwrap();
    let page = reader.events(None, &cursor(None, 2)).await.unwrap();
    assert_eq!(page.items, [made[2].clone(), made[1].clone()]);
    let rest = reader.events(None, &cursor(page.next, 2)).await.unwrap();
    assert_eq!((rest.items, rest.next), (vec![made[0].clone()], None));
    let chat = "chat".parse().unwrap();
    assert_eq!(reader.events(Some(&chat), &cursor(None, 2)).await.unwrap().items, [made[1].clone()]);
}

#[tokio::test]
async fn what_was_said_and_what_tls_agreed_on_survive_and_go_with_their_monitor() {
    let Opened { store, folder, .. } = opened();
    let idle = IdleSaid { survived: Micros(1), cut: Some(Micros(2)), how: "dropped".to_owned() };
    let said = Said { idle: BTreeMap::from([("eu".parse().unwrap(), idle)]), ..Said::default() };
    let facts = TlsFacts {
        version: 0x0304,
        cipher: 0x1301,
        not_after: Some(WallMicros(77)),
        fingerprint: [5; 32],
        verified: true,
    };
    let stored = StoredTls { facts, since: WallMicros(3) };
    let rows = |monitor: MonitorId| {
        let region = "eu".parse().unwrap();
        [
            Change::Said { monitor: monitor.clone(), said: Box::new(said.clone()) },
            Change::Tls { monitor, region, stored },
        ]
    };
    let gone: MonitorId = "gone".parse().unwrap();
    let all = rows(shop()).into_iter().chain(rows(gone.clone())).collect();
    store.commit(changes(all)).await.unwrap();
    store.commit(changes(vec![Change::MonitorGone { monitor: gone }])).await.unwrap();
    store.close();
    let (_, _, recovered) = Store::open(folder.path()).unwrap();
    assert_eq!(recovered.said, BTreeMap::from([(shop(), said)]));
    assert_eq!(recovered.tls, BTreeMap::from([(shop(), BTreeMap::from([("eu".parse().unwrap(), stored)]))]));
}

#[tokio::test]
async fn a_check_keeps_its_round_trips_and_addresses() {
    let Opened { store, reader, .. } = opened();
    let mut eu = Agent::new("eu-a", "eu");
    let mut result = check("shop", Outcome::Passed);
    result.timings.samples = RoundTrips::of(&[Micros(4_000), Micros(6_000)]);
    let of = |last, failure| AddressResult {
        address: [192, 0, 2, last].into(),
        failure,
        total: Micros::from_millis(7),
    };
    result.addresses = vec![of(1, None), of(2, Some(FailureKind::UpgradeStatus(502)))];
    let mut failed = refused("shop", "no");
    if let Outcome::Failed(failure) = &mut failed.outcome {
        failure.canary_lives = true;
    }
    let units = vec![eu.rows(result, 1), eu.rows(failed, 2)];
    store.commit(Commit { units, changes: vec![] }).await.unwrap();
    let rows = reader.results(&shop(), None, &cursor(None, 9)).await.unwrap().items;
    assert!(rows[0].canary_lives && rows[0].round_trips.is_none() && rows[0].addresses.is_empty());
    assert_eq!(rows[1].round_trips.map(|trips| (trips.count, trips.jitter)), Some((2, 2.0)));
    let addresses = rows[1].addresses.iter().map(|row| (row.address.as_str(), row.failure.as_deref()));
    assert_eq!(
        addresses.collect::<Vec<_>>(),
        [("192.0.2.1", None), ("192.0.2.2", Some("upgrade_status 502"))]
    );
}
