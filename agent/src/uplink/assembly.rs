//! Puts sets of assignments together from the frames in which they come, within bounds.

use quorate_proto::{Assignment, MonitorId, frame::AggregatorControl, limits::MONITORS_PER_AGENT_MAX};

use super::Event;
use crate::limits;

/// What came of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Something for the agent to do.
    Event(Event),
    /// More parts have to come.
    More,
    /// The key is revoked.
    Revoked,
}

/// The aggregator broke the rules of the dialogue. The connection is of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Breach {
    /// A second welcome.
    #[error("a second welcome")]
    Welcome,
    /// A part of a set without its first part, or between the parts of another one.
    #[error("a part of an assignment that does not belong to what came before")]
    Order,
    /// An acknowledgement of another unit than the one that was sent.
    #[error("an acknowledgement of another unit")]
    Ack,
    /// More monitors, or more bytes of them, than an agent takes.
    #[error("more assignments than an agent takes")]
    TooMany,
}

/// A set, or a change, of which the last part has not come.
#[derive(Debug)]
struct Partial {
    revision: u64,
    /// Whether it is a full set.
    full: bool,
    assignments: Vec<Assignment>,
    removed: Vec<MonitorId>,
    bytes: usize,
}

/// Puts parts together.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    partial: Option<Partial>,
}

impl Assembly {
    /// Takes the next frame; `bytes` is its size on the wire.
    pub(super) fn take(&mut self, frame: AggregatorControl, bytes: usize) -> Result<Step, Breach> {
        match frame {
            AggregatorControl::Welcome(_) => Err(Breach::Welcome),
            AggregatorControl::Assign { revision, assignments, first, last } => {
                let partial = match (first, self.partial.take()) {
                    (true, _) => Partial::new(revision, true),
                    (false, Some(partial)) if partial.full && partial.revision == revision => partial,
                    (false, _) => return Err(Breach::Order),
                };
                self.extend(partial, assignments, Vec::new(), bytes, last)
            }
            AggregatorControl::Change { revision, changed, removed, last } => {
                let partial = match self.partial.take() {
                    None => Partial::new(revision, false),
                    Some(partial) if !partial.full && partial.revision == revision => partial,
                    Some(_) => return Err(Breach::Order),
                };
                self.extend(partial, changed, removed, bytes, last)
            }
            AggregatorControl::Confirm { monitor, request } => {
                Ok(Step::Event(Event::Confirm { monitor, request }))
            }
            AggregatorControl::Revoke => Ok(Step::Revoked),
        }
    }

    fn extend(
        &mut self,
        mut partial: Partial,
        assignments: Vec<Assignment>,
        removed: Vec<MonitorId>,
        bytes: usize,
        last: bool,
    ) -> Result<Step, Breach> {
        partial.bytes = partial.bytes.saturating_add(bytes);
        partial.assignments.extend(assignments.into_iter().filter(is_sane));
        partial.removed.extend(removed);
        if partial.assignments.len() > MONITORS_PER_AGENT_MAX
            || partial.removed.len() > MONITORS_PER_AGENT_MAX
            || partial.bytes > limits::ASSIGNMENT_BYTES_MAX
        {
            return Err(Breach::TooMany);
        }
        if !last {
            self.partial = Some(partial);
            return Ok(Step::More);
        }
        let Partial { revision, full, assignments, removed, .. } = partial;
        Ok(Step::Event(match full {
            true => Event::Assigned { revision, assignments },
            false => Event::Changed { revision, changed: assignments, removed },
        }))
    }
}

impl Partial {
    fn new(revision: u64, full: bool) -> Self {
        Self { revision, full, assignments: Vec::new(), removed: Vec::new(), bytes: 0 }
    }
}

/// One monitor above a bound is left out, and the others are watched: an aggregator of another version may know other
/// bounds. Its region then has no vote on that monitor, which every face shows.
fn is_sane(assignment: &Assignment) -> bool {
    let sane = assignment.spec.is_within_limits() && assignment.slot.index < assignment.slot.of;
    if !sane {
        tracing::warn!(monitor = %assignment.spec.id, "an assigned monitor is above this agent's bounds; not watched");
    }
    sane
}
