//! Canaries of a real agent on servers that we did not write: each fault is classified, signed and sent; the seconds from
//! the fault to that are printed. The aggregator's side is its door with a test behind it.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

#[path = "wire/house.rs"]
#[expect(dead_code, reason = "the wire's tests use more of it")]
mod house;
#[path = "canaries/watch.rs"]
mod watch;

use quorate_agent::{
    egress::Egress,
    idle,
    probe::{Nameservers, Options, Prober},
};
use quorate_proto::{
    FailureKind, Micros, MonitorSpec, Outcome, Step,
    canary::{Canary, CanaryEvent, CanaryMode, IdleFinding},
    outcome::SilentDrop,
};
use quorate_tests::{
    clock::Stopwatch,
    network::Namespace,
    requirement::{Requirement, available},
    servers::{self, Nginx, free_port},
};
use rustix::process::Signal;
use watch::Watch;

/// A monitor with a canary, and a check an hour.
fn spec(url: String, mode: CanaryMode, heartbeat: u64, grace: u64) -> MonitorSpec {
    let (heartbeat, grace) = (Micros::from_secs(heartbeat), Micros::from_secs(grace));
    let (interval, timeout) = (Micros::from_secs(3600), Micros::from_secs(5));
    MonitorSpec {
        canary: Some(Canary { heartbeat, grace, mode }),
        ..MonitorSpec::new("held".parse().unwrap(), url, interval, timeout)
    }
}

fn local(port: u16) -> String {
    format!("ws://127.0.0.1:{port}/")
}

fn closed(code: u16) -> impl Fn(&FailureKind) -> bool {
    move |kind| matches!(kind, FailureKind::Closed { code: found, .. } if *found == code)
}

#[tokio::test]
async fn a_killed_server_is_a_drop_at_once() {
    if !available("a_killed_server_is_a_drop_at_once", &[Requirement::NodeWs]) {
        return;
    }
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port().unwrap());
    let mut server = servers::node_ws(folder.path(), port).unwrap();
    let mut watch = Watch::start(spec(local(port), CanaryMode::Ping, 30, 10), None).await;
    watch.opened().await;
    let fault = Stopwatch::start();
    server.kill().unwrap();
    watch.ends("npm ws, SIGKILL, heartbeat 30 s", &fault, 2.0, |kind| *kind == FailureKind::Dropped).await;

    // Started again, it is found again.
    let _server = servers::node_ws(folder.path(), port).unwrap();
    let CanaryEvent::Opened { after, failed_attempts, .. } = watch.opened().await else { panic!() };
    println!(
        "MEASURED npm ws, started again: open after {}, {failed_attempts} failed attempts",
        after.unwrap()
    );
}

#[tokio::test]
async fn a_stopped_server_is_stuck() {
    if !available("a_stopped_server_is_stuck", &[Requirement::NodeWs]) {
        return;
    }
    for mode in [CanaryMode::Ping, CanaryMode::Steps] {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port().unwrap());
        let server = servers::node_ws(folder.path(), port).unwrap();
        let mut held = spec(local(port), mode, 3, 2);
        held.steps = vec![
            Step::send("{{nonce}} {{count}}"),
            Step::expect(
                quorate_proto::Matcher::of(quorate_proto::step::Condition::Contains(
                    "{{nonce}} {{count}}".into(),
                )),
                None,
            ),
        ];
        let mut watch = Watch::start(held, None).await;
        watch.opened().await;
        let fault = Stopwatch::start();
        server.signal(Signal::STOP).unwrap();
        let stuck = |kind: &FailureKind| *kind == FailureKind::SilentDrop(SilentDrop::Stuck);
        let what = format!("npm ws, SIGSTOP, {} every 3 s, grace 2 s", mode.name());
        // What was sent when it stopped is a heartbeat more.
        watch.ends(&what, &fault, 3.0 + 2.0 + 2.0, stuck).await;
    }
}

#[tokio::test]
async fn a_path_that_drops_everything_is_dead() {
    let needs = [Requirement::NodeWs, Requirement::NetworkNamespaces];
    if !available("a_path_that_drops_everything_is_dead", &needs) {
        return;
    }
    let namespace = Namespace::make(71).unwrap();
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port().unwrap());
    let _server = servers::node_ws_on(folder.path(), namespace.host(), port).unwrap();
    let url = format!("ws://{}:{port}/", namespace.host());
    let mut watch = Watch::start(spec(url, CanaryMode::Ping, 2, 3), Some(&namespace)).await;
    watch.opened().await;
    let fault = Stopwatch::start();
    namespace.set_blocked(port, true).unwrap();
    let dead = |kind: &FailureKind| *kind == FailureKind::SilentDrop(SilentDrop::PathDead);
    watch.ends("iptables DROP, heartbeat 2 s, grace 3 s", &fault, 2.0 + 3.0 + 1.0, dead).await;
    namespace.set_blocked(port, false).unwrap();
    watch.opened().await;
}

#[tokio::test]
async fn a_server_that_says_goodbye_is_quoted() {
    if !available("a_server_that_says_goodbye_is_quoted", &[Requirement::PythonWebsockets]) {
        return;
    }
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port().unwrap());
    let server = servers::python_graceful(folder.path(), port).unwrap();
    let mut watch = Watch::start(spec(local(port), CanaryMode::Ping, 30, 10), None).await;
    watch.opened().await;
    let fault = Stopwatch::start();
    server.signal(Signal::TERM).unwrap();
    watch.ends("Python websockets, SIGTERM", &fault, 3.0, closed(1001)).await;
}

#[tokio::test]
async fn a_proxy_cuts_what_is_idle_and_keeps_what_beats() {
    let needs = [Requirement::NodeWs, Requirement::Nginx];
    if !available("a_proxy_cuts_what_is_idle_and_keeps_what_beats", &needs) {
        return;
    }
    let (folder, upstream, port) = (tempfile::tempdir().unwrap(), free_port().unwrap(), free_port().unwrap());
    let _server = servers::node_ws(folder.path(), upstream).unwrap();
    let _nginx = Nginx::start_with(folder.path(), port, upstream, "proxy_read_timeout 5s;").unwrap();
    let mut beating = Watch::start(spec(local(port), CanaryMode::Ping, 2, 10), None).await;
    beating.opened().await;
    let mut idle = Watch::start(spec(local(port), CanaryMode::Ping, 30, 10), None).await;
    idle.opened().await;
    let opened = Stopwatch::start();
    let dropped = |kind: &FailureKind| *kind == FailureKind::Dropped;
    let event = idle.ends("nginx, proxy_read_timeout 5s, heartbeat 30 s", &opened, 7.0, dropped).await;
    let CanaryEvent::Ended { open_for, heartbeats: 0, .. } = event else { panic!("{event:?}") };
    println!("MEASURED nginx, proxy_read_timeout 5s: open for {open_for}");
    assert!((4_900..6_000).contains(&open_for.as_millis()), "{open_for}");
    beating.lives_for(8.0).await;
}

#[tokio::test]
async fn a_proxy_that_restarts() {
    let needs = [Requirement::NodeWs, Requirement::Nginx];
    if !available("a_proxy_that_restarts", &needs) {
        return;
    }
    let (folder, upstream, port) = (tempfile::tempdir().unwrap(), free_port().unwrap(), free_port().unwrap());
    let _server = servers::node_ws(folder.path(), upstream).unwrap();
    let mut nginx = Nginx::start(folder.path(), port, upstream).unwrap();
    let mut watch = Watch::start(spec(local(port), CanaryMode::Ping, 2, 10), None).await;
    watch.opened().await;
    let fault = Stopwatch::start();
    nginx.process().stop().unwrap();
    watch.ends("nginx, SIGTERM", &fault, 3.0, |kind| *kind == FailureKind::Dropped).await;
    let mut nginx = Nginx::start(folder.path(), port, upstream).unwrap();
    let CanaryEvent::Opened { after, .. } = watch.opened().await else { panic!() };
    println!("MEASURED nginx, restarted: open after {}", after.unwrap());

    // It refuses newcomers, and lets those inside stay.
    nginx.process().signal(Signal::QUIT).unwrap();
    let refused = watch.confirmed(|result| matches!(result.outcome, Outcome::Failed(_))).await;
    let Outcome::Failed(failure) = refused.outcome else { panic!() };
    assert_eq!((failure.kind, failure.canary_lives), (FailureKind::ConnectionRefused, true));
    watch.lives_for(3.0).await;
}

#[test]
fn the_idle_timeout_of_a_proxy_is_found() {
    let needs = [Requirement::NodeWs, Requirement::Nginx];
    if !available("the_idle_timeout_of_a_proxy_is_found", &needs) {
        return;
    }
    let (folder, upstream, port) = (tempfile::tempdir().unwrap(), free_port().unwrap(), free_port().unwrap());
    let _server = servers::node_ws(folder.path(), upstream).unwrap();
    let _nginx = Nginx::start_with(folder.path(), port, upstream, "proxy_read_timeout 5s;").unwrap();
    let options =
        Options { egress: Egress::Private, region: None, nameservers: Nameservers::System, proxy: None };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let prober = Prober::new(options).unwrap();
    let spec = spec(local(port), CanaryMode::Ping, 30, 10);
    let started = Stopwatch::start();
    let mut standings = 0;
    let search = idle::search(&prober, &spec, Micros::from_secs(20 * 60), |_| standings += 1);
    let finding = runtime.block_on(search);
    let seconds = started.seconds();
    let IdleFinding::Cut { survived, cut, failure } = finding else { panic!("{finding:?}") };
    println!(
        "MEASURED nginx, proxy_read_timeout 5s: cut after {cut} idle (survived {survived}), found in {seconds:.1} s"
    );
    assert_eq!(failure.kind, FailureKind::Dropped);
    assert!((4_900..5_600).contains(&cut.as_millis()), "{cut}");
    assert!(standings > 5);
}
