//! The presets that ship, read with and without options, and one of the user's own.

use quorate_proto::{Payload, Step, canary::CanaryMode};

use super::*;

fn spec(url: &str) -> MonitorSpec {
    MonitorSpec::new("m".parse().unwrap(), url, Micros::from_secs(30), Micros::from_secs(10))
}

fn options(pairs: &[(&str, &str)]) -> PresetOptions {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn applied(name: &str, url: &str, pairs: &[(&str, &str)]) -> MonitorSpec {
    let mut spec = spec(url);
    apply(name, &options(pairs), &mut spec).unwrap();
    assert!(spec.is_within_limits());
    spec
}

fn sent(steps: &[Step]) -> Vec<String> {
    steps
        .iter()
        .filter_map(|step| match step {
            Step::Send(Payload::Text(text)) => Some(text.clone()),
            Step::Send(Payload::Binary(bytes)) => Some(data_encoding::HEXLOWER.encode(bytes)),
            Step::Expect(_) | Step::Stream(_) | Step::Ping { .. } => None,
        })
        .collect()
}

#[test]
fn every_shipped_preset_is_good_as_it_is_and_with_every_option() {
    let environment = Environment::of_process();
    let presets = Presets::built_in();
    for name in presets.names() {
        let preset = presets.describe(name, &environment).unwrap();
        assert!(!preset.steps().is_empty(), "{name}");
        assert!(!preset.description.is_empty() && preset.source.starts_with("https://"), "{name}");
        let every: PresetOptions = preset
            .parameters
            .iter()
            .map(|parameter| {
                let value = if parameter.name.contains("within") { "1m" } else { "x" };
                (parameter.name.clone(), value.to_owned())
            })
            .collect();
        let none: PresetOptions =
            preset.parameters.iter().map(|parameter| (parameter.name.clone(), String::new())).collect();
        for options in [every, none] {
            let mut spec = spec("wss://h/");
            presets.read(name, &options, spec.timeout, &environment).unwrap().apply(&mut spec).unwrap();
            assert!(spec.is_within_limits(), "{name}");
        }
    }
}

#[test]
fn urls_are_completed_where_they_say_nothing() {
    for (preset, url, wanted) in [
        ("socketio", "wss://h", "wss://h/socket.io/?EIO=4&transport=websocket"),
        ("socketio", "wss://h/chat/?EIO=3", "wss://h/chat/?EIO=3&transport=websocket"),
        ("phoenix", "wss://h/", "wss://h/socket/websocket?vsn=2.0.0"),
        ("mqtt", "wss://h:8084", "wss://h:8084/mqtt"),
        ("jsonrpc", "wss://h/v3/key", "wss://h/v3/key"),
    ] {
        assert_eq!(applied(preset, url, &[]).url, wanted);
    }
}

#[test]
fn an_origin_may_be_that_of_the_url() {
    for (url, wanted) in [
        ("wss://app.example.org/cable", "https://app.example.org"),
        ("ws://h:3000", "http://h:3000"),
        ("wss://[::1]:8443/", "https://[::1]:8443"),
    ] {
        assert_eq!(applied("actioncable", url, &[]).origin.as_deref(), Some(wanted));
    }
}

#[test]
fn options_choose_what_is_said() {
    let plain = applied("mqtt", "wss://h", &[]);
    assert_eq!(sent(&plain.hello), ["100c00044d515454040201".to_owned() + "2c0000"]);
    let login = applied("mqtt", "wss://h", &[("username", "o'hara"), ("password", "p>]'")]);
    assert_eq!(
        sent(&login.hello),
        ["101a00044d51545404c2012c0000".to_owned() + "00066f2768617261" + "0004703e5d27"]
    );
    assert_eq!(sent(&applied("socketio", "wss://h", &[("auth", "{\"a\":1}")]).hello), ["40{\"a\":1}"]);
    assert_eq!(sent(&applied("socketio", "wss://h", &[("namespace", "/chat")]).hello), ["40/chat,"]);
    let graphql = applied("graphql", "wss://h", &[("query", "{ user(name: \"{{nonce}}\") { id } }")]);
    assert_eq!(
        sent(&graphql.steps),
        [
            r#"{"id":"{{nonce}}","payload":{"query":"{ user(name: \"{{nonce}}\") { id } }"},"type":"subscribe"}"#
        ]
    );
    assert_eq!(graphql.subprotocols, ["graphql-transport-ws"]);
}

#[test]
fn what_does_not_fit_is_named() {
    for (name, pairs, wanted) in [
        ("socket.io", &[][..], "no preset \"socket.io\", perhaps \"socketio\"; `quorate presets` lists them"),
        ("x", &[], "no preset \"x\"; `quorate presets` lists them"),
        (
            "mqtt",
            &[("user", "a")],
            "preset mqtt has no option \"user\"; it has client_id, username, password",
        ),
        (
            "mqtt",
            &[("user_name", "a")],
            "preset mqtt has no option \"user_name\", perhaps \"username\"; it has client_id, username, password",
        ),
        (
            "stomp",
            &[("host", "a\nb")],
            "preset stomp: the option \"host\" must be one line without control characters, of at most 4096 bytes",
        ),
    ] {
        let mut before = spec("wss://h/");
        let error = apply(name, &options(pairs), &mut before).unwrap_err();
        assert_eq!((error.to_string().as_str(), before), (wanted, spec("wss://h/")));
    }
    let error = apply("jsonrpc", &options(&[("grow_within", "soon")]), &mut spec("wss://h/")).unwrap_err();
    assert!(
        error.to_string().ends_with("such as \"30s\", \"1m 30s\" or \"500ms\", found \"soon\""),
        "{error}"
    );
}

#[test]
fn heartbeats_are_what_the_protocol_answers() {
    let environment = Environment::of_process();
    let presets = Presets::built_in();
    let modes: Vec<_> = presets
        .names()
        .map(|name| (name, presets.describe(name, &environment).unwrap().canary_mode()))
        .filter(|(_, mode)| *mode != CanaryMode::Steps)
        .collect();
    assert_eq!(modes, [("actioncable", CanaryMode::Listen), ("stomp", CanaryMode::Ping)]);
}
