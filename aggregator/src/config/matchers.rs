//! Which message is waited for: `expect = { … }` and `to = { … }`. All conditions of one table hold together.

use quorate_proto::{
    Matcher, limits,
    step::{Condition, JsonTest, JsonType},
    template,
};
use toml::de::DeValue;

use super::{
    bytes::{base64, hex},
    document::{Item, Section},
};

const JSON_TYPES: [JsonType; 7] = [
    JsonType::Null,
    JsonType::Boolean,
    JsonType::Number,
    JsonType::Integer,
    JsonType::String,
    JsonType::Array,
    JsonType::Object,
];

/// Reads the table of one matcher.
pub(super) fn matcher(item: &Item<'_>) -> Option<Matcher> {
    let section = item.section()?;
    let any = section.get("any");
    let all = section.get("all");
    let mut conditions = conditions(&section);
    for part in
        all.as_ref().and_then(|item| item.list("a list of tables, each with conditions")).unwrap_or_default()
    {
        let Some(section) = part.section() else { continue };
        let more = self::conditions(&section);
        if more.as_ref().is_some_and(Vec::is_empty) {
            part.refuse_for(WANTED, "none of them");
        }
        section.close();
        conditions = conditions.zip(more).map(|(mut conditions, more)| {
            conditions.extend(more);
            conditions
        });
    }
    section.close();
    let conditions = conditions?;
    match (any, conditions.len()) {
        (Some(any), _) if any.boolean() != Some(true) => any.refuse("any = true"),
        (Some(any), 1..) => any.refuse_for("any alone", "any beside other conditions"),
        (None, 0) => item.refuse_for(WANTED, "none of them"),
        (_, count) if count > limits::CONDITIONS_MAX => {
            item.refuse_for(format!("at most {} conditions", limits::CONDITIONS_MAX), count.to_string());
        }
        (Some(_), 0) | (None, _) => return Some(Matcher { conditions }),
    }
    None
}

const WANTED: &str = "one or more of json, contains, regex, prefix_hex and prefix_base64, or any = true";

/// The conditions of one table; none where one of them has a fault.
fn conditions(section: &Section<'_>) -> Option<Vec<Condition>> {
    let mut read: Vec<Option<Condition>> = Vec::new();
    json(section, &mut read);
    if let Some(item) = section.get("contains") {
        read.push(bounded_text(&item, "a text that the message contains").map(Condition::Contains));
    }
    if let Some(item) = section.get("regex") {
        read.push(regular_expression(&item).map(Condition::Regex));
    }
    if let Some(item) = section.get("prefix_hex") {
        read.push(hex(&item).and_then(|bytes| some_bytes(&item, bytes)).map(Condition::Prefix));
    }
    if let Some(item) = section.get("prefix_base64") {
        read.push(base64(&item).and_then(|bytes| some_bytes(&item, bytes)).map(Condition::Prefix));
    }
    read.into_iter().collect()
}

fn some_bytes(item: &Item<'_>, bytes: Vec<u8>) -> Option<Vec<u8>> {
    if bytes.is_empty() {
        item.refuse_for("at least one byte", "none");
        return None;
    }
    Some(bytes)
}

/// `json = "/pointer"` with its test beside it, or `json = { "/pointer" = value, … }`.
fn json(section: &Section<'_>, read: &mut Vec<Option<Condition>>) {
    let tests: Vec<Item<'_>> =
        ["equals", "type", "matches", "present"].into_iter().filter_map(|key| section.get(key)).collect();
    let Some(json) = section.get("json") else {
        if let Some(test) = tests.first() {
            test.refuse_for("json = \"/pointer\" beside it, which says where", "none");
            read.push(None);
        }
        return;
    };
    if json.is_table() {
        for test in &tests {
            test.refuse_for("a test beside json = \"/pointer\"", "a table of pointers and values");
            read.push(None);
        }
        for (key, value) in json.section().map(|section| section.entries()).unwrap_or_default() {
            let condition = is_pointer(&key).then(|| equals(key.clone(), &value)).flatten();
            if !is_pointer(&key) {
                value.refuse_for(POINTER, format!("{key:?}"));
            }
            read.push(condition);
        }
        return;
    }
    let pointer = pointer(&json);
    let [test] = tests.as_slice() else {
        let wanted = "one of equals, type, matches and present = true beside json";
        json.refuse_for(wanted, if tests.is_empty() { "json alone" } else { "several" });
        return read.push(None);
    };
    read.push(pointer.and_then(|pointer| condition(pointer, section, test)));
}

fn condition(pointer: String, section: &Section<'_>, item: &Item<'_>) -> Option<Condition> {
    let test = if section.has("equals") {
        return equals(pointer, item);
    } else if section.has("type") {
        JsonTest::Type(json_type(item)?)
    } else if section.has("matches") {
        JsonTest::Matches(regular_expression(item)?)
    } else {
        if item.boolean() != Some(true) {
            item.refuse("present = true");
            return None;
        }
        JsonTest::Present
    };
    bounded(Condition::Json { pointer, test }, item)
}

fn equals(pointer: String, value: &Item<'_>) -> Option<Condition> {
    let test = JsonTest::Equals(json_value(value)?.to_string());
    bounded(Condition::Json { pointer, test }, value)
}

fn bounded(condition: Condition, item: &Item<'_>) -> Option<Condition> {
    if condition.bytes() > limits::STEP_TEXT_BYTES_MAX {
        let wanted = format!("pointer and value of at most {} bytes", limits::STEP_TEXT_BYTES_MAX);
        item.refuse_for(wanted, format!("{} bytes", condition.bytes()));
        return None;
    }
    Some(condition)
}

fn json_type(item: &Item<'_>) -> Option<JsonType> {
    let names = JSON_TYPES.map(JsonType::name);
    let wanted = format!("one of the types {}", names.join(", "));
    let text = item.text(&wanted)?;
    let found = JSON_TYPES.into_iter().find(|known| known.name() == text);
    if found.is_none() {
        item.refuse(wanted);
    }
    found
}

const POINTER: &str = "a JSON pointer, such as \"/type\", or \"\" for the whole message";

/// A JSON pointer (RFC 6901).
pub(super) fn pointer(item: &Item<'_>) -> Option<String> {
    let text = item.text(POINTER)?;
    if !is_pointer(&text) || text.len() > limits::STEP_TEXT_BYTES_MAX {
        item.refuse(POINTER);
        return None;
    }
    Some(text)
}

/// RFC 6901 section 3: empty, or `/` and tokens in which `~` stands only before `0` and `1`.
fn is_pointer(text: &str) -> bool {
    let escaped = text.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
    (text.is_empty() || text.starts_with('/')) && escaped
}

/// A regular expression of the dialect that agents have; it is compiled here so that no agent has to refuse it.
pub(super) fn regular_expression(item: &Item<'_>) -> Option<String> {
    let text = bounded_text(item, "a regular expression")?;
    if let Err(error) = regex_lite::Regex::new(&template::sample(&text)) {
        item.refuse_for("a regular expression without look-around and \\p{}", error.to_string());
        return None;
    }
    Some(text)
}

/// A text that is not empty and fits a step.
pub(super) fn bounded_text(item: &Item<'_>, wanted: &str) -> Option<String> {
    let text = item.text(wanted)?;
    if text.is_empty() || text.len() > limits::STEP_TEXT_BYTES_MAX {
        let wanted = format!("{wanted}, of 1 to {} bytes", limits::STEP_TEXT_BYTES_MAX);
        item.refuse_for(wanted, format!("{} bytes", text.len()));
        return None;
    }
    Some(text)
}

/// A TOML value as the JSON value that it stands for.
pub(super) fn json_value(item: &Item<'_>) -> Option<serde_json::Value> {
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
