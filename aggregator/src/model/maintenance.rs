//! Maintenance: a stretch of time that was announced, in which nobody is paged and no uptime is reckoned.

use std::collections::BTreeSet;

use quorate_proto::{Micros, MonitorId, WallMicros};
use quorate_quorum::uptime::Stretch;
use serde::{Deserialize, Serialize};

use super::rfc3339;

/// One maintenance, or one occurrence of a recurring one, in the JSON form that the API and the store share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    /// `mnt_` and a UUID, version 7, where it was started by hand; otherwise the configured id, `@` and the second of its
    /// start.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it is for; empty where nobody said.
    pub reason: String,
    /// The monitors that are maintained; `null`: all of them.
    pub monitors: Option<BTreeSet<MonitorId>>,
    /// When it begins.
    #[serde(with = "rfc3339")]
    pub from: WallMicros,
    /// When it ends, or ended.
    #[serde(with = "rfc3339")]
    pub until: WallMicros,
    /// Who wanted it.
    pub origin: MaintenanceOrigin,
    /// Whether it was ended before its time, or taken back.
    pub ended_early: bool,
}

/// Who wanted a maintenance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaintenanceOrigin {
    /// It stands in the configuration.
    Configured,
    /// An operator started it.
    Operator,
}

/// What an operator wants of a new maintenance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaintenanceWish {
    /// What people are to call it.
    pub name: String,
    /// What it is for; may be empty.
    pub reason: String,
    /// The monitors; none: all.
    pub monitors: Option<BTreeSet<MonitorId>>,
    /// When it begins; none: now.
    pub from: Option<WallMicros>,
    /// How long it lasts.
    pub lasts: Micros,
}

impl Maintenance {
    /// Whether it is on at an instant.
    pub fn is_on(&self, at: WallMicros) -> bool {
        self.from <= at && at < self.until
    }

    /// Whether it is about a monitor.
    pub fn concerns(&self, monitor: &MonitorId) -> bool {
        self.monitors.as_ref().is_none_or(|monitors| monitors.contains(monitor))
    }

    /// Its time.
    pub fn stretch(&self) -> Stretch {
        Stretch { from: self.from, to: self.until }
    }
}
