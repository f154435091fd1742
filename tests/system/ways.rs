//! The agent's probe on its way through proxies that we did not write, and to a server that asks who comes.

use anyhow::Result;
use quorate_agent::{
    egress::Egress,
    probe::{Checked, Nameservers, Options, Prober, parse_proxy},
};
use quorate_proto::{FailureKind, Micros, MonitorSpec, Outcome, Phase, monitor::ClientCertificate};
use quorate_tests::{
    network::Namespace,
    proxies::{self, Pems},
    requirement::{self, Requirement},
    servers,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

fn spec(url: &str) -> Result<MonitorSpec> {
    Ok(MonitorSpec::new("m".parse()?, url, Micros::from_secs(60), Micros::from_secs(10)))
}

fn check(spec: &MonitorSpec) -> Result<Checked> {
    let options =
        Options { egress: Egress::Private, region: None, nameservers: Nameservers::System, proxy: None };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(Prober::new(options)?.check(spec, None)))
}

/// Holds a check to the failure it must have; none: it must pass.
fn assert_ends(what: &str, checked: &Checked, wanted: Option<(FailureKind, Phase, &str)>) {
    match (&checked.outcome, wanted) {
        (Outcome::Passed, None) => {}
        (Outcome::Failed(failure), Some((kind, phase, words))) => {
            assert_eq!((&failure.kind, failure.phase), (&kind, phase), "{what}: {}", failure.detail);
            let said = format!("{} {:?}", failure.detail, failure.refusal);
            assert!(said.contains(words), "{what}: {said} lacks {words:?}");
            eprintln!("{what}: {}: {}", failure.kind, failure.detail);
        }
        (found, wanted) => {
            let ended = matches!(found, Outcome::Passed);
            assert_eq!(ended, wanted.is_none(), "{what}: {found:?} where {wanted:?} is due");
        }
    }
}

#[test]
fn tinyproxy_is_gone_through() -> Result<()> {
    if !requirement::available("tinyproxy_is_gone_through", &[Requirement::Tinyproxy, Requirement::NodeWs]) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let (server, open, locked, free) =
        (servers::free_port()?, servers::free_port()?, servers::free_port()?, servers::free_port()?);
    let _server = servers::node_ws(folder.path(), server)?;
    let allowed = format!("ConnectPort {server}\nConnectPort {free}");
    let _open = proxies::tinyproxy(folder.path(), open, &allowed)?;
    let _locked = proxies::tinyproxy(folder.path(), locked, &format!("{allowed}\nBasicAuth me secret"))?;
    let refused = |kind, words| Some((kind, Phase::Tcp, words));
    for (proxy, target, wanted) in [
        (format!("127.0.0.1:{open}"), format!("ws://127.0.0.1:{server}/"), None),
        (format!("127.0.0.1:{open}"), format!("ws://localhost:{server}/"), None),
        (format!("me:secret@127.0.0.1:{locked}"), format!("ws://localhost:{server}/"), None),
        (
            format!("127.0.0.1:{locked}"),
            format!("ws://localhost:{server}/"),
            refused(FailureKind::Proxy, "407 Proxy Authentication Required"),
        ),
        (
            format!("me:wrong@127.0.0.1:{locked}"),
            format!("ws://localhost:{server}/"),
            refused(FailureKind::Proxy, "401 Unauthorized"),
        ),
        (format!("127.0.0.1:{open}"), format!("ws://localhost:{open}/"), refused(FailureKind::Proxy, "403")),
        (
            format!("127.0.0.1:{open}"),
            format!("ws://127.0.0.1:{free}/"),
            refused(FailureKind::Unreachable, "500 Unable to connect"),
        ),
    ] {
        let mut spec = spec(&target)?;
        spec.proxy = Some(parse_proxy(&proxy)?);
        let checked = check(&spec)?;
        assert_ends(&format!("{target} by {proxy}"), &checked, wanted);
        assert!(checked.timings.tcp.is_some() && checked.facts.proxy.is_some());
    }
    Ok(())
}

#[test]
fn squid_tells_what_it_met() -> Result<()> {
    if !requirement::available("squid_tells_what_it_met", &[Requirement::Squid, Requirement::NodeWs]) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let (server, port, free) = (servers::free_port()?, servers::free_port()?, servers::free_port()?);
    let _server = servers::node_ws(folder.path(), server)?;
    let _squid = proxies::squid(folder.path(), port)?;
    for (target, wanted) in [
        (format!("ws://127.0.0.1:{server}/"), None),
        (
            format!("ws://127.0.0.1:{free}/"),
            Some((FailureKind::ConnectionRefused, Phase::Tcp, "ERR_CONNECT_FAIL 111")),
        ),
        // The nameserver that it is told to ask is not there: its own trouble.
        (
            format!("ws://nobody.example:{server}/"),
            Some((FailureKind::Proxy, Phase::Tcp, "500 Internal Server Error")),
        ),
    ] {
        let mut spec = spec(&target)?;
        spec.proxy = Some(parse_proxy(&format!("127.0.0.1:{port}"))?);
        assert_ends(&target, &check(&spec)?, wanted);
    }
    Ok(())
}

/// A host that has no route is cut off itself; one whose network knows no such neighbour is told so by the network.
#[test]
fn a_host_without_a_route_blames_itself() -> Result<()> {
    let test = "a_host_without_a_route_blames_itself";
    if !requirement::available(test, &[Requirement::NetworkNamespaces]) {
        return Ok(());
    }
    let namespace = Namespace::make(7)?;
    let nobody = namespace.host().trim_end_matches('1').to_owned() + "77";
    let inside = std::thread::spawn(move || -> Result<()> {
        namespace.enter()?;
        for (url, kind, words) in [
            ("ws://1.1.1.1/".to_owned(), FailureKind::AgentFault, "no route to 1.1.1.1:80: it has no IPv4"),
            ("ws://[2606:4700::1111]/".to_owned(), FailureKind::AgentFault, "it has no IPv6"),
            (format!("ws://{nobody}/"), FailureKind::Unreachable, "no way to"),
        ] {
            assert_ends(&url, &check(&spec(&url)?)?, Some((kind, Phase::Tcp, words)));
        }
        Ok(())
    });
    inside.join().map_err(|_| anyhow::anyhow!("{test} panicked"))?
}

/// A certificate authority, and a certificate of it with its key.
struct Issued {
    ca: String,
    chain: String,
    key: String,
}

fn issue(name: &str) -> Result<Issued> {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, format!("authority of {name}"));
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let own = CertificateParams::new(vec![name.to_owned()])?.signed_by(&key, &ca)?;
    Ok(Issued { ca: ca.pem(), chain: own.pem(), key: key.serialize_pem() })
}

#[test]
fn nginx_sees_the_client_certificate() -> Result<()> {
    let wanted = [Requirement::Nginx, Requirement::NodeWs];
    if !requirement::available("nginx_sees_the_client_certificate", &wanted) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let (upstream, port) = (servers::free_port()?, servers::free_port()?);
    let _upstream = servers::node_ws(folder.path(), upstream)?;
    let (server, known, stranger) = (issue("localhost")?, issue("agent.example")?, issue("other.example")?);
    let pems = Pems { chain: &server.chain, key: &server.key, clients: &known.ca };
    let _nginx = proxies::nginx_that_asks(folder.path(), port, upstream, pems)?;
    let of = |issued: &Issued| {
        Some(ClientCertificate { chain_pem: issued.chain.clone(), key_pem: issued.key.clone() })
    };
    let refused = |words| Some((FailureKind::UpgradeStatus(400), Phase::Upgrade, words));
    for (what, certificate, wanted) in [
        ("the right one", of(&known), None),
        ("none", None, refused("No required SSL certificate was sent")),
        ("a stranger's", of(&stranger), refused("SSL certificate error")),
    ] {
        let mut spec = spec(&format!("wss://localhost:{port}/"))?;
        spec.ca_pem = Some(server.ca.clone());
        spec.client_certificate = certificate;
        let checked = check(&spec)?;
        assert_ends(what, &checked, wanted);
        let tls = checked.facts.tls.as_ref().map(|tls| &tls.facts);
        assert!(tls.is_some_and(|facts| facts.verified && facts.fingerprint != [0; 32]), "{what}: {tls:?}");
    }
    Ok(())
}
