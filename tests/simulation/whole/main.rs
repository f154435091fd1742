//! The whole system in one thread, in virtual time: real agents, the real aggregator with SQLite and the real rules, on a
//! simulated network whose every packet, and disks whose every write, may be the last.
//!
//! A run that fails prints how to make it again alone: `tests/simulate`, which also makes as many runs as one likes.

mod checks;
mod crowd;
mod datagrams;
mod house;
mod machine;
mod others;
mod plans;
mod recorder;
mod runs;
mod tampering;
mod wire;

use std::time::Duration;

use house::{Plan, run};
use runs::{Kind, all_of, report};

#[test]
fn a_result_is_acknowledged_and_stored() {
    let left = run(Plan::quiet(1, 1, Duration::from_secs(12))).unwrap();
    let stored =
        left.trace.iter().filter(|line| line.contains("answered") && line.contains("Stored")).count();
    assert!(stored >= 4, "{:#?}", left.trace);
    checks::all(&left).unwrap();
}

/// The rest is worth nothing without this: whatever fails must fail again.
#[test]
fn one_seed_is_one_trace() {
    for number in [1, 2, 3, 7, 55] {
        let [one, other] = [(), ()].map(|()| report(Kind::Chance, number).unwrap().trace);
        let differ = one.lines().zip(other.lines()).find(|(one, other)| one != other);
        assert_eq!(differ, None, "seed {number}");
        assert_eq!(one.lines().count(), other.lines().count(), "seed {number}");
        assert!(one.lines().count() > 500, "seed {number} has but {} lines", one.lines().count());
    }
    let [one, other] = [1, 2].map(|number| report(Kind::Chance, number).unwrap().trace);
    assert_ne!(one, other, "the seed has no influence");
}

#[test]
fn whatever_happens_by_chance() {
    all_of(Kind::Chance, 0..200);
}

/// Each kind of cut, at passages of a datagram or a disk's work of one agent and of the aggregator.
#[test]
fn a_host_is_cut_off_at_every_step() {
    all_of(Kind::Cut, 0..40);
}

/// Before and after writes of a spool, deletions in it, and commits, and at datagrams in between.
#[test]
fn the_power_goes_at_every_durable_point() {
    all_of(Kind::Crash, 0..40);
}
