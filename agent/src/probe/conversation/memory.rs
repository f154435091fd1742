//! What must grow, remembered over all checks and canaries of one monitor.
//!
//! It lives as long as what is prepared for the monitor: a changed assignment begins anew, and so does a started agent. A
//! counter that starts again from below (a server that was restarted) is reported as what it is, a value that fell, and is
//! then measured by what it is from there on: otherwise it would fail until it is past its old height, which may be never.

use std::sync::{Mutex, PoisonError};

use quorate_proto::Micros;

use super::number::Number;
use crate::clock::Tick;

/// Values below the highest that come one after the other before the value counts as started anew. Servers behind one
/// balancer that are not at the same height alternate; so many in a row are no alternation.
const FALLEN_MIN: u32 = 3;

/// What is remembered of every value that must grow.
#[derive(Debug)]
pub(crate) struct Memory {
    /// By the place of the demand. One lock for all: it is held for a comparison, and a check asks a few times.
    heights: Mutex<Box<[Option<Height>]>>,
}

/// The highest value so far.
#[derive(Clone, Copy, Debug)]
struct Height {
    highest: Number,
    /// When it came.
    grown_at: Tick,
    /// The highest of those that came below it since it was last seen, and how many.
    below: Option<(Number, u32)>,
    /// When it was last seen.
    seen_at: Tick,
}

/// A value that did not grow in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stuck {
    /// The highest one.
    pub(crate) highest: Number,
    /// For how long it has not been passed.
    pub(crate) for_span: Micros,
}

impl Memory {
    pub(crate) fn new(places: usize) -> Self {
        Self { heights: Mutex::new(vec![None; places].into()) }
    }

    /// Notes a value. It is stuck where the highest one has not been passed for longer than `within`; for a span of zero,
    /// where it does not pass it at once.
    pub(crate) fn observe(
        &self,
        place: usize,
        value: Number,
        within: Micros,
        now: Tick,
    ) -> Result<(), Stuck> {
        let mut heights = self.heights.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(slot) = heights.get_mut(place) else { return Ok(()) };
        let fresh = Height { highest: value, grown_at: now, below: None, seen_at: now };
        let Some(height) = slot.as_mut().filter(|height| value <= height.highest) else {
            *slot = Some(fresh);
            return Ok(());
        };
        if value == height.highest {
            height.seen_at = now;
            height.below = None;
        } else {
            let (highest, count) = height.below.unwrap_or((value, 0));
            height.below = Some((highest.max(value), count.saturating_add(1)));
        }
        let stuck = Stuck { highest: height.highest, for_span: now.since(height.grown_at) };
        if within != Micros::ZERO && stuck.for_span <= within {
            return Ok(());
        }
        if let Some((highest, FALLEN_MIN..)) = height.below
            && now.since(height.seen_at) >= within
        {
            *slot = Some(Height { highest, ..fresh });
        }
        Err(stuck)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Observes (second, value), and gives the seconds that were stuck.
    fn stuck(within_secs: u64, values: &[(u64, &str)]) -> Vec<u64> {
        let memory = Memory::new(1);
        let mut stuck = Vec::new();
        for (second, value) in values {
            let now = Tick(Micros::from_secs(*second));
            let within = Micros::from_secs(within_secs);
            if memory.observe(0, Number::read(value).unwrap(), within, now).is_err() {
                stuck.push(*second);
            }
        }
        stuck
    }

    #[test]
    fn what_does_not_grow_in_time_is_stuck() {
        for (within, values, wanted) in [
            (60, &[(0, "0x10")][..], &[][..]),
            (60, &[(0, "0x10"), (60, "16"), (61, "16"), (62, "17"), (120, "17"), (123, "17")], &[61, 123]),
            // The value had all the time between two checks.
            (60, &[(0, "1"), (300, "2"), (600, "3")], &[]),
            (60, &[(0, "1"), (300, "1")], &[300]),
            (0, &[(0, "1"), (0, "2"), (0, "2"), (9, "1.5"), (9, "2.01")], &[0, 9]),
            // Servers at different heights: the highest counts, wherever it is.
            (
                60,
                &[(0, "100"), (20, "98"), (40, "100"), (70, "98"), (90, "100"), (110, "98")],
                &[70, 90, 110],
            ),
            (60, &[(0, "100"), (20, "98"), (40, "101"), (70, "99"), (90, "102")], &[]),
            // Not even where the lower ones answer several times in a row.
            (60, &[(0, "9"), (50, "9"), (61, "7"), (62, "7"), (63, "7"), (64, "8")], &[61, 62, 63, 64]),
            // A counter that began anew fails for a while, and is measured anew.
            (
                60,
                &[(0, "100"), (30, "1"), (60, "2"), (90, "3"), (120, "4"), (180, "4"), (181, "4")],
                &[90, 181],
            ),
            (0, &[(0, "100"), (1, "1"), (2, "2"), (3, "3"), (4, "4"), (5, "4")], &[1, 2, 3, 5]),
        ] {
            assert_eq!(stuck(within, values), wanted, "{within} {values:?}");
        }
    }

    #[test]
    fn each_demand_has_its_own() {
        let memory = Memory::new(2);
        let observe = |place, value| {
            memory.observe(place, Number::read(value).unwrap(), Micros::ZERO, Tick(Micros::ZERO)).is_ok()
        };
        assert!(observe(0, "5") && observe(1, "5") && !observe(0, "5") && observe(1, "6"));
    }
}
