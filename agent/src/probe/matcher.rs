//! Whether a message is the one that a step waits for.

use std::borrow::Cow;

use data_encoding::HEXLOWER;
use quorate_proto::{
    Matcher,
    step::{Condition, JsonTest, JsonType},
};
use regex_lite::{Regex, RegexBuilder};
use serde_json::{Number, Value};

use super::{expand::Placeholders, pointer, quote::quote};
use crate::limits;

/// A matcher with its placeholders filled, ready to be used.
pub(crate) struct Pattern {
    conditions: Vec<Ready>,
}

/// One condition, ready to be used.
enum Ready {
    Json { pointer: String, test: Test },
    Contains(String),
    Regex(Regex),
    Prefix(Vec<u8>),
}

/// What the value at a pointer must be.
enum Test {
    Present,
    Equals(Value),
    Type(JsonType),
    Matches(Regex),
}

/// Why a matcher makes no sense.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PatternError {
    #[error("`{value}` is not JSON: {error} (a text wants quotes)")]
    Json { value: String, error: serde_json::Error },
    #[error("`{0}` is not a JSON pointer: one is empty or starts with `/` (RFC 6901)")]
    Pointer(String),
    #[error("`{pattern}` is not a regular expression: {error}")]
    Regex { pattern: String, error: regex_lite::Error },
}

impl Pattern {
    pub(crate) fn new(matcher: &Matcher, placeholders: &Placeholders) -> Result<Self, PatternError> {
        let conditions = matcher.conditions.iter().map(|condition| Ready::new(condition, placeholders));
        Ok(Self { conditions: conditions.collect::<Result<_, _>>()? })
    }

    /// Whether a message, text or binary, is the one.
    pub(crate) fn matches(&self, message: &[u8]) -> bool {
        self.conditions.iter().all(|condition| condition.holds(message))
    }

    /// What is waited for, after "no message ".
    pub(crate) fn describe(&self) -> String {
        match self.conditions.as_slice() {
            [] => "of any kind".to_owned(),
            conditions => conditions.iter().map(Ready::describe).collect::<Vec<_>>().join(" and "),
        }
    }
}

impl Ready {
    fn new(condition: &Condition, placeholders: &Placeholders) -> Result<Self, PatternError> {
        Ok(match condition {
            Condition::Contains(text) => Self::Contains(placeholders.fill(text)),
            Condition::Regex(pattern) => Self::Regex(regex(pattern, placeholders)?),
            Condition::Prefix(bytes) => Self::Prefix(bytes.clone()),
            Condition::Json { pointer, test } => {
                let pointer = placeholders.fill(pointer);
                if !(pointer.is_empty() || pointer.starts_with('/')) {
                    return Err(PatternError::Pointer(quote(&pointer)));
                }
                Self::Json { pointer, test: Test::new(test, placeholders)? }
            }
        })
    }

    fn holds(&self, message: &[u8]) -> bool {
        match self {
            Self::Contains(text) => message.utf8_chunks().any(|chunk| chunk.valid().contains(text.as_str())),
            Self::Regex(regex) => regex.is_match(&searchable(message)),
            Self::Prefix(bytes) => message.starts_with(bytes),
            Self::Json { pointer, test } => {
                pointer::value(message, pointer).is_some_and(|value| test.passes(&value))
            }
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Contains(text) => format!("containing {:?}", quote(text)),
            Self::Regex(regex) => format!("matching /{}/", quote(regex.as_str())),
            Self::Prefix(bytes) => format!("beginning with {}", HEXLOWER.encode(bytes)),
            Self::Json { pointer, test: Test::Equals(value) } if pointer.is_empty() => {
                format!("equal to {}", quote(&value.to_string()))
            }
            Self::Json { pointer, test } => {
                let pointer = if pointer.is_empty() { "JSON".to_owned() } else { quote(pointer) };
                match test {
                    Test::Present => format!("with {pointer}"),
                    Test::Equals(value) => format!("with {pointer} = {}", quote(&value.to_string())),
                    Test::Type(kind) => format!("with {pointer} of type {}", kind.name()),
                    Test::Matches(regex) => format!("with {pointer} matching /{}/", quote(regex.as_str())),
                }
            }
        }
    }
}

impl Test {
    fn new(test: &JsonTest, placeholders: &Placeholders) -> Result<Self, PatternError> {
        Ok(match test {
            JsonTest::Present => Self::Present,
            JsonTest::Type(kind) => Self::Type(*kind),
            JsonTest::Matches(pattern) => Self::Matches(regex(pattern, placeholders)?),
            JsonTest::Equals(value) => Self::Equals(
                serde_json::from_str(&placeholders.fill(value))
                    .map_err(|error| PatternError::Json { value: quote(value), error })?,
            ),
        })
    }

    fn passes(&self, value: &Value) -> bool {
        match self {
            Self::Present => true,
            Self::Equals(wanted) => equals(value, wanted),
            Self::Matches(regex) => match value {
                Value::String(text) => regex.is_match(text),
                other => regex.is_match(&other.to_string()),
            },
            Self::Type(kind) => match kind {
                JsonType::Null => value.is_null(),
                JsonType::Boolean => value.is_boolean(),
                JsonType::Number => value.is_number(),
                JsonType::Integer => value.is_i64() || value.is_u64(),
                JsonType::String => value.is_string(),
                JsonType::Array => value.is_array(),
                JsonType::Object => value.is_object(),
            },
        }
    }
}

fn regex(pattern: &str, placeholders: &Placeholders) -> Result<Regex, PatternError> {
    let filled = placeholders.fill(pattern);
    let regex = RegexBuilder::new(&filled).size_limit(limits::REGEX_BYTES_MAX).build();
    regex.map_err(|error| PatternError::Regex { pattern: quote(pattern), error })
}

/// A message as text. One that is not UTF-8 is searched as far as [`limits::BINARY_SEARCHED_BYTES_MAX`].
fn searchable(message: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(message) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            let read = message.get(..limits::BINARY_SEARCHED_BYTES_MAX).unwrap_or(message);
            String::from_utf8_lossy(read)
        }
    }
}

/// Equality of JSON values in which `1`, `1.0` and `1e0` are one number.
fn equals(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => equal_numbers(left, right),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equals(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, left)| right.get(key).is_some_and(|right| equals(left, right)))
        }
        (left, right) => left == right,
    }
}

/// Integers are compared as integers: as floating point, neighbours above 2^53 would be equal.
fn equal_numbers(left: &Number, right: &Number) -> bool {
    left == right
        || ((left.is_f64() || right.is_f64())
            && left.as_f64().zip(right.as_f64()).is_some_and(|(left, right)| left == right))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(matcher: Matcher) -> Pattern {
        Pattern::new(&matcher, &Placeholders::random().unwrap()).unwrap()
    }

    fn json(pointer: &str, value: &str) -> Matcher {
        Matcher::json_equals(pointer, value)
    }

    #[test]
    fn messages_are_matched() {
        for (matcher, message, matches) in [
            (Matcher::ANY, "", true),
            (Matcher::contains("pong"), "a pong b", true),
            (Matcher::contains("pong"), "PONG", false),
            (Matcher::regex("^id=[0-9]+$"), "id=42", true),
            (Matcher::regex("^id=[0-9]+$"), "id=x", false),
            (json("/type", "\"pong\""), r#"{"type":"pong","x":1}"#, true),
            (json("/type", "\"pong\""), r#"{"type":"ping"}"#, false),
            (json("/type", "\"pong\""), r#"{"other":"pong"}"#, false),
            (json("/type", "\"pong\""), "not json", false),
            (json("", "[1,2]"), "[1.0, 2e0]", true),
            (json("", "[1,2]"), "[1,2,3]", false),
            (json("/a~1b/0", "null"), r#"{"a/b":[null]}"#, true),
            (json("/n", "1"), r#"{"n":1.0}"#, true),
            (json("/n", "1"), r#"{"n":"1"}"#, false),
            (json("/n", "9007199254740993"), r#"{"n":9007199254740992}"#, false),
            (json("/n", "-1"), r#"{"n":18446744073709551615}"#, false),
            (json("/o", r#"{"a":{"b":2}}"#), r#"{"o":{"a":{"b":2.0}}}"#, true),
            (json("/o", r#"{"a":1}"#), r#"{"o":{"a":1,"b":2}}"#, false),
        ] {
            assert_eq!(
                pattern(matcher.clone()).matches(message.as_bytes()),
                matches,
                "{matcher:?} {message}"
            );
        }
    }

    #[test]
    fn binary_messages_are_matched_as_far_as_they_are_text() {
        assert!(pattern(Matcher::contains("ok")).matches(b"\xff\x00ok"));
        assert!(!pattern(json("", "1")).matches(b"\xff"));
    }

    #[test]
    fn a_message_of_deep_json_is_no_stack_overflow() {
        assert!(!pattern(json("/a", "1")).matches("[".repeat(1 << 20).as_bytes()));
    }

    #[test]
    fn what_is_waited_for_can_be_said() {
        for (matcher, text) in [
            (Matcher::ANY, "of any kind"),
            (Matcher::contains("a\"b"), r#"containing "a\"b""#),
            (Matcher::regex("^a$"), "matching /^a$/"),
            (json("/type", "\"pong\""), r#"with /type = "pong""#),
            (json("", "[1]"), "equal to [1]"),
        ] {
            assert_eq!(pattern(matcher).describe(), text);
        }
    }
}
