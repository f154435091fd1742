//! The whole system in one thread, in virtual time: real agents, the real aggregator with SQLite and the real rules, on a
//! simulated network whose every packet, and disks whose every write, may be the last.

mod datagrams;
mod house;
mod machine;
mod others;
mod recorder;
mod wire;

use std::time::Duration;

use house::{Plan, run};

#[test]
fn a_result_is_acknowledged_and_stored() {
    let left = run(Plan::quiet(1, 1, Duration::from_secs(12))).unwrap();
    let stored =
        left.trace.iter().filter(|line| line.contains("answered") && line.contains("Stored")).count();
    assert!(stored >= 4, "{:#?}", left.trace);
}
