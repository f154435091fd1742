//! Spans of time, as people write them: `"30s"`, `"1m 30s"`, `"500ms"`, `"14d"`. A unit is always wanted; a day is 24 hours.

use std::ops::RangeInclusive;

use jiff::{SpanRelativeTo, fmt::friendly::SpanParser};
use quorate_proto::Micros;

use super::document::Item;

/// Reads a span within bounds.
pub(super) fn span(item: &Item<'_>, bounds: RangeInclusive<Micros>) -> Option<Micros> {
    let wanted = format!(
        "a span with its unit between {} and {}, such as \"30s\", \"1m 30s\" or \"500ms\"",
        shown(*bounds.start()),
        shown(*bounds.end())
    );
    let text = item.text(&wanted)?;
    let span = parse(&text).filter(|span| bounds.contains(span));
    if span.is_none() {
        item.refuse(wanted);
    }
    span
}

/// Reads a span.
pub fn parse(text: &str) -> Option<Micros> {
    static PARSER: SpanParser = SpanParser::new();
    let span = PARSER.parse_span(text).ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    std::time::Duration::try_from(duration).ok().map(Micros::from)
}

/// A bound as people write it.
fn shown(span: Micros) -> String {
    const DAY: u64 = 86_400 * 1_000_000;
    match span.0 {
        0 => "0s".to_owned(),
        whole if whole.is_multiple_of(DAY) => format!("{}d", whole / DAY),
        _ => span.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_wanted() {
        for (text, wanted) in [
            ("30s", Some(Micros::from_secs(30))),
            ("1m 30s", Some(Micros::from_secs(90))),
            ("500ms", Some(Micros::from_millis(500))),
            ("1 minute", Some(Micros::from_secs(60))),
            ("14d", Some(Micros::from_secs(14 * 86_400))),
            ("1d 12h", Some(Micros::from_secs(36 * 3600))),
            ("1 month", None),
            ("30", None),
            ("", None),
            ("-5s", None),
            ("soon", None),
        ] {
            assert_eq!(parse(text), wanted, "{text}");
        }
    }
}
