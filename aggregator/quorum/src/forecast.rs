//! What a policy costs and gives, in closed form: false pages a year, and the time from a total outage to the page.
//!
//! # Paths
//! A path from a region to a server has two states. It turns bad at random, and stays bad for a time that is exponential
//! with mean `L`; `q` is the part of the time that it is bad. So it turns bad `q / L` times a second (renewal theory: one
//! cycle is `L / q` long), and what is bad stays so for another `t` with probability `e^(-t/L)`, however long it has
//! been. This is the Gilbert model of bursts of errors (E. N. Gilbert, "Capacity of a burst-noise channel", 1960).
//! Paths are independent of each other, except that where one turned bad, another may be found bad more often than
//! `q` says: that is the measured common cause, and takes the place of the other's `q` where it is larger.
//!
//! # False pages
//! The frequency with which `k` of `m` repairable units are down together is the sum, over the units, of the rate at which
//! one fails times the probability that `k - 1` of the others are down (the frequency balance of reliability theory:
//! R. Billinton and R. Allan, "Reliability Evaluation of Engineering Systems", chapters 8 and 9). Three things are added for
//! the engine:
//! - a spell is seen if a scheduled check falls into it: `D = (1 - e^(-T/L)) L/T`;
//! - the path that was first to fail must still be bad when the evidence spans `W`: `e^(-W/L)`, less the time for which
//!   a failing check waits, which is evidence as well;
//! - each of the others must be bad at that moment: it was so before the first failed and stayed, `q e^(-W/L)`; or it
//!   turned bad since, `q (1 - e^(-S/L))`, and was seen by a scheduled check, which has the chance `min(1, S / 2T)`, and
//!   stayed so for the rest. `S` is the time after which the first failure is settled, and starts no evidence any more:
//!   the span of the fast rule.
//!
//! It is an approximation: `tests/system/years.rs` holds it against the simulation, within a factor of three either way.
//!
//! # Time to page
//! The phases of `m` regions are staggered, so that a total outage is seen within `T / m`, in the mean after half of that. A
//! refused check fails at once; the second round completes the span. A silent check fails after the timeout, and so does
//! the round that follows, whose answers span two timeouts; a second attempt spans three.

use quorate_proto::Micros;

use crate::{Policy, policy};

/// How one path behaves by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PathQuality {
    /// The part of the time in which it is bad, 0 to 1.
    pub share: f64,
    /// How long it stays bad, in the mean.
    pub spell: Micros,
    /// How long a failing check on it takes, in the mean.
    pub wait: Micros,
    /// The chance that it is bad when another of the monitor's paths turns bad; where they are independent, `share`.
    pub together: f64,
}

/// What a policy costs and gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// False pages in 1,000 monitor-years by the fast rule, or by the single region's.
    pub by_quorum: f64,
    /// The same by rule 4.
    pub by_majority: f64,
    /// From a total outage to the page, where connections are refused.
    pub refused: PageTime,
    /// The same where nothing answers.
    pub silent: PageTime,
}

/// From a total outage to the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageTime {
    /// In the mean.
    pub mean: Micros,
    /// At worst, on paths that are good.
    pub worst: Micros,
}

/// A year in seconds.
const YEAR: f64 = 365.25 * 86_400.0;
/// From one round of a monitor to the next, at least (`engine/confirm.rs`).
const ROUND_GAP: Micros = Micros::from_secs(5);
/// From a confirming attempt that failed to the second.
const BETWEEN_ATTEMPTS: Micros = Micros::from_secs(1);
/// A round's way to the agents and back.
const ROUND_TRIP: Micros = Micros::from_millis(300);

impl PathQuality {
    /// What is assumed of a path of which nothing is known: 99.9 % good, 20 s at a time.
    pub const ASSUMED: Self =
        Self { share: 0.001, spell: Micros::from_secs(20), wait: Micros::from_secs(5), together: 0.001 };

    /// The chance that it stays bad for a time, less what a check waits.
    fn stays(&self, span: Micros) -> f64 {
        (-span.saturating_sub(self.wait).as_secs_f64() / self.spell.as_secs_f64().max(1e-3)).exp()
    }

    /// How often a second a scheduled check sees it turn bad.
    fn seen_rate(&self, interval: Micros) -> f64 {
        // A spell cannot be shorter than the check that sees it.
        let cycles = interval.as_secs_f64() / self.spell.as_secs_f64().max(1e-3);
        self.share * -(-cycles).exp_m1() / interval.as_secs_f64().max(1e-3)
    }
}

impl Forecast {
    /// What a policy comes to on some paths, one for each region; those that are not given are as the last one, and where
    /// none is, as [`PathQuality::ASSUMED`].
    pub fn of(policy: &Policy, paths: &[PathQuality]) -> Self {
        let voters = u16::try_from(policy.regions.len()).unwrap_or(u16::MAX);
        let last = paths.last().copied().unwrap_or(PathQuality::ASSUMED);
        let paths: Vec<_> =
            paths.iter().copied().chain(std::iter::repeat(last)).take(usize::from(voters)).collect();
        let fast = policy.span_needed(voters);
        let by_quorum = false_pages(&paths, policy.interval, policy.needed(voters), fast, fast);
        let by_majority = match policy.is_single() {
            true => 0.0,
            false => {
                let span = policy.majority_span_needed(voters);
                false_pages(&paths, policy.interval, policy::majority(voters), span, fast.min(span))
            }
        };
        let (refused, silent) = page_times(policy, voters);
        Self { by_quorum, by_majority, refused, silent }
    }

    /// False pages in 1,000 monitor-years.
    pub fn false_pages(&self) -> f64 {
        self.by_quorum + self.by_majority
    }
}

/// False pages in 1,000 years by a rule that wants `needed` paths to fail over `span`, where a failure is settled after
/// `settled`.
pub(crate) fn false_pages(
    paths: &[PathQuality],
    interval: Micros,
    needed: u16,
    span: Micros,
    settled: Micros,
) -> f64 {
    let joins = |path: &PathQuality| {
        let turned = 1.0 - (-settled.as_secs_f64() / path.spell.as_secs_f64().max(1e-3)).exp();
        let seen = (settled.as_secs_f64() / (2.0 * interval.as_secs_f64().max(1e-3))).min(1.0);
        let bad = path.share.max(path.together);
        bad * (path.stays(span) + turned * seen * path.stays(span.saturating_sub(settled)))
    };
    let others: Vec<f64> = paths.iter().map(|path| joins(path).clamp(0.0, 1.0)).collect();
    let first = |(index, path): (usize, &PathQuality)| {
        let others =
            others.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, chance)| *chance);
        path.seen_rate(interval) * path.stays(span) * at_least(usize::from(needed.saturating_sub(1)), others)
    };
    paths.iter().enumerate().map(first).sum::<f64>() * YEAR * 1_000.0
}

/// The probability that at least `count` of independent events happen.
fn at_least(count: usize, chances: impl Iterator<Item = f64>) -> f64 {
    // The probability of each number of events so far; the last stands for `count` and more.
    let mut happened = vec![0.0; count + 1];
    if let Some(none) = happened.first_mut() {
        *none = 1.0;
    }
    for chance in chances {
        let mut carried = 0.0;
        for number in happened.iter_mut().take(count) {
            let moves = *number * chance;
            *number += carried - moves;
            carried = moves;
        }
        if let Some(enough) = happened.last_mut().filter(|_| count > 0) {
            *enough += carried;
        }
    }
    happened.last().copied().unwrap_or(1.0)
}

/// From a total outage to the page: refused, and silent.
fn page_times(policy: &Policy, voters: u16) -> (PageTime, PageTime) {
    let span = policy.span_needed(voters);
    let timeout = policy.timeout;
    let until_seen = policy.interval / u64::from(voters.max(1));
    let of = |confirmed: Micros| PageTime {
        mean: until_seen / 2 + confirmed + ROUND_TRIP,
        worst: until_seen + confirmed + ROUND_TRIP * 2,
    };
    // Three attempts of a single region: its scheduled check and the first round's two.
    let attempts = if policy.is_single() { BETWEEN_ATTEMPTS } else { Micros::ZERO };
    let refused = match span {
        span if span <= attempts => attempts,
        span => span.max(ROUND_GAP),
    };
    let answered = timeout * 2;
    let again = timeout * 3 + BETWEEN_ATTEMPTS;
    let silent = match span {
        span if span < answered && !policy.is_single() => answered,
        span if span <= again => again,
        span => span,
    };
    (of(refused), of(silent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sensitivity;

    fn policy(regions: usize) -> Policy {
        Policy::new(
            (0..regions).map(|index| format!("r{index}").parse().unwrap()).collect(),
            Micros::from_secs(30),
            Micros::from_secs(10),
        )
    }

    #[test]
    fn of_n_chances() {
        let close = |one: f64, other: f64| (one - other).abs() < 1e-12;
        assert!(close(at_least(0, [0.3].into_iter()), 1.0));
        assert!(close(at_least(1, [0.5, 0.5].into_iter()), 0.75));
        assert!(close(
            at_least(2, [0.5, 0.2, 0.1].into_iter()),
            0.5 * 0.2 + 0.5 * 0.1 + 0.2 * 0.1 - 2.0 * 0.01
        ));
        assert!(close(at_least(3, [0.5, 0.5].into_iter()), 0.0));
    }

    #[test]
    fn worse_paths_longer_spells_and_shorter_evidence_page_more() {
        let of = |policy: &Policy, share, spell| {
            let path = PathQuality {
                share,
                together: share,
                spell: Micros::from_secs(spell),
                ..PathQuality::ASSUMED
            };
            Forecast::of(policy, &[path]).false_pages()
        };
        for regions in 1..=9 {
            let balanced = policy(regions);
            let fast = Policy { sensitivity: Sensitivity::Fast, ..policy(regions) };
            let strict = Policy { sensitivity: Sensitivity::Strict, ..policy(regions) };
            assert!(of(&fast, 0.01, 20) > of(&balanced, 0.01, 20));
            assert!(of(&balanced, 0.01, 20) > of(&strict, 0.01, 20));
            assert!(of(&balanced, 0.02, 20) > of(&balanced, 0.01, 20));
            assert!(of(&balanced, 0.01, 40) > of(&balanced, 0.01, 20));
            assert!(of(&balanced, 0.0, 20) == 0.0);
        }
        let five = of(&policy(5), 0.001, 20);
        assert!(five < 0.1, "{five}");
    }

    #[test]
    fn a_common_cause_pages_more() {
        let path = PathQuality { together: 0.2, ..PathQuality::ASSUMED };
        let of = |path| Forecast::of(&policy(5), &[path]).false_pages();
        assert!(of(path) > 1_000.0 * of(PathQuality::ASSUMED));
    }

    #[test]
    fn an_outage_is_paged_as_the_numbers_say() {
        let times = |regions| {
            let forecast = Forecast::of(&policy(regions), &[]);
            [forecast.refused.mean, forecast.refused.worst, forecast.silent.mean, forecast.silent.worst]
                .map(|span| span.0 / 100_000)
        };
        assert_eq!(times(5), [143, 176, 233, 266]);
        assert_eq!(times(3), [253, 306, 363, 416]);
        assert_eq!(times(1), [453, 606, 463, 616]);
    }
}
