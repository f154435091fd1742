//! An event on the status page.

use quorate_proto::WallMicros;

use crate::{
    model::{MonitorEvent, Severity},
    publish::words::{self, When},
};

/// Something that happened to a monitor and is no incident.
pub(super) struct Event<'a> {
    pub(super) monitor: &'a str,
    pub(super) at: When,
    /// Class and symbol.
    pub(super) symbol: &'static str,
    pub(super) summary: &'a str,
}

impl<'a> Event<'a> {
    pub(super) fn of(event: &'a MonitorEvent, now: WallMicros) -> Self {
        Self {
            monitor: &event.monitor.name,
            at: words::when(event.at, now),
            symbol: match event.severity {
                Severity::Info => "up",
                Severity::Warning => "partial",
            },
            summary: &event.summary,
        }
    }
}
