//! A TCP connection whose server cannot keep one check busy, nor slow it down by waiting for an acknowledgement: after some
//! bytes others have their turn, and what came is acknowledged at once where more is waited for.
//!
//! It stands under TLS, so that records that bring no data (tickets, empty ones) count as well.

use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::tcp::Tcp;
#[cfg(target_os = "linux")]
use super::tcp::of_system;
use crate::limits;

/// An open TCP connection.
#[derive(Debug)]
pub(crate) struct Turns {
    stream: Tcp,
    /// Bytes received since the rest of the agent last had its turn.
    taken: usize,
    /// Whether bytes have come since we last wrote; what we write acknowledges them.
    unacknowledged: bool,
    /// How often the kernel may still be told to acknowledge before we write again.
    haste: u8,
}

impl Turns {
    pub(crate) fn new(stream: Tcp) -> Self {
        Self { stream, taken: 0, unacknowledged: false, haste: limits::HASTE }
    }

    /// The connection itself.
    pub(crate) fn tcp(&self) -> &Tcp {
        &self.stream
    }

    /// Has the kernel acknowledge at once what came. Against a server that leaves Nagle's algorithm on, its delayed
    /// acknowledgement adds 40 ms that are neither the network's nor the server's. An answer that came whole is acknowledged
    /// by what we write next, and costs no packet of its own.
    fn acknowledge(&mut self) {
        let Some(haste) = self.haste.checked_sub(1).filter(|_| self.unacknowledged) else { return };
        (self.unacknowledged, self.haste) = (false, haste);
        // Without it the check is slower by a little, and as good.
        #[cfg(target_os = "linux")]
        let _ = of_system(&self.stream).map(|stream| socket2::SockRef::from(stream).set_tcp_quickack(true));
    }
}

impl AsyncRead for Turns {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.taken >= limits::TURN_BYTES {
            self.taken = 0;
            // Unlike a plain wake-up, this lets sockets and timers be looked at in between.
            return pin!(tokio::task::yield_now()).poll(context).map(Ok);
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let count = buffer.filled().len().saturating_sub(before);
        if polled.is_pending() {
            self.taken = 0;
            self.acknowledge();
        } else {
            self.taken += count;
            self.unacknowledged |= count > 0;
        }
        polled
    }
}

impl AsyncWrite for Turns {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        (self.unacknowledged, self.haste) = (false, limits::HASTE);
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::{super::tcp::from_system, *};

    /// One who counts is polled again while the other reads all that there is.
    #[tokio::test]
    async fn a_flood_lets_others_have_their_turn() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        const ROUNDS: usize = 4;
        // Above what one read takes, and below what the kernel holds: nobody ever waits for the network.
        server.write_all(&vec![7; ROUNDS * limits::TURN_BYTES]).await.unwrap();
        let mut turns = Turns::new(from_system(stream));
        let turns_of_others = std::cell::Cell::new(0);
        let reading = async {
            let mut piece = [0; 1024];
            for _ in 0..ROUNDS * limits::TURN_BYTES / piece.len() {
                turns.read_exact(&mut piece).await.unwrap();
            }
        };
        let others = async {
            loop {
                turns_of_others.set(turns_of_others.get() + 1);
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = reading => {}
            () = others => {}
        }
        assert!(turns_of_others.get() >= ROUNDS - 1, "{}", turns_of_others.get());
    }
}
