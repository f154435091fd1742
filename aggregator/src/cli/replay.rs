//! `quorate replay`: which pages the past would have brought under other rules.

use std::{
    fmt::Write as _,
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::Args;
use quorate_proto::{Micros, MonitorId, WallMicros};
use serde_json::{Value, json};

use super::{
    CliError, policy, print, serve,
    what_if::{self, Set, WhatIfError},
};
use crate::{
    clock, decide,
    model::rfc3339,
    replay::{Page, Replayed, replay},
    store::past::Past,
};

/// Pages of two replays that lie closer together than this are of one outage.
const SAME_OUTAGE: Micros = Micros::from_secs(600);

/// Arguments of `quorate replay`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorate replay --since 7d                                 the last week again, under the configuration as it is
  quorate replay --since 30d --set quorum=3                 and beside it with three failing regions enough
  quorate replay --since 30d --monitor chat --set confirm_for=30s --json

Keys: quorum, confirm_for, sensitivity, restart_budget. Reads the database only; results are kept for 30 days.
What cannot be known is said: confirmations that nobody asked for then are answered where the checks before and after
agree, and heartbeats are taken to have come where checks did.")]
pub(super) struct Arguments {
    /// The configuration
    #[arg(long, default_value = "quorate.toml", value_name = "FILE")]
    config: PathBuf,
    /// How far back
    #[arg(long, default_value = "30d", value_name = "SPAN")]
    since: String,
    /// Only this monitor; may be given several times
    #[arg(long, value_name = "ID")]
    monitor: Vec<String>,
    /// A rule that is to be another; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The data folder; without it that of the configuration
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// For machines: one JSON object
    #[arg(long)]
    json: bool,
}

/// One outage, as both see it.
#[derive(Debug, PartialEq)]
struct Line {
    monitor: MonitorId,
    present: Option<Page>,
    set: Option<Page>,
}

/// All of it.
#[derive(Debug, Default)]
struct Report {
    lines: Vec<Line>,
    results: u64,
    /// Times that a monitor was said to be down then.
    decided_then: usize,
    assumed: u64,
    unknown: u64,
    seconds: f64,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, CliError> {
    let sets = what_if::read(&arguments.set)?;
    for set in &sets {
        match set {
            Set::Interval(_) => return Err(WhatIfError::Past("interval").into()),
            Set::Timeout(_) => return Err(WhatIfError::Past("timeout").into()),
            Set::Quorum(_) | Set::ConfirmFor(_) | Set::Sensitivity(_) | Set::RestartBudget(_) => {}
        }
    }
    let loaded = serve::load(&arguments.config)?;
    let known = |id: &String| loaded.config.monitors.iter().any(|monitor| monitor.spec.id.as_str() == id);
    if arguments.monitor.iter().any(|id| !known(id)) {
        return Err(CliError::Arguments("--monitor: wanted the id of a monitor of the configuration"));
    }
    let past = Past::open(arguments.data.as_ref().unwrap_or(&loaded.config.server.data))?;
    let since = policy::since(&arguments.since)?;
    let wanted = |id: &str| arguments.monitor.is_empty() || arguments.monitor.iter().any(|one| one == id);
    let monitors: Vec<_> =
        loaded.config.monitors.iter().filter(|monitor| wanted(monitor.spec.id.as_str())).collect();

    let mut report = Report::default();
    let started = clock::now();
    for (done, monitor) in monitors.iter().enumerate() {
        progress(done, monitors.len(), report.results);
        report.add(monitor, &past, since, &sets)?;
    }
    progress(monitors.len(), monitors.len(), report.results);
    report.seconds = clock::now().since(started).as_secs_f64();
    let text = match arguments.json {
        true => format!("{:#}\n", report.json(!sets.is_empty())),
        false => report.text(&arguments.set),
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Says how far it is, where somebody watches.
fn progress(done: usize, of: usize, results: u64) {
    let mut out = std::io::stderr();
    if out.is_terminal() {
        let line =
            if done == of { String::new() } else { format!("{done} of {of} monitors, {results} results") };
        // A progress line that cannot be written is no loss.
        let _ = write!(out, "\r{line:60}\r").and_then(|()| out.flush());
    }
}

impl Report {
    fn add(
        &mut self,
        monitor: &crate::config::Monitor,
        past: &Past,
        since: WallMicros,
        sets: &[Set],
    ) -> Result<(), CliError> {
        let id = &monitor.spec.id;
        let rules = decide::policy(monitor, 0);
        let (checks, canaries) = (past.checks(id, since)?, past.canaries(id, since)?);
        let present = replay(id, &rules, &checks, &canaries);
        let set = match sets {
            [] => None,
            sets => Some(replay(id, &what_if::changed(id.as_str(), &rules, sets)?, &checks, &canaries)),
        };
        self.results += checks.len() as u64;
        self.decided_then += past.downs(id, since)?.len();
        for replayed in std::iter::once(&present).chain(&set) {
            self.assumed += replayed.assumed;
            self.unknown += replayed.unknown;
        }
        self.lines.extend(lines(id, &present, set.as_ref()));
        Ok(())
    }

    fn text(&self, sets: &[String]) -> String {
        let mut text = String::new();
        let set = (!sets.is_empty()).then(|| sets.join(" "));
        let width = self.lines.iter().map(|line| line.monitor.as_str().len()).max().unwrap_or(0).max(7);
        if !self.lines.is_empty() {
            let last = set.as_deref().unwrap_or("");
            let _ = writeln!(
                text,
                "{:width$}  {:27}  {:>14}  {last}",
                "monitor", "first failure", "as configured"
            );
        }
        for line in &self.lines {
            let began = line.present.or(line.set).map_or(String::new(), |page| rfc3339::text(page.began));
            let delay = |page: Option<Page>| {
                page.map_or("no page".to_owned(), |page| format!("after {}", took(&page)))
            };
            let second = if set.is_some() {
                format!("{:>14}  {}", delay(line.set), line.difference())
            } else {
                String::new()
            };
            let _ =
                writeln!(text, "{:width$}  {began:27}  {:>14}  {second}", line.monitor, delay(line.present));
        }
        let present = self.lines.iter().filter(|line| line.present.is_some()).count();
        let _ = writeln!(text, "pages: {present} as configured, {} were decided then", self.decided_then);
        if let Some(set) = set {
            let count = |of: fn(&Line) -> bool| self.lines.iter().filter(|line| of(line)).count();
            let (gone, new) = (
                count(|line| line.present.is_some() && line.set.is_none()),
                count(|line| line.present.is_none() && line.set.is_some()),
            );
            let _ = writeln!(text, "with {set}: {} pages, {gone} not sent, {new} more", present - gone + new);
        }
        let _ = writeln!(
            text,
            "{} results in {:.1} s ({:.0} a second); of confirmations that nobody asked for then, {} are answered as the checks \
             before and after agree, and {} are not known",
            self.results,
            self.seconds,
            self.results as f64 / self.seconds.max(1e-6),
            self.assumed,
            self.unknown,
        );
        text
    }

    fn json(&self, is_set: bool) -> Value {
        let page = |page: Option<Page>| {
            page.map(|page| {
                json!({
                    "first_failure_at": rfc3339::text(page.began),
                    "decided_at": rfc3339::text(page.at),
                    "until": page.until.map(rfc3339::text),
                })
            })
        };
        let line = |line: &Line| match is_set {
            true => {
                json!({ "monitor": line.monitor, "present": page(line.present), "set": page(line.set), "later_s": line.later_s() })
            }
            false => json!({ "monitor": line.monitor, "present": page(line.present) }),
        };
        json!({
            "pages": self.lines.iter().map(line).collect::<Vec<_>>(),
            "decided_then": self.decided_then,
            "results": self.results,
            "seconds": self.seconds,
            "confirmations_assumed": self.assumed,
            "confirmations_unknown": self.unknown,
        })
    }
}

impl Line {
    /// By how many seconds the page comes later under what is set; negative: earlier.
    fn later_s(&self) -> Option<f64> {
        let (present, set) = (self.present?, self.set?);
        Some((set.at.0 - present.at.0) as f64 / 1e6)
    }

    fn difference(&self) -> String {
        match (self.present, self.set, self.later_s()) {
            (Some(_), None, _) => "not sent".to_owned(),
            (None, Some(_), _) => "one more".to_owned(),
            (_, _, Some(later)) if later >= 0.05 => format!("{later:.1} s later"),
            (_, _, Some(later)) if later <= -0.05 => format!("{:.1} s earlier", -later),
            _ => "the same".to_owned(),
        }
    }
}

fn took(page: &Page) -> String {
    format!("{:.1} s", page.at.since(page.began).as_secs_f64())
}

/// The pages of both replays, those of one outage beside each other.
fn lines(monitor: &MonitorId, present: &Replayed, set: Option<&Replayed>) -> Vec<Line> {
    let mut others: Vec<Page> = set.map_or_else(Vec::new, |set| set.pages.clone());
    let mut lines: Vec<Line> = Vec::new();
    for page in &present.pages {
        let same = others.iter().position(|other| is_same(page, other));
        let set = same.map(|index| others.remove(index));
        lines.push(Line { monitor: monitor.clone(), present: Some(*page), set });
    }
    lines.extend(others.into_iter().map(|page| Line {
        monitor: monitor.clone(),
        present: None,
        set: Some(page),
    }));
    lines.sort_by_key(|line| line.present.or(line.set).map(|page| page.at));
    lines
}

/// Whether two pages tell of one outage: they overlap, or nearly so.
fn is_same(one: &Page, other: &Page) -> bool {
    let ends = |page: &Page| page.until.map_or(WallMicros(i64::MAX), |until| until.after(SAME_OUTAGE));
    one.began <= ends(other) && other.began <= ends(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(began: i64, at: i64, until: i64) -> Page {
        let at_second = |second: i64| WallMicros((1_790_000_000 + second) * 1_000_000);
        Page { began: at_second(began), at: at_second(at), until: Some(at_second(until)) }
    }

    #[test]
    fn outages_stand_beside_each_other() {
        let present =
            Replayed { pages: vec![page(0, 12, 90), page(9_000, 9_011, 9_100)], ..Replayed::default() };
        let set =
            Replayed { pages: vec![page(0, 31, 90), page(20_000, 20_011, 20_100)], ..Replayed::default() };
        let lines = lines(&"chat".parse().unwrap(), &present, Some(&set));
        let told: Vec<String> = lines.iter().map(Line::difference).collect();
        assert_eq!(told, ["19.0 s later", "not sent", "one more"]);
        let report = Report { lines, results: 7, decided_then: 2, ..Report::default() };
        let text = report.text(&["confirm_for=30s".to_owned()]);
        assert!(text.contains("pages: 2 as configured, 2 were decided then"), "{text}");
        assert!(text.contains("with confirm_for=30s: 2 pages, 1 not sent, 1 more"), "{text}");
        assert_eq!(report.json(true).pointer("/pages/0/later_s"), Some(&json!(19.0)));
    }
}
