//! The dispatcher's desk: every channel with its queue, and what follows from each thing that happens. Pure; time and
//! chance come in as arguments, and what it wants done goes out as values.
//!
//! Order of calls: tell it what happened ([`Desk::channels`], [`Desk::deliver`], [`Desk::settle`]), then take
//! [`Desk::step`] until there is none and [`Desk::refill`] until there is none, then wait until [`Desk::wake_at`].

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use quorate_proto::{Micros, WallMicros};
use quorate_quorum::Moment;

use super::{
    answer::{Answer, Outcome},
    queue::Queue,
    schedule,
};
use crate::{
    config::{Channel, ChannelKind},
    limits::{CHANNEL_PAUSE_DEFAULT, CHANNEL_PAUSE_MAX, CHANNEL_TROUBLE_MIN, SLACK_PACE},
    model::{Attempt, ChannelId, Delivery, DeliveryState},
};

/// Every channel with its queue.
#[derive(Debug)]
pub(super) struct Desk {
    lines: BTreeMap<ChannelId, Line>,
    chance: fastrand::Rng,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Step {
    /// Send this now, and tell [`Desk::settle`] what came of it.
    Send(Job),
    /// This was given up without an attempt: report it.
    Report(Attempt),
}

/// One attempt to be made.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) channel: Arc<Channel>,
    /// Its `first_sent_at` is set.
    pub(super) delivery: Box<Delivery>,
    /// When the attempt begins.
    pub(super) at: WallMicros,
}

/// How an attempt ended.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) job: Job,
    pub(super) answer: Answer,
    /// How long it took.
    pub(super) took: Micros,
}

#[derive(Debug)]
struct Line {
    /// None where the configuration knows no such channel.
    channel: Option<Arc<Channel>>,
    /// Whether the receiver said 410 since the configuration was last read.
    gone: bool,
    /// Since when no attempt has succeeded.
    trouble_since: Option<Moment>,
    queue: Queue,
}

impl Desk {
    /// A desk without channels, whose chances follow from `seed`.
    pub(super) fn new(seed: u64) -> Self {
        Self { lines: BTreeMap::new(), chance: fastrand::Rng::with_seed(seed) }
    }

    /// The configuration was read. Queues of channels that stay are kept; a changed channel is tried at once, and so
    /// is one that was gone.
    pub(super) fn channels(&mut self, channels: Vec<Channel>, now: Moment) {
        let mut wanted: BTreeMap<ChannelId, Channel> =
            channels.into_iter().map(|channel| (channel.id.clone(), channel)).collect();
        for (id, line) in &mut self.lines {
            line.channel = line.adopt(wanted.remove(id), now);
        }
        for (id, channel) in wanted {
            let line = Line::new(Some(Arc::new(channel)));
            self.lines.insert(id, line);
        }
        self.lines.retain(|_, line| line.channel.is_some() || !line.queue.is_idle());
    }

    /// A delivery is owed.
    pub(super) fn deliver(&mut self, delivery: Box<Delivery>, now: Moment, wall: WallMicros) {
        let wait = delivery.due_at.map_or(Micros::ZERO, |due| due.since(wall));
        let due = now.after(wait.min(schedule::wait_max(delivery.attempts)));
        let line = self.lines.entry(delivery.channel.clone()).or_insert_with(|| Line::new(None));
        line.queue.push(delivery, due, now);
    }

    /// The next thing to be done, if there is one at this moment.
    pub(super) fn step(&mut self, now: Moment, wall: WallMicros) -> Option<Step> {
        let step = self.lines.values_mut().find_map(|line| line.step(now, wall));
        if step.is_none() {
            self.lines.retain(|_, line| line.channel.is_some() || !line.queue.is_idle());
        }
        step
    }

    /// A channel for which the core is to be asked for what was dropped.
    pub(super) fn refill(&mut self, now: Moment) -> Option<ChannelId> {
        self.lines.iter_mut().find_map(|(id, line)| line.queue.asks_refill(now).then(|| id.clone()))
    }

    /// An attempt ended at `now`. Returns what to report.
    pub(super) fn settle(&mut self, settled: Settled, now: Moment, wall: WallMicros) -> Attempt {
        let Settled { job: Job { channel, delivery, at }, answer, took } = settled;
        let chance = self.chance.f64();
        let line = self.lines.entry(channel.id.clone()).or_insert_with(|| Line::new(None));
        line.note(&answer, now);
        let attempts = delivery.attempts.saturating_add(1);
        let wait =
            line.closed().is_none().then(|| schedule::wait(attempts, chance, answer.retry_after)).flatten();
        let (state, due_at, error) = match (answer.outcome, wait) {
            (Outcome::Taken, _) => (DeliveryState::Delivered, None, None),
            (Outcome::Trouble | Outcome::Refused, Some(wait)) => {
                line.queue.postpone(delivery.id, now.after(wait), answer.outcome == Outcome::Refused);
                (DeliveryState::Pending, Some(wall.after(wait)), answer.error)
            }
            (Outcome::Gone, _) => (DeliveryState::Failed, None, answer.error),
            (Outcome::Trouble | Outcome::Refused, None) => {
                let why = line.closed().unwrap_or("the schedule of attempts is at its end").to_owned();
                let error = answer.error.map_or(why.clone(), |error| format!("{error}; given up: {why}"));
                (DeliveryState::Failed, None, Some(error))
            }
        };
        if state != DeliveryState::Pending {
            line.queue.finish(delivery.id);
        }
        Attempt {
            delivery: delivery.id,
            channel: delivery.channel,
            state,
            at,
            took,
            due_at,
            status: answer.status,
            error,
        }
    }

    /// When [`step`](Self::step) or [`refill`](Self::refill) may next have something, if nothing else happens.
    pub(super) fn wake_at(&self) -> Option<Moment> {
        self.lines.values().filter_map(|line| line.queue.wake_at()).min()
    }
}

impl Line {
    fn new(channel: Option<Arc<Channel>>) -> Self {
        let queue = Queue::new(channel.as_deref().map_or(Micros::ZERO, pace));
        Self { channel, gone: false, trouble_since: None, queue }
    }

    /// Takes over what the configuration says, and returns it.
    fn adopt(&mut self, wanted: Option<Channel>, now: Moment) -> Option<Arc<Channel>> {
        let wanted = wanted?;
        self.queue.set_pace(pace(&wanted));
        self.gone = false;
        match self.channel.take() {
            Some(known) if *known == wanted => Some(known),
            Some(_) | None => {
                self.queue.hurry_all(now);
                Some(Arc::new(wanted))
            }
        }
    }

    /// Why nothing is sent over this channel, if so.
    fn closed(&self) -> Option<&'static str> {
        match &self.channel {
            None => Some("the channel was removed"),
            Some(_) if self.gone => Some("the receiver says that it is gone"),
            Some(_) => None,
        }
    }

    fn step(&mut self, now: Moment, wall: WallMicros) -> Option<Step> {
        let (Some(channel), None) = (&self.channel, self.closed()) else { return self.give_up(wall) };
        let delivery = self.queue.start(now, wall)?;
        Some(Step::Send(Job { channel: channel.clone(), delivery, at: wall }))
    }

    fn give_up(&mut self, wall: WallMicros) -> Option<Step> {
        let why = self.closed()?;
        let delivery = self.queue.give_up()?;
        Some(Step::Report(Attempt {
            delivery: delivery.id,
            channel: delivery.channel,
            state: DeliveryState::Failed,
            at: wall,
            took: Micros::ZERO,
            due_at: None,
            status: None,
            error: Some(why.to_owned()),
        }))
    }

    /// What an answer says of the channel as a whole.
    fn note(&mut self, answer: &Answer, now: Moment) {
        match answer.outcome {
            Outcome::Taken => {
                let since = self.trouble_since.take();
                if since.is_some_and(|since| now.since(since) >= CHANNEL_TROUBLE_MIN) {
                    self.queue.hurry_troubled(now);
                }
            }
            Outcome::Gone => self.gone = true,
            Outcome::Trouble => {
                self.trouble_since.get_or_insert(now);
                let limited = (answer.status == Some(429)).then_some(CHANNEL_PAUSE_DEFAULT);
                if let Some(pause) = answer.retry_after.or(limited) {
                    self.queue.pause(now.after(pause.min(CHANNEL_PAUSE_MAX)));
                }
            }
            Outcome::Refused => {}
        }
    }
}

fn pace(channel: &Channel) -> Micros {
    match channel.kind {
        ChannelKind::Webhook { .. } => Micros::ZERO,
        ChannelKind::Slack { .. } => SLACK_PACE,
    }
}
