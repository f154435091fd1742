//! `[[channels]]`: where alerts go.

use std::collections::BTreeMap;

use quorate_proto::AgentName;

use super::{
    Channel, ChannelKind,
    document::{Item, Section},
    server::name,
};
use crate::{
    limits,
    model::{ChannelId, Secret},
    notify::WebhookSecret,
};

/// The channels, and every id that stands there: a reference to a channel with a fault is no fault of its own.
pub(super) fn channels(root: &Section<'_>) -> (Vec<Channel>, Vec<ChannelId>) {
    let mut channels = Vec::new();
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    for item in root.list("channels", "channels, each as a [[channels]] table") {
        if lines.len() == limits::CHANNELS_MAX {
            item.refuse_for(format!("at most {} channels", limits::CHANNELS_MAX), "one more");
            break;
        }
        let Some(section) = item.section() else { continue };
        channels.extend(channel(&section, &mut lines));
        section.close();
    }
    let mut ids: Vec<(usize, ChannelId)> = lines.into_iter().map(|(id, line)| (line, id)).collect();
    ids.sort();
    (channels, ids.into_iter().map(|(_, id)| id).collect())
}

fn channel(section: &Section<'_>, lines: &mut BTreeMap<String, usize>) -> Option<Channel> {
    let id = own_id(section, "channel", lines);
    let partial = section.get("partial").and_then(|item| item.boolean()).unwrap_or(false);
    let operator = section.get("operator").and_then(|item| item.boolean()).unwrap_or(true);
    let events = section.get("events").and_then(|item| item.boolean()).unwrap_or(false);
    // Who asks for more than outages asks for this too; a pager is left to its outages.
    let degraded = section.get("degraded").and_then(|item| item.boolean()).unwrap_or(partial || events);
    let kind = kind(section);
    Some(Channel { id: id?, kind: kind?, partial, operator, events, degraded })
}

/// The `id` of a table, which no other of its sort may have. Reported even when nothing else of the table is good.
pub(super) fn own_id(
    section: &Section<'_>,
    what: &str,
    lines: &mut BTreeMap<String, usize>,
) -> Option<String> {
    let item = section.require("id", &format!("an id for this {what}, of a-z, 0-9, '.', '_' and '-'"))?;
    // Every name has the same alphabet; which of the types checks it makes no difference.
    let id = name::<AgentName>(&item, "an id")?.to_string();
    if let Some(line) = lines.get(&id) {
        item.refuse_for(format!("an id that no other {what} has"), format!("\"{id}\", as in line {line}"));
        return None;
    }
    lines.insert(id.clone(), item.line);
    Some(id)
}

fn kind(section: &Section<'_>) -> Option<ChannelKind> {
    const WANTED: &str = "\"webhook\" or \"slack\"";
    let url = section.require("url", "the URL to post to").and_then(|item| post_url(&item.secret()));
    let secrets = secrets(section);
    let item = section.require("type", WANTED)?;
    match item.text(WANTED)?.as_str() {
        "webhook" => {
            if secrets.is_empty() && !section.has("secret") && !section.has("secrets") {
                item.warn(
                    "messages to this webhook are not signed: anyone who knows its URL can forge one. Set secret",
                );
            }
            Some(ChannelKind::Webhook { url: url?, secrets })
        }
        "slack" => {
            for key in ["secret", "secrets"] {
                if let Some(item) = section.get(key) {
                    item.secret().refuse_for("no secret: Slack's URL is the secret", key);
                }
            }
            Some(ChannelKind::Slack { url: url? })
        }
        _ => {
            item.refuse(WANTED);
            None
        }
    }
}

fn post_url(item: &Item<'_>) -> Option<Secret> {
    const WANTED: &str = "an http:// or https:// URL without a fragment";
    let text = item.text_or_file(WANTED)?;
    let good = url::Url::parse(&text).is_ok_and(|url| {
        ["http", "https"].contains(&url.scheme()) && url.has_host() && url.fragment().is_none()
    });
    if !good || text.len() > quorate_proto::limits::URL_BYTES_MAX {
        item.refuse(WANTED);
        return None;
    }
    Some(Secret::new(text))
}

fn secrets(section: &Section<'_>) -> Vec<Secret> {
    let one = section.get("secret").map(Item::secret);
    let several = section.get("secrets").map(Item::secret);
    if let (Some(_), Some(several)) = (&one, &several) {
        several.refuse_for("either secret or secrets", "both");
    }
    let several = several.and_then(|item| item.list("a list of secrets")).unwrap_or_default();
    if let Some(extra) = several.get(limits::WEBHOOK_SECRETS_MAX) {
        extra.refuse_for(format!("at most {} secrets", limits::WEBHOOK_SECRETS_MAX), "one more");
    }
    one.into_iter().chain(several).filter_map(|item| signing_secret(&item)).collect()
}

/// A signing secret as Standard Webhooks 1.0.0 writes it.
fn signing_secret(item: &Item<'_>) -> Option<Secret> {
    const WANTED: &str =
        "whsec_ and base64 of 24 to 64 random bytes (as `echo whsec_$(openssl rand -base64 32)` makes)";
    let text = item.text_or_file(WANTED)?;
    if WebhookSecret::parse(&text).is_err() {
        item.refuse(WANTED);
        return None;
    }
    Some(Secret::new(text))
}
