//! When a delivery is tried again. Pure: chance comes in as an argument.
//!
//! A page is worth most in its first minute, so the first six attempts fall into it; after that the receiver is in
//! trouble that somebody has to repair, and the attempts thin out over a day. An attempt that takes no time at all is
//! made at each of [`ATTEMPTS_AT`] after the first. Each wait counts from the *end* of the attempt before it, so a
//! receiver that swallows every attempt until its deadline is not asked without a pause, and a restart continues the
//! schedule where it stood without a burst of attempts that were missed meanwhile.

use quorate_proto::Micros;

use crate::limits::{RETRY_AFTER_MAX, RETRY_JITTER};

/// Attempts, as spans after the first one.
const ATTEMPTS_AT: [Micros; 14] = [
    Micros::ZERO,
    Micros::from_secs(1),
    Micros::from_secs(3),
    Micros::from_secs(8),
    Micros::from_secs(20),
    Micros::from_secs(45),
    Micros::from_secs(5 * 60),
    Micros::from_secs(30 * 60),
    Micros::from_secs(2 * 3600),
    Micros::from_secs(5 * 3600),
    Micros::from_secs(10 * 3600),
    Micros::from_secs(14 * 3600),
    Micros::from_secs(20 * 3600),
    Micros::from_secs(24 * 3600),
];

/// How long to wait after the `attempts`-th attempt has failed, or none where it was the last.
///
/// `chance` is uniform in `0.0..1.0` and spreads the wait by ±10 %, so that many aggregators (or many deliveries) do
/// not return to a receiver in step. A `Retry-After` lengthens the wait, never shortens it, up to [`RETRY_AFTER_MAX`].
pub(super) fn wait(attempts: u32, chance: f64, retry_after: Option<Micros>) -> Option<Micros> {
    let jitter = 1.0 - RETRY_JITTER + 2.0 * RETRY_JITTER * chance;
    let wait = Micros((plain(attempts)?.0 as f64 * jitter) as u64);
    Some(wait.max(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX)))
}

/// The longest that [`wait`] can give: what a stored due time is held against, so that a clock that was set back does
/// not put a page off for years.
pub(super) fn wait_max(attempts: u32) -> Micros {
    wait(attempts, 1.0, None).unwrap_or_default().max(RETRY_AFTER_MAX)
}

/// The wait without jitter. A delivery that was never tried waits for nothing.
fn plain(attempts: u32) -> Option<Micros> {
    let next = usize::try_from(attempts).ok()?;
    let before = ATTEMPTS_AT.get(next.saturating_sub(1))?;
    Some(ATTEMPTS_AT.get(next)?.saturating_sub(*before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_that_take_no_time_fall_on_the_published_schedule() {
        let mut at = Micros::ZERO;
        let mut made = vec![at];
        while let Some(wait) = wait(made.len() as u32, 0.5, None) {
            at = at + wait;
            made.push(at);
        }
        let seconds: Vec<u64> = made.iter().map(|at| (at.as_secs_f64()).round() as u64).collect();
        assert_eq!(
            seconds,
            [0, 1, 3, 8, 20, 45, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400],
            "0, 1, 3, 8, 20, 45 s, then 5 m, 30 m, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h"
        );
    }

    #[test]
    fn the_wait_is_spread_by_a_tenth() {
        for attempts in 1..14 {
            let plain = wait(attempts, 0.5, None).unwrap().as_secs_f64();
            for (chance, factor) in [(0.0, 0.9), (0.25, 0.95), (1.0, 1.1)] {
                let spread = wait(attempts, chance, None).unwrap().as_secs_f64();
                assert!((spread / plain - factor).abs() < 1e-5, "{attempts} {chance}: {spread} of {plain}");
            }
        }
    }

    #[test]
    fn retry_after_lengthens_within_bounds() {
        for (attempts, retry_after, wanted) in [
            (1, Some(0), Some(1)),
            (1, Some(7), Some(7)),
            (1, Some(86_400), Some(3600)),
            (8, Some(7), Some(5400)),
            (14, Some(7), None),
            (u32::MAX, None, None),
        ] {
            let wait = wait(attempts, 0.5, retry_after.map(Micros::from_secs));
            assert_eq!(wait, wanted.map(Micros::from_secs), "{attempts} {retry_after:?}");
        }
    }
}
