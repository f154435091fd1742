//! Self-doubt: whether this agent can be trusted at present, and which of its findings cannot. Pure: measurements and the
//! time in; doubts, and excuses for failures, out.
//!
//! What is measured, and when it makes a doubt:
//!
//! - *Event loop*: the loop is to run every [`limits::BEAT`]. An absence counts from [`limits::ABSENCE_MIN`] (250 ms) on,
//!   and absences of [`limits::ABSENT_MAX`] (2 s) together within [`limits::ABSENT_WINDOW`] (10 s) make a doubt. One blip
//!   of 250 ms does not: small machines have one now and then, and it delays a check by no more than itself, while
//!   timeouts are seconds. A fifth of the time is what starvation looks like; and agents that share one busy machine
//!   would otherwise all doubt themselves at once, and nobody would watch.
//! - *Schedule*: a check that starts 2 s late, or is due for that long and cannot start.
//! - *Suspend*: the clock that runs in suspend has moved by a second more than the one that does not.
//! - *Controls and resolver* (`controls.rs`), *spool* and *file descriptors*: as the caller says.
//!
//! A doubt ends when its trouble has been absent for [`quorate_proto::limits::DOUBT_CLEAN`]. A full spool is none: it is the
//! aggregator that takes nothing then, it can come to all agents at once, and what they see at present is good.
//!
//! The vote of an agent in doubt abstains, by its next report. That may come too late for what a standstill broke: the checks
//! under way time out in the moment in which the loop runs again. So each failure is looked at once more before it is
//! signed ([`Judge::excuse`]), and one that may be the agent's own fault says so.

pub mod controls;
mod patience;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use quorate_proto::{
    Doubt, DoubtReport, Failure, FailureKind, Micros,
    limits::{DETAIL_BYTES_MAX, DOUBT_CLEAN},
    outcome::cut,
};

use crate::{clock::Tick, limits};

/// One moment on both clocks that measure spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// On the one that also runs in suspend.
    pub tick: Tick,
    /// On the one that does not.
    pub awake: Tick,
}

/// Judges this agent.
#[derive(Debug)]
pub struct Judge {
    standing: BTreeMap<Doubt, Standing>,
    /// Absences of the event loop, oldest first, no longer than a check may last.
    absences: VecDeque<Absence>,
    last_beat: Pulse,
    has_news: bool,
}

/// A doubt that is not over.
#[derive(Clone, Debug)]
struct Standing {
    since: Tick,
    /// When its trouble was there last.
    troubled: Tick,
    detail: String,
}

/// A while in which the event loop did not run.
#[derive(Clone, Copy, Debug)]
struct Absence {
    from: Tick,
    to: Tick,
}

impl Judge {
    /// Begins to judge, without doubts.
    pub fn new(now: Pulse) -> Self {
        Self { standing: BTreeMap::new(), absences: VecDeque::new(), last_beat: now, has_news: false }
    }

    /// To be called every [`limits::BEAT`] by the event loop, before anything else is said of that moment.
    pub fn beat(&mut self, now: Pulse) {
        let before = std::mem::replace(&mut self.last_beat, now);
        let asleep = asleep(before, now);
        if asleep >= limits::ASLEEP_MIN {
            self.trouble(Doubt::Suspended, before.tick, now.tick, &format!("for {asleep}"));
        }
        if let Some(absence) = absence(before, now) {
            self.absences.push_back(absence);
            self.judge_absences(asleep, now.tick);
        }
        let outlived = |absence: &Absence| now.tick.since(absence.to) > limits::ABSENCES_KEPT;
        while self.absences.front().is_some_and(outlived) || self.absences.len() > limits::ABSENCES_MAX {
            self.absences.pop_front();
        }
        let before = self.standing.len();
        self.standing.retain(|doubt, standing| {
            let stays = now.tick.since(standing.troubled) < DOUBT_CLEAN;
            if !stays {
                tracing::info!(%doubt, "this agent trusts itself again in this respect");
            }
            stays
        });
        self.has_news |= self.standing.len() != before;
    }

    /// A check started, or is waiting to be started, so late.
    pub fn late(&mut self, lag: Micros, now: Tick) {
        if lag >= limits::SCHEDULE_LATE {
            let since = Tick(now.0.saturating_sub(lag));
            self.trouble(Doubt::ScheduleLate, since, now, &format!("a check was due {lag} ago"));
        }
    }

    /// Something else is wrong at this moment.
    pub fn wrong(&mut self, doubt: Doubt, detail: &str, now: Tick) {
        self.trouble(doubt, now, now, detail);
    }

    /// Whether doubts came or went since this was asked last.
    pub fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }

    /// All doubts that stand, the gravest first.
    pub fn reports(&self, now: Tick) -> Vec<DoubtReport> {
        let report = |(doubt, standing): (&Doubt, &Standing)| DoubtReport {
            doubt: *doubt,
            lasting: now.since(standing.since),
            detail: cut(standing.detail.clone(), DETAIL_BYTES_MAX),
        };
        self.standing.iter().map(report).collect()
    }

    /// What stands in the place of a failure that may be the agent's own fault; none where it is evidence. `started` and
    /// `ended` are those of the check.
    ///
    /// It may be its own where the trouble of a doubt lasted into the check; and, where it is one that waiting makes, where
    /// the loop was absent for a tenth of the check (and [`limits::ABSENCE_MIN`]), whether or not that makes a doubt: short
    /// timeouts do not forgive a blip.
    pub fn excuse(&self, failure: &Failure, started: Tick, ended: Tick, now: Pulse) -> Option<Failure> {
        if failure.kind.is_agents_own() {
            return None;
        }
        // What is wrong was wrong at the last beat, and is until the next one says otherwise.
        let reaches = |standing: &Standing| standing.troubled.after(limits::BEAT * 2);
        let concerns = |standing: &Standing| standing.since <= ended && started <= reaches(standing);
        let standing = self.standing.iter().find(|(_, standing)| concerns(standing));
        let (doubt, why) = match standing {
            Some((doubt, standing)) => (*doubt, standing.detail.clone()),
            None => {
                let lost = self.lost(started, ended, now);
                let is_much = lost >= limits::ABSENCE_MIN.max(ended.since(started) / limits::ABSENT_PART);
                if !is_much || !patience::may_be_made_by_waiting(&failure.kind) {
                    return None;
                }
                (Doubt::EventLoopLate, format!("absent for {lost} of this check"))
            }
        };
        let detail = format!(
            "the agent doubts itself ({doubt}: {why}), so that this does not count: {}, {}",
            failure.kind, failure.detail
        );
        Some(Failure {
            canary_lives: failure.canary_lives,
            ..Failure::new(FailureKind::AgentFault, failure.phase, detail)
        })
    }

    fn judge_absences(&mut self, asleep: Micros, now: Tick) {
        let recent = || self.absences.iter().filter(|one| now.since(one.to) <= limits::ABSENT_WINDOW);
        let absent = recent().fold(Micros::ZERO, |sum, one| sum + one.to.since(one.from));
        // A machine that slept was not starved: that is said on its own.
        let absent = absent.saturating_sub(asleep);
        if absent >= limits::ABSENT_MAX {
            let since = recent().map(|one| one.from).min().unwrap_or(now);
            let detail = format!("absent for {absent} within {}", limits::ABSENT_WINDOW);
            self.trouble(Doubt::EventLoopLate, since, now, &detail);
        }
    }

    fn trouble(&mut self, doubt: Doubt, since: Tick, now: Tick, detail: &str) {
        let is_news = !self.standing.contains_key(&doubt);
        let fresh = || Standing { since, troubled: now, detail: String::new() };
        let standing = self.standing.entry(doubt).or_insert_with(fresh);
        standing.troubled = now;
        if standing.detail != detail {
            detail.clone_into(&mut standing.detail);
        }
        if is_news {
            self.has_news = true;
            tracing::warn!(%doubt, detail, advice = doubt.advice(), "this agent does not trust itself; its vote abstains");
        }
    }

    /// For how long the loop was absent within a while, the present absence included.
    fn lost(&self, from: Tick, to: Tick, now: Pulse) -> Micros {
        let present = absence(self.last_beat, now);
        let within = |absence: &Absence| absence.to.min(to).since(absence.from.max(from));
        self.absences.iter().chain(&present).map(within).fold(Micros::ZERO, |sum, span| sum + span)
    }
}

/// The while between two beats in which the loop should have run and did not, where it counts.
fn absence(before: Pulse, now: Pulse) -> Option<Absence> {
    let from = before.tick.after(limits::BEAT);
    (now.tick.since(from) >= limits::ABSENCE_MIN).then_some(Absence { from, to: now.tick })
}

fn asleep(before: Pulse, now: Pulse) -> Micros {
    now.tick.since(before.tick).saturating_sub(now.awake.since(before.awake))
}
