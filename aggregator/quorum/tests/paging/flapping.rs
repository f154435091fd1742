//! Monitors that go up and down.

use quorate_quorum::{Moment, PagingEvent, PagingSettings};

use crate::script::{Runner, check};

#[test]
fn the_third_edge_is_told_as_flapping_and_ten_stable_minutes_end_it() {
    check(
        "
         watch shop
         0 down shop
         60 up shop
         120 down shop
         180 up shop
         240 down shop
         300 up shop
         1000 end
        ",
        "
         0 tell shop
         60 resolve shop
         120 flapping shop began down: 3 edges (3 new), down 60s (60s new)
         120 hush shop
         240 hush shop
         900 flapping shop ended up: 6 edges (3 new), down 3m (2m new)
        ",
    );
}

/// Out of down is an edge, whether to up or to partial; from there to up is none.
#[test]
fn an_edge_back_counts() {
    check(
        "
         watch shop
         0 down shop
         550 up shop
         580 down shop
         590 partial shop
         700 up shop
         1300 end
        ",
        "
         0 tell shop
         550 resolve shop
         580 flapping shop began down: 3 edges (3 new), down 9.2m (9.2m new)
         580 hush shop
         1190 flapping shop ended up: 4 edges (1 new), down 9.3m (10s new)
        ",
    );
}

#[test]
fn a_long_outage_is_not_hidden_and_digests_come_every_half_hour() {
    check(
        "
         watch shop
         0 down shop
         60 up shop
         120 down shop
         400 up shop
         500 down shop
         850 up shop
         1300 down shop
         1350 up shop
         1800 down shop
         1810 up shop
         2600 end
        ",
        "
         0 tell shop
         60 resolve shop
         120 flapping shop began down: 3 edges (3 new), down 60s (60s new)
         120 hush shop
         500 hush shop
         800 tell shop
         850 resolve shop
         1300 hush shop
         1800 hush shop
         1920 flapping shop goes on up: 10 edges (7 new), down 12.5m (11.5m new)
         2410 flapping shop ended up: 10 edges (0 new), down 12.5m (0us new)
        ",
    );
}

/// Whoever does not want it gets every page.
#[test]
fn without_flapping_every_outage_is_a_page() {
    let mut runner = Runner::default();
    let settings = PagingSettings { flapping: false, ..PagingSettings::default() };
    runner.handle(PagingEvent::Follow(settings), Moment(0));
    runner.step(Moment(0), "watch shop");
    for second in 0..6 {
        let verb = if second % 2 == 0 { "down" } else { "up" };
        runner.step(Moment(second * 1_000_000), &format!("{verb} shop"));
    }
    assert_eq!(
        runner.done,
        ["0 tell shop", "1 resolve shop", "2 tell shop", "3 resolve shop", "4 tell shop", "5 resolve shop"]
    );
}

/// A parent's comings and goings are not its children's.
#[test]
fn edges_while_held_do_not_count() {
    check(
        "
         watch gateway
         watch shop after gateway
         0 down gateway, down shop
         20 up gateway, up shop
         100 down gateway, down shop
         120 up gateway, up shop
         300 down shop
         320 up shop
         800 end
        ",
        "
         0 tell gateway
         0 hold shop by gateway
         20 resolve gateway
         100 flapping gateway began down: 3 edges (3 new), down 20s (20s new)
         100 hush gateway
         100 hold shop by gateway
         300 tell shop
         320 resolve shop
         720 flapping gateway ended up: 4 edges (1 new), down 40s (20s new)
        ",
    );
}

/// What was told is resolved, though the monitor flaps by the same edge.
#[test]
fn an_edge_back_can_be_the_third() {
    check(
        "
         watch shop
         0 down shop
         590 up shop
         595 down shop
         601 up shop
         605 down shop
         610 unobserved shop
         950 down shop
         960 up shop
         1700 end
        ",
        "
         0 tell shop
         590 resolve shop
         595 flapping shop began down: 3 edges (3 new), down 9.8m (9.8m new)
         595 hush shop
         605 hush shop
         950 tell shop
         960 resolve shop
         1560 flapping shop ended up: 6 edges (3 new), down 15.8m (6m new)
        ",
    );
}

#[test]
fn a_monitor_that_is_removed_flaps_no_longer() {
    check(
        "
         watch shop
         0 down shop
         60 up shop
         120 down shop
         130 unwatch shop
         5000 end
        ",
        "
         0 tell shop
         60 resolve shop
         120 flapping shop began down: 3 edges (3 new), down 60s (60s new)
         120 hush shop
         130 flapping shop ended gone: 3 edges (0 new), down 70s (10s new)
        ",
    );
}

/// The first of three edges is over ten minutes old at the third, to the second.
#[test]
fn three_edges_in_ten_minutes_and_no_longer() {
    check(
        "
         watch shop
         0 down shop
         300 up shop
         600 down shop
         700 up shop
         1400 end
        ",
        "
         0 tell shop
         300 resolve shop
         600 tell shop
         700 resolve shop
         700 flapping shop began up: 3 edges (3 new), down 100s (100s new)
         1300 flapping shop ended up: 3 edges (0 new), down 100s (0us new)
        ",
    );
}

/// A digest tells how it is, and no outage before it is long.
#[test]
fn a_digest_in_the_middle_of_an_outage_is_no_page() {
    check(
        "
         watch shop
         0 down shop
         60 up shop
         120 down shop
         400 up shop
         900 down shop
         1000 up shop
         1500 down shop
         1550 up shop
         1900 down shop
         2250 up shop
        ",
        "
         0 tell shop
         60 resolve shop
         120 flapping shop began down: 3 edges (3 new), down 60s (60s new)
         120 hush shop
         900 hush shop
         1500 hush shop
         1900 hush shop
         1920 flapping shop goes on down: 9 edges (6 new), down 8.5m (7.5m new)
         2200 tell shop
         2250 resolve shop
        ",
    );
}

/// What is not up when it has come to rest is told.
#[test]
fn the_end_of_flapping_leaves_a_partial_outage_that_is_told() {
    check(
        "
         watch shop
         0 down shop
         60 up shop
         120 down shop
         130 partial shop
         800 up shop
        ",
        "
         0 tell shop
         60 resolve shop
         120 flapping shop began down: 3 edges (3 new), down 60s (60s new)
         120 hush shop
         730 flapping shop ended partial: 4 edges (1 new), down 70s (10s new)
         730 tell shop
         800 resolve shop
        ",
    );
}

/// A monitor that flaps already and goes down with its parent has one more edge where it outlasts its parent.
#[test]
fn what_flaps_and_outlasts_its_parent_has_an_edge_more() {
    check(
        "
         watch gateway
         watch chat after gateway
         0 down chat
         10 up chat
         20 down chat
         30 up chat
         100 down gateway, down chat
         110 up gateway
         180 up chat
         800 end
        ",
        "
         0 tell chat
         10 resolve chat
         20 flapping chat began down: 3 edges (3 new), down 10s (10s new)
         20 hush chat
         100 tell gateway
         100 hold chat by gateway
         110 resolve gateway
         170 tell chat
         180 resolve chat
         780 flapping chat ended up: 6 edges (3 new), down 30s (20s new)
        ",
    );
}
