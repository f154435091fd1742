//! New monitors, restarts, changed monitors.

use crate::script::check;

/// A monitor that was never up goes down by the same rules.
#[test]
fn new_dead_server() {
    check(
        "
         watch 5 every 30
         5 fail r1
         5.2 fail all
         16.2 fail all
        ",
        "
         5 ask r1 r2 r3 r4 r5
         16 ask r1 r2 r3 r4 r5
         16.2 new -> down: 5 of 5 fail for 11.2s (4 for 11s needed); first 5; suspected 5; quorum 5.2
        ",
    );
}

#[test]
fn new_with_one_broken_path() {
    check(
        "
         watch 5 every 30
         3 fail r1
         3.1 ok r2 r3 r4 r5
         14.2 fail r1
        ",
        "
         3 ask r1 r2 r3 r4 r5
         3.1 new -> up: 3 of 5 pass
         14.2 up -> partial: 1 of 5 fail; first 3; suspected 3
        ",
    );
}

/// Absent regions count until the grace is over: then the rules of two apply.
#[test]
fn two_agents_of_five_after_the_start() {
    check(
        "
         watch 5 every 30 absent
         1 heard r1 r2
         3..120/30 fail r1
         4..120/30 fail r2
        ",
        "
         3 ask r1 r2
         15 ask r1 r2
         27 ask r1 r2
         60 ask r1 r2
         63 new -> down: 2 of 2 fail for 30s (2 for 30s needed); first 4; suspected 3; quorum 60
        ",
    );
}

#[test]
fn new_with_nobody() {
    check(
        "
         watch 5 every 30 absent
         120 end
        ",
        "
         60 new -> unobserved: 0 of 5 vote
        ",
    );
}

#[test]
fn new_with_half_failing() {
    check(
        "
         watch 4 every 30
         3..93/30 fail r1 r2
         3..93/30 ok r3 r4
        ",
        "
         3 ask r1 r2 r3 r4
         23 ask r1 r2 r3 r4
         60 new -> partial: 2 of 4 fail; first 3; suspected 3
        ",
    );
}

/// After a restart two regions that reconnect first cannot page for five.
#[test]
fn restart_with_two_of_five() {
    check(
        "
         watch 5 every 30 absent
         0 restore up
         3 heard r1 r2
         3 fail r1 r2
         15 fail r1 r2
         40 fail r1 r2
         60 heard r3 r4 r5
         61 ok r3 r4 r5
         70 fail r1 r2
         80 ok r3 r4 r5
        ",
        "
         3 ask r1 r2
         15 ask r1 r2
         15 up -> partial: 2 of 5 fail; first 3; suspected 3
        ",
    );
}

#[test]
fn restart_into_a_recovery() {
    check(
        "
         watch 5 every 30 absent
         0 restore down
         3 heard r1 r2 r3 r4 r5
         4 ok r1
         4.2 ok all
         14.2 ok all
        ",
        "
         4 ask r1 r2 r3 r4 r5
         14.2 ask r1 r2 r3 r4 r5
         14.2 down -> up: 5 of 5 pass twice
        ",
    );
}

/// What was partial stays so until the region that failed had its say.
#[test]
fn restart_partial_is_held() {
    check(
        "
         watch 5 every 30
         0 restore partial
         3 ok r2 r3 r4 r5
         13 ok r2 r3 r4 r5
         30 fail r1
         35 ok r2 r3 r4 r5
         41.2 fail r1
        ",
        "
         13 ask r1 r2 r3 r4 r5
         30 ask r1 r2 r3 r4 r5
        ",
    );
}

#[test]
fn restart_partial_over() {
    check(
        "
         watch 5 every 30
         0 restore partial
         3 ok r2 r3 r4 r5
         13 ok r2 r3 r4 r5
         30 ok r1
         31 ok r1
         40.1 ok r1
        ",
        "
         13 ask r1 r2 r3 r4 r5
         30 partial -> up: 5 of 5 pass twice
        ",
    );
}

#[test]
fn restart_with_nobody() {
    check(
        "
         watch 5 every 30 absent
         0 restore up
         150 end
        ",
        "
         90 up -> unobserved: 0 of 5 vote
        ",
    );
}

#[test]
fn restart_into_an_outage() {
    check(
        "
         watch 5 every 30 absent
         0 restore up
         3 heard r1 r2 r3 r4 r5
         4 fail r1
         4.3 fail all
         15.3 fail all
        ",
        "
         4 ask r1 r2 r3 r4 r5
         15 ask r1 r2 r3 r4 r5
         15.3 up -> down: 5 of 5 fail for 11.3s (4 for 11s needed); first 4; suspected 4; quorum 4.3
        ",
    );
}

/// A changed monitor holds its verdict until the new form has votes.
#[test]
fn changed_monitor() {
    check(
        "
         watch 5 every 30
         0..30/30 ok all
         35 watch 5 every 30 revision 2
         36 revision 2 r1 r2 r3 r4 r5
         40 fail r1
         40.2 fail all
         51.2 fail all
        ",
        "
         0 new -> up: 3 of 5 pass
         40 ask r1 r2 r3 r4 r5
         51 ask r1 r2 r3 r4 r5
         51.2 up -> down: 5 of 5 fail for 11.2s (4 for 11s needed); first 40; suspected 40; quorum 40.2
        ",
    );
}

#[test]
fn changed_monitor_that_nobody_knows() {
    check(
        "
         watch 5 every 30
         0..30/30 ok all
         35 watch 5 every 30 revision 2
         110 end
        ",
        "
         0 new -> up: 3 of 5 pass
         95 up -> unobserved: 0 of 5 vote
        ",
    );
}

/// A region that was just added is waited for: four of five, not four of four.
#[test]
fn new_region() {
    check(
        "
         watch 4 every 30
         0..30/30 ok all
         31 watch 5 every 30
         32 fail r1
         32.2 fail r1 r2 r3 r4
         43.2 fail r1 r2 r3 r4
        ",
        "
         0 new -> up: 3 of 4 pass
         32 ask r1 r2 r3 r4
         43 ask r1 r2 r3 r4
         43.2 up -> down: 4 of 5 fail for 11.2s (4 for 11s needed); first 32; suspected 32; quorum 32.2
        ",
    );
}

#[test]
fn removed_monitor() {
    check(
        "
         watch 5 every 30
         0 ok all
         31 fail r1
         31 remove
         32 fail all
         200 end
        ",
        "
         0 new -> up: 3 of 5 pass
         31 ask r1 r2 r3 r4 r5
        ",
    );
}

/// Regions that are back are waited for: two of five, not two of two.
#[test]
fn returning_regions_are_awaited() {
    check(
        "
         watch 5 every 30 absent
         1 heard r1 r2
         3..90/30 ok r1 r2
         95 heard r3 r4 r5
         96 fail r1
         96.2 fail r1 r2
         126.3 fail r1 r2
         130 end
        ",
        "
         60 new -> up: 2 of 2 pass
         96 ask r1 r2 r3 r4 r5
         108 ask r1 r2 r3 r4 r5
         120 ask r1 r2 r3 r4 r5
        ",
    );
}
