//! File descriptors: a canary holds one for as long as it lives, and checks must not go without.

use std::{fs, io};

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

/// That hardly any are left, with the numbers, where that is so.
pub(super) fn shortage() -> Option<String> {
    let limit = getrlimit(Resource::Nofile).current?;
    let used = used()?;
    is_short(used, limit).then(|| format!("{used} of {limit} are in use"))
}

fn is_short(used: u64, limit: u64) -> bool {
    let free = (limit / limits::DESCRIPTORS_FREE_PART)
        .clamp(limits::DESCRIPTORS_FREE_LEAST, limits::DESCRIPTORS_FREE_MOST);
    limit.saturating_sub(used) < free
}

/// Descriptors in use. Since Linux 6.2 the folder's size says so; before, its entries are counted, of which the one that
/// reads them is none. A process that cannot even open it has none left.
fn used() -> Option<u64> {
    const FOLDER: &str = "/proc/self/fd";
    match fs::metadata(FOLDER).map(|folder| folder.len()) {
        Ok(0) => match fs::read_dir(FOLDER) {
            Ok(entries) => u64::try_from(entries.count().saturating_sub(1)).ok(),
            Err(error) => is_exhausted(&error).then_some(u64::MAX),
        },
        Ok(count) => Some(count),
        Err(_) => None,
    }
}

fn is_exhausted(error: &io::Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::MFILE)
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
    fn some_must_be_free() {
        for (used, limit, short) in [
            (960, 1_024, false),
            (961, 1_024, true),
            (24, 32, false),
            (25, 32, true),
            (65_536 - 256, 65_536, false),
            (65_536 - 255, 65_536, true),
            (u64::MAX, 1_024, true),
        ] {
            assert_eq!(is_short(used, limit), short, "{used} of {limit}");
        }
        assert!(used().is_some_and(|used| used > 2), "{:?}", used());
    }

    #[test]
    fn the_limit_is_raised_as_far_as_it_goes() {
        assert!(places_for_canaries() > 0);
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
