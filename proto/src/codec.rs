//! Bytes and back. The only home of bincode.
//!
//! Every encoding starts with a version byte; behind it stands bincode 2's standard configuration (little endian,
//! variable-length integers) with fields in order of declaration and no names. `proto/golden` pins the bytes, so that
//! another implementation can take over.
//!
//! bincode's own promises are not enough for bytes from a stranger: it takes trailing bytes and reserves what a length
//! prefix asks for. So decoding happens under a byte limit that grows with the input, the whole input must be consumed,
//! and callers check the bounds of [`crate::limits`] on what came out. No type here is recursive, and none is a list of empty things:
//! both would let few bytes cost much.

use serde::{Serialize, de::DeserializeOwned};

/// The version of every encoding in this crate. A change of any type here is a new version, and once a version is
/// released the new one stands beside it. Versions 1 and 2 never were.
pub const VERSION: u8 = 3;

/// The most that decoding may account for, whatever the input: the largest frame there is.
const DECODE_BYTES_MAX: usize = crate::limits::AGGREGATOR_CONTROL_FRAME_BYTES_MAX;
/// Inputs up to this size are decoded under [`SMALL_DECODE_BYTES_MAX`]: what strangers may send is no larger.
const SMALL_BYTES_MAX: usize = crate::limits::AGENT_CONTROL_FRAME_BYTES_MAX;
/// bincode counts a number by its size in memory, at most eight times that on the wire.
const SMALL_DECODE_BYTES_MAX: usize = 8 * SMALL_BYTES_MAX;

/// Why bytes were not decoded, or a value not encoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// There is nothing, not even a version.
    #[error("no bytes to decode")]
    Empty,
    /// Another version than [`VERSION`]: the peer is newer or older.
    #[error("encoding version {0}; this program speaks {VERSION}")]
    Version(u8),
    /// The bytes are not such a value.
    #[error("malformed: {0}")]
    Malformed(String),
    /// The value is followed by bytes that belong to nothing.
    #[error("{0} bytes after the value")]
    Trailing(usize),
    /// The value or the input is above its bound.
    #[error("{bytes} bytes; at most {bytes_max} are allowed")]
    TooLarge {
        /// What it has.
        bytes: usize,
        /// What it may have.
        bytes_max: usize,
    },
}

/// Encodes a value.
///
/// # Errors
/// [`CodecError::TooLarge`] above `bytes_max`; [`CodecError::Malformed`] for a value that cannot be encoded.
pub fn encode<T: Serialize>(value: &T, bytes_max: usize) -> Result<Vec<u8>, CodecError> {
    let mut bytes = vec![VERSION];
    bincode::serde::encode_into_std_write(value, &mut bytes, bincode::config::standard())
        .map_err(|error| CodecError::Malformed(error.to_string()))?;
    bounded(&bytes, bytes_max)?;
    Ok(bytes)
}

/// Decodes a value that is all of `bytes`.
///
/// # Errors
/// Any [`CodecError`]; nothing above `bytes_max` is looked at.
pub fn decode<T: DeserializeOwned>(bytes: &[u8], bytes_max: usize) -> Result<T, CodecError> {
    bounded(bytes, bytes_max)?;
    let (&version, rest) = bytes.split_first().ok_or(CodecError::Empty)?;
    if version != VERSION {
        return Err(CodecError::Version(version));
    }
    let decoded = if bytes.len() <= SMALL_BYTES_MAX {
        let configuration = bincode::config::standard().with_limit::<SMALL_DECODE_BYTES_MAX>();
        bincode::serde::decode_from_slice(rest, configuration)
    } else {
        let configuration = bincode::config::standard().with_limit::<DECODE_BYTES_MAX>();
        bincode::serde::decode_from_slice(rest, configuration)
    };
    let (value, consumed) = decoded.map_err(|error| CodecError::Malformed(error.to_string()))?;
    match rest.len().saturating_sub(consumed) {
        0 => Ok(value),
        trailing => Err(CodecError::Trailing(trailing)),
    }
}

fn bounded(bytes: &[u8], bytes_max: usize) -> Result<(), CodecError> {
    if bytes.len() > bytes_max {
        return Err(CodecError::TooLarge { bytes: bytes.len(), bytes_max });
    }
    Ok(())
}
