//! An aggregator's door with nobody behind it: what would reach the core reaches the test.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use quorate::{
    clock, ingest,
    model::{AgentRecord, Intake, Push, Roster},
};
use quorate_proto::{AgentKey, Micros, SigningKey, frame::AckVerdict};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Longer than anything takes that works.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct House {
    pub(super) address: SocketAddr,
    pub(super) key: Arc<SigningKey>,
    pub(super) roster: Arc<ArcSwap<Roster>>,
    pub(super) counts: Arc<ingest::Counts>,
    pub(super) intake: mpsc::Receiver<Intake>,
    /// Kept, because a core that lets go of one ends the connection.
    lines: Vec<mpsc::Sender<Push>>,
    cancel: CancellationToken,
    runtime: Option<tokio::runtime::Runtime>,
    served: Option<tokio::task::JoinHandle<Result<(), ingest::IngestError>>>,
}

impl House {
    pub(super) fn open() -> Self {
        Self::open_at(([127, 0, 0, 1], 0).into(), Arc::new(SigningKey::generate().unwrap()))
    }

    /// A house at an address where another one stood, perhaps.
    pub(super) fn open_at(address: SocketAddr, key: Arc<SigningKey>) -> Self {
        Self::with_room(address, key, 64)
    }

    pub(super) fn with_room(address: SocketAddr, key: Arc<SigningKey>, room: usize) -> Self {
        let listener = ingest::bind(address).unwrap();
        let (sender, intake) = mpsc::channel(room);
        let mut house = Self {
            address: listener.local_addr(),
            key: Arc::clone(&key),
            roster: Arc::default(),
            counts: Arc::default(),
            intake,
            lines: vec![],
            cancel: CancellationToken::new(),
            // Of its own, so that it can die without a word.
            runtime: Some(
                tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap(),
            ),
            served: None,
        };
        let options = ingest::Options {
            listener,
            key,
            roster: Arc::clone(&house.roster),
            intake: sender,
            counts: Arc::clone(&house.counts),
            cancel: house.cancel.clone(),
        };
        house.served = house.runtime.as_ref().map(|runtime| runtime.spawn(ingest::run(options)));
        house
    }

    pub(super) fn enrol(&self, agent: AgentKey, name: &str) {
        let record = AgentRecord {
            key: agent,
            name: name.parse().unwrap(),
            region: "eu-west".parse().unwrap(),
            labels: [].into(),
            enrolled_at: clock::wall(),
            revoked_at: None,
        };
        self.change(|roster| {
            roster.agents.insert(agent, record);
        });
    }

    pub(super) fn revoke(&self, agent: AgentKey) {
        self.change(|roster| {
            roster.agents.remove(&agent);
        });
    }

    pub(super) fn let_strangers_join(&self) {
        self.change(|roster| roster.joining_until = Some(clock::wall().after(Micros::from_secs(900))));
    }

    fn change(&self, change: impl FnOnce(&mut Roster)) {
        let mut roster = Roster::clone(&self.roster.load());
        change(&mut roster);
        self.roster.store(Arc::new(roster));
    }

    /// What the core is told next.
    pub(super) async fn next(&mut self) -> Intake {
        let told = tokio::time::timeout(PATIENCE, self.intake.recv()).await;
        let told = told.expect("the core is told something").unwrap();
        if let Intake::Connected { push, .. } = &told {
            self.lines.push(push.clone());
        }
        told
    }

    /// The way to the next agent that connects.
    pub(super) async fn connected(&mut self) -> mpsc::Sender<Push> {
        loop {
            if let Intake::Connected { push, .. } = self.next().await {
                return push;
            }
        }
    }

    /// The sequence number of the next unit, after giving it a verdict.
    pub(super) async fn unit(&mut self, verdict: impl FnOnce(u64) -> AckVerdict) -> u64 {
        loop {
            if let Intake::Unit { unit, ack, .. } = self.next().await {
                let sequence = unit.place().sequence.0;
                // The connection may be gone.
                let _ = ack.send(verdict(sequence));
                return sequence;
            }
        }
    }

    /// Whether a unit is among what the core was told so far.
    pub(super) fn has_unit(&mut self) -> bool {
        std::iter::from_fn(|| self.intake.try_recv().ok()).any(|told| matches!(told, Intake::Unit { .. }))
    }

    /// Ends as an aggregator that is asked to.
    pub(super) async fn close(mut self) {
        self.cancel.cancel();
        let served = self.served.take().unwrap();
        tokio::time::timeout(PATIENCE, served).await.expect("the door closes").unwrap().unwrap();
    }

    /// Ends as an aggregator that is killed.
    pub(super) async fn die(self) -> (SocketAddr, Arc<SigningKey>) {
        let (address, key) = (self.address, Arc::clone(&self.key));
        drop(self);
        let free = async {
            while std::net::UdpSocket::bind(address).is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, free).await.expect("the dead let go of the port");
        (address, key)
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Waits until something is so.
pub(super) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{what}"));
}
