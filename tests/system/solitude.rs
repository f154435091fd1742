//! Faults of one region alone: shown, and nobody is paged.

use anyhow::Result;
use quorate_tests::{
    clock,
    cluster::{Cluster, Plan, monitor, webhook},
    network::Namespace,
    receiver::{Behaviour, Receiver},
    requirement::{Requirement, available},
    servers,
};

#[test]
fn one_region_of_five_cut_off_pages_nobody() -> Result<()> {
    if !available("one_region_of_five_cut_off", &[Requirement::NodeWs, Requirement::NetworkNamespaces]) {
        return Ok(());
    }
    let namespace = Namespace::make(1)?;
    let receiver = Receiver::start(Behaviour::Take)?;
    let folder = tempfile::tempdir()?;
    let port = servers::free_port()?;
    let _server = servers::node_ws_on(folder.path(), namespace.host(), port)?;
    let url = format!("ws://{}:{port}/", namespace.host());
    let tables = webhook("hook", &receiver.url()) + &monitor("chat", &url, "5s", "3s");
    let plan = Plan { tables, host: namespace.host().to_owned(), ..Plan::default() };
    let cluster = Cluster::start_with(&plan, &|region| (region == "sa-east").then_some(&namespace))?;
    cluster.wait_until_up("chat", 60.0);

    // It reaches the aggregator and not the server: it fails, alone.
    namespace.set_blocked(port, true)?;
    clock::wait_for("the region to fail", 30.0, || (cluster.votes("chat", "fail")? == 1).then_some(()));
    clock::holds_for("nobody is paged while one region fails", 35.0, || receiver.hits().is_empty());
    assert_ne!(cluster.status("chat").as_deref(), Some("down"));
    namespace.set_blocked(port, false)?;
    cluster.wait_until_up("chat", 60.0);

    // Its cable is pulled: it reaches nothing, and abstains by silence.
    namespace.set_connected(false)?;
    clock::wait_for("the region to abstain", 45.0, || (cluster.votes("chat", "abstain")? == 1).then_some(()));
    clock::holds_for("nobody is paged while one region is silent", 15.0, || {
        receiver.hits().is_empty() && cluster.status("chat").as_deref() == Some("up")
    });
    namespace.set_connected(true)?;
    // Reconnecting takes up to a minute of jitter; what it spooled meanwhile is late and pages nobody.
    cluster.wait_until_up("chat", 120.0);
    assert!(receiver.hits().is_empty(), "{:#?}", receiver.hits());
    Ok(())
}
