//! Whether a monitor's numbers can keep the promise: paged within 60 seconds of a total outage.
//!
//! The phases of *n* regions are staggered, so the first check after an outage begins at most `interval / n` later,
//! and finds a silent server after `timeout`. The other regions are asked at once, and the evidence must then span the
//! time of rule 3 (or rule 5 where one region watches); the check that completes the span takes a timeout again where
//! the server is silent, but that check began before the span was over, so that the timeout is not added twice.

use quorate_proto::Micros;
use quorate_quorum::Policy;

use super::document::Section;
use crate::limits::PAGE_SECONDS_PROMISED;

/// Says so where the promise cannot be kept.
pub(super) fn warn(section: &Section<'_>, policy: &Policy) {
    let worst = worst_case(policy);
    if policy.regions.is_empty() || worst <= Micros::from_secs(PAGE_SECONDS_PROMISED) {
        return;
    }
    let (line, key) = match section.get("interval") {
        Some(item) => (item.line, item.path),
        None => (section.line(), section.path_of("interval")),
    };
    let text = format!(
        "with an interval of {}, a timeout of {} and the rule \"{}\" an outage may be paged as late as after {worst}, \
         not within {PAGE_SECONDS_PROMISED} s: shorten them or add regions",
        policy.interval,
        policy.timeout,
        policy.describe(),
    );
    section.document().warn(line, &key, text);
}

/// From the outage to the page, at worst.
fn worst_case(policy: &Policy) -> Micros {
    let regions = u16::try_from(policy.regions.len()).unwrap_or(u16::MAX);
    policy.interval / u64::from(regions) + policy.timeout + policy.span_needed(regions)
}
