//! That a monitor is degraded, and that it is not any more.

use super::{
    Message, SUMMARY_CHARS_MAX, URL_CHARS_MAX, page_link,
    text::{code, local, plain, span, utc},
};
use crate::{
    limits::{
        SLACK_CONTEXT_CHARS_MAX, SLACK_FALLBACK_CHARS_MAX, SLACK_FIELD_CHARS_MAX, SLACK_FIELDS_MAX,
        SLACK_HEADER_CHARS_MAX,
    },
    model::{Degradation, RegionRoundTrips},
    notify::Options,
};

/// Reasons that are told in full, of the four kinds that there are: they fit the section beside URL and link.
const REASONS_MAX: usize = 2;

pub(super) fn message(degradation: &Degradation, options: &Options) -> Message {
    let lasted = degradation.recovered_at.map(|at| span(at.since(degradation.since)));
    let (headline, statement) = match &lasted {
        None => (
            format!("🟡 Degraded: {}", degradation.monitor.name),
            format!("It works, and *not well*, since {}.", local(degradation.since)),
        ),
        Some(lasted) => (
            format!("🟢 No longer degraded: {}", degradation.monitor.name),
            format!("It was *degraded for {lasted}*, from {}.", local(degradation.since)),
        ),
    };
    // Those that go on; at its end, what it was.
    let told = degradation.reasons.iter().filter(|reason| lasted.is_some() || reason.ended_at.is_none());
    // The latest first: it is the news.
    let told = told.rev().map(|reason| reason.summary.as_str()).collect::<Vec<_>>();
    let shown = |max: usize| move |summary: &&str| plain(summary, max);
    let mut section = vec![statement, code(&degradation.monitor.url, URL_CHARS_MAX)];
    section.extend(told.iter().take(REASONS_MAX).map(shown(SUMMARY_CHARS_MAX)));
    section.extend(page_link(options));
    let header = plain(&headline, SLACK_HEADER_CHARS_MAX);
    let room = SLACK_FALLBACK_CHARS_MAX - SLACK_HEADER_CHARS_MAX - 150;
    Message {
        fallback: format!(
            "{header}. Since {}. {}",
            utc(degradation.since),
            told.first().map(shown(room)).unwrap_or_default()
        ),
        header,
        section,
        fields: fields(degradation),
        context: vec![
            plain(&degradation.id, SLACK_CONTEXT_CHARS_MAX / 10),
            plain(&options.page_title, SLACK_CONTEXT_CHARS_MAX / 10),
        ],
    }
}

/// The round trips of each region, the slowest first.
fn fields(degradation: &Degradation) -> Vec<String> {
    let Some(trips) = &degradation.round_trips else { return Vec::new() };
    let mut regions = trips.regions.iter().collect::<Vec<&RegionRoundTrips>>();
    regions.sort_by(|a, b| b.quantiles.p95_ms.total_cmp(&a.quantiles.p95_ms));
    let field = |one: &&RegionRoundTrips| {
        let name = plain(one.region.as_str(), SLACK_FIELD_CHARS_MAX / 2);
        format!(
            "*{name}* p95 {:.0} ms (p50 {:.0}, p99 {:.0})",
            one.quantiles.p95_ms, one.quantiles.p50_ms, one.quantiles.p99_ms
        )
    };
    regions.iter().take(SLACK_FIELDS_MAX).map(field).collect()
}
