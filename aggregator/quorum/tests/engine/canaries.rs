//! What ends and openings of canaries change, and what they must not.

use crate::script::check;

/// The interval is five minutes: the ends make everybody look at once.
#[test]
fn a_crash_is_confirmed_within_seconds_whatever_the_interval() {
    check(
        "
         watch 5 every 300
         0 ok all
         100 cut all
         100.3 fail all
         101.4 fail all
         111.4 fail all
        ",
        "
         0 new -> up: 3 of 5 pass
         100 ask r1 r2 r3 r4 r5
         111.3 ask r1 r2 r3 r4 r5
         111.4 up -> down: 5 of 5 fail for 11.1s (4 for 11s needed); first 100.3; suspected 100; quorum 100.3
        ",
    );
}

/// The end itself is no vote, and the suspicion goes without a word.
#[test]
fn one_lost_connection_is_nothing() {
    check(
        "
         watch 5 every 300
         0 ok all
         100 cut r1
         100.3 ok all
         101 open r1
         290 end
        ",
        "
         0 new -> up: 3 of 5 pass
         100 ask r1 r2 r3 r4 r5
        ",
    );
}

/// Down ends by checks; a canary that opens makes them be asked for.
#[test]
fn a_canary_that_opens_makes_everybody_look_again() {
    check(
        "
         watch 5 every 300
         0 ok all
         100 cut all
         100.3 fail all
         111.4 fail all
         200 open r1
         200.3 ok all
         210.3 ok all
         211 open r2
         250 end
        ",
        "
         0 new -> up: 3 of 5 pass
         100 ask r1 r2 r3 r4 r5
         111.3 ask r1 r2 r3 r4 r5
         111.4 up -> down: 5 of 5 fail for 11.1s (4 for 11s needed); first 100.3; suspected 100; quorum 100.3
         200 ask r1 r2 r3 r4 r5
         210.3 ask r1 r2 r3 r4 r5
         210.3 down -> up: 5 of 5 pass twice
        ",
    );
}

/// The same for one region's failure; and a canary that opens and closes for ever does not make everybody look for ever.
#[test]
fn hints_are_rationed() {
    check(
        "
         watch 5 every 300
         0 ok all
         100 fail r1
         100.3 ok r2 r3 r4 r5
         100.4 fail r1
         111.4 fail r1
         130..300/10 open r1
         131..301/10 fail r1
        ",
        "
         0 new -> up: 3 of 5 pass
         100 ask r1 r2 r3 r4 r5
         111 ask r1
         111.4 up -> partial: 1 of 5 fail; first 100; suspected 100
         130 ask r1
         140 ask r1
         150 ask r1
         160 ask r1
         190 ask r1
         220 ask r1
         250 ask r1
         280 ask r1
        ",
    );
}

/// An end that came after a check had begun and passed, or where the region fails anyway, is no news.
#[test]
fn ends_that_tell_nothing_new() {
    check(
        "
         watch 5 every 300
         0 ok all
         100 ok r1
         101 cut r1 aged 3
         150 fail r2
         150.3 ok r1 r3 r4 r5
         150.3 fail r2
         151 cut r2
         152 ok r2
         160 silent r3
         180 cut r3
         190 end
        ",
        "
         0 new -> up: 3 of 5 pass
         150 ask r1 r2 r3 r4 r5
        ",
    );
}

/// Connections that come and go leave enough of the ration for a fault: four rounds at once, then one each 30 s.
#[test]
fn a_flapping_canary_does_not_drain_the_ration() {
    check(
        "
         watch 5 every 300
         0 ok all
         100..160/5 cut r1
         100.5..160.5/5 ok all
         101..161/5 open r1
         161 fail all
         162 fail all
         172.5 fail all
        ",
        "
         0 new -> up: 3 of 5 pass
         100 ask r1 r2 r3 r4 r5
         105 ask r1 r2 r3 r4 r5
         110 ask r1 r2 r3 r4 r5
         115 ask r1 r2 r3 r4 r5
         130 ask r1 r2 r3 r4 r5
         160 ask r1 r2 r3 r4 r5
         161 ask r1 r2 r3 r4 r5
         172 ask r1 r2 r3 r4 r5
         172.5 up -> down: 5 of 5 fail for 11.5s (4 for 11s needed); first 161; suspected 161; quorum 161
        ",
    );
}

/// Twenty seconds without a server, announced: checks fail for longer than a page needs, and nobody is told.
#[test]
fn an_announced_restart_is_an_event() {
    check(
        "
         watch 5 every 30
         0..30/30 ok all
         40 close r1 r2 r3 r4 r5
         40.3 fail all
         51.3 fail all
         58 fail all
         60 open r1 r2 r3 r4
         60.3 ok all
         70.3 ok all
         120 end
        ",
        "
         0 new -> up: 3 of 5 pass
         40 ask r1 r2 r3 r4 r5
         51.3 ask r1 r2 r3 r4 r5
         restarted r1 r2 r3 r4: began 40, took 20s
         60 ask r1 r2 r3 r4 r5
        ",
    );
}

/// The page comes at the end of the budget, with the evidence gathered meanwhile.
#[test]
fn a_server_that_does_not_come_back_is_paged_at_the_end_of_the_budget() {
    check(
        "
         watch 5 every 300
         0 ok all
         40 close all
         40.3 fail all
         51.4 fail all
         65.2 fail all
         66 open r1 r2
         80 end
        ",
        "
         0 new -> up: 3 of 5 pass
         40 ask r1 r2 r3 r4 r5
         51.3 ask r1 r2 r3 r4 r5
         65 ask r1 r2 r3 r4 r5
         70 up -> down: 5 of 5 fail for 24.9s (4 for 11s needed); first 40.3; suspected 40; quorum 40.3
        ",
    );
}

/// The evidence begins when the server was back: with the failures before it there would be a page at once.
#[test]
fn failures_of_the_restart_are_no_evidence_after_it() {
    check(
        "
         watch 5 every 300
         0 ok all
         40 close all
         40.3 fail all
         51.4 fail all
         60 open all
         61 fail all took 9
         66 ok r5
         66.3 fail r1 r2 r3 r4
         72 fail r1 r2 r3 r4
        ",
        "
         0 new -> up: 3 of 5 pass
         40 ask r1 r2 r3 r4 r5
         51.3 ask r1 r2 r3 r4 r5
         restarted r1 r2 r3 r4: began 40, took 20s
         60 ask r1 r2 r3 r4 r5
         71 ask r1 r2 r3 r4 r5
         72 up -> down: 4 of 5 fail for 12s (4 for 11s needed); first 60; suspected 40; quorum 60
        ",
    );
}

/// One region's server, or one lying agent, changes nothing for the others.
#[test]
fn announcements_of_too_few_regions_hold_nothing_back() {
    check(
        "
         watch 5 every 300
         0 ok all
         40 close r1 r2 r3
         40.3 fail all
         51.4 fail all
        ",
        "
         0 new -> up: 3 of 5 pass
         40 ask r1 r2 r3 r4 r5
         51.3 ask r1 r2 r3 r4 r5
         51.4 up -> down: 5 of 5 fail for 11.1s (4 for 11s needed); first 40.3; suspected 40; quorum 40.3
        ",
    );
}

/// Nor do announcements that lie further apart than one restart, or came from agents that have no say.
#[test]
fn announcements_that_do_not_belong_together() {
    check(
        "
         watch 5 every 300
         0 ok all
         30 close r1
         30.3 ok all
         33 close r2
         33.3 ok all
         36 close r3
         36.3 ok all
         38 sick r5
         39 close r5
         41 close r4
         41.3 ok r1 r2 r3 r4
         42 well r5
         50 fail all
         61.4 fail all
        ",
        "
         0 new -> up: 3 of 5 pass
         30 ask r1 r2 r3 r4 r5
         33 ask r1 r2 r3 r4 r5
         36 ask r1 r2 r3 r4 r5
         41 ask r1 r2 r3 r4
         50 ask r1 r2 r3 r4 r5
         61.4 ask r1 r2 r3 r4 r5
         61.4 up -> down: 5 of 5 fail for 11.4s (4 for 11s needed); first 50; suspected 50; quorum 50
        ",
    );
}

/// A server that goes round and round gains one budget: the next reprieve begins a budget after the last at the earliest.
#[test]
fn a_reprieve_is_not_renewed() {
    check(
        "
         watch 5 every 300
         0 ok all
         40..90/10 close all
         41..91/10 open all
         40.5..100.5/10 fail all
        ",
        "
         0 new -> up: 3 of 5 pass
         40 ask r1 r2 r3 r4 r5
         restarted r1 r2 r3 r4: began 40, took 1s
         45 ask r1 r2 r3 r4 r5
         52 ask r1 r2 r3 r4 r5
         60.5 up -> down: 5 of 5 fail for 19.5s (4 for 11s needed); first 41; suspected 40; quorum 41
         61 ask r1 r2 r3 r4 r5
         71 ask r1 r2 r3 r4 r5
        ",
    );
}

/// A region that takes longer than the others is not shown as partial before the budget is over.
#[test]
fn a_region_that_reconnects_later() {
    check(
        "
         watch 5 every 30
         0 ok all
         30 ok all
         40 close all
         40.3 fail all
         52 fail all
         55 open r1 r2 r3 r4
         55.3 ok r1 r2 r3 r4
         55.3 fail r5
         56.5 ok r1 r2 r3 r4
         56.5 fail r5
         60 ok r1 r2 r3 r4
         67 fail r5
         68 open r5
         79.2 ok r5
         90 ok all
        ",
        "
         0 new -> up: 3 of 5 pass
         40 ask r1 r2 r3 r4 r5
         51.3 ask r1 r2 r3 r4 r5
         restarted r1 r2 r3 r4: began 40, took 15s
         56.3 ask r1 r2 r3 r4 r5
         79 ask r5
        ",
    );
}

#[test]
fn a_budget_of_nothing_waits_for_nothing() {
    check(
        "
         watch 5 every 300 budget 0
         0 ok all
         40 close all
         40.3 fail all
         45 open all
         51.4 fail all
        ",
        "
         0 new -> up: 3 of 5 pass
         40 ask r1 r2 r3 r4 r5
         51.3 ask r1 r2 r3 r4 r5
         51.4 up -> down: 5 of 5 fail for 11.1s (4 for 11s needed); first 40.3; suspected 40; quorum 40.3
        ",
    );
}

/// The only region decides for itself, here as elsewhere.
#[test]
fn a_single_region() {
    check(
        "
         watch 1 every 60 budget 45
         0 ok r1
         60 close r1
         60.2 fail r1
         61.3 fail r1
         92 fail r1
         100 open r1
         100.3 ok r1
        ",
        "
         0 new -> up: 1 of 1 pass
         60 ask r1
         65 ask r1
         77 ask r1
         89 ask r1
         100 ask r1
         restarted r1: began 60, took 40s
        ",
    );
}

/// An end that is as old as a vote lives is history; so is one of the monitor's old form.
#[test]
fn late_ends_and_old_forms_alarm_nobody() {
    for (end, asks) in [("aged 60", false), ("aged 59.9", true), ("under 0", false), ("under 2", true)] {
        let asked = if asks { "62 ask r1 r2 r3 r4 r5" } else { "" };
        check(
            &format!(
                "
                 watch 5 every 30
                 0 ok all
                 30..60/30 ok r2 r3 r4 r5
                 62 cut r1 {end}
                 63 ok all
                "
            ),
            &format!("0 new -> up: 3 of 5 pass\n{asked}"),
        );
    }
}

/// One region after another: each is back before the last has gone.
#[test]
fn a_rolling_restart() {
    check(
        "
         watch 5 every 300
         0 ok all
         40 close r1
         41 open r1
         43 close r2 r3 r4
         44 open r2 r3 r4
         44.3 ok all
         90 end
        ",
        "
         0 new -> up: 3 of 5 pass
         40 ask r1 r2 r3 r4 r5
         restarted r1 r2 r3 r4: began 40, took 4s
        ",
    );
}

/// What failed long before the server said that it goes is not explained by its coming back.
#[test]
fn an_outage_from_before_the_restart_is_no_restart() {
    check(
        "
         watch 5 every 300 confirm 60
         0 ok all
         25 fail all
         40 close all
         41 open all
         42 fail all
         86 fail all
        ",
        "
         0 new -> up: 3 of 5 pass
         25 ask r1 r2 r3 r4 r5
         restarted r1 r2 r3 r4: began 40, took 1s
         41 ask r1 r2 r3 r4 r5
         85 ask r1 r2 r3 r4 r5
         86 up -> down: 5 of 5 fail for 61s (4 for 60s needed); first 25; suspected 25; quorum 25
        ",
    );
}

/// A region whose canary was closed again after it was open is not back.
#[test]
fn back_is_who_is_open_still() {
    check(
        "
         watch 5 every 300
         0 ok all
         40 close r1 r2 r3 r4
         41 open r1
         42 close r1
         43 open r2 r3 r4
         43.3 ok all
         45 open r1
         90 end
        ",
        "
         0 new -> up: 3 of 5 pass
         40 ask r1 r2 r3 r4 r5
         restarted r1 r2 r3 r4: began 40, took 5s
        ",
    );
}

/// What an agent announced that is revoked since is no announcement: three are too few.
#[test]
fn announcements_of_revoked_agents_are_void() {
    check(
        "
         watch 5 every 300
         0 heard r1/b
         0 ok all
         40 close r1 r2 r3
         41 forget r1
         42 close r4
         42.3 fail r1/b r2 r3 r4 r5
         53.4 fail r1/b r2 r3 r4 r5
        ",
        "
         0 new -> up: 3 of 5 pass
         40 ask r1 r2 r3 r4 r5
         53.3 ask r1 r2 r3 r4 r5
         53.4 up -> down: 5 of 5 fail for 11.1s (4 for 11s needed); first 42.3; suspected 40; quorum 42.3
        ",
    );
}
