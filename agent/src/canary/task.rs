//! The socket under a canary: one small task that opens a connection, holds it, and opens the next when it ended.

use std::{
    net::IpAddr,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use quorate_proto::{
    Failure, FailureKind, Micros, MonitorId, Phase,
    canary::{Canary, CanaryEvent, CanaryResult},
    outcome::SilentDrop,
};
use tokio::{
    sync::{Notify, Semaphore, mpsc},
    time::sleep,
};

use super::{
    attempts::Attempts,
    machine::{Ending, Machine, Output},
};
use crate::{
    clock::{self, Now, Tick, now, tick},
    probe::{
        Prepared, Prober,
        held::{Farewell, Held, NotOpened, Opened},
    },
};

/// What an agent tells a canary while it lives.
#[derive(Debug)]
pub struct Line {
    /// Tells one canary of a monitor from the next.
    number: u64,
    prepared: Mutex<Arc<Prepared>>,
    order: Mutex<Option<Order>>,
    ordered: Notify,
    /// Since when an answer is waited for, in microseconds; zero while none is.
    unanswered: AtomicU64,
}

/// What a canary is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// Ask the server at once whether it lives.
    Ask,
    /// Close, and end.
    Leave(Farewell),
}

/// Something that happened to a canary.
#[derive(Debug)]
pub struct Report {
    /// The number of its [`Line`].
    pub number: u64,
    /// What happened; its age is for the signer.
    pub result: CanaryResult,
    /// When.
    pub at: Tick,
}

/// What canaries share.
#[derive(Clone)]
pub struct Shared {
    /// Opens their connections.
    pub prober: Arc<Prober>,
    /// Attempts under way at once.
    pub openings: Arc<Semaphore>,
    /// Where what happens to them is told.
    pub reports: mpsc::Sender<Report>,
}

/// A canary at work. For most of its life its task waits for the next frame, and there may be thousands: whatever else it
/// does, it does in futures that are on the heap for as long as they last.
struct Watch {
    shared: Shared,
    line: Arc<Line>,
    canary: Canary,
    monitor: MonitorId,
    attempts: Attempts,
}

/// A connection that is open.
struct Connection {
    held: Held,
    machine: Machine,
    address: Option<IpAddr>,
}

/// What an attempt to open one gave.
struct Attempt {
    told: Option<Box<CanaryEvent>>,
    address: Option<IpAddr>,
    connection: Option<Box<Connection>>,
    at: Tick,
}

/// Why a connection is not held any longer.
enum Departure {
    /// The canary is to leave.
    Left(Farewell),
    /// The connection ended, or is given up.
    Ended(Box<Failure>),
}

impl Line {
    /// For a canary on this monitor. The number tells one of its canaries from the next.
    pub fn new(number: u64, prepared: Arc<Prepared>) -> Self {
        Self {
            number,
            prepared: Mutex::new(prepared),
            order: Mutex::new(None),
            ordered: Notify::new(),
            unanswered: AtomicU64::new(0),
        }
    }

    /// Gives it what is prepared for a specification that does not concern the open connection.
    pub fn update(&self, prepared: Arc<Prepared>) {
        *self.prepared.lock().unwrap_or_else(PoisonError::into_inner) = prepared;
    }

    /// Has it close, and end.
    pub fn leave(&self, farewell: Farewell) {
        *self.order.lock().unwrap_or_else(PoisonError::into_inner) = Some(Order::Leave(farewell));
        self.ordered.notify_one();
    }

    /// Has it ask its server at once whether it lives, because somebody doubts that.
    pub fn ask(&self) {
        self.order.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(Order::Ask);
        self.ordered.notify_one();
    }

    /// For how long an answer has been waited for, with nothing else coming in its place; none where none is.
    pub fn unanswered_for(&self, now: Tick) -> Option<Micros> {
        match self.unanswered.load(Ordering::Relaxed) {
            0 => None,
            since => Some(now.since(Tick(Micros(since)))),
        }
    }

    /// What the next connection is opened for.
    pub fn prepared(&self) -> Arc<Prepared> {
        Arc::clone(&self.prepared.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for the next order. May be dropped at any time, and none is lost.
    async fn next(&self) -> Order {
        loop {
            if let Some(order) = self.take() {
                return order;
            }
            self.ordered.notified().await;
        }
    }

    /// That it is to leave stays so; anything else is done once.
    fn take(&self) -> Option<Order> {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        match *order {
            leave @ Some(Order::Leave(_)) => leave,
            Some(Order::Ask) | None => order.take(),
        }
    }

    /// Waits until it is to leave.
    async fn left(&self) -> Farewell {
        loop {
            if let Order::Leave(farewell) = self.next().await {
                return farewell;
            }
        }
    }

    fn note(&self, unanswered: Option<Tick>) {
        self.unanswered.store(unanswered.map_or(0, |since| since.0.0.max(1)), Ordering::Relaxed);
    }
}

/// Holds a connection to a monitor's server, one after the other, until it is told to leave.
pub async fn hold(shared: Shared, line: Arc<Line>, canary: Canary) {
    let monitor = line.prepared().spec().id.clone();
    let attempts = Attempts::new(tick(), chance());
    let mut watch = Watch { shared, line, canary, monitor, attempts };
    while let Some(mut connection) = watch.open().await {
        let departure = watch.stay(&mut connection).await;
        if !Box::pin(watch.part(connection, departure)).await {
            break;
        }
    }
}

impl Watch {
    /// Tries until a connection is open. None where it is to leave.
    async fn open(&mut self) -> Option<Box<Connection>> {
        let line = Arc::clone(&self.line);
        let mut left = pin!(line.left());
        loop {
            let pause = self.attempts.next().since(tick());
            tokio::select! {
                _ = &mut left => return None,
                () = sleep(pause.into()) => {}
            }
            let _opening = tokio::select! {
                _ = &mut left => return None,
                opening = Arc::clone(&self.shared.openings).acquire_owned() => opening,
            };
            let Attempt { told, address, connection, at } = tokio::select! {
                _ = &mut left => return None,
                attempt = Box::pin(self.attempt()) => attempt,
            };
            if let Some(event) = told {
                Box::pin(self.tell(*event, address, at)).await;
            }
            if connection.is_some() {
                return connection;
            }
        }
    }

    /// Tries once.
    async fn attempt(&mut self) -> Attempt {
        let prepared = self.line.prepared();
        let opened = self.shared.prober.hold(&prepared).await;
        let at = tick();
        match opened {
            Ok(Opened { held, conversation, address, tls, took }) => {
                let told = Some(Box::new(self.attempts.opened(took, tls, at)));
                let machine = Machine::new(self.canary, conversation, chance(), at);
                Attempt {
                    told,
                    address,
                    connection: Some(Box::new(Connection { held, machine, address })),
                    at,
                }
            }
            Err(NotOpened { failure, address }) => {
                let told = self.attempts.failed(failure, at, chance()).map(Box::new);
                Attempt { told, address, connection: None, at }
            }
        }
    }

    /// Stays on an open connection until its end.
    async fn stay(&self, connection: &mut Connection) -> Departure {
        let mut until = connection.machine.deadline();
        let mut timer = pin!(sleep(until.since(tick()).into()));
        loop {
            let is_time = tokio::select! {
                biased;
                order = self.line.next() => match order {
                    Order::Leave(farewell) => return Departure::Left(farewell),
                    Order::Ask => {
                        connection.machine.hurry();
                        true
                    }
                },
                received = connection.held.receive() => match received {
                    Ok(frame) => {
                        connection.machine.take(&frame, now());
                        false
                    }
                    Err(failure) => return Departure::Ended(Box::new(failure)),
                },
                () = &mut timer => true,
            };
            let now = now();
            loop {
                match connection.act(now) {
                    Ok(None) => break,
                    Ok(Some(event)) => Box::pin(self.tell(*event, connection.address, now.tick)).await,
                    Err(failure) => return Departure::Ended(failure),
                }
            }
            self.line.note(connection.machine.unanswered_since());
            // With every frame the deadline moves away; the timer is set anew when its time has come.
            if is_time || connection.machine.deadline() < until {
                until = connection.machine.deadline();
                timer.set(sleep(until.since(tick()).into()));
            }
        }
    }

    /// Tells of the end, and closes what is still open. Whether another connection is to be opened.
    async fn part(&mut self, connection: Box<Connection>, departure: Departure) -> bool {
        let Connection { held, machine, address } = *connection;
        self.line.note(None);
        let now = tick();
        match departure {
            Departure::Left(farewell) => {
                self.tell(machine.left(now), address, now).await;
                held.leave(farewell).await;
                false
            }
            Departure::Ended(failure) => {
                self.attempts.ended(machine.open_for(now), now, chance());
                self.tell(machine.ended(*failure, now), address, now).await;
                held.part();
                true
            }
        }
    }

    async fn tell(&self, event: CanaryEvent, address: Option<IpAddr>, at: Tick) {
        let result = CanaryResult {
            monitor: self.monitor.clone(),
            at: clock::wall().before(tick().since(at)),
            age: Micros::ZERO,
            address,
            event,
        };
        // The agent ends together with its canaries.
        let _ = self.shared.reports.send(Report { number: self.line.number, result, at }).await;
    }
}

impl Connection {
    /// Sends what is due. Gives what is due to be told, one thing after the other, until there is nothing more.
    ///
    /// # Errors
    /// Why the connection is over.
    fn act(&mut self, now: Now) -> Result<Option<Box<CanaryEvent>>, Box<Failure>> {
        while let Some(output) = self.machine.due(now) {
            match output {
                Output::Send(outgoing) => self.held.send(outgoing)?,
                Output::Tell(event) => return Ok(Some(Box::new(event))),
                Output::End(Ending::Failed(failure)) => return Err(Box::new(failure)),
                Output::End(Ending::Unanswered(span)) => {
                    let at = self.held.silent_drop();
                    let detail = format!("nothing came for {span} after a heartbeat; {}", explain(at));
                    return Err(Box::new(Failure::new(FailureKind::SilentDrop(at), Phase::Exchange, detail)));
                }
            }
        }
        Ok(None)
    }
}

fn explain(at: SilentDrop) -> &'static str {
    match at {
        SilentDrop::Stuck => "it was acknowledged by the other side's kernel, and nobody answered",
        SilentDrop::PathDead => "it was not even acknowledged",
        SilentDrop::Unknown => "the system does not tell whether it was acknowledged",
    }
}

fn chance() -> u64 {
    fastrand::u64(..)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// There may be thousands, and most of the time all of them wait.
    #[test]
    fn a_canary_that_waits_is_small() {
        fn size_of_future<A, B, C, F>(_: impl Fn(A, B, C) -> F) -> usize {
            size_of::<F>()
        }
        let size = size_of_future(hold) + size_of::<Connection>();
        assert!(size <= 1_152, "{size} bytes");
    }
}
