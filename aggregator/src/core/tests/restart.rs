//! Killed at any moment: what was acknowledged is there, what is owed is sent under the same id, nobody is paged for it.

use quorate_proto::{AggregatorKey, Micros, Outcome, frame::AckVerdict};

use super::bench::{Bench, Disk, REGIONS, acked, config};
use crate::{
    core::state::Core,
    model::fixture,
    store::fixture::{AGGREGATOR, check},
};

const S: fn(u64) -> Micros = Micros::from_secs;
const ALL: [usize; 5] = [0, 1, 2, 3, 4];

fn shop(channels: &[&str]) -> crate::config::Config {
    config(vec![fixture::monitor("shop", &REGIONS)], channels)
}

fn kill(bench: &mut Bench, channels: &[&str]) {
    bench.kill(shop(channels));
    let revision = bench.core.assignments.revision;
    for index in 0..bench.agents.len() {
        bench.connect(index, revision);
    }
}

#[test]
fn an_owed_alert_is_sent_again_with_the_same_id() {
    let mut bench = Bench::watching(&["x", "y"]);
    bench.work(30, &[]);
    bench.work(25, &ALL);
    let sent = bench.dispatched.clone();
    assert_eq!(sent.len(), 2);
    bench.settle(&sent[..1]);
    kill(&mut bench, &["x", "y"]);
    assert_eq!(bench.channels.len(), 1, "the channels are told first");
    let [again] = bench.dispatched.as_slice() else { panic!("{:?}", bench.dispatched) };
    assert_eq!((again.id, &again.channel, &again.alert), (sent[1].id, &sent[1].channel, &sent[1].alert));
    bench.dispatched.clear();
    bench.work(20, &ALL);
    assert_eq!(bench.heard(), [""; 0], "the incident goes on, and nobody is paged for it again");
    bench.work(60, &[]);
    assert_eq!(bench.heard(), ["x incident.resolved", "y incident.resolved"]);
}

#[test]
fn nobody_is_paged_for_a_standstill_and_an_outage_after_it_is_found() {
    let mut bench = Bench::watching(&["x", "z:o"]);
    bench.work(30, &[]);
    let since = bench.picture.monitors[0].since;
    for seconds in [6, 25, 3600] {
        bench.stand_still(Micros::from_secs(seconds));
        bench.work(30, &[]);
    }
    assert_eq!(bench.heard(), [""; 0]);
    assert_eq!(bench.verdicts()["shop"], Some("up"));
    assert_eq!(bench.picture.monitors[0].since, since);

    bench.stand_still(Micros::from_secs(25));
    bench.work(40, &[0, 1, 2, 3, 4]);
    assert_eq!(bench.verdicts()["shop"], Some("down"));
}

#[test]
fn nobody_is_paged_for_a_restart() {
    let mut bench = Bench::watching(&["x", "z:o"]);
    bench.work(30, &[]);
    let since = bench.picture.monitors[0].since;
    for _ in 0..3 {
        kill(&mut bench, &["x", "z:o"]);
        assert_eq!(
            bench.core.wake_at().max(bench.now.moment).since(bench.now.moment).as_secs_f64().floor(),
            0.0
        );
        bench.work(30, &[]);
    }
    assert_eq!(bench.heard(), [""; 0]);
    assert_eq!(bench.verdicts()["shop"], Some("up"));
    assert_eq!(bench.picture.monitors[0].since, since);
}

#[test]
fn killed_in_the_middle_of_an_outage_it_is_paged_once() {
    // Before the page, and at several moments around it.
    for seconds in [1, 5, 9, 11, 12, 13, 14, 15, 20] {
        let mut bench = Bench::watching(&["x"]);
        bench.work(30, &[]);
        bench.work(seconds, &ALL);
        let before = bench.heard().len();
        kill(&mut bench, &["x"]);
        let redispatched = bench.heard().len();
        assert_eq!(redispatched, before, "what is owed is sent again, after {seconds} s");
        bench.work(60, &ALL);
        assert_eq!(bench.heard().len() + before, 1, "killed after {seconds} s");
    }
}

#[test]
fn every_acknowledged_result_is_there_once() {
    let mut bench = Bench::watching(&[]);
    let mut acknowledged = 0;
    let mut unit = None;
    for round in 0..5 {
        for _ in 0..10 {
            let mut ack = bench.batch(0, vec![check("shop", Outcome::Passed)]);
            bench.pass(Micros::from_millis(30));
            acknowledged += usize::from(acked(&mut ack) == Some(AckVerdict::Stored));
        }
        // One is on its way to the disk when the process dies, and the agent never hears of it.
        bench.disk = Disk::Stuck;
        let last = unit.insert(bench.agents[0].agent.batch(vec![check("shop", Outcome::Passed)])).clone();
        let mut ack = bench.send(0, last.clone(), Some(S(0)));
        bench.pass(Micros::from_millis(30));
        assert_eq!(acked(&mut ack), None);
        kill(&mut bench, &[]);
        assert_eq!(bench.results("shop").len(), acknowledged, "round {round}");
        let mut ack = bench.send(0, last, Some(S(1)));
        bench.pass(Micros::from_millis(30));
        assert_eq!(acked(&mut ack), Some(AckVerdict::Stored));
        acknowledged += 1;
    }
    assert_eq!(bench.results("shop").len(), 55);
}

#[test]
fn the_resolution_finds_its_channels_after_a_restart_with_other_settings() {
    let mut bench = Bench::watching(&["x", "y"]);
    bench.work(30, &[]);
    bench.work(25, &ALL);
    bench.heard();
    let mut monitor = fixture::monitor("shop", &REGIONS);
    monitor.channels = vec!["y".to_owned(), "z".to_owned()];
    bench.kill(config(vec![monitor], &["y", "z"]));
    let revision = bench.core.assignments.revision;
    for index in ALL {
        bench.connect(index, revision);
    }
    bench.heard();
    bench.work(90, &[]);
    assert_eq!(bench.heard(), ["x incident.resolved", "y incident.resolved"]);
}

#[test]
fn a_database_of_another_aggregator_is_refused() {
    let mut bench = Bench::watching(&[]);
    let recovered = bench.recovered();
    assert_eq!(recovered.aggregator_key, Some(AGGREGATOR));
    let other = AggregatorKey([8; 32]);
    let error =
        Core::start(shop(&[]).into(), other, "host:1".to_owned(), recovered, bench.now).err().unwrap();
    assert_eq!(error.present, other);
}
