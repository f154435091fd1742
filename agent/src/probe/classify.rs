//! What an error means. Pure: an error in, a failure's kind and words out.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the errors of other crates are open-ended; the rest of them is one case here"
)]

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
            (FailureKind::Dns(DnsFault::NotFound), format!("the nameserver says NXDOMAIN for {host}"))
        }
        LookupFault::NoAddress => {
            (FailureKind::Dns(DnsFault::NoAddress), format!("{host} has neither an A nor an AAAA record"))
        }
        LookupFault::ServerFailure(what) => {
            (FailureKind::Dns(DnsFault::ServerFailure), format!("for {host} the nameserver says: {what}"))
        }
        LookupFault::Timeout => {
            (FailureKind::Dns(DnsFault::Timeout), format!("no nameserver answered for {host}"))
        }
        LookupFault::Agent(what) => {
            (FailureKind::AgentFault, format!("the agent cannot look up {host}: {what}"))
        }
    }
}

/// Why an address gave no connection, in order of how much that says about the server: one that refuses says more than a
/// network that has no way, as an agent without IPv6 has none to half of the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ConnectFault {
    /// The egress filter stands in between.
    Blocked,
    /// This host's own trouble: no descriptors, no ports, a local firewall.
    Own,
    Unreachable,
    TimedOut,
    Reset,
    Refused,
}

impl From<ConnectFault> for FailureKind {
    fn from(fault: ConnectFault) -> Self {
        match fault {
            ConnectFault::Blocked => Self::EgressBlocked,
            ConnectFault::Own => Self::AgentFault,
            ConnectFault::Unreachable => Self::Unreachable,
            ConnectFault::TimedOut => Self::ConnectTimeout,
            ConnectFault::Reset => Self::ConnectionReset,
            ConnectFault::Refused => Self::ConnectionRefused,
        }
    }
}

/// An error of the TCP handshake.
pub(crate) fn connect(error: &io::Error) -> ConnectFault {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ConnectFault::Refused,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            ConnectFault::Unreachable
        }
        io::ErrorKind::TimedOut => ConnectFault::TimedOut,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => ConnectFault::Reset,
        _ => ConnectFault::Own,
    }
}

/// An error of reading from or writing to an open connection, in any phase.
pub(crate) fn stream(error: &io::Error) -> Seen {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => (FailureKind::Dropped, "the connection just ended".to_owned()),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            (FailureKind::ConnectionReset, "reset by the server or something in between".to_owned())
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
            (kind @ FailureKind::ConnectionReset, _) => (kind, "reset within the TLS handshake".to_owned()),
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
        let detail = format!("it was valid until {}, {}", date(*not_after), span(*not_after, *time));
        return (FailureKind::CertificateExpired, detail + " ago");
    }
    if let CertificateError::NotValidYetContext { time, not_before } = fault {
        let detail = format!("it is valid from {}, in {}", date(*not_before), span(*time, *not_before));
        return (FailureKind::CertificateExpired, detail);
    }
    if let CertificateError::NotValidForNameContext { expected, presented } = fault {
        let names: Vec<_> = presented.iter().map(|name| bare_name(name)).collect();
        let names = if names.is_empty() { "no name at all".to_owned() } else { names.join(", ") };
        let detail = format!("it is for {}, not for {}", quote(&names), expected.to_str());
        return (FailureKind::CertificateName, detail);
    }
    let kind = match fault {
        CertificateError::Expired | CertificateError::NotValidYet => FailureKind::CertificateExpired,
        CertificateError::NotValidForName => FailureKind::CertificateName,
        _ => FailureKind::CertificateUntrusted,
    };
    let detail = match fault {
        CertificateError::UnknownIssuer => "it was not issued by a trusted root".to_owned(),
        CertificateError::BadSignature => "its signature is not its issuer's".to_owned(),
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "it is an authority's own certificate in place of a server's".to_owned()
        }
        other => other.to_string(),
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
            (FailureKind::Dropped, "the connection just ended".to_owned())
        }
        Error::Protocol(ProtocolError::MaskedFrameFromServer) => {
            violation("a masked frame, against section 5.1")
        }
        Error::Protocol(ProtocolError::NonZeroReservedBits) => {
            violation("a frame with reserved bits set and no extension agreed on, against section 5.2")
        }
        Error::Protocol(ProtocolError::InvalidOpcode(opcode)) => {
            violation(&format!("a frame of the unknown opcode {opcode}, against section 5.2"))
        }
        Error::Protocol(error) => (FailureKind::ProtocolViolation, quote(&error.to_string())),
        Error::Utf8(_) => violation("a text that is not UTF-8, against section 5.6"),
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
    (FailureKind::ProtocolViolation, format!("it sent {what} of RFC 6455"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_the_failure_of_its_phase() {
        for (phase, kind) in [
            (Phase::Dns, Some(FailureKind::Dns(DnsFault::Timeout))),
            (Phase::Tcp, Some(FailureKind::ConnectTimeout)),
            (Phase::Tls, Some(FailureKind::TlsTimeout)),
            (Phase::Upgrade, Some(FailureKind::UpgradeTimeout)),
            (Phase::Exchange, Some(FailureKind::ReplyTimeout)),
            (Phase::Close, None),
        ] {
            assert_eq!(deadline(phase), kind);
        }
    }

    #[test]
    fn errors_of_the_tcp_handshake() {
        for (code, kind) in [
            (errno::ECONNREFUSED, FailureKind::ConnectionRefused),
            (errno::EHOSTUNREACH, FailureKind::Unreachable),
            (errno::ENETUNREACH, FailureKind::Unreachable),
            (errno::ENETDOWN, FailureKind::Unreachable),
            (errno::ETIMEDOUT, FailureKind::ConnectTimeout),
            (errno::ECONNRESET, FailureKind::ConnectionReset),
            (errno::EMFILE, FailureKind::AgentFault),
            (errno::EADDRNOTAVAIL, FailureKind::AgentFault),
            (errno::EPERM, FailureKind::AgentFault),
        ] {
            assert_eq!(FailureKind::from(connect(&io::Error::from_raw_os_error(code))), kind, "errno {code}");
        }
    }

    #[test]
    fn errors_of_an_open_connection() {
        for (code, kind) in [
            (errno::ECONNRESET, FailureKind::ConnectionReset),
            (errno::EPIPE, FailureKind::ConnectionReset),
            (errno::ETIMEDOUT, FailureKind::Unreachable),
            (errno::EHOSTUNREACH, FailureKind::Unreachable),
            (errno::EMFILE, FailureKind::AgentFault),
        ] {
            assert_eq!(stream(&io::Error::from_raw_os_error(code)).0, kind, "errno {code}");
        }
        assert_eq!(stream(&io::ErrorKind::UnexpectedEof.into()).0, FailureKind::Dropped);
        let tls = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::DecryptError);
        assert_eq!(stream(&tls).0, FailureKind::TlsHandshake);
    }

    #[test]
    fn errors_of_the_tls_handshake() {
        let at = |seconds| UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let day = 86_400;
        let invalid = rustls::Error::InvalidCertificate;
        for (error, kind, words) in [
            (
                invalid(CertificateError::ExpiredContext {
                    time: at(20_003 * day),
                    not_after: at(20_000 * day),
                }),
                FailureKind::CertificateExpired,
                "was valid until 2024-10-04 00:00 UTC, 3 days ago",
            ),
            (
                invalid(CertificateError::NotValidYetContext { time: at(0), not_before: at(7_200) }),
                FailureKind::CertificateExpired,
                "is valid from 1970-01-01 02:00 UTC, in 2 hours",
            ),
            (
                invalid(CertificateError::NotValidForNameContext {
                    expected: "x.example".try_into().unwrap(),
                    presented: vec!["DnsName(\"a.example\")".into(), "DnsName(\"b.example\")".into()],
                }),
                FailureKind::CertificateName,
                "it is for a.example, b.example, not for x.example",
            ),
            (invalid(CertificateError::UnknownIssuer), FailureKind::CertificateUntrusted, "trusted root"),
            (invalid(CertificateError::BadSignature), FailureKind::CertificateUntrusted, ""),
            (invalid(CertificateError::Revoked), FailureKind::CertificateUntrusted, ""),
            (
                rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType),
                FailureKind::TlsHandshake,
                "plain ws://",
            ),
            (
                rustls::Error::AlertReceived(rustls::AlertDescription::HandshakeFailure),
                FailureKind::TlsHandshake,
                "HandshakeFailure",
            ),
        ] {
            let (found, detail) = tls_handshake(&io::Error::new(io::ErrorKind::InvalidData, error));
            assert_eq!(found, kind, "{detail}");
            assert!(detail.contains(words), "{detail}");
        }
        assert_eq!(tls_handshake(&io::ErrorKind::UnexpectedEof.into()).0, FailureKind::TlsHandshake);
        assert_eq!(tls_handshake(&io::ErrorKind::ConnectionReset.into()).0, FailureKind::ConnectionReset);
    }

    #[test]
    fn errors_of_the_websocket_library() {
        use tungstenite::Error;
        for (error, kind) in [
            (Error::ConnectionClosed, FailureKind::Dropped),
            (Error::Protocol(ProtocolError::ResetWithoutClosingHandshake), FailureKind::Dropped),
            (Error::Io(io::ErrorKind::ConnectionReset.into()), FailureKind::ConnectionReset),
            (Error::Protocol(ProtocolError::MaskedFrameFromServer), FailureKind::ProtocolViolation),
            (Error::Protocol(ProtocolError::NonZeroReservedBits), FailureKind::ProtocolViolation),
            (Error::Protocol(ProtocolError::InvalidOpcode(3)), FailureKind::ProtocolViolation),
            (Error::Protocol(ProtocolError::FragmentedControlFrame), FailureKind::ProtocolViolation),
            (Error::Utf8("bad".into()), FailureKind::ProtocolViolation),
            (Error::Capacity(CapacityError::MessageTooLong { size: 9, max_size: 8 }), FailureKind::TooLarge),
            (Error::AttackAttempt, FailureKind::AgentFault),
        ] {
            assert_eq!(websocket(&error).0, kind, "{error}");
        }
    }

    #[test]
    fn two_failed_lookups_are_one() {
        use LookupFault::{NoAddress, NotFound, Timeout};
        let broken = LookupFault::ServerFailure("SERVFAIL".into());
        for (v6, v4, both) in [
            (NoAddress, NoAddress, NoAddress),
            (NoAddress, Timeout, Timeout),
            (NoAddress, broken.clone(), broken.clone()),
            (broken.clone(), Timeout, broken.clone()),
            (NotFound, Timeout, NotFound),
        ] {
            assert_eq!(both_lookups_failed(v6.clone(), v4.clone()), both);
            assert_eq!(both_lookups_failed(v4, v6), both);
        }
    }

    /// Linux's numbers, so that what the kernel says is what is tested.
    mod errno {
        pub(super) const EPERM: i32 = 1;
        pub(super) const EMFILE: i32 = 24;
        pub(super) const EPIPE: i32 = 32;
        pub(super) const EADDRNOTAVAIL: i32 = 99;
        pub(super) const ENETDOWN: i32 = 100;
        pub(super) const ENETUNREACH: i32 = 101;
        pub(super) const ECONNRESET: i32 = 104;
        pub(super) const ETIMEDOUT: i32 = 110;
        pub(super) const ECONNREFUSED: i32 = 111;
        pub(super) const EHOSTUNREACH: i32 = 113;
    }
}
