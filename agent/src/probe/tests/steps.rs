//! What is said and expected, on real sockets: servers with logins, heartbeats, streams and counters of their own.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use quorate_proto::{
    FailureKind, Matcher, Micros, MonitorSpec, Outcome, Payload, Phase, Step,
    outcome::ContentFault,
    step::{Capture, CaptureFrom, Condition, Demand, Expect, JsonTest, JsonType, Must, Reply, Stream},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use super::{
    super::{Checked, plan::Plan},
    SHORT, assert_failed, check, prober,
    server::{Act, echo, frame, scripted, text},
    spec,
};

type Connection = WebSocketStream<TcpStream>;

/// Serves everyone who connects, each by a task of its own; `serve` gets the number of the connection, from 1.
async fn served<F>(serve: impl Fn(Connection, u64) -> F + Send + Sync + 'static) -> SocketAddr
where
    F: Future<Output = Option<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = AtomicU64::new(0);
    let serve = Arc::new(serve);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let number = connections.fetch_add(1, Ordering::Relaxed) + 1;
            let serve = Arc::clone(&serve);
            tokio::spawn(async move {
                let socket = tokio_tungstenite::accept_async(stream).await.ok()?;
                serve(socket, number).await
            });
        }
    });
    address
}

/// The next text, with pings answered on the way.
async fn heard(socket: &mut Connection) -> Option<String> {
    loop {
        match socket.next().await?.ok()? {
            Message::Text(text) => return Some(text.to_string()),
            Message::Close(_) => return None,
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}

async fn say(socket: &mut Connection, text: impl Into<String>) -> Option<()> {
    socket.send(Message::text(text.into())).await.ok()
}

/// Checks a server, and gives what was found.
async fn checked(address: SocketAddr, of: impl Fn(&mut MonitorSpec)) -> Checked {
    let mut spec = spec(&format!("ws://{address}/"));
    of(&mut spec);
    check(&prober(), &spec).await
}

fn json(pointer: &str) -> Matcher {
    Matcher::of(Condition::Json { pointer: pointer.into(), test: JsonTest::Type(JsonType::Integer) })
}

fn expect(matcher: Matcher) -> Step {
    Step::expect(matcher, None)
}

fn take(matcher: Matcher, name: &str, pointer: &str) -> Step {
    let captures = vec![Capture { name: name.into(), from: CaptureFrom::Json(pointer.into()) }];
    Step::Expect(Expect { matcher, within: None, captures, demands: Vec::new() })
}

#[tokio::test]
async fn several_round_trips_on_one_connection_are_summed_up() {
    let connections = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&connections);
    let address = served(move |mut socket, number| {
        seen.store(number, Ordering::Relaxed);
        async move {
            // One login a connection, and answers that take longer and longer.
            let token = heard(&mut socket).await.filter(|text| text == "login")?;
            say(&mut socket, format!("{{\"token\":\"{token}-1\"}}")).await?;
            for count in 1_u64.. {
                let asked = heard(&mut socket).await?;
                assert_eq!(asked, format!("login-1 {count}"));
                tokio::time::sleep(Duration::from_millis(10 * count)).await;
                say(&mut socket, format!("answer {count}")).await?;
            }
            Some(())
        }
    })
    .await;
    let found = checked(address, |spec| {
        spec.hello = vec![Step::send("login"), take(Matcher::ANY, "token", "/token")];
        spec.steps = vec![Step::send("{{token}} {{count}}"), expect(Matcher::contains("answer {{count}}"))];
        spec.samples = 5;
    })
    .await;
    assert_eq!(found.outcome, Outcome::Passed);
    assert_eq!(connections.load(Ordering::Relaxed), 1);
    let trips = found.timings.samples.unwrap();
    assert_eq!((trips.count, Some(trips.max)), (5, found.timings.round_trip));
    let ms = Micros::from_millis;
    assert!(trips.min >= ms(10) && trips.p50 >= ms(30) && trips.max >= ms(50), "{trips:?}");
    assert!(trips.min < trips.p50 && trips.p50 < trips.max && trips.jitter > Micros::ZERO, "{trips:?}");
}

#[tokio::test]
async fn one_round_trip_has_no_summary() {
    let found = checked(echo().await, |spec| spec.steps = vec![Step::Ping { within: None }]).await;
    assert_eq!((found.outcome, found.timings.samples), (Outcome::Passed, None));
    assert!(found.timings.round_trip.is_some());
}

/// A server in the manner of Engine.IO: its own heartbeat wants an answer before it says anything else.
#[tokio::test]
async fn heartbeats_of_the_servers_own_are_answered_at_any_time() {
    let address = served(|mut socket, _| async move {
        say(&mut socket, "2").await?;
        assert_eq!(heard(&mut socket).await?, "3");
        say(&mut socket, "open").await?;
        assert_eq!(heard(&mut socket).await?, "hello");
        // While a ping of the client's is under way, and then while it waits for a message.
        for _ in 0..3 {
            say(&mut socket, "2").await?;
            assert_eq!(heard(&mut socket).await?, "3");
        }
        say(&mut socket, "data").await?;
        heard(&mut socket).await.map(drop)
    })
    .await;
    let found = checked(address, |spec| {
        spec.hello = vec![expect(Matcher::contains("open"))];
        spec.steps =
            vec![Step::send("hello"), Step::Ping { within: None }, expect(Matcher::contains("data"))];
        spec.replies = vec![Reply { to: Matcher::regex("^2$"), with: Payload::Text("3".into()) }];
    })
    .await;
    assert_eq!(found.outcome, Outcome::Passed);
}

#[tokio::test]
async fn binary_messages_are_sent_and_expected() {
    let bytes = vec![0x10, 0x0c, 0x00, 0xff];
    let wanted = |prefix: &[u8]| expect(Matcher::of(Condition::Prefix(prefix.to_vec())));
    let says = |step| {
        let bytes = bytes.clone();
        move |spec: &mut MonitorSpec| {
            spec.timeout = SHORT;
            spec.steps = vec![Step::Send(Payload::Binary(bytes.clone())), Step::clone(&step)];
        }
    };
    let echo = echo().await;
    assert_eq!(checked(echo, says(wanted(&[0x10, 0x0c]))).await.outcome, Outcome::Passed);
    let found = checked(echo, says(wanted(&[0x20]))).await;
    let words = "no message beginning with 20 came within 800ms, but 1 other message";
    assert_failed("prefix", &found, &FailureKind::ReplyTimeout, Phase::Exchange, words);
}

/// Streams that stop, that have gaps, that repeat, that are old.
#[tokio::test]
async fn streams_are_listened_to() {
    let says = |messages: &[&str]| {
        let said: Vec<u8> = messages.iter().flat_map(|message| text(message)).collect();
        vec![Act::Upgrade(""), Act::Say(said), Act::Hold]
    };
    let content = FailureKind::Content;
    let follow = vec![Demand { pointer: "/n".into(), must: Must::Follow }];
    let fresh = vec![Demand { pointer: "/n".into(), must: Must::BeFresh { age: Micros::from_secs(5) } }];
    for (messages, demands, kind, words) in [
        (&[r#"{"n":1}"#, r#"{"n":2}"#, "noise", r#"{"n":3}"#][..], &follow, None, ""),
        (
            &[r#"{"n":1}"#, r#"{"n":2}"#, "noise"],
            &follow,
            Some(FailureKind::StreamStale),
            "where one is due every 150ms; 2 of 3 had come, but 1 other message: noise",
        ),
        (
            &[r#"{"n":1}"#, r#"{"n":5}"#],
            &follow,
            Some(content(ContentFault::SequenceGap)),
            "/n is 5 after 1: 3 are missing",
        ),
        (
            &[r#"{"n":1}"#, r#"{"n":1}"#],
            &follow,
            Some(content(ContentFault::SequenceRepeat)),
            "/n is 1 once more",
        ),
        (
            &[r#"{"n":1600000000}"#],
            &fresh,
            Some(content(ContentFault::TooOld)),
            "old; at most 5s are allowed",
        ),
    ] {
        let found = checked(scripted(says(messages)).await, |spec| {
            let stream = Stream {
                matcher: json("/n"),
                every: Micros::from_millis(150),
                messages: 3,
                demands: demands.clone(),
            };
            spec.steps = vec![Step::Stream(stream)];
        })
        .await;
        match kind {
            None => assert_eq!(found.outcome, Outcome::Passed),
            Some(kind) => assert_failed(words, &found, &kind, Phase::Exchange, words),
        }
    }
}

/// The check's own deadline is not the stream's fault, and says how far it came.
#[tokio::test]
async fn a_stream_that_outlasts_the_check_says_how_far_it_came() {
    let ticking = served(|mut socket, _| async move {
        loop {
            say(&mut socket, "tick").await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    let found = checked(ticking, |spec| {
        spec.timeout = SHORT;
        let every = Micros::from_secs(5);
        let stream = Stream { matcher: Matcher::contains("tick"), every, messages: 999, demands: Vec::new() };
        spec.steps = vec![Step::Stream(stream)];
    })
    .await;
    let words = "of 999 had come within 800ms, the last ";
    assert_failed("stream", &found, &FailureKind::StreamStale, Phase::Exchange, words);
}

/// A node whose blocks stop: each answer by itself is right.
#[tokio::test]
async fn a_counter_that_is_stuck_is_found_from_check_to_check() {
    let address = served(|mut socket, number| async move {
        heard(&mut socket).await?;
        // The third connection and all later ones find no new block.
        let block = 0x1b4 + number.min(3);
        say(&mut socket, format!("{{\"id\":1,\"result\":\"{block:#x}\"}}")).await?;
        heard(&mut socket).await.map(drop)
    })
    .await;
    let mut spec = spec(&format!("ws://{address}/"));
    spec.steps = vec![
        Step::send(r#"{"id":1,"method":"eth_blockNumber"}"#),
        Step::Expect(Expect {
            matcher: Matcher::json_equals("/id", "1"),
            within: None,
            captures: Vec::new(),
            demands: vec![Demand { pointer: "/result".into(), must: Must::Grow { within: Micros::ZERO } }],
        }),
    ];
    let (prober, plan) = (prober(), Plan::new(&spec, None).unwrap());
    for _ in 0..3 {
        let found = prober.check_plan(&plan, spec.timeout, None).await;
        assert_eq!(found.outcome, Outcome::Passed);
    }
    let found = prober.check_plan(&plan, spec.timeout, None).await;
    let words = "/result must grow with every message, and is still 0x1b7 after 439 came ";
    let kind = FailureKind::Content(ContentFault::NotGrowing);
    assert_failed("stuck", &found, &kind, Phase::Exchange, words);
    // What is prepared anew remembers nothing.
    let plan = Plan::new(&spec, None).unwrap();
    assert_eq!(prober.check_plan(&plan, spec.timeout, None).await.outcome, Outcome::Passed);
}

#[tokio::test]
async fn endings_within_a_conversation_say_where_it_stood() {
    for (then, kind, words) in [
        (vec![], FailureKind::Dropped, "no message containing \"ready\" came before, nor anything else"),
        (
            vec![Act::Say(text("2")), Act::Hear],
            FailureKind::Dropped,
            "came before, but 1 message that was replied to",
        ),
        (
            vec![Act::Say(frame(0x88, b"\x11\x31who?")), Act::Hold],
            FailureKind::Closed { code: 4401, reason: "who?".into() },
            "says: who?",
        ),
    ] {
        let script = [vec![Act::Upgrade("")], then].concat();
        let found = checked(scripted(script).await, |spec| {
            spec.hello = vec![expect(Matcher::contains("ready"))];
            spec.steps = vec![Step::Ping { within: None }];
            spec.replies = vec![Reply { to: Matcher::regex("^2$"), with: Payload::Text("3".into()) }];
        })
        .await;
        assert_failed(words, &found, &kind, Phase::Exchange, words);
        assert_eq!(found.timings.round_trip, None);
    }
}

/// What was measured is told also where a later round trip fails.
#[tokio::test]
async fn round_trips_before_a_failure_are_told() {
    let address = served(|mut socket, _| async move {
        for _ in 0..2 {
            heard(&mut socket).await?;
            say(&mut socket, "ok").await?;
        }
        heard(&mut socket).await?;
        std::future::pending::<()>().await;
        Some(())
    })
    .await;
    let found = checked(address, |spec| {
        spec.timeout = SHORT;
        spec.steps = vec![Step::send("a"), expect(Matcher::contains("ok"))];
        spec.samples = 3;
    })
    .await;
    assert_failed("third", &found, &FailureKind::ReplyTimeout, Phase::Exchange, "within 800ms");
    assert_eq!(found.timings.samples.unwrap().count, 2);
    assert!(found.timings.round_trip.is_some());
}
