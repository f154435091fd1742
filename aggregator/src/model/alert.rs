//! Alerts: messages owed to people, and the attempts to get them there.

use quorate_proto::WallMicros;
use serde::{Deserialize, Serialize};

use super::{AgentsAlert, Degradation, FlappingAlert, GroupAlert, Incident, MonitorEvent, rfc3339};
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
    /// Many monitors went down at once: one page for all of them.
    #[serde(rename = "group.opened")]
    GroupOpened(Box<GroupAlert>),
    /// Others joined them, or some are back.
    #[serde(rename = "group.updated")]
    GroupUpdated(Box<GroupAlert>),
    /// All are back.
    #[serde(rename = "group.resolved")]
    GroupResolved(Box<GroupAlert>),
    /// A monitor goes up and down: it is not paged for each time.
    #[serde(rename = "flapping.started")]
    FlappingStarted(Box<FlappingAlert>),
    /// It goes on.
    #[serde(rename = "flapping.digest")]
    FlappingDigest(Box<FlappingAlert>),
    /// It has been stable for ten minutes.
    #[serde(rename = "flapping.ended")]
    FlappingEnded(Box<FlappingAlert>),
    /// Agents are offline. Goes to the operator's channels.
    #[serde(rename = "agents.offline")]
    AgentsOffline(Box<AgentsAlert>),
    /// Agents are back. Goes to the operator's channels.
    #[serde(rename = "agents.back")]
    AgentsBack(Box<AgentsAlert>),
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
            Self::GroupOpened(_) => "group.opened",
            Self::GroupUpdated(_) => "group.updated",
            Self::GroupResolved(_) => "group.resolved",
            Self::FlappingStarted(_) => "flapping.started",
            Self::FlappingDigest(_) => "flapping.digest",
            Self::FlappingEnded(_) => "flapping.ended",
            Self::AgentsOffline(_) => "agents.offline",
            Self::AgentsBack(_) => "agents.back",
        }
    }

    /// The incident, where the alert is about one.
    pub fn incident(&self) -> Option<&Incident> {
        match self {
            Self::Opened(incident) | Self::Updated(incident) | Self::Resolved(incident) => Some(incident),
            Self::Event(_) | Self::Notice { .. } => None,
            Self::Degraded(_) | Self::Recovered(_) => None,
            Self::GroupOpened(_) | Self::GroupUpdated(_) | Self::GroupResolved(_) => None,
            Self::FlappingStarted(_) | Self::FlappingDigest(_) | Self::FlappingEnded(_) => None,
            Self::AgentsOffline(_) | Self::AgentsBack(_) => None,
        }
    }

    /// What it is about, where the order of messages about it matters: the incident or the group by its id, or the
    /// monitor that flaps.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Opened(incident) | Self::Updated(incident) | Self::Resolved(incident) => Some(&incident.id),
            Self::GroupOpened(group) | Self::GroupUpdated(group) | Self::GroupResolved(group) => {
                Some(&group.id)
            }
            Self::FlappingStarted(flapping)
            | Self::FlappingDigest(flapping)
            | Self::FlappingEnded(flapping) => Some(flapping.monitor.id.as_str()),
            Self::Degraded(one) | Self::Recovered(one) => Some(one.monitor.id.as_str()),
            Self::Event(_) | Self::Notice { .. } | Self::AgentsOffline(_) | Self::AgentsBack(_) => None,
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
