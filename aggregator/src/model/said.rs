//! What has been said of a monitor by events: kept, so that it is said once, whatever is restarted meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use quorate_proto::{Micros, Region, WallMicros};
use serde::{Deserialize, Serialize};

/// What has been said of one monitor. A part that an older version did not know is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Said {
    /// Certificates whose end was announced, by fingerprint in hexadecimal.
    pub certificates: BTreeMap<String, CertificateSaid>,
    /// When regions were last seen to be shown different certificates, after it was said.
    pub differing: Option<WallMicros>,
    /// After which idle time the path cuts a connection, as found last in each region.
    pub idle: BTreeMap<Region, IdleSaid>,
    /// Addresses that were said to fail, by region.
    pub addresses: BTreeMap<Region, BTreeSet<IpAddr>>,
    /// Regions whose canaries were said to reconnect often, and when they last did.
    pub reconnects: BTreeMap<Region, WallMicros>,
}

/// A certificate whose end was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateSaid {
    /// The shortest time before its end at which it was announced.
    pub before: Micros,
    /// When it ends.
    pub not_after: WallMicros,
}

/// The idle timeout of a path, as it was last found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdleSaid {
    /// The longest idle time that a connection survived.
    pub survived: Micros,
    /// The shortest after which one was cut; none where none was.
    pub cut: Option<Micros>,
    /// How it is cut, in words; empty where it is not.
    pub how: String,
}
