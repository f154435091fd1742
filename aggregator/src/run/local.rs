//! Agents in the aggregator's own process, for `up` and `demo`. They are real ones: each has its key and state folder,
//! joins by a join string, and speaks QUIC to the aggregator over loopback, from a thread and an event loop of its own.

use std::{io, net::SocketAddr, path::Path, thread};

use quorate_agent::{
    egress::Egress,
    probe::Nameservers,
    run::{self as agent, SOFTWARE},
    state::{Enrolment, State, StateError},
    uplink::{self, JoinError},
};
use quorate_proto::{AgentName, Region, id::NameError, limits::NAME_BYTES_MAX};
use tokio::{sync::oneshot, task::spawn_blocking, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{Running, loopback};
use crate::{config::REGION_LOCAL, limits, model::AdminError};

/// Local agents that run. To be ended by [`LocalAgents::stop`]; dropped, they are cancelled and nobody waits for them.
#[derive(Debug)]
pub struct LocalAgents {
    cancel: CancellationToken,
    agents: Vec<LocalAgent>,
}

#[derive(Debug)]
struct LocalAgent {
    region: Region,
    ended: oneshot::Receiver<()>,
    thread: thread::JoinHandle<()>,
}

/// Why a local agent did not start.
#[derive(Debug, thiserror::Error)]
#[error("the local agent of region {region} did not start: {why}")]
pub struct LocalAgentError {
    /// Its region.
    pub region: Region,
    /// Why not.
    #[source]
    pub why: LocalAgentFault,
}

/// Why a local agent did not start.
#[derive(Debug, thiserror::Error)]
pub enum LocalAgentFault {
    /// Its name does not fit.
    #[error("its name {0}")]
    Name(#[from] NameError),
    /// Its state folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The core does not take it.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// It could not join.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// It took too long to join.
    #[error("it did not join in time")]
    Slow,
    /// The system gave no thread.
    #[error("the system gave no thread: {0}")]
    Thread(io::Error),
}

impl LocalAgents {
    /// Starts one agent for each region, with its state in a folder of the region's name. One that was there before goes
    /// on with its key; a new one is enrolled.
    ///
    /// # Errors
    /// [`LocalAgentError`]; those that were started are cancelled.
    pub async fn start(
        running: &Running,
        regions: &[Region],
        folder: &Path,
    ) -> Result<Self, LocalAgentError> {
        let mut agents = Self { cancel: CancellationToken::new(), agents: Vec::new() };
        for region in regions {
            let of_region = |why| LocalAgentError { region: region.clone(), why };
            let state = enrolled(running, region, &folder.join(region.as_str())).await.map_err(of_region)?;
            let agent = spawn(state, region, agents.cancel.clone());
            agents.agents.push(agent.map_err(|error| of_region(LocalAgentFault::Thread(error)))?);
        }
        Ok(agents)
    }

    /// Ends them: each hands over what it has, within a bounded time.
    pub async fn stop(mut self) {
        self.cancel.cancel();
        for LocalAgent { region, ended, thread } in std::mem::take(&mut self.agents) {
            if timeout(limits::STAGE_STOP_WAIT, ended).await.is_err() {
                tracing::warn!(%region, "a local agent did not end in time");
            } else if thread.join().is_err() {
                tracing::error!(%region, "a local agent broke off");
            }
        }
    }
}

impl Drop for LocalAgents {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// A state folder that knows this aggregator and where it listens at present.
async fn enrolled(running: &Running, region: &Region, folder: &Path) -> Result<State, LocalAgentFault> {
    let mut address = running.quic_addr;
    if address.ip().is_unspecified() {
        address.set_ip(loopback(address.ip()));
    }
    let folder = folder.to_owned();
    let opened = spawn_blocking(move || State::open(&folder)).await;
    let mut state = opened.map_err(|error| LocalAgentFault::Thread(io::Error::other(error)))??;
    let enrolment = match state.enrolment() {
        Some(known) if known.aggregator == running.aggregator_key && known.region == *region => {
            Enrolment { address: address.to_string(), ..known.clone() }
        }
        Some(_) | None => join(running, region, address, &state).await?,
    };
    if state.enrolment() != Some(&enrolment) {
        state.enrol(enrolment)?;
    }
    Ok(state)
}

async fn join(
    running: &Running,
    region: &Region,
    address: SocketAddr,
    state: &State,
) -> Result<Enrolment, LocalAgentFault> {
    let name = name_of(region)?;
    // Named after their place, so that they stay apart from those that operators name.
    let mut added = running.add_agent(name.clone(), region.clone()).await;
    if let Err(AdminError::NameTaken(_)) = added {
        // Its folder is gone or was emptied, so nobody has the key of that name any more.
        tracing::info!(agent = %name, "enrolling a local agent anew: its state folder is new");
        running.revoke_agent(name.clone()).await?;
        added = running.add_agent(name.clone(), region.clone()).await;
    }
    let mut join = added?;
    // The string may name an address outside; this agent is inside.
    join.address = address.to_string();
    let joining = uplink::join(&join, state.key(), SOFTWARE);
    let joined = timeout(limits::LOCAL_JOIN_WAIT, joining).await.map_err(|_| LocalAgentFault::Slow)??;
    Ok(Enrolment {
        aggregator: join.aggregator,
        address: join.address,
        name: joined.name,
        region: joined.region,
    })
}

fn name_of(region: &Region) -> Result<AgentName, NameError> {
    if region.as_str() == REGION_LOCAL {
        return REGION_LOCAL.parse();
    }
    format!("{REGION_LOCAL}-{region}").chars().take(NAME_BYTES_MAX).collect::<String>().parse()
}

fn spawn(state: State, region: &Region, cancel: CancellationToken) -> io::Result<LocalAgent> {
    let options = agent::Options {
        state,
        // Whoever runs an agent beside the aggregator watches what is near.
        egress: Egress::Private,
        nameservers: Nameservers::System,
        proxy: None,
        controls: None,
        spool_bytes_max: quorate_agent::limits::SPOOL_BYTES_DEFAULT,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (end, ended) = oneshot::channel();
    let work = {
        let region = region.clone();
        move || {
            if let Err(error) = runtime.block_on(agent::run(options, cancel)) {
                tracing::warn!(%region, %error, "a local agent ended");
            }
            // Whoever waited may have given up.
            let _ = end.send(());
        }
    };
    let thread = thread::Builder::new().name(format!("agent-{region}")).spawn(work)?;
    Ok(LocalAgent { region: region.clone(), ended, thread })
}
