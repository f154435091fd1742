//! One monitor under the machine, with a clock of its own.

use quorate_proto::{Micros, MonitorId, Region};
use quorate_quorum::{
    Moment, Policy, Verdict,
    quality::{CanaryNews, Effect, Event, Kind, LatencySla, Memory, Quality, Terms, Trips},
};

pub(crate) const REGIONS: [&str; 5] = ["a", "b", "c", "d", "e"];
pub(crate) const DAY: u64 = 86_400;

#[expect(clippy::unwrap_used, reason = "a test")]
pub(crate) fn monitor() -> MonitorId {
    "shop".parse().unwrap()
}

#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]
pub(crate) fn region(index: usize) -> Region {
    REGIONS[index].parse().unwrap()
}

pub(crate) fn ms(span: u64) -> Micros {
    Micros::from_millis(span)
}

/// Five regions at 30 s, 100 ms for 95 of 100 over five minutes, three days for certificates, canaries.
pub(crate) fn terms() -> Terms {
    of_regions(5)
}

pub(crate) fn of_regions(count: usize) -> Terms {
    let regions = (0..count).map(region).collect();
    let policy = Policy::new(regions, Micros::from_secs(30), Micros::from_secs(10));
    Terms::new(&policy, Some(LatencySla::of(ms(100))), Micros::from_secs(3 * DAY), true)
}

pub(crate) fn with(change: impl FnOnce(&mut Terms)) -> Terms {
    let mut terms = terms();
    change(&mut terms);
    terms
}

pub(crate) struct Script {
    pub(crate) quality: Quality,
    pub(crate) now: Moment,
    pub(crate) effects: Vec<Effect>,
}

impl Script {
    /// Up, under these terms.
    pub(crate) fn new(terms: Terms) -> Self {
        let mut script =
            Self { quality: Quality::default(), now: Moment(1_795_371_120_000_000), effects: vec![] };
        script.tell(Event::Configure { monitor: monitor(), terms });
        script.decide(Verdict::Up);
        script
    }

    /// Another process, which knows what the last one remembered.
    pub(crate) fn restart(&mut self, terms: Terms, verdict: Verdict) {
        let memory = self.quality.memory(&monitor());
        *self = Self { now: self.now, ..Self::new(terms) };
        self.restore(memory);
        self.decide(verdict);
    }

    pub(crate) fn restore(&mut self, memory: Memory) {
        self.tell(Event::Restore { monitor: monitor(), memory });
    }

    pub(crate) fn tell(&mut self, event: Event) {
        let effects = self.quality.handle(event, self.now);
        self.effects.extend(effects);
    }

    pub(crate) fn decide(&mut self, verdict: Verdict) {
        self.tell(Event::Decided { monitor: monitor(), verdict });
    }

    pub(crate) fn check(&mut self, index: usize, trips: Trips) {
        let (monitor, region, ended) = (monitor(), region(index), self.now);
        self.tell(Event::Checked { monitor, region, ended, trips });
    }

    pub(crate) fn canary(&mut self, index: usize, news: CanaryNews) {
        self.tell(Event::Canary { monitor: monitor(), region: region(index), news });
    }

    pub(crate) fn certificate(&mut self, index: usize, left: Micros) {
        self.tell(Event::Certificate { monitor: monitor(), region: region(index), left });
    }

    /// Lets time pass, and keeps every deadline.
    pub(crate) fn pass(&mut self, span: Micros) {
        let end = self.now.after(span);
        while let Some(due) = self.quality.next_deadline().filter(|due| *due <= end) {
            assert!(due >= self.now, "a deadline in the past");
            self.now = due;
            self.tell(Event::Tick);
        }
        self.now = end;
    }

    /// Checks in every region, 30 s apart and staggered: `trip` says how long the one of a region takes.
    pub(crate) fn work(&mut self, seconds: u64, mut trip: impl FnMut(usize, u64) -> u64) {
        for round in 0..seconds / 30 {
            for index in 0..5 {
                let trip = trip(index, round);
                self.check(index, Trips::One(ms(trip)));
                self.pass(Micros::from_secs(6));
            }
        }
    }

    /// Every canary says each minute that it lives.
    pub(crate) fn live(&mut self, minutes: u64) {
        for _ in 0..minutes {
            (0..5).for_each(|index| self.canary(index, CanaryNews::Alive));
            self.pass(Micros::from_secs(60));
        }
    }

    /// What was told since the last time: `+latency`, `-latency`, and `~latency` for what is only not judged any more.
    pub(crate) fn told(&mut self) -> Vec<String> {
        let word = |effect: Effect| match effect {
            Effect::Began { reason, .. } => Some(format!("+{}", reason.kind())),
            Effect::Ended { kind, withdrawn: false, .. } => Some(format!("-{kind}")),
            Effect::Ended { kind, withdrawn: true, .. } => Some(format!("~{kind}")),
            Effect::Learned { .. } => None,
        };
        self.effects.drain(..).filter_map(word).collect()
    }

    pub(crate) fn degraded(&self) -> Vec<Kind> {
        self.quality.degraded(&monitor()).map(|(kind, _)| kind).collect()
    }
}
