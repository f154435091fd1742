//! UDP for quinn, on turmoil's network.

use std::{
    fmt,
    io::{self, IoSliceMut},
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use futures_util::FutureExt as _;
use quinn::{
    AsyncUdpSocket, UdpPoller,
    udp::{RecvMeta, Transmit},
};
use quorate_agent::{simulation::Wait, uplink::Datagrams};
use turmoil::net::UdpSocket;

use crate::machine::{Border, Machine, name_of};

/// Binds a socket of the host whose turn it is.
pub(crate) fn bind(machine: &Machine, address: SocketAddr) -> io::Result<Datagrams> {
    // Turmoil's sockets are bound at once.
    let bound = UdpSocket::bind(address).now_or_never();
    let socket = Arc::new(bound.ok_or(io::ErrorKind::WouldBlock)??);
    Ok(Arc::new(Socket {
        socket,
        host: machine.host(),
        machine: machine.clone(),
        readable: Mutex::default(),
    }))
}

struct Socket {
    socket: Arc<UdpSocket>,
    host: String,
    machine: Machine,
    readable: Mutex<Option<Wait<io::Result<()>>>>,
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Socket({})", self.host)
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let alive = self.machine.pass(&self.host, Border::Send);
        let to = name_of(transmit.destination.ip());
        let bytes = transmit.contents.len();
        match () {
            () if !alive => {}
            () if self.machine.loses() => self.machine.note(format_args!("udp to {to}, {bytes} bytes, lost")),
            () => {
                self.machine.note(format_args!("udp to {to}, {bytes} bytes"));
                // What a network does not take is lost, and nobody is told.
                let _ = self.socket.try_send_to(transmit.contents, transmit.destination);
            }
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let (Some(buffer), Some(meta)) = (buffers.first_mut(), meta.first_mut()) else {
            return Poll::Ready(Ok(0));
        };
        let mut readable = self.readable.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if readable.is_none() {
                match self.socket.try_recv_from(buffer) {
                    Ok((bytes, from)) if self.machine.pass(&self.host, Border::Receive) => {
                        *meta = RecvMeta { addr: from, len: bytes, stride: bytes, ..RecvMeta::default() };
                        return Poll::Ready(Ok(1));
                    }
                    Ok(_) => continue,
                    Err(_) => {}
                }
            }
            let wait = readable.get_or_insert_with(|| {
                let socket = Arc::clone(&self.socket);
                Box::pin(async move { socket.readable().await })
            });
            let outcome = ready!(wait.as_mut().poll(context));
            *readable = None;
            outcome?;
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

/// There is always room in a simulated network.
#[derive(Debug)]
struct Writable;

impl UdpPoller for Writable {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
