//! Bad configurations and the faults that they get, word for word; good ones and what they mean.

use std::{io, path::Path, sync::LazyLock};

use quorate_proto::{Matcher, Micros, Step};
use quorate_quorum::{Quorum, Sensitivity};

use super::*;

/// What agents look at to see whether they are the fault themselves.
mod controls;
/// When nobody is paged.
mod maintenance;
/// Whom to tell, and when not.
mod paging;
/// From when on a monitor does not work well.
mod quality;
/// What is said on a connection: steps, presets, canaries.
mod saying;
/// How a monitor shows who it is, and which way it goes.
mod ways;

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";

/// A client's certificate, its key, and the key of another.
static CLIENT: LazyLock<[String; 3]> = LazyLock::new(|| {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(["agent".to_owned()]).unwrap().self_signed(&key).unwrap();
    [certificate.pem(), key.serialize_pem(), rcgen::KeyPair::generate().unwrap().serialize_pem()]
});

fn environment() -> Environment<'static> {
    Environment {
        variable: Box::new(|name| match name {
            "HOST" => Some("chat.example.org".to_owned()),
            "SECRET" => Some("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".to_owned()),
            "SHORT" => Some("whsec_MDEy".to_owned()),
            _ => None,
        }),
        file: Box::new(|path: &Path| match path.to_str() {
            Some("/etc/q/secret") => Ok(b"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n".to_vec()),
            Some("/etc/q/ca.pem") => Ok(CERTIFICATE.as_bytes().to_vec()),
            Some("/etc/q/client.pem") => Ok(CLIENT[0].as_bytes().to_vec()),
            Some("/etc/q/client.key") => Ok(CLIENT[1].as_bytes().to_vec()),
            Some("/etc/q/other.key") => Ok(CLIENT[2].as_bytes().to_vec()),
            Some("/etc/q/protocols/mine.toml") => Ok(saying::PRESET.as_bytes().to_vec()),
            Some("/etc/q/broken/bad.toml") => Ok(b"description = 1\nsteps = [{ sned = 'x' }]\n".to_vec()),
            Some("/etc/q/not.pem") => Ok(b"hello".to_vec()),
            Some("/etc/q/latin1") => Ok(vec![b'a', b'\n', 0xe9]),
            Some("/etc/q/huge") => Ok(vec![b'#'; limits::CONFIG_BYTES_MAX + 1]),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        }),
        folder: Box::new(|path: &Path| match path.to_str() {
            Some("/etc/q/protocols") => {
                Ok(vec!["/etc/q/protocols/mine.toml".into(), "/etc/q/protocols/README".into()])
            }
            Some("/etc/q/broken") => Ok(vec!["/etc/q/broken/bad.toml".into()]),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        }),
    }
}

fn parsed(text: &str) -> Result<Loaded, Vec<String>> {
    parse(text, "/etc/q/quorate.toml", &environment()).map_err(|faults| {
        faults.iter().map(|fault| fault.to_string().replace("/etc/q/quorate.toml:", "")).collect()
    })
}

/// A monitor's table with these lines added.
fn monitor(lines: &str) -> String {
    format!("[[monitors]]\nid = \"m\"\nurl = \"wss://h/\"\n{lines}")
}

#[track_caller]
fn check(text: &str, faults: &[&str]) {
    match parsed(text) {
        Ok(_) => assert!(faults.is_empty(), "was taken:\n{text}"),
        Err(found) => assert_eq!(found, faults, "\n{text}"),
    }
}

#[test]
fn bad_files_get_their_faults() {
    check("a = \nb = 1", &["1: wanted TOML, found string values must be quoted, expected literal string"]);
    check("servr = 1", &["1: servr: wanted a known key, perhaps \"server\", found \"servr\""]);
    check(
        "[page]\nzzzzzzzzzz = 1",
        &["2: page.zzzzzzzzzz: wanted one of the keys title, url, found \"zzzzzzzzzz\""],
    );
    check("page = 5", &["1: page: wanted a table, found 5"]);
    check(
        "[server]\nhttp = \"localhost\"\nquic = 4433\npublic_address = \"example.org\"",
        &[
            "2: server.http: wanted an IP address and a port, such as \"0.0.0.0:4433\" or \"[::]:4433\", found \"localhost\"",
            "3: server.quic: wanted an IP address and a port, such as \"0.0.0.0:4433\" or \"[::]:4433\", found 4433",
            "4: server.public_address: wanted host:port, such as \"watch.example.org:4433\", found \"example.org\"",
        ],
    );
    check(
        "[page]\ntitle = \"\"\nurl = \"ftp://x\"",
        &[
            "2: page.title: wanted a title of 1 to 120 characters on one line, found \"\"",
            "3: page.url: wanted an http:// or https:// URL without query and fragment, found \"ftp://x\"",
        ],
    );
    check(
        "regions = [\"a\", \"A b\", \"a\"]",
        &[
            "1: regions[1]: wanted a region of a-z, 0-9, '.', '_' and '-', found \"A b\"",
            "1: regions[2]: wanted each region once, found \"a\"",
        ],
    );
    check(
        "regions = [\"eu-west\"]\n[local]\nregions = [\"eu-wets\"]",
        &["3: local.regions[0]: wanted a configured region, perhaps \"eu-west\", found \"eu-wets\""],
    );
}

#[test]
fn bad_monitors_get_their_faults() {
    check("[[monitors]]\nid = \"m\"", &["1: monitors[0].url: wanted a ws:// or wss:// URL, found nothing"]);
    for (url, wanted) in [
        ("https://h/", "a URL that starts with ws:// or wss://"),
        ("wss://", "a URL with a host"),
        ("wss://h/#f", "a URL without a fragment (RFC 6455 section 3)"),
        ("wss://h:99999/", "a URL with a port between 1 and 65535"),
        ("h", "a ws:// or wss:// URL"),
    ] {
        check(
            &format!("[[monitors]]\nid = \"m\"\nurl = {url:?}"),
            &[&format!("3: monitors[0].url: wanted {wanted}, found {url:?}")],
        );
    }
    check(
        "[[monitors]]\nid = \"m\"\nurl = \"https://me:pass@h/\"",
        &["3: monitors[0].url: wanted a URL that starts with ws:// or wss://, found ***"],
    );
    let span = "a span with its unit between";
    check(
        &monitor("interval = 30\ntimeout = \"5\""),
        &[
            &format!(
                "4: monitors[0].interval: wanted {span} 1s and 60m, such as \"30s\", \"1m 30s\" or \"500ms\", found 30"
            ),
            &format!(
                "5: monitors[0].timeout: wanted {span} 100ms and 60s, such as \"30s\", \"1m 30s\" or \"500ms\", found \"5\""
            ),
        ],
    );
    check(
        &monitor("interval = \"5s\"\ntimeout = \"6s\""),
        &["5: monitors[0].timeout: wanted timeout at most interval, which is 5s, found 6s"],
    );
    check(&monitor("interval = \"2s\""), &[]);
    check(
        &format!("{}\n{}", monitor(""), monitor("")),
        &["6: monitors[1].id: wanted an id that no other monitor has, found \"m\", as in line 2"],
    );
    check(
        &monitor("quorum = 2\nsensitivity = \"fats\"\nchannels = [\"ops\"]\nregions = [\"mars\"]"),
        &[
            "4: monitors[0].quorum: wanted a quorum of at most 1, the number of regions, found 2",
            "5: monitors[0].sensitivity: wanted \"fast\", \"balanced\" or \"strict\", found \"fats\"",
            "6: monitors[0].channels[0]: wanted a configured channel; there are none, found \"ops\"",
            "7: monitors[0].regions[0]: wanted one of the configured regions local, found \"mars\"",
        ][1..],
    );
    check(&monitor("regions = []"), &["4: monitors[0].regions: wanted at least one region, found none"]);
    check(
        &format!("regions = [\"a\", \"b\"]\n{}", monitor("quorum = 3")),
        &["5: monitors[0].quorum: wanted a quorum of at most 2, the number of regions, found 3"],
    );
    check(
        &format!("regions = [\"a\", \"b\"]\n{}", monitor("quorum = 1")),
        &["5: monitors[0].quorum: wanted a quorum of at least 2, so that no region pages alone, found 1"],
    );
    check(
        &monitor("confirm_for = \"601s\""),
        &["4: monitors[0].confirm_for: wanted at most 600s, found 601s"],
    );
    check(
        &monitor("quorum = \"most\""),
        &[
            "4: monitors[0].quorum: wanted \"majority\", \"all-but-one\", \"all\" or a number of regions, found \"most\"",
        ],
    );
}

#[test]
fn bad_endpoints_get_their_faults() {
    check(
        &monitor(
            "headers = { \"bad name\" = \"x\", Upgrade = \"h2c\", X-Token = \"a\\nb\", X-Missing = \"${NOPE}\" }",
        ),
        &[
            "4: monitors[0].headers.bad name: wanted a header name (RFC 9110 section 5.1), found \"bad name\"",
            "4: monitors[0].headers.Upgrade: wanted a header that the upgrade does not set itself (origin and subprotocols have keys of their own), found \"Upgrade\"",
            "4: monitors[0].headers.X-Token: wanted a header value of printable characters on one line, found ***",
            "4: monitors[0].headers.X-Missing: wanted the environment variable NOPE to be set, found it is not set",
        ],
    );
    check(
        &monitor("sni = \"1.2.3.4\"\nconnect_to = \"h\"\nca_file = \"not.pem\"\nsubprotocols = [\"a b\"]"),
        &[
            "4: monitors[0].sni: wanted a server name, such as \"chat.example.org\", found \"1.2.3.4\"",
            "5: monitors[0].connect_to: wanted host:port, such as \"watch.example.org:4433\", found \"h\"",
            "6: monitors[0].ca_file: wanted certificates in PEM (-----BEGIN CERTIFICATE-----), found none in not.pem",
            "7: monitors[0].subprotocols[0]: wanted a subprotocol's name, once, without spaces and separators, found \"a b\"",
        ],
    );
    check(
        &monitor("ca_file = \"gone.pem\""),
        &["4: monitors[0].ca_file: wanted a readable file /etc/q/gone.pem, found entity not found"],
    );
    check(
        "[[monitors]]\nid = \"m\"\nurl = \"ws://h/\"\nverify_tls = false",
        &[
            "4: monitors[0].verify_tls: wanted a wss:// URL beside verify_tls, found a ws:// URL, which has no TLS",
        ],
    );
}

#[test]
fn bad_steps_get_their_faults() {
    let step = |step: &str, fault: &str| {
        check(&monitor(&format!("steps = [{step}]")), &[&format!("4: monitors[0].steps[0]{fault}")]);
    };
    let kinds = "one of send, send_json, send_hex, send_base64, expect, expect_every and ping in each step";
    step("{}", &format!(": wanted {kinds}, found none"));
    step("{ send = \"a\", ping = true }", &format!(": wanted {kinds}, found send and ping"));
    step("{ send = \"\" }", ".send: wanted the text to send, of 1 to 4096 bytes, found 0 bytes");
    step(
        "{ send = \"a\", within = \"1s\" }",
        ".within: wanted no within: sending is not waiting, found within",
    );
    step(
        "{ expect = {} }",
        ".expect: wanted one or more of json, contains, regex, prefix_hex and prefix_base64, or any = true, found none of them",
    );
    step(
        "{ expect = { json = \"/a\" } }",
        ".expect.json: wanted one of equals, type, matches and present = true beside json, found json alone",
    );
    step(
        "{ expect = { json = \"a\", equals = 1 } }",
        ".expect.json: wanted a JSON pointer, such as \"/type\", or \"\" for the whole message, found \"a\"",
    );
    step(
        "{ expect = { json = \"/a\", equals = [1, 2026-01-01] } }",
        ".expect.equals[1]: wanted a value that JSON has, found the date 2026-01-01",
    );
    step(
        "{ expect = { regex = \"(\" } }",
        ".expect.regex: wanted a regular expression without look-around and \\p{}, found found open group without closing ')'",
    );
    step("{ ping = false }", ".ping: wanted ping = true, found false");
    step(
        "{ ping = true, within = \"11s\" }",
        ".within: wanted a span with its unit between 1ms and 10s, such as \"30s\", \"1m 30s\" or \"500ms\", found \"11s\"",
    );
}

#[test]
fn bad_channels_get_their_faults_and_no_secret_is_printed() {
    let secret =
        "whsec_ and base64 of 24 to 64 random bytes (as `echo whsec_$(openssl rand -base64 32)` makes)";
    check(
        "[[channels]]\nid = \"a\"\ntype = \"mail\"\nurl = \"https://h/\"",
        &["3: channels[0].type: wanted \"webhook\" or \"slack\", found \"mail\""],
    );
    check(
        "[[channels]]\nid = \"a\"\ntype = \"webhook\"\nurl = \"htp://h/token\"\nsecret = \"s3cret\"",
        &[
            "4: channels[0].url: wanted an http:// or https:// URL without a fragment, found ***",
            &format!("5: channels[0].secret: wanted {secret}, found ***"),
        ],
    );
    check(
        "[[channels]]\nid = \"a\"\ntype = \"webhook\"\nurl = \"https://h/\"\nsecrets = [\"${SECRET}\", \"${SHORT}\"]",
        &[&format!("5: channels[0].secrets[1]: wanted {secret}, found ***")],
    );
    check(
        "[[channels]]\nid = \"a\"\ntype = \"slack\"\nurl = \"https://h/\"\nsecret = \"${SECRET}\"",
        &["5: channels[0].secret: wanted no secret: Slack's URL is the secret, found secret"],
    );
    check(
        "[[channels]]\ntype = \"slack\"\nurl = \"file:gone\"",
        &[
            "1: channels[0].id: wanted an id for this channel, of a-z, 0-9, '.', '_' and '-', found nothing",
            "3: channels[0].url: wanted a readable file /etc/q/gone, found entity not found",
        ],
    );
}

#[test]
fn all_faults_are_said_at_once() {
    let text = r#"
regions = ["eu-west", "us-east", "ap south"]
[server]
http = "8080"
[[channels]]
id = "ops"
type = "webhook"
url = "example.org"
[[monitors]]
id = "chat"
url = "https://chat.example.org/"
intervall = "10s"
timeout = "1h"
[[monitors]]
id = "chat"
url = "wss://feed.example.org/"
channels = ["opps"]
"#;
    check(
        text,
        &[
            "2: regions[2]: wanted a region of a-z, 0-9, '.', '_' and '-', found \"ap south\"",
            "4: server.http: wanted an IP address and a port, such as \"0.0.0.0:4433\" or \"[::]:4433\", found \"8080\"",
            "8: channels[0].url: wanted an http:// or https:// URL without a fragment, found ***",
            "11: monitors[0].url: wanted a URL that starts with ws:// or wss://, found \"https://chat.example.org/\"",
            "12: monitors[0].intervall: wanted a known key, perhaps \"interval\", found \"intervall\"",
            "13: monitors[0].timeout: wanted a span with its unit between 100ms and 60s, such as \"30s\", \"1m 30s\" or \"500ms\", found \"1h\"",
            "15: monitors[1].id: wanted an id that no other monitor has, found \"chat\", as in line 10",
            "17: monitors[1].channels[0]: wanted a configured channel, perhaps \"ops\", found \"opps\"",
        ],
    );
}

#[test]
fn files_that_are_no_text_are_refused_as_a_whole() {
    for (file, wanted) in [
        ("/etc/q/gone", "/etc/q/gone:1: wanted a readable file, found entity not found"),
        ("/etc/q/latin1", "/etc/q/latin1:2: wanted text in UTF-8, found other bytes"),
        ("/etc/q/huge", "/etc/q/huge:1: wanted a file of at most 8388608 bytes, found more"),
    ] {
        let faults = Config::load(Path::new(file), &environment()).unwrap_err();
        assert_eq!(faults.iter().map(Fault::to_string).collect::<Vec<_>>(), [wanted]);
    }
}

#[test]
fn an_empty_file_means_the_defaults() {
    let config = parsed("").unwrap().config;
    assert_eq!(config.server.data, Path::new("/etc/q/quorate-data"));
    assert_eq!(config.server.http.to_string(), "127.0.0.1:8080");
    assert_eq!(config.server.quic.to_string(), "0.0.0.0:4433");
    assert_eq!(config.regions, ["local".parse().unwrap()]);
    assert_eq!(config.local_regions, config.regions);
    assert!(config.monitors.is_empty());
}

#[test]
fn domains_are_labels_and_how_many_of_them_must_fail() {
    let regions = "regions = [\"a\", \"b\", \"c\"]";
    let read = |defaults: &str, said: &str| {
        let text = format!("{regions}\n[defaults]\n{defaults}\n{}", monitor(said));
        let domains = parsed(&text).unwrap().config.monitors[0].domains.clone();
        (domains.labels.into_iter().collect::<Vec<_>>().join(" "), domains.min)
    };
    assert_eq!(read("", ""), ("network provider".to_owned(), 2));
    assert_eq!(read("min_domains = 3", "domains = [\"zone\"]"), ("zone".to_owned(), 3));
    assert_eq!(read("domains = []", "min_domains = 1"), (String::new(), 1));
    check(
        &format!("{regions}\n{}", monitor("min_domains = 4")),
        &["5: monitors[0].min_domains: wanted at most 3 domains, the number of regions, found 4"],
    );
    check(
        &monitor("min_domains = 0\ndomains = [\"a=b\"]"),
        &[
            "4: monitors[0].min_domains: wanted a number of domains from 1; 1 turns domains off, found 0",
            "5: monitors[0].domains[0]: wanted the name of a label: 1 to 128 bytes and no \"=\", found \"a=b\"",
        ],
    );
}

#[test]
fn everything_that_can_be_said_is_understood() {
    let text = r#"
regions = ["eu-west", "us-east", "ap-south"]
[local]
regions = ["eu-west"]
[defaults]
interval = "20s"
quorum = "majority"
[[channels]]
id = "ops"
type = "webhook"
url = "https://${HOST}/hook"
secrets = ["${SECRET}", "file:secret"]
partial = true
operator = false
[[channels]]
id = "chat"
type = "slack"
url = "https://hooks.slack.example/T/B/x"
[[monitors]]
id = "feed"
name = "Price feed"
url = "wss://${HOST}/feed"
timeout = "4s"
regions = ["us-east", "ap-south"]
quorum = "all"
confirm_for = "11s"
sensitivity = "strict"
channels = ["ops"]
headers = { X-B = "$${B}", Authorization = "file:secret" }
subprotocols = ["v1"]
origin = "https://${HOST}"
sni = "feed.example.org"
connect_to = "[::1]:8443"
ca_file = "ca.pem"
steps = [
  { send = '{"type":"ping","id":"{{nonce}}"}' },
  { expect = { json = "/type", equals = "pong" }, within = "2s" },
  { expect = { json = "", equals = { a = [1, 2.5, true] } } },
  { expect = { contains = "x" } },
  { expect = { regex = "^a+$" } },
  { expect = { any = true } },
  { ping = true },
]
[[monitors]]
id = "plain"
url = "wss://h"
verify_tls = false
steps = []
"#;
    let loaded = parsed(text).unwrap();
    let config = &loaded.config;
    assert_eq!(config.local_regions, ["eu-west".parse().unwrap()]);
    let ChannelKind::Webhook { url, secrets } = &config.channels[0].kind else { panic!("a webhook") };
    assert_eq!(url.expose(), "https://chat.example.org/hook");
    assert_eq!(secrets[0], secrets[1]);
    assert!(config.channels[0].partial && !config.channels[0].operator);
    assert!(!config.channels[1].partial && config.channels[1].operator);

    let feed = &config.monitors[0];
    assert_eq!(feed.name, "Price feed");
    assert_eq!(feed.spec.url, "wss://chat.example.org/feed");
    assert_eq!((feed.spec.interval, feed.spec.timeout), (Micros::from_secs(20), Micros::from_secs(4)));
    assert_eq!((feed.quorum, feed.sensitivity), (Quorum::All, Sensitivity::Strict));
    assert_eq!(feed.confirm_for, Some(Micros::from_secs(11)));
    assert_eq!(feed.regions.len(), 2);
    assert_eq!(feed.channels, ["ops"]);
    assert_eq!(feed.spec.headers[0].value, "${B}");
    assert!(feed.spec.headers[1].value.starts_with("whsec_") && !feed.spec.headers[1].value.ends_with('\n'));
    assert_eq!(feed.spec.ca_pem.as_deref(), Some(CERTIFICATE));
    let matchers: Vec<_> = feed
        .spec
        .steps
        .iter()
        .filter_map(|step| match step {
            Step::Expect(expect) => Some(expect.matcher.clone()),
            Step::Send(_) | Step::Stream(_) | Step::Ping { .. } => None,
        })
        .collect();
    assert_eq!(
        matchers,
        [
            Matcher::json_equals("/type", "\"pong\""),
            Matcher::json_equals("", "{\"a\":[1,2.5,true]}"),
            Matcher::contains("x"),
            Matcher::regex("^a+$"),
            Matcher::ANY,
        ]
    );
    assert!(config.monitors.iter().all(|monitor| monitor.spec.is_within_limits()));

    let plain = &config.monitors[1];
    assert_eq!((plain.name.as_str(), plain.quorum), ("plain", Quorum::Majority));
    assert_eq!(plain.spec.interval, Micros::from_secs(20));
    assert_eq!(plain.channels, ["ops", "chat"]);
    assert!(plain.spec.steps.is_empty());
    let warnings: Vec<_> = loaded.warnings.iter().map(|warning| warning.key.as_str()).collect();
    assert_eq!(warnings, ["monitors[1].verify_tls"]);
    assert!(!format!("{config:?}").contains("whsec_"));
}

#[test]
fn a_monitor_without_steps_is_pinged() {
    let config = parsed(&monitor("")).unwrap().config;
    assert_eq!(config.monitors[0].spec.steps, [Step::Ping { within: None }]);
}

#[test]
fn unwise_things_are_said() {
    let warnings = |text: &str| {
        let loaded = parsed(text).unwrap();
        loaded.warnings.iter().map(|warning| format!("{}: {}", warning.line, warning.key)).collect::<Vec<_>>()
    };
    let five = "regions = [\"a\", \"b\", \"c\", \"d\", \"e\"]\n";
    assert_eq!(warnings(&monitor("interval = \"10s\"")), ["1: monitors[0].channels"]);
    assert_eq!(
        warnings(&monitor("interval = \"30s\"")),
        ["1: monitors[0].channels", "4: monitors[0].interval"]
    );
    assert_eq!(warnings(&format!("{five}{}", monitor("interval = \"30s\""))), ["2: monitors[0].channels"]);
    assert_eq!(
        warnings(&format!("{five}{}", monitor("interval = \"5m\"\ntimeout = \"10s\""))),
        ["2: monitors[0].channels", "5: monitors[0].interval"]
    );
    assert_eq!(
        warnings("[[channels]]\nid = \"a\"\ntype = \"webhook\"\nurl = \"https://h/\""),
        ["3: channels[0].type"]
    );
    assert_eq!(warnings("[local]\nregions = [\"a\", \"b\"]"), ["1: local.regions"]);
}
