//! What an error means. Pure: an error in, a failure's kind and words out.

use std::io;

use hickory_resolver::net::{DnsError, NetError};
use quorate_proto::{
    FailureKind, Phase,
    outcome::{DnsFault, UpgradeFault},
};
use rustls::{CertificateError, pki_types::UnixTime};
use tokio_tungstenite::tungstenite::{
    self,
    error::{CapacityError, ProtocolError},
};

use super::quote::quote;

/// What went wrong, and what was seen of it.
pub(crate) type Seen = (FailureKind, String);

/// Why a lookup gave no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LookupFault {
    NotFound,
    NoAddress,
    ServerFailure(String),
    Timeout,
    Agent(String),
}

/// The failure of a phase that the deadline ended. None for the closing handshake: by then the check has passed.
pub(crate) fn deadline(phase: Phase) -> Option<FailureKind> {
    match phase {
        Phase::Dns => Some(FailureKind::Dns(DnsFault::Timeout)),
        Phase::Tcp => Some(FailureKind::ConnectTimeout),
        Phase::Tls => Some(FailureKind::TlsTimeout),
        Phase::Upgrade => Some(FailureKind::UpgradeTimeout),
        Phase::Exchange => Some(FailureKind::ReplyTimeout),
        Phase::Close => None,
    }
}

/// An error of a nameserver, or on the way to it.
pub(crate) fn lookup(error: &NetError) -> LookupFault {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(_)) if error.is_nx_domain() => LookupFault::NotFound,
        NetError::Dns(DnsError::NoRecordsFound(_)) => LookupFault::NoAddress,
        NetError::Timeout => LookupFault::Timeout,
        NetError::Busy => LookupFault::Agent("too many lookups are on their way".to_owned()),
        NetError::Io(error) if is_own_fault(error) => LookupFault::Agent(error.to_string()),
        other => LookupFault::ServerFailure(quote(&other.to_string())),
    }
}

/// What two failed lookups say together. That the name does not exist outweighs all; a real error outweighs the other
/// family having no address.
pub(crate) fn both_lookups_failed(v6: LookupFault, v4: LookupFault) -> LookupFault {
    let weight = |fault: &LookupFault| match fault {
        LookupFault::NoAddress => 0,
        LookupFault::Timeout => 1,
        LookupFault::ServerFailure(_) => 2,
        LookupFault::Agent(_) => 3,
        LookupFault::NotFound => 4,
    };
    if weight(&v6) > weight(&v4) { v6 } else { v4 }
}

/// The failure that a failed lookup is.
pub(crate) fn lookup_failure(fault: LookupFault, host: &str) -> Seen {
    match fault {
        LookupFault::NotFound => {
            (FailureKind::Dns(DnsFault::NotFound), format!("{host} does not exist, the nameserver says"))
        }
        LookupFault::NoAddress => (
            FailureKind::Dns(DnsFault::NoAddress),
            format!("{host} exists and has neither an A nor an AAAA record"),
        ),
        LookupFault::ServerFailure(what) => {
            (FailureKind::Dns(DnsFault::ServerFailure), format!("looking up {host}: {what}"))
        }
        LookupFault::Timeout => {
            (FailureKind::Dns(DnsFault::Timeout), format!("no nameserver answered for {host}"))
        }
        LookupFault::Agent(what) => {
            (FailureKind::AgentFault, format!("the agent cannot look up {host}: {what}"))
        }
    }
}

/// An error of the TCP handshake.
pub(crate) fn connect(error: &io::Error) -> FailureKind {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => FailureKind::ConnectionRefused,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            FailureKind::Unreachable
        }
        io::ErrorKind::TimedOut => FailureKind::ConnectTimeout,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => FailureKind::ConnectionReset,
        // Anything else that a connect gives (no descriptors, no ports, a local firewall) is this host's own trouble.
        _ => FailureKind::AgentFault,
    }
}

/// An error of reading from or writing to an open connection, in any phase.
pub(crate) fn stream(error: &io::Error) -> Seen {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            (FailureKind::Dropped, "the connection ended without a close frame".to_owned())
        }
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            (FailureKind::ConnectionReset, "the connection was reset".to_owned())
        }
        // The network gave up on packets that nobody acknowledged.
        io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            (FailureKind::Unreachable, format!("the open connection broke: {error}"))
        }
        _ => match tls_error(error) {
            Some(error) => (FailureKind::TlsHandshake, format!("TLS broke on the open connection: {error}")),
            None => (FailureKind::AgentFault, format!("the connection cannot be used: {error}")),
        },
    }
}

/// An error of the TLS handshake.
pub(crate) fn tls_handshake(error: &io::Error) -> Seen {
    if let Some(error) = tls_error(error) {
        return tls(error);
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => (
            FailureKind::TlsHandshake,
            "the server closed the connection within the TLS handshake".to_owned(),
        ),
        _ => match stream(error) {
            (kind @ FailureKind::ConnectionReset, _) => {
                (kind, "the connection was reset within the TLS handshake".to_owned())
            }
            seen => seen,
        },
    }
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn tls(error: &rustls::Error) -> Seen {
    if let rustls::Error::InvalidCertificate(fault) = error {
        return certificate(fault);
    }
    let detail = match error {
        rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => {
            "the server's answer is not TLS: does it speak plain ws:// on this port?".to_owned()
        }
        rustls::Error::AlertReceived(alert) => {
            format!("the server refused the TLS handshake with the alert {alert:?}")
        }
        other => other.to_string(),
    };
    (FailureKind::TlsHandshake, detail)
}

fn certificate(fault: &CertificateError) -> Seen {
    if let CertificateError::ExpiredContext { time, not_after } = fault {
        let detail =
            format!("the certificate was valid until {}, {}", date(*not_after), span(*not_after, *time));
        return (FailureKind::CertificateExpired, detail + " ago");
    }
    if let CertificateError::NotValidYetContext { time, not_before } = fault {
        let detail =
            format!("the certificate is valid from {}, in {}", date(*not_before), span(*time, *not_before));
        return (FailureKind::CertificateExpired, detail);
    }
    if let CertificateError::NotValidForNameContext { expected, presented } = fault {
        let names: Vec<_> = presented.iter().map(|name| bare_name(name)).collect();
        let names = if names.is_empty() { "no name at all".to_owned() } else { names.join(", ") };
        let detail = format!("the certificate is for {}, not for {}", quote(&names), expected.to_str());
        return (FailureKind::CertificateName, detail);
    }
    let kind = match fault {
        CertificateError::Expired | CertificateError::NotValidYet => FailureKind::CertificateExpired,
        CertificateError::NotValidForName => FailureKind::CertificateName,
        _ => FailureKind::CertificateUntrusted,
    };
    let detail = match fault {
        CertificateError::UnknownIssuer => "the certificate was not issued by a trusted root".to_owned(),
        other => format!("the certificate is not trusted: {other}"),
    };
    (kind, detail)
}

/// `DnsName("a.example")` and `IpAddress(…)`, as rustls writes them, without the wrapping.
fn bare_name(name: &str) -> &str {
    name.split_once('"').and_then(|(_, rest)| rest.split_once('"')).map_or(name, |(inner, _)| inner)
}

fn date(time: UnixTime) -> String {
    let timestamp =
        i64::try_from(time.as_secs()).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    timestamp.map_or_else(
        || "an absurd date".to_owned(),
        |timestamp| timestamp.strftime("%Y-%m-%d %H:%M UTC").to_string(),
    )
}

fn span(from: UnixTime, to: UnixTime) -> String {
    let seconds = to.as_secs().saturating_sub(from.as_secs());
    match (seconds / 86_400, seconds / 3_600) {
        (0, 0) => format!("{} minutes", seconds / 60),
        (0, hours) => format!("{hours} hours"),
        (1, _) => "1 day".to_owned(),
        (days, _) => format!("{days} days"),
    }
}

/// An error of the WebSocket library.
pub(crate) fn websocket(error: &tungstenite::Error) -> Seen {
    use tungstenite::Error;
    match error {
        Error::Io(error) => stream(error),
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            (FailureKind::Dropped, "the connection ended without a close frame".to_owned())
        }
        Error::Protocol(ProtocolError::MaskedFrameFromServer) => violation("a masked frame (section 5.1)"),
        Error::Protocol(ProtocolError::NonZeroReservedBits) => {
            violation("a frame with reserved bits set, though no extension was agreed on (section 5.2)")
        }
        Error::Protocol(ProtocolError::InvalidOpcode(opcode)) => {
            violation(&format!("a frame of the unknown opcode {opcode} (section 5.2)"))
        }
        Error::Protocol(error) => violation(&quote(&error.to_string())),
        Error::Utf8(_) => violation("a text that is not UTF-8 (section 5.6)"),
        Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
            (FailureKind::TooLarge, format!("a message of {size} bytes came; the agent takes {max_size}"))
        }
        Error::Capacity(CapacityError::TooManyHeaders)
        | Error::WriteBufferFull(_)
        | Error::AttackAttempt
        | Error::Tls(_)
        | Error::Url(_)
        | Error::Http(_)
        | Error::HttpFormat(_) => (FailureKind::AgentFault, format!("the WebSocket library: {error}")),
    }
}

fn violation(what: &str) -> Seen {
    (FailureKind::ProtocolViolation, format!("against RFC 6455 the server sent {what}"))
}

/// Bytes that came in answer to the upgrade and are not an HTTP/1 response.
pub(crate) fn not_a_response(error: httparse::Error, bytes: &[u8]) -> (UpgradeFault, String) {
    if matches!(error, httparse::Error::TooManyHeaders) {
        let max = crate::limits::UPGRADE_HEADERS_MAX;
        return (UpgradeFault::HeadTooLarge, format!("the answer has more than {max} header lines"));
    }
    let opening: String = String::from_utf8_lossy(bytes).chars().take(60).collect();
    let opening = quote(opening.lines().next().unwrap_or_default());
    if bytes.starts_with(b"HTTP/") && !bytes.starts_with(b"HTTP/1.") {
        return (UpgradeFault::HttpVersion, format!("the answer begins with \"{opening}\""));
    }
    let fault = UpgradeFault::NotHttp;
    if bytes.starts_with(&[0x15, 0x03]) || bytes.starts_with(&[0x16, 0x03]) {
        return (fault, "the answer is TLS: does this port want wss://?".to_owned());
    }
    if bytes.starts_with(b"HTTP/1.") {
        return (fault, format!("the answer begins with \"{opening}\" and is broken HTTP: {error}"));
    }
    (fault, format!("the answer begins with \"{opening}\""))
}

/// Whether an error says that this host is out of something, and nothing about the other side.
fn is_own_fault(error: &io::Error) -> bool {
    // EMFILE and ENFILE have no stable `ErrorKind`.
    matches!(error.raw_os_error(), Some(23 | 24))
        || matches!(
            error.kind(),
            io::ErrorKind::OutOfMemory | io::ErrorKind::AddrNotAvailable | io::ErrorKind::PermissionDenied
        )
}
