//! Changes of state, the latest of each thing: what a commit that failed owes is not more than what there is.

use std::collections::BTreeMap;

use quorate_proto::{AgentKey, MonitorId, Region, WallMicros};

use crate::{limits, model::DeliveryState, store::Change};

/// The latest change of each thing, in an order in which they can be written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::core) struct Changes {
    list: BTreeMap<Thing, Change>,
}

/// What a change is about. A monitor that goes comes before its form, so that one that goes and comes back is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    Once(&'static str),
    Agent(AgentKey),
    Given(AgentKey),
    JoinToken([u8; 8]),
    ApiToken([u8; 32]),
    Verdict(MonitorId),
    Form(MonitorId),
    Incident(String),
    Delivery(u64),
    Said(MonitorId),
    Tls(MonitorId, Region),
    Event(String),
    IncidentEvent(WallMicros, String),
    Quality(MonitorId),
    Calibration(MonitorId),
    Turn(WallMicros, MonitorId),
    Away(WallMicros),
    Maintenance(String),
    Paging(String),
    Evidence(WallMicros, String, String),
}

impl Changes {
    /// Adds a change; an earlier one of the same thing is forgotten.
    pub(in crate::core) fn put(&mut self, change: Change) {
        if let Change::MonitorGone { monitor } = &change {
            self.list.remove(&Thing::Form(monitor.clone()));
            self.list.retain(|thing, _| !thing.is_forgotten_with(monitor));
        }
        self.list.insert(Thing::of(&change), change);
    }

    /// Adds later changes.
    pub(super) fn overlay(&mut self, later: Self) {
        for change in later.into_list() {
            self.put(change);
        }
    }

    /// The changes in order.
    pub(super) fn into_list(self) -> Vec<Change> {
        self.list.into_values().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Keeps the bound: the oldest lines of history go first, then deliveries that are settled, then the
    /// oldest deliveries. They have been sent; what is lost is the memory of it.
    pub(super) fn trim(&mut self) {
        let excess = |list: &BTreeMap<Thing, Change>| list.len().saturating_sub(limits::BACKLOG_CHANGES_MAX);
        if excess(&self.list) == 0 {
            return;
        }
        let before = self.list.len();
        let is_event = |change: &Change| {
            matches!(
                change,
                Change::IncidentEvent { .. } | Change::Event(_) | Change::Turn { .. } | Change::Evidence(_)
            )
        };
        let is_settled =
            |change: &Change| matches!(change, Change::Delivery(row) if row.state != DeliveryState::Pending);
        let is_delivery = |change: &Change| matches!(change, Change::Delivery(_));
        for goes in [&is_event as &dyn Fn(&Change) -> bool, &is_settled, &is_delivery] {
            let mut left = excess(&self.list);
            self.list.retain(|_, change| {
                let drops = left > 0 && goes(change);
                left -= usize::from(drops);
                !drops
            });
        }
        tracing::warn!(
            dropped = before - self.list.len(),
            "the store has failed for so long that the oldest unwritten rows of history were given up"
        );
    }
}

impl Thing {
    /// Whether it is a memory of a monitor that ends with it.
    fn is_forgotten_with(&self, gone: &MonitorId) -> bool {
        matches!(
            self,
            Self::Said(of) | Self::Tls(of, _) | Self::Quality(of) | Self::Calibration(of) if of == gone
        )
    }

    fn of(change: &Change) -> Self {
        match change {
            Change::Revision(_) => Self::Once("revision"),
            Change::AggregatorKey(_) => Self::Once("aggregator_key"),
            Change::Pulse(_) => Self::Once("pulse"),
            Change::Agent(agent) => Self::Agent(agent.key),
            Change::Given { agent, .. } => Self::Given(*agent),
            Change::JoinToken(token) => Self::JoinToken(token.id),
            Change::ApiToken { sha256, .. } => Self::ApiToken(*sha256),
            Change::Verdict { monitor, .. } | Change::MonitorGone { monitor } => {
                Self::Verdict(monitor.clone())
            }
            Change::Monitor(form) => Self::Form(form.monitor.clone()),
            Change::Incident(tracked) => Self::Incident(tracked.incident.id.clone()),
            Change::Delivery(delivery) => Self::Delivery(delivery.id),
            Change::Said { monitor, .. } => Self::Said(monitor.clone()),
            Change::Tls { monitor, region, .. } => Self::Tls(monitor.clone(), region.clone()),
            Change::Event(event) => Self::Event(event.id.clone()),
            Change::IncidentEvent { incident, at, .. } => Self::IncidentEvent(*at, incident.clone()),
            Change::Quality { monitor, .. } => Self::Quality(monitor.clone()),
            Change::Calibration { monitor, .. } => Self::Calibration(monitor.clone()),
            Change::Turn { monitor, at, .. } => Self::Turn(*at, monitor.clone()),
            Change::Away(stretch) => Self::Away(stretch.from),
            Change::Maintenance(maintenance) => Self::Maintenance(maintenance.id.clone()),
            Change::Paging { key, .. } => Self::Paging(key.clone()),
            Change::Evidence(one) => {
                Self::Evidence(one.decided_at, one.incident.clone(), one.record.to.clone())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::fixture::{alert, delivery, incident},
        store::MonitorForm,
    };

    #[test]
    fn a_monitor_that_goes_and_comes_back_is_there() {
        let monitor = "shop".parse::<MonitorId>().unwrap();
        let form = |revision| {
            let fingerprint = quorate_proto::Digest([1; 32]);
            Change::Monitor(MonitorForm { monitor: monitor.clone(), fingerprint, revision })
        };
        let gone = || Change::MonitorGone { monitor: monitor.clone() };
        let mut changes = Changes::default();
        changes.put(form(1));
        changes.put(gone());
        assert_eq!(changes.clone().into_list(), [gone()]);
        changes.put(form(2));
        assert_eq!(changes.into_list(), [gone(), form(2)]);
    }

    #[test]
    fn the_backlog_is_bounded_and_keeps_what_is_owed() {
        let alert = alert("msg_1", &incident("inc_1", "shop"));
        let mut changes = Changes::default();
        let count = u64::try_from(limits::BACKLOG_CHANGES_MAX).unwrap();
        for id in 0..count {
            let mut row = delivery(id, "x", alert.clone());
            row.state = if id < 5 { DeliveryState::Pending } else { DeliveryState::Delivered };
            changes.put(Change::Delivery(Box::new(row)));
            let (incident, verdict) = ("inc_1".to_owned(), "down");
            let at = WallMicros(i64::try_from(id).unwrap());
            changes.put(Change::IncidentEvent { incident, at, verdict, rule: String::new() });
        }
        changes.put(Change::Revision(7));
        changes.trim();
        let list = changes.into_list();
        assert_eq!(list.len(), limits::BACKLOG_CHANGES_MAX);
        assert_eq!(list[0], Change::Revision(7));
        let pending = list
            .iter()
            .filter(|one| matches!(one, Change::Delivery(row) if row.state == DeliveryState::Pending));
        assert_eq!(pending.count(), 5);
    }
}
