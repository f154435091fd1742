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
//! Where all `k` must fail together for `W`, as for the majority and on noisy paths, it is simpler: whichever turns bad last,
//! at the rate `q / L`, finds `k - 1` of the others bad, each with the chance `q`; and all of them are so when the span is
//! over, each with the chance `q + (1 - q) e^(-W / L(1-q))`, which is how the two states of a path are correlated over
//! time. So it falls with `e^(-kW/L)`, where the other falls with `e^(-W/L)`.
//!
//! They are approximations: `tests/system/years.rs` holds them against the simulation.
//!
//! # Time to page
//! The phases of `m` regions are staggered, so that a total outage is seen within `T / m`, in the mean after half of that. A
//! refused check fails at once; the second round completes the span. A silent check fails after the timeout, and so does
//! the round that follows, whose answers span two timeouts; a second attempt spans three. Where all have to fail together, the span
//! begins when the others fail as well: once the first check has failed, and they were asked.

use quorate_proto::{Micros, Region};

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
        (-span.saturating_sub(self.wait).as_secs_f64() / self.spell_s()).exp()
    }

    /// The chance that it is bad, a time after it was: it stayed so, or it is so again.
    fn is_bad_again(&self, span: Micros) -> f64 {
        let settles_in = self.spell_s() * (1.0 - self.share).max(1e-6);
        let stays = (-span.saturating_sub(self.wait).as_secs_f64() / settles_in).exp();
        self.share + (1.0 - self.share) * stays
    }

    /// The chance that it is bad when another path is found so.
    fn found_bad(&self) -> f64 {
        self.share.max(self.together)
    }

    fn spell_s(&self) -> f64 {
        self.spell.as_secs_f64().max(1e-3)
    }

    /// How often a second a scheduled check sees it turn bad.
    fn seen_rate(&self, interval: Micros) -> f64 {
        // A spell cannot be shorter than the check that sees it.
        let cycles = interval.as_secs_f64() / self.spell_s();
        self.share * -(-cycles).exp_m1() / interval.as_secs_f64().max(1e-3)
    }
}

impl Forecast {
    /// What a policy comes to on the paths of its regions. Regions that abstain because their paths are noisy make no
    /// false page.
    pub fn of(policy: &Policy, path: impl Fn(&Region) -> PathQuality) -> Self {
        let voters = policy.voters();
        let paths: Vec<_> = policy.voting().map(path).collect();
        let fast = policy.span_needed(voters);
        let by_quorum = match policy.counts_together() {
            true => together(&paths, policy.needed(voters), fast),
            false => false_pages(&paths, policy.interval, policy.needed(voters), fast),
        };
        let by_majority = match policy.is_single() {
            true => 0.0,
            false => together(&paths, policy::majority(voters), policy.majority_span_needed(voters)),
        };
        let (refused, silent) = page_times(policy, voters);
        Self { by_quorum, by_majority, refused, silent }
    }

    /// False pages in 1,000 monitor-years.
    pub fn false_pages(&self) -> f64 {
        self.by_quorum + self.by_majority
    }
}

/// False pages in 1,000 years by a rule that wants `needed` paths to fail, and their evidence to span `span` from the
/// first failure on; a failure is settled after that.
fn false_pages(paths: &[PathQuality], interval: Micros, needed: u16, span: Micros) -> f64 {
    let joins = |path: &PathQuality| {
        let turned = 1.0 - (-span.as_secs_f64() / path.spell_s()).exp();
        let seen = (span.as_secs_f64() / (2.0 * interval.as_secs_f64().max(1e-3))).min(1.0);
        path.found_bad() * (path.stays(span) + turned * seen)
    };
    a_thousand_years(paths, needed, |path| path.seen_rate(interval) * path.stays(span), joins)
}

/// The same by a rule that wants them to fail together for `span`.
fn together(paths: &[PathQuality], needed: u16, span: Micros) -> f64 {
    let turns = |path: &PathQuality| path.share / path.spell_s() * path.is_bad_again(span);
    a_thousand_years(paths, needed, turns, |path| path.found_bad() * path.is_bad_again(span))
}

/// How often in 1,000 years `needed` paths are bad at once: one of them turns so, at its rate a second, and the others
/// are, each by its chance.
fn a_thousand_years(
    paths: &[PathQuality],
    needed: u16,
    rate: impl Fn(&PathQuality) -> f64,
    chance: impl Fn(&PathQuality) -> f64,
) -> f64 {
    let chances: Vec<f64> = paths.iter().map(|path| chance(path).clamp(0.0, 1.0)).collect();
    let one = |(index, path): (usize, &PathQuality)| {
        let others = chances.iter().enumerate().filter(|(other, _)| *other != index);
        rate(path) * at_least(usize::from(needed.saturating_sub(1)), others.map(|(_, chance)| *chance))
    };
    paths.iter().enumerate().map(one).sum::<f64>() * YEAR * 1_000.0
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
    let timeout = policy.timeout;
    // The others begin to fail when they are asked, which is when the first check has failed.
    let (span, silent_span) = match policy.counts_together() {
        true => (policy.span_needed(voters) + ROUND_TRIP, policy.span_needed(voters) + timeout + ROUND_TRIP),
        false => (policy.span_needed(voters), policy.span_needed(voters)),
    };
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
    let silent = match silent_span {
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
            Forecast::of(policy, |_| path).false_pages()
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
        let of = |path| Forecast::of(&policy(5), |_| path).false_pages();
        assert!(of(path) > 1_000.0 * of(PathQuality::ASSUMED));
    }

    #[test]
    fn an_outage_is_paged_as_the_numbers_say() {
        let times = |regions| {
            let forecast = Forecast::of(&policy(regions), |_| PathQuality::ASSUMED);
            [forecast.refused.mean, forecast.refused.worst, forecast.silent.mean, forecast.silent.worst]
                .map(|span| span.0 / 100_000)
        };
        assert_eq!(times(5), [143, 176, 233, 266]);
        assert_eq!(times(3), [253, 306, 363, 416]);
        assert_eq!(times(1), [453, 606, 463, 616]);
    }
}
