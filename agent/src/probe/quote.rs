//! A server's own words, made fit for a terminal, a log line and an alert.

use quorate_proto::outcome::cut;

use crate::limits;

/// One line, cut at [`limits::QUOTE_BYTES_MAX`]. What would move a cursor or turn the writing direction is escaped.
pub(crate) fn quote(text: &str) -> String {
    let mut line = String::new();
    for character in text.chars() {
        if is_unprintable(character) {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
        if line.len() > limits::QUOTE_BYTES_MAX {
            break;
        }
    }
    cut(line, limits::QUOTE_BYTES_MAX)
}

/// Several lines, cut at a bound in bytes. Line ends and tabs stay; other control characters and bytes that are not UTF-8
/// are replaced.
pub(crate) fn block(bytes: &[u8], bytes_max: usize) -> String {
    let text: String = String::from_utf8_lossy(bytes)
        .chars()
        .filter(|&character| character != '\r')
        .map(|character| match character {
            '\n' | '\t' => character,
            other if is_unprintable(other) => char::REPLACEMENT_CHARACTER,
            other => other,
        })
        .collect();
    cut(text, bytes_max)
}

/// One line of bytes, for a header's value.
pub(crate) fn line(bytes: &[u8], bytes_max: usize) -> String {
    cut(block(bytes, usize::MAX).replace(['\n', '\t'], " ").trim().to_owned(), bytes_max)
}

/// Control characters, and the marks that turn the direction of what stands beside them.
fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_cannot_write_on_the_terminal() {
        assert_eq!(quote("plain \"text\" äö"), "plain \"text\" äö");
        assert_eq!(quote("a\nb\u{1b}[2Jc\u{202e}d"), "a\\nb\\u{1b}[2Jc\\u{202e}d");
        assert_eq!(block(b"<h1>\r\n\x1b[31mno\xff</h1>", 64), "<h1>\n\u{fffd}[31mno\u{fffd}</h1>");
        assert_eq!(line(b" nginx\t/1\r\n", 64), "nginx /1");
        assert!(quote(&"x".repeat(10_000)).len() <= limits::QUOTE_BYTES_MAX);
        assert!(quote(&"\u{1b}".repeat(10_000)).len() <= limits::QUOTE_BYTES_MAX);
        assert!(block(&[0xff; 10_000], 64).len() <= 64);
    }
}
