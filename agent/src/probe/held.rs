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
    Failure, FailureKind, Micros, Phase, limits as protocol,
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

use super::{Open, Prepared, Prober, classify, plan::Plan, progress::Progress, transport::Transport};
use crate::limits;

pub(crate) use super::{
    conversation::{Action, Conversation, Outgoing},
    exchange::Received,
};

/// An upgraded connection whose hello is said.
pub(crate) struct Held {
    stream: WebSocketStream<Transport>,
    /// Whether something may wait to be written.
    unflushed: bool,
}

/// What opening a connection gave.
pub(crate) struct Opened {
    pub(crate) held: Held,
    /// The conversation, behind its hello.
    pub(crate) conversation: Conversation,
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

/// Why we close (RFC 6455 section 7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// The purpose is fulfilled: 1000.
    Done,
    /// The agent stops: 1001.
    GoingAway,
}

impl Prober {
    /// Opens a connection, says the monitor's hello, and leaves it open. Ends by the monitor's deadline.
    pub(crate) async fn hold(&self, prepared: &Prepared) -> Result<Opened, NotOpened> {
        let plan =
            prepared.plan().map_err(|failure| NotOpened { failure: failure.clone(), address: None })?;
        let mut progress = Progress::new();
        let mut open = None;
        let span = prepared.spec().timeout.min(protocol::TIMEOUT_MAX);
        let greeted = timeout(Duration::from(span), self.greet(plan, &mut progress, &mut open)).await;
        progress.finish();
        let (address, took) = (progress.address, progress.timings.total);
        let tls = progress.facts.tls.as_ref().map(|tls| tls.facts);
        let failure = match (greeted, open) {
            (Ok(Ok(())), Some(Open { socket, exchange })) => {
                let held = Held { stream: socket.into_stream(), unflushed: false };
                let conversation = exchange.into_conversation();
                return Ok(Opened { held, conversation, address, tls, took });
            }
            (Ok(Err(failure)), open) => {
                part(open);
                failure
            }
            (_, Some(open)) => {
                let failure = open.exchange.overdue(span);
                part(Some(open));
                failure
            }
            (_, None) => progress.waited(span).unwrap_or_else(|| {
                Failure::new(FailureKind::UpgradeTimeout, Phase::Upgrade, format!("not open within {span}"))
            }),
        };
        Err(NotOpened { failure, address })
    }

    async fn greet(
        &self,
        plan: &Plan,
        progress: &mut Progress,
        open: &mut Option<Open>,
    ) -> Result<(), Failure> {
        let Open { socket, exchange } = open.insert(self.meet(plan, None, progress).await?);
        progress.enter(Phase::Exchange, "");
        exchange.greet(socket).await?;
        progress.leave();
        Ok(())
    }
}

fn part(open: Option<Open>) {
    if let Some(open) = open {
        open.socket.part();
    }
}

impl Held {
    /// Puts something on its way; [`Held::receive`] goes on sending what does not fit into the kernel's buffer. A peer
    /// that takes nothing loses what does not fit into ours: it will not answer either.
    ///
    /// # Errors
    /// How the connection ended.
    pub(crate) fn send(&mut self, outgoing: Outgoing) -> Result<(), Box<Failure>> {
        let message = match outgoing {
            Outgoing::Text(text) => Message::text(text),
            Outgoing::Binary(bytes) => Message::binary(bytes),
            Outgoing::Ping(payload) => Message::Ping(Bytes::copy_from_slice(&payload)),
        };
        self.unflushed = true;
        match Pin::new(&mut self.stream).start_send(message) {
            Ok(()) | Err(tungstenite::Error::WriteBufferFull(_)) => Ok(()),
            Err(error) => Err(Box::new(self.last_words(&error))),
        }
    }

    /// Waits for the next frame. May be dropped at any time, and nothing is lost.
    ///
    /// # Errors
    /// How the connection ended.
    pub(crate) async fn receive(&mut self) -> Result<Received, Failure> {
        poll_fn(|context| self.poll_receive(context)).await
    }

    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<Received, Failure>> {
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
                Message::Text(text) => Ok(Received::Data(text.into())),
                Message::Binary(bytes) => Ok(Received::Data(bytes)),
                Message::Ping(_) => Ok(Received::Ping),
                Message::Pong(payload) => Ok(Received::Pong(payload)),
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
        let (kind, detail) = if let tungstenite::Error::Io(error) = error
            && is_path_dead(error)
        {
            let detail = format!("the kernel gave up on what was sent and not acknowledged: {error}");
            (FailureKind::SilentDrop(SilentDrop::PathDead), detail)
        } else {
            classify::websocket(error)
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
