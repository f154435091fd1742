//! How well monitors work: what the machine for it is fed with, and what is told of it.

use std::collections::BTreeMap;

use quorate_proto::{
    AgentKey, CheckKind, CheckResult, MonitorId, Outcome, WallMicros, canary::CanaryEvent, outcome::TlsFacts,
};
use quorate_quorum::{
    Moment, Policy, Verdict,
    quality::{Baseline, CanaryNews, Effect, Event, Kind, Memory, Reason, Terms, Trips},
};

use super::{canaries::Witness, chance, effect::Now, state::Core};
use crate::{
    config::Monitor,
    decide::{events, quality},
    model::{DegradedReason, QualityKept, UsualKept},
    store::Change,
};

impl Core {
    /// Takes up a monitor's terms, and what was known of it before the start.
    pub(super) fn take_terms(&mut self, monitor: &Monitor, policy: &Policy, reformed: bool, now: Now) {
        let id = monitor.spec.id.clone();
        let terms =
            Terms::new(policy, monitor.latency, monitor.certificate_degraded, monitor.spec.canary.is_some());
        self.judge(Event::Configure { monitor: id.clone(), terms }, now);
        if reformed {
            self.judge(Event::Reformed { monitor: id.clone() }, now);
        }
        if let Some(kept) = self.remembered.quality.remove(&id) {
            let memory = memory(&kept, now.moment);
            if !kept.held.is_empty() {
                self.maintenance.hold_degraded(&id);
            }
            if let Some(watched) = self.monitors.get_mut(&id) {
                watched.quality = kept;
            }
            self.judge(Event::Restore { monitor: id, memory }, now);
        }
    }

    /// Tells the machine something, and does what follows.
    pub(super) fn judge(&mut self, event: Event, now: Now) {
        for effect in self.quality.handle(event, now.moment) {
            match effect {
                Effect::Began { monitor, reason } => self.degraded(&monitor, &reason, now),
                Effect::Ended { monitor, kind, withdrawn } => self.mended(&monitor, kind, withdrawn, now),
                Effect::Learned { monitor } => self.keep_quality(&monitor, now),
            }
        }
    }

    /// What a fresh check tells of how well the monitor works.
    pub(super) fn judge_check(&mut self, witness: &Witness, result: &CheckResult, ended: Moment, now: Now) {
        let counts = result.outcome == Outcome::Passed && result.kind == CheckKind::Scheduled;
        if !counts || self.is_distrusted(&witness.agent) {
            return;
        }
        let Some(trips) = Trips::of(&result.timings) else { return };
        let (monitor, region) = (witness.monitor.clone(), witness.region.clone());
        self.judge(Event::Checked { monitor, region, ended, trips }, now);
    }

    /// What a canary tells of it; `reconnects` is how often its agent's reconnected within the last minute.
    pub(super) fn judge_canary(&mut self, witness: &Witness, event: &CanaryEvent, reconnects: u32, now: Now) {
        let news = match event {
            CanaryEvent::Opened { after: None, .. } | CanaryEvent::Alive { .. } => CanaryNews::Alive,
            CanaryEvent::Opened { after: Some(_), .. } => {
                CanaryNews::Reconnected { within_minute: reconnects }
            }
            CanaryEvent::Ended { failure, .. } if !failure.kind.is_agents_own() => {
                CanaryNews::Ended { code: failure.kind.close_code() }
            }
            CanaryEvent::Ended { .. } | CanaryEvent::NotOpened { .. } | CanaryEvent::Left { .. } => return,
        };
        if self.is_distrusted(&witness.agent) {
            return;
        }
        let (monitor, region) = (witness.monitor.clone(), witness.region.clone());
        self.judge(Event::Canary { monitor, region, news }, now);
    }

    /// What a certificate tells of it.
    pub(super) fn judge_certificate(&mut self, witness: &Witness, facts: &TlsFacts, now: Now) {
        let Some(not_after) = facts.not_after else { return };
        // What certificate an agent is shown does not depend on how well it is; an outlier may say anything.
        if self.engine.outlier(&witness.agent).is_some() {
            return;
        }
        let (monitor, region) = (witness.monitor.clone(), witness.region.clone());
        self.judge(Event::Certificate { monitor, region, left: not_after.since(now.wall) }, now);
    }

    /// The verdict of a monitor changed, or was restored.
    pub(super) fn judge_verdict(&mut self, monitor: &MonitorId, verdict: Verdict, now: Now) {
        self.judge(Event::Decided { monitor: monitor.clone(), verdict }, now);
    }

    /// A monitor is not configured any more: whoever was told that it is degraded would wait for ever.
    pub(super) fn withdraw_quality(&mut self, monitor: &MonitorId, now: Now) {
        let before_start = self.remembered.quality.remove(monitor);
        self.quality.handle(Event::Remove { monitor: monitor.clone() }, now.moment);
        let watched = self.monitors.get_mut(monitor).map(|watched| std::mem::take(&mut watched.quality));
        let Some(mut kept) = watched.or(before_start) else { return };
        let going = kept.degradation.iter_mut().flat_map(|one| &mut one.reasons);
        for reason in going.filter(|reason| reason.ended_at.is_none()) {
            reason.ended_at = Some(now.wall);
            reason.summary.push_str(quality::WITHDRAWN);
        }
        let recovered = quality::recovered(&mut kept, None, now.wall);
        if let Some((_, Some(announcement))) = recovered {
            self.announce(announcement, now);
        }
    }

    /// Whether an agent has no vote because of itself: one that doubts itself measures itself, and one that contradicts the
    /// others may say anything.
    pub(super) fn is_distrusted(&self, agent: &AgentKey) -> bool {
        let health = self.agents.get(agent).and_then(|agent| agent.health.as_ref());
        health.is_some_and(|health| health.gravest_doubt().is_some()) || self.engine.outlier(agent).is_some()
    }

    fn degraded(&mut self, monitor: &MonitorId, reason: &Reason, now: Now) {
        let reason = quality::reason(reason, now.wall);
        let seen = self.quality.figures(monitor);
        let Some(watched) = self.monitors.get_mut(monitor) else { return };
        tracing::info!(%monitor, kind = reason.kind, summary = reason.summary, "degraded");
        let news = events::degraded(&reason);
        // While it is maintained it is written down, and told at the end if it is still seen then.
        let is_maintained = self.maintenance.of(monitor).is_some();
        if is_maintained {
            watched.quality.held.insert(reason.kind.clone());
            self.maintenance.hold_degraded(monitor);
        }
        let announcement = quality::began(
            &mut watched.quality,
            &watched.monitor,
            if is_maintained { &[] } else { &self.config.channels },
            reason,
            seen.as_ref(),
            || chance::id("deg_", now.wall),
        );
        self.keep_quality(monitor, now);
        // It has an announcement of its own, to channels of its own.
        let _ = self.write_event(monitor, news, now);
        announcement.into_iter().for_each(|announcement| self.announce(announcement, now));
    }

    fn mended(&mut self, monitor: &MonitorId, kind: Kind, withdrawn: bool, now: Now) {
        let seen = self.quality.figures(monitor);
        let Some(watched) = self.monitors.get_mut(monitor) else { return };
        tracing::info!(%monitor, kind = kind.name(), withdrawn, "not degraded by this any more");
        watched.quality.held.remove(kind.name());
        let Some(degradation) = &mut watched.quality.degradation else { return };
        if let Some(reason) = degradation.going_mut(kind) {
            reason.ended_at = Some(now.wall);
            if withdrawn {
                reason.summary.push_str(quality::WITHDRAWN);
            }
        }
        if degradation.going().next().is_some() {
            return self.keep_quality(monitor, now);
        }
        let recovered = quality::recovered(&mut watched.quality, seen.as_ref(), now.wall);
        self.keep_quality(monitor, now);
        let Some((degradation, announcement)) = recovered else { return };
        let _ = self.write_event(monitor, events::recovered(&degradation), now);
        announcement.into_iter().for_each(|announcement| self.announce(announcement, now));
    }

    /// Tells what began in a maintenance that is over, where it was seen since: not what the maintenance itself left behind, nor
    /// what is only remembered.
    pub(super) fn release_quality(&mut self, now: Now) {
        for (monitor, since) in self.maintenance.degraded_and_free(now.moment) {
            let Some(watched) = self.monitors.get_mut(&monitor) else {
                self.maintenance.let_go_of_degraded(&monitor);
                continue;
            };
            let kinds = watched.quality.held.iter().filter_map(|kind| Kind::from_name(kind));
            let mut seen = kinds.filter_map(|kind| self.quality.last_seen(&monitor, kind));
            let is_over = watched.quality.held.is_empty();
            if !is_over && !seen.any(|seen| seen > since) {
                continue;
            }
            self.maintenance.let_go_of_degraded(&monitor);
            let figures = self.quality.figures(&monitor);
            let quality = &mut watched.quality;
            let announcement =
                quality::released(quality, &watched.monitor, &self.config.channels, figures.as_ref());
            self.keep_quality(&monitor, now);
            announcement.into_iter().for_each(|announcement| self.announce(announcement, now));
        }
    }

    /// Writes down what must survive a start.
    fn keep_quality(&mut self, monitor: &MonitorId, now: Now) {
        let usual = self.quality.memory(monitor).usual;
        let Some(watched) = self.monitors.get_mut(monitor) else { return };
        let kept =
            |usual: Baseline| UsualKept { ends: usual.ends, hours: usual.hours, at: now.wall_of(usual.at) };
        watched.quality.usual = usual.into_iter().map(|(region, usual)| (region, kept(usual))).collect();
        let change = Change::Quality { monitor: monitor.clone(), kept: Box::new(watched.quality.clone()) };
        self.ledger.change(change, now.moment);
        self.canvas.touch(monitor);
    }
}

fn memory(kept: &QualityKept, at: Moment) -> Memory {
    let moment = |wall: WallMicros| Moment(u64::try_from(wall.0).unwrap_or(0)).min(at);
    let since = |reason: &DegradedReason| Some((Kind::from_name(&reason.kind)?, moment(reason.since)));
    let going = kept.degradation.iter().flat_map(|degradation| degradation.going());
    let usual = kept.usual.iter().map(|(region, usual)| {
        let UsualKept { ends, hours, at } = *usual;
        (region.clone(), Baseline { ends, hours, at: moment(at) })
    });
    Memory { since: going.filter_map(since).collect::<BTreeMap<_, _>>(), usual: usual.collect() }
}
