//! Adding and revoking agents.

use std::collections::BTreeMap;

use axum::{body::Body, http::Request};
use quorate_proto::{AgentKey, AggregatorKey, join::JoinString};
use serde_json::json;

use super::{Answer, House, bearing, sample};
use crate::{
    limits,
    model::{Admin, AdminError, AgentRecord, Intake, rfc3339},
};

async fn post(house: &House, body: impl Into<Body>) -> Answer {
    house.send(bearing(Request::post("/api/v1/agents")).body(body.into()).unwrap()).await
}

async fn delete(house: &House, name: &str) -> Answer {
    let request = bearing(Request::delete(format!("/api/v1/agents/{name}")));
    house.send(request.body(Body::empty()).unwrap()).await
}

fn join() -> JoinString {
    JoinString {
        aggregator: AggregatorKey([7; 32]),
        token: [1; 8],
        secret: [2; 16],
        address: "watch.example.org:4433".into(),
    }
}

#[tokio::test]
async fn an_agent_is_added_by_the_core() {
    let mut house = House::new(sample::calm()).await;
    let mut core = std::mem::replace(&mut house.core, tokio::sync::mpsc::channel(1).1);
    let core = tokio::spawn(async move {
        let Some(Intake::Admin(Admin::AddAgent { name, region, labels, reply })) = core.recv().await else {
            panic!("the core was asked for something else")
        };
        reply.send(Ok(join())).unwrap();
        (name, region, labels)
    });
    let body = json!({ "name": "box-1", "region": "eu-west", "labels": { "provider": "aws" } });
    let before = crate::clock::wall();
    let answer = post(&house, body.to_string()).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let json = answer.json();
    assert_eq!(json["join"].as_str().unwrap().parse(), Ok(join()));
    let expires_at = rfc3339::parse(json["expires_at"].as_str().unwrap()).unwrap();
    assert!(expires_at.since(before) >= quorate_proto::limits::JOIN_TOKEN_LIFETIME);
    let (name, region, labels) = core.await.unwrap();
    assert_eq!((name.as_str(), region.as_str()), ("box-1", "eu-west"));
    assert_eq!(labels, BTreeMap::from([("provider".to_owned(), "aws".to_owned())]));
}

#[tokio::test]
async fn an_agent_is_revoked_by_the_core() {
    let mut house = House::new(sample::calm()).await;
    let mut core = std::mem::replace(&mut house.core, tokio::sync::mpsc::channel(1).1);
    tokio::spawn(async move {
        while let Some(Intake::Admin(Admin::RevokeAgent { name, reply })) = core.recv().await {
            let answer = if name.as_str() == "box-1" {
                Ok(AgentRecord {
                    key: AgentKey([9; 32]),
                    name,
                    region: "eu-west".parse().unwrap(),
                    labels: BTreeMap::new(),
                    enrolled_at: sample::ago(60.0),
                    revoked_at: Some(sample::NOW),
                })
            } else {
                Err(AdminError::NoSuchAgent(name))
            };
            reply.send(answer).unwrap();
        }
    });
    let answer = delete(&house, "box-1").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["revoked_at"]),
        (200, &json!("2026-11-22T18:12:00.000000Z"))
    );
    assert_eq!(delete(&house, "box-2").await.error().0, 404);
    assert_eq!(delete(&house, "NOT-A-NAME").await.error().0, 404);
}

#[tokio::test]
async fn the_cores_refusals_are_told() {
    let mut house = House::new(sample::calm()).await;
    let mut core = std::mem::replace(&mut house.core, tokio::sync::mpsc::channel(1).1);
    tokio::spawn(async move {
        while let Some(Intake::Admin(Admin::AddAgent { name, region, reply, .. })) = core.recv().await {
            let error = match name.as_str() {
                "taken" => AdminError::NameTaken(name),
                "nowhere" => AdminError::NoSuchRegion { region, known: "eu-west, us-east".into() },
                _ => AdminError::Storage,
            };
            reply.send(Err(error)).unwrap();
        }
    });
    for (name, status, code) in
        [("taken", 409, "name_taken"), ("nowhere", 400, "unknown_region"), ("any", 503, "storage")]
    {
        let answer = post(&house, json!({ "name": name, "region": "eu-west" }).to_string()).await;
        assert_eq!((answer.error().0, answer.error().1.as_str()), (status, code), "{name}");
    }
}

#[tokio::test]
async fn a_bad_body_is_refused_before_the_core_hears_of_it() {
    let mut house = House::new(sample::calm()).await;
    let labels: BTreeMap<String, String> =
        (0..=limits::AGENT_LABELS_MAX).map(|index| (format!("l{index}"), "x".into())).collect();
    for (body, wanted) in [
        ("{".to_owned(), "EOF while parsing"),
        (json!({ "name": "a" }).to_string(), "missing field `region`"),
        (json!({ "name": "A", "region": "r" }).to_string(), "may hold only a-z"),
        (json!({ "name": "a", "region": "r", "key": 1 }).to_string(), "unknown field `key`"),
        (json!({ "name": "a", "region": "r", "labels": { "": "x" } }).to_string(), "labels: \"\": "),
        (json!({ "name": "a", "region": "r", "labels": labels }).to_string(), "labels: 17 are given"),
    ] {
        let (status, code, message) = post(&house, body).await.error();
        assert_eq!((status, code.as_str()), (400, "bad_body"), "{message}");
        assert!(message.contains(wanted), "{message}");
    }
    let answer = post(&house, vec![b' '; limits::HTTP_BODY_BYTES_MAX + 1]).await;
    assert_eq!((answer.error().0, answer.error().1.as_str()), (413, "body_too_large"));
    assert!(house.core.try_recv().is_err());
}

#[tokio::test]
async fn a_core_that_does_not_answer_is_not_waited_for() {
    let house = House::new(sample::calm()).await;
    // The token is remembered from here on, so that the store's threads have no part in the paused time below.
    assert_eq!(house.ask("/api/v1/agents").await.status, 200);
    tokio::time::pause();
    let wanted = json!({ "name": "a", "region": "eu-west" }).to_string();
    // The queue has room for one: the first is taken and not answered, the second is not even taken.
    assert_eq!(post(&house, wanted.clone()).await.error().1, "unanswered");
    assert_eq!(post(&house, wanted).await.error().1, "busy");
}
