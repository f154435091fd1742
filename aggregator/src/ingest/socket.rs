//! The UDP socket, with buffers that survive a thousand agents reconnecting at once.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
};

use socket2::{Domain, Protocol, Socket, Type};

use super::IngestError;
use crate::limits;

/// A bound socket that nothing reads yet.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: Bound,
    address: SocketAddr,
}

/// What a listener has bound.
#[derive(Debug)]
pub(super) enum Bound {
    /// A socket of the system.
    System(UdpSocket),
    /// A simulated one.
    #[cfg(feature = "simulation")]
    Simulated(quorate_agent::uplink::Datagrams),
}

impl Listener {
    /// Where it is bound; the port that the system chose where port 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

/// Binds the UDP socket for agents. `[::]` takes IPv4 too.
///
/// # Errors
/// [`IngestError::Bind`].
pub fn bind(address: SocketAddr) -> Result<Listener, IngestError> {
    open(address).map_err(|source| IngestError::Bind { address, source })
}

fn open(address: SocketAddr) -> io::Result<Listener> {
    #[cfg(feature = "simulation")]
    if let Some(world) = quorate_agent::simulation::world() {
        return Ok(Listener { socket: Bound::Simulated((world.datagrams)(address)?), address });
    }
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    let wanted = limits::SOCKET_BUFFER_BYTES;
    // Neither fails when the system grants less: it says so when asked what it granted.
    socket.set_recv_buffer_size(wanted)?;
    socket.set_send_buffer_size(wanted)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    let socket = UdpSocket::from(socket);
    warn_of_small_buffers(&socket, wanted);
    let address = socket.local_addr()?;
    Ok(Listener { socket: Bound::System(socket), address })
}

fn warn_of_small_buffers(socket: &UdpSocket, wanted: usize) {
    let socket = socket2::SockRef::from(socket);
    let (receive, send) = (granted(socket.recv_buffer_size()), granted(socket.send_buffer_size()));
    if receive < wanted || send < wanted {
        tracing::warn!(
            wanted,
            receive,
            send,
            "the system grants smaller UDP buffers than wanted: many agents that reconnect at once will lose packets; \
             raise them with: sysctl -w net.core.rmem_max={wanted} net.core.wmem_max={wanted}"
        );
    }
}

/// Linux reports twice what was granted, for its own bookkeeping (socket(7)).
fn granted(reported: io::Result<usize>) -> usize {
    let reported = reported.unwrap_or(0);
    if cfg!(target_os = "linux") { reported / 2 } else { reported }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_zero_is_resolved_and_a_taken_port_is_an_error_that_names_it() {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        assert_ne!(listener.local_addr().port(), 0);
        let error = bind(listener.local_addr()).unwrap_err().to_string();
        assert!(error.contains(&listener.local_addr().to_string()), "{error}");
    }
}
