//! The timeline in a terminal: regions as rows, time as columns. Plain text with or without colour, in Unicode or ASCII.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use quorate_proto::WallMicros;

use super::explain::{Lane, Mark, MarkKind, Timeline};

/// How to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paper {
    /// Columns there are.
    pub columns: usize,
    /// Letters alone, for terminals that show nothing else.
    pub is_ascii: bool,
}

const COLUMNS_MIN: usize = 40;
const LABEL_MAX: usize = 16;

const FAIL: Style = AnsiColor::Red.on_default().bold();
const PASS: Style = AnsiColor::Green.on_default();
const DIM: Style = Style::new().dimmed();
const STEP: Style = Style::new().bold();

/// What stands in one column of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cell {
    Empty,
    Decided,
    Running(MarkKind),
    Mark(MarkKind),
}

/// Draws a timeline. Colours are ANSI sequences; whoever prints strips them where they are not wanted.
pub fn draw(timeline: &Timeline, paper: Paper) -> String {
    let longest = timeline.lanes.iter().map(|lane| lane.region.chars().count()).max().unwrap_or(0);
    let label = longest.clamp(5, LABEL_MAX);
    let columns = paper.columns.max(COLUMNS_MIN).saturating_sub(label + 4);
    let scale = Scale { timeline, columns };
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{:label$}  {}", "", scale.axis());
    for lane in &timeline.lanes {
        let name: String = lane.region.chars().take(label).collect();
        let _ = writeln!(text, "{name:label$}  {} {}", row(lane, &scale, paper), verdict(lane, paper));
    }
    let _ = writeln!(text, "{:label$}  {STEP}{}{STEP:#}", "", scale.steps().trim_end());
    for (letter, words, at) in timeline.moments.steps() {
        let words = if letter == 'D' { format!("{words}: {}", timeline.verdict) } else { words.to_owned() };
        let _ = writeln!(text, "{:label$}  {STEP}{letter}{STEP:#} {} {words}", "", super::explain::clock(at));
    }
    let legend = match paper.is_ascii {
        true => "x failed   o passed   ! agent's own fault   ? asked   = while it ran   | verdict",
        false => "✗ failed   ✓ passed   ! agent's own fault   ? asked   ═ while it ran   │ verdict",
    };
    let _ = writeln!(text, "{:label$}  {DIM}{legend}{DIM:#}", "");
    text
}

struct Scale<'a> {
    timeline: &'a Timeline,
    columns: usize,
}

impl Scale<'_> {
    fn column(&self, at: WallMicros) -> usize {
        let whole = self.timeline.end.since(self.timeline.start).0.max(1);
        let part = at.since(self.timeline.start).0.min(whole);
        let last = u64::try_from(self.columns.saturating_sub(1)).unwrap_or(0);
        // Rounded, in whole numbers: spans are minutes, so this stays far below 2^64.
        usize::try_from((part.saturating_mul(last) + whole / 2) / whole).unwrap_or(0)
    }

    /// Seconds after the first failing check, or the left edge, where there is room for them.
    fn axis(&self) -> String {
        let zero =
            self.timeline.moments.first_failure.unwrap_or(self.timeline.start).max(self.timeline.start);
        let seconds = self.timeline.end.since(zero).0 / 1_000_000;
        let wanted = u64::try_from(self.columns / 9).unwrap_or(1).max(1);
        let steps = [1, 2, 5, 10, 20, 30, 60, 120, 300];
        let step = steps.into_iter().find(|step| seconds / step <= wanted).unwrap_or(600);
        let mut axis = vec![' '; self.columns + 6];
        for tick in (0..=seconds / step).map(|tick| tick * step) {
            let at = zero.after(quorate_proto::Micros::from_secs(tick));
            for (index, letter) in (self.column(at)..).zip(format!("{tick}s").chars()) {
                if let Some(cell) = axis.get_mut(index) {
                    *cell = letter;
                }
            }
        }
        axis.into_iter().collect::<String>().trim_end().to_owned()
    }

    fn steps(&self) -> String {
        let mut row = vec![' '; self.columns + 5];
        for (letter, _, at) in self.timeline.moments.steps() {
            // Steps of one moment stand beside each other.
            let mut column = self.column(at);
            while row.get(column).is_some_and(|taken| *taken != ' ') {
                column += 1;
            }
            if let Some(cell) = row.get_mut(column) {
                *cell = letter;
            }
        }
        row.into_iter().collect()
    }
}

fn row(lane: &Lane, scale: &Scale<'_>, paper: Paper) -> String {
    let mut cells = vec![Cell::Empty; scale.columns];
    let mut put = |column: usize, cell: Cell| {
        if let Some(standing) = cells.get_mut(column) {
            *standing = (*standing).max(cell);
        }
    };
    if let Some(decided) = scale.timeline.moments.decided {
        put(scale.column(decided), Cell::Decided);
    }
    for Mark { kind, from, to } in &lane.marks {
        let (start, end) = (scale.column(*from), scale.column(*to));
        for column in start..end {
            put(column, Cell::Running(*kind));
        }
        put(end, Cell::Mark(*kind));
    }
    cells.into_iter().map(|cell| shown(cell, paper.is_ascii)).collect()
}

fn shown(cell: Cell, is_ascii: bool) -> String {
    let (style, unicode, ascii) = match cell {
        Cell::Empty => (DIM, "·", "."),
        Cell::Decided => (STEP, "│", "|"),
        Cell::Running(kind) => (style(kind), "═", "="),
        Cell::Mark(MarkKind::Failed) => (FAIL, "✗", "x"),
        Cell::Mark(MarkKind::Passed) => (PASS, "✓", "o"),
        Cell::Mark(MarkKind::Fault) => (DIM, "!", "!"),
        Cell::Mark(MarkKind::Asked) => (STEP, "?", "?"),
    };
    format!("{style}{}{style:#}", if is_ascii { ascii } else { unicode })
}

fn verdict(lane: &Lane, paper: Paper) -> String {
    match (lane.vote.as_str(), paper.is_ascii) {
        ("fail", false) => format!("{FAIL}✗{FAIL:#}"),
        ("fail", true) => format!("{FAIL}x{FAIL:#}"),
        ("ok", false) => format!("{PASS}✓{PASS:#}"),
        ("ok", true) => format!("{PASS}o{PASS:#}"),
        _ => format!("{DIM}-{DIM:#}"),
    }
}

fn style(kind: MarkKind) -> Style {
    match kind {
        MarkKind::Failed => FAIL,
        MarkKind::Passed => PASS,
        MarkKind::Fault | MarkKind::Asked => DIM,
    }
}
