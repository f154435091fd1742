//! The engine through thousands of monitor-years, and through thousands of total outages. See `quorate_tests::years`.

use quorate_proto::Micros;
use quorate_tests::years::{Fault, Paths, Setup, compare, detections, years};

const SEED: u64 = 20_261_122;

/// Every path 99.9 % available.
const OUT_FOR_20_S: Paths = Paths { unavailable: 0.001, outage: Micros::from_secs(20) };
const OUT_FOR_60_S: Paths = Paths { unavailable: 0.001, outage: Micros::from_secs(60) };

#[test]
fn a_thousand_monitor_years_page_nobody_falsely() {
    for (paths, monitor_years) in [(OUT_FOR_20_S, 1_000.0), (OUT_FOR_60_S, 1_000.0)] {
        let ran = years(&Setup::DEFAULT, &paths, monitor_years, 10_000, SEED);
        println!("outages of {}: {ran:?}", paths.outage);
        assert_eq!(ran.pages, 0, "{ran:?}");
    }
}

#[test]
fn print_rest() {
    for regions in [2, 3] {
        for paths in [OUT_FOR_20_S, OUT_FOR_60_S] {
            let ran = years(&Setup { regions, ..Setup::DEFAULT }, &paths, 100.0, 1000, SEED);
            println!("{regions} regions, outages of {}: {ran:?}", paths.outage);
        }
    }
    for (interval, timeout) in [(30, 10), (10, 5), (300, 10)] {
        for fault in [Fault::Refused, Fault::Silent] {
            for regions in [5, 4, 3, 2, 1] {
                let setup = Setup {
                    regions,
                    interval: Micros::from_secs(interval),
                    timeout: Micros::from_secs(timeout),
                    ..Setup::DEFAULT
                };
                let found = detections(&setup, fault, 2_000, SEED);
                println!("{regions} regions, T={interval} {fault:?}: {found:?}");
            }
        }
    }
}

#[test]
fn skipping_quiet_stretches_changes_nothing() {
    let (skipping, full) = compare(&Setup::DEFAULT, &OUT_FOR_20_S, 20.0, SEED);
    println!("{} changes of verdict in 20 days", full.len());
    assert_eq!(skipping, full);
}
