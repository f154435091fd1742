//! `--find-idle-timeout`: the search drawn as it goes. In a pipe a line whenever more is known, and one a while.

use quorate_proto::{Micros, MonitorSpec, canary::IdleFinding};

use super::{
    Args,
    diagnosis::Idle,
    paper::{BOLD, DIM, LOUD, Paper, wrap},
};
use crate::{
    idle::{self, Standing},
    limits,
    probe::Prober,
};

/// Searches until something is found or someone presses Ctrl-C, and tells the result.
pub(super) async fn search(
    args: &Args,
    prober: &Prober,
    spec: &MonitorSpec,
    paper: &Paper,
    print: &mut dyn FnMut(&str),
) -> Idle {
    let mut progress = Progress::new(args.max, *paper);
    let mut say = |text: String| {
        if !args.json {
            print(&text);
        }
    };
    say(format!(
        "\n{BOLD}Idle timeout{BOLD:#}{DIM}  connections that say nothing, up to {}; Ctrl-C tells what is known{DIM:#}\n",
        args.max
    ));
    let searching = idle::search(prober, spec, args.max, |standing| {
        if let Some(text) = progress.take(standing) {
            say(text);
        }
    });
    let found = tokio::select! {
        found = searching => Some(found),
        _ = tokio::signal::ctrl_c() => None,
    };
    let idle = match found {
        Some(finding) => Idle::Found(finding),
        None => Idle::Interrupted { survived: progress.survived, cut: progress.cut },
    };
    say(format!("{}{}", progress.end(), told(&idle, paper)));
    idle
}

/// What was said of a search last.
struct Progress {
    max: Micros,
    paper: Paper,
    survived: Micros,
    cut: Option<Micros>,
    /// When the last line was written, since the start.
    said: Option<Micros>,
}

impl Progress {
    fn new(max: Micros, paper: Paper) -> Self {
        Self { max, paper, survived: Micros::ZERO, cut: None, said: None }
    }

    /// What there is to say.
    fn take(&mut self, standing: &Standing) -> Option<String> {
        let is_news = standing.cut != self.cut || self.said.is_none();
        self.survived = standing.survived;
        self.cut = standing.cut;
        let text = self.line(standing);
        if self.paper.is_live {
            self.said = Some(standing.elapsed);
            return Some(format!("\r\u{1b}[K{text}"));
        }
        let is_due = self.said.is_none_or(|said| said + limits::IDLE_SAY_INTERVAL <= standing.elapsed);
        if !is_news && !is_due {
            return None;
        }
        self.said = Some(standing.elapsed);
        Some(text + "\n")
    }

    /// Elapsed, what is known, and a bar of how much of the span has been survived.
    fn line(&self, standing: &Standing) -> String {
        let cut = match standing.cut {
            None => "none cut yet".to_owned(),
            Some(cut) => format!("cut after {cut}"),
        };
        let told = format!(
            "{} of at most {}: {} open, alive after {}, {cut}",
            whole(standing.elapsed),
            whole(standing.round_ends.max(standing.elapsed)),
            standing.held,
            whole(standing.survived),
        );
        let columns = self.paper.columns.saturating_sub(told.chars().count() + 8);
        if !self.paper.is_live || columns < 8 {
            return format!("  {told}");
        }
        let share = (standing.survived * columns as u64 / self.max.0.max(1)).0;
        let filled = usize::try_from(share).unwrap_or_default().min(columns);
        format!("  {told}  [{}{}]", "█".repeat(filled), "·".repeat(columns - filled))
    }

    /// What ends the drawing.
    fn end(&self) -> &'static str {
        if self.paper.is_live && self.said.is_some() { "\r\u{1b}[K" } else { "" }
    }
}

/// Whole seconds: the rest is noise here.
fn whole(span: Micros) -> String {
    let seconds = span.0 / 1_000_000;
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, 0) => format!("{minutes}m"),
        (minutes, seconds) => format!("{minutes}m {seconds}s"),
    }
}

/// The result.
fn told(idle: &Idle, paper: &Paper) -> String {
    let text = match idle {
        Idle::Found(IdleFinding::Cut { survived, cut, failure }) => format!(
            "An idle connection is cut after {cut} (one lived for {survived}), by {}: {}",
            failure.kind, failure.detail
        ),
        Idle::Found(IdleFinding::NotWithin(max)) => format!("No connection was cut within {max}"),
        Idle::Found(IdleFinding::Failed(failure)) => {
            format!("It could not be found out: {}: {}", failure.kind, failure.detail)
        }
        Idle::Interrupted { survived, cut: Some(cut) } => {
            format!("Broken off: a connection lived for {survived}, and one was cut after {cut}")
        }
        Idle::Interrupted { survived, cut: None } => {
            format!("Broken off: no connection was cut within {survived}")
        }
    };
    let style = if let Idle::Found(IdleFinding::Cut { .. }) = idle { LOUD } else { anstyle::Style::new() };
    let lines = wrap(&text, paper.columns.saturating_sub(2));
    lines.iter().map(|line| format!("  {style}{line}{style:#}\n")).collect()
}

#[cfg(test)]
mod tests {
    use quorate_proto::{Failure, FailureKind, Phase};

    use super::*;

    fn standing(elapsed: u64, survived: u64, cut: Option<u64>) -> Standing {
        Standing {
            elapsed: Micros::from_secs(elapsed),
            round_ends: Micros::from_secs(1_200),
            round: 1,
            held: 7,
            connections: 9,
            survived: Micros::from_secs(survived),
            cut: cut.map(Micros::from_secs),
        }
    }

    #[test]
    fn a_pipe_gets_a_line_when_there_is_news_and_one_a_while() {
        let mut progress = Progress::new(Micros::from_secs(1_200), Paper::PLAIN);
        let mut lines = Vec::new();
        for second in 0..100 {
            let cut = (second >= 61).then_some(60);
            lines.extend(progress.take(&standing(second, second / 2, cut)));
        }
        assert_eq!(lines.len(), 5, "{lines:?}");
        assert_eq!(lines[1], "  30s of at most 20m: 7 open, alive after 15s, none cut yet\n");
        assert!(
            lines[3].contains("1m 1s of at most 20m: 7 open, alive after 30s, cut after 60s"),
            "{lines:?}"
        );
        assert_eq!(progress.end(), "");
    }

    #[test]
    fn a_terminal_gets_one_line_that_fits() {
        for columns in [60, 80, 120] {
            let mut progress = Progress::new(Micros::from_secs(1_200), Paper { columns, is_live: true });
            let text = progress.take(&standing(601, 300, Some(600))).unwrap();
            let shown = text.strip_prefix("\r\u{1b}[K").unwrap();
            assert!(shown.chars().count() <= columns.max(70), "{columns}: {shown}");
            assert!(!shown.contains('\n'));
            assert_eq!(progress.end(), "\r\u{1b}[K");
        }
    }

    #[test]
    fn the_result_is_told() {
        let failure = Failure::new(FailureKind::Dropped, Phase::Exchange, "the connection just ended");
        let cut = Idle::Found(IdleFinding::Cut {
            survived: Micros::from_secs(59),
            cut: Micros::from_secs(60),
            failure,
        });
        let text = anstream::adapter::strip_str(&told(&cut, &Paper::PLAIN)).to_string();
        assert_eq!(
            text,
            "  An idle connection is cut after 60s (one lived for 59s), by dropped: the\n  connection just ended\n"
        );
        let known = Idle::Interrupted { survived: Micros::from_secs(90), cut: None };
        assert_eq!(told(&known, &Paper::PLAIN), "  Broken off: no connection was cut within 90s\n");
    }
}
