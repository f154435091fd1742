//! `--watch`: the same check again and again, and how long it takes, drawn as it goes. In a pipe a line a check.

mod graph;

use std::collections::VecDeque;

use anstyle::Style;
use quorate_proto::{Failure, Micros, MonitorSpec, Outcome, WallMicros, outcome::RoundTrips};
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};

use super::{
    Args, Ending, of,
    paper::{BAD, BOLD, DIM, GOOD, Paper, millis, wrap},
    report::rfc3339,
    shown,
};
use crate::{
    limits,
    probe::{Checked, Prober},
};

/// Clears from the cursor to the end of the screen.
const CLEAR_BELOW: &str = "\u{1b}[J";

/// What a series of checks found.
#[derive(Debug, Default)]
struct Series {
    /// The latest, oldest first: how long the reply took, or none where the check failed.
    latest: VecDeque<Option<Micros>>,
    /// All that were measured, up to a bound.
    measured: Vec<Micros>,
    checks: u64,
    failed: u64,
    not_tried: bool,
    last_failure: Option<(WallMicros, Failure)>,
}

/// One line of `--watch --json`.
#[derive(Serialize)]
struct Line<'a> {
    /// When the check started (RFC 3339).
    at: Option<String>,
    /// `passed`, `failed` or `not_tried`.
    outcome: &'static str,
    /// The round trip, or the whole check where none was made.
    latency_ms: f64,
    /// One of a closed list of names; null where it passed.
    failure: Option<&'static str>,
    /// What was seen.
    detail: Option<&'a str>,
}

/// Checks until the count is reached or someone presses Ctrl-C, and sums up.
pub(super) async fn watch(
    args: &Args,
    prober: &Prober,
    spec: &MonitorSpec,
    paper: &Paper,
    print: &mut dyn FnMut(&str),
) -> Ending {
    let mut series = Series::default();
    let mut due = interval(args.every.into());
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let url = shown(&spec.url);
    let mut drawn = 0;
    if !args.json {
        print(&format!("{BOLD}{url}{BOLD:#}{DIM}  every {}, until Ctrl-C{DIM:#}\n", args.every));
    }
    while args.count.is_none_or(|count| series.checks < count) {
        let checking = async {
            due.tick().await;
            prober.check(spec, None).await
        };
        let checked = tokio::select! {
            checked = checking => checked,
            _ = tokio::signal::ctrl_c() => break,
        };
        series.take(&checked);
        if args.json {
            print(&json(&checked));
        } else if paper.is_live {
            let text = live(&series, paper);
            print(&format!("{}{text}", back(drawn)));
            drawn = text.lines().count();
        } else {
            print(&line(&checked));
        }
        if series.not_tried {
            break;
        }
    }
    if !args.json {
        print(&series.summary(paper));
    }
    series.ending()
}

/// Moves the cursor back over what was drawn last.
fn back(lines: usize) -> String {
    if lines == 0 { String::new() } else { format!("\u{1b}[{lines}A\r{CLEAR_BELOW}") }
}

fn latency(checked: &Checked) -> Micros {
    checked.timings.round_trip.unwrap_or(checked.timings.total)
}

impl Series {
    fn take(&mut self, checked: &Checked) {
        self.checks += 1;
        match &checked.outcome {
            Outcome::Passed => {
                let latency = latency(checked);
                self.latest.push_back(Some(latency));
                if self.measured.len() < limits::WATCH_SAMPLES_MAX {
                    self.measured.push(latency);
                }
            }
            Outcome::Failed(failure) => {
                self.failed += 1;
                self.not_tried = of(checked) == Ending::NotTried;
                self.latest.push_back(None);
                self.last_failure = Some((checked.started_at, failure.clone()));
            }
        }
        let surplus = self.latest.len().saturating_sub(limits::WATCH_COLUMNS_MAX);
        self.latest.drain(..surplus);
    }

    fn ending(&self) -> Ending {
        match (self.not_tried, self.failed) {
            (true, _) => Ending::NotTried,
            (false, 0) => Ending::Passed,
            (false, _) => Ending::Failed,
        }
    }

    /// Numbers of the whole series, on one line.
    fn numbers(&self) -> String {
        let lost = match self.failed {
            0 => "none failed".to_owned(),
            failed => format!("{failed} failed ({:.1} %)", failed as f64 * 100.0 / self.checks.max(1) as f64),
        };
        let spans = RoundTrips::of(&self.measured).map(|trips| {
            let RoundTrips { min, p50, max, jitter, .. } = trips;
            format!("; min {min}, p50 {p50}, max {max}, jitter {jitter}")
        });
        let checks = if self.checks == 1 { "check" } else { "checks" };
        format!("{} {checks}, {lost}{}", self.checks, spans.unwrap_or_default())
    }

    fn summary(&self, paper: &Paper) -> String {
        let (word, style) = match self.ending() {
            Ending::Passed => ("PASSED", GOOD),
            Ending::Failed => ("FAILED", BAD),
            Ending::NotTried => ("NOT TRIED", BAD),
        };
        let mut text = format!("\n{style}{word}{style:#}  ");
        text.push_str(&wrap(&self.numbers(), paper.columns.saturating_sub(8)).join("\n        "));
        text.push('\n');
        text
    }
}

/// A line for a pipe.
fn line(checked: &Checked) -> String {
    let at = rfc3339(checked.started_at).unwrap_or_default();
    match &checked.outcome {
        Outcome::Passed => format!("{at}  {GOOD}passed{GOOD:#}  {:>10}\n", millis(latency(checked))),
        Outcome::Failed(failure) => {
            let took = millis(checked.timings.total);
            format!("{at}  {BAD}FAILED{BAD:#}  {took:>10}  {}: {}\n", failure.kind, failure.detail)
        }
    }
}

fn json(checked: &Checked) -> String {
    let failure = checked.failure();
    let line = Line {
        at: rfc3339(checked.started_at),
        outcome: super::report::outcome(checked),
        latency_ms: latency(checked).as_millis_f64(),
        failure: failure.map(|failure| failure.kind.name()),
        detail: failure.map(|failure| failure.detail.as_str()),
    };
    serde_json::to_string(&line).unwrap_or_default() + "\n"
}

/// The graph, the numbers, and the latest failure.
fn live(series: &Series, paper: &Paper) -> String {
    let mut text = graph::draw(series.latest.iter().copied(), paper);
    let numbers = wrap(&series.numbers(), paper.columns.saturating_sub(2));
    for line in numbers {
        text.push_str(&format!("  {line}\n"));
    }
    if let Some((at, failure)) = &series.last_failure {
        let style: Style = BAD;
        let at = rfc3339(*at).unwrap_or_default();
        let told = format!("{at}  {}: {}", failure.kind, failure.detail);
        for line in wrap(&told, paper.columns.saturating_sub(2)) {
            text.push_str(&format!("  {style}{line}{style:#}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use quorate_proto::{FailureKind, Phase};

    use super::{super::tests::checked, *};

    fn series(spans: &[Option<u64>]) -> Series {
        let mut series = Series::default();
        for span in spans {
            let mut check = checked(Outcome::Passed);
            match span {
                Some(millis) => check.timings.round_trip = Some(Micros::from_millis(*millis)),
                None => {
                    let failure = Failure::new(FailureKind::ReplyTimeout, Phase::Exchange, "nothing came");
                    check.outcome = Outcome::Failed(failure);
                }
            }
            series.take(&check);
        }
        series
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_series_is_summed_up() {
        let paper = Paper { columns: 100, is_live: true };
        let good = series(&[Some(10), Some(30), Some(20)]);
        assert_eq!(
            plain(&good.summary(&paper)),
            "\nPASSED  3 checks, none failed; min 10ms, p50 20ms, max 30ms, jitter 15ms\n"
        );
        let bad = series(&[Some(10), None, None, Some(20)]);
        assert_eq!(bad.ending(), Ending::Failed);
        assert!(
            plain(&bad.summary(&paper)).contains("2 failed (50.0 %); min 10ms"),
            "{}",
            bad.summary(&paper)
        );
        assert!(plain(&live(&bad, &paper)).contains("reply_timeout: nothing came"), "{}", live(&bad, &paper));
        assert_eq!(plain(&series(&[None]).summary(&paper)), "\nFAILED  1 check, 1 failed (100.0 %)\n");
    }

    #[test]
    fn a_line_a_check_for_pipes_and_scripts() {
        let good = checked(Outcome::Passed);
        assert_eq!(plain(&line(&good)), "2026-11-18T11:06:40Z  passed     29.8 ms\n");
        let failure = Failure::new(FailureKind::UpgradeStatus(502), Phase::Upgrade, "Server: nginx");
        let bad = checked(Outcome::Failed(failure));
        assert_eq!(
            plain(&line(&bad)),
            "2026-11-18T11:06:40Z  FAILED    142.5 ms  upgrade_status 502: Server: nginx\n"
        );
        let value: serde_json::Value = serde_json::from_str(&json(&bad)).unwrap();
        assert_eq!(value["failure"], "upgrade_status");
        assert_eq!((&value["outcome"], &value["detail"]), (&"failed".into(), &"Server: nginx".into()));
    }

    #[test]
    fn a_long_watch_keeps_its_bounds() {
        let many = vec![Some(1); limits::WATCH_COLUMNS_MAX + 7];
        let series = series(&many);
        assert_eq!(series.latest.len(), limits::WATCH_COLUMNS_MAX);
        assert_eq!(series.checks, many.len() as u64);
    }
}
