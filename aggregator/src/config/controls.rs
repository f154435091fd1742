//! `[controls]`: what agents look at to see whether they are the fault themselves. Nothing unless the operator says so: an
//! agent asks nobody's servers on its own account.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
};

use quorate_proto::{Controls, Micros, limits};
use url::{Host, Url};

use super::{
    document::{Item, Section},
    spans::span,
};
use crate::model::registered_domain;

/// An agent that is cut off is in doubt within this, and sooner where a check of it fails.
const EVERY: Micros = Micros::from_secs(15);
/// No name below `.example` exists (RFC 6761 section 6.5), so nobody is asked whom it would concern; and it is asked for, as
/// names below `.invalid` are not.
const RESOLVES_NOT: &str = "quorate-control.example";

pub(super) fn controls(root: &Section<'_>) -> Controls {
    let section = root.section("controls");
    let targets = targets(&section);
    let spans = limits::CONTROL_EVERY_MIN..=limits::CONTROL_EVERY_MAX;
    let every = section.get("every").and_then(|item| span(&item, spans)).unwrap_or(EVERY);
    let resolves = section.get("resolves").and_then(|item| name(&item));
    let resolves_not = match section.get("resolves_not") {
        Some(item) => name(&item),
        None => resolves.is_some().then(|| RESOLVES_NOT.to_owned()),
    };
    section.close();
    Controls { targets, every, resolves, resolves_not }
}

fn targets(section: &Section<'_>) -> Vec<String> {
    let Some(list) = section.get("targets") else { return Vec::new() };
    let wanted = format!(
        "a list of {} to {} servers on different networks, such as [\"wss://a.example/\", \"https://b.example/\", \
         \"tcp://192.0.2.1:443\"]",
        limits::CONTROLS_MIN,
        limits::CONTROLS_MAX
    );
    let items = list.list(&wanted).unwrap_or_default();
    if !(limits::CONTROLS_MIN..=limits::CONTROLS_MAX).contains(&items.len()) {
        list.refuse_for(wanted, items.len().to_string());
    }
    let mut targets: Vec<String> = Vec::new();
    let mut networks = BTreeMap::new();
    for item in items {
        let Some((text, url)) = target(&item) else { continue };
        if targets.contains(&text) {
            item.refuse("each target once");
            continue;
        }
        if let Some(other) =
            url.host().map(network).and_then(|network| networks.insert(network, text.clone()))
        {
            item.warn(format!(
                "it may share its network with {other}: a fault there would look like one of the agent's own"
            ));
        }
        targets.push(text);
    }
    targets
}

fn target(item: &Item<'_>) -> Option<(String, Url)> {
    const WANTED: &str =
        "a URL with wss://, ws://, https:// or http://, or tcp://host:port; without user and fragment";
    let text = item.text(WANTED)?;
    let url = Url::parse(&text).ok().filter(|url| {
        let has_port = url.scheme() != "tcp" || url.port().is_some();
        ["wss", "ws", "https", "http", "tcp"].contains(&url.scheme())
            && has_port
            && url.host_str().is_some_and(|host| !host.is_empty())
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
            && text.len() <= limits::CONTROL_BYTES_MAX
    });
    if url.is_none() {
        item.refuse(WANTED);
    }
    Some((text, url?))
}

/// What may fail together, as far as a name or address shows it: the same registered domain, the same /16 or /32.
fn network(host: Host<&str>) -> String {
    let of_address = |address: IpAddr| match address {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            format!("{a}.{b}")
        }
        IpAddr::V6(address) => {
            let [a, b, ..] = address.segments();
            Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0).to_string()
        }
    };
    match host {
        // The host of a URL whose scheme is not a web's is not looked into by its parser.
        Host::Domain(name) => name.parse().map_or_else(|_| registered_domain(name), of_address),
        Host::Ipv4(address) => of_address(address.into()),
        Host::Ipv6(address) => of_address(address.into()),
    }
}

fn name(item: &Item<'_>) -> Option<String> {
    const WANTED: &str = "a name in DNS, such as \"example.com\"";
    let text = item.text(WANTED)?;
    let is_name =
        matches!(Host::parse(&text), Ok(Host::Domain(_))) && text.len() <= limits::ADDRESS_BYTES_MAX;
    if !is_name {
        item.refuse(WANTED);
        return None;
    }
    let top = text.trim_end_matches('.').rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    if ["invalid", "onion", "localhost"].contains(&top.as_str()) {
        item.refuse(
            "a name that nameservers are asked for, which they are not for .invalid, .onion and localhost",
        );
        return None;
    }
    Some(text)
}
