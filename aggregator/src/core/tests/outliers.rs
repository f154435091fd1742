//! Domains and outliers, as operators and readers meet them.

use quorate_proto::{
    CheckResult, FailureKind, Micros, MonitorSpec, Outcome, Region,
    canary::{Canary, CanaryEvent, CanaryMode},
};
use quorate_quorum::Contradiction;

use super::bench::{Bench, REGIONS, config};
use crate::{
    config::Monitor,
    model::fixture::monitor,
    store::fixture::{canary, check, ended, refused},
};

/// Four regions stand with one provider and fail: partial, and the incident says why it is no more.
#[test]
fn an_incident_says_which_domain_withholds_down() {
    let mut bench = Bench::watching(&["x", "y:p", "z:o"]);
    bench.provide(["aws", "aws", "aws", "aws", "gcp"]);
    bench.work(40, &[]);
    bench.work(60, &[0, 1, 2, 3]);
    assert_eq!(bench.verdicts()["shop"], Some("partial"));
    assert_eq!(bench.heard(), ["y incident.opened"]);
    let rule = bench.picture.incidents_open[0].rule.clone();
    assert!(rule.starts_with("4 of 5 regions with a vote fail, and that is not called down"), "{rule}");
    assert!(rule.ends_with("By provider the failing regions are of aws; gcp does not fail."), "{rule}");
    bench.work(60, &[0, 1, 2, 3, 4]);
    assert_eq!(bench.verdicts()["shop"], Some("down"));
    let rule = bench.picture.incidents_open[0].rule.clone();
    assert!(rule.ends_with("By provider they are of aws and gcp."), "{rule}");
}

/// What was partial with one region grows within one provider: the reason is written down, and nobody hears twice.
#[test]
fn why_down_is_withheld_is_told_where_it_was_partial_before() {
    let mut bench = Bench::watching(&["x", "y:p"]);
    bench.provide(["aws", "aws", "aws", "aws", "gcp"]);
    bench.work(40, &[]);
    bench.work(60, &[0]);
    assert!(bench.picture.incidents_open[0].rule.starts_with("1 of 5"));
    bench.work(60, &[0, 1, 2, 3]);
    assert!(bench.picture.incidents_open[0].rule.ends_with("gcp does not fail."));
    assert_eq!(bench.heard(), ["y incident.opened"]);
}

/// An agent that fails everything is set aside: one notice to operators, its region abstains, the faces show it; and one
/// notice when it agrees again.
#[test]
fn an_outlier_is_told_once_and_shown() {
    let names: Vec<String> = (0..12).map(|number| format!("site-{number}")).collect();
    let watched = |name: &String| {
        let monitor = monitor(name, &REGIONS);
        let held =
            Canary { heartbeat: Micros::from_secs(30), grace: Micros::from_secs(10), mode: CanaryMode::Ping };
        let url = format!("wss://{name}.example/");
        let spec = MonitorSpec { url, canary: Some(held), ..monitor.spec };
        Monitor { spec, channels: vec!["x".to_owned()], ..monitor }
    };
    let monitors = names.iter().map(watched).collect();
    let mut bench = Bench::new(config(monitors, &["x", "z:o"]));
    for region in REGIONS {
        bench.enrol(region);
    }
    bench.connect_all();
    let work = |bench: &mut Bench, seconds: u64, liar: Option<usize>| {
        for second in 0..seconds {
            for index in 0..REGIONS.len() {
                if second % 5 == 0 {
                    bench.health(index);
                }
                if second % 10 == index as u64 * 2 {
                    let result = |name: &String| match liar == Some(index) {
                        true => refused(name, "refused"),
                        false => check(name, Outcome::Passed),
                    };
                    let results: Vec<CheckResult> = names.iter().map(result).collect();
                    drop(bench.batch(index, results));
                }
            }
            bench.pass(Micros::from_secs(1));
        }
    };
    work(&mut bench, 300, Some(4));
    assert_eq!(bench.heard(), ["z operator.notice"]);
    let outlier = |bench: &Bench| {
        let set_aside = bench.picture.agents.iter().filter_map(|agent| Some((agent, agent.outlier.clone()?)));
        set_aside.map(|(agent, outlier)| (agent.region.to_string(), outlier)).collect::<Vec<_>>()
    };
    let [(region, found)] = &outlier(&bench)[..] else { panic!("{:?}", outlier(&bench)) };
    assert_eq!((region.as_str(), found.contradiction), ("e", Contradiction::FailsAlone));
    assert_eq!((found.disagreements, found.compared), (12, 12));
    assert!(bench.verdicts().values().all(|verdict| *verdict == Some("up")), "{:?}", bench.verdicts());

    // Until it is believed again, how well monitors work is not learned from it either.
    work(&mut bench, 100, None);
    for index in 0..REGIONS.len() {
        let alive = CanaryEvent::Alive { open_for: Micros::from_secs(60), heartbeats: 1, round_trips: None };
        bench.canaries(index, vec![canary("site-0", alive), ended("site-0", 60, FailureKind::Dropped)]);
    }
    let measured = |bench: &Bench| {
        let regions = bench.picture.monitors[0].regions.iter();
        regions.map(|region| region.round_trips.is_some()).collect::<Vec<_>>()
    };
    assert_eq!(measured(&bench), [true, true, true, true, false]);
    let usual = bench.core.quality.memory(&"site-0".parse().unwrap()).usual;
    assert_eq!(usual.keys().map(Region::as_str).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    work(&mut bench, 600, None);
    assert_eq!(bench.heard(), ["z operator.notice"]);
    assert_eq!(outlier(&bench), []);
    assert_eq!(measured(&bench), [true; 5]);
}
