//! Both ends of the wire over real UDP: a real agent's uplink and hostile strangers against the aggregator's door. What
//! would reach the core reaches the test.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

#[path = "wire/hostile.rs"]
mod hostile;
#[path = "wire/house.rs"]
mod house;
#[path = "wire/resident.rs"]
mod resident;
#[path = "wire/stranger.rs"]
mod stranger;

use std::{sync::Arc, time::Duration};

use house::{House, PATIENCE, until};
use quinn::ConnectionError;
use quorate::model::{Intake, Push};
use quorate_agent::uplink::{self, DialError, Event, JoinError, Joined, UplinkError};
use quorate_proto::{
    Assignment, Micros, MonitorSpec, SigningKey, Slot,
    frame::{ALPN, AckVerdict, AggregatorControl, CloseCode, Health, JoinReply},
    join::JoinString,
    monitor::Header,
};
use resident::Resident;
use stranger::{Identity, Stranger, code, ended, greet};

fn key() -> Arc<SigningKey> {
    Arc::new(SigningKey::generate().unwrap())
}

fn join_string(house: &House) -> JoinString {
    JoinString {
        aggregator: house.key.aggregator_key(),
        token: [1; 8],
        secret: [2; 16],
        address: house.address.to_string(),
    }
}

fn assignment(id: &str, weight: usize) -> Assignment {
    let header = |number| Header { name: format!("x-{number}"), value: "v".repeat(weight / 40) };
    let (interval, timeout) = (Micros::from_secs(30), Micros::from_secs(10));
    let spec = MonitorSpec {
        headers: (0..32).map(header).collect(),
        ca_pem: Some("c".repeat(weight / 6)),
        ..MonitorSpec::new(id.parse().unwrap(), "wss://example.org/", interval, timeout)
    };
    Assignment { spec, slot: Slot { index: 0, of: 1 } }
}

#[tokio::test]
async fn an_agent_joins_connects_uploads_and_is_told_what_to_do() {
    let (mut house, agent) = (House::open(), key());
    house.let_strangers_join();
    let (string, joining) = (join_string(&house), Arc::clone(&agent));
    let joined = tokio::spawn(async move { uplink::join(&string, &joining, "joiner 1").await });
    let Intake::Join { agent: shown, request, reply } = house.next().await else { panic!("not a join") };
    assert_eq!((shown, request.token, request.secret), (agent.agent_key(), [1; 8], [2; 16]));
    assert_eq!(request.software, "joiner 1");
    house.enrol(shown, "paris-1");
    let (name, region) = ("paris-1".parse().unwrap(), "eu-west".parse().unwrap());
    reply.send(JoinReply::Enrolled { name, region }).unwrap();
    let joined = joined.await.unwrap().unwrap();
    assert_eq!(joined, Joined { name: "paris-1".parse().unwrap(), region: "eu-west".parse().unwrap() });
    until("the join is counted", || house.counts.read().joins.get("enrolled") == Some(&1)).await;

    let mut resident = Resident::start(Arc::clone(&agent), house.key.aggregator_key(), house.address);
    resident.measure();
    let Intake::Connected { agent: shown, hello, push, connection, .. } = house.next().await else {
        panic!("not a connection")
    };
    assert_eq!((shown, hello.software.as_str(), hello.revision), (agent.agent_key(), "resident 1", 0));
    let Event::Welcome(welcome) = resident.event().await else { panic!("not welcome") };
    assert_eq!((welcome.name.as_str(), welcome.region.as_str()), ("paris-1", "eu-west"));

    // Health at once, the unit as soon as it is there; in either order.
    let (mut reported, mut stored) = (false, false);
    while !(reported && stored) {
        let told = house.next().await;
        if let Intake::Unit { unit, held, ack, .. } = told {
            assert_eq!(unit.place().sequence.0, 0);
            assert!(held.is_some_and(|held| held < Micros::from_secs(60)), "{held:?}");
            ack.send(AckVerdict::Stored).unwrap();
            stored = true;
        } else if let Intake::Health { health, connection: over, .. } = told {
            assert_eq!((health, over), (Health::default(), connection));
            reported = true;
        } else {
            panic!("{told:?}");
        }
    }
    until("the spool is empty", || resident.spool.standing().units == 0).await;

    let parts = [(vec![assignment("a", 0)], true, false), (vec![assignment("b", 0)], false, true)];
    for (assignments, first, last) in parts {
        push.send(Push::Send(AggregatorControl::Assign { revision: 3, assignments, first, last }))
            .await
            .unwrap();
    }
    push.send(Push::Send(AggregatorControl::Confirm { monitor: "a".parse().unwrap(), request: 9 }))
        .await
        .unwrap();
    let assignments = vec![assignment("a", 0), assignment("b", 0)];
    assert_eq!(resident.event().await, Event::Assigned { revision: 3, assignments });
    assert_eq!(resident.event().await, Event::Confirm { monitor: "a".parse().unwrap(), request: 9 });

    resident.health.send_modify(|health| health.revision = 3);
    loop {
        if let Intake::Health { health, .. } = house.next().await
            && health.revision == 3
        {
            break;
        }
    }
    resident.cancel.cancel();
    resident.end().await.unwrap();
    loop {
        if let Intake::Disconnected { agent: gone, connection: over } = house.next().await {
            assert_eq!((gone, over), (agent.agent_key(), connection));
            break;
        }
    }
    assert_eq!(house.counts.read().connections_open, 0);
    house.close().await;
}

#[tokio::test]
async fn assignments_above_one_frame_arrive_as_one_set() {
    let (mut house, agent) = (House::open(), key());
    house.enrol(agent.agent_key(), "a");
    let mut resident = Resident::start(agent, house.key.aggregator_key(), house.address);
    let push = house.connected().await;
    let assignments: Vec<_> = (0..48).map(|number| assignment(&format!("m{number}"), 220_000)).collect();
    let whole =
        AggregatorControl::Assign { revision: 1, assignments: assignments.clone(), first: true, last: true };
    push.send(Push::Send(whole)).await.unwrap();
    assert!(matches!(resident.event().await, Event::Welcome(_)));
    assert_eq!(resident.event().await, Event::Assigned { revision: 1, assignments });
    let change = AggregatorControl::Change {
        revision: 2,
        changed: vec![],
        removed: vec!["m1".parse().unwrap()],
        last: true,
    };
    push.send(Push::Send(change)).await.unwrap();
    let removed = vec!["m1".parse().unwrap()];
    assert_eq!(resident.event().await, Event::Changed { revision: 2, changed: vec![], removed });
    // The revision it says hello with is the one it has.
    push.send(Push::Close(CloseCode::GoingAway)).await.unwrap();
    assert_eq!(resident.event().await, Event::Disconnected);
    loop {
        if let Intake::Connected { hello, .. } = house.next().await {
            assert_eq!(hello.revision, 2);
            break;
        }
    }
}

#[tokio::test]
async fn a_server_with_another_key_is_left_before_anything_is_said() {
    let mut house = House::open();
    house.let_strangers_join();
    let mut string = join_string(&house);
    string.aggregator = key().aggregator_key();
    let error = uplink::join(&string, &key(), "joiner 1").await.unwrap_err();
    let JoinError::Dial(DialError::WrongKey { found, expected, .. }) = &error else { panic!("{error}") };
    assert_eq!((*found, *expected), (house.key.aggregator_key(), string.aggregator));
    assert!(error.to_string().contains("nothing was sent"), "{error}");
    until("the handshake is counted", || house.counts.read().handshakes_refused.contains_key("tls")).await;
    let reading = house.counts.read();
    assert_eq!((reading.connections, reading.joins.len()), (0, 0), "not even the handshake was completed");
    assert!(house.intake.try_recv().is_err());
}

#[tokio::test]
async fn a_join_that_cannot_be_says_why() {
    let (mut house, stranger) = (House::open(), key());
    let error = uplink::join(&join_string(&house), &stranger, "").await.unwrap_err();
    assert!(matches!(error, JoinError::Refused), "no token is open: {error}");
    assert_eq!(house.counts.read().handshakes_refused.get("unknown_key"), Some(&1));

    house.let_strangers_join();
    let string = join_string(&house);
    let refused = tokio::spawn(async move { uplink::join(&string, &stranger, "").await });
    let Intake::Join { reply, .. } = house.next().await else { panic!("not a join") };
    reply.send(JoinReply::Refused).unwrap();
    let error = refused.await.unwrap().unwrap_err();
    assert!(matches!(error, JoinError::Refused), "{error}");
    assert!(error.to_string().contains("quorate agents add"), "{error}");
    until("the join is counted", || house.counts.read().joins.get("refused") == Some(&1)).await;

    let mut nowhere = join_string(&house);
    nowhere.address = "nowhere.invalid:4433".into();
    let error = uplink::join(&nowhere, &key(), "").await.unwrap_err();
    assert!(matches!(error, JoinError::Dial(DialError::Resolve { .. })), "{error}");
}

#[tokio::test]
async fn nobody_at_home_is_said_to_be_perhaps_a_firewall() {
    let quiet = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let string = JoinString {
        aggregator: key().aggregator_key(),
        token: [0; 8],
        secret: [0; 16],
        address: quiet.local_addr().unwrap().to_string(),
    };
    let error = uplink::join(&string, &key(), "").await.unwrap_err();
    assert!(matches!(error, JoinError::Dial(DialError::NoAnswer { .. })), "{error}");
    assert!(error.to_string().contains("UDP"), "{error}");
}

#[tokio::test]
async fn an_unknown_key_is_refused_whether_or_not_somebody_may_join() {
    for joining in [false, true] {
        let mut house = House::open();
        if joining {
            house.let_strangers_join();
        }
        let mut resident = Resident::start(key(), house.key.aggregator_key(), house.address);
        assert_eq!(resident.event().await, Event::Revoked);
        let error = resident.end().await.unwrap_err();
        assert!(matches!(error, UplinkError::Refused { .. }), "{error}");
        until("it is counted", || house.counts.read().handshakes_refused.contains_key("unknown_key")).await;
        assert!(house.intake.try_recv().is_err(), "the core hears nothing of it");
    }
}

#[tokio::test]
async fn a_revoked_agent_is_cut_off_within_a_second_and_does_not_get_back_in() {
    let (mut house, agent) = (House::open(), key());
    house.enrol(agent.agent_key(), "a");
    let mut resident = Resident::start(Arc::clone(&agent), house.key.aggregator_key(), house.address);
    let push = house.connected().await;
    assert!(matches!(resident.event().await, Event::Welcome(_)));

    // The core says nothing: the roster alone has to do it. The promise is a second, and it is one of the few that are
    // about the clock.
    house.revoke(agent.agent_key());
    let cut = tokio::time::timeout(Duration::from_secs(1), resident.events.recv()).await;
    assert_eq!(cut.expect("within one second"), Some(Event::Revoked));
    assert!(resident.end().await.is_err());
    drop(push);

    let mut again = Resident::start(agent, house.key.aggregator_key(), house.address);
    assert_eq!(again.event().await, Event::Revoked);
    assert!(again.end().await.is_err());
    until("it is counted", || house.counts.read().handshakes_refused.contains_key("unknown_key")).await;
    assert_eq!(house.counts.read().connections_ended.get("revoked"), Some(&1));
}

#[tokio::test]
async fn the_cores_word_closes_a_connection_at_once() {
    let (mut house, agent) = (House::open(), key());
    house.enrol(agent.agent_key(), "a");
    let client = Stranger::new(&Identity::RawKey(&agent), ALPN);
    for (close, name) in [
        (CloseCode::Superseded, "superseded"),
        (CloseCode::Hostile, "hostile"),
        (CloseCode::Revoked, "revoked"),
        (CloseCode::GoingAway, "going_away"),
    ] {
        let connection = client.connect(house.address).await.unwrap();
        let _streams = greet(&connection).await;
        let push = house.connected().await;
        // Nobody reads what is pushed, so the window fills; the close overtakes it.
        let assignments: Vec<_> = (0..48).map(|number| assignment(&format!("m{number}"), 220_000)).collect();
        let whole = AggregatorControl::Assign { revision: 1, assignments, first: true, last: true };
        push.send(Push::Send(whole)).await.unwrap();
        push.send(Push::Close(close)).await.unwrap();
        assert_eq!(code(&ended(&connection).await), Some(close.number().into()));
        until(name, || house.counts.read().connections_ended.get(name) == Some(&1)).await;
    }
}

#[tokio::test]
async fn only_raw_keys_that_are_held_get_in() {
    let (house, agent, thief) = (House::open(), key(), key());
    house.enrol(agent.agent_key(), "a");
    for (identity, alpn, reason) in [
        (Identity::None, ALPN, "no_raw_key"),
        (Identity::X509, ALPN, "no_raw_key"),
        (Identity::RawKey(&thief), ALPN, "unknown_key"),
        (Identity::Stolen(&agent, &thief), ALPN, "tls"),
        (Identity::RawKey(&agent), b"h3", "protocol"),
    ] {
        let before = house.counts.read().handshakes_refused.get(reason).copied().unwrap_or(0);
        let error = Stranger::new(&identity, alpn).refusal(house.address).await;
        assert!(
            matches!(error, ConnectionError::ConnectionClosed(_) | ConnectionError::TransportError(_)),
            "{error}"
        );
        let what = format!("{reason} is counted, and not: {:?}", house.counts.read());
        until(&what, || house.counts.read().handshakes_refused.get(reason) == Some(&(before + 1))).await;
    }
    assert_eq!(house.counts.read().connections, 0);
}

#[tokio::test]
async fn nothing_can_be_resumed() {
    let (mut house, agent) = (House::open(), key());
    house.enrol(agent.agent_key(), "a");
    let client = Stranger::new(&Identity::RawKey(&agent), ALPN);
    for _ in 0..2 {
        let connecting = client.connecting(house.address);
        let Err(connecting) = connecting.into_0rtt() else {
            panic!("there is no ticket to speak early with")
        };
        let connection = connecting.await.unwrap();
        let _streams = greet(&connection).await;
        house.connected().await;
        connection.close(0u32.into(), b"");
    }
}

#[tokio::test]
async fn an_agent_finds_the_successor_of_a_killed_aggregator_and_loses_nothing() {
    let (mut house, agent) = (House::open(), key());
    house.enrol(agent.agent_key(), "a");
    let mut resident = Resident::start(Arc::clone(&agent), house.key.aggregator_key(), house.address);
    assert!(matches!(resident.event().await, Event::Welcome(_)));
    resident.measure();
    assert_eq!(house.unit(|_| AckVerdict::Stored).await, 0);
    resident.measure();
    // Taken, and not acknowledged before the end.
    let Intake::Unit { ack, .. } = (loop {
        let told = house.next().await;
        if matches!(told, Intake::Unit { .. }) {
            break told;
        }
    }) else {
        unreachable!()
    };
    let (address, aggregator) = house.die().await;
    drop(ack);

    let mut house = House::open_at(address, aggregator);
    house.enrol(agent.agent_key(), "a");
    resident.measure();
    assert_eq!(resident.event().await, Event::Disconnected);
    assert!(matches!(resident.event().await, Event::Welcome(_)));
    let mut stored = vec![];
    while !stored.contains(&2) {
        // A gap before what is left says what was acknowledged: it begins at 0.
        stored.push(house.unit(|_| AckVerdict::Stored).await);
    }
    assert!(stored.ends_with(&[1, 2]), "{stored:?}");
    until("the spool is empty", || resident.spool.standing().units == 0).await;
}

#[tokio::test]
async fn a_killed_aggregators_successor_says_that_connections_are_gone() {
    let (mut house, agent) = (House::open(), key());
    house.enrol(agent.agent_key(), "a");
    let client = Stranger::new(&Identity::RawKey(&agent), ALPN);
    let connection = client.connect(house.address).await.unwrap();
    let (mut send, _receive) = greet(&connection).await;
    house.connected().await;
    let (address, aggregator) = house.die().await;
    let _house = House::open_at(address, aggregator);
    send.write_all(&[0; 64]).await.unwrap();
    let end = ended(&connection).await;
    assert!(matches!(end, ConnectionError::Reset), "not left to time out: {end}");
}

#[tokio::test]
async fn what_a_busy_aggregator_does_not_take_is_sent_again_until_it_does() {
    let (mut house, agent) = (House::open(), key());
    house.enrol(agent.agent_key(), "a");
    let mut resident = Resident::start(agent, house.key.aggregator_key(), house.address);
    assert!(matches!(resident.event().await, Event::Welcome(_)));
    resident.measure();
    assert_eq!(house.unit(|_| AckVerdict::Busy).await, 0);
    // The disk stays full for a while: what is new is still heard, so that it can be decided on.
    resident.measure();
    let mut heard = vec![];
    while !heard.contains(&1) || heard.iter().filter(|sequence| **sequence == 0).count() < 2 {
        heard.push(house.unit(|_| AckVerdict::Busy).await);
    }
    assert_eq!(resident.spool.standing().units, 2);
    // It has room again: everything is taken, in order.
    let mut stored = vec![];
    while stored.iter().filter(|sequence| **sequence == 1).count() < 1 {
        let next = stored.len() as u64;
        let heard =
            house.unit(|sequence| if sequence <= next { AckVerdict::Stored } else { AckVerdict::Busy }).await;
        if heard == next {
            stored.push(heard);
        }
    }
    assert_eq!(stored, [0, 1]);
    until("the spool is empty", || resident.spool.standing().units == 0).await;
}

#[tokio::test]
async fn a_core_that_falls_behind_holds_agents_back_and_loses_nothing() {
    let agent = key();
    let mut house = House::with_room(([127, 0, 0, 1], 0).into(), key(), 1);
    house.enrol(agent.agent_key(), "a");
    let mut resident = Resident::start(agent, house.key.aggregator_key(), house.address);
    const UNITS: u64 = 300;
    for _ in 0..UNITS {
        resident.measure();
    }
    // In order, although each has a stream of its own.
    for sequence in 0..UNITS {
        assert_eq!(house.unit(|_| AckVerdict::Stored).await, sequence);
    }
    until("the spool is empty", || resident.spool.standing().units == 0).await;
}

#[tokio::test]
async fn a_refused_unit_is_replaced_by_a_gap() {
    let (mut house, agent) = (House::open(), key());
    house.enrol(agent.agent_key(), "a");
    let mut resident = Resident::start(agent, house.key.aggregator_key(), house.address);
    resident.measure();
    assert_eq!(house.unit(|_| AckVerdict::Refused).await, 0);
    assert_eq!(house.unit(|_| AckVerdict::Stored).await, 0, "the gap takes its place");
    resident.measure();
    while house.unit(|_| AckVerdict::Stored).await != 1 {}
    until("the spool is empty", || resident.spool.standing().units == 0).await;
}

#[tokio::test]
async fn an_aggregator_that_stops_says_goodbye() {
    let (mut house, agent) = (House::open(), key());
    house.enrol(agent.agent_key(), "a");
    let mut resident = Resident::start(agent, house.key.aggregator_key(), house.address);
    assert!(matches!(resident.event().await, Event::Welcome(_)));
    house.connected().await;
    // The core reads on to the end, as it does in a stop.
    let mut intake = std::mem::replace(&mut house.intake, tokio::sync::mpsc::channel(1).1);
    let told = tokio::spawn(async move {
        let mut told = vec![];
        while let Some(intake) = intake.recv().await {
            told.push(intake);
        }
        told
    });
    house.close().await;
    assert_eq!(resident.event().await, Event::Disconnected);
    let told = tokio::time::timeout(PATIENCE, told).await.unwrap().unwrap();
    assert!(matches!(told.last(), Some(Intake::Disconnected { .. })), "{told:?}");
}
