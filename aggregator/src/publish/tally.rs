//! All monitors in one word and one sentence.

use quorate_quorum::Verdict;

use crate::model::{MonitorView, Snapshot};

/// How many monitors stand how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) up: usize,
    pub(super) partial: usize,
    pub(super) down: usize,
    pub(super) unobserved: usize,
    /// Those of the unobserved that never had a verdict: the aggregator has just met them.
    pub(super) waiting: usize,
    /// Those of the up that do not work well.
    pub(super) degraded: usize,
}

/// A monitor's verdict; one that has none yet is not observed.
pub(super) fn verdict(monitor: &MonitorView) -> Verdict {
    monitor.verdict.unwrap_or(Verdict::Unobserved)
}

/// Whether a monitor is up and does not work well. What only fails in some regions is worse than that.
pub(super) fn is_degraded(monitor: &MonitorView) -> bool {
    verdict(monitor) == Verdict::Up && !monitor.degraded.is_empty()
}

impl Tally {
    /// Counts a picture's monitors.
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let mut tally = Self::default();
        for monitor in &snapshot.monitors {
            let count = match verdict(monitor) {
                Verdict::Up => &mut tally.up,
                Verdict::Partial => &mut tally.partial,
                Verdict::Down => &mut tally.down,
                Verdict::Unobserved => &mut tally.unobserved,
            };
            *count += 1;
            tally.waiting += usize::from(monitor.verdict.is_none());
            tally.degraded += usize::from(is_degraded(monitor));
        }
        tally
    }

    pub(super) fn total(self) -> usize {
        self.up + self.partial + self.down + self.unobserved
    }

    /// The worst verdict. Nothing watched is nothing observed: never green.
    pub(super) fn worst(self) -> Verdict {
        match self {
            Self { down: 1.., .. } => Verdict::Down,
            Self { partial: 1.., .. } => Verdict::Partial,
            Self { unobserved: 1.., .. } | Self { up: 0, .. } => Verdict::Unobserved,
            Self { .. } => Verdict::Up,
        }
    }

    /// The whole in one sentence, without its full stop.
    pub(super) fn headline(self) -> String {
        let total = self.total();
        if total == 0 {
            return "No endpoint is watched".to_owned();
        }
        if self.waiting == total {
            return "Waiting for the first results".to_owned();
        }
        match self.worst() {
            Verdict::Up if self.degraded > 0 => share(self.degraded, total, "is degraded", "are degraded"),
            Verdict::Up => share(total, total, "answers", "answer"),
            Verdict::Partial => share(self.partial, total, "fails in some regions", "fail in some regions"),
            Verdict::Down => share(self.down, total, "is down", "are down"),
            Verdict::Unobserved => share(self.unobserved, total, "is not observed", "are not observed"),
        }
    }

    /// How many answer as they should, where the headline does not say it already.
    fn well(self, worst: Verdict) -> Option<String> {
        let well = self.up - self.degraded;
        let is_said = worst == Verdict::Up && self.degraded == 0;
        (well > 0 && !is_said).then(|| format!("{well} {}", if well == 1 { "answers" } else { "answer" }))
    }

    /// What the headline leaves out, such as `2 answer, 1 is not observed`; empty where it says all.
    pub(super) fn rest(self) -> String {
        let worst = self.worst();
        let part = |verdict, count, one: &str, many: &str| {
            (count > 0 && verdict != worst)
                .then(|| format!("{count} {}", if count == 1 { one } else { many }))
        };
        let parts = [
            part(Verdict::Partial, self.partial, "fails in some regions", "fail in some regions"),
            part(Verdict::Unobserved, self.unobserved, "is not observed", "are not observed"),
            part(Verdict::Up, self.degraded, "is degraded", "are degraded"),
            self.well(worst),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

fn share(count: usize, total: usize, one: &str, many: &str) -> String {
    match (count, total) {
        (1, 1) => format!("The endpoint {one}"),
        (2, 2) => format!("Both endpoints {many}"),
        (count, total) if count == total => format!("All {total} endpoints {many}"),
        (1, total) => format!("1 of {total} endpoints {one}"),
        (count, total) => format!("{count} of {total} endpoints {many}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_in_one_sentence() {
        let tally = |up, partial, down, unobserved, waiting| Tally {
            up,
            partial,
            down,
            unobserved,
            waiting,
            degraded: 0,
        };
        for (tally, worst, headline, rest) in [
            (tally(0, 0, 0, 0, 0), Verdict::Unobserved, "No endpoint is watched", ""),
            (tally(0, 0, 0, 2, 2), Verdict::Unobserved, "Waiting for the first results", ""),
            (tally(1, 0, 0, 0, 0), Verdict::Up, "The endpoint answers", ""),
            (tally(4, 0, 0, 0, 0), Verdict::Up, "All 4 endpoints answer", ""),
            (tally(3, 0, 1, 0, 0), Verdict::Down, "1 of 4 endpoints is down", "3 answer"),
            (
                tally(1, 1, 2, 1, 1),
                Verdict::Down,
                "2 of 5 endpoints are down",
                "1 fails in some regions, 1 is not observed, 1 answers",
            ),
            (tally(1, 1, 0, 0, 0), Verdict::Partial, "1 of 2 endpoints fails in some regions", "1 answers"),
            (tally(0, 0, 2, 0, 0), Verdict::Down, "Both endpoints are down", ""),
            (tally(1, 0, 0, 1, 0), Verdict::Unobserved, "1 of 2 endpoints is not observed", "1 answers"),
            (
                Tally { degraded: 1, ..tally(3, 0, 0, 0, 0) },
                Verdict::Up,
                "1 of 3 endpoints is degraded",
                "2 answer",
            ),
            (Tally { degraded: 2, ..tally(2, 0, 0, 0, 0) }, Verdict::Up, "Both endpoints are degraded", ""),
            (
                Tally { degraded: 1, ..tally(3, 0, 1, 0, 0) },
                Verdict::Down,
                "1 of 4 endpoints is down",
                "1 is degraded, 2 answer",
            ),
        ] {
            assert_eq!(
                (tally.worst(), tally.headline().as_str(), tally.rest().as_str()),
                (worst, headline, rest)
            );
        }
    }
}
