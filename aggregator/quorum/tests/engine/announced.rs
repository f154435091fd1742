//! What an announced restart explains, to the moment and to the last region, and what it does not.

use crate::script::check;

/// A region is proven by its first opening, however soon it came: later ones put no evidence off.
#[test]
fn a_restart_is_proven_once() {
    check(
        "
         watch 5 every 300
         0 ok all
         40 close all
         40 open all
         40.5 fail all
         46 open all
         52 fail all
        ",
        "
         0 new -> up: 3 of 5 pass
         40 ask r1 r2 r3 r4 r5
         restarted r1 r2 r3 r4: began 40, took 0us
         51.5 ask r1 r2 r3 r4 r5
         52 up -> down: 5 of 5 fail for 11.5s (4 for 11s needed); first 40.5; suspected 40; quorum 40.5
        ",
    );
}

/// They alarm nobody, and count as the others do: down waits for the budget's end.
#[test]
fn announcements_of_regions_that_fail_already() {
    check(
        "
         watch 5 every 300 confirm 60 budget 60
         0 ok all
         25 fail all
         40 close all
         86 fail all
         101 end
        ",
        "
         0 new -> up: 3 of 5 pass
         25 ask r1 r2 r3 r4 r5
         85 ask r1 r2 r3 r4 r5
         95 ask r1 r2 r3 r4 r5
         100 up -> down: 5 of 5 fail for 61s (4 for 60s needed); first 25; suspected 25; quorum 25
        ",
    );
}

/// Their evidence stands.
#[test]
fn as_many_as_needed_failed_before_the_restart() {
    check(
        "
         watch 5 every 300 confirm 60
         0 ok all
         25 fail r1 r2 r3 r4
         25 ok r5
         40 close all
         41 open all
         86 fail r1 r2 r3 r4
         102 fail r1 r2 r3 r4
        ",
        "
         0 new -> up: 3 of 5 pass
         25 ask r1 r2 r3 r4 r5
         40 ask r1 r2 r3 r4 r5
         restarted r1 r2 r3 r4: began 40, took 1s
         45 ask r1 r2 r3 r4 r5
         85 ask r1 r2 r3 r4 r5
         86 up -> down: 4 of 5 fail for 61s (4 for 60s needed); first 25; suspected 25; quorum 25
        ",
    );
}

/// So does a majority's.
#[test]
fn a_majority_that_failed_before_the_restart() {
    check(
        "
         watch 5 every 30
         0 ok all
         25..145/15 fail r1 r2 r3
         25..145/15 ok r4 r5
         40 close all
         41 open all
        ",
        "
         0 new -> up: 3 of 5 pass
         25 ask r1 r2 r3 r4 r5
         37 ask r1 r2 r3 r4 r5
         40 up -> partial: 3 of 5 fail; first 25; suspected 25
         restarted r1 r2 r3 r4: began 40, took 1s
         42 ask r1 r2 r3
         115 ask r1 r2 r3 r4 r5
         115 partial -> down: 3 of 5, a majority, fail for 90s (90s needed); first 25; suspected 25; quorum 25
        ",
    );
}

/// It begins anew, and so does what is told of it.
#[test]
fn a_majority_that_is_none_without_those_who_came_back() {
    check(
        "
         watch 5 every 30
         0 ok all
         25 fail r1 r2
         25 ok r4 r5
         39 fail r3
         40 close all
         41 open all
         42..147/15 fail r1 r2 r3
         42..147/15 ok r4 r5
        ",
        "
         0 new -> up: 3 of 5 pass
         25 ask r1 r2 r3 r4 r5
         37 ask r1 r2 r3 r4 r5
         restarted r1 r2 r3 r4: began 40, took 1s
         42 ask r1 r2 r3 r4 r5
         52 ask r1 r2 r3 r4 r5
         70 up -> partial: 3 of 5 fail; first 25; suspected 25
         131 ask r1 r2 r3 r4 r5
         132 partial -> down: 3 of 5, a majority, fail for 91s (90s needed); first 41; suspected 25; quorum 41
        ",
    );
}

/// What failed before it does not.
#[test]
fn a_restart_starts_the_evidence_of_a_quorum_that_forms_later() {
    check(
        "
         watch 5 every 300 confirm 60
         0 ok all
         25 fail r1
         25 ok r2 r3 r4 r5
         40 close r2 r3 r4 r5
         41 open r2 r3 r4 r5
         50 fail r1 r2 r3 r4
         86 fail r1 r2 r3 r4
         102 fail r1 r2 r3 r4
        ",
        "
         0 new -> up: 3 of 5 pass
         25 ask r1 r2 r3 r4 r5
         40 ask r1 r2 r3 r4 r5
         restarted r2 r3 r4 r5: began 40, took 1s
         45 ask r1 r2 r3 r4 r5
         85 ask r1 r2 r3 r4 r5
         101 ask r1 r2 r3 r4 r5
         102 up -> down: 4 of 5 fail for 61s (4 for 60s needed); first 41; suspected 25; quorum 50
        ",
    );
}

/// What the server announced was of the monitor's old form.
#[test]
fn another_form_ends_a_reprieve() {
    check(
        "
         watch 5 every 300
         0 ok all
         40 close all
         45 watch 5 every 300 revision 2
         45 revision 2 all
         45.3 fail all
         56.5 fail all
         71 end
        ",
        "
         0 new -> up: 3 of 5 pass
         40 ask r1 r2 r3 r4 r5
         45.3 ask r1 r2 r3 r4 r5
         56.5 ask r1 r2 r3 r4 r5
         56.5 up -> down: 5 of 5 fail for 11.2s (4 for 11s needed); first 45.3; suspected 45.3; quorum 45.3
        ",
    );
}

/// The fourth makes them a restart.
#[test]
fn revoking_one_agent_leaves_the_others_announcements() {
    check(
        "
         watch 5 every 300
         0 heard r1/b
         0 ok all
         40 close r1 r2 r3
         41 forget r1/b
         42 close r4
         42.3 fail all
         53.4 fail all
         71 end
        ",
        "
         0 new -> up: 3 of 5 pass
         40 ask r1 r2 r3 r4 r5
         53.3 ask r1 r2 r3 r4 r5
         65 ask r1 r2 r3 r4 r5
         70 up -> down: 5 of 5 fail for 11.1s (4 for 11s needed); first 42.3; suspected 40; quorum 42.3
        ",
    );
}

/// To the microsecond.
#[test]
fn what_failed_a_timeout_before_the_restart_is_explained_by_it() {
    check(
        "
         watch 5 every 300 confirm 60
         0 ok all
         30 fail all
         40 close all
         41 open all
         42 fail all
         92 fail all
         102 fail all
        ",
        "
         0 new -> up: 3 of 5 pass
         30 ask r1 r2 r3 r4 r5
         restarted r1 r2 r3 r4: began 40, took 1s
         41 ask r1 r2 r3 r4 r5
         101 ask r1 r2 r3 r4 r5
         102 up -> down: 5 of 5 fail for 61s (4 for 60s needed); first 41; suspected 30; quorum 41
        ",
    );
}
