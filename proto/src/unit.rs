//! The signed unit: what an agent signs, spools and sends, and what is kept as received.
//!
//! Laid out by hand, so that the signature never depends on an encoder:
//!
//! ```text
//! offset  bytes  field
//!      0      1  kind: 1 a batch, 2 a gap
//!      1     32  the aggregator's key: a unit for another aggregator is worthless here
//!     33     32  the agent's key
//!     65      8  boot epoch, big endian
//!     73      8  sequence number in the epoch, big endian, from 0
//!     81     32  digest of the previous unit of the epoch; zeros for the first
//!    113      n  body (see `codec.rs`): `BatchBody` or `Gap`
//!  113+n     64  Ed25519 signature over the domain string and everything before
//! ```
//!
//! The digests chain the units of an epoch: a stretch of history can be verified later, and a gap or an edit shows.

use std::fmt;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use crate::{
    batch::{BatchBody, Gap},
    codec::{self, CodecError},
    key::{AgentKey, AggregatorKey, PUBLIC_KEY_BYTES, SIGNATURE_BYTES, SigningKey},
    limits,
};

/// Separates this signature from every other use of the same key.
const DOMAIN: &[u8] = b"quorate signed unit v1\0";
const HEADER_BYTES: usize = 1 + 2 * PUBLIC_KEY_BYTES + 8 + 8 + 32;

/// A count of an agent's starts: larger at every start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BootEpoch(pub u64);

/// The place of a unit in its epoch, from zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The one after.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// SHA-256 of a signed unit, all its bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// What the first unit of an epoch names as its predecessor.
    pub const NONE: Self = Self([0; 32]);

    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut digest = [0; 32];
        for (to, from) in digest.iter_mut().zip(digest::digest(&digest::SHA256, bytes).as_ref()) {
            *to = *from;
        }
        Self(digest)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// Where a unit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// For which aggregator.
    pub aggregator: AggregatorKey,
    /// By which agent.
    pub agent: AgentKey,
    /// Since which start of the agent.
    pub epoch: BootEpoch,
    /// The how-manieth of the epoch.
    pub sequence: Sequence,
    /// The digest of the one before.
    pub previous: Digest,
}

/// What a unit says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Results.
    Batch(BatchBody),
    /// Results that are lost: units from this sequence number on are missing.
    Gap(Gap),
}

/// Why bytes are not a unit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Shorter than a header and a signature.
    #[error("{0} bytes are too few for a signed unit")]
    Short(usize),
    /// The first byte is neither a batch's nor a gap's.
    #[error("unknown kind of unit: {0}")]
    Kind(u8),
    /// The body is not decodable or above its bounds.
    #[error("body: {0}")]
    Body(#[from] CodecError),
    /// The body is decodable, and some list or text in it is above its bound.
    #[error("body: a list or text is above its bound")]
    Bounds,
}

/// A unit as bytes, parsed but not verified. Only [`crate::verify`] makes something of it that may be stored.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedUnit {
    bytes: Vec<u8>,
    kind: u8,
    place: Place,
}

impl SignedUnit {
    /// Signs a content at a place.
    ///
    /// # Errors
    /// [`CodecError::TooLarge`] where the unit would be above [`limits::UNIT_BYTES_MAX`].
    pub fn sign(place: &Place, content: &Content, key: &SigningKey) -> Result<Self, CodecError> {
        let body_bytes_max = limits::UNIT_BYTES_MAX - HEADER_BYTES - SIGNATURE_BYTES;
        let (kind, body) = match content {
            Content::Batch(batch) => (1, codec::encode(batch, body_bytes_max)?),
            Content::Gap(gap) => (2, codec::encode(gap, body_bytes_max)?),
        };
        let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len() + SIGNATURE_BYTES);
        bytes.push(kind);
        bytes.extend_from_slice(&place.aggregator.0);
        bytes.extend_from_slice(&place.agent.0);
        bytes.extend_from_slice(&place.epoch.0.to_be_bytes());
        bytes.extend_from_slice(&place.sequence.0.to_be_bytes());
        bytes.extend_from_slice(&place.previous.0);
        bytes.extend_from_slice(&body);
        let signature = key.sign(&signed_message(&bytes));
        bytes.extend_from_slice(&signature);
        Ok(Self { bytes, kind, place: *place })
    }

    /// Reads the header of a unit. Neither signature nor body is looked at.
    ///
    /// # Errors
    /// [`UnitError::Short`], [`UnitError::Kind`], or [`UnitError::Body`] for bytes above [`limits::UNIT_BYTES_MAX`].
    pub fn parse(bytes: Vec<u8>) -> Result<Self, UnitError> {
        if bytes.len() > limits::UNIT_BYTES_MAX {
            let (bytes, bytes_max) = (bytes.len(), limits::UNIT_BYTES_MAX);
            return Err(CodecError::TooLarge { bytes, bytes_max }.into());
        }
        let header = Header::read(&bytes).ok_or(UnitError::Short(bytes.len()))?;
        if bytes.len() < HEADER_BYTES + SIGNATURE_BYTES {
            return Err(UnitError::Short(bytes.len()));
        }
        if !matches!(header.kind, 1 | 2) {
            return Err(UnitError::Kind(header.kind));
        }
        Ok(Self { bytes, kind: header.kind, place: header.place })
    }

    /// The whole unit, as signed and as received.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where the unit says that it stands.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The digest that the next unit names.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    /// Whether the agent named in the unit signed it.
    pub fn is_signed(&self) -> bool {
        let Some((message, signature)) = self.bytes.split_last_chunk::<SIGNATURE_BYTES>() else {
            return false;
        };
        self.place.agent.has_signed(&signed_message(message), signature)
    }

    /// Decodes the body.
    ///
    /// # Errors
    /// [`UnitError::Body`] or [`UnitError::Bounds`].
    pub fn content(&self) -> Result<Content, UnitError> {
        let end = self.bytes.len().saturating_sub(SIGNATURE_BYTES);
        let body = self.bytes.get(HEADER_BYTES..end).ok_or(UnitError::Short(self.bytes.len()))?;
        match self.kind {
            1 => {
                let batch: BatchBody = codec::decode(body, limits::UNIT_BYTES_MAX)?;
                if batch.is_within_limits() { Ok(Content::Batch(batch)) } else { Err(UnitError::Bounds) }
            }
            2 => Ok(Content::Gap(codec::decode(body, limits::UNIT_BYTES_MAX)?)),
            kind => Err(UnitError::Kind(kind)),
        }
    }
}

impl fmt::Debug for SignedUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedUnit")
            .field("kind", &self.kind)
            .field("place", &self.place)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

struct Header {
    kind: u8,
    place: Place,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (&[kind], rest) = bytes.split_first_chunk::<1>()?;
        let (aggregator, rest) = rest.split_first_chunk::<PUBLIC_KEY_BYTES>()?;
        let (agent, rest) = rest.split_first_chunk::<PUBLIC_KEY_BYTES>()?;
        let (epoch, rest) = rest.split_first_chunk::<8>()?;
        let (sequence, rest) = rest.split_first_chunk::<8>()?;
        let (previous, _) = rest.split_first_chunk::<32>()?;
        let place = Place {
            aggregator: AggregatorKey(*aggregator),
            agent: AgentKey(*agent),
            epoch: BootEpoch(u64::from_be_bytes(*epoch)),
            sequence: Sequence(u64::from_be_bytes(*sequence)),
            previous: Digest(*previous),
        };
        Some(Self { kind, place })
    }
}

fn signed_message(unsigned: &[u8]) -> Vec<u8> {
    [DOMAIN, unsigned].concat()
}
