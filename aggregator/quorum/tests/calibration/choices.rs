//! Which paths abstain, what stands, and what is forgotten.

use quorate_proto::{AgentKey, Micros, Region};
use quorate_quorum::{Calibrated, Calibration, Moment, PathSums, Policy};

fn region(index: usize) -> Region {
    format!("r{index}").parse().unwrap()
}

fn policy(regions: usize) -> Policy {
    Policy::new((0..regions).map(region).collect(), Micros::from_secs(30), Micros::from_secs(10))
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

/// What is chosen for these paths by a monitor of as many regions.
fn chosen(paths: &[PathSums]) -> (Calibrated, f64) {
    let mut calibration = Calibration::new(&policy(paths.len()));
    calibration.restore(None, paths.iter().enumerate().map(|(index, sums)| (region(index), *sums)));
    assert_eq!(calibration.expected(), None, "nothing was looked at");
    let change = calibration.review(&policy(paths.len()), Moment(0)).unwrap();
    assert_eq!(calibration.expected(), Some(change.expected));
    assert_eq!(calibration.chosen(), change.calibrated.as_ref());
    (change.calibrated.unwrap(), change.expected)
}

/// A path that failed so often, for so many hours in all.
fn failed(spells: f64, hours: f64) -> PathSums {
    watched(hours / (14.0 * 24.0), hours * 3_600.0 / spells)
}

/// One or two paths of several are much worse than the others, and not as bad as to say nothing in any case. They abstain
/// where that is enough, or halves what is expected.
#[test]
fn the_worst_path_abstains_where_that_helps() {
    let long = watched(0.2, 600.0);
    for (regions, good, bad, wanted) in [
        (5, watched(0.003, 60.0), &[long][..], &[4][..]),
        (5, watched(0.003, 60.0), &[long, long], &[4]),
        (7, watched(0.01, 60.0), &[long, long], &[6]),
        // It is enough without.
        (7, watched(0.01, 60.0), &[long], &[]),
        (4, watched(0.001, 20.0), &[long], &[]),
        // Two that are left would page as often as three, and rather more so.
        (3, watched(0.003, 60.0), &[long], &[]),
        (3, watched(0.001, 20.0), &[long], &[2]),
        (3, watched(0.001, 20.0), &[watched(0.02, 600.0)], &[]),
    ] {
        let mut paths = vec![good; regions - bad.len()];
        paths.extend(bad);
        let (chosen, expected) = chosen(&paths);
        let wanted = wanted.iter().map(|index| region(*index)).collect();
        assert_eq!(chosen.noisy, wanted, "{regions} regions, {good:?}, {bad:?}: {expected}");
        assert_eq!(usize::from(chosen.voters), regions - chosen.noisy.len());
    }
}

/// Known to be bad: in five spells, or for six hours; and three times as bad as most.
#[test]
fn a_path_is_known_to_be_bad() {
    for (spells, hours, is_noisy) in [
        (4.0, 5.2, false),
        (5.0, 5.2, true),
        (1.0, 5.5, false),
        (1.0, 7.0, true),
        (5.0, 5.0, false), // 1.5 % of the time, where most have 0.5 %
    ] {
        let mut paths = vec![watched(0.005, 60.0); 4];
        paths.push(failed(spells, hours));
        let (chosen, expected) = chosen(&paths);
        assert_eq!(chosen.noisy.len(), usize::from(is_noisy), "{spells} in {hours} h: {expected}");
        assert_eq!(expected <= 0.5, is_noisy, "{expected}");
    }
}

/// A majority of the regions was watched for a day: three of five.
#[test]
fn a_majority_that_is_known_is_enough() {
    let known = |count: usize| {
        let mut calibration = Calibration::new(&policy(5));
        calibration.restore(None, (0..count).map(|index| (region(index), watched(0.001, 20.0))));
        calibration.review(&policy(5), Moment(0)).is_some()
    };
    assert_eq!([2, 3, 5].map(known), [false, true, true]);
}

/// What was chosen for five regions is no choice for seven, or for other five.
#[test]
fn what_stands_is_of_these_regions() {
    let mut calibration = Calibration::new(&policy(5));
    calibration.restore(None, (0..5).map(|index| (region(index), watched(0.001, 20.0))));
    calibration.review(&policy(5), Moment(0));
    assert_eq!(calibration.chosen().unwrap().voters, 5);
    let change = calibration.review(&policy(7), Moment(0)).unwrap();
    assert_eq!(change.calibrated.unwrap().voters, 7);

    let noisy = Calibrated { noisy: [region(9)].into(), voters: 4, ..calibration.chosen().unwrap().clone() };
    let mut calibration = Calibration::new(&policy(5));
    calibration.restore(Some(noisy), (0..5).map(|index| (region(index), watched(0.001, 20.0))));
    let change = calibration.review(&policy(5), Moment(0)).unwrap();
    assert_eq!(change.calibrated.unwrap().noisy, [].into());
}

fn seconds(second: u64) -> Moment {
    Moment(second * 1_000_000)
}

/// Three regions check every 30 s until an end; the first fails from a second to another. Gives what is known of its path.
fn watch(calibration: &mut Calibration, from: u64, to: u64, end: u64) -> PathSums {
    for second in (from - 300..end).step_by(30) {
        for index in 0..3 {
            let failed = index == 0 && (from..to).contains(&second);
            let agent = (AgentKey([index as u8; 32]), &region(index));
            calibration.observe(agent, seconds(second), seconds(second), failed);
        }
    }
    calibration.paths().known(&region(0))
}

/// A spell counts when it is over, and is dropped where nobody looked meanwhile.
#[test]
fn a_pause_drops_what_is_under_way() {
    let mut calibration = Calibration::new(&policy(3));
    let known = watch(&mut calibration, 600, 720, 900);
    assert!((known.spells - 1.0).abs() < 1e-3 && known.bad_s > 90.0, "{known:?}");
    let mut calibration = Calibration::new(&policy(3));
    watch(&mut calibration, 600, 720, 720);
    calibration.pause();
    let known = watch(&mut calibration, 1_200, 1_200, 1_500);
    assert!(known.spells == 0.0 && known.bad_s == 0.0, "{known:?}");
}

/// Another policy is looked at with the next check, and a check stands as long as it says.
#[test]
fn another_policy_is_followed() {
    let agent = |index: u8| (AgentKey([index; 32]), region(0));
    let observe = |calibration: &mut Calibration, (agent, region): (AgentKey, Region), second| {
        calibration.observe((agent, &region), seconds(second), seconds(second), false)
    };
    let mut calibration = Calibration::new(&policy(3));
    assert!(observe(&mut calibration, agent(1), 100));
    calibration.review(&policy(3), seconds(100));
    assert!(!observe(&mut calibration, agent(1), 130));
    // At an interval of 30 s a witness stands for a minute: until then no other agent of the region is heard.
    let watched = |calibration: &Calibration| calibration.paths().known(&region(0)).observed_s;
    let before = watched(&calibration);
    observe(&mut calibration, agent(2), 189);
    assert_eq!(watched(&calibration), before);
    let slower = Policy { interval: Micros::from_secs(300), ..policy(3) };
    calibration.follow(&slower);
    observe(&mut calibration, agent(2), 190);
    assert_eq!(watched(&calibration), before, "ten minutes at one of five");
    assert!(observe(&mut calibration, agent(1), 200), "a review is due");
    calibration.follow(&policy(3));
    observe(&mut calibration, agent(2), 260);
    assert!(watched(&calibration) > before + 100.0, "from the moment on at which it stands no more");
}

/// Five regions check every 30 s; which of them fail at a second is said. Gives what is known of the first path.
fn watch_five(calibration: &mut Calibration, end: u64, fails: impl Fn(usize, u64) -> bool) -> PathSums {
    for second in (0..end).step_by(30) {
        for index in 0..5 {
            let (agent, failed) = ((AgentKey([index as u8; 32]), &region(index)), fails(index, second));
            let ended = seconds(second + if failed { 4 } else { 0 });
            calibration.observe(agent, seconds(second), ended, failed);
        }
    }
    calibration.paths().known(&region(0))
}

/// How much of the others is bad when a path turns so; what half of them see as well is nobody's path.
#[test]
fn who_fails_together() {
    let known = |together: usize| {
        let mut calibration = Calibration::new(&policy(5));
        watch_five(&mut calibration, 900, |index, second| {
            let from = if index == 0 { 300 } else { 270 };
            index <= together && (from..420).contains(&second)
        })
    };
    for (together, spells, met) in [(0, 1.0, 0.0), (1, 1.0, 0.25), (2, 0.0, 0.0), (4, 0.0, 0.0)] {
        let known = known(together);
        assert!((known.spells - spells).abs() < 1e-2, "{together}: {known:?}");
        assert!((known.met - met).abs() < 1e-2, "{together}: {known:?}");
        if spells > 0.0 {
            assert!((known.lasted_s - 120.0).abs() < 1.0, "{known:?}");
            assert!((known.lasted_squared - 14_400.0).abs() < 100.0, "{known:?}");
            assert!((known.wait_s - 16.0).abs() < 0.1 && (known.failures - 4.0).abs() < 0.01, "{known:?}");
        }
    }
}

/// A path that is bad is known to be so before it is good again, unless half of the others are bad too.
#[test]
fn a_spell_that_is_under_way() {
    let known = |together: usize| {
        let mut calibration = Calibration::new(&policy(5));
        watch_five(&mut calibration, 600, |index, second| index <= together && second >= 300)
    };
    assert!((known(0).spells - 1.0).abs() < 1e-2, "{:?}", known(0));
    assert!(known(4).spells.abs() < 1e-9, "{:?}", known(4));
}

/// A check stands for as long as a vote lives and no longer; regions that are not of the monitor are forgotten.
#[test]
fn what_is_watched() {
    let observe = |calibration: &mut Calibration, second: u64| {
        calibration.observe((AgentKey([1; 32]), &region(0)), seconds(second), seconds(second), false);
        calibration.paths().known(&region(0)).observed_s.round()
    };
    let mut calibration = Calibration::new(&policy(3));
    assert_eq!([0, 30, 1_030].map(|second| observe(&mut calibration, second)), [0.0, 30.0, 90.0]);
    let slower = Policy { interval: Micros::from_secs(300), ..policy(3) };
    calibration.follow(&slower);
    assert_eq!(observe(&mut calibration, 1_330), 390.0);
    assert_eq!(observe(&mut calibration, 9_330), 990.0);
    let elsewhere = Policy { regions: [region(1), region(2)].into(), ..policy(3) };
    calibration.review(&elsewhere, seconds(9_330));
    assert_eq!(calibration.paths().known(&region(0)), PathSums::default());
}
