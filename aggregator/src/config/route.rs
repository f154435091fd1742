//! By which way a monitor connects: `connect_to`, `proxy`, `addresses`, `family`.

use quorate_proto::monitor::{Addresses, Family, Proxy};

use super::{
    access::{basic_of, basic_value},
    document::{Item, Section},
    server::host_and_port,
};

/// The way of a monitor's connections.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) connect_to: Option<String>,
    pub(super) proxy: Option<Proxy>,
    pub(super) addresses: Addresses,
    pub(super) family: Family,
}

pub(super) fn route(section: &Section<'_>, url: Option<&url::Url>) -> Route {
    let addresses_item = section.get("addresses");
    let family_item = section.get("family");
    let route = Route {
        connect_to: section.get("connect_to").and_then(|item| host_and_port(&item)),
        proxy: section.get("proxy").and_then(|item| proxy(item.secret())),
        addresses: addresses_item.as_ref().and_then(addresses).unwrap_or_default(),
        family: family_item.as_ref().and_then(family).unwrap_or_default(),
    };
    let picks = addresses_item.filter(|_| route.addresses == Addresses::All);
    let picks = picks.or(family_item.filter(|_| route.family != Family::Any));
    let Some(item) = picks else { return route };
    if section.has("proxy") {
        item.refuse_for("no proxy beside it: the proxy looks the host up, and picks the address", "both");
    }
    if section.has("connect_to") && route.addresses == Addresses::All {
        item.refuse_for("no connect_to beside it, which is the address", "both");
    }
    let refused = match (url.and_then(url::Url::host), route.family) {
        (Some(url::Host::Ipv4(_)), Family::V6 | Family::Both) => Some("IPv4"),
        (Some(url::Host::Ipv6(_)), Family::V4 | Family::Both) => Some("IPv6"),
        (None | Some(_), Family::Any | Family::V4 | Family::V6 | Family::Both) => None,
    };
    if let Some(found) = refused {
        item.refuse_for("a family that the URL's address is of", format!("an {found} address in the URL"));
    }
    route
}

fn addresses(item: &Item<'_>) -> Option<Addresses> {
    const WANTED: &str = "\"first\" or \"all\"";
    match item.text(WANTED)?.as_str() {
        "first" => Some(Addresses::First),
        "all" => Some(Addresses::All),
        _ => {
            item.refuse(WANTED);
            None
        }
    }
}

fn family(item: &Item<'_>) -> Option<Family> {
    const WANTED: &str = "\"any\", \"4\", \"6\" or \"both\"";
    match (item.value().as_str(), item.integer()) {
        (Some("any"), _) => Some(Family::Any),
        (Some("4"), _) | (None, Some(4)) => Some(Family::V4),
        (Some("6"), _) | (None, Some(6)) => Some(Family::V6),
        (Some("both"), _) => Some(Family::Both),
        (Some(_), _) | (None, _) => {
            item.refuse(WANTED);
            None
        }
    }
}

const PROXY: &str = "a proxy, such as \"http://user:password@proxy.example.org:3128\"";

/// `proxy = "http://…"`, or `{ address = "host:port", user = "…", password = "…" }`.
fn proxy(item: Item<'_>) -> Option<Proxy> {
    if !item.is_table() {
        let text = item.text_or_file(PROXY)?;
        return proxy_url(&text).map_err(|wanted| item.refuse(wanted)).ok();
    }
    let section = item.section()?;
    let address = section.require("address", "host:port of the proxy").and_then(|item| host_and_port(&item));
    let login = section.get("basic").and_then(|item| basic_value(&item));
    section.close();
    Some(Proxy { address: address?, authorization: login })
}

fn proxy_url(text: &str) -> Result<Proxy, &'static str> {
    let url = url::Url::parse(text).map_err(|_| PROXY)?;
    if url.scheme() == "https" {
        return Err("a proxy that is spoken to by http://: TLS to the proxy itself is not spoken");
    }
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return Err(PROXY) };
    let only_host = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    if url.scheme() != "http" || !only_host {
        return Err(PROXY);
    }
    let decoded =
        |text: &str| percent_decoded(text).ok_or("a proxy whose user and password are percent-encoded UTF-8");
    let authorization = match (url.username(), url.password()) {
        ("", None) => None,
        (user, password) => Some(basic_of(&decoded(user)?, &decoded(password.unwrap_or_default())?)),
    };
    Ok(Proxy { address: format!("{host}:{port}"), authorization })
}

/// RFC 3986 section 2.1.
fn percent_decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_written_as_urls() {
        for (text, address, authorization) in [
            ("http://proxy:3128", "proxy:3128", None),
            ("http://[::1]:8080/", "[::1]:8080", None),
            ("http://proxy", "proxy:80", None),
            ("http://me:p%40ss@proxy:3128", "proxy:3128", Some("Basic bWU6cEBzcw==")),
        ] {
            let authorization = authorization.map(ToOwned::to_owned);
            assert_eq!(proxy_url(text), Ok(Proxy { address: address.to_owned(), authorization }), "{text}");
        }
        for text in
            ["proxy:3128", "https://proxy:3128", "socks5://proxy:1080", "http://proxy/x", "http://a%ff@h:1"]
        {
            assert!(proxy_url(text).is_err(), "{text}");
        }
    }
}
