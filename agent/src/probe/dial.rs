//! The TCP handshake, with the egress filter in front of it. Nothing else in the agent connects to what a monitor names.

use std::{
    collections::VecDeque,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

use futures_util::stream::{FuturesUnordered, StreamExt};
use quorate_proto::{Failure, Micros, Phase};
use tokio::{net::TcpSocket, time::timeout};

use super::{
    classify::{self, ConnectFault},
    progress::Progress,
    tcp::{self, Tcp},
};
use crate::{
    clock::{Tick, tick},
    egress::{Egress, EgressRefusal},
    limits,
};

/// Why an address gave no connection.
#[derive(Debug)]
enum DialError {
    Blocked(EgressRefusal),
    /// This host has no way to addresses of this family at all.
    NoWay,
    Io(io::Error),
}

/// One finished attempt.
struct Attempt {
    address: SocketAddr,
    took: Micros,
    result: Result<Tcp, DialError>,
}

/// Connects to the first address that answers. Each has a head start of [`limits::ADDRESS_STAGGER`] before the next one,
/// and the next one starts at once when it fails. Takes as long as it takes: the caller has the deadline.
pub(crate) async fn connect(
    egress: &Egress,
    addresses: Vec<SocketAddr>,
    progress: &mut Progress,
) -> Result<Tcp, Failure> {
    let mut waiting: VecDeque<_> = addresses.into_iter().take(limits::ADDRESSES_TRIED_MAX).collect();
    let mut under_way = FuturesUnordered::new();
    let mut failed = Vec::new();
    loop {
        if let Some(address) = waiting.pop_front() {
            progress.dialling(address);
            under_way.push(attempt(egress, address));
        }
        let finished = match waiting.is_empty() {
            true => under_way.next().await,
            false => match timeout(limits::ADDRESS_STAGGER.into(), under_way.next()).await {
                Ok(finished) => finished,
                Err(_) => continue,
            },
        };
        match finished {
            Some(Attempt { address, took, result: Ok(stream) }) => {
                progress.connected(address, took);
                return Ok(stream);
            }
            Some(Attempt { address, result: Err(error), .. }) => failed.push((address, error)),
            None if waiting.is_empty() => return Err(failure(&failed)),
            None => {}
        }
    }
}

async fn attempt(egress: &Egress, address: SocketAddr) -> Attempt {
    let started: Tick = tick();
    let result = dial(egress, address).await;
    Attempt { address, took: tick().since(started), result }
}

/// The one place that opens a connection to what a monitor names.
async fn dial(egress: &Egress, address: SocketAddr) -> Result<Tcp, DialError> {
    egress.check(address.ip()).map_err(DialError::Blocked)?;
    #[cfg(feature = "simulation")]
    if let Some(connecting) = crate::simulation::connect(address) {
        return connecting.await.map(Tcp::Simulated).map_err(DialError::Io);
    }
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.map_err(DialError::Io)?;
    socket.set_nodelay(true).map_err(DialError::Io)?;
    socket.connect(address).await.map(tcp::from_system).map_err(|error| {
        let is_own = error.kind() == io::ErrorKind::NetworkUnreachable && !has_way(address);
        if is_own { DialError::NoWay } else { DialError::Io(error) }
    })
}

/// Whether this host has a way to an address. Connecting a UDP socket looks that up, and sends nothing: a router's word
/// that a network is unreachable is about the server, a missing route of our own is not.
fn has_way(address: SocketAddr) -> bool {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let connected = UdpSocket::bind(any).and_then(|socket| socket.connect(address));
    connected.err().is_none_or(|error| error.kind() != io::ErrorKind::NetworkUnreachable)
}

/// The failure that all attempts together are: the one that says most, and that others failed in other ways.
fn failure(failed: &[(SocketAddr, DialError)]) -> Failure {
    let worst = failed.iter().map(|(_, error)| error.fault()).max().unwrap_or(ConnectFault::Own);
    let alike = failed.iter().filter(|(_, error)| error.fault() == worst);
    let told: Vec<_> = alike.map(|(address, error)| error.describe(*address)).collect();
    let mut detail = told.join("; ");
    match failed.len() - told.len() {
        0 => {}
        1 => detail.push_str("; another address failed otherwise"),
        others => detail.push_str(&format!("; {others} other addresses failed otherwise")),
    }
    Failure::new(worst.into(), Phase::Tcp, detail)
}

impl DialError {
    fn fault(&self) -> ConnectFault {
        match self {
            Self::Blocked(_) => ConnectFault::Blocked,
            Self::NoWay => ConnectFault::Own,
            Self::Io(error) => classify::connect(error),
        }
    }

    fn describe(&self, address: SocketAddr) -> String {
        match self {
            Self::Blocked(refusal) => refusal.to_string(),
            Self::NoWay => {
                let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
                format!("this host has no route to {address}: it has no {family}, or is cut off")
            }
            Self::Io(error) => match self.fault() {
                ConnectFault::Refused => format!("nothing listens on {address}"),
                ConnectFault::Unreachable => format!("no way to {address}: {error}"),
                ConnectFault::Reset => format!("{address} reset the TCP handshake"),
                ConnectFault::TimedOut => format!("{address} did not answer the TCP handshake"),
                ConnectFault::Own | ConnectFault::Blocked => {
                    format!("this host cannot connect to {address}: {error}")
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_proto::FailureKind;

    use super::*;

    fn failed(address: &str, error: DialError) -> (SocketAddr, DialError) {
        (address.parse().unwrap(), error)
    }

    fn io(kind: io::ErrorKind) -> DialError {
        DialError::Io(kind.into())
    }

    #[test]
    fn several_failures_are_one() {
        let blocked = || DialError::Blocked(Egress::Public.check("10.0.0.1".parse().unwrap()).unwrap_err());
        for (all, kind, detail) in [
            (
                vec![failed("127.0.0.1:9000", io(io::ErrorKind::ConnectionRefused))],
                FailureKind::ConnectionRefused,
                "nothing listens on 127.0.0.1:9000",
            ),
            (
                vec![
                    failed("[2001:db8::1]:80", io(io::ErrorKind::NetworkUnreachable)),
                    failed("192.0.2.1:80", io(io::ErrorKind::ConnectionRefused)),
                ],
                FailureKind::ConnectionRefused,
                "nothing listens on 192.0.2.1:80; another address failed otherwise",
            ),
            (
                vec![failed("10.0.0.1:80", blocked()), failed("192.0.2.1:80", io(io::ErrorKind::TimedOut))],
                FailureKind::ConnectTimeout,
                "192.0.2.1:80 did not answer the TCP handshake; another address failed otherwise",
            ),
            (
                vec![failed("[2001:db8::1]:80", DialError::NoWay)],
                FailureKind::AgentFault,
                "this host has no route to [2001:db8::1]:80: it has no IPv6, or is cut off",
            ),
            (
                vec![failed("10.0.0.1:80", blocked())],
                FailureKind::EgressBlocked,
                "10.0.0.1 is private (RFC 1918), which --egress public does not allow",
            ),
        ] {
            let failure = failure(&all);
            assert_eq!((failure.kind, failure.detail.as_str()), (kind, detail));
        }
    }

    #[tokio::test]
    async fn a_blocked_address_is_not_even_tried() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        assert!(matches!(dial(&Egress::Public, address).await, Err(DialError::Blocked(_))));
        assert_eq!(listener.accept().err().map(|error| error.kind()), Some(io::ErrorKind::WouldBlock));
        assert!(dial(&Egress::Private, address).await.is_ok());
    }
}
