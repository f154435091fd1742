//! What an error means. Pure: an error in, a failure's kind and words out.

mod answer;
mod lookup;
mod socket;
mod tls;
mod websocket;

use quorate_proto::{FailureKind, Phase, outcome::DnsFault};

pub(crate) use self::{
    answer::not_a_response,
    lookup::{LookupFault, both_lookups_failed, lookup, lookup_failure},
    socket::{ConnectFault, connect, stream},
    tls::tls_handshake,
    websocket::{close_code, closed, websocket},
};

/// What went wrong, and what was seen of it.
pub(crate) type Seen = (FailureKind, String);

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
}
