//! Asking regions to check at once (rule 1), so that a verdict waits for evidence and not for the schedule.
//!
//! A *round* asks some regions; each makes up to two attempts. A fault takes two rounds: one as soon as the first region
//! fails, which tells whether the others see it too, and one timed so that its answers complete the evidence span. A
//! recovery takes two as well: one when the first region passes again, one when the recovery span is over. Where answers
//! are missing, further rounds follow while there is something to find out. All are rationed, see `ration.rs`.

use quorate_proto::{Micros, MonitorId};

use super::{
    Hall,
    evidence::{Opinion, Starts, Tally, voting},
    monitor::{Lane, Monitor},
    ration::Rounds,
};
use crate::{Effect, Moment, SINGLE_REGION_ATTEMPTS, Verdict, Vote, policy};

/// From one round of a monitor to the next, at least: two attempts one second apart are through by then unless they
/// time out, and those are waited for.
const ROUND_GAP: Micros = Micros::from_secs(5);

/// How much later than a check's deadline its answer may come: both ways of the network, the agent's batch, our queue.
const ANSWER_SLACK: Micros = Micros::from_secs(2);

/// What was asked of one monitor's regions.
#[derive(Clone, Debug, Default)]
pub(super) struct Asking {
    rounds: Rounds,
    /// Before that no further round.
    not_before: Moment,
    /// Until then the latest round's answers are waited for.
    answers_due: Option<Moment>,
    /// The suspicion that stands has had its first round.
    suspicion: bool,
    /// The recovery that is under way has had its first round.
    recovery: bool,
    /// No check has failed: only a canary's end is looked after.
    alarm: bool,
}

/// Whom a round asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Whom {
    /// Every eligible region.
    All,
    /// Eligible regions that fail.
    Failing,
    /// Eligible regions that pass after a settled failure.
    Returning,
}

impl Asking {
    /// A region that had answered the suspicion's round, or was not asked, begins to fail: what spreads is asked after
    /// anew.
    pub(super) fn reopen(&mut self) {
        self.suspicion = false;
    }

    /// Whether the suspicion that stands has had a round.
    pub(super) fn has_asked_suspicion(&self) -> bool {
        self.suspicion
    }
}

impl Monitor {
    /// Follows whether a suspicion or a recovery is under way. A suspicion begins with the first failure that is news and
    /// ends when every failing region has passed again or its failure is settled. One that a canary's end began is over
    /// when the regions have answered and none fails.
    pub(super) fn follow_suspicion(&mut self, opinions: &[Opinion], at: Moment) {
        let is_news = self
            .lanes
            .iter()
            .zip(opinions)
            .any(|(lane, opinion)| opinion.vote == Vote::Fail && lane.settled.is_none());
        let is_alarmed = self.follow_alarm(at);
        let suspect = (is_news || is_alarmed) && self.verdict != Some(Verdict::Down);
        self.asking.alarm = !is_news;
        if suspect && !self.suspect {
            // Of trouble that grew, the beginning is told.
            if self.suspected_at.is_none() || (self.quorum.is_none() && self.majority.is_none()) {
                self.suspected_at = Some(at);
            }
            self.asking.not_before = at;
        }
        let is_quiet = opinions.iter().all(|opinion| opinion.vote != Vote::Fail);
        if is_quiet && !suspect && matches!(self.verdict, None | Some(Verdict::Up)) {
            self.suspected_at = None;
        }
        self.suspect = suspect;
        self.asking.suspicion &= suspect;
        self.asking.recovery &= self.verdict == Some(Verdict::Down) && self.is_returning(opinions);
    }

    /// Asks what is due to be asked.
    pub(super) fn ask(
        &mut self,
        id: &MonitorId,
        tally: &Tally,
        opinions: &[Opinion],
        hall: &mut Hall,
        at: Moment,
    ) -> Option<Effect> {
        let (_, whom) = self.next_round(tally, opinions).filter(|(due, _)| *due <= at)?;
        self.asking.not_before = at.after(ROUND_GAP);
        let for_hint = self.has_hint();
        self.drop_hint();

        let asked = |(lane, opinion): (&Lane, &Opinion)| {
            let is_meant = match whom {
                Whom::All => true,
                Whom::Failing => opinion.vote == Vote::Fail,
                Whom::Returning => lane.settled.is_some() && opinion.vote == Vote::Ok,
            };
            opinion.is_eligible && is_meant
        };
        let count = self.lanes.iter().zip(opinions).filter(|both| asked(*both)).count();
        let for_alarm = for_hint || (self.suspect && self.asking.alarm);
        if count == 0 || !hall.ration.pay(&mut self.asking.rounds, count, for_alarm, at) {
            return None;
        }

        let mut regions = Vec::with_capacity(count);
        for (lane, opinion) in self.lanes.iter_mut().zip(opinions) {
            if asked((lane, opinion)) {
                lane.asked = Some(at);
                regions.push(lane.region.clone());
            }
        }
        self.asking.answers_due = Some(at.after(self.policy.timeout).after(ANSWER_SLACK));
        self.asking.suspicion |= self.suspect;
        self.asking.recovery |= self.verdict == Some(Verdict::Down);
        hall.request = (hall.request + 1).max(at.0);
        Some(Effect::Confirm { monitor: id.clone(), regions, request: hall.request })
    }

    /// When the next round is due, and whom it asks.
    pub(super) fn next_round(&self, tally: &Tally, opinions: &[Opinion]) -> Option<(Moment, Whom)> {
        let confirming = self.confirming_round(tally, opinions);
        let rounds = confirming.into_iter().chain(self.recovery_round(tally, opinions));
        let (due, whom) = rounds.min_by_key(|(due, _)| *due)?;
        let is_first = self.suspect && !self.asking.suspicion;
        let answers_due = self.answers_due().filter(|_| !is_first).unwrap_or_default();
        Some((due.max(self.asking.not_before).max(answers_due), whom))
    }

    /// The next round that helps a failure to be confirmed.
    fn confirming_round(&self, tally: &Tally, opinions: &[Opinion]) -> Option<(Moment, Whom)> {
        if self.verdict == Some(Verdict::Down) {
            return None;
        }
        if self.suspect && !self.asking.suspicion {
            return Some((Moment::default(), Whom::All));
        }
        let (span_needed, majority_span_needed) =
            (self.policy.span_needed(tally.eligible), self.policy.majority_span_needed(tally.eligible));
        let failing = || voting(opinions, Vote::Fail);
        // A check that waits for a reply is evidence from its start: asked that much earlier, its end completes the span.
        let wait = failing().map(|stretch| stretch.took.0 / 1_000_000).min().unwrap_or(0);
        let completes = |start: Moment, span: Micros| start.after(span).before(Micros::from_secs(wait));

        let quorum = self.quorum.map(|crossing| {
            let attempts = failing().map(|stretch| stretch.checks).max().unwrap_or(0);
            let is_short = self.policy.is_single() && attempts < SINGLE_REGION_ATTEMPTS;
            let span = if is_short { Micros::ZERO } else { span_needed };
            let from = self.fast_from(self.policy.needed(tally.eligible));
            completes(crossing.starts(opinions, from), span)
        });
        let majority_from = Starts::Together(policy::majority(tally.eligible));
        let majority = self
            .majority
            .filter(|_| tally.eligible > 2)
            .map(|crossing| completes(crossing.starts(opinions, majority_from), majority_span_needed));
        let lanes = self.lanes.iter().zip(opinions);
        let unconfirmed = lanes
            .filter(|(lane, opinion)| {
                let is_news = opinion.vote == Vote::Fail && lane.settled.is_none();
                is_news && !opinion.stretch.is_confirmed(span_needed)
            })
            .map(|(_, opinion)| completes(opinion.stretch.start, span_needed))
            .min();
        let due = [quorum, majority, unconfirmed].into_iter().flatten().min()?;
        // What is withheld for a while is not asked for again and again meanwhile.
        let last_look_at = self.last_look_at().filter(|_| self.down(tally, opinions).is_some());
        let due = due.max(last_look_at.unwrap_or_default());
        Some((due, if tally.failing > 1 { Whom::All } else { Whom::Failing }))
    }

    /// The next round that helps a recovery to be seen.
    fn recovery_round(&self, tally: &Tally, opinions: &[Opinion]) -> Option<(Moment, Whom)> {
        let is_returning = self.is_returning(opinions);
        match self.verdict {
            None | Some(Verdict::Up) => None,
            Some(Verdict::Down) if self.has_hint() => Some((Moment::default(), Whom::All)),
            Some(Verdict::Partial) if self.has_hint() => Some((Moment::default(), Whom::Failing)),
            Some(Verdict::Down) if is_returning && !self.asking.recovery => {
                Some((Moment::default(), Whom::All))
            }
            Some(Verdict::Partial) if is_returning => {
                let span = self.policy.recovery_span_needed();
                let returning = self
                    .lanes
                    .iter()
                    .zip(opinions)
                    .filter(|(lane, opinion)| lane.settled.is_some() && opinion.vote == Vote::Ok);
                let due = returning.map(|(_, opinion)| opinion.stretch.start.after(span)).min()?;
                Some((due, Whom::Returning))
            }
            Some(Verdict::Partial) if tally.failing > 0 => None,
            // As long as a rule for down has its votes together, no pass ends it.
            Some(Verdict::Down) if self.quorum.is_some() || self.majority.is_some() => None,
            Some(Verdict::Partial | Verdict::Down | Verdict::Unobserved) => {
                Some((self.recovery_completes_at(tally, opinions)?, Whom::All))
            }
        }
    }

    /// Until when answers of the latest round are waited for; none when all are in.
    pub(super) fn answers_due(&self) -> Option<Moment> {
        self.asking.answers_due.filter(|_| self.lanes.iter().any(|lane| lane.asked.is_some()))
    }

    /// Takes up that answers are waited for, as [`crate::judge`] is told. Which region owes one does not matter to the rules.
    pub(super) fn await_answers(&mut self, due: Option<Moment>) {
        self.asking.answers_due = due;
        if let (Some(due), Some(lane)) = (due, self.lanes.first_mut()) {
            lane.asked.get_or_insert(due);
        }
    }

    /// Stops waiting for answers that will not come.
    pub(super) fn expire_answers(&mut self, opinions: &[Opinion], at: Moment) {
        let is_over = self.asking.answers_due.is_none_or(|due| due <= at);
        for (lane, opinion) in self.lanes.iter_mut().zip(opinions) {
            if is_over || !opinion.is_eligible {
                lane.asked = None;
            }
        }
        if is_over {
            self.asking.answers_due = None;
        }
    }
}
