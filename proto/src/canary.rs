//! Canaries: connections that agents hold open, and what became of them.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{
    id::MonitorId,
    limits,
    outcome::{Failure, RoundTrips, TlsFacts},
    time::{Micros, WallMicros},
};

/// How a connection is held open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// After so long without an inbound frame a heartbeat is due. Default 30 s: proxies commonly cut idle connections after
    /// 60 s.
    pub heartbeat: Micros,
    /// So long may the answer to a heartbeat take. Default 10 s. Then the connection is given up as a silent drop.
    pub grace: Micros,
    /// What a heartbeat is.
    pub mode: CanaryMode,
}

/// What a canary's heartbeat is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CanaryMode {
    /// A protocol ping whose payload must come back in the pong.
    Ping,
    /// The monitor's own steps: a message, and its reply.
    Steps,
    /// Nothing is sent; the server is to be heard from within `heartbeat + grace`. Where the monitor's steps have a
    /// [`crate::Step::Stream`], its messages are what is to be heard, and its `every` is the span.
    Listen,
}

impl CanaryMode {
    /// The name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Steps => "steps",
            Self::Listen => "listen",
        }
    }
}

/// Something that happened to an agent's canary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanaryResult {
    /// On which monitor.
    pub monitor: MonitorId,
    /// The agent's wall clock when it happened. For people.
    pub at: WallMicros,
    /// From then to the signing of its batch, by a clock that also runs in suspend.
    pub age: Micros,
    /// The address that it was connected to, where it came to that.
    pub address: Option<IpAddr>,
    /// What happened.
    pub event: CanaryEvent,
}

/// What happened to a canary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CanaryEvent {
    /// It is open: upgraded, and its hello is said.
    Opened {
        /// From the start of the attempt that succeeded.
        took: Micros,
        /// From the end of the one before, where there was one since the agent started: the time to reconnect.
        after: Option<Micros>,
        /// Attempts that failed since then.
        failed_attempts: u32,
        /// What TLS agreed on.
        tls: Option<TlsFacts>,
    },
    /// It cannot be opened. Said of the first attempt that failed after an end or a start, and not of those that follow.
    NotOpened {
        /// Why.
        failure: Failure,
    },
    /// It is open still. Said every [`limits::CANARY_REPORT_INTERVAL`].
    Alive {
        /// Since it was opened.
        open_for: Micros,
        /// Heartbeats answered since it was opened.
        heartbeats: u64,
        /// Their round trips since the last such report, where there were any.
        round_trips: Option<RoundTrips>,
    },
    /// It ended, and not by us.
    Ended {
        /// Since it was opened.
        open_for: Micros,
        /// Heartbeats answered since it was opened.
        heartbeats: u64,
        /// From the last inbound frame to the end.
        quiet_for: Micros,
        /// How it ended. The phase is [`crate::Phase::Exchange`].
        failure: Failure,
    },
    /// We closed it: the agent stops, or the monitor is gone or changed.
    Left {
        /// Since it was opened.
        open_for: Micros,
    },
}

impl CanaryEvent {
    /// The stable name, for JSON, metrics and the store.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "opened",
            Self::NotOpened { .. } => "not_opened",
            Self::Alive { .. } => "alive",
            Self::Ended { .. } => "ended",
            Self::Left { .. } => "left",
        }
    }

    /// The failure in it, where there is one.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::NotOpened { failure } | Self::Ended { failure, .. } => Some(failure),
            Self::Opened { .. } | Self::Alive { .. } | Self::Left { .. } => None,
        }
    }
}

impl CanaryResult {
    /// Whether every bounded field is within its bound.
    pub fn is_within_limits(&self) -> bool {
        self.event.failure().is_none_or(Failure::is_within_limits)
    }
}

/// How rarely, and how far, the time is looked for after which the path cuts an idle connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdleSearch {
    /// From the end of one search to the start of the next.
    pub every: Micros,
    /// The longest idle time that is tried.
    pub max: Micros,
}

impl IdleSearch {
    pub(crate) fn is_within_limits(&self) -> bool {
        self.every >= limits::IDLE_SEARCH_INTERVAL_MIN
            && (limits::IDLE_SEARCH_MAX_MIN..=limits::IDLE_SEARCH_MAX_MAX).contains(&self.max)
    }
}

/// What a search for the idle timeout found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdleTimeoutResult {
    /// On which monitor.
    pub monitor: MonitorId,
    /// The agent's wall clock when the search ended. For people.
    pub at: WallMicros,
    /// From then to the signing of its batch, by a clock that also runs in suspend.
    pub age: Micros,
    /// What was found.
    pub finding: IdleFinding,
}

/// After how long the path cuts an idle connection, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdleFinding {
    /// It does.
    Cut {
        /// The longest idle time that a connection survived.
        survived: Micros,
        /// The shortest idle time after which a connection was cut. Where the cut was seen as it happened, this is the
        /// figure itself.
        cut: Micros,
        /// How: a close frame, an end without one, a reset, or a silent drop.
        failure: Failure,
    },
    /// It does not, up to this long.
    NotWithin(Micros),
    /// The connections failed for another reason.
    Failed(Failure),
}

impl IdleTimeoutResult {
    /// Whether every bounded field is within its bound.
    pub fn is_within_limits(&self) -> bool {
        match &self.finding {
            IdleFinding::Cut { failure, .. } | IdleFinding::Failed(failure) => failure.is_within_limits(),
            IdleFinding::NotWithin(_) => true,
        }
    }
}
