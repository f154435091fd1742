//! Agents that doubt themselves: their votes, what they are told to look at, and what people are told of them.

use quorate_proto::{
    Controls, Doubt, DoubtReport, Micros,
    frame::{AggregatorControl, Health},
};
use quorate_quorum::{Abstention, Vote};

use super::bench::{Bench, REGIONS, config};
use crate::model::{AlertEvent, Intake, Push, fixture::monitor};

const S: fn(u64) -> Micros = Micros::from_secs;

/// A monitor that nothing happened to is painted again within two seconds.
const PAINTED: Micros = Micros::from_secs(3);

fn report(bench: &mut Bench, index: usize, doubts: &[Doubt]) {
    let (agent, connection) = (bench.key(index), bench.agents[index].connection);
    let told = |doubt: &Doubt| DoubtReport { doubt: *doubt, lasting: S(3), detail: format!("{doubt}!") };
    let revision = bench.core.assignments.revision;
    let health = Health { revision, doubts: doubts.iter().map(told).collect(), ..Health::default() };
    let received = bench.now.moment;
    bench.tell(Intake::Health { agent, connection, health, received });
}

/// Reports every 5 s, as an agent does.
fn report_for(bench: &mut Bench, index: usize, doubts: &[Doubt], seconds: u64) {
    for _ in 0..seconds / 5 {
        report(bench, index, doubts);
        bench.pass(S(5));
    }
}

fn votes(bench: &Bench) -> Vec<Vote> {
    bench.picture.monitors[0].regions.iter().map(|region| region.vote).collect()
}

/// Notices so far, kind and summary.
fn notices(bench: &Bench) -> Vec<(String, String)> {
    let told = |delivery: &crate::model::Delivery| match &delivery.alert.event {
        AlertEvent::Notice { kind, summary } => Some((kind.clone(), summary.clone())),
        AlertEvent::Opened(_)
        | AlertEvent::Updated(_)
        | AlertEvent::Resolved(_)
        | AlertEvent::Event(_)
        | AlertEvent::Degraded(_)
        | AlertEvent::Recovered(_)
        | AlertEvent::GroupOpened(_)
        | AlertEvent::GroupUpdated(_)
        | AlertEvent::GroupResolved(_)
        | AlertEvent::FlappingStarted(_)
        | AlertEvent::FlappingDigest(_)
        | AlertEvent::FlappingEnded(_)
        | AlertEvent::AgentsOffline(_)
        | AlertEvent::AgentsBack(_) => None,
    };
    bench.dispatched.iter().filter_map(told).collect()
}

#[test]
fn an_agent_in_doubt_abstains_and_its_reason_is_shown() {
    let mut bench = Bench::watching(&[]);
    bench.work(20, &[]);
    assert_eq!(votes(&bench), [Vote::Ok; 5]);
    report(&mut bench, 1, &[Doubt::EventLoopLate, Doubt::SpoolFailing]);
    bench.pass(PAINTED);
    let sick = Vote::Abstain(Abstention::Sick(Doubt::EventLoopLate));
    assert_eq!(votes(&bench), [Vote::Ok, sick, Vote::Ok, Vote::Ok, Vote::Ok]);
    report(&mut bench, 1, &[]);
    bench.pass(PAINTED);
    assert_eq!(votes(&bench), [Vote::Ok; 5]);
}

#[test]
fn lag_alone_is_for_the_agent_to_judge() {
    let mut bench = Bench::watching(&[]);
    bench.work(20, &[]);
    let (agent, connection) = (bench.key(0), bench.agents[0].connection);
    let revision = bench.core.assignments.revision;
    let health = Health { revision, event_loop_lag_max: S(3), spool_failing: true, ..Health::default() };
    let received = bench.now.moment;
    bench.tell(Intake::Health { agent, connection, health, received });
    bench.pass(PAINTED);
    assert_eq!(votes(&bench), [Vote::Ok; 5]);
}

#[test]
fn a_new_connection_does_not_end_a_doubt() {
    let mut bench = Bench::watching(&[]);
    bench.work(20, &[]);
    report(&mut bench, 2, &[Doubt::ControlsFailing]);
    let revision = bench.core.assignments.revision;
    bench.connect(2, revision);
    bench.pass(PAINTED);
    assert_eq!(votes(&bench)[2], Vote::Abstain(Abstention::Sick(Doubt::ControlsFailing)));
}

#[test]
fn a_starved_agent_of_five_makes_no_outage_and_hides_none() {
    let mut bench = Bench::watching(&["x"]);
    bench.work(20, &[]);
    report(&mut bench, 4, &[Doubt::EventLoopLate]);
    // It fails alone, then with others that really do.
    for _ in 0..12 {
        bench.work(5, &[4]);
        report(&mut bench, 4, &[Doubt::EventLoopLate]);
    }
    assert_eq!(bench.heard(), [""; 0]);
    for _ in 0..6 {
        report(&mut bench, 4, &[Doubt::EventLoopLate]);
        bench.work(5, &[0, 1, 2, 3]);
    }
    assert_eq!(bench.heard(), ["x incident.opened"]);
    assert_eq!(bench.verdicts()["shop"], Some("down"));
}

/// Of three regions one doubts itself and one is well and does not check: the third alone can tell nobody anything.
#[test]
fn one_sick_and_one_stale_of_three_are_unobserved_and_one_notice() {
    let mut bench = Bench::new(config(vec![monitor("shop", &REGIONS[..3])], &["x", "y:p", "z:o"]));
    for region in &REGIONS[..3] {
        bench.enrol(region);
    }
    bench.connect_all();
    bench.work(30, &[]);
    assert_eq!(bench.verdicts()["shop"], Some("up"));
    (bench.agents[1].pushes, bench.agents[2].pushes) = (None, None);
    let alone = |bench: &mut Bench, seconds: u64, fails: &[usize]| {
        for _ in 0..seconds / 5 {
            report(bench, 1, &[Doubt::EventLoopLate]);
            bench.health(2);
            bench.work(5, fails);
            assert_ne!(bench.verdicts()["shop"], Some("down"));
        }
    };
    alone(&mut bench, 90, &[]);
    assert_eq!(bench.verdicts()["shop"], Some("unobserved"));
    let [told] = &bench.dispatched[..] else { panic!("{:?}", bench.heard()) };
    let AlertEvent::Opened(incident) = &told.alert.event else { panic!("{told:?}") };
    assert_eq!((told.channel.as_str(), incident.verdict.as_str()), ("z", "unobserved"));
    let why = |region: usize| incident.regions[region].failure.as_deref().unwrap_or("");
    assert!(why(1).starts_with("sick (event_loop_late)"), "{incident:?}");
    assert_eq!(why(2), "stale");
    // What the third sees fail is no outage either.
    alone(&mut bench, 120, &[0]);
    alone(&mut bench, 30, &[]);
    assert_eq!(bench.verdicts()["shop"], Some("unobserved"));
    assert_eq!(bench.heard(), ["z incident.opened"]);

    for index in [1, 2] {
        let revision = bench.core.assignments.revision;
        bench.connect(index, revision);
        report(&mut bench, index, &[]);
    }
    bench.work(60, &[]);
    assert_eq!(
        (bench.verdicts()["shop"], bench.heard()),
        (Some("up"), vec!["z incident.resolved".to_owned()])
    );
}

#[test]
fn a_doubt_that_does_not_end_is_told_once_and_its_end_as_well() {
    let mut bench = Bench::watching(&["z:o"]);
    bench.work(20, &[]);
    report_for(&mut bench, 0, &[Doubt::SpoolFailing], 300);
    assert_eq!(notices(&bench), [], "not yet");
    report_for(&mut bench, 0, &[Doubt::ControlsFailing, Doubt::SpoolFailing], 600);
    report_for(&mut bench, 0, &[], 60);
    report_for(&mut bench, 0, &[Doubt::SpoolFailing], 200);
    report_for(&mut bench, 0, &[], 60);
    let told = notices(&bench);
    let kinds: Vec<_> = told.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["agent_in_doubt", "agent_trusted_again"]);
    let name = format!("{}-0", REGIONS[0]);
    assert_eq!(
        told[0].1,
        format!(
            "The agent {name} in {} has not trusted itself for 5m, and has no vote: its control targets do not answer \
             (controls_failing!). Look at the network of its machine: uplink, routes, firewall; where that is well, at the \
             targets. Also, its spool cannot be written (spool_failing!). Make room on the disk of its state folder, or mend \
             that disk.",
            REGIONS[0]
        )
    );
}

#[test]
fn agents_are_told_what_to_look_at() {
    let controls = |targets: &[&str]| Controls {
        targets: targets.iter().map(|target| (*target).to_owned()).collect(),
        every: S(15),
        ..Controls::default()
    };
    let three = controls(&["tcp://a:1", "tcp://b:1", "tcp://c:1"]);
    let told = |bench: &mut Bench, index| -> Vec<Controls> {
        let pushes = bench.pushes(index).into_iter();
        pushes
            .filter_map(|push| match push {
                Push::Send(AggregatorControl::Controls(controls)) => Some(controls),
                Push::Send(_) | Push::Close(_) => None,
            })
            .collect()
    };
    let with = |controls: &Controls| crate::config::Config {
        controls: controls.clone(),
        ..config(vec![monitor("shop", &REGIONS)], &[])
    };
    let mut bench = Bench::watching(&[]);
    assert_eq!(told(&mut bench, 0), [], "nothing is configured");
    bench.tell(Intake::Configure(with(&three).into()));
    assert_eq!((told(&mut bench, 0), told(&mut bench, 4)), (vec![three.clone()], vec![three.clone()]));
    bench.tell(Intake::Configure(with(&three).into()));
    assert_eq!(told(&mut bench, 0), [], "nothing changed");
    let revision = bench.core.assignments.revision;
    bench.connect(1, revision);
    assert_eq!(told(&mut bench, 1), [three]);
    bench.tell(Intake::Configure(with(&controls(&[])).into()));
    assert_eq!(told(&mut bench, 1), [controls(&[])], "none any more is news as well");
}
