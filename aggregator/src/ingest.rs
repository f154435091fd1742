//! The door of the aggregator: agents connect here over QUIC, prove their keys, and hand over what they measured.
//!
//! ```text
//! UDP -> Retry -> TLS (raw public keys) -> ALPN -+- quorate/1       control stream, one stream a unit -> core
//!                                                +- quorate-join/1  one request, one reply            -> core
//! ```
//!
//! Nothing reaches the core that was not authenticated: the key by TLS, the unit by its signature. What is broken or
//! foreign is counted, logged and ends the connection. What is too much waits: where the core's queue is full, reading
//! stops, and QUIC's windows hold the agents back.

mod connection;
mod control;
mod counts;
mod door;
mod join;
mod ration;
mod socket;
mod tls;
mod uploads;
mod wire;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU64},
};

use arc_swap::ArcSwap;
use quorate_proto::{AggregatorKey, SigningKey};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::socket::Bound;
pub use self::{
    counts::{Counts, Reading},
    socket::{Listener, bind},
};
use self::{ration::Ration, wire::GOING_AWAY};
use crate::{
    limits,
    model::{Intake, Roster},
};

/// What the stage needs.
#[derive(Debug)]
pub struct Options {
    /// The socket, from [`bind`].
    pub listener: Listener,
    /// The aggregator's key: what agents pin.
    pub key: Arc<SigningKey>,
    /// Who may connect. The core replaces it; an agent that is not in it loses its connection.
    pub roster: Arc<ArcSwap<Roster>>,
    /// The way to the core. Its capacity bounds what waits for the core.
    pub intake: mpsc::Sender<Intake>,
    /// What happened at the door, for the metrics.
    pub counts: Arc<Counts>,
    /// Ends the stage.
    pub cancel: CancellationToken,
}

/// Why the stage could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The address cannot be listened on.
    #[error("cannot listen for agents on udp {address}: {source}")]
    Bind {
        /// The wanted address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The key cannot be used for TLS.
    #[error("the aggregator's key cannot be used for TLS: {0}")]
    Key(rustls::Error),
    /// The runtime did not take the socket.
    #[error("cannot serve agents: {0}")]
    Socket(io::Error),
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    aggregator: AggregatorKey,
    roster: Arc<ArcSwap<Roster>>,
    intake: mpsc::Sender<Intake>,
    counts: Arc<Counts>,
    ration: Ration,
    /// Connections that passed the handshake.
    connections: Arc<Semaphore>,
    /// Handshakes on the way.
    handshakes: Arc<Semaphore>,
    /// Joins on the way.
    joins: Semaphore,
    /// Uploads that are read or wait for their verdict.
    uploads: Arc<Semaphore>,
    numbers: AtomicU64,
    cancel: CancellationToken,
}

/// Serves agents until cancelled; then says goodbye to all of them and returns.
///
/// # Errors
/// [`IngestError`] where serving cannot start.
pub async fn run(options: Options) -> Result<(), IngestError> {
    let Options { listener, key, roster, intake, counts, cancel } = options;
    let endpoint = tls::endpoint(listener, &key, Arc::clone(&roster))?;
    let shared = Arc::new(Shared {
        aggregator: key.aggregator_key(),
        roster,
        intake,
        counts,
        ration: Ration::default(),
        connections: Arc::new(Semaphore::new(limits::CONNECTIONS_MAX)),
        handshakes: Arc::new(Semaphore::new(limits::HANDSHAKES_MAX)),
        joins: Semaphore::new(limits::JOINS_MAX),
        uploads: Arc::new(Semaphore::new(limits::UPLOADS_MAX)),
        numbers: AtomicU64::new(0),
        cancel: cancel.clone(),
    });
    let tasks = TaskTracker::new();
    let open = door::open(&endpoint, &shared, &tasks);
    cancel.run_until_cancelled(open).await;

    endpoint.close(GOING_AWAY, b"going away");
    tasks.close();
    let ended = async {
        tasks.wait().await;
        endpoint.wait_idle().await;
    };
    if tokio::time::timeout(limits::GOODBYE_DEADLINE.into(), ended).await.is_err() {
        tracing::debug!("some connections did not end in time");
    }
    Ok(())
}
