//! Searches of a planner against paths of a model, and of the whole against real sockets.

use std::{net::SocketAddr, time::Duration};

use proptest::prelude::*;
use quorate_proto::{
    Failure, FailureKind, Micros, MonitorSpec, Phase, canary::IdleFinding, outcome::SilentDrop,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

use super::{
    planner::{Observation, Planner, Seen},
    search,
};
use crate::{
    egress::Egress,
    limits,
    probe::{self, Nameservers, Prober},
};

/// What cuts idle connections in a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Path {
    /// Nothing.
    Patient,
    /// A proxy that closes after this long.
    Closes(Micros),
    /// A NAT that forgets after this long.
    Forgets(Micros),
    /// A server that is restarted this long after the start, and is patient.
    Restarts(Micros),
}

fn failure(kind: FailureKind) -> Failure {
    Failure::new(kind, Phase::Exchange, "")
}

/// Runs a planner against a path; gives what it found, how long that took, and how many connections.
fn find(path: Path, max: Micros) -> (IdleFinding, Micros, usize) {
    let mut planner = Planner::new(max);
    let mut elapsed = Micros::ZERO;
    while let Some(round) = planner.next_round(elapsed) {
        // Each connection ends at some time; they are observed in that order.
        let mut happenings: Vec<(Micros, Observation)> = round
            .into_iter()
            .zip(0..)
            .map(|(idle, place)| {
                let opened = elapsed + limits::IDLE_STAGGER * place;
                let asked = opened + idle;
                let ended = |age: Micros| Seen::Ended {
                    age,
                    at: opened + age,
                    failure: failure(FailureKind::Dropped),
                };
                let dead = || Seen::Dead(failure(FailureKind::SilentDrop(SilentDrop::PathDead)));
                let seen = match path {
                    Path::Closes(after) if after <= idle => ended(after),
                    Path::Forgets(after) if after <= idle => dead(),
                    Path::Restarts(at) if opened < at && at < asked => ended(at.saturating_sub(opened)),
                    Path::Patient | Path::Closes(_) | Path::Forgets(_) | Path::Restarts(_) => Seen::Survived,
                };
                let at = if let Seen::Ended { at, .. } = seen { at } else { asked };
                (at, Observation { idle, seen })
            })
            .collect();
        happenings.sort_by_key(|(at, _)| *at);
        for (at, observation) in happenings {
            elapsed = elapsed.max(at);
            if planner.take(observation) {
                break;
            }
        }
    }
    (planner.finding(), elapsed, planner.connections())
}

const MAX: Micros = Micros::from_secs(20 * 60);

#[test]
fn a_proxy_that_closes_gives_its_figure_at_once() {
    for seconds in [1, 5, 10, 60, 75, 350, 600, 1_100] {
        let timeout = Micros::from_secs(seconds);
        let (finding, elapsed, connections) = find(Path::Closes(timeout), MAX);
        let IdleFinding::Cut { survived, cut, failure } = finding else { panic!("{finding:?}") };
        assert_eq!((cut, failure.kind), (timeout, FailureKind::Dropped));
        assert_eq!(survived, cut, "it was seen");
        // Above the longest but one rung a single connection sees the end, and others must confirm it.
        let rounds = if timeout > MAX * limits::IDLE_RUNG_RATIO / 100 { 2 } else { 1 };
        let limit = (timeout + limits::IDLE_STAGGER * 12) * rounds;
        assert!(elapsed <= limit, "{seconds} s took {elapsed}");
        assert!(connections <= limits::IDLE_RUNGS + 2, "{seconds} s took {connections} connections");
    }
}

#[test]
fn a_path_that_cuts_nothing_takes_the_longest_time_once() {
    let (finding, elapsed, connections) = find(Path::Patient, MAX);
    assert_eq!(finding, IdleFinding::NotWithin(MAX));
    assert!(elapsed <= MAX + Micros::from_secs(10) && connections == limits::IDLE_RUNGS);
}

#[test]
fn a_restart_is_not_taken_for_an_idle_timeout() {
    for seconds in [9, 60, 300] {
        let (finding, elapsed, _) = find(Path::Restarts(Micros::from_secs(seconds)), MAX);
        assert_eq!(finding, IdleFinding::NotWithin(MAX), "after {seconds} s");
        assert!(elapsed <= MAX * 3);
    }
}

#[test]
fn what_cannot_be_opened_is_told() {
    let mut planner = Planner::new(MAX);
    for idle in planner.next_round(Micros::ZERO).unwrap() {
        let seen = Seen::Failed(failure(FailureKind::ConnectionRefused));
        assert!(!planner.take(Observation { idle, seen }));
    }
    assert_eq!(planner.next_round(Micros(1)), None);
    assert_eq!(planner.finding(), IdleFinding::Failed(failure(FailureKind::ConnectionRefused)));
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

    /// A cut that nobody tells of lies within what is found, which is narrow, and the search is bounded.
    #[test]
    fn a_nat_that_forgets_is_narrowed_down(after in 1_u64..1_300_000, max in 1_u64..1_200) {
        let (after, max) = (Micros::from_millis(after), Micros::from_secs(max));
        let (finding, elapsed, connections) = find(Path::Forgets(after), max);
        match finding {
            IdleFinding::Cut { survived, cut, .. } => {
                prop_assert!(survived < after && after <= cut, "{survived} < {after} <= {cut}");
                let fine = (cut * limits::IDLE_PRECISION / 100).max(limits::IDLE_RUNG_MIN);
                prop_assert!(cut.saturating_sub(survived) <= fine, "{survived} to {cut}");
            }
            IdleFinding::NotWithin(span) => prop_assert!(span == max && after > max),
            IdleFinding::Failed(_) => prop_assert!(false),
        }
        prop_assert!(elapsed <= max * limits::IDLE_SEARCH_ROUNDS + Micros::from_secs(30), "{elapsed}");
        prop_assert!(connections <= limits::IDLE_CONNECTIONS_MAX, "{connections}");
    }

    /// Any path at all: it ends, within its bounds.
    #[test]
    fn every_search_ends(after in 1_u64..3_000_000, which in 0..4_u8, max in 1_u64..7_200) {
        let after = Micros::from_millis(after);
        let path = match which {
            0 => Path::Patient,
            1 => Path::Closes(after),
            2 => Path::Forgets(after),
            _ => Path::Restarts(after),
        };
        let max = Micros::from_secs(max);
        let (_, elapsed, connections) = find(path, max);
        prop_assert!(elapsed <= max * limits::IDLE_SEARCH_ROUNDS + Micros::from_secs(30), "{elapsed}");
        prop_assert!(connections <= limits::IDLE_CONNECTIONS_MAX, "{connections}");
    }
}

fn prober() -> Prober {
    let options = probe::Options {
        egress: Egress::Private,
        region: None,
        nameservers: Nameservers::System,
        proxy: None,
    };
    Prober::new(options).unwrap()
}

fn spec(address: SocketAddr) -> MonitorSpec {
    let (interval, timeout) = (Micros::from_secs(60), Micros::from_millis(700));
    MonitorSpec {
        steps: Vec::new(),
        ..MonitorSpec::new("m".parse().unwrap(), format!("ws://{address}/"), interval, timeout)
    }
}

/// A server that answers pings.
async fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                if let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await {
                    while let Some(Ok(_)) = futures_util::StreamExt::next(&mut socket).await {}
                }
            });
        }
    });
    address
}

/// Something in front of a server that closes a connection that is idle for a while, or stops forwarding it.
async fn path(server: SocketAddr, idle: Duration, closes: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut server = TcpStream::connect(server).await.unwrap();
                let (mut from_client, mut from_server) = ([0; 4096], [0; 4096]);
                loop {
                    let passed = timeout(idle, async {
                        tokio::select! {
                            count = client.read(&mut from_client) => (count.unwrap_or(0), true),
                            count = server.read(&mut from_server) => (count.unwrap_or(0), false),
                        }
                    });
                    match passed.await {
                        Ok((0, _)) => return,
                        Ok((count, true)) => server.write_all(&from_client[..count]).await.unwrap(),
                        Ok((count, false)) => client.write_all(&from_server[..count]).await.unwrap(),
                        Err(_) if closes => return,
                        Err(_) => sleep(Duration::from_secs(3600)).await,
                    }
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_cut_that_is_seen_is_measured() {
    let address = path(server().await, Duration::from_millis(1_500), true).await;
    let mut told = Vec::new();
    let finding =
        search(&prober(), &spec(address), Micros::from_secs(5), |standing| told.push(standing.clone())).await;
    let IdleFinding::Cut { survived, cut, failure } = finding else { panic!("{finding:?}") };
    assert_eq!(failure.kind, FailureKind::Dropped);
    assert!((1_450..2_500).contains(&cut.as_millis()) && survived == cut, "{survived} {cut}");
    assert!(told.iter().any(|standing| standing.held > 0 && standing.cut.is_none()), "{told:?}");
    assert_eq!(told.last().and_then(|standing| standing.cut), Some(cut));
}

#[tokio::test]
async fn a_cut_that_nobody_tells_of_is_narrowed_down() {
    let address = path(server().await, Duration::from_millis(1_500), false).await;
    let finding = search(&prober(), &spec(address), Micros::from_secs(4), |_| {}).await;
    let IdleFinding::Cut { survived, cut, failure } = finding else { panic!("{finding:?}") };
    assert!(matches!(failure.kind, FailureKind::SilentDrop(_)), "{failure:?}");
    assert!((900..1_500).contains(&survived.as_millis()), "{survived}");
    assert!((1_500..2_500).contains(&cut.as_millis()), "{cut}");
}

#[tokio::test]
async fn without_a_cut_it_says_so_and_without_a_server_why() {
    let spec_of_server = spec(server().await);
    let second = Micros::from_secs(1);
    assert_eq!(search(&prober(), &spec_of_server, second, |_| {}).await, IdleFinding::NotWithin(second));
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let finding = search(&prober(), &spec(nobody), second, |_| {}).await;
    let IdleFinding::Failed(failure) = finding else { panic!("{finding:?}") };
    assert_eq!(failure.kind, FailureKind::ConnectionRefused);
}
