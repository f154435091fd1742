//! The history of verdicts, through crashes; and late results, which mend it and page nobody.

use quorate_proto::{Micros, Outcome, WallMicros};
use quorate_quorum::{
    Verdict,
    uptime::{History, Shares, Span, State, Stretch},
};

use super::bench::{Bench, Disk, REGIONS, START, config};
use crate::{
    limits,
    model::fixture,
    store::{
        CommitError,
        fixture::{check, refused},
    },
};

const S: fn(u64) -> Micros = Micros::from_secs;
const ALL: [usize; 5] = [0, 1, 2, 3, 4];

fn shop() -> crate::config::Config {
    config(vec![fixture::monitor("shop", &REGIONS)], &["x", "z:o"])
}

fn history(bench: &Bench) -> (History, Stretch) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let window = Stretch { from: WallMicros(i64::try_from(START).unwrap()), to: bench.now.wall };
    let shop: quorate_proto::MonitorId = "shop".parse().unwrap();
    let mut histories = runtime.block_on(bench.reader.histories(vec![shop.clone()], window)).unwrap();
    (histories.remove(&shop).unwrap(), window)
}

fn spans(bench: &Bench) -> Vec<Span> {
    let (history, window) = history(bench);
    history.spans(window)
}

fn shares(bench: &Bench) -> Shares {
    let (history, window) = history(bench);
    let shares = Shares::of(&history.spans(window), window);
    assert_eq!(shares.total(), window.lasts());
    shares
}

/// The process is killed, and another starts after some time in which agents went on.
fn crash(bench: &mut Bench, away: Micros) {
    let until = bench.now.moment.after(away);
    bench.go_to(until);
    bench.kill(shop());
    let revision = bench.core.assignments.revision;
    for index in 0..bench.agents.len() {
        bench.connect(index, revision);
    }
}

/// A check of `shop` by one agent that ended a while ago and comes only here.
fn late(bench: &mut Bench, index: usize, ago: Micros, passes: bool) {
    let result = if passes { check("shop", Outcome::Passed) } else { refused("shop", "spooled") };
    let unit = bench.agents[index].agent.batch(vec![result]);
    drop(bench.send(index, unit, Some(ago)));
}

fn states(spans: &[Span]) -> Vec<(&'static str, u64)> {
    spans.iter().map(|span| (span.state.name(), span.stretch.lasts().0.div_ceil(1_000_000))).collect()
}

#[test]
fn verdicts_make_spans_and_the_open_one_survives_a_crash() {
    let mut bench = Bench::watching(&["x", "z:o"]);
    bench.work(60, &[]);
    bench.work(60, &ALL);
    let before = shares(&bench);
    assert!(before.down > S(35) && before.up > S(50) && before.not_yet < S(20), "{before:?}");
    crash(&mut bench, S(0));
    bench.work(60, &ALL);
    let after = shares(&bench);
    // What was down last is down after it; what is not known is the time since the last pulse.
    assert!(after.unobserved <= limits::PULSE_PERIOD, "{after:?}");
    assert_eq!(after.down + after.unobserved, before.down + S(60) + Micros::from_millis(250), "{after:?}");
    bench.work(60, &[]);
    let names = spans(&bench).iter().map(|span| span.state.name()).collect::<Vec<_>>();
    assert_eq!(names, ["not_yet", "up", "down", "unobserved", "down", "up"]);
}

#[test]
fn time_in_which_the_aggregator_did_not_run_is_unobserved() {
    let mut bench = Bench::watching(&["x", "z:o"]);
    bench.work(60, &[]);
    crash(&mut bench, S(600));
    bench.work(60, &[]);
    let shares = shares(&bench);
    let lost = shares.unobserved.saturating_sub(S(600));
    assert!(shares.unobserved >= S(600) && lost <= limits::PULSE_PERIOD, "{shares:?}");
    assert_eq!((shares.down, shares.uptime()), (Micros::ZERO, Some(1.0)));
    // A machine that was asleep is the same.
    bench.stand_still(S(3_600));
    bench.work(60, &[]);
    let slept = self::shares(&bench).unobserved.saturating_sub(shares.unobserved);
    assert!(slept >= S(3_600) && slept < S(3_602), "{slept}");
    assert_eq!(bench.heard(), [""; 0]);
}

#[test]
fn late_results_mend_what_was_unobserved_and_page_nobody() {
    let mut bench = Bench::watching(&["x", "z:o"]);
    bench.work(60, &[]);
    crash(&mut bench, S(3_000));
    bench.work(20, &[]);
    let before = shares(&bench);
    assert!(before.unobserved >= S(3_000) && before.mended == Micros::ZERO, "{before:?}");
    // Of the fifty minutes: all five regions passed in the first ten, four of five failed in the next ten, they were
    // split in the next, two alone were there in the next, and nobody in the last.
    let back = bench.now.moment;
    for step in 0..80_u64 {
        let at = 20 + 30 * step;
        for index in 0..5_usize {
            let passes = match step / 20 {
                0 => Some(true),
                1 => Some(index == 0),
                2 => Some(index < 3),
                _ => (index < 2).then_some(true),
            };
            let ago = S(3_020 - at) + bench.now.moment.since(back);
            if let Some(passes) = passes {
                late(&mut bench, index, ago, passes);
            }
        }
    }
    bench.work(20, &[]);
    assert_eq!(bench.heard(), [""; 0], "no late result pages anybody");
    assert_eq!(bench.verdicts()["shop"], Some("up"));
    assert!(bench.core.incidents.is_empty());
    let after = shares(&bench);
    // Slots are minutes; at the borders one may be cut.
    let near = |found: Micros, wanted: u64| found.0.abs_diff(S(wanted).0) <= S(90).0;
    assert!(near(after.down, 600) && near(after.mended, 1_200), "{after:?}");
    assert!(near(after.unobserved, 1_800), "{after:?}");
    let mended = spans(&bench).into_iter().filter(|span| span.mended).map(|span| span.state);
    assert_eq!(mended.collect::<Vec<_>>(), [State::Up, State::Down]);

    // The same units again count once.
    crash(&mut bench, S(0));
    let again = shares(&bench);
    assert_eq!((again.down, again.mended), (after.down, after.mended));
}

#[test]
fn late_results_do_not_touch_what_was_observed() {
    let mut bench = Bench::watching(&["x"]);
    bench.work(600, &[]);
    let before = states(&spans(&bench));
    for minute in 1..9 {
        for index in ALL {
            late(&mut bench, index, S(60 * minute), false);
        }
    }
    bench.pass(S(1));
    assert_eq!(bench.heard(), [""; 0]);
    let after = states(&spans(&bench));
    assert_eq!(before.iter().map(|one| one.0).collect::<Vec<_>>(), ["not_yet", "up"]);
    assert_eq!(after.len(), before.len(), "{after:?}");
}

#[test]
fn turns_are_written_when_the_disk_takes_them_again() {
    let mut bench = Bench::watching(&["x"]);
    bench.work(60, &[]);
    bench.disk = Disk::Fails(CommitError::Full);
    bench.work(60, &ALL);
    bench.work(60, &[]);
    assert_eq!(spans(&bench).last().unwrap().state, State::Up, "the disk knows nothing of it");
    bench.disk = Disk::Good;
    bench.work(30, &[]);
    let names = spans(&bench).iter().map(|span| span.state.name()).collect::<Vec<_>>();
    assert_eq!(names, ["not_yet", "up", "down", "up"], "every turn, not the latest alone");
}

#[test]
fn a_monitor_that_is_taken_out_is_not_reckoned() {
    let mut bench = Bench::watching(&["x"]);
    bench.work(60, &[]);
    bench.tell(crate::model::Intake::Configure(std::sync::Arc::new(config(vec![], &["x"]))));
    bench.pass(S(600));
    let last = *spans(&bench).last().unwrap();
    assert_eq!(last.state, State::NotYet);
    assert!(last.stretch.lasts() >= S(599));
    assert_eq!(history(&bench).0.turns.last().unwrap().verdict, None);
    assert_ne!(history(&bench).0.turns.first().unwrap().verdict, Some(Verdict::Down));
}
