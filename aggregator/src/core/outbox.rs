//! Alerts and their deliveries: given out with an id, sent after their commit, kept until they are settled.

use std::collections::BTreeMap;

use quorate_proto::WallMicros;

use super::{
    chance,
    effect::{Effect, Now},
    ledger::After,
    state::Core,
};
use crate::{
    decide::Announcement,
    limits,
    model::{Alert, Attempt, ChannelId, Delivery, DeliveryState, Dispatch, Incident},
    store::Change,
};

/// Deliveries that are owed.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) next: u64,
    pub(super) pending: BTreeMap<u64, Delivery>,
}

impl Outbox {
    /// How many are owed, by channel.
    pub(super) fn counts(&self) -> BTreeMap<ChannelId, u64> {
        let mut counts = BTreeMap::<ChannelId, u64>::new();
        for delivery in self.pending.values() {
            *counts.entry(delivery.channel.clone()).or_default() += 1;
        }
        counts
    }
}

impl Core {
    /// Owes an alert to channels. It is sent when it is on the disk; where the store is in trouble, at once.
    pub(super) fn announce(&mut self, announcement: Announcement, now: Now) {
        let Announcement { event, channels } = announcement;
        if channels.is_empty() {
            return;
        }
        *self.counts.alerts.entry(event.name()).or_default() += 1;
        let alert = Alert { id: chance::id("msg_", now.wall), event, decided_at: now.wall };
        for channel in channels {
            self.bound_outbox(now);
            let delivery = Delivery {
                id: self.outbox.next,
                channel,
                alert: alert.clone(),
                state: DeliveryState::Pending,
                attempts: 0,
                due_at: Some(now.wall),
                first_sent_at: None,
                delivered_at: None,
                status: None,
                error: None,
            };
            self.outbox.next += 1;
            let id = delivery.id;
            self.ledger.change(Change::Delivery(Box::new(delivery.clone())), now.moment);
            self.outbox.pending.insert(id, delivery);
            match self.ledger.is_writable() {
                true => self.ledger.after(After::Deliver(id), now.moment),
                false => self.deliver(id),
            }
        }
        self.ledger.hurry();
    }

    /// Hands a delivery to `notify`, if it is still owed.
    pub(super) fn deliver(&mut self, id: u64) {
        if let Some(delivery) = self.outbox.pending.get(&id) {
            self.effects.push(Effect::Dispatch(Dispatch::Deliver(Box::new(delivery.clone()))));
        }
    }

    /// A delivery was attempted.
    pub(super) fn attempted(&mut self, attempt: Attempt, now: Now) {
        let outcome = match attempt.state {
            DeliveryState::Delivered => "delivered",
            DeliveryState::Pending => "retry",
            DeliveryState::Failed => "failed",
        };
        *self.counts.attempts.entry((attempt.channel.clone(), outcome)).or_default() += 1;
        self.canvas.touch_counts();
        let Some(delivery) = self.outbox.pending.get_mut(&attempt.delivery) else { return };
        delivery.state = attempt.state;
        delivery.attempts += 1;
        delivery.due_at = attempt.due_at;
        delivery.status = attempt.status;
        delivery.error = attempt.error;
        let is_first = delivery.first_sent_at.is_none();
        delivery.first_sent_at.get_or_insert(attempt.at);
        if attempt.state == DeliveryState::Delivered {
            delivery.delivered_at = Some(attempt.at.after(attempt.took));
        }
        let delivery = delivery.clone();
        if delivery.state != DeliveryState::Pending {
            self.outbox.pending.remove(&delivery.id);
        }
        if is_first && let Some(incident) = delivery.alert.event.incident() {
            self.first_sent(incident, attempt.at, now);
        }
        self.ledger.change(Change::Delivery(Box::new(delivery)), now.moment);
    }

    /// A channel has room again.
    pub(super) fn refill(&mut self, channel: &ChannelId) {
        let owed = self.outbox.pending.values().filter(|delivery| delivery.channel == *channel);
        let dispatches = owed.map(|delivery| Effect::Dispatch(Dispatch::Deliver(Box::new(delivery.clone()))));
        self.effects.extend(dispatches);
    }

    /// Notes when people were first told of the latest decision about an open incident.
    fn first_sent(&mut self, sent: &Incident, at: WallMicros, now: Now) {
        let Some(tracked) = self.incidents.get_mut(&sent.monitor.id) else { return };
        let timeline = &mut tracked.incident.timeline;
        let is_latest = tracked.incident.id == sent.id && timeline.decided_at == sent.timeline.decided_at;
        if is_latest && timeline.sent_at.is_none() {
            timeline.sent_at = Some(at);
            let tracked = tracked.clone();
            self.track(tracked, now);
        }
    }

    /// Gives up the oldest delivery where the outbox is full.
    fn bound_outbox(&mut self, now: Now) {
        if self.outbox.pending.len() < limits::OUTBOX_MAX {
            return;
        }
        let Some((_, mut delivery)) = self.outbox.pending.pop_first() else { return };
        tracing::warn!(
            delivery = delivery.id,
            channel = delivery.channel,
            "outbox full: the oldest is given up"
        );
        delivery.state = DeliveryState::Failed;
        delivery.due_at = None;
        delivery.error = Some("given up: too many deliveries were owed".to_owned());
        self.ledger.change(Change::Delivery(Box::new(delivery)), now.moment);
    }
}
