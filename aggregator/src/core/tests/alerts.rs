//! From failing checks to people.

use quorate_proto::{Micros, Outcome};

use super::bench::{Bench, Disk, REGIONS, config};
use crate::{
    model::{AlertEvent, DeliveryState, Intake, fixture},
    store::fixture::check,
};

#[test]
fn a_total_outage_is_paged_with_its_evidence_and_resolved_where_it_was_opened() {
    let mut bench = Bench::watching(&["x", "y:p"]);
    bench.work(30, &[]);
    assert_eq!(bench.verdicts()["shop"], Some("up"));
    assert_eq!(bench.heard(), [""; 0]);
    bench.work(25, &[0, 1, 2, 3, 4]);
    let opened = bench.dispatched.iter().find(|one| one.channel == "x").unwrap().clone();
    let AlertEvent::Opened(incident) = &opened.alert.event else { panic!("{:?}", opened.alert) };
    assert_eq!(incident.verdict, "down");
    assert_eq!(incident.cause.kind, "connection_refused");
    assert_eq!(incident.monitor.url, "wss://shop.example.org/socket");
    assert_eq!(incident.regions.len(), 5);
    assert!(incident.regions.iter().all(|region| region.agent.is_some()));
    assert!(incident.rule.contains("had to fail for"), "{}", incident.rule);
    let timeline = incident.timeline;
    let (first, decided) = (timeline.first_failure_at.unwrap(), timeline.decided_at.unwrap());
    assert!(decided.since(first) < Micros::from_secs(20), "{}", decided.since(first));
    assert!(timeline.suspected_at.unwrap() >= first);
    assert_eq!(bench.picture.incidents_open.len(), 1);
    assert_eq!(bench.picture.counts.page_seconds.iter().sum::<u64>(), 1);
    bench.heard();
    bench.work(40, &[]);
    let heard = bench.heard();
    assert_eq!(heard.iter().filter(|text| text.ends_with("resolved")).count(), 2, "{heard:?}");
    assert_eq!(bench.verdicts()["shop"], Some("up"));
    assert!(bench.picture.incidents_open.is_empty());
}

#[test]
fn one_region_of_five_pages_nobody() {
    let mut bench = Bench::watching(&["x"]);
    bench.work(30, &[]);
    bench.work(120, &[2]);
    assert_eq!(bench.heard(), [""; 0]);
}

#[test]
fn confirmations_go_to_connected_agents_at_once() {
    let mut bench = Bench::watching(&["x"]);
    bench.work(30, &[]);
    bench.disk = Disk::Stuck;
    drop(bench.batch(0, vec![crate::store::fixture::refused("shop", "refused")]));
    for index in 1..5 {
        let confirms = bench.pushes(index);
        assert_eq!(confirms.len(), 1, "agent {index} before any commit: {confirms:?}");
    }
}

#[test]
fn a_page_waits_for_its_commit_and_no_longer() {
    let mut bench = Bench::watching(&["x"]);
    bench.work(30, &[]);
    bench.disk = Disk::Stuck;
    let failing = [0, 1, 2, 3, 4];
    // The commit under way never ends: after two seconds the page goes out without it.
    bench.work(25, &failing);
    let heard = bench.heard();
    assert_eq!(heard, ["x incident.opened"]);
    bench.unstick();
    bench.work(20, &failing);
    assert_eq!(bench.heard(), [""; 0], "nothing is sent twice when the disk is back");
}

#[test]
fn attempts_are_written_down() {
    let mut bench = Bench::watching(&["x"]);
    bench.work(30, &[]);
    bench.work(25, &[0, 1, 2, 3, 4]);
    let sent = bench.dispatched.clone();
    assert_eq!(sent.len(), 1);
    bench.settle(&sent);
    let recovered = bench.recovered();
    assert!(recovered.deliveries_pending.is_empty());
    assert!(recovered.incidents_open[0].incident.timeline.sent_at.is_some());
    assert_eq!(recovered.delivery_next, sent[0].id + 1);
    assert_eq!(bench.core.counts.attempts[&("x".to_owned(), "delivered")], 1);
    bench.settle(&sent);
    assert!(bench.core.outbox.pending.is_empty(), "an attempt of a settled delivery changes nothing");
}

#[test]
fn a_channel_with_room_gets_what_is_owed_to_it() {
    let mut bench = Bench::watching(&["x", "y"]);
    bench.work(30, &[]);
    bench.work(25, &[0, 1, 2, 3, 4]);
    bench.dispatched.clear();
    bench.tell(Intake::Refill { channel: "y".to_owned() });
    assert_eq!(bench.heard(), ["y incident.opened"]);
}

#[test]
fn a_monitor_that_is_removed_ends_its_incident() {
    let mut bench = Bench::watching(&["x"]);
    bench.work(30, &[]);
    bench.work(25, &[0, 1, 2, 3, 4]);
    bench.heard();
    let other = config(vec![fixture::monitor("chat", &REGIONS)], &["x"]);
    bench.tell(Intake::Configure(other.into()));
    bench.pass(Micros::from_secs(1));
    assert_eq!(bench.heard(), ["x incident.resolved"]);
    assert!(bench.recovered().incidents_open.is_empty());
    // Its agents' last results are history, and nothing more.
    drop(bench.batch(0, vec![check("shop", Outcome::Passed)]));
    bench.pass(Micros::from_secs(1));
    assert_eq!(bench.heard(), [""; 0]);
}

#[test]
fn deliveries_are_numbered_in_order_and_share_their_alert() {
    let mut bench = Bench::watching(&["x", "y"]);
    bench.work(30, &[]);
    bench.work(25, &[0, 1, 2, 3, 4]);
    let [first, second] = bench.dispatched.as_slice() else { panic!("{:?}", bench.dispatched) };
    assert!(first.id < second.id);
    assert_eq!(first.alert.id, second.alert.id);
    assert!(first.alert.id.starts_with("msg_"));
    assert_eq!(first.state, DeliveryState::Pending);
}
