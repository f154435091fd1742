//! The only place of this program that reads a clock.

use std::{
    sync::LazyLock,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use quorate_proto::{Micros, WallMicros};
use quorate_quorum::Moment;

static START: LazyLock<(Instant, u64)> = LazyLock::new(|| {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    let start = Instant::now();
    (start, u64::try_from(wall().0).unwrap_or(0))
});

/// Reads the steady clock: the wall clock at the first reading of this process, and monotonic from there.
pub fn now() -> Moment {
    #[cfg(feature = "simulation")]
    if let Some(now) = quorate_agent::simulation::now() {
        return Moment(u64::try_from(now.wall.0).unwrap_or(0));
    }
    let (start, wall_at_start) = &*START;
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    let elapsed = start.elapsed();
    Moment(wall_at_start.saturating_add(Micros::from(elapsed).0))
}

/// Reads the wall clock. For people; decides nothing.
pub fn wall() -> WallMicros {
    #[cfg(feature = "simulation")]
    if let Some(now) = quorate_agent::simulation::now() {
        return now.wall;
    }
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    let wall = SystemTime::now();
    let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    WallMicros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
