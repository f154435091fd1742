//! The request of the upgrade, as text. Whatever of it was configured is one line of a head and nothing more.

use data_encoding::BASE64;
use quorate_proto::{MonitorSpec, Region};
use url::Url;

use super::plan::PlanError;

/// Headers that make the upgrade what it is.
const RESERVED: [&str; 8] = [
    "upgrade",
    "connection",
    "content-length",
    "transfer-encoding",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-extensions",
    "sec-websocket-protocol",
];

/// The request of a monitor's upgrades, without the key that each has of its own.
#[derive(Debug)]
pub(crate) struct Request {
    before_key: Vec<u8>,
    behind_key: Vec<u8>,
}

impl Request {
    /// The whole head.
    pub(crate) fn with_key(&self, key: &str) -> Vec<u8> {
        [&self.before_key, key.as_bytes(), &self.behind_key].concat()
    }
}

/// A `Sec-WebSocket-Key`: sixteen random bytes in base64 (RFC 6455 section 4.1). None where the system has none to give.
pub(crate) fn random_key() -> Option<String> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(BASE64.encode(&bytes))
}

/// The head of the request.
pub(crate) fn head(spec: &MonitorSpec, url: &Url, region: Option<&Region>) -> Result<Request, PlanError> {
    let mut lines = Head::default();
    let path = url.path();
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    lines.text = format!("GET {path}{query} HTTP/1.1\r\n");
    let has = |name: &str| spec.headers.iter().any(|header| header.name.eq_ignore_ascii_case(name));
    if !has("host") {
        lines.push("Host", &authority(url));
    }
    if !has("user-agent") {
        lines.push("User-Agent", &user_agent(region));
    }
    lines.push("Upgrade", "websocket");
    lines.push("Connection", "Upgrade");
    lines.push("Sec-WebSocket-Key", "");
    // The key stands between the blank and the line's end.
    let key_at = lines.text.len() - 2;
    lines.push("Sec-WebSocket-Version", "13");
    if let Some(origin) = spec.origin.as_ref().filter(|_| !has("origin")) {
        lines.push_checked("Origin", origin)?;
    }
    if let Some(name) = spec.subprotocols.iter().find(|name| !is_token(name)) {
        return Err(PlanError::Subprotocol(name.clone()));
    }
    if !spec.subprotocols.is_empty() {
        lines.push("Sec-WebSocket-Protocol", &spec.subprotocols.join(", "));
    }
    if !url.username().is_empty() && !has("authorization") {
        let pair = format!("{}:{}", decoded(url.username()), decoded(url.password().unwrap_or_default()));
        lines.push("Authorization", &format!("Basic {}", BASE64.encode(pair.as_bytes())));
    }
    for header in &spec.headers {
        lines.push_checked(&header.name, &header.value)?;
    }
    lines.text.push_str("\r\n");
    let behind_key = lines.text.split_off(key_at).into_bytes();
    Ok(Request { before_key: lines.text.into_bytes(), behind_key })
}

/// The lines of a request's head.
#[derive(Default)]
struct Head {
    text: String,
}

impl Head {
    fn push(&mut self, name: &str, value: &str) {
        for part in [name, ": ", value, "\r\n"] {
            self.text.push_str(part);
        }
    }

    /// Takes a line that someone configured, if it is one line.
    fn push_checked(&mut self, name: &str, value: &str) -> Result<(), PlanError> {
        if !is_token(name) {
            return Err(PlanError::HeaderName(name.to_owned()));
        }
        if RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(PlanError::HeaderReserved(name.to_owned()));
        }
        if value.chars().any(|character| character.is_control() && character != '\t') {
            return Err(PlanError::HeaderValue(name.to_owned()));
        }
        self.push(name, value.trim());
        Ok(())
    }
}

/// The `Host` header: the URL's host, and its port where it is not the scheme's own.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        None => host.to_owned(),
        Some(port) => format!("{host}:{port}"),
    }
}

fn user_agent(region: Option<&Region>) -> String {
    let program = concat!("quorate-agent/", env!("CARGO_PKG_VERSION"));
    match region {
        None => program.to_owned(),
        Some(region) => format!("{program} (region={region})"),
    }
}

/// A token of RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Undoes the percent-encoding that the URL parser gave to a user name or password.
pub(crate) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after
            .first_chunk::<2>()
            .and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (byte, hex) {
            (b'%', Some(value)) => {
                bytes.push(value);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use quorate_proto::monitor::Header;

    use super::{
        super::{plan::Plan, tests::spec},
        *,
    };

    fn head(spec: &MonitorSpec) -> String {
        let plan = Plan::new(spec, Some(&"eu-west".parse().unwrap())).unwrap();
        String::from_utf8(plan.request.with_key("KEY")).unwrap()
    }

    #[test]
    fn the_request_is_what_the_rfc_wants() {
        let mut spec = spec("ws://chat.example:80/a%20b?x=1&y=2");
        spec.origin = Some("https://example.org".into());
        spec.subprotocols = vec!["v2".into(), "v1".into()];
        spec.headers = vec![Header { name: "X-Token".into(), value: "t0p".into() }];
        assert_eq!(
            head(&spec),
            format!(
                "GET /a%20b?x=1&y=2 HTTP/1.1\r\nHost: chat.example\r\n\
                 User-Agent: quorate-agent/{} (region=eu-west)\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Key: KEY\r\nSec-WebSocket-Version: 13\r\nOrigin: https://example.org\r\n\
                 Sec-WebSocket-Protocol: v2, v1\r\nX-Token: t0p\r\n\r\n",
                env!("CARGO_PKG_VERSION")
            )
        );
    }

    #[test]
    fn host_and_credentials_come_from_the_url_unless_a_header_says_otherwise() {
        assert!(head(&spec("ws://[::1]:8080")).contains("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n"));
        assert!(head(&spec("ws://0x7f.1:8080")).contains("Host: 127.0.0.1:8080\r\n"));
        assert!(head(&spec("ws://me:p%40ss@x.example/")).contains("Authorization: Basic bWU6cEBzcw==\r\n"));
        let mut own = spec("ws://x.example/");
        own.headers = vec![Header { name: "host".into(), value: "other.example".into() }];
        let head = head(&own);
        assert!(head.contains("host: other.example\r\n") && !head.contains("Host: x.example"), "{head}");
    }
}
