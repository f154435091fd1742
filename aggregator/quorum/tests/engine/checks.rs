//! Which checks count, and as what: late ones, those of an old form, and runs of them, to the moment.

use crate::script::{check, run};

/// A check that ended as long ago as a vote lives is history, and so is one of the monitor's old form.
#[test]
fn late_checks_and_old_forms_do_not_count() {
    for (how, counts) in [("aged 60", false), ("aged 59.9", true), ("under 0", false), ("under 2", true)] {
        let asked = if counts { "62 ask r1 r2 r3 r4 r5" } else { "" };
        check(
            &format!(
                "
                 watch 5 every 30
                 0..60/30 ok r2 r3 r4 r5
                 62 fail r1 {how}
                "
            ),
            &format!("0 new -> up: 3 of 5 pass\n{asked}"),
        );
    }
}

/// Of two checks that ended in the same moment the one that is heard of later counts.
#[test]
fn checks_that_end_together() {
    check(
        "
         watch 5 every 30
         0..60/30 ok all
         61 fail r1
         61 ok r1
         61.2 ok r2 r3 r4 r5
         80 end
        ",
        "
         0 new -> up: 3 of 5 pass
         61 ask r1 r2 r3 r4 r5
        ",
    );
}

/// A gap as long as a vote lives breaks a run: what fails then has failed once, and is nothing yet.
#[test]
fn a_gap_breaks_a_run() {
    for (next, is_settled) in [("91", false), ("90.9", true)] {
        let (said, ..) = run(&format!(
            "
             watch 5 every 30
             0 ok all
             30..90/30 ok r2 r3 r4 r5
             31 fail r1
             31.2 ok r2 r3 r4 r5
             {next} fail r1
            "
        ));
        assert_eq!(said.contains("up -> partial: 1 of 5 fail"), is_settled, "{said}");
    }
}
