//! A connection that is held open: frames in, frames out, and how it ended. A small thing, because an agent may have
//! thousands: what only opening needs is gone by the time there is one.

use std::{
    future::poll_fn,
    io,
    net::IpAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{FutureExt as _, Sink as _, SinkExt as _, Stream as _, StreamExt as _};
use quorate_proto::{
    Failure, FailureKind, Micros, MonitorSpec, Phase, limits as protocol,
    outcome::{SilentDrop, TlsFacts},
};
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Bytes, Message,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::{
    Prober, classify,
    plan::{Plan, PlanError},
    progress::Progress,
    transport::Transport,
};
use crate::limits;

/// An upgraded connection whose hello is said.
pub(crate) struct Held {
    stream: WebSocketStream<Transport>,
    /// Whether something may wait to be written.
    unflushed: bool,
}

/// What opening a connection gave.
pub(crate) struct Opened {
    pub(crate) held: Held,
    /// The address that answered.
    pub(crate) address: Option<IpAddr>,
    /// What TLS agreed on.
    pub(crate) tls: Option<TlsFacts>,
    /// From the start to the end of the hello.
    pub(crate) took: Micros,
}

/// Why a connection was not opened.
#[derive(Debug)]
pub(crate) struct NotOpened {
    /// What went wrong.
    pub(crate) failure: Failure,
    /// The address that was dialled, where it came to that.
    pub(crate) address: Option<IpAddr>,
}

/// What one inbound frame, or one message of several, brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Inbound {
    Text(Bytes),
    Binary(Bytes),
    /// It is answered by itself.
    Ping,
    Pong(Bytes),
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outbound {
    Text(String),
    Binary(Vec<u8>),
    Ping([u8; 8]),
}

/// Why we close (RFC 6455 section 7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// The purpose is fulfilled: 1000.
    Done,
    /// The agent stops: 1001.
    GoingAway,
}

impl Prober {
    /// Opens a connection, says the monitor's hello, and leaves it open. Ends by the monitor's deadline.
    pub(crate) async fn hold(&self, spec: &MonitorSpec) -> Result<Opened, NotOpened> {
        let mut progress = Progress::new();
        let span = spec.timeout.min(protocol::TIMEOUT_MAX);
        let opening = self.open_and_greet(spec, &mut progress);
        let opened = match timeout(Duration::from(span), opening).await {
            Ok(opened) => opened,
            Err(_) => Err(progress.waited(span).unwrap_or_else(|| {
                Failure::new(FailureKind::UpgradeTimeout, Phase::Upgrade, format!("not open within {span}"))
            })),
        };
        progress.finish();
        let address = progress.address;
        match opened {
            Ok(held) => Ok(Opened { held, address, tls: None, took: progress.timings.total }),
            Err(failure) => Err(NotOpened { failure, address }),
        }
    }

    async fn open_and_greet(&self, spec: &MonitorSpec, progress: &mut Progress) -> Result<Held, Failure> {
        let broken = |error: PlanError| Failure::new(FailureKind::AgentFault, Phase::Dns, error.to_string());
        let mut plan = Plan::new(spec, self.region.as_ref()).map_err(broken)?;
        plan.steps.clone_from(&spec.hello);
        let mut socket = self.open(&plan, None, progress).await?;
        if !plan.steps.is_empty() {
            progress.enter(Phase::Exchange, "");
            if let Err(failure) = socket.run(&plan, progress).await {
                socket.part();
                return Err(failure);
            }
            progress.leave();
        }
        Ok(Held { stream: socket.into_stream(), unflushed: false })
    }
}

impl Held {
    /// Puts something on its way; [`Held::receive`] goes on sending what does not fit into the kernel's buffer. A peer
    /// that takes nothing loses what does not fit into ours: it will not answer either.
    ///
    /// # Errors
    /// How the connection ended.
    pub(crate) fn send(&mut self, message: Outbound) -> Result<(), Failure> {
        let message = match message {
            Outbound::Text(text) => Message::text(text),
            Outbound::Binary(bytes) => Message::binary(bytes),
            Outbound::Ping(payload) => Message::Ping(Bytes::copy_from_slice(&payload)),
        };
        self.unflushed = true;
        self.stream.get_ref().acknowledge_at_once();
        match Pin::new(&mut self.stream).start_send(message) {
            Ok(()) | Err(tungstenite::Error::WriteBufferFull(_)) => Ok(()),
            Err(error) => Err(self.last_words(&error)),
        }
    }

    /// Waits for the next frame. May be dropped at any time, and nothing is lost.
    ///
    /// # Errors
    /// How the connection ended.
    pub(crate) async fn receive(&mut self) -> Result<Inbound, Failure> {
        poll_fn(|context| self.poll_receive(context)).await
    }

    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<Inbound, Failure>> {
        // What comes in is looked at first: a server that closed says why in a frame, and writing to it fails.
        loop {
            let message = match Pin::new(&mut self.stream).poll_next(context) {
                Poll::Ready(Some(Ok(message))) => message,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(self.broken(&error))),
                Poll::Ready(None) => {
                    return Poll::Ready(Err(self.broken(&tungstenite::Error::ConnectionClosed)));
                }
                Poll::Pending => break,
            };
            return Poll::Ready(match message {
                Message::Text(text) => Ok(Inbound::Text(text.into())),
                Message::Binary(bytes) => Ok(Inbound::Binary(bytes)),
                Message::Ping(_) => Ok(Inbound::Ping),
                Message::Pong(payload) => Ok(Inbound::Pong(payload)),
                Message::Close(frame) => Err(self.closed(frame.as_ref())),
                // Never read, only written.
                Message::Frame(_) => continue,
            });
        }
        if self.unflushed {
            match Pin::new(&mut self.stream).poll_flush(context) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.broken(&error))),
                Poll::Pending => {}
            }
        }
        Poll::Pending
    }

    /// Where it is that what we sent was not answered.
    pub(crate) fn silent_drop(&self) -> SilentDrop {
        self.stream.get_ref().delivery().map_or(SilentDrop::Unknown, |delivery| delivery.silent_drop())
    }

    /// Closes, and waits a little for the server to do the same.
    pub(crate) async fn leave(mut self, farewell: Farewell) {
        let code = match farewell {
            Farewell::Done => CloseCode::Normal,
            Farewell::GoingAway => CloseCode::Away,
        };
        let closing = async {
            self.say_goodbye(code).await;
            for _ in 0..limits::FRAMES_SKIPPED_MAX {
                match self.stream.next().await {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => {}
                }
            }
        };
        let _ = timeout(limits::CLOSE_WAIT.into(), closing).await;
    }

    /// Says goodbye without waiting for anything: to a server that does not keep to the rules, or does not answer.
    pub(crate) fn part(mut self) {
        let _ = self.say_goodbye(CloseCode::Normal).now_or_never();
    }

    async fn say_goodbye(&mut self, code: CloseCode) {
        // Whether it arrives decides nothing.
        let _ = self.stream.send(Message::Close(Some(CloseFrame { code, reason: "".into() }))).await;
    }

    /// Writing failed: what the server said before it closed is worth more than the broken pipe.
    fn last_words(&mut self, error: &tungstenite::Error) -> Failure {
        for _ in 0..limits::FRAMES_SKIPPED_MAX {
            match self.stream.next().now_or_never() {
                Some(Some(Ok(Message::Close(frame)))) => return self.closed(frame.as_ref()),
                Some(Some(Ok(_))) => {}
                Some(Some(Err(_)) | None) | None => break,
            }
        }
        self.broken(error)
    }

    fn closed(&mut self, frame: Option<&CloseFrame>) -> Failure {
        // The library has put the answer to it into its buffer.
        let _ = self.stream.flush().now_or_never();
        let (kind, detail) = classify::closed(frame, self.stream.get_ref().close_code_received());
        Failure::new(kind, Phase::Exchange, detail)
    }

    fn broken(&mut self, error: &tungstenite::Error) -> Failure {
        let code = classify::close_code(error);
        if code != CloseCode::Normal {
            // A server that broke the framing rules is told which (RFC 6455 section 7.1.7).
            let _ = self.say_goodbye(code).now_or_never();
        }
        let (kind, detail) = match error {
            tungstenite::Error::Io(error) if is_path_dead(error) => (
                FailureKind::SilentDrop(SilentDrop::PathDead),
                format!("the kernel gave up on what was sent and not acknowledged: {error}"),
            ),
            other => classify::websocket(other),
        };
        Failure::new(kind, Phase::Exchange, detail)
    }
}

/// Whether the network gave up on packets that nobody acknowledged.
fn is_path_dead(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable
    )
}
