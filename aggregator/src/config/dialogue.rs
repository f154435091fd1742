//! What is said and heard on a connection, as far as one table says it: a monitor's own, or its preset's.

use quorate_proto::{Micros, Step, limits, monitor::Header, step::Reply};

use super::{
    canary::{CanaryKeys, canary_keys},
    document::{Item, Section},
    endpoint::{headers, origin, subprotocols},
    matchers::matcher,
    steps::{applies, counted, payload, steps},
};

/// The keys that a monitor and a preset share. What is `None` was not said.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Dialogue {
    pub(super) hello: Option<Vec<Step>>,
    pub(super) steps: Option<Vec<Step>>,
    pub(super) samples: Option<u16>,
    pub(super) replies: Option<Vec<Reply>>,
    pub(super) subprotocols: Option<Vec<String>>,
    pub(super) headers: Vec<Header>,
    pub(super) origin: Option<String>,
    pub(super) canary: CanaryKeys,
}

/// Reads them. `timeout` is the deadline around a check.
pub(super) fn dialogue(section: &Section<'_>, timeout: Micros) -> Dialogue {
    Dialogue {
        hello: steps(section, "hello", timeout),
        steps: steps(section, "steps", timeout),
        samples: section.get("samples").and_then(|item| counted(&item, limits::SAMPLES_MAX, "round trips")),
        replies: replies(section),
        subprotocols: subprotocols(section),
        headers: headers(section),
        origin: origin(section),
        canary: canary_keys(section),
    }
}

impl Dialogue {
    /// This, and what it leaves open as the other says it. Headers are added one by one, by name. The keys of the canary
    /// are left to [`CanaryKeys::resolved`].
    pub(super) fn or(self, other: Self) -> Self {
        let mut headers = self.headers;
        for header in other.headers {
            if !headers.iter().any(|known| known.name.eq_ignore_ascii_case(&header.name)) {
                headers.push(header);
            }
        }
        Self {
            hello: self.hello.or(other.hello),
            steps: self.steps.or(other.steps),
            samples: self.samples.or(other.samples),
            replies: self.replies.or(other.replies),
            subprotocols: self.subprotocols.or(other.subprotocols),
            headers,
            origin: self.origin.or(other.origin),
            canary: self.canary,
        }
    }
}

/// `replies = [{ to = { … }, send = "…" }]`: what is answered whenever such a message comes.
fn replies(section: &Section<'_>) -> Option<Vec<Reply>> {
    let item = section.get("replies")?;
    let wanted = "a list of replies, such as [{ to = { contains = \"ping\" }, send = \"pong\" }]";
    let items = item.list(wanted).unwrap_or_default();
    if items.len() > limits::REPLIES_MAX {
        item.refuse_for(format!("at most {} replies", limits::REPLIES_MAX), items.len().to_string());
    }
    Some(items.iter().filter_map(reply).collect())
}

fn reply(item: &Item<'_>) -> Option<Reply> {
    let section = item.section()?;
    if !applies(&section) {
        return None;
    }
    let to = section
        .require("to", "the messages to answer, such as { regex = \"^2$\" }")
        .and_then(|item| matcher(&item));
    let sending = ["send", "send_json", "send_hex", "send_base64"];
    let said = sending.into_iter().filter(|key| section.get(key).is_some()).count();
    let with = payload(&section);
    if said != 1 {
        item.refuse_for(
            "one of send, send_json, send_hex and send_base64",
            if said == 0 { "none" } else { "several" },
        );
    }
    section.close();
    Some(Reply { to: to?, with: with? })
}
