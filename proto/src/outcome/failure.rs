//! The one failure that ended a check: what it is, when, and in the words that people read.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Phase;
use crate::limits;

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
    /// Whether the same agent's canary on the monitor lived meanwhile: newcomers are refused, and those inside stay.
    pub canary_lives: bool,
}

/// An answer to the upgrade request that was not `101 Switching Protocols`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeRefusal {
    /// The HTTP status.
    pub status: u16,
    /// The `Server` header, cut at [`limits::SERVER_HEADER_BYTES_MAX`].
    pub server: Option<String>,
    /// Headers that tell who answered and why, as `name: value`; at most [`limits::REFUSAL_HEADERS_MAX`], each cut at
    /// [`limits::SERVER_HEADER_BYTES_MAX`]. No cookies.
    pub headers: Vec<String>,
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
    /// A TLS alert ended the connection after its handshake (RFC 8446 section 6), with this description.
    TlsAlert(u8),
    /// A connection that was held open: TCP lives, and the heartbeat was not answered.
    SilentDrop(SilentDrop),
    /// The messages of a stream stopped coming in time.
    StreamStale,
    /// A message came in time, and what it says is wrong.
    Content(ContentFault),
    /// The proxy that the agent is to go through did not make the tunnel. Not the server's fault: the region abstains.
    Proxy,
}

/// Where a silent drop is, as far as the system can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SilentDrop {
    /// The peer's TCP acknowledged the heartbeat, and nothing answered it: the server is stuck.
    Stuck,
    /// The heartbeat was not even acknowledged: the path is dead.
    PathDead,
    /// The system does not tell.
    Unknown,
}

/// What is wrong with a message's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContentFault {
    /// A value that must grow did not.
    NotGrowing,
    /// A sequence has a gap.
    SequenceGap,
    /// A sequence repeats a number or goes back.
    SequenceRepeat,
    /// A published timestamp is too old.
    TooOld,
    /// The value is not there, or not of a kind that can be judged.
    Unreadable,
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

impl Failure {
    /// A failure; the detail is cut at [`limits::DETAIL_BYTES_MAX`].
    pub fn new(kind: FailureKind, phase: Phase, detail: impl Into<String>) -> Self {
        Self {
            kind,
            phase,
            detail: cut(detail.into(), limits::DETAIL_BYTES_MAX),
            refusal: None,
            canary_lives: false,
        }
    }

    /// Whether every bounded field is within its bound.
    pub fn is_within_limits(&self) -> bool {
        let fits = |text: &String| text.len() <= limits::SERVER_HEADER_BYTES_MAX;
        self.kind.fits()
            && self.detail.len() <= limits::DETAIL_BYTES_MAX
            && self.refusal.as_ref().is_none_or(|refusal| {
                refusal.body.len() <= limits::BODY_EXCERPT_BYTES_MAX
                    && refusal.server.as_ref().is_none_or(fits)
                    && refusal.headers.len() <= limits::REFUSAL_HEADERS_MAX
                    && refusal.headers.iter().all(fits)
            })
    }
}

impl FailureKind {
    /// Every name that [`FailureKind::name`] gives, for the API's documentation and for bounded metric labels.
    pub const NAMES: [&'static str; 26] = [
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
        "tls_alert",
        "silent_drop",
        "stream_stale",
        "content",
        "proxy",
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
            Self::TlsAlert(_) => "tls_alert",
            Self::SilentDrop(_) => "silent_drop",
            Self::StreamStale => "stream_stale",
            Self::Content(_) => "content",
            Self::Proxy => "proxy",
        }
    }

    pub(super) fn fits(&self) -> bool {
        if let Self::Closed { reason, .. } = self {
            reason.len() <= limits::CLOSE_REASON_BYTES_MAX
        } else {
            true
        }
    }

    /// The code by which the end of an open connection is counted (RFC 6455 section 7.1.5): that of the close frame, 1005
    /// where it had none, 1006 where no frame came.
    pub fn close_code(&self) -> u16 {
        if let Self::Closed { code, .. } = self { *code } else { 1006 }
    }

    /// Whether the server said that it goes away on purpose: close codes 1001, 1012 and 1013.
    pub fn is_announced(&self) -> bool {
        matches!(self, Self::Closed { code: 1001 | 1012 | 1013, .. })
    }

    /// Whether the fault is the agent's or its operator's, so that it says nothing about the server.
    pub fn is_agents_own(&self) -> bool {
        matches!(self, Self::EgressBlocked | Self::AgentFault | Self::Proxy)
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
            Self::TlsAlert(description) => write!(f, "{name} {description}"),
            Self::SilentDrop(at) => write!(f, "{name} {}", at.name()),
            Self::Content(fault) => write!(f, "{name} {}", fault.name()),
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
            | Self::AgentFault
            | Self::StreamStale
            | Self::Proxy => f.write_str(name),
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

impl SilentDrop {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stuck => "stuck",
            Self::PathDead => "path_dead",
            Self::Unknown => "unknown",
        }
    }
}

impl ContentFault {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotGrowing => "not_growing",
            Self::SequenceGap => "sequence_gap",
            Self::SequenceRepeat => "sequence_repeat",
            Self::TooOld => "too_old",
            Self::Unreadable => "unreadable",
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
