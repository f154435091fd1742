//! Domains: no provider and no network alone makes down while another one votes.

use crate::script::check;

/// Four stand with one provider, and the fifth with another.
const FOUR_AND_ONE: &str = "
    0 label r1 r2 r3 r4 provider=a
    0 label r5 provider=b";

/// The fifth passes all the while.
const FIFTH_PASSES: &str = "31.2 ok r5
    42.2 ok r5";

/// Five regions pass, and four of them begin to fail: how they are watched and where they stand, what else happens, and what
/// is told from then on.
#[track_caller]
fn check_four(labels: &str, more: &str, told: &str) {
    let happens = format!(
        "watch 5 every 30 {labels}
         0 ok all
         31 fail r1
         31.2 fail r1 r2 r3 r4
         42.2 fail r1 r2 r3 r4
         {more}"
    );
    let told = format!(
        "0 new -> up: 3 of 5 pass
         31 ask r1 r2 r3 r4 r5
         {told}"
    );
    check(&happens, &told);
}

/// Four of five regions stand with one provider, and the fifth passes: it is the provider that is broken.
#[test]
fn one_provider_alone_is_partial() {
    check_four(
        FOUR_AND_ONE,
        &format!("{FIFTH_PASSES}\n60..300/30 fail r1 r2 r3 r4\n60..300/30 ok r5"),
        "42 ask r1 r2 r3 r4 r5
         42.2 up -> partial: 4 of 5 fail, of 1 domains (2 needed); first 31; suspected 31",
    );
}

/// A majority of one provider is no more: rule 4 wants two domains as well.
#[test]
fn a_majority_of_one_provider_is_partial() {
    check(
        "
         watch 5 every 30
         0 label r1 r2 r3 network=a
         0 label r4 r5 network=b
         0..240/30 ok r4 r5
         0 ok r1 r2 r3
         31..240/11 fail r1 r2 r3
        ",
        "
         0 new -> up: 3 of 5 pass
         31 ask r1 r2 r3 r4 r5
         43 up -> partial: 3 of 5 fail, of 1 domains (2 needed); first 31; suspected 31
        ",
    );
}

/// Two providers that fail are enough, and unlabelled agents are of domains of their own. With `min_domains = 1` nobody asks.
#[test]
fn two_domains_make_down_and_one_where_one_is_enough() {
    for labels in [
        "\n0 label r1 r2 r3 provider=a\n0 label r4 provider=b",
        "\n0 label r1 r2 r3 provider=a\n0 label r5 provider=a",
        "\n0 label r1 r2 r3 provider=a\n0 label r4 network=a",
        &format!("domains 1 {FOUR_AND_ONE}"),
    ] {
        check_four(
            labels,
            "",
            "42.2 up -> down: 4 of 5 fail for 11.2s (4 for 11s needed); first 31; suspected 31; quorum 31.2",
        );
    }
}

/// Where there is one domain and no other, it decides.
#[test]
fn one_domain_that_is_all_decides() {
    check(
        "
         watch 5 every 30
         0 label r1 r2 r3 r4 r5 provider=a
         0 ok all
         31 fail r1
         31.2 fail all
         42.2 fail all
        ",
        "
         0 new -> up: 3 of 5 pass
         31 ask r1 r2 r3 r4 r5
         42 ask r1 r2 r3 r4 r5
         42.2 up -> down: 5 of 5 fail for 11.2s (4 for 11s needed); first 31; suspected 31; quorum 31.2
        ",
    );
}

/// Three domains are wanted, and a third is there and passes; where it is not there, two are enough.
#[test]
fn as_many_as_are_there() {
    check(
        "
         watch 6 every 30 domains 3 quorum majority
         0 label r1 r2 provider=a
         0 label r3 r4 provider=b
         0 label r5 r6 provider=c
         0 ok all
         31 fail r1
         31.2 fail r1 r2 r3 r4
         31.2 ok r5 r6
         42.2 fail r1 r2 r3 r4
         42.2 ok r5 r6
         60..180/30 fail r1 r2 r3 r4
         60..90/30 ok r5 r6
         100 sick r5 r6
         180 end
        ",
        "
         0 new -> up: 4 of 6 pass
         31 ask r1 r2 r3 r4 r5 r6
         42 ask r1 r2 r3 r4 r5 r6
         42.2 up -> partial: 4 of 6 fail, of 2 domains (3 needed); first 31; suspected 31
         100 partial -> down: 4 of 4 fail for 58.8s (3 for 20s needed); first 31.2; suspected 31; quorum 100
        ",
    );
}

/// The other domain's agent restarts: its last word stands for as long as a vote lives, and then the rest decide.
#[test]
fn a_domain_that_falls_silent_is_there_for_a_while() {
    let partial = "42 ask r1 r2 r3 r4 r5
         42.2 up -> partial: 4 of 5 fail, of 1 domains (2 needed); first 31; suspected 31";
    let silent = format!("{FIFTH_PASSES}\n43 silent r5\n60..300/30 fail r1 r2 r3 r4");
    let down = "102.2 partial -> down: 4 of 4 fail for 58.8s (4 for 20s needed); first 31.2; suspected 31; quorum 102.2";
    check_four(FOUR_AND_ONE, &silent, &format!("{partial}\n{down}"));
    check_four(FOUR_AND_ONE, &format!("{silent}\n80 heard r5\n81..300/30 ok r5"), partial);
}

/// What was partial with few regions grows, within one provider: it stays partial, and why is told once.
#[test]
fn withheld_is_told_once() {
    check(
        "
         watch 5 every 30
         0 label r1 r2 r3 r4 provider=a
         0 label r5 provider=b
         0 ok all
         31 fail r1
         31.2 fail r1
         31.2 ok r2 r3 r4 r5
         42.2 fail r1
         60..300/30 fail r1
         60..300/30 ok r5
         91..300/30 fail r2 r3 r4
        ",
        "
         0 new -> up: 3 of 5 pass
         31 ask r1 r2 r3 r4 r5
         42 ask r1
         42.2 up -> partial: 1 of 5 fail; first 31; suspected 31
         91 ask r1 r2 r3 r4 r5
         103 partial -> partial: 4 of 5 fail, of 1 domains (2 needed); first 31; suspected 91
         103 ask r1 r2 r3 r4 r5
         115 ask r1 r2 r3 r4 r5
        ",
    );
}

/// Of a region with agents of two providers, those count that carry its vote.
#[test]
fn domains_of_a_region_are_those_of_the_agents_that_carry_its_vote() {
    // Of three agents in each region two are of one provider and fail; the third passes, and is outvoted.
    check(
        "
         watch 2 every 30
         0 heard r1/b r1/c r2/b r2/c
         0 label r1 r1/b r2 r2/b provider=a
         0 label r1/c r2/c provider=b
         0..300/30 ok r1/c r2/c
         0 ok r1 r1/b r2 r2/b
         30..300/30 fail r1 r1/b r2 r2/b
        ",
        "
         0 new -> up: 2 of 2 pass
         30 ask r1 r2
         35 ask r1 r2
         60 ask r1 r2
         60 up -> partial: 2 of 2 fail, of 1 domains (2 needed); first 30; suspected 30
        ",
    );
    // One of each fails: both providers say so.
    check(
        "
         watch 2 every 30
         0 heard r1/b r1/c r2/b r2/c
         0 label r1 r1/b r2 r2/b provider=a
         0 label r1/c r2/c provider=b
         0..300/30 ok r1 r2
         0 ok r1/b r1/c r2/b r2/c
         30..300/30 fail r1/b r1/c r2/b r2/c
        ",
        "
         0 new -> up: 2 of 2 pass
         30 ask r1 r2
         35 ask r1 r2
         60 ask r1 r2
         60 up -> down: 2 of 2 fail for 30s (2 for 30s needed); first 30; suspected 30; quorum 30
        ",
    );
}

/// What is down stays down while one domain still fails, by the usual rules of recovery.
#[test]
fn domains_do_not_end_an_outage() {
    check(
        "
         watch 5 every 30
         0 label r1 r2 r3 r4 provider=a
         0 label r5 provider=b
         0 ok all
         31 fail r1
         31.2 fail all
         42.2 fail all
         60..90/30 fail all
         120..200/10 ok r5
         120..200/10 fail r1 r2 r3 r4
         210..260/10 ok all
        ",
        "
         0 new -> up: 3 of 5 pass
         31 ask r1 r2 r3 r4 r5
         42 ask r1 r2 r3 r4 r5
         42.2 up -> down: 5 of 5 fail for 11.2s (4 for 11s needed); first 31; suspected 31; quorum 31.2
         120 ask r1 r2 r3 r4 r5
         210 ask r1 r2 r3 r4 r5
         220 ask r1 r2 r3 r4 r5
         220 down -> up: 5 of 5 pass twice
        ",
    );
}

/// After a restart, the domain that is not back yet is waited for.
#[test]
fn an_absent_domain_is_awaited_after_a_restart() {
    check(
        "
         watch 5 every 30 absent
         0 label r1 r2 r3 r4 provider=a
         0 label r5 provider=b
         0 restore up
         3 heard r1 r2 r3 r4
         4 fail r1
         4.3 fail r1 r2 r3 r4
         15.3 fail r1 r2 r3 r4
         30..120/30 fail r1 r2 r3 r4
        ",
        "
         4 ask r1 r2 r3 r4
         15 ask r1 r2 r3 r4
         15.3 up -> partial: 4 of 5 fail, of 1 domains (2 needed); first 4; suspected 4
         90 partial -> down: 4 of 4 fail for 55.7s (4 for 20s needed); first 4.3; suspected 4; quorum 90
        ",
    );
}

/// An agent that is enrolled anew under another provider is of another domain at once.
#[test]
fn another_label_counts_at_once() {
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
         50 fail r1 r2 r3 r4
         51 label r4 provider=a
         52 label r4 provider=c
         70 fail r1 r2 r3 r4
        ",
        "
         0 new -> up: 3 of 5 pass
         31 ask r1 r2 r3 r4 r5
         42 ask r1 r2 r3 r4 r5
         42.2 up -> partial: 4 of 5 fail, of 1 domains (2 needed); first 31; suspected 31
         52 partial -> down: 4 of 5 fail for 18.8s (4 for 11s needed); first 31.2; suspected 31; quorum 52
        ",
    );
}
