//! One agent, one disk, and everything that can go wrong between them, in an order that a seed gives. Compared with the
//! simplest model there is: what was acknowledged is on the disk, and in the end everything is there once.

use quorate_proto::{Micros, Outcome, frame::AckVerdict, verify::Authentic};
use tokio::sync::oneshot;

use super::bench::{Bench, Disk, REGIONS, acked, config};
use crate::{
    model::fixture::monitor,
    store::{CommitError, fixture::check},
};

struct Sent {
    unit: Authentic,
    ack: Option<oneshot::Receiver<AckVerdict>>,
}

struct Trial {
    bench: Bench,
    chance: fastrand::Rng,
    /// Made and not acknowledged, oldest first.
    kept: Vec<Sent>,
    made: usize,
    /// Whether the process may be killed; where it is not, everything is decided on exactly once.
    mortal: bool,
}

impl Trial {
    fn new(seed: u64) -> Self {
        let mut bench = Bench::new(config(vec![monitor("shop", &REGIONS)], &[]));
        bench.enrol("a");
        bench.connect(0, 0);
        Self {
            bench,
            chance: fastrand::Rng::with_seed(seed),
            kept: vec![],
            made: 0,
            mortal: seed.is_multiple_of(2),
        }
    }

    fn act(&mut self) {
        match self.chance.u8(0..100) {
            0..30 => {
                let unit = self.bench.agents[0].agent.batch(vec![check("shop", Outcome::Passed)]);
                self.kept.push(Sent { unit, ack: None });
                self.made += 1;
            }
            30..70 => self.send(),
            70..85 => self.bench.pass(Micros::from_millis(self.chance.u64(1..60))),
            85..90 => self.bench.pass(Micros::from_millis(self.chance.u64(500..4_000))),
            90..93 => self.bench.disk = Disk::Fails(CommitError::Full),
            93..95 => self.bench.disk = Disk::Stuck,
            95..99 => self.bench.unstick(),
            _ if self.mortal => self.kill(),
            _ => {}
        }
        self.hear();
    }

    /// Sends one of the oldest, as an agent does that has several on the way.
    fn send(&mut self) {
        if self.kept.is_empty() {
            return;
        }
        let index = self.chance.usize(0..self.kept.len().min(6));
        let unit = self.kept[index].unit.clone();
        self.kept[index].ack = Some(self.bench.send(0, unit, Some(Micros::ZERO)));
    }

    fn kill(&mut self) {
        self.bench.kill(config(vec![monitor("shop", &REGIONS)], &[]));
        let stored = self.bench.results("shop").len();
        assert!(stored >= self.made - self.kept.len(), "something acknowledged is gone");
        assert!(stored <= self.made, "something is there twice");
        self.bench.connect(0, 0);
    }

    fn hear(&mut self) {
        self.kept.retain_mut(|sent| {
            let verdict = sent.ack.as_mut().and_then(acked);
            assert_ne!(verdict, Some(AckVerdict::Refused));
            verdict != Some(AckVerdict::Stored)
        });
    }

    fn settle(&mut self) {
        self.bench.unstick();
        self.bench.pass(Micros::from_secs(30));
        for _ in 0..5 {
            for sent in &mut self.kept {
                sent.ack = Some(self.bench.send(0, sent.unit.clone(), Some(Micros::ZERO)));
            }
            self.bench.pass(Micros::from_secs(1));
            self.hear();
        }
    }
}

#[test]
fn whatever_happens_everything_is_stored_once_and_decided_on_once() {
    for seed in 0..16 {
        let mut trial = Trial::new(seed);
        for _ in 0..250 {
            trial.act();
        }
        trial.settle();
        assert_eq!(trial.kept.len(), 0, "seed {seed}: left over");
        assert_eq!(trial.bench.results("shop").len(), trial.made, "seed {seed}: stored");
        let decided = trial.bench.core.counts.checks.values().sum::<u64>();
        if !trial.mortal {
            assert_eq!(decided, u64::try_from(trial.made).unwrap(), "seed {seed}: decided on");
        }
    }
}
