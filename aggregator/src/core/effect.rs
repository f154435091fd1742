//! What the core takes in and what it wants done. Both are values: the core itself touches nothing.

use std::sync::Arc;

use quorate_proto::{
    AgentKey, Assignment, MonitorId, WallMicros,
    frame::{AckVerdict, JoinReply},
    join::JoinString,
};
use quorate_quorum::Moment;
use tokio::sync::{mpsc, oneshot};

use crate::{
    model::{AdminError, AgentRecord, Dispatch, Intake, Maintenance, Push, Roster, Snapshot},
    store::{Commit, CommitError},
};

/// One thing that happened.
#[derive(Debug)]
pub(super) enum Input {
    /// Another stage says something.
    Intake(Box<Intake>),
    /// The commit under way ended.
    Committed(Result<(), CommitError>),
    /// A hand-over of assignments ended.
    HandedOver(HandedOver),
    /// Nothing happened, and time passed.
    Time,
}

/// How a hand-over of assignments ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HandedOver {
    pub(super) agent: AgentKey,
    pub(super) connection: u64,
    pub(super) revision: u64,
    /// Whether the connection took all of it.
    pub(super) whole: bool,
}

/// One thing to do. They are done in order.
#[derive(Debug)]
pub(super) enum Effect {
    /// Make this transaction, and say [`Input::Committed`].
    Commit(Commit),
    /// Answer an upload.
    Ack(oneshot::Sender<AckVerdict>, AckVerdict),
    /// Tell a connection something, if it has room for it.
    Push(mpsc::Sender<Push>, Push),
    /// Give a connection its assignments, and say [`Input::HandedOver`].
    HandOver(HandOver),
    /// Tell `notify` something.
    Dispatch(Dispatch),
    /// Replace the roster.
    Roster(Roster),
    /// Replace the picture of the present.
    Picture(Box<Snapshot>),
    /// Answer somebody who asked to join.
    Joined(oneshot::Sender<JoinReply>, JoinReply),
    /// Answer an operator who added an agent.
    Added(oneshot::Sender<Result<JoinString, AdminError>>, Result<JoinString, AdminError>),
    /// Answer an operator who revoked an agent.
    Revoked(oneshot::Sender<Result<AgentRecord, AdminError>>, Result<AgentRecord, AdminError>),
    /// Answer an operator who started or ended a maintenance.
    Maintained(oneshot::Sender<Result<Maintenance, AdminError>>, Result<Maintenance, AdminError>),
}

/// Assignments on their way to a connection.
#[derive(Clone, Debug)]
pub(super) struct HandOver {
    pub(super) agent: AgentKey,
    pub(super) connection: u64,
    pub(super) push: mpsc::Sender<Push>,
    pub(super) revision: u64,
    pub(super) parcel: Parcel,
}

/// What is handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Parcel {
    /// All of it.
    Full(Arc<[Assignment]>),
    /// What differs from the revision that the agent has.
    Change { changed: Vec<Assignment>, removed: Vec<MonitorId> },
}

/// The time, by both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Now {
    pub(super) moment: Moment,
    pub(super) wall: WallMicros,
}

impl Now {
    /// The wall clock's reading at a moment not long ago, for people.
    pub(super) fn wall_of(self, moment: Moment) -> WallMicros {
        self.wall.before(self.moment.since(moment)).after(moment.since(self.moment))
    }
}
