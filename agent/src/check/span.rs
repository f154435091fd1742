//! Spans on the command line: `500ms`, `10s`, `20m`.

use quorate_proto::{Micros, limits as protocol};

/// A deadline around a check.
pub(super) fn short_span(text: &str) -> Result<Micros, String> {
    within(text, protocol::TIMEOUT_MIN, protocol::TIMEOUT_MAX, "500ms or 10s")
}

/// A time to listen or to be idle.
pub(super) fn long_span(text: &str) -> Result<Micros, String> {
    within(text, protocol::IDLE_SEARCH_MAX_MIN, protocol::IDLE_SEARCH_MAX_MAX, "60s or 20m")
}

/// From one check to the next.
pub(super) fn pause(text: &str) -> Result<Micros, String> {
    within(text, Micros::from_millis(100), protocol::INTERVAL_MAX, "1s or 30s")
}

/// What a round trip may take.
pub(super) fn round_trip(text: &str) -> Result<Micros, String> {
    within(text, Micros::from_millis(1), protocol::TIMEOUT_MAX, "200ms")
}

fn within(text: &str, min: Micros, max: Micros, example: &str) -> Result<Micros, String> {
    let wanted = || format!("wanted a span from {min} to {max}, such as {example}");
    let span: jiff::SignedDuration = text.parse().map_err(|_| wanted())?;
    let span = Micros(u64::try_from(span.as_micros()).map_err(|_| wanted())?);
    (min..=max).contains(&span).then_some(span).ok_or_else(wanted)
}
