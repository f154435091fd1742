//! The bytes under the WebSocket: TCP, or TLS over it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

/// Bytes of the longest close frame: two of header, 125 of payload (RFC 6455 section 5.5).
const CLOSE_FRAME_BYTES_MAX: usize = 127;

/// An open connection that counts what it receives, and remembers the last of it.
pub(crate) struct Transport {
    stream: Stream,
    received: u64,
    tail: Vec<u8>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Transport {
    pub(crate) fn plain(stream: TcpStream) -> Self {
        Self { stream: Stream::Plain(stream), received: 0, tail: Vec::new() }
    }

    pub(crate) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self { stream: Stream::Tls(Box::new(stream)), received: 0, tail: Vec::new() }
    }

    /// Bytes received so far.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Has the kernel acknowledge at once what comes next. Against a server that leaves Nagle's algorithm on, the
    /// kernel's delayed acknowledgement adds 40 ms that are neither the network's nor the server's; the kernel forgets
    /// the wish soon, so it is repeated after every write.
    pub(crate) fn acknowledge_at_once(&self) {
        #[cfg(target_os = "linux")]
        {
            let tcp = match &self.stream {
                Stream::Plain(tcp) => tcp,
                Stream::Tls(tls) => tls.get_ref().0,
            };
            // Without it the check is slower by a little, and as good.
            let _ = socket2::SockRef::from(tcp).set_tcp_quickack(true);
        }
    }

    /// The code of the close frame that the received bytes end with. The WebSocket library replaces codes that must not
    /// be sent (1005, 1006) by its own; people want to know the real one.
    pub(crate) fn close_code_received(&self) -> Option<u16> {
        (0..self.tail.len()).find_map(|start| match self.tail.get(start..)? {
            [0x88, length, payload @ ..] if usize::from(*length) == payload.len() => {
                payload.first_chunk().map(|code| u16::from_be_bytes(*code))
            }
            _ => None,
        })
    }

    fn note(&mut self, bytes: &[u8]) {
        self.received = self.received.saturating_add(bytes.len() as u64);
        self.tail.extend(bytes.last_chunk::<CLOSE_FRAME_BYTES_MAX>().map_or(bytes, |last| last));
        let surplus = self.tail.len().saturating_sub(CLOSE_FRAME_BYTES_MAX);
        self.tail.drain(..surplus);
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer),
        };
        if let Some(bytes) = buffer.filled().get(before..) {
            self.note(bytes);
        }
        polled
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(context),
        }
    }
}
