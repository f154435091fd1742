//! The egress filter on a host where every address there is leads to a listener: what it lets pass arrives, and nothing
//! else does.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use quorate_agent::{
    egress::Egress,
    probe::{Nameservers, Options, Prober},
};
use quorate_proto::{FailureKind, Micros, MonitorSpec, Outcome};
use quorate_tests::{
    network::Everywhere,
    requirement::{Requirement, available},
};
use tokio::{net::TcpListener, time::timeout};

/// What becomes of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// `public` dials it.
    Public,
    /// `private` dials it, `public` does not.
    Private,
    /// Neither does; without the filter it is dialled.
    Never,
    /// Neither does, and the kernel would not either.
    Unreachable,
}

/// Hosts as a URL spells them, the address that a connection would arrive at, and what becomes of it.
const ROWS: [(&str, &str, Fate); 72] = [
    ("1.1.1.1", "1.1.1.1", Fate::Public),
    ("16843009", "1.1.1.1", Fate::Public),
    ("0x08.8.010.8", "8.8.8.8", Fate::Public),
    ("9.255.255.255", "9.255.255.255", Fate::Public),
    ("172.32.0.1", "172.32.0.1", Fate::Public),
    ("192.169.0.1", "192.169.0.1", Fate::Public),
    ("100.128.0.1", "100.128.0.1", Fate::Public),
    ("[2606:4700::1111]", "2606:4700::1111", Fate::Public),
    ("[64:ff9b::1.1.1.1]", "64:ff9b::101:101", Fate::Public),
    ("127.0.0.1", "127.0.0.1", Fate::Private),
    ("127.1", "127.0.0.1", Fate::Private),
    ("2130706433", "127.0.0.1", Fate::Private),
    ("0x7f.1", "127.0.0.1", Fate::Private),
    ("017700000001", "127.0.0.1", Fate::Private),
    ("127。0。0。1", "127.0.0.1", Fate::Private),
    ("１２７.0.0.1", "127.0.0.1", Fate::Private),
    ("127.0.0.1.", "127.0.0.1", Fate::Private),
    ("127.99.1.2", "127.99.1.2", Fate::Private),
    ("[::1]", "::1", Fate::Private),
    ("[::ffff:127.0.0.1]", "127.0.0.1", Fate::Private),
    ("[::ffff:7f00:1]", "127.0.0.1", Fate::Private),
    ("[::ffff:10.0.0.1]", "10.0.0.1", Fate::Private),
    ("[::ffff:1.1.1.1]", "1.1.1.1", Fate::Private),
    ("10.0.0.1", "10.0.0.1", Fate::Private),
    ("0xa.1", "10.0.0.1", Fate::Private),
    ("10.255.255.254", "10.255.255.254", Fate::Private),
    ("172.16.0.1", "172.16.0.1", Fate::Private),
    ("172.31.255.254", "172.31.255.254", Fate::Private),
    ("192.168.1.1", "192.168.1.1", Fate::Private),
    ("3232235777", "192.168.1.1", Fate::Private),
    ("100.64.0.1", "100.64.0.1", Fate::Private),
    ("100.127.255.254", "100.127.255.254", Fate::Private),
    ("[fc00::1]", "fc00::1", Fate::Private),
    ("[fd12:3456::1]", "fd12:3456::1", Fate::Private),
    ("localhost", "127.0.0.1", Fate::Private),
    ("0.0.0.0", "127.0.0.1", Fate::Never),
    ("0", "127.0.0.1", Fate::Never),
    ("[::]", "::1", Fate::Never),
    ("[::ffff:0.0.0.0]", "127.0.0.1", Fate::Never),
    ("0.1.2.3", "0.1.2.3", Fate::Never),
    ("169.254.169.254", "169.254.169.254", Fate::Never),
    ("2852039166", "169.254.169.254", Fate::Never),
    ("0251.0376.0251.0376", "169.254.169.254", Fate::Never),
    ("[::ffff:169.254.169.254]", "169.254.169.254", Fate::Never),
    ("[::ffff:a9fe:a9fe]", "169.254.169.254", Fate::Never),
    ("169.254.0.1", "169.254.0.1", Fate::Never),
    ("169.254.170.2", "169.254.170.2", Fate::Never),
    ("100.100.100.200", "100.100.100.200", Fate::Never),
    ("168.63.129.16", "168.63.129.16", Fate::Never),
    ("192.0.0.192", "192.0.0.192", Fate::Never),
    ("192.0.2.1", "192.0.2.1", Fate::Never),
    ("198.51.100.1", "198.51.100.1", Fate::Never),
    ("203.0.113.1", "203.0.113.1", Fate::Never),
    ("192.88.99.1", "192.88.99.1", Fate::Never),
    ("198.18.0.1", "198.18.0.1", Fate::Never),
    ("[fd00:ec2::254]", "fd00:ec2::254", Fate::Never),
    ("[fd20:ce::254]", "fd20:ce::254", Fate::Never),
    ("[::127.0.0.1]", "::7f00:1", Fate::Never),
    ("[64:ff9b::127.0.0.1]", "64:ff9b::7f00:1", Fate::Never),
    ("[64:ff9b::10.0.0.1]", "64:ff9b::a00:1", Fate::Never),
    ("[64:ff9b::169.254.169.254]", "64:ff9b::a9fe:a9fe", Fate::Never),
    ("[64:ff9b:1::1.1.1.1]", "64:ff9b:1::101:101", Fate::Never),
    ("[2002:7f00:1::1]", "2002:7f00:1::1", Fate::Never),
    ("[2001:0:7f00:1::1]", "2001:0:7f00:1::1", Fate::Never),
    ("[2001:db8::1]", "2001:db8::1", Fate::Never),
    ("[3fff::1]", "3fff::1", Fate::Never),
    ("[100::1]", "100::1", Fate::Never),
    ("[fec0::1]", "fec0::1", Fate::Never),
    ("[fe80::1]", "fe80::1", Fate::Unreachable),
    ("224.0.0.1", "224.0.0.1", Fate::Unreachable),
    ("255.255.255.255", "255.255.255.255", Fate::Unreachable),
    ("[ff02::1]", "ff02::1", Fate::Unreachable),
];

#[test]
fn only_what_the_filter_allows_arrives() {
    if !available("only_what_the_filter_allows_arrives", &[Requirement::NetworkNamespaces]) {
        return;
    }
    let everywhere = Everywhere::make().unwrap();
    // The thread is inside for good, and ends with this.
    let inside = thread::scope(|scope| scope.spawn(|| everywhere.enter().and_then(|()| judge_all())).join());
    inside.unwrap().unwrap();
}

fn judge_all() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 80))).await?;
        let filters = [
            (Egress::Public, &[Fate::Public][..]),
            (Egress::Private, &[Fate::Public, Fate::Private]),
            ("0.0.0.0/0,::/0".parse()?, &[Fate::Public, Fate::Private, Fate::Never]),
        ];
        for (egress, dialled) in filters {
            let name = egress.to_string();
            let prober =
                Prober::new(Options { egress, region: None, nameservers: Nameservers::System, proxy: None })?;
            let mut arrived_count = 0;
            for (host, address, fate) in ROWS {
                let address: IpAddr = address.parse()?;
                let spec = MonitorSpec {
                    steps: Vec::new(),
                    ..MonitorSpec::new(
                        "egress".parse()?,
                        format!("ws://{host}/"),
                        Micros::from_secs(60),
                        Micros::from_secs(10),
                    )
                };
                let (kind, arrived) = judge(&prober, &listener, &spec).await?;
                let kind = kind.with_context(|| format!("{host} passed"))?;
                if dialled.contains(&fate) {
                    // `localhost` has two addresses, of which the other one may be first.
                    let is_right = |arrived: &IpAddr| *arrived == address || host == "localhost";
                    anyhow::ensure!(
                        arrived.len() == 1 && arrived.iter().all(is_right),
                        "{name}: {host} arrived at {arrived:?}, not at {address}: {kind:?}"
                    );
                    arrived_count += 1;
                } else {
                    anyhow::ensure!(arrived.is_empty(), "{name}: {host} arrived at {arrived:?}");
                    let is_blocked = kind == FailureKind::EgressBlocked;
                    let is_open = name != "public" && name != "private";
                    anyhow::ensure!(is_blocked || is_open, "{name}: {host} failed with {kind:?}");
                }
            }
            println!("MEASURED egress {name}: {arrived_count} of {} arrived, and no other", ROWS.len());
        }
        Ok(())
    })
}

/// Makes a check against a listener that takes every connection and ends it. Gives what failed, and where connections
/// arrived.
async fn judge(
    prober: &Prober,
    listener: &TcpListener,
    spec: &MonitorSpec,
) -> Result<(Option<FailureKind>, Vec<IpAddr>)> {
    let mut arrived = Vec::new();
    let checked = {
        let taking = async {
            loop {
                let (stream, _) = listener.accept().await?;
                arrived.push(stream.local_addr()?.ip().to_canonical());
            }
        };
        tokio::select! {
            checked = prober.check(spec, None) => checked,
            fault = taking => return fault,
        }
    };
    // What came in the last moment is in the listener's queue.
    while let Ok(accepted) = timeout(Duration::from_millis(2), listener.accept()).await {
        arrived.push(accepted?.0.local_addr()?.ip().to_canonical());
    }
    let kind = match checked.outcome {
        Outcome::Passed => None,
        Outcome::Failed(failure) => Some(failure.kind),
    };
    Ok((kind, arrived))
}
