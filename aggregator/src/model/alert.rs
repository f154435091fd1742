//! Alerts: messages owed to people, and the attempts to get them there.

use quorate_proto::WallMicros;
use serde::{Deserialize, Serialize};

use super::{Degradation, Incident, MonitorEvent, rfc3339};
use crate::config::Channel;

/// A channel's id, as configured.
pub type ChannelId = String;

/// A message owed to people. Its id never changes between attempts, and is the `webhook-id`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// `msg_` and a UUID, version 7; has no dot.
    pub id: String,
    /// What it says.
    pub event: AlertEvent,
    /// When it was decided.
    #[serde(with = "rfc3339")]
    pub decided_at: WallMicros,
}

/// What an alert says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "incident")]
pub enum AlertEvent {
    /// The first that a channel hears of an incident.
    #[serde(rename = "incident.opened")]
    Opened(Box<Incident>),
    /// The verdict of an incident changed, and is not up.
    #[serde(rename = "incident.updated")]
    Updated(Box<Incident>),
    /// A quorum passes again.
    #[serde(rename = "incident.resolved")]
    Resolved(Box<Incident>),
    /// Something that happened to a monitor and is no incident. Goes to channels that ask for events.
    #[serde(rename = "monitor.event")]
    Event(Box<MonitorEvent>),
    /// Something about Quorate itself that its operator must know.
    #[serde(rename = "operator.notice")]
    Notice {
        /// A stable name, such as `storage_failing` or `storage_recovered`.
        kind: String,
        /// What is the matter, and what to do.
        summary: String,
    },
    /// A monitor works, and not well; or a further reason for that began. Goes to channels that ask for it.
    #[serde(rename = "monitor.degraded")]
    Degraded(Box<Degradation>),
    /// It works well again.
    #[serde(rename = "monitor.recovered")]
    Recovered(Box<Degradation>),
}

impl AlertEvent {
    /// The Standard Webhooks event type.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Opened(_) => "incident.opened",
            Self::Updated(_) => "incident.updated",
            Self::Resolved(_) => "incident.resolved",
            Self::Event(_) => "monitor.event",
            Self::Notice { .. } => "operator.notice",
            Self::Degraded(_) => "monitor.degraded",
            Self::Recovered(_) => "monitor.recovered",
        }
    }

    /// The incident, where the alert is about one.
    pub fn incident(&self) -> Option<&Incident> {
        match self {
            Self::Opened(incident) | Self::Updated(incident) | Self::Resolved(incident) => Some(incident),
            Self::Event(_) | Self::Notice { .. } => None,
            Self::Degraded(_) | Self::Recovered(_) => None,
        }
    }
}

/// One alert on its way to one channel: a row of the outbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// The row's number, growing with time; given out by the core so that it exists before the row does.
    pub id: u64,
    /// Where to.
    pub channel: ChannelId,
    /// What.
    pub alert: Alert,
    /// How it stands.
    pub state: DeliveryState,
    /// Attempts made so far.
    pub attempts: u32,
    /// When the next attempt is due.
    #[serde(with = "rfc3339::option")]
    pub due_at: Option<WallMicros>,
    /// When the first attempt was made.
    #[serde(with = "rfc3339::option")]
    pub first_sent_at: Option<WallMicros>,
    /// When it was taken by the receiver.
    #[serde(with = "rfc3339::option")]
    pub delivered_at: Option<WallMicros>,
    /// The HTTP status of the latest attempt.
    pub status: Option<u16>,
    /// What went wrong at the latest attempt.
    pub error: Option<String>,
}

/// What the core tells `notify`.
#[derive(Clone, Debug, PartialEq)]
pub enum Dispatch {
    /// The channels that there are; replaces what was said before. Deliveries to channels that are gone are failed.
    Channels(Vec<Channel>),
    /// Deliver this. Within one channel, deliveries about one incident arrive in the order in which they are given.
    Deliver(Box<Delivery>),
}

/// How a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// To be tried, for the first time or again.
    Pending,
    /// Taken by the receiver.
    Delivered,
    /// Given up: the schedule is at its end, or the receiver said 410.
    Failed,
}

impl DeliveryState {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}
