//! Rules that follow the paths as measured, as operators and readers meet them.

use quorate_proto::Micros;
use quorate_quorum::{Abstention, PathSums, Vote};

use super::bench::{Bench, REGIONS, config};
use crate::{config::Config, model::fixture::monitor};

/// Two weeks of a path that is bad for a share of the time, for a minute at a time.
fn watched(share: f64) -> PathSums {
    let observed_s = 14.0 * 86_400.0;
    let spells = share * observed_s / 60.0;
    PathSums {
        observed_s,
        bad_s: share * observed_s,
        spells,
        lasted_s: share * observed_s,
        lasted_squared: spells * 2.0 * 3_600.0,
        failures: spells,
        wait_s: spells,
        met: spells * share,
    }
}

fn configured(calibrate: bool) -> Config {
    let mut shop = monitor("shop", &REGIONS);
    shop.calibrate = calibrate;
    config(vec![shop], &["x", "z:o"])
}

/// Where the shares of the paths' bad time are known.
pub(super) fn bench(calibrate: bool, shares: [f64; 5]) -> Bench {
    let mut bench = Bench::new(configured(calibrate));
    for region in REGIONS {
        bench.enrol(region);
    }
    know(&mut bench, shares);
    bench.connect_all();
    bench
}

fn know(bench: &mut Bench, shares: [f64; 5]) {
    let watching = bench.core.monitors.values_mut().next().unwrap();
    let chosen = watching.calibration.chosen().cloned();
    let paths = REGIONS.iter().zip(shares).map(|(region, share)| (region.parse().unwrap(), watched(share)));
    watching.calibration.restore(chosen, paths.collect::<Vec<_>>());
}

fn rule(bench: &Bench) -> String {
    bench.picture.monitors[0].quorum.clone()
}

/// The owner hears once that a path is noisy, it abstains, the others decide; and all of it outlives a restart.
#[test]
fn a_noisy_path_is_told_once_and_abstains() {
    let mut bench = bench(true, [0.003, 0.003, 0.003, 0.003, 0.4]);
    bench.work(60, &[4]);
    assert_eq!(rule(&bench), "4 of 4 regions for 11s");
    let sent = std::mem::take(&mut bench.dispatched);
    assert_eq!(
        sent.iter().map(|delivery| delivery.alert.event.name()).collect::<Vec<_>>(),
        ["operator.notice"]
    );
    bench.settle(&sent);
    let view = bench.picture.monitors[0].clone();
    assert_eq!(view.regions[4].vote, Vote::Abstain(Abstention::Noisy));
    let calibration = view.calibration.clone().unwrap();
    assert!(calibration.expected.unwrap() <= quorate_quorum::PAGES_MAX);
    assert!(calibration.applies.unwrap().noisy.contains(REGIONS[4]));
    assert_eq!(bench.verdicts()["shop"], Some("up"), "what fails from there is its own");

    bench.kill(configured(true));
    bench.connect_all();
    bench.work(60, &[4]);
    assert_eq!(rule(&bench), "4 of 4 regions for 11s");
    assert_eq!(bench.heard(), Vec::<String>::new(), "it was told");

    bench.work(60, &[0, 1, 2, 3]);
    assert_eq!(bench.verdicts()["shop"], Some("down"), "all that vote fail");
    assert_eq!(bench.heard(), ["x incident.opened", "z incident.opened"]);
}

#[test]
fn an_outage_and_maintenance_teach_nothing_of_paths() {
    let mut bench = bench(true, [0.0; 5]);
    let bad = |bench: &Bench| {
        let watching = bench.core.monitors.values().next().unwrap();
        watching.calibration.paths().sums().map(|(_, sums)| sums.failures).sum::<f64>()
    };
    bench.work(60, &[]);
    bench.work(120, &[0, 1, 2, 3, 4]);
    assert_eq!(bench.verdicts()["shop"], Some("down"));
    bench.work(60, &[2]);
    bench.work(60, &[]);
    assert_eq!(bench.verdicts()["shop"], Some("up"));
    assert!(bad(&bench) < 1e-9, "{}", bad(&bench));
    bench.work(60, &[2]);
    bench.work(60, &[]);
    assert!(bad(&bench) > 5.0, "what one region sees alone is its path's: {}", bad(&bench));
}

#[test]
fn what_was_measured_applies_where_it_may() {
    let mut bench = bench(false, [0.003, 0.003, 0.003, 0.003, 0.4]);
    bench.work(60, &[]);
    assert_eq!(rule(&bench), "4 of 5 regions for 11s");
    // Switched on, it applies with the next review; switched off again, at once.
    let switch = |bench: &mut Bench, on| {
        let now = bench.now;
        bench.core.configure(std::sync::Arc::new(configured(on)), now);
    };
    switch(&mut bench, true);
    bench.work(20, &[]);
    assert_eq!(rule(&bench), "4 of 4 regions for 11s");
    switch(&mut bench, false);
    bench.work(20, &[]);
    assert_eq!(rule(&bench), "4 of 5 regions for 11s");
}

/// Rules that the operator changed are followed with the next check, and not an hour later.
#[test]
fn other_rules_want_other_numbers_at_once() {
    let mut bench = bench(true, [0.0; 5]);
    bench.work(60, &[]);
    assert_eq!(rule(&bench), "4 of 5 regions for 11s");
    let mut shop = monitor("shop", &REGIONS);
    shop.sensitivity = quorate_quorum::Sensitivity::Strict;
    let now = bench.now;
    bench.core.configure(std::sync::Arc::new(config(vec![shop], &["x", "z:o"])), now);
    bench.work(20, &[]);
    assert_eq!(rule(&bench), "4 of 5 regions for 22s");
}

/// What is known is written down once an hour of checks, and with every change of the choice.
#[test]
fn what_is_known_is_kept() {
    let mut bench = bench(true, [0.001; 5]);
    bench.work(20, &[]);
    let kept = bench.recovered().calibration;
    let shop = &kept["shop"];
    assert_eq!(shop.paths.len(), 5);
    assert_eq!(shop.chosen.as_ref().unwrap().span_us, 11_000_000);
    let gone = config(vec![monitor("other", &REGIONS)], &["x"]);
    let now = bench.now;
    bench.core.configure(std::sync::Arc::new(gone), now);
    bench.pass(Micros::from_secs(1));
    assert!(bench.recovered().calibration.is_empty());
}
