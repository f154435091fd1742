//! Regions that are silent, sick, late, at fault or of two minds, and what is asked of the others.

use crate::script::check;

/// m shrinks to four with the silent region: 4 of 4 over 20 s.
#[test]
fn silent_region() {
    check(
        "
         watch 5 every 30
         0..120/30 ok all
         31 silent r5
         62 fail r1
         62.2 fail r1 r2 r3 r4
         82.2 fail r1 r2 r3 r4
        ",
        "
         0 new -> up: 3 of 5 pass
         62 ask r1 r2 r3 r4
         82 ask r1 r2 r3 r4
         82.2 up -> down: 4 of 4 fail for 20.2s (4 for 20s needed); first 62; suspected 62; quorum 62.2
         90 ask r1 r2 r3 r4
         102 ask r1 r2 r3 r4
         114 ask r1 r2 r3 r4
         120 down -> up: 4 of 4 pass twice
        ",
    );
}

#[test]
fn three_silent_then_two_return() {
    check(
        "
         watch 5 every 30
         0..240/30 ok r1 r2
         0..90/30 ok r3 r4 r5
         91 silent r3 r4 r5 r2
         125 heard r3
         130 ok r3
        ",
        "
         0 new -> up: 3 of 5 pass
         105 up -> unobserved: 1 of 5 vote
         125 unobserved -> up: 2 of 2 pass twice
         190 up -> unobserved: 1 of 5 vote
        ",
    );
}

#[test]
fn sick_agent() {
    check(
        "
         watch 2 every 30
         0..180/30 ok all
         91 sick r1
         100 fail r1
         101 fail r1
         112 fail r1
         125 well r1
        ",
        "
         0 new -> up: 2 of 2 pass
         91 up -> unobserved: 1 of 2 vote
         130 ask r1 r2
         142 ask r1 r2
         150 unobserved -> up: 2 of 2 pass twice
        ",
    );
}

#[test]
fn outdated_agents() {
    check(
        "
         watch 5 every 30
         0..60/30 ok all
         91 fail r1 r2 r3 r4
         91.2 fail r1 r2 r3 r4
         91.3 ok r5
         95 old r3 r4
         102.2 fail r1 r2
         103 end
        ",
        "
         0 new -> up: 3 of 5 pass
         91 ask r1 r2 r3 r4 r5
        ",
    );
}

#[test]
fn stale_votes() {
    check(
        "
         watch 5 every 10
         0 ok all
         24 ok r1
         60 end
        ",
        "
         0 new -> up: 3 of 5 pass
         25 up -> unobserved: 1 of 5 vote
        ",
    );
}

#[test]
fn agents_own_fault() {
    check(
        "
         watch 5 every 30
         0..90/30 ok all
         91 fault r5
         91.5 fail r1
         91.7 fail r2 r3 r4
         91.8 fault r5
         102.7 fail r1 r2 r3 r4
         111.7 fail r1 r2 r3 r4
        ",
        "
         0 new -> up: 3 of 5 pass
         91.5 ask r1 r2 r3 r4 r5
         111.5 ask r1 r2 r3 r4 r5
         111.7 up -> down: 4 of 4 fail for 20.2s (4 for 20s needed); first 91.5; suspected 91.5; quorum 91.7
        ",
    );
}

/// A tie abstains; a region fails when most of its agents do.
#[test]
fn two_agents_in_one_region() {
    check(
        "
         watch 2 every 30
         0 heard r1/b
         0..180/30 ok r2
         0..60/30 ok r1 r1/b
         90..240/30 fail r1
         90 ok r1/b
         121 fail r1/b
         121.2 ok r2
         132 fail r1/b
         151 fail r1 r1/b
        ",
        "
         0 new -> up: 2 of 2 pass
         90 up -> unobserved: 1 of 2 vote
         121 ask r1 r2
         151 ask r1
         151 unobserved -> partial: 1 of 2 fail; first 121; suspected 121
         240 partial -> unobserved: 1 of 2 vote
        ",
    );
}

/// One agent of a region that failed for long proves nothing for its region: the evidence starts with the second.
#[test]
fn old_evidence_of_one_agent() {
    check(
        "
         watch 2 every 30
         0 heard r1/b
         0 ok all
         0 ok r1/b
         30..180/30 fail r1
         30..180/30 ok r1/b r2
         191 fail r1/b
         191.2 fail r2 r1
         193 end
        ",
        "
         0 new -> up: 2 of 2 pass
         60 up -> unobserved: 1 of 2 vote
         191 ask r1 r2
        ",
    );
}

/// What a revoked agent said is gone at once.
#[test]
fn revoked_agent() {
    check(
        "
         watch 5 every 30
         0..120/30 ok r2 r3 r4 r5
         0..60/30 ok r1
         91 fail r1
         91.2 ok r2 r3 r4 r5
         91.2 fail r1
         102.2 fail r1
         110 forget r1
         125 end
        ",
        "
         0 new -> up: 3 of 5 pass
         91 ask r1 r2 r3 r4 r5
         102 ask r1
         102.2 up -> partial: 1 of 5 fail; first 91; suspected 91
         110 partial -> up: 4 of 4 pass twice
        ",
    );
}

/// A region with a broken path does not make the rules hair-triggered: a server that restarts within seconds is no
/// page, although the broken path has failed for a minute.
#[test]
fn persistent_region_and_a_server_restart() {
    check(
        "
         watch 5 every 30
         0..240/30 ok r2 r3 r4 r5
         0 ok r1
         31 fail r1
         31.2 ok r2 r3 r4 r5
         42.2 fail r1
         60..240/30 fail r1
         100 fail r2
         100.2 fail r1 r2 r3 r4 r5
         101.3 fail r1 r2 r3 r4 r5
         105 fail r1
         111.2 fail r1
         111.3 ok r2 r3 r4 r5
        ",
        "
         0 new -> up: 3 of 5 pass
         31 ask r1 r2 r3 r4 r5
         42.2 up -> partial: 1 of 5 fail; first 31; suspected 31
         100 ask r1 r2 r3 r4 r5
         111 ask r1 r2 r3 r4 r5
        ",
    );
}

/// … and its failure is one of the four when the outage is real; the evidence starts with the news.
#[test]
fn persistent_region_and_an_outage() {
    check(
        "
         watch 5 every 30
         0..90/30 ok r2 r3 r4 r5
         0 ok r1
         31 fail r1
         31.2 ok r2 r3 r4 r5
         42.2 fail r1
         60..90/30 fail r1
         100 fail r2
         100.2 fail r1 r2 r3 r4
         100.2 ok r5
         111.2 fail r1 r2 r3 r4
         111.2 ok r5
        ",
        "
         0 new -> up: 3 of 5 pass
         31 ask r1 r2 r3 r4 r5
         42.2 up -> partial: 1 of 5 fail; first 31; suspected 31
         100 ask r1 r2 r3 r4 r5
         111 ask r1 r2 r3 r4 r5
         111.2 partial -> down: 4 of 5 fail for 11.2s (4 for 11s needed); first 100; suspected 100; quorum 100.2
        ",
    );
}

/// A check that ended long ago decides nothing; one that is fresh does, with its age.
#[test]
fn late_results() {
    check(
        "
         watch 5 every 30
         0 ok all
         200 fail r1 r2 r3 r4 r5 aged 90
         201 fail r1 aged 20
         201 end
        ",
        "
         0 new -> up: 3 of 5 pass
         60 up -> unobserved: 0 of 5 vote
         201 ask r1 r2 r3 r4 r5
        ",
    );
}

#[test]
fn overtaken_result() {
    check(
        "
         watch 2 every 30
         0 ok all
         30 ok r1
         31 fail r1 took 3 aged 2
         40 end
        ",
        "
         0 new -> up: 2 of 2 pass
        ",
    );
}

/// Three of five fail; when the other two fall silent it is three of three.
#[test]
fn voters_fall_silent() {
    check(
        "
         watch 5 every 30
         0..300/30 ok r4 r5
         0 ok r1 r2 r3
         31 fail r1 r2 r3
         31.2 ok r4 r5
         42.2 fail r1 r2 r3
         60..300/30 fail r1 r2 r3
         62 silent r4 r5
        ",
        "
         0 new -> up: 3 of 5 pass
         31 ask r1 r2 r3 r4 r5
         42.2 up -> partial: 3 of 5 fail; first 31; suspected 31
         42.2 ask r1 r2 r3 r4 r5
         75 partial -> down: 3 of 3 fail for 29s (3 for 20s needed); first 31; suspected 31; quorum 75
        ",
    );
}

/// A region that comes and goes has spent the rounds of its monitor: the scheduled checks serve, and decide by the
/// same rules one interval later.
#[test]
fn ration_spent() {
    check(
        "
         watch 5 every 30
         0 ok all
         20..80/30 ok r2 r3 r4 r5
         30..90/6 fail r1
         30.1..90.1/6 ok r1
         96 fail r1
         102 fail r2
         108 fail r3
         114 fail r4
         120 fail r5
         126 fail r1
        ",
        "
         0 new -> up: 3 of 5 pass
         30 ask r1 r2 r3 r4 r5
         36 ask r1 r2 r3 r4 r5
         42 ask r1 r2 r3 r4 r5
         48 ask r1 r2 r3 r4 r5
         54 ask r1 r2 r3 r4 r5
         60 ask r1 r2 r3 r4 r5
         66 ask r1 r2 r3 r4 r5
         72 ask r1 r2 r3 r4 r5
         78 ask r1 r2 r3 r4 r5
         90 ask r1 r2 r3 r4 r5
         121 ask r1 r2 r3 r4 r5
         126 up -> down: 5 of 5 fail for 12s (4 for 11s needed); first 96; suspected 96; quorum 114
        ",
    );
}

/// Long gaps between calls: everything in between happens at its own time.
#[test]
fn far_apart() {
    check(
        "
         watch 5 every 30
         0 ok all
         31 fail r1
         100000 fail r1
         200000 ok all
        ",
        "
         0 new -> up: 3 of 5 pass
         31 ask r1 r2 r3 r4 r5
         43 ask r1
         55 ask r1
         60 up -> unobserved: 1 of 5 vote
         67 ask r1
         79 ask r1
         100000 ask r1 r2 r3 r4 r5
         100030 ask r1
         100042 ask r1
         100054 ask r1
        ",
    );
}

#[test]
fn silent_while_down() {
    check(
        "
         watch 5 every 30
         0 ok all
         31 fail all
         31.2 fail all
         42.3 fail all
         60..90/30 fail all
         91 silent all
         130 end
        ",
        "
         0 new -> up: 3 of 5 pass
         31 ask r1 r2 r3 r4 r5
         42 ask r1 r2 r3 r4 r5
         42.3 up -> down: 5 of 5 fail for 11.3s (4 for 11s needed); first 31; suspected 31; quorum 31
         105 down -> unobserved: 0 of 5 vote
        ",
    );
}

/// A pass that ended while a failing check was under way holds: the evidence starts at its end.
#[test]
fn overlapping_checks() {
    check(
        "
         watch 5 every 30 fast
         0 ok all
         30 ok all
         35 fail r1 r2 r3 r4 took 10
        ",
        "
         0 new -> up: 3 of 5 pass
         35 ask r1 r2 r3 r4 r5
         35 up -> down: 4 of 5 fail for 5s (4 for 0us needed); first 30; suspected 35; quorum 35
        ",
    );
}

/// A region that had answered and then fails makes all be asked anew.
#[test]
fn spreading_failure() {
    check(
        "
         watch 5 every 30 confirm 60
         0 ok all
         31 fail r1
         31.2 ok r2 r3 r4 r5
         31.3 fail r1
         40 fail r2
         40.2 fail r1 r2 r3
         40.2 ok r4 r5
        ",
        "
         0 new -> up: 3 of 5 pass
         31 ask r1 r2 r3 r4 r5
         40 ask r1 r2 r3 r4 r5
        ",
    );
}
