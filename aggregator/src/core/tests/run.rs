//! The task: real channels, a real store, real time, and no sleep.

use std::{path::Path, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use quorate_proto::{
    Micros, Outcome,
    frame::{AckVerdict, AggregatorControl, Health, Hello, JoinReply, JoinRequest},
    verify::Authentic,
};
use quorate_quorum::Sensitivity;
use rusqlite::{Connection, TransactionBehavior};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::bench::{REGIONS, config};
use crate::{
    clock,
    config::{Config, Monitor},
    core::{ForeignKey, Options, run},
    model::{Admin, Delivery, Dispatch, Intake, Push, Roster, Snapshot, StorageState, fixture::monitor},
    store::{
        Store,
        fixture::{AGGREGATOR, Agent, check, refused},
        open,
    },
};

/// Far more than anything here takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);

struct Running {
    intake: mpsc::Sender<Intake>,
    dispatch: mpsc::Receiver<Dispatch>,
    roster: Arc<ArcSwap<Roster>>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    cancel: CancellationToken,
    task: JoinHandle<Result<(), ForeignKey>>,
}

fn start(folder: &Path, config: Config) -> Running {
    let (store, _, recovered) = Store::open(folder).unwrap();
    let (intake, taken) = mpsc::channel(16);
    let (dispatcher, dispatch) = mpsc::channel(1);
    let (roster, snapshot) = (Arc::<ArcSwap<Roster>>::default(), Arc::<ArcSwap<Snapshot>>::default());
    let cancel = CancellationToken::new();
    let address = "host:4433".to_owned();
    let options = Options { config: config.into(), key: AGGREGATOR, address, store, recovered };
    let running = run(options, taken, dispatcher, roster.clone(), snapshot.clone(), cancel.clone());
    Running { intake, dispatch, roster, snapshot, cancel, task: tokio::spawn(running) }
}

impl Running {
    async fn join(&self, agent: &Agent) {
        let (reply, answer) = oneshot::channel();
        let (name, region) = (agent.record.name.clone(), agent.record.region.clone());
        let admin = Admin::AddAgent { name, region, labels: Default::default(), reply };
        self.intake.send(Intake::Admin(admin)).await.unwrap();
        let string = timeout(PATIENCE, answer).await.unwrap().unwrap().unwrap();
        let (reply, answer) = oneshot::channel();
        let request = JoinRequest { token: string.token, secret: string.secret, software: String::new() };
        self.intake.send(Intake::Join { agent: agent.key(), request, reply }).await.unwrap();
        let answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
        assert!(matches!(answer, JoinReply::Enrolled { .. }));
        assert!(self.roster.load().agents.contains_key(&agent.key()), "the roster comes before the answer");
    }

    /// Connects, takes the assignments and reports that they are in force.
    async fn connect(&self, agent: &mut Agent) -> mpsc::Receiver<Push> {
        let (push, mut pushes) = mpsc::channel(8);
        let hello = Hello { software: String::new(), epoch: agent.epoch, revision: 0 };
        let remote = ([192, 0, 2, 1], 1).into();
        let connected = Intake::Connected { agent: agent.key(), connection: 1, hello, remote, push };
        self.intake.send(connected).await.unwrap();
        let first = timeout(PATIENCE, pushes.recv()).await.unwrap().unwrap();
        let Push::Send(AggregatorControl::Assign { revision, assignments, first: true, last: true }) = first
        else {
            panic!("{first:?}")
        };
        assert_eq!(assignments.len(), 1);
        agent.revision = revision;
        let health = Health { revision, ..Health::default() };
        let received = clock::now();
        self.intake
            .send(Intake::Health { agent: agent.key(), connection: 1, health, received })
            .await
            .unwrap();
        pushes
    }

    async fn send(&self, unit: Authentic) -> AckVerdict {
        let (ack, verdict) = oneshot::channel();
        let (held, received) = (Some(Micros::ZERO), clock::now());
        let unit = Box::new(unit);
        self.intake.send(Intake::Unit { unit, connection: 1, held, received, ack }).await.unwrap();
        timeout(PATIENCE, verdict).await.unwrap().unwrap()
    }

    async fn delivery(&mut self) -> Delivery {
        loop {
            match timeout(PATIENCE, self.dispatch.recv()).await.unwrap().unwrap() {
                Dispatch::Deliver(delivery) => return *delivery,
                Dispatch::Channels(_) => {}
            }
        }
    }

    async fn until(&self, what: impl Fn(&Snapshot) -> bool) {
        let wait = async {
            while !what(&self.snapshot.load()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, wait).await.unwrap();
    }

    async fn stop(self) {
        self.cancel.cancel();
        timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
    }
}

fn fast() -> Config {
    let shop = Monitor { sensitivity: Sensitivity::Fast, ..monitor("shop", &REGIONS) };
    config(vec![shop], &["x"])
}

async fn fleet(running: &Running) -> (Vec<Agent>, Vec<mpsc::Receiver<Push>>) {
    let (mut agents, mut pushes) = (Vec::new(), Vec::new());
    for region in REGIONS {
        let mut agent = Agent::new(&format!("{region}-agent"), region);
        running.join(&agent).await;
        pushes.push(running.connect(&mut agent).await);
        agents.push(agent);
    }
    (agents, pushes)
}

#[tokio::test]
async fn from_joining_to_a_page_that_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = start(folder.path(), fast());
    let (mut agents, _pushes) = fleet(&running).await;
    for agent in &mut agents {
        let unit = agent.batch(vec![check("shop", Outcome::Passed)]);
        assert_eq!(running.send(unit).await, AckVerdict::Stored);
    }
    running.until(|snapshot| snapshot.counts.units_stored == 5 && snapshot.agents.len() == 5).await;
    for agent in &mut agents {
        let unit = agent.batch(vec![refused("shop", "refused")]);
        assert_eq!(running.send(unit).await, AckVerdict::Stored);
    }
    let delivery = running.delivery().await;
    assert_eq!(delivery.alert.event.name(), "incident.opened");
    running.until(|snapshot| snapshot.incidents_open.len() == 1).await;
    running.stop().await;
    let mut running = start(folder.path(), fast());
    assert_eq!(running.delivery().await.alert, delivery.alert, "it is owed still");
    running.until(|snapshot| snapshot.incidents_open.len() == 1).await;
    running.stop().await;
}

#[tokio::test]
async fn with_the_database_locked_by_another_process_the_page_goes_out_and_units_are_stored_later() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = start(folder.path(), fast());
    let (mut agents, _pushes) = fleet(&running).await;
    let mut other = Connection::open(folder.path().join(open::FILE)).unwrap();
    let lock = other.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let mut units = Vec::new();
    for agent in &mut agents {
        units.push(agent.batch(vec![refused("shop", "refused")]));
        assert_eq!(running.send(units.last().unwrap().clone()).await, AckVerdict::Busy);
    }
    assert_eq!(running.delivery().await.alert.event.name(), "incident.opened");
    running.until(|snapshot| matches!(&snapshot.storage, StorageState::Failing(_))).await;
    drop(lock);
    for unit in units {
        let stored = async {
            while running.send(unit.clone()).await != AckVerdict::Stored {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, stored).await.unwrap();
    }
    running.stop().await;
    let (_, _, recovered) = Store::open(folder.path()).unwrap();
    assert_eq!(recovered.incidents_open.len(), 1);
    assert_eq!(recovered.deliveries_pending.len(), 1, "the page went out once");
}

#[tokio::test]
async fn what_has_come_before_the_end_is_committed() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), fast());
    let (mut agents, _pushes) = fleet(&running).await;
    let (ack, verdict) = oneshot::channel();
    let unit = Box::new(agents[0].batch(vec![check("shop", Outcome::Passed)]));
    let (held, received) = (Some(Micros::ZERO), clock::now());
    running.intake.send(Intake::Unit { unit, connection: 1, held, received, ack }).await.unwrap();
    running.stop().await;
    assert_eq!(verdict.await, Ok(AckVerdict::Stored));
}
