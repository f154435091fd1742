//! Choices on paths of every kind.

use super::*;

const S: fn(u64) -> Micros = Micros::from_secs;

fn policy(regions: usize) -> Policy {
    Policy::new((0..regions).map(region).collect(), S(30), S(10))
}

fn region(index: usize) -> Region {
    format!("r{index}").parse().unwrap()
}

/// Two weeks of a path that is bad for a share of the time, for so many seconds at a time.
fn watched(share: f64, spell: f64) -> PathSums {
    let observed_s = 14.0 * 86_400.0;
    let bad_s = share * observed_s;
    let spells = bad_s / spell;
    PathSums {
        observed_s,
        bad_s,
        spells,
        lasted_s: bad_s,
        lasted_squared: spells * 2.0 * spell * spell,
        failures: spells,
        wait_s: spells * 0.1,
        met: spells * share,
    }
}

fn of(policy: &Policy, paths: &[PathSums]) -> Calibration {
    let mut calibration = Calibration::new(policy);
    let named = paths.iter().enumerate().map(|(index, sums)| (region(index), *sums));
    calibration.restore(None, named);
    calibration
}

/// What is chosen for `n` paths that are all alike: the spans in seconds, whether together, and what is expected.
fn chosen(n: usize, share: f64, spell: f64) -> (u64, bool, u64, f64) {
    let policy = policy(n);
    let change = of(&policy, &vec![watched(share, spell); n]).review(&policy, Moment(0)).unwrap();
    let one = change.calibrated.unwrap();
    assert!(one.noisy.is_empty(), "none is worse than the others");
    (seconds(one.span), one.together, seconds(one.majority_span), change.expected)
}

#[test]
fn the_better_the_paths_the_shorter_the_span() {
    for (regions, share, spell, wanted) in [
        // Nothing is shorter than the least.
        (5, 0.0, 20.0, (11, false, 90)),
        (5, 0.001, 20.0, (11, false, 90)),
        // Three decide as soon as five where their paths are good.
        (3, 0.0, 20.0, (11, false, 300)),
        (3, 0.001, 20.0, (14, false, 300)),
        (3, 0.001, 60.0, (30, true, 300)),
        (5, 0.01, 20.0, (33, true, 180)),
        (7, 0.02, 60.0, (14, true, 180)),
        // Long spells are the majority's matter.
        (5, 0.001, 300.0, (11, false, 360)),
        (3, 0.001, 300.0, (11, false, 1_200)),
    ] {
        let (span, together, majority, expected) = chosen(regions, share, spell);
        assert_eq!((span, together, majority), wanted, "{regions} regions, {share} bad for {spell} s");
        assert!(expected <= PAGES_MAX, "{expected}");
    }
}

#[test]
fn what_cannot_be_met_is_said_and_costs_no_time_for_nothing() {
    let (span, together, _, expected) = chosen(5, 0.05, 20.0);
    assert!(together && span < 51 && expected > 100.0, "{span} {expected}");
    // Of two regions whose spells outlast every span, the usual is as good as any.
    let (span, together, _, expected) = chosen(2, 0.001, 300.0);
    assert!(!together && span <= 30 && expected > 100.0, "{span} {expected}");
}

#[test]
fn a_path_that_fails_alone_abstains_until_it_is_better() {
    let policy = policy(5);
    let good = watched(0.003, 60.0);
    // Bad for the whole of the last hours, in one spell.
    let failing = |hours: f64| PathSums {
        bad_s: hours * 3_600.0,
        spells: 1.0,
        lasted_s: hours * 3_600.0,
        lasted_squared: (hours * 3_600.0).powi(2),
        ..good
    };
    let review = |calibration: &mut Calibration, hours| {
        calibration.restore(calibration.chosen.clone(), [(region(2), failing(hours))]);
        calibration.review(&policy, Moment(0))
    };
    let mut calibration = of(&policy, &[good; 5]);
    calibration.review(&policy, Moment(0));
    let standing = calibration.chosen().unwrap().clone();
    assert_eq!((standing.span, standing.noisy.len()), (S(11), 0));
    let change = review(&mut calibration, 5.0).unwrap();
    assert_eq!(change.turned_noisy, [], "hours are news, and no noise");
    assert!(change.calibrated.unwrap().together);
    let change = review(&mut calibration, 300.0).unwrap();
    assert_eq!(change.turned_noisy.iter().map(|(region, _)| region).collect::<Vec<_>>(), [&region(2)]);
    assert_eq!(change.calibrated.as_ref().unwrap().voters, 4);
    assert!(change.expected <= PAGES_MAX, "{}", change.expected);
    // It does not come and go with every hour: the share has to fade.
    assert_eq!(review(&mut calibration, 80.0), None);
    calibration
        .restore(calibration.chosen.clone(), (0..5).map(|index| (region(index), watched(0.001, 60.0))));
    let change = calibration.review(&policy, Moment(0)).unwrap();
    assert_eq!(change.calmed, [region(2)]);
    assert_eq!(change.turned_noisy, []);
}

/// Where both of two bad paths would have to abstain and one may, they do not take turns.
#[test]
fn who_is_noisy_does_not_change_with_every_hour() {
    for (regions, bad, swing) in [(3, 0.4, 0.01), (3, 0.03, 0.001), (5, 0.1, 0.01)] {
        let policy = policy(regions);
        let mut calibration = Calibration::new(&policy);
        let mut seen = Vec::new();
        for hour in 0..24_usize {
            let share = |index| match index {
                _ if index <= regions / 2 && index == hour % (regions / 2 + 1) => bad + swing,
                _ if index <= regions / 2 => bad,
                _ => 0.001,
            };
            let paths = (0..regions).map(|index| (region(index), watched(share(index), 600.0)));
            calibration.restore(calibration.chosen.clone(), paths);
            calibration.review(&policy, Moment(0));
            seen.push(calibration.chosen().unwrap().noisy.clone());
        }
        seen.dedup();
        assert!(seen.len() <= 2, "{regions} regions, bad {bad}: {seen:?}");
    }
}

/// Of three, two that are left expect more than may be: the third is wanted back as soon as that is fewer.
#[test]
fn who_is_good_again_votes_again_where_the_limit_cannot_be_met() {
    let policy = policy(3);
    let mut calibration = Calibration::new(&policy);
    let good = watched(0.000_1, 20.0);
    let mut noisy = |share| {
        calibration.restore(
            calibration.chosen.clone(),
            [(region(0), watched(share, 600.0)), (region(1), good), (region(2), good)],
        );
        calibration.review(&policy, Moment(0));
        let chosen = calibration.chosen().cloned();
        (chosen.clone().unwrap().noisy.len(), calibration.pages(&policy, chosen))
    };
    let (count, expected) = noisy(0.4);
    assert!(count == 1 && expected > PAGES_MAX, "{expected}");
    let (count, fewer) = noisy(0.001);
    assert!(count == 0 && fewer < expected, "{fewer}");
}

/// However good the others are.
#[test]
fn a_path_that_fails_for_a_quarter_of_its_time_says_nothing() {
    let policy = policy(5);
    let noisy = |calibration: &mut Calibration, share| {
        let paths = (0..5).map(|index| (region(index), watched(if index == 3 { share } else { 0.0 }, 600.0)));
        calibration.restore(calibration.chosen.clone(), paths);
        calibration.review(&policy, Moment(0));
        calibration.chosen().unwrap().noisy.len()
    };
    let mut calibration = Calibration::new(&policy);
    let shares = [0.2, 0.3, 0.2, 0.15, 0.1, 0.2];
    assert_eq!(shares.map(|share| noisy(&mut calibration, share)), [0, 1, 1, 1, 0, 0]);
    // Two of three would leave one: the worse one abstains.
    let policy = self::policy(3);
    let mut calibration = of(&policy, &[watched(0.4, 600.0), watched(0.5, 600.0), watched(0.0, 20.0)]);
    let change = calibration.review(&policy, Moment(0)).unwrap();
    assert_eq!(change.calibrated.unwrap().noisy, [region(1)].into());
}

#[test]
fn a_majority_keeps_its_word() {
    for regions in 2..=9 {
        let policy = policy(regions);
        let paths: Vec<_> =
            (0..regions).map(|index| watched(if index % 2 == 0 { 0.3 } else { 0.000_1 }, 120.0)).collect();
        let change = of(&policy, &paths).review(&policy, Moment(0)).unwrap();
        let calibrated = change.calibrated.unwrap();
        let left = regions - calibrated.noisy.len();
        assert!(left >= 2 && left * 2 > regions && left == usize::from(calibrated.voters), "{calibrated:?}");
    }
}

#[test]
fn what_the_operator_set_stands() {
    let bad = vec![watched(0.02, 60.0); 5];
    for policy in [
        Policy { confirm_for: Some(S(11)), ..policy(5) },
        Policy { sensitivity: crate::Sensitivity::Fast, ..policy(5) },
        policy(1),
    ] {
        assert_eq!(of(&policy, &bad).review(&policy, Moment(0)), None);
    }
    let strict = Policy { sensitivity: crate::Sensitivity::Strict, ..policy(5) };
    let change = of(&strict, &[watched(0.0, 20.0); 5]).review(&strict, Moment(0)).unwrap();
    assert_eq!(change.calibrated.unwrap().span, S(22));
}

/// What was chosen under other settings stands only where it could be chosen under these.
#[test]
fn another_policy_has_other_bounds() {
    let strict = |policy: Policy| Policy { sensitivity: crate::Sensitivity::Strict, ..policy };
    let often = Policy { interval: S(10), ..policy(5) };
    let seldom = Policy { interval: S(240), ..policy(5) };
    for (before, after, share) in [
        (policy(5), strict(policy(5)), 0.0),
        (strict(policy(5)), policy(5), 0.01),
        (often.clone(), seldom.clone(), 0.04),
        (strict(policy(3)), policy(3), 0.0),
    ] {
        let paths = vec![watched(share, 60.0); before.regions.len()];
        let mut calibration = of(&before, &paths);
        calibration.review(&before, Moment(0)).unwrap();
        calibration.follow(&after);
        calibration.review(&after, Moment(0));
        let anew = of(&after, &paths).review(&after, Moment(0)).unwrap().calibrated;
        assert_eq!(calibration.chosen().cloned(), anew);
    }
    // A row that somebody changed delays no page.
    let mut calibration = of(&policy(5), &[watched(0.3, 60.0); 5]);
    let long = S(86_400);
    let foreign =
        Calibrated { span: long, together: true, majority_span: long, voters: 5, noisy: BTreeSet::new() };
    calibration.restore(Some(foreign), []);
    calibration.review(&policy(5), Moment(0));
    let chosen = calibration.chosen().unwrap();
    assert!(chosen.span < S(60) && chosen.majority_span <= S(1_200), "{chosen:?}");
}

#[test]
fn little_is_no_ground() {
    let policy = policy(3);
    let known = |days: f64| PathSums { observed_s: days * 86_400.0, ..PathSums::default() };
    let review = |paths: &[PathSums]| of(&policy, paths).review(&policy, Moment(0));
    assert_eq!(review(&[known(0.9); 3]), None);
    assert_eq!(review(&[known(1.0), known(0.9), known(0.9)]), None, "no majority is known");
    assert!(review(&[known(1.0), known(1.0), known(0.0)]).is_some());
}

#[test]
fn what_stands_is_eased_only_with_room_to_spare() {
    let policy = policy(5);
    let review = |calibration: &mut Calibration, share| {
        let paths = (0..5).map(|index| (region(index), watched(share, 20.0)));
        calibration.restore(calibration.chosen.clone(), paths);
        calibration.review(&policy, Moment(0)).map(|change| seconds(change.calibrated.unwrap().span))
    };
    let mut calibration = Calibration::new(&policy);
    assert_eq!(review(&mut calibration, 0.01), Some(33));
    assert_eq!(review(&mut calibration, 0.009_5), None, "it would be 32");
    assert_eq!(review(&mut calibration, 0.011), Some(36), "at once");
    assert_eq!(review(&mut calibration, 0.003), Some(11));
}

/// Of two agents of one region one is listened to, until it has been away for a vote's lifetime.
#[test]
fn one_agent_speaks_for_a_region() {
    let mut calibration = Calibration::new(&policy(3));
    let mut observe = |agent, second: u64, failed| {
        let at = Moment(second * 1_000_000);
        calibration.observe((AgentKey([agent; 32]), &region(0)), at, at, failed);
        calibration.paths().known(&region(0)).failures
    };
    assert!(observe(1, 0, false).abs() < 1e-9);
    assert!(observe(2, 10, true).abs() < 1e-9, "not the first");
    assert!(observe(1, 59, false).abs() < 1e-9);
    // The other regions are silent, so a failure stands for half of those that are there: it is dropped.
    assert!(observe(2, 118, true).abs() < 1e-9);
    assert_eq!(calibration.witnesses[&region(0)].0, AgentKey([1; 32]));
    let at = Moment(120_000_000);
    calibration.observe((AgentKey([2; 32]), &region(0)), at, at, false);
    assert_eq!(calibration.witnesses[&region(0)].0, AgentKey([2; 32]));
}

#[test]
fn a_review_is_due_once_an_hour() {
    let policy = policy(2);
    let mut calibration = Calibration::new(&policy);
    let mut due = |second: u64, reviews: bool| {
        let at = Moment(second * 1_000_000);
        let due = calibration.observe((AgentKey([1; 32]), &region(0)), at, at, false);
        if reviews {
            calibration.review(&policy, at);
        }
        due
    };
    assert!(due(0, true));
    assert!(!due(3_599, false));
    assert!(due(3_600, true));
    assert!(!due(3_601, false));
}

proptest::proptest! {
    /// Whatever the paths: a choice is within its bounds, no worse than the usual numbers, and a page still comes within a
    /// minute; the smallest span that suffices is one that a second less would not be enough for.
    #[test]
    fn choices_are_sound(
        paths in proptest::collection::vec((0.0..0.2_f64, 5.0..900.0_f64), 2..12),
        interval in 10_u64..60,
    ) {
        let policy = Policy { interval: S(interval), ..policy(paths.len()) };
        let paths: Vec<_> = paths.into_iter().map(|(share, spell)| watched(share.powi(2), spell)).collect();
        let mut calibration = of(&policy, &paths);
        let usual = calibration.pages(&policy, None);
        let change = calibration.review(&policy, Moment(0)).unwrap();
        let chosen = change.calibrated.unwrap();
        let under = Policy { calibrated: Some(chosen.clone()), ..policy.clone() };
        proptest::prop_assert!(chosen.span >= S(11));
        proptest::prop_assert!(chosen.noisy.len() <= policy.noisy_max());
        proptest::prop_assert!(change.expected <= PAGES_MAX || change.expected <= usual * AS_GOOD, "{} {usual}", change.expected);
        let forecast = Forecast::of(&under, |_| PathQuality::ASSUMED);
        let worst_usual = Forecast::of(&policy, |_| PathQuality::ASSUMED).refused.worst;
        proptest::prop_assert!(forecast.refused.worst <= S(60).max(worst_usual), "{:?}", forecast.refused);
        if change.expected <= PAGES_MAX && chosen.span > S(11) {
            let shorter = Calibrated { span: chosen.span.saturating_sub(S(1)), ..chosen };
            proptest::prop_assert!(calibration.pages(&policy, Some(shorter)) > PAGES_MAX);
        }
    }
}
