//! A connection without a WebSocket library on it: what is sent may be wrong on purpose, and what comes is seen as it is.

use std::io;

use data_encoding::BASE64;
use quorate_proto::{Failure, FailureKind, MonitorSpec, Phase};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::super::{
    Prober,
    answer::{self, Answer, Parsed},
    classify,
    plan::Plan,
    progress::Progress,
    request::random_key,
    transport::Transport,
};
use crate::limits;

/// Opcodes (RFC 6455 section 5.2).
pub(super) const TEXT: u8 = 0x1;
pub(super) const CONTINUATION: u8 = 0x0;
pub(super) const RESERVED: u8 = 0x3;
pub(super) const CLOSE: u8 = 0x8;
pub(super) const PING: u8 = 0x9;
pub(super) const PONG: u8 = 0xa;
/// The first bit of a frame: it is the last of its message.
pub(super) const FIN: u8 = 0x80;
/// The first reserved bit, which an extension may give a meaning.
pub(super) const RSV1: u8 = 0x40;

/// How a request differs from the usual upgrade.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Variant {
    /// Headers left out, in lower case.
    pub(super) without: &'static [&'static str],
    /// Lines put in.
    pub(super) with: &'static [&'static str],
}

/// An open connection, behind the head of the answer.
pub(super) struct Raw {
    transport: Transport,
    received: Vec<u8>,
}

/// What came first.
pub(super) struct Opened {
    pub(super) raw: Raw,
    pub(super) answer: Answer,
    /// The digest that a right answer has.
    pub(super) accept: String,
}

/// One frame as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) first: u8,
    pub(super) payload: Vec<u8>,
}

/// Why no more frames come.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum End {
    #[error("the connection ended without a close frame")]
    Dropped,
    #[error("the connection was reset")]
    Reset,
    #[error("{0}")]
    Broken(String),
}

impl Opened {
    /// Connects and asks for an upgrade, in its own way. Takes as long as it takes: the caller has the deadline.
    pub(super) async fn new(prober: &Prober, spec: &MonitorSpec, variant: Variant) -> Result<Self, Failure> {
        let failed = |detail: String| Failure::new(FailureKind::AgentFault, Phase::Upgrade, detail);
        let plan = Plan::new(spec, prober.region.as_ref()).map_err(|error| failed(error.to_string()))?;
        let mut progress = Progress::new();
        let mut transport = prober.reach(&plan, None, &mut progress).await?;
        progress.enter(Phase::Upgrade, "no answer to the upgrade request came");
        let key = random_key().ok_or_else(|| failed("the system gave no random bytes".to_owned()))?;
        let request = variant.apply(&plan.request.with_key(&key));
        let broken = |error: io::Error| progress.fail(classify::stream(&error));
        transport.write_all(&request).await.map_err(broken)?;
        transport.flush().await.map_err(broken)?;
        let mut raw = Raw { transport, received: Vec::new() };
        let answer = raw
            .answer()
            .await
            .map_err(|end| Failure::new(FailureKind::Dropped, Phase::Upgrade, end.to_string()))?;
        Ok(Self { raw, answer, accept: derive_accept_key(key.as_bytes()) })
    }

    /// Whether the answer is a right one, so that frames may follow.
    pub(super) fn is_open(&self, spec: &MonitorSpec) -> bool {
        self.answer.status == 101 && self.answer.verify(&self.accept, &spec.subprotocols).is_ok()
    }
}

impl Variant {
    fn apply(self, head: &[u8]) -> Vec<u8> {
        let head = String::from_utf8_lossy(head);
        let mut lines = head.trim_end().split("\r\n");
        let mut text = format!("{}\r\n", lines.next().unwrap_or_default());
        for line in lines {
            let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
            if !self.without.contains(&name.as_str()) {
                text.push_str(line);
                text.push_str("\r\n");
            }
        }
        for line in self.with {
            text.push_str(line);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        text.into_bytes()
    }
}

impl Raw {
    /// Sends bytes as they are.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.transport.write_all(bytes).await.map_err(|error| End::of(&error))?;
        self.transport.flush().await.map_err(|error| End::of(&error))
    }

    /// The next frame.
    pub(super) async fn frame(&mut self) -> Result<Frame, End> {
        loop {
            if let Some((frame, length)) = parse(&self.received)? {
                self.received.drain(..length);
                return Ok(frame);
            }
            self.more().await?;
        }
    }

    /// The first bytes of what follows the head of an answer that is no upgrade, as far as they have come.
    pub(super) async fn body(&mut self, bytes_max: usize) -> Vec<u8> {
        while self.received.len() < bytes_max {
            if self.more().await.is_err() {
                break;
            }
        }
        self.received.iter().copied().take(bytes_max).collect()
    }

    async fn answer(&mut self) -> Result<Answer, End> {
        loop {
            match answer::parse(&self.received) {
                Err((_, detail)) => return Err(End::Broken(detail)),
                Ok(Parsed::Whole(answer, length)) => {
                    self.received.drain(..length);
                    let is_interim = (100..200).contains(&answer.status) && answer.status != 101;
                    if !is_interim {
                        return Ok(answer);
                    }
                }
                Ok(Parsed::Partial) if self.received.len() >= limits::UPGRADE_HEAD_BYTES_MAX => {
                    return Err(End::Broken("the answer has too large a head".to_owned()));
                }
                Ok(Parsed::Partial) => self.more().await?,
            }
        }
    }

    async fn more(&mut self) -> Result<(), End> {
        let mut chunk = [0; 2048];
        match self.transport.read(&mut chunk).await {
            Ok(0) => Err(End::Dropped),
            Ok(count) => {
                self.received.extend_from_slice(chunk.get(..count).unwrap_or_default());
                Ok(())
            }
            Err(error) => Err(End::of(&error)),
        }
    }
}

impl End {
    fn of(error: &io::Error) -> Self {
        let (kind, detail) = classify::stream(error);
        if kind == FailureKind::Dropped {
            Self::Dropped
        } else if kind == FailureKind::ConnectionReset {
            Self::Reset
        } else {
            Self::Broken(detail)
        }
    }
}

impl Frame {
    pub(super) fn opcode(&self) -> u8 {
        self.first & 0x0f
    }

    /// The code of a close frame; 1005 where it has none.
    pub(super) fn close_code(&self) -> Option<u16> {
        let code = self.payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
        (self.opcode() == CLOSE).then_some(code)
    }
}

/// A frame of the client's, masked as section 5.3 wants it. At most 125 bytes of payload, or up to 64 KiB.
pub(super) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut key = [0; 4];
    // A mask that can be guessed does no harm here: the texts are our own.
    let _ = aws_lc_rs::rand::fill(&mut key);
    let mut frame = header(first, 0x80, payload.len());
    frame.extend_from_slice(&key);
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// The same without a mask, which a client must not send (section 5.1).
pub(super) fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, 0, payload.len());
    frame.extend_from_slice(payload);
    frame
}

fn header(first: u8, mask: u8, length: usize) -> Vec<u8> {
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ 0..=125), _) => vec![first, mask | length],
        (_, Ok(length)) => [&[first, mask | 126], &length.to_be_bytes()[..]].concat(),
        (_, Err(_)) => [&[first, mask | 127], &(length as u64).to_be_bytes()[..]].concat(),
    }
}

/// A random token that comes back where a server answers to it.
pub(super) fn token() -> String {
    let mut bytes = [0; 9];
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    BASE64.encode(&bytes)
}

/// The first frame and its length in bytes; none where it has not come whole.
fn parse(bytes: &[u8]) -> Result<Option<(Frame, usize)>, End> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    let is_masked = second & 0x80 != 0;
    let (length, at) = match second & 0x7f {
        126 => match rest.first_chunk::<2>() {
            None => return Ok(None),
            Some(length) => (usize::from(u16::from_be_bytes(*length)), 4),
        },
        127 => match rest.first_chunk::<8>() {
            None => return Ok(None),
            Some(length) => (usize::try_from(u64::from_be_bytes(*length)).unwrap_or(usize::MAX), 10),
        },
        short => (usize::from(short), 2),
    };
    if is_masked {
        return Err(End::Broken("the server masked a frame, against section 5.1 of RFC 6455".to_owned()));
    }
    if length > limits::MESSAGE_BYTES_MAX {
        return Err(End::Broken(format!("the server sent a frame of {length} bytes")));
    }
    let Some(payload) = bytes.get(at..at + length) else { return Ok(None) };
    Ok(Some((Frame { first: *first, payload: payload.to_vec() }, at + length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_differ_where_they_should() {
        let head = b"GET /ws HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Version: 13\r\nX: y\r\n\r\n";
        let variant = Variant { without: &["sec-websocket-version"], with: &["Sec-WebSocket-Version: 99"] };
        let text = String::from_utf8(variant.apply(head)).unwrap();
        assert_eq!(text, "GET /ws HTTP/1.1\r\nHost: x\r\nX: y\r\nSec-WebSocket-Version: 99\r\n\r\n");
        assert_eq!(Variant::default().apply(head), head);
    }

    #[test]
    fn frames_are_written_and_read() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let payload = vec![7; length];
            let frame = unmasked(FIN | TEXT, &payload);
            let (read, bytes) = parse(&frame).unwrap().unwrap();
            assert_eq!((read.first, read.opcode(), bytes), (FIN | TEXT, TEXT, frame.len()));
            assert_eq!(read.payload, payload);
            assert_eq!(parse(&frame[..frame.len() - 1]).unwrap(), None);
            assert!(matches!(parse(&masked(FIN | TEXT, &payload)), Err(End::Broken(_))));
        }
        let frame = masked(FIN | PING, b"abc");
        let key = frame[2..6].to_vec();
        let unmasked: Vec<_> =
            frame[6..].iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        assert_eq!((&frame[..2], unmasked.as_slice()), (&[0x89, 0x83][..], &b"abc"[..]));
    }

    #[test]
    fn the_code_of_a_close_frame() {
        for (payload, code) in
            [(&b"\x03\xe8"[..], 1000), (b"\x03\xf3why", 1011), (b"", 1005), (b"\x03", 1005)]
        {
            assert_eq!(Frame { first: FIN | CLOSE, payload: payload.into() }.close_code(), Some(code));
        }
        assert_eq!(Frame { first: FIN | TEXT, payload: Vec::new() }.close_code(), None);
    }
}
