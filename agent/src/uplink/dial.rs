//! From an address to a connection with the right aggregator.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use quinn::{ConnectError, Connection, ConnectionError, Endpoint, EndpointConfig, TokioRuntime};
use quorate_proto::{AggregatorKey, Micros, SigningKey};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::time::{sleep, timeout};

use super::tls;
use crate::limits;

/// What quinn wants as a server's name; it is neither sent nor verified.
const SERVER_NAME: &str = "quorate";

/// Knows where the aggregator is and who it must be.
#[derive(Debug)]
pub(super) struct Dialer {
    address: String,
    expected: AggregatorKey,
    client: quinn::ClientConfig,
    pin: Arc<tls::Pin>,
}

/// A connection that passed the handshake, and the socket under it. Whether the aggregator admits us is not known yet:
/// it says so in its first frame, or closes.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) connection: Connection,
    pub(super) endpoint: Endpoint,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name was not resolved.
    #[error("{address} cannot be resolved: {source}")]
    Resolve {
        /// The address.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// The system gave no socket.
    #[error("no UDP socket: {0}")]
    Socket(#[from] io::Error),
    /// Nothing answered.
    #[error(
        "no answer from udp {address}: is the aggregator running there, and does every firewall in between pass UDP?"
    )]
    NoAnswer {
        /// The address.
        address: String,
    },
    /// Another server answered.
    #[error(
        "{address} answers with the key {found}, not with {expected}: it is another aggregator, or somebody in between; \
         nothing was sent to it"
    )]
    WrongKey {
        /// The address.
        address: String,
        /// The pinned key.
        expected: AggregatorKey,
        /// The key of the server that answered.
        found: AggregatorKey,
    },
    /// The handshake failed for another reason.
    #[error("{address} answers, but not as an aggregator of this version: {source}")]
    Handshake {
        /// The address.
        address: String,
        /// What QUIC says.
        source: ConnectionError,
    },
    /// The address cannot be dialled.
    #[error("{address} cannot be dialled: {source}")]
    Connect {
        /// The address.
        address: String,
        /// Why not.
        source: ConnectError,
    },
}

enum Attempt {
    Connected(Line),
    Socket(io::Error),
    Connect(ConnectError),
    Handshake(ConnectionError),
    Silent,
}

impl Dialer {
    pub(super) fn new(
        aggregator: AggregatorKey,
        address: String,
        key: &SigningKey,
        alpn: &[u8],
    ) -> Result<Self, rustls::Error> {
        let (client, pin) = tls::client_config(aggregator, key, alpn)?;
        Ok(Self { address, expected: aggregator, client, pin })
    }

    /// Tries all addresses of the name, each a moment after the one before (RFC 8305), and takes the first that
    /// answers with the right key.
    pub(super) async fn dial(&self) -> Result<Line, DialError> {
        let addresses = resolve(&self.address)
            .await
            .map_err(|source| DialError::Resolve { address: self.address.clone(), source })?;
        let mut attempts: FuturesUnordered<_> = (0u64..)
            .zip(addresses)
            .map(|(index, address)| async move {
                sleep((limits::DIAL_STAGGER * index).into()).await;
                self.attempt(address).await
            })
            .collect();
        let mut telling = Attempt::Silent;
        while let Some(attempt) = attempts.next().await {
            match attempt {
                Attempt::Connected(line) => return Ok(line),
                // An error says more than silence.
                Attempt::Silent => {}
                Attempt::Socket(_) | Attempt::Connect(_) | Attempt::Handshake(_) => telling = attempt,
            }
        }
        Err(self.error(telling))
    }

    async fn attempt(&self, address: SocketAddr) -> Attempt {
        let endpoint = match endpoint(address) {
            Ok(endpoint) => endpoint,
            Err(error) => return Attempt::Socket(error),
        };
        let connecting = match endpoint.connect_with(self.client.clone(), address, SERVER_NAME) {
            Ok(connecting) => connecting,
            Err(error) => return Attempt::Connect(error),
        };
        match timeout(limits::DIAL_DEADLINE.into(), connecting).await {
            Ok(Ok(connection)) => Attempt::Connected(Line { connection, endpoint }),
            Ok(Err(ConnectionError::TimedOut)) | Err(_) => Attempt::Silent,
            Ok(Err(error)) => Attempt::Handshake(error),
        }
    }

    fn error(&self, telling: Attempt) -> DialError {
        let address = self.address.clone();
        match telling {
            Attempt::Socket(error) => DialError::Socket(error),
            Attempt::Connect(source) => DialError::Connect { address, source },
            Attempt::Handshake(source) => match self.pin.found() {
                Some(found) => DialError::WrongKey { address, expected: self.expected, found },
                None => DialError::Handshake { address, source },
            },
            Attempt::Connected(_) | Attempt::Silent => DialError::NoAnswer { address },
        }
    }
}

async fn resolve(address: &str) -> io::Result<Vec<SocketAddr>> {
    let lookup = timeout(limits::RESOLVE_DEADLINE.into(), tokio::net::lookup_host(address));
    let found = lookup.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let addresses: Vec<_> = found.take(limits::DIAL_ADDRESSES_MAX).collect();
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(addresses)
}

fn endpoint(towards: SocketAddr) -> io::Result<Endpoint> {
    let local: SocketAddr = match towards {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    #[cfg(feature = "simulation")]
    if let Some(world) = crate::simulation::world() {
        let socket = (world.datagrams)(local)?;
        return Endpoint::new_with_abstract_socket(seeded(&world), None, socket, Arc::new(TokioRuntime));
    }
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
    // The system may grant less: an agent's line needs little, and a backlog is then sent more slowly.
    socket.set_recv_buffer_size(limits::UPLINK_SOCKET_BUFFER_BYTES)?;
    socket.set_send_buffer_size(limits::UPLINK_SOCKET_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    socket.bind(&local.into())?;
    Endpoint::new(EndpointConfig::default(), None, UdpSocket::from(socket), Arc::new(TokioRuntime))
}

/// Connection ids and paddings that are the same in every run of a simulation.
#[cfg(feature = "simulation")]
fn seeded(world: &crate::simulation::World) -> EndpointConfig {
    let mut seed = [0; 32];
    (world.fill)(&mut seed);
    let mut config = EndpointConfig::default();
    config.rng_seed(Some(seed));
    config
}

impl Line {
    /// Says goodbye, and waits a moment until it is on its way.
    pub(super) async fn hang_up(self, deadline: Micros) {
        self.connection.close(super::wire::GOODBYE, b"");
        drop(self.connection);
        let _ = timeout(deadline.into(), self.endpoint.wait_idle()).await;
    }
}
