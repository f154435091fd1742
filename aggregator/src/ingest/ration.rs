//! A ration of log lines, so that a stranger who knocks ten thousand times cannot fill the operator's disk.

use std::sync::{Mutex, PoisonError};

use quorate_quorum::Moment;

use crate::limits;

/// Lets [`limits::DOOR_LINES_MAX`] lines pass at once, and one more every [`limits::DOOR_LINE_INTERVAL`].
#[derive(Debug)]
pub(super) struct Ration(Mutex<State>);

#[derive(Debug)]
struct State {
    left: u32,
    refilled: Moment,
    suppressed: u64,
}

impl Default for Ration {
    fn default() -> Self {
        Self(Mutex::new(State { left: limits::DOOR_LINES_MAX, refilled: Moment(0), suppressed: 0 }))
    }
}

impl Ration {
    /// Takes one line: how many were suppressed since the last one, or nothing where this one is to be suppressed too.
    pub(super) fn take(&self, now: Moment) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let earned = now.0.saturating_sub(state.refilled.0) / limits::DOOR_LINE_INTERVAL.0;
        if earned > 0 {
            let earned = u32::try_from(earned).unwrap_or(u32::MAX);
            state.left = state.left.saturating_add(earned).min(limits::DOOR_LINES_MAX);
            state.refilled = now;
        }
        if let Some(left) = state.left.checked_sub(1) {
            state.left = left;
            return Some(std::mem::take(&mut state.suppressed));
        }
        state.suppressed += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let (ration, start) = (Ration::default(), Moment(1_000_000_000));
        let passed = (0..1000).filter(|_| ration.take(start).is_some()).count();
        assert_eq!(passed, limits::DOOR_LINES_MAX as usize);
        let later = start.after(limits::DOOR_LINE_INTERVAL);
        assert_eq!(ration.take(later), Some(1000 - u64::from(limits::DOOR_LINES_MAX)));
        assert_eq!(ration.take(later), None);
        let much_later = later.after(limits::DOOR_LINE_INTERVAL * 1000);
        let passed = (0..1000).filter(|_| ration.take(much_later).is_some()).count();
        assert_eq!(passed, limits::DOOR_LINES_MAX as usize);
    }
}
