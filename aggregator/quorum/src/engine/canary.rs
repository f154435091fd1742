//! What canaries tell: that something may be wrong, and that the server said it would be back.
//!
//! A canary's end is an *alarm*: every region is asked to check at once, and as long as their answers are awaited the
//! monitor is suspect. It is no vote. Rounds for alarms take the upper half of the ration alone (`ration.rs`), so that
//! connections that come and go leave enough to confirm a fault.
//!
//! A canary that opens where checks fail is a *hint* that the server is back. It makes those who know better be asked, once,
//! and from the same half of the ration: down as well as partial ends by checks alone.
//!
//! A *reprieve* begins when the canaries of as many regions as the fast rule needs were closed with an announcement (1001,
//! 1012, 1013) within [`ANNOUNCED_WITHIN`]. It ends at the restart budget, counted from the first announcement; until then
//! neither down nor partial is said. When as many regions have reconnected before that, the server has *restarted*: down may be
//! said again, and what failed before a region was back is no evidence any more. Partial waits for the budget's end even
//! then, for the regions that take longer.
//!
//! A reprieve begins only while the verdict is up or partial, and not for a while after the one before it. In that while
//! evidence grows old enough that no later restart explains it away: servers and agents that announce without end gain
//! one budget now and then, and no more.

use quorate_proto::{Micros, MonitorId, Region};

use super::{
    eligibility::AgentId,
    evidence::{Crossing, Opinion, Tally, kth_earliest},
    monitor::{Lane, Monitor},
};
use crate::{CanaryReport, CanaryTurn, Effect, Finding, Moment, Reprieved, Verdict, Vote, policy};

/// Within this time of each other regions' announcements are of one restart: a server that drains closes its connections
/// over some seconds.
const ANNOUNCED_WITHIN: Micros = Micros::from_secs(10);

/// An alarm for which no round could be paid is forgotten after this: scheduled checks have come meanwhile, or will.
const ALARM_LASTS: Micros = Micros::from_secs(15);

/// So long before the end of a reprieve the regions are asked for the last time: two attempts one second apart are through
/// by then.
const LAST_LOOK: Micros = Micros::from_secs(5);

/// From the end of one reprieve to the next, at least, besides the budget's length and a check's deadline: longer than
/// announcements reach back, so that what fails since the one is older than the other.
const REPRIEVES_APART: Micros = Micros::from_secs(20);

/// What canaries told of one monitor.
#[derive(Clone, Debug, Default)]
pub(super) struct Canaries {
    /// Until when a canary's end is looked after.
    alarm: Option<Moment>,
    reprieve: Option<Reprieve>,
    /// A canary opened while its region failed, and nobody was asked yet.
    hint: bool,
    /// Before that no other reprieve begins.
    not_before: Moment,
    /// When the latest restart was over: what failed before does not start the evidence of a quorum.
    restarted_at: Moment,
}

/// What canaries told from one region.
#[derive(Clone, Debug, Default)]
pub(super) struct RegionCanary {
    /// The latest announced end, and whose canary it was.
    announced: Option<(AgentId, Moment)>,
    /// The latest opening since.
    opened: Option<Moment>,
    /// The opening that ended a restart: what failed before it is no evidence.
    proven: Moment,
}

#[derive(Clone, Copy, Debug)]
struct Reprieve {
    /// The first announcement.
    began: Moment,
    until: Moment,
    /// A quorum has reconnected.
    restarted: bool,
}

impl Monitor {
    /// Takes what an eligible agent's canary tells; says whether the monitor has to be looked at.
    pub(super) fn hear_canary(&mut self, report: &CanaryReport, agent: AgentId, at: Moment) -> bool {
        let moment = report.at.min(at);
        if report.revision < self.policy.revision || moment.after(self.policy.stale_after()) <= at {
            return false;
        }
        let Some(index) = self.lanes.iter().position(|lane| lane.region == report.region) else {
            return false;
        };
        let reprieve = self.canaries.reprieve;
        let may_alarm = self.verdict != Some(Verdict::Down);
        let Some(lane) = self.lanes.get_mut(index) else { return false };
        match report.turn {
            CanaryTurn::Opened => {
                let is_hint = matches!(self.verdict, Some(Verdict::Down | Verdict::Partial))
                    && lane.settled.is_some_and(|failed| failed <= moment)
                    && lane.asked.is_none();
                self.canaries.hint |= is_hint;
                if lane.canary.announced.is_none() && reprieve.is_none() {
                    return is_hint;
                }
                lane.canary.opened = lane.canary.opened.max(Some(moment));
                // Once a reprieve: connections that come and go must not put evidence off again and again.
                let proves =
                    |one: &Reprieve| one.restarted && moment <= one.until && lane.canary.proven < one.began;
                if let Some(reprieve) = reprieve.filter(proves) {
                    lane.prove(&reprieve, self.policy.timeout, moment);
                }
            }
            CanaryTurn::Ended { announced } => {
                if announced {
                    lane.canary.announced = Some((agent, moment));
                }
                let is_alarm = may_alarm && lane.is_news(moment, self.policy.stale_after(), at);
                if !is_alarm && !announced {
                    return false;
                }
                if is_alarm {
                    self.canaries.alarm = Some(at.after(ALARM_LASTS));
                    if lane.asked.is_none() {
                        self.asking.reopen();
                    }
                }
            }
        }
        self.is_quiet = false;
        true
    }

    /// Follows announcements and reconnections. Gives the effect where a restart is over.
    pub(super) fn follow_restart(
        &mut self,
        id: &MonitorId,
        tally: &Tally,
        opinions: &[Opinion],
        at: Moment,
    ) -> Option<Effect> {
        let needed = usize::from(self.policy.needed(tally.eligible));
        let Some(reprieve) = self.canaries.reprieve.filter(|reprieve| at < reprieve.until) else {
            self.canaries.reprieve = None;
            self.begin_reprieve(needed, opinions, at);
            return None;
        };
        if reprieve.restarted {
            return None;
        }
        let is_back = |(lane, opinion): &(&Lane, &Opinion)| {
            opinion.is_eligible && lane.canary.is_back(reprieve.began, reprieve.until)
        };
        let back = self.lanes.iter().zip(opinions).filter(is_back);
        let regions: Vec<Region> = back.clone().map(|(lane, _)| lane.region.clone()).collect();
        let opened = back.filter_map(|(lane, _)| lane.canary.opened);
        let reopened = kth_earliest(opened, needed).filter(|_| regions.len() >= needed)?;
        self.canaries.reprieve = Some(Reprieve { restarted: true, ..reprieve });
        self.canaries.restarted_at = at;
        self.forget_failures(&reprieve, tally, opinions, at);
        let took = reopened.since(reprieve.began);
        Some(Effect::Restarted { monitor: id.clone(), regions, began: reprieve.began, took })
    }

    fn begin_reprieve(&mut self, needed: usize, opinions: &[Opinion], at: Moment) {
        for lane in &mut self.lanes {
            if lane.canary.announced.is_some_and(|(_, announced)| announced.after(ANNOUNCED_WITHIN) <= at) {
                lane.canary.announced = None;
                lane.canary.opened = None;
            }
        }
        let announced = self
            .lanes
            .iter()
            .zip(opinions)
            .filter(|(_, opinion)| opinion.is_eligible)
            .filter_map(|(lane, _)| lane.canary.announced.map(|(_, announced)| announced));
        let Some(began) = announced.clone().min() else { return };
        let until = began.after(self.policy.restart_budget);
        let may_begin = matches!(self.verdict, Some(Verdict::Up | Verdict::Partial))
            && at >= self.canaries.not_before
            && at < until;
        if may_begin && announced.count() >= needed {
            self.canaries.reprieve = Some(Reprieve { began, until, restarted: false });
            let pause = self.policy.restart_budget.max(self.policy.timeout + REPRIEVES_APART);
            self.canaries.not_before = until.after(pause);
        }
    }

    /// What failed before the server was back is explained: the regions that have reconnected begin anew, and so does a
    /// quorum that is none without them.
    fn forget_failures(&mut self, reprieve: &Reprieve, tally: &Tally, opinions: &[Opinion], at: Moment) {
        let mut failing_still = 0;
        for (lane, opinion) in self.lanes.iter_mut().zip(opinions) {
            let back = lane.canary.opened.filter(|_| lane.canary.is_back(reprieve.began, reprieve.until));
            let proven = back.is_some_and(|opened| lane.prove(reprieve, self.policy.timeout, opened));
            failing_still += u16::from(opinion.vote == Vote::Fail && !proven);
        }
        if failing_still < self.policy.needed(tally.eligible) {
            self.quorum = self.quorum.map(|_| Crossing::new(at, at));
        }
        if failing_still < policy::majority(tally.eligible) {
            self.majority = self.majority.map(|_| Crossing::new(at, at));
        }
        if tally.failing > 0 {
            self.asking.reopen();
        }
    }

    /// Whether a canary's end is being looked after.
    pub(super) fn follow_alarm(&mut self, at: Moment) -> bool {
        let is_answered = self.asking.has_asked_suspicion() && self.answers_due().is_none();
        self.canaries.alarm = self.canaries.alarm.filter(|until| at < *until && !is_answered);
        self.canaries.alarm.is_some()
    }

    /// Until when down is withheld, where it is.
    pub(super) fn down_withheld_until(&self) -> Option<Moment> {
        self.canaries.reprieve.filter(|reprieve| !reprieve.restarted).map(|reprieve| reprieve.until)
    }

    /// Until when partial is withheld, where it is.
    pub(super) fn reprieved_until(&self) -> Option<Moment> {
        self.canaries.reprieve.map(|reprieve| reprieve.until)
    }

    /// From when on a round for evidence that is complete already is of use: when down is about to be said.
    pub(super) fn last_look_at(&self) -> Option<Moment> {
        self.down_withheld_until().map(|until| until.before(LAST_LOOK))
    }

    /// The restart that is waited for, as a verdict's grounds tell it.
    pub(super) fn reprieved(&self) -> Option<Reprieved> {
        self.canaries
            .reprieve
            .map(|reprieve| Reprieved { until: reprieve.until, is_back: reprieve.restarted })
    }

    /// Takes up a restart that was waited for, as a verdict's grounds tell it.
    pub(super) fn take_reprieve(&mut self, reprieved: Option<Reprieved>) {
        let began = Moment::default();
        self.canaries.reprieve =
            reprieved.map(|one| Reprieve { began, until: one.until, restarted: one.is_back });
    }

    /// The earliest moment from which on failures are evidence for a quorum.
    pub(super) fn evidence_from(&self) -> Moment {
        self.canaries.restarted_at
    }

    /// Whether a canary hints that the server is back, and nobody was asked yet.
    pub(super) fn has_hint(&self) -> bool {
        self.canaries.hint
    }

    /// A round was asked for, or could not be paid.
    pub(super) fn drop_hint(&mut self) {
        self.canaries.hint = false;
    }

    /// When time alone changes what canaries told.
    pub(super) fn canaries_change_at(&self) -> Option<Moment> {
        let reprieve = self.canaries.reprieve.map(|reprieve| reprieve.until);
        [self.canaries.alarm, reprieve].into_iter().flatten().min()
    }

    /// Whether canaries have told nothing that is still to be followed.
    pub(super) fn canaries_rest(&self) -> bool {
        self.canaries.alarm.is_none()
            && self.canaries.reprieve.is_none()
            && self.lanes.iter().all(|lane| lane.canary.announced.is_none())
    }

    /// The verdict is one that no reprieve applies to, or regions could not be heard: what canaries told is void.
    pub(super) fn end_reprieve(&mut self) {
        self.canaries.alarm = None;
        self.canaries.reprieve = None;
        for lane in &mut self.lanes {
            lane.canary.announced = None;
            lane.canary.opened = None;
        }
    }
}

impl RegionCanary {
    /// The moment before which failures are no evidence.
    pub(super) fn proven(&self) -> Moment {
        self.proven
    }

    /// Drops what an agent announced.
    pub(super) fn forget(&mut self, agent: AgentId) {
        if self.announced.is_some_and(|(by, _)| by == agent) {
            self.announced = None;
            self.opened = None;
        }
    }

    /// Whether it is open again after what it announced, within the budget.
    fn is_back(&self, began: Moment, until: Moment) -> bool {
        let ended = self.announced.map_or(began, |(_, announced)| announced);
        self.opened.is_some_and(|opened| opened >= began && opened >= ended && opened <= until)
    }
}

impl Lane {
    /// Whether a canary's end says something that checks do not: the region does not fail already, and no check that
    /// began since has passed.
    fn is_news(&self, ended: Moment, stale_after: Micros, at: Moment) -> bool {
        let fresh = self.ballots.iter().filter(|ballot| at < ballot.ended.after(stale_after));
        let is_known = fresh.clone().any(|ballot| ballot.finding == Finding::Failed);
        let is_over = fresh
            .filter(|ballot| ballot.finding == Finding::Passed)
            .any(|ballot| ballot.ended.before(ballot.took) >= ended);
        self.settled.is_none() && !is_known && !is_over
    }

    /// Its canary is open again after a restart: what failed before is no evidence, unless it failed before the restart
    /// began. Gives whether nothing that failed counts any more.
    fn prove(&mut self, reprieve: &Reprieve, timeout: Micros, opened: Moment) -> bool {
        self.canary.proven = self.canary.proven.max(opened);
        let mut all = true;
        for ballot in self.ballots.iter_mut().filter(|ballot| ballot.finding == Finding::Failed) {
            if ballot.run_started.after(timeout) < reprieve.began {
                all = false;
            } else {
                ballot.run_started = ballot.run_started.max(opened);
                ballot.run_checks = 0;
            }
        }
        all
    }
}
