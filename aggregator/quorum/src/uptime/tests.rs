//! The arithmetic, against a slow and obvious one; and the rule of mending, as data.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{Calibrated, Quorum};

fn at(tick: i64) -> WallMicros {
    WallMicros(tick)
}

fn stretch((from, to): (i64, i64)) -> Stretch {
    Stretch { from: at(from), to: at(to) }
}

/// What one instant is, by looking through everything.
fn state_at(history: &History, instant: i64) -> (State, bool) {
    let has = |one: &Stretch| one.from.0 <= instant && instant < one.to.0;
    let turn = history.turns.iter().rev().find(|turn| turn.at.0 <= instant);
    let Some(verdict) = turn.and_then(|turn| turn.verdict) else { return (State::NotYet, false) };
    if history.maintenance.iter().any(has) {
        return (State::Maintenance, false);
    }
    if verdict != Verdict::Unobserved && !history.away.iter().any(has) {
        return (verdict.into(), false);
    }
    for verdict in [Verdict::Down, Verdict::Partial, Verdict::Up] {
        if history.mends.iter().any(|mend| mend.verdict == verdict && has(&mend.stretch)) {
            return (verdict.into(), true);
        }
    }
    (State::Unobserved, false)
}

fn histories() -> impl Strategy<Value = History> {
    let verdict = prop_oneof![
        Just(None),
        Just(Some(Verdict::Up)),
        Just(Some(Verdict::Partial)),
        Just(Some(Verdict::Down)),
        Just(Some(Verdict::Unobserved)),
    ];
    let turns = prop::collection::btree_map(-20_i64..120, verdict, 0..8);
    let stretches = || prop::collection::vec((-20_i64..120, -20_i64..120).prop_map(stretch), 0..4);
    let mends = (stretches(), stretches());
    (turns, stretches(), mends, stretches()).prop_map(|(turns, away, (up, down), maintenance)| History {
        turns: turns.into_iter().map(|(tick, verdict)| Turn { at: at(tick), verdict }).collect(),
        away,
        mends: up
            .into_iter()
            .map(|stretch| Mend { stretch, verdict: Verdict::Up })
            .chain(down.into_iter().map(|stretch| Mend { stretch, verdict: Verdict::Down }))
            .collect(),
        maintenance,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    /// Spans are what a look at every single instant gives: gapless, without overlap, nothing counted twice.
    #[test]
    fn spans_are_what_every_instant_says(history in histories(), from in -10_i64..60, length in 0_i64..60) {
        let window = stretch((from, from + length));
        let spans = history.spans(window);
        let mut end = window.from;
        for span in &spans {
            prop_assert_eq!(span.stretch.from, end);
            prop_assert!(span.stretch.to > span.stretch.from || length == 0);
            for instant in span.stretch.from.0..span.stretch.to.0 {
                prop_assert_eq!((span.state, span.mended), state_at(&history, instant), "at {}", instant);
            }
            end = span.stretch.to;
        }
        prop_assert_eq!(end, window.to);
        for pair in spans.windows(2) {
            prop_assert!((pair[0].state, pair[0].mended) != (pair[1].state, pair[1].mended));
        }
    }

    /// However a window is cut, the shares of its parts add up to those of the whole, and those to its length.
    #[test]
    fn shares_add_up(history in histories(), from in -10_i64..60, length in 1_i64..60, cut in 0_i64..60) {
        let window = stretch((from, from + length));
        let spans = history.spans(window);
        let whole = Shares::of(&spans, window);
        prop_assert_eq!(whole.total(), window.lasts());
        let cut = at(from + cut.min(length));
        let halves = [Stretch { to: cut, ..window }, Stretch { from: cut, ..window }];
        let [one, two] = halves.map(|half| Shares::of(&spans, half));
        prop_assert_eq!(one.total() + two.total(), window.lasts());
        prop_assert_eq!(one.up + two.up, whole.up);
        prop_assert_eq!(one.down + two.down, whole.down);
        prop_assert_eq!(one.unobserved + two.unobserved, whole.unobserved);
        prop_assert_eq!(one.mended + two.mended, whole.mended);
        let bounds = 0.0..=1.0;
        prop_assert!(whole.uptime().is_none_or(|share| bounds.contains(&share)));
        prop_assert_eq!(whole.uptime().is_none(), whole.observed() == Micros::ZERO);
    }

    /// Time that nobody observed moves no figure, however long it is.
    #[test]
    fn what_is_unobserved_is_neither_up_nor_down(history in histories(), length in 1_i64..60) {
        let window = stretch((0, length));
        let spans = history.spans(window);
        let without = Shares { unobserved: Micros::ZERO, ..Shares::of(&spans, window) };
        prop_assert_eq!(without.uptime(), Shares::of(&spans, window).uptime());
    }
}

#[test]
fn a_day_with_one_of_everything() {
    let turn = |hour, verdict| Turn { at: at(hour), verdict };
    let history = History {
        turns: vec![
            turn(2, Some(Verdict::Up)),
            turn(8, Some(Verdict::Down)),
            turn(10, Some(Verdict::Partial)),
            turn(12, Some(Verdict::Up)),
            turn(18, Some(Verdict::Unobserved)),
            turn(22, Some(Verdict::Up)),
            turn(23, None),
        ],
        away: vec![stretch((4, 6))],
        mends: vec![
            Mend { stretch: stretch((3, 5)), verdict: Verdict::Down },
            Mend { stretch: stretch((20, 23)), verdict: Verdict::Up },
        ],
        maintenance: vec![stretch((0, 3)), stretch((9, 10))],
    };
    let window = stretch((0, 24));
    let words = history.spans(window).into_iter().map(|span| {
        let mended = if span.mended { "*" } else { "" };
        format!("{}-{} {}{mended}", span.stretch.from.0, span.stretch.to.0, span.state.name())
    });
    assert_eq!(
        words.collect::<Vec<_>>().join(", "),
        "0-2 not_yet, 2-3 maintenance, 3-4 up, 4-5 down*, 5-6 unobserved, 6-8 up, 8-9 down, 9-10 maintenance, \
         10-12 partial, 12-18 up, 18-20 unobserved, 20-22 up*, 22-23 up, 23-24 not_yet"
    );
    let shares = Shares::of(&history.spans(window), window);
    assert_eq!((shares.up, shares.partial, shares.down), (Micros(12), Micros(2), Micros(2)));
    assert_eq!((shares.unobserved, shares.maintenance, shares.not_yet), (Micros(3), Micros(2), Micros(3)));
    assert_eq!(shares.mended, Micros(3));
    assert_eq!(shares.uptime(), Some(14.0 / 16.0));
    assert_eq!(shares.unobserved_share(), Some(3.0 / 19.0));
    assert_eq!(shares.worst(), State::Down);
}

#[test]
fn nothing_observed_is_no_figure() {
    let window = stretch((0, 10));
    let shares = |history: History| Shares::of(&history.spans(window), window);
    let none = shares(History::default());
    assert_eq!((none.uptime(), none.unobserved_share(), none.worst()), (None, None, State::NotYet));
    let up = vec![Turn { at: at(-5), verdict: Some(Verdict::Up) }];
    let away = History { turns: up.clone(), away: vec![window], ..History::default() };
    assert_eq!((shares(away.clone()).uptime(), shares(away).unobserved_share()), (None, Some(1.0)));
    let maintained = shares(History { turns: up, maintenance: vec![window], ..History::default() });
    assert_eq!((maintained.uptime(), maintained.worst()), (None, State::Maintenance));
}

fn policy(regions: usize, interval: u64) -> Policy {
    let regions = (0..regions).map(|index| format!("r{index}").parse().unwrap()).collect();
    Policy::new(regions, Micros::from_secs(interval), Micros::from_secs(10))
}

#[test]
fn a_slot_holds_a_check_and_the_evidence() {
    let slot = |policy: &Policy| MendRule::of(policy).slot.as_secs_f64();
    assert_eq!(slot(&policy(5, 30)), 60.0);
    assert_eq!(slot(&policy(5, 61)), 120.0);
    assert_eq!(slot(&policy(5, 86_400)), 3_600.0);
    let insisting = Policy { confirm_for: Some(Micros::from_secs(600)), ..policy(5, 30) };
    assert_eq!(slot(&insisting), 600.0);
    let rule = MendRule::of(&policy(5, 300));
    let slot = rule.slot_of(WallMicros(299_999_999));
    assert_eq!((slot.from.0, slot.to.0), (0, 300_000_000));
    assert_eq!(rule.slot_of(slot.to).from, slot.to);
}

/// Passes and failures of each region in one slot.
#[test]
fn late_votes_mend_by_the_same_quorum() {
    let check = |regions, quorum, votes: &[(u32, u32)], wanted| {
        let policy = Policy { quorum, ..policy(regions, 30) };
        let votes = votes.iter().enumerate().map(|(index, &(passed, failed))| {
            (format!("r{index}").parse().unwrap(), LateVotes { passed, failed })
        });
        let votes = votes.collect::<BTreeMap<_, _>>();
        assert_eq!(MendRule::of(&policy).decide(&votes), wanted, "{regions} regions: {votes:?}");
    };
    let (up, down) = (Some(Verdict::Up), Some(Verdict::Down));
    let default = Quorum::Default;
    check(5, default, &[(2, 0); 5], up);
    check(5, default, &[(0, 2); 5], down);
    check(5, default, &[(2, 0), (2, 0), (2, 0), (2, 0), (0, 2)], up);
    check(5, default, &[(0, 2), (0, 2), (0, 2), (0, 2), (2, 0)], down);
    check(5, default, &[(2, 0), (2, 0), (2, 0), (0, 2), (0, 2)], None);
    check(5, default, &[(2, 0), (2, 0), (2, 0)], up);
    check(5, default, &[(2, 0), (2, 0)], None);
    check(5, default, &[(2, 0), (2, 0), (1, 1)], None);
    check(5, default, &[(2, 1), (2, 1), (3, 0)], up);
    check(5, default, &[(0, 0); 5], None);
    check(5, Quorum::AtLeast(2), &[(0, 1), (0, 1), (1, 0), (1, 0), (1, 0)], down);
    check(5, Quorum::Majority, &[(0, 1), (0, 1), (1, 0), (1, 0), (1, 0)], up);
    check(2, default, &[(1, 0)], None);
    check(2, default, &[(1, 0), (1, 0)], up);
    check(2, default, &[(1, 0), (0, 1)], None);
    check(1, default, &[(1, 0)], up);
    check(1, default, &[(0, 1)], down);
    check(1, default, &[(1, 1)], None);
}

/// What is too noisy to vote does not vote late either.
#[test]
fn late_votes_on_noisy_paths_mend_nothing() {
    let noisy = ["r3", "r4"].map(|name| name.parse().unwrap());
    let fitting = Calibrated {
        span: Micros::from_secs(20),
        together: false,
        majority_span: Micros::from_secs(300),
        voters: 3,
        noisy: noisy.into(),
    };
    let rule = MendRule::of(&Policy { calibrated: Some(fitting), ..policy(5, 30) });
    let decided = |failing: &[&str]| {
        let late = |name: &str| match failing.contains(&name) {
            true => LateVotes { passed: 0, failed: 2 },
            false => LateVotes { passed: 2, failed: 0 },
        };
        rule.decide(&["r0", "r1", "r2", "r3", "r4"].map(|name| (name.parse().unwrap(), late(name))).into())
    };
    assert_eq!(decided(&["r3", "r4"]), Some(Verdict::Up));
    assert_eq!(decided(&["r0", "r1", "r3", "r4"]), None, "two of three");
    assert_eq!(decided(&["r0", "r1", "r2"]), Some(Verdict::Down));
}
