//! The open connection, the conversation that a check has on it, and the closing handshake.

use futures_util::{FutureExt, SinkExt, StreamExt};
use quorate_proto::{Failure, FailureKind, Micros, Phase, Timings, outcome::RoundTrips};
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Bytes, Message,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::{
    classify::{self, Seen},
    conversation::{Action, Conversation, Inbound, Outgoing},
    expand::Seeds,
    frames,
    plan::Plan,
    progress::Progress,
    transport::Transport,
};
use crate::{
    clock::{now, tick},
    limits,
};

/// An open WebSocket connection.
pub(crate) struct Socket {
    stream: WebSocketStream<Transport>,
    /// What the server is told when we part: what it broke, where it broke something.
    farewell: CloseCode,
}

/// The conversation of a check. It stands outside the future that the deadline may cut off.
pub(crate) struct Exchange {
    conversation: Conversation,
    samples: u16,
    /// Of the rounds that are over, where several are asked for.
    round_trips: Vec<Micros>,
    /// The slowest.
    round_trip: Option<Micros>,
}

impl Socket {
    /// Takes over a connection after its upgrade; `first` came behind the response's head.
    pub(crate) async fn new(transport: Transport, first: Vec<u8>) -> Self {
        let stream = frames::open(transport, first, frames::Bounds::default()).await;
        Self { stream, farewell: CloseCode::Normal }
    }

    /// Sends a message, as soon as the server takes it.
    pub(crate) async fn send(&mut self, outgoing: Outgoing) -> Result<(), Seen> {
        let message = match outgoing {
            Outgoing::Text(text) => Message::text(text),
            Outgoing::Binary(bytes) => Message::binary(bytes),
            Outgoing::Ping(payload) => Message::Ping(Bytes::copy_from_slice(&payload)),
        };
        let Err(error) = self.stream.send(message).await else {
            return Ok(());
        };
        // A server that closes in the middle says why before it does: what it said is worth more than the broken pipe.
        for _ in 0..limits::FRAMES_SKIPPED_MAX {
            match self.stream.next().await {
                Some(Ok(Message::Close(frame))) => return Err(self.closed(frame.as_ref())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break,
            }
        }
        Err(classify::websocket(&error))
    }

    /// The next frame, put where [`Received::inbound`] gives it to a conversation; or how the connection ended.
    pub(crate) async fn next(&mut self) -> Result<Received, Seen> {
        match self.stream.next().await {
            Some(Ok(Message::Text(text))) => Ok(Received::Data(text.into())),
            Some(Ok(Message::Binary(bytes))) => Ok(Received::Data(bytes)),
            Some(Ok(Message::Pong(payload))) => Ok(Received::Pong(payload)),
            // `Frame` is never read, only written.
            Some(Ok(Message::Ping(_) | Message::Frame(_))) => Ok(Received::Ping),
            Some(Ok(Message::Close(frame))) => Err(self.closed(frame.as_ref())),
            Some(Err(error)) => Err(self.broken(&error)),
            None => Err(self.broken(&tungstenite::Error::ConnectionClosed)),
        }
    }

    fn broken(&mut self, error: &tungstenite::Error) -> Seen {
        self.farewell = classify::close_code(error);
        classify::websocket(error)
    }

    fn closed(&self, frame: Option<&CloseFrame>) -> Seen {
        classify::closed(frame, self.stream.get_ref().close_code_received())
    }

    /// The closing handshake: says goodbye, and waits a little for the server's. Whether it comes does not decide anything.
    pub(crate) async fn close(&mut self, progress: &mut Progress) {
        progress.enter(Phase::Close, "no close frame came");
        let closing = async {
            if self.stream.send(Message::Close(Some(goodbye(CloseCode::Normal)))).await.is_err() {
                return None;
            }
            let before = self.stream.get_ref().received();
            for _ in 0..limits::FRAMES_SKIPPED_MAX {
                match self.stream.next().await? {
                    Ok(Message::Close(frame)) => {
                        return Some(frame.map_or(1005, |frame| u16::from(frame.code)));
                    }
                    Ok(_) if self.stream.get_ref().received() - before > limits::RECEIVED_BYTES_MAX => {
                        return None;
                    }
                    Ok(_) => {}
                    Err(_) => return None,
                }
            }
            None
        };
        progress.facts.close_code = timeout(limits::CLOSE_WAIT.into(), closing).await.ok().flatten();
        progress.leave();
    }

    /// The connection alone, for one who takes it from here.
    pub(crate) fn into_stream(self) -> WebSocketStream<Transport> {
        self.stream
    }

    /// Says goodbye without waiting for anything, so that a check that failed is not one more 1006 in the server's own
    /// statistics; and a server that broke the framing rules is told which (RFC 6455 section 7.1.7).
    pub(crate) fn part(mut self) {
        let _ = self.stream.send(Message::Close(Some(goodbye(self.farewell)))).now_or_never();
    }
}

/// A frame that came. Control frames but the close frame are answered by the library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Data(Bytes),
    Ping,
    Pong(Bytes),
}

impl Received {
    /// For a conversation.
    pub(crate) fn inbound(&self) -> Inbound<'_> {
        match self {
            Self::Data(message) => Inbound::Data(message),
            Self::Ping => Inbound::Ping,
            Self::Pong(payload) => Inbound::Pong(payload),
        }
    }
}

impl Exchange {
    pub(crate) fn new(plan: &Plan, seeds: Seeds) -> Self {
        Self {
            conversation: Conversation::new(plan.script.clone(), seeds),
            samples: plan.script.samples,
            round_trips: Vec::new(),
            round_trip: None,
        }
    }

    /// The hello, and all round trips. Takes as long as it takes: the caller has the deadline.
    pub(crate) async fn run(&mut self, socket: &mut Socket) -> Result<(), Failure> {
        self.converse(socket).await?;
        for _ in 0..self.samples {
            self.conversation.begin_round();
            self.converse(socket).await?;
        }
        Ok(())
    }

    /// The hello alone.
    pub(crate) async fn greet(&mut self, socket: &mut Socket) -> Result<(), Failure> {
        self.converse(socket).await
    }

    /// The conversation, for one who goes on with it.
    pub(crate) fn into_conversation(self) -> Conversation {
        self.conversation
    }

    /// The failure of a deadline that came before the end of the exchange.
    pub(crate) fn overdue(&self, span: Micros) -> Failure {
        self.conversation.overdue(tick(), span)
    }

    /// Writes down what was measured, also where it came to no good end.
    pub(crate) fn note(&self, timings: &mut Timings) {
        timings.round_trip = self.round_trip.max(self.conversation.round_trip());
        if self.samples > 1 {
            timings.samples = RoundTrips::of(&self.round_trips);
        }
    }

    /// Until what is under way is done.
    async fn converse(&mut self, socket: &mut Socket) -> Result<(), Failure> {
        loop {
            let at = now();
            let until = match self.conversation.poll(at) {
                Action::Failed(failure) => return Err(failure),
                Action::Idle => {
                    let round_trip = self.conversation.round_trip();
                    self.round_trip = self.round_trip.max(round_trip);
                    if self.samples > 1 {
                        self.round_trips.extend(round_trip);
                    }
                    return Ok(());
                }
                Action::Send(outgoing) => {
                    socket.send(outgoing).await.map_err(|seen| self.ended(seen))?;
                    continue;
                }
                Action::Wait(until) => until,
            };
            let next = socket.next();
            let received = match until {
                None => next.await,
                Some(until) => match timeout(until.since(at.tick).into(), next).await {
                    Ok(received) => received,
                    Err(_) => continue,
                },
            };
            let received = received.map_err(|seen| self.ended(seen))?;
            self.conversation.handle(now(), received.inbound());
        }
    }

    /// The failure of a connection that ended before the conversation did.
    fn ended(&self, (kind, mut detail): Seen) -> Failure {
        if matches!(kind, FailureKind::Dropped | FailureKind::ConnectionReset) {
            detail = format!("{detail}; {}", self.conversation.standing());
        }
        Failure::new(kind, Phase::Exchange, detail)
    }
}

fn goodbye(code: CloseCode) -> CloseFrame {
    CloseFrame { code, reason: "".into() }
}
