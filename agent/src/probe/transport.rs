//! The bytes under the WebSocket: TCP, or TLS over it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use super::{
    framing::Framing,
    tcp::{self, Delivery, Tcp},
    turns::Turns,
};

/// An open connection that counts what it receives, and watches the frames in it.
pub(crate) struct Transport {
    stream: Stream,
    received: u64,
    /// None before the upgrade.
    framing: Option<Framing>,
}

enum Stream {
    Plain(Turns),
    Tls(Box<TlsStream<Turns>>),
}

impl Transport {
    pub(crate) fn plain(stream: Tcp) -> Self {
        Self::over(Stream::Plain(Turns::new(stream)))
    }

    pub(crate) fn tls(stream: TlsStream<Turns>) -> Self {
        Self::over(Stream::Tls(Box::new(stream)))
    }

    fn over(stream: Stream) -> Self {
        Self { stream, received: 0, framing: None }
    }

    /// Bytes received so far.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// From here on frames come, the first of them being these bytes, and a rule that the server breaks is an error: a
    /// [`super::framing::FrameFault`] within an [`io::Error`], behind all that came before it.
    pub(crate) fn expect_frames(&mut self, mut framing: Framing, first: &mut Vec<u8>) {
        let passed = framing.pass(first);
        first.truncate(passed);
        self.framing = Some(framing);
    }

    /// The code of the close frame that was received. The WebSocket library replaces codes that must not be sent (1005,
    /// 1006) by its own; people want to know the real one.
    pub(crate) fn close_code_received(&self) -> Option<u16> {
        self.framing.as_ref()?.close_code()
    }

    /// What the kernel knows of what was sent, where it tells.
    pub(crate) fn delivery(&self) -> Option<Delivery> {
        Delivery::of(tcp::of_system(self.tcp())?)
    }

    fn tcp(&self) -> &Tcp {
        match &self.stream {
            Stream::Plain(turns) => turns.tcp(),
            Stream::Tls(tls) => tls.get_ref().0.tcp(),
        }
    }

    fn fault(&self) -> Option<io::Error> {
        let fault = self.framing.as_ref()?.fault()?;
        Some(io::Error::new(io::ErrorKind::InvalidData, fault))
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(fault) = self.fault() {
            return Poll::Ready(Err(fault));
        }
        let before = buffer.filled().len();
        let polled = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer),
        };
        let bytes = buffer.filled().get(before..).unwrap_or_default();
        let count = bytes.len();
        self.received = self.received.saturating_add(count as u64);
        let passed = self.framing.as_mut().map_or(count, |framing| framing.pass(bytes));
        buffer.set_filled(before + passed);
        match self.fault() {
            // Nothing at all would be taken for the connection's end.
            Some(fault) if passed == 0 => Poll::Ready(Err(fault)),
            Some(_) | None => polled,
        }
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
