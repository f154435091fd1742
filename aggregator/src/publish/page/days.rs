//! The bars of a monitor's card: a day each, coloured by its worst state, with its figures in words.

use quorate_proto::{Micros, WallMicros};
use quorate_quorum::uptime::{Shares, State};

use crate::publish::{
    recent::Days,
    words::{self, day},
};

/// The last 90 days of one monitor.
pub(super) struct DayBars {
    pub(super) bars: Vec<DayBar>,
    /// The uptime of all of them.
    pub(super) uptime: String,
    /// What is not in that figure, such as `0.8 % not observed`; none where all was observed.
    pub(super) beside: Option<String>,
    /// All of it in a sentence, for those who do not see the bars.
    pub(super) told: String,
}

/// One day.
pub(super) struct DayBar {
    /// The worst state: `up`, `partial`, `down`, `unobserved`, `maintenance` or `not_yet`.
    pub(super) state: &'static str,
    /// What it shows when it is pointed at.
    pub(super) title: String,
}

impl DayBars {
    /// The bars; none for a monitor that was not watched at all yet.
    pub(super) fn of(days: &Days) -> Option<Self> {
        let Days { days, whole } = days;
        if whole.worst() == State::NotYet {
            return None;
        }
        let uptime = whole.uptime().map_or_else(|| "no figure".to_owned(), words::percent);
        let bad = days.iter().filter(|(_, shares)| shares.down > Micros::ZERO).count();
        let unobserved = whole.unobserved_share().filter(|share| *share > 0.0);
        let beside = unobserved.map(|share| format!("{} not observed", words::percent_raised(share)));
        let of_days = match bad {
            0 => "no day with downtime".to_owned(),
            1 => "1 day with downtime".to_owned(),
            bad => format!("{bad} days with downtime"),
        };
        let mut told = format!("Uptime over {} days: {uptime}, {of_days}", days.len());
        if let Some(beside) = &beside {
            told = format!("{told}, {beside}");
        }
        Some(Self { bars: days.iter().map(DayBar::of).collect(), uptime, beside, told })
    }
}

impl DayBar {
    fn of((at, shares): &(WallMicros, Shares)) -> Self {
        let state = shares.worst();
        let figure = match (state, shares.uptime()) {
            (State::NotYet, _) => "not watched yet".to_owned(),
            (_, Some(uptime)) => format!("{} up", words::percent(uptime)),
            (_, None) => "no figure".to_owned(),
        };
        let parts = [
            (shares.down, "down"),
            (shares.partial, "failing in some regions"),
            (shares.unobserved, "not observed"),
            (shares.maintenance, "maintenance"),
            (shares.mended, "known from late results"),
        ];
        let parts = parts.into_iter().filter(|(lasts, _)| *lasts > Micros::ZERO);
        let parts = parts.map(|(lasts, what)| format!("; {what} {}", words::span(lasts)));
        Self { state: state.name(), title: format!("{}: {figure}{}", day(*at), parts.collect::<String>()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Micros = Micros::from_secs;
    /// 2026-11-22T00:00:00Z.
    const DAY: WallMicros = WallMicros(1_795_305_600_000_000);

    #[test]
    fn a_day_says_what_it_was() {
        let day = |shares| {
            let DayBar { state, title } = DayBar::of(&(DAY, shares));
            format!("{state} | {title}")
        };
        assert_eq!(day(Shares { up: S(86_400), ..Shares::default() }), "up | 22 Nov 2026: 100 % up");
        assert_eq!(
            day(Shares { up: S(80_000), down: S(65), unobserved: S(600), ..Shares::default() }),
            "down | 22 Nov 2026: 99.918 % up; down 65 s; not observed 10 min"
        );
        assert_eq!(
            day(Shares { not_yet: S(86_400), ..Shares::default() }),
            "not_yet | 22 Nov 2026: not watched yet"
        );
        assert_eq!(
            day(Shares { maintenance: S(86_400), ..Shares::default() }),
            "maintenance | 22 Nov 2026: no figure; maintenance 24 h"
        );
    }

    #[test]
    fn the_whole_is_told_without_the_bars() {
        let whole = Shares { up: S(9_990), down: S(10), unobserved: S(1_000), ..Shares::default() };
        let days = vec![(DAY, Shares { up: S(9_000), ..Shares::default() }), (DAY, whole)];
        let bars = DayBars::of(&Days { days, whole }).unwrap();
        assert_eq!(bars.told, "Uptime over 2 days: 99.9 %, 1 day with downtime, 9.1 % not observed");
        assert!(DayBars::of(&Days { days: vec![], whole: Shares::default() }).is_none());
    }
}
