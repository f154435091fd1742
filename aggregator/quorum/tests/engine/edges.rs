//! Edges of the rules: what is over when something else begins, and who is still waited for.

use crate::script::check;

/// Its failure was over with the verdict, and a new one is news.
#[test]
fn a_region_that_returned_fails_anew() {
    check(
        "
         watch 5 every 300
         0 ok all
         100 fail all
         111.4 fail all
         200 ok r1 r2 r3 r4
         205 ok r5
         210.3 ok r1 r2 r3 r4
         215 fail r5
        ",
        "
         0 new -> up: 3 of 5 pass
         100 ask r1 r2 r3 r4 r5
         111.4 ask r1 r2 r3 r4 r5
         111.4 up -> down: 5 of 5 fail for 11.4s (4 for 11s needed); first 100; suspected 100; quorum 100
         200 ask r1 r2 r3 r4 r5
         210.3 ask r1 r2 r3 r4 r5
         210.3 down -> up: 5 of 5 pass twice
         215 ask r1 r2 r3 r4 r5
        ",
    );
}

/// It has passed once when the others make down: they are asked at once.
#[test]
fn a_region_that_returns_while_others_fail() {
    check(
        "
         watch 5 every 300
         0 ok all
         100 fail r1
         100.3 ok r2 r3 r4 r5
         111.4 fail r1
         120 ok r1
         121 fail r2 r3 r4 r5
         132.4 fail r2 r3 r4 r5
         150 end
        ",
        "
         0 new -> up: 3 of 5 pass
         100 ask r1 r2 r3 r4 r5
         111.4 up -> partial: 1 of 5 fail; first 100; suspected 100
         121 ask r1 r2 r3 r4 r5
         132.4 partial -> down: 4 of 5 fail for 11.4s (4 for 11s needed); first 121; suspected 121; quorum 121
         133 ask r1 r2 r3 r4 r5
        ",
    );
}

/// They have no say from their heartbeat on.
#[test]
fn agents_that_work_under_an_old_revision() {
    check(
        "
         watch 5 every 30
         0..60/30 ok all
         67 old r1 r2 r3 r4
         80 end
        ",
        "
         0 new -> up: 3 of 5 pass
         67 up -> unobserved: 1 of 5 vote
        ",
    );
}

/// The other one is still asked.
#[test]
fn a_region_of_two_agents_one_of_them_revoked() {
    check(
        "
         watch 3 every 30
         0 heard r1/b
         0 ok all
         5 forget r1
         10 fail r2
        ",
        "
         0 new -> up: 2 of 3 pass
         10 ask r1 r2 r3
        ",
    );
}

/// A monitor that is configured again as it was hears of its agents as before.
#[test]
fn regions_that_stay_are_followed() {
    check(
        "
         watch 5 every 30
         0..60/30 ok all
         65 watch 5 every 30
         72 sick r1 r2 r3 r4
         80 end
        ",
        "
         0 new -> up: 3 of 5 pass
         72 up -> unobserved: 1 of 5 vote
        ",
    );
}

/// Nothing of it is.
#[test]
fn checks_of_the_old_form_are_no_evidence() {
    check(
        "
         watch 5 every 30
         0 ok all
         31 fail r1 r2 r3 r4
         35 watch 5 every 30 revision 2
         35 revision 2 all
         42.2 fail r1 r2 r3 r4
         53.4 fail r1 r2 r3 r4
        ",
        "
         0 new -> up: 3 of 5 pass
         31 ask r1 r2 r3 r4 r5
         42.2 ask r1 r2 r3 r4 r5
         53.4 up -> down: 4 of 5 fail for 11.2s (4 for 11s needed); first 42.2; suspected 42.2; quorum 42.2
        ",
    );
}

/// What is told of the next failure begins with that.
#[test]
fn a_blip_is_forgotten() {
    check(
        "
         watch 1 every 60
         0 ok r1
         60 fail r1
         61 ok r1
         120 fail r1
         131 fail r1
         140 fail r1
         150 fail r1
        ",
        "
         0 new -> up: 1 of 1 pass
         60 ask r1
         120 ask r1
         131 ask r1
         150 ask r1
         150 up -> down: 4 attempts fail for 30s; first 120; suspected 120; quorum 120
        ",
    );
}

/// Here three regions fail for long, and then a fourth.
#[test]
fn of_trouble_that_grew_the_beginning_is_told() {
    check(
        "
         watch 5 every 30 quorum all
         0 ok all
         31..130/11 fail r1 r2 r3
         31..130/11 ok r5
         31..59/11 ok r4
         60..130/11 fail r4
        ",
        "
         0 new -> up: 3 of 5 pass
         31 ask r1 r2 r3 r4 r5
         42 up -> partial: 3 of 5 fail; first 31; suspected 31
         42 ask r1 r2 r3 r4 r5
         60 ask r1 r2 r3 r4 r5
         121 ask r1 r2 r3 r4 r5
         130 partial -> down: 4 of 5, a majority, fail for 95s (90s needed); first 31; suspected 31; quorum 31
        ",
    );
}

/// However many pass.
#[test]
fn while_a_quorum_fails_nobody_is_asked_for_a_recovery() {
    check(
        "
         watch 5 every 300 quorum 2
         0 ok all
         100 fail r1 r2
         100.3 ok r3 r4 r5
         111.4 fail r1 r2
         120 fail r3 r4 r5
         130 ok r3 r4 r5
         131 fail r1 r2
         170 end
        ",
        "
         0 new -> up: 3 of 5 pass
         100 ask r1 r2 r3 r4 r5
         111.4 ask r1 r2 r3 r4 r5
         111.4 up -> down: 2 of 5 fail for 11.4s (2 for 11s needed); first 100; suspected 100; quorum 100
         130 ask r1 r2 r3 r4 r5
        ",
    );
}

/// Its answer is not waited for any more.
#[test]
fn who_never_answered_may_alarm_again() {
    check(
        "
         watch 5 every 300 confirm 60
         0 ok all
         100 fail r1
         100.3 ok r2 r3 r4
         130 cut r5
         140 end
        ",
        "
         0 new -> up: 3 of 5 pass
         100 ask r1 r2 r3 r4 r5
         130 ask r1 r2 r3 r4 r5
        ",
    );
}

/// Partial waits for it no longer.
#[test]
fn who_falls_sick_owes_no_answer() {
    check(
        "
         watch 5 every 300
         0 ok all
         100 fail r1
         100.3 ok r2 r3 r4
         105 sick r5
         111.4 fail r1
         125 end
        ",
        "
         0 new -> up: 3 of 5 pass
         100 ask r1 r2 r3 r4 r5
         111.4 up -> partial: 1 of 5 fail; first 100; suspected 100
        ",
    );
}

/// And then time alone takes it away.
#[test]
fn a_domain_that_fell_silent_counts_as_long_as_its_pass() {
    check(
        "
         watch 5 every 30
         0 label r1 r2 r3 r4 provider=a
         0 label r5 provider=b
         0 ok all
         31 fail r1
         31.2 fail r1 r2 r3 r4
         31.2 ok r5
         42.2 fail r1 r2 r3 r4
         42.2 ok r5
         43 silent r5
         60..120/30 fail r1 r2 r3 r4
        ",
        "
         0 new -> up: 3 of 5 pass
         31 ask r1 r2 r3 r4 r5
         42 ask r1 r2 r3 r4 r5
         42.2 up -> partial: 4 of 5 fail, of 1 domains (2 needed); first 31; suspected 31
         102.2 partial -> down: 4 of 4 fail for 58.8s (4 for 20s needed); first 31.2; suspected 31; quorum 102.2
        ",
    );
}

/// Nobody of its provider has a say.
#[test]
fn an_agent_at_fault_is_no_domain() {
    check(
        "
         watch 5 every 30
         0 label r1 r2 r3 r4 provider=a
         0 label r5 provider=b
         0..60/30 ok all
         91 fail r1
         91.2 fail r1 r2 r3 r4
         91.2 fault r5
         102.2 fail r1 r2 r3 r4
         102.2 fault r5
         113.4 fail r1 r2 r3 r4
         113.4 fault r5
        ",
        "
         0 new -> up: 3 of 5 pass
         91 ask r1 r2 r3 r4 r5
         111 ask r1 r2 r3 r4 r5
         113.4 up -> down: 4 of 4 fail for 22.4s (4 for 20s needed); first 91; suspected 91; quorum 91.2
        ",
    );
}

/// Only one that passed could say otherwise.
#[test]
fn a_silent_agent_that_failed_is_no_domain() {
    check(
        "
         watch 5 every 30
         0 label r1 r2 r3 r4 provider=a
         0 label r5 provider=b
         0..60/30 ok all
         80 fail r5
         80.3 ok r1 r2 r3 r4
         81 silent r5
         105 fail r1 r2 r3 r4
         116.2 fail r1 r2 r3 r4
         127.4 fail r1 r2 r3 r4
        ",
        "
         0 new -> up: 3 of 5 pass
         80 ask r1 r2 r3 r4 r5
         92 ask r5
         105 ask r1 r2 r3 r4
         125 ask r1 r2 r3 r4
         127.4 up -> down: 4 of 4 fail for 22.4s (4 for 20s needed); first 105; suspected 105; quorum 105
        ",
    );
}

/// None that could lack.
#[test]
fn without_labels_there_are_no_domains() {
    check(
        "
         watch 5 every 30 quorum 2 domains 3
         0 ok all
         31 fail r1 r2
         42.2 fail r1 r2
        ",
        "
         0 new -> up: 3 of 5 pass
         31 ask r1 r2 r3 r4 r5
         42.2 up -> down: 2 of 5 fail for 11.2s (2 for 11s needed); first 31; suspected 31; quorum 31
        ",
    );
}

/// Then time alone makes the first verdict.
#[test]
fn regions_that_came_late_are_waited_for_and_no_longer() {
    check(
        "
         watch 5 every 30 absent
         0 heard r1 r2
         0..90/30 ok r1 r2
         50 heard r3 r4 r5
         119 end
        ",
        "
         110 new -> up: 2 of 2 pass
        ",
    );
}
