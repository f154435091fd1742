//! Spans as columns of blocks, the latest on the right. Pure.

use quorate_proto::Micros;

use super::super::paper::{BAD, BAR, DIM, Paper, millis};

/// Rows of the graph.
const ROWS: usize = 5;
/// Columns of the axis on the left: a span, and a line.
const AXIS_COLUMNS: usize = 14;
/// Eighths of a cell.
const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Draws as many of the latest as fit; none is a check that failed.
pub(super) fn draw(spans: impl DoubleEndedIterator<Item = Option<Micros>>, paper: &Paper) -> String {
    let columns = paper.columns.saturating_sub(AXIS_COLUMNS + 1).max(1);
    let mut shown: Vec<_> = spans.rev().take(columns).collect();
    shown.reverse();
    let max = shown.iter().flatten().copied().max().unwrap_or_default().max(Micros(1));
    // A graph that begins at zero shows what is noise as noise.
    let eighths = |span: Micros| {
        let whole = (ROWS * 8) as u64;
        usize::try_from((span * whole / max.0).0.min(whole)).unwrap_or_default().max(1)
    };
    let mut text = String::new();
    for row in (0..ROWS).rev() {
        let label = match row {
            0 => millis(Micros::ZERO),
            row if row == ROWS - 1 => millis(max),
            _ => String::new(),
        };
        let mut line = format!("{DIM}{label:>width$} │{DIM:#}", width = AXIS_COLUMNS - 2);
        for span in &shown {
            match span {
                Some(span) => {
                    let filled = eighths(*span).saturating_sub(row * 8).min(8);
                    let block = BLOCKS.get(filled).copied().unwrap_or(' ');
                    line.push_str(&format!("{BAR}{block}{BAR:#}"));
                }
                None if row == 0 => line.push_str(&format!("{BAD}✗{BAD:#}")),
                None => line.push(' '),
            }
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(spans: &[Option<u64>], columns: usize) -> String {
        let spans = spans.iter().map(|span| span.map(Micros::from_millis));
        let text = draw(spans, &Paper { columns, is_live: true });
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn columns_rise_with_the_span_and_losses_are_marked() {
        assert_eq!(
            drawn(&[Some(10), Some(50), None, Some(25)], 60),
            "     50.0 ms │ █  \n             │ █  \n             │ █ ▄\n             │ █ █\n      0.0 ms │██✗█\n"
        );
        assert_eq!(drawn(&[], 60).lines().count(), ROWS);
        assert_eq!(drawn(&[None], 60).lines().last(), Some("      0.0 ms │✗"));
    }

    #[test]
    fn the_latest_fit() {
        let spans: Vec<_> = (1..=200).map(Some).collect();
        for line in drawn(&spans, 80).lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        assert!(drawn(&spans, 80).starts_with("    200.0 ms"));
    }
}
