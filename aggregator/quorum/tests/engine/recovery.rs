//! The ways back.

use crate::script::check;

#[test]
fn recovery_needs_a_majority_twice() {
    check(
        "
         watch 5 every 30
         0 ok all
         31 fail all
         31.2 fail all
         42.3 fail all
         60 ok r1 r2
         60.2 ok r1 r2
         60.2 fail r3 r4 r5
         70.2 ok r1 r2
         70.2 fail r3 r4 r5
         90 ok r3
         90.2 ok r1 r2 r3
         90.2 fail r4 r5
         100.3 ok r1 r2 r3
         100.4 fail r4 r5
        ",
        "
         0 new -> up: 3 of 5 pass
         31 ask r1 r2 r3 r4 r5
         42 ask r1 r2 r3 r4 r5
         42.3 up -> down: 5 of 5 fail for 11.3s (4 for 11s needed); first 31; suspected 31; quorum 31
         60 ask r1 r2 r3 r4 r5
         90 ask r1 r2 r3 r4 r5
         100 ask r1 r2 r3 r4 r5
         100.4 down -> partial: 2 of 5 fail; first 31; suspected 31
        ",
    );
}

/// Passes that do not last are no recovery.
#[test]
fn crash_loop() {
    check(
        "
         watch 5 every 30
         0 ok all
         31 fail all
         31.2 fail all
         42.3 fail all
         60 ok all
         60.3 ok all
         65 fail r1
         70.4 fail all
         90 ok all
         100.2 ok all
        ",
        "
         0 new -> up: 3 of 5 pass
         31 ask r1 r2 r3 r4 r5
         42 ask r1 r2 r3 r4 r5
         42.3 up -> down: 5 of 5 fail for 11.3s (4 for 11s needed); first 31; suspected 31; quorum 31
         60 ask r1 r2 r3 r4 r5
         70 ask r1 r2 r3 r4 r5
         90 ask r1 r2 r3 r4 r5
         100.2 ask r1 r2 r3 r4 r5
         100.2 down -> up: 5 of 5 pass twice
        ",
    );
}

/// Two of five page here, so a majority that passes is not enough.
#[test]
fn recovery_of_a_quorum_smaller_than_half() {
    check(
        "
         watch 5 every 30 quorum 2
         0 ok all
         31 fail r1 r2
         31.2 fail r1 r2
         31.2 ok r3 r4 r5
         42.3 fail r1 r2
         60..150/30 ok r3 r4 r5
         60 fail r1 r2
         90 fail r1
         90 ok r2
         90.2 ok r2 r3 r4 r5
         90.2 fail r1
         100.3 ok r2 r3 r4 r5
         100.4 fail r1
        ",
        "
         0 new -> up: 3 of 5 pass
         31 ask r1 r2 r3 r4 r5
         42 ask r1 r2 r3 r4 r5
         42.3 up -> down: 2 of 5 fail for 11.3s (2 for 11s needed); first 31; suspected 31; quorum 31
         90 ask r1 r2 r3 r4 r5
         100 ask r1 r2 r3 r4 r5
         100.4 down -> partial: 1 of 5 fail; first 31; suspected 31
        ",
    );
}

#[test]
fn no_flap_at_a_quorum_smaller_than_half() {
    check(
        "
         watch 5 every 30 quorum 2
         0 ok all
         31 fail r1 r2
         31.2 fail r1 r2
         31.2 ok r3 r4 r5
         42.3 fail r1 r2
         60..360/30 ok r3 r4 r5
         60..360/30 fail r1
         60..360/60 ok r2
         90..360/60 fail r2
        ",
        "
         0 new -> up: 3 of 5 pass
         31 ask r1 r2 r3 r4 r5
         42 ask r1 r2 r3 r4 r5
         42.3 up -> down: 2 of 5 fail for 11.3s (2 for 11s needed); first 31; suspected 31; quorum 31
         60 ask r1 r2 r3 r4 r5
         72 ask r1 r2 r3 r4 r5
         84 ask r1 r2 r3 r4 r5
         120 ask r1 r2 r3 r4 r5
         132 ask r1 r2 r3 r4 r5
         144 ask r1 r2 r3 r4 r5
         180 ask r1 r2 r3 r4 r5
         192 ask r1 r2 r3 r4 r5
         204 ask r1 r2 r3 r4 r5
         240 ask r1 r2 r3 r4 r5
         252 ask r1 r2 r3 r4 r5
         264 ask r1 r2 r3 r4 r5
         300 ask r1 r2 r3 r4 r5
         312 ask r1 r2 r3 r4 r5
         324 ask r1 r2 r3 r4 r5
         360 ask r1 r2 r3 r4 r5
        ",
    );
}

#[test]
fn half_recovers() {
    check(
        "
         watch 2 every 30
         0 ok all
         31 fail r1
         31.2 fail r1
         31.2 ok r2
         61.2 fail r1
         61.3 ok r2
         90 ok r2
         91 ok r1
         101.2 ok r1
        ",
        "
         0 new -> up: 2 of 2 pass
         31 ask r1 r2
         61 ask r1
         61.2 up -> partial: 1 of 2 fail; first 31; suspected 31
         101 ask r1
         101.2 partial -> up: 2 of 2 pass twice
        ",
    );
}

/// A failure is over when nothing fails for as long as a vote lives.
#[test]
fn partial_ends_with_an_absence() {
    check(
        "
         watch 5 every 30
         0..240/30 ok r1 r2 r3 r4
         0..60/30 ok r5
         91 fail r5
         91.2 ok r1 r2 r3 r4
         102.2 fail r5
         110 silent r5
        ",
        "
         0 new -> up: 3 of 5 pass
         91 ask r1 r2 r3 r4 r5
         102.2 up -> partial: 1 of 5 fail; first 91; suspected 91
         162.2 partial -> up: 4 of 4 pass twice
        ",
    );
}
