//! What is said on a connection: steps, presets, canaries.

use quorate_proto::{
    Payload,
    canary::{Canary, CanaryMode, IdleSearch},
    step::{Capture, CaptureFrom, Condition, Demand, Expect, JsonTest, JsonType, Must, Reply, Stream},
};

use super::*;

/// A preset of the operator's own.
pub(super) const PRESET: &str = r#"
description = "ours"
source = "https://wiki.example.org/protocol"
healthy = "pong"
path = "/{{room}}"
headers = { X-Room = "{{room}}" }
subprotocols = ["ours.v1"]
steps = [{ send = "ping {{nonce}} {{room}}" }, { expect = { contains = "pong {{nonce}}" }, within = "30s" }]
[parameters.room]
description = "the room"
"#;

fn spec(lines: &str) -> quorate_proto::MonitorSpec {
    let spec = parsed(&monitor(lines)).unwrap().config.monitors.remove(0).spec;
    assert!(spec.is_within_limits());
    spec
}

fn steps(list: &str) -> Vec<Step> {
    spec(&format!("steps = [\n{list}\n]")).steps
}

fn warnings(lines: &str) -> Vec<String> {
    let loaded = parsed(&format!("regions = [\"a\", \"b\", \"c\"]\n{}", monitor(lines))).unwrap();
    let of_saying = |key: &str| ["samples", "steps", "canary"].iter().any(|word| key.ends_with(word));
    loaded
        .warnings
        .iter()
        .filter(|warning| of_saying(&warning.key))
        .map(|warning| warning.text.clone())
        .collect()
}

#[test]
fn every_way_to_send() {
    assert_eq!(
        steps(
            r#"{ send = "a {{nonce}}" },
               { send_json = { type = "ping", id = "{{nonce}}", n = [1, 2.5, true, {}] } },
               { send_hex = "c0 00" },
               { send_base64 = "wAA=" },
               { send_base64 = "wAA" },"#
        ),
        [
            Step::send("a {{nonce}}"),
            Step::send(r#"{"id":"{{nonce}}","n":[1,2.5,true,{}],"type":"ping"}"#),
            Step::Send(Payload::Binary(vec![0xc0, 0])),
            Step::Send(Payload::Binary(vec![0xc0, 0])),
            Step::Send(Payload::Binary(vec![0xc0, 0])),
        ]
    );
}

#[test]
fn every_way_to_expect() {
    let json = |pointer: &str, test| Condition::Json { pointer: pointer.to_owned(), test };
    let conditions: Vec<Vec<Condition>> = steps(
        r#"{ expect = { json = "/a/b~1c", equals = "x" } },
           { expect = { json = "/n", type = "integer" } },
           { expect = { json = "/id", matches = "^[0-9]+$" } },
           { expect = { json = "", present = true } },
           { expect = { json = { "/type" = "pong", "/n" = { a = 1 } } } },
           { expect = { json = "/t", type = "null", contains = "x", regex = "y+{{nonce}}" } },
           { expect = { prefix_hex = "d0 00" } },
           { expect = { prefix_base64 = "0AA=" } },
           { expect = { contains = "x", all = [{ json = "/a", equals = 1 }, { json = "/b", present = true }] } },
           { expect = { any = true } },"#,
    )
    .into_iter()
    .map(|step| match step {
        Step::Expect(expect) => expect.matcher.conditions,
        Step::Send(_) | Step::Stream(_) | Step::Ping { .. } => panic!("an expectation"),
    })
    .collect();
    assert_eq!(
        conditions,
        [
            vec![json("/a/b~1c", JsonTest::Equals("\"x\"".into()))],
            vec![json("/n", JsonTest::Type(JsonType::Integer))],
            vec![json("/id", JsonTest::Matches("^[0-9]+$".into()))],
            vec![json("", JsonTest::Present)],
            vec![
                json("/type", JsonTest::Equals("\"pong\"".into())),
                json("/n", JsonTest::Equals("{\"a\":1}".into()))
            ],
            vec![
                json("/t", JsonTest::Type(JsonType::Null)),
                Condition::Contains("x".into()),
                Condition::Regex("y+{{nonce}}".into())
            ],
            vec![Condition::Prefix(vec![0xd0, 0])],
            vec![Condition::Prefix(vec![0xd0, 0])],
            vec![
                Condition::Contains("x".into()),
                json("/a", JsonTest::Equals("1".into())),
                json("/b", JsonTest::Present)
            ],
            vec![],
        ]
    );
}

#[test]
fn captures_demands_and_streams() {
    let must = |pointer: &str, must| Demand { pointer: pointer.to_owned(), must };
    assert_eq!(
        steps(
            r#"{ expect = { any = true }, within = "2s", capture = { id = "/id", sid = { regex = "sid=(.*)" } }, grow = "/n", follow = ["/seq", "/b"], fresh = { json = "/at", age = "5s" } },
               { send = "{{id}} {{sid}}" },
               { expect_every = "3s" },
               { expect_every = "2s", expect = { contains = "tick" }, messages = 3, grow = [{ json = "/n", within = "1m" }] },"#
        ),
        [
            Step::Expect(Expect {
                matcher: Matcher::ANY,
                within: Some(Micros::from_secs(2)),
                captures: vec![
                    Capture { name: "id".into(), from: CaptureFrom::Json("/id".into()) },
                    Capture { name: "sid".into(), from: CaptureFrom::Regex("sid=(.*)".into()) },
                ],
                demands: vec![
                    must("/n", Must::Grow { within: Micros::ZERO }),
                    must("/seq", Must::Follow),
                    must("/b", Must::Follow),
                    must("/at", Must::BeFresh { age: Micros::from_secs(5) }),
                ],
            }),
            Step::send("{{id}} {{sid}}"),
            Step::Stream(Stream {
                matcher: Matcher::ANY,
                every: Micros::from_secs(3),
                messages: 1,
                demands: vec![]
            }),
            Step::Stream(Stream {
                matcher: Matcher::contains("tick"),
                every: Micros::from_secs(2),
                messages: 3,
                demands: vec![must("/n", Must::Grow { within: Micros::from_secs(60) })],
            }),
        ]
    );
}

#[test]
fn hello_samples_and_replies() {
    let spec = spec(
        r#"
hello = [{ send = "login" }, { expect = { contains = "ok" }, capture = { token = "/token" } }]
steps = [{ send = "{{token}} {{count}}" }, { expect = { any = true } }]
samples = 5
replies = [{ to = { regex = "^2$" }, send = "3" }, { to = { prefix_hex = "09" }, send_hex = "0a" }]
"#,
    );
    assert_eq!((spec.hello.len(), spec.steps.len(), spec.samples), (2, 2, 5));
    assert_eq!(
        spec.replies,
        [
            Reply { to: Matcher::regex("^2$"), with: Payload::Text("3".into()) },
            Reply { to: Matcher::of(Condition::Prefix(vec![9])), with: Payload::Binary(vec![10]) },
        ]
    );
}

#[test]
fn bad_sayings_get_their_faults() {
    let fault = |lines: &str, faults: &[&str]| {
        let faults: Vec<String> = faults.iter().map(|fault| format!("4: monitors[0].{fault}")).collect();
        check(&monitor(lines), &faults.iter().map(String::as_str).collect::<Vec<_>>());
    };
    let step =
        |step: &str, wanted: &str| fault(&format!("steps = [{step}]"), &[&format!("steps[0]{wanted}")]);
    step(
        "{ send_hex = \"c\" }",
        ".send_hex: wanted hexadecimal digits, such as \"c0 00\" or \"10 [ <'MQTT'> 04 02 003c <''> ]\", found the digit c without a second",
    );
    step("{ send_base64 = \"*\" }", ".send_base64: wanted base64, such as \"wAA=\", found \"*\"");
    step(
        "{ expect = { json = \"/a\", type = \"text\" } }",
        ".expect.type: wanted one of the types null, boolean, number, integer, string, array, object, found \"text\"",
    );
    step(
        "{ expect = { json = \"/a\", equals = 1, present = true } }",
        ".expect.json: wanted one of equals, type, matches and present = true beside json, found several",
    );
    step(
        "{ expect = { equals = 1 } }",
        ".expect.equals: wanted json = \"/pointer\" beside it, which says where, found none",
    );
    step(
        "{ expect = { json = { type = \"pong\" } } }",
        ".expect.json.type: wanted a JSON pointer, such as \"/type\", or \"\" for the whole message, found \"type\"",
    );
    step(
        "{ expect = { any = true, contains = \"a\" } }",
        ".expect.any: wanted any alone, found any beside other conditions",
    );
    step(
        "{ expect = { any = true }, capture = { \"a b\" = \"/a\" } }",
        ".capture.a b: wanted a name of letters, digits and '_', of 1 to 64 bytes, found \"a b\"",
    );
    step(
        "{ expect = { any = true }, capture = { nonce = \"/a\" } }",
        ": wanted a capture with a name other than nonce, now_ms, count, found {{nonce}}",
    );
    step(
        "{ expect = { any = true }, fresh = \"/a\" }",
        ".fresh: wanted { json = \"/pointer\", age = \"5s\" }, found \"/a\"",
    );
    step(
        "{ expect = { any = true }, messages = 2 }",
        ".messages: wanted messages beside expect_every alone, found messages",
    );
    step(
        "{ expect_every = \"1s\", within = \"1s\" }",
        ".within: wanted no within: expect_every is the time, found within",
    );
    step(
        "{ expect_every = \"11s\" }",
        ".expect_every: wanted a span with its unit between 1ms and 10s, such as \"30s\", \"1m 30s\" or \"500ms\", found \"11s\"",
    );
    step(
        "{ expect_every = \"1s\", messages = 0 }",
        ".messages: wanted a number of messages from 1 to 1000, found 0",
    );
    step(
        "{ expect = { any = true }, wihtin = \"1s\" }",
        ".wihtin: wanted a known key, perhaps \"within\", found \"wihtin\"",
    );
    step(
        "{ send = \"{{nonse}}\" }",
        ": wanted a placeholder that has a value, perhaps {{nonce}}, found {{nonse}}",
    );
    fault(
        "steps = [{ send = \"{{token}}\" }, { expect = { any = true }, capture = { token = \"/t\" } }]",
        &["steps[0]: wanted {{token}} only after the step that captures it, found {{token}}"],
    );
    step("{ send = \"a {{ nonce }}\" }", ": wanted {{nonce}} without spaces, found {{ nonce }}");
    fault("samples = 101", &["samples: wanted a number of round trips from 1 to 100, found 101"]);
    fault(
        "samples = 2\nsteps = []",
        &["samples: wanted steps for the round trips, found an empty list of steps"],
    );
    fault(
        "replies = [{ to = { any = true } }, { send = \"x\" }]",
        &[
            "replies[0]: wanted one of send, send_json, send_hex and send_base64, found none",
            "replies[1].to: wanted the messages to answer, such as { regex = \"^2$\" }, found nothing",
        ],
    );
}

#[test]
fn a_monitor_that_is_too_large_as_a_whole_is_refused() {
    let step = format!("{{ send = \"{}\" }},", "x".repeat(4096));
    let lists = format!("hello = [{0}]\nsteps = [{0}]", step.repeat(31));
    let [fault] = parsed(&monitor(&lists)).unwrap_err().try_into().unwrap();
    assert_eq!(
        fault,
        "1: monitors[0].id: wanted a monitor of at most 245760 bytes, texts and files together, found more"
    );
}

#[test]
fn round_trips_that_outlast_the_timeout_are_said() {
    let steps = "steps = [{ send = \"a\" }, { expect = { any = true }, within = \"3s\" }]";
    assert_eq!(warnings(&format!("samples = 3\n{steps}")), [""; 0]);
    assert_eq!(
        warnings(&format!("samples = 4\n{steps}")),
        [
            "4 round trips may wait 12s by their spans, and the whole check ends after its timeout of 10s: a server that is slow in each fails it there"
        ]
    );
}

#[test]
fn canaries_have_defaults_that_fit_what_is_said() {
    let canary = |lines: &str| spec(lines).canary;
    let of = |heartbeat, grace, mode| {
        Some(Canary { heartbeat: Micros::from_secs(heartbeat), grace: Micros::from_secs(grace), mode })
    };
    let round_trip = "steps = [{ send = \"{{nonce}}\" }, { expect = { any = true } }]";
    let stream = "steps = [{ expect_every = \"5s\" }]";
    assert_eq!(canary(""), None);
    assert_eq!(canary("canary = false"), None);
    assert_eq!(canary("canary = true"), of(30, 10, CanaryMode::Ping));
    assert_eq!(canary(&format!("canary = true\n{round_trip}")), of(30, 10, CanaryMode::Steps));
    assert_eq!(canary(&format!("canary = true\n{stream}")), of(30, 10, CanaryMode::Listen));
    assert_eq!(
        canary(&format!("canary = {{ heartbeat = \"20s\", mode = \"ping\" }}\n{round_trip}")),
        of(20, 10, CanaryMode::Ping)
    );
    assert_eq!(canary("canary = true\npreset = \"socketio\""), of(30, 10, CanaryMode::Steps));
    assert_eq!(canary("preset = \"socketio\""), None);
    assert_eq!(warnings(&format!("canary = true\n{round_trip}")), [""; 0]);
    let login = "steps = [{ send = \"login\" }, { expect = { contains = \"ok\" } }]";
    assert_eq!(warnings(&format!("canary = true\n{login}")).len(), 1);
    assert_eq!(warnings(&format!("canary = {{ mode = \"steps\" }}\n{login}")), [""; 0]);
    assert_eq!(warnings("canary = { heartbeat = \"2m\" }").len(), 1);

    let fault = |lines: &str, fault: &str| check(&monitor(lines), &[&format!("4: monitors[0].{fault}")]);
    fault(
        "canary = \"yes\"",
        "canary: wanted true, false or a table such as { heartbeat = \"30s\", grace = \"10s\", mode = \"ping\" }, found \"yes\"",
    );
    fault(
        "canary = { mode = \"pong\" }",
        "canary.mode: wanted \"ping\", \"steps\" or \"listen\", found \"pong\"",
    );
    fault(
        "canary = { hearbeat = \"1s\" }",
        "canary.hearbeat: wanted a known key, perhaps \"heartbeat\", found \"hearbeat\"",
    );
    fault(
        "canary = { mode = \"steps\" }\nsteps = []",
        "canary: wanted steps with something to send and something to expect, or mode = \"ping\", found mode = \"steps\" without such steps",
    );
    fault(
        &format!("canary = {{ mode = \"listen\", heartbeat = \"10s\" }}\n{stream}"),
        "canary: wanted no heartbeat: in mode \"listen\" expect_every of the steps is the span, found heartbeat",
    );
}

#[test]
fn idle_timeouts_are_looked_for_rarely() {
    let search = |value: &str| spec(&format!("idle_timeout = {value}")).idle_search;
    let of = |hours: u64, minutes: u64| {
        Some(IdleSearch { every: Micros::from_secs(hours * 3600), max: Micros::from_secs(minutes * 60) })
    };
    assert_eq!(search("true"), of(24, 20));
    assert_eq!(search("{ every = \"6h\", max = \"5m\" }"), of(6, 5));
    assert_eq!(search("false"), None);
    check(
        &monitor("idle_timeout = { every = \"1h\", max = \"1h\" }"),
        &["4: monitors[0].idle_timeout.max: wanted max below every, which is 60m, found 60m"],
    );
}

#[test]
fn a_preset_says_what_the_monitor_leaves_open() {
    let of = spec("preset = \"graphql\"\nheaders = { X-A = \"1\" }");
    assert_eq!(of.subprotocols, ["graphql-transport-ws"]);
    assert_eq!((of.hello.len(), of.steps.len(), of.replies.len()), (2, 3, 1));
    let own = spec("preset = \"graphql\"\nsteps = [{ ping = true }]\nsubprotocols = []\nreplies = []");
    assert_eq!(own.steps, [Step::Ping { within: None }]);
    assert!(own.subprotocols.is_empty() && own.replies.is_empty());
    assert_eq!(own.hello, of.hello);

    let mine = parsed(&format!(
        "presets = \"protocols\"\n{}",
        monitor("timeout = \"4s\"\npreset = \"mine\"\npreset_options = { room = \"${HOST}\" }")
    ));
    let mine = &mine.unwrap().config.monitors[0].spec;
    assert_eq!(mine.url, "wss://h/chat.example.org");
    assert_eq!(mine.steps[0], Step::send("ping {{nonce}} chat.example.org"));
    let Step::Expect(expect) = &mine.steps[1] else { panic!("an expectation") };
    assert_eq!(expect.within, Some(Micros::from_secs(4)), "cut to the timeout");
    assert_eq!(mine.headers[0].value, "chat.example.org");
    // What a capture of the preset's hello took is there for the monitor's own steps.
    check(
        &monitor("preset = \"socketio\"\nsteps = [{ send = \"{{sid}}\" }]"),
        &[
            "5: monitors[0].steps[0]: wanted one of nonce, now_ms, count, or a capture of this name before it, found {{sid}}",
        ],
    );
}

#[test]
fn bad_presets_get_their_faults() {
    check(
        &monitor("preset = \"socket_io\""),
        &["4: monitors[0].preset: wanted a preset, perhaps \"socketio\", found \"socket_io\""],
    );
    check(
        &monitor("preset = \"xmpp-websocket\""),
        &[
            "4: monitors[0].preset: wanted one of the presets actioncable, graphql, jsonrpc, mqtt, phoenix, signalr, socketio, stomp, found \"xmpp-websocket\"",
        ],
    );
    check(
        &monitor("preset_options = { a = \"b\" }"),
        &["4: monitors[0].preset_options: wanted preset = \"name\" beside preset_options, found none"],
    );
    check(
        &monitor("preset = \"mqtt\"\npreset_options = { usernam = \"b\", password = 5 }"),
        &[
            "5: monitors[0].preset_options.password: wanted a text in quotes, found 5",
            "5: monitors[0].preset_options.usernam: wanted an option of the preset mqtt, perhaps \"username\", found \"usernam\"",
        ],
    );
    check(
        &format!("presets = \"protocols\"\n{}", monitor("preset = \"mine\"")),
        &["5: monitors[0].preset: wanted preset_options = { room = \"…\" }: the room, found none"],
    );
    check(
        "presets = \"gone\"",
        &["1: presets: wanted a readable folder of presets, /etc/q/gone, found entity not found"],
    );
    let twice = format!(
        "presets = \"broken\"\n{}",
        monitor("preset = \"bad\"\n[[monitors]]\nid = \"n\"\nurl = \"wss://h/\"\npreset = \"bad\"")
    );
    check(
        &twice,
        &[
            "/etc/q/broken/bad.toml:1: description: wanted the protocol, in a line, found 1",
            "/etc/q/broken/bad.toml:1: source: wanted where the protocol is specified, found nothing",
            "/etc/q/broken/bad.toml:1: healthy: wanted what a healthy server answers, found nothing",
            "/etc/q/broken/bad.toml:2: steps[0]: wanted one of send, send_json, send_hex, send_base64, expect, expect_every and ping in each step, found none",
            "/etc/q/broken/bad.toml:2: steps[0].sned: wanted a known key, perhaps \"send\", found \"sned\"",
        ],
    );
}
