//! Outages that everyone sees: each is paged, in time, with the right cause; and resolved.

use anyhow::Result;
use quorate_tests::{
    clock::{self, Stopwatch},
    cluster::{Cluster, Plan, monitor, webhook},
    receiver::{Behaviour, Hit, Receiver},
    requirement::{Requirement, available},
    servers,
    watched::Watched,
};
use rustix::process::Signal;

fn measured(what: &str, fault: &Stopwatch, hit: &Hit) -> f64 {
    let seconds = fault.seconds_until(&hit.at);
    println!("MEASURED {what}: fault to webhook {seconds:.1} s, cause {}", hit.incident("/cause/kind"));
    seconds
}

#[test]
fn a_killed_server_is_paged_within_20_s_and_resolved() -> Result<()> {
    if !available("a_killed_server", &[Requirement::NodeWs]) {
        return Ok(());
    }
    let mut scene = Watched::start("10s", "5s")?;

    let fault = Stopwatch::start();
    scene.server.kill()?;
    let opened = scene.receiver.incident("incident.opened", "chat", 30.0);
    assert!(measured("npm ws, SIGKILL, T=10 s", &fault, &opened) < 20.0);
    assert_eq!(opened.incident("/verdict"), "down");
    assert_eq!(opened.incident("/cause/kind"), "connection_refused");
    let failing = opened
        .incident("/regions")
        .as_array()
        .map_or(0, |regions| regions.iter().filter(|region| region["vote"] == "fail").count());
    assert!(failing >= 4, "{:#}", opened.body);
    for step in ["first_failure_at", "suspected_at", "quorum_at", "decided_at", "sent_at"] {
        assert!(opened.incident(&format!("/timeline/{step}")).is_string(), "{step}: {:#}", opened.body);
    }
    clock::wait_for("the page to say so", 5.0, || (scene.cluster.status("chat")? == "down").then_some(()));

    let mended = Stopwatch::start();
    scene.mend()?;
    let resolved = scene.receiver.incident("incident.resolved", "chat", 60.0);
    measured("npm ws, started again, T=10 s (resolved)", &mended, &resolved);
    assert_eq!(resolved.incident("/id"), opened.incident("/id"));
    assert!(resolved.incident("/resolved_at").is_string());
    assert_eq!(scene.receiver.hits().len(), 2, "one page and one all-clear: {:#?}", scene.receiver.hits());
    Ok(())
}

#[test]
fn a_stopped_server_is_paged_within_30_s() -> Result<()> {
    if !available("a_stopped_server", &[Requirement::PythonWebsockets]) {
        return Ok(());
    }
    let receiver = Receiver::start(Behaviour::Take)?;
    let folder = tempfile::tempdir()?;
    let port = servers::free_port()?;
    let server = servers::python_websockets(folder.path(), port)?;
    let tables =
        webhook("hook", &receiver.url()) + &monitor("feed", &format!("ws://127.0.0.1:{port}/"), "10s", "5s");
    let cluster = Cluster::start(&Plan { tables, ..Plan::default() })?;
    cluster.wait_until_up("feed", 60.0);

    let fault = Stopwatch::start();
    server.signal(Signal::STOP)?;
    let opened = receiver.incident("incident.opened", "feed", 45.0);
    assert!(measured("Python websockets, SIGSTOP, T=10 s", &fault, &opened) < 30.0);
    assert_eq!(opened.incident("/verdict"), "down");
    assert_eq!(opened.incident("/cause/kind"), "upgrade_timeout");

    server.signal(Signal::CONT)?;
    receiver.incident("incident.resolved", "feed", 60.0);
    Ok(())
}

#[test]
fn at_a_30_s_interval_every_outage_is_paged_within_60_s() -> Result<()> {
    if !available("at_a_30_s_interval", &[Requirement::NodeWs]) {
        return Ok(());
    }
    let receiver = Receiver::start(Behaviour::Take)?;
    let folder = tempfile::tempdir()?;
    let (killed_port, silent_port) = (servers::free_port()?, servers::free_port()?);
    let mut killed = servers::node_ws(folder.path(), killed_port)?;
    let silent = servers::node_ws(folder.path(), silent_port)?;
    let tables = webhook("hook", &receiver.url())
        + &monitor("killed", &format!("ws://127.0.0.1:{killed_port}/"), "30s", "10s")
        + &monitor("silent", &format!("ws://127.0.0.1:{silent_port}/"), "30s", "10s");
    let cluster = Cluster::start(&Plan { tables, ..Plan::default() })?;
    cluster.wait_until_up("killed", 90.0);
    cluster.wait_until_up("silent", 90.0);

    let fault = Stopwatch::start();
    killed.kill()?;
    silent.signal(Signal::STOP)?;
    let first = receiver.incident("incident.opened", "killed", 70.0);
    let second = receiver.incident("incident.opened", "silent", 70.0);
    assert!(measured("npm ws, SIGKILL, T=30 s", &fault, &first) < 60.0);
    assert!(measured("npm ws, SIGSTOP, T=30 s", &fault, &second) < 60.0);
    silent.signal(Signal::CONT)?;
    Ok(())
}

#[test]
fn a_proxy_that_loses_the_upgrade_is_paged_with_its_cause() -> Result<()> {
    if !available("a_proxy_that_loses_the_upgrade", &[Requirement::NodeWs, Requirement::Nginx]) {
        return Ok(());
    }
    let receiver = Receiver::start(Behaviour::Take)?;
    let folder = tempfile::tempdir()?;
    let (port, upstream) = (servers::free_port()?, servers::free_port()?);
    let _server = servers::node_ws(folder.path(), upstream)?;
    let proxy = servers::Nginx::start(folder.path(), port, upstream)?;
    let tables = webhook("hook", &receiver.url())
        + &monitor("proxied", &format!("ws://127.0.0.1:{port}/"), "10s", "5s");
    let cluster = Cluster::start(&Plan { tables, ..Plan::default() })?;
    cluster.wait_until_up("proxied", 60.0);

    let fault = Stopwatch::start();
    proxy.configure(false)?;
    let opened = receiver.incident("incident.opened", "proxied", 45.0);
    assert!(measured("nginx without the Upgrade headers, T=10 s", &fault, &opened) < 20.0);
    assert_eq!(opened.incident("/cause/kind"), "upgrade_status");
    let summary = opened.incident("/cause/summary").to_string();
    assert!(summary.contains("426"), "{summary}");
    let hint = opened.incident("/cause/hint").to_string();
    assert!(hint.contains("Upgrade"), "{hint}");

    proxy.configure(true)?;
    receiver.incident("incident.resolved", "proxied", 60.0);
    Ok(())
}
