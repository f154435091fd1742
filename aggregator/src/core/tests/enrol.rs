//! Join tokens, joining, revoking.

use quorate_proto::{
    AgentKey, Micros, Outcome,
    frame::{AckVerdict, CloseCode, JoinReply, JoinRequest},
    join::JoinString,
    limits as protocol,
};
use tokio::sync::oneshot;

use super::bench::{Bench, Disk, REGIONS, acked, config};
use crate::{
    model::{Admin, AdminError, AgentRecord, Intake, Push, fixture::monitor},
    store::fixture::{AGGREGATOR, check},
};

const S: fn(u64) -> Micros = Micros::from_secs;

fn add(bench: &mut Bench, name: &str, region: &str) -> Result<JoinString, AdminError> {
    let (reply, mut answer) = oneshot::channel();
    let labels = [("provider".to_owned(), "aws".to_owned())].into();
    let (name, region) = (name.parse().unwrap(), region.parse().unwrap());
    bench.tell(Intake::Admin(Admin::AddAgent { name, region, labels, reply }));
    answer.try_recv().unwrap()
}

fn revoke(bench: &mut Bench, name: &str) -> Result<AgentRecord, AdminError> {
    let (reply, mut answer) = oneshot::channel();
    bench.tell(Intake::Admin(Admin::RevokeAgent { name: name.parse().unwrap(), reply }));
    answer.try_recv().unwrap()
}

fn join(bench: &mut Bench, agent: u8, string: &JoinString) -> Option<JoinReply> {
    let (reply, mut answer) = oneshot::channel();
    let request = JoinRequest { token: string.token, secret: string.secret, software: "test".to_owned() };
    bench.tell(Intake::Join { agent: AgentKey([agent; 32]), request, reply });
    answer.try_recv().ok()
}

fn empty() -> Bench {
    Bench::new(config(vec![monitor("shop", &REGIONS)], &[]))
}

#[test]
fn an_agent_joins_once_and_is_on_the_roster_when_it_hears_so() {
    let mut bench = empty();
    let string = add(&mut bench, "eu-1", "a").unwrap();
    assert_eq!((string.aggregator, string.address.as_str()), (AGGREGATOR, "host:4433"));
    assert_eq!(bench.roster.joining_until, Some(bench.now.wall.after(protocol::JOIN_TOKEN_LIFETIME)));
    let enrolled = JoinReply::Enrolled { name: "eu-1".parse().unwrap(), region: "a".parse().unwrap() };
    assert_eq!(join(&mut bench, 1, &string), Some(enrolled.clone()));
    let record = &bench.roster.agents[&AgentKey([1; 32])];
    assert_eq!((record.name.as_str(), record.labels["provider"].as_str()), ("eu-1", "aws"));
    assert_eq!(join(&mut bench, 1, &string), Some(enrolled), "the same key may ask again");
    assert_eq!(join(&mut bench, 2, &string), Some(JoinReply::Refused), "another may not");
    assert_eq!(bench.roster.joining_until, None);
    let recovered = bench.recovered();
    assert_eq!(recovered.agents.len(), 1);
    let stored = format!("{:?}", recovered.join_tokens);
    assert!(!stored.contains(&format!("{:?}", string.secret)), "the secret itself is nowhere");
}

#[test]
fn tokens_are_refused_that_are_wrong_old_or_for_a_name_that_is_taken() {
    let mut bench = empty();
    let good = add(&mut bench, "eu-1", "a").unwrap();
    let mut wrong = good.clone();
    wrong.secret[0] ^= 1;
    assert_eq!(join(&mut bench, 1, &wrong), Some(JoinReply::Refused));
    wrong = good.clone();
    wrong.token[0] ^= 1;
    assert_eq!(join(&mut bench, 1, &wrong), Some(JoinReply::Refused));
    let second = add(&mut bench, "eu-1", "a").unwrap();
    assert!(matches!(join(&mut bench, 1, &good), Some(JoinReply::Enrolled { .. })));
    assert_eq!(join(&mut bench, 2, &second), Some(JoinReply::Refused), "the name is taken by now");
    let third = add(&mut bench, "eu-2", "a").unwrap();
    assert_eq!(join(&mut bench, 1, &third), Some(JoinReply::Refused), "one key, one agent");
    bench.pass(protocol::JOIN_TOKEN_LIFETIME);
    assert_eq!(join(&mut bench, 3, &third), Some(JoinReply::Refused), "too old");
    assert_eq!(bench.roster.agents.len(), 1);
}

#[test]
fn operators_are_told_what_is_wrong() {
    let mut bench = empty();
    let string = add(&mut bench, "eu-1", "a").unwrap();
    join(&mut bench, 1, &string);
    assert_eq!(add(&mut bench, "eu-1", "a"), Err(AdminError::NameTaken("eu-1".parse().unwrap())));
    let error = add(&mut bench, "eu-2", "moon").unwrap_err();
    assert_eq!(error.to_string(), "region moon is not configured; known regions: a, b, c, d, e");
    assert_eq!(revoke(&mut bench, "eu-9"), Err(AdminError::NoSuchAgent("eu-9".parse().unwrap())));
}

#[test]
fn a_join_that_was_not_stored_did_not_happen() {
    let mut bench = empty();
    let string = add(&mut bench, "eu-1", "a").unwrap();
    bench.disk = Disk::Fails(crate::store::CommitError::Full);
    assert_eq!(join(&mut bench, 1, &string), None, "no answer, and no refusal");
    assert!(!bench.core.enrolment.is_active(&AgentKey([1; 32])));
    bench.disk = Disk::Good;
    bench.pass(S(2));
    assert!(matches!(join(&mut bench, 1, &string), Some(JoinReply::Enrolled { .. })));
}

#[test]
fn two_keys_race_for_one_token() {
    let mut bench = empty();
    let string = add(&mut bench, "eu-1", "a").unwrap();
    bench.disk = Disk::Stuck;
    assert_eq!(join(&mut bench, 1, &string), None);
    assert_eq!(
        join(&mut bench, 2, &string),
        Some(JoinReply::Refused),
        "the first one is not on the disk yet"
    );
    bench.unstick();
    assert!(matches!(join(&mut bench, 1, &string), Some(JoinReply::Enrolled { .. })));
}

#[test]
fn a_revoked_agent_is_out_at_once_and_stays_out() {
    let mut bench = Bench::watching(&[]);
    bench.work(20, &[]);
    bench.pushes(0);
    let record = revoke(&mut bench, "a-0").unwrap();
    assert_eq!(record.revoked_at, Some(bench.now.wall));
    assert_eq!(bench.pushes(0), [Push::Close(CloseCode::Revoked)]);
    assert!(!bench.roster.agents.contains_key(&record.key));
    let mut ack = bench.batch(0, vec![check("shop", Outcome::Passed)]);
    bench.pass(S(1));
    assert_ne!(acked(&mut ack), Some(AckVerdict::Stored));
    assert!(bench.picture.agents.iter().all(|view| view.key != record.key));
    let votes = &bench.picture.monitors[0].regions[0];
    assert_eq!(votes.vote.name(), "abstain", "{votes:?}");
    bench.connect(0, 0);
    assert_eq!(bench.pushes(0), [Push::Close(CloseCode::Revoked)]);
    bench.kill(config(vec![monitor("shop", &REGIONS)], &[]));
    assert!(!bench.roster.agents.contains_key(&record.key));
    assert_eq!(bench.roster.agents.len(), 4);
}

#[test]
fn with_the_disk_full_an_agent_is_revoked_all_the_same() {
    let mut bench = Bench::watching(&[]);
    bench.pass(S(1));
    bench.disk = Disk::Fails(crate::store::CommitError::Full);
    bench.pushes(0);
    assert_eq!(revoke(&mut bench, "a-0").err(), Some(AdminError::Storage));
    assert_eq!(bench.pushes(0), [Push::Close(CloseCode::Revoked)]);
    bench.disk = Disk::Good;
    bench.pass(S(2));
    let key = bench.key(0);
    let recovered = bench.recovered();
    assert!(recovered.agents.iter().any(|agent| agent.key == key && agent.revoked_at.is_some()));
}

#[test]
fn an_agent_that_was_revoked_may_join_anew_elsewhere() {
    let mut bench = empty();
    let first = add(&mut bench, "eu-1", "a").unwrap();
    join(&mut bench, 1, &first);
    let revision = bench.core.assignments.revision;
    revoke(&mut bench, "eu-1").unwrap();
    assert_eq!(join(&mut bench, 1, &first), Some(JoinReply::Refused), "the token is used");
    let second = add(&mut bench, "eu-1", "b").unwrap();
    assert!(matches!(join(&mut bench, 1, &second), Some(JoinReply::Enrolled { .. })));
    assert!(bench.core.assignments.revision > revision, "what it was given in its old region is out of date");
}
