//! Ed25519 keys. An agent's key is its identity; the aggregator's key is what an agent pins.

use std::{fmt, str::FromStr};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{self, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

/// Bytes of an Ed25519 public key.
pub const PUBLIC_KEY_BYTES: usize = 32;
/// Bytes of an Ed25519 signature.
pub const SIGNATURE_BYTES: usize = 64;

/// The DER prefix that makes 32 bytes of Ed25519 key a `SubjectPublicKeyInfo` (RFC 8410 section 4), which is what
/// RFC 7250 puts in place of a certificate.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Why a key was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is not 43 characters of base64url.
    #[error("is not a public key: wanted 43 characters of base64url")]
    Text,
    /// The bytes are not an Ed25519 key pair in PKCS #8.
    #[error("is not an Ed25519 key pair in PKCS #8")]
    Pkcs8,
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Random,
}

macro_rules! public_key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub [u8; PUBLIC_KEY_BYTES]);

        impl $name {
            /// The key as `SubjectPublicKeyInfo`, as TLS raw public keys carry it (RFC 7250).
            pub fn to_spki(self) -> Vec<u8> {
                [SPKI_PREFIX.as_slice(), self.0.as_slice()].concat()
            }

            /// The key out of a `SubjectPublicKeyInfo`; nothing but Ed25519 is taken.
            pub fn from_spki(spki: &[u8]) -> Option<Self> {
                Some(Self(spki.strip_prefix(&SPKI_PREFIX)?.try_into().ok()?))
            }

            /// Whether `signature` over `message` was made by this key.
            pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
                UnparsedPublicKey::new(&signature::ED25519, &self.0).verify(message, signature).is_ok()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&BASE64URL_NOPAD.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = KeyError;
            fn from_str(text: &str) -> Result<Self, KeyError> {
                let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| KeyError::Text)?;
                bytes.try_into().map(Self).map_err(|_| KeyError::Text)
            }
        }
    };
}

public_key! {
    /// An agent's public key: its identity.
    AgentKey
}
public_key! {
    /// The aggregator's public key: what agents pin.
    AggregatorKey
}

/// An Ed25519 key pair.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    pkcs8: Vec<u8>,
}

impl SigningKey {
    /// Makes a new key pair from the system's random numbers.
    ///
    /// # Errors
    /// [`KeyError::Random`] where the system has none.
    pub fn generate() -> Result<Self, KeyError> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyError::Random)?;
        Self::from_pkcs8(pkcs8.as_ref())
    }

    /// Reads a key pair from PKCS #8.
    ///
    /// # Errors
    /// [`KeyError::Pkcs8`] where the bytes are anything else.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| KeyError::Pkcs8)?;
        Ok(Self { pair, pkcs8: pkcs8.to_vec() })
    }

    /// The key pair as PKCS #8, to be kept in a file that only its owner reads.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The public half, as an agent's identity.
    pub fn agent_key(&self) -> AgentKey {
        AgentKey(self.public_bytes())
    }

    /// The public half, as an aggregator's identity.
    pub fn aggregator_key(&self) -> AggregatorKey {
        AggregatorKey(self.public_bytes())
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        let mut signature = [0; SIGNATURE_BYTES];
        let made = self.pair.sign(message);
        for (to, from) in signature.iter_mut().zip(made.as_ref()) {
            *to = *from;
        }
        signature
    }

    fn public_bytes(&self) -> [u8; PUBLIC_KEY_BYTES] {
        let mut key = [0; PUBLIC_KEY_BYTES];
        for (to, from) in key.iter_mut().zip(self.pair.public_key().as_ref()) {
            *to = *from;
        }
        key
    }
}

impl fmt::Debug for SigningKey {
    /// Never the private half.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.agent_key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_their_forms() {
        let key = SigningKey::generate().unwrap();
        let agent = key.agent_key();
        assert_eq!(AgentKey::from_spki(&agent.to_spki()), Some(agent));
        assert_eq!(agent.to_string().parse(), Ok(agent));
        assert_eq!(SigningKey::from_pkcs8(key.pkcs8()).unwrap().agent_key(), agent);
        assert!(agent.has_signed(b"a message", &key.sign(b"a message")));
        assert!(!agent.has_signed(b"another", &key.sign(b"a message")));
        assert_eq!("short".parse::<AgentKey>(), Err(KeyError::Text));
        assert!(!format!("{key:?}").contains(&BASE64URL_NOPAD.encode(key.pkcs8())));
    }
}
