//! `steps`: what is said on an open connection, and what must come back.

use quorate_proto::{Matcher, Micros, Step, limits};
use toml::de::DeValue;

use super::{
    document::{Item, Section},
    spans::span,
};

/// The steps of a monitor. Without the key: one protocol ping; an empty list: the upgrade alone.
pub(super) fn steps(section: &Section<'_>, timeout: Micros) -> Vec<Step> {
    const WANTED: &str =
        "a list of steps, such as [{ send = \"hello\" }, { expect = { contains = \"hello\" } }]";
    let Some(item) = section.get("steps") else { return vec![Step::Ping { within: None }] };
    let items = item.list(WANTED).unwrap_or_default();
    if items.len() > limits::STEPS_MAX {
        item.refuse_for(format!("at most {} steps", limits::STEPS_MAX), items.len().to_string());
        return Vec::new();
    }
    items.iter().filter_map(|item| step(item, timeout)).collect()
}

fn step(item: &Item<'_>, timeout: Micros) -> Option<Step> {
    const WANTED: &str = "one of send, expect and ping in each step";
    let section = item.section()?;
    let send = section.get("send");
    let expect = section.get("expect");
    let ping = section.get("ping");
    let within_item = section.get("within");
    let within = within_item.as_ref().and_then(|item| span(item, Micros::from_millis(1)..=timeout));
    let kinds: Vec<&str> = [(&send, "send"), (&expect, "expect"), (&ping, "ping")]
        .into_iter()
        .filter_map(|(item, name)| item.is_some().then_some(name))
        .collect();
    let step = match (send, expect, ping) {
        (Some(send), None, None) => {
            if let Some(within) = within_item {
                within.refuse_for("no within: sending is not waiting", "within beside send");
            }
            bounded_text(&send, "the text to send").map(Step::send)
        }
        (None, Some(expect), None) => matcher(&expect).map(|matcher| Step::expect(matcher, within)),
        (None, None, Some(ping)) => {
            if ping.boolean() == Some(false) {
                ping.refuse("ping = true");
            }
            Some(Step::Ping { within })
        }
        _ => {
            item.refuse_for(WANTED, if kinds.is_empty() { "none".to_owned() } else { kinds.join(" and ") });
            None
        }
    };
    section.close();
    step
}

fn matcher(item: &Item<'_>) -> Option<Matcher> {
    const WANTED: &str = "one of json with equals, contains, regex and any";
    let section = item.section()?;
    let (json, equals) = (section.get("json"), section.get("equals"));
    let (contains, regex, any) = (section.get("contains"), section.get("regex"), section.get("any"));
    let matcher = match (json, equals, contains, regex, any) {
        (Some(json), Some(equals), None, None, None) => json_equals(&json, &equals),
        (Some(json), None, None, None, None) => {
            json.refuse_for("equals beside json", "json alone");
            None
        }
        (None, None, Some(contains), None, None) => {
            bounded_text(&contains, "a text that the message contains").map(Matcher::contains)
        }
        (None, None, None, Some(regex), None) => regular_expression(&regex),
        (None, None, None, None, Some(any)) => {
            if any.boolean() == Some(false) {
                any.refuse("any = true");
            }
            Some(Matcher::ANY)
        }
        _ => {
            item.refuse_for(WANTED, "none of them, or several");
            None
        }
    };
    section.close();
    matcher
}

fn bounded_text(item: &Item<'_>, wanted: &str) -> Option<String> {
    let text = item.text(wanted)?;
    if text.is_empty() || text.len() > limits::STEP_TEXT_BYTES_MAX {
        let wanted = format!("{wanted}, of 1 to {} bytes", limits::STEP_TEXT_BYTES_MAX);
        item.refuse_for(wanted, format!("{} bytes", text.len()));
        return None;
    }
    Some(text)
}

fn json_equals(json: &Item<'_>, equals: &Item<'_>) -> Option<Matcher> {
    const WANTED: &str = "a JSON pointer, such as \"/type\", or \"\" for the whole message";
    let pointer = json.text(WANTED).filter(|pointer| {
        let good = pointer.is_empty() || pointer.starts_with('/');
        if !good {
            json.refuse(WANTED);
        }
        good
    });
    let value = json_value(equals)?.to_string();
    let pointer = pointer?;
    if pointer.len() + value.len() > limits::STEP_TEXT_BYTES_MAX {
        let wanted = format!("pointer and value of at most {} bytes", limits::STEP_TEXT_BYTES_MAX);
        equals.refuse_for(wanted, format!("{} bytes", pointer.len() + value.len()));
        return None;
    }
    Some(Matcher::json_equals(pointer, value))
}

/// A TOML value as the JSON value that it stands for.
fn json_value(item: &Item<'_>) -> Option<serde_json::Value> {
    const WANTED: &str = "a value that JSON has";
    match item.value() {
        DeValue::String(_) => item.text(WANTED).map(serde_json::Value::String),
        DeValue::Integer(_) => {
            let integer = item.integer();
            if integer.is_none() {
                item.refuse("a whole number of 64 bits");
            }
            integer.map(serde_json::Value::from)
        }
        DeValue::Float(float) => {
            let number = float.as_str().parse().ok().and_then(serde_json::Number::from_f64);
            if number.is_none() {
                item.refuse(WANTED);
            }
            number.map(serde_json::Value::Number)
        }
        DeValue::Boolean(boolean) => Some((*boolean).into()),
        DeValue::Datetime(_) => {
            item.refuse(WANTED);
            None
        }
        DeValue::Array(_) => {
            item.list(WANTED)?.iter().map(json_value).collect::<Option<Vec<_>>>().map(Into::into)
        }
        DeValue::Table(_) => {
            let entries = item.section()?.entries();
            let values = entries.into_iter().map(|(key, item)| Some((key, json_value(&item)?)));
            values.collect::<Option<serde_json::Map<_, _>>>().map(Into::into)
        }
    }
}

/// A regular expression of the dialect that agents have; it is compiled here so that no agent has to refuse it.
fn regular_expression(item: &Item<'_>) -> Option<Matcher> {
    let text = bounded_text(item, "a regular expression")?;
    if let Err(error) = regex_lite::Regex::new(&text) {
        item.refuse_for("a regular expression without look-around and \\p{}", error.to_string());
        return None;
    }
    Some(Matcher::regex(text))
}
