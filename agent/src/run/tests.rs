//! The agent with its real probe and spool, against sockets of this machine; without an aggregator.

mod canaries;
mod doubts;

use std::{collections::BTreeMap, net::SocketAddr};

use quorate_proto::{
    AggregatorKey, Assignment, BootEpoch, CheckKind, CheckResult, FailureKind, MonitorSpec, Outcome,
    SignedUnit, SigningKey, Slot, WallMicros,
    canary::{CanaryResult, IdleTimeoutResult},
    frame::{AckVerdict, Health},
    unit::Content,
};
use tokio::net::TcpListener;

use super::*;
use crate::{sign::Signer, spool::Parcels, state::Enrolment, uplink::Event};

fn assignment(id: &str, address: SocketAddr) -> Assignment {
    let second = Micros::from_secs(1);
    let spec = MonitorSpec {
        steps: Vec::new(),
        ..MonitorSpec::new(id.parse().unwrap(), format!("ws://{address}/"), second, second)
    };
    Assignment { spec, slot: Slot { index: 0, of: 1 } }
}

/// A server that upgrades whoever comes; gives its address, and a count of those who came.
async fn server() -> (SocketAddr, watch::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (count, counted) = watch::channel(0);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.send_modify(|count| *count += 1);
            tokio::spawn(async move {
                if let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await {
                    while let Some(Ok(_)) = futures_util::StreamExt::next(&mut socket).await {}
                }
            });
        }
    });
    (address, counted)
}

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

struct World {
    agent: Agent,
    parcels: Parcels,
    health: watch::Receiver<Health>,
    kept: watch::Receiver<Assigned>,
    results: Vec<CheckResult>,
    canaries: Vec<CanaryResult>,
    idle_timeouts: Vec<IdleTimeoutResult>,
    beat: tokio::time::Interval,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self::with_places(100)
    }

    /// A world with room for so many canaries.
    fn with_places(places: usize) -> Self {
        Self::with(places, Nameservers::default())
    }

    /// A world with these nameservers.
    fn resolving(nameservers: Nameservers) -> Self {
        Self::with(100, nameservers)
    }

    fn with(places: usize, nameservers: Nameservers) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = Arc::new(SigningKey::generate().unwrap());
        let aggregator = AggregatorKey([7; 32]);
        let (spool, parcels) = spool::open(spool::Options {
            folder: folder.path().to_owned(),
            bytes_max: limits::SPOOL_BYTES_MIN,
            key: Arc::clone(&key),
            aggregator,
        })
        .unwrap();
        let prober =
            probe::Options { egress: "private".parse().unwrap(), region: None, nameservers, proxy: None };
        let prober = Arc::new(Prober::new(prober).unwrap());
        let canaries = Canaries::new(Arc::clone(&prober), places);
        let (report, health) = watch::channel(Health::default());
        let (keep, kept) = watch::channel(Assigned::default());
        let signer = Signer::new(key, aggregator, BootEpoch(1));
        let looks = Looks::new(Arc::clone(&prober), None, clock::tick());
        let agent = Agent::new(signer, spool, &prober, canaries, looks, report, keep, Assigned::default());
        let (results, canaries, idle_timeouts) = (Vec::new(), Vec::new(), Vec::new());
        let mut beat = interval(limits::BEAT.into());
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { agent, parcels, health, kept, results, canaries, idle_timeouts, beat, _folder: folder }
    }

    /// Works until the results so far are enough.
    async fn until(&mut self, enough: impl Fn(&[CheckResult]) -> bool) {
        self.work_until(|results, _| enough(results)).await;
    }

    async fn work_until(&mut self, enough: impl Fn(&[CheckResult], &[CanaryResult]) -> bool) {
        self.work(|world| enough(&world.results, &world.canaries)).await;
    }

    async fn work(&mut self, enough: impl Fn(&Self) -> bool) {
        let work = async {
            while !enough(self) {
                let wait = self.agent.step().map_or(Duration::from_secs(1), Duration::from);
                tokio::select! {
                    finished = self.agent.checks.next() => self.agent.handle_finished(finished),
                    report = self.agent.canaries.next() => self.agent.handle_report(report),
                    found = self.agent.searches.next() => self.agent.handle_found(found),
                    _ = self.agent.looks.next() => self.agent.look_at_controls(),
                    _ = self.beat.tick() => self.agent.handle_beat(),
                    parcel = self.parcels.next() => {
                        self.parcels.settle(parcel.epoch, parcel.sequence, AckVerdict::Stored);
                        let unit = SignedUnit::parse(parcel.unit).unwrap();
                        let Content::Batch(batch) = unit.content().unwrap() else { panic!("a gap") };
                        self.results.extend(batch.results);
                        self.canaries.extend(batch.canaries);
                        self.idle_timeouts.extend(batch.idle_timeouts);
                    }
                    () = sleep(wait) => {}
                }
            }
        };
        timeout(Duration::from_secs(30), work).await.expect("the results came in time");
    }

    fn confirm(&mut self, id: &str, request: u64) {
        self.agent.handle_event(Event::Confirm { monitor: id.parse().unwrap(), request });
    }
}

fn confirming(results: &[CheckResult]) -> Vec<(u64, u8)> {
    let attempts = results.iter().filter_map(|result| match result.kind {
        CheckKind::Confirming { request, attempt } => Some((request, attempt)),
        CheckKind::Scheduled => None,
    });
    attempts.collect()
}

#[tokio::test]
async fn assigned_monitors_are_checked_in_turn_and_removed_ones_are_not() {
    let mut world = World::new();
    let (up, _) = server().await;
    let assignments = vec![assignment("up", up), assignment("down", nobody().await)];
    world.agent.handle_event(Event::Assigned { revision: 5, assignments: assignments.clone() });
    assert_eq!(world.health.borrow_and_update().revision, 5, "told at once");
    assert_eq!(
        *world.kept.borrow_and_update(),
        Assigned {
            revision: 5,
            assignments: {
                let mut sorted = assignments;
                sorted.sort_by(|one, other| one.spec.id.cmp(&other.spec.id));
                sorted
            }
        }
    );
    world.until(|results| results.len() >= 6).await;
    let mut by_monitor: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
    for result in &world.results {
        by_monitor.entry(result.monitor.as_str()).or_default().push(&result.outcome);
    }
    assert!(
        by_monitor["up"].len() >= 2 && by_monitor["up"].iter().all(|outcome| **outcome == Outcome::Passed)
    );
    assert!(by_monitor["down"].len() >= 2);
    for outcome in &by_monitor["down"] {
        assert!(
            matches!(outcome, Outcome::Failed(failure) if failure.kind == FailureKind::ConnectionRefused)
        );
    }

    let removed = vec!["down".parse().unwrap()];
    world.agent.handle_event(Event::Changed { revision: 6, changed: Vec::new(), removed });
    assert_eq!(world.health.borrow().monitors, 1);
    world.results.clear();
    world.until(|results| results.len() >= 2).await;
    assert!(world.results.iter().all(|result| result.monitor.as_str() == "up"));
}

#[tokio::test]
async fn a_failure_is_confirmed_by_two_attempts_and_requests_are_joined() {
    let mut world = World::new();
    let mut down = assignment("down", nobody().await);
    // No scheduled check comes in between.
    down.spec.interval = Micros::from_secs(3600);
    world.agent.handle_event(Event::Assigned { revision: 1, assignments: vec![down] });
    for request in [7, 8] {
        world.confirm("down", request);
    }
    world.confirm("unknown", 9);
    let started = clock::tick();
    world.until(|results| confirming(results).len() >= 2).await;
    assert!(clock::tick().since(started) >= limits::CONFIRM_PAUSE);
    assert_eq!(confirming(&world.results), [(7, 1), (7, 2)]);
    world.confirm("down", 10);
    world.until(|results| confirming(results).len() >= 3).await;
    assert_eq!(confirming(&world.results).last(), Some(&(10, 1)), "another one may begin");
}

#[tokio::test]
async fn a_passed_confirmation_is_not_repeated() {
    let mut world = World::new();
    let (up, _) = server().await;
    let mut up = assignment("up", up);
    up.spec.interval = Micros::from_secs(3600);
    world.agent.handle_event(Event::Assigned { revision: 1, assignments: vec![up] });
    for request in 1..=3 {
        world.confirm("up", request);
        let wanted: Vec<(u64, u8)> = (1..=request).map(|request| (request, 1)).collect();
        world.until(|results| confirming(results) == wanted).await;
    }
}

#[tokio::test]
async fn an_agent_without_its_aggregator_probes_what_it_was_last_assigned() {
    let (up, mut came) = server().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let mut state = State::open(&path).unwrap();
    let aggregator = AggregatorKey([7; 32]);
    let address = nobody().await.to_string();
    let (name, region) = ("one".parse().unwrap(), "eu-west".parse().unwrap());
    state.enrol(Enrolment { aggregator, address, name, region }).unwrap();
    let assigned = Assigned { revision: 3, assignments: vec![assignment("up", up)] };
    state.assignments_file().keep(&assigned).unwrap();
    let options = Options {
        state,
        egress: "private".parse().unwrap(),
        nameservers: Nameservers::default(),
        proxy: None,
        controls: None,
        spool_bytes_max: limits::SPOOL_BYTES_MIN,
    };
    let cancel = CancellationToken::new();
    let running = tokio::spawn(run(options, cancel.clone()));
    timeout(Duration::from_secs(30), came.wait_for(|count| *count >= 3)).await.unwrap().unwrap();
    cancel.cancel();
    running.await.unwrap().unwrap();

    // The next start finds the results.
    let state = State::open(&path).unwrap();
    let (spool, mut parcels) = spool::open(spool::Options {
        folder: state.spool_folder(),
        bytes_max: limits::SPOOL_BYTES_MIN,
        key: Arc::clone(state.key()),
        aggregator,
    })
    .unwrap();
    assert!(spool.standing().units > 0);
    let unit = SignedUnit::parse(parcels.next().await.unit).unwrap();
    let Content::Batch(batch) = unit.content().unwrap() else { panic!("a gap") };
    assert_eq!((batch.revision, batch.results[0].monitor.as_str()), (3, "up"));
    assert!(spool.close().await);
    assert!(state.next_epoch(WallMicros(0)).unwrap() > unit.place().epoch);
}

#[tokio::test]
async fn an_agent_that_never_joined_does_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        state: State::open(folder.path()).unwrap(),
        egress: Egress::Public,
        nameservers: Nameservers::default(),
        proxy: None,
        controls: None,
        spool_bytes_max: 0,
    };
    assert!(matches!(run(options, CancellationToken::new()).await, Err(RunError::NotEnrolled)));
}
