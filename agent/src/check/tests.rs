//! The command line, the drawing, and whole checks against servers of the test's own.

mod recorded;

use std::{env, fs, path::PathBuf};

use clap::{Args as _, FromArgMatches};
use quorate_proto::{
    Failure, FailureKind, Matcher, Micros, Outcome, Payload, Phase, Step, Timings, WallMicros,
    canary::IdleFinding,
    monitor::{Addresses, Family},
    outcome::{AddressResult, DnsFault, RoundTrips, TlsFacts, UpgradeRefusal},
    step::{Condition, JsonTest},
};

use super::{
    args::first_text,
    diagnosis::{Diagnosis, Idle},
    *,
};
use crate::{
    clock::Tick,
    probe::{
        Certificate, Checked, Facts, TlsSeen,
        conformance::{Findings, Heard, Plain},
    },
};

fn parsed(words: &[&str]) -> Result<Args, clap::Error> {
    let command = Args::augment_args(clap::Command::new("check"));
    let matches = command.try_get_matches_from([&["check"], words].concat())?;
    Args::from_arg_matches(&matches)
}

fn args(words: &[&str]) -> Args {
    parsed(words).unwrap()
}

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

fn specified(words: &[&str]) -> quorate_proto::MonitorSpec {
    args(words).spec(|_| Ok(())).unwrap()
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
        (&["ws://x", "--sla", "fast"], "market-data, realtime, chat"),
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

pub(super) fn checked(outcome: Outcome) -> Checked {
    Checked {
        outcome,
        timings: Timings {
            dns: Some(Micros(12_400)),
            tcp: Some(Micros(23_100)),
            tls: Some(Micros(41_700)),
            upgrade: Some(Micros(25_000)),
            exchange: Some(Micros(30_200)),
            close: Some(Micros(9_900)),
            round_trip: Some(Micros(29_800)),
            samples: None,
            total: Micros(142_500),
        },
        address: Some([203, 0, 113, 7].into()),
        addresses: Vec::new(),
        started_at: WallMicros(1_795_000_000_000_000),
        started: Tick::default(),
        ended: Tick(Micros(142_500)),
        facts: Facts {
            resolved: vec![[203, 0, 113, 7].into(), "2001:db8::7".parse().unwrap()],
            proxy: None,
            tls: Some(TlsSeen {
                facts: TlsFacts {
                    version: 0x0304,
                    cipher: 0x1302,
                    not_after: Some(WallMicros(1_800_000_000_000_000)),
                    fingerprint: [0xa5; 32],
                    verified: true,
                },
                key_exchange: "X25519MLKEM768".into(),
                certificate: Some(Certificate {
                    subject: "chat.example.org".into(),
                    issuer: "R11, Let's Encrypt".into(),
                    names: vec!["chat.example.org".into(), "www.example.org".into()],
                    not_before: Some(WallMicros(1_790_000_000_000_000)),
                    not_after: Some(WallMicros(1_800_000_000_000_000)),
                }),
            }),
            status: Some(101),
            server: Some("nginx/1.24.0".into()),
            subprotocol: Some("v1".into()),
            close_code: Some(1000),
        },
    }
}

fn refused() -> Checked {
    let mut failure = Failure::new(
        FailureKind::UpgradeStatus(502),
        Phase::Upgrade,
        "Server: nginx/1.24.0; the body begins: <html>",
    );
    failure.refusal = Some(UpgradeRefusal {
        status: 502,
        server: Some("nginx/1.24.0".into()),
        headers: Vec::new(),
        body: "<html>\n<head><title>502 Bad Gateway</title></head>\n".into(),
    });
    let mut checked = checked(Outcome::Failed(failure));
    checked.facts.status = Some(502);
    checked.facts.subprotocol = None;
    checked.facts.close_code = None;
    checked.timings.exchange = None;
    checked.timings.close = None;
    checked.timings.round_trip = None;
    checked.timings.total = Micros(102_300);
    checked
}

fn silent_and_unverified() -> Checked {
    let detail = "no pong with our payload came within 10s, nor anything else";
    let mut checked =
        checked(Outcome::Failed(Failure::new(FailureKind::ReplyTimeout, Phase::Exchange, detail)));
    checked.timings.exchange = Some(Micros(9_900_000));
    checked.timings.total = Micros(10_002_300);
    checked.timings.close = None;
    checked.timings.round_trip = None;
    let tls = checked.facts.tls.as_mut().unwrap();
    tls.facts.verified = false;
    tls.facts.not_after = Some(checked.started_at.after(Micros::from_secs(3 * 86_400)));
    checked
}

fn unresolved() -> Checked {
    let kind = FailureKind::Dns(DnsFault::NotFound);
    let failure = Failure::new(kind, Phase::Dns, "the nameserver says NXDOMAIN for chat.example");
    let timings = Timings { dns: Some(Micros(3_210)), total: Micros(3_250), ..Timings::default() };
    Checked { timings, address: None, facts: Facts::default(), ..checked(Outcome::Failed(failure)) }
}

fn not_tried() -> Checked {
    let detail = "the URL starts with https:// where ws:// or wss:// is wanted";
    let failure = Failure::new(FailureKind::AgentFault, Phase::Dns, detail);
    let timings = Timings { total: Micros(20), ..Timings::default() };
    Checked { timings, address: None, facts: Facts::default(), ..checked(Outcome::Failed(failure)) }
}

/// Compares with a golden file; with `QUORATE_GOLDEN=write` in the environment, writes it.
fn golden(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/check/golden").join(name);
    if env::var_os("QUORATE_GOLDEN").is_some_and(|value| value == "write") {
        fs::write(&path, text).unwrap();
    }
    let wanted = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, wanted, "differs from {}; QUORATE_GOLDEN=write rewrites it", path.display());
}

fn diagnosis(checked: Checked) -> Diagnosis {
    let args = args(&["wss://chat.example/socket"]);
    Diagnosis::new(&args, &args.spec(|_| Ok(())).unwrap(), checked)
}

/// A good server with a long look at it.
fn looked_at() -> Diagnosis {
    let mut checked = checked(Outcome::Passed);
    let trips = [29_800, 31_000, 30_100].map(Micros);
    checked.timings.samples = RoundTrips::of(&trips);
    let mut diagnosis = diagnosis(checked);
    diagnosis.findings = Some(Findings {
        points: crate::probe::conformance::tests::some_points(),
        extensions: Some("permessage-deflate; client_max_window_bits=15".into()),
        heard: Some(Heard {
            listened: Micros::from_secs(60),
            first_ping: Some(Micros::from_secs(20)),
            pings: 1,
            ended: Some((Micros::from_secs(40), 1011)),
            ..Heard::default()
        }),
        connections: 12,
    });
    let failure = Failure::new(FailureKind::Dropped, Phase::Exchange, "the connection just ended");
    diagnosis.idle = Some(Idle::Found(IdleFinding::Cut {
        survived: Micros::from_millis(59_900),
        cut: Micros::from_secs(60),
        failure,
    }));
    diagnosis
}

/// Three addresses, one of which fails.
fn several() -> Diagnosis {
    let mut checked = checked(Outcome::Passed);
    let result = |address: &str, failure, total| AddressResult {
        address: address.parse().unwrap(),
        failure,
        total: Micros(total),
    };
    checked.addresses = vec![
        result("203.0.113.7", None, 142_500),
        result("203.0.113.8", Some(FailureKind::UpgradeStatus(503)), 98_000),
        result("2001:db8::7", None, 139_000),
    ];
    diagnosis(checked)
}

/// Through a proxy.
fn by_proxy() -> Diagnosis {
    let mut checked = checked(Outcome::Passed);
    checked.facts.proxy = Some("proxy.example:3128".into());
    diagnosis(checked)
}

fn compared() -> Diagnosis {
    let mut diagnosis = diagnosis(refused());
    let body = "<html>\n<head><title>502 Bad Gateway</title></head>\n".to_owned();
    diagnosis.plain = Some(Plain { status: 502, body });
    diagnosis
}

fn mistyped() -> Diagnosis {
    let args = args(&["http://chat.example/socket"]);
    Diagnosis::new(&args, &args.spec(|_| Ok(())).unwrap(), not_tried())
}

fn drawn(diagnosis: &Diagnosis, paper: &Paper) -> String {
    let parts = [waterfall::render, lists::evidence, lists::conformance, lists::checklist];
    let text: String = parts.iter().map(|part| part(diagnosis, paper)).collect();
    anstream::adapter::strip_str(&text).to_string()
}

#[test]
fn the_drawing_is_golden() {
    for (name, diagnosis) in [
        ("passed", diagnosis(checked(Outcome::Passed))),
        ("looked_at", looked_at()),
        ("refused", compared()),
        ("several", several()),
        ("by_proxy", by_proxy()),
        ("silent", diagnosis(silent_and_unverified())),
        ("unresolved", diagnosis(unresolved())),
        ("not_tried", mistyped()),
    ] {
        for columns in [60, 80, 120] {
            let text = drawn(&diagnosis, &Paper { columns, is_live: false });
            for line in text.lines() {
                // A mend is copied as it is.
                let is_mend = line.starts_with("    ") && !line.starts_with("      ");
                assert!(line.chars().count() <= columns || is_mend, "{name} {columns}: {line:?}");
                assert!(line.trim_end() == line, "{name} {columns}: {line:?}");
            }
            match columns {
                80 => golden(&format!("{name}.txt"), &text),
                120 if name == "looked_at" => golden("looked_at_wide.txt", &text),
                _ => {}
            }
        }
        golden(&format!("{name}.json"), &report::json(&diagnosis));
    }
}

#[test]
fn absurd_timings_are_drawn_too() {
    let mut odd = checked(Outcome::Passed);
    for took in [Micros::ZERO, Micros(1), Micros::MAX] {
        odd.timings.dns = Some(took);
        odd.timings.close = Some(took);
        odd.timings.total = Micros::ZERO;
        assert!(drawn(&diagnosis(odd.clone()), &Paper::PLAIN).contains("PASSED"));
    }
}

#[test]
fn a_password_is_not_shown() {
    assert_eq!(shown("wss://me:secret@x.example/a"), "wss://me:***@x.example/a");
    assert_eq!(shown("wss://x.example"), "wss://x.example");
    assert_eq!(shown("nonsense"), "nonsense");
}

#[tokio::test]
async fn the_exit_code_tells_how_it_ended() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let good = format!("ws://{}/", listener.local_addr().unwrap());
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dead = format!("ws://{dead}/");
    tokio::spawn(async move {
        use futures_util::StreamExt;
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
                while let Some(Ok(_)) = socket.next().await {}
            });
        }
    });
    for (words, wanted, says) in [
        (&[good.as_str(), "--quick"][..], Ending::Passed, "PASSED"),
        (&[&good], Ending::Passed, "Checklist"),
        (&[&dead], Ending::Failed, "nothing listens on"),
        (&[&good, "--egress", "public"], Ending::NotTried, "127.0.0.1 is loopback"),
        (&["https://x.example/"], Ending::NotTried, "Did you mean  wss://x.example/"),
        (&[&good, "--json", "--quick"], Ending::Passed, "\"outcome\":\"passed\""),
        (&[&good, "--json"], Ending::Passed, "\"name\":\"ping_answered\""),
        (&[&dead, "--json"], Ending::Failed, "\"kind\":\"connection_refused\""),
        (&[&good, "--json", "--egress", "public"], Ending::NotTried, "\"outcome\":\"not_tried\""),
        (
            &[&good, "--watch", "--count", "3", "--every", "100ms"],
            Ending::Passed,
            "PASSED  3 checks, none failed",
        ),
        (
            &[&dead, "--watch", "--count", "2", "--every", "100ms"],
            Ending::Failed,
            "FAILED  2 checks, 2 failed",
        ),
        (&[&dead, "--watch", "--count", "1", "--json"], Ending::Failed, "\"failure\":\"connection_refused\""),
        (&["http://x/", "--watch"], Ending::NotTried, "NOT TRIED"),
    ] {
        let mut text = String::new();
        let found = check(&args(words), |_| Ok(()), &mut |part| text.push_str(part)).await.unwrap();
        let text = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(found, wanted, "{words:?}: {text}");
        assert!(text.contains(says), "{words:?}: {text}");
        if words.contains(&"--json") {
            let _: serde_json::Value = serde_json::from_str(&text).unwrap();
        }
    }
}

#[tokio::test]
async fn a_missing_ca_file_is_named() {
    let args = args(&["wss://x.example", "--ca-file", "/no/such/file"]);
    let error = check(&args, |_| Ok(()), &mut |_| {}).await.unwrap_err();
    assert!(error.to_string().starts_with("/no/such/file: "), "{error}");
}

/// A mend can be copied as it stands: it names this server and not the example's.
#[test]
fn a_mend_names_this_server() {
    let failure = Failure::new(FailureKind::CertificateName, Phase::Tls, "it is for another name");
    let cause = quorate_proto::cause::explain(&failure);
    let args = args(&["wss://live.example:8443/socket"]);
    let looked = Diagnosis::new(&args, &args.spec(|_| Ok(())).unwrap(), checked(Outcome::Failed(failure)));
    let mend = looked.mend(&cause).join("\n");
    assert!(mend.contains("-connect live.example:8443 "), "{mend}");
    assert!(mend.contains("live/live.example/fullchain.pem"), "{mend}");
    let failure = Failure::new(FailureKind::Dropped, Phase::Exchange, "the connection just ended");
    let mend = looked.mend(&quorate_proto::cause::explain(&failure)).join("\n");
    assert!(mend.contains("check wss://live.example:8443/socket --find-idle-timeout"), "{mend}");
}
