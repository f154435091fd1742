//! The whole agent in trouble of its own: what it says of itself, and what its failures say.

use std::{net::UdpSocket, thread};

use quorate_proto::{Controls, Doubt};

use super::*;

/// A server that takes connections and says nothing.
async fn silent() -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (listener.local_addr().unwrap(), listener)
}

fn doubts(world: &World) -> Vec<Doubt> {
    world.health.borrow().doubts.iter().map(|report| report.doubt).collect()
}

fn kinds(results: &[CheckResult]) -> Vec<&'static str> {
    results.iter().filter_map(|result| Some(result.failure()?.kind.name())).collect()
}

#[tokio::test]
async fn what_times_out_while_the_loop_stands_still_does_not_count() {
    let mut world = World::new();
    let (address, _listener) = silent().await;
    let mut slow = assignment("slow", address);
    slow.spec.interval = Micros::from_secs(3600);
    world.agent.handle_event(Event::Assigned { revision: 1, assignments: vec![slow] });
    world.confirm("slow", 1);
    // Its handshake is sent before the loop stands still.
    let started = clock::tick();
    world.work(|_| clock::tick().since(started) >= Micros::from_millis(200)).await;
    thread::sleep(Duration::from_millis(2_500));
    world.until(|results| !results.is_empty()).await;
    let failure = world.results[0].failure().unwrap();
    assert_eq!(failure.kind, FailureKind::AgentFault, "{}", failure.detail);
    assert!(failure.detail.contains("event_loop_late"), "{}", failure.detail);
    assert!(failure.detail.contains("upgrade_timeout, no answer"), "{}", failure.detail);
    world.work(|world| !doubts(world).is_empty()).await;
    assert_eq!(doubts(&world), [Doubt::EventLoopLate], "told at once");
}

#[tokio::test]
async fn an_agent_that_is_well_has_no_doubts_and_its_failures_count() {
    let mut world = World::new();
    let (address, _listener) = silent().await;
    let assignments = vec![assignment("slow", address), assignment("down", nobody().await)];
    world.agent.handle_event(Event::Assigned { revision: 1, assignments });
    world.until(|results| results.len() >= 6).await;
    // The machine of the test may be busy: what it then says of itself is right.
    if doubts(&world).is_empty() {
        let kinds = kinds(&world.results);
        assert!(kinds.contains(&"connection_refused") && kinds.contains(&"upgrade_timeout"), "{kinds:?}");
    }
}

#[tokio::test]
async fn controls_that_fail_are_noticed_when_a_check_fails() {
    let mut world = World::new();
    let (mut targets, mut gone) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let (address, listener) = silent().await;
        targets.push(format!("tcp://{address}"));
        gone.push(listener);
    }
    let controls = Controls { targets, every: Micros::from_secs(300), ..Controls::default() };
    world.agent.handle_event(Event::Controls(controls));
    // All of them answer once, so that the next look at each is minutes away.
    world.agent.looks.hurry(clock::tick());
    let started = clock::tick();
    world.work(|_| clock::tick().since(started) >= limits::CONTROL_AGAIN).await;
    assert_eq!(doubts(&world), []);
    drop(gone);
    let mut down = assignment("down", nobody().await);
    down.spec.interval = Micros::from_secs(1);
    world.agent.handle_event(Event::Assigned { revision: 1, assignments: vec![down] });
    let failed = clock::tick();
    world.work(|world| !doubts(world).is_empty()).await;
    assert!(clock::tick().since(failed) < Micros::from_secs(30), "not with the next regular look");
    assert_eq!(doubts(&world), [Doubt::ControlsFailing]);
    let detail = world.health.borrow().doubts[0].detail.clone();
    assert!(detail.contains("of 3 do not answer: tcp://127.0.0.1:"), "{detail}");
    // From here on what fails says so.
    world.until(|results| kinds(results).contains(&"agent_fault")).await;
}

/// A nameserver that has one address for every name there is.
fn liar() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut query = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            let question = &query[12..length];
            // The name, its type and class; whatever EDNS adds is left out.
            let end = question.iter().position(|byte| *byte == 0).unwrap() + 5;
            let is_a = question[end - 3] == 1;
            let header = [query[0], query[1], 0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0];
            let record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 192, 0, 2, 1];
            let answer = [&header[..], &question[..end], if is_a { &record[..] } else { &[] }].concat();
            socket.send_to(&answer, from).unwrap();
        }
    });
    address
}

#[tokio::test]
async fn a_resolver_that_answers_everything_or_nothing_is_noticed() {
    let names = Controls {
        every: Micros::from_secs(5),
        resolves: Some("example.com".to_owned()),
        resolves_not: Some("quorate-control.example".to_owned()),
        ..Controls::default()
    };
    for (nameserver, doubt) in [(liar(), Doubt::ResolverLying), (nobody().await, Doubt::ResolverFailing)] {
        let mut world = World::resolving(Nameservers::Explicit(vec![nameserver]));
        world.agent.handle_event(Event::Controls(names.clone()));
        world.work(|world| !doubts(world).is_empty()).await;
        assert_eq!(doubts(&world), [doubt], "{:?}", world.health.borrow().doubts);
    }
}
