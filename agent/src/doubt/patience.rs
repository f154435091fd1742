//! Which failures an agent can make by not being there.

use quorate_proto::{
    FailureKind,
    outcome::{ContentFault, DnsFault},
};

/// Whether a server that did all it had to may have been found so by an agent that did not run for a while: a deadline went
/// by, or the server gave up on the agent. What a server or the network answered in words is what it is.
pub(super) fn may_be_made_by_waiting(kind: &FailureKind) -> bool {
    match kind {
        FailureKind::Dns(DnsFault::Timeout)
        | FailureKind::ConnectTimeout
        | FailureKind::TlsTimeout
        | FailureKind::UpgradeTimeout
        // 408 Request Timeout: the rest of our request did not come.
        | FailureKind::UpgradeStatus(408)
        | FailureKind::ReplyTimeout
        | FailureKind::Closed { .. }
        | FailureKind::Dropped
        | FailureKind::ConnectionReset
        | FailureKind::TlsHandshake
        | FailureKind::TlsAlert(_)
        | FailureKind::SilentDrop(_)
        | FailureKind::StreamStale
        | FailureKind::Content(ContentFault::TooOld) => true,
        FailureKind::Dns(DnsFault::NotFound | DnsFault::NoAddress | DnsFault::ServerFailure)
        | FailureKind::ConnectionRefused
        | FailureKind::Unreachable
        | FailureKind::CertificateExpired
        | FailureKind::CertificateName
        | FailureKind::CertificateUntrusted
        | FailureKind::UpgradeStatus(_)
        | FailureKind::UpgradeInvalid(_)
        | FailureKind::ReplyMismatch
        | FailureKind::ProtocolViolation
        | FailureKind::TooLarge
        | FailureKind::Content(
            ContentFault::NotGrowing
            | ContentFault::SequenceGap
            | ContentFault::SequenceRepeat
            | ContentFault::Unreadable,
        )
        | FailureKind::EgressBlocked
        | FailureKind::AgentFault
        | FailureKind::Proxy => false,
    }
}
