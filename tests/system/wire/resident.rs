//! A real agent's uplink with a real spool; the test plays the rest of the agent.

use std::{net::SocketAddr, sync::Arc};

use quorate_agent::{
    clock,
    spool::{self, Spool},
    uplink::{self, Event, UplinkError},
};
use quorate_proto::{
    AggregatorKey, BatchBody, BootEpoch, CheckKind, CheckResult, Digest, Micros, Outcome, Sequence,
    SignedUnit, SigningKey, Timings, WallMicros,
    frame::Health,
    unit::{Content, Place},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::house::PATIENCE;

const EPOCH: BootEpoch = BootEpoch(7);

pub(super) struct Resident {
    pub(super) spool: Spool,
    pub(super) events: mpsc::Receiver<Event>,
    pub(super) health: watch::Sender<Health>,
    pub(super) cancel: CancellationToken,
    task: JoinHandle<Result<(), UplinkError>>,
    chain: Chain,
    _folder: tempfile::TempDir,
}

/// Makes units that follow one another.
pub(super) struct Chain {
    place: Place,
    key: Arc<SigningKey>,
}

impl Chain {
    pub(super) fn new(key: Arc<SigningKey>, aggregator: AggregatorKey) -> Self {
        let place = Place {
            aggregator,
            agent: key.agent_key(),
            epoch: EPOCH,
            sequence: Sequence(0),
            previous: Digest::NONE,
        };
        Self { place, key }
    }

    pub(super) fn next(&mut self) -> SignedUnit {
        let result = CheckResult {
            monitor: "chat".parse().unwrap(),
            kind: CheckKind::Scheduled,
            started_at: WallMicros(1_700_000_000_000_000),
            age: Micros::ZERO,
            outcome: Outcome::Passed,
            timings: Timings::default(),
            address: None,
            tls: None,
            addresses: Vec::new(),
        };
        let body = BatchBody {
            signed_at: WallMicros(1_700_000_000_000_000),
            revision: 1,
            results: vec![result],
            canaries: Vec::new(),
            idle_timeouts: Vec::new(),
        };
        let unit = SignedUnit::sign(&self.place, &Content::Batch(body), &self.key).unwrap();
        self.place.sequence = self.place.sequence.next();
        self.place.previous = unit.digest();
        unit
    }
}

impl Resident {
    pub(super) fn start(key: Arc<SigningKey>, aggregator: AggregatorKey, address: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (spool, parcels) = spool::open(spool::Options {
            folder: folder.path().to_owned(),
            bytes_max: 64 * 1024 * 1024,
            key: Arc::clone(&key),
            aggregator,
        })
        .unwrap();
        let (health, reports) = watch::channel(Health::default());
        let (sender, events) = mpsc::channel(16);
        let cancel = CancellationToken::new();
        let options = uplink::Options {
            aggregator,
            address: address.to_string(),
            key: Arc::clone(&key),
            software: "resident 1".into(),
            epoch: EPOCH,
            revision: 0,
        };
        let task = tokio::spawn(uplink::run(options, parcels, reports, sender, cancel.clone()));
        let chain = Chain::new(key, aggregator);
        Self { spool, events, health, cancel, task, chain, _folder: folder }
    }

    /// Signs and spools a unit.
    pub(super) fn measure(&mut self) {
        let unit = self.chain.next();
        self.spool.push(&unit, 1, clock::tick());
    }

    pub(super) async fn event(&mut self) -> Event {
        tokio::time::timeout(PATIENCE, self.events.recv()).await.expect("the uplink says something").unwrap()
    }

    /// How the uplink ended by itself.
    pub(super) async fn end(&mut self) -> Result<(), UplinkError> {
        tokio::time::timeout(PATIENCE, &mut self.task).await.expect("the uplink ends").unwrap()
    }
}
