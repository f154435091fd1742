//! A core on a bench: agents that sign, a store in a temporary folder, a disk that fails when told to.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use quorate_proto::{
    AgentKey, CheckKind, CheckResult, Micros, Outcome, Region, WallMicros,
    canary::{CanaryResult, IdleFinding, IdleTimeoutResult},
    frame::{AckVerdict, AggregatorControl, Health, Hello},
    verify::Authentic,
};
use quorate_quorum::Moment;
use tokio::sync::{mpsc, oneshot};

use crate::{
    config::{Channel, Config, Monitor, Page, Server},
    core::{
        effect::{Effect, HandOver, HandedOver, Input, Now},
        state::Core,
    },
    model::{
        Attempt, Delivery, DeliveryState, Dispatch, Intake, MonitorEvent, Push, Roster, Snapshot, fixture,
    },
    store::{
        Commit, CommitError, Dossier, Meant, Reader, Recovered, Store,
        fixture::{AGGREGATOR, Agent, check, refused},
    },
};

/// When the tests begin.
pub(super) const START: u64 = 1_795_371_120_000_000;

pub(super) const REGIONS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// What becomes of commits.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Disk {
    Good,
    Fails(CommitError),
    /// Commits are begun and do not end.
    Stuck,
}

pub(super) struct Bench {
    pub(super) core: Core,
    pub(super) now: Now,
    pub(super) disk: Disk,
    pub(super) stuck: VecDeque<Commit>,
    pub(super) agents: Vec<Probe>,
    pub(super) dispatched: Vec<Delivery>,
    pub(super) channels: Vec<Vec<Channel>>,
    pub(super) handed: Vec<HandOver>,
    pub(super) roster: Roster,
    pub(super) picture: Snapshot,
    pub(super) reader: Reader,
    pub(super) commits: usize,
    store: Option<Store>,
    folder: tempfile::TempDir,
}

/// An agent, and its end of the connection.
pub(super) struct Probe {
    pub(super) agent: Agent,
    pub(super) pushes: Option<mpsc::Receiver<Push>>,
    pub(super) connection: u64,
    /// Confirmations asked for and not made yet.
    asked: Vec<(quorate_proto::MonitorId, u64)>,
}

/// A configuration with these monitors and channels.
pub(super) fn config(monitors: Vec<Monitor>, channels: &[&str]) -> Config {
    Config {
        server: Server {
            data: "data".into(),
            http: ([127, 0, 0, 1], 0).into(),
            quic: ([127, 0, 0, 1], 0).into(),
            public_address: None,
        },
        page: Page { title: "Test".to_owned(), url: None },
        regions: REGIONS.iter().map(|region| region.parse().unwrap()).collect(),
        local_regions: vec![],
        controls: quorate_proto::Controls::default(),
        channels: channels.iter().map(|text| fixture::channel(text)).collect(),
        monitors,
        paging: quorate_quorum::PagingSettings::default(),
        maintenance: vec![],
    }
}

impl Bench {
    /// One monitor `shop` in five regions with an agent each, all enrolled, connected and assigned.
    pub(super) fn watching(channels: &[&str]) -> Self {
        let mut bench = Self::new(config(vec![fixture::monitor("shop", &REGIONS)], channels));
        for region in REGIONS {
            bench.enrol(region);
        }
        bench.connect_all();
        bench
    }

    pub(super) fn new(config: Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now = Now { moment: Moment(START), wall: WallMicros(i64::try_from(START).unwrap()) };
        let (store, reader, recovered) = Store::open(folder.path()).unwrap();
        let core = Core::start(Arc::new(config), AGGREGATOR, "host:4433".to_owned(), recovered, now).unwrap();
        let mut bench = Self {
            core,
            now,
            disk: Disk::Good,
            stuck: VecDeque::new(),
            agents: vec![],
            dispatched: vec![],
            channels: vec![],
            handed: vec![],
            roster: Roster::default(),
            picture: Snapshot::default(),
            reader,
            commits: 0,
            store: Some(store),
            folder,
        };
        bench.carry_out();
        bench
    }

    /// Kills the core with everything that is only in its memory, and starts another on what the disk has.
    pub(super) fn kill(&mut self, config: Config) {
        self.reopen();
        let recovered = self.recovered();
        self.dispatched.clear();
        self.channels.clear();
        self.stuck.clear();
        self.disk = Disk::Good;
        self.core =
            Core::start(Arc::new(config), AGGREGATOR, "host:4433".to_owned(), recovered, self.now).unwrap();
        self.carry_out();
    }

    /// What the disk has.
    pub(super) fn recovered(&mut self) -> Recovered {
        if let Some(store) = self.store.take() {
            store.close();
        }
        let (store, reader, recovered) = Store::open(self.folder.path()).unwrap();
        (self.store, self.reader) = (Some(store), reader);
        recovered
    }

    fn reopen(&mut self) {
        drop(self.recovered());
    }

    pub(super) fn tell(&mut self, intake: Intake) {
        self.apply(Input::Intake(Box::new(intake)));
    }

    pub(super) fn apply(&mut self, input: Input) {
        self.core.apply(input, self.now);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        let mut effects = VecDeque::from(std::mem::take(&mut self.core.effects));
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Commit(commit) => {
                    let outcome = match &self.disk {
                        Disk::Good => self.store.as_ref().unwrap().submit(commit).blocking_recv().unwrap(),
                        Disk::Fails(error) => Err(error.clone()),
                        Disk::Stuck => {
                            self.stuck.push_back(commit);
                            continue;
                        }
                    };
                    self.commits += 1;
                    self.core.apply(Input::Committed(outcome), self.now);
                }
                Effect::HandOver(parcel) => {
                    let HandOver { agent, connection, revision, .. } = parcel;
                    self.handed.push(parcel);
                    let ended = HandedOver { agent, connection, revision, whole: true };
                    self.core.apply(Input::HandedOver(ended), self.now);
                }
                Effect::Dispatch(Dispatch::Deliver(delivery)) => self.dispatched.push(*delivery),
                Effect::Dispatch(Dispatch::Channels(channels)) => self.channels.push(channels),
                Effect::Roster(roster) => self.roster = roster,
                Effect::Picture(picture) => self.picture = *picture,
                Effect::Push(push, message) => drop(push.try_send(message)),
                Effect::Ack(ack, verdict) => drop(ack.send(verdict)),
                Effect::Joined(reply, answer) => drop(reply.send(answer)),
                Effect::Added(reply, answer) => drop(reply.send(answer)),
                Effect::Revoked(reply, answer) => drop(reply.send(answer)),
                Effect::Maintained(reply, answer) => drop(reply.send(answer)),
            }
            effects.extend(std::mem::take(&mut self.core.effects));
        }
    }

    /// The commits that are stuck end.
    pub(super) fn unstick(&mut self) {
        self.disk = Disk::Good;
        while let Some(commit) = self.stuck.pop_front() {
            let outcome = self.store.as_ref().unwrap().submit(commit).blocking_recv().unwrap();
            self.apply(Input::Committed(outcome));
        }
    }

    /// Lets time pass, and keeps every deadline on the way.
    pub(super) fn pass(&mut self, span: Micros) {
        let end = self.now.moment.after(span);
        loop {
            let wake = self.core.wake_at().max(self.now.moment);
            if wake > end {
                break;
            }
            self.go_to(wake);
            self.apply(Input::Time);
        }
        self.go_to(end);
        self.apply(Input::Time);
    }

    /// Lets time pass without the core being called, as when its process is stopped.
    pub(super) fn stand_still(&mut self, span: Micros) {
        self.go_to(self.now.moment.after(span));
        self.apply(Input::Time);
    }

    /// Lets time pass for nobody: what is done next is done then.
    pub(super) fn go_to(&mut self, moment: Moment) {
        self.now.wall = self.now.wall.after(moment.since(self.now.moment));
        self.now.moment = moment;
    }

    /// Enrols an agent, past the joining dialogue.
    pub(super) fn enrol(&mut self, region: &str) -> usize {
        let number = u8::try_from(self.agents.len()).unwrap();
        let agent = Agent::known(&format!("{region}-{number}"), region, number);
        let record = agent.record.clone();
        let change = crate::store::Change::Agent(record.clone());
        let commit = Commit { units: vec![], changes: vec![change] };
        self.store.as_ref().unwrap().submit(commit).blocking_recv().unwrap().unwrap();
        self.core.enrolment.records.insert(record.key, record);
        self.agents.push(Probe { agent, pushes: None, connection: 0, asked: vec![] });
        self.agents.len() - 1
    }

    pub(super) fn connect(&mut self, index: usize, revision: u64) {
        let (push, pushes) = mpsc::channel(64);
        let probe = &mut self.agents[index];
        probe.connection += 1;
        probe.pushes = Some(pushes);
        let hello = Hello { software: "test".to_owned(), epoch: probe.agent.epoch, revision };
        let (agent, connection) = (probe.agent.key(), probe.connection);
        let remote = ([192, 0, 2, 1], 1).into();
        self.tell(Intake::Connected { agent, connection, hello, remote, push });
        self.pass(Micros::from_millis(50));
    }

    pub(super) fn connect_all(&mut self) {
        for index in 0..self.agents.len() {
            self.connect(index, 0);
        }
    }

    pub(super) fn health(&mut self, index: usize) {
        let revision = self.core.assignments.revision;
        let probe = &mut self.agents[index];
        probe.agent.revision = revision;
        let (agent, connection) = (probe.agent.key(), probe.connection);
        let health = Health { revision, ..Health::default() };
        let received = self.now.moment;
        self.tell(Intake::Health { agent, connection, health, received });
    }

    /// Sends a unit; gives where its acknowledgement comes.
    pub(super) fn send(
        &mut self,
        index: usize,
        unit: Authentic,
        held: Option<Micros>,
    ) -> oneshot::Receiver<AckVerdict> {
        let (ack, verdict) = oneshot::channel();
        let connection = self.agents[index].connection;
        let received = self.now.moment;
        self.tell(Intake::Unit { unit: Box::new(unit), connection, held, received, ack });
        verdict
    }

    /// Sends a batch that was made just now.
    pub(super) fn batch(&mut self, index: usize, results: Vec<CheckResult>) -> oneshot::Receiver<AckVerdict> {
        let unit = self.agents[index].agent.batch(results);
        self.send(index, unit, Some(Micros::ZERO))
    }

    /// Lets the fleet work for some seconds: health every 5 s, a check of `shop` every 10 s, confirmations within a
    /// second. `fails` says which agents see a failure. Units that are not acknowledged are sent again.
    pub(super) fn work(&mut self, seconds: u64, fails: &[usize]) {
        for second in 0..seconds {
            for index in 0..self.agents.len() {
                if self.agents[index].pushes.is_none() {
                    continue;
                }
                if (second + u64::try_from(index).unwrap()) % 5 == 0 {
                    self.health(index);
                }
                let mut kinds = self.asked(index);
                if second % 10 == u64::try_from(index * 2).unwrap() {
                    kinds.push(CheckKind::Scheduled);
                }
                for kind in kinds {
                    let result = match fails.contains(&index) {
                        true => refused("shop", "refused"),
                        false => check("shop", Outcome::Passed),
                    };
                    drop(self.batch(index, vec![CheckResult { kind, ..result }]));
                }
            }
            self.pass(Micros::from_secs(1));
        }
    }

    /// Lets the fleet work without scheduled checks: health every second, and confirmations within one.
    pub(super) fn answer(&mut self, seconds: u64, fails: &[usize]) {
        for _ in 0..seconds {
            for index in 0..self.agents.len() {
                self.health(index);
                for kind in self.asked(index) {
                    let result = match fails.contains(&index) {
                        true => refused("shop", "refused"),
                        false => check("shop", Outcome::Passed),
                    };
                    drop(self.batch(index, vec![CheckResult { kind, ..result }]));
                }
            }
            self.pass(Micros::from_secs(1));
        }
    }

    /// Sends what happened to canaries just now.
    pub(super) fn canaries(&mut self, index: usize, canaries: Vec<CanaryResult>) {
        let unit = self.agents[index].agent.said(vec![], canaries, vec![]);
        drop(self.send(index, unit, Some(Micros::ZERO)));
    }

    /// Sends what a search for an idle timeout found just now.
    pub(super) fn idle_timeout(&mut self, index: usize, finding: IdleFinding) {
        let monitor = "shop".parse().unwrap();
        let found = IdleTimeoutResult { monitor, at: WallMicros(0), age: Micros::ZERO, finding };
        let unit = self.agents[index].agent.said(vec![], vec![], vec![found]);
        drop(self.send(index, unit, Some(Micros::ZERO)));
        self.pass(Micros::from_millis(50));
    }

    /// Events that are no incident, oldest first.
    pub(super) fn events(&self) -> Vec<MonitorEvent> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let cursor = crate::store::Cursor { before: None, limit: 500 };
        let mut events = runtime.block_on(self.reader.events(None, &cursor)).unwrap().items;
        events.reverse();
        events
    }

    fn asked(&mut self, index: usize) -> Vec<CheckKind> {
        for push in self.pushes(index) {
            if let Push::Send(AggregatorControl::Confirm { monitor, request }) = push {
                self.agents[index].asked.push((monitor, request));
            }
        }
        let asked = std::mem::take(&mut self.agents[index].asked);
        asked.into_iter().map(|(_, request)| CheckKind::Confirming { request, attempt: 1 }).collect()
    }

    pub(super) fn pushes(&mut self, index: usize) -> Vec<Push> {
        let Some(pushes) = &mut self.agents[index].pushes else { return vec![] };
        std::iter::from_fn(|| pushes.try_recv().ok()).collect()
    }

    /// Gives each agent a provider, as the engine hears of it when it has joined.
    pub(super) fn provide(&mut self, providers: [&str; 5]) {
        for (index, provider) in providers.into_iter().enumerate() {
            let key = self.key(index);
            let record = self.core.enrolment.records.get_mut(&key).unwrap();
            record.labels.insert("provider".to_owned(), provider.to_owned());
            self.core.enrolled(&key, self.now);
        }
    }

    pub(super) fn key(&self, index: usize) -> AgentKey {
        self.agents[index].agent.key()
    }

    /// What was dispatched, as `channel event`, and forgets it.
    pub(super) fn heard(&mut self) -> Vec<String> {
        let words = |delivery: Delivery| format!("{} {}", delivery.channel, delivery.alert.event.name());
        self.dispatched.drain(..).map(words).collect()
    }

    /// Everything dispatched so far is delivered.
    pub(super) fn settle(&mut self, deliveries: &[Delivery]) {
        for delivery in deliveries {
            let attempt = Attempt {
                delivery: delivery.id,
                channel: delivery.channel.clone(),
                state: DeliveryState::Delivered,
                at: self.now.wall,
                took: Micros::from_millis(5),
                due_at: None,
                status: Some(200),
                error: None,
            };
            self.tell(Intake::Attempted(attempt));
        }
        self.pass(Micros::from_millis(50));
    }

    /// Rows of a monitor's history.
    pub(super) fn results(&self, monitor: &str) -> Vec<crate::store::ResultRow> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let cursor = crate::store::Cursor { before: None, limit: 500 };
        let monitor = monitor.parse().unwrap();
        runtime.block_on(self.reader.results(&monitor, None, &cursor)).unwrap().items
    }

    /// The latest incident, with all that is kept of how it was decided.
    pub(super) fn dossier(&self) -> Dossier {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let Meant::One(id) = self.reader.meant("last").await.unwrap() else { panic!("no incident") };
            self.reader.dossier(&id).await.unwrap().unwrap()
        })
    }

    pub(super) fn verdicts(&self) -> BTreeMap<String, Option<&'static str>> {
        let name = |view: &Arc<crate::model::MonitorView>| {
            (view.id.to_string(), view.verdict.map(quorate_quorum::Verdict::name))
        };
        self.picture.monitors.iter().map(name).collect()
    }

    pub(super) fn region(name: &str) -> Region {
        name.parse().unwrap()
    }
}

/// The verdict of an acknowledgement, where it has come.
pub(super) fn acked(verdict: &mut oneshot::Receiver<AckVerdict>) -> Option<AckVerdict> {
    verdict.try_recv().ok()
}
