//! The aggregator restored from a backup: its agents have gone on since, know monitors that it has forgotten, and were
//! told to forget what it lacks.

use std::{fs, thread, time::Duration};

use anyhow::Result;
use quorate_tests::{
    clock::{self, Stopwatch},
    cluster::{Cluster, Plan, REGIONS, monitor, webhook},
    receiver::{Behaviour, Receiver},
    requirement::{Requirement, available},
    servers,
};

#[test]
fn restored_from_a_backup_it_gets_its_agents_back() -> Result<()> {
    if !available("restored_from_a_backup", &[Requirement::NodeWs]) {
        return Ok(());
    }
    let receiver = Receiver::start(Behaviour::Take)?;
    let folder = tempfile::tempdir()?;
    let port = servers::free_port()?;
    let _server = servers::node_ws(folder.path(), port)?;
    let url = format!("ws://127.0.0.1:{port}/");
    let tables = webhook("hook", &receiver.url()) + &monitor("chat", &url, "5s", "3s");
    let mut cluster = Cluster::start(&Plan { tables, ..Plan::default() })?;
    cluster.wait_until_up("chat", 60.0);

    cluster.aggregator.stop()?;
    let (database, backup) = (cluster.data.join("quorate.db"), cluster.folder().join("backup.db"));
    fs::copy(&database, &backup)?;
    let before = fs::read_to_string(cluster.config())?;
    fs::write(cluster.config(), before.clone() + &monitor("forgotten", &url, "1s", "1s"))?;
    cluster.restart_aggregator()?;
    cluster.wait_until_up("forgotten", 60.0);

    cluster.aggregator.stop()?;
    fs::copy(&backup, &database)?;
    fs::write(cluster.config(), before)?;
    // Meanwhile agents gather results of a monitor that the restored database never gave them.
    thread::sleep(Duration::from_secs(5));
    cluster.restart_aggregator()?;
    let back = Stopwatch::start();
    clock::wait_for("all agents to vote again", 120.0, || {
        (cluster.votes("chat", "ok")? == REGIONS.len()).then_some(())
    });
    println!("MEASURED restored from a backup: all agents vote again after {:.1} s", back.seconds());
    assert!(receiver.hits().is_empty(), "the restoration paged somebody: {:#?}", receiver.hits());
    Ok(())
}
