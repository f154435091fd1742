//! Units: chains, duplicates, order, age.

use quorate_proto::{
    Digest, Micros, Outcome,
    frame::{AckVerdict, CloseCode},
    limits as protocol,
};

use super::bench::{Bench, Disk, acked};
use crate::{
    limits,
    model::{Intake, Push},
    store::{
        CommitError,
        fixture::{check, refused},
    },
};

const S: fn(u64) -> Micros = Micros::from_secs;

fn passed() -> Vec<quorate_proto::CheckResult> {
    vec![check("shop", Outcome::Passed)]
}

#[test]
fn units_are_acknowledged_after_their_commit_and_stored_once() {
    let mut bench = Bench::watching(&[]);
    let unit = bench.agents[0].agent.batch(passed());
    let mut first = bench.send(0, unit.clone(), Some(S(0)));
    assert_eq!(acked(&mut first), None, "before the commit");
    let mut again = bench.send(0, unit.clone(), Some(S(0)));
    assert_eq!(acked(&mut again), None, "a repetition waits for the same commit");
    bench.pass(limits::GROUP_WAIT);
    assert_eq!(acked(&mut first), Some(AckVerdict::Stored));
    bench.pass(limits::GROUP_WAIT);
    assert_eq!(acked(&mut again), Some(AckVerdict::Stored));
    let mut later = bench.send(0, unit, Some(S(1)));
    assert_eq!(acked(&mut later), Some(AckVerdict::Stored), "at once: it is on the disk");
    assert_eq!(bench.results("shop").len(), 1);
    assert_eq!(bench.core.counts.units_duplicate, 2);
    assert_eq!(bench.core.counts.units_stored, 1);
}

#[test]
fn a_failure_does_not_wait_for_the_group() {
    let mut bench = Bench::watching(&[]);
    bench.pass(S(1));
    let mut ack = bench.batch(0, vec![refused("shop", "no")]);
    assert_eq!(acked(&mut ack), Some(AckVerdict::Stored));
}

#[test]
fn units_gather_while_a_commit_is_under_way() {
    let mut bench = Bench::watching(&[]);
    bench.pass(S(1));
    let commits = bench.commits;
    bench.disk = Disk::Stuck;
    let first = bench.batch(0, vec![refused("shop", "no")]);
    let rest = (0..50).map(|_| bench.batch(1, passed())).collect::<Vec<_>>();
    bench.pass(Micros::from_millis(100));
    assert_eq!(bench.stuck.len(), 1);
    bench.unstick();
    bench.pass(Micros::from_millis(1));
    for mut ack in [first].into_iter().chain(rest) {
        assert_eq!(acked(&mut ack), Some(AckVerdict::Stored));
    }
    assert_eq!(bench.commits - commits, 1, "the fifty shared one commit, besides the one that was stuck");
}

#[test]
fn units_that_overtake_each_other_are_put_in_order() {
    let mut bench = Bench::watching(&[]);
    let units = (0..4).map(|_| bench.agents[0].agent.batch(passed())).collect::<Vec<_>>();
    let mut acks = Vec::new();
    for index in [3, 1, 2] {
        acks.push(bench.send(0, units[index].clone(), Some(S(0))));
    }
    bench.pass(S(1));
    assert!(acks.iter_mut().all(|ack| acked(ack).is_none()));
    acks.push(bench.send(0, units[0].clone(), Some(S(0))));
    bench.pass(S(1));
    assert!(acks.iter_mut().all(|ack| acked(ack) == Some(AckVerdict::Stored)));
    assert_eq!(bench.results("shop").len(), 4);
}

#[test]
fn a_unit_whose_predecessor_does_not_come_is_sent_back() {
    let mut bench = Bench::watching(&[]);
    let _lost = bench.agents[0].agent.batch(passed());
    let mut parked = bench.batch(0, passed());
    bench.pass(limits::PARKED_TIME_MAX);
    assert_eq!(acked(&mut parked), Some(AckVerdict::Busy));
    let acks = (0..protocol::UPLOADS_IN_FLIGHT_MAX + 1).map(|_| bench.batch(0, passed())).collect::<Vec<_>>();
    let sent_back = acks.into_iter().map(|mut ack| acked(&mut ack)).filter(Option::is_some).count();
    assert_eq!(sent_back, 1, "parking is bounded");
    let (agent, connection) = (bench.key(0), bench.agents[0].connection);
    bench.tell(Intake::Disconnected { agent, connection });
    assert!(bench.core.agents[&agent].parked.is_empty());
}

#[test]
fn a_rewritten_chain_is_refused_and_the_connection_closed() {
    let mut bench = Bench::watching(&[]);
    drop(bench.batch(0, passed()));
    bench.pass(S(1));
    bench.pushes(0);
    bench.agents[0].agent.previous = Digest([9; 32]);
    let mut ack = bench.batch(0, passed());
    assert_eq!(acked(&mut ack), Some(AckVerdict::Refused));
    assert_eq!(bench.pushes(0), [Push::Close(CloseCode::Hostile)]);
    bench.pass(S(1));
    assert_eq!(bench.results("shop").len(), 1, "nothing of it is stored");
    assert_eq!(bench.core.counts.units_refused["chain"], 1);
}

#[test]
fn a_result_of_a_monitor_that_was_not_given_is_refused_with_its_unit() {
    let mut bench = Bench::watching(&[]);
    let results = vec![check("shop", Outcome::Passed), check("secret", Outcome::Passed)];
    let mut ack = bench.batch(0, results);
    assert_eq!(acked(&mut ack), Some(AckVerdict::Refused));
    assert_eq!(bench.pushes(0), [Push::Close(CloseCode::Hostile)]);
    bench.pass(S(1));
    assert_eq!(bench.results("shop").len() + bench.results("secret").len(), 0);
}

#[test]
fn a_gap_is_stored_and_what_comes_after_it_goes_on() {
    let mut bench = Bench::watching(&[]);
    // Three units are made and lost.
    let agent = &mut bench.agents[0].agent;
    let (first, previous) = (agent.next, agent.previous);
    for _ in 0..3 {
        drop(agent.batch(passed()));
    }
    let (resume, resume_previous) = (agent.next, agent.previous);
    (agent.next, agent.previous) = (first, previous);
    let gap = agent.gap(resume.0, resume_previous, 3);
    let mut ack = bench.send(0, gap, None);
    let mut after = bench.batch(0, passed());
    bench.pass(S(1));
    assert_eq!(acked(&mut ack), Some(AckVerdict::Stored));
    assert_eq!(acked(&mut after), Some(AckVerdict::Stored));
    assert_eq!(bench.core.counts.results_lost["spool_full"], 3);
    assert_eq!(bench.results("shop").len(), 1);
}

#[test]
fn late_results_are_history_and_page_nobody() {
    let mut bench = Bench::watching(&["x"]);
    bench.work(30, &[]);
    // An hour's backlog of failures from every region, caught up at once.
    for index in 0..5 {
        for minute in 0..60 {
            let unit = bench.agents[index].agent.batch(vec![refused("shop", "old")]);
            drop(bench.send(index, unit, Some(S(3_600 - 60 * minute))));
        }
        let unit = bench.agents[index].agent.batch(vec![refused("shop", "of an unknown age")]);
        drop(bench.send(index, unit, None));
    }
    bench.work(10, &[]);
    assert_eq!(bench.heard(), [""; 0]);
    assert_eq!(bench.verdicts()["shop"], Some("up"));
    assert_eq!(bench.core.counts.results_late, 305);
    let late = bench.results("shop").into_iter().filter(|row| row.late).count();
    assert_eq!(late, 305);
}

#[test]
fn age_is_what_the_agent_measured_wherever_its_wall_clock_is() {
    let mut bench = Bench::watching(&[]);
    let mut result = check("shop", Outcome::Passed);
    result.started_at = quorate_proto::WallMicros(42);
    result.age = S(2);
    let unit = bench.agents[0].agent.batch(vec![result.clone()]);
    drop(bench.send(0, unit, Some(S(3))));
    let ended = bench.now.wall.before(S(5));
    result.age = S(limits::RESULT_FRESH_MAX.as_millis() / 1_000 + 1);
    let unit = bench.agents[0].agent.batch(vec![result]);
    drop(bench.send(0, unit, Some(S(0))));
    bench.pass(S(1));
    let rows = bench.results("shop");
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (rows[0].ended_at.as_str(), rows[0].late),
        (crate::model::rfc3339::text(ended).as_str(), false)
    );
    assert!(rows[1].late);
}

#[test]
fn what_could_not_be_stored_is_stored_later_and_not_decided_on_again() {
    let mut bench = Bench::watching(&[]);
    bench.pass(S(1));
    bench.disk = Disk::Fails(CommitError::Full);
    let units = (0..3).map(|_| bench.agents[0].agent.batch(passed())).collect::<Vec<_>>();
    for unit in &units {
        let mut ack = bench.send(0, unit.clone(), Some(S(0)));
        bench.pass(Micros::from_millis(100));
        assert_eq!(acked(&mut ack), Some(AckVerdict::Busy));
    }
    let checks = |bench: &Bench| bench.core.counts.checks.values().sum::<u64>();
    assert_eq!(checks(&bench), 3, "they were decided on all the same");
    bench.disk = Disk::Good;
    bench.pass(S(2));
    // They come again, and not in order.
    let mut acks = Vec::new();
    for index in [1, 2, 0] {
        acks.push(bench.send(0, units[index].clone(), Some(S(2))));
    }
    let mut next = bench.batch(0, passed());
    bench.pass(S(1));
    assert!(acks.iter_mut().all(|ack| acked(ack) == Some(AckVerdict::Stored)));
    assert_eq!(acked(&mut next), Some(AckVerdict::Stored));
    assert_eq!(checks(&bench), 4);
    let rows = bench.results("shop");
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|row| !row.late));
}

#[test]
fn absurd_numbers_of_one_agent_neither_break_the_count_nor_make_evidence() {
    let mut bench = Bench::watching(&["x"]);
    bench.work(30, &[]);
    bench.pass(S(3));
    for index in 0..5 {
        bench.health(index);
    }
    // One agent says that its check has failed since the beginning of time. Three others see a blip of a second.
    let mut result = refused("shop", "for ever");
    result.timings.total = Micros::MAX;
    drop(bench.batch(0, vec![result]));
    for index in 1..4 {
        drop(bench.batch(index, vec![refused("shop", "a blip")]));
    }
    bench.pass(S(1));
    assert_eq!(bench.heard(), [""; 0], "the span is what the aggregator can have seen");
    for _ in 0..2 {
        let agent = &mut bench.agents[1].agent;
        let (resume, previous) = (agent.next.0 + 1, agent.previous);
        let gap = agent.gap(resume, previous, u64::MAX);
        drop(bench.send(1, gap, None));
    }
    assert_eq!(bench.core.counts.results_lost["spool_full"], u64::MAX);
}
