//! Every end of a connection, on a real socket.

use std::time::Duration;

use quorate_proto::{
    Failure, FailureKind, MonitorSpec, Phase,
    canary::{CanaryEvent, CanaryResult},
    outcome::SilentDrop,
};
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

use super::{
    server::{Act, close, frame, scripted, spoilt_tls},
    *,
};
use crate::{
    canary::{Line, Report, Shared, hold},
    clock::{Tick, tick},
    limits,
    probe::held::Farewell,
};

/// A canary at work.
struct Watched {
    reports: mpsc::Receiver<Report>,
    line: Arc<Line>,
    task: JoinHandle<()>,
}

impl Watched {
    fn start(spec: MonitorSpec) -> Self {
        let (send, reports) = mpsc::channel(16);
        let prober = prober();
        let line = Arc::new(Line::new(1, Arc::new(prober.prepare(Arc::new(spec.clone())))));
        let openings = Arc::new(tokio::sync::Semaphore::new(limits::CANARIES_OPENING_MAX));
        let shared = Shared { prober, openings, reports: send };
        let task = tokio::spawn(hold(shared, Arc::clone(&line), spec.canary.unwrap()));
        Self { reports, line, task }
    }

    async fn next(&mut self) -> (CanaryResult, Tick) {
        let report = timeout(Duration::from_secs(20), self.reports.recv()).await;
        let report = report.expect("it came in time").expect("the canary lives");
        (report.result, report.at)
    }

    /// Its end, and how long it was open.
    async fn end(&mut self) -> (Failure, Micros) {
        let (opened, _) = self.next().await;
        assert!(matches!(opened.event, CanaryEvent::Opened { .. }), "{opened:?}");
        let (ended, _) = self.next().await;
        let CanaryEvent::Ended { failure, open_for, .. } = ended.event else { panic!("{ended:?}") };
        assert_eq!(failure.phase, Phase::Exchange);
        (failure, open_for)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn pinging(address: std::net::SocketAddr) -> MonitorSpec {
    spec(&format!("ws://{address}/"), CanaryMode::Ping, 500, 700)
}

#[tokio::test]
async fn every_end_is_classified() {
    let closed = |code, reason: &str| FailureKind::Closed { code, reason: reason.into() };
    let cases = [
        ("1001", vec![Act::Say(close(1001, "bye"))], closed(1001, "bye")),
        ("1012", vec![Act::Say(close(1012, ""))], closed(1012, "")),
        ("4408", vec![Act::Say(close(4408, "no init"))], closed(4408, "no init")),
        ("a close frame without a code", vec![Act::Say(frame(0x88, b""))], closed(1005, "")),
        ("a forbidden code", vec![Act::Say(close(1006, ""))], closed(1006, "")),
        ("an end without a word", vec![], FailureKind::Dropped),
        ("an end after life", vec![Act::Serve(Duration::from_millis(900))], FailureKind::Dropped),
        ("a close frame and a reset", vec![Act::Say(close(1011, "x")), Act::Reset], closed(1011, "x")),
        ("a reset", vec![Act::Serve(Duration::from_millis(100)), Act::Reset], FailureKind::ConnectionReset),
        ("a masked frame", vec![Act::Say(vec![0x81, 0x80, 0, 0, 0, 0])], FailureKind::ProtocolViolation),
        ("reserved bits", vec![Act::Say(frame(0xc1, b"x"))], FailureKind::ProtocolViolation),
        ("bad UTF-8", vec![Act::Say(frame(0x81, &[0xff]))], FailureKind::ProtocolViolation),
        (
            "a frame that is too large",
            vec![Act::Say([&[0x82, 127][..], &(1_u64 << 32).to_be_bytes()].concat()), Act::Stop],
            FailureKind::TooLarge,
        ),
    ];
    for (name, script, kind) in cases {
        let mut watched = Watched::start(pinging(scripted(script).await));
        let (failure, _) = watched.end().await;
        // A reset may overtake what was said before it.
        let overtaken = name.ends_with("and a reset") && failure.kind == FailureKind::ConnectionReset;
        assert!(failure.kind == kind || overtaken, "{name}: {failure:?}");
    }
}

#[tokio::test]
async fn a_tls_alert_is_named() {
    let address = spoilt_tls(Duration::from_millis(700)).await;
    let mut spec = pinging(address);
    spec.url = spec.url.replace("ws://", "wss://");
    spec.verify_tls = false;
    let mut watched = Watched::start(spec);
    let (opened, _) = watched.next().await;
    let CanaryEvent::Opened { tls: Some(tls), .. } = opened.event else { panic!("{opened:?}") };
    assert!(!tls.verified && tls.fingerprint != [0; 32], "{tls:?}");
    let (ended, _) = watched.next().await;
    let CanaryEvent::Ended { failure, .. } = ended.event else { panic!("{ended:?}") };
    // bad_record_mac (RFC 8446 section 6.2).
    assert_eq!(failure.kind, FailureKind::TlsAlert(20), "{failure:?}");
}

#[tokio::test]
async fn a_server_that_reads_nothing_is_stuck() {
    let mut watched = Watched::start(pinging(scripted(vec![Act::Stop]).await));
    let (failure, open_for) = watched.end().await;
    let at = if cfg!(target_os = "linux") { SilentDrop::Stuck } else { SilentDrop::Unknown };
    assert_eq!(failure.kind, FailureKind::SilentDrop(at), "{failure:?}");
    let due = Micros::from_millis(1_200);
    assert!(open_for >= due && open_for <= due + Micros::from_secs(2), "{open_for}");
}

#[tokio::test]
async fn a_server_that_answers_lives_and_is_left() {
    let address = scripted(vec![Act::Serve(Duration::from_secs(60))]).await;
    let mut watched = Watched::start(pinging(address));
    watched.next().await;
    let nothing = timeout(Duration::from_millis(2_500), watched.reports.recv()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    watched.line.leave(Farewell::Done);
    let (left, _) = watched.next().await;
    let CanaryEvent::Left { open_for } = left.event else { panic!("{left:?}") };
    assert!(open_for >= Micros::from_millis(2_500));
    timeout(Duration::from_secs(5), &mut watched.task).await.expect("it ends").unwrap();
}

/// A server that says `2` and wants `3`, and tells which close code it is sent.
async fn engine() -> (std::net::SocketAddr, mpsc::Receiver<u16>) {
    use futures_util::{SinkExt as _, StreamExt as _};
    use tokio_tungstenite::tungstenite::Message;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (send, codes) = mpsc::channel(8);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            for _ in 0..2 {
                socket.send(Message::text("2")).await.unwrap();
                assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("3"));
            }
            send.send(0).await.unwrap();
            while let Some(Ok(message)) = socket.next().await {
                if let Message::Close(Some(frame)) = message {
                    send.send(frame.code.into()).await.unwrap();
                }
            }
        }
    });
    (address, codes)
}

#[tokio::test]
async fn a_servers_own_heartbeat_is_answered_and_a_goodbye_has_its_code() {
    for (farewell, code) in [(Farewell::Done, 1000), (Farewell::GoingAway, 1001)] {
        let (address, mut codes) = engine().await;
        let mut spec = pinging(address);
        spec.replies = vec![quorate_proto::step::Reply {
            to: quorate_proto::Matcher::of(quorate_proto::step::Condition::Contains("2".into())),
            with: quorate_proto::Payload::Text("3".into()),
        }];
        let mut watched = Watched::start(spec);
        assert_eq!(timeout(Duration::from_secs(20), codes.recv()).await.unwrap(), Some(0));
        watched.next().await;
        watched.line.leave(farewell);
        assert_eq!(timeout(Duration::from_secs(20), codes.recv()).await.unwrap(), Some(code));
        assert!(matches!(watched.next().await.0.event, CanaryEvent::Left { .. }));
    }
}

#[tokio::test]
async fn after_an_end_the_next_attempt_comes_at_once_and_then_ever_more_rarely() {
    let mut watched = Watched::start(pinging(scripted(vec![Act::Say(close(1001, ""))]).await));
    let mut ends: Vec<Tick> = Vec::new();
    let mut pauses = Vec::new();
    while pauses.len() < 3 {
        let (result, at) = watched.next().await;
        match &result.event {
            CanaryEvent::Opened { after, .. } => {
                assert_eq!(after.is_some(), !ends.is_empty());
                pauses.extend(*after);
            }
            CanaryEvent::Ended { .. } => ends.push(at),
            CanaryEvent::NotOpened { .. } | CanaryEvent::Alive { .. } | CanaryEvent::Left { .. } => {
                panic!("{result:?}")
            }
        }
    }
    assert!(pauses[0] <= limits::CANARY_JITTER + Micros::from_secs(1), "{pauses:?}");
    assert!(
        pauses[1] >= limits::CANARY_PAUSE_FIRST / 2 && pauses[2] >= limits::CANARY_PAUSE_FIRST,
        "{pauses:?}"
    );
    assert!(ends.iter().all(|end| *end <= tick()));
}
