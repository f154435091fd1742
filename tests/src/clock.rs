//! The only place of the harness that reads a clock, and the one way to wait for something.

use std::{
    fmt::Debug,
    thread,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, Timespec, clock_gettime};

/// A stopwatch, started when made.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts.
    #[must_use]
    pub fn start() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        Self(Instant::now())
    }

    /// Seconds since the start.
    pub fn seconds(&self) -> f64 {
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        self.0.elapsed().as_secs_f64()
    }

    /// Seconds from this stopwatch's start to a later one's.
    pub fn seconds_until(&self, later: &Self) -> f64 {
        later.0.saturating_duration_since(self.0).as_secs_f64()
    }
}

/// Counts what the calling thread spends on the processor, in user and system code: other than by the clock on the wall, a busy
/// machine makes nothing slower by it.
#[derive(Clone, Copy, Debug)]
pub struct CpuStopwatch(Timespec);

impl CpuStopwatch {
    /// Starts.
    #[must_use]
    pub fn start() -> Self {
        Self(clock_gettime(ClockId::ThreadCPUTime))
    }

    /// Seconds since the start, asked on the same thread.
    pub fn seconds(&self) -> f64 {
        let spent = clock_gettime(ClockId::ThreadCPUTime) - self.0;
        spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9
    }
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// After `seconds` without one, with what was awaited.
#[expect(clippy::panic, reason = "a harness fails by panicking")]
pub fn wait_for<T>(what: impl Debug, seconds: f64, mut ask: impl FnMut() -> Option<T>) -> T {
    let watch = Stopwatch::start();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        if watch.seconds() > seconds {
            panic!("waited {seconds} s in vain for {what:?}");
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Asserts that something stays true for a while.
///
/// # Panics
/// As soon as it is not.
pub fn holds_for(what: impl Debug, seconds: f64, mut holds: impl FnMut() -> bool) {
    let watch = Stopwatch::start();
    while watch.seconds() < seconds {
        assert!(holds(), "no longer true after {:.1} s: {what:?}", watch.seconds());
        thread::sleep(Duration::from_millis(100));
    }
}
