//! Placeholders in the texts of steps: where they stand, and whether something fills each of them.
//!
//! A placeholder is `{{`, a name of letters, digits and `_`, and `}}`. Anything else between braces is plain text, so that
//! JSON and regular expressions need no care.

use std::fmt;

use crate::{
    limits,
    step::{Capture, Condition, Expect, JsonTest, Matcher, Payload, Reply, Step, Stream},
};

/// What is there without being captured.
pub const BUILT_IN: [&str; 3] = ["nonce", "now_ms", "count"];

/// A piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'text> {
    /// As it is.
    Text(&'text str),
    /// The name between the braces.
    Placeholder(&'text str),
}

/// The pieces of a text, in order.
#[derive(Clone, Debug)]
pub struct Parts<'text> {
    rest: &'text str,
}

/// Cuts a text into its pieces.
pub fn parts(text: &str) -> Parts<'_> {
    Parts { rest: text }
}

/// The names of the placeholders in a text.
pub fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    parts(text).filter_map(|part| match part {
        Part::Text(_) => None,
        Part::Placeholder(name) => Some(name),
    })
}

/// The text with a `0` in the place of every placeholder: as a number, within a string, in a pointer and in a regular
/// expression it is what a filled placeholder may be, so that the text can be judged before anything is captured.
pub fn sample(text: &str) -> String {
    parts(text)
        .map(|part| match part {
            Part::Text(text) => text,
            Part::Placeholder(_) => "0",
        })
        .collect()
}

/// One step or reply of a monitor, by its place in its list, from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Of [`crate::MonitorSpec::hello`].
    Hello(usize),
    /// Of [`crate::MonitorSpec::steps`].
    Step(usize),
    /// Of [`crate::MonitorSpec::replies`].
    Reply(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hello(index) => write!(f, "hello step {}", index + 1),
            Self::Step(index) => write!(f, "step {}", index + 1),
            Self::Reply(index) => write!(f, "reply {}", index + 1),
        }
    }
}

/// What is wrong with a placeholder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateFault {
    /// Nothing said before captures it.
    #[error("nothing before it captures {{{{{0}}}}}; nonce, now_ms and count are there without")]
    NotCaptured(String),
    /// Something is captured under the name of what is there anyway.
    #[error("{{{{{0}}}}} is there without being captured: another name is wanted")]
    BuiltIn(String),
    /// It stands in what tells a message that is replied to, and such a message may come at any time.
    #[error("{{{{{0}}}}} cannot stand in what is replied to, only in the reply")]
    InReplyTo(String),
}

/// Everything that is wrong with the placeholders of a monitor, in the order of its lists.
///
/// What a step uses must be captured by a step before it; the hello comes before the steps, and what one round trip
/// captures is there for the next. A reply may use whatever the hello or a step captures: until that is captured it is not
/// given.
pub fn faults(hello: &[Step], steps: &[Step], replies: &[Reply]) -> Vec<(Place, TemplateFault)> {
    let mut found = Vec::new();
    let mut captured: Vec<&str> = BUILT_IN.to_vec();
    let hello = hello.iter().enumerate().map(|(index, step)| (Place::Hello(index), step));
    let steps = steps.iter().enumerate().map(|(index, step)| (Place::Step(index), step));
    for (place, step) in hello.chain(steps) {
        for name in step.texts().into_iter().flat_map(placeholders) {
            if !captured.contains(&name) {
                found.push((place, TemplateFault::NotCaptured(name.to_owned())));
            }
        }
        for Capture { name, .. } in step.captures() {
            if BUILT_IN.contains(&name.as_str()) {
                found.push((place, TemplateFault::BuiltIn(name.clone())));
            }
            captured.push(name);
        }
    }
    for (index, Reply { to, with }) in replies.iter().enumerate() {
        let place = Place::Reply(index);
        for name in to.texts().into_iter().flat_map(placeholders) {
            found.push((place, TemplateFault::InReplyTo(name.to_owned())));
        }
        for name in with.texts().into_iter().flat_map(placeholders) {
            if !captured.contains(&name) {
                found.push((place, TemplateFault::NotCaptured(name.to_owned())));
            }
        }
    }
    found
}

impl<'text> Iterator for Parts<'text> {
    type Item = Part<'text>;

    fn next(&mut self) -> Option<Part<'text>> {
        if self.rest.is_empty() {
            return None;
        }
        if let Some((name, behind)) = leading(self.rest) {
            self.rest = behind;
            return Some(Part::Placeholder(name));
        }
        let opening = self.rest.match_indices('{').map(|(at, _)| at).skip_while(|at| *at == 0);
        let split = opening.filter_map(|at| self.rest.split_at_checked(at));
        let next = split.into_iter().find(|(_, behind)| leading(behind).is_some());
        let (text, behind) = next.unwrap_or((self.rest, ""));
        self.rest = behind;
        Some(Part::Text(text))
    }
}

/// The name of the placeholder that a text begins with, and what is behind it.
fn leading(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix("{{")?;
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let length = inner.find(|character| !is_part(character))?;
    let (name, behind) = inner.split_at_checked(length)?;
    let behind = behind.strip_prefix("}}")?;
    (1..=limits::NAME_BYTES_MAX).contains(&name.len()).then_some((name, behind))
}

impl Step {
    /// Every text of the step in which placeholders are filled.
    pub fn texts(&self) -> Vec<&str> {
        match self {
            Self::Send(payload) => payload.texts(),
            Self::Ping { within: _ } => Vec::new(),
            Self::Expect(Expect { matcher, within: _, captures, demands }) => {
                let captures = captures.iter().map(Capture::text);
                let demands = demands.iter().map(|demand| demand.pointer.as_str());
                matcher.texts().into_iter().chain(captures).chain(demands).collect()
            }
            Self::Stream(Stream { matcher, every: _, messages: _, demands }) => {
                let demands = demands.iter().map(|demand| demand.pointer.as_str());
                matcher.texts().into_iter().chain(demands).collect()
            }
        }
    }

    /// What the step takes for later texts.
    pub fn captures(&self) -> &[Capture] {
        match self {
            Self::Expect(expect) => &expect.captures,
            Self::Send(_) | Self::Stream(_) | Self::Ping { .. } => &[],
        }
    }
}

impl Payload {
    fn texts(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => vec![text],
            Self::Binary(_) => Vec::new(),
        }
    }
}

impl Matcher {
    fn texts(&self) -> Vec<&str> {
        self.conditions.iter().flat_map(Condition::texts).collect()
    }
}

impl Condition {
    /// Every text of the condition in which placeholders are filled.
    pub fn texts(&self) -> Vec<&str> {
        match self {
            Self::Json { pointer, test: JsonTest::Equals(text) | JsonTest::Matches(text) } => {
                vec![pointer, text]
            }
            Self::Json { pointer, test: JsonTest::Present | JsonTest::Type(_) } => vec![pointer],
            Self::Contains(text) | Self::Regex(text) => vec![text],
            Self::Prefix(_) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::CaptureFrom;

    fn joined(text: &str) -> String {
        let part = |part| match part {
            Part::Text(text) => text.to_owned(),
            Part::Placeholder(name) => format!("<{name}>"),
        };
        parts(text).map(part).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn placeholders_are_told_from_braces() {
        for (text, wanted) in [
            ("", ""),
            ("plain", "plain"),
            ("{{nonce}}", "<nonce>"),
            ("a{{b}}{{c_1}}d", "a|<b>|<c_1>|d"),
            ("{{{n}}}", "{|<n>|}"),
            (r#"{"a":{"b":{{count}}}}"#, r#"{"a":{"b":|<count>|}}"#),
            (r#"{"a":{"b":{}}}"#, r#"{"a":{"b":{}}}"#),
            ("{{a b}} {{}} {{a} {a}} {{ä}} {{a", "{{a b}} {{}} {{a} {a}} {{ä}} {{a"),
            ("ä{{{{x}}ö", "ä{{|<x>|ö"),
        ] {
            assert_eq!(joined(text), wanted, "{text}");
        }
        let long = format!("{{{{{}}}}}", "n".repeat(limits::NAME_BYTES_MAX + 1));
        assert_eq!(joined(&long), long);
        assert_eq!(sample(r#"{"id":"{{a}}","n":{{b}}}"#), r#"{"id":"0","n":0}"#);
    }

    #[test]
    fn what_nothing_fills_is_named_with_its_place() {
        let take = |matcher: Matcher, name: &str| {
            let captures = vec![Capture { name: name.into(), from: CaptureFrom::Json("/{{at}}".into()) }];
            Step::Expect(Expect { matcher, within: None, captures, demands: Vec::new() })
        };
        let hello = [Step::send("{{nonce}} {{token}}"), take(Matcher::ANY, "token"), Step::send("{{token}}")];
        let steps = [
            Step::send("{{token}} {{now_ms}} {{count}} {{later}}"),
            take(Matcher::json_equals("/{{none}}", "{{token}}"), "later"),
            take(Matcher::regex("{{later}}"), "nonce"),
        ];
        let reply = |to, with: &str| Reply { to, with: Payload::Text(with.into()) };
        let replies =
            [reply(Matcher::contains("{{token}}"), "{{later}}"), reply(Matcher::ANY, "{{missing}}")];
        let found: Vec<_> = faults(&hello, &steps, &replies)
            .into_iter()
            .map(|(place, fault)| format!("{place}: {fault}"))
            .collect();
        let missing = |place: &str, name: &str| {
            format!(
                "{place}: nothing before it captures {{{{{name}}}}}; nonce, now_ms and count are there without"
            )
        };
        assert_eq!(
            found,
            [
                missing("hello step 1", "token"),
                missing("hello step 2", "at"),
                missing("step 1", "later"),
                missing("step 2", "none"),
                missing("step 2", "at"),
                missing("step 3", "at"),
                "step 3: {{nonce}} is there without being captured: another name is wanted".to_owned(),
                "reply 1: {{token}} cannot stand in what is replied to, only in the reply".to_owned(),
                missing("reply 2", "missing"),
            ]
        );
    }
}
