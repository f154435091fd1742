//! Restarts: nothing is told twice, nothing is forgotten.

use crate::script::check;

#[test]
fn what_was_told_is_resolved_and_not_told_again() {
    check(
        "
         watch shop
         10 down shop
         20 restart
         30 up shop
         40 restart
         99 end
        ",
        "
         10 tell shop
         30 resolve shop
        ",
    );
}

#[test]
fn what_waits_goes_on_waiting() {
    check(
        "
         watch gateway
         watch chat after gateway
         watch m1..m8
         10 down gateway, down chat
         20 restart
         30 up gateway
         50 restart
         100 restart
         110 suspect m1..m8
         120 down m1
         122 restart
         130 end
        ",
        "
         10 tell gateway
         10 hold chat by gateway
         30 resolve gateway
         90 tell chat
         125 tell m1
        ",
    );
}

#[test]
fn groups_and_flapping_go_on() {
    check(
        "
         watch m1..m10
         watch shop
         0 suspect m1..m10
         11 down m1..m8
         13 restart
         17 restart
         30 up m1..m8
         100 down shop
         110 up shop
         120 restart
         130 down shop
         140 restart
         150 up shop
         160 restart
         800 end
        ",
        "
         16 group began m1 m2 m3 m4 m5 m6 m7 m8 of 11 on 8
         30 group ended (m1) (m2) (m3) (m4) (m5) (m6) (m7) (m8) of 11 on 8
         100 tell shop
         110 resolve shop
         130 flapping shop began down: 3 edges (3 new), down 10s (10s new)
         130 hush shop
         750 flapping shop ended up: 4 edges (1 new), down 30s (20s new)
        ",
    );
}

/// Agents have 60 s to connect; one that was said to be offline is not said to be so again.
#[test]
fn agents_are_waited_for() {
    check(
        "
         watch shop in 3
         agents r1 r2 r3
         7 silent r3
         100 silent r2
         103 restart
         300 heard r3
         310 heard r2
         320 restart
         400 end
        ",
        "
         90 offline r3, 2 heard; shop 2 of 3 left, 2 needed
         248 offline r2, 1 heard; shop 1 of 3 left, none needed
         310 back r3, 1 away
         320 back r2, 0 away
        ",
    );
}
