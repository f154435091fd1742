//! Servers that do everything wrong, and what the probe makes of each: it ends by its deadline, takes no more than a
//! mebibyte, names the failure, and slows no other check.
//!
//! `cargo test -p quorate-tests --test hostile -- --nocapture` prints the table. `HOSTILE=word` runs the rows whose name
//! has the word.

#[path = "hostile/answers.rs"]
mod answers;
#[path = "hostile/behaviour.rs"]
mod behaviour;
#[path = "hostile/frames.rs"]
mod frames;
#[path = "hostile/measure.rs"]
mod measure;
#[path = "hostile/names.rs"]
mod names;
#[path = "hostile/peer.rs"]
mod peer;
#[path = "hostile/records.rs"]
mod records;

use std::env;

use quorate_agent::{
    egress::Egress,
    probe::{Checked, Nameservers, Options, Prober},
};
use quorate_proto::Outcome;

use self::{behaviour::Behaviour, measure::Bench};

/// What a check may take beyond its deadline.
const LATE_MS_MAX: f64 = 250.0;

/// What a check may hold of memory.
const HELD_BYTES_MAX: u64 = 1024 * 1024;

/// What a good check may take beside a hostile one, on one thread of an unoptimised build. On its own it takes a few.
const NEIGHBOUR_MS_MAX: f64 = 250.0;

#[test]
fn no_server_holds_the_probe() {
    let options =
        Options { egress: Egress::Private, region: None, nameservers: Nameservers::System, proxy: None };
    let bench = Bench::new(Prober::new(options).unwrap()).unwrap();
    let all = [
        names::names(),
        answers::connections(),
        answers::heads(),
        answers::answers(),
        answers::handshakes(),
        answers::records(),
        frames::endings(),
        frames::violations(),
        frames::floods(),
    ];
    let wanted = env::var("HOSTILE").unwrap_or_default();
    let rows: Vec<Behaviour> = all.into_iter().flatten().filter(|row| row.name.contains(&wanted)).collect();
    assert!(rows.len() >= 40 || !wanted.is_empty(), "only {} behaviours", rows.len());
    // What is made once, at the first check, is not the doing of any server.
    for row in rows.iter().take(1).chain(rows.iter().find(|row| row.name.starts_with("TLS"))) {
        let (_server, spec) = row.start().unwrap();
        bench.alone(None, &spec).unwrap();
    }
    println!(
        "{:50} {:32} {:>10} {:>8} {:>8} {:>13}",
        "behaviour", "found", "phase", "ms late", "KiB", "neighbour ms"
    );
    let mut wrong = Vec::new();
    for row in &rows {
        let (_server, spec) = row.start().unwrap();
        let prober = row.prober().unwrap();
        let alone = bench.alone(prober.as_ref(), &spec).unwrap();
        let (beside, neighbour_ms) = bench.in_company(prober.as_ref(), &spec);
        let late_ms = alone.late_ms.max(beside.late_ms);
        let (found, phase) = found(&alone.checked);
        println!(
            "{:50} {found:32} {phase:>10} {late_ms:8.1} {:8.1} {neighbour_ms:13.1}",
            row.name,
            alone.held_bytes as f64 / 1024.0,
        );
        for checked in [&alone.checked, &beside.checked] {
            let (found, phase) = self::found(checked);
            if !row.is_right(&found, phase) {
                wrong.push(format!(
                    "{}: {found} in {phase}, not {}: {:?}",
                    row.name, row.found, checked.outcome
                ));
            }
        }
        if late_ms > LATE_MS_MAX {
            wrong.push(format!("{}: ended {late_ms} ms after its deadline", row.name));
        }
        if alone.held_bytes > HELD_BYTES_MAX {
            wrong.push(format!("{}: held {} bytes", row.name, alone.held_bytes));
        }
        if neighbour_ms > NEIGHBOUR_MS_MAX {
            wrong.push(format!("{}: a check beside it took {neighbour_ms} ms", row.name));
        }
    }
    println!("{} behaviours", rows.len());
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What a check found, and where.
fn found(checked: &Checked) -> (String, &'static str) {
    match &checked.outcome {
        Outcome::Passed => ("passed".to_owned(), "-"),
        Outcome::Failed(failure) => (failure.kind.to_string(), failure.phase.name()),
    }
}
