//! Uptime as JSON: shares, seconds, spans, regions and days of one monitor over a window that ends now.
//!
//! The arithmetic is `quorate_quorum::uptime`. Shares have five decimals and never look better than they are: uptime is cut
//! and the unobserved share rounded up, so that 1.00000 means no second of downtime.
//!
//! A region's figure stands beside the quorum's and is another thing: the share of its scheduled checks that passed. They
//! are evenly spaced, so within an hour that is a share of time; hours (and the hours of a day) then weigh the same,
//! whatever the interval was in each. Confirming checks are left out: they cluster where something fails. So are checks
//! within a maintenance and failures of the agent's own.

use std::{collections::BTreeMap, str::FromStr};

use quorate_proto::{Micros, MonitorId, Region, WallMicros};
use quorate_quorum::uptime::{History, Shares, Span, Stretch};
use serde::Serialize;

use crate::{
    limits,
    model::rfc3339,
    store::{Grain, Rollup},
};

const HOUR: Micros = Micros::from_secs(3_600);
const DAY: Micros = Micros::from_secs(86_400);

/// How far back one looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Window {
    Day,
    Week,
    Month,
    Quarter,
}

impl Window {
    pub(super) const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::Quarter];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
            Self::Quarter => "90d",
        }
    }

    const fn days(self) -> u64 {
        match self {
            Self::Day => 1,
            Self::Week => 7,
            Self::Month => 30,
            Self::Quarter => 90,
        }
    }

    pub(super) fn until(self, now: WallMicros) -> Stretch {
        Stretch { from: now.before(DAY * self.days()), to: now }
    }

    /// How finely checks are counted, and the hours or days that are looked at: whole ones.
    pub(super) fn rollups(self, now: WallMicros) -> (Grain, Stretch) {
        let Stretch { from, to } = self.until(now);
        let (grain, length) = match self {
            Self::Day | Self::Week | Self::Month => (Grain::Hour, HOUR),
            Self::Quarter => (Grain::Day, DAY),
        };
        (grain, Stretch { from: begin(from, length), to })
    }
}

impl FromStr for Window {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|window| window.name() == text).ok_or(())
    }
}

/// The answer for one monitor.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    monitor: &'a MonitorId,
    window: &'static str,
    #[serde(with = "rfc3339")]
    from: WallMicros,
    #[serde(with = "rfc3339")]
    to: WallMicros,
    #[serde(flatten)]
    figures: Figures,
    regions: Vec<RegionFigures>,
    /// Days in UTC, the oldest first; the first and the last may be part of one.
    days: Vec<DayFigures>,
    /// In order of time; the newest where there are more than [`limits::UPTIME_SPANS_SHOWN_MAX`].
    spans: Vec<SpanJson>,
    /// Older spans that are left out of the list, not of the figures.
    spans_left_out: usize,
}

/// Shares and seconds of a stretch.
#[derive(Serialize)]
pub(super) struct Figures {
    /// `(up + partial) / (up + partial + down)`; `null` where nothing was observed.
    uptime: Option<f64>,
    /// Of the time that should have been observed, the share that was not; `null` where nothing should have been.
    unobserved: Option<f64>,
    seconds: Seconds,
}

#[derive(Serialize)]
struct Seconds {
    up: f64,
    partial: f64,
    down: f64,
    unobserved: f64,
    maintenance: f64,
    not_yet: f64,
    /// Of all of these, what results that came late say.
    mended: f64,
}

#[derive(Serialize)]
struct RegionFigures {
    region: Region,
    /// The share of its scheduled checks that passed, by time; `null` where it made none.
    uptime: Option<f64>,
    checks: u64,
    failed: u64,
    /// Those of the checks, confirming ones included, that came too late to decide.
    late: u64,
    /// Hours in which it checked.
    hours: u64,
    /// How checks failed, confirming ones included.
    failures: BTreeMap<String, u64>,
}

#[derive(Serialize)]
struct DayFigures {
    date: String,
    /// The worst state of the day.
    worst: &'static str,
    #[serde(flatten)]
    figures: Figures,
}

#[derive(Serialize)]
struct SpanJson {
    #[serde(with = "rfc3339")]
    from: WallMicros,
    #[serde(with = "rfc3339")]
    to: WallMicros,
    state: &'static str,
    mended: bool,
}

impl<'a> Report<'a> {
    pub(super) fn of(
        monitor: &'a MonitorId,
        window: Window,
        now: WallMicros,
        history: &History,
        rollups: &[Rollup],
    ) -> Self {
        let stretch = window.until(now);
        let spans = history.spans(stretch);
        let left_out = spans.len().saturating_sub(limits::UPTIME_SPANS_SHOWN_MAX);
        let day = |stretch: Stretch| {
            let shares = Shares::of(&spans, stretch);
            DayFigures {
                date: date(stretch.from),
                worst: shares.worst().name(),
                figures: Figures::of(&shares),
            }
        };
        Self {
            monitor,
            window: window.name(),
            from: stretch.from,
            to: stretch.to,
            figures: Figures::of(&Shares::of(&spans, stretch)),
            regions: regions(rollups),
            days: days(stretch).map(day).collect(),
            spans: spans.iter().skip(left_out).map(SpanJson::of).collect(),
            spans_left_out: left_out,
        }
    }
}

impl Figures {
    pub(super) fn of(shares: &Shares) -> Self {
        let seconds = Micros::as_secs_f64;
        Self {
            uptime: shares.uptime().map(cut),
            unobserved: shares.unobserved_share().map(raised),
            seconds: Seconds {
                up: seconds(shares.up),
                partial: seconds(shares.partial),
                down: seconds(shares.down),
                unobserved: seconds(shares.unobserved),
                maintenance: seconds(shares.maintenance),
                not_yet: seconds(shares.not_yet),
                mended: seconds(shares.mended),
            },
        }
    }
}

impl SpanJson {
    fn of(span: &Span) -> Self {
        let Span { stretch, state, mended } = *span;
        Self { from: stretch.from, to: stretch.to, state: state.name(), mended }
    }
}

fn regions(rollups: &[Rollup]) -> Vec<RegionFigures> {
    let mut by_region = BTreeMap::<&Region, Vec<&Rollup>>::new();
    for rollup in rollups {
        by_region.entry(&rollup.region).or_default().push(rollup);
    }
    by_region.into_iter().map(|(region, rollups)| RegionFigures::of(region, &rollups)).collect()
}

impl RegionFigures {
    fn of(region: &Region, rollups: &[&Rollup]) -> Self {
        let sum = |of: fn(&Rollup) -> u64| rollups.iter().map(|rollup| of(rollup)).sum::<u64>();
        let hours = sum(|rollup| u64::from(rollup.hours));
        let weighted =
            rollups.iter().map(|rollup| passed_share(rollup) * f64::from(rollup.hours)).sum::<f64>();
        let mut failures = BTreeMap::new();
        for (name, count) in rollups.iter().flat_map(|rollup| &rollup.failures) {
            *failures.entry(name.clone()).or_default() += count;
        }
        Self {
            region: region.clone(),
            uptime: (hours > 0).then(|| cut(weighted / hours as f64)),
            checks: sum(|rollup| rollup.passed + rollup.failed),
            failed: sum(|rollup| rollup.failed),
            late: sum(|rollup| rollup.late),
            hours,
            failures,
        }
    }
}

fn passed_share(rollup: &Rollup) -> f64 {
    let checks = rollup.passed + rollup.failed;
    if checks == 0 { 0.0 } else { rollup.passed as f64 / checks as f64 }
}

/// The days in UTC of a stretch, each cut to it.
pub(super) fn days(stretch: Stretch) -> impl Iterator<Item = Stretch> {
    let first = begin(stretch.from, DAY);
    let after = move |day: &Stretch| Some(Stretch { from: day.to, to: day.to.after(DAY) });
    std::iter::successors(Some(Stretch { from: first, to: first.after(DAY) }), after)
        .take_while(move |day| day.from < stretch.to)
        .map(move |day| day.within(stretch))
}

/// The start of the hour or day that a reading is in.
pub(super) fn begin(at: WallMicros, length: Micros) -> WallMicros {
    let length = i64::try_from(length.0.max(1)).unwrap_or(i64::MAX);
    WallMicros(at.0.div_euclid(length).saturating_mul(length))
}

/// A date such as `2026-11-22`.
fn date(at: WallMicros) -> String {
    rfc3339::text(at).chars().take_while(|char| *char != 'T').collect()
}

/// Five decimals, never more than it is. A hair is added first, so that 0.9 is not cut to 0.89999.
fn cut(share: f64) -> f64 {
    ((share * 1e5 + 1e-6).floor() / 1e5).clamp(0.0, 1.0)
}

/// Five decimals, never less than it is.
fn raised(share: f64) -> f64 {
    // A zero below zero would have its sign shown.
    ((share * 1e5 - 1e-6).ceil() / 1e5).clamp(0.0, 1.0) + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_never_look_better_than_they_are() {
        for (share, wanted) in
            [(1.0, 1.0), (0.999_999_999, 0.999_99), (0.9, 0.9), (0.0, 0.0), (0.123_456, 0.123_45)]
        {
            assert_eq!(cut(share), wanted);
        }
        for (share, wanted) in [(0.0, 0.0), (0.000_000_1, 0.000_01), (0.3, 0.3), (1.0, 1.0)] {
            assert_eq!(raised(share), wanted);
            assert!(raised(share).is_sign_positive());
        }
    }

    #[test]
    fn days_are_cut_to_the_window() {
        let hour = |hours: i64| WallMicros(hours * 3_600_000_000);
        let days = days(Stretch { from: hour(20), to: hour(50) });
        let days = days.map(|day| (day.from.0 / 3_600_000_000, day.to.0 / 3_600_000_000)).collect::<Vec<_>>();
        assert_eq!(days, [(20, 24), (24, 48), (48, 50)]);
        assert_eq!(date(hour(0)), "1970-01-01");
    }

    #[test]
    fn hours_weigh_the_same_whatever_the_interval_was() {
        let rollup = |passed, failed| Rollup {
            region: "eu".parse().unwrap(),
            at: WallMicros(0),
            passed,
            failed,
            confirming: 9,
            own_fault: 1,
            maintained: 0,
            late: 2,
            hours: 1,
            failures: BTreeMap::from([("closed".to_owned(), failed + 3)]),
        };
        let [region] = regions(&[rollup(120, 0), rollup(6, 6)]).try_into().ok().unwrap();
        assert_eq!((region.uptime, region.checks, region.failed), (Some(0.75), 132, 6));
        assert_eq!((region.late, region.failures["closed"]), (4, 12));
        let idle = Rollup { hours: 0, ..rollup(0, 0) };
        assert_eq!(regions(&[idle])[0].uptime, None);
    }
}
