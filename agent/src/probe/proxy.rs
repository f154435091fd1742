//! A tunnel through an HTTP proxy (`CONNECT`, RFC 9110 section 9.3.6).
//!
//! The proxy connects to the server, so it also resolves the server's name and chooses the address: a monitor's `addresses`
//! and `family` have no effect behind one, and the address in a result is the proxy's. The egress filter judges every
//! address of the proxy before it is dialled, and the server's where the URL gives it as a literal; where it is a name, what
//! the proxy makes of it is for the proxy's own rules to judge.
//!
//! What a proxy's trouble means for the vote: a proxy that is not reached, wants credentials, forbids, or answers nonsense
//! says nothing about the server, so the region abstains ([`FailureKind::Proxy`]). A proxy that says that it cannot reach
//! the server, or that says nothing until the deadline, fails the check as the agent's own dialling would: proxies commonly
//! wait for a silent server longer than any check does, and a host that is gone must be seen by agents behind them too.

use std::{fmt, io};

use data_encoding::BASE64;
use quorate_proto::{Failure, FailureKind, Phase, limits as protocol, monitor::Proxy, outcome::DnsFault};
use tokio::io::AsyncWriteExt;
use url::Host;

use super::{
    answer::{self, Answer, Parsed},
    progress::Progress,
    quote, request,
    route::{Route, RouteError, host_and_port},
    tcp::Tcp,
};
use crate::limits;

/// A proxy, ready to be asked.
pub(crate) struct ProxyRoute {
    pub(crate) host: Host<String>,
    pub(crate) port: u16,
    /// The value of `Proxy-Authorization`.
    authorization: Option<String>,
}

/// Why a text is not a proxy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyParseError {
    /// Not `host:port`. The text may hold a password, so it is not repeated.
    #[error("wanted HOST:PORT, or USER:PASSWORD@HOST:PORT, such as proxy.example.org:3128")]
    Shape,
    /// A proxy that is spoken to otherwise.
    #[error("a proxy of {0}:// is not supported: wanted an HTTP proxy that allows CONNECT, as HOST:PORT")]
    Scheme(String),
}

/// Reads a proxy as people write it: `host:port`, `user:password@host:port`, or an `http://` URL, in which user and password
/// are percent-encoded.
///
/// # Errors
/// [`ProxyParseError`] where it is not one.
pub fn parse(text: &str) -> Result<Proxy, ProxyParseError> {
    let text = text.trim();
    let (rest, is_url) = match text.split_once("://") {
        None => (text, false),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => {
            (rest.strip_suffix('/').unwrap_or(rest), true)
        }
        Some((scheme, _)) => return Err(ProxyParseError::Scheme(quote::quote(scheme))),
    };
    let (credentials, address) = match rest.rsplit_once('@') {
        None => (None, rest),
        Some((credentials, address)) => (Some(credentials), address),
    };
    if address.len() > protocol::ADDRESS_BYTES_MAX || host_and_port(address).is_none() {
        return Err(ProxyParseError::Shape);
    }
    let authorization = match credentials {
        None => None,
        Some(pair) => {
            let (user, password) = pair.split_once(':').ok_or(ProxyParseError::Shape)?;
            let part = |text: &str| if is_url { request::decoded(text) } else { text.to_owned() };
            let pair = format!("{}:{}", part(user), part(password));
            Some(format!("Basic {}", BASE64.encode(pair.as_bytes())))
        }
    };
    Ok(Proxy { address: address.to_owned(), authorization })
}

impl ProxyRoute {
    pub(crate) fn new(proxy: &Proxy) -> Result<Self, RouteError> {
        let Proxy { address, authorization } = proxy;
        let (host, port) = host_and_port(address).ok_or_else(|| RouteError::Proxy(quote::quote(address)))?;
        if authorization.as_ref().is_some_and(|value| value.chars().any(char::is_control)) {
            return Err(RouteError::ProxyAuthorization);
        }
        Ok(Self { host, port, authorization: authorization.clone() })
    }

    /// The failure of not having come as far as the proxy. What this host itself lacks or forbids stays what it is.
    pub(crate) fn unreached(&self, failure: Failure) -> Failure {
        if failure.kind.is_agents_own() {
            return failure;
        }
        let detail = format!("the proxy {self} is not reached: {}", failure.detail);
        Failure::new(FailureKind::Proxy, failure.phase, detail)
    }

    fn request(&self, target: &str) -> String {
        let authorization = self.authorization.as_ref();
        let authorization = authorization.map(|value| format!("Proxy-Authorization: {value}\r\n"));
        format!(
            "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nUser-Agent: quorate-agent/{}\r\n{}\r\n",
            env!("CARGO_PKG_VERSION"),
            authorization.unwrap_or_default()
        )
    }
}

impl fmt::Display for ProxyRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for ProxyRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyRoute({self})")
    }
}

/// Has the proxy at the other end of a connection make a tunnel to the server. Takes as long as it takes: the caller has the
/// deadline. Bytes that come behind the proxy's answer are the server's, and stay unread.
pub(crate) async fn tunnel(
    tcp: &mut Tcp,
    proxy: &ProxyRoute,
    route: &Route,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let target = route.authority();
    progress.enter(Phase::Tcp, format!("the proxy {proxy} did not answer CONNECT {target}"));
    let broken = |progress: &Progress, what: String| {
        progress.fail((FailureKind::Proxy, format!("the proxy {proxy} {what}")))
    };
    let sent = tcp.write_all(proxy.request(&target).as_bytes()).await;
    sent.map_err(|error| broken(progress, format!("broke off when asked for CONNECT {target}: {error}")))?;
    for _ in 0..=limits::INTERIM_RESPONSES_MAX {
        let (answer, line) = read_head(tcp).await.map_err(|error| broken(progress, error.to_string()))?;
        match answer.status {
            200..300 => {
                progress.leave();
                return Ok(());
            }
            100..200 => {}
            _ => {
                let (kind, why) = refusal(&answer, &line);
                let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
                let detail = format!("the proxy {proxy} answered CONNECT {target} with {line:?}{why}");
                return Err(progress.fail((kind, detail)));
            }
        }
    }
    Err(broken(progress, "sends interim responses without an end".to_owned()))
}

/// Why a proxy's answer is none.
#[derive(Debug, thiserror::Error)]
enum AnswerError {
    #[error("closed the connection instead of answering CONNECT")]
    Ended,
    #[error("broke off instead of answering CONNECT: {0}")]
    Io(#[from] io::Error),
    #[error("answered with TLS: wanted is one that is spoken to in plain HTTP")]
    Tls,
    #[error("does not speak HTTP: {0}")]
    NotHttp(String),
    #[error("answered CONNECT with a head of more than {} bytes", limits::UPGRADE_HEAD_BYTES_MAX)]
    TooLarge,
}

/// Reads a head, and not a byte of what comes behind it: that is looked at in the socket's buffer before it is taken.
async fn read_head(tcp: &mut Tcp) -> Result<(Answer, String), AnswerError> {
    let mut head = Vec::new();
    let mut chunk = [0; 2048];
    loop {
        let count = tcp.peek(&mut chunk).await?;
        if count == 0 {
            return Err(AnswerError::Ended);
        }
        let before = head.len();
        head.extend_from_slice(chunk.get(..count).unwrap_or_default());
        if head.starts_with(&[0x15, 0x03]) {
            return Err(AnswerError::Tls);
        }
        let parsed = answer::parse(&head).map_err(|(_, detail)| AnswerError::NotHttp(detail))?;
        let (taken, answer) = match parsed {
            Parsed::Partial => (count, None),
            Parsed::Whole(answer, length) => (length.saturating_sub(before), Some(answer)),
        };
        take(tcp, taken).await?;
        if let Some(answer) = answer {
            let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
            return Ok((answer, quote::line(line, limits::QUOTE_BYTES_MAX)));
        }
        if head.len() > limits::UPGRADE_HEAD_BYTES_MAX {
            return Err(AnswerError::TooLarge);
        }
    }
}

/// Takes bytes out of the socket's buffer that are there.
async fn take(tcp: &mut Tcp, mut count: usize) -> io::Result<()> {
    use tokio::io::AsyncReadExt as _;
    let mut chunk = [0; 2048];
    while count > 0 {
        let part = chunk.get_mut(..count.min(2048)).unwrap_or_default();
        count = count.saturating_sub(tcp.read(part).await?.max(1));
    }
    Ok(())
}

/// What a proxy's refusal means, and what in it says so beside its first line. What the proxy says of the server in a header
/// of its own outweighs the status.
fn refusal(answer: &Answer, line: &str) -> (FailureKind, Option<String>) {
    let header = |name: &str| answer.text(name, protocol::SERVER_HEADER_BYTES_MAX);
    if let Some(error) = header("x-squid-error") {
        let kind = SQUID_ERRORS.iter().find(|(begins, _)| error.starts_with(begins));
        return (kind.map_or(FailureKind::Proxy, |(_, kind)| kind.clone()), Some(error));
    }
    if let Some(status) = header("proxy-status")
        && let Some((_, error)) = status.split_once("error=")
    {
        let error = error.split([';', ',', ' ']).next().unwrap_or_default();
        let kind = PROXY_STATUS_ERRORS.iter().find(|(name, _)| *name == error);
        return (kind.map_or(FailureKind::Proxy, |(_, kind)| kind.clone()), Some(status));
    }
    let kind = match answer.status {
        502 | 503 => FailureKind::Unreachable,
        504 => FailureKind::ConnectTimeout,
        // tinyproxy says it so.
        500 if line.ends_with("Unable to connect") => FailureKind::Unreachable,
        _ => FailureKind::Proxy,
    };
    (kind, None)
}

/// How `X-Squid-Error` begins: the name of an error page, and the system's number of the error.
const SQUID_ERRORS: [(&str, FailureKind); 5] = [
    ("ERR_CONNECT_FAIL 111", FailureKind::ConnectionRefused),
    ("ERR_CONNECT_FAIL 110", FailureKind::ConnectTimeout),
    ("ERR_CONNECT_FAIL", FailureKind::Unreachable),
    ("ERR_DNS_FAIL", FailureKind::Dns(DnsFault::ServerFailure)),
    ("ERR_READ_TIMEOUT", FailureKind::ConnectTimeout),
];

/// The errors of `Proxy-Status` that are about the server (RFC 9209 section 2.3). All others are about the proxy.
const PROXY_STATUS_ERRORS: [(&str, FailureKind); 7] = [
    ("dns_timeout", FailureKind::Dns(DnsFault::Timeout)),
    ("dns_error", FailureKind::Dns(DnsFault::ServerFailure)),
    ("destination_unavailable", FailureKind::Unreachable),
    ("destination_ip_unroutable", FailureKind::Unreachable),
    ("connection_refused", FailureKind::ConnectionRefused),
    ("connection_terminated", FailureKind::ConnectionReset),
    ("connection_timeout", FailureKind::ConnectTimeout),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_reads_as_people_write_it() {
        let basic = |pair: &str| Some(format!("Basic {}", BASE64.encode(pair.as_bytes())));
        for (text, address, authorization) in [
            ("proxy.example:3128", "proxy.example:3128", None),
            (" http://proxy.example:3128/ ", "proxy.example:3128", None),
            ("HTTP://[2001:db8::1]:8080", "[2001:db8::1]:8080", None),
            ("me:p@s%40s@10.0.0.1:1", "10.0.0.1:1", basic("me:p@s%40s")),
            ("http://me:p%40ss:x@10.0.0.1:1", "10.0.0.1:1", basic("me:p@ss:x")),
        ] {
            let proxy = Proxy { address: address.to_owned(), authorization };
            assert_eq!(parse(text), Ok(proxy), "{text}");
        }
        for (text, why) in [
            ("proxy.example", "wanted HOST:PORT"),
            ("proxy.example:0", "wanted HOST:PORT"),
            ("http://proxy.example:3128/path", "wanted HOST:PORT"),
            ("secret@proxy.example:3128", "wanted HOST:PORT"),
            ("", "wanted HOST:PORT"),
            ("socks5://proxy.example:1080", "socks5:// is not supported"),
            ("https://proxy.example:443", "https:// is not supported"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn what_the_proxy_is_told_is_one_line_each() {
        let route = |authorization: Option<&str>| {
            ProxyRoute::new(&Proxy {
                address: "proxy.example:3128".into(),
                authorization: authorization.map(str::to_owned),
            })
        };
        assert!(matches!(route(Some("Basic x\r\nEvil: yes")), Err(RouteError::ProxyAuthorization)));
        let route = route(Some("Basic eHg=")).unwrap();
        assert_eq!(
            route.request("[2001:db8::1]:443"),
            format!(
                "CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\nUser-Agent: quorate-agent/{}\r\n\
                 Proxy-Authorization: Basic eHg=\r\n\r\n",
                env!("CARGO_PKG_VERSION")
            )
        );
        assert_eq!(format!("{route:?}"), "ProxyRoute(proxy.example:3128)");
    }
}
