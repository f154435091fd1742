//! Storage trouble (invariant 8): deciding and paging go on, and nothing is said twice.

use quorate_proto::{Micros, Outcome, frame::AckVerdict};
use tokio::sync::oneshot;

use super::bench::{Bench, Disk, acked};
use crate::{
    limits,
    model::{Admin, AdminError, Intake, StorageState},
    store::{CommitError, fixture::check},
};

const S: fn(u64) -> Micros = Micros::from_secs;

fn failing(bench: &Bench) -> Option<&str> {
    match &bench.picture.storage {
        StorageState::Good => None,
        StorageState::Failing(reason) => Some(reason),
    }
}

#[test]
fn with_the_disk_full_an_outage_is_paged_and_its_end_too_and_all_of_it_is_stored_later() {
    let mut bench = Bench::watching(&["x", "z:o"]);
    bench.work(30, &[]);
    bench.disk = Disk::Fails(CommitError::Full);
    bench.work(5, &[]);
    assert_eq!(bench.heard(), ["z operator.notice"]);
    assert_eq!(failing(&bench), Some("the disk is full"));
    bench.work(25, &[0, 1, 2, 3, 4]);
    let opened = bench.dispatched.clone();
    assert_eq!(bench.heard(), ["x incident.opened", "z incident.opened"]);
    bench.settle(&opened[..1]);
    bench.work(40, &[]);
    let resolved = bench.dispatched.clone();
    assert_eq!(bench.heard(), ["x incident.resolved", "z incident.resolved"]);
    bench.disk = Disk::Good;
    bench.work(15, &[]);
    assert_eq!(bench.heard(), ["z operator.notice"], "recovered, and nothing is paged a second time");
    assert_eq!(failing(&bench), None);
    let recovered = bench.recovered();
    assert!(recovered.incidents_open.is_empty());
    let pending = recovered.deliveries_pending.iter().map(|row| row.id).collect::<Vec<_>>();
    assert!(!pending.contains(&opened[0].id), "it was delivered");
    assert!(pending.contains(&opened[1].id) && pending.contains(&resolved[0].id));
    let stored = recovered.deliveries_pending.iter().find(|row| row.id == opened[1].id).unwrap();
    assert_eq!(stored.alert.id, opened[1].alert.id, "ids never change");
}

#[test]
fn a_disk_on_the_brink_makes_one_message() {
    let mut bench = Bench::watching(&["z:o"]);
    bench.pass(S(1));
    let unit = bench.agents[0].agent.batch(vec![check("shop", Outcome::Passed)]);
    for _ in 0..20 {
        // The small commit of the trial succeeds each time, and the next unit's does not.
        bench.disk = Disk::Fails(CommitError::Full);
        drop(bench.send(0, unit.clone(), Some(S(0))));
        bench.pass(S(2));
        bench.disk = Disk::Good;
        bench.pass(S(3));
    }
    let notices = bench.heard().into_iter().filter(|text| text == "z operator.notice").count();
    assert_eq!(notices, 1);
    bench.pass(limits::STORAGE_GOOD_AFTER + S(1));
    let notices = bench.heard().into_iter().filter(|text| text == "z operator.notice").count();
    assert_eq!(notices, 1);
}

#[test]
fn a_stalled_commit_holds_no_acknowledgement_and_counts_when_it_ends() {
    let mut bench = Bench::watching(&["z:o"]);
    bench.pass(S(1));
    bench.disk = Disk::Stuck;
    let unit = bench.agents[0].agent.batch(vec![check("shop", Outcome::Passed)]);
    let mut ack = bench.send(0, unit.clone(), Some(S(0)));
    bench.pass(S(1));
    assert_eq!(acked(&mut ack), None);
    bench.pass(limits::COMMIT_STALLED);
    assert_eq!(acked(&mut ack), Some(AckVerdict::Busy), "the agent has room for fresh results again");
    assert_eq!(bench.heard(), ["z operator.notice"]);
    let mut next = bench.batch(0, vec![check("shop", Outcome::Passed)]);
    assert_eq!(acked(&mut next), Some(AckVerdict::Busy));
    bench.unstick();
    let mut again = bench.send(0, unit, Some(S(4)));
    assert_eq!(acked(&mut again), Some(AckVerdict::Stored), "it was stored after all");
    bench.pass(S(1));
    assert_eq!(bench.results("shop").len(), 1);
}

#[test]
fn a_long_outage_of_the_disk_is_tried_every_second() {
    let mut bench = Bench::watching(&[]);
    bench.pass(S(1));
    bench.disk = Disk::Fails(CommitError::Locked);
    drop(bench.batch(0, vec![check("shop", Outcome::Passed)]));
    bench.pass(S(1));
    let before = bench.commits;
    bench.pass(S(60));
    assert!((58..=61).contains(&(bench.commits - before)), "{}", bench.commits - before);
    assert!(bench.core.counts.commits_failed >= 58);
}

#[test]
fn an_operator_is_told_that_nothing_can_be_stored() {
    let mut bench = Bench::watching(&[]);
    bench.pass(S(1));
    bench.disk = Disk::Fails(CommitError::Full);
    let add = |bench: &mut Bench| {
        let (reply, mut answer) = oneshot::channel();
        let name = "new".parse().unwrap();
        let region = Bench::region("a");
        bench.tell(Intake::Admin(Admin::AddAgent { name, region, labels: Default::default(), reply }));
        bench.pass(S(1));
        answer.try_recv().unwrap()
    };
    assert_eq!(add(&mut bench), Err(AdminError::Storage), "the commit failed");
    assert_eq!(add(&mut bench), Err(AdminError::Storage), "known to fail");
    assert!(bench.core.enrolment.tokens.is_empty(), "a token that was not stored cannot be used");
    bench.disk = Disk::Good;
    bench.pass(S(2));
    assert!(add(&mut bench).is_ok());
}
