//! One run: hosts are set up, time passes, faults come and go, and what is left is handed over to be judged.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use quorate::{
    config::{Environment, parse},
    run::{self as aggregator, Aggregator},
};
use quorate_agent::{
    egress::Egress,
    probe::Nameservers,
    run::{self as agent, SOFTWARE},
    simulation,
    state::{Enrolment, State},
    uplink,
};
use quorate_proto::join::JoinString;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::{
    machine::{Border, Fault, Machine, Trigger},
    others::{Inbox, Page, RECEIVER_PORT, SERVER_PORT, receive, serve},
    recorder::Recorder,
};

/// The names of the hosts.
pub(crate) const AGGREGATOR: &str = "aggregator";
pub(crate) const SERVER: &str = "server";
pub(crate) const RECEIVER: &str = "receiver";
/// How fine time is: each host has its turn so often.
const TURN: Duration = Duration::from_millis(20);
/// How long agents have to hand over what they have at the end.
const GOODBYE: Duration = Duration::from_secs(8);
/// How long pages that met trouble may be tried again after that: the schedule's pauses up to 45 s, and their jitter.
const LAST_PAGE: Duration = Duration::from_secs(60);

/// What a run is to be.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) agents: usize,
    /// How long until everybody says goodbye.
    pub(crate) length: Duration,
    /// Faults by the clock.
    pub(crate) timeline: Vec<(Duration, Fault)>,
    /// A fault at a passage.
    pub(crate) trigger: Option<Trigger>,
    /// The chance of a datagram to be lost.
    pub(crate) loss: f64,
    /// The longest way of a packet.
    pub(crate) latency: Duration,
    /// How far wall clocks are ahead, by host.
    pub(crate) ahead: BTreeMap<String, i64>,
    /// What the receiver answers, the last one first.
    pub(crate) answers: Vec<u16>,
    /// Further lines of the configuration's `[defaults]`.
    pub(crate) defaults: String,
    /// How long an outage may last before people must have heard of it.
    pub(crate) page_within: Duration,
}

impl Plan {
    /// A day without trouble.
    pub(crate) fn quiet(seed: u64, agents: usize, length: Duration) -> Self {
        Self {
            seed,
            agents,
            length,
            timeline: Vec::new(),
            trigger: None,
            loss: 0.0,
            latency: Duration::from_millis(30),
            ahead: BTreeMap::new(),
            answers: Vec::new(),
            defaults: String::new(),
            page_within: Duration::from_secs(30),
        }
    }
}

/// What a run has left.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) plan: Plan,
    pub(crate) trace: Vec<String>,
    pub(crate) passages: Vec<(String, Border)>,
    pub(crate) pages: Vec<Page>,
    folder: TempDir,
}

impl Left {
    /// The aggregator's database.
    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("data/quorate.db")
    }

    /// The same once more, to be spoiled.
    pub(crate) fn copy(&self) -> Result<Self> {
        let folder = TempDir::new()?;
        let copy = Self {
            plan: self.plan.clone(),
            trace: self.trace.clone(),
            passages: self.passages.clone(),
            pages: self.pages.clone(),
            folder,
        };
        fs::create_dir(copy.folder.path().join("data"))?;
        fs::copy(self.database(), copy.database())?;
        for agent in 0..self.plan.agents {
            fs::create_dir(copy.state_of(agent))?;
            fs::copy(self.state_of(agent).join("agent.key"), copy.state_of(agent).join("agent.key"))?;
        }
        Ok(copy)
    }

    /// An agent's state folder.
    pub(crate) fn state_of(&self, agent: usize) -> PathBuf {
        self.folder.path().join(name(agent))
    }
}

/// The name of an agent's host, which is also its own and its region's.
pub(crate) fn name(agent: usize) -> String {
    format!("agent-{agent}")
}

/// Makes a run.
pub(crate) fn run(plan: Plan) -> Result<Left> {
    apart(plan.seed, move || House::build(plan)?.live())
}

/// Simulates on a thread of its own, so that nothing of another run is left in it.
pub(crate) fn apart<T: Send + 'static>(
    seed: u64,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let thread = std::thread::Builder::new().name(format!("seed-{seed}"));
    let running = thread.spawn(move || {
        quorate_simulation::seed(seed);
        fastrand::seed(seed);
        work()
    })?;
    running.join().map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        anyhow!("the simulation panicked: {}", text.unwrap_or_default())
    })?
}

pub(crate) type Joins = Arc<Mutex<BTreeMap<String, JoinString>>>;

struct House {
    plan: Plan,
    machine: Machine,
    inbox: Inbox,
    folder: TempDir,
    goodbye: CancellationToken,
}

impl House {
    fn build(plan: Plan) -> Result<Self> {
        let machine = Machine::new(plan.seed);
        {
            let mut state = machine.state();
            state.loss = plan.loss;
            state.ahead = plan.ahead.clone();
            state.trigger = plan.trigger.clone();
        }
        let folder = folder()?;
        let seeds = std::iter::once(("data".to_owned(), "aggregator.key"))
            .chain((0..plan.agents).map(|agent| (name(agent), "agent.key")));
        for (number, (inside, file)) in (0_u64..).zip(seeds) {
            let inside = folder.path().join(inside);
            fs::DirBuilder::new().mode(0o700).create(&inside)?;
            write_key(&inside.join(file), number)?;
        }
        let inbox = Inbox::with_answers(plan.answers.clone());
        Ok(Self { plan, machine, inbox, folder, goodbye: CancellationToken::new() })
    }

    fn live(self) -> Result<Left> {
        let recorder = Recorder::new(self.machine.clone(), self.folder.path().display().to_string());
        let inside = simulation::enter(self.machine.world());
        tracing::subscriber::with_default(recorder, || self.pass_time())?;
        drop(inside);
        let Self { plan, machine, inbox, folder, .. } = self;
        let mut state = machine.state();
        let (trace, passages) = (std::mem::take(&mut state.trace), std::mem::take(&mut state.passages));
        Ok(Left { plan, trace, passages, pages: inbox.pages(), folder })
    }

    fn pass_time(&self) -> Result<()> {
        let mut sim = turmoil::Builder::new()
            .rng_seed(self.plan.seed)
            .simulation_duration(Duration::from_secs(24 * 3600))
            .tick_duration(TURN)
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(self.plan.latency)
            .udp_capacity(4096)
            .enable_tokio_io()
            .build();
        self.settle(&mut sim)?;
        let mut clock = Timeline::new(&self.plan.timeline);
        let mut has_left = false;
        let end = self.plan.length + GOODBYE;
        while sim.elapsed() < end || (sim.elapsed() < end + LAST_PAGE && self.owes_pages(sim.elapsed())?) {
            sim.step().map_err(|error| anyhow!("a host failed: {error}"))?;
            let now = sim.elapsed();
            for fault in std::mem::take(&mut self.machine.state().fallen) {
                clock.struck(now, fault);
            }
            while let Some(turn) = clock.due(now) {
                self.turn(&mut sim, &mut clock, turn);
            }
            if now >= self.plan.length && !has_left {
                has_left = true;
                self.goodbye.cancel();
            }
        }
        Ok(())
    }

    /// Whether some page waits for its next attempt. Asked once in a while.
    fn owes_pages(&self, now: Duration) -> Result<bool> {
        if now.as_millis() % 500 >= TURN.as_millis() {
            return Ok(true);
        }
        let database = rusqlite::Connection::open(self.folder.path().join("data/quorate.db"))?;
        let waiting = "SELECT count(*) FROM delivery WHERE state = 'pending'";
        Ok(database.query_row(waiting, [], |row| row.get::<_, i64>(0))? > 0)
    }

    /// A fault begins or ends.
    fn turn(&self, sim: &mut turmoil::Sim<'_>, clock: &mut Timeline, turn: Turn) {
        let now = sim.elapsed();
        self.machine.note(format_args!("turn {turn:?}"));
        match turn {
            Turn::Begin(Fault::Cut { ways, span }) => {
                for (from, to) in &ways {
                    sim.partition_oneway(from.as_str(), to.as_str());
                }
                clock.struck(now, Fault::Cut { ways, span });
            }
            Turn::Begin(Fault::Crash { host, down }) => clock.struck(now, Fault::Crash { host, down }),
            Turn::Repair(ways) => {
                for (from, to) in ways {
                    sim.repair_oneway(from.as_str(), to.as_str());
                }
            }
            Turn::PutAway(host) => sim.crash(host.as_str()),
            Turn::Bounce(host) => {
                self.machine.state().dead.remove(&host);
                self.machine.state().host = Some(host.clone());
                sim.bounce(host.as_str());
                self.machine.state().host = None;
            }
        }
    }

    /// Registers all hosts.
    fn settle(&self, sim: &mut turmoil::Sim<'_>) -> Result<()> {
        sim.host(SERVER, || async { serve().await });
        let (machine, inbox) = (self.machine.clone(), self.inbox.clone());
        sim.host(RECEIVER, move || receive(machine.clone(), inbox.clone()));
        let joins = Joins::default();
        let names: Vec<_> = (0..self.plan.agents).map(name).collect();
        let config = self.config(sim, &names);
        let home = self.folder.path().to_owned();
        {
            let joins = Arc::clone(&joins);
            let names = names.clone();
            sim.host(AGGREGATOR, move || {
                aggregate(home.clone(), config.clone(), names.clone(), Arc::clone(&joins))
            });
        }
        for name in names {
            let home = self.folder.path().join(&name);
            let (joins, goodbye) = (Arc::clone(&joins), self.goodbye.clone());
            sim.host(name.clone(), move || {
                watch(home.clone(), name.clone(), Arc::clone(&joins), goodbye.clone())
            });
        }
        Ok(())
    }

    fn config(&self, sim: &turmoil::Sim<'_>, names: &[String]) -> String {
        let (server, receiver) = (sim.lookup(SERVER), sim.lookup(RECEIVER));
        let aggregator = sim.lookup(AGGREGATOR);
        let defaults = &self.plan.defaults;
        format!(
            "regions = {names:?}\n\
             [server]\ndata = \"data\"\nhttp = \"127.0.0.1:0\"\nquic = \"0.0.0.0:4433\"\npublic_address = \"{aggregator}:4433\"\n\
             [[channels]]\nid = \"ops\"\ntype = \"webhook\"\nurl = \"http://{receiver}:{RECEIVER_PORT}/hook\"\n\
             [defaults]\ninterval = \"2s\"\ntimeout = \"1s\"\n{defaults}\n\
             [[monitors]]\nid = \"shop\"\nurl = \"ws://{server}:{SERVER_PORT}/\"\n"
        )
    }
}

/// A folder for all disks, in memory where that can be had: syncing is real, and must not take real time.
pub(crate) fn folder() -> Result<TempDir> {
    let shared = Path::new("/dev/shm");
    Ok(if shared.is_dir() { TempDir::new_in(shared)? } else { TempDir::new()? })
}

/// The aggregator, and at its first start an operator who adds the agents.
pub(crate) async fn aggregate(
    home: PathBuf,
    config: String,
    names: Vec<String>,
    joins: Joins,
) -> turmoil::Result {
    let file = home.join("quorate.toml");
    let loaded = parse(&config, &file.to_string_lossy(), &Environment::of_process());
    let config = loaded.map_err(|faults| format!("{faults:?}"))?.config;
    let options = aggregator::Options { config: Arc::new(config), watched: None };
    let running = Aggregator::start(options).await?;
    for name in names {
        if joins.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&name) {
            continue;
        }
        // Cut short by a crash, the agent may be there already, and nobody has its join string.
        let _ = running.revoke_agent(name.parse()?).await;
        let join = running.add_agent(name.parse()?, name.parse()?).await?;
        joins.lock().unwrap_or_else(PoisonError::into_inner).insert(name, join);
    }
    std::future::pending::<()>().await;
    drop(running);
    Ok(())
}

/// An agent: joins when it is asked to, and works until the end.
pub(crate) async fn watch(
    home: PathBuf,
    name: String,
    joins: Joins,
    goodbye: CancellationToken,
) -> turmoil::Result {
    let mut state = State::open(&home)?;
    while state.enrolment().is_none() {
        if goodbye.is_cancelled() {
            return Ok(());
        }
        let join = joins.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
        if let Some(join) = join
            && let Ok(joined) = uplink::join(&join, state.key(), SOFTWARE).await
        {
            let JoinString { aggregator, address, .. } = join;
            state.enrol(Enrolment { aggregator, address, name: joined.name, region: joined.region })?;
        } else {
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }
    let options = agent::Options {
        state,
        egress: Egress::Private,
        nameservers: Nameservers::System,
        proxy: None,
        controls: None,
        spool_bytes_max: quorate_agent::limits::SPOOL_BYTES_DEFAULT,
    };
    agent::run(options, goodbye).await?;
    Ok(())
}

/// An Ed25519 key (RFC 8410 section 7) that is the same in every run.
pub(crate) fn write_key(path: &Path, number: u64) -> Result<()> {
    const HEAD: [u8; 16] =
        [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(&[HEAD.as_slice(), &(number + 1).to_le_bytes().repeat(4)].concat()).context("a key")
}

/// What begins and ends when.
struct Timeline(Vec<(Duration, Turn)>);

#[derive(Clone, Debug)]
enum Turn {
    Begin(Fault),
    Repair(Vec<(String, String)>),
    PutAway(String),
    Bounce(String),
}

impl Timeline {
    fn new(faults: &[(Duration, Fault)]) -> Self {
        Self(faults.iter().map(|(at, fault)| (*at, Turn::Begin(fault.clone()))).collect())
    }

    /// A fault has come into force.
    fn struck(&mut self, now: Duration, fault: Fault) {
        match fault {
            Fault::Crash { host, down } => {
                self.0.push((now, Turn::PutAway(host.clone())));
                self.0.push((now + down, Turn::Bounce(host)));
            }
            Fault::Cut { ways, span } => self.0.push((now + span, Turn::Repair(ways))),
        }
    }

    /// The next that is due.
    fn due(&mut self, now: Duration) -> Option<Turn> {
        let place = self.0.iter().position(|(at, _)| *at <= now)?;
        Some(self.0.remove(place).1)
    }
}
