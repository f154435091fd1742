//! What the engine tells when it is asked, and the names that others store.

use quorate_proto::{Doubt, WallMicros};
use quorate_quorum::{Abstention, Contradiction, Moment, Verdict, Vote};

use crate::script::run;

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
