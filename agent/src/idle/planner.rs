//! Which idle times are tried, and what the connections say together. Pure.
//!
//! The first round is a ladder of idle times, side by side: each connection is silent for its own time, and is then asked
//! whether it still lives. A connection that sees its end while it is idle gives the figure itself; another one must agree,
//! because a restart of the server also ends idle connections. Connections start one after the other: what an idle timeout
//! ends has the same age, what a restart ends has the same hour.
//!
//! A NAT or a firewall that forgets a connection tells nobody. Then only the next word finds out, and the figure lies
//! between the longest time that was survived and the shortest that was not; further rounds divide what lies between.

use quorate_proto::{Failure, Micros, canary::IdleFinding};

use crate::limits;

/// What became of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Observation {
    /// How long it was to be idle.
    pub(super) idle: Micros,
    /// What was seen.
    pub(super) seen: Seen,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It was idle for that long, and answered.
    Survived,
    /// It ended while it was idle.
    Ended {
        /// How long it had been idle.
        age: Micros,
        /// When, since the start of the search.
        at: Micros,
        failure: Failure,
    },
    /// It was idle for that long, and was dead then.
    Dead(Failure),
    /// It could not be opened, or not be asked.
    Failed(Failure),
}

/// A search.
#[derive(Debug)]
pub(super) struct Planner {
    max: Micros,
    connections: usize,
    /// The longest idle time that was survived below every cut.
    survived: Micros,
    /// The shortest idle time after which a connection was dead.
    dead: Option<(Micros, Failure)>,
    /// Ends that were seen, in the present round.
    ends: Vec<(Micros, Micros, Failure)>,
    failed: Option<Failure>,
    /// What two ends agreed on.
    cut: Option<(Micros, Failure)>,
    /// Rounds in which all ended at once.
    restarts: usize,
    /// Whether the longest time was survived.
    max_survived: bool,
    /// Rounds so far.
    rounds: usize,
}

impl Planner {
    pub(super) fn new(max: Micros) -> Self {
        Self {
            max,
            connections: 0,
            survived: Micros::ZERO,
            dead: None,
            ends: Vec::new(),
            failed: None,
            cut: None,
            restarts: 0,
            max_survived: false,
            rounds: 0,
        }
    }

    /// The idle times of the next round, the longest first; none where nothing is gained by another. `elapsed` is the time
    /// since the start of the search.
    pub(super) fn next_round(&mut self, elapsed: Micros) -> Option<Vec<Micros>> {
        let round = self.choose(elapsed)?;
        let room = limits::IDLE_CONNECTIONS_MAX.saturating_sub(self.connections);
        let round: Vec<_> = round.into_iter().take(room).collect();
        if round.is_empty() {
            return None;
        }
        self.rounds += 1;
        self.connections += round.len();
        Some(round)
    }

    /// Takes what became of a connection. Whether the rest of the round is of no use any more.
    pub(super) fn take(&mut self, observation: Observation) -> bool {
        let Observation { idle, seen } = observation;
        match seen {
            Seen::Survived => {
                self.max_survived |= idle >= self.max;
                if self.dead.as_ref().is_none_or(|(dead, _)| idle < *dead) {
                    self.survived = self.survived.max(idle);
                }
            }
            Seen::Dead(failure) => {
                if self.dead.as_ref().is_none_or(|(dead, _)| idle < *dead) {
                    self.dead = Some((idle, failure));
                }
            }
            Seen::Failed(failure) => self.failed = Some(failure),
            Seen::Ended { age, at, failure } => {
                let agrees = |(other_age, other_at, _): &&(Micros, Micros, Failure)| {
                    age.0.abs_diff(other_age.0) < at.0.abs_diff(other_at.0) / 2
                };
                if let Some((other, _, _)) = self.ends.iter().find(agrees) {
                    self.cut = Some((age.min(*other), failure.clone()));
                }
                self.ends.push((age, at, failure));
            }
        }
        self.cut.is_some()
    }

    /// What has been found so far: the longest idle time survived, and the shortest that was not.
    pub(super) fn bracket(&self) -> (Micros, Option<Micros>) {
        match (&self.cut, &self.dead) {
            (Some((age, _)), _) => (*age, Some(*age)),
            (None, Some((idle, _))) => (self.survived.min(*idle), Some(*idle)),
            (None, None) => (self.survived, None),
        }
    }

    /// Connections so far.
    pub(super) fn connections(&self) -> usize {
        self.connections
    }

    /// What was found.
    pub(super) fn finding(&self) -> IdleFinding {
        if let Some((age, failure)) = &self.cut {
            // It was seen to live until then.
            return IdleFinding::Cut { survived: *age, cut: *age, failure: failure.clone() };
        }
        if let Some((idle, failure)) = &self.dead {
            return IdleFinding::Cut {
                survived: self.survived.min(*idle),
                cut: *idle,
                failure: failure.clone(),
            };
        }
        let ended = self.ends.first().map(|(_, _, failure)| failure);
        match ended.or(self.failed.as_ref()) {
            _ if self.max_survived => IdleFinding::NotWithin(self.max),
            Some(failure) => IdleFinding::Failed(failure.clone()),
            None => IdleFinding::NotWithin(self.survived),
        }
    }

    fn choose(&mut self, elapsed: Micros) -> Option<Vec<Micros>> {
        if self.rounds == 0 {
            return Some(ladder(self.max));
        }
        if self.cut.is_some() {
            return None;
        }
        let budget = self.max * limits::IDLE_SEARCH_ROUNDS;
        let affordable = |idle: Micros| elapsed + idle <= budget;
        let ends = std::mem::take(&mut self.ends);
        if let Some((age, _, failure)) = ends.first() {
            let again = if ends.len() > 1 { self.max } else { (*age * 5 / 4).min(self.max) };
            if self.restarts > 0 || !affordable(again) {
                self.ends = ends;
                return None;
            }
            self.restarts += 1;
            if ends.len() > 1 {
                // All at once: a restart, or the agent's own network.
                self.failed = Some(failure.clone());
                return Some(ladder(self.max));
            }
            self.ends = ends;
            return Some(vec![again, again]);
        }
        let (dead, _) = self.dead.as_ref()?;
        let open = dead.saturating_sub(self.survived);
        let fine = (*dead * limits::IDLE_PRECISION / 100).max(limits::IDLE_RUNG_MIN);
        if open <= fine || !affordable(*dead) {
            return None;
        }
        let parts = limits::IDLE_REFINING as u64 + 1;
        Some((1..parts).rev().map(|part| self.survived + open * part / parts).collect())
    }
}

/// The idle times of the first round, the longest first.
fn ladder(max: Micros) -> Vec<Micros> {
    let next = |idle: &Micros| Some(*idle * limits::IDLE_RUNG_RATIO / 100);
    let rungs = std::iter::successors(Some(max), next).take(limits::IDLE_RUNGS);
    rungs.take_while(|idle| *idle >= limits::IDLE_RUNG_MIN.min(max)).collect()
}
