//! `{{name}}` in the texts of steps: whether an agent will have a value for each.

use std::collections::BTreeSet;

use quorate_proto::{
    Matcher, Payload, Step,
    step::{Condition, JsonTest, Reply},
};

use super::{document::Section, nearest::nearest};

/// The names that every check has.
pub(super) const OF_EVERY_CHECK: [&str; 3] = ["nonce", "now_ms", "count"];

/// Notes every placeholder that has no value where it stands, and every capture that takes a name of the agent's own.
/// What `hello` captured is known to all that follow and to the replies; what a step captured, to the steps after it.
pub(super) fn check(section: &Section<'_>, hello: &[Step], steps: &[Step], replies: &[Reply]) {
    let mut known: BTreeSet<&str> = OF_EVERY_CHECK.into_iter().collect();
    walk(section, "hello", hello, &mut known);
    let first = known.clone();
    walk(section, "steps", steps, &mut known);
    for (index, reply) in replies.iter().enumerate() {
        let mut texts = texts_of(&reply.to);
        texts.extend(text_of(&reply.with));
        verify(section, "replies", index, &texts, &first);
    }
}

fn walk<'a>(section: &Section<'_>, key: &'static str, steps: &'a [Step], known: &mut BTreeSet<&'a str>) {
    for (index, step) in steps.iter().enumerate() {
        match step {
            Step::Send(payload) => verify(section, key, index, &Vec::from_iter(text_of(payload)), known),
            Step::Stream(stream) => verify(section, key, index, &texts_of(&stream.matcher), known),
            Step::Ping { .. } => {}
            Step::Expect(expect) => {
                verify(section, key, index, &texts_of(&expect.matcher), known);
                for capture in &expect.captures {
                    if OF_EVERY_CHECK.contains(&capture.name.as_str()) {
                        let wanted =
                            format!("a capture with a name other than {}", OF_EVERY_CHECK.join(", "));
                        note(section, key, index, wanted, format!("\"{}\"", capture.name));
                    }
                    known.insert(&capture.name);
                }
            }
        }
    }
}

fn verify(section: &Section<'_>, key: &'static str, index: usize, texts: &[&str], known: &BTreeSet<&str>) {
    for name in texts.iter().flat_map(|text| names(text)) {
        if known.contains(name) {
            continue;
        }
        let wanted = match nearest(name.trim(), known.iter().copied()) {
            Some(near) => format!("a placeholder that has a value here, perhaps {{{{{near}}}}}"),
            None => {
                let known = known.iter().map(|name| format!("{{{{{name}}}}}")).collect::<Vec<_>>().join(", ");
                format!("a placeholder that has a value here ({known}), or a capture of this name before it")
            }
        };
        note(section, key, index, wanted, format!("{{{{{name}}}}}"));
    }
}

fn note(section: &Section<'_>, key: &'static str, index: usize, wanted: String, found: String) {
    match section.get(key).and_then(|item| item.list("a list")).unwrap_or_default().get(index) {
        Some(item) => item.refuse_for(wanted, found),
        // The list is the preset's of a monitor.
        None => section.document().fault(section.line(), &section.path_of(key), wanted, found),
    }
}

/// A text with something harmless in place of each placeholder, as a pattern is before it is compiled.
pub(super) fn with_examples(text: &str) -> String {
    names(text).into_iter().fold(text.to_owned(), |text, name| text.replace(&format!("{{{{{name}}}}}"), "0"))
}

/// What stands between `{{` and `}}` and could be meant as a name.
fn names(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("{{") {
        rest = after;
        let Some((name, end)) = after.split_once("}}") else { continue };
        let name_like = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b' ';
        if !name.is_empty() && name.bytes().all(name_like) {
            names.push(name);
            rest = end;
        }
    }
    names
}

fn text_of(payload: &Payload) -> Option<&str> {
    match payload {
        Payload::Text(text) => Some(text),
        Payload::Binary(_) => None,
    }
}

fn texts_of(matcher: &Matcher) -> Vec<&str> {
    matcher
        .conditions
        .iter()
        .filter_map(|condition| match condition {
            Condition::Json { test: JsonTest::Equals(text) | JsonTest::Matches(text), .. }
            | Condition::Contains(text)
            | Condition::Regex(text) => Some(text.as_str()),
            Condition::Json { test: JsonTest::Present | JsonTest::Type(_), .. } | Condition::Prefix(_) => {
                None
            }
        })
        .collect()
}
