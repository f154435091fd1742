//! What was found beyond the check itself, drawn: which rules of the standard the server keeps, and the checklist. Pure.

use std::fmt::{self, Write};

use super::{
    checklist::{self, Item},
    diagnosis::Diagnosis,
    paper::{BOLD, DIM, Paper, mark, wrap},
    waterfall::fact,
};
use crate::probe::conformance::{Point, Verdict};

/// Columns before the text of a line: two, a mark, two.
const MARK_COLUMNS: usize = 8;
/// Columns of a section's number, right of the text.
const SECTION_COLUMNS: usize = 11;

/// What the answer without the upgrade's headers says of the one with them.
pub(super) fn evidence(diagnosis: &Diagnosis, paper: &Paper) -> String {
    let mut text = String::new();
    let told = match (diagnosis.answers_as_to_a_page(), &diagnosis.plain) {
        (Some(true), Some(_)) if diagnosis.upgrade_was_not_seen() => {
            "the same request without the upgrade's headers gets the same answer: whoever answers did not see \
             them, or does not know what they are"
        }
        (Some(true), Some(_)) => {
            "a plain request gets the same answer: the way to the server is broken, and not the upgrade alone"
        }
        (Some(false), Some(plain)) => &format!(
            "without the upgrade's headers the answer is {}: whoever answers did see them",
            plain.status
        ),
        _ => return text,
    };
    let _ = writeln!(text).and_then(|()| fact(&mut text, "Compared", told, paper));
    text
}

/// The rules of the standard.
pub(super) fn conformance(diagnosis: &Diagnosis, paper: &Paper) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = draw_conformance(&mut text, diagnosis, paper);
    text
}

fn draw_conformance(to: &mut String, diagnosis: &Diagnosis, paper: &Paper) -> fmt::Result {
    let extra = diagnosis.findings.as_ref().filter(|findings| !findings.points.is_empty());
    let points = diagnosis.points();
    // Where the upgrade was refused, the answer's status has said all there is to say.
    if !points.iter().any(|point| point.verdict == Verdict::Pass) {
        return Ok(());
    }
    let connections = match extra {
        None => String::new(),
        Some(findings) => format!("; {} more connections", findings.connections),
    };
    let sums = wrap(&format!("{}{connections}", sums(&points)), paper.columns.saturating_sub(10))
        .join("\n          ");
    writeln!(to, "\n{BOLD}RFC 6455{BOLD:#}{DIM}  {sums}{DIM:#}")?;
    for point in &points {
        draw_point(to, point, paper)?;
    }
    if let Some(extensions) = extra.and_then(|findings| findings.extensions.as_ref()) {
        fact(to, "Extensions", extensions, paper)?;
    }
    Ok(())
}

/// How many stand how.
fn sums(points: &[Point]) -> String {
    let count = |verdict| points.iter().filter(|point| point.verdict == verdict).count();
    let parts = [
        (count(Verdict::Pass), "kept"),
        (count(Verdict::Warn), "to think about"),
        (count(Verdict::Fail), "broken"),
        (count(Verdict::Unknown), "not to be told"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    parts.map(|(count, how)| format!("{count} {how}")).collect::<Vec<_>>().join(", ")
}

fn draw_point(to: &mut String, point: &Point, paper: &Paper) -> fmt::Result {
    let (word, style) = mark(point.verdict);
    let columns = paper.columns.saturating_sub(MARK_COLUMNS + SECTION_COLUMNS);
    let found = match point.found.is_empty() {
        true => String::new(),
        false => format!(": {}", point.found),
    };
    let mut lines = wrap(&format!("{}{found}", point.rule.text), columns).into_iter();
    let first = lines.next().unwrap_or_default();
    writeln!(to, "  {style}{word}{style:#}  {first:<columns$} {DIM}{:>10}{DIM:#}", point.rule.section)?;
    for line in lines {
        writeln!(to, "        {line}")?;
    }
    Ok(())
}

/// The checklist.
pub(super) fn checklist(diagnosis: &Diagnosis, paper: &Paper) -> String {
    let mut text = String::new();
    let mut items = diagnosis.checklist();
    if !diagnosis.is_upgraded() {
        // What cannot be told while nothing works, and what has just been said, would only hide the rest.
        items.retain(|item| item.verdict != Verdict::Unknown && item.name != checklist::EXTERNAL_CHECK);
    }
    if !items.is_empty() {
        let _ = draw_checklist(&mut text, &items, paper);
    }
    text
}

fn draw_checklist(to: &mut String, items: &[Item], paper: &Paper) -> fmt::Result {
    writeln!(to, "\n{BOLD}Checklist{BOLD:#}{DIM}  ? is what cannot be told from outside{DIM:#}")?;
    let columns = paper.columns.saturating_sub(MARK_COLUMNS);
    for item in items {
        let (word, style) = mark(item.verdict);
        let found = if item.found.is_empty() { String::new() } else { format!(": {}", item.found) };
        let mut lines = wrap(&format!("{}{found}", item.text), columns).into_iter();
        writeln!(to, "  {style}{word}{style:#}  {}", lines.next().unwrap_or_default())?;
        for line in lines {
            writeln!(to, "        {line}")?;
        }
        if !item.then.is_empty() {
            for line in wrap(item.then, columns) {
                writeln!(to, "        {DIM}{line}{DIM:#}")?;
            }
        }
    }
    Ok(())
}
