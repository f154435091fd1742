//! One channel's deliveries: which may be sent, and when. Pure; time comes in as an argument.
//!
//! Deliveries about one incident form a lane and go in order: a later one waits until the earlier is delivered or
//! given up. Lanes do not wait for each other. What does not fit stays in the outbox; once half of the queue is empty
//! the core is asked for it, and until the first delivery that was dropped comes back, later ones are refused too,
//! so that nothing overtakes it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use quorate_proto::{Micros, WallMicros};
use quorate_quorum::Moment;

use crate::{
    limits::{
        CHANNEL_FINISHED_REMEMBERED_MAX, CHANNEL_IN_FLIGHT_MAX, CHANNEL_QUEUE_MAX, CHANNEL_TROUBLE_MIN,
        REFILL_PATIENCE,
    },
    model::Delivery,
};

/// The lane of alerts that are about no incident.
const OPERATOR_LANE: &str = "operator";

/// The deliveries of one channel.
#[derive(Debug)]
pub(super) struct Queue {
    lanes: BTreeMap<String, VecDeque<Waiting>>,
    /// Every delivery in `lanes` with the name of its lane.
    known: BTreeMap<u64, String>,
    /// Those of them that are being sent: always the first of a lane.
    in_flight: BTreeSet<u64>,
    /// The latest that were delivered or given up.
    finished: VecDeque<u64>,
    /// From one start to the next.
    pace: Micros,
    /// No start before this moment.
    paused_until: Moment,
    overflow: Overflow,
}

#[derive(Debug)]
struct Waiting {
    delivery: Box<Delivery>,
    due: Moment,
    /// Whether the receiver refused this one, as opposed to being in trouble.
    refused: bool,
}

/// What became of deliveries that did not fit.
#[derive(Debug, PartialEq)]
enum Overflow {
    None,
    /// Some were dropped, `first` the earliest.
    Dropped {
        first: u64,
    },
    /// The core was asked for them. Until `first` comes back, or patience ends, later ones are refused.
    Asked {
        first: u64,
        until: Moment,
        refused: bool,
    },
}

impl Queue {
    /// An empty queue whose deliveries start at least `pace` apart.
    pub(super) fn new(pace: Micros) -> Self {
        Self {
            lanes: BTreeMap::new(),
            known: BTreeMap::new(),
            in_flight: BTreeSet::new(),
            finished: VecDeque::new(),
            pace,
            paused_until: Moment::default(),
            overflow: Overflow::None,
        }
    }

    /// Takes a delivery that is due at `due`. One that is here, or that was finished lately, is not taken twice; one
    /// that does not fit is dropped.
    pub(super) fn push(&mut self, delivery: Box<Delivery>, due: Moment, now: Moment) {
        let id = delivery.id;
        if self.known.contains_key(&id) || self.finished.contains(&id) || !self.admits(id, now) {
            return;
        }
        let name = delivery.alert.event.subject().unwrap_or(OPERATOR_LANE).to_owned();
        let lane = self.lanes.entry(name.clone()).or_default();
        let sending = lane.front().is_some_and(|first| self.in_flight.contains(&first.delivery.id));
        let place = lane.partition_point(|waiting| waiting.delivery.id < id).max(usize::from(sending));
        lane.insert(place, Waiting { delivery, due, refused: false });
        self.known.insert(id, name);
    }

    /// Whether there is room, and nothing before it is missing.
    fn admits(&mut self, id: u64, now: Moment) -> bool {
        match &mut self.overflow {
            Overflow::Dropped { first } => {
                *first = id.min(*first);
                return false;
            }
            Overflow::Asked { first, until, refused } if id > *first && now < *until => {
                *refused = true;
                return false;
            }
            Overflow::Asked { first, .. } if id == *first => self.overflow = Overflow::None,
            Overflow::Asked { .. } | Overflow::None => {}
        }
        if self.known.len() < CHANNEL_QUEUE_MAX {
            return true;
        }
        self.overflow = Overflow::Dropped { first: id };
        false
    }

    /// Starts the delivery that has been due for longest, where one may be started.
    pub(super) fn start(&mut self, now: Moment, wall: WallMicros) -> Option<Box<Delivery>> {
        if self.in_flight.len() >= CHANNEL_IN_FLIGHT_MAX || now < self.paused_until {
            return None;
        }
        let heads = self.lanes.values_mut().filter_map(VecDeque::front_mut);
        let first = heads
            .filter(|head| head.due <= now && !self.in_flight.contains(&head.delivery.id))
            .min_by_key(|head| (head.due, head.delivery.id))?;
        first.delivery.first_sent_at.get_or_insert(wall);
        self.in_flight.insert(first.delivery.id);
        self.paused_until = now.after(self.pace);
        Some(first.delivery.clone())
    }

    /// A delivery that was started is done with: delivered, or given up.
    pub(super) fn finish(&mut self, id: u64) {
        self.in_flight.remove(&id);
        let Some(name) = self.known.remove(&id) else { return };
        if let Some(lane) = self.lanes.get_mut(&name) {
            lane.retain(|waiting| waiting.delivery.id != id);
            if lane.is_empty() {
                self.lanes.remove(&name);
            }
        }
        if self.finished.len() >= CHANNEL_FINISHED_REMEMBERED_MAX {
            self.finished.pop_front();
        }
        self.finished.push_back(id);
    }

    /// A delivery that was started failed and is due again.
    pub(super) fn postpone(&mut self, id: u64, due: Moment, refused: bool) {
        self.in_flight.remove(&id);
        let Some(lane) = self.known.get(&id).and_then(|name| self.lanes.get_mut(name)) else { return };
        if let Some(waiting) = lane.iter_mut().find(|waiting| waiting.delivery.id == id) {
            waiting.delivery.attempts = waiting.delivery.attempts.saturating_add(1);
            waiting.due = due;
            waiting.refused = refused;
        }
    }

    /// Takes out the earliest delivery that is not being sent, whether it is due or not.
    pub(super) fn give_up(&mut self) -> Option<Box<Delivery>> {
        let id = *self.known.keys().find(|id| !self.in_flight.contains(id))?;
        let lane = self.known.get(&id).and_then(|name| self.lanes.get(name))?;
        let delivery = lane.iter().find(|waiting| waiting.delivery.id == id)?.delivery.clone();
        self.finish(id);
        Some(delivery)
    }

    /// Nothing is started before `until`.
    pub(super) fn pause(&mut self, until: Moment) {
        self.paused_until = self.paused_until.max(until);
    }

    /// Sets the pace, which the kind of the channel decides.
    pub(super) fn set_pace(&mut self, pace: Micros) {
        self.pace = pace;
    }

    /// The channel was changed: everything is due, and no pause holds.
    pub(super) fn hurry_all(&mut self, now: Moment) {
        self.paused_until = now;
        for waiting in self.lanes.values_mut().flatten() {
            waiting.due = waiting.due.min(now);
        }
    }

    /// The receiver is back after a long trouble: those that wait for long because of it are due.
    pub(super) fn hurry_troubled(&mut self, now: Moment) {
        let soon = now.after(CHANNEL_TROUBLE_MIN);
        for waiting in self.lanes.values_mut().flatten() {
            if !waiting.refused && waiting.due > soon {
                waiting.due = now;
            }
        }
    }

    /// Whether the core is to be asked for what was dropped.
    pub(super) fn asks_refill(&mut self, now: Moment) -> bool {
        match self.overflow {
            Overflow::Dropped { first } if self.known.len() <= CHANNEL_QUEUE_MAX / 2 => {
                self.overflow = Overflow::Asked { first, until: now.after(REFILL_PATIENCE), refused: false };
                true
            }
            Overflow::Asked { until, refused, .. } if now >= until => {
                self.overflow = Overflow::None;
                refused
            }
            Overflow::None | Overflow::Dropped { .. } | Overflow::Asked { .. } => false,
        }
    }

    /// When [`start`](Self::start) or [`asks_refill`](Self::asks_refill) may next have something, if nothing else
    /// happens before.
    pub(super) fn wake_at(&self) -> Option<Moment> {
        let heads = self.lanes.values().filter_map(VecDeque::front);
        let due = heads.filter(|head| !self.in_flight.contains(&head.delivery.id)).map(|head| head.due).min();
        let start = due
            .filter(|_| self.in_flight.len() < CHANNEL_IN_FLIGHT_MAX)
            .map(|due| due.max(self.paused_until));
        let patience = match self.overflow {
            Overflow::Asked { until, .. } => Some(until),
            Overflow::None | Overflow::Dropped { .. } => None,
        };
        start.into_iter().chain(patience).min()
    }

    /// Whether nothing waits, nothing is being sent and nothing is to be asked for.
    pub(super) fn is_idle(&self) -> bool {
        self.known.is_empty() && self.overflow == Overflow::None
    }
}
