//! Whom to tell, and when not: feeds the machine that decides it, and does what it wants done.
//!
//! What it has to remember, and who was told, goes into the same transaction as the alert itself.

use std::collections::BTreeSet;

use quorate_proto::{AgentKey, AgentName, MonitorId};
use quorate_quorum::{
    PagingEffect, PagingEvent,
    paging::{AgentsBack, AgentsOffline, FlappingTurn, GroupTurn, Phase, Quiet},
};

use super::{effect::Now, state::Core};
use crate::{
    decide::{
        self, Announcement,
        paging::{self, Reach},
    },
    model::{AlertEvent, ChannelId, Kept, MonitorReference},
    store::Change,
};

impl Core {
    /// Tells the machine something, and does what it wants done.
    pub(super) fn page(&mut self, event: PagingEvent, now: Now) {
        for effect in self.paging.handle(event, now.moment) {
            match effect {
                PagingEffect::Tell { monitor } => self.tell_of(&monitor, Reach::All, now),
                PagingEffect::Update { monitor } => self.tell_of(&monitor, Reach::Knowing, now),
                // Whoever was told hears of the end where the incident is resolved.
                PagingEffect::Resolve { monitor } => self.canvas.touch(&monitor),
                PagingEffect::Quiet { monitor, why } => self.keep_quiet(&monitor, why, now),
                PagingEffect::Group(turn) => self.tell_of_group(&turn, now),
                PagingEffect::Flapping(turn) => self.tell_of_flapping(&turn, now),
                PagingEffect::AgentsOffline(offline) => self.tell_of_agents_offline(&offline, now),
                PagingEffect::AgentsBack(back) => self.tell_of_agents_back(&back, now),
                PagingEffect::Remember(memory) => {
                    let (key, kept) = Kept::of(&memory);
                    self.ledger.change(Change::Paging { key, kept: kept.map(Box::new) }, now.moment);
                }
            }
        }
    }

    /// After a start: who was told of the group or of the flapping that a key names.
    pub(super) fn told_before(&mut self, key: String, kept: Kept) {
        if let Kept::Told(channels) = kept {
            self.told.insert(key, channels);
        }
    }

    /// Tells of an incident. In a maintenance it is held, and told at its end where it still stands by then.
    pub(super) fn tell_of(&mut self, monitor: &MonitorId, reach: Reach, now: Now) {
        let Some(watched) = self.monitors.get(monitor) else { return };
        let Some(mut tracked) = self.incidents.get(monitor).cloned() else { return };
        if reach == Reach::All {
            tracked.incident.held_by.clear();
        }
        if let Some(maintenance) = self.maintenance.of(monitor) {
            tracked.incident.maintenance = Some(maintenance.name.clone());
            tracked.incident.held_for_maintenance = true;
            return self.track(tracked, now);
        }
        tracked.incident.held_for_maintenance = false;
        let announcements = paging::tell(&mut tracked, &watched.monitor, &self.config.channels, reach);
        self.track(tracked, now);
        self.canvas.touch(monitor);
        for announcement in announcements {
            self.announce(announcement, now);
        }
    }

    fn keep_quiet(&mut self, monitor: &MonitorId, why: Quiet, now: Now) {
        let Some(mut tracked) = self.incidents.get(monitor).cloned() else { return };
        let is_maintained = self.maintenance.of(monitor).is_some();
        let incident = &mut tracked.incident;
        tracing::info!(%monitor, ?why, "not paged on its own");
        incident.held_by.clear();
        match why {
            // Its parents let go of it themselves.
            Quiet::Held { by } => incident.held_by = by.into_iter().collect(),
            // What is told in its place is not told of a monitor in maintenance, so it is told at the end of that.
            Quiet::Grouped { group } => {
                incident.group = Some(paging::group_id(group));
                incident.held_for_maintenance |= is_maintained;
            }
            Quiet::Flapping => {
                incident.flapping = true;
                incident.held_for_maintenance |= is_maintained;
            }
            Quiet::AgentsSilent => {}
        }
        self.track(tracked, now);
        self.canvas.touch(monitor);
    }

    fn tell_of_group(&mut self, turn: &GroupTurn, now: Now) {
        let began_at = now.wall_of(turn.group);
        let alert = Box::new(paging::group(turn, |monitor| self.reference(monitor), began_at, now.wall));
        tracing::warn!(group = alert.id, summary = alert.summary, "group of monitors");
        let key = format!("told/group/{}", turn.group.0);
        let told = self.told.remove(&key).unwrap_or_default();
        if turn.phase == Phase::Ended {
            self.remember_told(key, None, now);
            return self.announce_to(AlertEvent::GroupResolved(alert), told, now);
        }
        let wanting = self.listeners(turn.members.iter().map(|member| &member.monitor));
        let new = wanting.difference(&told).cloned().collect::<BTreeSet<_>>();
        self.remember_told(key, Some(told.union(&new).cloned().collect()), now);
        self.announce_to(AlertEvent::GroupOpened(alert.clone()), new, now);
        self.announce_to(AlertEvent::GroupUpdated(alert), told, now);
    }

    fn tell_of_flapping(&mut self, turn: &FlappingTurn, now: Now) {
        let cause = self.incidents.get(&turn.monitor).map(|open| open.incident.cause.summary.clone());
        if let Some(cause) = &cause {
            self.causes_of_flapping.insert(turn.monitor.clone(), cause.clone());
        }
        let cause = cause.or_else(|| self.causes_of_flapping.get(&turn.monitor).cloned());
        let since = now.wall_of(turn.since);
        let alert = Box::new(paging::flapping(turn, self.reference(&turn.monitor), since, cause));
        tracing::info!(monitor = %turn.monitor, summary = alert.summary, "flapping");
        self.canvas.touch(&turn.monitor);
        let key = format!("told/flapping/{}", turn.monitor);
        match turn.phase {
            Phase::Began => {
                let channels = self.listeners([&turn.monitor]);
                self.remember_told(key, Some(channels.clone()), now);
                self.announce_to(AlertEvent::FlappingStarted(alert), channels, now);
            }
            Phase::Goes => {
                let told = self.told.get(&key).cloned().unwrap_or_default();
                self.announce_to(AlertEvent::FlappingDigest(alert), told, now);
            }
            Phase::Ended => {
                let told = self.told.remove(&key).unwrap_or_default();
                self.causes_of_flapping.remove(&turn.monitor);
                self.remember_told(key, None, now);
                self.announce_to(AlertEvent::FlappingEnded(alert), told, now);
            }
        }
    }

    fn tell_of_agents_offline(&mut self, offline: &AgentsOffline, now: Now) {
        let alert = paging::agents_offline(
            offline,
            |agent| self.agent_name(agent),
            |monitor| self.reference(monitor),
            |moment| now.wall_of(moment),
        );
        tracing::warn!(summary = alert.summary, "agents offline");
        let channels = paging::operators(&self.config.channels).into_iter().collect();
        self.announce_to(AlertEvent::AgentsOffline(Box::new(alert)), channels, now);
    }

    fn tell_of_agents_back(&mut self, back: &AgentsBack, now: Now) {
        let wall = |moment| now.wall_of(moment);
        let alert = paging::agents_back(back, |agent| self.agent_name(agent), wall);
        tracing::info!(summary = alert.summary, "agents back");
        let channels = paging::operators(&self.config.channels).into_iter().collect();
        self.announce_to(AlertEvent::AgentsBack(Box::new(alert)), channels, now);
    }

    /// The channels that hear of any of these monitors; of one in maintenance none does.
    fn listeners<'a>(&self, monitors: impl IntoIterator<Item = &'a MonitorId>) -> BTreeSet<ChannelId> {
        let watched = monitors.into_iter().filter_map(|monitor| {
            let is_maintained = self.maintenance.of(monitor).is_some();
            self.monitors.get(monitor).filter(|_| !is_maintained)
        });
        let named = watched.flat_map(|watched| &watched.monitor.channels).collect::<BTreeSet<_>>();
        let there = self.config.channels.iter().map(|channel| &channel.id);
        there.filter(|channel| named.contains(channel)).cloned().collect()
    }

    fn announce_to(&mut self, event: AlertEvent, channels: BTreeSet<ChannelId>, now: Now) {
        self.announce(Announcement { event, channels: channels.into_iter().collect() }, now);
    }

    fn remember_told(&mut self, key: String, told: Option<BTreeSet<ChannelId>>, now: Now) {
        let kept = told.clone().map(|told| Box::new(Kept::Told(told)));
        self.ledger.change(Change::Paging { key: key.clone(), kept }, now.moment);
        if let Some(told) = told {
            self.told.insert(key, told);
        }
    }

    fn agent_name(&self, agent: &AgentKey) -> Option<AgentName> {
        self.enrolment.record(agent).map(|record| record.name.clone())
    }

    /// How people know a monitor; one that is gone by its id alone.
    fn reference(&self, monitor: &MonitorId) -> MonitorReference {
        match self.monitors.get(monitor) {
            Some(watched) => decide::reference(&watched.monitor),
            None => MonitorReference { id: monitor.clone(), name: monitor.to_string(), url: String::new() },
        }
    }
}
