//! Agents that are offline.

use quorate_quorum::{Moment, PagingEvent};

use crate::script::{Runner, check};

/// 15 s until it does not vote, 60 s of patience, 10 s for others.
#[test]
fn one_agent_offline_is_one_notice_and_one_when_it_is_back() {
    check(
        "
         watch shop in 3
         watch chat in 2
         watch alone in 1
         agents r1 r2 r3
         7 silent r3
         200 heard r3
         300 end
        ",
        "
         90 offline r3, 2 heard; shop 2 of 3 left, 2 needed
         210 back r3, 0 away
        ",
    );
}

#[test]
fn a_restart_is_silent() {
    check(
        "
         watch shop in 3
         agents r1 r2 r3
         7 silent r3
         75 heard r3
         300 end
        ",
        "",
    );
}

/// What cuts several off at once is one notice; a region with another agent loses no voter.
#[test]
fn several_at_once_are_one_notice() {
    check(
        "
         watch shop in 3
         watch chat in 2
         agents r1 r2 r3 r3/b
         7 silent r1
         12 silent r2
         13 silent r3
         300 heard r1
         305 heard r2
         400 heard r3
         500 end
        ",
        "
         90 offline r1 r2 r3(+1), 1 heard; chat 0 of 2 left, none needed; shop 1 of 3 left, none needed
         310 back r1 r2, 1 away
         410 back r3, 0 away
        ",
    );
}

/// Monitors that nobody can tell of any more are part of that notice.
#[test]
fn what_turns_unobserved_for_it_pages_nobody_in_addition() {
    check(
        "
         watch shop in 2
         watch chat in 2
         agents r1 r2
         6 down chat
         7 silent r2
         20 unobserved shop, unobserved chat
         300 heard r2
         340 up shop, up chat
         500 end
        ",
        "
         6 tell chat
         20 blind shop
         20 blind chat
         20 update chat
         90 offline r2, 1 heard; chat 1 of 2 left, none needed; shop 1 of 2 left, none needed
         310 back r2, 0 away
         340 resolve chat
        ",
    );
}

/// Where no agent is missing, or one that was never enrolled, it is told.
#[test]
fn what_agents_do_not_explain_is_told() {
    check(
        "
         watch shop in 2
         watch lonely in 4
         agents r1 r2
         20 unobserved shop
         30 up shop
         40 silent r2
         60 unobserved shop, unobserved lonely
         70 heard r2
         400 end
        ",
        "
         20 tell shop
         30 resolve shop
         60 blind shop
         60 blind lonely
         180 tell lonely
         180 tell shop
        ",
    );
    check(
        "
         watch lonely in 4
         agents r1
         20 unobserved lonely
        ",
        "20 tell lonely",
    );
}

#[test]
fn an_agent_that_is_revoked_is_missed_by_nobody() {
    check(
        "
         watch shop in 3
         agents r1 r2 r3
         7 silent r3
         50 forget r3
         300 end
        ",
        "",
    );
}

/// While the aggregator itself stood still, nobody could be heard.
#[test]
fn a_standstill_is_no_silence() {
    check(
        "
         watch shop in 3
         agents r1 r2 r3
         7 silent r1, silent r2, silent r3
         600 pause
         605 heard r1, heard r2, heard r3
         900 end
        ",
        "
         90 offline r1 r2 r3, 0 heard; shop 0 of 3 left, none needed
         615 back r1 r2 r3, 0 away
        ",
    );
}

/// As many as are needed are heard: that one is missing explains nothing.
#[test]
fn what_turns_unobserved_with_enough_voters_is_told() {
    check(
        "
         watch shop in 3
         agents r1 r2 r3
         7 silent r3
         30 unobserved shop
         40 up shop
        ",
        "
         30 tell shop
         40 resolve shop
        ",
    );
}

/// After a standstill silence counts from its end: for who was heard before it, and for who was about to be told of.
#[test]
fn after_a_standstill_silence_counts_from_its_end() {
    let at = |second: u64| Moment(second * 1_000_000);
    let mut runner = Runner::default();
    runner.step(at(0), "watch shop in 3");
    ["agents r1", "agents r2", "agents r3"].iter().for_each(|agents| runner.step(at(0), agents));
    // Not by the script, which would have ticked meanwhile.
    let effects = runner.paging.handle(PagingEvent::Paused, at(600));
    assert_eq!(effects, []);
    ["silent r2", "silent r3"].iter().for_each(|silent| runner.step(at(600), silent));
    (605..=700).step_by(5).for_each(|second| runner.step(at(second), "beat"));
    assert_eq!(runner.done, ["685 offline r2 r3, 1 heard; shop 1 of 3 left, none needed"]);

    let mut runner = Runner::default();
    runner.step(at(0), "agents r1");
    runner.step(at(76), "end");
    runner.step(at(80), "pause");
    runner.step(at(300), "end");
    assert_eq!(runner.done, ["165 offline r1, 0 heard"]);
}
