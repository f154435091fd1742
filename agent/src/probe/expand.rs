//! What the placeholders of one connection stand for, and the texts in which they are filled.

use std::borrow::Cow;

use quorate_proto::{
    WallMicros,
    template::{self, Part},
};

use crate::limits;

/// The chance in one connection: sixteen random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seeds {
    nonce: u64,
    ping: u64,
}

impl Seeds {
    /// Fresh ones, so that no other check's reply is taken for this one's. None where the system has none to give.
    pub(crate) fn random() -> Option<Self> {
        let mut bytes = [0; 16];
        aws_lc_rs::rand::fill(&mut bytes).ok()?;
        let both = u128::from_ne_bytes(bytes);
        Some(Self { nonce: both as u64, ping: (both >> 64) as u64 })
    }

    /// The payload of a ping: another one for every ping of the connection, and none that a text told the server.
    pub(crate) fn ping_payload(self, number: u64) -> [u8; 8] {
        self.ping.wrapping_add(number).to_be_bytes()
    }
}

/// What the placeholders of one connection stand for.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    pub(crate) seeds: Seeds,
    /// The number of the round trip: 0 in the hello.
    pub(crate) count: u64,
    captured: Vec<(Box<str>, Box<str>)>,
}

/// What a text is, and with it how a captured value stands in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Sent, or looked for in a message: escaped within a JSON string, as it is elsewhere.
    Text,
    /// A regular expression: what was captured matches itself.
    Regex,
    /// A JSON pointer: what was captured is a member's name or an index.
    Pointer,
}

/// Why a text cannot be filled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FillError {
    #[error("{{{{{0}}}}} is not captured yet")]
    NotCaptured(String),
    #[error("with what was captured a text is above {} bytes", limits::EXPANDED_BYTES_MAX)]
    TooLong,
}

/// Why a value cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has {bytes} bytes, and all captures of a connection may have {}", limits::CAPTURED_BYTES_MAX)]
pub(crate) struct CaptureError {
    bytes: usize,
}

impl Values {
    pub(crate) fn new(seeds: Seeds) -> Self {
        Self { seeds, count: 0, captured: Vec::new() }
    }

    /// Keeps what a step captured, in the place of what an earlier one captured under the same name.
    pub(crate) fn capture(&mut self, name: &str, value: &str) -> Result<(), CaptureError> {
        let others = self.captured.iter().filter(|(known, _)| **known != *name);
        let others: usize = others.map(|(_, value)| value.len()).sum();
        if others + value.len() > limits::CAPTURED_BYTES_MAX {
            return Err(CaptureError { bytes: value.len() });
        }
        match self.captured.iter_mut().find(|(known, _)| **known == *name) {
            Some((_, old)) => *old = value.into(),
            None => self.captured.push((name.into(), value.into())),
        }
        Ok(())
    }

    /// The text with its placeholders filled.
    pub(crate) fn fill<'text>(
        &self,
        text: &'text str,
        role: Role,
        wall: WallMicros,
    ) -> Result<Cow<'text, str>, FillError> {
        if !text.contains("{{") {
            return Ok(Cow::Borrowed(text));
        }
        let mut filled = String::with_capacity(text.len() + 16);
        let mut place = JsonPlace::default();
        for part in template::parts(text) {
            match part {
                Part::Text(text) => {
                    filled.push_str(text);
                    place.pass(text);
                }
                Part::Placeholder(name) => match self.built_in(name, wall) {
                    Some(value) => {
                        filled.push_str(&value);
                        place.pass("0");
                    }
                    None => {
                        let value = self.captured(name)?;
                        match role {
                            Role::Text if place.in_string => escape(&mut filled, value),
                            Role::Text => filled.push_str(value),
                            Role::Regex => filled.push_str(&regex_lite::escape(value)),
                            Role::Pointer => filled.push_str(&value.replace('~', "~0").replace('/', "~1")),
                        }
                        place.pass("0");
                    }
                },
            }
            if filled.len() > limits::EXPANDED_BYTES_MAX {
                return Err(FillError::TooLong);
            }
        }
        Ok(Cow::Owned(filled))
    }

    /// The text as people may see it: what was captured may be a secret, and its name stands in its place.
    pub(crate) fn shown(&self, text: &str) -> String {
        let mut shown = String::new();
        for part in template::parts(text) {
            match part {
                Part::Text(text) => shown.push_str(text),
                Part::Placeholder("nonce") => shown.push_str(&self.nonce()),
                Part::Placeholder("count") => shown.push_str(&self.count.to_string()),
                Part::Placeholder(name) => shown.extend(["{{", name, "}}"]),
            }
        }
        shown
    }

    /// A text of a server's as people may see it, with the names of captured values in their place. Values of a few bytes
    /// stay: they are no secrets, and would be found everywhere.
    pub(crate) fn redact(&self, text: &str) -> String {
        const SECRET_BYTES_MIN: usize = 6;
        let mut redacted = text.to_owned();
        for (name, value) in &self.captured {
            let mut escaped = String::new();
            escape(&mut escaped, value);
            for form in [&**value, escaped.as_str()] {
                if form.len() >= SECRET_BYTES_MIN && redacted.contains(form) {
                    redacted = redacted.replace(form, &format!("{{{{{name}}}}}"));
                }
            }
        }
        redacted
    }

    /// Bytes of the longest value that [`Self::redact`] looks for.
    pub(crate) fn captured_bytes_longest(&self) -> usize {
        // Escaped, a byte takes six at most.
        self.captured.iter().map(|(_, value)| 6 * value.len()).max().unwrap_or(0)
    }

    fn nonce(&self) -> String {
        format!("{:016x}", self.seeds.nonce)
    }

    fn built_in(&self, name: &str, wall: WallMicros) -> Option<String> {
        match name {
            "nonce" => Some(self.nonce()),
            "now_ms" => Some((wall.0 / 1_000).to_string()),
            "count" => Some(self.count.to_string()),
            _ => None,
        }
    }

    fn captured(&self, name: &str) -> Result<&str, FillError> {
        let found = self.captured.iter().find(|(known, _)| **known == *name);
        found.map(|(_, value)| &**value).ok_or_else(|| FillError::NotCaptured(name.to_owned()))
    }
}

/// Whether a text stands within a JSON string at its end. The text need not be JSON as a whole: `42["join",{"id":"…"}]` has
/// its JSON behind a number.
#[derive(Default)]
struct JsonPlace {
    begun: bool,
    any: bool,
    in_string: bool,
    escaped: bool,
}

impl JsonPlace {
    fn pass(&mut self, text: &str) {
        for byte in text.bytes() {
            self.begun |= matches!(byte, b'{' | b'[') || (byte == b'"' && !self.any);
            self.any |= !byte.is_ascii_whitespace();
            if !self.begun {
                continue;
            }
            match (byte, self.in_string, self.escaped) {
                (_, true, true) => self.escaped = false,
                (b'\\', true, false) => self.escaped = true,
                (b'"', _, false) => self.in_string = !self.in_string,
                _ => {}
            }
        }
    }
}

/// Appends a value as the inside of a JSON string (RFC 8259 section 7).
fn escape(text: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            control if control < ' ' => text.push_str(&format!("\\u{:04x}", u32::from(control))),
            plain => text.push(plain),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Chance as a test wants it.
    pub(crate) fn seeds() -> Seeds {
        Seeds { nonce: 0xab12, ping: 7 }
    }

    pub(crate) fn values() -> Values {
        Values::new(seeds())
    }

    const WALL: WallMicros = WallMicros(1_700_000_000_123_456);

    fn filled(values: &Values, text: &str, role: Role) -> String {
        values.fill(text, role, WALL).unwrap().into_owned()
    }

    #[test]
    fn placeholders_are_filled_as_the_text_wants_them() {
        let mut values = values();
        values.count = 3;
        for (name, value) in [("n", "42"), ("quoted", "a\"b\\\n\u{1}"), ("path", "a/b~c"), ("re", "a.b[")] {
            values.capture(name, value).unwrap();
        }
        use Role::{Pointer, Regex, Text};
        for (text, role, wanted) in [
            ("plain", Text, "plain"),
            (
                "{{nonce}}-{{nonce}} {nonce} {{a b}}",
                Text,
                "000000000000ab12-000000000000ab12 {nonce} {{a b}}",
            ),
            ("{{now_ms}}:{{count}}", Text, "1700000000123:3"),
            (r#"{"id":"{{quoted}}","n":{{n}}}"#, Text, r#"{"id":"a\"b\\\n\u0001","n":42}"#),
            (r#"42["x",{"id":"{{quoted}}"}]"#, Text, r#"42["x",{"id":"a\"b\\\n\u0001"}]"#),
            (r#""{{quoted}}""#, Text, r#""a\"b\\\n\u0001""#),
            (r#"{"k\"":"\\{{n}}\\","q":"{{quoted}}"}"#, Text, r#"{"k\"":"\\42\\","q":"a\"b\\\n\u0001"}"#),
            (r#"say "{{quoted}}""#, Text, "say \"a\"b\\\n\u{1}\""),
            ("SEND\n\n{{quoted}}", Text, "SEND\n\na\"b\\\n\u{1}"),
            ("^{{re}}{2}$", Regex, r"^a\.b\[{2}$"),
            ("/{{path}}/{{n}}", Pointer, "/a~1b~0c/42"),
        ] {
            assert_eq!(filled(&values, text, role), wanted, "{text}");
        }
        values.capture("n", "43").unwrap();
        assert_eq!(filled(&values, "{{n}}", Text), "43");
        assert_eq!(
            values.fill("{{none}}", Text, WALL).unwrap_err().to_string(),
            "{{none}} is not captured yet"
        );
        assert_eq!(
            values.shown("{{nonce}} {{count}} {{n}} {{now_ms}}"),
            "000000000000ab12 3 {{n}} {{now_ms}}"
        );
    }

    #[test]
    fn filled_texts_and_captures_keep_their_bounds() {
        let mut values = Values::new(Seeds::random().unwrap());
        let max = quorate_proto::limits::STEP_TEXT_BYTES_MAX;
        for placeholder in ["{{nonce}}", "{{now_ms}}", "{{count}}"] {
            let text = placeholder.repeat(max / placeholder.len());
            assert!(filled(&values, &text, Role::Text).len() <= limits::EXPANDED_BYTES_MAX, "{placeholder}");
        }
        let half = "x".repeat(limits::CAPTURED_BYTES_MAX / 2);
        values.capture("a", &half).unwrap();
        values.capture("b", &half).unwrap();
        values.capture("a", &half).unwrap();
        assert!(values.capture("c", "x").unwrap_err().to_string().contains("1 bytes"));
        assert_eq!(values.fill(&"{{a}}".repeat(99), Role::Text, WALL), Err(FillError::TooLong));
    }

    #[test]
    fn captured_values_are_not_shown() {
        let mut values = values();
        values.capture("token", "s3cr\"t-token").unwrap();
        values.capture("id", "42").unwrap();
        for (message, wanted) in [
            ("nothing here", "nothing here"),
            ("a s3cr\"t-token b s3cr\"t-token", "a {{token}} b {{token}}"),
            (r#"{"t":"s3cr\"t-token","id":42}"#, r#"{"t":"{{token}}","id":42}"#),
        ] {
            assert_eq!(values.redact(message), wanted);
        }
    }

    #[test]
    fn no_two_connections_share_their_chance() {
        let (one, other) = (Seeds::random().unwrap(), Seeds::random().unwrap());
        assert_ne!(one, other);
        assert_ne!(one.ping_payload(1), one.ping_payload(2));
    }
}
