//! Maintenance: what is on, what is planned, and what is told when it ends.
//!
//! While a monitor is maintained it is checked and decided on as ever; only its pages are held. Its incident is recorded
//! and says so. When the last maintenance of a monitor ends and its verdict still is not up, what was held is told then:
//! here, in one place ([`Core::release`]). So is that it is degraded, once that is seen again ([`Core::release_quality`]).
//!
//! Maintenance is planned by the clock on the wall, so that is what it goes by. It decides nothing: a wall clock that is
//! wrong tells people at a wrong time, and makes no verdict.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use quorate_proto::{Micros, MonitorId, WallMicros};
use quorate_quorum::{Moment, uptime::Stretch};
use tokio::sync::oneshot;

use super::{
    chance,
    effect::{Effect, Now},
    ledger::After,
    state::Core,
};
use crate::{
    config::{Config, MaintenancePlan},
    decide::{self, paging::Reach},
    limits,
    model::{AdminError, Incident, Maintenance, MaintenanceOrigin, MaintenanceWish},
    store::Change,
};

/// How far ahead occurrences of what recurs are shown.
const AHEAD: Micros = Micros::from_secs(14 * 86_400);
/// How far ahead what is planned once is shown.
const AHEAD_ONCE: Micros = Micros::from_secs(400 * 86_400);
/// Plans are looked at again at least this often, so that what recurs stays ahead.
const LOOK_PERIOD: Micros = Micros::from_secs(3_600);

/// What the core knows of maintenance.
#[derive(Debug, Default)]
pub(super) struct MaintenanceDesk {
    /// What has begun, or was planned by hand: all of it is stored.
    known: BTreeMap<String, Maintenance>,
    /// Occurrences of the configuration that are still to come.
    ahead: Vec<Maintenance>,
    /// All of it, the earliest first, as the faces show it.
    list: Arc<[Maintenance]>,
    /// Monitors that are maintained, each with the maintenance that ends last.
    on: BTreeMap<MonitorId, String>,
    /// When it was last looked at, and is to be again.
    looked_at: Option<WallMicros>,
    look_at: WallMicros,
    /// Occurrences up to here are among the known.
    recorded_until: Option<WallMicros>,
    /// Monitors of which something was not told because they were degraded in a maintenance, each with the moment since when
    /// they are free of any; none where they are not.
    degraded: BTreeMap<MonitorId, Option<Moment>>,
    /// After a start or a standstill verdicts are old: nothing is released before regions have had their say.
    pub(super) settling_since: Option<Moment>,
}

impl MaintenanceDesk {
    /// What was known before the start.
    pub(super) fn restored(known: Vec<Maintenance>, ran_until: Option<WallMicros>) -> Self {
        Self {
            known: known.into_iter().map(|one| (one.id.clone(), one)).collect(),
            recorded_until: ran_until,
            ..Self::default()
        }
    }

    /// The maintenance that a monitor is in.
    pub(super) fn of(&self, monitor: &MonitorId) -> Option<&Maintenance> {
        self.known.get(self.on.get(monitor)?)
    }

    /// Whether a monitor was maintained at some time not long ago.
    pub(super) fn covers(&self, monitor: &MonitorId, at: WallMicros) -> bool {
        // Most of the time there is none, and this is asked for every check.
        self.known.values().any(|one| one.is_on(at) && one.concerns(monitor))
    }

    /// What is degraded in a maintenance is told when that is over.
    pub(super) fn hold_degraded(&mut self, monitor: &MonitorId) {
        self.degraded.insert(monitor.clone(), None);
    }

    /// The monitors so held that are in no maintenance, and since when.
    pub(super) fn degraded_and_free(&mut self, at: Moment) -> Vec<(MonitorId, Moment)> {
        let mut free = Vec::new();
        for (monitor, since) in &mut self.degraded {
            *since = if self.on.contains_key(monitor) { None } else { since.or(Some(at)) };
            free.extend(since.map(|since| (monitor.clone(), since)));
        }
        free
    }

    /// It was told, or there is nothing to tell any more.
    pub(super) fn let_go_of_degraded(&mut self, monitor: &MonitorId) {
        self.degraded.remove(monitor);
    }

    /// All of it, the earliest first.
    pub(super) fn list(&self) -> Arc<[Maintenance]> {
        Arc::clone(&self.list)
    }

    /// It is to be looked at again at once.
    pub(super) fn touch(&mut self) {
        self.looked_at = None;
    }

    fn is_due(&self, wall: WallMicros) -> bool {
        // A wall clock that was set back makes it due as well.
        self.looked_at.is_none_or(|looked| wall < looked) || wall >= self.look_at
    }

    /// Takes up what has begun since it was last looked at, and gives what is new or different in it.
    fn record(&mut self, plans: &[MaintenancePlan], wall: WallMicros) -> Vec<Maintenance> {
        let since = self.recorded_until.unwrap_or(wall).min(wall);
        let now = Stretch { from: since, to: WallMicros(wall.0.saturating_add(1)) };
        let begun = plans.iter().flat_map(|plan| occurrences(plan, now)).map(|one| (one.id.clone(), one));
        let begun = begun.collect::<BTreeMap<_, _>>();
        let mut changed = Vec::new();
        for (id, one) in &begun {
            let known = self.known.get(id);
            // One that an operator ended early does not begin anew because it stands in the configuration.
            if known.is_none_or(|known| !known.ended_early && known != one) {
                changed.push(one.clone());
            }
        }
        for one in self.known.values() {
            let is_withdrawn = one.origin == MaintenanceOrigin::Configured && !begun.contains_key(&one.id);
            if is_withdrawn && one.is_on(wall) {
                changed.push(Maintenance { until: wall, ended_early: true, ..one.clone() });
            }
        }
        self.known.extend(changed.iter().map(|one| (one.id.clone(), one.clone())));
        self.recorded_until = Some(wall);
        self.forget();
        changed
    }

    /// Keeps the bound: what ended first is forgotten first. The store keeps it.
    fn forget(&mut self) {
        let most = usize::try_from(limits::MAINTENANCE_REMEMBERED_MAX).unwrap_or(usize::MAX);
        while self.known.len() > most {
            let first = self.known.values().min_by_key(|one| one.until).map(|one| one.id.clone());
            if first.and_then(|id| self.known.remove(&id)).is_none() {
                break;
            }
        }
    }

    /// Works out what is on and what is to come.
    fn look(&mut self, config: &Config, wall: WallMicros) {
        self.ahead = config.maintenance.iter().filter_map(|plan| next(plan, wall)).collect();
        let mut list = self.known.values().chain(&self.ahead).cloned().collect::<Vec<_>>();
        list.sort_by(|a, b| (a.from, &a.id).cmp(&(b.from, &b.id)));
        self.list = list.into();
        let mut on = self.known.values().filter(|one| one.is_on(wall)).collect::<Vec<_>>();
        on.sort_by(|a, b| (a.until, &a.id).cmp(&(b.until, &b.id)));
        let ids = config.monitors.iter().map(|monitor| &monitor.spec.id);
        self.on = ids
            .filter_map(|id| {
                let last = on.iter().rev().find(|one| one.concerns(id))?;
                Some((id.clone(), last.id.clone()))
            })
            .collect();
        let borders = self.known.values().chain(&self.ahead).flat_map(|one| [one.from, one.until]);
        let next = borders.filter(|border| *border > wall).min();
        let latest = wall.after(LOOK_PERIOD);
        self.look_at = next.map_or(latest, |next| next.min(latest));
        self.looked_at = Some(wall);
    }
}

impl Core {
    /// Looks at maintenance, where something may have begun or ended; and tells what is not held any more.
    pub(super) fn maintain(&mut self, now: Now) {
        if self.maintenance.is_due(now.wall) {
            for changed in self.maintenance.record(&self.config.maintenance, now.wall) {
                tracing::info!(maintenance = changed.id, until = changed.until.0, "maintenance");
                self.ledger.change(Change::Maintenance(Box::new(changed)), now.moment);
            }
            let before = std::mem::take(&mut self.maintenance.on);
            self.maintenance.look(&self.config, now.wall);
            let after = &self.maintenance.on;
            let differ = before.keys().chain(after.keys()).filter(|id| before.get(*id) != after.get(*id));
            for monitor in differ.cloned().collect::<BTreeSet<_>>() {
                self.canvas.touch(&monitor);
            }
        }
        self.release(now);
        self.release_quality(now);
    }

    /// Tells what was held for a maintenance that is over.
    fn release(&mut self, now: Now) {
        let is_free = |monitor: &MonitorId| {
            let grace = self.monitors.get(monitor).map(|watched| watched.policy.restart_grace());
            let settles = self.maintenance.settling_since.zip(grace);
            self.maintenance.of(monitor).is_none()
                && settles.is_none_or(|(since, grace)| now.moment.since(since) >= grace)
        };
        // What a parent holds as well is told when that lets go of it.
        let is_held = |incident: &Incident| incident.held_for_maintenance && incident.held_by.is_empty();
        let held = self.incidents.values().filter(|open| is_held(&open.incident));
        let free = held.filter(|open| is_free(&open.incident.monitor.id));
        for monitor in free.map(|open| open.incident.monitor.id.clone()).collect::<Vec<_>>() {
            let Some(open) = self.incidents.get(&monitor) else { continue };
            let (decision, verdict) = decide::release(open);
            self.decided(verdict, decision, now);
            self.tell_of(&monitor, Reach::All, now);
        }
    }

    /// An operator starts or plans a maintenance. It is in force at once, whatever the store does; only the answer waits
    /// for the disk.
    pub(super) fn start_maintenance(&mut self, wish: MaintenanceWish, reply: MaintenanceReply, now: Now) {
        if let Err(error) = self.checked_maintenance(&wish, now) {
            return self.effects.push(Effect::Maintained(reply, Err(error)));
        }
        let from = wish.from.unwrap_or(now.wall);
        let maintenance = Maintenance {
            id: chance::id("mnt_", now.wall),
            name: wish.name,
            reason: wish.reason,
            monitors: wish.monitors,
            from,
            until: from.after(wish.lasts),
            origin: MaintenanceOrigin::Operator,
            ended_early: false,
        };
        self.keep_maintenance(maintenance, reply, now);
    }

    /// An operator ends a maintenance, or takes back one that is planned by hand.
    pub(super) fn end_maintenance(&mut self, id: &str, reply: MaintenanceReply, now: Now) {
        let known = self.maintenance.known.get(id).filter(|one| one.until > now.wall);
        let Some(known) = known else {
            let error = AdminError::NoSuchMaintenance(id.to_owned());
            return self.effects.push(Effect::Maintained(reply, Err(error)));
        };
        let until = now.wall.max(known.from);
        let ended = Maintenance { until, ended_early: true, ..known.clone() };
        self.keep_maintenance(ended, reply, now);
    }

    fn keep_maintenance(&mut self, maintenance: Maintenance, reply: MaintenanceReply, now: Now) {
        tracing::info!(
            maintenance = maintenance.id,
            until = maintenance.until.0,
            "an operator's maintenance"
        );
        self.ledger.change(Change::Maintenance(Box::new(maintenance.clone())), now.moment);
        self.maintenance.known.insert(maintenance.id.clone(), maintenance.clone());
        self.maintenance.touch();
        self.canvas.touch_counts();
        match self.ledger.is_writable() {
            true => self.ledger.after(After::Maintained { maintenance, reply }, now.moment),
            false => self.effects.push(Effect::Maintained(reply, Ok(maintenance))),
        }
        self.ledger.hurry();
    }

    fn checked_maintenance(&self, wish: &MaintenanceWish, now: Now) -> Result<(), AdminError> {
        let unknown = wish.monitors.iter().flatten().find(|id| !self.monitors.contains_key(*id));
        if let Some(unknown) = unknown {
            return Err(AdminError::NoSuchMonitor(unknown.clone()));
        }
        let most = usize::try_from(limits::MAINTENANCE_REMEMBERED_MAX).unwrap_or(usize::MAX) / 2;
        let open = self.maintenance.known.values().filter(|one| one.until > now.wall).count();
        if open >= most {
            return Err(AdminError::TooMuchMaintenance(most));
        }
        Ok(())
    }
}

/// Where the answer to an operator goes.
pub(super) type MaintenanceReply = oneshot::Sender<Result<Maintenance, AdminError>>;

/// The occurrences of a plan that begin or are on in a stretch.
fn occurrences(plan: &MaintenancePlan, within: Stretch) -> Vec<Maintenance> {
    plan.occurrences(within).into_iter().map(|stretch| occurrence(plan, stretch)).collect()
}

/// The next occurrence of a plan that has not begun.
fn next(plan: &MaintenancePlan, wall: WallMicros) -> Option<Maintenance> {
    let ahead = if plan.recurs() { AHEAD } else { AHEAD_ONCE };
    let coming = plan.occurrences(Stretch { from: wall, to: wall.after(ahead) });
    coming.into_iter().find(|one| one.from > wall).map(|stretch| occurrence(plan, stretch))
}

fn occurrence(plan: &MaintenancePlan, stretch: Stretch) -> Maintenance {
    Maintenance {
        id: format!("{}@{}", plan.id, stretch.from.as_unix_seconds()),
        name: plan.name.clone(),
        reason: plan.reason.clone(),
        monitors: plan.monitors.clone(),
        from: stretch.from,
        until: stretch.to,
        origin: MaintenanceOrigin::Configured,
        ended_early: false,
    }
}
