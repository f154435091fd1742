//! What is usual for one region's canary on one monitor: how often it ends abnormally, and how many such ends within an
//! hour are too many for chance.

use std::collections::VecDeque;

use quorate_proto::Micros;

use crate::Moment;

/// The time over which ends are counted: long enough for a connection that is cut every quarter of an hour.
pub(super) const CLOSES_SPAN: Micros = Micros::from_secs(3_600);

/// Fewer are no spike however rare they are: a server that is restarted with a flaw and once more to mend it.
const SPIKE_MIN: u16 = 3;

/// More than this many an hour are nobody's usual: where so many are, nothing is told apart from it.
const SPIKE_MAX: u16 = 40;

/// Before it has watched for so long it does not judge: a day has its quiet hours and its busy ones.
const HISTORY_MIN_HOURS: f64 = 24.0;

/// After a week what was seen counts half: two weeks are remembered well, a season is not.
const HALF_LIFE_HOURS: f64 = 7.0 * 24.0;

/// What goes on for so long is usual: nobody waits any more for it to end.
const NOVELTY: Micros = Micros::from_secs(7 * 86_400);

/// False spikes of one region's canary in 1,000 years, at most, if its ends came by chance: the promise for pages.
const FALSE_SPIKES_MAX: f64 = 0.5;

/// Hours of 1,000 years.
const HOURS: f64 = 8_766_000.0;

/// Ends remembered of the last hour. Where there are more, the oldest leave sooner: so many are a spike, or nobody's usual.
const RECENT_MAX: usize = 64;

/// How long a canary counts as held after it was last heard of: it says that it lives every
/// [`quorate_proto::limits::CANARY_REPORT_INTERVAL`], and one such report may be lost.
pub(super) const HEARD_MAX: Micros = Micros::from_secs(150);

const _: () = assert!(HEARD_MAX.0 > 2 * quorate_proto::limits::CANARY_REPORT_INTERVAL.0);
const _: () = assert!(RECENT_MAX > SPIKE_MAX as usize);

/// How often a region's canary ends abnormally: ends and hours, both forgotten by half in a week.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Baseline {
    /// Abnormal ends.
    pub ends: f64,
    /// Hours for which the canary was held.
    pub hours: f64,
    /// As of when.
    pub at: Moment,
}

/// One region's canary.
#[derive(Clone, Debug, Default)]
pub(super) struct Usual {
    pub(super) baseline: Baseline,
    heard_at: Option<Moment>,
    /// Abnormal ends within [`CLOSES_SPAN`], and their codes. They become part of what is usual when they leave it: a spike
    /// must not make itself usual while it is judged.
    recent: VecDeque<(Moment, u16)>,
    /// Since when there are too many of them, and when there last were.
    spike: Option<(Moment, Moment)>,
}

impl Baseline {
    fn age(&mut self, at: Moment) {
        let left = (-at.since(self.at).as_secs_f64() / 3_600.0 / HALF_LIFE_HOURS).exp2();
        self.ends *= left;
        self.hours *= left;
        self.at = self.at.max(at);
    }

    /// The rate an hour, by a cautious estimate: as if two more had been seen. None while it is too little known.
    fn rate(&self) -> Option<f64> {
        (self.hours >= HISTORY_MIN_HOURS).then(|| (self.ends + 2.0) / self.hours)
    }

    /// How many abnormal ends within an hour are a spike; none where that cannot be said.
    pub fn spike_from(&self) -> Option<u16> {
        // What is beyond the largest number is beyond it at that rate already, and the sum below stays short.
        let rate = self.rate()?.min(f64::from(SPIKE_MAX));
        (SPIKE_MIN..=SPIKE_MAX).find(|needed| false_spikes(rate, *needed) <= FALSE_SPIKES_MAX)
    }

    /// Abnormal ends a day, as they are usual.
    pub fn per_day(&self) -> f64 {
        if self.hours > 0.0 { self.ends / self.hours * 24.0 } else { 0.0 }
    }
}

/// False spikes in 1,000 years where ends come by chance, `rate` an hour: an end makes one when it is the last of `needed`
/// within an hour, so that this is the number of ends times the share of those that find `needed - 1` or more before them.
fn false_spikes(rate: f64, needed: u16) -> f64 {
    HOURS * rate * at_least(needed.saturating_sub(1), rate)
}

/// The chance of `count` or more where `mean` are expected (Poisson).
fn at_least(count: u16, mean: f64) -> f64 {
    let mut term = (-mean).exp();
    for number in 1..=count {
        term *= mean / f64::from(number);
    }
    // The tail itself, not one less its complement: that would end at the precision of the number 1.
    let mut sum = 0.0;
    let mut number = f64::from(count);
    while term > sum * 1e-12 {
        sum += term;
        number += 1.0;
        term *= mean / number;
    }
    sum.min(1.0)
}

impl Usual {
    pub(super) fn restored(baseline: Baseline) -> Self {
        Self { baseline, ..Self::default() }
    }

    /// The canary was heard of. Says whether what is usual has changed by more than time.
    pub(super) fn heard(&mut self, at: Moment) -> bool {
        let held = self.heard_at.map_or(Micros::ZERO, |heard_at| at.since(heard_at).min(HEARD_MAX));
        self.heard_at = Some(self.heard_at.map_or(at, |heard_at| heard_at.max(at)));
        let learned = self.forget_old(at);
        if self.learns(at) {
            let before = self.baseline.hours;
            self.baseline.age(at);
            self.baseline.hours += held.as_secs_f64() / 3_600.0;
            // Quiet hours are written down four times a day: what is lost between is little.
            return learned || (before / 6.0).floor() < (self.baseline.hours / 6.0).floor();
        }
        self.baseline.at = self.baseline.at.max(at);
        learned
    }

    /// It ended abnormally.
    pub(super) fn ended(&mut self, code: u16, at: Moment) {
        if self.recent.len() == RECENT_MAX {
            self.drop_oldest(at);
        }
        self.recent.push_back((at, code));
        self.note_spike(at);
    }

    /// Lets what left the hour become usual. Says whether any did.
    pub(super) fn forget_old(&mut self, at: Moment) -> bool {
        let mut has_learned = false;
        while self.recent.front().is_some_and(|(ended, _)| at.since(*ended) >= CLOSES_SPAN) {
            has_learned |= self.drop_oldest(at);
        }
        self.note_spike(at);
        has_learned
    }

    /// The oldest end is recent no more. Says whether it is now part of what is usual.
    fn drop_oldest(&mut self, at: Moment) -> bool {
        let learns = self.learns(at);
        if learns {
            self.baseline.ends += 1.0;
        }
        self.recent.pop_front();
        learns
    }

    /// What happens in a spike is not usual, and becomes it only when it does not end: a bad day must not blind for weeks, nor
    /// may something that broke be called mended because it stayed broken for some hours.
    fn learns(&self, at: Moment) -> bool {
        self.spike.is_none_or(|(since, _)| at.since(since) >= NOVELTY)
    }

    /// A spike is over when there was none for as long as ends are counted: at its edge it would not come and go.
    fn note_spike(&mut self, at: Moment) {
        self.spike = match self.spike {
            Some((since, _)) if self.spikes() => Some((since, at)),
            None if self.spikes() => Some((at, at)),
            Some((_, latest)) if at.since(latest) >= CLOSES_SPAN => None,
            goes_on => goes_on,
        };
    }

    /// An outage has its own page, and is no measure of what is usual.
    pub(super) fn forget_recent(&mut self) {
        self.recent.clear();
        self.spike = None;
    }

    pub(super) fn is_held(&self, at: Moment) -> bool {
        self.heard_at.is_some_and(|heard_at| at.since(heard_at) <= HEARD_MAX)
    }

    /// Whether it is known for long enough to judge.
    pub(super) fn can_judge(&self) -> bool {
        self.baseline.spike_from().is_some()
    }

    /// Whether there are too many ends for chance.
    pub(super) fn spikes(&self) -> bool {
        let count = self.recent.len();
        self.baseline.spike_from().is_some_and(|needed| count >= usize::from(needed))
    }

    /// The codes of the abnormal ends within the last hour.
    pub(super) fn codes(&self) -> impl Iterator<Item = u16> {
        self.recent.iter().map(|(_, code)| *code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rarer_the_usual_the_fewer_are_a_spike() {
        let spike = |ends: f64, days: f64| Baseline { ends, hours: 24.0 * days, at: Moment(0) }.spike_from();
        for (ends, days, wanted) in [
            (0.0, 0.9, None),        // too little known
            (0.0, 1.0, Some(6)),     // a day without one
            (0.0, 10.0, Some(4)),    // two weeks without one
            (10.0, 10.0, Some(5)),   // one a day
            (240.0, 10.0, Some(12)), // one an hour
            (24_000.0, 10.0, None),  // a hundred an hour: reconnections tell of that
            (1e9, 10.0, None),       // whatever the figures are
        ] {
            assert_eq!(spike(ends, days), wanted, "{ends} in {days} days");
        }
    }

    #[test]
    fn ends_a_day() {
        assert_eq!(Baseline { ends: 3.0, hours: 36.0, at: Moment(0) }.per_day(), 2.0);
        assert_eq!(Baseline::default().per_day(), 0.0, "nothing is known");
    }

    /// Half of ends and hours is left after a week; what is held meanwhile adds up, and silence does not.
    #[test]
    fn what_is_usual_is_forgotten_by_half_in_a_week() {
        let minutes = |minutes: u64| Moment(0).after(Micros::from_secs(60 * minutes));
        let mut usual = Usual::restored(Baseline { ends: 8.0, hours: 400.0, at: Moment(0) });
        let week = 7 * 24 * 60;
        usual.heard(minutes(week));
        assert_eq!((usual.baseline.ends, usual.baseline.hours), (4.0, 200.0));
        usual.heard(minutes(week + 1));
        let held = usual.baseline.hours - 200.0;
        assert!((held * 60.0 - (1.0 - 200.0 * 0.5_f64.ln().abs() / 168.0)).abs() < 1e-3, "{held}");
        usual.heard(minutes(2 * week));
        assert!((usual.baseline.hours - 100.0).abs() < 0.1, "a week of silence: {:?}", usual.baseline);
        assert!((usual.baseline.ends - 2.0).abs() < 1e-3);
    }

    /// Quiet hours are worth writing down four times a day and not each minute.
    #[test]
    fn quiet_hours_are_learned_a_few_times_a_day() {
        let mut usual = Usual::default();
        let minutes = |minutes: u64| Moment(0).after(Micros::from_secs(60 * minutes));
        assert_eq!((0..24 * 60).filter(|minute| usual.heard(minutes(*minute))).count(), 3);
        assert!(usual.baseline.hours < 24.0, "{:?}", usual.baseline);
    }

    /// A canary counts as held for as long as one report of it may be lost.
    #[test]
    fn a_canary_that_is_not_heard_of_is_not_held() {
        let mut usual = Usual::default();
        assert!(!usual.is_held(Moment(0)));
        usual.heard(Moment(0));
        assert!(usual.is_held(Moment(0).after(HEARD_MAX)));
        assert!(!usual.is_held(Moment(1).after(HEARD_MAX)));
    }

    /// Four within the hour are a spike here. It is over when there was none for an hour, and nothing of it is usual.
    #[test]
    fn a_spike_is_over_an_hour_after_it_was_last_one() {
        let minute = |minutes: u64| Moment(0).after(Micros::from_secs(60 * minutes));
        let mut usual = Usual::restored(Baseline { ends: 0.0, hours: 240.0, at: minute(0) });
        assert_eq!(usual.baseline.spike_from(), Some(4));
        for minutes in [0, 1, 2, 3, 20] {
            usual.ended(1006, minute(minutes));
        }
        assert!(usual.spikes());
        assert!(!usual.forget_old(minute(30)));
        // Two left the hour, and three are none: the spike was last seen at 30.
        for minutes in [61, 64, 81] {
            assert!(!usual.forget_old(minute(minutes)), "{minutes}");
            assert!(!usual.spikes());
        }
        usual.ended(1006, minute(100));
        assert_eq!(usual.baseline.ends, 0.0);
        assert!(usual.forget_old(minute(160)));
        assert_eq!(usual.baseline.ends, 1.0);
        usual.ended(1006, minute(170));
        assert!(usual.forget_old(minute(230)));
        assert_eq!(usual.baseline.ends, 2.0);
    }

    /// A hundred an hour from the first day on are more than are remembered, and yet known for what they are; where they
    /// begin later they are told as a spike, and are usual after a week and a day.
    #[test]
    fn what_stays_is_usual_however_much_it_is() {
        for (quiet_hours, last) in [(0.0, 0..1), (240.0, 7..9)] {
            let mut usual = Usual::restored(Baseline { ends: 0.0, hours: quiet_hours, at: Moment(0) });
            let mut spiked_last = 0;
            for number in 0..100 * 24 * 10 {
                let at = Moment(0).after(Micros::from_secs(36 * number));
                usual.heard(at);
                usual.ended(1006, at);
                assert!(usual.recent.len() <= RECENT_MAX);
                if usual.spikes() {
                    spiked_last = number;
                }
            }
            let days = spiked_last / 2_400;
            assert!(last.contains(&days), "{days} days after {quiet_hours} hours, {:?}", usual.baseline);
            assert!(!usual.can_judge());
        }
    }

    #[test]
    fn the_tail_is_that_of_the_tables() {
        assert_eq!(at_least(1, 0.0), 0.0);
        for (count, mean, wanted) in [
            (0, 1.0, 1.0),
            (1, 1.0, 0.632_120_6),
            (3, 0.5, 0.014_387_7),
            (5, 0.01, 8.264_5e-13),
            (10, 4.0, 0.008_132_2),
        ] {
            let found = at_least(count, mean);
            assert!((found / wanted - 1.0).abs() < 1e-4, "{count} of {mean}: {found}");
        }
    }

    /// The formula against ends thrown by chance, at rates where chance shows itself within 20,000 years.
    #[test]
    fn false_spikes_are_as_rare_as_computed() {
        let mut state = 42_u64;
        let mut chance = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 11) as f64 + 1.0) / (1_u64 << 53) as f64
        };
        for (rate, needed) in [(0.05, 3), (0.2, 5), (1.0, 8)] {
            let (mut hour, mut recent, mut spikes) = (0.0, VecDeque::new(), 0);
            let hours = HOURS * 2.0;
            while hour < hours {
                hour += -chance().ln() / rate;
                while recent.front().is_some_and(|then| hour - then >= 1.0) {
                    recent.pop_front();
                }
                recent.push_back(hour);
                spikes += i32::from(recent.len() >= needed);
            }
            let computed = 2.0 * false_spikes(rate, u16::try_from(needed).unwrap());
            let found = f64::from(spikes);
            assert!(
                (found - computed).abs() < 5.0 * computed.sqrt() + 0.1 * computed,
                "{rate} {needed}: {found} {computed}"
            );
        }
    }

    #[test]
    fn a_spike_does_not_become_usual() {
        let hour = |hours: f64| Moment(0).after(Micros::from_secs((hours * 3_600.0) as u64));
        let mut usual = Usual::restored(Baseline { ends: 0.0, hours: 240.0, at: hour(0.0) });
        usual.heard(hour(0.0));
        for number in 0..30 {
            usual.ended(1006, hour(0.9 * f64::from(number) / 30.0));
        }
        usual.forget_old(hour(0.95));
        assert!(usual.spikes());
        usual.heard(hour(2.0));
        assert!(!usual.spikes());
        assert_eq!(usual.baseline.ends, 0.0, "{:?}", usual.baseline);
    }

    #[test]
    fn what_stays_is_usual_after_a_week_and_what_was_is_forgotten() {
        let mut usual = Usual::restored(Baseline { ends: 0.0, hours: 240.0, at: Moment(0) });
        let minute = |minutes: u64| Moment(0).after(Micros::from_secs(60 * minutes));
        let mut spiked_last = 0;
        for minutes in 0..60 * 24 * 30 {
            let at = minute(minutes);
            usual.heard(at);
            if minutes % 10 == 0 && minutes < 60 * 24 * 14 {
                usual.ended(1006, at);
            }
            if usual.spikes() {
                spiked_last = minutes;
            }
        }
        let days = spiked_last as f64 / 1_440.0;
        assert!((7.0..8.0).contains(&days), "{days} days");
        assert!(usual.baseline.per_day() < 40.0, "{:?}: 144 a day two weeks ago", usual.baseline);
    }
}
