//! What errors of the TCP handshake and of an open connection mean.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the errors of other crates are open-ended; the rest of them is one case here"
)]

use std::io;

use quorate_proto::FailureKind;

use super::{Seen, tls};

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
        _ => match tls::inner(error) {
            Some(error) => tls::open(error),
            None => (FailureKind::AgentFault, format!("the connection cannot be used: {error}")),
        },
    }
}

/// Whether an error says that this host is out of something, and nothing about the other side.
pub(super) fn is_own_fault(error: &io::Error) -> bool {
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
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::InternalError);
        let alert = io::Error::new(io::ErrorKind::InvalidData, alert);
        assert_eq!(stream(&alert).0, FailureKind::TlsAlert(80));
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
