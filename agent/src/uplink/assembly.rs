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
    /// Controls above their bounds.
    #[error("more control targets than an agent takes, or too often")]
    Controls,
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
            AggregatorControl::Controls(controls) if controls.is_within_limits() => {
                Ok(Step::Event(Event::Controls(controls)))
            }
            AggregatorControl::Controls(_) => Err(Breach::Controls),
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

#[cfg(test)]
mod tests {
    use quorate_proto::{AgentName, Micros, MonitorSpec, Region, Slot, WallMicros, frame::Welcome};

    use super::*;

    fn assignment(id: &str) -> Assignment {
        let (interval, timeout) = (Micros::from_secs(30), Micros::from_secs(10));
        let spec = MonitorSpec::new(id.parse().unwrap(), "wss://example.org/", interval, timeout);
        Assignment { spec, slot: Slot { index: 0, of: 3 } }
    }

    fn assign(revision: u64, ids: &[&str], first: bool, last: bool) -> AggregatorControl {
        let assignments = ids.iter().map(|id| assignment(id)).collect();
        AggregatorControl::Assign { revision, assignments, first, last }
    }

    fn change(revision: u64, ids: &[&str], removed: &[&str], last: bool) -> AggregatorControl {
        let changed = ids.iter().map(|id| assignment(id)).collect();
        let removed = removed.iter().map(|id| id.parse().unwrap()).collect();
        AggregatorControl::Change { revision, changed, removed, last }
    }

    fn assigned(revision: u64, ids: &[&str]) -> Step {
        let assignments = ids.iter().map(|id| assignment(id)).collect();
        Step::Event(Event::Assigned { revision, assignments })
    }

    /// Feeds frames; all but the last must ask for more.
    fn fed(frames: Vec<AggregatorControl>) -> Result<Step, Breach> {
        let mut assembly = Assembly::default();
        let mut step = Ok(Step::More);
        for frame in frames {
            assert_eq!(step, Ok(Step::More));
            step = assembly.take(frame, 100);
        }
        step
    }

    #[test]
    fn parts_become_one_set() {
        assert_eq!(fed(vec![assign(1, &["a"], true, true)]), Ok(assigned(1, &["a"])));
        assert_eq!(
            fed(vec![assign(1, &[], true, true)]),
            Ok(assigned(1, &[])),
            "nothing to do is a set, too"
        );
        let parts = vec![
            assign(2, &["a"], true, false),
            assign(2, &["b"], false, false),
            assign(2, &["c"], false, true),
        ];
        assert_eq!(fed(parts), Ok(assigned(2, &["a", "b", "c"])));
        let begun_again = vec![assign(2, &["a"], true, false), assign(3, &["b"], true, true)];
        assert_eq!(fed(begun_again), Ok(assigned(3, &["b"])), "a first part forgets what came before");
        let parts = vec![change(4, &["a"], &["x"], false), change(4, &["b"], &["y"], true)];
        let changed = vec![assignment("a"), assignment("b")];
        let removed = vec!["x".parse().unwrap(), "y".parse().unwrap()];
        assert_eq!(fed(parts), Ok(Step::Event(Event::Changed { revision: 4, changed, removed })));
    }

    #[test]
    fn confirmations_come_through_between_parts() {
        let mut assembly = Assembly::default();
        assert_eq!(assembly.take(assign(1, &["a"], true, false), 1), Ok(Step::More));
        let monitor: MonitorId = "a".parse().unwrap();
        let confirm = AggregatorControl::Confirm { monitor: monitor.clone(), request: 5 };
        assert_eq!(assembly.take(confirm, 1), Ok(Step::Event(Event::Confirm { monitor, request: 5 })));
        assert_eq!(assembly.take(assign(1, &[], false, true), 1), Ok(assigned(1, &["a"])));
        assert_eq!(assembly.take(AggregatorControl::Revoke, 1), Ok(Step::Revoked));
    }

    #[test]
    fn parts_that_do_not_belong_together_are_a_breach() {
        let (name, region): (AgentName, Region) = ("a".parse().unwrap(), "b".parse().unwrap());
        let welcome = AggregatorControl::Welcome(Welcome { name, region, wall: WallMicros(0) });
        for (frames, breach) in [
            (vec![assign(1, &["a"], false, true)], Breach::Order),
            (vec![assign(1, &["a"], true, false), assign(2, &["b"], false, true)], Breach::Order),
            (vec![assign(1, &["a"], true, false), change(1, &["b"], &[], true)], Breach::Order),
            (vec![change(1, &["a"], &[], false), assign(1, &["b"], false, true)], Breach::Order),
            (vec![change(1, &["a"], &[], false), change(2, &["b"], &[], true)], Breach::Order),
            (vec![welcome], Breach::Welcome),
        ] {
            assert_eq!(fed(frames.clone()), Err(breach), "{frames:?}");
        }
    }

    #[test]
    fn a_set_is_bounded_in_monitors_and_in_bytes() {
        let mut assembly = Assembly::default();
        let part = |first| AggregatorControl::Assign {
            revision: 1,
            assignments: vec![assignment("a"); 1000],
            first,
            last: false,
        };
        for number in 0..MONITORS_PER_AGENT_MAX / 1000 {
            assert_eq!(assembly.take(part(number == 0), 1), Ok(Step::More));
        }
        assert_eq!(assembly.take(assign(1, &["b"], false, true), 1), Err(Breach::TooMany));
        assert_eq!(assembly.take(assign(1, &[], true, false), limits::ASSIGNMENT_BYTES_MAX), Ok(Step::More));
        assert_eq!(assembly.take(assign(1, &[], false, true), 1), Err(Breach::TooMany));
        let removed = vec!["x".parse().unwrap(); MONITORS_PER_AGENT_MAX + 1];
        let change = AggregatorControl::Change { revision: 1, changed: vec![], removed, last: true };
        assert_eq!(assembly.take(change, 1), Err(Breach::TooMany));
    }

    #[test]
    fn a_monitor_above_its_bounds_is_left_out() {
        let mut hasty = assignment("hasty");
        hasty.spec.interval = Micros(1);
        let mut nowhere = assignment("nowhere");
        nowhere.slot = Slot { index: 0, of: 0 };
        let assignments = vec![hasty, assignment("a"), nowhere];
        let set = AggregatorControl::Assign { revision: 1, assignments, first: true, last: true };
        assert_eq!(fed(vec![set]), Ok(assigned(1, &["a"])));
    }
}
