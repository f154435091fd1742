//! The rules: from a count of votes to a verdict, or to none yet.

use quorate_proto::Micros;

use super::{
    domains::Lack,
    evidence::{Opinion, Starts, Tally, voting},
    monitor::{Lane, Monitor},
};
use crate::{Moment, Rule, SINGLE_REGION_ATTEMPTS, Verdict, Vote, policy};

/// The longest that partial is held back because a quorum fails and its evidence is about to be complete. It keeps a
/// total outage from being announced as partial a moment before it is announced as down; with a longer `confirm_for`
/// partial is shown after this.
const PARTIAL_HELD_BACK_MAX: Micros = Micros::from_secs(60);

impl Monitor {
    /// The verdict that the rules give, where it differs from the standing one.
    pub(super) fn verdict_due(
        &self,
        tally: &Tally,
        opinions: &[Opinion],
        at: Moment,
    ) -> Option<(Verdict, Rule)> {
        let due = self.rule_that_applies(tally, opinions, at)?;
        (Some(due.0) != self.verdict).then_some(due)
    }

    fn rule_that_applies(&self, tally: &Tally, opinions: &[Opinion], at: Moment) -> Option<(Verdict, Rule)> {
        if tally.eligible < self.voters_min() {
            let rule = Rule::TooFewVoters { eligible: tally.eligible, configured: self.configured() };
            return Some((Verdict::Unobserved, rule));
        }
        let withheld = self.down_withheld_until().is_some_and(|until| at < until);
        if let Some(rule) = self.down(tally, opinions).filter(|_| !withheld) {
            return Some((Verdict::Down, rule));
        }
        let partial = || (Verdict::Partial, self.rule_of_partial(tally));
        let recovered = || self.recovered(tally, opinions).map(|rule| (Verdict::Up, rule));
        match self.verdict {
            None => self.first(tally, opinions, at),
            Some(Verdict::Up) => self.shows_partial(tally, opinions, at).then(partial),
            Some(Verdict::Partial) => recovered().filter(|_| self.is_partial_over(tally, at)),
            Some(Verdict::Down) => {
                let up = recovered()?;
                if tally.failing == 0 {
                    return Some(up);
                }
                (!self.is_partial_held_back(tally, at) && !self.policy.is_single()).then(partial)
            }
            Some(Verdict::Unobserved) => {
                if self.has_settled_failure(opinions) {
                    return self.shows_partial(tally, opinions, at).then(partial);
                }
                recovered()
            }
        }
    }

    /// Rule 5: with fewer voters nothing is observed.
    pub(super) fn voters_min(&self) -> u16 {
        if self.policy.is_single() { 1 } else { 2 }
    }

    /// Rules 3 to 5.
    pub(super) fn down(&self, tally: &Tally, opinions: &[Opinion]) -> Option<Rule> {
        let (failing, eligible) = (tally.failing, tally.eligible);
        if let Some(crossing) = self.quorum {
            let needed = self.policy.needed(eligible);
            let span = crossing.span(opinions, needed, self.fast_from(needed));
            let span_needed = self.policy.span_needed(eligible);
            // Of a region that has come back from a restart, failures before that do not count.
            let counting = voting(opinions, Vote::Fail).filter(|stretch| stretch.checks > 0).count();
            let span_needed = if counting < usize::from(needed) { Micros::MAX } else { span_needed };
            let attempts = voting(opinions, Vote::Fail).map(|stretch| stretch.checks).max().unwrap_or(0);
            if span >= span_needed && self.policy.is_single() {
                if attempts >= SINGLE_REGION_ATTEMPTS {
                    return Some(Rule::SingleRegion { attempts, span });
                }
            } else if span >= span_needed {
                return Some(Rule::FastQuorum { failing, eligible, needed, span, span_needed });
            }
        }
        let crossing = self.majority.filter(|_| !self.policy.is_single())?;
        let needed = policy::majority(eligible);
        let held = crossing.span(opinions, needed, Starts::Together(needed));
        let held_needed = self.policy.majority_span_needed(eligible);
        (held >= held_needed).then_some(Rule::Majority { failing, eligible, held, held_needed })
    }

    /// The first verdict of a new monitor: up as soon as more than half of its regions pass, and once the regions have
    /// had their time, whatever those say that have a vote.
    fn first(&self, tally: &Tally, opinions: &[Opinion], at: Moment) -> Option<(Verdict, Rule)> {
        let (passing, failing, eligible) = (tally.passing, tally.failing, tally.eligible);
        let partial = (Verdict::Partial, self.rule_of_partial(tally));
        if passing >= policy::majority(eligible) && self.quorum.is_none() {
            let is_partial = self.shows_partial(tally, opinions, at);
            return Some(if is_partial {
                partial
            } else {
                (Verdict::Up, Rule::FirstVotes { passing, eligible })
            });
        }
        let is_due = !self.is_graced(at) && failing > 0 && !self.is_partial_held_back(tally, at);
        (is_due && !self.policy.is_single()).then_some(partial)
    }

    /// Why what fails is partial and no more.
    fn rule_of_partial(&self, tally: &Tally) -> Rule {
        let (failing, eligible) = (tally.failing, tally.eligible);
        match self.lack {
            Some(Lack { domains, needed, .. }) => {
                Rule::TooFewDomains { failing, eligible, domains, domains_needed: needed }
            }
            None => Rule::SomeFail { failing, eligible },
        }
    }

    /// Why a monitor that is partial already is not down, where that is to be told: once its failures are established.
    pub(super) fn withheld(&self, tally: &Tally, at: Moment) -> Option<Rule> {
        let is_due = self.verdict == Some(Verdict::Partial)
            && self.lack.is_some()
            && !self.lack_told
            && !self.is_partial_held_back(tally, at);
        is_due.then(|| self.rule_of_partial(tally))
    }

    fn shows_partial(&self, tally: &Tally, opinions: &[Opinion], at: Moment) -> bool {
        self.has_settled_failure(opinions)
            && !self.is_partial_held_back(tally, at)
            && !self.policy.is_single()
    }

    fn has_settled_failure(&self, opinions: &[Opinion]) -> bool {
        let settled =
            |(lane, opinion): (&Lane, &Opinion)| lane.settled.is_some() && opinion.vote == Vote::Fail;
        self.lanes.iter().zip(opinions).any(settled)
    }

    /// Partial ends when no region fails, no failure is settled, and no region's vote is missing that a restart or a
    /// change of the monitor may have cost: it could be the one that fails.
    fn is_partial_over(&self, tally: &Tally, at: Moment) -> bool {
        tally.failing == 0
            && self.lanes.iter().all(|lane| lane.settled.is_none())
            && (tally.passing == self.policy.voters() || !self.is_graced(at))
    }

    /// Whether it is too early to say partial: answers are on their way, a quorum fails and only its span lacks, or the
    /// server announced a restart.
    pub(super) fn is_partial_held_back(&self, tally: &Tally, at: Moment) -> bool {
        let until = self.partial_held_back_until(tally);
        until.is_some_and(|until| at < until)
    }

    /// Until when it is, unless votes change that.
    pub(super) fn partial_held_back_until(&self, tally: &Tally) -> Option<Moment> {
        let quorum = self.quorum.filter(|_| self.verdict != Some(Verdict::Down) && tally.failing > 0);
        let quorum_until = quorum.map(|crossing| crossing.at.after(PARTIAL_HELD_BACK_MAX));
        quorum_until.max(self.answers_due()).max(self.reprieved_until())
    }
}
