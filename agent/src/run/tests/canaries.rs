//! Canaries of the whole agent: what happens to them is signed and sent.

use futures_util::{SinkExt as _, StreamExt as _};
use quorate_proto::canary::{Canary, CanaryEvent, CanaryMode, IdleFinding, IdleSearch};
use tokio_tungstenite::tungstenite::{Message, protocol::CloseFrame};

use super::*;

fn watched(id: &str, address: SocketAddr) -> Assignment {
    let mut assignment = assignment(id, address);
    // No check comes in between.
    assignment.spec.interval = Micros::from_secs(3600);
    let span = Micros::from_millis(500);
    assignment.spec.canary = Some(Canary { heartbeat: span, grace: span * 20, mode: CanaryMode::Ping });
    assignment
}

/// A server that answers pings; every client gets to see what is sent to the channel, a close frame or (none) an end
/// without one.
async fn held_server() -> (SocketAddr, watch::Receiver<usize>, tokio::sync::broadcast::Sender<Option<u16>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (count, counted) = watch::channel(0);
    let (end, _) = tokio::sync::broadcast::channel::<Option<u16>>(8);
    let ends = end.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.send_modify(|count| *count += 1);
            let mut end = ends.subscribe();
            tokio::spawn(async move {
                let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
                loop {
                    tokio::select! {
                        Some(Ok(_)) = socket.next() => {}
                        Ok(Some(code)) = end.recv() => {
                            let frame = CloseFrame { code: code.into(), reason: "bye".into() };
                            let _ = socket.send(Message::Close(Some(frame))).await;
                        }
                        else => return,
                    }
                }
            });
        }
    });
    (address, counted, end)
}

fn names(canaries: &[CanaryResult]) -> Vec<&'static str> {
    canaries.iter().map(|result| result.event.name()).collect()
}

#[tokio::test]
async fn a_canary_is_opened_ends_and_is_opened_again() {
    let mut world = World::new();
    let (address, _, end) = held_server().await;
    world.agent.handle_event(Event::Assigned { revision: 3, assignments: vec![watched("held", address)] });
    world.work_until(|_, canaries| !canaries.is_empty()).await;
    end.send(Some(1012)).unwrap();
    world.work_until(|_, canaries| canaries.len() >= 3).await;
    assert_eq!(names(&world.canaries), ["opened", "ended", "opened"]);
    for result in &world.canaries {
        assert_eq!((result.monitor.as_str(), result.address), ("held", Some(address.ip())));
    }
    let CanaryEvent::Ended { failure, .. } = &world.canaries[1].event else { panic!() };
    assert_eq!(failure.kind, FailureKind::Closed { code: 1012, reason: "bye".into() });
    let CanaryEvent::Opened { after, failed_attempts, .. } = &world.canaries[2].event else { panic!() };
    assert_eq!((after.is_some(), *failed_attempts), (true, 0));
    assert!(world.agent.canaries.lives(&"held".parse().unwrap(), clock::tick()));
}

#[tokio::test]
async fn of_attempts_that_fail_the_first_is_told() {
    let mut world = World::new();
    let down = watched("down", nobody().await);
    let (address, _, _end) = held_server().await;
    world
        .agent
        .handle_event(Event::Assigned { revision: 3, assignments: vec![down, watched("up", address)] });
    let started = clock::tick();
    // Two attempts are over by then.
    world.work_until(|_, _| clock::tick().since(started) > Micros::from_millis(2_500)).await;
    let (mut down, mut up): (Vec<_>, Vec<_>) =
        world.canaries.drain(..).partition(|result| result.monitor.as_str() == "down");
    assert_eq!((names(&down), names(&up)), (vec!["not_opened"], vec!["opened"]));
    let failure = down.pop().unwrap().event.failure().cloned().unwrap();
    assert_eq!(failure.kind, FailureKind::ConnectionRefused);
    assert!(up.pop().unwrap().event.failure().is_none());
}

#[tokio::test]
async fn a_change_that_does_not_concern_a_connection_keeps_it() {
    let mut world = World::new();
    let (address, mut came, _end) = held_server().await;
    let first = watched("held", address);
    world.agent.handle_event(Event::Assigned { revision: 1, assignments: vec![first.clone()] });
    world.work_until(|_, canaries| !canaries.is_empty()).await;

    let mut rarer = first.clone();
    rarer.spec.interval = Micros::from_secs(1800);
    rarer.spec.steps = vec![quorate_proto::Step::send("only checks say this")];
    world.agent.handle_event(Event::Changed { revision: 2, changed: vec![rarer], removed: Vec::new() });
    let mut other = first;
    other.spec.url.push_str("other");
    world.agent.handle_event(Event::Changed { revision: 3, changed: vec![other], removed: Vec::new() });
    world.work_until(|_, canaries| canaries.len() >= 3).await;
    let mut told = names(&world.canaries[1..]);
    told.sort_unstable();
    assert_eq!(told, ["left", "opened"]);
    // A check may be among those who came.
    assert!((2..=3).contains(&*came.borrow_and_update()));
    assert!(
        world.agent.canaries.lives(&"held".parse().unwrap(), clock::tick()),
        "whatever order they were told in"
    );

    let removed = vec!["held".parse().unwrap()];
    world.agent.handle_event(Event::Changed { revision: 4, changed: Vec::new(), removed });
    world.work_until(|_, canaries| canaries.len() >= 4).await;
    assert_eq!(world.canaries[3].event.name(), "left");
}

#[tokio::test]
async fn a_check_that_fails_says_that_the_canary_lives() {
    let mut world = World::new();
    let (address, mut came, end) = held_server().await;
    world.agent.handle_event(Event::Assigned { revision: 1, assignments: vec![watched("held", address)] });
    world.work_until(|_, canaries| !canaries.is_empty()).await;
    // Newcomers find nobody from here on: what is checked is another port, and what is held is kept.
    let mut elsewhere = watched("held", address);
    elsewhere.spec.steps = vec![quorate_proto::Step::expect(quorate_proto::Matcher::ANY, None)];
    elsewhere.spec.timeout = Micros::from_millis(300);
    world.agent.handle_event(Event::Changed { revision: 2, changed: vec![elsewhere], removed: Vec::new() });
    for (request, lives) in [(1, true), (2, false)] {
        world.results.clear();
        world.confirm("held", request);
        world.until(|results| !results.is_empty()).await;
        let Outcome::Failed(failure) = &world.results[0].outcome else { panic!("{:?}", world.results) };
        assert_eq!((&failure.kind, failure.canary_lives), (&FailureKind::ReplyTimeout, lives));
        came.mark_unchanged();
        if lives {
            // Both attempts of the first request are over before the second.
            world.until(|results| results.len() >= 2).await;
            world.agent.canaries.leave();
            world.work_until(|_, canaries| canaries.iter().any(|one| one.event.name() == "left")).await;
        }
    }
    drop(end);
}

#[tokio::test]
async fn a_stop_closes_canaries_and_tells() {
    let mut world = World::new();
    let (address, _, _end) = held_server().await;
    world.agent.handle_event(Event::Assigned { revision: 1, assignments: vec![watched("held", address)] });
    world.work_until(|_, canaries| !canaries.is_empty()).await;
    world.agent.stop().await;
    world.work_until(|_, canaries| canaries.len() >= 2).await;
    assert_eq!(names(&world.canaries), ["opened", "left"]);
}

#[tokio::test]
async fn without_room_a_canary_is_not_opened_and_health_says_so() {
    let mut world = World::with_places(1);
    let (address, _, _end) = held_server().await;
    let assignments = vec![watched("one", address), watched("two", address)];
    world.agent.handle_event(Event::Assigned { revision: 1, assignments });
    world.work_until(|_, canaries| !canaries.is_empty()).await;
    let removed = vec!["two".parse().unwrap()];
    assert_eq!(world.health.borrow().canaries_without, 1);
    world.agent.handle_event(Event::Changed { revision: 2, changed: Vec::new(), removed });
    let health = world.health.borrow();
    assert_eq!((health.canaries, health.canaries_without), (1, 0));
}

#[tokio::test]
async fn a_search_for_the_idle_timeout_is_made_in_the_background_and_sent() {
    let mut world = World::new();
    let (address, _, end) = held_server().await;
    let mut searched = assignment("searched", address);
    searched.spec.interval = Micros::from_secs(3600);
    // Its first turn comes at once: no configuration can say that, and no agent is given it.
    searched.spec.idle_search = Some(IdleSearch { every: Micros(10), max: Micros::from_secs(1) });
    world.agent.handle_event(Event::Assigned { revision: 1, assignments: vec![searched.clone()] });
    assert!(world.agent.searches.deadline().is_some());
    world.agent.step();
    let removed = vec!["searched".parse().unwrap()];
    world.agent.handle_event(Event::Changed { revision: 2, changed: Vec::new(), removed });
    assert_eq!(world.agent.searches.deadline(), None, "a monitor that is gone is not searched");
    drop(end);
}

#[tokio::test]
async fn what_a_search_found_is_signed() {
    let mut world = World::new();
    let (address, _, _end) = held_server().await;
    let mut searched = assignment("searched", address);
    searched.spec.interval = Micros::from_secs(3600);
    let every = quorate_proto::limits::IDLE_SEARCH_INTERVAL_MIN;
    searched.spec.idle_search = Some(IdleSearch { every, max: Micros::from_secs(1) });
    world.agent.handle_event(Event::Assigned { revision: 1, assignments: vec![searched] });
    let due = world.agent.searches.deadline().unwrap();
    assert!(due.since(clock::tick()) <= every / 10);
    // Its turn has come.
    world.agent.searches.start_due(due);
    let work = async {
        let found = world.agent.searches.next().await;
        world.agent.handle_found(found);
    };
    timeout(Duration::from_secs(20), work).await.unwrap();
    assert!(
        world.agent.searches.deadline().unwrap().since(clock::tick())
            > every.saturating_sub(Micros::from_secs(60))
    );
    world.work(|world| !world.idle_timeouts.is_empty()).await;
    let [result] = world.idle_timeouts.as_slice() else { panic!("{:?}", world.idle_timeouts) };
    assert_eq!(result.finding, IdleFinding::NotWithin(Micros::from_secs(1)));
}

#[tokio::test]
async fn a_server_that_stopped_is_not_said_to_live() {
    let mut world = World::new();
    // It upgrades the canary, and nobody after it; then it reads nothing, with room in its buffer.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let _held = tokio_tungstenite::accept_async(stream).await.unwrap();
        let _late = listener.accept().await.unwrap();
        std::future::pending::<()>().await;
    });
    let mut stopped = watched("held", address);
    stopped.spec.timeout = Micros::from_millis(300);
    stopped.spec.canary = Some(Canary {
        heartbeat: Micros::from_secs(60),
        grace: Micros::from_millis(1_500),
        mode: CanaryMode::Ping,
    });
    world.agent.handle_event(Event::Assigned { revision: 1, assignments: vec![stopped] });
    world.work_until(|_, canaries| !canaries.is_empty()).await;
    world.confirm("held", 1);
    // Two attempts, a second apart: after the first one the canary asks. Where this machine is so busy that both are heard of
    // at once, it asked only then, and two more tell.
    world.until(|results| results.len() >= 2).await;
    let lives = |result: &CheckResult| match &result.outcome {
        Outcome::Failed(failure) => failure.canary_lives,
        Outcome::Passed => panic!("{result:?}"),
    };
    if world.results.last().is_some_and(lives) {
        world.confirm("held", 2);
        world.until(|results| results.len() >= 4).await;
    }
    assert!(world.results.first().is_some_and(lives) && !world.results.last().is_some_and(lives));
    // And it is found out, long before its heartbeat is due.
    world.work_until(|_, canaries| canaries.len() >= 2).await;
    let CanaryEvent::Ended { failure, .. } = &world.canaries[1].event else { panic!("{:?}", world.canaries) };
    assert!(matches!(failure.kind, FailureKind::SilentDrop(_)), "{failure:?}");
}
