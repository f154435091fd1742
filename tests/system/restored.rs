//! The aggregator restored from a backup: its agents have gone on since, know monitors that it has forgotten, and were
//! told to forget what it lacks.

use std::{fs, thread, time::Duration};

use anyhow::Result;
use quorate_tests::{
    clock::{self, Stopwatch},
    cluster::{REGIONS, monitor},
    requirement::{Requirement, available},
    watched::Watched,
};

#[test]
fn restored_from_a_backup_it_gets_its_agents_back() -> Result<()> {
    if !available("restored_from_a_backup", &[Requirement::NodeWs]) {
        return Ok(());
    }
    let mut scene = Watched::start("5s", "3s")?;

    scene.cluster.aggregator.stop()?;
    let (database, backup) =
        (scene.cluster.data.join("quorate.db"), scene.cluster.folder().join("backup.db"));
    fs::copy(&database, &backup)?;
    let before = fs::read_to_string(scene.cluster.config())?;
    fs::write(scene.cluster.config(), before.clone() + &monitor("forgotten", &scene.url, "1s", "1s"))?;
    scene.cluster.restart_aggregator()?;
    scene.cluster.wait_until_up("forgotten", 60.0);

    scene.cluster.aggregator.stop()?;
    fs::copy(&backup, &database)?;
    fs::write(scene.cluster.config(), before)?;
    // Meanwhile agents gather results of a monitor that the restored database never gave them.
    thread::sleep(Duration::from_secs(5));
    scene.cluster.restart_aggregator()?;
    let back = Stopwatch::start();
    clock::wait_for("all agents to vote again", 120.0, || {
        (scene.cluster.votes("chat", "ok")? == REGIONS.len()).then_some(())
    });
    println!("MEASURED restored from a backup: all agents vote again after {:.1} s", back.seconds());
    assert!(scene.receiver.hits().is_empty(), "the restoration paged somebody: {:#?}", scene.receiver.hits());
    Ok(())
}
