//! `grow`, `follow` and `fresh`: what must be true of a message that was waited for.

use quorate_proto::{
    Micros, limits,
    step::{Demand, Must},
};

use super::{
    document::{Item, Section},
    matchers::pointer,
    spans::span,
};

/// The longest span of a demand: what stands still for a week is watched by other means.
const SPAN_MAX: Micros = Micros::from_secs(7 * 86_400);

/// The demands of a step. Each is `key = "/pointer"`, a table with `json = "/pointer"` and the span, or a list of such.
pub(super) fn demands(section: &Section<'_>) -> Vec<Demand> {
    let mut demands = Vec::new();
    for item in several(section, "grow") {
        demands.extend(grow(&item));
    }
    for item in several(section, "follow") {
        demands.extend(pointer(&item).map(|pointer| Demand { pointer, must: Must::Follow }));
    }
    for item in several(section, "fresh") {
        demands.extend(fresh(&item));
    }
    if demands.len() > limits::DEMANDS_MAX {
        let wanted = format!("at most {} demands on one message", limits::DEMANDS_MAX);
        section.document().fault(section.line(), &section.path_of("grow"), wanted, demands.len().to_string());
    }
    demands
}

fn several<'d>(section: &Section<'d>, key: &'static str) -> Vec<Item<'d>> {
    let Some(item) = section.get(key) else { return Vec::new() };
    match item.value().as_array() {
        Some(_) => item.list("a list").unwrap_or_default(),
        None => vec![item],
    }
}

/// Without a span it must grow with every message.
fn grow(item: &Item<'_>) -> Option<Demand> {
    if !item.is_table() {
        return Some(Demand { pointer: pointer(item)?, must: Must::Grow { within: Micros::ZERO } });
    }
    let section = item.section()?;
    let pointer = section.require("json", "a JSON pointer, such as \"/seq\"").and_then(|item| pointer(&item));
    let within = match section.get("within") {
        Some(item) => span(&item, Micros::ZERO..=SPAN_MAX),
        None => Some(Micros::ZERO),
    };
    section.close();
    Some(Demand { pointer: pointer?, must: Must::Grow { within: within? } })
}

fn fresh(item: &Item<'_>) -> Option<Demand> {
    const WANTED: &str = "{ json = \"/pointer\", age = \"5s\" }";
    if !item.is_table() {
        item.refuse(WANTED);
        return None;
    }
    let section = item.section()?;
    let pointer =
        section.require("json", "a JSON pointer, such as \"/time\"").and_then(|item| pointer(&item));
    let age = section
        .require("age", "the greatest age, such as \"5s\"")
        .and_then(|item| span(&item, Micros::from_millis(1)..=SPAN_MAX));
    section.close();
    Some(Demand { pointer: pointer?, must: Must::BeFresh { age: age? } })
}
