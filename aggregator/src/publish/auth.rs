//! Who may read what is not public: holders of a bearer token (RFC 6750), `qat_` and 256 random bits.
//!
//! The store knows tokens by the SHA-256 of their whole text. Timing tells a stranger nothing: what is compared is a
//! hash of which nobody can choose the bytes without knowing the token, so a lookup in an ordered map or an index is
//! as good as a comparison in constant time. A slow hash is for secrets that people choose; 256 random bits cannot be
//! guessed at any speed.
//!
//! A crowd of bad tokens does not reach the store as a crowd: answers are remembered for a short while, good and bad
//! apart so that bad ones never push out good ones, and few questions are asked at a time.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::Response,
};
use quorate_proto::{Digest, Micros};
use quorate_quorum::Moment;
use tokio::sync::{Mutex, Semaphore};

use super::{Shared, error::Error};
use crate::{
    clock, limits,
    store::{Reader, StoreError},
};

/// What every token starts with, so that a leaked one is found by scanners and a wrong text is told apart.
pub(super) const TOKEN_PREFIX: &str = "qat_";

type Hash = [u8; 32];

/// Knows which tokens are good.
#[derive(Debug)]
pub(super) struct Tokens {
    reader: Reader,
    remembered: Mutex<Remembered>,
    lookups: Semaphore,
}

/// Lets a request with a good token pass.
pub(super) async fn require(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let hash = presented(request.headers())?;
    if !shared.tokens.is_good(hash).await? {
        return Err(Error::Unauthorized("the token is not known"));
    }
    Ok(next.run(request).await)
}

/// The hash of the token that a request presents.
fn presented(headers: &HeaderMap) -> Result<Hash, Error> {
    let value = headers.get(header::AUTHORIZATION).ok_or(Error::Unauthorized("a token is needed"))?;
    let malformed = Error::Unauthorized("the Authorization header holds no token of ours");
    let Some((scheme, token)) = value.to_str().ok().and_then(|text| text.split_once(' ')) else {
        return Err(malformed);
    };
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || !token.starts_with(TOKEN_PREFIX) {
        return Err(malformed);
    }
    Ok(hash(token))
}

/// What the store knows a token by.
pub(super) fn hash(token: &str) -> Hash {
    Digest::of(token.as_bytes()).0
}

impl Tokens {
    pub(super) fn new(reader: Reader) -> Self {
        let lookups = Semaphore::new(limits::TOKEN_LOOKUPS_MAX);
        Self { reader, remembered: Mutex::default(), lookups }
    }

    /// Whether a token with this hash is stored, or was within [`limits::TOKENS_REMEMBERED_FOR`].
    async fn is_good(&self, hash: Hash) -> Result<bool, StoreError> {
        if let Some(good) = self.remembered.lock().await.recall(&hash, clock::now()) {
            return Ok(good);
        }
        let Ok(_turn) = self.lookups.acquire().await else { return Err(StoreError::Busy) };
        let good = self.reader.has_token(hash).await?;
        self.remembered.lock().await.note(hash, good, clock::now());
        Ok(good)
    }
}

/// What the store said of late.
#[derive(Debug, Default)]
struct Remembered {
    good: BTreeMap<Hash, Moment>,
    bad: BTreeMap<Hash, Moment>,
}

impl Remembered {
    fn recall(&self, hash: &Hash, at: Moment) -> Option<bool> {
        let fresh = |until: Option<&Moment>| until.is_some_and(|until| *until > at);
        if fresh(self.good.get(hash)) {
            return Some(true);
        }
        fresh(self.bad.get(hash)).then_some(false)
    }

    fn note(&mut self, hash: Hash, good: bool, at: Moment) {
        let kind = if good { &mut self.good } else { &mut self.bad };
        if kind.len() >= limits::TOKENS_REMEMBERED_MAX {
            kind.retain(|_, until| *until > at);
        }
        if kind.len() >= limits::TOKENS_REMEMBERED_MAX {
            kind.clear();
        }
        kind.insert(hash, at.after(Micros::from(limits::TOKENS_REMEMBERED_FOR)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bearer_token_of_ours_is_looked_up() {
        for (header, taken) in [
            (None, false),
            (Some("qat_x"), false),
            (Some("Basic cWF0X3g="), false),
            (Some("Bearer something-else"), false),
            (Some("Bearer qat_x"), true),
            (Some("bearer  qat_x "), true),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(header) = header {
                headers.insert(header::AUTHORIZATION, header.parse().unwrap());
            }
            let hash_taken = presented(&headers).ok();
            assert_eq!(hash_taken, taken.then(|| hash("qat_x")), "{header:?}");
        }
    }

    #[test]
    fn what_is_remembered_ends_and_stays_bounded() {
        let mut remembered = Remembered::default();
        let start = Moment(1_000_000);
        remembered.note([1; 32], true, start);
        for index in 0..3 * limits::TOKENS_REMEMBERED_MAX {
            let mut bad = [0; 32];
            bad[..8].copy_from_slice(&index.to_be_bytes());
            remembered.note(bad, false, start);
            assert!(remembered.bad.len() <= limits::TOKENS_REMEMBERED_MAX);
        }
        assert_eq!(remembered.recall(&[1; 32], start), Some(true), "bad ones push out no good one");
        let end = start.after(Micros::from(limits::TOKENS_REMEMBERED_FOR));
        assert_eq!(remembered.recall(&[1; 32], end), None);
        assert_eq!(remembered.recall(&[9; 32], start), None);
    }
}
