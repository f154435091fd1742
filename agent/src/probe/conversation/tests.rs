//! Conversations told as stories: what comes when, and what is made of it.

mod anything;
mod streams;

use std::sync::Arc;

use quorate_proto::{
    Matcher, Micros, MonitorSpec, Payload, Step, WallMicros,
    step::{Capture, CaptureFrom, Condition, Demand, Expect, JsonTest, Must, Reply, Stream},
};

use super::{
    super::{expand::tests::seeds, script::Script, tests::spec},
    *,
};

/// Something that happens, and when (in milliseconds).
#[derive(Clone, Copy, Debug)]
enum Then<'a> {
    Comes(u64, &'a str),
    Pings(u64),
    /// A pong with the payload of the latest ping.
    Pongs(u64),
    /// A pong with another one.
    PongsWrongly(u64),
    /// Another round trip begins.
    Round(u64),
    /// The stream is listened to without an end.
    Listens(u64),
    /// Nothing but time.
    Time(u64),
}
use Then::{Comes, Listens, Pings, Pongs, PongsWrongly, Round, Time};

const START: Micros = Micros::from_secs(1_000);

fn at(millis: u64) -> Now {
    let wall = WallMicros(1_700_000_000_000_000 + i64::try_from(millis).unwrap() * 1_000);
    Now { tick: Tick(START).after(Micros::from_millis(millis)), wall }
}

/// One connection of a monitor.
struct Talk {
    conversation: Conversation,
    pinged: Option<[u8; 8]>,
    /// What was done, one line each.
    lines: Vec<String>,
}

impl Talk {
    fn new(script: &Arc<Script>) -> Self {
        let conversation = Conversation::new(Arc::clone(script), seeds());
        Self { conversation, pinged: None, lines: Vec::new() }
    }

    fn play(mut self, story: &[Then<'_>]) -> Vec<String> {
        let mut until = self.poll(0);
        for then in story {
            let (Comes(time, _)
            | Pings(time)
            | Pongs(time)
            | PongsWrongly(time)
            | Round(time)
            | Listens(time)
            | Time(time)) = *then;
            // The time that it named comes first.
            while let Some(due) = until.filter(|due| *due <= time) {
                until = self.poll(due);
            }
            match then {
                Comes(_, message) => self.conversation.handle(at(time), Inbound::Data(message.as_bytes())),
                Pings(_) => self.conversation.handle(at(time), Inbound::Ping),
                Pongs(_) => {
                    let payload = self.pinged.unwrap();
                    self.conversation.handle(at(time), Inbound::Pong(&payload));
                }
                PongsWrongly(_) => self.conversation.handle(at(time), Inbound::Pong(b"other")),
                Round(_) => self.conversation.begin_round(),
                Listens(_) => assert!(self.conversation.listen()),
                Time(_) => {}
            }
            until = self.poll(time);
        }
        self.lines
    }

    /// Takes actions until it waits, and gives until when.
    fn poll(&mut self, time: u64) -> Option<u64> {
        loop {
            match self.conversation.poll(at(time)) {
                Action::Wait(until) => {
                    return until.map(|until| until.since(Tick(START)).as_millis());
                }
                Action::Send(Outgoing::Text(text)) => self.lines.push(format!("{time}: > {text}")),
                Action::Send(Outgoing::Binary(bytes)) => self.lines.push(format!("{time}: > {bytes:?}")),
                Action::Send(Outgoing::Ping(payload)) => {
                    self.lines.push(format!("{time}: > ping"));
                    assert_ne!(self.pinged.replace(payload), Some(payload));
                }
                Action::Idle => {
                    let line = match self.conversation.round_trip() {
                        None => format!("{time}: done"),
                        Some(took) => format!("{time}: done, {took}"),
                    };
                    if self.lines.last() != Some(&line) {
                        self.lines.push(line);
                    }
                    return None;
                }
                Action::Failed(failure) => {
                    assert_eq!(failure.phase, Phase::Exchange);
                    let line = format!("{time}: {}: {}", failure.kind, failure.detail);
                    if self.lines.last().is_none_or(|last| !last.ends_with(&failure.detail)) {
                        self.lines.push(line);
                    }
                    return None;
                }
            }
        }
    }
}

fn script(hello: &[Step], steps: &[Step], replies: &[Reply]) -> Arc<Script> {
    let spec = MonitorSpec {
        hello: hello.to_vec(),
        steps: steps.to_vec(),
        replies: replies.to_vec(),
        ..spec("ws://x.example/")
    };
    Arc::new(Script::new(&spec).unwrap())
}

fn told(steps: &[Step], story: &[Then<'_>], wanted: &[&str]) {
    let lines = Talk::new(&script(&[], steps, &[])).play(story);
    assert_eq!(lines, wanted, "{story:?}");
}

fn send(text: &str) -> Step {
    Step::send(text)
}

fn expect(matcher: Matcher) -> Step {
    Step::expect(matcher, None)
}

fn has(text: &str) -> Matcher {
    Matcher::contains(text)
}

fn ms(millis: u64) -> Micros {
    Micros::from_millis(millis)
}

fn take(name: &str, from: CaptureFrom) -> Capture {
    Capture { name: name.into(), from }
}

fn expect_and_take(matcher: Matcher, captures: Vec<Capture>) -> Step {
    Step::Expect(Expect { matcher, within: None, captures, demands: Vec::new() })
}

fn demand(pointer: &str, must: Must) -> Demand {
    Demand { pointer: pointer.into(), must }
}

fn stream(matcher: Matcher, every: u64, messages: u16, demands: Vec<Demand>) -> Step {
    Step::Stream(Stream { matcher, every: ms(every), messages, demands })
}

fn json(pointer: &str) -> Matcher {
    Matcher::of(Condition::Json { pointer: pointer.into(), test: JsonTest::Present })
}

#[test]
fn round_trips_are_measured_from_the_latest_send() {
    told(
        &[send("a"), expect(has("x")), send("b"), expect(has("y")), expect(has("z"))],
        &[
            Round(0),
            Comes(10, "x"),
            Comes(15, "no"),
            Comes(40, "y"),
            Comes(41, "z"),
            Round(100),
            Comes(150, "x"),
        ],
        &["0: done", "0: > a", "10: > b", "41: done, 31ms", "100: > a", "150: > b"],
    );
    told(&[expect(has("x"))], &[Round(0), Comes(10, "x")], &["0: done", "10: done"]);
    told(
        &[Step::Ping { within: None }, Step::Ping { within: None }],
        &[Round(0), PongsWrongly(5), Pongs(10), Pings(11), Pongs(40)],
        &["0: done", "0: > ping", "10: > ping", "40: done, 30ms"],
    );
    // What came while a ping was under way counts from when it came.
    told(
        &[send("a"), Step::Ping { within: None }, expect(has("a"))],
        &[Round(0), Comes(7, "b"), Comes(9, "a"), Pongs(30)],
        &["0: done", "0: > a", "0: > ping", "30: done, 30ms"],
    );
    told(
        &[send("a"), expect(has("x")), Step::Ping { within: None }, expect(has("y"))],
        &[Round(0), Comes(40, "x"), Comes(43, "y"), Pongs(44)],
        &["0: done", "0: > a", "40: > ping", "44: done, 43ms"],
    );
}

#[test]
fn the_hello_is_said_once_and_not_measured() {
    let hello = [send("login {{count}}"), expect(has("welcome"))];
    let steps = [send("{{count}} {{nonce}} {{now_ms}}"), expect(has("{{count}}"))];
    let lines = Talk::new(&script(&hello, &steps, &[])).play(&[
        // Nothing begins before it is done.
        Round(1),
        Comes(900, "welcome"),
        Round(1_000),
        Comes(1_001, "1"),
        Comes(1_500, "nobody waits for this"),
        Round(2_000),
        Comes(2_005, "2"),
    ]);
    assert_eq!(
        lines,
        [
            "0: > login 0",
            "900: done",
            "1000: > 1 000000000000ab12 1700000001000",
            "1001: done, 1ms",
            "1500: done, 1ms",
            "2000: > 2 000000000000ab12 1700000002000",
            "2005: done, 5ms",
        ]
    );
}

#[test]
fn what_wants_a_reply_gets_it_at_any_time() {
    let reply = |to, with: &str| Reply { to, with: Payload::Text(with.into()) };
    let replies = [
        reply(Matcher::regex("^2$"), "3"),
        reply(has("hb"), "{{session}}"),
        Reply { to: has("bin"), with: Payload::Binary(vec![7]) },
    ];
    let hello = [expect_and_take(has("s="), vec![take("session", CaptureFrom::Regex("s=(.*)".into()))])];
    let steps = [send("a"), Step::Ping { within: None }, expect(Matcher::ANY)];
    let lines = Talk::new(&script(&hello, &steps, &replies)).play(&[
        Comes(1, "2"),
        // Not captured yet: it is not given, and the message is like any other.
        Comes(2, "hb"),
        Comes(3, "s=abc"),
        Comes(4, "hb"),
        Round(5),
        Comes(6, "2"),
        Comes(7, "bin"),
        Pongs(8),
        Comes(9, "2"),
        Comes(10, "b"),
    ]);
    assert_eq!(
        lines,
        [
            "1: > 3",
            "3: done",
            "4: > abc",
            "4: done",
            "5: > a",
            "5: > ping",
            "6: > 3",
            "7: > [7]",
            "9: > 3",
            "10: done, 5ms",
        ]
    );
}

#[test]
fn what_is_captured_is_used_later() {
    let steps = [
        send("login"),
        expect_and_take(
            json("/token"),
            vec![
                take("token", CaptureFrom::Json("/token".into())),
                take("n", CaptureFrom::Json("/n".into())),
            ],
        ),
        send(r#"{"token":"{{token}}","n":{{n}}}"#),
        expect_and_take(
            Matcher::json_equals("/echo/{{n}}", "\"{{token}}\""),
            vec![take("all", CaptureFrom::Regex("e[a-z]+o".into()))],
        ),
        send("{{all}}"),
    ];
    let story = |reply| [Round(0), Comes(1, r#"{"token":"a\"b","n":7}"#), Comes(2, reply)];
    told(
        &steps,
        &story(r#"{"echo":{"7":"a\"b"}}"#),
        &["0: done", "0: > login", r#"1: > {"token":"a\"b","n":7}"#, "2: > echo", "2: done, 1ms"],
    );
    // A captured value that may be a secret is not shown.
    let secret = [
        expect_and_take(has("t="), vec![take("t", CaptureFrom::Regex("t=(.*)".into()))]),
        Step::expect(has("is {{t}}"), Some(ms(5))),
    ];
    told(
        &secret,
        &[Round(0), Comes(1, "t=s3cr3t-t0k3n"), Comes(2, "not s3cr3t-t0k3n"), Time(6)],
        &[
            "0: done",
            "6: reply_timeout: no message containing \"is {{t}}\" came within 5ms, but 1 other message: not {{t}}",
        ],
    );
}

#[test]
fn what_cannot_be_captured_is_said() {
    let captured = |from| [expect_and_take(Matcher::ANY, vec![take("t", from)]), send("{{t}}")];
    let big = format!("\"{}\"", "x".repeat(limits::CAPTURED_BYTES_MAX + 1));
    for (from, message, detail) in [
        (
            CaptureFrom::Json("/a/b".into()),
            r#"{"a":1,"secret":2}"#,
            "a message of 18 bytes came that has no /a/b, which {{t}} is taken from",
        ),
        (
            CaptureFrom::Regex("^id=(.*)".into()),
            "secret",
            "a message of 6 bytes came without a match of /^id=(.*)/, which {{t}} is taken from",
        ),
        (
            CaptureFrom::Json(String::new()),
            &big,
            "{{t}} cannot be kept: it has 16387 bytes, and all captures of a connection may have 16384",
        ),
    ] {
        told(
            &captured(from),
            &[Round(0), Comes(1, message)],
            &["0: done", &format!("1: content unreadable: {detail}")],
        );
    }
    let not_json = [
        expect_and_take(Matcher::ANY, vec![take("t", CaptureFrom::Regex(".*".into()))]),
        expect(Matcher::json_equals("/a", "{{t}}")),
    ];
    let lines = Talk::new(&script(&[], &not_json, &[])).play(&[Round(0), Comes(1, "se cret")]);
    assert!(lines[1].contains("what was captured does not fit: `{{t}}` is not JSON"), "{lines:?}");
    assert!(!lines[1].contains("cret"), "{lines:?}");
}

#[test]
fn a_step_waits_for_as_long_as_it_says() {
    let within = |step: fn(Option<Micros>) -> Step| [step(Some(ms(150)))];
    told(
        &within(|within| Step::expect(Matcher::json_equals("/type", "\"pong\""), within)),
        &[Round(0), Comes(10, "{}"), Comes(20, "x"), Pings(30), Time(200)],
        &[
            "0: done",
            "150: reply_timeout: no message with /type = \"pong\" came within 150ms, \
             but 2 other messages and 1 ping or pong, the last: x",
        ],
    );
    told(
        &within(|within| Step::Ping { within }),
        &[Round(0), Time(150)],
        &[
            "0: done",
            "0: > ping",
            "150: reply_timeout: no pong with our payload came within 150ms, nor anything else",
        ],
    );
    // A message that is there when it is looked for is not late.
    let script = script(&[], &within(|within| Step::expect(Matcher::ANY, within)), &[]);
    let mut late = Talk::new(&script);
    late.poll(0);
    late.conversation.begin_round();
    assert_eq!(late.poll(0), Some(150));
    late.conversation.handle(at(151), Inbound::Data(b"x"));
    late.poll(151);
    assert_eq!(late.lines, ["0: done", "151: done"]);
}

#[test]
fn floods_end() {
    let max = u64::from(limits::FRAMES_SKIPPED_MAX);
    let many = |then: Then<'static>| {
        let story: Vec<_> = [Round(0)].into_iter().chain((0..=max).map(move |_| then)).collect();
        let reply = Reply { to: Matcher::regex("^2$"), with: Payload::Text("3".into()) };
        let lines = Talk::new(&script(&[], &[expect(has("x"))], &[reply])).play(&story);
        lines.last().unwrap().clone()
    };
    let start = "reply_mismatch: no message containing \"x\" came, but 1000";
    for (then, end) in [
        (Comes(1, "no"), "other messages, the last: no"),
        (Pings(1), "pings or pongs"),
        (PongsWrongly(1), "pings or pongs"),
        (Comes(1, "2"), "messages that were replied to"),
    ] {
        assert_eq!(many(then), format!("1: {start} {end}"));
    }
    let big = "n".repeat(limits::MESSAGE_BYTES_MAX);
    let count = usize::try_from(limits::RECEIVED_BYTES_MAX).unwrap() / big.len() + 1;
    let story: Vec<_> = [Round(0)].into_iter().chain((0..count).map(|_| Comes(1, &big))).collect();
    let lines = Talk::new(&script(&[], &[expect(has("x"))], &[])).play(&story);
    assert!(lines[1].contains(" bytes, but "), "{lines:?}");
}

#[test]
fn a_deadline_from_outside_finds_words() {
    let overdue = |steps: &[Step], story: &[Then<'_>]| {
        let mut talk = Talk::new(&script(&[], steps, &[]));
        talk.poll(0);
        talk.conversation.begin_round();
        talk.poll(0);
        for then in story {
            if let Comes(time, message) = then {
                talk.conversation.handle(at(*time), Inbound::Data(message.as_bytes()));
                talk.poll(*time);
            }
        }
        let failure = talk.conversation.overdue(at(800).tick, ms(800));
        format!("{}: {}", failure.kind.name(), failure.detail)
    };
    assert_eq!(
        overdue(&[expect(has("x"))], &[Comes(1, "a")]),
        "reply_timeout: no message containing \"x\" came within 800ms, but 1 other message: a"
    );
    assert_eq!(
        overdue(&[stream(has("x"), 5_000, 9, Vec::new())], &[Comes(1, "x"), Comes(300, "x")]),
        "stream_stale: 2 of 9 had come within 800ms, the last 500ms ago, nor anything else"
    );
    let mut talk = Talk::new(&script(&[send("a")], &[], &[]));
    assert!(matches!(talk.conversation.poll(at(0)), Action::Send(_)));
    let failure = talk.conversation.overdue(at(800).tick, ms(800));
    assert_eq!(failure.detail, "the server did not take our message within 800ms, nor anything else");
}

/// Five thousand of these are held by one agent.
#[test]
fn a_conversation_is_small() {
    let bytes = size_of::<Conversation>();
    assert!(bytes <= 400, "{bytes} bytes");
}
