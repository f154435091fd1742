//! What is said and expected on the open connection, and the closing handshake.

use std::collections::VecDeque;

use futures_util::{FutureExt, SinkExt, StreamExt};
use quorate_proto::{
    Failure, FailureKind, Matcher, Micros, Payload, Phase, Step, limits as protocol, outcome::cut,
    step::Expect,
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
    classify, expand::Placeholders, frames, matcher::Pattern, plan::Plan, progress::Progress, quote,
    transport::Transport,
};
use crate::{
    clock::{Tick, tick},
    limits,
};

/// An open WebSocket connection, and what it has received that nobody asked for yet.
pub(crate) struct Socket {
    stream: WebSocketStream<Transport>,
    kept: VecDeque<(Bytes, Tick)>,
    kept_bytes: usize,
    /// When the latest text was sent; pings are timed by themselves.
    sent: Option<Tick>,
    /// What the server is told when we part: what it broke, where it broke something.
    farewell: CloseCode,
}

/// What one frame brought.
enum Event {
    Data(Bytes),
    Ping,
    Pong(Bytes),
}

impl Socket {
    /// Takes over a connection after its upgrade; `first` came behind the response's head.
    pub(crate) async fn new(transport: Transport, first: Vec<u8>) -> Self {
        let stream = frames::open(transport, first, frames::Bounds::default()).await;
        Self { stream, kept: VecDeque::new(), kept_bytes: 0, sent: None, farewell: CloseCode::Normal }
    }

    /// Takes all steps, one after the other. Takes as long as it takes: the caller has the deadline.
    pub(crate) async fn run(&mut self, plan: &Plan, progress: &mut Progress) -> Result<(), Failure> {
        for step in &plan.steps {
            match step {
                Step::Send(payload) => {
                    let message = match payload {
                        Payload::Text(text) => Message::text(plan.placeholders.fill(text)),
                        Payload::Binary(bytes) => Message::binary(bytes.clone()),
                    };
                    self.sent = Some(self.send(message, progress).await?);
                }
                Step::Stream(_) => {
                    let detail = "streams are not looked at".to_owned();
                    return Err(progress.fail((FailureKind::AgentFault, detail)));
                }
                Step::Expect(Expect { matcher, within, .. }) => {
                    let waiting = self.expect(matcher, &plan.placeholders, progress);
                    let within = *within;
                    self::within(within, waiting).await.unwrap_or_else(|| Err(in_vain(progress, within)))?;
                }
                Step::Ping { within } => {
                    let waiting = self.ping(progress);
                    let within = *within;
                    self::within(within, waiting).await.unwrap_or_else(|| Err(in_vain(progress, within)))?;
                }
            }
        }
        Ok(())
    }

    /// Sends a message, and says when that began.
    async fn send(&mut self, message: Message, progress: &mut Progress) -> Result<Tick, Failure> {
        progress.wait_for("the server did not take our message");
        let sent = tick();
        let Err(error) = self.stream.send(message).await else {
            self.stream.get_ref().acknowledge_at_once();
            return Ok(sent);
        };
        // A server that closes in the middle says why before it does: what it said is worth more than the broken pipe.
        for _ in 0..limits::FRAMES_SKIPPED_MAX {
            match self.stream.next().await {
                Some(Ok(Message::Close(frame))) => return Err(self.closed(frame, progress)),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break,
            }
        }
        Err(progress.fail(classify::websocket(&error)))
    }

    async fn expect(
        &mut self,
        matcher: &Matcher,
        placeholders: &Placeholders,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        let pattern = Pattern::new(matcher, placeholders)
            .map_err(|error| progress.fail((FailureKind::AgentFault, error.to_string())))?;
        progress.wait_for(format!("no message {} came", pattern.describe()));
        while let Some((message, arrived)) = self.kept.pop_front() {
            self.kept_bytes -= message.len();
            if pattern.matches(&message) {
                self.answered(arrived, progress);
                return Ok(());
            }
            progress.waiting().skip(&message);
        }
        loop {
            match self.next(progress).await? {
                Event::Data(message) if pattern.matches(&message) => {
                    self.answered(tick(), progress);
                    return Ok(());
                }
                Event::Data(message) => progress.waiting().skip(&message),
                Event::Ping | Event::Pong(_) => progress.waiting().controls += 1,
            }
        }
    }

    async fn ping(&mut self, progress: &mut Progress) -> Result<(), Failure> {
        let mut payload = [0; 8];
        if aws_lc_rs::rand::fill(&mut payload).is_err() {
            let detail = "the system gave no random bytes".to_owned();
            return Err(progress.fail((FailureKind::AgentFault, detail)));
        }
        let payload = Bytes::copy_from_slice(&payload);
        let sent = self.send(Message::Ping(payload.clone()), progress).await?;
        progress.wait_for("no pong with our payload came");
        loop {
            match self.next(progress).await? {
                Event::Pong(echoed) if echoed == payload => {
                    progress.round_trip(tick().since(sent));
                    return Ok(());
                }
                Event::Data(message) => {
                    progress.waiting().skip(&message);
                    self.keep(&message);
                }
                Event::Ping | Event::Pong(_) => progress.waiting().controls += 1,
            }
        }
    }

    /// Keeps a message that a later step may be waiting for. A copy: the library's own would hold on to all of the buffer
    /// that it was cut from.
    fn keep(&mut self, message: &[u8]) {
        let fits = self.kept_bytes + message.len() <= limits::KEPT_BYTES_MAX;
        if fits && self.kept.len() < limits::MESSAGES_KEPT_MAX {
            self.kept_bytes += message.len();
            self.kept.push_back((Bytes::copy_from_slice(message), tick()));
        }
    }

    /// Notes the time from the latest message sent to the one that answered it.
    fn answered(&self, arrived: Tick, progress: &mut Progress) {
        if let Some(sent) = self.sent {
            progress.round_trip(arrived.since(sent));
        }
    }

    /// Waits for the next frame, unless too many have been skipped.
    async fn next(&mut self, progress: &mut Progress) -> Result<Event, Failure> {
        let received = self.stream.get_ref().received();
        let waiting = progress.waiting();
        if waiting.messages + waiting.controls >= limits::FRAMES_SKIPPED_MAX {
            let detail = format!("{}, {}", waiting.missing(), waiting.came());
            return Err(progress.fail((FailureKind::ReplyMismatch, detail)));
        }
        if received > limits::RECEIVED_BYTES_MAX {
            let detail = format!("{} in {received} bytes, {}", waiting.missing(), waiting.came());
            return Err(progress.fail((FailureKind::ReplyMismatch, detail)));
        }
        match self.stream.next().await {
            Some(Ok(Message::Text(text))) => Ok(Event::Data(text.into())),
            Some(Ok(Message::Binary(bytes))) => Ok(Event::Data(bytes)),
            Some(Ok(Message::Pong(payload))) => Ok(Event::Pong(payload)),
            // `Frame` is never read, only written.
            Some(Ok(Message::Ping(_) | Message::Frame(_))) => Ok(Event::Ping),
            Some(Ok(Message::Close(frame))) => Err(self.closed(frame, progress)),
            Some(Err(error)) => Err(self.broken(&error, progress)),
            None => Err(self.broken(&tungstenite::Error::ConnectionClosed, progress)),
        }
    }

    fn broken(&mut self, error: &tungstenite::Error, progress: &mut Progress) -> Failure {
        self.farewell = classify::close_code(error);
        let (kind, mut detail) = classify::websocket(error);
        if matches!(kind, FailureKind::Dropped | FailureKind::ConnectionReset) {
            let waiting = progress.waiting();
            detail = format!("{detail}; {} before, {}", waiting.missing(), waiting.came());
        }
        progress.fail((kind, detail))
    }

    /// The failure of a close frame that came before the steps were done.
    fn closed(&self, frame: Option<CloseFrame>, progress: &Progress) -> Failure {
        let (code, reason) = match &frame {
            None => (1005, String::new()),
            Some(frame) => (u16::from(frame.code), quote::quote(&frame.reason)),
        };
        // The library puts 1002 in place of a code that must not be sent.
        let sent = self.stream.get_ref().close_code_received().filter(|_| code == 1002).unwrap_or(code);
        let reason = if sent == code { cut(reason, protocol::CLOSE_REASON_BYTES_MAX) } else { String::new() };
        let said = match (frame.is_some(), reason.is_empty()) {
            (false, _) => "the close frame has no code".to_owned(),
            (true, true) => "the close frame gives no reason".to_owned(),
            (true, false) => format!("the close frame says: {reason}"),
        };
        progress.fail((FailureKind::Closed { code: sent, reason }, said))
    }

    /// The closing handshake: says goodbye, and waits a little for the server's. Whether it comes does not decide anything.
    pub(crate) async fn close(&mut self, progress: &mut Progress) {
        progress.enter(Phase::Close, "no close frame came");
        let closing = async {
            if self.stream.send(Message::Close(Some(goodbye(CloseCode::Normal)))).await.is_err() {
                return None;
            }
            self.stream.get_ref().acknowledge_at_once();
            for _ in 0..limits::FRAMES_SKIPPED_MAX {
                match self.stream.next().await? {
                    Ok(Message::Close(frame)) => {
                        return Some(frame.map_or(1005, |frame| u16::from(frame.code)));
                    }
                    Ok(_) if self.stream.get_ref().received() > limits::RECEIVED_BYTES_MAX => return None,
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

fn goodbye(code: CloseCode) -> CloseFrame {
    CloseFrame { code, reason: "".into() }
}

/// Waits for at most a step's own span, where it has one; none is the check's deadline, which stands around all of this.
async fn within<T>(span: Option<Micros>, future: impl Future<Output = T>) -> Option<T> {
    match span {
        None => Some(future.await),
        Some(span) => timeout(span.into(), future).await.ok(),
    }
}

fn in_vain(progress: &Progress, within: Option<Micros>) -> Failure {
    let span = within.unwrap_or_default();
    progress
        .waited(span)
        .unwrap_or_else(|| progress.fail((FailureKind::ReplyTimeout, format!("nothing came within {span}"))))
}
