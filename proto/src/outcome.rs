//! What a check found: passed, or the one failure that ended it, with timings per phase.

mod failure;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{
    id::MonitorId,
    limits,
    time::{Micros, WallMicros},
};

pub use self::failure::{
    ContentFault, DnsFault, Failure, FailureKind, SilentDrop, UpgradeFault, UpgradeRefusal, cut,
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
    /// The address that was dialled, where it came to that: a proxy's, where one stands in between.
    pub address: Option<IpAddr>,
    /// What TLS agreed on; none for `ws://`, or where it did not come to that.
    pub tls: Option<TlsFacts>,
    /// What each address found, where the monitor wants them checked on their own, in their order; at most
    /// [`limits::ADDRESSES_MAX`]. Then `outcome` is passed where one of them passed, and everything else here is of the first
    /// that did, or of the one whose failure is told: the one that got furthest.
    pub addresses: Vec<AddressResult>,
}

/// What one of several addresses found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressResult {
    /// The address.
    pub address: IpAddr,
    /// What went wrong there; none where the check passed.
    pub failure: Option<FailureKind>,
    /// From the start of its check to the end.
    pub total: Micros,
}

/// What TLS agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsFacts {
    /// The version's number (RFC 8446 section 4.2.1): `0x0304` is TLS 1.3.
    pub version: u16,
    /// The cipher suite's number in IANA's registry.
    pub cipher: u16,
    /// When the first certificate of the chain ends that the server sent, where they could be read.
    pub not_after: Option<WallMicros>,
    /// SHA-256 of the server's own certificate.
    pub fingerprint: [u8; 32],
    /// Whether the chain was verified.
    pub verified: bool,
}

/// The round trips of one check, or of a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundTrips {
    /// How many.
    pub count: u32,
    /// The quickest.
    pub min: Micros,
    /// The one in the middle; of an even number, the lower one.
    pub p50: Micros,
    /// The slowest.
    pub max: Micros,
    /// The mean of the differences between one and the next (as RFC 3550 section 6.4.1, without its smoothing).
    pub jitter: Micros,
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
    /// All round trips of the check, where it was to make several ([`crate::MonitorSpec::samples`]).
    pub samples: Option<RoundTrips>,
    /// From the start of the check to its end.
    pub total: Micros,
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
        self.addresses.len() <= limits::ADDRESSES_MAX
            && self.addresses.iter().all(|address| address.failure.as_ref().is_none_or(FailureKind::fits))
            && self.failure().is_none_or(Failure::is_within_limits)
    }
}

impl RoundTrips {
    /// Sums up spans in the order in which they were measured; none of none.
    pub fn of(spans: &[Micros]) -> Option<Self> {
        let mut sorted = spans.to_vec();
        sorted.sort_unstable();
        let difference = |pair: &[Micros]| match pair {
            [one, next] => one.0.abs_diff(next.0),
            _ => 0,
        };
        let differences: u64 = spans.windows(2).map(difference).fold(0, u64::saturating_add);
        let steps = u64::try_from(spans.len().saturating_sub(1)).unwrap_or(u64::MAX).max(1);
        Some(Self {
            count: u32::try_from(spans.len()).unwrap_or(u32::MAX),
            min: *sorted.first()?,
            p50: *sorted.get((sorted.len() - 1) / 2)?,
            max: *sorted.last()?,
            jitter: Micros(differences / steps),
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_are_summed_up() {
        let of = |spans: &[u64]| RoundTrips::of(&spans.iter().copied().map(Micros).collect::<Vec<_>>());
        let trips = |count, min, p50, max, jitter| {
            let [min, p50, max, jitter] = [min, p50, max, jitter].map(Micros);
            Some(RoundTrips { count, min, p50, max, jitter })
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[7]), trips(1, 7, 7, 7, 0));
        assert_eq!(of(&[30, 10, 20, 40]), trips(4, 10, 20, 40, 16));
        assert_eq!(of(&[0, u64::MAX, 0]), trips(3, 0, 0, u64::MAX, u64::MAX / 2));
    }
}
