//! What is remembered of one monitor: its policy, every region's latest checks, and where its verdict stands.

use quorate_proto::{BootEpoch, Micros, MonitorId, Region, Sequence};

use super::{
    canary::{Canaries, RegionCanary},
    confirm::Asking,
    domains::Lack,
    eligibility::{AgentId, Fleet, RegionId},
    evidence::Crossing,
    outliers::{Mark, TargetId},
};
use crate::{Finding, Moment, Observation, Policy, Source, Verdict};

/// One monitor.
#[derive(Clone, Debug)]
pub(super) struct Monitor {
    pub(super) policy: Policy,
    /// One lane per configured region, in order of region.
    pub(super) lanes: Vec<Lane>,
    /// Until then absent regions are waited for, see [`Monitor::is_graced`].
    pub(super) grace_until: Moment,
    pub(super) verdict: Option<Verdict>,
    pub(super) since: Moment,
    /// Enough regions fail for the fast rule.
    pub(super) quorum: Option<Crossing>,
    /// More than half fail.
    pub(super) majority: Option<Crossing>,
    /// Enough regions fail for one of the two, and they are of too few domains.
    pub(super) lack: Option<Lack>,
    /// That was told.
    pub(super) lack_told: bool,
    /// What it has in common with related monitors.
    pub(super) target: TargetId,
    /// Some region fails, and it is not yet known whether that is a blip.
    pub(super) suspect: bool,
    /// What of that was last given out.
    pub(super) suspect_told: bool,
    /// When the latest suspicion began.
    pub(super) suspected_at: Option<Moment>,
    pub(super) asking: Asking,
    pub(super) canaries: Canaries,
    /// It was up when last looked at, nothing failed, and nothing was under way or to be remembered: as long as nothing
    /// fails there is nothing to decide. Nearly every observation finds its monitor so.
    pub(super) is_quiet: bool,
    /// Where it stands in the agenda.
    pub(super) entered: Option<Moment>,
}

/// One region's say on one monitor.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    pub(super) region: Region,
    pub(super) id: RegionId,
    /// Since when the region watches the monitor in its present form.
    pub(super) added_at: Moment,
    /// The latest check of each agent of the region.
    pub(super) ballots: Vec<Ballot>,
    /// The region's failure is established: confirmed, or part of what made the verdict. Holds the end of its latest
    /// failing check. A settled failure is no news any more: it makes nobody suspect, and it is no evidence for what
    /// other regions see later. Released as `recovery.rs` says.
    pub(super) settled: Option<Moment>,
    /// When it was asked to check, until it has answered.
    pub(super) asked: Option<Moment>,
    /// What its agents' canaries told.
    pub(super) canary: RegionCanary,
}

/// The latest check of one agent, and the unbroken run of equal findings that it continues.
#[derive(Clone, Debug)]
pub(super) struct Ballot {
    pub(super) agent: AgentId,
    pub(super) finding: Finding,
    pub(super) ended: Moment,
    /// How long the check took.
    pub(super) took: Micros,
    /// The start of the first check of the run.
    pub(super) run_started: Moment,
    /// Checks of the run.
    pub(super) run_checks: u16,
    /// The unit in which the run begins.
    pub(super) run_first: (BootEpoch, Sequence),
    pub(super) source: Source,
    /// How the agent's checks of this monitor compare with the others'.
    pub(super) mark: Mark,
    pub(super) revision: u64,
}

impl Monitor {
    pub(super) fn new(policy: Policy, target: TargetId, at: Moment) -> Self {
        Self {
            grace_until: at.after(policy.stale_after()),
            policy,
            lanes: Vec::new(),
            verdict: None,
            since: at,
            quorum: None,
            majority: None,
            lack: None,
            lack_told: false,
            target,
            suspect: false,
            suspect_told: false,
            suspected_at: None,
            asking: Asking::default(),
            canaries: Canaries::default(),
            is_quiet: false,
            entered: None,
        }
    }

    /// Makes the lanes those of the policy's regions, and tells the fleet who is watched from where. Lanes that stay
    /// keep what they know.
    pub(super) fn lay_lanes(&mut self, id: &MonitorId, fleet: &mut Fleet, at: Moment) {
        let mut before = std::mem::take(&mut self.lanes);
        for lane in before.iter().filter(|lane| !self.policy.regions.contains(&lane.region)) {
            fleet.watch(lane.id, id, false);
        }
        for region in &self.policy.regions {
            let known = before.iter().position(|lane| lane.region == *region);
            self.lanes.push(known.map(|index| before.swap_remove(index)).unwrap_or_else(|| {
                let lane = Lane::new(region.clone(), fleet.region(region), at);
                fleet.watch(lane.id, id, true);
                lane
            }));
        }
    }

    /// Takes another policy. A newer revision means that what is watched has changed: old checks say nothing about it,
    /// the verdict is held, and the regions are waited for as after a start.
    pub(super) fn follow(&mut self, policy: Policy, at: Moment) {
        let is_new_form = policy.revision > self.policy.revision;
        self.policy = policy;
        self.is_quiet = false;
        if !is_new_form {
            return;
        }
        for lane in &mut self.lanes {
            lane.ballots.retain(|ballot| ballot.revision >= self.policy.revision);
            lane.added_at = at;
            lane.settled = None;
        }
        self.hold(at, self.policy.stale_after());
    }

    /// Takes back what was decided before a restart.
    pub(super) fn restore(&mut self, verdict: Verdict, since: Moment, at: Moment) {
        self.verdict = Some(verdict);
        self.since = since.min(at);
        self.hold(at, self.policy.restart_grace());
    }

    /// Holds the verdict until regions have fresh votes, or for `grace`.
    pub(super) fn hold(&mut self, at: Moment, grace: Micros) {
        self.grace_until = at.after(grace);
        self.quorum = None;
        self.majority = None;
        self.lack = None;
        self.suspect = false;
        self.is_quiet = false;
        self.end_reprieve();
        if self.verdict == Some(Verdict::Down) {
            // So that the first region that passes makes the others be asked.
            for lane in &mut self.lanes {
                lane.settled = Some(at);
            }
        }
    }

    /// Whether absent regions are still waited for: they count as eligible, and nothing turns unobserved.
    pub(super) fn is_graced(&self, at: Moment) -> bool {
        at < self.grace_until
    }

    /// Takes a check; says whether the monitor has to be looked at.
    pub(super) fn observe(
        &mut self,
        observation: &Observation,
        agent: AgentId,
        fleet: &mut Fleet,
        at: Moment,
    ) -> bool {
        let stale_after = self.policy.stale_after();
        let ended = observation.ended.min(at);
        let started = observation.started.min(ended);
        if observation.revision < self.policy.revision || ended.after(stale_after) <= at {
            return false;
        }
        let Some(index) = self.lanes.iter().position(|lane| lane.region == observation.region) else {
            return false;
        };
        let latest =
            self.lanes.get(index).and_then(|lane| lane.ballots.iter().find(|one| one.agent == agent));
        let mark = latest
            .filter(|latest| !(self.is_quiet && latest.is_routine()))
            .and_then(|latest| self.judge(index, latest, observation, fleet, at));
        let Some(lane) = self.lanes.get_mut(index) else { return false };

        let proven =
            if observation.finding == Finding::Failed { lane.canary.proven() } else { Moment::default() };
        // A check that was under way when the server was back is no evidence either.
        let counts = u16::from(started >= proven);
        let mut ballot = Ballot {
            agent,
            finding: observation.finding,
            ended,
            took: ended.since(started),
            run_started: started.max(proven),
            run_checks: counts,
            run_first: (observation.source.epoch, observation.source.sequence),
            source: observation.source,
            mark: Mark::default(),
            revision: observation.revision,
        };
        let mut is_news = true;
        match lane.ballots.iter_mut().find(|standing| standing.agent == agent) {
            Some(standing) if ended < standing.ended || observation.source == standing.source => {
                return false;
            }
            Some(standing) => {
                ballot.mark = mark.unwrap_or(standing.mark);
                if mark.is_some() {
                    fleet.note(agent, self.target, standing.mark, ballot.mark, at);
                }
                if standing.finding != ballot.finding {
                    // Two checks may overlap: what the earlier one ended with held until its end.
                    ballot.run_started = started.max(standing.ended).max(proven);
                    let may_vote = fleet.is_eligible(agent, self.policy.revision, at);
                    if ballot.finding == Finding::Failed && lane.asked.is_none() && may_vote {
                        self.asking.reopen();
                    }
                } else if started < standing.ended.after(stale_after) {
                    ballot.run_started = standing.run_started;
                    ballot.run_first = standing.run_first;
                    ballot.run_checks = standing.run_checks.saturating_add(counts);
                    // More of the same moves nothing but the end of the vote, further away.
                    let is_fresh = at < standing.ended.after(stale_after);
                    is_news = !(self.is_quiet && is_fresh);
                }
                *standing = ballot;
            }
            None => {
                // The only place where ballots are added: so a lane has no more of them than agents with fresh votes.
                lane.ballots.retain(|standing| {
                    let is_fresh = at < standing.ended.after(stale_after);
                    if !is_fresh {
                        fleet.note(standing.agent, self.target, standing.mark, Mark::default(), at);
                    }
                    is_fresh
                });
                lane.ballots.push(ballot);
            }
        }
        if lane.asked.is_some_and(|asked| started >= asked) {
            lane.asked = None;
        }
        is_news
    }

    /// Drops what an agent said.
    pub(super) fn forget(&mut self, agent: AgentId) {
        for lane in &mut self.lanes {
            lane.ballots.retain(|ballot| ballot.agent != agent);
            lane.canary.forget(agent);
        }
    }

    /// The number of configured regions.
    pub(super) fn configured(&self) -> u16 {
        u16::try_from(self.lanes.len()).unwrap_or(u16::MAX)
    }
}

impl Ballot {
    /// When its check began.
    pub(super) fn began(&self) -> Moment {
        self.ended.before(self.took)
    }

    /// Whether it is too young to be stale.
    pub(super) fn is_fresh(&self, monitor: &Monitor, at: Moment) -> bool {
        at < self.ended.after(monitor.policy.stale_after())
    }
}

impl Lane {
    pub(super) fn new(region: Region, id: RegionId, at: Moment) -> Self {
        Self {
            region,
            id,
            added_at: at,
            ballots: Vec::new(),
            settled: None,
            asked: None,
            canary: RegionCanary::default(),
        }
    }
}
