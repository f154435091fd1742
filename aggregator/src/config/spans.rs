//! Spans of time, as people write them: `"30s"`, `"1m 30s"`, `"500ms"`. A unit is always wanted.

use std::ops::RangeInclusive;

use jiff::fmt::friendly::SpanParser;
use quorate_proto::Micros;

use super::document::Item;

/// Reads a span within bounds.
pub(super) fn span(item: &Item<'_>, bounds: RangeInclusive<Micros>) -> Option<Micros> {
    let wanted = format!(
        "a span with its unit between {} and {}, such as \"30s\", \"1m 30s\" or \"500ms\"",
        bounds.start(),
        bounds.end()
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
    PARSER.parse_unsigned_duration(text).ok().map(Micros::from)
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
            ("30", None),
            ("", None),
            ("-5s", None),
            ("soon", None),
        ] {
            assert_eq!(parse(text), wanted, "{text}");
        }
    }
}
