//! Held connections, from the server's fault to what people are told: agents as processes, checks five minutes apart, so that
//! everything that comes quickly comes from a canary.

use anyhow::Result;
use quorate_tests::{
    clock::{self, Stopwatch},
    cluster::{Cluster, Plan, REGIONS},
    receiver::{Behaviour, Hit, Receiver},
    requirement::{Requirement, available},
    servers,
};
use rustix::process::Signal;
use serde_json::Value;

/// A channel that wants events, and a monitor that is checked every five minutes and has a canary in every region.
fn tables(receiver: &Receiver, port: u16) -> String {
    format!(
        "[[channels]]\nid = \"hook\"\ntype = \"webhook\"\nurl = {:?}\nsecret = {:?}\nevents = true\n\
         [[monitors]]\nid = \"chat\"\nurl = \"ws://127.0.0.1:{port}/\"\ninterval = \"5m\"\ntimeout = \"3s\"\n\
         canary = {{ heartbeat = \"2s\", grace = \"2s\" }}\n",
        receiver.url(),
        quorate_tests::cluster::SECRET,
    )
}

/// Waits until every region holds its connection open.
fn wait_until_held(cluster: &Cluster) {
    clock::wait_for("every region to hold a connection", 90.0, || {
        let monitor = cluster.json("/api/v1/monitors/chat").ok()?;
        let is_open = |region: &&Value| region.pointer("/canary/open") == Some(&Value::Bool(true));
        let open = monitor.get("regions")?.as_array()?.iter().filter(is_open).count();
        (open == REGIONS.len()).then_some(())
    });
    cluster.wait_until_up("chat", 60.0);
}

fn event<'a>(hit: &'a Hit, pointer: &str) -> &'a str {
    let value = hit.body.pointer(&format!("/data/event{pointer}"));
    value.and_then(Value::as_str).unwrap_or_default()
}

/// How many canaries ended so, by the history that the API gives.
fn ends(cluster: &Cluster, failure: &str) -> Option<usize> {
    let rows = cluster.json("/api/v1/monitors/chat/canaries").ok()?;
    let is_one = |row: &&Value| row["event"] == "ended" && row["failure"] == failure;
    Some(rows.get("items")?.as_array()?.iter().filter(is_one).count())
}

#[test]
fn a_crash_is_paged_within_seconds_although_checks_are_minutes_apart() -> Result<()> {
    if !available("a_crash_is_paged_within_seconds", &[Requirement::NodeWs]) {
        return Ok(());
    }
    let receiver = Receiver::start(Behaviour::Take)?;
    let folder = tempfile::tempdir()?;
    let port = servers::free_port()?;
    let mut server = servers::node_lifecycle(folder.path(), port, 1001)?;
    let cluster = Cluster::start(&Plan { tables: tables(&receiver, port), ..Plan::default() })?;
    wait_until_held(&cluster);

    let fault = Stopwatch::start();
    server.kill()?;
    let opened = receiver.incident("incident.opened", "chat", 40.0);
    let seconds = fault.seconds_until(&opened.at);
    println!("MEASURED npm ws, SIGKILL, T=300 s with canaries: fault to webhook {seconds:.1} s");
    assert!(seconds < 30.0, "{seconds}");
    assert_eq!(opened.incident("/verdict"), "down");
    assert_eq!(opened.incident("/cause/kind"), "connection_refused");
    clock::wait_for("five canaries to have dropped", 20.0, || {
        (ends(&cluster, "dropped")? == REGIONS.len()).then_some(())
    });
    Ok(())
}

#[test]
fn a_silent_server_is_paged_although_its_tcp_lives() -> Result<()> {
    if !available("a_silent_server_is_paged", &[Requirement::NodeWs]) {
        return Ok(());
    }
    let receiver = Receiver::start(Behaviour::Take)?;
    let folder = tempfile::tempdir()?;
    let port = servers::free_port()?;
    let server = servers::node_lifecycle(folder.path(), port, 1001)?;
    let cluster = Cluster::start(&Plan { tables: tables(&receiver, port), ..Plan::default() })?;
    wait_until_held(&cluster);

    let fault = Stopwatch::start();
    server.signal(Signal::STOP)?;
    let opened = receiver.incident("incident.opened", "chat", 60.0);
    let seconds = fault.seconds_until(&opened.at);
    println!("MEASURED npm ws, SIGSTOP, T=300 s with canaries: fault to webhook {seconds:.1} s");
    assert!(seconds < 45.0, "{seconds}");
    clock::wait_for("five silent drops", 20.0, || {
        (ends(&cluster, "silent_drop")? >= REGIONS.len()).then_some(())
    });
    // How soon the end of it is told is left to the schedule: rounds of confirmations are rationed by the interval.
    server.signal(Signal::CONT)
}

#[test]
fn an_announced_restart_is_an_event_and_pages_nobody() -> Result<()> {
    if !available("an_announced_restart_is_an_event", &[Requirement::NodeWs]) {
        return Ok(());
    }
    let receiver = Receiver::start(Behaviour::Take)?;
    let folder = tempfile::tempdir()?;
    let port = servers::free_port()?;
    let mut server = servers::node_lifecycle(folder.path(), port, 1012)?;
    let cluster = Cluster::start(&Plan { tables: tables(&receiver, port), ..Plan::default() })?;
    wait_until_held(&cluster);

    let fault = Stopwatch::start();
    server.signal(Signal::TERM)?;
    server.wait(10.0);
    // Longer than the evidence for a page takes, and within the budget of 30 s.
    clock::wait_for("14 s to pass", 20.0, || (fault.seconds() > 14.0).then_some(()));
    let _server = servers::node_lifecycle(folder.path(), port, 1012)?;
    let told = receiver.wait_for("an event of the monitor", 45.0, |hit| hit.event() == "monitor.event");
    println!("MEASURED npm ws, 1012 and back after 14 s: event after {:.1} s", fault.seconds_until(&told.at));
    assert_eq!(event(&told, "/kind"), "restarted", "{:#}", told.body);
    cluster.wait_until_up("chat", 60.0);
    let incidents: Vec<_> =
        receiver.hits().into_iter().filter(|hit| hit.event().starts_with("incident.")).collect();
    assert!(incidents.is_empty(), "{incidents:#?}");
    let events = cluster.json("/api/v1/events?monitor=chat")?;
    assert_eq!(events["items"][0]["kind"], "restarted", "{events:#}");
    Ok(())
}

#[test]
fn a_full_server_is_told_from_a_dead_one() -> Result<()> {
    if !available("a_full_server_is_told_from_a_dead_one", &[Requirement::NodeWs]) {
        return Ok(());
    }
    let receiver = Receiver::start(Behaviour::Take)?;
    let folder = tempfile::tempdir()?;
    let port = servers::free_port()?;
    let server = servers::node_lifecycle(folder.path(), port, 1001)?;
    // The canaries live on, so that only a check meets the limit.
    let tables = tables(&receiver, port).replace("\"5m\"", "\"10s\"");
    let cluster = Cluster::start(&Plan { tables, ..Plan::default() })?;
    wait_until_held(&cluster);

    let fault = Stopwatch::start();
    server.signal(Signal::USR2)?;
    let opened = receiver.incident("incident.opened", "chat", 45.0);
    println!("MEASURED npm ws, full, T=10 s: fault to webhook {:.1} s", fault.seconds_until(&opened.at));
    assert_eq!(opened.incident("/cause/kind"), "connection_limit", "{:#}", opened.body);
    assert_eq!(ends(&cluster, "dropped"), Some(0), "no canary was lost");
    Ok(())
}
