//! `/metrics` of a live aggregator, as Prometheus reads it.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use quorate_tests::{
    clock,
    cluster::{Cluster, Plan, REGIONS, monitor, webhook},
    http,
    receiver::{Behaviour, Receiver},
    requirement::{Requirement, available},
    servers,
};

#[test]
fn prometheus_accepts_the_metrics_of_a_live_aggregator() -> Result<()> {
    if !available("prometheus_accepts_the_metrics", &[Requirement::NodeWs, Requirement::Promtool]) {
        return Ok(());
    }
    let receiver = Receiver::start(Behaviour::Take)?;
    let folder = tempfile::tempdir()?;
    let (port, closed_port) = (servers::free_port()?, servers::free_port()?);
    let _server = servers::node_ws(folder.path(), port)?;
    let tables = webhook("hook", &receiver.url())
        + &monitor("chat", &format!("ws://127.0.0.1:{port}/"), "2s", "1s")
        + &monitor("gone", &format!("ws://127.0.0.1:{closed_port}/"), "2s", "1s");
    let cluster = Cluster::start(&Plan { tables, ..Plan::default() })?;
    cluster.wait_until_up("chat", 60.0);
    receiver.incident("incident.opened", "gone", 60.0);

    // After a page every family has samples. The picture that metrics show follows within a second.
    let scrape = || http::get(cluster.http, "/metrics", Some(&cluster.token()));
    let text = clock::wait_for("the delivery to be counted", 15.0, || {
        let text = scrape().ok()?.body;
        let delivered =
            value(&text, "quorate_delivery_attempts_total{channel=\"hook\",outcome=\"delivered\"}");
        (delivered? >= 1.0).then_some(text)
    });
    ensure!(scrape()?.head.to_lowercase().contains("content-type: text/plain; version=0.0.4"));
    for region in REGIONS {
        let success = |monitor: &str| {
            value(&text, &format!("probe_success{{monitor=\"{monitor}\",region=\"{region}\"}}"))
        };
        assert_eq!((success("chat"), success("gone")), (Some(1.0), Some(0.0)), "{region}");
    }
    assert_eq!(value(&text, "quorate_incidents_open"), Some(1.0));
    assert_eq!(complaints(&text)?, "", "promtool check metrics");
    // The check can fail.
    assert!(!complaints(&text.replace("quorate_checks_total", "quorate_checks"))?.is_empty());
    Ok(())
}

/// The value of a sample; its name as the exposition writes it, with its labels.
fn value(text: &str, sample: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.trim().parse().ok())
}

/// What `promtool check metrics` says; nothing where it is content.
fn complaints(text: &str) -> Result<String> {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    promtool.stdin.take().context("no pipe to promtool")?.write_all(text.as_bytes())?;
    let output = promtool.wait_with_output()?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    ensure!(output.status.success() || !said.is_empty(), "promtool fails without a word");
    Ok(said)
}
