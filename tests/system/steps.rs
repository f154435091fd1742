//! What is said and expected, against servers that we did not write: npm's `ws` and PyPI's `websockets` publish a stream, a
//! chain's height, and want a login with a heartbeat of its own; and each of them is broken in the ways that a monitor is to
//! name.

use std::sync::Arc;

use anyhow::{Context, Result};
use quorate_agent::{
    egress::Egress,
    probe::{Nameservers, Options, Prober},
};
use quorate_proto::{
    Failure, FailureKind, Matcher, Micros, MonitorSpec, Outcome, Payload, Step, Timings,
    outcome::ContentFault,
    step::{Capture, CaptureFrom, Condition, Demand, Expect, JsonTest, JsonType, Must, Reply, Stream},
};
use quorate_tests::{
    process::Process,
    requirement::{Requirement, available},
    servers::{free_port, node_feed, python_feed},
};

#[tokio::test]
async fn what_ws_says_is_judged() -> Result<()> {
    if available("what_ws_says_is_judged", &[Requirement::NodeWs]) {
        judged(node_feed).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_websockets_says_is_judged() -> Result<()> {
    if available("what_websockets_says_is_judged", &[Requirement::PythonWebsockets]) {
        judged(python_feed).await?;
    }
    Ok(())
}

type Change = fn(&mut MonitorSpec);

/// Checks one server in every way, and holds each check to what is to be found.
async fn judged(start: fn(&std::path::Path, u16) -> Result<Process>) -> Result<()> {
    use ContentFault::{NotGrowing, SequenceGap, SequenceRepeat, TooOld};
    let folder = tempfile::TempDir::with_prefix("quorate-steps-")?;
    let port = free_port()?;
    let _server = start(folder.path(), port)?;
    let options =
        Options { egress: Egress::Private, region: None, nameservers: Nameservers::System, proxy: None };
    let prober = Prober::new(options)?;
    let content = |fault| Some(FailureKind::Content(fault));
    let closed = FailureKind::Closed { code: 4401, reason: "Unauthorized".into() };
    let dull = FailureKind::Closed { code: 1008, reason: "no heartbeat".into() };
    let cases: [(&str, Change, Option<FailureKind>, &str); 11] = [
        ("ticks", listen, None, ""),
        ("ticks/stops", listen, Some(FailureKind::StreamStale), "3 of 8 had come"),
        ("ticks/gap", listen, content(SequenceGap), "/sequence is 6 after 3: 2 are missing"),
        ("ticks/repeats", listen, content(SequenceRepeat), "/sequence is 3 once more"),
        ("ticks/old", listen, content(TooOld), "at most 30s are allowed"),
        ("chain", block_number, None, ""),
        (
            "chain/stuck",
            block_number,
            content(NotGrowing),
            "/result must grow with every message, and is still",
        ),
        ("login", log_in, None, ""),
        ("login", wrong_number, Some(closed), "Unauthorized"),
        ("login", deaf_to_heartbeats, Some(dull), "no heartbeat"),
        ("login", wrong_answer, Some(FailureKind::ReplyTimeout), "{{session}}\"}"),
    ];
    for (path, change, kind, words) in cases {
        let url = format!("ws://127.0.0.1:{port}/{path}");
        let (interval, timeout) = (Micros::from_secs(60), Micros::from_secs(5));
        let mut spec =
            MonitorSpec { steps: Vec::new(), ..MonitorSpec::new("m".parse()?, url, interval, timeout) };
        change(&mut spec);
        let checked = prober.check(&spec, None).await;
        println!("MEASURED {path}: {:?} in {}", name(&checked.outcome), checked.timings.total);
        let found = failure(&checked.outcome);
        assert_eq!(found.map(|failure| &failure.kind), kind.as_ref(), "{path}: {found:?}");
        let detail = found.map_or("", |failure| failure.detail.as_str());
        assert!(detail.contains(words), "{path}: {detail}");
        if path == "login" && kind.is_none() {
            summed_up(&checked.timings)?;
        }
    }
    // Each check for itself finds nothing wrong: what is remembered from one to the next does.
    let url = format!("ws://127.0.0.1:{port}/chain/stuck");
    let mut spec = MonitorSpec::new("m".parse()?, url, Micros::from_secs(60), Micros::from_secs(5));
    block_number(&mut spec);
    spec.samples = 1;
    let monitor = prober.prepare(Arc::new(spec));
    let mut found = Vec::new();
    for _ in 0..3 {
        found.push(name(&prober.check_prepared(&monitor, None).await.outcome));
    }
    assert_eq!(found, ["passed", "content not_growing", "content not_growing"]);
    Ok(())
}

/// Each answer takes the server 50 ms, and its heartbeats in between change nothing.
fn summed_up(timings: &Timings) -> Result<()> {
    let trips = timings.samples.context("no samples")?;
    println!("MEASURED five round trips: {trips:?}");
    assert_eq!((trips.count, Some(trips.max)), (5, timings.round_trip));
    assert!(trips.min >= Micros::from_millis(49), "{trips:?}");
    assert!(trips.min <= trips.p50 && trips.p50 <= trips.max, "{trips:?}");
    Ok(())
}

fn failure(outcome: &Outcome) -> Option<&Failure> {
    match outcome {
        Outcome::Passed => None,
        Outcome::Failed(failure) => Some(failure),
    }
}

fn name(outcome: &Outcome) -> String {
    failure(outcome).map_or_else(|| "passed".to_owned(), |failure| failure.kind.to_string())
}

fn integer(pointer: &str) -> Matcher {
    Matcher::of(Condition::Json { pointer: pointer.into(), test: JsonTest::Type(JsonType::Integer) })
}

/// A stream of ticks without gaps, each of them fresh.
fn listen(spec: &mut MonitorSpec) {
    let age = Micros::from_secs(30);
    spec.steps = vec![Step::Stream(Stream {
        matcher: integer("/sequence"),
        every: Micros::from_millis(1_500),
        messages: 8,
        demands: vec![
            Demand { pointer: "/sequence".into(), must: Must::Follow },
            Demand { pointer: "/at".into(), must: Must::BeFresh { age } },
        ],
    })];
}

/// A chain that grows from one question to the next.
fn block_number(spec: &mut MonitorSpec) {
    spec.samples = 3;
    spec.steps = vec![
        Step::send(r#"{"jsonrpc":"2.0","id":{{count}},"method":"eth_blockNumber","params":[]}"#),
        Step::Expect(Expect {
            matcher: Matcher::json_equals("/id", "{{count}}"),
            within: None,
            captures: Vec::new(),
            demands: vec![Demand { pointer: "/result".into(), must: Must::Grow { within: Micros::ZERO } }],
        }),
    ];
}

/// One login, and then round trips with the session that it gave, between the server's heartbeats. The session has quotes
/// in it, so that it must be escaped where it is put.
fn log_in(spec: &mut MonitorSpec) {
    let take =
        |name: &str, pointer: &str| Capture { name: name.into(), from: CaptureFrom::Json(pointer.into()) };
    spec.hello = vec![
        Step::send(r#"{"type":"login"}"#),
        Step::Expect(Expect {
            matcher: Matcher::json_equals("/type", "\"welcome\""),
            within: None,
            captures: vec![take("session", "/session"), take("number", "/number")],
            demands: Vec::new(),
        }),
    ];
    spec.steps = vec![ask("{{number}}"), answer("\"{{session}}\"")];
    spec.samples = 5;
    spec.replies = vec![Reply { to: Matcher::regex("^2$"), with: Payload::Text("3".into()) }];
}

fn ask(number: &str) -> Step {
    let session = r#""type":"ask","session":"{{session}}","count":{{count}}"#;
    Step::send(format!("{{{session},\"number\":{number}}}"))
}

fn answer(session: &str) -> Step {
    let is = |pointer: &str, value: &str| Condition::Json {
        pointer: pointer.into(),
        test: JsonTest::Equals(value.into()),
    };
    let conditions = vec![is("/type", "\"answer\""), is("/count", "{{count}}"), is("/for", session)];
    Step::expect(Matcher { conditions }, None)
}

/// The server looks at what was captured.
fn wrong_number(spec: &mut MonitorSpec) {
    log_in(spec);
    spec.steps = vec![ask("{{number}}1"), answer("\"{{session}}\"")];
}

/// The server gives up whoever does not answer it.
fn deaf_to_heartbeats(spec: &mut MonitorSpec) {
    log_in(spec);
    spec.replies = Vec::new();
    spec.samples = 100;
}

/// What is captured is looked for, and is not told.
fn wrong_answer(spec: &mut MonitorSpec) {
    log_in(spec);
    spec.timeout = Micros::from_millis(600);
    spec.steps = vec![ask("{{number}}"), answer("\"{{session}} and more\"")];
}
