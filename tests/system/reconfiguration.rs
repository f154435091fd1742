//! A configuration changed under a running aggregator: taken when good, refused by name when not, and read at once on
//! SIGHUP.

use std::fs;

use anyhow::Result;
use quorate_tests::{
    clock,
    cluster::{Cluster, Plan, REGIONS, monitor, webhook},
    receiver::{Behaviour, Receiver},
    requirement::{Requirement, available},
    servers,
};
use rustix::process::Signal;

#[test]
fn a_running_aggregator_takes_a_good_configuration_and_keeps_it_against_a_bad_one() -> Result<()> {
    if !available("a_running_aggregator_takes_a_good_configuration", &[Requirement::NodeWs]) {
        return Ok(());
    }
    let receiver = Receiver::start(Behaviour::Take)?;
    let folder = tempfile::tempdir()?;
    let (port, closed_port) = (servers::free_port()?, servers::free_port()?);
    let _server = servers::node_ws(folder.path(), port)?;
    let (good_url, closed_url) =
        (format!("ws://127.0.0.1:{port}/"), format!("ws://127.0.0.1:{closed_port}/"));
    let tables = webhook("hook", &receiver.url()) + &monitor("chat", &good_url, "2s", "1s");
    let cluster = Cluster::start(&Plan { tables, ..Plan::default() })?;
    cluster.wait_until_up("chat", 60.0);
    let began = fs::read_to_string(cluster.config())?;

    // A good one: every agent is given the new monitor, under a new revision.
    let since = cluster.json("/api/v1/monitors/chat")?["since"].clone();
    assert!(since.is_string());
    let two = format!("{began}{}", monitor("second", &good_url, "2s", "1s"));
    fs::write(cluster.config(), &two)?;
    clock::wait_for("the new monitor to be up in all regions", 30.0, || {
        (cluster.votes("second", "ok")? == REGIONS.len()).then_some(())
    });
    assert_eq!(cluster.json("/api/v1/monitors/chat")?["since"], since, "the other monitor goes on as it was");

    // A bad one: all faults are named with line and key, and the one in force stays.
    let lines = two.lines().count();
    fs::write(
        cluster.config(),
        format!(
            "{two}colour = 1\n{}[[monitors]]\nid = \"chat\"\nurl = \"http://h/\"\nregions = [\"mars\"]\n",
            monitor("third", &good_url, "1s", "2s")
        ),
    )?;
    let named = [
        format!("quorate.toml:{}: monitors[1].colour", lines + 1),
        format!("quorate.toml:{}: monitors[2].timeout", lines + 6),
        format!("quorate.toml:{}: monitors[3].id", lines + 9),
        format!("quorate.toml:{}: monitors[3].url", lines + 10),
        format!("quorate.toml:{}: monitors[3].regions[0]", lines + 11),
    ];
    for fault in &named {
        clock::wait_for(format!("the log to name {fault}"), 15.0, || {
            cluster.aggregator.log().contains(fault.as_str()).then_some(())
        });
    }
    let said = |fault: &str| cluster.aggregator.log().matches(fault).count();
    assert_eq!(said(&named[0]), 1, "a fault is said once, not at each look");
    let ids = |cluster: &Cluster| -> Option<Vec<String>> {
        let monitors = cluster.json("/api/v1/monitors").ok()?;
        let ids = monitors["items"].as_array()?.iter();
        ids.map(|monitor| Some(monitor["id"].as_str()?.to_owned())).collect()
    };
    assert_eq!(ids(&cluster).unwrap_or_default(), ["chat", "second"]);

    // Asked by SIGHUP it reads again and says so again, though nothing changed since.
    cluster.aggregator.signal(Signal::HUP)?;
    clock::wait_for("the faults to be said again", 15.0, || (said(&named[0]) == 2).then_some(()));
    assert_eq!(ids(&cluster).unwrap_or_default(), ["chat", "second"]);
    assert!(receiver.hits().is_empty(), "{:#?}", receiver.hits());

    // A changed monitor: agents check what it says now, and an outage there is paged.
    fs::write(cluster.config(), began.replace(&good_url, &closed_url))?;
    cluster.aggregator.signal(Signal::HUP)?;
    clock::wait_for("the second monitor to be gone", 15.0, || (ids(&cluster)? == ["chat"]).then_some(()));
    let opened = receiver.incident("incident.opened", "chat", 45.0);
    assert_eq!(opened.incident("/cause/kind"), "connection_refused");
    assert_eq!(opened.incident("/monitor/url"), closed_url.as_str());
    Ok(())
}
