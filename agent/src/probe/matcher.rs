//! Whether a message is the one that a step waits for.
//!
//! [`Wanted`] is made once a monitor: what has no placeholders is compiled there. [`Pattern`] is what is left to do for one
//! step of one connection.

use std::{borrow::Cow, sync::Arc};

use data_encoding::HEXLOWER;
use quorate_proto::{
    Matcher, WallMicros,
    step::{Condition, JsonTest, JsonType},
    template,
};
use regex_lite::{Regex, RegexBuilder};
use serde_json::{Number, Value};

use super::{
    expand::{FillError, Role, Values},
    pointer,
    quote::quote,
};
use crate::limits;

/// A matcher of a monitor, found to make sense.
#[derive(Debug)]
pub(crate) struct Wanted {
    conditions: Vec<Condition>,
    /// None where a condition has placeholders, and must be made anew whenever it is used.
    tests: Vec<Option<Arc<Test>>>,
    /// Where no condition has any.
    pattern: Option<Pattern>,
}

/// A matcher with its placeholders filled.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    tests: Arc<[Arc<Test>]>,
}

/// One condition with its placeholders filled.
#[derive(Debug)]
enum Test {
    Json { pointer: String, value: ValueTest },
    Contains(String),
    Regex(Regex),
    Prefix(Vec<u8>),
}

/// What the value at a pointer must be.
#[derive(Debug)]
enum ValueTest {
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
    #[error(transparent)]
    Fill(#[from] FillError),
}

impl Wanted {
    pub(crate) fn new(matcher: &Matcher) -> Result<Self, PatternError> {
        let mut tests = Vec::new();
        for condition in &matcher.conditions {
            let test = Arc::new(Test::new(condition, |text, _| Ok(template::sample(text).into()))?);
            let is_fixed = condition.texts().into_iter().flat_map(template::placeholders).next().is_none();
            tests.push(is_fixed.then_some(test));
        }
        let fixed: Option<Arc<[_]>> = tests.iter().cloned().collect();
        let pattern = fixed.map(|tests| Pattern { tests });
        Ok(Self { conditions: matcher.conditions.clone(), tests, pattern })
    }

    /// The matcher as it is for one step of one connection.
    ///
    /// # Errors
    /// Where what a server gave for a placeholder makes no sense in it.
    pub(crate) fn pattern(&self, values: &Values, wall: WallMicros) -> Result<Pattern, PatternError> {
        if let Some(pattern) = &self.pattern {
            return Ok(pattern.clone());
        }
        let both = self.tests.iter().zip(&self.conditions);
        let tests = both.map(|(test, condition)| match test {
            Some(test) => Ok(Arc::clone(test)),
            None => Test::new(condition, |text, role| Ok(values.fill(text, role, wall)?)).map(Arc::new),
        });
        Ok(Pattern { tests: tests.collect::<Result<_, _>>()? })
    }

    /// Whether a message is the one, for a matcher without placeholders.
    pub(crate) fn matches(&self, message: &[u8]) -> bool {
        self.pattern.as_ref().is_some_and(|pattern| pattern.matches(message))
    }

    /// What is waited for, after "no message ".
    pub(crate) fn describe(&self, values: &Values) -> String {
        match self.conditions.as_slice() {
            [] => "of any kind".to_owned(),
            conditions => {
                let described = conditions.iter().map(|condition| describe(condition, values));
                described.collect::<Vec<_>>().join(" and ")
            }
        }
    }
}

impl Pattern {
    /// Whether a message, text or binary, is the one.
    pub(crate) fn matches(&self, message: &[u8]) -> bool {
        self.tests.iter().all(|test| test.passes(message))
    }
}

impl Test {
    fn new<'text>(
        condition: &'text Condition,
        fill: impl Fn(&'text str, Role) -> Result<Cow<'text, str>, PatternError>,
    ) -> Result<Self, PatternError> {
        Ok(match condition {
            Condition::Contains(text) => Self::Contains(fill(text, Role::Text)?.into_owned()),
            Condition::Regex(pattern) => Self::Regex(regex(pattern, &fill(pattern, Role::Regex)?)?),
            Condition::Prefix(bytes) => Self::Prefix(bytes.clone()),
            Condition::Json { pointer, test } => {
                let value = match test {
                    JsonTest::Present => ValueTest::Present,
                    JsonTest::Type(kind) => ValueTest::Type(*kind),
                    JsonTest::Matches(pattern) => {
                        ValueTest::Matches(regex(pattern, &fill(pattern, Role::Regex)?)?)
                    }
                    JsonTest::Equals(text) => ValueTest::Equals(
                        serde_json::from_str(&fill(text, Role::Text)?)
                            .map_err(|error| PatternError::Json { value: quote(text), error })?,
                    ),
                };
                Self::Json { pointer: checked_pointer(fill(pointer, Role::Pointer)?)?.into_owned(), value }
            }
        })
    }

    fn passes(&self, message: &[u8]) -> bool {
        match self {
            Self::Contains(text) => message.utf8_chunks().any(|chunk| chunk.valid().contains(text.as_str())),
            Self::Regex(regex) => regex.is_match(&searchable(message)),
            Self::Prefix(bytes) => message.starts_with(bytes),
            Self::Json { pointer, value: ValueTest::Present } => pointer::text(message, pointer).is_some(),
            Self::Json { pointer, value: test } => {
                pointer::value(message, pointer).is_some_and(|value| test.passes(&value))
            }
        }
    }
}

impl ValueTest {
    fn passes(&self, value: &Value) -> bool {
        match self {
            Self::Present => true,
            Self::Equals(wanted) => equals(value, wanted),
            Self::Matches(regex) => match value.as_str() {
                Some(text) => regex.is_match(text),
                None => regex.is_match(&value.to_string()),
            },
            Self::Type(kind) => match kind {
                JsonType::Null => value.is_null(),
                JsonType::Boolean => value.is_boolean(),
                JsonType::Number => value.is_number(),
                JsonType::Integer => is_integer(value),
                JsonType::String => value.is_string(),
                JsonType::Array => value.is_array(),
                JsonType::Object => value.is_object(),
            },
        }
    }
}

/// A pointer that is one (RFC 6901 section 3).
pub(crate) fn checked_pointer(pointer: Cow<'_, str>) -> Result<Cow<'_, str>, PatternError> {
    if pointer.is_empty() || pointer.starts_with('/') {
        Ok(pointer)
    } else {
        Err(PatternError::Pointer(quote(&pointer)))
    }
}

/// Compiles a regular expression within the agent's bound; `pattern` is what an error shows.
pub(crate) fn regex(pattern: &str, filled: &str) -> Result<Regex, PatternError> {
    let regex = RegexBuilder::new(filled).size_limit(limits::REGEX_BYTES_MAX).build();
    regex.map_err(|error| PatternError::Regex { pattern: quote(pattern), error })
}

/// A message as text. One that is not UTF-8 is searched as far as [`limits::BINARY_SEARCHED_BYTES_MAX`].
pub(crate) fn searchable(message: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(message) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            let read = message.get(..limits::BINARY_SEARCHED_BYTES_MAX).unwrap_or(message);
            String::from_utf8_lossy(read)
        }
    }
}

fn describe(condition: &Condition, values: &Values) -> String {
    let shown = |text: &str| quote(&values.shown(text));
    match condition {
        Condition::Contains(text) => format!("containing {:?}", shown(text)),
        Condition::Regex(pattern) => format!("matching /{}/", shown(pattern)),
        Condition::Prefix(bytes) => format!("beginning with {}", quote(&HEXLOWER.encode(bytes))),
        Condition::Json { pointer, test: JsonTest::Equals(value) } if pointer.is_empty() => {
            format!("equal to {}", shown(value))
        }
        Condition::Json { pointer, test } => {
            let pointer = if pointer.is_empty() { "JSON".to_owned() } else { shown(pointer) };
            match test {
                JsonTest::Present => format!("with {pointer}"),
                JsonTest::Equals(value) => format!("with {pointer} = {}", shown(value)),
                JsonTest::Type(kind) => format!("with {pointer} of type {}", kind.name()),
                JsonTest::Matches(pattern) => format!("with {pointer} matching /{}/", shown(pattern)),
            }
        }
    }
}

/// A number without a fraction, however it is written: `1.0` and `1e3` have none.
fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
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
    use super::{super::expand::tests::values, *};

    fn wanted(matcher: Matcher) -> Wanted {
        Wanted::new(&matcher).unwrap()
    }

    fn json(pointer: &str, value: &str) -> Matcher {
        Matcher::json_equals(pointer, value)
    }

    fn value(test: JsonTest) -> Matcher {
        Matcher::of(Condition::Json { pointer: "/v".into(), test })
    }

    #[test]
    fn messages_are_matched() {
        let deep = "[".repeat(1 << 20);
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
            (json("/a", "1"), &deep, false),
            (Matcher::of(Condition::Prefix(b"42[".to_vec())), "42[1]", true),
            (Matcher::of(Condition::Prefix(b"42[".to_vec())), "4", false),
            (Matcher { conditions: vec![] }, "x", true),
            (
                Matcher {
                    conditions: vec![Condition::Contains("a".into()), Condition::Contains("b".into())],
                },
                "xa",
                false,
            ),
        ] {
            assert_eq!(wanted(matcher.clone()).matches(message.as_bytes()), matches, "{matcher:?}");
        }
    }

    #[test]
    fn values_are_tested() {
        use JsonTest::{Matches, Present, Type};
        use JsonType::{Array, Boolean, Integer, Null, Number, Object, String};
        for (test, written, passes) in [
            (Present, "null", true),
            (Type(Null), "null", true),
            (Type(Null), "0", false),
            (Type(Boolean), "false", true),
            (Type(Number), "1.5", true),
            (Type(Number), "\"1.5\"", false),
            (Type(Integer), "-3", true),
            (Type(Integer), "18446744073709551615", true),
            (Type(Integer), "1e3", true),
            (Type(Integer), "1.5", false),
            (Type(String), "\"\"", true),
            (Type(Array), "[]", true),
            (Type(Array), "{}", false),
            (Type(Object), "{}", true),
            (Matches("^0x[0-9a-f]+$".into()), "\"0x1b4\"", true),
            (Matches("^0x[0-9a-f]+$".into()), "436", false),
            (Matches("^4..$".into()), "436", true),
            (Matches("\"a\":1".into()), r#"{"a":1}"#, true),
        ] {
            let matcher = wanted(value(test.clone()));
            assert_eq!(
                matcher.matches(format!(r#"{{"v":{written}}}"#).as_bytes()),
                passes,
                "{test:?} {written}"
            );
            assert!(!matcher.matches(br#"{"other":1}"#));
        }
    }

    #[test]
    fn binary_messages_are_matched_as_far_as_they_are_text() {
        assert!(wanted(Matcher::contains("ok")).matches(b"\xff\x00ok"));
        assert!(!wanted(json("", "1")).matches(b"\xff"));
        assert!(wanted(Matcher::of(Condition::Prefix(vec![0xd0, 0x00]))).matches(b"\xd0\x00"));
    }

    #[test]
    fn what_was_captured_is_matched_literally() {
        let mut values = values();
        values.capture("id", "a.b\"c/d").unwrap();
        values.capture("n", "7").unwrap();
        for (matcher, message, matches) in [
            (json("/id", "\"{{id}}\""), r#"{"id":"a.b\"c/d"}"#, true),
            (json("/n", "{{n}}"), r#"{"n":7}"#, true),
            (json("/n", "\"{{n}}\""), r#"{"n":7}"#, false),
            (json("/{{id}}/{{n}}", "1"), r#"{"a.b\"c/d":{"7":1}}"#, true),
            (Matcher::regex("^{{id}}$"), "a.b\"c/d", true),
            (Matcher::regex("^{{id}}$"), "axb\"c/d", false),
            (Matcher::contains("={{id}};"), "=a.b\"c/d;", true),
        ] {
            let pattern = wanted(matcher.clone()).pattern(&values, WallMicros(0)).unwrap();
            assert_eq!(pattern.matches(message.as_bytes()), matches, "{matcher:?} {message}");
        }
        // Without quotes it must be JSON by itself.
        let wanted = wanted(json("/id", "{{id}}"));
        assert!(matches!(wanted.pattern(&values, WallMicros(0)), Err(PatternError::Json { .. })));
    }

    #[test]
    fn what_is_waited_for_can_be_said() {
        let mut values = values();
        values.capture("token", "secret").unwrap();
        for (matcher, text) in [
            (Matcher::ANY, "of any kind"),
            (Matcher::contains("a\"b"), r#"containing "a\"b""#),
            (Matcher::contains("{{token}}"), r#"containing "{{token}}""#),
            (Matcher::regex("^a$"), "matching /^a$/"),
            (json("/type", "\"pong\""), r#"with /type = "pong""#),
            (json("/id", "\"{{nonce}}\""), r#"with /id = "000000000000ab12""#),
            (json("", "[1]"), "equal to [1]"),
            (value(JsonTest::Present), "with /v"),
            (value(JsonTest::Type(JsonType::Integer)), "with /v of type integer"),
            (value(JsonTest::Matches("x".into())), "with /v matching /x/"),
            (Matcher::of(Condition::Prefix(vec![1, 0xab])), "beginning with 01ab"),
        ] {
            assert_eq!(wanted(matcher).describe(&values), text);
        }
    }

    #[test]
    fn nonsense_is_named() {
        for (matcher, words) in [
            (json("a", "1"), "`a` is not a JSON pointer"),
            (json("/a", "pong"), "`pong` is not JSON"),
            (json("/a", "\"{{n}}"), "is not JSON"),
            (Matcher::regex("("), "`(` is not a regular expression"),
            (value(JsonTest::Matches("[{{n}}".into())), "not a regular expression"),
        ] {
            let error = Wanted::new(&matcher).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
