//! The ways to a server: what TLS agreed on, client certificates, proxies, and each address on its own.

use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::digest::{SHA256, digest};
use quorate_proto::{
    CheckKind, CheckResult, FailureKind, Micros, MonitorSpec, Outcome, Phase, Step,
    monitor::{Addresses, ClientCertificate, Family, Proxy},
    outcome::DnsFault,
};

use super::{
    super::parse_proxy,
    Checked, Nameservers, Options, Prober, SHORT, assert_failed, check, failure, prober, prober_with,
    server::{
        Act, Certificates, Client, Record, Wanted, echo, echo_on, nameserver, proxy, scripted, scripted_on,
    },
    spec,
};
use crate::egress::Egress;

fn result(checked: Checked) -> CheckResult {
    let result = checked.into_result("m".parse().unwrap(), CheckKind::Scheduled, Micros::ZERO);
    assert!(result.is_within_limits(), "{result:?}");
    result
}

fn secure(address: SocketAddr, certificates: &Certificates) -> MonitorSpec {
    MonitorSpec {
        connect_to: Some(address.to_string()),
        ca_pem: Some(certificates.ca_pem.clone()),
        ..spec("wss://localhost/")
    }
}

#[tokio::test]
async fn what_tls_agreed_on_is_in_the_result() {
    let plain = Certificates::valid(2020, 2090);
    let chain = Certificates::like(Wanted { intermediate_until: Some(2070), ..Wanted::default() });
    let old =
        Certificates::like(Wanted { versions: &[&rustls::version::TLS12], until: 2080, ..Wanted::default() });
    for (server, version, cipher, ends) in [
        (&plain, "TLS 1.3", "TLS_AES", "2090"),
        (&chain, "TLS 1.3", "TLS_AES", "2070"),
        (&old, "TLS 1.2", "TLS_ECDHE_ECDSA", "2080"),
    ] {
        let checked = check(&prober(), &secure(server.echo().await, server)).await;
        assert_eq!(checked.outcome, Outcome::Passed);
        let leaf = checked.facts.tls.as_ref().unwrap().certificate.clone().unwrap();
        assert_eq!(leaf.names, ["localhost"]);
        assert!(leaf.issuer.starts_with("test authority"), "{leaf:?}");
        let facts = result(checked).tls.unwrap();
        assert_eq!(facts.version_name(), version);
        assert!(facts.cipher_name().starts_with(cipher), "{}", facts.cipher_name());
        assert_eq!(facts.fingerprint, digest(&SHA256, &server.leaf).as_ref());
        let day = jiff::Timestamp::from_microsecond(facts.not_after.unwrap().0).unwrap().to_string();
        assert!(day.starts_with(ends), "{day}");
        assert!(facts.verified);
    }
    // Also where a later phase fails, and where nothing was verified.
    let refusing =
        plain.refuse("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nSet-Cookie: a=b\r\n\r\n");
    let mut refused = secure(refusing.await, &plain);
    refused.verify_tls = false;
    let checked = check(&prober(), &refused).await;
    assert_failed("503", &checked, &FailureKind::UpgradeStatus(503), Phase::Upgrade, "");
    assert_eq!(failure(&checked).refusal.as_ref().unwrap().headers, ["retry-after: 7"]);
    assert!(!result(checked).tls.unwrap().verified);
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_the_server_wants_one() {
    let (known, stranger) = (Client::of("ours"), Client::of("theirs"));
    let mixed = ClientCertificate {
        chain_pem: known.certificate.chain_pem.clone(),
        key_pem: stranger.certificate.key_pem.clone(),
    };
    let pem = |chain: &str, key: &str| ClientCertificate { chain_pem: chain.into(), key_pem: key.into() };
    let chain = known.certificate.chain_pem.as_str();
    let prober = prober();
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        let server = Certificates::like(Wanted { versions, clients: Some(&known), ..Wanted::default() });
        let address = server.echo().await;
        let is_late = versions[0].version == rustls::ProtocolVersion::TLSv1_3;
        // In TLS 1.3 a client is done before the server has judged its certificate.
        let refused = |alert: u8| match is_late {
            true => (FailureKind::TlsAlert(alert), Phase::Upgrade),
            false => (FailureKind::TlsHandshake, Phase::Tls),
        };
        let own = || (FailureKind::AgentFault, Phase::Tls);
        let not_planned = || (FailureKind::AgentFault, Phase::Dns);
        for (certificate, (kind, phase), words) in [
            (None, refused(116), "certificate_required: it wants a client certificate"),
            (Some(stranger.certificate.clone()), refused(48), "unknown_ca: it does not take the client"),
            (Some(mixed.clone()), own(), "TLS cannot be set up"),
            (Some(pem("", "")), not_planned(), "no certificate in PEM"),
            (Some(pem(chain, "")), not_planned(), "no private key in PEM"),
            (Some(pem(chain, "-----BEGIN PRIVATE KEY-----\nsecret")), not_planned(), "broken PEM"),
        ] {
            let spec = MonitorSpec { client_certificate: certificate, ..secure(address, &server) };
            let checked = check(&prober, &spec).await;
            assert_failed(words, &checked, &kind, phase, words);
            assert!(!failure(&checked).detail.contains("secret"));
        }
        for _ in 0..2 {
            let certificate = Some(known.certificate.clone());
            let spec = MonitorSpec { client_certificate: certificate, ..secure(address, &server) };
            assert_eq!(check(&prober, &spec).await.outcome, Outcome::Passed);
        }
    }
}

#[tokio::test]
async fn a_proxy_is_gone_through() {
    let echo = echo().await;
    let certificates = Certificates::valid(2020, 2100);
    let behind_tls = certificates.echo().await;
    let (at, heads) = proxy().await;
    let own = parse_proxy(&format!("http://me:p@ss@{at}/")).unwrap();
    let mut plain = spec(&format!("ws://localhost:{}/", echo.port()));
    plain.steps = vec![Step::Ping { within: None }];
    plain.proxy = Some(own);
    // What a proxy chooses is not for the agent to choose.
    plain.addresses = Addresses::All;
    let mut tls = secure(behind_tls, &certificates);
    tls.connect_to = Some(format!("localhost:{}", behind_tls.port()));
    tls.proxy = Some(Proxy { address: format!("localhost:{}", at.port()), authorization: None });
    for spec in [&plain, &tls] {
        let checked = check(&prober(), spec).await;
        assert_eq!(checked.outcome, Outcome::Passed, "{spec:?}");
        assert_eq!(checked.address, Some(at.ip()));
        assert!(checked.timings.tcp.is_some() && checked.facts.proxy.is_some());
        assert!(checked.addresses.is_empty());
    }
    // The agent's own proxy is for monitors that name none.
    let options = Options {
        egress: Egress::Private,
        region: None,
        nameservers: Nameservers::System,
        proxy: Some(parse_proxy(&at.to_string()).unwrap()),
    };
    let default = MonitorSpec { proxy: None, ..plain.clone() };
    assert_eq!(check(&Prober::new(options).unwrap(), &default).await.outcome, Outcome::Passed);

    let heads = heads.lock().unwrap();
    let [first, second, third] = heads.as_slice() else { panic!("{heads:?}") };
    let target = format!("CONNECT localhost:{} HTTP/1.1\r\nHost: localhost:{}\r\n", echo.port(), echo.port());
    assert!(first.starts_with(&target), "{first}");
    assert!(first.contains("\r\nProxy-Authorization: Basic bWU6cEBzcw==\r\n"), "{first}");
    assert!(!second.contains("Authorization") && !third.contains("Authorization"));
}

#[tokio::test]
async fn what_a_proxy_answers_is_told_apart() {
    let head = |answer: &'static str| vec![Act::Head, Act::Say(answer.as_bytes().to_vec()), Act::Hold];
    let endless =
        [b"HTTP/1.1 200 OK\r\n".to_vec(), b"A: bbbbbbbbbbbbbbbbbbbbbbbbb\r\n".repeat(2_000)].concat();
    for (script, kind, phase, words) in [
        (head("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"), FailureKind::Proxy, Phase::Tcp, "407"),
        (head("HTTP/1.1 403 Filtered\r\n\r\n"), FailureKind::Proxy, Phase::Tcp, "\"HTTP/1.1 403 Filtered\""),
        (head("HTTP/1.1 405 No\r\n\r\n"), FailureKind::Proxy, Phase::Tcp, "405"),
        (head("HTTP/1.1 301 There\r\nLocation: /\r\n\r\n"), FailureKind::Proxy, Phase::Tcp, "301"),
        (head("HTTP/1.1 500 Oops\r\n\r\n"), FailureKind::Proxy, Phase::Tcp, "500"),
        (head("HTTP/1.1 500 Unable to connect\r\n\r\n"), FailureKind::Unreachable, Phase::Tcp, "500"),
        (head("HTTP/1.1 502 Bad Gateway\r\n\r\n"), FailureKind::Unreachable, Phase::Tcp, "502"),
        (head("HTTP/1.1 503 No\r\n\r\n"), FailureKind::Unreachable, Phase::Tcp, "503"),
        (head("HTTP/1.1 504 Slow\r\n\r\n"), FailureKind::ConnectTimeout, Phase::Tcp, "504"),
        (
            head("HTTP/1.1 503 No\r\nX-Squid-Error: ERR_CONNECT_FAIL 111\r\n\r\n"),
            FailureKind::ConnectionRefused,
            Phase::Tcp,
            "(ERR_CONNECT_FAIL 111)",
        ),
        (
            head("HTTP/1.1 503 No\r\nX-Squid-Error: ERR_DNS_FAIL 0\r\n\r\n"),
            FailureKind::Dns(DnsFault::ServerFailure),
            Phase::Tcp,
            "ERR_DNS_FAIL",
        ),
        (
            head("HTTP/1.1 503 No\r\nX-Squid-Error: ERR_TOO_BIG 0\r\n\r\n"),
            FailureKind::Proxy,
            Phase::Tcp,
            "ERR_TOO_BIG",
        ),
        (
            head("HTTP/1.1 502 No\r\nProxy-Status: p.example; error=connection_refused; details=x\r\n\r\n"),
            FailureKind::ConnectionRefused,
            Phase::Tcp,
            "error=connection_refused",
        ),
        (
            head("HTTP/1.1 502 No\r\nProxy-Status: p.example; error=proxy_loop_detected\r\n\r\n"),
            FailureKind::Proxy,
            Phase::Tcp,
            "loop",
        ),
        (head("SSH-2.0-x\r\n\r\n"), FailureKind::Proxy, Phase::Tcp, "does not speak HTTP"),
        (head("\u{15}\u{3}\u{3}\0\u{2}\u{2}("), FailureKind::Proxy, Phase::Tcp, "answered with TLS"),
        (vec![Act::Head], FailureKind::Proxy, Phase::Tcp, "closed the connection instead"),
        (vec![Act::Head, Act::Reset], FailureKind::Proxy, Phase::Tcp, "broke off instead"),
        (vec![Act::Head, Act::Say(endless)], FailureKind::Proxy, Phase::Tcp, "header lines"),
        (
            vec![Act::Head, Act::Flood(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec())],
            FailureKind::Proxy,
            Phase::Tcp,
            "interim responses without an end",
        ),
        // What comes behind the answer is the server's.
        (
            head("HTTP/1.1 200 OK\r\n\r\nSSH-2.0-OpenSSH_9.2\r\n"),
            FailureKind::UpgradeInvalid(quorate_proto::outcome::UpgradeFault::NotHttp),
            Phase::Upgrade,
            "SSH-2.0-OpenSSH_9.2",
        ),
    ] {
        let at = scripted(script).await;
        let proxy = Some(Proxy { address: at.to_string(), authorization: None });
        let checked = check(&prober(), &MonitorSpec { proxy, ..spec("ws://chat.example/") }).await;
        assert_failed(words, &checked, &kind, phase, words);
        assert_eq!(checked.address, Some(at.ip()), "{words}");
        if phase == Phase::Tcp {
            assert!(failure(&checked).detail.contains(&at.to_string()), "{words}");
        }
    }
}

/// A head that comes in pieces, and interim answers before it, are taken for what they are.
#[tokio::test]
async fn a_proxys_answer_may_come_in_pieces() {
    let pieces = ["HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 2", "00 Connection established\r\nA: b\r", "\n\r\n"];
    let mut script = vec![Act::Head];
    for piece in pieces {
        script.push(Act::Say(piece.as_bytes().to_vec()));
        script.push(Act::Pause);
    }
    script.extend([Act::Upgrade(""), Act::Hold]);
    let at = scripted(script).await;
    let proxy = Some(Proxy { address: at.to_string(), authorization: None });
    let checked = check(&prober(), &MonitorSpec { proxy, ..spec("ws://chat.example/") }).await;
    assert_eq!(checked.outcome, Outcome::Passed, "{checked:?}");
}

#[tokio::test]
async fn a_proxy_that_is_not_reached_says_nothing_about_the_server() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = scripted(vec![Act::Hold]).await;
    let names = Nameservers::Explicit(vec![nameserver(Record::NotFound).await]);
    let mute = Nameservers::Explicit(vec![nameserver(Record::Silence).await]);
    let at = listener.local_addr().unwrap().to_string();
    let nothing = format!("the proxy {free} is not reached: nothing listens on {free}");
    let no_answer = format!("the proxy {silent} did not answer CONNECT chat.example:80 within 800ms");
    for (egress, nameservers, url, proxy, kind, phase, words) in [
        (
            Egress::Private,
            &names,
            "ws://chat.example/",
            free.to_string(),
            FailureKind::Proxy,
            Phase::Tcp,
            nothing.as_str(),
        ),
        (
            Egress::Private,
            &names,
            "ws://chat.example/",
            "proxy.example:3128".into(),
            FailureKind::Proxy,
            Phase::Dns,
            "the proxy proxy.example:3128 is not reached: the nameserver says NXDOMAIN",
        ),
        (
            Egress::Private,
            &mute,
            "ws://chat.example/",
            "proxy.example:3128".into(),
            FailureKind::Proxy,
            Phase::Dns,
            "no nameserver answered for proxy.example",
        ),
        (
            Egress::Private,
            &names,
            "ws://chat.example/",
            silent.to_string(),
            FailureKind::ConnectTimeout,
            Phase::Tcp,
            no_answer.as_str(),
        ),
        // The egress filter judges the proxy, and a server that is given as an address.
        (
            Egress::Public,
            &names,
            "ws://chat.example/",
            at.clone(),
            FailureKind::EgressBlocked,
            Phase::Tcp,
            "127.0.0.1 is loopback",
        ),
        (
            Egress::Private,
            &names,
            "ws://0xA9FEA9FE/",
            at.clone(),
            FailureKind::EgressBlocked,
            Phase::Tcp,
            "169.254.169.254 is a cloud's metadata service",
        ),
        (
            Egress::Private,
            &names,
            "ws://chat.example/",
            "proxy".into(),
            FailureKind::AgentFault,
            Phase::Dns,
            "`proxy` is not a proxy",
        ),
    ] {
        let proxy = Some(Proxy { address: proxy, authorization: None });
        let spec = MonitorSpec { proxy, timeout: SHORT, ..spec(url) };
        let checked = check(&prober_with(egress, nameservers.clone()), &spec).await;
        assert_failed(words, &checked, &kind, phase, words);
    }
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "something was dialled");
}

#[tokio::test]
async fn each_address_is_checked_on_its_own() {
    const GOOD: [u8; 4] = [127, 0, 0, 11];
    const ALSO: [u8; 4] = [127, 0, 0, 12];
    const DEAD: [u8; 4] = [127, 0, 0, 13];
    const FULL: [u8; 4] = [127, 0, 0, 14];
    const MUTE: [u8; 4] = [127, 0, 0, 15];
    let port = echo_on("127.0.0.11:0").await.port();
    echo_on(&format!("127.0.0.12:{port}")).await;
    let full = vec![Act::Head, Act::Say(b"HTTP/1.1 503 Full\r\nContent-Length: 0\r\n\r\n".to_vec())];
    scripted_on(&format!("127.0.0.14:{port}"), full).await;
    scripted_on(&format!("127.0.0.15:{port}"), vec![Act::Hold]).await;
    let refused = || Some(FailureKind::ConnectionRefused);
    let full = || Some(FailureKind::UpgradeStatus(503));
    for (records, avoid, found, told, words) in [
        (&[GOOD, ALSO][..], None, vec![(GOOD, None), (ALSO, None)], GOOD, ""),
        (&[GOOD, ALSO], Some(GOOD), vec![(GOOD, None), (ALSO, None)], ALSO, ""),
        (&[DEAD, ALSO, GOOD], None, vec![(GOOD, None), (ALSO, None), (DEAD, refused())], ALSO, ""),
        (&[GOOD], None, vec![(GOOD, None)], GOOD, ""),
        (&[GOOD, GOOD], None, vec![(GOOD, None)], GOOD, ""),
        (
            &[DEAD, FULL],
            None,
            vec![(DEAD, refused()), (FULL, full())],
            FULL,
            "2 of 2 addresses fail, 1 of them so; 127.0.0.14: ",
        ),
        (&[DEAD], None, vec![(DEAD, refused())], DEAD, "nothing listens on 127.0.0.13"),
        (
            &[MUTE, FULL, DEAD, GOOD],
            None,
            vec![(GOOD, None), (DEAD, refused()), (FULL, full()), (MUTE, Some(FailureKind::UpgradeTimeout))],
            GOOD,
            "",
        ),
    ] {
        let names = nameserver(Record::A(records)).await;
        let prober = prober_with(Egress::Private, Nameservers::Explicit(vec![names]));
        let mut spec = spec(&format!("ws://chat.example:{port}/"));
        spec.addresses = Addresses::All;
        spec.timeout = SHORT;
        let checked = prober.check(&spec, avoid.map(IpAddr::from)).await;
        assert!(checked.timings.total <= spec.timeout + super::SLACK && checked.timings.dns.is_some());
        assert_eq!(checked.address, Some(told.into()), "{records:?}");
        assert_eq!(checked.facts.resolved.len(), records.len());
        match &checked.outcome {
            Outcome::Passed => assert_eq!(words, "", "{records:?}"),
            Outcome::Failed(failure) => {
                assert!(!words.is_empty() && failure.detail.starts_with(words), "{failure:?}");
            }
        }
        let result = result(checked);
        let seen: Vec<_> =
            result.addresses.into_iter().map(|address| (address.address, address.failure)).collect();
        let found: Vec<_> = found.into_iter().map(|(address, kind)| (IpAddr::from(address), kind)).collect();
        assert_eq!(seen, found, "{records:?}");
    }
}

/// An egress filter that lets some of the addresses through: the others are the agent's own trouble.
#[tokio::test]
async fn an_address_that_may_not_be_dialled_is_told_apart() {
    let echo = echo_on("127.0.0.21:0").await;
    let names = nameserver(Record::A(&[[127, 0, 0, 22], [127, 0, 0, 21]])).await;
    let only = Egress::Only(vec!["127.0.0.21/32".parse().unwrap()]);
    let prober = prober_with(only, Nameservers::Explicit(vec![names]));
    let spec =
        MonitorSpec { addresses: Addresses::All, ..spec(&format!("ws://chat.example:{}/", echo.port())) };
    let checked = check(&prober, &spec).await;
    assert_eq!((&checked.outcome, checked.address), (&Outcome::Passed, Some(echo.ip())));
    let failures: Vec<_> = checked.addresses.iter().map(|address| address.failure.clone()).collect();
    assert_eq!(failures, [None, Some(FailureKind::EgressBlocked)]);
}

#[tokio::test]
async fn many_addresses_are_bounded_and_always_the_same() {
    const MANY: [[u8; 4]; 40] = {
        let mut many = [[127, 0, 9, 0]; 40];
        let mut index = 0;
        while index < 40 {
            many[index][3] = 200 - index as u8;
            index += 1;
        }
        many
    };
    let names = nameserver(Record::A(&MANY)).await;
    let prober = prober_with(Egress::Private, Nameservers::Explicit(vec![names]));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let spec = MonitorSpec { addresses: Addresses::All, ..spec(&format!("ws://chat.example:{free}/")) };
    let checked = check(&prober, &spec).await;
    assert_failed("many", &checked, &FailureKind::ConnectionRefused, Phase::Tcp, "16 of 16 addresses fail; ");
    let seen: Vec<_> = checked.addresses.iter().map(|address| address.address).collect();
    let wanted: Vec<_> = (161..177).map(|last| IpAddr::from([127, 0, 9, last])).collect();
    assert_eq!(seen, wanted);
}

#[tokio::test]
async fn a_family_is_kept_to() {
    const V4: &[[u8; 4]] = &[[127, 0, 0, 31]];
    const V6: &[[u8; 16]] = &[[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]];
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        eprintln!("SKIPPED a_family_is_kept_to: this machine lacks IPv6");
        return;
    }
    let port = echo_on("127.0.0.31:0").await.port();
    echo_on(&format!("[::1]:{port}")).await;
    let (v4, v6) = (IpAddr::from(V4[0]), IpAddr::from(V6[0]));
    for (family, v4s, v6s, dialled) in [
        (Family::Any, V4, V6, Ok((v6, 0))),
        (Family::V4, V4, V6, Ok((v4, 0))),
        (Family::V6, V4, V6, Ok((v6, 0))),
        (Family::Both, V4, V6, Ok((v6, 2))),
        (Family::Both, V4, &[], Ok((v4, 1))),
        (Family::V6, V4, &[], Err("no AAAA record, and IPv6 alone")),
        (Family::V4, &[], V6, Err("no A record, and IPv4 alone")),
        (Family::Both, &[], &[], Err("neither an A nor an AAAA")),
    ] {
        let names = nameserver(Record::Of(v4s, v6s)).await;
        let prober = prober_with(Egress::Private, Nameservers::Explicit(vec![names]));
        let spec = MonitorSpec { family, ..spec(&format!("ws://chat.example:{port}/")) };
        let checked = check(&prober, &spec).await;
        match dialled {
            Ok((address, each)) => {
                assert_eq!(
                    (&checked.outcome, checked.address),
                    (&Outcome::Passed, Some(address)),
                    "{family:?}"
                );
                assert_eq!(checked.addresses.len(), each, "{family:?}");
            }
            Err(words) => {
                let kind = FailureKind::Dns(DnsFault::NoAddress);
                assert_failed(words, &checked, &kind, Phase::Dns, words);
            }
        }
    }
    // A nameserver that never answers for AAAA costs a second, and not the check.
    let half = nameserver(Record::AWithoutWordOfAaaa(V4[0])).await;
    let prober = prober_with(Egress::Private, Nameservers::Explicit(vec![half]));
    let both = MonitorSpec { family: Family::Both, ..spec(&format!("ws://chat.example:{port}/")) };
    assert_eq!(check(&prober, &both).await.outcome, Outcome::Passed);
    // An address of the other family in the URL is a mistake in the configuration.
    for (url, family) in [("ws://127.0.0.1/", Family::V6), ("ws://[::1]/", Family::V4)] {
        let checked = check(&prober, &MonitorSpec { family, ..spec(url) }).await;
        assert_failed(url, &checked, &FailureKind::AgentFault, Phase::Dns, "not of the family");
    }
}
