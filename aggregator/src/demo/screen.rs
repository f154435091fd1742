//! What the demo prints: one plain line for each thing that happens, aligned, coloured only on a terminal.

use std::{cell::Cell, fmt::Write as _, io::Write as _};

use anstyle::{AnsiColor, Style};
use quorate_proto::{Micros, Region};
use quorate_quorum::{Moment, Verdict, Vote};

use super::script::{Act, Fault, since};
use crate::model::{MonitorView, Snapshot};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const UNSURE: Style = AnsiColor::Yellow.on_default();
const QUIET: Style = Style::new().dimmed();
const LOUD: Style = Style::new().bold();

/// Columns of a monitor's name and of a verdict.
const NAME_WIDTH: usize = 11;
const VERDICT_WIDTH: usize = 10;

/// The terminal, and what it showed last.
#[derive(Debug)]
pub(super) struct Screen {
    started: Moment,
    regions: Vec<Region>,
    shown: Vec<String>,
    /// Whether whoever read this went away, as `head` does.
    reader_gone: Cell<bool>,
}

impl Screen {
    pub(super) fn new(started: Moment, regions: Vec<Region>) -> Self {
        Self { started, regions, shown: Vec::new(), reader_gone: Cell::new(false) }
    }

    /// A line without a time.
    pub(super) fn say(&self, text: &str) {
        if writeln!(anstream::stdout().lock(), "{text}").is_err() {
            self.reader_gone.set(true);
        }
    }

    /// Whether nobody reads any more.
    pub(super) fn is_unread(&self) -> bool {
        self.reader_gone.get()
    }

    /// The names over the columns of [`Screen::show`].
    pub(super) fn head(&self) {
        let regions = self.regions.iter().fold(String::new(), |mut line, region| {
            let _ = write!(line, "  {region:<width$}", width = width(&self.regions, region));
            line
        });
        let verdict = "verdict";
        self.say(&format!(
            "{LOUD}   time  {:<NAME_WIDTH$}  {verdict:<VERDICT_WIDTH$}{regions}{LOUD:#}",
            "monitor"
        ));
    }

    /// A fault, a healing, an alert.
    pub(super) fn event(&self, at: Moment, monitor: &str, style: Style, word: &str, text: &str) {
        self.say(&format!(
            "{} {LOUD}{monitor:<NAME_WIDTH$}{LOUD:#}  {style}{word:<VERDICT_WIDTH$}{style:#}  {text}",
            self.time(at)
        ));
    }

    pub(super) fn broken(&self, at: Moment, fault: Fault) {
        self.event(at, fault.monitor(), LOUD, "FAULT", &what(fault, self.regions.last()));
    }

    pub(super) fn healed(&self, at: Moment, fault: Fault) {
        self.event(at, fault.monitor(), LOUD, "HEALED", "the server is well again");
    }

    pub(super) fn paged(&self, at: Moment, monitor: &str, when: &str, why: &str) {
        self.event(at, monitor, BAD, "PAGE", when);
        let (time, name, verdict) = ("", "", "");
        self.say(&format!("{time:9}{name:<NAME_WIDTH$}  {verdict:<VERDICT_WIDTH$}  {why}"));
    }

    /// A message that is no page.
    pub(super) fn noted(&self, at: Moment, monitor: &str, text: &str) {
        self.event(at, monitor, UNSURE, "NOTE", text);
    }

    /// A message that must not be trusted.
    pub(super) fn strange(&self, at: Moment, what: &str) {
        self.event(at, "-", BAD, "STRANGE", &format!("a message arrived that {what}"));
    }

    pub(super) fn resolved(&self, at: Moment, monitor: &str, text: &str) {
        self.event(at, monitor, GOOD, "RESOLVED", text);
    }

    /// Shows every monitor whose votes or verdict changed since it was shown last.
    pub(super) fn show(&mut self, at: Moment, snapshot: &Snapshot) {
        self.shown.resize(snapshot.monitors.len(), String::new());
        let mut lines = Vec::new();
        for (monitor, shown) in snapshot.monitors.iter().zip(&mut self.shown) {
            let line = row(monitor, &self.regions);
            if *shown != line {
                shown.clone_from(&line);
                lines.push(line);
            }
        }
        for line in lines {
            self.say(&format!("{} {line}", self.time(at)));
        }
    }

    /// The table at the end.
    pub(super) fn summary(&self, acts: &[Act]) {
        self.say("");
        self.say(&format!(
            "{LOUD}{:<12} {:<10} {:<12} {:>15} {:>15}{LOUD:#}",
            "fault", "expected", "outcome", "seconds to page", "resolved after"
        ));
        for act in acts {
            let style = if act.is_good() { GOOD } else { BAD };
            let seconds =
                |seconds: Option<f64>| seconds.map_or("-".to_owned(), |seconds| format!("{seconds:.1} s"));
            self.say(&format!(
                "{:<12} {:<10} {style}{:<12}{style:#} {:>15} {:>15}",
                act.fault.monitor(),
                if act.fault.pages() { "page" } else { "no page" },
                outcome(act),
                seconds(act.seconds_to_page()),
                seconds(act.seconds_to_resolve()),
            ));
        }
    }

    fn time(&self, at: Moment) -> String {
        format!("{QUIET}{:>6.1}s{QUIET:#} ", since(at, self.started).as_secs_f64())
    }
}

fn outcome(act: &Act) -> &'static str {
    match (act.paged.is_some(), act.healed.is_some()) {
        (true, _) => "paged",
        (false, true) => "not paged",
        (false, false) => "cut short",
    }
}

fn what(fault: Fault, last: Option<&Region>) -> String {
    match fault {
        Fault::Killed => "the server is killed: its port is closed, its connections are dropped".to_owned(),
        Fault::Silent => "the server goes silent: it takes connections and answers nothing".to_owned(),
        Fault::Slow => "the server becomes slow: it answers after the reply timeout".to_owned(),
        Fault::OneRegion => {
            let region = last.map_or("one region", Region::as_str);
            format!("{region} is cut off; the others get through: nobody must be paged")
        }
    }
}

fn row(monitor: &MonitorView, regions: &[Region]) -> String {
    let (style, verdict) = match monitor.verdict {
        None => (QUIET, "…"),
        Some(Verdict::Up) if monitor.suspect => (UNSURE, "up?"),
        Some(Verdict::Up) => (GOOD, "up"),
        Some(verdict @ Verdict::Down) => (BAD, verdict.name()),
        Some(verdict @ (Verdict::Partial | Verdict::Unobserved)) => (UNSURE, verdict.name()),
    };
    let mut line = format!("{:<NAME_WIDTH$}  {style}{verdict:<VERDICT_WIDTH$}{style:#}", monitor.id);
    for region in regions {
        let vote = monitor.regions.iter().find(|view| view.region == *region).map(|view| view.vote);
        let (style, word) = match vote {
            Some(Vote::Ok) => (GOOD, "ok"),
            Some(Vote::Fail) => (BAD, "FAIL"),
            Some(Vote::Abstain(_)) | None => (QUIET, "-"),
        };
        let _ = write!(line, "  {style}{word:<width$}{style:#}", width = width(regions, region));
    }
    line
}

/// The width of a region's column; the last one has none, so that no line ends in spaces.
fn width(regions: &[Region], region: &Region) -> usize {
    if regions.last() == Some(region) { 0 } else { region.as_str().len().max(4) }
}

/// A span in whole seconds and tenths, for a sentence.
pub(super) fn seconds(span: Micros) -> String {
    format!("{:.1} s", span.as_secs_f64())
}
