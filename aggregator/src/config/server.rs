//! `[server]`, `[page]`, `regions` and `[local]`: where the aggregator stands, and where its agents do.

use std::net::SocketAddr;

use quorate_proto::Region;

use super::{
    Page, Server,
    document::{Item, Section},
    nearest::nearest,
};
use crate::limits;

/// What `data` is without being said.
const DATA: &str = "quorate-data";
/// HTTP listens on this machine only until someone says otherwise: the pages are public, the network need not be.
const HTTP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
/// Agents come from elsewhere, and prove who they are before anything is read from them.
const QUIC: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 4433);
/// The region of agents that run in the aggregator's own process, where no region is configured.
pub const REGION_LOCAL: &str = "local";

pub(super) fn server(root: &Section<'_>) -> Server {
    let section = root.section("server");
    let data = section.get("data").and_then(|item| item.text("the path of a folder"));
    let server = Server {
        data: root.document().resolve(data.as_deref().unwrap_or(DATA)),
        http: section.get("http").and_then(|item| address(&item)).unwrap_or(HTTP),
        quic: section.get("quic").and_then(|item| address(&item)).unwrap_or(QUIC),
        public_address: section.get("public_address").and_then(|item| host_and_port(&item)),
    };
    section.close();
    server
}

pub(super) fn page(root: &Section<'_>) -> Page {
    let section = root.section("page");
    let page = Page {
        title: section.get("title").and_then(|item| title(&item)).unwrap_or_else(|| "Status".to_owned()),
        url: section.get("url").and_then(|item| page_url(&item)),
    };
    section.close();
    page
}

/// `regions` and `[local] regions`, in this order.
pub(super) fn regions(root: &Section<'_>) -> (Vec<Region>, Vec<Region>) {
    let regions_given = root.has("regions");
    let mut regions = region_list(root, "regions");
    let section = root.section("local");
    let local_given = section.has("regions");
    let mut local = Vec::new();
    for (region, item) in region_items(&section, "regions") {
        if regions_given && !regions.contains(&region) {
            unknown(&item, "region", region.as_str(), regions.iter().map(Region::as_str));
        }
        local.push(region);
    }
    if local.len() > 1 {
        let text = "the agents of all these regions stand on this one machine, so they fail together: this is for \
                    trying things out";
        root.document().warn(section.line(), &section.path_of("regions"), text);
    }
    section.close();
    if !regions_given {
        if !local_given {
            local.extend(REGION_LOCAL.parse::<Region>().ok());
        }
        regions.clone_from(&local);
    }
    (regions, local)
}

/// A list of regions under a key, each once.
pub(super) fn region_list(section: &Section<'_>, key: &'static str) -> Vec<Region> {
    region_items(section, key).into_iter().map(|(region, _)| region).collect()
}

/// A list of regions under a key, each once, with its place.
pub(super) fn region_items<'d>(section: &Section<'d>, key: &'static str) -> Vec<(Region, Item<'d>)> {
    let mut regions: Vec<(Region, Item<'d>)> = Vec::new();
    let list = section.get(key);
    let items =
        list.as_ref().and_then(|item| item.list("a list of regions, such as [\"eu-west\", \"us-east\"]"));
    if let (Some(list), Some(true)) = (&list, items.as_ref().map(Vec::is_empty)) {
        list.refuse_for("at least one region", "none");
    }
    for item in items.unwrap_or_default() {
        let Some(region) = name::<Region>(&item, "a region") else { continue };
        if regions.iter().any(|(known, _)| *known == region) {
            item.refuse("each region once");
        } else if regions.len() == limits::REGIONS_MAX {
            item.refuse_for(format!("at most {} regions", limits::REGIONS_MAX), "one more");
        } else {
            regions.push((region, item));
        }
    }
    regions
}

/// A name of the alphabet that all names share.
pub(super) fn name<T: std::str::FromStr<Err = quorate_proto::id::NameError>>(
    item: &Item<'_>,
    what: &str,
) -> Option<T> {
    let wanted = format!("{what} of a-z, 0-9, '.', '_' and '-'");
    match item.text(&wanted)?.parse() {
        Ok(name) => Some(name),
        Err(quorate_proto::id::NameError::TooLong(bytes)) => {
            let wanted = format!("{what} of at most {} characters", quorate_proto::limits::NAME_BYTES_MAX);
            item.refuse_for(wanted, bytes.to_string());
            None
        }
        Err(quorate_proto::id::NameError::Empty | quorate_proto::id::NameError::Alphabet) => {
            item.refuse(wanted);
            None
        }
    }
}

/// Says that something is not configured, and which was probably meant.
pub(super) fn unknown<'a>(
    item: &Item<'_>,
    what: &str,
    word: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) {
    let known_list = known.clone().collect::<Vec<_>>().join(", ");
    item.refuse(match nearest(word, known) {
        Some(near) => format!("a configured {what}, perhaps \"{near}\""),
        None if known_list.is_empty() => format!("a configured {what}; there are none"),
        None => format!("one of the configured {what}s {known_list}"),
    });
}

/// What people call a thing: one short line.
pub(super) fn title(item: &Item<'_>) -> Option<String> {
    let wanted = format!("a title of 1 to {} characters on one line", limits::TITLE_CHARS_MAX);
    let text = item.text(&wanted)?;
    let fits = (1..=limits::TITLE_CHARS_MAX).contains(&text.chars().count());
    if !fits || text.chars().any(char::is_control) || text.trim().is_empty() {
        item.refuse(wanted);
        return None;
    }
    Some(text)
}

/// `host:port`, as it is dialled.
pub(super) fn host_and_port(item: &Item<'_>) -> Option<String> {
    const WANTED: &str = "host:port, such as \"watch.example.org:4433\"";
    let text = item.text(WANTED)?;
    let fits = text.len() <= quorate_proto::limits::ADDRESS_BYTES_MAX;
    let good = text.rsplit_once(':').is_some_and(|(host, port)| {
        url::Host::parse(host).is_ok() && port.parse::<u16>().is_ok_and(|port| port != 0)
    });
    if !fits || !good {
        item.refuse(WANTED);
        return None;
    }
    Some(text)
}

fn address(item: &Item<'_>) -> Option<SocketAddr> {
    item.parsed("an IP address and a port, such as \"0.0.0.0:4433\" or \"[::]:4433\"")
}

fn page_url(item: &Item<'_>) -> Option<String> {
    const WANTED: &str = "an http:// or https:// URL without query and fragment";
    let text = item.text(WANTED)?;
    let good = url::Url::parse(&text).is_ok_and(|url| {
        ["http", "https"].contains(&url.scheme())
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    if !good {
        item.refuse(WANTED);
        return None;
    }
    Some(text.trim_end_matches('/').to_owned())
}
