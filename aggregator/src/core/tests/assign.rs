//! Assignments: revisions, hand-overs, and what is recorded before.

use quorate_proto::{Micros, MonitorId, frame::Health};

use super::bench::{Bench, Disk, REGIONS, config};
use crate::{
    config::{Config, Monitor},
    core::effect::Parcel,
    limits,
    model::{Intake, Push, fixture::monitor},
    store::CommitError,
};

const S: fn(u64) -> Micros = Micros::from_secs;

fn configure(bench: &mut Bench, config: Config) -> bool {
    let before = bench.core.assignments.revision;
    bench.handed.clear();
    bench.tell(Intake::Configure(config.into()));
    bench.pass(S(1));
    bench.core.assignments.revision > before
}

/// What was handed to an agent, in short: `full shop,chat` or `+chat -shop`.
fn handed(bench: &Bench, index: usize) -> Vec<String> {
    let names = |ids: Vec<&MonitorId>| ids.into_iter().map(MonitorId::as_str).collect::<Vec<_>>().join(",");
    let of_agent = bench.handed.iter().filter(|one| one.agent == bench.key(index));
    let words = of_agent.map(|one| match &one.parcel {
        Parcel::Full(set) => format!("full {}", names(set.iter().map(|one| &one.spec.id).collect())),
        Parcel::Change { changed, removed } => {
            let changed = names(changed.iter().map(|one| &one.spec.id).collect());
            format!("+{changed} -{}", names(removed.iter().collect()))
        }
    });
    words.collect()
}

#[test]
fn the_revision_grows_only_when_agents_would_see_a_difference() {
    let shop = || monitor("shop", &REGIONS);
    let mut bench = Bench::watching(&["x"]);
    let mut slower = shop();
    slower.spec.interval = S(20);
    let mut renamed = slower.clone();
    renamed.name = "Other".to_owned();
    renamed.channels.clear();
    renamed.confirm_for = Some(S(5));
    let moved = Monitor { regions: vec![Bench::region("b"), Bench::region("a")], ..renamed.clone() };
    let cases: [(&str, Vec<Monitor>, bool); 6] = [
        ("the same again", vec![shop()], false),
        ("another interval", vec![slower], true),
        ("another name, other channels, another rule", vec![renamed], false),
        ("other regions, in another order", vec![moved.clone()], true),
        ("one more", vec![moved, monitor("chat", &["a"])], true),
        ("one less", vec![monitor("chat", &["a"])], true),
    ];
    for (what, monitors, grows) in cases {
        assert_eq!(configure(&mut bench, config(monitors, &["x"])), grows, "{what}");
    }
    assert_eq!(bench.picture.revision, bench.core.assignments.revision);
}

#[test]
fn a_restart_with_the_same_configuration_changes_nothing() {
    let mut bench = Bench::watching(&[]);
    let revision = bench.core.assignments.revision;
    assert!(revision > 0);
    bench.kill(config(vec![monitor("shop", &REGIONS)], &[]));
    assert_eq!(bench.core.assignments.revision, revision);
    bench.handed.clear();
    bench.connect(0, revision);
    assert_eq!(handed(&bench, 0), [""; 0], "it has everything");
    bench.connect(1, revision - 1);
    assert_eq!(handed(&bench, 1), ["full shop"]);
    bench.kill(config(vec![monitor("chat", &REGIONS)], &[]));
    assert!(bench.core.assignments.revision > revision, "it changed while the aggregator was away");
}

#[test]
fn agents_are_given_what_their_region_watches() {
    let monitors = vec![monitor("all", &REGIONS), monitor("some", &["c", "a"]), monitor("none", &["e"])];
    let mut bench = Bench::new(config(monitors, &[]));
    bench.enrol("a");
    bench.enrol("b");
    bench.connect_all();
    assert_eq!(handed(&bench, 0), ["full all,some"]);
    assert_eq!(handed(&bench, 1), ["full all"]);
    let Parcel::Full(set) = &bench.handed[0].parcel else { panic!("a change") };
    let slots = set.iter().map(|one| (one.slot.index, one.slot.of)).collect::<Vec<_>>();
    assert_eq!(slots, [(0, 5), (1, 2)], "the stagger goes by the monitor's own list");
}

#[test]
fn a_change_is_handed_over_as_one() {
    let mut bench = Bench::watching(&[]);
    let two = vec![monitor("shop", &["a"]), monitor("chat", &["a", "b"])];
    configure(&mut bench, config(two, &[]));
    assert_eq!(handed(&bench, 0), ["+shop,chat -"], "its slot is another");
    assert_eq!(handed(&bench, 1), ["+chat -shop"]);
    assert_eq!(handed(&bench, 2), ["+ -shop"]);
}

#[test]
fn what_an_agent_is_given_is_on_the_disk_before() {
    let mut bench = Bench::new(config(vec![monitor("shop", &["a"])], &[]));
    let index = bench.enrol("a");
    bench.pass(S(1));
    bench.disk = Disk::Fails(CommitError::Full);
    bench.connect(index, 0);
    bench.pass(S(5));
    assert_eq!(handed(&bench, index), [""; 0]);
    bench.disk = Disk::Good;
    bench.pass(S(2));
    assert_eq!(handed(&bench, index), ["full shop"]);
    let (recovered, key) = (bench.recovered(), bench.key(index));
    assert!(recovered.given[&key].contains("shop"));
}

#[test]
fn an_agent_that_did_not_take_it_is_given_all_of_it_again() {
    let mut bench = Bench::watching(&[]);
    bench.handed.clear();
    let (agent, connection) = (bench.key(0), bench.agents[0].connection);
    let report = |bench: &mut Bench, revision| {
        let health = Health { revision, ..Health::default() };
        let received = bench.now.moment;
        bench.tell(Intake::Health { agent, connection, health, received });
    };
    report(&mut bench, 0);
    assert_eq!(handed(&bench, 0), [""; 0], "it may still be on its way");
    bench.pass(limits::ASSIGN_AGAIN);
    report(&mut bench, 0);
    assert_eq!(handed(&bench, 0), ["full shop"]);
    let revision = bench.core.assignments.revision;
    bench.pass(limits::ASSIGN_AGAIN);
    report(&mut bench, revision);
    assert_eq!(handed(&bench, 0).len(), 1);
}

#[test]
fn a_second_connection_supersedes_the_first() {
    let mut bench = Bench::watching(&[]);
    let mut first = bench.agents[0].pushes.take().unwrap();
    while first.try_recv().is_ok_and(|push| push != Push::Close(quorate_proto::frame::CloseCode::Superseded))
    {
    }
    bench.connect(0, 0);
    assert_eq!(first.try_recv().ok(), Some(Push::Close(quorate_proto::frame::CloseCode::Superseded)));
    let agent = bench.key(0);
    bench.tell(Intake::Disconnected { agent, connection: bench.agents[0].connection - 1 });
    bench.pass(S(1));
    assert!(bench.picture.agents.iter().any(|view| view.key == agent && view.connected));
}
