//! Parents hold the pages of their children.

use crate::script::check;

#[test]
fn a_single_outage_is_told_at_once() {
    check(
        "
         watch shop
         watch chat
         0 up shop
         10 down shop
         40 partial shop
         60 up shop
        ",
        "
         10 tell shop
         40 tell shop
         60 resolve shop
        ",
    );
}

#[test]
fn a_child_waits_for_its_parent_and_recovers_without_a_word() {
    check(
        "
         watch gateway
         watch chat after gateway
         10 down gateway, down chat
         100 up gateway
         130 up chat
         300 end
        ",
        "
         10 tell gateway
         10 hold chat by gateway
         100 resolve gateway
        ",
    );
}

/// The grace is a vote's lifetime: 60 s at T = 30 s.
#[test]
fn a_child_that_stays_down_is_told_after_its_grace() {
    check(
        "
         watch gateway
         watch chat after gateway every 30
         watch slow after gateway every 300
         10 down gateway, down chat, down slow
         100 up gateway
         400 up chat
         900 up slow
        ",
        "
         10 tell gateway
         10 hold chat by gateway
         10 hold slow by gateway
         100 resolve gateway
         160 tell chat
         400 resolve chat
         700 tell slow
         900 resolve slow
        ",
    );
}

/// A parent that comes and goes uses the grace up: 20 s, 30 s, 10 s.
#[test]
fn a_parent_that_comes_and_goes_hides_no_child_for_ever() {
    check(
        "
         watch gateway
         watch chat after gateway
         10 down gateway, down chat
         100 partial gateway
         120 down gateway
         200 unobserved gateway
         230 down gateway
         300 partial gateway
         320 down gateway
        ",
        "
         10 tell gateway
         10 hold chat by gateway
         100 tell gateway
         120 flapping gateway began down: 3 edges (3 new), down 90s (90s new)
         120 hush gateway
         310 tell chat
        ",
    );
}

#[test]
fn a_suspect_parent_is_waited_for_and_no_longer_than_15_s() {
    check(
        "
         watch gateway
         watch a after gateway
         watch b after gateway
         watch c after gateway
         9 suspect gateway
         10 down a
         16 down gateway, clear gateway
         20 down b
         40 up gateway
         50 up a, up b
         99 suspect gateway
         100 down c
         115 end
         120 up c
         199 suspect gateway
         200 down a
         203 clear gateway
         210 up a
        ",
        "
         10 hold a by gateway
         16 tell gateway
         20 hold b by gateway
         40 resolve gateway
         100 hold c by gateway
         115 tell c
         120 resolve c
         200 hold a by gateway
         203 tell a
         210 resolve a
        ",
    );
}

/// Any ancestor holds, however far up; a child that was paged before its parent failed stays paged.
#[test]
fn chains_and_several_parents() {
    check(
        "
         watch dns
         watch gateway after dns
         watch api after gateway
         watch chat after api,feed
         watch feed
         10 down chat
         20 down dns
         25 down api
         30 up chat
         35 down chat
         40 down feed
         50 up dns
         100 up feed
         111 up api
         200 end
        ",
        "
         10 tell chat
         20 tell dns
         25 hold api by dns
         30 resolve chat
         35 hold chat by api dns
         40 tell feed
         40 hold chat by api dns feed
         50 resolve dns
         50 hold chat by api feed
         100 resolve feed
         100 hold chat by api
         110 tell api
         111 resolve api
         171 tell chat
        ",
    );
}

#[test]
fn partial_is_held_as_well_and_a_parent_that_is_gone_holds_nobody() {
    check(
        "
         watch gateway
         watch chat after gateway
         watch b after gateway
         10 down gateway
         20 partial chat, down b
         30 unwatch gateway
         200 end
        ",
        "
         10 tell gateway
         20 hold chat by gateway
         20 hold b by gateway
         30 resolve gateway
         90 tell b
         90 tell chat
        ",
    );
}

/// Edges of a child count where only a suspicion held it; while its parents were down they are its parents'.
#[test]
fn which_edges_of_a_child_count() {
    check(
        "
         watch gateway
         watch chat after gateway
         99 suspect gateway
         100 down chat
         103 clear gateway
         110 up chat
         119 suspect gateway
         120 down chat
         123 clear gateway
         130 up chat
         730 end
        ",
        "
         100 hold chat by gateway
         103 tell chat
         110 resolve chat
         120 hold chat by gateway
         123 flapping chat began down: 3 edges (3 new), down 7s (7s new)
         123 hush chat
         730 flapping chat ended up: 4 edges (1 new), down 14s (7s new)
        ",
    );
    check(
        "
         watch gateway
         watch chat after gateway
         0 down gateway, down chat
         10 up gateway
         80 up chat
         90 down chat
         95 unobserved chat
        ",
        "
         0 tell gateway
         0 hold chat by gateway
         10 resolve gateway
         70 tell chat
         80 resolve chat
         90 tell chat
         95 tell chat
        ",
    );
}
