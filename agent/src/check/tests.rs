//! The command line, the drawing, and whole checks against servers of the test's own.

use std::{env, fs, path::PathBuf};

use clap::{Args as _, FromArgMatches};
use quorate_proto::{
    Failure, FailureKind, Outcome, Phase, Timings, WallMicros,
    outcome::{DnsFault, TlsFacts, UpgradeRefusal},
};

use super::*;
use crate::{
    clock::Tick,
    probe::{Certificate, Checked, Facts, TlsSeen},
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
        (&["--send", "a", "--ping"], vec![send("a"), expect(Matcher::ANY), ping()]),
        (&["--expect-json", "/type=pong"], vec![expect(json("/type", "\"pong\""))]),
        (&["--expect-json", "/n=1"], vec![expect(json("/n", "1"))]),
        (&["--expect-json", "/n=\"1\""], vec![expect(json("/n", "\"1\""))]),
        (&["--expect-json", "/id={{nonce}}"], vec![expect(json("/id", "\"{{nonce}}\""))]),
        (
            &["--send", "a", "--send", "b", "--expect-regex", "r", "--expect-contains", "c"],
            vec![send("a"), send("b"), expect(Matcher::contains("c")), expect(Matcher::regex("r"))],
        ),
    ] {
        let spec = args(&[&["ws://x.example"], words].concat()).spec().unwrap();
        assert_eq!(spec.steps, steps, "{words:?}");
        assert!(spec.is_within_limits(), "{words:?}");
    }
    let spec =
        args(&["wss://x.example", "-H", "A: b: c", "--insecure", "--timeout", "500ms"]).spec().unwrap();
    assert_eq!((spec.headers[0].name.as_str(), spec.headers[0].value.as_str()), ("A", "b: c"));
    assert_eq!((spec.verify_tls, spec.timeout), (false, Micros::from_millis(500)));
    assert!(spec.is_within_limits());
}

#[test]
fn a_wrong_command_line_is_explained() {
    for (words, why) in [
        (&[][..], "URL"),
        (&["ws://x", "--timeout", "1h"], "wanted a span from 100ms to 60s"),
        (&["ws://x", "--timeout", "5"], "wanted a span"),
        (&["ws://x", "--expect-json", "/type"], "wanted POINTER=VALUE"),
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

fn checked(outcome: Outcome) -> Checked {
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

#[test]
fn the_drawing_is_golden() {
    for (name, checked) in [
        ("passed", checked(Outcome::Passed)),
        ("refused", refused()),
        ("silent", silent_and_unverified()),
        ("unresolved", unresolved()),
        ("not_tried", not_tried()),
    ] {
        let url = "wss://chat.example/socket";
        let text = waterfall::render(url, &checked);
        let plain = anstream::adapter::strip_str(&text).to_string();
        for line in plain.lines() {
            assert!(line.chars().count() <= 80 && line.trim_end() == line, "{name}: {line:?}");
        }
        golden(&format!("{name}.txt"), &plain);
        golden(&format!("{name}.json"), &report::json(url, &checked));
    }
}

#[test]
fn absurd_timings_are_drawn_too() {
    let mut odd = checked(Outcome::Passed);
    for took in [Micros::ZERO, Micros(1), Micros::MAX] {
        odd.timings.dns = Some(took);
        odd.timings.close = Some(took);
        odd.timings.total = Micros::ZERO;
        assert!(waterfall::render("ws://x", &odd).contains("PASSED"));
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
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            while socket.next().await.is_some() {}
        }
    });
    for (words, ending, says) in [
        (&[good.as_str()][..], Ending::Passed, "PASSED"),
        (&[&dead], Ending::Failed, "nothing listens on"),
        (&[&good, "--egress", "public"], Ending::NotTried, "127.0.0.1 is loopback"),
        (&["https://x.example/"], Ending::NotTried, "https:// where ws://"),
        (&[&good, "--json"], Ending::Passed, "\"outcome\":\"passed\""),
        (&[&dead, "--json"], Ending::Failed, "\"kind\":\"connection_refused\""),
        (&[&good, "--json", "--egress", "public"], Ending::NotTried, "\"outcome\":\"not_tried\""),
    ] {
        let (found, text) = check(&args(words)).await.unwrap();
        assert_eq!(found, ending, "{words:?}: {text}");
        assert!(text.contains(says), "{words:?}: {text}");
        if words.contains(&"--json") {
            let _: serde_json::Value = serde_json::from_str(&text).unwrap();
        }
    }
}

#[tokio::test]
async fn a_missing_ca_file_is_named() {
    let error = check(&args(&["wss://x.example", "--ca-file", "/no/such/file"])).await.unwrap_err();
    assert!(error.to_string().starts_with("/no/such/file: "), "{error}");
}
