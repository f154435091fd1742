//! Uptime: of a stretch of time, how much a monitor was up. Pure arithmetic: turns of the verdict in, shares out.
//!
//! # What counts as what
//! Every instant of a window is in exactly one [`State`], so that the shares always add up to the window:
//! - *not yet*: before the monitor's first verdict, or after it was removed;
//! - *maintenance*: within a window that was announced. It is taken out of the reckoning, up or down;
//! - *up*, *partial*, *down*: what the quorum said then;
//! - *unobserved*: too few regions had a vote, or the aggregator itself did not run. Neither up nor down: nobody knows.
//!
//! Uptime is `(up + partial) / (up + partial + down)`. Partial counts as up because a quorum did not fail: whoever wants it
//! otherwise has both figures. Unobserved time is left out of the fraction and told beside it, as the share of the time
//! that should have been observed; a figure of 100 % over an hour of a month says so. Without any observed time there is
//! no figure, and not 100 %.
//!
//! # What goes over what
//! Layers, the later above the earlier: the turns of the verdict; *away* (the aggregator was not there to see, whatever
//! verdict stood); *mended* (what late results said, and only where the time is unobserved); maintenance. What is
//! before the first verdict stays *not yet* whatever lies above. All intervals are half open, `[from, to)`, so a turn
//! at a border belongs to what follows, and nothing is counted twice.
//!
//! # Mending
//! Agents keep their results while the aggregator is away, and send them later. They never decide and never page, but
//! they tell history what happened. Time is cut into slots ([`MendRule::slot`]: long enough for one scheduled check of
//! every region and for the evidence that a page would want). In a slot a region's vote is what most of its late checks
//! found; a tie abstains. Where more than half of the configured regions have a vote, and at least two:
//! - as many fail as the fast rule needs of as many voters ([`crate::Policy::needed`]): the slot was *down*;
//! - as many pass: it was *up*;
//! - anything else stays unobserved. Live, a split would have been confirmed by asking again; afterwards nobody can
//!   ask, so the same quorum is wanted of both answers and a split proves neither.
//!
//! A single configured region is mended by its own votes, as it decides alone when live. Mended time is marked as such.

use std::collections::{BTreeMap, BTreeSet};

use quorate_proto::{Micros, Region, WallMicros};

use crate::{Policy, Verdict, policy::majority};

/// What is known of a monitor at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It was not watched: before its first verdict, or after it was removed.
    NotYet,
    /// It was maintained: taken out of the reckoning.
    Maintenance,
    /// A quorum passed.
    Up,
    /// Nobody knows.
    Unobserved,
    /// Some regions failed, and no quorum of them.
    Partial,
    /// A quorum failed.
    Down,
}

impl State {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotYet => "not_yet",
            Self::Maintenance => "maintenance",
            Self::Up => "up",
            Self::Unobserved => "unobserved",
            Self::Partial => "partial",
            Self::Down => "down",
        }
    }
}

impl From<Verdict> for State {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Up => Self::Up,
            Verdict::Partial => Self::Partial,
            Verdict::Down => Self::Down,
            Verdict::Unobserved => Self::Unobserved,
        }
    }
}

/// A stretch of time, `[from, to)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stretch {
    /// Its first instant.
    pub from: WallMicros,
    /// The first instant after it; empty where that is not later.
    pub to: WallMicros,
}

impl Stretch {
    /// How long it is.
    pub fn lasts(self) -> Micros {
        self.to.since(self.from)
    }

    /// What of it lies in another one.
    #[must_use]
    pub fn within(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), to: self.to.min(other.to) }
    }
}

/// A turn of the verdict: from here on it is this; none where the monitor is not watched from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// From when on.
    pub at: WallMicros,
    /// What was decided.
    pub verdict: Option<Verdict>,
}

/// What late results said of a stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mend {
    /// When.
    pub stretch: Stretch,
    /// What they say.
    pub verdict: Verdict,
}

/// All that is known of a monitor's past, in any order but that of the turns, which is theirs in time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Turns of the verdict, the oldest first. One from before the window says how it begins.
    pub turns: Vec<Turn>,
    /// When the aggregator did not run or stood still.
    pub away: Vec<Stretch>,
    /// What late results said.
    pub mends: Vec<Mend>,
    /// When it was maintained.
    pub maintenance: Vec<Stretch>,
}

/// A stretch in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// When.
    pub stretch: Stretch,
    /// In which state.
    pub state: State,
    /// Whether late results say so.
    pub mended: bool,
}

impl History {
    /// The window as spans, in order, without gap or overlap; neighbours differ.
    pub fn spans(&self, window: Stretch) -> Vec<Span> {
        let mut borders = vec![window.from];
        borders.extend(self.turns.iter().map(|turn| turn.at));
        let layered =
            self.away.iter().chain(&self.maintenance).chain(self.mends.iter().map(|mend| &mend.stretch));
        borders.extend(layered.flat_map(|stretch| [stretch.from, stretch.to]));
        borders.retain(|border| *border >= window.from && *border < window.to);
        borders.sort_unstable();
        borders.dedup();
        let away = Cover::of(self.away.iter().copied());
        let maintenance = Cover::of(self.maintenance.iter().copied());
        let mended = |verdict: Verdict| {
            Cover::of(self.mends.iter().filter(|mend| mend.verdict == verdict).map(|mend| mend.stretch))
        };
        // Down goes over up: where slots of two lengths disagree, the worse is told.
        let mends = [Verdict::Down, Verdict::Partial, Verdict::Up].map(|verdict| (verdict, mended(verdict)));
        let state = |at: WallMicros| {
            let known = self.turns.partition_point(|turn| turn.at <= at);
            let turn = known.checked_sub(1).and_then(|index| self.turns.get(index));
            let Some(verdict) = turn.and_then(|turn| turn.verdict) else { return (State::NotYet, false) };
            if maintenance.has(at) {
                return (State::Maintenance, false);
            }
            if verdict != Verdict::Unobserved && !away.has(at) {
                return (verdict.into(), false);
            }
            let mend = mends.iter().find(|(_, cover)| cover.has(at));
            mend.map_or((State::Unobserved, false), |(verdict, _)| ((*verdict).into(), true))
        };
        let ends = borders.iter().copied().skip(1).chain([window.to]);
        let mut spans = Vec::<Span>::new();
        for (from, to) in borders.iter().copied().zip(ends) {
            let (state, mended) = state(from);
            match spans.last_mut() {
                Some(last) if last.state == state && last.mended == mended => last.stretch.to = to,
                Some(_) | None => spans.push(Span { stretch: Stretch { from, to }, state, mended }),
            }
        }
        spans
    }
}

/// Stretches merged and in order, so that asking whether an instant is in one of them is a search. No instant is in an
/// empty one.
struct Cover(Vec<Stretch>);

impl Cover {
    fn of(stretches: impl Iterator<Item = Stretch>) -> Self {
        let mut sorted = stretches.collect::<Vec<_>>();
        sorted.sort_unstable();
        let mut merged = Vec::<Stretch>::with_capacity(sorted.len());
        for one in sorted {
            match merged.last_mut() {
                Some(last) if one.from <= last.to => last.to = last.to.max(one.to),
                Some(_) | None => merged.push(one),
            }
        }
        Self(merged)
    }

    fn has(&self, at: WallMicros) -> bool {
        let begun = self.0.partition_point(|one| one.from <= at);
        begun.checked_sub(1).and_then(|index| self.0.get(index)).is_some_and(|one| at < one.to)
    }
}

/// How long a window was in each state. They add up to the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// A quorum passed.
    pub up: Micros,
    /// Some regions failed, and no quorum of them.
    pub partial: Micros,
    /// A quorum failed.
    pub down: Micros,
    /// Nobody knows.
    pub unobserved: Micros,
    /// Taken out.
    pub maintenance: Micros,
    /// Not watched.
    pub not_yet: Micros,
    /// Of all of these, what late results say.
    pub mended: Micros,
}

impl Shares {
    /// Of the part of the spans that lies in a window.
    pub fn of(spans: &[Span], window: Stretch) -> Self {
        let mut shares = Self::default();
        // Spans are in order: those before and behind the window need not be looked at.
        let first = spans.partition_point(|span| span.stretch.to <= window.from);
        let in_window = spans.iter().skip(first).take_while(|span| span.stretch.from < window.to);
        for span in in_window {
            let lasts = span.stretch.within(window).lasts();
            let share = match span.state {
                State::Up => &mut shares.up,
                State::Partial => &mut shares.partial,
                State::Down => &mut shares.down,
                State::Unobserved => &mut shares.unobserved,
                State::Maintenance => &mut shares.maintenance,
                State::NotYet => &mut shares.not_yet,
            };
            *share = *share + lasts;
            if span.mended {
                shares.mended = shares.mended + lasts;
            }
        }
        shares
    }

    /// The whole of it.
    pub fn total(&self) -> Micros {
        self.observed() + self.unobserved + self.maintenance + self.not_yet
    }

    /// The time in which a quorum's opinion was known.
    pub fn observed(&self) -> Micros {
        self.up + self.partial + self.down
    }

    /// `(up + partial) / observed`; none where nothing was observed.
    pub fn uptime(&self) -> Option<f64> {
        share(self.up + self.partial, self.observed())
    }

    /// Of the time that should have been observed, the share that was not; none where nothing should have been.
    pub fn unobserved_share(&self) -> Option<f64> {
        share(self.unobserved, self.observed() + self.unobserved)
    }

    /// The worst state that there was: down, partial, unobserved, up, maintenance, not yet.
    pub fn worst(&self) -> State {
        let states = [
            (self.down, State::Down),
            (self.partial, State::Partial),
            (self.unobserved, State::Unobserved),
            (self.up, State::Up),
            (self.maintenance, State::Maintenance),
        ];
        states.into_iter().find(|(lasts, _)| *lasts > Micros::ZERO).map_or(State::NotYet, |(_, state)| state)
    }
}

fn share(part: Micros, whole: Micros) -> Option<f64> {
    (whole > Micros::ZERO).then(|| part.0 as f64 / whole.0 as f64)
}

/// Lengths of slots. Each divides a day, so that slots begin at the same times every day.
const SLOTS: [Micros; 7] = [
    Micros::from_secs(60),
    Micros::from_secs(120),
    Micros::from_secs(300),
    Micros::from_secs(600),
    Micros::from_secs(900),
    Micros::from_secs(1_800),
    Micros::from_secs(3_600),
];

/// How late votes of a monitor's regions mend what was unobserved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MendRule {
    /// How long a slot is: one interval, and the evidence that the fast rule wants, rounded up to a length that divides a
    /// day; an hour at most.
    pub slot: Micros,
    /// How many must agree, by the number of voters from none up to all.
    needed: Vec<u16>,
    /// How many voters there must be.
    voters_min: u16,
    /// Regions whose paths are too noisy to vote.
    noisy: BTreeSet<Region>,
}

/// What one region's late checks found in one slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LateVotes {
    /// Checks that passed.
    pub passed: u32,
    /// Checks that failed.
    pub failed: u32,
}

impl MendRule {
    /// The rule for a monitor with this policy.
    pub fn of(policy: &Policy) -> Self {
        let regions = u16::try_from(policy.regions.len()).unwrap_or(u16::MAX);
        let wanted = policy.interval.max(policy.span_needed(regions));
        let slot = SLOTS.into_iter().find(|slot| *slot >= wanted);
        Self {
            slot: slot.unwrap_or(Micros::from_secs(3_600)),
            needed: (0..=regions).map(|voters| policy.needed(voters)).collect(),
            voters_min: if policy.is_single() { 1 } else { majority(regions).max(2) },
            noisy: policy.regions.iter().filter(|region| policy.is_noisy(region)).cloned().collect(),
        }
    }

    /// The slot that an instant is in.
    pub fn slot_of(&self, at: WallMicros) -> Stretch {
        let length = i64::try_from(self.slot.0.max(1)).unwrap_or(i64::MAX);
        let from = WallMicros(at.0.div_euclid(length).saturating_mul(length));
        Stretch { from, to: from.after(self.slot) }
    }

    /// What the votes in one slot come to; none where they prove nothing.
    pub fn decide(&self, votes: &BTreeMap<Region, LateVotes>) -> Option<Verdict> {
        let count = |passes: fn(&LateVotes) -> bool| {
            let voting = votes.iter().filter(|(region, _)| !self.noisy.contains(*region));
            u16::try_from(voting.filter(|(_, votes)| passes(votes)).count()).unwrap_or(u16::MAX)
        };
        let passing = count(|votes| votes.passed > votes.failed);
        let failing = count(|votes| votes.failed > votes.passed);
        let voters = passing.saturating_add(failing);
        let needed = *self.needed.get(usize::from(voters))?;
        match () {
            () if voters < self.voters_min => None,
            () if failing >= needed => Some(Verdict::Down),
            () if passing >= needed => Some(Verdict::Up),
            () => None,
        }
    }
}

#[cfg(test)]
mod tests;
