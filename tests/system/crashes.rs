//! The aggregator killed at any moment, or away: nothing acknowledged is lost or doubled, owed alerts keep their id,
//! and nobody is paged for the restart itself or for what is long over.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::Duration,
};

use anyhow::Result;
use quorate_tests::{
    clock::{self, Stopwatch},
    cluster::{Cluster, Plan, REGIONS, monitor, webhook},
    receiver::{Behaviour, Receiver},
    requirement::{Requirement, available},
    servers,
    watched::Watched,
};
use rusqlite::{Connection, OpenFlags};

#[test]
fn killed_in_a_loop_it_keeps_every_result_once_and_every_alert_under_one_id() -> Result<()> {
    if !available("killed_in_a_loop", &[Requirement::NodeWs]) {
        return Ok(());
    }
    let receiver = Receiver::start(Behaviour::Take)?;
    // Refuses for long enough that the alert is still owed when the aggregator is killed again.
    let stubborn = Receiver::start(Behaviour::Refuse { status: 500, times: 3, retry_after: None })?;
    let folder = tempfile::tempdir()?;
    let port = servers::free_port()?;
    let mut server = servers::node_ws(folder.path(), port)?;
    let url = format!("ws://127.0.0.1:{port}/");
    let mut tables = webhook("hook", &receiver.url()) + &webhook("stubborn", &stubborn.url());
    tables += &monitor("chat", &url, "5s", "3s");
    for number in 0..20 {
        tables += &monitor(&format!("load-{number}"), &url, "1s", "1s");
    }
    let mut cluster = Cluster::start(&Plan { tables, ..Plan::default() })?;
    cluster.wait_until_up("chat", 60.0);
    let seed = 7;
    let mut random = fastrand::Rng::with_seed(seed);
    println!("seed {seed}");
    for _ in 0..6 {
        thread::sleep(Duration::from_millis(random.u64(100..2_500)));
        cluster.aggregator.kill()?;
        cluster.restart_aggregator()?;
    }
    assert!(receiver.hits().is_empty(), "a restart paged somebody: {:#?}", receiver.hits());
    clock::wait_for("the agents to come back", 120.0, || {
        (cluster.votes("chat", "ok")? == REGIONS.len()).then_some(())
    });
    assert!(receiver.hits().is_empty(), "a restart paged somebody: {:#?}", receiver.hits());

    let fault = Stopwatch::start();
    server.kill()?;
    stubborn.wait_for("the page, refused", 60.0, |hit| hit.monitor() == "chat");
    cluster.aggregator.kill()?;
    cluster.restart_aggregator()?;
    stubborn.wait_for("the page, taken", 120.0, |hit| hit.monitor() == "chat" && hit.answered == Some(200));
    println!("MEASURED owed through a SIGKILL: fault to webhook taken {:.1} s", fault.seconds());
    // A page that was taken just before the kill may come again: at least once, and always under the same id.
    for receiver in [&stubborn, &receiver] {
        let hits = receiver.hits();
        let ids: BTreeSet<_> = hits.iter().filter(|hit| hit.monitor() == "chat").map(|hit| &hit.id).collect();
        assert_eq!(ids.len(), 1, "one id on every attempt: {hits:#?}");
    }

    for agent in &mut cluster.agents {
        agent.stop()?;
    }
    cluster.aggregator.stop()?;
    let database = std::fs::read_dir(&cluster.data)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "db" || extension == "sqlite"))
        .ok_or_else(|| anyhow::anyhow!("no database in {}", cluster.data.display()))?;
    assert_log_is_whole(&Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?)
}

/// Every epoch's sequence numbers run from zero without a hole, each unit names its predecessor's digest, and the
/// history has each result once.
fn assert_log_is_whole(database: &Connection) -> Result<()> {
    let mut statement = database.prepare("SELECT bytes FROM batch ORDER BY agent, epoch, sequence")?;
    let units = statement.query_map([], |row| row.get::<_, Vec<u8>>(0))?;
    let mut heads = BTreeMap::new();
    let (mut count, mut results) = (0_u64, 0_u64);
    for bytes in units {
        let unit = quorate_proto::SignedUnit::parse(bytes?)?;
        let place = *unit.place();
        assert!(unit.is_signed());
        let (next, previous) =
            heads.get(&(place.agent, place.epoch)).copied().unwrap_or((0, quorate_proto::Digest::NONE));
        assert_eq!((place.sequence.0, place.previous), (next, previous), "a hole in {place:?}");
        heads.insert((place.agent, place.epoch), (next + 1, unit.digest()));
        let quorate_proto::unit::Content::Batch(batch) = unit.content()? else { panic!("results were lost") };
        results += batch.results.len() as u64;
        count += 1;
    }
    let stored: u64 =
        database.query_row("SELECT count(*) FROM result", [], |row| row.get::<_, i64>(0))?.cast_unsigned();
    assert_eq!(stored, results, "the history has what the log has");
    println!("MEASURED after 7 SIGKILLs: {count} units and {results} results, each once");
    assert!(count > 100);
    Ok(())
}

#[test]
fn what_failed_while_the_aggregator_was_away_pages_nobody() -> Result<()> {
    if !available("while_the_aggregator_was_away", &[Requirement::NodeWs]) {
        return Ok(());
    }
    let mut scene = Watched::start("5s", "3s")?;

    scene.cluster.aggregator.stop()?;
    scene.server.kill()?;
    // Long enough for every region to see several failures, and for the first of them to be stale.
    thread::sleep(Duration::from_secs(30));
    scene.mend()?;
    thread::sleep(Duration::from_secs(12));
    scene.cluster.restart_aggregator()?;
    clock::wait_for("the agents to come back and catch up", 120.0, || {
        let results = scene.cluster.json("/api/v1/monitors/chat/results?limit=500").ok()?;
        let items = results["items"].as_array()?.clone();
        let late_failures =
            items.iter().filter(|item| item["late"] == true && item["passed"] == false).count();
        (late_failures >= 10 && scene.cluster.votes("chat", "ok")? == REGIONS.len()).then_some(())
    });
    assert_eq!(scene.cluster.status("chat").as_deref(), Some("up"));
    assert!(scene.receiver.hits().is_empty(), "late results paged somebody: {:#?}", scene.receiver.hits());
    Ok(())
}
