//! What a monitor connects to: URL, request headers, TLS.

use quorate_proto::{
    limits,
    monitor::{ClientCertificate, Header},
};

use super::{
    access::client_certificate,
    document::{Item, Section},
};

/// Request headers that the upgrade writes itself, or that have a key of their own.
const HEADERS_RESERVED: [&str; 8] = [
    "upgrade",
    "connection",
    "origin",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-protocol",
    "sec-websocket-extensions",
    "content-length",
];

/// Where a monitor connects to, and by what TLS.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) url: Option<url::Url>,
    pub(super) sni: Option<String>,
    pub(super) ca_pem: Option<String>,
    pub(super) verify_tls: bool,
    pub(super) client_certificate: Option<ClientCertificate>,
}

pub(super) fn endpoint(section: &Section<'_>) -> Endpoint {
    let url = section.require("url", "a ws:// or wss:// URL").and_then(|item| {
        // A URL with user information holds a password.
        let has_user = item.value().as_str().is_some_and(|text| text.contains('@'));
        websocket_url(&if has_user { item.secret() } else { item })
    });
    let secure = url.as_ref().is_none_or(|url| url.scheme() == "wss");
    for key in ["sni", "ca_file", "verify_tls", "client_certificate", "certificate_warning"] {
        if let (false, Some(item)) = (secure, section.get(key)) {
            item.refuse_for(format!("a wss:// URL beside {key}"), "a ws:// URL, which has no TLS");
        }
    }
    let verify_item = section.get("verify_tls");
    let verify_tls = verify_item.as_ref().and_then(Item::boolean).unwrap_or(true);
    if let (false, true, Some(item)) = (verify_tls, secure, verify_item) {
        item.warn(
            "THE SERVER'S CERTIFICATE IS NOT VERIFIED: an expired, foreign or forged one passes, and whoever stands \
             in between reads and answers what is sent. ca_file trusts one certificate instead",
        );
    }
    Endpoint {
        url,
        sni: section.get("sni").and_then(|item| server_name(&item)),
        ca_pem: section.get("ca_file").and_then(|item| ca_pem(&item)),
        verify_tls,
        client_certificate: client_certificate(section),
    }
}

fn websocket_url(item: &Item<'_>) -> Option<url::Url> {
    const WANTED: &str = "a ws:// or wss:// URL";
    let text = item.text(WANTED)?;
    if text.len() > limits::URL_BYTES_MAX {
        item.refuse_for(format!("a URL of at most {} bytes", limits::URL_BYTES_MAX), text.len().to_string());
        return None;
    }
    let wanted = match url::Url::parse(&text) {
        Ok(url) if !["ws", "wss"].contains(&url.scheme()) => "a URL that starts with ws:// or wss://",
        Ok(url) if !url.has_host() => "a URL with a host",
        Ok(url) if url.fragment().is_some() => "a URL without a fragment (RFC 6455 section 3)",
        Ok(url) => return Some(url),
        Err(url::ParseError::EmptyHost) => "a URL with a host",
        Err(url::ParseError::InvalidPort) => "a URL with a port between 1 and 65535",
        Err(_) => WANTED,
    };
    item.refuse(wanted);
    None
}

pub(super) fn headers(section: &Section<'_>) -> Vec<Header> {
    let entries = section.section("headers").entries();
    if let Some((_, extra)) = entries.get(limits::HEADERS_MAX) {
        extra.refuse_for(format!("at most {} headers", limits::HEADERS_MAX), entries.len().to_string());
    }
    entries.into_iter().filter_map(|(name, item)| header(name, item.secret())).collect()
}

fn header(name: String, item: Item<'_>) -> Option<Header> {
    let is_token = !name.is_empty() && name.bytes().all(is_token_byte);
    if !is_token {
        item.refuse_for("a header name (RFC 9110 section 5.1)", format!("{name:?}"));
    } else if HEADERS_RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
        let wanted =
            "a header that the upgrade does not set itself (origin and subprotocols have keys of their own)";
        item.refuse_for(wanted, format!("{name:?}"));
    }
    let value = header_value(&item, "a header value of printable characters on one line")?;
    if name.len() + value.len() > limits::HEADER_BYTES_MAX {
        let wanted = format!("name and value of at most {} bytes", limits::HEADER_BYTES_MAX);
        item.refuse_for(wanted, (name.len() + value.len()).to_string());
    }
    Some(Header { name, value })
}

pub(super) fn header_value(item: &Item<'_>, wanted: &str) -> Option<String> {
    let text = item.text_or_file(wanted)?;
    let printable = text.bytes().all(|byte| byte == b' ' || byte == b'\t' || byte.is_ascii_graphic());
    if text.is_empty() || !printable || text.trim() != text {
        item.refuse(wanted);
        return None;
    }
    Some(text)
}

/// What `origin` may be instead of an origin: that of the URL itself, as a page of the same site sends it.
const ORIGIN_SAME: &str = "same";

pub(super) fn origin(section: &Section<'_>) -> Option<String> {
    let item = section.get("origin")?;
    header_value(&item, "an origin, such as \"https://example.org\", or \"same\" for that of the URL")
}

/// An origin with `same` in words (RFC 6454 section 6.2).
pub(super) fn origin_beside(origin: String, url: &url::Url) -> String {
    let Some(host) = url.host_str().filter(|_| origin == ORIGIN_SAME) else { return origin };
    let scheme = if url.scheme() == "wss" { "https" } else { "http" };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{scheme}://{host}{port}")
}

pub(super) fn subprotocols(section: &Section<'_>) -> Option<Vec<String>> {
    const WANTED: &str = "a list of subprotocols, such as [\"graphql-transport-ws\"]";
    let list = section.get("subprotocols")?;
    let mut names: Vec<String> = Vec::new();
    for item in list.list(WANTED).unwrap_or_default() {
        let wanted = "a subprotocol's name, once, without spaces and separators";
        let Some(name) = item.text(wanted) else { continue };
        let fits = (1..=limits::SUBPROTOCOL_BYTES_MAX).contains(&name.len());
        if !fits || !name.bytes().all(is_token_byte) || names.contains(&name) {
            item.refuse(wanted);
        } else if names.len() == limits::SUBPROTOCOLS_MAX {
            item.refuse_for(format!("at most {} subprotocols", limits::SUBPROTOCOLS_MAX), "one more");
        } else {
            names.push(name);
        }
    }
    Some(names)
}

fn server_name(item: &Item<'_>) -> Option<String> {
    const WANTED: &str = "a server name, such as \"chat.example.org\"";
    let text = item.text(WANTED)?;
    let good = matches!(url::Host::parse(&text), Ok(url::Host::Domain(_))) && text.len() <= 253;
    if !good {
        item.refuse(WANTED);
    }
    good.then_some(text)
}

fn ca_pem(item: &Item<'_>) -> Option<String> {
    let path = item.text("the path of a PEM file with certificates")?;
    let pem = item.file(&path)?;
    let certificates = rustls::pki_types::pem::PemObject::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<rustls::pki_types::CertificateDer<'_>>, _>>();
    if certificates.is_ok_and(|certificates| !certificates.is_empty()) {
        return Some(pem);
    }
    item.refuse_for("certificates in PEM (-----BEGIN CERTIFICATE-----)", format!("none in {path}"));
    None
}

/// RFC 9110 section 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
