//! How long to wait before connecting again.
//!
//! Full jitter: uniform between zero and a cap that doubles. When an aggregator restarts, all its agents lose it in the
//! same second; spread over the cap they come back as a steady trickle.

use quorate_proto::Micros;

use crate::limits;

/// The waiting times of one run of failures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Backoff {
    cap: Micros,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { cap: limits::RECONNECT_DELAY_FIRST }
    }
}

impl Backoff {
    /// The next delay; `chance` is uniform in `0..1`.
    pub(super) fn next(&mut self, chance: f64) -> Micros {
        let delay = Micros((self.cap.0 as f64 * chance) as u64);
        self.cap = (self.cap * 2).min(limits::RECONNECT_DELAY_MAX);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_spread_under_a_doubling_cap() {
        let mut backoff = Backoff::default();
        let caps: Vec<_> = (0..6).map(|_| backoff.next(1.0)).collect();
        assert_eq!(caps, [5, 10, 20, 40, 60, 60].map(Micros::from_secs));
        assert_eq!(Backoff::default().next(0.0), Micros::ZERO);
        assert_eq!(Backoff::default().next(0.5), Micros::from_millis(2500));
    }
}
