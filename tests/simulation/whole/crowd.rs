//! A thousand agents lose their aggregator in one moment, and are back soon after it is. They are real agents, twenty to
//! a host as behind one NAT, each with its own key, spool and connection.

use std::{collections::BTreeMap, fs, os::unix::fs::DirBuilderExt as _, path::Path, time::Duration};

use anyhow::{Context as _, Result, anyhow, ensure};
use quorate::{
    model::AgentRecord,
    store::{Change, Commit, Store},
};
use quorate_agent::{
    simulation,
    state::{Enrolment, State},
};
use quorate_proto::{AggregatorKey, SigningKey, WallMicros};
use rusqlite::Connection;
use tokio_util::sync::CancellationToken;

use crate::{
    house::{AGGREGATOR, Joins, RECEIVER, SERVER, aggregate, apart, folder, watch, write_key},
    machine::{Machine, WALL_AT_START},
    others::{Inbox, RECEIVER_PORT, SERVER_PORT, receive, serve},
    recorder::Recorder,
};

const AGENTS: usize = 1_000;
const AGENTS_PER_HOST: usize = 20;
const REGIONS: usize = 5;
/// When the aggregator's power goes, and when it is back.
const GONE_AT: Duration = Duration::from_secs(14);
const BACK_AT: Duration = Duration::from_secs(16);
/// Five seconds until an agent says something and is told that its connection is gone, five of back-off; and once more
/// for those whose first attempt is lost in the crowd: at most ten of patience and ten of back-off.
const ALL_BACK_BY: Duration = Duration::from_secs(46);
const GOODBYE_AT: Duration = Duration::from_secs(48);
const END: Duration = Duration::from_secs(58);

#[test]
fn a_thousand_agents_come_back_at_once() {
    let told = apart(1, crowd).unwrap();
    println!("{told}");
}

fn crowd() -> Result<String> {
    let machine = Machine::new(1);
    let home = folder()?;
    let aggregator = enrol_all(home.path())?;
    let inbox = Inbox::default();
    let goodbye = CancellationToken::new();
    let recorder = Recorder::new(machine.clone(), home.path().display().to_string());
    let inside = simulation::enter(machine.world());
    tracing::subscriber::with_default(recorder, || {
        let mut sim = turmoil::Builder::new()
            .rng_seed(1)
            .simulation_duration(2 * END)
            .tick_duration(Duration::from_millis(20))
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(Duration::from_millis(80))
            .udp_capacity(65_536)
            .tcp_capacity(4_096)
            .enable_tokio_io()
            .build();
        settle(&mut sim, &machine, &inbox, home.path(), &goodbye);
        admit_all(&mut sim, home.path(), aggregator)?;
        pass_time(&mut sim, &goodbye)
    })?;
    drop(inside);
    ensure!(inbox.pages().is_empty(), "somebody was paged: {:?}", inbox.pages());
    judge(&machine, home.path())
}

fn pass_time(sim: &mut turmoil::Sim<'_>, goodbye: &CancellationToken) -> Result<()> {
    let (mut is_gone, mut is_back) = (false, false);
    while sim.elapsed() < END {
        sim.step().map_err(|error| anyhow!("a host failed: {error}"))?;
        if sim.elapsed() >= GONE_AT && !std::mem::replace(&mut is_gone, true) {
            sim.crash(AGGREGATOR);
        }
        if sim.elapsed() >= BACK_AT && !std::mem::replace(&mut is_back, true) {
            sim.bounce(AGGREGATOR);
        }
        if sim.elapsed() >= GOODBYE_AT {
            goodbye.cancel();
        }
    }
    Ok(())
}

/// Everything that agents found is stored once, and all came back in time.
fn judge(machine: &Machine, home: &Path) -> Result<String> {
    let trace = std::mem::take(&mut machine.state().trace);
    let at = |line: &str| line.split_whitespace().next()?.parse().ok().map(Duration::from_micros);
    if let Some(error) = trace.iter().find(|line| line.contains(" ERROR ")) {
        anyhow::bail!("an error: {error}");
    }
    let mut back = BTreeMap::<&str, Duration>::new();
    let mut attempts = 0;
    for line in trace.iter().filter(|line| line.contains("quorate::core::agents: agent connected")) {
        let (_, name) = line.split_once("agent=").context("who")?;
        let at = at(line).filter(|at| *at >= BACK_AT);
        attempts += usize::from(at.is_some());
        back.extend(at.map(|at| (name.split(' ').next().unwrap_or_default(), at)));
    }
    ensure!(back.len() == AGENTS, "{} of {AGENTS} agents came back", back.len());
    let mut times: Vec<_> = back.values().map(|at| *at - BACK_AT).collect();
    times.sort_unstable();
    let (middle, last) = (times.get(AGENTS / 2).copied(), times.last().copied());
    ensure!(last.is_some_and(|last| BACK_AT + last <= ALL_BACK_BY), "the last came back after {last:?}");

    let checked = trace.iter().filter(|line| line.contains(" checked ")).count();
    let answered = trace.iter().filter(|line| line.contains("answered ") && line.contains("=Stored"));
    let answered = answered.count();
    let database = Connection::open(home.join("data/quorate.db"))?;
    let count = |query: &str| -> Result<usize> {
        Ok(usize::try_from(database.query_row(query, [], |row| row.get::<_, i64>(0))?)?)
    };
    let stored = count("SELECT count(*) FROM result")?;
    let (units, gaps) = (count("SELECT count(*) FROM batch")?, count("SELECT count(*) FROM gap")?);
    ensure!(stored == checked, "{checked} checks were made, and {stored} are stored");
    ensure!(units + gaps >= AGENTS && answered >= units, "{units} units are stored, {answered} acknowledged");
    Ok(format!(
        "{AGENTS} agents: half of them back {middle:?} after the aggregator was, the last {last:?}, in {attempts} \
         connections; {checked} checks made and stored, in {units} units"
    ))
}

fn settle(
    sim: &mut turmoil::Sim<'_>,
    machine: &Machine,
    inbox: &Inbox,
    home: &Path,
    goodbye: &CancellationToken,
) {
    sim.host(SERVER, || async { serve().await });
    let (receiver_machine, inbox) = (machine.clone(), inbox.clone());
    sim.host(RECEIVER, move || receive(receiver_machine.clone(), inbox.clone()));
    let regions: Vec<_> = (0..REGIONS).map(region).collect();
    let (server, receiver) = (sim.lookup(SERVER), sim.lookup(RECEIVER));
    let config = format!(
        "regions = {regions:?}\n[server]\ndata = \"data\"\nhttp = \"127.0.0.1:0\"\nquic = \"0.0.0.0:4433\"\n\
         public_address = \"{}:4433\"\n\
         [[channels]]\nid = \"ops\"\ntype = \"webhook\"\nurl = \"http://{receiver}:{RECEIVER_PORT}/hook\"\n\
         [defaults]\ninterval = \"20s\"\ntimeout = \"2s\"\n\
         [[monitors]]\nid = \"shop\"\nurl = \"ws://{server}:{SERVER_PORT}/\"\n",
        sim.lookup(AGGREGATOR),
    );
    let aggregator_home = home.to_owned();
    sim.host(AGGREGATOR, move || {
        aggregate(aggregator_home.clone(), config.clone(), Vec::new(), Joins::default())
    });
    for host in 0..AGENTS / AGENTS_PER_HOST {
        let agents: Vec<_> = (0..AGENTS_PER_HOST).map(|agent| name(host * AGENTS_PER_HOST + agent)).collect();
        let (home, goodbye) = (home.to_owned(), goodbye.clone());
        sim.host(format!("place-{host}"), move || {
            let tasks: Vec<_> = agents
                .iter()
                .map(|agent| watch(home.join(agent), agent.clone(), Joins::default(), goodbye.clone()))
                .collect();
            async move {
                let ended = futures_util::future::join_all(tasks).await;
                ended.into_iter().collect::<Result<(), _>>()
            }
        });
    }
}

/// Keys for all, and all agents in the aggregator's database.
fn enrol_all(home: &Path) -> Result<AggregatorKey> {
    let folder = |inside: &str| fs::DirBuilder::new().mode(0o700).create(home.join(inside));
    folder("data")?;
    write_key(&home.join("data/aggregator.key"), 0)?;
    let aggregator = SigningKey::from_pkcs8(&fs::read(home.join("data/aggregator.key"))?)?.aggregator_key();
    let mut changes = vec![Change::AggregatorKey(aggregator)];
    for agent in 0..AGENTS {
        folder(&name(agent))?;
        let file = home.join(name(agent)).join("agent.key");
        write_key(&file, 1 + agent as u64)?;
        changes.push(Change::Agent(AgentRecord {
            key: SigningKey::from_pkcs8(&fs::read(&file)?)?.agent_key(),
            name: name(agent).parse()?,
            region: region(agent).parse()?,
            labels: BTreeMap::new(),
            enrolled_at: WallMicros(WALL_AT_START),
            revoked_at: None,
        }));
    }
    let (store, _, _) = Store::open(&home.join("data"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(store.commit(Commit { units: Vec::new(), changes }))?;
    store.close();
    Ok(aggregator)
}

/// What joining would have left in the agents' folders.
fn admit_all(sim: &mut turmoil::Sim<'_>, home: &Path, aggregator: AggregatorKey) -> Result<()> {
    let address = format!("{}:4433", sim.lookup(AGGREGATOR));
    for agent in 0..AGENTS {
        let mut state = State::open(&home.join(name(agent)))?;
        let (name, region) = (name(agent).parse()?, region(agent).parse()?);
        state.enrol(Enrolment { aggregator, address: address.clone(), name, region })?;
    }
    Ok(())
}

fn name(agent: usize) -> String {
    format!("agent-{agent}")
}

fn region(agent: usize) -> String {
    format!("region-{}", agent % REGIONS)
}
