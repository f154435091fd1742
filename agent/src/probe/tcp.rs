//! What the kernel knows of a TCP connection: whether what was sent has arrived (`TCP_INFO`, tcp(7)).

#[cfg(feature = "simulation")]
mod simulated;

use quorate_proto::outcome::SilentDrop;
use tokio::net::TcpStream;

#[cfg(feature = "simulation")]
pub(crate) use self::simulated::Tcp;

/// An open TCP connection.
#[cfg(not(feature = "simulation"))]
pub(crate) type Tcp = TcpStream;

/// A connection that the system gave.
#[cfg(not(feature = "simulation"))]
pub(crate) fn from_system(stream: TcpStream) -> Tcp {
    stream
}

/// A connection that the system gave.
#[cfg(feature = "simulation")]
pub(crate) fn from_system(stream: TcpStream) -> Tcp {
    Tcp::System(stream)
}

/// The connection as the system knows it.
#[cfg(not(feature = "simulation"))]
pub(crate) fn of_system(tcp: &Tcp) -> Option<&TcpStream> {
    Some(tcp)
}

/// The connection as the system knows it; none for a simulated one.
#[cfg(feature = "simulation")]
pub(crate) fn of_system(tcp: &Tcp) -> Option<&TcpStream> {
    match tcp {
        Tcp::System(stream) => Some(stream),
        Tcp::Simulated(_) => None,
    }
}

/// What the kernel knows of what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// Segments that were sent and not acknowledged.
    unacked: u32,
    /// Probes of a closed window that were not answered.
    probes: u8,
}

impl Delivery {
    /// Asks the kernel. None where it does not tell.
    #[cfg(target_os = "linux")]
    pub(crate) fn of(tcp: &TcpStream) -> Option<Self> {
        use std::os::fd::AsRawFd as _;
        use uapi::c;
        // The first fields of `struct tcp_info`: single bytes up to 8, then numbers of 32 bits.
        let mut info = [0_u8; 32];
        let length = uapi::getsockopt(tcp.as_raw_fd(), c::IPPROTO_TCP, c::TCP_INFO, &mut info).ok()?;
        let unacked = info.get(24..28).filter(|_| length >= 28)?.first_chunk()?;
        Some(Self { unacked: u32::from_ne_bytes(*unacked), probes: info[3] })
    }

    /// Asks the kernel. None where it does not tell.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn of(_: &TcpStream) -> Option<Self> {
        None
    }

    /// Where it is that something sent was not answered. A server that stopped working still has a kernel that
    /// acknowledges, also when it has no room for more; a path that is gone acknowledges nothing.
    pub(crate) fn silent_drop(self) -> SilentDrop {
        // A probe may be on its way at any time; a second one is sent when the first was lost.
        if self.unacked > 0 || self.probes > 1 { SilentDrop::PathDead } else { SilentDrop::Stuck }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    #[test]
    fn what_is_acknowledged_and_not_answered_is_stuck() {
        for (unacked, probes, at) in [
            (0, 0, SilentDrop::Stuck),
            (0, 1, SilentDrop::Stuck),
            (1, 0, SilentDrop::PathDead),
            (0, 2, SilentDrop::PathDead),
        ] {
            assert_eq!(Delivery { unacked, probes }.silent_drop(), at, "{unacked} {probes}");
        }
    }

    #[tokio::test]
    async fn the_kernel_tells() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        client.write_all(b"ping").await.unwrap();
        server.read_exact(&mut [0; 4]).await.unwrap();
        let told = Delivery::of(&client);
        assert_eq!(told.is_some(), cfg!(target_os = "linux"));
        assert!(told.is_none_or(|delivery| delivery.silent_drop() == SilentDrop::Stuck));
    }
}
