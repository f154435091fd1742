//! What uptime is made of, as the core sees it: turns of verdicts, its own absences, and by which rule late results mend.
//!
//! Late results are counted where they are stored, in the same transaction. The engine never hears of them, so that they
//! change no verdict and page nobody (invariant 5).

use std::collections::BTreeMap;

use quorate_proto::{BatchBody, MonitorId, WallMicros, verify::Unit};
use quorate_quorum::{
    Verdict,
    uptime::{MendRule, Stretch},
};

use super::{effect::Now, state::Core};
use crate::{
    limits,
    store::{Change, EntryFacts},
};

impl Core {
    /// Writes down a turn of a monitor's verdict.
    pub(super) fn turn(&mut self, monitor: &MonitorId, verdict: Option<Verdict>, at: WallMicros, now: Now) {
        self.ledger.change(Change::Turn { monitor: monitor.clone(), at, verdict }, now.moment);
    }

    /// Tells the store from time to time that the aggregator runs, so that it is known after a crash until when it did.
    pub(super) fn pulse(&mut self, now: Now) {
        if now.moment.since(self.pulsed_at) >= limits::PULSE_PERIOD {
            self.pulsed_at = now.moment;
            self.ledger.change(Change::Pulse(now.wall), now.moment);
        }
    }

    /// The aggregator is about to end in good order: until here it ran.
    pub(super) fn farewell(&mut self, now: Now) {
        self.pulsed_at = now.moment;
        self.ledger.change(Change::Pulse(now.wall), now.moment);
        self.ledger.hurry();
    }

    /// Nobody was here to see anything since an earlier reading of the wall clock.
    pub(super) fn was_away(&mut self, since: WallMicros, now: Now) {
        if now.wall.since(since) >= limits::AWAY_MIN {
            self.ledger.change(Change::Away(Stretch { from: since, to: now.wall }), now.moment);
        }
    }

    /// By which rule late results of a batch mend what was unobserved: for monitors that are watched from the agent's region.
    pub(super) fn mending(
        &self,
        unit: &Unit,
        batch: &BatchBody,
        facts: &[EntryFacts],
    ) -> BTreeMap<MonitorId, MendRule> {
        let Some(region) = self.enrolment.region(&unit.place.agent) else { return BTreeMap::new() };
        let rule = |monitor: &MonitorId| {
            let watched = self.monitors.get(monitor)?;
            let is_of_region = watched.monitor.regions.contains(&region);
            is_of_region.then(|| (monitor.clone(), MendRule::of(&watched.policy)))
        };
        let late = batch.results.iter().zip(facts).filter(|(_, facts)| facts.late);
        late.filter_map(|(result, _)| rule(&result.monitor)).collect()
    }
}
