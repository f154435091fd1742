//! Whether a monitor's numbers can keep the promise: paged within 60 seconds of a total outage.
//!
//! The phases of *n* regions are staggered, so the first check after an outage begins at most `interval / n` later,
//! and finds a silent server after `timeout`. The other regions are asked at once, and the evidence must then span the
//! time of rule 3 (or rule 5 where one region watches); the check that completes the span takes a timeout again where
//! the server is silent, but that check began before the span was over, so that the timeout is not added twice.

use quorate_proto::Micros;
use quorate_quorum::Sensitivity;

use super::document::Section;
use crate::limits::PAGE_SECONDS_PROMISED;

/// Says so where the promise cannot be kept.
pub(super) fn warn(
    section: &Section<'_>,
    interval: Micros,
    timeout: Micros,
    confirm_for: Option<Micros>,
    sensitivity: Sensitivity,
    regions: usize,
) {
    let worst =
        worst_case(interval, timeout, confirm_for.unwrap_or(span_needed(sensitivity, regions)), regions);
    if regions == 0 || worst <= Micros::from_secs(PAGE_SECONDS_PROMISED) {
        return;
    }
    let (line, key) = match section.get("interval") {
        Some(item) => (item.line, item.path),
        None => (section.line(), section.path_of("interval")),
    };
    let text = format!(
        "with an interval of {interval}, a timeout of {timeout} and {regions} region{} an outage may be paged as late \
         as after {worst}, not within {PAGE_SECONDS_PROMISED} s: shorten them or add regions",
        if regions == 1 { "" } else { "s" }
    );
    section.document().warn(line, &key, text);
}

/// From the outage to the page, at worst.
fn worst_case(interval: Micros, timeout: Micros, span: Micros, regions: usize) -> Micros {
    interval / u64::try_from(regions).unwrap_or(1) + timeout + span
}

/// Rule 3 and rule 5: how long the evidence must span.
fn span_needed(sensitivity: Sensitivity, regions: usize) -> Micros {
    let balanced = match regions {
        0..=2 => Micros::from_secs(30),
        3..=4 => Micros::from_secs(20),
        _ => Micros::from_secs(11),
    };
    match sensitivity {
        Sensitivity::Fast => Micros::ZERO,
        Sensitivity::Balanced => balanced,
        Sensitivity::Strict => balanced * 2,
    }
}
