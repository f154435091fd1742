//! The desk in virtual time: the schedule over a day, pauses, recoveries, and a seeded simulation of a core whose
//! outbox is larger than any queue.

use std::collections::{BTreeSet, VecDeque};

use super::*;
use crate::{
    config::ChannelKind,
    limits::{CHANNEL_IN_FLIGHT_MAX, CHANNEL_QUEUE_MAX},
    model::Secret,
    notify::sample,
};

const TAKEN: Answer = Answer { outcome: Outcome::Taken, status: Some(200), error: None, retry_after: None };

fn trouble(status: u16, retry_after: Option<u64>) -> Answer {
    Answer {
        outcome: Outcome::Trouble,
        status: Some(status),
        error: Some("no".to_owned()),
        retry_after: retry_after.map(Micros::from_secs),
    }
}

/// A desk and its time. Attempts take no time.
struct World {
    desk: Desk,
    now: Moment,
}

impl World {
    fn new(channels: Vec<Channel>) -> Self {
        let mut world = Self { desk: Desk::new(1), now: Moment(1_795_371_108_200_000) };
        world.desk.channels(channels, world.now);
        world
    }

    fn wall(&self) -> WallMicros {
        self.now.to_wall()
    }

    fn deliver(&mut self, delivery: Box<Delivery>) {
        self.desk.deliver(delivery, self.now, self.wall());
    }

    /// The job to be done at this moment, if there is one.
    fn job(&mut self) -> Option<Job> {
        match self.desk.step(self.now, self.wall())? {
            Step::Send(job) => Some(job),
            Step::Report(attempt) => panic!("{attempt:?}"),
        }
    }

    /// Waits for the next job.
    fn next(&mut self) -> Option<Job> {
        loop {
            if let Some(job) = self.job() {
                return Some(job);
            }
            let wake_at = self.desk.wake_at()?;
            assert!(wake_at > self.now, "a wait that does not end");
            self.now = wake_at;
        }
    }

    fn settle(&mut self, job: Job, answer: Answer) -> Attempt {
        let (now, at) = (self.now, self.wall());
        self.desk.settle(Settled { job, answer, took: Micros::ZERO }, now, at)
    }

    fn seconds(&self, since: Moment) -> f64 {
        self.now.since(since).as_secs_f64()
    }
}

fn ops() -> Vec<Channel> {
    vec![sample::webhook("ops", "http://127.0.0.1:1/")]
}

#[test]
fn a_receiver_that_never_recovers_is_asked_for_a_day() {
    let mut world = World::new(ops());
    let start = world.now;
    world.deliver(sample::delivery(1, "ops", "inc_1"));
    let published = [
        0.0, 1.0, 3.0, 8.0, 20.0, 45.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0,
        86_400.0,
    ];
    for (nth, wanted) in published.into_iter().enumerate() {
        let job = world.next().unwrap();
        let at = world.seconds(start);
        assert!((wanted * 0.9..=wanted * 1.1).contains(&at), "attempt {nth} at {at} s, wanted {wanted}");
        assert_eq!(job.delivery.first_sent_at, Some(start.to_wall()));
        assert_eq!(job.delivery.attempts as usize, nth);
        let attempt = world.settle(job, trouble(500, None));
        let last = nth + 1 == published.len();
        assert_eq!(attempt.state, if last { DeliveryState::Failed } else { DeliveryState::Pending });
        assert_eq!(attempt.due_at.is_some(), !last);
        let error = if last { "no; given up: the schedule of attempts is at its end" } else { "no" };
        assert_eq!(attempt.error.as_deref(), Some(error));
    }
    assert!(world.next().is_none());
}

#[test]
fn a_restart_continues_the_schedule() {
    let mut world = World::new(ops());
    let due_at = Some(world.wall().after(Micros::from_secs(900)));
    let start = world.now;
    let delivery = Delivery {
        attempts: 7,
        due_at,
        first_sent_at: Some(WallMicros(5)),
        ..*sample::delivery(1, "ops", "inc_1")
    };
    world.deliver(Box::new(delivery));
    let job = world.next().unwrap();
    assert_eq!((world.seconds(start), job.delivery.first_sent_at), (900.0, Some(WallMicros(5))));
    let attempt = world.settle(job, trouble(500, None));
    let wait = attempt.due_at.unwrap().since(attempt.at).as_secs_f64();
    assert!((5400.0 * 0.9..=5400.0 * 1.1).contains(&wait), "after the eighth attempt: 1.5 h, not {wait}");
}

#[test]
fn a_clock_that_was_set_back_puts_nothing_off_for_years() {
    let mut world = World::new(ops());
    let due_at = Some(world.wall().after(Micros::from_secs(10 * 365 * 86_400)));
    let start = world.now;
    world.deliver(Box::new(Delivery { attempts: 2, due_at, ..*sample::delivery(1, "ops", "inc_1") }));
    world.next().unwrap();
    assert!(world.seconds(start) <= 3600.0);
}

#[test]
fn a_rate_limit_holds_the_whole_channel_back_and_not_for_long() {
    for (answer, own, others) in [
        (trouble(429, Some(7)), 7.0_f64, 7.0_f64),
        (trouble(429, Some(0)), 0.9, 0.0),
        (trouble(429, None), 0.9, 1.0),
        (trouble(503, Some(86_400)), 3600.0, 60.0),
        (trouble(503, None), 0.9, 0.0),
    ] {
        let mut world = World::new(ops());
        world.deliver(sample::delivery(1, "ops", "inc_1"));
        let job = world.next().unwrap();
        let start = world.now;
        let attempt = world.settle(job, answer.clone());
        let wait = attempt.due_at.unwrap().since(attempt.at).as_secs_f64();
        assert!((own..=own.max(1.1)).contains(&wait), "{answer:?}: {wait}");
        world.deliver(sample::delivery(2, "ops", "inc_2"));
        let next = loop {
            let job = world.next().unwrap();
            if job.delivery.id == 2 {
                break world.seconds(start);
            }
            world.settle(job, TAKEN);
        };
        assert_eq!(next, others, "{answer:?}");
    }
}

#[test]
fn a_receiver_that_is_back_gets_at_once_what_waited_for_it() {
    let mut world = World::new(ops());
    for (id, answer) in [(1, trouble(503, None)), (2, Answer { status: Some(400), ..Answer::refused("no") })]
    {
        let delivery = Delivery { attempts: 10, ..*sample::delivery(id, "ops", &format!("inc_{id}")) };
        world.deliver(Box::new(delivery));
        let job = world.next().unwrap();
        world.settle(job, answer);
    }
    assert!(world.job().is_none(), "both wait for hours");
    world.now = world.now.after(CHANNEL_TROUBLE_MIN);
    world.deliver(sample::delivery(3, "ops", "inc_3"));
    let job = world.job().unwrap();
    assert_eq!(job.delivery.id, 3);
    world.settle(job, TAKEN);
    assert_eq!(world.job().unwrap().delivery.id, 1);
    assert!(world.job().is_none(), "what was refused is not helped by a receiver that is back");
}

#[test]
fn slack_hears_about_one_message_a_second() {
    let kind = ChannelKind::Slack { url: Secret::new("http://127.0.0.1:1/") };
    let mut world = World::new(vec![sample::channel("team", kind)]);
    let start = world.now;
    for id in 0..10 {
        world.deliver(sample::delivery(id, "team", &format!("inc_{id}")));
    }
    for nth in 0..10 {
        let job = world.next().unwrap();
        assert!((world.seconds(start) - 1.05 * f64::from(nth)).abs() < 1e-6);
        world.settle(job, TAKEN);
    }
}

#[test]
fn a_removed_channel_fails_what_waits_and_what_comes_back() {
    let mut world = World::new(ops());
    for id in 1..=3 {
        world.deliver(sample::delivery(id, "ops", "inc_1"));
    }
    let job = world.next().unwrap();
    world.desk.channels(Vec::new(), world.now);
    for id in [2, 3] {
        let Some(Step::Report(attempt)) = world.desk.step(world.now, world.wall()) else {
            panic!("no report")
        };
        assert_eq!((attempt.delivery, attempt.state), (id, DeliveryState::Failed));
        assert_eq!(attempt.error.as_deref(), Some("the channel was removed"));
    }
    assert!(world.job().is_none());
    let attempt = world.settle(job, trouble(500, None));
    assert_eq!(attempt.state, DeliveryState::Failed);
    assert_eq!(attempt.error.as_deref(), Some("no; given up: the channel was removed"));
    assert!(world.job().is_none());
    assert!(world.desk.lines.is_empty(), "a removed channel leaves nothing behind");
}

#[test]
fn a_dropped_delivery_that_never_comes_back_blocks_nothing() {
    let mut world = World::new(ops());
    let (full, dropped) = (CHANNEL_QUEUE_MAX as u64, CHANNEL_QUEUE_MAX as u64 + 1);
    for id in 1..=dropped {
        world.deliver(sample::delivery(id, "ops", &format!("inc_{id}")));
    }
    assert_eq!(world.desk.refill(world.now), None);
    for _ in 0..full / 2 {
        let job = world.next().unwrap();
        world.settle(job, TAKEN);
    }
    assert_eq!(world.desk.refill(world.now).as_deref(), Some("ops"));
    assert_eq!(world.desk.refill(world.now), None, "asked once");
    world.deliver(sample::delivery(dropped + 1, "ops", "inc_x"));
    while world.desk.refill(world.now).is_none() {
        let job = world.next().unwrap();
        assert_ne!(job.delivery.id, dropped + 1, "nothing overtakes what was dropped");
        world.settle(job, TAKEN);
        world.now = world.now.after(Micros::from_secs(1));
    }
    world.deliver(sample::delivery(dropped + 1, "ops", "inc_x"));
    let ids = std::iter::from_fn(|| {
        let job = world.next()?;
        let id = job.delivery.id;
        world.settle(job, TAKEN);
        Some(id)
    });
    assert_eq!(ids.last(), Some(dropped + 1));
}

/// A core with an outbox, and the two message channels between it and the desk, each with any delay.
struct Core {
    outbox: BTreeMap<u64, Box<Delivery>>,
    to_desk: VecDeque<Box<Delivery>>,
    to_core: VecDeque<Result<Attempt, ChannelId>>,
    created: u64,
    refills: u32,
}

impl Core {
    fn owe(&mut self, delivery: Box<Delivery>) {
        self.created += 1;
        self.outbox.insert(delivery.id, delivery.clone());
        self.to_desk.push_back(delivery);
    }

    fn read_report(&mut self) {
        match self.to_core.pop_front() {
            Some(Ok(attempt)) if attempt.state == DeliveryState::Delivered => {
                self.outbox.remove(&attempt.delivery).expect("delivered once");
            }
            Some(Err(_channel)) => {
                self.refills += 1;
                self.to_desk.extend(self.outbox.values().cloned());
            }
            Some(Ok(_)) | None => {}
        }
    }
}

#[test]
fn more_alerts_than_fit_all_arrive_once_and_in_order() {
    for seed in 0..3 {
        simulate(seed, CHANNEL_QUEUE_MAX as u64 * 4);
    }
}

fn simulate(seed: u64, total: u64) {
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut world = World::new(ops());
    let mut core = Core {
        outbox: BTreeMap::new(),
        to_desk: VecDeque::new(),
        to_core: VecDeque::new(),
        created: 0,
        refills: 0,
    };
    let mut under_way: Vec<Job> = Vec::new();
    let mut unsent: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    let failing = chance.f64() * 0.3;
    // Alerts come in bursts that no queue holds, and now and then while one is worked off.
    let mut burst = true;
    while core.created < total || !core.outbox.is_empty() {
        let owed = core.outbox.len();
        burst = if burst { owed < CHANNEL_QUEUE_MAX * 3 / 2 } else { owed < CHANNEL_QUEUE_MAX / 4 };
        match chance.u8(..16) {
            0..=3 if core.created < total && (burst || chance.u8(..6) == 0) => {
                let incident = format!("inc_{}", chance.u64(..total / 4));
                unsent.entry(incident.clone()).or_default().insert(core.created);
                core.owe(sample::delivery(core.created, "ops", &incident));
            }
            0..=8 => {
                if let Some(delivery) = core.to_desk.pop_front() {
                    world.deliver(delivery);
                }
            }
            9..=12 => core.read_report(),
            13 if !under_way.is_empty() => {
                let job = under_way.swap_remove(chance.usize(..under_way.len()));
                let answer = if chance.f64() < failing { trouble(503, None) } else { TAKEN };
                let (id, incident) =
                    (job.delivery.id, job.delivery.alert.event.incident().unwrap().id.clone());
                let attempt = world.settle(job, answer);
                if attempt.state == DeliveryState::Delivered {
                    let first = unsent.get_mut(&incident).unwrap().pop_first();
                    assert_eq!(first, Some(id), "seed {seed}: out of order within {incident}");
                }
                core.to_core.push_back(Ok(attempt));
            }
            _ => {
                under_way.extend(world.job());
                core.to_core.extend(world.desk.refill(world.now).map(Err));
                assert!(under_way.len() <= CHANNEL_IN_FLIGHT_MAX, "seed {seed}");
                let quiet = core.to_desk.is_empty() && core.to_core.is_empty() && under_way.is_empty();
                if quiet && let Some(wake_at) = world.desk.wake_at() {
                    world.now = world.now.max(wake_at);
                }
            }
        }
    }
    assert!(core.refills > 0, "seed {seed}: the queue was never full");
    assert!(world.next().is_none(), "seed {seed}: nothing is left to be sent");
}
