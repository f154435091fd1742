//! How the agent fares, as it tells the aggregator: an agent that is late itself must not say that a server is.

use quorate_proto::{DoubtReport, Micros, frame::Health, limits::HEALTH_INTERVAL};

use crate::{clock::Tick, limits, spool::Standing};

/// Measures this agent. The largest delays are those of the last one to two report intervals, so that a report that is
/// overtaken by a newer one takes nothing with it.
#[derive(Debug)]
pub struct Vitals {
    event_loop: Largest,
    schedule: Largest,
    checks: u64,
    last_beat: Tick,
    last_turn: Tick,
}

/// The largest of a while, in two halves.
#[derive(Debug, Default)]
struct Largest {
    current: Micros,
    former: Micros,
}

/// What is told beside the measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The revision of the assignments in force.
    pub revision: u64,
    /// Monitors in the schedule.
    pub monitors: usize,
    /// Canaries that are open.
    pub canaries: usize,
    /// Monitors that want a canary and have none for lack of descriptors.
    pub canaries_without: usize,
    /// How full the spool is.
    pub spool: Standing,
}

impl Vitals {
    /// Begins to measure.
    pub fn new(now: Tick) -> Self {
        let (event_loop, schedule) = (Largest::default(), Largest::default());
        Self { event_loop, schedule, checks: 0, last_beat: now, last_turn: now }
    }

    /// To be called every [`limits::BEAT`] by the event loop: what comes later than that is its delay. The clock runs in
    /// suspend, so a machine that slept was late. True where a regular report is due.
    pub fn beat(&mut self, now: Tick) -> bool {
        self.event_loop.add(now.since(self.last_beat).saturating_sub(limits::BEAT));
        self.last_beat = now;
        let is_due = now.since(self.last_turn) >= HEALTH_INTERVAL.saturating_sub(limits::BEAT / 2);
        if is_due {
            self.last_turn = now;
        }
        is_due
    }

    /// A check has started, so late.
    pub fn started(&mut self, lag: Micros) {
        self.schedule.add(lag);
    }

    /// A check has ended.
    pub fn ended(&mut self) {
        self.checks += 1;
    }

    /// The report. A regular one ends the while that the delays are the largest of.
    pub fn report(&mut self, facts: Facts, doubts: Vec<DoubtReport>, regular: bool) -> Health {
        let Facts { revision, monitors, canaries, canaries_without, spool } = facts;
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let health = Health {
            revision,
            monitors: count(monitors),
            checks: self.checks,
            event_loop_lag_max: self.event_loop.value(),
            schedule_lag_max: self.schedule.value(),
            spool_units: spool.units,
            spool_bytes: spool.bytes,
            results_dropped: spool.counts.results_dropped,
            records_torn: spool.counts.records_torn,
            spool_failing: spool.counts.failing,
            canaries: count(canaries),
            canaries_without: count(canaries_without),
            doubts,
        };
        if regular {
            self.event_loop.turn();
            self.schedule.turn();
        }
        health
    }
}

impl Largest {
    fn add(&mut self, span: Micros) {
        self.current = self.current.max(span);
    }

    fn value(&self) -> Micros {
        self.current.max(self.former)
    }

    fn turn(&mut self) {
        self.former = std::mem::take(&mut self.current);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts = Facts {
        revision: 4,
        monitors: 2,
        canaries: 5,
        canaries_without: 6,
        spool: Standing {
            units: 1,
            bytes: 2,
            counts: crate::spool::Counts { results_dropped: 3, records_torn: 4, failing: true },
        },
    };

    #[test]
    fn delays_are_seen_by_every_report_of_their_while() {
        let mut vitals = Vitals::new(Tick::default());
        let mut now = Tick::default();
        let mut regular = 0;
        let mut seen = Vec::new();
        for beat in 0..150 {
            let late = if beat == 20 { Micros::from_millis(300) } else { Micros::ZERO };
            now = now.after(limits::BEAT + late);
            if vitals.beat(now) {
                regular += 1;
                seen.push(vitals.report(FACTS, Vec::new(), true).event_loop_lag_max.as_millis());
            } else if beat == 30 {
                assert_eq!(vitals.report(FACTS, Vec::new(), false).event_loop_lag_max.as_millis(), 300);
            }
        }
        assert_eq!((regular, seen), (3, vec![300, 300, 0]));
    }

    #[test]
    fn a_report_has_everything() {
        let mut vitals = Vitals::new(Tick::default());
        vitals.started(Micros(7));
        vitals.started(Micros(5));
        vitals.ended();
        let health = Health {
            revision: 4,
            monitors: 2,
            checks: 1,
            event_loop_lag_max: Micros::ZERO,
            schedule_lag_max: Micros(7),
            spool_units: 1,
            spool_bytes: 2,
            results_dropped: 3,
            records_torn: 4,
            spool_failing: true,
            canaries: 5,
            canaries_without: 6,
            doubts: Vec::new(),
        };
        assert_eq!(vitals.report(FACTS, Vec::new(), true), health);
    }
}
