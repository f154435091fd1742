//! Style as a test: where foreign crates live, how long files are, what the documents promise.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every source file of ours, as (path from the root, text).
fn sources() -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut folders: Vec<_> = ["proto", "agent", "aggregator", "tests"].map(|name| root().join(name)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                folders.push(path);
            } else if name.ends_with(".rs") {
                let short = path.strip_prefix(root())?.to_string_lossy().into_owned();
                found.push((short, fs::read_to_string(&path)?));
            }
        }
    }
    found.sort();
    assert!(found.len() > 50, "the walk found only {} files", found.len());
    Ok(found)
}

#[test]
fn files_say_what_they_are_for_and_stay_readable() {
    let sources = sources().unwrap();
    let mut lengths: Vec<_> = sources.iter().map(|(_, text)| text.lines().count()).collect();
    lengths.sort_unstable();
    for (path, text) in &sources {
        let first = text.lines().next().unwrap_or_default();
        assert!(first.starts_with("//!") || first.starts_with("#!["), "{path} does not say what it is for");
        assert!(
            text.lines().count() <= 600,
            "{path} has {} lines: is it still one room?",
            text.lines().count()
        );
    }
    let median = lengths[lengths.len() / 2];
    assert!(median < 260, "the median file has {median} lines");
    let long = lengths.iter().filter(|length| **length > 450).count();
    assert!(long <= lengths.len() / 15, "{long} files of {} are over 450 lines", lengths.len());
}

/// One foreign crate has one home: the rest of the program does not know it.
#[test]
fn foreign_crates_stay_in_their_homes() {
    let homes: [(&str, &[&str]); 8] = [
        ("bincode::", &["proto/src/codec.rs"]),
        ("quinn::", &["agent/src/uplink", "aggregator/src/ingest", "tests/"]),
        ("rusqlite::", &["aggregator/src/store", "tests/"]),
        (
            "axum::",
            &[
                "aggregator/src/publish",
                "aggregator/src/demo",
                "tests/",
                "aggregator/src/notify/tests",
                "aggregator/src/notify/post/simulated.rs",
            ],
        ),
        ("reqwest::", &["aggregator/src/notify", "aggregator/src/cli/api"]),
        ("tokio_tungstenite::", &["agent/src/probe", "aggregator/src/demo", "tests/"]),
        ("hickory_resolver::", &["agent/src/probe"]),
        (
            "clap::",
            &[
                "agent/src/main.rs",
                "agent/src/cli",
                "agent/src/check",
                "aggregator/src/main.rs",
                "aggregator/src/cli",
                "aggregator/src/demo.rs",
                "tests/src/bin",
            ],
        ),
    ];
    for (path, text) in sources().unwrap() {
        for (foreign, at) in &homes {
            let at_home = at.iter().any(|home| path.starts_with(home)) || path.ends_with("tidy.rs");
            // Tests of any crate may play the other side.
            let at_home = at_home || path.contains("/tests.rs") || path.contains("/tests/");
            assert!(at_home || !text.contains(foreign), "{path} uses {foreign}, whose home is {at:?}");
        }
    }
}

/// Stages do not import each other; they speak the vocabulary, and `run.rs` wires them.
#[test]
fn stages_do_not_import_each_other() {
    let stages: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("agent/src", ["schedule", "probe", "sign", "uplink"].as_slice()),
        ("aggregator/src", ["ingest", "decide", "notify", "publish", "demo", "cli"].as_slice()),
    ]);
    for (path, text) in sources().unwrap() {
        for (base, names) in &stages {
            let Some(rest) = path.strip_prefix(&format!("{base}/")) else { continue };
            let Some(own) = names.iter().find(|name| rest.starts_with(**name)) else { continue };
            if ["demo", "cli"].contains(own) {
                continue;
            }
            for other in names.iter().filter(|other| *other != own) {
                assert!(!text.contains(&format!("crate::{other}::")), "{path} imports the stage {other}");
            }
        }
    }
}

/// The pure crates know no clock, socket, file or runtime.
#[test]
fn the_pure_stay_pure() {
    for (path, text) in sources().unwrap() {
        let pure = path.starts_with("proto/src") || path.starts_with("aggregator/quorum/src");
        let pure = pure || path == "agent/src/schedule.rs" || path.starts_with("aggregator/src/decide");
        let machines = ["canary/machine.rs", "canary/attempts.rs", "canary/concern.rs", "idle/planner.rs"];
        let pure = pure || machines.iter().any(|machine| path == format!("agent/src/{machine}"));
        if !pure {
            continue;
        }
        let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
        for forbidden in
            ["tokio::", "std::net::Tcp", "std::net::Udp", "std::fs", "Instant::now", "SystemTime", "HashMap"]
        {
            assert!(!shipped.contains(forbidden), "{path} uses {forbidden}");
        }
    }
}

/// No queue without a bound in what is shipped.
#[test]
fn queues_are_bounded() {
    for (path, text) in sources().unwrap() {
        let is_shipped = path.starts_with("agent/src") || path.starts_with("aggregator/src");
        let is_test = path.contains("/tests") || path.contains("/trial") || path.contains("/fixture");
        let shipped = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for unbounded in ["unbounded_channel", "std::sync::mpsc::channel", "UnboundedSender"] {
            assert!(!is_shipped || is_test || !shipped.contains(unbounded), "{path} uses {unbounded}");
        }
    }
}

/// In the agent one file opens TCP connections, behind the egress filter.
#[test]
fn one_place_dials() {
    for (path, text) in sources().unwrap() {
        let is_shipped =
            path.starts_with("agent/src") && !path.contains("/tests") && path != "agent/src/probe/dial.rs";
        let shipped = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for dial in ["TcpStream::connect", "TcpSocket"] {
            assert!(!is_shipped || !shipped.contains(dial), "{path} dials");
        }
    }
}

/// What advisories have named, as lower bounds: held here because the advisory database needs the network.
#[test]
fn the_lock_file_is_above_what_advisories_named() {
    let bounds = [
        ("quinn-proto", "0.11.15"),
        ("rustls-webpki", "0.103.13"),
        ("aws-lc-sys", "0.39.0"),
        ("hickory-resolver", "0.26.1"),
        ("hickory-proto", "0.26.1"),
        ("h2", "0.4.16"),
        ("time", "0.3.47"),
        ("hdrhistogram", "7.6.0"),
    ];
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let mut name = "";
    for line in lock.lines() {
        if let Some(text) = line.strip_prefix("name = ") {
            name = text.trim_matches('"');
        }
        let Some(version) = line.strip_prefix("version = ") else { continue };
        let Some((_, bound)) = bounds.iter().find(|(bounded, _)| *bounded == name) else { continue };
        assert!(numbers(version) >= numbers(bound), "{name} is {version}; advisories want at least {bound}");
    }
}

fn numbers(version: &str) -> Vec<u64> {
    version.trim_matches('"').split(['.', '-', '+']).filter_map(|part| part.parse().ok()).collect()
}

/// Each invariant of ARCHITECTURE.md names a test, and the test is there.
#[test]
fn the_architecture_names_tests_that_exist() {
    let architecture = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(architecture.lines().count() <= 250, "{} lines", architecture.lines().count());
    let sources = sources().unwrap();
    let mut named = 0;
    for line in architecture.lines().filter(|line| line.starts_with("| I")) {
        let tests: Vec<_> = line.split('`').skip(1).step_by(2).filter(|word| word.contains('_')).collect();
        assert!(!tests.is_empty(), "no test holds: {line}");
        for test in tests {
            let stands = sources.iter().any(|(_, text)| text.contains(&format!("fn {test}(")));
            assert!(stands, "ARCHITECTURE.md names the test {test}, which is nowhere");
            named += 1;
        }
    }
    assert!(named >= 11, "only {named} tests are named");
}

/// The README's promise: two commands do all set-up.
#[test]
fn the_readme_sets_up_with_two_commands() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for command in ["cargo run --release -- demo", "./tests/run"] {
        assert!(readme.contains(command), "the README does not say {command}");
    }
}
