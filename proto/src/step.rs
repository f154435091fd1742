//! What is said and expected on an open connection.
//!
//! In every text `{{nonce}}` is a fresh random token of the connection, `{{now_ms}}` the milliseconds since 1970 when the text
//! is used, `{{count}}` the number of the round trip on this connection, from 1 (0 in the hello), and `{{name}}` what an
//! earlier step captured under that name ([`crate::template`]).
//!
//! What was captured is filled in as the text around it wants it. Within a JSON string (between double quotes, behind the
//! first `{` or `[` of the text or at its very beginning) it is escaped as JSON; in a regular expression and in a JSON pointer
//! it stands for itself; everywhere else it is put in as it is, so that a captured number remains a number.

use serde::{Deserialize, Serialize};

use crate::{limits, time::Micros};

/// One thing said or expected on the open connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Send one message.
    Send(Payload),
    /// Wait for a message that matches; others are skipped, up to the agent's limit. The round trip is measured from
    /// the latest `Send` to the match.
    Expect(Expect),
    /// Take several messages of a stream, each in time.
    Stream(Stream),
    /// Send a protocol ping (RFC 6455 section 5.5.2) with a payload of its own and wait for the pong that carries it.
    Ping {
        /// At most this long, and never past the check's own deadline.
        within: Option<Micros>,
    },
}

/// The content of a data message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// A text message, after placeholders are filled.
    Text(String),
    /// A binary message, as it is.
    Binary(Vec<u8>),
}

/// A message that is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expect {
    /// Which message it is.
    pub matcher: Matcher,
    /// At most this long, and never past the check's own deadline.
    pub within: Option<Micros>,
    /// What is taken from it for later texts.
    pub captures: Vec<Capture>,
    /// What must be true of it. A message that is the one and breaks a demand fails the check.
    pub demands: Vec<Demand>,
}

/// A stream of messages that the server sends by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Which messages belong to it.
    pub matcher: Matcher,
    /// At most this long from one to the next, and to the first.
    pub every: Micros,
    /// How many a check takes. A canary that listens goes on as long as it lives.
    pub messages: u16,
    /// What must be true of each.
    pub demands: Vec<Demand>,
}

/// Which message is the one: all conditions hold. Without conditions any text or binary message is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matcher {
    /// All of these hold.
    pub conditions: Vec<Condition>,
}

/// One condition on a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// The message is JSON, and the value at `pointer` passes the test.
    Json {
        /// A JSON pointer (RFC 6901), such as `/result/id`; empty for the whole message.
        pointer: String,
        /// What the value there must be.
        test: JsonTest,
    },
    /// The message contains this text.
    Contains(String),
    /// The message matches this regular expression anywhere (the `regex-lite` dialect: no look-around, no `\p{}`).
    Regex(String),
    /// The message begins with these bytes.
    Prefix(Vec<u8>),
}

/// What a JSON value must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JsonTest {
    /// There, whatever it is; `null` is there.
    Present,
    /// Equal to this JSON text; numbers compare by value.
    Equals(String),
    /// Of this type.
    Type(JsonType),
    /// A string, or the JSON text of another value, that matches this regular expression anywhere.
    Matches(String),
}

/// The types of JSON (RFC 8259 section 3), with integers apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JsonType {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// Any number.
    Number,
    /// A number without a fraction.
    Integer,
    /// A text.
    String,
    /// A list.
    Array,
    /// A map.
    Object,
}

impl JsonType {
    /// The name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Number => "number",
            Self::Integer => "integer",
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
        }
    }
}

/// Something taken from a message for later texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// The placeholder's name: letters, digits and `_`.
    pub name: String,
    /// Where it stands.
    pub from: CaptureFrom,
}

/// Where in a message something is taken from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CaptureFrom {
    /// The value at a JSON pointer: a string without its quotes, anything else as JSON text.
    Json(String),
    /// The first group of a regular expression, or all of the match where it has none.
    Regex(String),
}

/// What must be true of a value in a message that was waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// Where the value is (RFC 6901); empty for the whole message.
    pub pointer: String,
    /// What it must do.
    pub must: Must,
}

/// What a value must do from message to message, and from check to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Must {
    /// A number (JSON, decimal text, or `0x…`) that has grown within this span, over all checks of this agent. Zero: with
    /// every message.
    Grow {
        /// At most so long may it stay the same or below.
        within: Micros,
    },
    /// A whole number that is one more than that of the message before on this connection: no gap, no repeat.
    Follow,
    /// A timestamp (seconds, milliseconds, microseconds or nanoseconds since 1970, or RFC 3339) that is at most so old, by
    /// the agent's wall clock.
    BeFresh {
        /// At most so old.
        age: Micros,
    },
}

/// What is answered whenever a message of some kind comes, such as a heartbeat of the application's own protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// To which messages. They count as life, and no step gets to see them.
    pub to: Matcher,
    /// With what.
    pub with: Payload,
}

impl Step {
    /// A text message.
    pub fn send(text: impl Into<String>) -> Self {
        Self::Send(Payload::Text(text.into()))
    }

    /// A message that is waited for, and nothing asked of it beyond that.
    pub fn expect(matcher: Matcher, within: Option<Micros>) -> Self {
        Self::Expect(Expect { matcher, within, captures: Vec::new(), demands: Vec::new() })
    }

    pub(crate) fn is_within_limits(&self) -> bool {
        match self {
            Self::Send(payload) => payload.is_within_limits(),
            Self::Ping { .. } => true,
            Self::Expect(Expect { matcher, within: _, captures, demands }) => {
                matcher.is_within_limits()
                    && captures.len() <= limits::CAPTURES_MAX
                    && captures.iter().all(Capture::is_within_limits)
                    && are_within_limits(demands)
            }
            Self::Stream(Stream { matcher, every: _, messages, demands }) => {
                matcher.is_within_limits()
                    && (1..=limits::STREAM_MESSAGES_MAX).contains(messages)
                    && are_within_limits(demands)
            }
        }
    }
}

fn are_within_limits(demands: &[Demand]) -> bool {
    demands.len() <= limits::DEMANDS_MAX
        && demands.iter().all(|demand| demand.pointer.len() <= limits::STEP_TEXT_BYTES_MAX)
}

impl Payload {
    /// Bytes of its content, before placeholders are filled.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    fn is_within_limits(&self) -> bool {
        self.bytes() <= limits::STEP_TEXT_BYTES_MAX
    }
}

impl Matcher {
    /// Any text or binary message.
    pub const ANY: Self = Self { conditions: Vec::new() };

    /// One condition.
    pub fn of(condition: Condition) -> Self {
        Self { conditions: vec![condition] }
    }

    /// The message contains this text.
    pub fn contains(text: impl Into<String>) -> Self {
        Self::of(Condition::Contains(text.into()))
    }

    /// The message matches this regular expression.
    pub fn regex(pattern: impl Into<String>) -> Self {
        Self::of(Condition::Regex(pattern.into()))
    }

    /// The value at a JSON pointer equals a JSON text.
    pub fn json_equals(pointer: impl Into<String>, value: impl Into<String>) -> Self {
        Self::of(Condition::Json { pointer: pointer.into(), test: JsonTest::Equals(value.into()) })
    }

    pub(crate) fn is_within_limits(&self) -> bool {
        self.conditions.len() <= limits::CONDITIONS_MAX
            && self.conditions.iter().all(|condition| condition.bytes() <= limits::STEP_TEXT_BYTES_MAX)
    }
}

impl Condition {
    /// Bytes of all its texts.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Json { pointer, test } => {
                pointer.len()
                    + match test {
                        JsonTest::Present | JsonTest::Type(_) => 0,
                        JsonTest::Equals(text) | JsonTest::Matches(text) => text.len(),
                    }
            }
            Self::Contains(text) | Self::Regex(text) => text.len(),
            Self::Prefix(bytes) => bytes.len(),
        }
    }
}

impl Capture {
    /// The pointer or the regular expression.
    pub fn text(&self) -> &str {
        let (CaptureFrom::Json(text) | CaptureFrom::Regex(text)) = &self.from;
        text
    }

    fn is_within_limits(&self) -> bool {
        (1..=limits::NAME_BYTES_MAX).contains(&self.name.len())
            && self.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && self.text().len() <= limits::STEP_TEXT_BYTES_MAX
    }
}

impl Reply {
    pub(crate) fn is_within_limits(&self) -> bool {
        self.to.is_within_limits() && self.with.is_within_limits()
    }
}
