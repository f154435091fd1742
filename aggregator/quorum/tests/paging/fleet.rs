//! Many monitors at once.

use crate::script::check;

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
