//! Frames over QUIC streams, and what the end of a connection means.

use quinn::{ConnectionError, ReadError, ReadExactError, RecvStream, SendStream, TransportErrorCode, VarInt};
use quorate_proto::{
    Micros,
    codec::CodecError,
    frame::{self, CloseCode, PREFIX_BYTES},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;

/// The close code with which an agent leaves.
pub(super) const GOODBYE: VarInt = VarInt::from_u32(CloseCode::GoingAway.number());
/// The code with which an agent gives up one upload.
const GIVEN_UP: VarInt = VarInt::from_u32(0);
/// The TLS alert (RFC 8446 section 6.2) of a server that does not admit our key. It comes after the handshake is over
/// for us.
const ACCESS_DENIED: u8 = 49;

/// Why a frame was not read or sent.
#[derive(Debug, thiserror::Error)]
pub enum WireFault {
    /// The connection, or the stream, ended.
    #[error("the connection ended")]
    Gone,
    /// It took too long.
    #[error("no answer in time")]
    Slow,
    /// What came is not what was waited for.
    #[error("the aggregator sent what it must not: {0}")]
    Frame(#[from] CodecError),
}

/// What the end of a connection means for us.
pub(super) enum Meaning {
    /// The aggregator does not admit our key.
    Refused,
    /// It closed with this code.
    Closed(CloseCode),
    /// Anything else.
    Lost,
}

/// Reads what the end of a connection means.
pub(super) fn meaning(error: &ConnectionError) -> Meaning {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            match CloseCode::from_number(close.error_code.into_inner()) {
                Some(CloseCode::Revoked) => Meaning::Refused,
                Some(code) => Meaning::Closed(code),
                None => Meaning::Lost,
            }
        }
        ConnectionError::ConnectionClosed(close)
            if close.error_code == TransportErrorCode::crypto(ACCESS_DENIED) =>
        {
            Meaning::Refused
        }
        ConnectionError::ConnectionClosed(_)
        | ConnectionError::VersionMismatch
        | ConnectionError::TransportError(_)
        | ConnectionError::Reset
        | ConnectionError::TimedOut
        | ConnectionError::LocallyClosed
        | ConnectionError::CidsExhausted => Meaning::Lost,
    }
}

/// The sending half of a stream. Dropped before [`Outgoing::finish`] it is reset: what is half sent must not look
/// like a whole that is broken.
pub(super) struct Outgoing {
    stream: SendStream,
    finished: bool,
}

impl Outgoing {
    pub(super) fn new(stream: SendStream) -> Self {
        Self { stream, finished: false }
    }

    /// The same for a stream that goes ahead of all others: reports of health must not wait behind a backlog, or on a
    /// slow line the agent would look silent for as long as it catches up.
    pub(super) fn ahead(stream: SendStream) -> Self {
        // Fails only on a stream that is closed already, which sending will tell.
        let _ = stream.set_priority(1);
        Self::new(stream)
    }

    /// Sends one frame.
    pub(super) async fn send<T: Serialize>(
        &mut self,
        value: &T,
        bytes_max: usize,
        deadline: Micros,
    ) -> Result<(), WireFault> {
        let bytes = frame::encode(value, bytes_max)?;
        match timeout(deadline.into(), self.stream.write_all(&bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(WireFault::Gone),
            Err(_) => Err(WireFault::Slow),
        }
    }

    /// Ends the stream after what was sent.
    pub(super) fn finish(&mut self) {
        self.finished = true;
        // Fails only where the aggregator stopped the stream, which reading the answer will tell.
        let _ = self.stream.finish();
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        if !self.finished {
            let _ = self.stream.reset(GIVEN_UP);
        }
    }
}

/// Reads one frame; the caller has the deadline.
pub(super) async fn read<T: DeserializeOwned>(
    stream: &mut RecvStream,
    bytes_max: usize,
) -> Result<T, WireFault> {
    read_sized(stream, bytes_max).await.map(|(value, _)| value)
}

/// Reads one frame, and tells its payload's size.
pub(super) async fn read_sized<T: DeserializeOwned>(
    stream: &mut RecvStream,
    bytes_max: usize,
) -> Result<(T, usize), WireFault> {
    let mut prefix = [0; PREFIX_BYTES];
    read_exact(stream, &mut prefix).await?;
    let mut payload = vec![0; frame::payload_bytes(prefix, bytes_max)?];
    read_exact(stream, &mut payload).await?;
    Ok((frame::decode(&payload, bytes_max)?, payload.len()))
}

async fn read_exact(stream: &mut RecvStream, bytes: &mut [u8]) -> Result<(), WireFault> {
    stream.read_exact(bytes).await.map_err(|error| match error {
        ReadExactError::FinishedEarly(_) => WireFault::Gone,
        ReadExactError::ReadError(
            ReadError::Reset(_)
            | ReadError::ConnectionLost(_)
            | ReadError::ClosedStream
            | ReadError::IllegalOrderedRead
            | ReadError::ZeroRttRejected,
        ) => WireFault::Gone,
    })
}
