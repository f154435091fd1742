//! Events of a monitor: what people want to know of, and what is no outage.

use quorate_proto::{Region, WallMicros};
use serde::{Deserialize, Serialize};

use super::{MonitorReference, rfc3339};

/// Something that happened to a monitor and is no incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MonitorEvent {
    /// `evt_` and a UUID, version 7.
    pub id: String,
    /// To which monitor.
    pub monitor: MonitorReference,
    /// In which region, where it is of one.
    pub region: Option<Region>,
    /// When.
    #[serde(with = "rfc3339")]
    pub at: WallMicros,
    /// What.
    pub kind: EventKind,
    /// How much it matters.
    pub severity: Severity,
    /// In one or two sentences, with the numbers and what to do.
    pub summary: String,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A quorum of regions saw the server close with 1001, 1012 or 1013 and come back within the restart budget.
    Restarted,
    /// A region's canary reconnects more than once a minute.
    ReconnectsFrequent,
    /// A certificate of the chain ends within the warning time.
    CertificateExpiring,
    /// Regions are shown different certificates.
    CertificatesDiffer,
    /// The path cuts idle connections after another time than before.
    IdleTimeoutChanged,
    /// Some of the host's addresses fail in a region, and others pass.
    AddressesFailing,
    /// All of them pass again.
    AddressesRecovered,
    /// It works, and not well.
    Degraded,
    /// It works well again.
    Recovered,
}

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look at it in working hours.
    Warning,
}

impl EventKind {
    /// Every kind, for bounded metric labels.
    pub const ALL: [Self; 9] = [
        Self::Restarted,
        Self::ReconnectsFrequent,
        Self::CertificateExpiring,
        Self::CertificatesDiffer,
        Self::IdleTimeoutChanged,
        Self::AddressesFailing,
        Self::AddressesRecovered,
        Self::Degraded,
        Self::Recovered,
    ];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Restarted => "restarted",
            Self::ReconnectsFrequent => "reconnects_frequent",
            Self::CertificateExpiring => "certificate_expiring",
            Self::CertificatesDiffer => "certificates_differ",
            Self::IdleTimeoutChanged => "idle_timeout_changed",
            Self::AddressesFailing => "addresses_failing",
            Self::AddressesRecovered => "addresses_recovered",
            Self::Degraded => "degraded",
            Self::Recovered => "recovered",
        }
    }

    /// How much it matters.
    pub const fn severity(self) -> Severity {
        match self {
            Self::Restarted | Self::AddressesRecovered => Severity::Info,
            Self::Recovered => Severity::Info,
            Self::Degraded => Severity::Warning,
            Self::ReconnectsFrequent
            | Self::CertificateExpiring
            | Self::CertificatesDiffer
            | Self::IdleTimeoutChanged
            | Self::AddressesFailing => Severity::Warning,
        }
    }
}

impl Severity {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
        }
    }
}
