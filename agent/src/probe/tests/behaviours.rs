//! What servers do once they are connected to.

use futures_util::future::join_all;
use quorate_proto::{
    FailureKind, Matcher, Micros, MonitorSpec, Outcome, Phase, Step, limits as protocol,
    outcome::UpgradeFault,
};

use super::{
    SHORT, assert_failed, check, failure, prober,
    server::{Act, close, echo, frame, scripted, text},
    spec,
};
use crate::limits;

fn say(bytes: &[u8]) -> Act {
    Act::Say(bytes.to_vec())
}

fn expect(matcher: Matcher) -> Step {
    Step::expect(matcher, None)
}

fn json(pointer: &str, value: &str) -> Matcher {
    Matcher::json_equals(pointer, value)
}

fn send(text: &str) -> Step {
    Step::send(text)
}

/// Serves a script, checks it, and holds the failure to what is wanted.
async fn refused(script: Vec<Act>, spec_of: impl Fn(&mut MonitorSpec), kind: FailureKind, words: &str) {
    let name = format!("{script:?}");
    let name = name.chars().take(120).collect::<String>();
    let address = scripted(script).await;
    let mut spec = spec(&format!("ws://{address}/"));
    spec_of(&mut spec);
    let phase = if spec.steps.is_empty() { Phase::Upgrade } else { Phase::Exchange };
    let checked = check(&prober(), &spec).await;
    assert_failed(&name, &checked, &kind, phase, words);
    assert_eq!(checked.address, Some(address.ip()), "{name}");
    if let FailureKind::UpgradeStatus(status) = kind {
        assert_eq!(checked.facts.status, Some(status), "{name}");
    }
}

#[tokio::test]
async fn wrong_answers_to_the_upgrade() {
    use UpgradeFault as Fault;
    let invalid = FailureKind::UpgradeInvalid;
    let right = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: ACCEPT\r\n\r\n";
    let answer = |text: &'static str| vec![Act::Head, Act::Answer(text), Act::Hold];
    let said = |text: &str| vec![Act::Head, say(text.as_bytes()), Act::Hold];
    for (script, kind, words) in [
        (
            vec![Act::Upgrade("Sec-WebSocket-Extensions: permessage-deflate\r\n"), Act::Hold],
            invalid(Fault::Extension),
            "permessage-deflate",
        ),
        (
            vec![Act::Upgrade("Sec-WebSocket-Protocol: v9\r\n"), Act::Hold],
            invalid(Fault::Subprotocol),
            "\"v9\"",
        ),
        (
            said(&right.replace("ACCEPT", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")),
            invalid(Fault::AcceptMismatch),
            "is due",
        ),
        (
            said(&right.replace("Sec-WebSocket-Accept: ACCEPT\r\n", "")),
            invalid(Fault::AcceptMissing),
            "101 without",
        ),
        (
            answer("HTTP/1.1 101 x\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n\r\n"),
            invalid(Fault::UpgradeHeader),
            "upgrade: websocket",
        ),
        (
            answer("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ACCEPT\r\n\r\n"),
            invalid(Fault::ConnectionHeader),
            "connection: Upgrade",
        ),
        (
            answer(
                "HTTP/1.0 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n\r\n",
            ),
            invalid(Fault::HttpVersion),
            "HTTP/1.0",
        ),
        (
            vec![say(b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n"), Act::Hold],
            invalid(Fault::NotHttp),
            "SSH-2.0-OpenSSH",
        ),
        (
            vec![Act::Head, Act::Flood(b"X-Padding: 1234567890\r\n".to_vec())],
            invalid(Fault::NotHttp),
            "X-Padding",
        ),
        (
            vec![Act::Head, say(b"HTTP/1.1 101 x\r\n"), Act::Flood(b"X-Padding: 1234567890\r\n".to_vec())],
            invalid(Fault::HeadTooLarge),
            "header lines",
        ),
        (
            vec![Act::Head, say(b"HTTP/1.1 101 x\r\nX: "), Act::Flood(vec![b'a'; 1000])],
            invalid(Fault::HeadTooLarge),
            "not the end of its head",
        ),
        (
            vec![Act::Head, Act::Flood(b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec())],
            invalid(Fault::NotHttp),
            "interim",
        ),
        (vec![Act::Head], FailureKind::Dropped, "no answer came before the end"),
        (vec![Act::Head, say(b"HTTP/1.1 101 Swi")], FailureKind::Dropped, "16 bytes of an answer came"),
        (vec![Act::Hear, Act::Reset], FailureKind::ConnectionReset, "instead of an answer"),
    ] {
        refused(script, |_| {}, kind, words).await;
    }
}

#[tokio::test]
async fn upgrades_that_never_come() {
    for (script, words) in [
        (vec![Act::Hold], "no answer to the upgrade request came within 800ms"),
        (vec![Act::Head, say(b"HTTP/1.1 101 Swi"), Act::Hold], "16 bytes of an answer came"),
        (
            vec![
                Act::Head,
                Act::Drip(b"HTTP/1.1 101 Switching Protocols\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"),
            ],
            "and not the end of its head within 800ms",
        ),
    ] {
        refused(script, |spec| spec.timeout = SHORT, FailureKind::UpgradeTimeout, words).await;
    }
}

#[tokio::test]
async fn refusals_keep_status_server_and_body() {
    let long = format!("HTTP/1.1 503 x\r\nServer: {}\r\n\r\n{}", "s".repeat(4000), "b".repeat(9000));
    for (answer, status, server, body) in [
        (
            "HTTP/1.1 502 Bad Gateway\r\nServer: nginx/1.24.0\r\nContent-Length: 21\r\n\r\n<h1>Bad Gateway</h1>\r\n",
            502,
            Some("nginx/1.24.0"),
            "<h1>Bad Gateway</h1>",
        ),
        (
            "HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nupgrad\r\n2\r\ne!\r\n0\r\n\r\n",
            400,
            None,
            "upgrade!",
        ),
        ("HTTP/1.0 404 Not Found\r\n\r\nnothing\x1b[2J here", 404, None, "nothing\u{fffd}[2J here"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, None, ""),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 426 Upgrade Required\r\nContent-Length: 100\r\n\r\nonly this",
            426,
            None,
            "only this",
        ),
        (long.as_str(), 503, Some("sss"), "bbb"),
    ] {
        // One holds the connection open after its answer, as keep-alive does; the other ends it.
        for last in [vec![Act::Hold], vec![]] {
            let script = [vec![Act::Head, say(answer.as_bytes())], last].concat();
            let address = scripted(script).await;
            let checked = check(&prober(), &spec(&format!("ws://{address}/"))).await;
            assert_failed(answer, &checked, &FailureKind::UpgradeStatus(status), Phase::Upgrade, "");
            let refusal = failure(&checked).refusal.clone().unwrap();
            assert_eq!(refusal.status, status);
            match server {
                None => assert_eq!(refusal.server, None),
                Some(server) => assert!(refusal.server.unwrap().starts_with(server)),
            }
            assert!(refusal.body.trim_end().starts_with(body), "{:?}", refusal.body);
            assert!(refusal.body.len() <= protocol::BODY_EXCERPT_BYTES_MAX);
        }
    }
}

#[tokio::test]
async fn endings_and_violations_after_the_upgrade() {
    let closed = |code, reason: &str| FailureKind::Closed { code, reason: reason.into() };
    let violation = FailureKind::ProtocolViolation;
    let huge = [&[0x82, 127][..], &(2_u64 << 20).to_be_bytes()].concat();
    let fragments = [frame(0x01, b"a"), frame(0x80, b"b"), frame(0x80, b"c")].concat();
    for (then, kind, words) in [
        (vec![], FailureKind::Dropped, "nor anything else"),
        (
            vec![say(&text("one")), say(&text("two"))],
            FailureKind::Dropped,
            "came before, but 2 other messages, the last: two",
        ),
        (vec![Act::Reset], FailureKind::ConnectionReset, "reset"),
        (vec![say(&close(1000, "")), Act::Hold], closed(1000, ""), "no reason"),
        (
            vec![say(&close(1011, "out of memory")), Act::Hold],
            closed(1011, "out of memory"),
            "says: out of memory",
        ),
        (vec![say(&close(4401, "Unauthorized"))], closed(4401, "Unauthorized"), "Unauthorized"),
        (vec![say(&close(1002, "Protocol violation"))], closed(1002, "Protocol violation"), ""),
        (vec![say(&close(1006, "forbidden"))], closed(1006, ""), ""),
        (vec![say(&close(1005, ""))], closed(1005, ""), ""),
        (vec![say(&close(1000, "a\x1b[2Jb"))], closed(1000, "a\\u{1b}[2Jb"), ""),
        (vec![say(&frame(0x88, b"")), Act::Hold], closed(1005, ""), "no code"),
        (vec![say(&frame(0x88, b"x")), Act::Hold], violation.clone(), "close sequence"),
        (vec![say(b"\x81\x85\x01\x02\x03\x04aaaaa"), Act::Hold], violation.clone(), "masked"),
        (vec![say(&frame(0xc1, b"rsv")), Act::Hold], violation.clone(), "reserved bits"),
        (vec![say(&frame(0x83, b"")), Act::Hold], violation.clone(), "opcode"),
        (vec![say(&frame(0x8b, b"")), Act::Hold], violation.clone(), "opcode"),
        (vec![say(&frame(0x09, b"")), Act::Hold], violation.clone(), "fragmented control"),
        (vec![say(&frame(0x81, b"\xff\xfe")), Act::Hold], violation.clone(), "UTF-8"),
        (vec![say(&fragments), Act::Hold], violation, "continuation"),
        (vec![say(&huge), Act::Hold], FailureKind::TooLarge, "2097152 bytes"),
        (vec![Act::Flood(frame(0x89, b"p"))], FailureKind::ReplyMismatch, "but 1000 pings or pongs"),
        (
            vec![Act::Flood(text("noise"))],
            FailureKind::ReplyMismatch,
            "but 1000 other messages, the last: noise",
        ),
        (
            vec![Act::Flood([&[0x82, 126, 0xff, 0xff][..], &[0; 65_535]].concat())],
            FailureKind::ReplyMismatch,
            " bytes, but ",
        ),
    ] {
        let script = [vec![Act::Upgrade("")], then].concat();
        let waits = |spec: &mut MonitorSpec| spec.steps = vec![expect(Matcher::contains("never"))];
        refused(script, waits, kind, words).await;
    }
}

/// A server that closes and resets at once: what it said counts, whether our own message was still taken or not.
#[tokio::test]
async fn a_close_frame_is_heard_even_where_sending_fails() {
    let script = vec![Act::Upgrade(""), say(&close(1013, "try again later")), Act::Reset];
    let speaks = |spec: &mut MonitorSpec| {
        spec.steps = vec![send("a"), send("b"), send("c"), expect(Matcher::ANY)];
    };
    let kind = FailureKind::Closed { code: 1013, reason: "try again later".into() };
    refused(script, speaks, kind, "try again later").await;
}

#[tokio::test]
async fn frames_may_come_together_with_the_answer() {
    let address = scripted(vec![
        Act::Head,
        Act::Answer(
            "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
                     Sec-WebSocket-Accept: ACCEPT\r\n\r\n\u{1}\u{1}a\u{0}\u{1}b",
        ),
        say(b"\x80\x02cd"),
        Act::Hold,
    ])
    .await;
    let mut spec = spec(&format!("ws://{address}/"));
    spec.steps = vec![expect(Matcher::contains("abcd"))];
    assert_eq!(check(&prober(), &spec).await.outcome, Outcome::Passed);
}

#[tokio::test]
async fn replies_that_do_not_come() {
    let pong = json("/type", "\"pong\"");
    let others: Vec<u8> = ["{\"type\":\"hello\"}", "x", "{}"].map(text).concat();
    for (then, steps, words) in [
        (
            vec![Act::Hold],
            vec![expect(pong.clone())],
            "no message with /type = \"pong\" came within 800ms, nor anything else",
        ),
        (
            vec![say(&others), Act::Hold],
            vec![send("hi"), expect(pong.clone())],
            "no message with /type = \"pong\" came within 800ms, but 3 other messages, the last: {}",
        ),
        (
            vec![say(&frame(0x89, b"")), say(&others), Act::Hold],
            vec![expect(pong)],
            "but 3 other messages and 1 ping or pong, the last: {}",
        ),
        (
            vec![Act::Hold],
            vec![Step::Ping { within: None }],
            "no pong with our payload came within 800ms, nor anything else",
        ),
        (
            vec![say(&frame(0x8a, b"unasked!")), Act::Hold],
            vec![Step::Ping { within: None }],
            "no pong with our payload came within 800ms, but 1 ping or pong",
        ),
    ] {
        let script = [vec![Act::Upgrade("")], then].concat();
        let asks = |spec: &mut MonitorSpec| {
            spec.timeout = SHORT;
            spec.steps = steps.clone();
        };
        refused(script, asks, FailureKind::ReplyTimeout, words).await;
    }
}

#[tokio::test]
async fn a_steps_own_patience_ends_before_the_checks() {
    let within = Some(Micros::from_millis(150));
    for step in [Step::Ping { within }, Step::expect(Matcher::ANY, within)] {
        let address = scripted(vec![Act::Upgrade(""), Act::Hold]).await;
        let mut spec = spec(&format!("ws://{address}/"));
        spec.steps = vec![step];
        let checked = check(&prober(), &spec).await;
        assert_failed("within", &checked, &FailureKind::ReplyTimeout, Phase::Exchange, "came within 150ms");
        assert!(checked.timings.total < spec.timeout, "{:?}", checked.timings);
    }
}

#[tokio::test]
async fn right_servers_pass() {
    let echo = echo().await;
    let mut spec = spec(&format!("ws://{echo}/path?query"));
    spec.steps = vec![
        send("{\"id\":\"{{nonce}}\",\"at\":{{now_ms}}}"),
        Step::Ping { within: None },
        expect(json("/id", "\"{{nonce}}\"")),
        send("n={{nonce}}"),
        expect(Matcher::regex("^n={{nonce}}$")),
        send("n={{nonce}}"),
        expect(Matcher::contains("={{nonce}}")),
    ];
    let checked = check(&prober(), &spec).await;
    assert_eq!(checked.outcome, Outcome::Passed);
    let timings = checked.timings;
    assert!(timings.dns.is_none() && timings.tls.is_none(), "{timings:?}");
    let phases = [timings.tcp, timings.upgrade, timings.exchange, timings.close];
    assert!(phases.iter().all(Option::is_some), "{timings:?}");
    assert!(timings.round_trip.unwrap() <= timings.exchange.unwrap(), "{timings:?}");
    assert!(phases.iter().flatten().map(|took| took.0).sum::<u64>() <= timings.total.0, "{timings:?}");
    assert_eq!(checked.facts.status, Some(101));
    assert_eq!(checked.facts.close_code, Some(1000));
    assert_eq!(checked.facts.resolved, [echo.ip()]);

    // Without steps the upgrade alone decides.
    spec.steps = Vec::new();
    let checked = check(&prober(), &spec).await;
    assert_eq!((checked.outcome, checked.timings.exchange), (Outcome::Passed, None));
}

/// A server that leaves Nagle's algorithm on holds the second piece of an answer back until the first is acknowledged, for
/// which a kernel waits 40 ms.
#[tokio::test]
async fn an_answer_in_pieces_does_not_wait_for_a_delayed_acknowledgement() {
    let (first, second) = (text("pong 1"), text("pong 2"));
    let (head, tail) = second.split_at(4);
    let pieces = [first.as_slice(), head, tail].map(|piece| Act::Say(piece.to_vec()));
    let goodbye = [Act::Hear, Act::Say(close(1000, ""))];
    let server = scripted([&[Act::Upgrade(""), Act::Hear][..], &pieces, &goodbye].concat()).await;
    let mut spec = spec(&format!("ws://{server}/"));
    spec.steps = vec![send("ping"), expect(Matcher::contains("pong 2"))];
    let mut fastest = Micros::from_secs(1);
    for _ in 0..10 {
        let checked = check(&prober(), &spec).await;
        assert_eq!(checked.outcome, Outcome::Passed);
        fastest = fastest.min(checked.timings.round_trip.unwrap());
    }
    assert!(fastest < Micros::from_millis(35), "{fastest}");
}

#[tokio::test]
async fn legal_oddities_pass() {
    for (script, steps) in [
        // Skipping is allowed, and pings in between are answered.
        (
            vec![
                Act::Upgrade("Sec-WebSocket-Protocol: v1\r\n"),
                say(&text("a")),
                say(&frame(0x89, b"")),
                Act::Hear,
                say(&text("b")),
                Act::Hold,
            ],
            vec![expect(Matcher::contains("b"))],
        ),
        // What came before a broken frame has come, even in one packet.
        (
            vec![Act::Upgrade(""), say(&[&text("x")[..], b"\xc1\x00"].concat()), Act::Hold],
            vec![expect(Matcher::contains("x"))],
        ),
        // A server that never answers our close frame has passed all the same.
        (vec![Act::Upgrade(""), say(&text("x")), Act::Hold], vec![expect(Matcher::ANY)]),
        // So has one that resets the connection by then.
        (vec![Act::Upgrade(""), say(&text("x")), Act::Hear, Act::Reset], vec![expect(Matcher::ANY)]),
    ] {
        let name = format!("{script:?}");
        let address = scripted(script).await;
        let mut spec = spec(&format!("ws://{address}/"));
        spec.subprotocols = vec!["v2".into(), "v1".into()];
        spec.steps = steps;
        let checked = check(&prober(), &spec).await;
        assert_eq!(checked.outcome, Outcome::Passed, "{name}");
        assert!(checked.timings.close.is_some(), "{name}");
        assert_eq!(checked.facts.close_code, None, "{name}");
        assert_eq!(checked.facts.subprotocol.as_deref(), name.contains("v1").then_some("v1"), "{name}");
    }
}

#[tokio::test]
async fn a_close_that_is_not_answered_costs_little() {
    let address = scripted(vec![Act::Upgrade(""), Act::Hold]).await;
    let mut spec = spec(&format!("ws://{address}/"));
    let checked = check(&prober(), &spec).await;
    assert_eq!(checked.outcome, Outcome::Passed);
    assert!(checked.timings.close.unwrap() >= limits::CLOSE_WAIT, "{:?}", checked.timings);
    // The deadline may strike while the answer is waited for: the check has passed by then.
    spec.timeout = SHORT;
    let checked = check(&prober(), &spec).await;
    assert_eq!(checked.outcome, Outcome::Passed);
    assert!(checked.timings.close.unwrap() < limits::CLOSE_WAIT + super::SLACK);
}

#[tokio::test]
async fn a_reply_is_kept_for_the_step_that_wants_it() {
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::Message;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        // The text is answered before the ping, which the library answers by itself.
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() {
                socket.send(Message::text("noise")).await.unwrap();
                socket.send(message).await.unwrap();
            }
        }
    });
    let mut spec = spec(&format!("ws://{address}/"));
    spec.steps = vec![send("a"), Step::Ping { within: None }, expect(Matcher::contains("a"))];
    let checked = check(&prober(), &spec).await;
    assert_eq!(checked.outcome, Outcome::Passed);
    server.await.unwrap();
}

#[tokio::test]
async fn a_failed_check_says_goodbye() {
    use futures_util::StreamExt;
    use tokio_tungstenite::tungstenite::Message;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        socket.next().await
    });
    let mut spec = spec(&format!("ws://{address}/"));
    spec.timeout = SHORT;
    spec.steps = vec![expect(Matcher::ANY)];
    let checked = check(&prober(), &spec).await;
    assert_failed("silent", &checked, &FailureKind::ReplyTimeout, Phase::Exchange, "nor anything else");
    match server.await.unwrap() {
        Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), 1000),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn hundreds_of_checks_share_one_prober() {
    let (good, silent) = (echo().await, scripted(vec![Act::Hold]).await);
    let prober = prober();
    let mut specs = Vec::new();
    for index in 0..200 {
        let mut spec = spec(&format!("ws://{}/", if index % 4 == 0 { silent } else { good }));
        spec.timeout = if index % 4 == 0 { SHORT } else { spec.timeout };
        spec.steps = vec![send("{{nonce}}"), expect(Matcher::contains("{{nonce}}"))];
        specs.push(spec);
    }
    let all = join_all(specs.iter().map(|spec| prober.check(spec, None))).await;
    let passed = all.iter().filter(|checked| checked.outcome == Outcome::Passed).count();
    assert_eq!(passed, 150);
}
