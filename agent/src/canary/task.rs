//! The socket under a canary: one small task that opens a connection, holds it, and opens the next when it ended.

use std::{
    net::IpAddr,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
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
    clock::{self, Tick, now, tick},
    probe::{
        Prepared, Prober,
        held::{Farewell, Held, Opened},
    },
};

/// What an agent tells a canary while it lives.
#[derive(Debug)]
pub struct Line {
    /// Tells one canary of a monitor from the next.
    number: u64,
    prepared: Mutex<Arc<Prepared>>,
    farewell: Mutex<Option<Farewell>>,
    leave: Notify,
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

/// A canary at work.
struct Watch {
    shared: Shared,
    line: Arc<Line>,
    canary: Canary,
    monitor: MonitorId,
    attempts: Attempts,
}

impl Line {
    /// For a canary on this monitor. The number tells one of its canaries from the next.
    pub fn new(number: u64, prepared: Arc<Prepared>) -> Self {
        Self { number, prepared: Mutex::new(prepared), farewell: Mutex::new(None), leave: Notify::new() }
    }

    /// Gives it what is prepared for a specification that does not concern the open connection.
    pub fn update(&self, prepared: Arc<Prepared>) {
        *self.prepared.lock().unwrap_or_else(PoisonError::into_inner) = prepared;
    }

    /// Has it close, and end.
    pub fn leave(&self, farewell: Farewell) {
        *self.farewell.lock().unwrap_or_else(PoisonError::into_inner) = Some(farewell);
        self.leave.notify_one();
    }

    /// What the next connection is opened for.
    pub fn prepared(&self) -> Arc<Prepared> {
        Arc::clone(&self.prepared.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until it is to leave.
    async fn left(&self) -> Farewell {
        loop {
            if let Some(farewell) = *self.farewell.lock().unwrap_or_else(PoisonError::into_inner) {
                return farewell;
            }
            self.leave.notified().await;
        }
    }
}

/// Holds a connection to a monitor's server, one after the other, until it is told to leave.
pub async fn hold(shared: Shared, line: Arc<Line>, canary: Canary) {
    let monitor = line.prepared().spec().id.clone();
    let attempts = Attempts::new(tick(), chance());
    let mut watch = Watch { shared, line, canary, monitor, attempts };
    while let Some((held, machine, address)) = watch.open().await {
        if !watch.stay(held, machine, address).await {
            break;
        }
    }
}

impl Watch {
    /// Tries until a connection is open. None where it is to leave.
    async fn open(&mut self) -> Option<(Held, Machine, Option<IpAddr>)> {
        let line = Arc::clone(&self.line);
        let mut left = pin!(line.left());
        loop {
            let pause = self.attempts.next().since(tick());
            tokio::select! {
                _ = &mut left => return None,
                () = sleep(pause.into()) => {}
            }
            let openings = Arc::clone(&self.shared.openings);
            let _opening = tokio::select! {
                _ = &mut left => return None,
                opening = openings.acquire() => opening,
            };
            // On the heap, and gone with it: it is many times what holding takes.
            let prepared = self.line.prepared();
            let opening = Box::pin(self.shared.prober.hold(&prepared));
            let opened = tokio::select! {
                _ = &mut left => return None,
                opened = opening => opened,
            };
            let now = tick();
            let (told, address, open) = match opened {
                Ok(Opened { held, conversation, address, tls, took }) => {
                    let machine = Machine::new(self.canary, conversation, chance(), now);
                    (Some(self.attempts.opened(took, tls, now)), address, Some((held, machine)))
                }
                Err(not_opened) => {
                    let told = self.attempts.failed(not_opened.failure, now, chance());
                    (told, not_opened.address, None)
                }
            };
            if let Some(event) = told {
                self.tell(event, address, now).await;
            }
            if let Some((held, machine)) = open {
                return Some((held, machine, address));
            }
        }
    }

    /// Stays on an open connection until its end. Whether another one is to be opened.
    async fn stay(&mut self, mut held: Held, mut machine: Machine, address: Option<IpAddr>) -> bool {
        let line = Arc::clone(&self.line);
        let mut left = pin!(line.left());
        let mut until = machine.deadline();
        let mut timer = pin!(sleep(until.since(tick()).into()));
        let failure = loop {
            let is_time = tokio::select! {
                biased;
                farewell = &mut left => {
                    let now = tick();
                    self.tell(machine.left(now), address, now).await;
                    held.leave(farewell).await;
                    return false;
                }
                received = held.receive() => match received {
                    Ok(frame) => {
                        machine.take(&frame, now());
                        false
                    }
                    Err(failure) => break failure,
                },
                () = &mut timer => true,
            };
            match self.act(&mut machine, &mut held, address).await {
                Ok(()) => {}
                Err(failure) => break failure,
            }
            // With every frame the deadline moves away; the timer is set anew when its time has come.
            if is_time || machine.deadline() < until {
                until = machine.deadline();
                timer.set(sleep(until.since(tick()).into()));
            }
        };
        let now = tick();
        self.attempts.ended(machine.open_for(now), now, chance());
        self.tell(machine.ended(failure, now), address, now).await;
        held.part();
        true
    }

    /// Does what is due.
    async fn act(
        &self,
        machine: &mut Machine,
        held: &mut Held,
        address: Option<IpAddr>,
    ) -> Result<(), Failure> {
        let now = now();
        while let Some(output) = machine.due(now) {
            match output {
                Output::Send(outgoing) => held.send(outgoing).map_err(|failure| *failure)?,
                Output::Tell(event) => self.tell(event, address, now.tick).await,
                Output::End(Ending::Failed(failure)) => return Err(failure),
                Output::End(Ending::Unanswered(span)) => {
                    let at = held.silent_drop();
                    let detail = format!("nothing came for {span} after a heartbeat; {}", explain(at));
                    return Err(Failure::new(FailureKind::SilentDrop(at), Phase::Exchange, detail));
                }
            }
        }
        Ok(())
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
