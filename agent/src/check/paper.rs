//! What is written on: so many columns, with or without a cursor that can move. And how text is set on it.

use std::io::IsTerminal as _;

use anstyle::{AnsiColor, Style};
use quorate_proto::Micros;

use crate::probe::conformance::Verdict;

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(super) const LOUD: Style = AnsiColor::Yellow.on_default().bold();
pub(super) const BAR: Style = AnsiColor::Cyan.on_default();

/// Columns of what is no terminal.
const COLUMNS_PLAIN: usize = 80;
/// Below this, tables fall apart; above it, nobody finds the next line.
const COLUMNS_MIN: usize = 60;
const COLUMNS_MAX: usize = 120;

/// What is written on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paper {
    /// Columns of a line.
    pub(super) columns: usize,
    /// Whether what was written can be overwritten.
    pub(super) is_live: bool,
}

impl Paper {
    /// A pipe or a file.
    pub(super) const PLAIN: Self = Self { columns: COLUMNS_PLAIN, is_live: false };

    /// Standard output.
    pub(super) fn of_stdout() -> Self {
        let out = std::io::stdout();
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if !out.is_terminal() {
            return Self::PLAIN;
        }
        let size = rustix::termios::tcgetwinsize(&out).ok();
        let columns = size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0);
        let columns = columns.unwrap_or(COLUMNS_PLAIN).clamp(COLUMNS_MIN, COLUMNS_MAX);
        Self { columns, is_live: !is_dumb }
    }
}

/// A verdict's word, as wide as the others, and its colour.
pub(super) fn mark(verdict: Verdict) -> (&'static str, Style) {
    match verdict {
        Verdict::Pass => ("pass", GOOD),
        Verdict::Warn => ("warn", LOUD),
        Verdict::Fail => ("FAIL", BAD),
        Verdict::Unknown => ("?   ", DIM),
    }
}

pub(super) fn millis(span: Micros) -> String {
    format!("{:.1} ms", span.as_millis_f64())
}

/// Breaks a text at spaces into lines of so many characters; a longer word is cut.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let Some(line) = lines.last_mut() else { return lines };
            let used = line.chars().count();
            let space = usize::from(used > 0);
            if used + space + word.len() <= columns {
                if space > 0 {
                    line.push(' ');
                }
                line.extend(word);
                break;
            }
            if used == 0 {
                line.extend(word.drain(..columns));
            }
            lines.push(String::new());
        }
    }
    lines
}
