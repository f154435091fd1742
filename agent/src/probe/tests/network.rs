//! What happens before a server can be spoken to: names, addresses, TCP, TLS, and the agent's own limits.

use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};

use quorate_proto::{
    CheckKind, FailureKind, Matcher, Micros, MonitorSpec, Outcome, Phase, Step, outcome::DnsFault,
};
use tokio::{net::TcpStream, time::timeout};

use super::{
    Nameservers, SHORT, assert_failed, check, failure, prober, prober_with,
    server::{Act, Certificates, Record, Wanted, echo, echo_on, nameserver, scripted},
    spec,
};
use crate::egress::Egress;

/// A port of 127.0.0.1 on which nothing listens.
fn closed_port() -> u16 {
    StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn tcp_that_does_not_connect() {
    let refused = closed_port();
    let url = format!("ws://127.0.0.1:{refused}/");
    let checked = check(&prober(), &spec(&url)).await;
    let words = format!("nothing listens on 127.0.0.1:{refused}");
    assert_failed(&url, &checked, &FailureKind::ConnectionRefused, Phase::Tcp, &words);
    assert_eq!(checked.address, Some(IpAddr::from([127, 0, 0, 1])));

    // The kernel has no way to loopback's broadcast address.
    let checked = check(&prober(), &spec("ws://127.255.255.255/")).await;
    assert_failed(
        "broadcast",
        &checked,
        &FailureKind::Unreachable,
        Phase::Tcp,
        "no way to 127.255.255.255:80",
    );
}

#[tokio::test]
async fn a_full_backlog_is_a_connect_timeout() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut queued = Vec::new();
    while let Ok(connected) = timeout(SHORT.into(), TcpStream::connect(address)).await {
        queued.push(connected.unwrap());
        assert!(queued.len() < 64, "the backlog never fills");
    }
    let mut spec = spec(&format!("ws://{address}/"));
    spec.timeout = SHORT;
    let checked = check(&prober(), &spec).await;
    let words = format!("no answer from {address} within 800ms");
    assert_failed("backlog", &checked, &FailureKind::ConnectTimeout, Phase::Tcp, &words);

    // Where the name has another address, that one is tried before the deadline.
    let second = echo_on(&format!("127.0.0.2:{}", address.port())).await;
    let names = nameserver(Record::A(&[[127, 0, 0, 1], [127, 0, 0, 2]])).await;
    let prober = prober_with(Egress::Private, Nameservers::Explicit(vec![names]));
    let checked = check(&prober, &super::spec(&format!("ws://chat.example:{}/", address.port()))).await;
    assert_eq!((checked.outcome, checked.address), (Outcome::Passed, Some(second.ip())));
    // Its own handshake is what is measured, not the head start of the other.
    assert!(checked.timings.tcp.unwrap() + crate::limits::ADDRESS_STAGGER <= checked.timings.total);
}

#[tokio::test]
async fn names_that_do_not_resolve() {
    for (record, fault, words) in [
        (Record::NotFound, DnsFault::NotFound, "NXDOMAIN for chat.example"),
        (Record::NoData, DnsFault::NoAddress, "neither an A nor an AAAA record"),
        (Record::ServFail, DnsFault::ServerFailure, "for chat.example the nameserver says"),
        (Record::Silence, DnsFault::Timeout, "no nameserver answered for chat.example within 800ms"),
    ] {
        let nameservers = Nameservers::Explicit(vec![nameserver(record).await]);
        let mut spec = spec("ws://chat.example/");
        if fault == DnsFault::Timeout {
            spec.timeout = SHORT;
        }
        let checked = check(&prober_with(Egress::Private, nameservers), &spec).await;
        assert_failed(fault.name(), &checked, &FailureKind::Dns(fault), Phase::Dns, words);
        assert_eq!(checked.address, None);
    }
}

#[tokio::test]
async fn a_silent_nameserver_beside_a_good_one_and_half_an_answer_do_no_harm() {
    let echo = echo().await;
    let silent = nameserver(Record::Silence).await;
    let good = nameserver(Record::A(&[[127, 0, 0, 1]])).await;
    let half = nameserver(Record::AWithoutWordOfAaaa([127, 0, 0, 1])).await;
    for nameservers in [vec![silent, good], vec![half]] {
        let prober = prober_with(Egress::Private, Nameservers::Explicit(nameservers));
        let checked = check(&prober, &spec(&format!("ws://chat.example:{}/", echo.port()))).await;
        assert_eq!(checked.outcome, Outcome::Passed);
        assert!(checked.timings.dns.is_some());
    }
}

/// Two servers on one port of two addresses, and a name that leads to both.
#[tokio::test]
async fn another_address_is_taken_where_one_is_to_be_avoided_or_is_dead() {
    let first = echo().await;
    let port = first.port();
    let second = echo_on(&format!("127.0.0.2:{port}")).await;
    let names = nameserver(Record::A(&[[127, 0, 0, 1], [127, 0, 0, 2], [127, 0, 0, 3]])).await;
    let prober = prober_with(Egress::Private, Nameservers::Explicit(vec![names]));
    let spec = spec(&format!("ws://chat.example:{port}/"));
    for (avoid, taken) in [
        (None, first.ip()),
        (Some(first.ip()), second.ip()),
        (Some(second.ip()), first.ip()),
        (Some(IpAddr::from([192, 0, 2, 1])), first.ip()),
    ] {
        let checked = prober.check(&spec, avoid).await;
        assert_eq!(checked.outcome, Outcome::Passed);
        assert_eq!(checked.address, Some(taken), "avoiding {avoid:?}");
        assert_eq!(checked.facts.resolved.len(), 3);
    }
    // The only address there is is taken even though it is to be avoided.
    let names = nameserver(Record::A(&[[127, 0, 0, 1]])).await;
    let prober = prober_with(Egress::Private, Nameservers::Explicit(vec![names]));
    assert_eq!(prober.check(&spec, Some(first.ip())).await.address, Some(first.ip()));
    // A dead address is stepped over, and all of them are named where all are dead.
    let names = nameserver(Record::A(&[[127, 0, 0, 9], [127, 0, 0, 2]])).await;
    let prober = prober_with(Egress::Private, Nameservers::Explicit(vec![names]));
    let checked = check(&prober, &spec).await;
    assert_eq!((checked.outcome, checked.address), (Outcome::Passed, Some(second.ip())));
    let names = nameserver(Record::A(&[[127, 0, 0, 8], [127, 0, 0, 9]])).await;
    let prober = prober_with(Egress::Private, Nameservers::Explicit(vec![names]));
    let checked = check(&prober, &spec).await;
    let words = format!("nothing listens on 127.0.0.8:{port}; nothing listens on 127.0.0.9:{port}");
    assert_failed("dead", &checked, &FailureKind::ConnectionRefused, Phase::Tcp, &words);
}

#[tokio::test]
async fn localhost_is_loopback_without_asking_anybody() {
    let echo = echo().await;
    let silent = Nameservers::Explicit(vec![nameserver(Record::Silence).await]);
    for nameservers in [silent, Nameservers::System] {
        let prober = prober_with(Egress::Private, nameservers);
        let checked = check(&prober, &spec(&format!("ws://localhost:{}/", echo.port()))).await;
        assert_eq!(checked.outcome, Outcome::Passed);
        assert_eq!(checked.address, Some(echo.ip()));
    }
}

#[tokio::test]
async fn connect_to_changes_the_address_and_nothing_else() {
    let echo = echo().await;
    let mut spec = spec("ws://chat.invalid/");
    spec.connect_to = Some(echo.to_string());
    let checked = check(&prober(), &spec).await;
    assert_eq!((checked.outcome, checked.address), (Outcome::Passed, Some(echo.ip())));
}

#[tokio::test]
async fn certificates_are_judged() {
    let good = Certificates::valid(2020, 2100);
    let old = Certificates::valid(2020, 2021);
    let young = Certificates::valid(2090, 2100);
    let connect = |address: SocketAddr, host: &str, ca: Option<&Certificates>| {
        let mut spec = spec(&format!("wss://{host}/"));
        spec.connect_to = Some(address.to_string());
        spec.ca_pem = ca.map(|ca| ca.ca_pem.clone());
        spec
    };
    for (server, host, trusted, kind, words) in [
        (&good, "localhost", Some(&old), FailureKind::CertificateUntrusted, "signature is not its issuer's"),
        (&good, "localhost", None, FailureKind::CertificateUntrusted, "not issued by a trusted root"),
        (
            &good,
            "other.example",
            Some(&good),
            FailureKind::CertificateName,
            "is for localhost, not for other.example",
        ),
        (
            &good,
            "127.0.0.1",
            Some(&good),
            FailureKind::CertificateName,
            "is for localhost, not for 127.0.0.1",
        ),
        (&old, "localhost", Some(&old), FailureKind::CertificateExpired, "was valid until 2021-01-01"),
        (&young, "localhost", Some(&young), FailureKind::CertificateExpired, "is valid from 2090-01-01"),
    ] {
        let spec = connect(server.echo().await, host, trusted);
        let checked = check(&prober(), &spec).await;
        assert_failed(host, &checked, &kind, Phase::Tls, words);
    }

    let address = good.echo().await;
    let right = connect(address, "localhost", Some(&good));
    let mut sni = connect(address, "other.example", Some(&good));
    sni.sni = Some("localhost".into());
    for spec in [right, sni] {
        let checked = check(&prober(), &spec).await;
        assert_eq!(checked.outcome, Outcome::Passed);
        assert!(checked.timings.tls.is_some());
        let tls = checked.facts.tls.unwrap();
        assert_eq!((tls.facts.version_name().as_ref(), tls.facts.verified), ("TLS 1.3", true));
        assert_eq!(tls.facts.not_after.unwrap().as_unix_seconds(), 4_102_444_800);
        assert!(tls.facts.cipher_name().starts_with("TLS_") && !tls.key_exchange.is_empty(), "{tls:?}");
    }

    let old_tls = Certificates::like(Wanted { versions: &[&rustls::version::TLS12], ..Wanted::default() });
    let checked = check(&prober(), &connect(old_tls.echo().await, "localhost", Some(&old_tls))).await;
    assert_eq!(checked.outcome, Outcome::Passed);
    assert_eq!(checked.facts.tls.unwrap().facts.version_name(), "TLS 1.2");

    // Unverified, anything goes; and it is said.
    let mut blind = connect(old.echo().await, "other.example", None);
    blind.verify_tls = false;
    let checked = check(&prober(), &blind).await;
    assert_eq!(checked.outcome, Outcome::Passed);
    assert!(!checked.facts.tls.unwrap().facts.verified);
}

#[tokio::test]
async fn tls_that_fails_otherwise() {
    let secure = |address: SocketAddr| spec(&format!("wss://{address}/"));
    for (script, kind, words) in [
        (
            vec![Act::Hear, Act::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())],
            FailureKind::TlsHandshake,
            "ws://",
        ),
        (
            vec![Act::Hear, Act::Say(vec![0x15, 3, 3, 0, 2, 2, 40])],
            FailureKind::TlsHandshake,
            "handshake_failure",
        ),
        (vec![Act::Hear], FailureKind::TlsHandshake, "closed the connection within the TLS handshake"),
        (vec![Act::Hear, Act::Reset], FailureKind::ConnectionReset, "reset within the TLS handshake"),
    ] {
        let checked = check(&prober(), &secure(scripted(script).await)).await;
        assert_failed(words, &checked, &kind, Phase::Tls, words);
    }
    let mut silent = secure(scripted(vec![Act::Hold]).await);
    silent.timeout = SHORT;
    let checked = check(&prober(), &silent).await;
    assert_failed("silent", &checked, &FailureKind::TlsTimeout, Phase::Tls, "within 800ms");

    // And plain ws:// to a port that speaks TLS.
    let plain = Certificates::valid(2020, 2100).echo().await;
    let checked = check(&prober(), &spec(&format!("ws://{plain}/"))).await;
    assert_eq!(failure(&checked).kind.name(), "upgrade_invalid");
    assert!(failure(&checked).detail.contains("wss://"), "{}", failure(&checked).detail);
}

#[tokio::test]
async fn nonsense_is_the_agents_own_fault_and_costs_no_connection() {
    let step = Step::expect(Matcher::regex("("), None);
    for (bad, words) in [
        (spec("http://127.0.0.1/"), "http:// where ws://"),
        (MonitorSpec { steps: vec![step], ..spec("ws://127.0.0.1/") }, "not a regular expression"),
        (MonitorSpec { timeout: Micros::ZERO, ..spec("ws://127.0.0.1/") }, "above its limit"),
    ] {
        let checked = check(&prober(), &bad).await;
        assert_failed(words, &checked, &FailureKind::AgentFault, Phase::Dns, words);
        assert_eq!(checked.address, None);
        let result = checked.into_result("m".parse().unwrap(), CheckKind::Scheduled, Micros(5));
        assert!(result.is_within_limits() && result.age == Micros(5));
    }
}
