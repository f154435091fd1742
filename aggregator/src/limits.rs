//! Every bound of the aggregator that the protocol does not already set, each with its reason.

// --- notify

/// Bytes of a webhook's signing secret, as Standard Webhooks 1.0.0 sets them.
pub const WEBHOOK_SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
