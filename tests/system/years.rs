//! The engine through thousands of monitor-years, and through thousands of total outages. See `quorate_tests::years`.

use quorate_proto::Micros;
use quorate_quorum::{Forecast, PAGES_MAX, PathQuality, Sensitivity};
use quorate_tests::years::{
    Fault, Odd, Paths, Run, Setup, Spells, Years, audit, bound, compare, detections, years,
};

const SEED: u64 = 20_261_122;

/// Every path 99.9 % available.
const OUT_FOR_20_S: Paths = Paths::independent(0.001, Micros::from_secs(20), true);
const OUT_FOR_60_S: Paths = Paths::independent(0.001, Micros::from_secs(60), true);
/// As good, and as the real ones are: of any length, with lost checks, and two of three regions at one provider.
const MIXED: Paths = Paths {
    usual: Spells { share: 0.000_9, lasts: Micros::from_secs(20), is_fixed: false },
    loss: 0.000_1,
    providers: 3,
    common: Spells { share: 0.000_001, lasts: Micros::from_secs(60), is_fixed: false },
    ..OUT_FOR_20_S
};

fn ran(setup: &Setup, paths: &Paths, monitor_years: f64, lone_max: u64) -> Years {
    let ran = years(setup, paths, &Run { monitor_years, lone_max, pages_max: 1_000, seed: SEED }, |_| {});
    assert_eq!(ran.pages_impossible, 0, "{ran:?}");
    ran
}

#[test]
fn two_thousand_monitor_years_page_nobody_falsely() {
    for paths in [OUT_FOR_20_S, OUT_FOR_60_S, MIXED] {
        let ran = ran(&Setup::DEFAULT, &paths, 1_000.0, 5_000);
        println!("5 regions, {paths:?}: {ran:?}");
        assert_eq!(ran.pages, 0, "{ran:?}");
        assert!(ran.extra_load < 0.02, "{ran:?}");
    }
}

/// Fewer regions have less to corroborate with. Outages of 20 s are shorter than their evidence spans; two paths that are
/// out for 60 s at a time are another matter, and the number is printed and not promised.
#[test]
fn few_regions_outlast_short_outages() {
    for regions in [2, 3] {
        let setup = Setup { regions, ..Setup::DEFAULT };
        let short = ran(&setup, &OUT_FOR_20_S, 200.0, 1_000);
        println!("{regions} regions, paths out for 20s: {short:?}");
        assert_eq!(short.pages, 0, "{short:?}");
        let long = ran(&setup, &OUT_FOR_60_S, 200.0, 1_000);
        let upper = bound::upper(long.pages) / long.monitor_years * 1_000.0;
        println!("{regions} regions, paths out for 60s: below {upper:.1} in 1,000 years: {long:?}");
    }
}

/// Regions, interval, timeout, fault; seconds within which every outage is decided, on paths that are all good, and
/// while one is out of its own: then the region that would see it first may be the one whose failure is no news.
#[test]
fn every_total_outage_is_found_in_time() {
    for (regions, interval, timeout, fault, bound, bound_disturbed) in [
        (5, 30, 10, Fault::Refused, 23, 30),
        (5, 30, 10, Fault::Silent, 30, 40),
        (5, 10, 5, Fault::Refused, 20, 20),
        (5, 10, 5, Fault::Silent, 30, 30),
        (5, 300, 10, Fault::Refused, 75, 135),
        (4, 30, 10, Fault::Silent, 40, 60),
        (3, 30, 10, Fault::Refused, 40, 60),
        (3, 30, 10, Fault::Silent, 45, 60),
        (2, 30, 10, Fault::Refused, 50, 65),
        (2, 30, 10, Fault::Silent, 55, 65),
    ] {
        let (interval, timeout) = (Micros::from_secs(interval), Micros::from_secs(timeout));
        let setup = Setup { regions, interval, timeout, ..Setup::DEFAULT };
        for (disturbed, bound) in [(false, bound), (true, bound_disturbed)] {
            let found = detections(&setup, fault, disturbed, 3_000, SEED);
            println!(
                "{regions} regions, T = {interval}, {fault:?}, disturbed {disturbed}: slowest {}, mean {}, up again {}, missed {} of {}; seed {}",
                found.slowest, found.mean, found.recovery_slowest, found.missed, found.outages, found.seed
            );
            assert_eq!(found.missed, 0, "{setup:?} {found:?}");
            assert!(found.slowest <= Micros::from_secs(bound), "{setup:?} {found:?}");
        }
    }
}

/// One region (rule 5): three attempts over 30 s after the first that sees it.
#[test]
fn a_single_region_decides_in_thirty_seconds_after_its_first_failure() {
    for (fault, bound) in [(Fault::Refused, 61), (Fault::Silent, 62)] {
        let found = detections(&Setup { regions: 1, ..Setup::DEFAULT }, fault, false, 3_000, SEED);
        println!("1 region, T = 30s, {fault:?}: slowest {}, mean {}", found.slowest, found.mean);
        assert_eq!(found.missed, 0, "{found:?}");
        assert!(found.slowest <= Micros::from_secs(bound), "{found:?}");
    }
}

#[test]
fn skipping_quiet_stretches_changes_nothing() {
    for (paths, days, providers) in [(OUT_FOR_20_S, 20.0, 0), (MIXED, 40.0, 0), (MIXED, 40.0, 3)] {
        let (skipping, full) = compare(&Setup { providers, ..Setup::DEFAULT }, &paths, days, SEED);
        println!("{} changes of verdict in {days} days", full.len());
        assert!(full.len() > 100, "{}", full.len());
        assert_eq!(skipping, full);
    }
}

/// What is not run is said to be harmless by an argument. Here all of it is run, on paths bad enough that much of it is nearly a
/// page, and of the rest some is.
#[test]
fn what_is_skipped_pages_nobody() {
    let five = |odd, starved, days| (5, Sensitivity::Balanced, 0.08, odd, starved, days);
    for (regions, sensitivity, share, odd, starved, days) in [
        (1, Sensitivity::Balanced, 0.03, None, 0.0, 60.0),
        (2, Sensitivity::Fast, 0.03, None, 0.0, 60.0),
        (2, Sensitivity::Balanced, 0.03, None, 0.0, 120.0),
        (3, Sensitivity::Balanced, 0.05, None, 0.0, 90.0),
        (4, Sensitivity::Fast, 0.08, None, 0.0, 90.0),
        (5, Sensitivity::Fast, 0.08, None, 0.0, 40.0),
        five(None, 0.0, 40.0),
        five(None, 0.01, 40.0),
        five(Some(Odd::FailsAll), 0.0, 40.0),
    ] {
        let starved = Spells { share: starved, lasts: Micros::from_secs(60), is_fixed: false };
        let paths = Paths::independent(share, Micros::from_secs(120), false);
        let paths = Paths { loss: 0.003, starved, ..paths };
        let setup = Setup { regions, sensitivity, odd, ..Setup::DEFAULT };
        let found = audit(&setup, &paths, days, SEED);
        println!("{regions} regions, {sensitivity:?}, {odd:?}, {starved:?}: {found:?}");
        assert_eq!(found.skipped.pages, 0, "{setup:?} {found:?}");
        assert!(found.others.pages > 0 && found.skipped.clusters > 100, "{setup:?} {found:?}");
    }
}

/// Three of five regions at one provider that fails for minutes: more than half, for longer than rule 4 waits, and not the
/// server. Where agents say who their provider is, nobody is paged for that.
#[test]
fn a_provider_that_fails_pages_less_where_agents_tell_it() {
    let common = Spells { share: 0.000_1, lasts: Micros::from_secs(300), is_fixed: false };
    let paths = Paths { providers: 2, common, ..OUT_FOR_20_S };
    let [silent, told] = [0, 2].map(|providers| {
        let found = ran(&Setup { providers, ..Setup::DEFAULT }, &paths, 20.0, 100);
        println!("5 regions at 2 providers, {providers} of them labelled: {found:?}");
        found
    });
    assert!(silent.pages > 50, "{silent:?}");
    assert!(told.pages * 10 < silent.pages, "{told:?}");
}

/// Regions, share of the time that paths are bad, seconds at a time; the years of the run. What the closed forms of
/// `quorate_quorum::Forecast` expect is within three times of what the simulation finds, either way: the bounds of its 95 %
/// intervals are held against that.
#[test]
fn closed_forms_expect_what_the_simulation_finds() {
    for (regions, sensitivity, share, lasts, monitor_years) in [
        (1, Sensitivity::Balanced, 0.001, 20, 1.0),
        (2, Sensitivity::Fast, 0.001, 20, 100.0),
        (2, Sensitivity::Balanced, 0.001, 20, 800.0),
        (2, Sensitivity::Strict, 0.005, 20, 50.0),
        (3, Sensitivity::Balanced, 0.01, 20, 50.0),
        (3, Sensitivity::Balanced, 0.003, 60, 100.0),
        (4, Sensitivity::Balanced, 0.02, 20, 20.0),
        (5, Sensitivity::Balanced, 0.02, 20, 20.0),
        (5, Sensitivity::Balanced, 0.01, 120, 10.0),
    ] {
        let setup = Setup { regions, sensitivity, ..Setup::DEFAULT };
        let lasts = Micros::from_secs(lasts);
        let limits = Run { monitor_years, lone_max: 100, pages_max: 200, seed: SEED };
        let found = years(&setup, &Paths::independent(share, lasts, false), &limits, |_| {});
        let path = PathQuality { share, spell: lasts, together: share, ..PathQuality::ASSUMED };
        let expected = Forecast::of(&setup.policy(), |_| path);
        let per_thousand = |pages| pages / found.monitor_years * 1_000.0;
        let (low, high) = (per_thousand(bound::lower(found.pages)), per_thousand(bound::upper(found.pages)));
        println!(
            "{regions} regions, {sensitivity:?}, bad {share} for {lasts}: {} pages ({} by rule 4) in {:.1} years, {low:.1} to {high:.1} in 1,000; expected {:.1} + {:.1}, {:.2} times",
            found.pages,
            found.pages_by_majority,
            found.monitor_years,
            expected.by_quorum,
            expected.by_majority,
            expected.false_pages() / per_thousand(found.pages as f64),
        );
        assert!(expected.false_pages() * 3.0 > low, "too few expected");
        assert!(expected.false_pages() < high * 3.0, "too many expected");
    }
}

/// On paths that are bad the usual numbers page falsely; the calibrated ones stay under the limit, and a total outage is
/// still decided within a minute.
#[test]
fn calibrated_rules_stay_under_the_limit_where_the_usual_do_not() {
    for (regions, share, lasts, monitor_years) in
        [(5, 0.01, 20, 200.0), (5, 0.003, 60, 300.0), (3, 0.001, 60, 20_000.0), (7, 0.02, 60, 60.0)]
    {
        let paths = Paths::independent(share, Micros::from_secs(lasts), false);
        let usual = Setup { regions, ..Setup::DEFAULT };
        let calibrated = usual.calibrated(&paths);
        let fitting = calibrated.fitting.unwrap();
        let run = |setup| {
            years(&setup, &paths, &Run { monitor_years, lone_max: 100, pages_max: 100, seed: SEED }, |_| {})
        };
        let (before, after) = (run(usual), run(calibrated));
        let found = detections(&calibrated, Fault::Refused, false, 500, SEED);
        println!(
            "{regions} regions, bad {share} for {lasts} s: usual {} pages in {:.1} years; {fitting:?}: {} pages in {:.1} years, below {:.2} in 1,000; outages found in {} at worst, {} in the mean",
            before.pages,
            before.monitor_years,
            after.pages,
            after.monitor_years,
            bound::upper(after.pages) / after.monitor_years * 1_000.0,
            found.slowest,
            found.mean,
        );
        let at_least = bound::lower(after.pages) / after.monitor_years * 1_000.0;
        assert!(at_least < PAGES_MAX, "{at_least} in 1,000 years: {after:?}");
        assert_eq!(found.missed, 0, "{found:?}");
        assert!(found.slowest <= Micros::from_secs(60), "{found:?}");
    }
}

/// A region that fails everything, where there are too few monitors to see that it is the region: no false page, and no
/// outage missed.
#[test]
fn one_region_that_always_fails_makes_no_false_page() {
    let liar = Setup { odd: Some(Odd::FailsAll), ..Setup::DEFAULT };
    // Before it is known to be the path's, a provider's fault and its word are three of five.
    for (setup, pages_max) in [(liar, 20), (liar.calibrated(&MIXED), 0)] {
        let ran = years(
            &setup,
            &MIXED,
            &Run { monitor_years: 100.0, lone_max: 100, pages_max: 100, seed: SEED },
            |_| {},
        );
        let found = detections(&setup, Fault::Refused, false, 500, SEED);
        println!("one of five always fails, {:?}: {ran:?} {found:?}", setup.fitting);
        assert_eq!(found.missed, 0, "{found:?}");
        assert!(ran.pages <= pages_max, "{ran:?}");
    }
}
