//! The timeline as a picture on a page: SVG with classes alone, so that the style sheet colours it in light, dark and print.

use std::fmt::Write as _;

use quorate_proto::{Micros, WallMicros};

use super::explain::{Lane, MarkKind, Timeline, clock};

const WIDTH: f64 = 760.0;
const LEFT: f64 = 130.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 64.0;
const LANE: f64 = 30.0;
const LABEL_CHARS_MAX: usize = 16;

/// Draws a timeline. Every text of it is escaped.
pub fn draw(timeline: &Timeline, title: &str) -> String {
    let lanes = timeline.lanes.len();
    let bottom = TOP + LANE * lanes as f64;
    let height = bottom + 34.0;
    let mut svg = format!(
        "<svg class=\"timeline\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"timeline-title\">\
         <title id=\"timeline-title\">{}</title>\n",
        escaped(title)
    );
    axis(&mut svg, timeline, bottom);
    span(&mut svg, timeline, bottom);
    for (lane, index) in timeline.lanes.iter().zip(0u16..) {
        draw_lane(&mut svg, timeline, lane, TOP + LANE * f64::from(index));
    }
    steps(&mut svg, timeline, bottom);
    svg.push_str("</svg>\n");
    svg
}

fn x(timeline: &Timeline, at: WallMicros) -> f64 {
    let whole = timeline.end.since(timeline.start).as_secs_f64().max(0.001);
    let part = at.since(timeline.start).as_secs_f64() / whole;
    LEFT + part.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
}

/// Seconds after the first failing check.
fn axis(svg: &mut String, timeline: &Timeline, bottom: f64) {
    let zero = timeline.moments.first_failure.unwrap_or(timeline.start).max(timeline.start);
    let seconds = timeline.end.since(zero).0 / 1_000_000;
    let step = [1, 2, 5, 10, 20, 30, 60, 120].into_iter().find(|step| seconds / step <= 10).unwrap_or(300);
    for tick in (0..=seconds / step).map(|tick| tick * step) {
        let at = x(timeline, zero.after(Micros::from_secs(tick)));
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\
             <text class=\"tick\" x=\"{at:.1}\" y=\"{:.1}\">{tick} s</text>",
            bottom + 18.0
        );
    }
}

/// From the first failure to the verdict: the stretch that had to be proven.
fn span(svg: &mut String, timeline: &Timeline, bottom: f64) {
    let (Some(first), Some(decided)) = (timeline.moments.first_failure, timeline.moments.decided) else {
        return;
    };
    let (from, to) = (x(timeline, first), x(timeline, decided));
    let _ = writeln!(
        svg,
        "<rect class=\"span\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\"/>",
        (to - from).max(0.0),
        bottom - TOP
    );
}

fn draw_lane(svg: &mut String, timeline: &Timeline, lane: &Lane, top: f64) {
    let middle = top + LANE / 2.0;
    let name: String = lane.region.chars().take(LABEL_CHARS_MAX).collect();
    let class = if ["ok", "fail"].contains(&lane.vote.as_str()) { lane.vote.as_str() } else { "abstain" };
    let _ = writeln!(
        svg,
        "<g class=\"{class}\"><text class=\"lane\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\
         <line class=\"rail\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/></g>",
        LEFT - 14.0,
        middle + 4.5,
        escaped(&name),
        WIDTH - RIGHT
    );
    let fails = lane.marks.iter().filter(|mark| mark.kind == MarkKind::Failed);
    if let (Some(first), Some(last)) =
        (fails.clone().map(|mark| mark.from).min(), fails.map(|mark| mark.to).max())
    {
        let (from, to) = (x(timeline, first), x(timeline, last));
        let _ = writeln!(
            svg,
            "<rect class=\"run fail\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"8\" rx=\"4\"/>",
            middle - 4.0,
            (to - from).max(8.0)
        );
    }
    for mark in &lane.marks {
        let (at, from) = (x(timeline, mark.to), x(timeline, mark.from));
        let told = match mark.kind {
            MarkKind::Failed => "failed",
            MarkKind::Passed => "passed",
            MarkKind::Fault => "could not check",
            MarkKind::Asked => "asked to check",
        };
        let title = format!("<title>{}: {told} at {}</title>", escaped(&lane.region), clock(mark.to));
        let _ = match mark.kind {
            MarkKind::Failed => writeln!(
                svg,
                "<g class=\"fail\">{title}<line class=\"took\" x1=\"{from:.1}\" x2=\"{at:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>\
                 <circle class=\"dot\" cx=\"{at:.1}\" cy=\"{middle:.1}\" r=\"7\"/>\
                 <path class=\"sign\" d=\"M{:.1} {:.1}l6 6m0 -6l-6 6\"/></g>",
                at - 3.0,
                middle - 3.0
            ),
            MarkKind::Passed => writeln!(
                svg,
                "<g class=\"ok\">{title}<circle class=\"dot\" cx=\"{at:.1}\" cy=\"{middle:.1}\" r=\"7\"/>\
                 <path class=\"sign\" d=\"M{:.1} {middle:.1}l2.5 3l4.5 -6\"/></g>",
                at - 3.5
            ),
            MarkKind::Fault => writeln!(
                svg,
                "<g class=\"abstain\">{title}<circle class=\"dot\" cx=\"{at:.1}\" cy=\"{middle:.1}\" r=\"5\"/></g>"
            ),
            MarkKind::Asked => {
                writeln!(svg, "<g class=\"asked\">{title}<path d=\"M{at:.1} {:.1}v9\"/></g>", middle - 13.0)
            }
        };
    }
}

/// The steps as lines with their words above, in two rows so that neighbours do not touch.
fn steps(svg: &mut String, timeline: &Timeline, bottom: f64) {
    let mut ends = [f64::MIN; 3];
    for (letter, words, at) in timeline.moments.steps() {
        let at = x(timeline, at);
        let words = match letter {
            'D' => timeline.verdict.as_str(),
            'P' => "page",
            'F' => "first failure",
            'A' => "all asked",
            'Q' => "quorum",
            _ => words,
        };
        let width = words.chars().count() as f64 * 6.6 + 12.0;
        let start = (at - width / 2.0).clamp(0.0, WIDTH - width);
        let row = ends.iter().position(|end| *end <= start).unwrap_or(ends.len() - 1);
        if let Some(end) = ends.get_mut(row) {
            *end = start + width;
        }
        let y = 50.0 - 17.0 * row as f64;
        let class = if letter == 'D' || letter == 'P' { "step loud" } else { "step" };
        let _ = writeln!(
            svg,
            "<g class=\"{class}\"><line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{bottom:.1}\"/>\
             <text x=\"{:.1}\" y=\"{y:.1}\">{}</text></g>",
            y + 4.0,
            start + width / 2.0,
            escaped(words)
        );
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
