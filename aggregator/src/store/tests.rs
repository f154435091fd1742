//! The store as its users see it.

mod evidence;
mod faults;
mod records;

use std::collections::BTreeSet;

use quorate_proto::{Outcome, WallMicros};
use quorate_quorum::Verdict;
use rusqlite::{Connection, TransactionBehavior};

use super::{
    fixture::{Agent, check},
    *,
};
use crate::model::{
    DeliveryState, Tracked,
    fixture::{alert, delivery, incident},
};

struct Opened {
    folder: tempfile::TempDir,
    store: Store,
    reader: Reader,
}

fn opened() -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let (store, reader, _) = Store::open(folder.path()).unwrap();
    Opened { folder, store, reader }
}

fn changes(changes: Vec<Change>) -> Commit {
    Commit { units: vec![], changes }
}

fn cursor(before: Option<String>, limit: u32) -> Cursor {
    Cursor { before, limit }
}

#[tokio::test]
async fn results_come_newest_first_page_by_page() {
    let Opened { store, reader, .. } = opened();
    let (mut eu, mut us) = (Agent::new("eu-a", "eu"), Agent::new("us-a", "us"));
    let mut units = Vec::new();
    for at in 1..=5 {
        units.push(eu.passed("shop", at * 1_000_000));
        units.push(us.failed("shop", at * 1_000_000, "connection refused"));
        units.push(us.passed("other", at * 1_000_000));
    }
    let changes = vec![Change::Agent(eu.record.clone())];
    store.commit(Commit { units, changes }).await.unwrap();
    let shop = "shop".parse().unwrap();
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = reader.results(&shop, None, &cursor(before, 3)).await.unwrap();
        assert!(page.items.len() <= 3);
        seen.extend(page.items);
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    let ended = |row: &ResultRow| row.ended_at.clone();
    assert_eq!(seen.len(), 10);
    assert!(seen.is_sorted_by(|a, b| ended(a) >= ended(b)));
    let us = "us".parse().unwrap();
    let page = reader.results(&shop, Some(&us), &cursor(None, 100)).await.unwrap();
    assert_eq!((page.items.len(), page.next), (5, None));
    let row = &page.items[0];
    assert_eq!(row.ended_at, "1970-01-01T00:00:05.000000Z");
    assert_eq!(row.failure.as_deref(), Some("connection_refused"));
    assert_eq!((row.phase.as_deref(), row.detail.as_deref()), (Some("tcp"), Some("connection refused")));
    assert_eq!((row.latency_ms, row.total_ms, row.phases_ms.dns), (20.0, 50.0, Some(5.0)));
    assert_eq!((row.agent.as_ref(), row.kind), (None, "scheduled"), "us-a is not stored as an agent");
    let eu = "eu".parse().unwrap();
    let page = reader.results(&shop, Some(&eu), &cursor(None, 1)).await.unwrap();
    assert_eq!(page.items[0].agent.as_ref().map(|name| name.as_str()), Some("eu-a"));
    assert!(page.items[0].passed);
}

#[tokio::test]
async fn incidents_are_found_by_monitor_and_state() {
    let Opened { store, reader, .. } = opened();
    let mut rows = Vec::new();
    for (number, monitor) in ["shop", "shop", "chat"].into_iter().enumerate() {
        let mut incident = incident(&format!("inc_{number}"), monitor);
        incident.resolved_at = (number == 0).then_some(WallMicros(9));
        let opened_at = WallMicros(i64::try_from(number).unwrap());
        rows.push(Change::Incident(Box::new(Tracked { incident, opened_at, told: BTreeSet::new() })));
    }
    store.commit(changes(rows)).await.unwrap();
    let ids = async |monitor: Option<&str>, open| {
        let monitor = monitor.map(|monitor| monitor.parse().unwrap());
        let page = reader.incidents(monitor.as_ref(), open, &cursor(None, 10)).await.unwrap();
        page.items.into_iter().map(|incident| incident.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(None, None).await, ["inc_2", "inc_1", "inc_0"]);
    assert_eq!(ids(Some("shop"), None).await, ["inc_1", "inc_0"]);
    assert_eq!(ids(Some("shop"), Some(true)).await, ["inc_1"]);
    assert_eq!(ids(None, Some(false)).await, ["inc_0"]);
    let first = reader.incidents(None, None, &cursor(None, 2)).await.unwrap();
    let second = reader.incidents(None, None, &cursor(first.next, 2)).await.unwrap();
    assert_eq!(second.items.len(), 1);
    assert_eq!(second.next, None);
}

#[tokio::test]
async fn an_incident_has_its_deliveries_and_they_are_updated_in_place() {
    let Opened { store, reader, folder } = opened();
    let incident = incident("inc_1", "shop");
    let row = Change::Incident(Box::new(Tracked {
        incident: incident.clone(),
        opened_at: WallMicros(1),
        told: BTreeSet::from(["hook".to_owned()]),
    }));
    let mut first = delivery(7, "hook", alert("msg_1", &incident));
    let second = delivery(8, "slack", alert("msg_1", &incident));
    let rows =
        vec![row, Change::Delivery(Box::new(first.clone())), Change::Delivery(Box::new(second.clone()))];
    store.commit(changes(rows)).await.unwrap();
    first.state = DeliveryState::Delivered;
    first.attempts = 2;
    first.status = Some(204);
    first.first_sent_at = Some(WallMicros(5));
    store.commit(changes(vec![Change::Delivery(Box::new(first.clone()))])).await.unwrap();
    let found = reader.incident("inc_1").await.unwrap();
    assert_eq!(found, Some((incident.clone(), vec![first.clone(), second.clone()])));
    assert_eq!(reader.incident("inc_2").await.unwrap(), None);
    let page = reader.deliveries(Some("hook"), &cursor(None, 10)).await.unwrap();
    assert_eq!(page.items, [first.clone()]);
    let page = reader.deliveries(None, &cursor(None, 1)).await.unwrap();
    let rest = reader.deliveries(None, &cursor(page.next, 1)).await.unwrap();
    assert_eq!((page.items, rest.items, rest.next), (vec![second.clone()], vec![first], None));
    store.close();
    let (_, _, recovered) = Store::open(folder.path()).unwrap();
    assert_eq!(recovered.deliveries_pending, [second]);
    assert_eq!(recovered.delivery_next, 9);
    assert_eq!(recovered.incidents_open[0].incident, incident);
    assert_eq!(recovered.incidents_open[0].told, BTreeSet::from(["hook".to_owned()]));
}

#[tokio::test]
async fn state_survives() {
    let Opened { store, reader, folder } = opened();
    let agent = Agent::new("eu-a", "eu");
    let monitor = |name: &str| name.parse::<quorate_proto::MonitorId>().unwrap();
    let verdict = |name, since| Change::Verdict {
        monitor: monitor(name),
        verdict: Verdict::Down,
        since: WallMicros(since),
    };
    let form =
        MonitorForm { monitor: monitor("shop"), fingerprint: quorate_proto::Digest([3; 32]), revision: 41 };
    let rows = vec![
        Change::Agent(agent.record.clone()),
        Change::Given { agent: agent.key(), monitors: vec![monitor("shop"), monitor("chat")] },
        verdict("shop", 5),
        verdict("gone", 6),
        Change::MonitorGone { monitor: monitor("gone") },
        Change::Revision(42),
        Change::Monitor(form.clone()),
        Change::AggregatorKey(fixture::AGGREGATOR),
        Change::ApiToken { sha256: [9; 32], name: "admin".into(), created_at: WallMicros(1) },
    ];
    store.commit(changes(rows)).await.unwrap();
    assert!(reader.has_token([9; 32]).await.unwrap());
    assert!(!reader.has_token([8; 32]).await.unwrap());
    store.close();
    let (_, _, recovered) = Store::open(folder.path()).unwrap();
    assert_eq!(recovered.agents, std::slice::from_ref(&agent.record));
    assert_eq!(recovered.given[&agent.key()], BTreeSet::from([monitor("chat"), monitor("shop")]));
    assert_eq!(recovered.verdicts.keys().collect::<Vec<_>>(), [&monitor("shop")]);
    assert_eq!(recovered.verdicts[&monitor("shop")].since, WallMicros(5));
    assert_eq!((recovered.revision, recovered.aggregator_key), (42, Some(fixture::AGGREGATOR)));
    assert_eq!(recovered.monitors[&monitor("shop")], form);
    assert!(recovered.has_api_token);
}

#[tokio::test]
async fn reading_does_not_wait_for_a_write_that_is_under_way() {
    let Opened { store, reader, folder } = opened();
    let mut agent = Agent::new("eu-a", "eu");
    let commit = Commit { units: vec![agent.passed("shop", 1)], changes: vec![] };
    store.commit(commit).await.unwrap();
    let mut other = Connection::open(folder.path().join(open::FILE)).unwrap();
    let transaction = other.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    transaction.execute("DELETE FROM result", []).unwrap();
    let shop = "shop".parse().unwrap();
    let page = reader.results(&shop, None, &cursor(None, 9)).await.unwrap();
    assert_eq!(page.items.len(), 1, "a reader sees what was committed");
    // The lock is held by somebody else for longer than the writer waits.
    let refused = store.commit(changes(vec![Change::Revision(1)])).await;
    assert_eq!(refused, Err(CommitError::Locked));
    drop(transaction);
    store.commit(changes(vec![Change::Revision(1)])).await.unwrap();
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill() {
    let Opened { store, folder, .. } = opened();
    let mut agent = Agent::new("eu-a", "eu");
    for at in 0..20 {
        let commit = Commit { units: vec![agent.rows(check("shop", Outcome::Passed), at)], changes: vec![] };
        store.commit(commit).await.unwrap();
    }
    // What the disk holds at this moment is what a killed process leaves behind.
    let image = tempfile::tempdir().unwrap();
    for name in [open::FILE, "quorate.db-wal"] {
        std::fs::copy(folder.path().join(name), image.path().join(name)).unwrap();
    }
    let (_store, reader, recovered) = Store::open(image.path()).unwrap();
    let shop = "shop".parse().unwrap();
    let page = reader.results(&shop, None, &cursor(None, 100)).await.unwrap();
    assert_eq!(page.items.len(), 20);
    assert_eq!(recovered.chains[&agent.key()].head(agent.epoch).unwrap().next, agent.next);
}

#[tokio::test]
async fn the_past_is_read_back_in_order_and_without_what_came_late() {
    use quorate_quorum::Finding;

    let Opened { folder, store, .. } = opened();
    let mut agent = Agent::new("eu-a", "eu");
    let mut late = agent.passed("shop", 2_500_000);
    late.facts.results.iter_mut().for_each(|facts| facts.late = true);
    let units = vec![
        agent.passed("shop", 3_000_000),
        agent.failed("shop", 4_000_000, "connection refused"),
        agent.passed("other", 4_000_000),
        late,
        agent.passed("shop", 1_000_000),
    ];
    let changes = vec![Change::Agent(agent.record.clone())];
    store.commit(Commit { units, changes }).await.unwrap();
    let past = past::Past::open(folder.path()).unwrap();
    let shop = "shop".parse().unwrap();
    let checks = past.checks(&shop, WallMicros(2_000_000)).unwrap();
    let found: Vec<_> = checks.iter().map(|check| (check.ended.0, check.finding)).collect();
    assert_eq!(found, [(3_000_000, Finding::Passed), (4_000_000, Finding::Failed)]);
    assert_eq!(past.canaries(&shop, WallMicros(0)).unwrap(), []);
    assert_eq!(past.downs(&shop, WallMicros(0)).unwrap(), []);
    assert!(past::Past::open(std::path::Path::new("/nowhere")).is_err());
}
