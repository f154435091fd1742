//! Each rule where it applies, and its numbers.

use crate::script::check;

/// Rule 3: the second round is timed so that its answers complete the span.
#[test]
fn refused_by_all() {
    check(
        "
         watch 5 every 30
         0..30/30 ok all
         31 fail r1
         31.2 fail r2 r3 r4 r5
         32.3 fail all
         42.3 fail all
         60..90/30 fail all
         100 ok r1
         100.3 ok r2 r3 r4 r5
         110.3 ok all
         120 ok all
        ",
        "
         0 new -> up: 3 of 5 pass
         31 ask r1 r2 r3 r4 r5
         42 ask r1 r2 r3 r4 r5
         42.3 up -> down: 5 of 5 fail for 11.3s (4 for 11s needed); first 31; suspected 31; quorum 31.2
         100 ask r1 r2 r3 r4 r5
         110.3 ask r1 r2 r3 r4 r5
         110.3 down -> up: 5 of 5 pass twice
        ",
    );
}

/// The fifth region may differ; the span is complete when the slowest of the four has answered again.
#[test]
fn four_of_five_are_enough() {
    check(
        "
         watch 5 every 30
         0 ok all
         31 fail r1
         31.2 fail r2 r3 r4
         31.2 ok r5
         42.3 fail r1
         42.4 ok r5
         42.5 fail r2
         42.6 fail r3
         42.7 fail r4
        ",
        "
         0 new -> up: 3 of 5 pass
         31 ask r1 r2 r3 r4 r5
         42.3 ask r1 r2 r3 r4 r5
         42.7 up -> down: 4 of 5 fail for 11.3s (4 for 11s needed); first 31; suspected 31; quorum 31.2
        ",
    );
}

/// A check that waited ten seconds is evidence for those ten: one round is enough.
#[test]
fn silent_to_all() {
    check(
        "
         watch 5 every 30
         0 ok all
         40 fail r1 took 10
         46 fail r2 took 10
         50.2 fail all took 10
        ",
        "
         0 new -> up: 3 of 5 pass
         40 ask r1 r2 r3 r4 r5
         50.2 up -> down: 4 of 5 fail for 20.2s (4 for 11s needed); first 30; suspected 40; quorum 50.2
        ",
    );
}

/// Rule 4: three of five; partial is shown until then, and a round is due at 90 s.
#[test]
fn majority_of_five_after_90s() {
    check(
        "
         watch 5 every 30
         0..180/30 ok r4 r5
         0 ok r1 r2 r3
         30 fail r1 r2 r3
         30.1 ok r4 r5
         41.1 fail r1 r2 r3
         41.2 ok r4 r5
         60..90/30 fail r1 r2 r3
         120 fail r1
         120.2 fail r2
         120.3 fail r3
        ",
        "
         0 new -> up: 3 of 5 pass
         30 ask r1 r2 r3 r4 r5
         41.1 up -> partial: 3 of 5 fail; first 30; suspected 30
         41.1 ask r1 r2 r3 r4 r5
         120 ask r1 r2 r3 r4 r5
         120.3 partial -> down: 3 of 5, a majority, fail for 90s (90s needed); first 30; suspected 30; quorum 30
        ",
    );
}

/// One region's own trouble is shown and never paged.
#[test]
fn one_of_five_for_an_hour() {
    check(
        "
         watch 5 every 30
         0..3600/30 ok r2 r3 r4 r5
         0 ok r1
         30..3600/30 fail r1
         30.1 ok r2 r3 r4 r5
         41.1 fail r1
        ",
        "
         0 new -> up: 3 of 5 pass
         30 ask r1 r2 r3 r4 r5
         41.1 up -> partial: 1 of 5 fail; first 30; suspected 30
        ",
    );
}

#[test]
fn a_blip_is_nothing() {
    check(
        "
         watch 5 every 30
         0..90/30 ok all
         31 fail r1
         31.1 ok r2 r3 r4 r5
         32 ok r1
         45 end
        ",
        "
         0 new -> up: 3 of 5 pass
         31 ask r1 r2 r3 r4 r5
        ",
    );
}

#[test]
fn two_of_two() {
    check(
        "
         watch 2 every 30
         0 ok all
         30 fail r1
         30.1 fail r1 r2
         31.2 fail r1 r2
         60.2 fail r1 r2
        ",
        "
         0 new -> up: 2 of 2 pass
         30 ask r1 r2
         60 ask r1 r2
         60.2 up -> down: 2 of 2 fail for 30.2s (2 for 30s needed); first 30; suspected 30; quorum 30.1
        ",
    );
}

#[test]
fn three_of_three() {
    check(
        "
         watch 3 every 30
         0 ok all
         30 fail r1
         30.1 fail all
         31.2 fail all
         50.2 fail all
        ",
        "
         0 new -> up: 2 of 3 pass
         30 ask r1 r2 r3
         50 ask r1 r2 r3
         50.2 up -> down: 3 of 3 fail for 20.2s (3 for 20s needed); first 30; suspected 30; quorum 30.1
        ",
    );
}

/// Three regions whose failures are settled, one after the other; the third passes for a moment. That it fails again
/// does not make the evidence reach back to the first.
#[test]
fn a_moment_of_passing_does_not_make_evidence_of_what_was_before() {
    check(
        "
         watch 5 every 30
         0..20/10 ok all
         30..160/10 fail r1
         30..70/10 ok r2
         80..160/10 fail r2
         30..110/10 ok r3
         120..135/5 fail r3
         141 ok r3
         142 fail r3
         150..160/10 fail r3
         30..160/10 ok r4 r5
        ",
        "
         0 new -> up: 3 of 5 pass
         30 ask r1 r2 r3 r4 r5
         41 ask r1
         50 up -> partial: 1 of 5 fail; first 30; suspected 30
         80 ask r1 r2 r3 r4 r5
         91 ask r1 r2 r3 r4 r5
         120 ask r1 r2 r3 r4 r5
         131 ask r1 r2 r3 r4 r5
        ",
    );
}

/// Rule 4 below five regions.
#[test]
fn two_of_three_after_300s() {
    check(
        "
         watch 3 every 30
         0..360/30 ok r3
         0 ok r1 r2
         30..330/30 fail r1 r2
         30.5..330.5/30 ok r3
        ",
        "
         0 new -> up: 2 of 3 pass
         30 ask r1 r2 r3
         50 ask r1 r2 r3
         60 up -> partial: 2 of 3 fail; first 30; suspected 30
         330 ask r1 r2 r3
         330 partial -> down: 2 of 3, a majority, fail for 5m (5m needed); first 30; suspected 30; quorum 30
        ",
    );
}

#[test]
fn exactly_half_is_partial() {
    check(
        "
         watch 4 every 30
         0 ok all
         30..600/30 fail r1 r2
         30..600/30 ok r3 r4
        ",
        "
         0 new -> up: 3 of 4 pass
         30 ask r1 r2 r3 r4
         50 ask r1 r2 r3 r4
         60 up -> partial: 2 of 4 fail; first 30; suspected 30
        ",
    );
}

/// Half of the regions neither make down nor end it.
#[test]
fn exactly_half_stays_down() {
    check(
        "
         watch 4 every 30
         0 ok all
         30 fail all
         30.5 fail all
         50.5 fail all
         60..600/30 fail r1 r2
         60..600/30 ok r3 r4
        ",
        "
         0 new -> up: 3 of 4 pass
         30 ask r1 r2 r3 r4
         50 ask r1 r2 r3 r4
         50.5 up -> down: 4 of 4 fail for 20.5s (4 for 20s needed); first 30; suspected 30; quorum 30
         60 ask r1 r2 r3 r4
        ",
    );
}

#[test]
fn four_of_four() {
    check(
        "
         watch 4 every 30
         0 ok all
         30 fail r1
         30.2 fail all
         50.2 fail all
        ",
        "
         0 new -> up: 3 of 4 pass
         30 ask r1 r2 r3 r4
         50 ask r1 r2 r3 r4
         50.2 up -> down: 4 of 4 fail for 20.2s (4 for 20s needed); first 30; suspected 30; quorum 30.2
        ",
    );
}

/// Rule 5: three attempts over 30 s, asked for and not waited for; and rule 6.
#[test]
fn single_region() {
    check(
        "
         watch 1 every 60
         0 ok r1
         60 fail r1
         60.2 fail r1
         61.3 fail r1
         90.2 fail r1
         91 ok r1
         91.2 ok r1
         101.2 ok r1
        ",
        "
         0 new -> up: 1 of 1 pass
         60 ask r1
         90 ask r1
         90.2 up -> down: 4 attempts fail for 30.2s; first 60; suspected 60; quorum 60
         95 ask r1
         101.2 down -> up: 1 of 1 pass twice
        ",
    );
}

/// The span alone is not enough.
#[test]
fn single_region_wants_three_attempts() {
    check(
        "
         watch 1 every 60
         0 ok r1
         60 fail r1
         90.2 fail r1
         95.4 fail r1
        ",
        "
         0 new -> up: 1 of 1 pass
         60 ask r1
         72 ask r1
         84 ask r1
         90.2 ask r1
         95.4 up -> down: 3 attempts fail for 35.4s; first 60; suspected 60; quorum 60
        ",
    );
}

#[test]
fn quorum_majority() {
    check(
        "
         watch 5 every 30 quorum majority
         0 ok all
         30 fail r1
         30.2 fail r2 r3
         30.2 ok r4 r5
         41.2 fail r1 r2 r3
        ",
        "
         0 new -> up: 3 of 5 pass
         30 ask r1 r2 r3 r4 r5
         41.2 ask r1 r2 r3 r4 r5
         41.2 up -> down: 3 of 5 fail for 11.2s (3 for 11s needed); first 30; suspected 30; quorum 30.2
        ",
    );
}

/// While the quorum fails, passes of the others ask for nothing.
#[test]
fn quorum_of_two() {
    check(
        "
         watch 5 every 30 quorum 2
         0 ok all
         30 fail r1
         30.2 fail r2
         30.2 ok r3 r4 r5
         41.2 fail r1 r2
         41.2 ok r3 r4 r5
         60..90/30 fail r1 r2
         60..90/30 ok r3 r4 r5
        ",
        "
         0 new -> up: 3 of 5 pass
         30 ask r1 r2 r3 r4 r5
         41.2 ask r1 r2 r3 r4 r5
         41.2 up -> down: 2 of 5 fail for 11.2s (2 for 11s needed); first 30; suspected 30; quorum 30.2
        ",
    );
}

/// The operator's quorum replaces the number of rule 3 only.
#[test]
fn quorum_of_all_still_has_the_majority_rule() {
    check(
        "
         watch 5 every 30 quorum all
         0..90/30 ok r5
         0 ok all
         30 fail r1
         30.2 fail r2 r3 r4
         41.2 fail r1 r2 r3 r4
         60..120/30 fail r1 r2 r3 r4
         60..120/30 ok r5
         120.4 fail r1 r2 r3 r4
        ",
        "
         0 new -> up: 3 of 5 pass
         30 ask r1 r2 r3 r4 r5
         42 up -> partial: 4 of 5 fail; first 30; suspected 30
         120.2 ask r1 r2 r3 r4 r5
         120.4 partial -> down: 4 of 5, a majority, fail for 90.2s (90s needed); first 30; suspected 30; quorum 30.2
        ",
    );
}

#[test]
fn confirm_for() {
    check(
        "
         watch 5 every 30 confirm 5
         0 ok all
         30 fail r1
         30.2 fail all
         35.2 fail all
        ",
        "
         0 new -> up: 3 of 5 pass
         30 ask r1 r2 r3 r4 r5
         35 ask r1 r2 r3 r4 r5
         35.2 up -> down: 5 of 5 fail for 5.2s (4 for 5s needed); first 30; suspected 30; quorum 30.2
        ",
    );
}

#[test]
fn sensitivity_fast() {
    check(
        "
         watch 5 every 30 fast
         0 ok all
         30 fail r1
         30.2 fail r2 r3 r4 r5
        ",
        "
         0 new -> up: 3 of 5 pass
         30 ask r1 r2 r3 r4 r5
         30.2 up -> down: 4 of 5 fail for 0us (4 for 0us needed); first 30; suspected 30; quorum 30.2
        ",
    );
}

#[test]
fn sensitivity_strict() {
    check(
        "
         watch 5 every 30 strict
         0 ok all
         30 fail r1
         30.2 fail r2 r3 r4 r5
         52.2 fail all
         60 ok all
         80.2 ok all
        ",
        "
         0 new -> up: 3 of 5 pass
         30 ask r1 r2 r3 r4 r5
         52 ask r1 r2 r3 r4 r5
         52.2 up -> down: 5 of 5 fail for 22.2s (4 for 22s needed); first 30; suspected 30; quorum 30.2
         60 ask r1 r2 r3 r4 r5
         80 ask r1 r2 r3 r4 r5
         80.2 down -> up: 5 of 5 pass twice
        ",
    );
}

/// Rounds make the interval irrelevant, in both directions.
#[test]
fn five_minute_interval() {
    check(
        "
         watch 5 every 300
         0 ok all
         310 fail r1
         310.2 fail all
         311.3 fail all
         321.2 fail all
         400 ok r1
         400.2 ok all
         410.2 ok all
        ",
        "
         0 new -> up: 3 of 5 pass
         310 ask r1 r2 r3 r4 r5
         321 ask r1 r2 r3 r4 r5
         321.2 up -> down: 5 of 5 fail for 11.2s (4 for 11s needed); first 310; suspected 310; quorum 310.2
         400 ask r1 r2 r3 r4 r5
         410.2 ask r1 r2 r3 r4 r5
         410.2 down -> up: 5 of 5 pass twice
        ",
    );
}

/// The region that failed passes twice over 10 s; only it is asked.
#[test]
fn partial_ends() {
    check(
        "
         watch 5 every 30
         0..150/30 ok r2 r3 r4 r5
         0 ok r1
         40 fail r1
         40.2 fail r1
         51.2 fail r1
         60..90/30 fail r1
         120 ok r1
         130.2 ok r1
        ",
        "
         0 new -> up: 3 of 5 pass
         40 ask r1 r2 r3 r4 r5
         52 up -> partial: 1 of 5 fail; first 40; suspected 40
         130 ask r1
         130.2 partial -> up: 5 of 5 pass twice
        ",
    );
}
