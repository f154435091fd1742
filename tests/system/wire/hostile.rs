//! Enrolled agents that lie, and strangers that babble: each is cut off, counted, and nothing of it reaches the core.

use std::sync::Arc;

use quinn::Connection;
use quorate::model::Intake;
use quorate_proto::{
    BootEpoch, SigningKey, codec,
    frame::{self, ALPN, ALPN_JOIN, AckVerdict, AgentControl, CloseCode, Health, Hello, JoinRequest, Upload},
    limits::{AGENT_CONTROL_FRAME_BYTES_MAX, JOIN_FRAME_BYTES_MAX, UPLOAD_FRAME_BYTES_MAX},
};

use super::{
    House, key,
    resident::Chain,
    stranger::{Identity, Stranger, code, ended, greet},
    until,
};

/// A whole upload stream.
fn upload(unit: Vec<u8>) -> Vec<u8> {
    frame::encode(&Upload { unit, held: None }, UPLOAD_FRAME_BYTES_MAX).unwrap()
}

fn control(frame: &AgentControl) -> Vec<u8> {
    frame::encode(frame, AGENT_CONTROL_FRAME_BYTES_MAX).unwrap()
}

fn hello(software: &str) -> Vec<u8> {
    control(&AgentControl::Hello(Hello { software: software.into(), epoch: BootEpoch(1), revision: 0 }))
}

async fn say(connection: &Connection, bytes: &[u8]) {
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    // The aggregator may have had enough before the end.
    let _ = send.write_all(bytes).await;
    let _ = send.finish();
    let _ = send.stopped().await;
}

/// Frames that are none, and the name of what is wrong with them.
fn broken() -> Vec<(Vec<u8>, &'static str)> {
    let good = upload(Chain::new(key(), key().aggregator_key()).next().as_bytes().to_vec());
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        bytes
    };
    let oversized = u32::try_from(UPLOAD_FRAME_BYTES_MAX + 1).unwrap().to_be_bytes().to_vec();
    vec![
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "oversized"),
        (oversized, "oversized"),
        (vec![0; 4], "malformed"),
        ([&5u32.to_be_bytes()[..], &[codec::VERSION, 255, 255, 255, 255]].concat(), "malformed"),
        (with(&|bytes| *bytes.get_mut(4).unwrap() = 9), "version"),
        (with(&|bytes| bytes.push(0)), "unexpected"),
        (with(&|bytes| bytes.extend(upload(vec![]))), "unexpected"),
        (with(&|bytes| bytes.truncate(20)), "truncated"),
        (with(&|bytes| bytes.truncate(2)), "truncated"),
        (
            with(&|bytes| {
                bytes.push(0);
                *bytes.get_mut(3).unwrap() += 1;
            }),
            "trailing",
        ),
    ]
}

#[tokio::test]
async fn broken_uploads_end_the_connection() {
    let (mut house, agent) = (House::open(), key());
    house.enrol(agent.agent_key(), "a");
    let client = Stranger::new(&Identity::RawKey(&agent), ALPN);
    for (bytes, name) in broken() {
        let before = house.counts.read().frames_refused.get(name).copied().unwrap_or(0);
        let connection = client.connect(house.address).await.unwrap();
        let _streams = greet(&connection).await;
        house.connected().await;
        say(&connection, &bytes).await;
        assert_eq!(code(&ended(&connection).await), Some(CloseCode::Hostile.number().into()), "{name}");
        until(name, || house.counts.read().frames_refused.get(name) == Some(&(before + 1))).await;
    }
    assert!(!house.has_unit());
    assert_eq!(house.counts.read().units_refused.len(), 0);
}

#[tokio::test]
async fn units_that_are_not_the_agents_own_or_not_for_here_end_the_connection() {
    let (mut house, agent, other) = (House::open(), key(), key());
    house.enrol(agent.agent_key(), "a");
    house.enrol(other.agent_key(), "b");
    let here = house.key.aggregator_key();
    let unit = |key: &Arc<SigningKey>, aggregator| {
        Chain::new(Arc::clone(key), aggregator).next().as_bytes().to_vec()
    };
    let forged = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = unit(&agent, here);
        change(&mut bytes);
        bytes
    };
    let client = Stranger::new(&Identity::RawKey(&agent), ALPN);
    for (unit, name) in [
        (unit(&other, here), "foreign_agent"),
        (unit(&agent, key().aggregator_key()), "foreign_aggregator"),
        (forged(&|bytes| *bytes.last_mut().unwrap() ^= 1), "signature"),
        (forged(&|bytes| bytes[80] ^= 1), "signature"),
        (forged(&|bytes| bytes[0] = 7), "malformed"),
        (vec![], "malformed"),
        (vec![1; 100], "malformed"),
    ] {
        let before = house.counts.read().units_refused.get(name).copied().unwrap_or(0);
        let connection = client.connect(house.address).await.unwrap();
        let _streams = greet(&connection).await;
        house.connected().await;
        say(&connection, &upload(unit)).await;
        assert_eq!(code(&ended(&connection).await), Some(CloseCode::Hostile.number().into()), "{name}");
        until(name, || house.counts.read().units_refused.get(name) == Some(&(before + 1))).await;
    }
    assert!(!house.has_unit());
}

#[tokio::test]
async fn an_upload_that_is_given_up_is_nobodys_fault() {
    let (mut house, agent) = (House::open(), key());
    house.enrol(agent.agent_key(), "a");
    let client = Stranger::new(&Identity::RawKey(&agent), ALPN);
    let connection = client.connect(house.address).await.unwrap();
    let _streams = greet(&connection).await;
    let (mut half, _receive) = connection.open_bi().await.unwrap();
    half.write_all(&1000u32.to_be_bytes()).await.unwrap();
    half.reset(0u32.into()).unwrap();
    // The next one is taken.
    let unit = Chain::new(agent, house.key.aggregator_key()).next();
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(&upload(unit.as_bytes().to_vec())).await.unwrap();
    send.finish().unwrap();
    assert_eq!(house.unit(|_| AckVerdict::Refused).await, 0);
    let ack = receive.read_to_end(1024).await.unwrap();
    let ack: frame::Ack = frame::decode(&ack[4..], 1024).unwrap();
    assert_eq!(ack.verdict, AckVerdict::Refused, "the core's word is passed on");
    assert_eq!(house.counts.read().frames_refused.len(), 0);
}

#[tokio::test]
async fn first_words_that_are_none_end_the_connection() {
    let (mut house, agent) = (House::open(), key());
    house.enrol(agent.agent_key(), "a");
    let client = Stranger::new(&Identity::RawKey(&agent), ALPN);
    let too_large = u32::try_from(AGENT_CONTROL_FRAME_BYTES_MAX + 1).unwrap().to_be_bytes().to_vec();
    for (bytes, name) in [
        (control(&AgentControl::Health(Health::default())), "unexpected"),
        (hello(&"x".repeat(65)), "unexpected"),
        (upload(vec![1; 200]), "malformed"),
        (too_large, "oversized"),
        (hello("x")[..7].to_vec(), "truncated"),
    ] {
        let before = house.counts.read().frames_refused.get(name).copied().unwrap_or(0);
        let connection = client.connect(house.address).await.unwrap();
        say(&connection, &bytes).await;
        assert_eq!(code(&ended(&connection).await), Some(CloseCode::Hostile.number().into()), "{name}");
        until(name, || house.counts.read().frames_refused.get(name) == Some(&(before + 1))).await;
    }
    assert!(house.intake.try_recv().is_err(), "the core hears nothing of it");

    let connection = client.connect(house.address).await.unwrap();
    let (mut send, _receive) = greet(&connection).await;
    house.connected().await;
    send.write_all(&hello("again")).await.unwrap();
    assert_eq!(code(&ended(&connection).await), Some(CloseCode::Hostile.number().into()), "a second hello");
}

#[tokio::test]
async fn who_dawdles_is_shown_the_door() {
    let (mut house, agent) = (House::open(), key());
    house.enrol(agent.agent_key(), "a");
    let client = Stranger::new(&Identity::RawKey(&agent), ALPN);
    let silent = client.connect(house.address).await.unwrap();
    let slow = client.connect(house.address).await.unwrap();
    let (mut send, _receive) = slow.open_bi().await.unwrap();
    send.write_all(&hello("slow")[..9]).await.unwrap();
    let half = client.connect(house.address).await.unwrap();
    let (mut half_send, _half_receive) = greet(&half).await;
    half_send.write_all(&control(&AgentControl::Health(Health::default()))[..9]).await.unwrap();
    for connection in [&silent, &slow, &half] {
        assert_eq!(code(&ended(connection).await), Some(CloseCode::TooSlow.number().into()));
    }
    until("they are counted", || house.counts.read().frames_refused.get("slow") == Some(&3)).await;
    assert!(!house.has_unit());
}

#[tokio::test]
async fn a_joining_connection_may_only_join() {
    let (mut house, agent) = (House::open(), key());
    house.let_strangers_join();
    let client = Stranger::new(&Identity::RawKey(&agent), ALPN_JOIN);
    let request = JoinRequest { token: [1; 8], secret: [2; 16], software: "x".repeat(65) };
    let wordy = frame::encode(&request, JOIN_FRAME_BYTES_MAX).unwrap();
    let too_large = u32::try_from(JOIN_FRAME_BYTES_MAX + 1).unwrap().to_be_bytes().to_vec();
    for (bytes, name) in [(hello("x"), "malformed"), (too_large, "oversized"), (wordy, "unexpected")] {
        let before = house.counts.read().frames_refused.get(name).copied().unwrap_or(0);
        let connection = client.connect(house.address).await.unwrap();
        say(&connection, &bytes).await;
        assert_eq!(code(&ended(&connection).await), Some(CloseCode::Hostile.number().into()), "{name}");
        until(name, || house.counts.read().frames_refused.get(name) == Some(&(before + 1))).await;
    }
    let told = house.intake.try_recv();
    assert!(told.is_err(), "the core hears nothing of it: {told:?}");
}

#[tokio::test]
async fn no_more_join_at_once_than_the_core_can_bear() {
    let mut house = House::open();
    house.let_strangers_join();
    let mut waiting = vec![];
    for _ in 0..quorate::limits::JOINS_MAX {
        let joining = key();
        let string = super::join_string(&house);
        let join = tokio::spawn(async move { quorate_agent::uplink::join(&string, &joining, "").await });
        let Intake::Join { reply, .. } = house.next().await else { panic!("not a join") };
        waiting.push((join, reply));
    }
    let error = quorate_agent::uplink::join(&super::join_string(&house), &key(), "").await.unwrap_err();
    assert!(matches!(error, quorate_agent::uplink::JoinError::Busy), "{error}");
    for (join, reply) in waiting {
        reply.send(frame::JoinReply::Refused).unwrap();
        assert!(join.await.unwrap().is_err());
    }
}
