//! The aggregator as a whole: starts its stages in the order in which they depend on each other, and stops them in
//! reverse. This is the only file that knows them all.
//!
//! ```text
//! start   store -> key, first token -> sockets -> core -> notify -> ingest, publish -> reload
//! stop    reload, ingest, publish (nothing new comes in) -> notify (attempts end) -> core (commit, close the store)
//! ```

mod door_metrics;
mod key;
mod local;
mod reload;
#[cfg(test)]
mod tests;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use arc_swap::ArcSwap;
use quorate_proto::{AgentName, AggregatorKey, Region, SigningKey, join::JoinString};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::{JoinError, JoinHandle, spawn_blocking},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

pub use self::{
    key::{KeyFileError, existing_key},
    local::{LocalAgentError, LocalAgents},
};
use crate::{
    clock,
    config::Config,
    core::{self, ForeignKey, TokenError, token},
    evidence::EvidenceFile,
    ingest::{self, IngestError},
    limits,
    model::{Admin, AdminError, AgentRecord, Intake, Roster, Snapshot},
    notify, publish,
    store::{OpenError, Reader, Recovered, Store},
};

/// What an aggregator is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the operator wants.
    pub config: Arc<Config>,
    /// The file that it came from, to be read again when it changes; none: it stays.
    pub watched: Option<PathBuf>,
}

/// Starts aggregators.
#[derive(Debug)]
pub struct Aggregator;

/// A running aggregator. To be ended by [`Running::stop`]; dropped, its stages are cancelled and nobody waits for them.
#[derive(Debug)]
pub struct Running {
    /// Where HTTP is served.
    pub http_addr: SocketAddr,
    /// Where agents connect.
    pub quic_addr: SocketAddr,
    /// What agents pin.
    pub aggregator_key: AggregatorKey,
    /// The file of the first API token. The operator may have removed it.
    pub admin_token_file: PathBuf,
    /// The way to the core.
    pub intake: mpsc::Sender<Intake>,
    /// The picture of the present.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// What brings things in: cancelled and awaited first.
    entrances: Vec<Stage>,
    notify: Stage,
    core: Stage,
}

/// Why an aggregator did not start. Nothing runs.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder or its database cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The key cannot be had.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The data folder belongs to another key.
    #[error(transparent)]
    ForeignKey(#[from] ForeignKey),
    /// The first API token cannot be had.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Agents cannot be listened for.
    #[error(transparent)]
    Agents(#[from] IngestError),
    /// HTTP cannot be listened for.
    #[error(
        "cannot listen for HTTP on tcp {address}: {error}; [server] http in the configuration names another"
    )]
    Http {
        /// The wanted address.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// A part of the start was cut off.
    #[error("the start was interrupted: {0}")]
    Interrupted(#[from] JoinError),
}

/// A stage ended by itself, which none does.
#[derive(Debug, thiserror::Error)]
#[error("{stage} ended by itself, which is a defect; the log says more")]
pub struct StageEnded {
    /// Which one.
    pub stage: &'static str,
}

/// A task, and the way to end it.
#[derive(Debug)]
struct Stage {
    name: &'static str,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

impl Aggregator {
    /// Starts everything.
    ///
    /// # Errors
    /// [`StartError`]; whatever was started before is stopped.
    pub async fn start(options: Options) -> Result<Running, StartError> {
        let Options { config, watched } = options;
        let data = config.server.data.clone();
        let (store, reader, recovered) = aside(move || Store::open(&data)).await??;
        let ground = match Ground::lay(&config, &store, &recovered).await {
            Ok(ground) => ground,
            Err(error) => {
                // Its thread has the folder's lock, and whoever mends the matter starts again at once.
                aside(move || store.close()).await?;
                return Err(error);
            }
        };
        let Ground { key, http, http_addr, listener, quic_addr } = ground;
        let present = key.aggregator_key();
        tracing::info!(%http_addr, %quic_addr, key = %present, monitors = config.monitors.len(), "starting");

        let wires = Wires::new(&config);
        let admin_token_file = config.server.data.join(token::FILE);
        let (intake, intake_end) = mpsc::channel(limits::INTAKE_WAITING_MAX);
        let (dispatch, dispatch_end) = mpsc::channel(limits::DISPATCHES_WAITING_MAX);
        let core = spawn_core(&config, present, quic_addr, (store, recovered), &wires, intake_end, dispatch);
        let notify = spawn_notify(&config, dispatch_end, intake.clone());
        let counts = Arc::new(ingest::Counts::default());
        let sealing = Arc::clone(&key);
        let door = |cancel| ingest::Options {
            listener,
            key,
            roster: Arc::clone(&wires.roster),
            intake: intake.clone(),
            counts: Arc::clone(&counts),
            cancel,
        };
        let mut entrances = vec![
            spawn_ingest(door),
            spawn_publish(http, &wires, (reader, sealing), intake.clone(), Arc::clone(&counts)),
        ];
        entrances.extend(watched.map(|path| {
            let (intake, page) = (intake.clone(), Arc::clone(&wires.page));
            Stage::spawn("reload", move |cancel| reload::watch(path, config, intake, page, cancel))
        }));
        Ok(Running {
            http_addr,
            quic_addr,
            aggregator_key: present,
            admin_token_file,
            intake,
            snapshot: wires.snapshot,
            entrances,
            notify,
            core,
        })
    }
}

impl Running {
    /// Waits until it is asked to stop.
    ///
    /// # Errors
    /// [`StageEnded`] where a stage ended before.
    pub async fn until(&mut self, stop: impl Future<Output = ()>) -> Result<(), StageEnded> {
        let stages = self.entrances.iter_mut().chain([&mut self.notify, &mut self.core]);
        let ended = futures_util::future::select_all(stages.map(|stage| Box::pin(stage.ended())));
        tokio::select! {
            () = stop => Ok(()),
            (stage, ..) = ended => {
                tracing::error!(stage, "a stage ended by itself");
                Err(StageEnded { stage })
            }
        }
    }

    /// A stage that ended by itself, where there is one.
    pub fn ended_stage(&self) -> Option<StageEnded> {
        let mut stages = self.entrances.iter().chain([&self.notify, &self.core]);
        stages.find(|stage| stage.task.is_finished()).map(|stage| StageEnded { stage: stage.name })
    }

    /// Adds an agent, as an operator does through the API.
    ///
    /// # Errors
    /// [`AdminError`]; a core that is gone counts as [`AdminError::Storage`].
    pub async fn add_agent(&self, name: AgentName, region: Region) -> Result<JoinString, AdminError> {
        let labels = std::collections::BTreeMap::new();
        self.wish(|reply| Admin::AddAgent { name, region, labels, reply }).await
    }

    /// Revokes an agent.
    ///
    /// # Errors
    /// [`AdminError`], as for [`Running::add_agent`].
    pub async fn revoke_agent(&self, name: AgentName) -> Result<AgentRecord, AdminError> {
        self.wish(|reply| Admin::RevokeAgent { name, reply }).await
    }

    async fn wish<T>(
        &self,
        wish: impl FnOnce(oneshot::Sender<Result<T, AdminError>>) -> Admin,
    ) -> Result<T, AdminError> {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.intake.send(Intake::Admin(wish(reply))).await.ok()?;
            answer.await.ok()
        };
        timeout(limits::ADMIN_WAIT, asked).await.ok().flatten().unwrap_or(Err(AdminError::Storage))
    }

    /// Stops everything: what comes in first, then what goes out, then the core, which commits and closes the store.
    /// Each part has a bounded time.
    pub async fn stop(self) {
        let Self { entrances, notify, core, intake, .. } = self;
        for stage in &entrances {
            stage.cancel.cancel();
        }
        for stage in entrances {
            stage.stop().await;
        }
        notify.stop().await;
        drop(intake);
        core.stop().await;
        tracing::info!("stopped");
    }
}

/// Does what may wait for a disk away from the event loop; in a simulation, which has one thread, in place.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    #[cfg(feature = "simulation")]
    if quorate_agent::simulation::world().is_some() {
        return Ok(work());
    }
    spawn_blocking(work).await
}

/// What a start needs beside the store, and what may fail of it.
struct Ground {
    key: Arc<SigningKey>,
    http: TcpListener,
    http_addr: SocketAddr,
    listener: ingest::Listener,
    quic_addr: SocketAddr,
}

impl Ground {
    async fn lay(config: &Config, store: &Store, recovered: &Recovered) -> Result<Self, StartError> {
        let data = &config.server.data;
        let key = Arc::new(key::key(data, recovered.aggregator_key.is_none())?);
        let present = key.aggregator_key();
        if let Some(stored) = recovered.aggregator_key.filter(|stored| *stored != present) {
            return Err(ForeignKey { stored, present }.into());
        }
        let address = config.server.http;
        let http = TcpListener::bind(address).await.map_err(|error| StartError::Http { address, error })?;
        let http_addr = http.local_addr().map_err(|error| StartError::Http { address, error })?;
        let listener = ingest::bind(config.server.quic)?;
        let quic_addr = listener.local_addr();
        if let Some(file) = core::ensure_admin_token(store, recovered, data).await? {
            tracing::info!(file = %file.display(), "the first API token was made");
        }
        Ok(Self { key, http, http_addr, listener, quic_addr })
    }
}

/// What stages share.
struct Wires {
    roster: Arc<ArcSwap<Roster>>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    page: Arc<ArcSwap<crate::config::Page>>,
}

impl Wires {
    fn new(config: &Config) -> Self {
        Self {
            roster: Arc::default(),
            snapshot: Arc::default(),
            page: Arc::new(ArcSwap::from_pointee(config.page.clone())),
        }
    }
}

fn spawn_core(
    config: &Arc<Config>,
    key: AggregatorKey,
    quic_addr: SocketAddr,
    (store, recovered): (Store, Recovered),
    wires: &Wires,
    intake: mpsc::Receiver<Intake>,
    dispatch: mpsc::Sender<crate::model::Dispatch>,
) -> Stage {
    let address = config.server.public_address.clone().unwrap_or_else(|| reachable(quic_addr).to_string());
    let options = core::Options { config: Arc::clone(config), key, address, store, recovered };
    let (roster, snapshot) = (Arc::clone(&wires.roster), Arc::clone(&wires.snapshot));
    Stage::spawn("core", move |cancel| async move {
        if let Err(error) = core::run(options, intake, dispatch, roster, snapshot, cancel).await {
            tracing::error!(%error, "the core did not start");
        }
    })
}

fn spawn_notify(
    config: &Config,
    dispatch: mpsc::Receiver<crate::model::Dispatch>,
    intake: mpsc::Sender<Intake>,
) -> Stage {
    let page = &config.page;
    let options = notify::Options { page_url: page.url.clone(), page_title: page.title.clone() };
    Stage::spawn("notify", move |cancel| notify::run(options, dispatch, intake, cancel))
}

fn spawn_ingest(options: impl FnOnce(CancellationToken) -> ingest::Options) -> Stage {
    Stage::spawn("ingest", |cancel| {
        let options = options(cancel);
        async move {
            if let Err(error) = ingest::run(options).await {
                tracing::error!(%error, "agents cannot be served");
            }
        }
    })
}

fn spawn_publish(
    listener: TcpListener,
    wires: &Wires,
    (reader, key): (Reader, Arc<SigningKey>),
    intake: mpsc::Sender<Intake>,
    counts: Arc<ingest::Counts>,
) -> Stage {
    let sources = publish::Sources {
        snapshot: Arc::clone(&wires.snapshot),
        page: Arc::clone(&wires.page),
        reader,
        intake,
        aggregator: key.aggregator_key(),
        sealer: Arc::new(move |dossier| {
            EvidenceFile::of(dossier, key.aggregator_key(), clock::wall()).sealed(&key)
        }),
        further_metrics: Arc::new(move || door_metrics::families(&counts.read())),
    };
    Stage::spawn("publish", move |cancel| publish::run(publish::Options { listener }, sources, cancel))
}

impl Stage {
    fn spawn<F>(name: &'static str, work: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let cancel = CancellationToken::new();
        let task = tokio::spawn(work(cancel.clone()));
        Self { name, cancel, task }
    }

    /// Waits until it ends by itself. Its name.
    async fn ended(&mut self) -> &'static str {
        if let Err(error) = (&mut self.task).await {
            tracing::error!(stage = self.name, %error, "a stage broke off");
        }
        self.name
    }

    async fn stop(mut self) {
        self.cancel.cancel();
        if !self.task.is_finished() && timeout(limits::STAGE_STOP_WAIT, &mut self.task).await.is_err() {
            tracing::warn!(stage = self.name, "a stage did not end in time and is cut off");
            self.task.abort();
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// An address that others can connect to, for one that is listened on: where that is "any", the address from which this
/// machine reaches others, as well as it can be told without asking anyone.
fn reachable(listening: SocketAddr) -> SocketAddr {
    if !listening.ip().is_unspecified() {
        return listening;
    }
    // Connecting a UDP socket sends nothing: it only looks up the route. 192.0.2.0/24 and 2001:db8::/32 are for
    // documentation, and routed like any other address outside.
    let (any, outside): (IpAddr, IpAddr) = match listening.ip() {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into()),
        IpAddr::V6(_) => {
            (Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into())
        }
    };
    let route = std::net::UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((outside, 9))?;
        socket.local_addr()
    });
    SocketAddr::new(route.map_or(loopback(listening.ip()), |route| route.ip()), listening.port())
}

fn loopback(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}
