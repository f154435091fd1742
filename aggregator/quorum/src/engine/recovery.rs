//! Being up again (rule 6), for a monitor and for each region.

use quorate_proto::Micros;

use super::{
    evidence::{Opinion, Stretch, Tally, kth_earliest, voting},
    monitor::{Ballot, Lane, Monitor},
};
use crate::{Finding, Moment, Rule, Verdict, Vote, policy};

/// Checks that a region has to pass without a break.
const PASSES: u16 = 2;

impl Monitor {
    /// Rule 6: a majority passes twice, over the span. Where the operator's quorum is smaller than half, a majority may
    /// pass while the quorum fails: so it is also wanted that the failures which are not yet over are fewer than the
    /// quorum, or a region that passes now and then would turn the verdict to and fro.
    pub(super) fn recovered(&self, tally: &Tally, opinions: &[Opinion]) -> Option<Rule> {
        let span_needed = self.policy.recovery_span_needed();
        let passed = voting(opinions, Vote::Ok).filter(|stretch| stretch.is_confirmed(span_needed)).count();
        let lanes = self.lanes.iter().zip(opinions);
        let failed =
            lanes.filter(|(lane, opinion)| lane.settled.is_some() || opinion.vote == Vote::Fail).count();
        let is_recovered = passed >= usize::from(policy::majority(tally.eligible))
            && failed < usize::from(self.policy.needed(tally.eligible));
        is_recovered.then_some(Rule::Recovered { passing: tally.passing, eligible: tally.eligible })
    }

    /// Settles failures that are established, and releases those that are over.
    ///
    /// A failure is established when at least two checks failed over the evidence span, and at once while the verdict is
    /// down. It is over when the region passed twice over the recovery span, when its agents are gone, or when it has
    /// not failed for as long as a vote lives, which covers regions that fell silent. A region that lost its vote because
    /// its path is noisy keeps what it established for as long as it goes on failing: what is partial does not become
    /// well by that.
    pub(super) fn settle(&mut self, tally: &Tally, opinions: &[Opinion], at: Moment) {
        let is_down = self.verdict == Some(Verdict::Down);
        let may_settle = is_down || !self.is_partial_held_back(tally, at);
        let span_needed = self.policy.span_needed(tally.eligible);
        let recovery_span_needed = self.policy.recovery_span_needed();
        let stale_after = self.policy.stale_after();
        for (lane, opinion) in self.lanes.iter_mut().zip(opinions) {
            let stretch = &opinion.stretch;
            if opinion.vote == Vote::Fail {
                let is_settled = is_down || lane.settled.is_some();
                if is_settled || (may_settle && stretch.is_confirmed(span_needed)) {
                    lane.settled = Some(stretch.end);
                }
            } else if let Some(failed) = lane.settled {
                let still = lane.fails_until(stale_after, at).filter(|_| self.policy.is_noisy(&lane.region));
                let failed = still.map_or(failed, |still| still.max(failed));
                let is_over = (lane.ballots.is_empty() && !is_down)
                    || failed.after(stale_after) <= at
                    || (opinion.vote == Vote::Ok && stretch.is_confirmed(recovery_span_needed));
                lane.settled = (!is_over).then_some(failed);
            }
        }
    }

    /// When time alone releases a settled failure.
    pub(super) fn releases_at(&self) -> Option<Moment> {
        let stale_after = self.policy.stale_after();
        self.lanes.iter().filter_map(|lane| lane.settled).map(|failed| failed.after(stale_after)).min()
    }

    /// Whether some region whose failure was settled passes again.
    pub(super) fn is_returning(&self, opinions: &[Opinion]) -> bool {
        self.lanes
            .iter()
            .zip(opinions)
            .any(|(lane, opinion)| lane.settled.is_some() && opinion.vote == Vote::Ok)
    }

    /// From when on another pass is enough for as many regions as lack to the majority.
    pub(super) fn recovery_completes_at(&self, tally: &Tally, opinions: &[Opinion]) -> Option<Moment> {
        let span_needed = self.policy.recovery_span_needed();
        let passed = voting(opinions, Vote::Ok).filter(|stretch| stretch.is_confirmed(span_needed)).count();
        let lacking = usize::from(policy::majority(tally.eligible)).saturating_sub(passed).max(1);
        let halfway = voting(opinions, Vote::Ok).filter(|stretch| !stretch.is_confirmed(span_needed));
        let start = kth_earliest(halfway.map(|stretch| stretch.start), lacking)?;
        self.recovered(tally, opinions).is_none().then(|| start.after(span_needed))
    }
}

impl Lane {
    /// Until when the region fails by most of its agents' checks, whether or not they may vote.
    fn fails_until(&self, stale_after: Micros, at: Moment) -> Option<Moment> {
        let fresh = |finding| {
            let is_such =
                move |ballot: &&Ballot| ballot.finding == finding && at < ballot.ended.after(stale_after);
            self.ballots.iter().filter(is_such)
        };
        let fails = fresh(Finding::Failed).count() > fresh(Finding::Passed).count();
        fresh(Finding::Failed).map(|ballot| ballot.ended).max().filter(|_| fails)
    }
}

impl Stretch {
    /// Whether it is more than a blip: at least two checks, over a span.
    pub(super) fn is_confirmed(&self, span_needed: Micros) -> bool {
        self.checks >= PASSES && self.span() >= span_needed
    }
}
