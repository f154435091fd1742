//! What a check found: passed, or the one failure that ended it, with timings per phase.

use std::{fmt, net::IpAddr};

use serde::{Deserialize, Serialize};

use crate::{
    id::MonitorId,
    limits,
    time::{Micros, WallMicros},
};

/// One execution of a monitor by one agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// What was checked.
    pub monitor: MonitorId,
    /// Why it was checked.
    pub kind: CheckKind,
    /// The agent's wall clock when the check started. For people.
    pub started_at: WallMicros,
    /// From the end of the check to the signing of its batch, by a clock that also runs in suspend.
    pub age: Micros,
    /// What was found.
    pub outcome: Outcome,
    /// How long each phase took.
    pub timings: Timings,
    /// The address that was dialled, where it came to that.
    pub address: Option<IpAddr>,
}

/// Why a check was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckKind {
    /// Its turn had come.
    Scheduled,
    /// The aggregator asked for it, because a region saw a failure.
    Confirming {
        /// The number of the request it answers.
        request: u64,
        /// 1 for the first attempt, 2 for the second.
        attempt: u8,
    },
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Everything that was asked for came true in time.
    Passed,
    /// The one failure that ended the check.
    Failed(Failure),
}

/// A part of a check, in the order in which they happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Phase {
    /// Resolving the host's name.
    Dns,
    /// The TCP handshake.
    Tcp,
    /// The TLS handshake.
    Tls,
    /// The HTTP upgrade.
    Upgrade,
    /// The steps.
    Exchange,
    /// The closing handshake.
    Close,
}

/// How long each phase took. A phase that was not reached, or not there, has none; a phase that failed has the time
/// until it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timings {
    /// Resolving the host's name; none for an address literal.
    pub dns: Option<Micros>,
    /// The TCP handshake with the address that was used.
    pub tcp: Option<Micros>,
    /// The TLS handshake.
    pub tls: Option<Micros>,
    /// From the first byte of the request to the verified response.
    pub upgrade: Option<Micros>,
    /// All steps together.
    pub exchange: Option<Micros>,
    /// From our close frame to the server's.
    pub close: Option<Micros>,
    /// From the latest `Send` (or ping) to the reply that matched: the slowest such round trip of the check.
    pub round_trip: Option<Micros>,
    /// From the start of the check to its end.
    pub total: Micros,
}

/// The one failure that ended a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What went wrong.
    pub kind: FailureKind,
    /// Where in the check.
    pub phase: Phase,
    /// In words, with the numbers; at most [`limits::DETAIL_BYTES_MAX`] bytes. May quote the server.
    pub detail: String,
    /// What the server answered instead of the upgrade.
    pub refusal: Option<UpgradeRefusal>,
}

/// An answer to the upgrade request that was not `101 Switching Protocols`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeRefusal {
    /// The HTTP status.
    pub status: u16,
    /// The `Server` header, cut at [`limits::SERVER_HEADER_BYTES_MAX`].
    pub server: Option<String>,
    /// The first bytes of the body, cut at [`limits::BODY_EXCERPT_BYTES_MAX`]; what is not UTF-8 is replaced.
    pub body: String,
}

/// Every way in which a check fails. Closed: it grows only at its end, and only with a new codec version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// The name was not resolved.
    Dns(DnsFault),
    /// The host answered the TCP handshake with a reset: nothing listens there.
    ConnectionRefused,
    /// The network said that there is no way to the host.
    Unreachable,
    /// No answer to the TCP handshake in time.
    ConnectTimeout,
    /// The connection was reset while in use.
    ConnectionReset,
    /// The TLS handshake failed for a reason other than the certificate.
    TlsHandshake,
    /// The TLS handshake did not end in time.
    TlsTimeout,
    /// The certificate is not valid today.
    CertificateExpired,
    /// The certificate is for another name.
    CertificateName,
    /// The certificate does not lead to a trusted root.
    CertificateUntrusted,
    /// The upgrade was answered with another status than 101.
    UpgradeStatus(u16),
    /// The upgrade was answered with 101, or something like HTTP, but not as RFC 6455 section 4.1 wants it.
    UpgradeInvalid(UpgradeFault),
    /// No whole answer to the upgrade in time.
    UpgradeTimeout,
    /// No matching reply in time.
    ReplyTimeout,
    /// Replies came, and none matched within the limit of messages to skip.
    ReplyMismatch,
    /// The server closed with a close frame.
    Closed {
        /// The close code (RFC 6455 section 7.4); 1005 where the frame had none.
        code: u16,
        /// The close reason; empty where there was none.
        reason: String,
    },
    /// The connection ended without a close frame (what browsers report as 1006).
    Dropped,
    /// The server broke the framing rules.
    ProtocolViolation,
    /// A message or frame above the agent's limit.
    TooLarge,
    /// The agent's egress filter does not allow the address. Not the server's fault: the region abstains.
    EgressBlocked,
    /// The agent could not do its work. Not the server's fault: the region abstains.
    AgentFault,
}

/// Why a name was not resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DnsFault {
    /// The name does not exist (NXDOMAIN).
    NotFound,
    /// The name exists and has no address (NODATA).
    NoAddress,
    /// The resolver could not say (SERVFAIL, REFUSED, a broken answer).
    ServerFailure,
    /// The resolver did not answer in time.
    Timeout,
}

/// What is wrong with an answer to the upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpgradeFault {
    /// It is not HTTP.
    NotHttp,
    /// It is HTTP, but not 1.1.
    HttpVersion,
    /// Its head is larger than the agent's limit.
    HeadTooLarge,
    /// `Upgrade: websocket` is missing.
    UpgradeHeader,
    /// `Connection: Upgrade` is missing.
    ConnectionHeader,
    /// `Sec-WebSocket-Accept` is missing.
    AcceptMissing,
    /// `Sec-WebSocket-Accept` is not the digest of our key: something answered that never computed it.
    AcceptMismatch,
    /// A subprotocol that was not offered.
    Subprotocol,
    /// An extension that was not asked for.
    Extension,
}

impl CheckResult {
    /// The figure that people mean by latency: the round trip where one was measured, otherwise the whole check.
    pub fn latency(&self) -> Micros {
        self.timings.round_trip.unwrap_or(self.timings.total)
    }

    /// The failure, where there is one.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.outcome {
            Outcome::Passed => None,
            Outcome::Failed(failure) => Some(failure),
        }
    }

    /// Whether every bounded field is within its bound.
    pub fn is_within_limits(&self) -> bool {
        let Some(failure) = self.failure() else { return true };
        let reason_fits = if let FailureKind::Closed { reason, .. } = &failure.kind {
            reason.len() <= limits::CLOSE_REASON_BYTES_MAX
        } else {
            true
        };
        reason_fits
            && failure.detail.len() <= limits::DETAIL_BYTES_MAX
            && failure.refusal.as_ref().is_none_or(|refusal| {
                refusal.body.len() <= limits::BODY_EXCERPT_BYTES_MAX
                    && refusal
                        .server
                        .as_ref()
                        .is_none_or(|server| server.len() <= limits::SERVER_HEADER_BYTES_MAX)
            })
    }
}

impl Failure {
    /// A failure; the detail is cut at [`limits::DETAIL_BYTES_MAX`].
    pub fn new(kind: FailureKind, phase: Phase, detail: impl Into<String>) -> Self {
        Self { kind, phase, detail: cut(detail.into(), limits::DETAIL_BYTES_MAX), refusal: None }
    }
}

impl FailureKind {
    /// Every name that [`FailureKind::name`] gives, for the API's documentation and for bounded metric labels.
    pub const NAMES: [&'static str; 21] = [
        "dns",
        "connection_refused",
        "unreachable",
        "connect_timeout",
        "connection_reset",
        "tls_handshake",
        "tls_timeout",
        "certificate_expired",
        "certificate_name",
        "certificate_untrusted",
        "upgrade_status",
        "upgrade_invalid",
        "upgrade_timeout",
        "reply_timeout",
        "reply_mismatch",
        "closed",
        "dropped",
        "protocol_violation",
        "too_large",
        "egress_blocked",
        "agent_fault",
    ];

    /// The stable name, for JSON, metrics and the store.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Dns(_) => "dns",
            Self::ConnectionRefused => "connection_refused",
            Self::Unreachable => "unreachable",
            Self::ConnectTimeout => "connect_timeout",
            Self::ConnectionReset => "connection_reset",
            Self::TlsHandshake => "tls_handshake",
            Self::TlsTimeout => "tls_timeout",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateName => "certificate_name",
            Self::CertificateUntrusted => "certificate_untrusted",
            Self::UpgradeStatus(_) => "upgrade_status",
            Self::UpgradeInvalid(_) => "upgrade_invalid",
            Self::UpgradeTimeout => "upgrade_timeout",
            Self::ReplyTimeout => "reply_timeout",
            Self::ReplyMismatch => "reply_mismatch",
            Self::Closed { .. } => "closed",
            Self::Dropped => "dropped",
            Self::ProtocolViolation => "protocol_violation",
            Self::TooLarge => "too_large",
            Self::EgressBlocked => "egress_blocked",
            Self::AgentFault => "agent_fault",
        }
    }

    /// Whether the fault is the agent's or its operator's, so that it says nothing about the server.
    pub fn is_agents_own(&self) -> bool {
        matches!(self, Self::EgressBlocked | Self::AgentFault)
    }
}

impl fmt::Display for FailureKind {
    /// The name with what distinguishes one case from another: `upgrade_status 502`, `closed 1011`, `dns not_found`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Self::Dns(fault) => write!(f, "{name} {}", fault.name()),
            Self::UpgradeStatus(status) => write!(f, "{name} {status}"),
            Self::UpgradeInvalid(fault) => write!(f, "{name} {}", fault.name()),
            Self::Closed { code, .. } => write!(f, "{name} {code}"),
            Self::ConnectionRefused
            | Self::Unreachable
            | Self::ConnectTimeout
            | Self::ConnectionReset
            | Self::TlsHandshake
            | Self::TlsTimeout
            | Self::CertificateExpired
            | Self::CertificateName
            | Self::CertificateUntrusted
            | Self::UpgradeTimeout
            | Self::ReplyTimeout
            | Self::ReplyMismatch
            | Self::Dropped
            | Self::ProtocolViolation
            | Self::TooLarge
            | Self::EgressBlocked
            | Self::AgentFault => f.write_str(name),
        }
    }
}

impl DnsFault {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::NoAddress => "no_address",
            Self::ServerFailure => "server_failure",
            Self::Timeout => "timeout",
        }
    }
}

impl UpgradeFault {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotHttp => "not_http",
            Self::HttpVersion => "http_version",
            Self::HeadTooLarge => "head_too_large",
            Self::UpgradeHeader => "upgrade_header",
            Self::ConnectionHeader => "connection_header",
            Self::AcceptMissing => "accept_missing",
            Self::AcceptMismatch => "accept_mismatch",
            Self::Subprotocol => "subprotocol",
            Self::Extension => "extension",
        }
    }
}

impl Phase {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Upgrade => "upgrade",
            Self::Exchange => "exchange",
            Self::Close => "close",
        }
    }
}

/// Cuts a text at a bound in bytes, on a character's border, and marks the cut.
pub fn cut(mut text: String, bytes_max: usize) -> String {
    const MARK: &str = "…";
    if text.len() <= bytes_max {
        return text;
    }
    let mut end = bytes_max.saturating_sub(MARK.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push_str(MARK);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_on_characters() {
        assert_eq!(cut("short".into(), 8), "short");
        assert_eq!(cut("äöüäöü".into(), 8), "äö…");
        assert!(cut("ä".repeat(999), 512).len() <= 512);
    }
}
