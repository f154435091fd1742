//! The join string: all that a new agent has to be told, in one line that can be pasted.
//!
//! `qj1_` and base64url of: the aggregator's key (32 bytes), the token's id (8), its secret (16), four bytes of
//! SHA-256 over all the rest so that a slip of the mouse is found before anything is sent, and the address.

use std::{fmt, str::FromStr};

use data_encoding::BASE64URL_NOPAD;

use crate::{key::AggregatorKey, limits, unit::Digest};

const PREFIX: &str = "qj1_";

/// A parsed join string. `Display` gives the string, secret included; `Debug` does not.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinString {
    /// The key that the aggregator must have.
    pub aggregator: AggregatorKey,
    /// Which token.
    pub token: [u8; 8],
    /// Its secret: 128 random bits.
    pub secret: [u8; 16],
    /// Where the aggregator listens: `host:port`.
    pub address: String,
}

/// Why a text is not a join string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinStringError {
    /// It starts with something else.
    #[error("is not a join string: it starts with {PREFIX}; `quorate agents add` prints one")]
    Prefix,
    /// It is cut or altered.
    #[error("is a join string with letters missing or changed: copy the whole line")]
    Damaged,
}

impl FromStr for JoinString {
    type Err = JoinStringError;

    fn from_str(text: &str) -> Result<Self, JoinStringError> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(JoinStringError::Prefix)?;
        let bytes = BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_| JoinStringError::Damaged)?;
        Self::read(&bytes).ok_or(JoinStringError::Damaged)
    }
}

impl JoinString {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (key, rest) = bytes.split_first_chunk::<32>()?;
        let (token, rest) = rest.split_first_chunk::<8>()?;
        let (secret, rest) = rest.split_first_chunk::<16>()?;
        let (sum, address) = rest.split_first_chunk::<4>()?;
        let address = std::str::from_utf8(address).ok()?.to_owned();
        let join = Self { aggregator: AggregatorKey(*key), token: *token, secret: *secret, address };
        let whole = !join.address.is_empty() && join.address.len() <= limits::ADDRESS_BYTES_MAX;
        (whole && join.sum() == *sum).then_some(join)
    }

    fn sum(&self) -> [u8; 4] {
        let digest = Digest::of(
            &[&self.aggregator.0, self.token.as_slice(), self.secret.as_slice(), self.address.as_bytes()]
                .concat(),
        );
        let [a, b, c, d, ..] = digest.0;
        [a, b, c, d]
    }
}

impl fmt::Display for JoinString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = self.sum();
        let bytes = [
            self.aggregator.0.as_slice(),
            self.token.as_slice(),
            self.secret.as_slice(),
            sum.as_slice(),
            self.address.as_bytes(),
        ]
        .concat();
        write!(f, "{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes))
    }
}

impl fmt::Debug for JoinString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "JoinString {{ aggregator: {}, address: {:?}, secret: *** }}",
            self.aggregator, self.address
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> JoinString {
        JoinString {
            aggregator: AggregatorKey([7; 32]),
            token: [1; 8],
            secret: [2; 16],
            address: "watch.example.org:4433".into(),
        }
    }

    #[test]
    fn a_join_string_survives_pasting() {
        assert_eq!(format!("  {}\n", example()).parse(), Ok(example()));
        assert!(!format!("{:?}", example()).contains("0202"));
    }

    #[test]
    fn a_slip_is_found() {
        let text = example().to_string();
        assert_eq!("hello".parse::<JoinString>(), Err(JoinStringError::Prefix));
        for end in PREFIX.len()..text.len() {
            assert_eq!(text[..end].parse::<JoinString>(), Err(JoinStringError::Damaged), "cut at {end}");
        }
        let swapped = text.replacen("BwcH", "BwcI", 1);
        assert_ne!(swapped, text);
        assert_eq!(swapped.parse::<JoinString>(), Err(JoinStringError::Damaged));
    }
}
