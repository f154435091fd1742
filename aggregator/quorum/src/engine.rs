//! The fold: events in, effects out. See the crate's page for the rules.

mod agenda;
mod canary;
mod confirm;
mod decide;
mod domains;
mod eligibility;
mod evidence;
mod judge;
mod monitor;
mod outliers;
mod ration;
mod recovery;

use std::collections::BTreeMap;

use quorate_proto::{AgentKey, MonitorId, Region};

pub use self::judge::{Judgement, judge, run_of};
use self::{
    agenda::{Agenda, Due},
    eligibility::{Fleet, Heard, RegionId},
    evidence::{Opinion, Starts, Tally, voting},
    monitor::Monitor,
    ration::Ration,
};
use crate::{
    CanaryReport, Effect, Event, Grounds, Heartbeat, Moment, Observation, Outlier, Policy, Rule, Source,
    Timeline, Verdict, VerdictChange, Vote,
};

/// The decision engine.
///
/// Call [`Engine::handle`] with every event in the order in which it happened, and carry out the effects that it
/// returns; call it with [`Event::Tick`] at [`Engine::next_deadline`]. Moments never go back; one that does is taken as
/// the latest one.
///
/// What is due between two calls is worked off at the moment at which it was due, before the event. So the effects
/// depend on the events and their moments alone: how often the caller ticks changes when it is told, and never what.
///
/// After a start, give it every [`Event::Configure`], then every [`Event::Restore`], then all else.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    monitors: BTreeMap<MonitorId, Monitor>,
    hall: Hall,
    now: Moment,
}

/// What all monitors share.
#[derive(Clone, Debug, Default)]
struct Hall {
    fleet: Fleet,
    agenda: Agenda,
    ration: Ration,
    /// The number of the latest round.
    request: u64,
    /// Room for the opinions on the monitor that is looked at, kept so that an observation allocates nothing.
    opinions: Vec<Opinion>,
}

/// What the engine thinks of one monitor.
#[derive(Clone, Debug, PartialEq)]
pub struct MonitorState {
    /// The verdict; none until the first is made.
    pub verdict: Option<Verdict>,
    /// Since when.
    pub since: Moment,
    /// Whether a failure is being confirmed.
    pub suspect: bool,
    /// Every configured region's standing.
    pub regions: BTreeMap<Region, RegionState>,
}

/// One region's standing on one monitor.
#[derive(Clone, Debug, PartialEq)]
pub struct RegionState {
    /// Its vote.
    pub vote: Vote,
    /// Its latest check.
    pub source: Option<Source>,
    /// When that check ended.
    pub ended: Option<Moment>,
}

impl Engine {
    /// Takes one event, and says what is to be done about it, in order.
    pub fn handle(&mut self, event: Event, at: Moment) -> Vec<Effect> {
        let mut effects = Vec::new();
        let at = at.max(self.now);
        if event == Event::Paused {
            // Before what came due meanwhile: nobody could be heard then.
            self.now = at;
            for monitor in self.monitors.values_mut() {
                monitor.hold(at, monitor.policy.restart_grace());
            }
        }
        self.advance(at, &mut effects);
        match event {
            Event::Observed(observation) => self.observe(&observation, at, &mut effects),
            Event::Canary(report) => self.hear_canary(&report, at, &mut effects),
            Event::Heartbeat(Heartbeat { agent, region, revision, sick }) => {
                let heard = self.hall.fleet.heartbeat(agent, &region, revision, sick, at);
                self.hear(heard, at, &mut effects);
                self.follow_outlier(agent, at, &mut effects);
            }
            Event::Configure { monitor, policy } => self.configure(&monitor, policy, at, &mut effects),
            Event::Remove { monitor } => self.remove(&monitor, at),
            Event::Restore { monitor, verdict, since } => {
                if let Some(restored) = self.monitors.get_mut(&monitor) {
                    restored.restore(verdict, since, at);
                }
                self.evaluate(&monitor, at, &mut effects);
            }
            Event::Forget { agent } => self.forget(agent, at, &mut effects),
            Event::Paused => {
                for id in self.monitors.keys().cloned().collect::<Vec<_>>() {
                    self.evaluate(&id, at, &mut effects);
                }
            }
            Event::Tick => {}
            Event::Enrolled { agent, region, labels } => {
                let heard = self.hall.fleet.enrol(agent, &region, labels);
                self.hear(heard, at, &mut effects);
            }
        }
        effects
    }

    /// When the engine wants to be called even if nothing happens.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.hall.agenda.next()
    }

    /// What the engine thinks of a monitor as of a moment.
    pub fn monitor(&self, monitor: &MonitorId, at: Moment) -> Option<MonitorState> {
        let monitor = self.monitors.get(monitor)?;
        let mut opinions = Vec::new();
        monitor.count(&self.hall.fleet, at.max(self.now), &mut opinions);
        let regions = monitor.counted_votes(&opinions).into_iter().map(|counted| {
            let state = RegionState { vote: counted.vote, source: counted.source, ended: counted.ended };
            (counted.region, state)
        });
        Some(MonitorState {
            verdict: monitor.verdict,
            since: monitor.since,
            suspect: monitor.suspect,
            regions: regions.collect(),
        })
    }

    /// Agents that have been heard from, with the moment of their last heartbeat.
    pub fn agents(&self) -> impl Iterator<Item = (AgentKey, Moment)> + '_ {
        self.hall.fleet.heard()
    }

    /// Agents that abstain because they contradict the others.
    pub fn outliers(&self) -> impl Iterator<Item = &Outlier> {
        self.hall.fleet.records().filter_map(|record| record.outlier())
    }

    /// How an agent contradicts the others, where it abstains because of that.
    pub fn outlier(&self, agent: &AgentKey) -> Option<&Outlier> {
        self.hall.fleet.record(agent)?.outlier()
    }

    /// Rounds of confirmation that the ration denied so far; the scheduled checks serve in their place.
    pub fn rounds_denied(&self) -> u64 {
        self.hall.ration.denied()
    }

    /// Works off what is due up to a moment, each thing at its own.
    fn advance(&mut self, at: Moment, effects: &mut Vec<Effect>) {
        while let Some((due, what)) = self.hall.agenda.pop(at) {
            let due = due.max(self.now);
            self.now = due;
            match what {
                Due::Monitor(monitor) => {
                    if let Some(monitor) = self.monitors.get_mut(&monitor) {
                        monitor.entered = None;
                    }
                    self.evaluate(&monitor, due, effects);
                }
                Due::Agent(agent) => match self.hall.fleet.look_at(agent, due) {
                    Ok(again) => self.hall.agenda.enter_agent(again, agent),
                    Err(region) => {
                        if let Some(region) = region {
                            self.evaluate_region(region, due, effects);
                        }
                    }
                },
            }
        }
        self.now = at;
    }

    /// Follows what a heartbeat or an enrolment changed.
    fn hear(&mut self, heard: Heard, at: Moment, effects: &mut Vec<Effect>) {
        if let Some((due, agent)) = heard.enter {
            self.hall.agenda.enter_agent(due, agent);
        }
        if let Some((agent, left)) = heard.left {
            for id in self.hall.fleet.monitors(left) {
                if let Some(monitor) = self.monitors.get_mut(&id) {
                    monitor.forget(agent);
                }
            }
        }
        for region in heard.regions {
            self.evaluate_region(region, at, effects);
        }
    }

    /// Follows whether an agent contradicts the others: looked at with its heartbeats, since time is part of it.
    fn follow_outlier(&mut self, agent: AgentKey, at: Moment, effects: &mut Vec<Effect>) {
        let Some((effect, region)) = self.hall.fleet.follow_outlier(agent, at) else { return };
        effects.push(effect);
        self.evaluate_region(region, at, effects);
    }

    fn configure(&mut self, id: &MonitorId, policy: Policy, at: Moment, effects: &mut Vec<Effect>) {
        self.hall.ration.carry(&policy, true, at);
        let target = self.hall.fleet.target(&policy.target);
        match self.monitors.get_mut(id) {
            Some(monitor) => {
                self.hall.ration.carry(&monitor.policy, false, at);
                if monitor.compares_anew(&policy) {
                    monitor.drop_marks(&mut self.hall.fleet, at);
                    monitor.target = target;
                }
                monitor.follow(policy, at);
                monitor.lay_lanes(id, &mut self.hall.fleet, at);
            }
            None => {
                let mut monitor = Monitor::new(policy, target, at);
                monitor.lay_lanes(id, &mut self.hall.fleet, at);
                self.monitors.insert(id.clone(), monitor);
            }
        }
        self.evaluate(id, at, effects);
    }

    fn remove(&mut self, id: &MonitorId, at: Moment) {
        let Some(mut monitor) = self.monitors.remove(id) else { return };
        monitor.drop_marks(&mut self.hall.fleet, at);
        self.hall.ration.carry(&monitor.policy, false, at);
        self.hall.agenda.remove_monitor(id, monitor.entered);
        for lane in &monitor.lanes {
            self.hall.fleet.watch(lane.id, id, false);
        }
    }

    fn observe(&mut self, observation: &Observation, at: Moment, effects: &mut Vec<Effect>) {
        let agent = self.hall.fleet.agent(observation.source.agent);
        let Some(monitor) = self.monitors.get_mut(&observation.monitor) else { return };
        if monitor.observe(observation, agent, &mut self.hall.fleet, at) {
            self.hall.evaluate(&observation.monitor, monitor, at, effects);
        }
    }

    fn hear_canary(&mut self, report: &CanaryReport, at: Moment, effects: &mut Vec<Effect>) {
        let agent = self.hall.fleet.agent(report.agent);
        let Some(monitor) = self.monitors.get_mut(&report.monitor) else { return };
        let is_eligible = self.hall.fleet.is_eligible(agent, monitor.policy.revision, at);
        if is_eligible && monitor.hear_canary(report, agent, at) {
            self.hall.evaluate(&report.monitor, monitor, at, effects);
        }
    }

    fn forget(&mut self, agent: AgentKey, at: Moment, effects: &mut Vec<Effect>) {
        let Some((agent, region)) = self.hall.fleet.forget(agent) else { return };
        let Some(region) = region else { return };
        for id in self.hall.fleet.monitors(region) {
            if let Some(monitor) = self.monitors.get_mut(&id) {
                monitor.forget(agent);
                self.hall.evaluate(&id, monitor, at, effects);
            }
        }
    }

    fn evaluate_region(&mut self, region: RegionId, at: Moment, effects: &mut Vec<Effect>) {
        for id in self.hall.fleet.monitors(region) {
            self.evaluate(&id, at, effects);
        }
    }

    fn evaluate(&mut self, id: &MonitorId, at: Moment, effects: &mut Vec<Effect>) {
        if let Some(monitor) = self.monitors.get_mut(id) {
            self.hall.evaluate(id, monitor, at, effects);
        }
    }
}

impl Hall {
    /// Looks at one monitor: counts, decides, asks, and enters when to look again.
    fn evaluate(&mut self, id: &MonitorId, monitor: &mut Monitor, at: Moment, effects: &mut Vec<Effect>) {
        let mut opinions = std::mem::take(&mut self.opinions);
        let mut tally = monitor.count(&self.fleet, at, &mut opinions);
        if monitor.is_quiet && monitor.stays_quiet(&tally) {
            self.agenda.enter_monitor(tally.changes_at, id, &mut monitor.entered);
            self.opinions = opinions;
            return;
        }
        monitor.expire_answers(&opinions, at);
        if let Some(restarted) = monitor.follow_restart(id, &tally, &opinions, at) {
            effects.push(restarted);
            tally = monitor.count(&self.fleet, at, &mut opinions);
        }
        monitor.follow_crossings(
            &tally,
            &opinions,
            |monitor| monitor.lacks_domains(&self.fleet, &opinions, at),
            at,
        );

        // A verdict may at once lead to the next: a monitor that starts to be observed is already known to be partial.
        for _ in 0..3 {
            monitor.settle(&tally, &opinions, at);
            monitor.follow_suspicion(&opinions, at);
            let Some((verdict, rule)) = monitor.verdict_due(&tally, &opinions, at) else { break };
            let change = monitor.turn(id, (verdict, rule), &opinions, &self.fleet, at);
            effects.push(Effect::Changed(Box::new(change)));
        }
        if let Some(rule) = monitor.withheld(&tally, at) {
            monitor.lack_told = true;
            let grounds = monitor.grounds(&opinions, &self.fleet, at);
            let told = monitor.explain(id, (Verdict::Partial, rule), &opinions, grounds, at);
            effects.push(Effect::Withheld(Box::new(VerdictChange { from: monitor.verdict, ..told })));
        }

        if monitor.suspect != monitor.suspect_told {
            monitor.suspect_told = monitor.suspect;
            effects.push(Effect::Suspected { monitor: id.clone(), suspect: monitor.suspect });
        }
        effects.extend(monitor.ask(id, &tally, &opinions, self, at));
        let due = monitor.look_again_at(&tally, &opinions, at);
        self.agenda.enter_monitor(due, id, &mut monitor.entered);
        monitor.is_quiet = monitor.came_to_rest(&tally);
        self.opinions = opinions;
    }
}

impl Monitor {
    /// Makes a verdict the standing one.
    fn turn(
        &mut self,
        id: &MonitorId,
        (to, rule): (Verdict, Rule),
        opinions: &[Opinion],
        fleet: &Fleet,
        at: Moment,
    ) -> VerdictChange {
        // As they stand before the verdict changes anything.
        let grounds = self.grounds(opinions, fleet, at);
        let from = self.verdict.replace(to);
        self.since = at;
        self.lack_told = self.lack.is_some();
        self.drop_hint();
        if matches!(to, Verdict::Down | Verdict::Unobserved) {
            self.end_reprieve();
        }
        for (lane, opinion) in self.lanes.iter_mut().zip(opinions) {
            if to == Verdict::Up && opinion.vote != Vote::Fail {
                lane.settled = None;
            }
        }
        VerdictChange { from, ..self.explain(id, (to, rule), opinions, grounds, at) }
    }

    /// A verdict with all that explains it.
    fn explain(
        &self,
        id: &MonitorId,
        (to, rule): (Verdict, Rule),
        opinions: &[Opinion],
        grounds: Grounds,
        at: Moment,
    ) -> VerdictChange {
        VerdictChange {
            monitor: id.clone(),
            from: None,
            to,
            rule,
            timeline: self.timeline(to, rule, opinions, at),
            votes: self.counted_votes(opinions),
            grounds,
        }
    }

    fn timeline(&self, to: Verdict, rule: Rule, opinions: &[Opinion], at: Moment) -> Timeline {
        let decided = Timeline { decided_at: at, ..Timeline::default() };
        let crossing = if matches!(rule, Rule::Majority { .. }) { self.majority } else { self.quorum };
        match to {
            Verdict::Up | Verdict::Unobserved => decided,
            Verdict::Partial => Timeline {
                first_failure_at: voting(opinions, Vote::Fail).map(|stretch| stretch.start).min(),
                suspected_at: self.suspected_at,
                ..decided
            },
            Verdict::Down => Timeline {
                first_failure_at: crossing.map(|crossing| crossing.starts(opinions, Starts::WithFirst)),
                suspected_at: self.suspected_at,
                quorum_at: crossing.map(|crossing| crossing.at),
                ..decided
            },
        }
    }

    /// Whether there is nothing to do and nothing to remember.
    fn came_to_rest(&self, tally: &Tally) -> bool {
        self.verdict == Some(Verdict::Up)
            && self.suspected_at.is_none()
            && self.canaries_rest()
            && self.lanes.iter().all(|lane| lane.settled.is_none() && lane.asked.is_none())
            && self.stays_quiet(tally)
    }

    /// Whether a count leaves a quiet monitor quiet.
    fn stays_quiet(&self, tally: &Tally) -> bool {
        tally.failing == 0 && tally.eligible >= self.voters_min()
    }

    /// When to look again although nothing happened.
    fn look_again_at(&self, tally: &Tally, opinions: &[Opinion], at: Moment) -> Option<Moment> {
        let candidates = [
            tally.changes_at,
            self.next_round(tally, opinions).map(|(due, _)| due),
            self.partial_held_back_until(tally),
            self.releases_at(),
            self.canaries_change_at(),
            self.domains_change_at(),
        ];
        // A deadline at the end of time stands for none.
        candidates.into_iter().flatten().filter(|due| *due > at && *due < Moment(u64::MAX)).min()
    }
}
