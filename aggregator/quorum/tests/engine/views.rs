//! What the engine tells when it is asked, and the names that others store.

use quorate_proto::{AgentKey, BootEpoch, Doubt, Micros, Region, Sequence, WallMicros};
use quorate_quorum::{
    Abstention, Contradiction, Finding, Moment, Observation, Policy, Source, Spread, Verdict, Vote, run_of,
};

use crate::script::{monitor, run};

/// Who was heard from, and when; not who was only enrolled, or is forgotten.
#[test]
fn agents_that_were_heard() {
    let (_, _, engine) = run("
        watch 3 every 30
        0 label r1 r2 r3 r4 provider=a
        7 silent r2
        12 forget r3
        12 end
    ");
    let heard = engine.agents().map(|(agent, at)| (agent.0[1] - b'0', at.0 / 1_000_000)).collect::<Vec<_>>();
    assert_eq!(heard, [(1, 10), (2, 5)]);
}

/// A canary that ends every five seconds: four rounds at once, then one each 30 s; what else it asks for is denied, once an end.
#[test]
fn rounds_that_were_denied_are_counted() {
    let (_, _, engine) = run("
        watch 5 every 300
        0 ok all
        100 fail r1
        100.3 ok all
    ");
    assert_eq!(engine.rounds_denied(), 0);
    let (said, _, engine) = run("
        watch 5 every 300
        0 ok all
        100..155/5 cut r1
        100.5..155.5/5 ok all
        101..156/5 open r1
    ");
    assert_eq!(said.lines().filter(|line| line.contains("ask")).count(), 5);
    assert_eq!(engine.rounds_denied(), 7);
}

/// They are in databases, in exported evidence and in the API.
#[test]
fn names_are_stable() {
    let verdicts = [Verdict::Up, Verdict::Partial, Verdict::Down, Verdict::Unobserved];
    assert_eq!(verdicts.map(Verdict::name), ["up", "partial", "down", "unobserved"]);
    assert_eq!(verdicts.map(|verdict| Verdict::from_name(verdict.name())), verdicts.map(Some));
    assert_eq!(Verdict::from_name("sideways"), None);

    let votes = [Vote::Ok, Vote::Fail, Vote::Abstain(Abstention::Silent)];
    assert_eq!(votes.map(Vote::name), ["ok", "fail", "abstain"]);

    let abstentions = [
        (Abstention::Silent, "silent"),
        (Abstention::Outdated, "outdated"),
        (Abstention::Sick(Doubt::EventLoopLate), "sick"),
        (Abstention::NoResult, "no_result"),
        (Abstention::Stale, "stale"),
        (Abstention::AgentsOwnFault, "agents_own_fault"),
        (Abstention::Tied, "tied"),
        (Abstention::Outlier, "outlier"),
    ];
    for (abstention, name) in abstentions {
        assert_eq!(abstention.name(), name);
    }
    let contradictions = [Contradiction::FailsAlone, Contradiction::PassesAlone];
    assert_eq!(contradictions.map(Contradiction::name), ["fails_alone", "passes_alone"]);
}

#[test]
fn a_moment_as_a_wall_clock_shows_it() {
    assert_eq!(Moment(1_795_371_120_000_000).to_wall(), WallMicros(1_795_371_120_000_000));
    assert_eq!(Moment(u64::MAX).to_wall(), WallMicros(i64::MAX));
}

fn r1() -> Region {
    "r1".parse().unwrap()
}

/// Why a region has no say is told as it is.
#[test]
fn why_a_region_abstains() {
    let abstains = Vote::Abstain;
    for (what, wanted) in [
        ("0 ok r1", Vote::Ok),
        ("0 fail r1", Vote::Fail),
        ("7 silent r1", abstains(Abstention::Silent)),
        ("0 old r1", abstains(Abstention::Outdated)),
        ("0 sick r1", abstains(Abstention::Sick(Doubt::EventLoopLate))),
        ("0 end", abstains(Abstention::NoResult)),
        ("0 fault r1", abstains(Abstention::AgentsOwnFault)),
        ("0 ok r1\n0 heard r1/b\n1 fail r1/b", abstains(Abstention::Tied)),
        // Of several agents the one that is nearest to a vote.
        ("0 old r1\n0 sick r1/b", abstains(Abstention::Sick(Doubt::EventLoopLate))),
        ("0 fault r1\n0 heard r1/b\n1 fail r1/b", Vote::Fail),
    ] {
        let (_, _, engine) = run(&format!(
            "
             watch 3 every 30
             0 ok r2 r3
             {what}
             25 end
            "
        ));
        let state = engine.monitor(&monitor(), Moment(25_000_000)).unwrap();
        assert_eq!(state.regions[&r1()].vote, wanted, "{what}");
    }
    let (_, _, engine) = run("
        watch 3 every 30
        0 ok all
        30..60/30 ok r2 r3
        60 end
    ");
    let state = engine.monitor(&monitor(), Moment(60_000_000)).unwrap();
    assert_eq!(state.regions[&r1()].vote, abstains(Abstention::Stale));
}

/// The check that is shown for a region is the latest of those that say what it votes.
#[test]
fn the_check_behind_a_vote() {
    let shown = |what: &str| {
        let (_, _, engine) = run(&format!("watch 1 every 30\n0 heard r1/b\n0 heard r1/c\n{what}"));
        let state = engine.monitor(&monitor(), Moment(12_000_000)).unwrap();
        let region = &state.regions[&r1()];
        (region.vote, region.ended.unwrap().0 / 1_000_000, region.source.unwrap().agent.0[3])
    };
    assert_eq!(shown("10 ok r1\n11 ok r1/b\n12 fail r1/c"), (Vote::Ok, 11, b'b'));
    assert_eq!(shown("10 fail r1\n11 fail r1/b\n12 ok r1/c"), (Vote::Fail, 11, b'b'));
    assert_eq!(shown("10 ok r1\n12 fail r1/c"), (Vote::Abstain(Abstention::Tied), 12, b'c'));
}

/// As many domains as are needed are enough.
#[test]
fn a_spread_that_suffices() {
    let of = |failing: &[&str], needed| Spread {
        label: "provider".to_owned(),
        failing: failing.iter().map(|one| ((*one).to_owned(), [r1()].into())).collect(),
        there: ["a", "b", "c"].map(str::to_owned).into(),
        needed,
    };
    assert!(!of(&["a"], 2).suffices());
    assert!(of(&["a", "b"], 2).suffices());
    assert!(of(&["a", "b", "c"], 2).suffices());
}

/// The run that one agent's checks end with, from the checks alone: what a reader of evidence works out again.
#[test]
fn a_run_of_checks() {
    let policy = Policy::new([r1()].into(), Micros::from_secs(30), Micros::from_secs(10));
    let observation = |second: u64, finding| {
        let at = Moment(second * 1_000_000);
        let (agent, epoch) = (AgentKey([1; 32]), BootEpoch(1));
        let source = Source { agent, epoch, sequence: Sequence(second), index: 0 };
        let started = at.before(Micros::from_secs(1));
        (
            Observation {
                monitor: monitor(),
                region: r1(),
                started,
                ended: at,
                finding,
                revision: 0,
                source,
            },
            at,
        )
    };
    assert_eq!(run_of(&policy, []), None);
    let found = [(10, Finding::Passed), (20, Finding::Failed), (30, Finding::Failed), (40, Finding::Failed)];
    let run = run_of(&policy, found.map(|(second, finding)| observation(second, finding))).unwrap();
    assert_eq!((run.finding, run.run_checks, run.run_started), (Finding::Failed, 3, Moment(19_000_000)));
    assert_eq!(
        (run.ended, run.took, run.run_first.1),
        (Moment(40_000_000), Micros::from_secs(1), Sequence(20))
    );
}

/// A monitor that is gone is not looked at any more.
#[test]
fn what_is_removed_is_not_looked_at() {
    let script = "watch 3 every 30 absent\n0 end";
    assert!(run(script).2.next_deadline().is_some(), "its grace ends");
    assert_eq!(run(&format!("{script}\n1 remove")).2.next_deadline(), None);
}
