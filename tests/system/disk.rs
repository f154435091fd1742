//! The aggregator's disk is full: it goes on deciding and paging, says so once, and catches up when there is room.

use std::{fs, io::Write};

use anyhow::Result;
use quorate_tests::{
    clock::{self, Stopwatch},
    cluster::Plan,
    requirement::{Requirement, available},
    watched::Watched,
};

#[test]
fn with_the_disk_full_pages_go_out_and_nothing_is_lost() -> Result<()> {
    if !available("with_the_disk_full", &[Requirement::NodeWs, Requirement::Tmpfs]) {
        return Ok(());
    }
    let mut scene =
        Watched::start_with("5s", "3s", |_| Plan { disk_mebibytes: Some(24), ..Plan::default() })?;

    let ballast = scene.cluster.data.join("ballast");
    fill(&ballast)?;
    let failing = |hit: &quorate_tests::receiver::Hit| {
        hit.event() == "operator.notice" && hit.body["data"]["notice"]["kind"] == "storage_failing"
    };
    scene.receiver.wait_for("the notice that storage fails", 60.0, failing);

    let fault = Stopwatch::start();
    scene.server.kill()?;
    let opened = scene.receiver.incident("incident.opened", "chat", 40.0);
    println!("MEASURED disk full, SIGKILL, T=5 s: fault to webhook {:.1} s", fault.seconds_until(&opened.at));
    scene.mend()?;
    let resolved = scene.receiver.incident("incident.resolved", "chat", 60.0);
    assert_eq!(resolved.incident("/id"), opened.incident("/id"));
    assert_eq!(scene.receiver.hits().iter().filter(|hit| failing(hit)).count(), 1, "one notice says so");

    fs::remove_file(&ballast)?;
    scene.receiver.wait_for("the notice that storage is back", 60.0, |hit| {
        hit.body["data"]["notice"]["kind"] == "storage_recovered"
    });
    let id = opened.incident("/id").as_str().unwrap_or_default().to_owned();
    clock::wait_for("the incident in the store", 30.0, || {
        let incident = scene.cluster.json(&format!("/api/v1/incidents/{id}")).ok()?;
        incident.pointer("/incident/resolved_at").or(incident.get("resolved_at"))?.is_string().then_some(())
    });
    clock::wait_for("the results that agents kept", 60.0, || {
        let results = scene.cluster.json("/api/v1/monitors/chat/results?limit=500").ok()?;
        results["items"].as_array()?.iter().any(|item| item["passed"] == false).then_some(())
    });
    let opened_hits = scene.receiver.hits().iter().filter(|hit| hit.event() == "incident.opened").count();
    assert_eq!(opened_hits, 1, "nobody is paged twice: {:#?}", scene.receiver.hits());
    Ok(())
}

/// Fills the disk to its last byte.
fn fill(path: &std::path::Path) -> Result<()> {
    let mut file = fs::File::create(path)?;
    for block in [vec![0_u8; 65_536], vec![0_u8; 512], vec![0_u8; 1]] {
        while file.write_all(&block).is_ok() {}
    }
    Ok(())
}
