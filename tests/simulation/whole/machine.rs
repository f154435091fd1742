//! The simulated machine: clocks, sockets and disks of every host, each passage between a host and the world counted, and
//! the one fault that a run may have at one of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use quorate_agent::{
    clock::{Now, Tick},
    simulation::{Connection, Disk, Wait, World},
};
use quorate_proto::{Micros, WallMicros};

use crate::{datagrams, wire::Wire};

/// What everybody's wall clock shows at the start: 15 January 2027.
pub(crate) const WALL_AT_START: i64 = 1_800_000_000_000_000;
/// What the steady clocks show then.
const TICK_AT_START: u64 = 1_000_000_000;

/// A passage between a host and the world. What lies before it has happened, what lies behind has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Border {
    /// A datagram is about to leave.
    Send,
    /// A datagram has come, and nobody has read it.
    Receive,
    /// A TCP connection is about to be asked for.
    Dial,
    /// A disk is about to work, or just has.
    Disk(Disk),
}

/// What may go wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A host loses its power, and comes back after a while.
    Crash { host: String, down: Duration },
    /// Nothing passes from the first to the second host of each pair, for a while.
    Cut { ways: Vec<(String, String)>, span: Duration },
}

/// A fault at a passage: the so-manieth of a host, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trigger {
    pub(crate) host: String,
    pub(crate) passage: u64,
    pub(crate) fault: Fault,
}

/// The machine. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Machine(Arc<Mutex<State>>);

#[derive(Debug)]
pub(crate) struct State {
    /// The host whose turn it is.
    pub(crate) host: Option<String>,
    elapsed: Duration,
    /// Every word of the log, every datagram, every page, with its time.
    pub(crate) trace: Vec<String>,
    /// Every passage, in order.
    pub(crate) passages: Vec<(String, Border)>,
    counts: BTreeMap<String, u64>,
    pub(crate) trigger: Option<Trigger>,
    /// Hosts that have lost their power and are not yet put away.
    pub(crate) dead: BTreeSet<String>,
    /// Faults that came into force at a passage and that the run has to end.
    pub(crate) fallen: Vec<Fault>,
    /// The chance of a datagram to be lost.
    pub(crate) loss: f64,
    /// How far each host's wall clock is ahead, in microseconds.
    pub(crate) ahead: BTreeMap<String, i64>,
    /// The longest wait of a disk.
    pub(crate) disk_wait: Duration,
    chance: fastrand::Rng,
}

impl Machine {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            host: None,
            elapsed: Duration::ZERO,
            trace: Vec::new(),
            passages: Vec::new(),
            counts: BTreeMap::new(),
            trigger: None,
            dead: BTreeSet::new(),
            fallen: Vec::new(),
            loss: 0.0,
            ahead: BTreeMap::new(),
            disk_wait: Duration::from_millis(20),
            chance: fastrand::Rng::with_seed(seed),
        })))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the programs are given in place of their machine.
    pub(crate) fn world(&self) -> World {
        let [clock, datagrams, stream, disk, fill] = std::array::from_fn(|_| self.clone());
        World {
            now: Box::new(move || clock.now()),
            datagrams: Box::new(move |address| datagrams::bind(&datagrams, address)),
            stream: Box::new(move |address| stream.connect(address)),
            disk: Box::new(move |folder, moment| disk.disk(folder, moment)),
            fill: Box::new(move |bytes| fill.state().chance.fill(bytes)),
        }
    }

    /// Writes a line into the trace.
    pub(crate) fn note(&self, what: std::fmt::Arguments<'_>) {
        let elapsed = self.elapsed();
        let mut state = self.state();
        let host = state.host.clone().unwrap_or_else(|| "-".to_owned());
        state.trace.push(format!("{:>10} {host} {what}", elapsed.as_micros()));
    }

    /// Since the start of the simulation.
    pub(crate) fn elapsed(&self) -> Duration {
        // Not known while turmoil is at its own business, where no time passes.
        let present = turmoil::sim_elapsed();
        let mut state = self.state();
        state.elapsed = present.unwrap_or(state.elapsed);
        state.elapsed
    }

    /// The name of the host whose turn it is.
    pub(crate) fn host(&self) -> String {
        self.state().host.clone().unwrap_or_default()
    }

    /// Counts a passage of a host, and lets happen what is to happen there. Whether the host is still alive.
    pub(crate) fn pass(&self, host: &str, border: Border) -> bool {
        let fault = {
            let mut state = self.state();
            if state.dead.contains(host) {
                return false;
            }
            state.passages.push((host.to_owned(), border));
            let count = state.counts.entry(host.to_owned()).or_default();
            *count += 1;
            let count = *count;
            let due = state.trigger.as_ref().is_some_and(|due| due.host == host && due.passage == count);
            if due { state.trigger.take().map(|trigger| trigger.fault) } else { None }
        };
        if let Some(fault) = fault {
            self.note(format_args!("fault {fault:?} at {border:?}"));
            self.strike(fault);
        }
        !self.state().dead.contains(host)
    }

    /// Lets a fault come into force. The run ends it. To be called within a host's turn.
    fn strike(&self, fault: Fault) {
        match &fault {
            Fault::Crash { host, .. } => {
                self.state().dead.insert(host.clone());
            }
            Fault::Cut { ways, .. } => {
                for (from, to) in ways {
                    turmoil::partition_oneway(from.as_str(), to.as_str());
                }
            }
        }
        self.state().fallen.push(fault);
    }

    /// Whether a datagram is lost on its way.
    pub(crate) fn loses(&self) -> bool {
        let mut state = self.state();
        let loss = state.loss;
        loss > 0.0 && state.chance.f64() < loss
    }

    /// A fraction of a span, by chance.
    fn some_of(&self, span: Duration) -> Duration {
        let fraction = self.state().chance.f64();
        span.mul_f64(fraction)
    }

    fn now(&self) -> Now {
        let elapsed = self.elapsed();
        let state = self.state();
        let ahead = state.host.as_ref().and_then(|host| state.ahead.get(host)).copied().unwrap_or(0);
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        Now {
            tick: Tick(Micros(TICK_AT_START + micros)),
            wall: WallMicros(WALL_AT_START.saturating_add_unsigned(micros).saturating_add(ahead)),
        }
    }

    fn connect(&self, address: SocketAddr) -> Wait<io::Result<Box<dyn Connection>>> {
        let (machine, host) = (self.clone(), self.host());
        Box::pin(async move {
            if !machine.pass(&host, Border::Dial) {
                return std::future::pending().await;
            }
            let stream = turmoil::net::TcpStream::connect(address).await?;
            Ok(Box::new(Wire::new(stream, host, machine)) as Box<dyn Connection>)
        })
    }

    /// A disk takes its time on both sides of what it does, and its host may die meanwhile.
    fn disk(&self, _: &Path, moment: Disk) -> Wait<()> {
        let (machine, host) = (self.clone(), self.host());
        Box::pin(async move {
            let longest = machine.state().disk_wait;
            let wait = machine.some_of(longest);
            machine.note(format_args!("disk {moment:?}"));
            let before = matches!(moment, Disk::SpoolWrite | Disk::SpoolDelete | Disk::Commit);
            if before {
                tokio::time::sleep(wait).await;
            }
            if !machine.pass(&host, Border::Disk(moment)) {
                return std::future::pending().await;
            }
            if !before {
                tokio::time::sleep(wait).await;
            }
        })
    }
}

/// A text of a wall clock that is not ahead, as the time since the start.
pub(crate) fn since_start(text: &str) -> anyhow::Result<Duration> {
    let wall = text.parse::<jiff::Timestamp>()?.as_microsecond();
    Ok(Duration::from_micros(u64::try_from(wall.saturating_sub(WALL_AT_START)).unwrap_or(0)))
}

/// The host with an address.
pub(crate) fn name_of(address: IpAddr) -> String {
    turmoil::reverse_lookup(address).unwrap_or_else(|| address.to_string())
}
