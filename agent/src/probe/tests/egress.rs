//! The egress filter, from the URL to the address that is dialled, or not. `tests/system/egress.rs` does the same where
//! every address there is leads to a listener.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
};

use quorate_proto::{FailureKind, MonitorSpec, Outcome, Phase};

use super::{
    Nameservers, assert_failed, check, prober_with,
    server::{Record, echo_on, nameserver},
    spec,
};
use crate::egress::Egress;

/// Listens on both loopback addresses, and hears who comes.
struct Trap(Vec<TcpListener>);

impl Trap {
    fn set() -> (Self, u16) {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        // A machine without IPv6, or with that port taken, has one trap fewer.
        let second = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).ok();
        let listeners: Vec<_> = [first].into_iter().chain(second).collect();
        for listener in &listeners {
            listener.set_nonblocking(true).unwrap();
        }
        (Self(listeners), port)
    }

    fn assert_empty(&self, name: &str) {
        for listener in &self.0 {
            let kind = listener.accept().map_err(|error| error.kind()).map(|_| ());
            assert_eq!(kind, Err(io::ErrorKind::WouldBlock), "{name} was dialled");
        }
    }
}

/// Hosts as a URL may spell them, and what the filter calls the address.
const SPELLINGS: [(&str, &str); 62] = [
    ("127.0.0.1", "127.0.0.1 is loopback"),
    ("127.1", "127.0.0.1 is loopback"),
    ("127.0.1", "127.0.0.1 is loopback"),
    ("127.0.0.1.", "127.0.0.1 is loopback"),
    ("2130706433", "127.0.0.1 is loopback"),
    ("0x7f.1", "127.0.0.1 is loopback"),
    ("0X7F.0X0.0x1", "127.0.0.1 is loopback"),
    ("0x7f000001", "127.0.0.1 is loopback"),
    ("0x00000000007f000001", "127.0.0.1 is loopback"),
    ("0177.0.0.1", "127.0.0.1 is loopback"),
    ("0177.0.0.01", "127.0.0.1 is loopback"),
    ("017700000001", "127.0.0.1 is loopback"),
    ("%31%32%37.0.0.1", "127.0.0.1 is loopback"),
    ("127。0。0。1", "127.0.0.1 is loopback"),
    ("127．0．0．1", "127.0.0.1 is loopback"),
    ("１２７.0.0.1", "127.0.0.1 is loopback"),
    ("①②⑦.0.0.1", "127.0.0.1 is loopback"),
    ("127.255.255.254", "127.255.255.254 is loopback"),
    ("[::1]", "::1 is loopback"),
    ("[0:0:0:0:0:0:0:1]", "::1 is loopback"),
    ("[0000::0001]", "::1 is loopback"),
    ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1 is an IPv4-mapped address"),
    ("[::ffff:7f00:1]", "::ffff:127.0.0.1 is an IPv4-mapped address"),
    ("[0:0:0:0:0:FFFF:127.0.0.1]", "::ffff:127.0.0.1 is an IPv4-mapped address"),
    ("[::127.0.0.1]", "is an IPv4-compatible address"),
    ("[64:ff9b::127.0.0.1]", "is a NAT64 address of a special IPv4 address"),
    ("[64:ff9b::7f00:1]", "is a NAT64 address of a special IPv4 address"),
    ("[64:ff9b:1::127.0.0.1]", "outside the public internet"),
    ("[2002:7f00:1::]", "is a 6to4 address"),
    ("[2001:0:7f00:1::1]", "is a Teredo address"),
    ("localhost", "is loopback"),
    ("LocalHost", "is loopback"),
    ("localhost.", "is loopback"),
    ("ｌｏｃａｌｈｏｓｔ", "is loopback"),
    ("0.0.0.0", "0.0.0.0 is the unspecified address"),
    ("0", "0.0.0.0 is the unspecified address"),
    ("0x", "0.0.0.0 is the unspecified address"),
    ("[::]", ":: is the unspecified address"),
    ("[::ffff:0.0.0.0]", "is the unspecified address"),
    ("169.254.169.254", "is a cloud's metadata service"),
    ("2852039166", "169.254.169.254 is a cloud's metadata service"),
    ("0xa9fea9fe", "169.254.169.254 is a cloud's metadata service"),
    ("0251.0376.0251.0376", "169.254.169.254 is a cloud's metadata service"),
    ("[::ffff:169.254.169.254]", "is a cloud's metadata service"),
    ("[64:ff9b::169.254.169.254]", "is a NAT64 address of a special IPv4 address"),
    ("[fd00:ec2::254]", "is a cloud's metadata service"),
    ("100.100.100.200", "is a cloud's metadata service"),
    ("168.63.129.16", "is a cloud's metadata service"),
    ("169.254.1.1", "is link-local"),
    ("[fe80::1]", "is link-local"),
    ("10.0.0.1", "is private (RFC 1918)"),
    ("172.31.255.255", "is private (RFC 1918)"),
    ("192.168.0.1", "is private (RFC 1918)"),
    ("[fd12:3456::1]", "is private (RFC 4193)"),
    ("100.64.0.1", "is carrier-grade NAT space"),
    ("198.18.0.1", "is reserved for benchmarks"),
    ("192.0.2.1", "is reserved for documentation"),
    ("[2001:db8::1]", "is reserved for documentation"),
    ("224.0.0.1", "is multicast"),
    ("[ff02::1]", "is multicast"),
    ("255.255.255.255", "is the broadcast address"),
    ("240.0.0.1", "is reserved (240.0.0.0/4)"),
];

#[tokio::test]
async fn the_egress_filter_stands_in_front_of_every_address() {
    let (trap, port) = Trap::set();
    let prober = prober_with(Egress::Public, Nameservers::System);
    let blocked = FailureKind::EgressBlocked;
    for (host, words) in SPELLINGS {
        for url in [format!("ws://{host}:{port}/"), format!("wss://user@{host}:{port}/path?query")] {
            let checked = check(&prober, &spec(&url)).await;
            assert_failed(&url, &checked, &blocked, Phase::Tcp, words);
            assert_failed(&url, &checked, &blocked, Phase::Tcp, "--egress public does not allow");
        }
        // What overrides the URL's host is judged as that is.
        let overridden = MonitorSpec { connect_to: Some(format!("{host}:{port}")), ..spec("ws://1.1.1.1/") };
        let checked = check(&prober, &overridden).await;
        assert_failed(host, &checked, &blocked, Phase::Tcp, words);
        trap.assert_empty(host);
    }
}

/// The trap is one: without the filter the same spellings fall into it.
#[tokio::test]
async fn without_the_filter_the_spellings_of_loopback_are_dialled() {
    let echo = echo_on("127.0.0.1:0").await;
    let everything = "0.0.0.0/0,::/0".parse().unwrap();
    let prober = prober_with(everything, Nameservers::System);
    let mut dialled = 0;
    for (host, _) in SPELLINGS.iter().filter(|(_, words)| words.contains("127.0.0.1 is")) {
        let checked = check(&prober, &spec(&format!("ws://{host}:{}/", echo.port()))).await;
        assert_eq!(checked.outcome, Outcome::Passed, "{host}");
        assert_eq!(checked.address.map(|address| address.to_canonical()), Some(echo.ip()), "{host}");
        dialled += 1;
    }
    assert!(dialled >= 20, "only {dialled}");
}

#[tokio::test]
async fn what_is_no_host_is_not_dialled_at_all() {
    let (trap, port) = Trap::set();
    let prober = prober_with(Egress::Public, Nameservers::System);
    for host in [
        "[fe80::1%25eth0]",
        "[::1%251]",
        "256.0.0.1",
        "127.0.0.1.1",
        "0x7f.0.0.0.1",
        "1.2.3.4.5",
        "[::1",
        "127.0.0.0x100",
    ] {
        let checked = check(&prober, &spec(&format!("ws://{host}:{port}/"))).await;
        assert_failed(host, &checked, &FailureKind::AgentFault, Phase::Dns, "the URL is not one");
        assert_eq!(checked.address, None, "{host}");
        trap.assert_empty(host);
    }
}

/// Names lead anywhere: it is the address that is judged.
#[tokio::test]
async fn names_that_lead_inside_are_not_dialled() {
    let (trap, port) = Trap::set();
    for (record, words) in [
        (Record::A(&[[127, 0, 0, 1]]), "127.0.0.1 is loopback"),
        (Record::A(&[[10, 0, 0, 1], [127, 0, 0, 1]]), "10.0.0.1 is private"),
        (Record::A(&[[169, 254, 169, 254]]), "169.254.169.254 is a cloud's metadata service"),
        (Record::A(&[[0, 0, 0, 0]]), "0.0.0.0 is the unspecified address"),
        (Record::Aaaa(Ipv6Addr::LOCALHOST.octets()), "::1 is loopback"),
        (Record::Aaaa(Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets()), "is an IPv4-mapped address"),
        (Record::Aaaa([0xfd, 0, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0x54]), "metadata service"),
    ] {
        let names = Nameservers::Explicit(vec![nameserver(record).await]);
        let checked =
            check(&prober_with(Egress::Public, names), &spec(&format!("ws://chat.example:{port}/"))).await;
        assert_failed(words, &checked, &FailureKind::EgressBlocked, Phase::Tcp, words);
        trap.assert_empty(words);
    }
    // `private` allows loopback, and metadata no more than `public` does.
    let names = Nameservers::Explicit(vec![nameserver(Record::A(&[[169, 254, 169, 254]])).await]);
    let checked = check(&prober_with(Egress::Private, names), &spec("ws://metadata.example/")).await;
    assert_failed("metadata", &checked, &FailureKind::EgressBlocked, Phase::Tcp, "metadata service");
}

/// An echo server at 127.0.0.2, and a trap at the same port of 127.0.0.1.
async fn allowed_and_trap() -> (SocketAddr, Trap) {
    loop {
        let inside = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        inside.set_nonblocking(true).unwrap();
        let allowed = SocketAddr::from(([127, 0, 0, 2], inside.local_addr().unwrap().port()));
        // Another test may have that port there.
        if TcpListener::bind(allowed).is_ok() {
            return (echo_on(&allowed.to_string()).await, Trap(vec![inside]));
        }
    }
}

/// A nameserver that first names an allowed address and then another: every answer is judged, and what is dialled is what
/// was judged.
#[tokio::test]
async fn a_rebound_name_is_judged_again() {
    let (allowed, trap) = allowed_and_trap().await;
    let port = allowed.port();
    let record = Record::Turns(&[[127, 0, 0, 2], [127, 0, 0, 1], [127, 0, 0, 2], [127, 0, 0, 1]]);
    let names = Nameservers::Explicit(vec![nameserver(record).await]);
    let prober = prober_with("127.0.0.2".parse().unwrap(), names);
    let spec = spec(&format!("ws://rebound.example:{port}/"));
    for turn in 0..2 {
        // One answer a check: were the name asked for twice, this check would be the one that is led astray.
        let checked = check(&prober, &spec).await;
        assert_eq!(checked.outcome, Outcome::Passed, "turn {turn}");
        assert_eq!(checked.address, Some(IpAddr::from([127, 0, 0, 2])));
        let checked = check(&prober, &spec).await;
        assert_failed(
            "rebound",
            &checked,
            &FailureKind::EgressBlocked,
            Phase::Tcp,
            "outside the networks named",
        );
        trap.assert_empty("the second address");
    }
}

/// A blocked address among allowed ones is stepped over.
#[tokio::test]
async fn of_several_addresses_only_the_allowed_are_dialled() {
    let (allowed, trap) = allowed_and_trap().await;
    let names = Nameservers::Explicit(vec![nameserver(Record::A(&[[127, 0, 0, 1], [127, 0, 0, 2]])).await]);
    let prober = prober_with("127.0.0.2".parse().unwrap(), names);
    let checked = check(&prober, &spec(&format!("ws://mixed.example:{}/", allowed.port()))).await;
    assert_eq!((checked.outcome, checked.address), (Outcome::Passed, Some(allowed.ip())));
    trap.assert_empty("the blocked one");
}
