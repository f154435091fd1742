//! Many monitors at once.

use quorate_proto::{Micros, MonitorId};
use quorate_quorum::{Moment, PagingEffect, PagingEvent, PagingSettings, Verdict};

use crate::script::{Runner, check};

/// All are suspect long before the first is decided; they are told of when the first would have been.
#[test]
fn many_at_once_are_one_page_and_one_end() {
    check(
        "
         watch m1..m10
         0 suspect m1..m10
         11..12/0.2 down m1..m10
         100..109/1 up m1..m10
        ",
        "
         16 group began m1 m10 m2 m3 m4 m5 m6 m7 m8 m9 of 10 on 10
         109 group ended (m1) (m10) (m2) (m3) (m4) (m5) (m6) (m7) (m8) (m9) of 10 on 10
        ",
    );
}

/// A single outage never waits, nor do a few; what went out before the guard tripped stays, and is named.
#[test]
fn pages_that_went_out_stay() {
    check(
        "
         watch m1..m12
         10..40/10 down m1..m4
         44 suspect m5..m8
         45 down m5
         46 down m6
         100 up m1..m6
        ",
        "
         10 tell m1
         20 tell m2
         30 tell m3
         40 tell m4
         50 group began m1* m2* m3* m4* m5 m6 of 12 on 6
         100 resolve m1
         100 resolve m2
         100 resolve m3
         100 resolve m4
         100 group ended (m1) (m2) (m3) (m4) (m5) (m6) of 12 on 6
        ",
    );
}

/// Four of ten, on too few targets, and too few of a hundred.
#[test]
fn what_is_no_fleet_goes_out_at_once() {
    check(
        "
         watch m1..m10
         0 suspect m1..m4
         11 down m1..m4
        ",
        "
         11 tell m1
         11 tell m2
         11 tell m3
         11 tell m4
        ",
    );
    check(
        "
         watch m1..m4 on shop.org
         watch m5..m7
         0 suspect m1..m7
         11 down m1..m7
        ",
        "
         11 tell m1
         11 tell m2
         11 tell m3
         11 tell m4
         11 tell m5
         11 tell m6
         11 tell m7
        ",
    );
}

/// The guard could trip and does not: the pages wait for five seconds and no longer.
#[test]
fn a_page_that_waits_in_vain_goes_out() {
    check(
        "
         watch m1..m10
         0 suspect m1..m10
         11 down m1
         12 down m2
         14 clear m3..m10
         15 down m3
         60 up m1..m3
        ",
        "
         15 tell m3
         16 tell m1
         17 tell m2
         60 resolve m1
         60 resolve m2
         60 resolve m3
        ",
    );
}

/// Those that follow are told of together; so are those that are back before the others. One that goes down long after
/// is an outage of its own.
#[test]
fn a_group_grows_and_shrinks() {
    check(
        "
         watch m1..m10
         0 suspect m1..m10
         11 down m1..m5
         20 down m6
         22 down m7
         50 up m1
         55 up m2
         120 down m8
         130 up m3..m7
         140 up m8
        ",
        "
         16 group began m1 m2 m3 m4 m5 of 10 on 5
         25 group goes on m1 m2 m3 m4 m5 m6+ m7+ of 10 on 7
         110 group goes on (m1) (m2) m3 m4 m5 m6 m7 of 10 on 7
         120 tell m8
         130 group ended (m1) (m2) (m3) (m4) (m5) (m6) (m7) of 10 on 7
         140 resolve m8
        ",
    );
}

/// Children whose parent is back are still down: they fall due together.
#[test]
fn what_is_released_passes_the_guard() {
    check(
        "
         watch gateway
         watch m1..m6 after gateway
         10 down gateway
         12 down m1..m6
         30 up gateway
         200 end
        ",
        "
         10 tell gateway
         12 hold m1 by gateway
         12 hold m2 by gateway
         12 hold m3 by gateway
         12 hold m4 by gateway
         12 hold m5 by gateway
         12 hold m6 by gateway
         30 resolve gateway
         90 tell m1
         90 tell m2
         90 tell m3
         90 tell m4
         95 group began m1* m2* m3* m4* m5 m6 of 7 on 6
        ",
    );
}

#[test]
fn a_group_that_is_over_before_it_is_told_is_not() {
    check(
        "
         watch m1..m10
         0 suspect m1..m10
         11 down m1..m10
         14 up m1..m10
         60 end
        ",
        "",
    );
}

/// More than 30 % of all: six of twenty are not, seven are.
#[test]
fn a_share_of_all_monitors_makes_a_fleet() {
    check(
        "
         watch m1..m20
         10 down m1..m6
         12 down m7
        ",
        "
         10 tell m1
         10 tell m2
         10 tell m3
         10 tell m4
         10 tell m5
         10 tell m6
        ",
    );
    check(
        "
         watch m1..m20
         10 down m1..m6
         12 down m7
         17 end
        ",
        "
         10 tell m1
         10 tell m2
         10 tell m3
         10 tell m4
         10 tell m5
         10 tell m6
         17 group began m1* m2* m3* m4* m5* m6* m7 of 20 on 7
        ",
    );
}

/// The first is forgotten 60 s after it; and who is back counts no more, nor does its target.
#[test]
fn at_once_means_within_a_minute_and_still_down() {
    check(
        "
         watch m1..m10
         0..75/15 down m1..m5
        ",
        "
         0 tell m1
         15 tell m2
         30 tell m3
         45 tell m4
         60 tell m5
        ",
    );
    check(
        "
         watch m1..m4
         watch a1..a5 on shop.org
         10 down m1..m4
         20 up m1..m4
         30 down a1..a5
         40 end
        ",
        "
         10 tell m1
         10 tell m2
         10 tell m3
         10 tell m4
         20 resolve m1
         20 resolve m2
         20 resolve m3
         20 resolve m4
         30 tell a1
         30 tell a2
         30 tell a3
         30 tell a4
         30 tell a5
        ",
    );
}

/// Those that fell due and those that are suspect add up: one and four of ten could be a fleet.
#[test]
fn one_waits_for_four_that_are_suspect() {
    check(
        "
         watch m1..m10
         0 suspect m1..m5
         11 down m1
         20 end
        ",
        "16 tell m1",
    );
}

#[test]
fn without_a_hold_no_page_waits() {
    let mut runner = Runner::default();
    let settings = PagingSettings { fleet_hold: Micros::ZERO, ..PagingSettings::default() };
    runner.handle(PagingEvent::Follow(settings), Moment(0));
    runner.step(Moment(0), "watch m1..m10");
    runner.step(Moment(0), "suspect m1..m10");
    let monitor: MonitorId = "m1".parse().unwrap();
    let down = PagingEvent::Turned { monitor: monitor.clone(), to: Verdict::Down };
    let effects = runner.paging.handle(down, Moment(11_000_000));
    assert!(effects.contains(&PagingEffect::Tell { monitor: monitor.clone() }), "{effects:?}");
    assert_eq!(runner.paging.wait(&monitor), None);
}

/// Who follows joins: for less than a minute after the one before, and for less than five minutes in all.
#[test]
fn a_group_does_not_grow_for_ever() {
    check(
        "
         watch m1..m10
         0 suspect m1..m5
         11 down m1..m5
         71 down m6
         80 end
        ",
        "
         16 group began m1 m2 m3 m4 m5 of 10 on 5
         71 tell m6
        ",
    );
    check(
        "
         watch m1..m12
         0 suspect m1..m5
         11 down m1..m5
         70..261/50 down m6..m10
         311 down m11
         320 end
        ",
        "
         16 group began m1 m2 m3 m4 m5 of 12 on 5
         75 group goes on m1 m2 m3 m4 m5 m6+ of 12 on 6
         125 group goes on m1 m2 m3 m4 m5 m6 m7+ of 12 on 7
         175 group goes on m1 m2 m3 m4 m5 m6 m7 m8+ of 12 on 8
         225 group goes on m1 m2 m3 m4 m5 m6 m7 m8 m9+ of 12 on 9
         275 group goes on m1 m10+ m2 m3 m4 m5 m6 m7 m8 m9 of 12 on 10
         311 tell m11
        ",
    );
}

/// A member that was paged before, is partial for a while and down again stays one: in its group while that one grows, and
/// in the next after.
#[test]
fn a_member_that_fails_anew() {
    check(
        "
         watch m1..m12
         10..40/10 down m1..m4
         44 suspect m5..m8
         45 down m5
         52 up m2..m5
         55 partial m1
         60 down m1
         70 up m1
        ",
        "
         10 tell m1
         20 tell m2
         30 tell m3
         40 tell m4
         50 group began m1* m2* m3* m4* m5 of 12 on 5
         52 resolve m2
         52 resolve m3
         52 resolve m4
         55 tell m1
         65 group goes on m1+ (m2) (m3) (m4) (m5) of 12 on 5
         70 resolve m1
         70 group ended (m1) (m2) (m3) (m4) (m5) of 12 on 5
        ",
    );
    check(
        "
         watch m1..m12
         10..40/10 down m1..m4
         44 suspect m5..m8
         45 down m5
         52 up m2..m5
         55 partial m1
         500 suspect m6..m9
         511 down m1
         511 down m6..m9
         520 up m6..m9
         530 up m1
        ",
        "
         10 tell m1
         20 tell m2
         30 tell m3
         40 tell m4
         50 group began m1* m2* m3* m4* m5 of 12 on 5
         52 resolve m2
         52 resolve m3
         52 resolve m4
         55 tell m1
         112 group goes on m1* (m2) (m3) (m4) (m5) of 12 on 5
         511 group ended (m1) (m2) (m3) (m4) (m5) of 12 on 5
         516 group began m1 m6 m7 m8 m9 of 12 on 5
         530 resolve m1
         530 group ended (m1) (m6) (m7) (m8) (m9) of 12 on 5
        ",
    );
}
