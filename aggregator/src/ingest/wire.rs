//! Frames over QUIC streams: bounded before they are read, and never waited for without end.

use quinn::{ReadError, ReadExactError, RecvStream, SendStream, VarInt};
use quorate_proto::{
    Micros,
    codec::CodecError,
    frame::{self, CloseCode, PREFIX_BYTES},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;

/// The close code of a goodbye.
pub(super) const GOING_AWAY: VarInt = close_code(CloseCode::GoingAway);

/// A close code as QUIC carries it.
pub(super) const fn close_code(code: CloseCode) -> VarInt {
    VarInt::from_u32(code.number())
}

/// Why no frame was read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameFault {
    /// The peer went away or gave the stream up. Nobody's fault.
    #[error("the stream was given up")]
    Gone,
    /// It did not come in time.
    #[error("did not come in time")]
    Slow,
    /// The stream ended within the frame.
    #[error("the stream ended within a frame")]
    Truncated,
    /// More followed where the stream had to end.
    #[error("more came after the last frame")]
    Unexpected,
    /// The frame is not what was waited for.
    #[error("{0}")]
    Frame(#[from] CodecError),
}

impl FrameFault {
    /// The stable name, for a metric's label; none where it is nobody's fault.
    pub(super) fn name(&self) -> Option<&'static str> {
        Some(match self {
            Self::Gone => return None,
            Self::Slow => "slow",
            Self::Truncated => "truncated",
            Self::Unexpected => "unexpected",
            Self::Frame(CodecError::Empty | CodecError::Malformed(_)) => "malformed",
            Self::Frame(CodecError::Version(_)) => "version",
            Self::Frame(CodecError::Trailing(_)) => "trailing",
            Self::Frame(CodecError::TooLarge { .. }) => "oversized",
        })
    }
}

/// Reads the next frame of a stream that has many, however long its first byte takes; once that is there, the rest
/// must come within `deadline`. None: the stream ended between two frames.
pub(super) async fn read_next<T: DeserializeOwned>(
    stream: &mut RecvStream,
    bytes_max: usize,
    deadline: Micros,
) -> Result<Option<T>, FrameFault> {
    let mut prefix = [0; PREFIX_BYTES];
    let begun = match stream.read(&mut prefix).await {
        Ok(Some(begun)) => begun,
        Ok(None) => return Ok(None),
        Err(error) => return Err(gone(error)),
    };
    let rest = async {
        read_exact(stream, prefix.get_mut(begun..).unwrap_or_default()).await?;
        read_payload(stream, prefix, bytes_max).await
    };
    timeout(deadline.into(), rest).await.map_err(|_| FrameFault::Slow)?.map(Some)
}

/// Reads the only frame of a stream, and the stream's end after it.
pub(super) async fn read_only<T: DeserializeOwned>(
    stream: &mut RecvStream,
    bytes_max: usize,
    deadline: Micros,
) -> Result<T, FrameFault> {
    let whole = async {
        let value = read_one(stream, bytes_max).await?;
        match stream.read(&mut [0]).await {
            Ok(None) => Ok(value),
            Ok(Some(_)) => Err(FrameFault::Unexpected),
            Err(error) => Err(gone(error)),
        }
    };
    timeout(deadline.into(), whole).await.map_err(|_| FrameFault::Slow)?
}

/// Reads one frame; the caller has the deadline.
pub(super) async fn read_one<T: DeserializeOwned>(
    stream: &mut RecvStream,
    bytes_max: usize,
) -> Result<T, FrameFault> {
    let mut prefix = [0; PREFIX_BYTES];
    read_exact(stream, &mut prefix).await?;
    read_payload(stream, prefix, bytes_max).await
}

async fn read_payload<T: DeserializeOwned>(
    stream: &mut RecvStream,
    prefix: [u8; PREFIX_BYTES],
    bytes_max: usize,
) -> Result<T, FrameFault> {
    let mut payload = vec![0; frame::payload_bytes(prefix, bytes_max)?];
    read_exact(stream, &mut payload).await?;
    Ok(frame::decode(&payload, bytes_max)?)
}

async fn read_exact(stream: &mut RecvStream, bytes: &mut [u8]) -> Result<(), FrameFault> {
    stream.read_exact(bytes).await.map_err(|error| match error {
        ReadExactError::FinishedEarly(_) => FrameFault::Truncated,
        ReadExactError::ReadError(error) => gone(error),
    })
}

fn gone(_: ReadError) -> FrameFault {
    FrameFault::Gone
}

/// Why a frame was not sent.
#[derive(Debug)]
pub(super) enum SendFault {
    /// The peer did not take it in time.
    Slow,
    /// The peer went away or gave the stream up.
    Gone,
    /// It cannot be encoded within its bound. Our own fault.
    Encode(CodecError),
}

/// Sends one frame.
pub(super) async fn send<T: Serialize>(
    stream: &mut SendStream,
    value: &T,
    bytes_max: usize,
    deadline: Micros,
) -> Result<(), SendFault> {
    let bytes = frame::encode(value, bytes_max).map_err(SendFault::Encode)?;
    match timeout(deadline.into(), stream.write_all(&bytes)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(SendFault::Gone),
        Err(_) => Err(SendFault::Slow),
    }
}
