//! How many results a second the aggregator takes in, beside what SQLite alone would take. Figures, not tests.
//!
//! ```text
//! cargo bench -p quorate-tests --bench intake
//! ```
//!
//! A whole aggregator on a disk of this machine; five agents hand it signed units as its door does (parsed, signature
//! verified, queued for the core, acknowledged after the commit), with as many on the way as an agent may have. QUIC is
//! left out: it has its own threads and its own limits. Then the limit: the rows that this left in the database, put
//! into an empty one of the same schema and settings by plain rusqlite, in transactions of the same size.

use std::{path::Path, process::ExitCode, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use quorate::{
    clock as aggregator_clock,
    config::{Environment, parse},
    model::Intake,
    run::{Aggregator, Options, Running},
    store::open::FILE,
};
use quorate_proto::{
    AgentKey, AggregatorKey, BatchBody, BootEpoch, CheckKind, CheckResult, Digest, Micros, MonitorId,
    Outcome, Sequence, SignedUnit, SigningKey, Timings,
    frame::{AckVerdict, Hello, JoinReply, JoinRequest},
    limits::UPLOADS_IN_FLIGHT_MAX,
    outcome::TlsFacts,
    unit::{Content, Place},
    verify::authenticate,
};
use quorate_tests::{clock::Stopwatch, cluster::REGIONS};
use rusqlite::{Connection, types::Value};
use tokio::sync::{mpsc, oneshot};

const MONITORS: usize = 1_000;
const UNITS_PER_AGENT: usize = 400;
/// Results of a unit: what 1,000 monitors every 10 s give within a batch of 100 ms, and a backlog's ten times that.
const RESULTS_PER_UNIT: [usize; 2] = [10, 100];
const EPOCH: BootEpoch = BootEpoch(1);

fn main() -> ExitCode {
    match RESULTS_PER_UNIT.iter().try_for_each(|results| print(*results)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn print(results: usize) -> Result<()> {
    let folder = tempfile::TempDir::with_prefix("quorate-bench-")?;
    let Taken { seconds, commits } = take_in(folder.path(), results)?;
    let total = (REGIONS.len() * UNITS_PER_AGENT * results) as f64;
    let tables = contents(&folder.path().join("data").join(FILE))?;
    let stored = tables.iter().find(|table| table.name == "result").map_or(0, |table| table.rows.len());
    ensure!(stored as f64 == total, "{stored} results are in the database, and {total} were taken in");
    let plain = insert(&folder.path().join("plain.db"), &tables, commits)?;
    println!("\nUnits of {results} results ({total} results in {commits} commits)");
    println!("  {:<44} {:>10.0} results/s", "signed units, through gate, core and store", total / seconds);
    println!("  {:<44} {:>10.0} results/s", "the same rows, plain rusqlite", total / plain);
    Ok(())
}

struct Taken {
    seconds: f64,
    commits: u64,
}

fn take_in(folder: &Path, results: usize) -> Result<Taken> {
    let config = Arc::new(config(folder)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let running = Aggregator::start(Options { config, watched: None }).await?;
        let mut agents = Vec::new();
        for (number, region) in (1..).zip(REGIONS) {
            let agent = Agent::join(&running, region, number).await?;
            agents.push((agent.units(running.aggregator_key, results)?, agent));
        }
        let before = running.snapshot.load().counts.commits;
        let watch = Stopwatch::start();
        let handed = agents.into_iter().map(|(units, agent)| {
            let (intake, aggregator) = (running.intake.clone(), running.aggregator_key);
            tokio::spawn(async move { agent.hand_over(units, aggregator, &intake).await })
        });
        for agent in handed.collect::<Vec<_>>() {
            agent.await??;
        }
        let seconds = watch.seconds();
        // The picture follows the last commit by a moment.
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        let commits = running.snapshot.load().counts.commits - before;
        running.stop().await;
        Ok(Taken { seconds, commits })
    })
}

fn config(folder: &Path) -> Result<quorate::config::Config> {
    let regions = REGIONS.map(|region| format!("{region:?}")).join(", ");
    let mut text = format!(
        "regions = [{regions}]\n[server]\ndata = {:?}\nhttp = \"127.0.0.1:0\"\nquic = \"127.0.0.1:0\"\n",
        folder.join("data")
    );
    for number in 0..MONITORS {
        text += &format!("[[monitors]]\nid = \"m{number}\"\nurl = \"ws://127.0.0.1:9/{number}\"\n");
    }
    let loaded = parse(&text, "bench.toml", &Environment::of_process());
    Ok(loaded.map_err(|faults| anyhow::anyhow!("{faults:?}"))?.config)
}

/// An enrolled agent's side of its connection.
struct Agent {
    key: SigningKey,
    number: u64,
    /// Kept, because a core that cannot push ends the connection.
    _pushes: mpsc::Receiver<quorate::model::Push>,
}

impl Agent {
    async fn join(running: &Running, region: &str, number: u64) -> Result<Self> {
        let join = running.add_agent(format!("agent-{number}").parse()?, region.parse()?).await?;
        let key = SigningKey::generate()?;
        let (reply, answer) = oneshot::channel();
        let request = JoinRequest { token: join.token, secret: join.secret, software: "bench".to_owned() };
        running.intake.send(Intake::Join { agent: key.agent_key(), request, reply }).await?;
        ensure!(matches!(answer.await?, JoinReply::Enrolled { .. }), "an agent was not admitted");
        let (push, mut pushes) = mpsc::channel(1_024);
        let hello = Hello { software: "bench".to_owned(), epoch: EPOCH, revision: 0 };
        let connected = Intake::Connected {
            agent: key.agent_key(),
            connection: number,
            hello,
            remote: ([192, 0, 2, 1], 1).into(),
            push,
        };
        running.intake.send(connected).await?;
        // The first words come when the assignments are on the disk: from then on results may come.
        pushes.recv().await.context("no welcome")?;
        Ok(Self { key, number, _pushes: pushes })
    }

    /// Its units, signed in advance: that is the agents' work.
    fn units(&self, aggregator: AggregatorKey, results: usize) -> Result<Vec<Vec<u8>>> {
        let agent = self.key.agent_key();
        let mut place =
            Place { aggregator, agent, epoch: EPOCH, sequence: Sequence(0), previous: Digest::NONE };
        let mut monitors = (0..MONITORS).cycle().map(|number| format!("m{number}").parse::<MonitorId>());
        let mut units = Vec::new();
        for _ in 0..UNITS_PER_AGENT {
            let results: Result<Vec<_>, _> =
                monitors.by_ref().take(results).map(|id| Ok(result(id?))).collect();
            let signed_at = aggregator_clock::wall();
            let results = results.map_err(|error: quorate_proto::id::NameError| error)?;
            let body = BatchBody { signed_at, revision: 1, results, canaries: vec![], idle_timeouts: vec![] };
            let unit = SignedUnit::sign(&place, &Content::Batch(body), &self.key)?;
            place.sequence = place.sequence.next();
            place.previous = unit.digest();
            units.push(unit.as_bytes().to_vec());
        }
        Ok(units)
    }

    /// Hands units over as the aggregator's door does, and waits until every one is acknowledged as stored.
    async fn hand_over(
        self,
        units: Vec<Vec<u8>>,
        aggregator: AggregatorKey,
        intake: &mpsc::Sender<Intake>,
    ) -> Result<()> {
        let agent: AgentKey = self.key.agent_key();
        let mut under_way = FuturesUnordered::new();
        for bytes in units {
            if under_way.len() >= UPLOADS_IN_FLIGHT_MAX {
                stored(under_way.next().await)?;
            }
            let unit = Box::new(authenticate(SignedUnit::parse(bytes)?, &agent, &aggregator)?);
            let (ack, verdict) = oneshot::channel();
            let received = aggregator_clock::now();
            let held = Some(Micros::ZERO);
            intake.send(Intake::Unit { unit, connection: self.number, held, received, ack }).await?;
            under_way.push(verdict);
        }
        while let Some(verdict) = under_way.next().await {
            stored(Some(verdict))?;
        }
        Ok(())
    }
}

fn stored(verdict: Option<Result<AckVerdict, oneshot::error::RecvError>>) -> Result<()> {
    let verdict = verdict.context("no unit is under way")??;
    ensure!(verdict == AckVerdict::Stored, "a unit was not stored but {verdict:?}");
    Ok(())
}

fn result(monitor: MonitorId) -> CheckResult {
    let some = |millis| Some(Micros::from_millis(millis));
    CheckResult {
        monitor,
        kind: CheckKind::Scheduled,
        started_at: aggregator_clock::wall(),
        age: Micros::ZERO,
        outcome: Outcome::Passed,
        timings: Timings {
            total: Micros::from_millis(80),
            round_trip: some(12),
            dns: some(3),
            tcp: some(11),
            tls: some(25),
            upgrade: some(14),
            exchange: some(13),
            close: some(12),
            samples: None,
        },
        address: Some([192, 0, 2, 7].into()),
        tls: Some(TlsFacts {
            version: 0x0304,
            cipher: 0x1301,
            not_after: None,
            fingerprint: [7; 32],
            verified: true,
        }),
        addresses: vec![],
    }
}

/// What a table holds.
struct Table {
    name: String,
    /// What makes it and its indexes.
    schema: Vec<String>,
    rows: Vec<Vec<Value>>,
}

/// The tables that grow with every unit: the log as received, and history.
fn contents(file: &Path) -> Result<Vec<Table>> {
    let database = Connection::open(file)?;
    ["batch", "result"]
        .into_iter()
        .map(|name| {
            let mut made =
                database.prepare("SELECT sql FROM sqlite_schema WHERE tbl_name = ? AND sql IS NOT NULL")?;
            let schema = made.query_map([name], |row| row.get(0))?.collect::<Result<_, _>>()?;
            let mut all = database.prepare(&format!("SELECT * FROM {name}"))?;
            let columns = all.column_count();
            let rows = all.query_map([], |row| (0..columns).map(|column| row.get(column)).collect())?;
            let rows = rows.collect::<Result<_, _>>()?;
            Ok(Table { name: name.to_owned(), schema, rows })
        })
        .collect()
}

/// Inserts all rows in so many transactions. Seconds.
fn insert(file: &Path, tables: &[Table], transactions: u64) -> Result<f64> {
    let mut database = Connection::open(file)?;
    database.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0))?;
    database.pragma_update(None, "synchronous", "full")?;
    for statement in tables.iter().flat_map(|table| &table.schema) {
        database.execute_batch(statement)?;
    }
    let transactions = usize::try_from(transactions)?.max(1);
    let watch = Stopwatch::start();
    for number in 0..transactions {
        let transaction = database.transaction()?;
        for Table { name, rows, .. } in tables {
            let part = rows.len() * number / transactions..rows.len() * (number + 1) / transactions;
            let Some(part) = rows.get(part) else { continue };
            let marks = vec!["?"; part.first().map_or(0, Vec::len)].join(",");
            let mut insert = transaction.prepare_cached(&format!("INSERT INTO {name} VALUES ({marks})"))?;
            for row in part {
                insert.execute(rusqlite::params_from_iter(row))?;
            }
        }
        transaction.commit()?;
    }
    Ok(watch.seconds())
}
