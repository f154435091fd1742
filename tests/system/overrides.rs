//! What a monitor may say about its own page — `quorum`, `sensitivity`, `confirm_for`, `regions` — each against the
//! same fault: three of five regions cannot reach the server.

use anyhow::Result;
use quorate_tests::{
    clock::{self, Stopwatch},
    cluster::{Cluster, Plan, monitor, webhook},
    network::Namespace,
    receiver::{Behaviour, Receiver},
    requirement::{Requirement, available},
    servers,
};

/// The regions behind the cable that the test cuts.
const CUT_OFF: [&str; 3] = ["ap-south", "eu-west", "sa-east"];

#[test]
fn each_monitor_is_paged_by_its_own_rule() -> Result<()> {
    if !available(
        "each_monitor_is_paged_by_its_own_rule",
        &[Requirement::NodeWs, Requirement::NetworkNamespaces],
    ) {
        return Ok(());
    }
    let namespace = Namespace::make(2)?;
    let receiver = Receiver::start(Behaviour::Take)?;
    let folder = tempfile::tempdir()?;
    let port = servers::free_port()?;
    let _server = servers::node_ws_on(folder.path(), namespace.host(), port)?;
    let url = format!("ws://{}:{port}/", namespace.host());
    let regions = "regions = [\"ap-south\", \"eu-west\", \"sa-east\"]\n";
    let rules = [
        ("default", String::new()),
        ("majority", "quorum = \"majority\"\n".into()),
        ("three", "quorum = 3\n".into()),
        ("all-but-one", "quorum = \"all-but-one\"\n".into()),
        ("fast", format!("{regions}sensitivity = \"fast\"\n")),
        ("patient", format!("{regions}confirm_for = \"32s\"\n")),
        ("strict", format!("{regions}sensitivity = \"strict\"\n")),
        ("single", "regions = [\"sa-east\"]\n".into()),
        ("elsewhere", "regions = [\"us-east\", \"us-west\"]\n".into()),
    ];
    let tables = rules.iter().fold(webhook("hook", &receiver.url()), |tables, (id, rule)| {
        tables + &monitor(id, &url, "5s", "3s") + rule
    });
    let plan = Plan { tables, host: namespace.host().to_owned(), ..Plan::default() };
    let cluster = Cluster::start_with(&plan, &|region| CUT_OFF.contains(&region).then_some(&namespace))?;
    for (id, _) in &rules {
        clock::wait_for(format!("{id} to be up"), 60.0, || (cluster.status(id)? == "up").then_some(()));
    }
    cluster.wait_until_up("default", 60.0);

    let fault = Stopwatch::start();
    namespace.set_blocked(port, true)?;
    let mut paged = Vec::new();
    // The span of the evidence runs from the end of the first failed check; the bounds leave room for one more check.
    for (id, after, before) in [
        ("fast", 0.0, 15.0),
        ("majority", 11.0, 30.0),
        ("three", 11.0, 30.0),
        ("single", 30.0, 50.0),
        ("patient", 32.0, 50.0),
        ("strict", 40.0, 60.0),
    ] {
        let opened = receiver.incident("incident.opened", id, 75.0);
        let seconds = fault.seconds_until(&opened.at);
        println!(
            "MEASURED {id}: three of five cut off to webhook {seconds:.1} s, {}",
            opened.incident("/rule")
        );
        assert!((after..before).contains(&seconds), "{id} was paged after {seconds:.1} s");
        assert_eq!(opened.incident("/verdict"), "down", "{id}");
        paged.push(opened.monitor().to_owned());
    }
    let single = receiver.incident("incident.opened", "single", 1.0);
    let rule = single.incident("/rule").to_string();
    assert!(rule.contains("region"), "the page says that one region decided: {rule}");
    assert_eq!(single.incident("/regions").as_array().map(Vec::len), Some(1));

    // Three of five are too few for these, and more than half only pages after 90 s.
    let alerts = receiver.hits();
    for id in ["default", "all-but-one", "elsewhere"] {
        assert!(alerts.iter().all(|hit| hit.monitor() != id), "{id} was paged: {alerts:#?}");
    }
    assert_eq!(cluster.status("default").as_deref(), Some("partial"));
    assert_eq!(cluster.status("elsewhere").as_deref(), Some("up"));

    namespace.set_blocked(port, false)?;
    for id in paged {
        receiver.incident("incident.resolved", &id, 60.0);
    }
    Ok(())
}
