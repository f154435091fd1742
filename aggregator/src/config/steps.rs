//! `hello` and `steps`: what is said on an open connection, and what must come back.

use quorate_proto::{
    Matcher, Micros, Payload, Step, limits,
    step::{Capture, CaptureFrom, Expect, Stream},
};

use super::{
    bytes::{base64, hex},
    demands::demands,
    document::{Item, Section},
    matchers::{bounded_text, json_value, matcher, pointer, regular_expression},
    spans::span,
};

/// The keys of which a step has one, and `expect` beside `expect_every`.
const KINDS: [&str; 7] = ["send", "send_json", "send_hex", "send_base64", "expect", "expect_every", "ping"];
const SENDING: [&str; 4] = ["send", "send_json", "send_hex", "send_base64"];
const WAITING: [&str; 6] = ["within", "capture", "messages", "grow", "follow", "fresh"];

/// A list of steps under a key, where it is there. `timeout` is the deadline around all of them.
pub(super) fn steps(section: &Section<'_>, key: &'static str, timeout: Micros) -> Option<Vec<Step>> {
    const WANTED: &str =
        "a list of steps, such as [{ send = \"hello\" }, { expect = { contains = \"hello\" } }]";
    let item = section.get(key)?;
    let items = item.list(WANTED).unwrap_or_default();
    if items.len() > limits::STEPS_MAX {
        item.refuse_for(format!("at most {} steps", limits::STEPS_MAX), items.len().to_string());
        return Some(Vec::new());
    }
    Some(items.iter().filter_map(|item| step(item, timeout)).collect())
}

fn step(item: &Item<'_>, timeout: Micros) -> Option<Step> {
    const WANTED: &str =
        "one of send, send_json, send_hex, send_base64, expect, expect_every and ping in each step";
    let section = item.section()?;
    if !applies(&section) {
        return None;
    }
    let kinds: Vec<&str> = KINDS.into_iter().filter(|kind| section.get(kind).is_some()).collect();
    // Asked for in every kind of step, so that a slip in one of them is found out as such.
    for key in WAITING {
        section.get(key);
    }
    let step = match kinds.as_slice() {
        [kind] if SENDING.contains(kind) => {
            only(&section, "sending", &[]);
            payload(&section).map(Step::Send)
        }
        ["expect"] => {
            only(&section, "expect", &["within", "capture", "grow", "follow", "fresh"]);
            expect(&section, timeout).map(Step::Expect)
        }
        ["expect_every"] | ["expect", "expect_every"] => {
            only(&section, "expect_every", &["messages", "grow", "follow", "fresh"]);
            stream(&section, timeout).map(Step::Stream)
        }
        ["ping"] => {
            only(&section, "ping", &["within"]);
            if let Some(ping) = section.get("ping").filter(|ping| ping.boolean() == Some(false)) {
                ping.refuse("ping = true");
            }
            Some(Step::Ping { within: within(&section, timeout) })
        }
        [] => {
            item.refuse_for(WANTED, "none");
            None
        }
        several => {
            item.refuse_for(WANTED, several.join(" and "));
            None
        }
    };
    section.close();
    step
}

/// Whether a preset's `when = "parameter"` and `unless = "parameter"` let a table count; in every other file they are
/// unknown keys. A parameter that is empty is not there. A table that does not count is not read any further.
pub(super) fn applies(section: &Section<'_>) -> bool {
    let document = section.document();
    let names = document.parameter_names();
    if names.is_empty() {
        return true;
    }
    let is_set = |key: &'static str| {
        let item = section.get(key)?;
        let name = item.text("a parameter of this preset")?;
        let value = document.parameter(&name);
        if value.is_none() {
            item.refuse(format!("one of the parameters {}", names.join(", ")));
        }
        Some(value.is_some_and(|value| !value.is_empty()))
    };
    is_set("when").unwrap_or(true) && !is_set("unless").unwrap_or(false)
}

/// Refuses keys that belong to another kind of step.
fn only(section: &Section<'_>, kind: &str, allowed: &[&str]) {
    for key in WAITING.into_iter().filter(|key| !allowed.contains(key)) {
        if let Some(item) = section.get(key) {
            let wanted = match (kind, key) {
                ("sending", "within") => "no within: sending is not waiting".to_owned(),
                ("expect_every", "within") => "no within: expect_every is the time".to_owned(),
                (_, "messages") => "messages beside expect_every alone".to_owned(),
                _ => format!("no {key} beside {kind}"),
            };
            item.refuse_for(wanted, key);
        }
    }
}

/// What one of `send`, `send_json`, `send_hex` and `send_base64` says to send; none where none of them stands there.
pub(super) fn payload(section: &Section<'_>) -> Option<Payload> {
    let [text, json, digits, encoded] = SENDING.map(|key| section.get(key));
    if let Some(item) = text {
        return bounded_text(&item, "the text to send").map(Payload::Text);
    }
    if let Some(item) = json {
        let text = json_value(&item)?.to_string();
        if text.len() > limits::STEP_TEXT_BYTES_MAX {
            let wanted = format!("JSON of at most {} bytes", limits::STEP_TEXT_BYTES_MAX);
            item.refuse_for(wanted, format!("{} bytes", text.len()));
            return None;
        }
        return Some(Payload::Text(text));
    }
    if let Some(item) = digits {
        return hex(&item).map(Payload::Binary);
    }
    base64(&encoded?).map(Payload::Binary)
}

fn expect(section: &Section<'_>, timeout: Micros) -> Option<Expect> {
    let matcher = section.get("expect").and_then(|item| matcher(&item));
    let within = within(section, timeout);
    let captures = captures(section);
    let demands = demands(section);
    Some(Expect { matcher: matcher?, within, captures, demands })
}

fn stream(section: &Section<'_>, timeout: Micros) -> Option<Stream> {
    let every = section.get("expect_every").and_then(|item| waiting_time(&item, timeout));
    let matcher = match section.get("expect") {
        Some(item) => matcher(&item),
        None => Some(Matcher::ANY),
    };
    let messages = match section.get("messages") {
        Some(item) => counted(&item, limits::STREAM_MESSAGES_MAX, "messages"),
        None => Some(1),
    };
    let demands = demands(section);
    Some(Stream { matcher: matcher?, every: every?, messages: messages?, demands })
}

fn within(section: &Section<'_>, timeout: Micros) -> Option<Micros> {
    waiting_time(&section.get("within")?, timeout)
}

/// A span that a check can wait for. A preset knows nothing of the timeout: its spans are cut to it.
fn waiting_time(item: &Item<'_>, timeout: Micros) -> Option<Micros> {
    if item.document().is_preset() {
        return span(item, Micros::from_millis(1)..=limits::TIMEOUT_MAX).map(|span| span.min(timeout));
    }
    span(item, Micros::from_millis(1)..=timeout)
}

/// A whole number from 1 to a bound.
pub(super) fn counted(item: &Item<'_>, max: u16, what: &str) -> Option<u16> {
    let number = item.integer().and_then(|number| u16::try_from(number).ok());
    let number = number.filter(|number| (1..=max).contains(number));
    if number.is_none() {
        item.refuse(format!("a number of {what} from 1 to {max}"));
    }
    number
}

/// `capture = { name = "/pointer" }` or `{ name = { regex = "…" } }`.
fn captures(section: &Section<'_>) -> Vec<Capture> {
    let Some(item) = section.get("capture") else { return Vec::new() };
    let entries = item.section().map(|section| section.entries()).unwrap_or_default();
    if entries.len() > limits::CAPTURES_MAX {
        item.refuse_for(format!("at most {} captures", limits::CAPTURES_MAX), entries.len().to_string());
    }
    entries.into_iter().filter_map(|(name, item)| capture(name, &item)).collect()
}

fn capture(name: String, item: &Item<'_>) -> Option<Capture> {
    let fits = (1..=limits::NAME_BYTES_MAX).contains(&name.len());
    if !fits || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        let wanted = format!("a name of letters, digits and '_', of 1 to {} bytes", limits::NAME_BYTES_MAX);
        item.refuse_for(wanted, format!("{name:?}"));
        return None;
    }
    if !item.is_table() {
        return Some(Capture { name, from: CaptureFrom::Json(pointer(item)?) });
    }
    let section = item.section()?;
    let (json, regex) = (section.get("json"), section.get("regex"));
    let from = match (json, regex) {
        (Some(json), None) => pointer(&json).map(CaptureFrom::Json),
        (None, Some(regex)) => regular_expression(&regex).map(CaptureFrom::Regex),
        (Some(_), Some(_)) | (None, None) => {
            item.refuse_for("a JSON pointer, or { regex = \"…\" }", "something else");
            None
        }
    };
    section.close();
    Some(Capture { name, from: from? })
}
