//! Getting alerts to people.

mod sign;

pub use sign::{SecretError, WebhookSecret};
