//! The only place of this program that reads a clock.

use quorate_proto::{Micros, WallMicros};
use rustix::time::{ClockId, clock_gettime};

/// A reading of the clock that measures spans: it starts with the machine, runs in suspend, and never jumps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(pub Micros);

impl Tick {
    /// The span since an earlier reading, or zero where that one is later.
    pub fn since(self, earlier: Self) -> Micros {
        self.0.saturating_sub(earlier.0)
    }

    /// The reading `span` later.
    #[must_use]
    pub fn after(self, span: Micros) -> Self {
        Self(self.0 + span)
    }
}

/// Reads the clock that measures spans (`CLOCK_BOOTTIME`; a result's age must count a suspended hour).
pub fn tick() -> Tick {
    #[cfg(feature = "simulation")]
    if let Some(now) = crate::simulation::now() {
        return now.tick;
    }
    let time = clock_gettime(ClockId::Boottime);
    Tick(Micros(micros(time.tv_sec, time.tv_nsec)))
}

/// Reads the clock that stands still in suspend (`CLOCK_MONOTONIC`), to see by how much the other one went on.
pub fn awake() -> Tick {
    #[cfg(feature = "simulation")]
    if let Some(now) = crate::simulation::now() {
        return now.tick;
    }
    let time = clock_gettime(ClockId::Monotonic);
    Tick(Micros(micros(time.tv_sec, time.tv_nsec)))
}

/// Reads the wall clock. For people; decides nothing.
pub fn wall() -> WallMicros {
    #[cfg(feature = "simulation")]
    if let Some(now) = crate::simulation::now() {
        return now.wall;
    }
    let time = clock_gettime(ClockId::Realtime);
    WallMicros(i64::try_from(micros(time.tv_sec, time.tv_nsec)).unwrap_or(i64::MAX))
}

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For spans.
    pub tick: Tick,
    /// For what servers say and are told.
    pub wall: WallMicros,
}

/// Reads both clocks.
pub fn now() -> Now {
    Now { tick: tick(), wall: wall() }
}

fn micros(seconds: i64, nanoseconds: i64) -> u64 {
    let seconds = u64::try_from(seconds).unwrap_or(0);
    seconds.saturating_mul(1_000_000).saturating_add(u64::try_from(nanoseconds).unwrap_or(0) / 1_000)
}
