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
use runs::{Kind, all_of};

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
    for seed in [1, 2, 3, 7] {
        let [one, other] = [(), ()].map(|()| std::thread::spawn(move || run(plans::by_chance(seed))));
        let (one, other) = (one.join().unwrap().unwrap(), other.join().unwrap().unwrap());
        let differ = one.trace.iter().zip(&other.trace).find(|(one, other)| one != other);
        assert_eq!(differ, None, "seed {seed}");
        assert_eq!(one.trace.len(), other.trace.len(), "seed {seed}");
        assert!(one.trace.len() > 500, "seed {seed} has but {} lines", one.trace.len());
    }
    let [one, other] = [1, 2].map(|seed| run(plans::by_chance(seed)).unwrap().trace);
    assert_ne!(one, other, "the seed has no influence");
}

#[test]
fn whatever_happens_by_chance() {
    all_of(Kind::Chance);
}

/// Each kind of cut, at every passage of a datagram or a disk's work of one agent and of the aggregator.
#[test]
fn a_host_is_cut_off_at_every_step() {
    all_of(Kind::Cut);
}

/// Before and after every write of a spool, every deletion in it and every commit, and at every datagram in between.
#[test]
fn the_power_goes_at_every_durable_point() {
    all_of(Kind::Crash);
}
