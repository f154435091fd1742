//! Text as Slack wants it: escaped, on one line, cut between characters; times and spans as people read them.

use quorate_proto::{Micros, WallMicros};

/// A text of unknown origin on one line, with `&`, `<` and `>` escaped (and nothing else, as Slack asks), cut so that
/// the *escaped* text has at most `max` characters. Characters are counted in UTF-16, the larger of the two ways in
/// which a limit may be meant.
pub(super) fn plain(text: &str, max: usize) -> String {
    let mut out = String::new();
    let (mut length, mut fits) = (0, 0);
    for c in text.chars() {
        let c = if c.is_control() { ' ' } else { c };
        let mut one = [0; 4];
        let escaped = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            _ => c.encode_utf8(&mut one),
        };
        length += escaped.chars().map(char::len_utf16).sum::<usize>();
        if length > max {
            out.truncate(fits);
            out.push('…');
            return out;
        }
        out.push_str(escaped);
        if length < max {
            fits = out.len();
        }
    }
    out
}

/// A text that is shown letter by letter, such as a URL.
pub(super) fn code(text: &str, max: usize) -> String {
    format!("`{}`", plain(&text.replace('`', "'"), max.saturating_sub(2)))
}

/// Lines that are shown letter by letter, or nothing where they are longer than `max`: half of a mend misleads.
pub(super) fn block(lines: &[String], max: usize) -> Option<String> {
    let lines: Vec<String> = lines.iter().map(|line| plain(&line.replace('`', "'"), usize::MAX)).collect();
    let block = format!("```\n{}\n```", lines.join("\n"));
    (!lines.is_empty() && block.chars().map(char::len_utf16).sum::<usize>() <= max).then_some(block)
}

/// A link, or nothing where the URL is longer than `max`: half of a URL leads nowhere.
pub(super) fn link(url: &str, label: &str, max: usize) -> Option<String> {
    let url = plain(&url.replace('|', "%7C").replace(' ', "%20"), usize::MAX);
    let link = format!("<{url}|{label}>");
    (link.chars().map(char::len_utf16).sum::<usize>() <= max).then_some(link)
}

/// A wall-clock reading that Slack shows in the reader's own time zone, with the UTC text for where it does not.
pub(super) fn local(wall: WallMicros) -> String {
    format!("<!date^{}^{{time_secs}}, {{date_short_pretty}}|{}>", wall.as_unix_seconds(), utc(wall))
}

/// A wall-clock reading, such as `18:11:48 UTC, 2026-11-22`.
pub(super) fn utc(wall: WallMicros) -> String {
    jiff::Timestamp::from_microsecond(wall.0)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .strftime("%H:%M:%S UTC, %F")
        .to_string()
}

/// A span, such as `14.2 s`, `12 min 3 s`, `3 h 5 min` or `4 d 2 h`.
pub(super) fn span(span: Micros) -> String {
    let seconds = span.0 / 1_000_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{}.{} s", seconds, span.0 / 100_000 % 10),
        60..3600 => format!("{minutes} min {} s", seconds % 60),
        3600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_cut_between_characters() {
        for (text, max, wanted) in [
            ("plain", 5, "plain"),
            ("plainer", 5, "plai…"),
            ("<!channel> & *bold*", 99, "&lt;!channel&gt; &amp; *bold*"),
            ("a&b", 7, "a&amp;b"),
            ("a&b", 6, "a…"),
            ("a&&", 6, "a…"),
            ("two\nlines\u{0}", 99, "two lines "),
            ("\u{1F534}\u{1F534}\u{1F534}", 6, "\u{1F534}\u{1F534}\u{1F534}"),
            ("\u{1F534}\u{1F534}\u{1F534}", 5, "\u{1F534}\u{1F534}…"),
            ("\u{1F534}\u{1F534}\u{1F534}", 4, "\u{1F534}…"),
            ("", 0, ""),
        ] {
            assert_eq!(plain(text, max), wanted, "{text} in {max}");
        }
        assert_eq!(code("wss://a/`x`?a&b", 40), "`wss://a/'x'?a&amp;b`");
        assert_eq!(
            link("https://a/?x=1&y|>", "Page", 40).as_deref(),
            Some("<https://a/?x=1&amp;y%7C&gt;|Page>")
        );
        let lines = ["proxy_http_version 1.1;".to_owned(), "a `b` <c>".to_owned()];
        assert_eq!(block(&lines, 60).as_deref(), Some("```\nproxy_http_version 1.1;\na 'b' &lt;c&gt;\n```"));
        assert_eq!((block(&lines, 40), block(&[], 60)), (None, None));
        assert_eq!(link(&format!("https://{}", "a".repeat(50)), "Page", 40), None);
    }

    #[test]
    fn spans_and_times_read_as_people_say_them() {
        for (seconds, wanted) in [
            (0.04, "0.0 s"),
            (14.29, "14.2 s"),
            (60.0, "1 min 0 s"),
            (723.9, "12 min 3 s"),
            (11_100.0, "3 h 5 min"),
            (90_000.0, "1 d 1 h"),
        ] {
            assert_eq!(span(Micros((seconds * 1e6) as u64)), wanted);
        }
        let wall = WallMicros(1_795_371_108_200_000);
        assert_eq!(utc(wall), "18:11:48 UTC, 2026-11-22");
        assert_eq!(
            local(wall),
            "<!date^1795371108^{time_secs}, {date_short_pretty}|18:11:48 UTC, 2026-11-22>"
        );
    }
}
