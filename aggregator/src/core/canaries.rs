//! What agents tell besides the outcome of checks: canaries, certificates, addresses, idle timeouts; and the events that
//! follow.

use quorate_proto::{
    AgentKey, CheckResult, FailureKind, Micros, MonitorId, Region, WallMicros,
    canary::{CanaryEvent, CanaryResult, IdleTimeoutResult},
    outcome::TlsFacts,
};
use quorate_quorum::{CanaryReport, CanaryTurn, Event, Moment};

use super::{
    chance,
    effect::Now,
    observe::When,
    standing::TlsStanding,
    state::{Core, Watched},
};
use crate::{
    decide::{
        Announcement,
        events::{self, News},
    },
    model::Said,
    store::Change,
};

/// Who says something of which monitor.
#[derive(Clone, Debug)]
pub(super) struct Witness {
    pub(super) monitor: MonitorId,
    pub(super) region: Region,
    pub(super) agent: AgentKey,
    /// The revision of the assignments under which it was seen.
    pub(super) revision: u64,
}

impl Core {
    /// Who speaks, where the monitor is watched from the agent's region in the form that it is spoken of.
    pub(super) fn witness(&self, agent: AgentKey, monitor: &MonitorId, revision: u64) -> Option<Witness> {
        let region = self.enrolment.region(&agent)?;
        let watched = self.monitors.get(monitor)?;
        let is_asked = watched.monitor.regions.contains(&region) && revision >= watched.policy.revision;
        is_asked.then(|| Witness { monitor: monitor.clone(), region, agent, revision })
    }

    /// Something happened to a canary.
    pub(super) fn hear_canary(
        &mut self,
        agent: AgentKey,
        canary: &CanaryResult,
        revision: u64,
        when: When,
        now: Now,
    ) {
        let Some(witness) = self.witness(agent, &canary.monitor, revision) else { return };
        let Some(watched) = self.monitors.get_mut(&canary.monitor) else { return };
        let standing = watched.standings.entry(witness.region.clone()).or_default();
        standing.canary.hear(agent, &canary.event, when);
        let reconnects = standing.canary.reconnects(&agent, now.moment);
        self.canvas.touch(&canary.monitor);
        let Some(moment) = when.fresh else { return };
        if let CanaryEvent::Opened { tls: Some(facts), .. } = &canary.event {
            self.see_certificate(&witness, *facts, moment, now);
        }
        if let CanaryEvent::Opened { after: Some(_), .. } = &canary.event {
            self.see_reconnection(&witness, now);
        }
        self.judge_canary(&witness, &canary.event, reconnects, now);
        if let Some(turn) = turn(&canary.event) {
            let Witness { monitor, region, agent, revision } = witness;
            let report = CanaryReport { monitor, region, agent, at: moment, turn, revision };
            self.feed(Event::Canary(report), now);
        }
    }

    /// An idle timeout was looked for. It is rare and decides nothing, so that one which comes late is told all the same.
    pub(super) fn hear_idle_timeout(
        &mut self,
        agent: AgentKey,
        found: &IdleTimeoutResult,
        revision: u64,
        now: Now,
    ) {
        let Some(witness) = self.witness(agent, &found.monitor, revision) else { return };
        self.tell(&witness.monitor, now, |said, _| {
            events::idle_timeout(said, &witness.region, &found.finding)
        });
    }

    /// A fresh check tells of a certificate, and of addresses.
    pub(super) fn see_check(&mut self, witness: &Witness, result: &CheckResult, ended: Moment, now: Now) {
        if let Some(facts) = result.tls {
            self.see_certificate(witness, facts, ended, now);
        }
        let Some(watched) = self.monitors.get_mut(&witness.monitor) else { return };
        let is_known = watched.standings.get(&witness.region).is_some_and(|one| !one.addresses.is_empty());
        if result.addresses.is_empty() && !is_known {
            return;
        }
        let standing = watched.standings.entry(witness.region.clone()).or_default();
        if ended < standing.addresses_at
            || result.failure().is_some_and(|failure| failure.kind.is_agents_own())
        {
            return;
        }
        let before = standing.failing();
        standing.addresses_at = ended;
        standing.addresses.clone_from(&result.addresses);
        let is_quiet = before.is_empty() && result.addresses.iter().all(|one| one.failure.is_none());
        if result.addresses.is_empty() || (is_quiet && !watched.said.addresses.contains_key(&witness.region))
        {
            return;
        }
        self.tell(&witness.monitor, now, |said, _| {
            events::addresses(said, &witness.region, &before, &result.addresses)
        });
    }

    /// The engine says that the server has restarted.
    pub(super) fn restarted(&mut self, monitor: &MonitorId, regions: &[Region], took: Micros, now: Now) {
        tracing::info!(monitor = %monitor, %took, regions = regions.len(), "restarted");
        self.tell(monitor, now, |_, _| Some(events::restarted(regions, took)));
    }

    fn see_reconnection(&mut self, witness: &Witness, now: Now) {
        let Some(watched) = self.monitors.get(&witness.monitor) else { return };
        let Some(standing) = watched.standings.get(&witness.region) else { return };
        let times = standing.canary.reconnects(&witness.agent, now.moment);
        let why = standing.canary.last_end().map(str::to_owned);
        self.tell(&witness.monitor, now, |said, at| {
            events::reconnected(said, &witness.region, times, why.as_deref(), at)
        });
    }

    fn see_certificate(&mut self, witness: &Witness, facts: TlsFacts, moment: Moment, now: Now) {
        let Some(watched) = self.monitors.get_mut(&witness.monitor) else { return };
        let standing = watched.standings.entry(witness.region.clone()).or_default();
        let latest = standing.tls.and_then(|tls| tls.shown).map(|(_, latest)| latest);
        if latest.is_some_and(|latest| moment < latest) {
            return;
        }
        let at = now.wall_of(moment);
        if let Some(stored) = TlsStanding::see(&mut standing.tls, facts, moment, at) {
            let (monitor, region) = (witness.monitor.clone(), witness.region.clone());
            self.ledger.change(Change::Tls { monitor, region, stored }, now.moment);
        }
        let warning = watched.monitor.certificate_warning;
        self.judge_certificate(witness, &facts, now);
        if facts.not_after.is_some_and(|not_after| not_after.since(now.wall) <= warning) {
            self.tell(&witness.monitor, now, |said, at| {
                events::certificate_expires(said, warning, &witness.region, &facts, at)
            });
        }
        if let Some((other, theirs, span)) = self.other_certificate(witness) {
            let shown = [(&witness.region, &facts), (&other, &theirs)];
            self.tell(&witness.monitor, now, |said, at| events::certificates_differ(said, shown, span, at));
        }
    }

    /// The region that has been shown another certificate for longest while the witness's was shown its own.
    fn other_certificate(&self, witness: &Witness) -> Option<(Region, TlsFacts, Micros)> {
        let watched = self.monitors.get(&witness.monitor)?;
        let own = watched.standings.get(&witness.region)?.tls?;
        let others = watched.standings.iter().filter_map(|(region, standing)| Some((region, standing.tls?)));
        let differing =
            others.filter(|(_, tls)| tls.stored.facts.fingerprint != own.stored.facts.fingerprint);
        let longest = differing.max_by_key(|(_, tls)| own.overlap(tls))?;
        Some((longest.0.clone(), longest.1.stored.facts, own.overlap(&longest.1)))
    }

    /// Asks whether there is news of a monitor; what is told, and that it was, goes into one transaction.
    fn tell(
        &mut self,
        monitor: &MonitorId,
        now: Now,
        news: impl FnOnce(&mut Said, WallMicros) -> Option<News>,
    ) {
        let Some(watched) = self.monitors.get_mut(monitor) else { return };
        let mut said = watched.said.clone();
        let news = news(&mut said, now.wall);
        if said != watched.said {
            watched.said = said.clone();
            let change = Change::Said { monitor: monitor.clone(), said: Box::new(said) };
            self.ledger.change(change, now.moment);
            self.canvas.touch(monitor);
        }
        let Some(news) = news else { return };
        let announcement = self.write_event(monitor, news, now);
        announcement.into_iter().for_each(|announcement| self.announce(announcement, now));
    }

    /// Writes an event down; gives who would hear of it.
    pub(super) fn write_event(&mut self, monitor: &MonitorId, news: News, now: Now) -> Option<Announcement> {
        let watched = self.monitors.get(monitor)?;
        let id = chance::id("evt_", now.wall);
        let (event, announcement) = news.into_event(&watched.monitor, &self.config.channels, id, now.wall);
        tracing::info!(monitor = %monitor, kind = event.kind.name(), summary = event.summary, "event");
        *self.counts.events.entry(event.kind.name()).or_default() += 1;
        self.ledger.change(Change::Event(Box::new(event)), now.moment);
        self.canvas.touch_counts();
        Some(announcement)
    }
}

impl Watched {
    /// The idle timeout that is known of a region, in words.
    pub(super) fn idle_timeout(&self, region: &Region) -> Option<String> {
        self.said.idle.get(region).map(|known| match known.cut {
            Some(_) => events::idle_words(known),
            None => format!("none {}", events::idle_words(known)),
        })
    }
}

/// What of it the engine wants to know.
fn turn(event: &CanaryEvent) -> Option<CanaryTurn> {
    match event {
        CanaryEvent::Opened { .. } => Some(CanaryTurn::Opened),
        CanaryEvent::Ended { failure, .. } if !failure.kind.is_agents_own() => {
            Some(CanaryTurn::Ended { announced: FailureKind::is_announced(&failure.kind) })
        }
        CanaryEvent::Ended { .. }
        | CanaryEvent::NotOpened { .. }
        | CanaryEvent::Alive { .. }
        | CanaryEvent::Left { .. } => None,
    }
}
