//! One agent, a process of its own, with one monitor, and the aggregator's door that its signed results come through.

use std::{path::Path, process::Command, sync::Arc, time::Duration};

use quorate::model::{Intake, Push};
use quorate_agent::state::{Enrolment, State};
use quorate_proto::{
    Admission, Assignment, Chains, CheckResult, FailureKind, MonitorSpec, SigningKey, Slot,
    canary::{CanaryEvent, CanaryResult},
    frame::{AckVerdict, AggregatorControl},
    unit::Content,
    verify,
};
use quorate_tests::{
    clock::Stopwatch,
    network::Namespace,
    process::{Process, binary},
};
use tokio::{sync::mpsc, time::timeout};

use super::house::House;

pub(super) struct Watch {
    house: House,
    push: mpsc::Sender<Push>,
    chains: Chains,
    told: Vec<CanaryResult>,
    checked: Vec<CheckResult>,
    requests: u64,
    spec: MonitorSpec,
    _agent: Process,
    _folder: tempfile::TempDir,
}

impl Watch {
    /// Starts an agent, in a namespace where one is given, and assigns it the monitor.
    pub(super) async fn start(spec: MonitorSpec, namespace: Option<&Namespace>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut house = House::open_at(([0, 0, 0, 0], 0).into(), Arc::new(SigningKey::generate().unwrap()));
        let host = namespace.map_or("127.0.0.1", Namespace::host);
        let path = folder.path().join("state");
        enrol(&path, &house, format!("{host}:{}", house.address.port()));
        let program = binary("quorate-agent").unwrap();
        let mut command = namespace.map_or_else(|| Command::new(&program), |space| space.command(&program));
        command.args(["run", "--egress", "private", "--state"]).arg(&path);
        let agent = Process::start("agent", folder.path(), &mut command).unwrap();
        let push = house.connected().await;
        let (chains, told, checked) = (Chains::default(), Vec::new(), Vec::new());
        let watch =
            Self { house, push, chains, told, checked, requests: 0, spec, _agent: agent, _folder: folder };
        let slot = Slot { index: 0, of: 1 };
        let assignments = vec![Assignment { spec: watch.spec.clone(), slot }];
        let assign = AggregatorControl::Assign { revision: 1, assignments, first: true, last: true };
        watch.push.send(Push::Send(assign)).await.unwrap();
        watch
    }

    /// Waits until the canary is open.
    pub(super) async fn opened(&mut self) -> CanaryEvent {
        loop {
            match self.next().await.event {
                opened @ CanaryEvent::Opened { .. } => return opened,
                CanaryEvent::NotOpened { .. } | CanaryEvent::Alive { .. } => {}
                other @ (CanaryEvent::Ended { .. } | CanaryEvent::Left { .. }) => panic!("{other:?}"),
            }
        }
    }

    /// Waits for its end, which is to be of a kind and to be known within so many seconds of the fault.
    pub(super) async fn ends(
        &mut self,
        what: &str,
        fault: &Stopwatch,
        within: f64,
        is_kind: impl Fn(&FailureKind) -> bool,
    ) -> CanaryEvent {
        let event = self.next().await.event;
        let seconds = fault.seconds();
        let CanaryEvent::Ended { failure, heartbeats, .. } = &event else { panic!("{what}: {event:?}") };
        println!(
            "MEASURED {what}: fault to signed result {seconds:.2} s: {} ({}), {heartbeats} heartbeats before",
            failure.kind, failure.detail
        );
        assert!(is_kind(&failure.kind), "{what}: {failure:?}");
        assert!(seconds < within, "{what}: {seconds} s");
        event
    }

    /// Holds that nothing happens to it for so many seconds.
    pub(super) async fn lives_for(&mut self, seconds: f64) {
        let told = timeout(Duration::from_secs_f64(seconds), self.next()).await;
        assert!(told.is_err(), "{told:?}");
    }

    /// Asks for checks until one is as wanted.
    pub(super) async fn confirmed(&mut self, is_wanted: impl Fn(&CheckResult) -> bool) -> CheckResult {
        loop {
            self.requests += 1;
            let (monitor, request) = (self.spec.id.clone(), self.requests);
            let confirm = AggregatorControl::Confirm { monitor, request };
            self.push.send(Push::Send(confirm)).await.unwrap();
            self.checked.clear();
            while self.checked.is_empty() {
                self.unit().await;
            }
            if let Some(found) = self.checked.drain(..).find(&is_wanted) {
                return found;
            }
        }
    }

    async fn next(&mut self) -> CanaryResult {
        while self.told.is_empty() {
            self.unit().await;
        }
        self.told.remove(0)
    }

    /// Takes the next unit.
    async fn unit(&mut self) {
        let Intake::Unit { unit, ack, .. } = self.house.next().await else { return };
        let Ok(Admission::Next(unit)) = verify::admit(*unit, &self.chains, |id| *id == self.spec.id) else {
            panic!("not the next of the chain")
        };
        self.chains.advance(&unit);
        ack.send(AckVerdict::Stored).unwrap();
        if let Content::Batch(batch) = unit.into_inner().content {
            self.told.extend(batch.canaries);
            self.checked.extend(batch.results);
        }
    }
}

/// Makes an agent's state as joining leaves it.
fn enrol(path: &Path, house: &House, address: String) {
    let mut state = State::open(path).unwrap();
    house.enrol(state.key().agent_key(), "one");
    let (name, region) = ("one".parse().unwrap(), "eu-west".parse().unwrap());
    state.enrol(Enrolment { aggregator: house.key.aggregator_key(), address, name, region }).unwrap();
}
