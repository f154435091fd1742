//! Numbers that were measured: spans over which regions fail together, and regions that abstain.

use quorate_quorum::{Abstention, Moment, Vote};

use crate::script::{check, run};

/// The regions that fail first have failed for long; what counts is since when enough do.
#[test]
fn together_counts_from_the_last_that_was_needed() {
    let script = "
         watch 5 every 30 together 20
         0 ok all
         30 fail r1 r2
         30.2 ok r3 r4 r5
         42 fail r1 r2
         42.2 ok r3 r4 r5
         50 fail r3 r4
         50.1 fail r1 r2
         50.1 ok r5
         69.9 fail r1 r2 r3 r4
         70.1 fail r1 r2 r3
         70.2 fail r4
        ";
    check(
        script,
        "
         0 new -> up: 3 of 5 pass
         30 ask r1 r2 r3 r4 r5
         50 ask r1 r2 r3 r4 r5
         70 ask r1 r2 r3 r4 r5
         70.2 up -> down: 4 of 5 fail for 20.1s (4 for 20s needed); first 30; suspected 30; quorum 50
        ",
    );
    // Counted from the first failure the same had been down when the fourth region failed.
    check(
        &script.replace("together", "span"),
        "
         0 new -> up: 3 of 5 pass
         30 ask r1 r2 r3 r4 r5
         50 ask r1 r2 r3 r4 r5
         50.1 up -> down: 4 of 5 fail for 20s (4 for 20s needed); first 30; suspected 30; quorum 50
        ",
    );
}

/// What fails from a noisy path is neither asked after nor counted; the others decide as if they were all.
#[test]
fn a_noisy_region_abstains() {
    let script = "
         watch 5 every 30 noisy r5
         0..60/30 ok r1 r2 r3 r4
         0..60/30 fail r5
         90 fail r1
         90.2 fail r2 r3 r4
         90.2 ok r5
         101.2 fail r1 r2 r3 r4
        ";
    check(
        script,
        "
         0 new -> up: 3 of 4 pass
         90 ask r1 r2 r3 r4
         101.2 ask r1 r2 r3 r4
         101.2 up -> down: 4 of 4 fail for 11.2s (4 for 11s needed); first 90; suspected 90; quorum 90.2
        ",
    );
    let (_, _, engine) = run(script);
    let state = engine.monitor(&"m".parse().unwrap(), Moment(101_200_000)).unwrap();
    assert_eq!(state.regions["r5"].vote, Vote::Abstain(Abstention::Noisy));
}

/// What is partial does not become well because the region that fails has lost its vote: it ends when that no longer fails.
/// What fails from there later is noise.
#[test]
fn partial_by_a_noisy_region_lasts_as_long_as_it_fails() {
    check(
        "
         watch 5 every 30
         0..600/30 ok r1 r2 r3 r4
         30..180/30 fail r5
         41.2 fail r5
         100 watch 5 every 30 noisy r5
         210..300/30 ok r5
         330..600/30 fail r5
        ",
        "
         0 new -> up: 3 of 5 pass
         30 ask r1 r2 r3 r4 r5
         42 up -> partial: 1 of 5 fail; first 30; suspected 30
         240 partial -> up: 4 of 4 pass twice
        ",
    );
}

/// With fewer voters than were measured the usual spans are the least.
#[test]
fn fewer_voters_insist_longer() {
    check(
        "
         watch 3 every 30 span 11
         0..60/30 ok all
         61 silent r3
         90 fail r1 r2
         120 fail r1 r2
        ",
        "
         0 new -> up: 2 of 3 pass
         90 ask r1 r2
         120 ask r1 r2
         120 up -> down: 2 of 2 fail for 30s (2 for 30s needed); first 90; suspected 90; quorum 90
        ",
    );
}

/// What the operator set outweighs what was measured, and no measurement leaves a minority to decide.
#[test]
fn what_is_measured_has_bounds() {
    let script = "
         watch 5 every 30 OPTIONS
         0..60/30 ok all
         90 fail all
         120 fail all
        ";
    for (options, wanted) in [
        ("confirm 25 span 11 noisy r1", "up -> down: 5 of 5 fail for 30s (4 for 25s needed)"),
        ("fast span 11 noisy r1", "up -> down: 4 of 5 fail for 0us (4 for 0us needed)"),
        ("span 29 noisy r1,r2", "up -> down: 3 of 3 fail for 30s (3 for 29s needed)"),
        ("span 29 noisy r1,r2,r3", "up -> down: 5 of 5 fail for 30s (4 for 11s needed)"),
    ] {
        let (told, _, _) = run(&script.replace("OPTIONS", options));
        assert!(told.contains(wanted), "{options}: {told}");
    }
}

/// A longer span for more than half.
#[test]
fn the_majority_fails_together_for_as_long_as_was_measured() {
    let script = "
         watch 5 every 30 most 180
         0..300/30 ok r4 r5
         0 ok r1 r2 r3
         30..300/30 fail r1 r2 r3
         41 fail r1 r2 r3
        ";
    let (told, _, _) = run(script);
    assert!(told.contains("210 partial -> down: 3 of 5, a majority, fail for 3m (3m needed)"), "{told}");
    let (told, _, _) = run(&script.replace("most 180", "most 90"));
    assert!(told.contains("120 partial -> down: 3 of 5, a majority, fail for 90s (90s needed)"), "{told}");
}

/// In a hiccup of more than half that is one region at a time no majority fails together.
#[test]
fn a_majority_that_takes_turns_is_none() {
    let (told, _, _) = run("
         watch 5 every 30
         0..20/10 ok all
         30..300/10 fail r1
         30..300/20 fail r2
         40..300/20 ok r2
         40..300/20 fail r3
         30..300/20 ok r3
         30..300/10 ok r4 r5
        ");
    assert!(!told.contains("down"), "{told}");
}

/// A noisy region alone with another provider has no veto.
#[test]
fn the_domain_of_a_noisy_region_is_not_there() {
    let script = "
         watch 5 every 30 OPTIONS
         0 label r1 r2 r3 r4 provider=a
         0 label r5 provider=b
         1..61/30 ok all
         91 fail r1 r2 r3 r4
         91 ok r5
         121 fail r1 r2 r3 r4
         121 ok r5
        ";
    let (told, _, _) = run(&script.replace("OPTIONS", "noisy r5"));
    assert!(told.contains("up -> down: 4 of 4 fail"), "{told}");
    let (told, _, _) = run(&script.replace("OPTIONS", ""));
    assert!(!told.contains("down"), "{told}");
}
