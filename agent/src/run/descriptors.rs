//! File descriptors: a canary holds one for as long as it lives, and checks must not go without.

use quorate_proto::limits::MONITORS_PER_AGENT_MAX;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::limits;

/// Raises the limit of open files as far as the system lets this process, and says how many canaries it may have.
pub(super) fn places_for_canaries() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != limit.maximum && setrlimit(Resource::Nofile, raised).is_err() {
        tracing::debug!(?limit, "the limit of open files cannot be raised");
    }
    places(getrlimit(Resource::Nofile).current)
}

/// Canaries for a limit of open files; none is no limit.
fn places(limit: Option<u64>) -> usize {
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    // With a small limit they share it: checks under way at once are rarely as many as they may be.
    let room = limit.saturating_sub(limits::DESCRIPTORS_RESERVED).max(limit / 4);
    room.min(MONITORS_PER_AGENT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_come_first_and_a_small_limit_is_shared() {
        for (limit, canaries) in [
            (Some(0), 0),
            (Some(256), 64),
            (Some(1_024), 256),
            (Some(4_096), 4_096 - limits::DESCRIPTORS_RESERVED),
            (Some(65_536), MONITORS_PER_AGENT_MAX),
            (Some(u64::MAX), MONITORS_PER_AGENT_MAX),
            (None, MONITORS_PER_AGENT_MAX),
        ] {
            assert_eq!(places(limit), canaries, "{limit:?}");
        }
    }

    #[test]
    fn the_limit_is_raised_as_far_as_it_goes() {
        assert!(places_for_canaries() > 0);
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
