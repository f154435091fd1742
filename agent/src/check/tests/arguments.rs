//! The command line, and the monitor that it becomes.

use std::fs;

use quorate_proto::{
    Matcher, Micros, Payload, Step,
    monitor::{Addresses, Family},
    step::{Condition, JsonTest},
};

use super::{super::args::first_text, args, parsed, specified};

#[test]
fn the_command_line_becomes_a_monitor() {
    let json = |pointer: &str, value: &str| Matcher::json_equals(pointer, value);
    let send = |text: &str| Step::send(text);
    let expect = |matcher| Step::expect(matcher, None);
    let ping = || Step::Ping { within: None };
    for (words, steps) in [
        (&[][..], vec![ping()]),
        (&["--upgrade-only"], vec![]),
        (&["--send", "a"], vec![send("a"), expect(Matcher::ANY)]),
        (&["--send", "-a"], vec![send("-a"), expect(Matcher::ANY)]),
        (&["--send", "a", "--ping"], vec![send("a"), expect(Matcher::ANY), ping()]),
        (&["--expect-json", "/type=pong"], vec![expect(json("/type", "\"pong\""))]),
        (&["--expect-json", "/n=1"], vec![expect(json("/n", "1"))]),
        (&["--expect-json", "/n=\"1\""], vec![expect(json("/n", "\"1\""))]),
        (&["--expect-json", "/id={{nonce}}"], vec![expect(json("/id", "\"{{nonce}}\""))]),
        (
            &["--expect-json", "/id"],
            vec![expect(Matcher::of(Condition::Json { pointer: "/id".into(), test: JsonTest::Present }))],
        ),
        (
            &["--send", "a", "--expect-regex", "r", "--send-json", "[{{count}}]", "--expect-contains", "c"],
            vec![send("a"), expect(Matcher::regex("r")), send("[{{count}}]"), expect(Matcher::contains("c"))],
        ),
        (
            &["--send-base64", "AAEC", "--send-hex", "0aFF", "--expect-hex", "00"],
            vec![
                Step::Send(Payload::Binary(vec![0, 1, 2])),
                Step::Send(Payload::Binary(vec![10, 255])),
                expect(Matcher::of(Condition::Prefix(vec![0]))),
            ],
        ),
    ] {
        let spec = specified(&[&["ws://x.example"], words].concat());
        assert_eq!(spec.steps, steps, "{words:?}");
        assert!(spec.is_within_limits(), "{words:?}");
    }
    let spec = specified(&["wss://x.example", "-H", "A: b: c", "--insecure", "--timeout", "500ms", "-6"]);
    assert_eq!((spec.headers[0].name.as_str(), spec.headers[0].value.as_str()), ("A", "b: c"));
    assert_eq!((spec.verify_tls, spec.timeout), (false, Micros::from_millis(500)));
    assert_eq!((spec.family, spec.samples), (Family::V6, 1));
    assert!(spec.is_within_limits());
    let spec = specified(&["wss://x.example", "--all-addresses", "--samples", "7", "--basic", "me:p"]);
    assert_eq!((spec.addresses, spec.samples), (Addresses::All, 7));
    assert_eq!(spec.headers[0].value, "Basic bWU6cA==");
    let spec = specified(&["wss://x.example", "--proxy", "http://me:p@proxy.example:3128/"]);
    let proxy = spec.proxy.unwrap();
    assert_eq!(
        (proxy.address.as_str(), proxy.authorization.as_deref()),
        ("proxy.example:3128", Some("Basic bWU6cA=="))
    );
}

#[test]
fn secrets_are_read_from_files_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "s3cret\n").unwrap();
    let at = format!("@{}", token.display());
    let spec = specified(&["wss://x.example", "--bearer", &at]);
    assert_eq!(spec.headers[0].value, "Bearer s3cret");
    assert!(!format!("{spec:?}").contains("s3cret"));
    let missing = args(&["wss://x.example", "--basic", "@/no/such/file"]).spec(|_| Ok(())).unwrap_err();
    assert!(missing.to_string().starts_with("/no/such/file: "), "{missing}");
}

#[test]
fn what_the_arguments_say_goes_before_a_preset() {
    let preset = |spec: &mut quorate_proto::MonitorSpec| {
        spec.hello = vec![Step::send("hello")];
        spec.steps = vec![Step::send("beat")];
        spec.subprotocols = vec!["p1".into()];
        spec.samples = 3;
        Ok(())
    };
    let spec = args(&["ws://x.example"]).spec(preset).unwrap();
    assert_eq!((spec.steps.len(), spec.samples, spec.subprotocols.len()), (1, 3, 1));
    let own =
        args(&["ws://x.example", "--ping", "--samples", "2", "--subprotocol", "p2"]).spec(preset).unwrap();
    assert_eq!(own.steps, [Step::Ping { within: None }]);
    assert_eq!((own.hello.len(), own.samples, own.subprotocols.as_slice()), (1, 2, &["p2".to_owned()][..]));
    let refused = args(&["ws://x.example"]).spec(|_| Err("no preset of this name".to_owned())).unwrap_err();
    assert_eq!(refused.to_string(), "no preset of this name");
}

/// A message that only makes sense after a login, or that something else has to fill, is not sent by itself.
#[test]
fn a_message_is_taken_for_fragments_where_it_stands_alone() {
    let first = |words: &[&str]| first_text(&specified(&[&["ws://x.example"], words].concat()), "N", 7);
    assert_eq!(first(&[]), None);
    assert_eq!(first(&["--send", "a{{nonce}}{{now_ms}}{{count}}"]).as_deref(), Some("aN71"));
    assert_eq!(first(&["--send", "{{token}}"]), None);
    assert_eq!(first(&["--send-hex", "00"]), None);
    let mut spec = specified(&["ws://x.example", "--send", "a"]);
    spec.hello = vec![Step::send("login")];
    assert_eq!(first_text(&spec, "N", 7), None);
}

#[test]
fn a_wrong_command_line_is_explained() {
    for (words, why) in [
        (&[][..], "URL"),
        (&["ws://x", "--timeout", "1h"], "wanted a span from 100ms to 60s"),
        (&["ws://x", "--timeout", "5"], "wanted a span"),
        (&["ws://x", "--expect-json", "type"], "wanted POINTER=VALUE"),
        (&["ws://x", "--send-json", "{"], "it is not JSON"),
        (&["ws://x", "--send-hex", "0g"], "wanted hex"),
        (&["ws://x", "--samples", "0"], "1..=100"),
        (&["ws://x", "--sla", "fast"], "market_data, realtime, chat"),
        (&["ws://x", "--every", "2s"], "--watch"),
        (&["ws://x", "--max", "1h"], "--find-idle-timeout"),
        (&["ws://x", "--client-cert", "a"], "--client-key"),
        (&["ws://x", "--proxy", "proxy.example"], "wanted HOST:PORT"),
        (&["ws://x", "-4", "-6"], "cannot be used with"),
        (&["ws://x", "--header", "nonsense"], "wanted NAME: VALUE"),
        (&["ws://x", "--egress", "10.0.0.1/8"], "within 10.0.0.0/8"),
        (&["ws://x", "--upgrade-only", "--ping"], "cannot be used with"),
        (&["ws://x", "--insecure", "--ca-file", "x"], "cannot be used with"),
    ] {
        let error = parsed(words).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(why), "{words:?}: {error}");
    }
}
