//! Bytes as people write them: base64, and hexadecimal digits with texts and lengths between them.
//!
//! Binary protocols put lengths before texts. So that a login can be written down, and read again, the hexadecimal form
//! knows besides digits and spaces: `'text'` for its UTF-8 bytes; `<…>` for the bytes within behind their count in two
//! bytes, as MQTT writes strings; `[…]` for the bytes within behind their count as a variable-length integer (seven bits
//! a byte, the lowest first), as MQTT writes a packet's length and Protocol Buffers a field's.

use quorate_proto::limits;

use super::document::Item;

const HEX: &str = "hexadecimal digits, such as \"c0 00\" or \"10 [ <'MQTT'> 04 02 003c <''> ]\"";

/// Reads bytes in hexadecimal form.
pub(super) fn hex(item: &Item<'_>) -> Option<Vec<u8>> {
    let text = item.template(HEX)?;
    match parse(&text, |quoted| item.document().filled(quoted)) {
        Ok(bytes) => bounded(item, bytes),
        Err(found) => {
            item.refuse_for(HEX, found);
            None
        }
    }
}

/// Reads bytes in base64 (RFC 4648 section 4), padded or not.
pub(super) fn base64(item: &Item<'_>) -> Option<Vec<u8>> {
    const WANTED: &str = "base64, such as \"wAA=\"";
    let text = item.text(WANTED)?;
    let bytes = data_encoding::BASE64_NOPAD.decode(text.trim_end_matches('=').as_bytes()).ok();
    if bytes.is_none() {
        item.refuse(WANTED);
    }
    bounded(item, bytes?)
}

fn bounded(item: &Item<'_>, bytes: Vec<u8>) -> Option<Vec<u8>> {
    if bytes.len() > limits::STEP_TEXT_BYTES_MAX {
        let wanted = format!("at most {} bytes", limits::STEP_TEXT_BYTES_MAX);
        item.refuse_for(wanted, bytes.len().to_string());
        return None;
    }
    Some(bytes)
}

/// Reads the hexadecimal form, or says what stands in it that does not belong there. `filled` completes a quoted text: only
/// after the quotes are found, so that no value can end them.
fn parse(text: &str, filled: impl Fn(&str) -> String) -> Result<Vec<u8>, String> {
    // What is being built, within the brackets that are open: each with the bracket that ends it.
    let mut open: Vec<(char, Vec<u8>)> = Vec::new();
    let mut bytes = Vec::new();
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        match letter {
            ' ' | '\t' | '\r' | '\n' => {}
            '\'' => {
                let (quoted, after) = rest.as_str().split_once('\'').ok_or("a ' that is not closed")?;
                let quoted = filled(quoted);
                if quoted.contains("{{") {
                    return Err("a placeholder, which bytes cannot have".to_owned());
                }
                bytes.extend_from_slice(quoted.as_bytes());
                rest = after.chars();
            }
            '[' => open.push((']', std::mem::take(&mut bytes))),
            '<' => open.push(('>', std::mem::take(&mut bytes))),
            ']' | '>' => {
                let outer = open.pop().filter(|(closing, _)| *closing == letter);
                let (_, outer) = outer.ok_or_else(|| format!("a {letter} that closes nothing"))?;
                let inner = std::mem::replace(&mut bytes, outer);
                bytes.extend(if letter == ']' {
                    variable_length(inner.len())
                } else {
                    two_bytes(inner.len())?
                });
                bytes.extend(inner);
            }
            _ => {
                let high = digit(letter)?;
                let low = digit(rest.next().ok_or_else(|| format!("the digit {letter} without a second"))?)?;
                bytes.push(high << 4 | low);
            }
        }
    }
    match open.last() {
        Some((closing, _)) => Err(format!("a bracket without its {closing}")),
        None => Ok(bytes),
    }
}

fn digit(letter: char) -> Result<u8, String> {
    let digit = letter.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    digit.ok_or_else(|| format!("{letter:?}"))
}

fn two_bytes(count: usize) -> Result<Vec<u8>, String> {
    let count = u16::try_from(count).map_err(|_| format!("{count} bytes between < and >"))?;
    Ok(count.to_be_bytes().to_vec())
}

/// MQTT 3.1.1 section 2.2.3.
fn variable_length(mut count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let seven = u8::try_from(count % 128).unwrap_or(0);
        count /= 128;
        if count == 0 {
            bytes.push(seven);
            return bytes;
        }
        bytes.push(seven | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_in_several_ways() {
        let as_it_is = |quoted: &str| quoted.replace("NAME", "o'hara");
        let long = format!("[ {} ]", "00".repeat(321));
        for (text, wanted) in [
            ("", &[][..]),
            ("c0 00", &[0xc0, 0]),
            ("C000", &[0xc0, 0]),
            ("<'MQTT'> 04", b"\x00\x04MQTT\x04"),
            ("10 [ <'a'> [] ]", &[0x10, 4, 0, 1, b'a', 0]),
            ("'[é'", "[é".as_bytes()),
            ("<'NAME'>", b"\x00\x06o'hara"),
        ] {
            assert_eq!(parse(text, as_it_is).unwrap(), wanted, "{text}");
        }
        assert_eq!(
            parse(&long, as_it_is).unwrap()[..2],
            [0xc1, 0x02],
            "321, as in the specification's example"
        );
        for (text, wanted) in [
            ("c", "the digit c without a second"),
            ("0g", "'g'"),
            ("0x00", "'x'"),
            ("[ 00", "a bracket without its ]"),
            ("[ 00 >", "a > that closes nothing"),
            ("]", "a ] that closes nothing"),
            ("'a", "a ' that is not closed"),
            ("'{{nonce}}'", "a placeholder, which bytes cannot have"),
        ] {
            assert_eq!(parse(text, as_it_is).unwrap_err(), wanted, "{text}");
        }
    }
}
