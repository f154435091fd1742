//! Standard Webhooks 1.0.0: the secrets and the symmetric signature (`v1`).

use std::fmt;

use aws_lc_rs::hmac;
use data_encoding::{BASE64, BASE64_NOPAD};

use crate::{limits, model::Secret};

/// What every secret starts with.
const PREFIX: &str = "whsec_";

/// A signing secret. Never printed: `Debug` gives `***`.
#[derive(Clone)]
pub struct WebhookSecret(hmac::Key);

/// Why a text is not a signing secret. Says nothing of the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It does not start with `whsec_`.
    #[error("a webhook secret starts with whsec_")]
    Prefix,
    /// What follows is not base64.
    #[error("after whsec_ a webhook secret is base64 (A-Z a-z 0-9 + /)")]
    Encoding,
    /// It decodes to fewer than 24 or more than 64 bytes.
    #[error("a webhook secret is the base64 of 24 to 64 bytes; this one has {0}")]
    Length(usize),
}

impl WebhookSecret {
    /// Reads `whsec_` and the base64 (standard alphabet, with or without padding) of 24 to 64 bytes.
    ///
    /// # Errors
    /// What is wrong with the text, without the text.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(SecretError::Prefix)?.trim_end_matches('=');
        let bytes = BASE64_NOPAD.decode(encoded.as_bytes()).map_err(|_| SecretError::Encoding)?;
        if !limits::WEBHOOK_SECRET_BYTES.contains(&bytes.len()) {
            return Err(SecretError::Length(bytes.len()));
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// A new secret of 32 random bytes, as text.
    ///
    /// None where the system gives no randomness.
    pub fn generate() -> Option<Secret> {
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes).ok()?;
        Some(Secret::new(format!("{PREFIX}{}", BASE64.encode(&bytes))))
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The value of `webhook-signature`: one `v1,…` per secret, separated by spaces, each over `id.timestamp.body`.
/// None without a secret.
pub(super) fn signature(secrets: &[WebhookSecret], id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
    let head = format!("{id}.{timestamp}.");
    let signatures = secrets.iter().map(|WebhookSecret(key)| {
        let mut context = hmac::Context::with_key(key);
        context.update(head.as_bytes());
        context.update(body);
        format!("v1,{}", BASE64.encode(context.sign().as_ref()))
    });
    (!secrets.is_empty()).then(|| signatures.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_checked() {
        let of = |length| format!("whsec_{}", BASE64.encode(&vec![7; length]));
        for good in [of(24), of(32), of(64), format!(" {}\n", of(24)), of(32).replace('=', "")] {
            assert!(WebhookSecret::parse(&good).is_ok(), "{good}");
        }
        for (bad, why) in [
            (String::new(), SecretError::Prefix),
            ("whpk_AAAA".to_owned(), SecretError::Prefix),
            ("whsec_not base64".to_owned(), SecretError::Encoding),
            ("whsec_".to_owned(), SecretError::Length(0)),
            (of(23), SecretError::Length(23)),
            (of(65), SecretError::Length(65)),
        ] {
            assert_eq!(WebhookSecret::parse(&bad).err(), Some(why), "{bad}");
        }
    }

    #[test]
    fn a_new_secret_is_one_and_is_never_printed() {
        let new = WebhookSecret::generate().unwrap();
        let parsed = WebhookSecret::parse(new.expose()).unwrap();
        assert_eq!(format!("{new:?} {parsed:?}"), "*** ***");
        assert_ne!(new, WebhookSecret::generate().unwrap());
    }

    /// The example of the specification's reference libraries.
    #[test]
    fn the_published_example_is_signed_alike() {
        let secret = WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signature(
            std::slice::from_ref(&secret),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
        assert_eq!(signature(&[], "msg_1", 0, b""), None);
        assert_eq!(signature(&[secret.clone(), secret], "msg_1", 0, b"").unwrap().matches("v1,").count(), 2);
    }
}
