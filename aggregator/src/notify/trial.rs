//! The whole stage against receivers on the loopback that behave as receivers do: well, badly, and not at all.

mod receiver;

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{net::TcpSocket, sync::mpsc, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use self::receiver::{Received, Receiver, Reply};
use super::{
    Options,
    desk::Job,
    post::{self, Post},
    run, sample, sign,
};
use crate::{
    config::{Channel, ChannelKind},
    limits::{DELIVERY_DEADLINE, NOTIFY_DRAIN},
    model::{Attempt, Delivery, DeliveryState, Dispatch, Intake, Secret},
};

/// Long enough for a busy machine; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(30);

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const TROUBLE: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\noops";

struct Trial {
    dispatch: mpsc::Sender<Dispatch>,
    intake: mpsc::Receiver<Intake>,
    cancel: CancellationToken,
    stage: JoinHandle<()>,
}

impl Trial {
    async fn start(channels: Vec<Channel>) -> Self {
        let (dispatch, orders) = mpsc::channel(16);
        let (reports, intake) = mpsc::channel(16);
        let cancel = CancellationToken::new();
        let options = Options { page_url: None, page_title: "Status".to_owned() };
        let stage = tokio::spawn(run(options, orders, reports, cancel.clone()));
        let trial = Self { dispatch, intake, cancel, stage };
        trial.tell(Dispatch::Channels(channels)).await;
        trial
    }

    async fn tell(&self, dispatch: Dispatch) {
        self.dispatch.send(dispatch).await.unwrap();
    }

    async fn deliver(&self, delivery: Box<Delivery>) {
        self.tell(Dispatch::Deliver(delivery)).await;
    }

    async fn attempt(&mut self) -> Attempt {
        let told = timeout(PATIENCE, self.intake.recv()).await.expect("an attempt is reported").unwrap();
        let Intake::Attempted(attempt) = told else { panic!("{told:?}") };
        let shown = format!("{attempt:?}");
        assert!(!shown.contains("s3cr3t") && !shown.contains("hooks"), "a secret in {shown}");
        attempt
    }

    /// Waits for attempts until the delivery is done with.
    async fn outcome(&mut self, delivery: u64) -> Attempt {
        loop {
            let attempt = self.attempt().await;
            if attempt.delivery == delivery && attempt.state != DeliveryState::Pending {
                return attempt;
            }
        }
    }
}

/// An address that refuses connections as long as the socket is held.
fn dead_port() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn always(text: &'static str) -> impl Fn(&Received, usize) -> Reply + Send + Sync + 'static {
    move |_, _| Reply::Say(text.to_owned())
}

#[tokio::test]
async fn a_webhook_arrives_signed_and_is_reported() {
    let mut receiver = Receiver::start(always(OK)).await;
    let mut trial = Trial::start(vec![sample::webhook("ops", &receiver.url())]).await;
    trial.deliver(sample::delivery(7, "ops", "inc_1")).await;

    let Received { path, headers, body } = receiver.next().await;
    assert_eq!(path, "/hooks/s3cr3t-t0k3n");
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["user-agent"], concat!("quorate/", env!("CARGO_PKG_VERSION")));
    assert_eq!(headers["webhook-id"], "msg_7");
    let secret = sign::WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let timestamp = headers["webhook-timestamp"].parse().unwrap();
    assert_eq!(
        Some(&headers["webhook-signature"]),
        sign::signature(&[secret], "msg_7", timestamp, &body).as_ref()
    );

    let attempt = trial.attempt().await;
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["type"], "incident.opened");
    assert_eq!(body["data"]["incident"]["timeline"]["sent_at"], crate::model::rfc3339::text(attempt.at));
    assert_eq!(timestamp, attempt.at.as_unix_seconds());
    let Attempt { delivery, channel, state, due_at, status, error, .. } = attempt;
    assert_eq!((delivery, channel.as_str(), state), (7, "ops", DeliveryState::Delivered));
    assert_eq!((due_at, status, error), (None, Some(200), None));
}

#[tokio::test]
async fn a_slack_message_arrives_without_webhook_headers() {
    let mut receiver = Receiver::start(always(OK)).await;
    let slack = sample::channel("team", ChannelKind::Slack { url: Secret::new(receiver.url()) });
    let mut trial = Trial::start(vec![slack]).await;
    trial.deliver(sample::delivery(7, "team", "inc_1")).await;
    let Received { headers, body, .. } = receiver.next().await;
    assert!(headers.keys().all(|name| !name.starts_with("webhook-")), "{headers:?}");
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["blocks"][0]["type"], "header");
    assert_eq!(trial.attempt().await.state, DeliveryState::Delivered);
}

#[tokio::test]
async fn every_attempt_carries_the_same_id_and_bytes() {
    let behave = |_: &Received, nth| Reply::Say(if nth < 2 { TROUBLE } else { OK }.to_owned());
    let mut receiver = Receiver::start(behave).await;
    let mut trial = Trial::start(vec![sample::webhook("ops", &receiver.url())]).await;
    trial.deliver(sample::delivery(7, "ops", "inc_1")).await;

    let first = receiver.next().await;
    for wanted in [DeliveryState::Pending, DeliveryState::Pending, DeliveryState::Delivered] {
        let attempt = trial.attempt().await;
        assert_eq!(attempt.state, wanted);
        if wanted == DeliveryState::Pending {
            assert_eq!(attempt.status, Some(500));
            assert_eq!(
                attempt.error.as_deref(),
                Some("the receiver answered 500 Internal Server Error: oops")
            );
            assert!(attempt.due_at.unwrap() > attempt.at);
            let again = receiver.next().await;
            assert_eq!(
                (&again.body, &again.headers["webhook-id"]),
                (&first.body, &first.headers["webhook-id"])
            );
        }
    }
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let behave = |_: &Received, nth| match nth {
        0 => Reply::Say(
            "HTTP/1.1 429 Too Many Requests\r\nretry-after: 2\r\ncontent-length: 0\r\n\r\n".to_owned(),
        ),
        _ => Reply::Say(OK.to_owned()),
    };
    let receiver = Receiver::start(behave).await;
    let mut trial = Trial::start(vec![sample::webhook("ops", &receiver.url())]).await;
    trial.deliver(sample::delivery(7, "ops", "inc_1")).await;
    let limited = trial.attempt().await;
    assert_eq!((limited.state, limited.status), (DeliveryState::Pending, Some(429)));
    assert!(limited.due_at.unwrap().since(limited.at).as_millis() >= 2000);
    let delivered = trial.attempt().await;
    assert_eq!(delivered.state, DeliveryState::Delivered);
    assert!(delivered.at.since(limited.at).as_millis() >= 1990, "asked again too early");
}

#[tokio::test]
async fn a_channel_that_hangs_delays_no_other_and_ends_by_the_deadline() {
    let mut hanging = Receiver::start(|_, _| Reply::Hang).await;
    let good = Receiver::start(always(OK)).await;
    let channels = vec![sample::webhook("a-hangs", &hanging.url()), sample::webhook("good", &good.url())];
    let mut trial = Trial::start(channels).await;
    for n in 1..=10 {
        trial.deliver(sample::delivery(n, "a-hangs", &format!("inc_{n}"))).await;
    }
    hanging.next().await;
    for n in 11..=20 {
        trial.deliver(sample::delivery(n, "good", &format!("inc_{n}"))).await;
    }
    for _ in 11..=20 {
        let attempt = trial.attempt().await;
        assert_eq!((attempt.channel.as_str(), attempt.state), ("good", DeliveryState::Delivered));
    }
    let attempt = trial.attempt().await;
    assert_eq!((attempt.channel.as_str(), attempt.state), ("a-hangs", DeliveryState::Pending));
    assert_eq!(attempt.error.as_deref(), Some("no answer within 10s"));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let mut elsewhere = Receiver::start(always(OK)).await;
    let head = format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", elsewhere.url());
    let receiver = Receiver::start(move |_, _| Reply::Say(head.clone())).await;
    let mut trial = Trial::start(vec![sample::webhook("ops", &receiver.url())]).await;
    trial.deliver(sample::delivery(7, "ops", "inc_1")).await;
    let attempt = trial.attempt().await;
    assert_eq!((attempt.state, attempt.status), (DeliveryState::Pending, Some(302)));
    let wanted = format!(
        "the receiver answered 302 Found and points to http://{}; redirects are not followed",
        elsewhere.address
    );
    assert_eq!(attempt.error, Some(wanted));
    assert!(elsewhere.received.try_recv().is_err());
}

#[tokio::test]
async fn gone_closes_the_channel_until_the_configuration_is_read_again() {
    let behave = |_: &Received, nth| match nth {
        0 => Reply::Say("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n".to_owned()),
        _ => Reply::Say(OK.to_owned()),
    };
    let mut receiver = Receiver::start(behave).await;
    let channels = vec![sample::webhook("ops", &receiver.url())];
    let mut trial = Trial::start(channels.clone()).await;
    trial.deliver(sample::delivery(1, "ops", "inc_1")).await;
    trial.deliver(sample::delivery(2, "ops", "inc_1")).await;
    for (delivery, status) in [(1, Some(410)), (2, None)] {
        let attempt = trial.attempt().await;
        assert_eq!(
            (attempt.delivery, attempt.state, attempt.status),
            (delivery, DeliveryState::Failed, status)
        );
        assert!(attempt.error.unwrap().contains("gone"));
    }
    trial.deliver(sample::delivery(3, "ops", "inc_2")).await;
    assert_eq!(trial.attempt().await.state, DeliveryState::Failed);
    receiver.next().await;
    assert!(receiver.received.try_recv().is_err(), "nothing is sent to a receiver that is gone");

    trial.tell(Dispatch::Channels(channels)).await;
    trial.deliver(sample::delivery(4, "ops", "inc_3")).await;
    assert_eq!(trial.attempt().await.state, DeliveryState::Delivered);
}

#[tokio::test]
async fn odd_answers_are_read_within_bounds() {
    for (reply, state, status, error) in [
        (
            Reply::SayWithoutEnd("HTTP/1.1 500 Oops\r\n\r\n"),
            DeliveryState::Pending,
            Some(500),
            Some("the receiver answered 500 Internal Server Error: xxx"),
        ),
        (Reply::SayWithoutEnd("HTTP/1.1 200 OK\r\n\r\n"), DeliveryState::Delivered, Some(200), None),
        (
            Reply::SayAndClose("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf"),
            DeliveryState::Delivered,
            Some(200),
            None,
        ),
        (
            Reply::SayAndClose("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 99\r\n\r\nhalf"),
            DeliveryState::Pending,
            Some(503),
            Some("the receiver answered 503 Service Unavailable: half"),
        ),
        (
            Reply::SayAndClose("HTTP/1.1 20"),
            DeliveryState::Pending,
            None,
            Some("no answer from http://127.0.0.1:"),
        ),
        (
            Reply::SayAndClose("SSH-2.0-x\r\n\r\n"),
            DeliveryState::Pending,
            None,
            Some("no answer from http://127.0.0.1:"),
        ),
        (
            Reply::SayWithoutEnd("HTTP/1.1 200 OK\r\nx: "),
            DeliveryState::Pending,
            None,
            Some("no answer from http://127.0.0.1:"),
        ),
    ] {
        let reply = std::sync::Mutex::new(Some(reply));
        let receiver = Receiver::start(move |_, _| reply.lock().unwrap().take().unwrap_or(Reply::Hang)).await;
        let mut trial = Trial::start(vec![sample::webhook("ops", &receiver.url())]).await;
        trial.deliver(sample::delivery(7, "ops", "inc_1")).await;
        let attempt = trial.attempt().await;
        assert_eq!((attempt.state, attempt.status), (state, status), "{:?}", attempt.error);
        let told = attempt.error.unwrap_or_default();
        assert!(told.starts_with(error.unwrap_or_default()) && told.len() < 300, "{told}");
    }
}

#[tokio::test]
async fn one_incident_goes_in_order_and_others_do_not_wait() {
    let behave = |request: &Received, nth| {
        let first = request.headers["webhook-id"] == "msg_1";
        Reply::Say(if first && nth < 3 { TROUBLE } else { OK }.to_owned())
    };
    let receiver = Receiver::start(behave).await;
    let mut trial = Trial::start(vec![sample::webhook("ops", &receiver.url())]).await;
    for (delivery, incident) in [(1, "inc_a"), (2, "inc_a"), (3, "inc_b"), (4, "inc_a")] {
        trial.deliver(sample::delivery(delivery, "ops", incident)).await;
    }
    let mut delivered = Vec::new();
    while delivered.len() < 4 {
        let attempt = trial.attempt().await;
        if attempt.state == DeliveryState::Delivered {
            delivered.push(attempt.delivery);
        }
    }
    assert_eq!(delivered, [3, 1, 2, 4]);
}

#[tokio::test]
async fn a_delivery_that_is_given_twice_is_sent_once() {
    let mut receiver = Receiver::start(always(OK)).await;
    let mut trial = Trial::start(vec![sample::webhook("ops", &receiver.url())]).await;
    for id in [1, 1, 2] {
        trial.deliver(sample::delivery(id, "ops", "inc_1")).await;
    }
    assert_eq!(trial.outcome(2).await.state, DeliveryState::Delivered);
    trial.deliver(sample::delivery(1, "ops", "inc_1")).await;
    trial.deliver(sample::delivery(3, "ops", "inc_1")).await;
    assert_eq!(trial.outcome(3).await.state, DeliveryState::Delivered);
    let ids = [receiver.next().await, receiver.next().await, receiver.next().await];
    assert_eq!(ids.map(|received| received.headers["webhook-id"].clone()), ["msg_1", "msg_2", "msg_3"]);
    assert!(receiver.received.try_recv().is_err());
}

#[tokio::test]
async fn a_reload_keeps_what_is_owed_and_fails_what_has_no_channel() {
    let receiver = Receiver::start(always(OK)).await;
    let (_held, dead) = dead_port();
    let dead = format!("http://{dead}/hooks/s3cr3t-t0k3n");
    let mut trial =
        Trial::start(vec![sample::webhook("moved", &dead), sample::webhook("removed", &dead)]).await;
    // As after a restart: the next attempts are hours away.
    for (id, channel) in [(1, "moved"), (2, "removed")] {
        let due_at = Some(crate::clock::wall().after(quorate_proto::Micros::from_secs(3600)));
        trial
            .deliver(Box::new(Delivery { attempts: 9, due_at, ..*sample::delivery(id, channel, "inc_1") }))
            .await;
    }
    trial.deliver(sample::delivery(3, "unknown", "inc_1")).await;
    let unknown = trial.attempt().await;
    assert_eq!((unknown.delivery, unknown.state), (3, DeliveryState::Failed));
    assert_eq!(unknown.error.as_deref(), Some("the channel was removed"));

    trial.tell(Dispatch::Channels(vec![sample::webhook("moved", &receiver.url())])).await;
    let mut attempts = [trial.attempt().await, trial.attempt().await];
    attempts.sort_by_key(|attempt| attempt.delivery);
    assert_eq!(
        attempts.each_ref().map(|attempt| attempt.state),
        [DeliveryState::Delivered, DeliveryState::Failed]
    );
    assert_eq!(attempts[1].error.as_deref(), Some("the channel was removed"));
}

#[tokio::test]
async fn what_cannot_be_sent_says_why_without_secrets() {
    let (_held, dead) = dead_port();
    let webhook = |url: String, secret: &str| ChannelKind::Webhook {
        url: Secret::new(url),
        secrets: vec![Secret::new(secret)],
    };
    let good = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    for (kind, wanted) in [
        (webhook(format!("http://{dead}/hooks/s3cr3t"), good), format!("cannot connect to http://{dead}: ")),
        (webhook("s3cr3t".to_owned(), good), "the channel's url is not a URL".to_owned()),
        (webhook("file:///s3cr3t".to_owned(), good), "the channel's url is not http or https".to_owned()),
        (
            webhook(format!("http://{dead}/"), "s3cr3t"),
            "a secret of the channel is not usable: a webhook".to_owned(),
        ),
    ] {
        let mut trial = Trial::start(vec![sample::channel("ops", kind)]).await;
        trial.deliver(sample::delivery(7, "ops", "inc_1")).await;
        let attempt = trial.attempt().await;
        assert_eq!((attempt.state, attempt.status), (DeliveryState::Pending, None));
        let told = attempt.error.unwrap();
        assert!(told.starts_with(&wanted), "{told}");
    }
}

#[tokio::test]
async fn an_https_receiver_is_known_by_its_certificate() {
    let (tls, roots) = certified("127.0.0.1");
    let receiver = Receiver::start_tls(tls, always(OK)).await;
    let url = receiver.url().replace("http:", "https:");
    let channel = std::sync::Arc::new(sample::webhook("ops", &url));
    let job = Job { channel, delivery: sample::delivery(7, "ops", "inc_1"), at: sample::SENT_AT };
    let options = Options::default();
    let trusting = Post::new(options.clone(), roots).unwrap().attempt(&job).await;
    assert_eq!((trusting.status, trusting.error), (Some(200), None));
    let error = Post::new(options, post::public_roots()).unwrap().attempt(&job).await.error.unwrap();
    let port = receiver.address.port();
    let wanted =
        format!("cannot connect to https://127.0.0.1:{port}: invalid peer certificate: UnknownIssuer");
    assert_eq!(error, wanted);
}

/// A server with a certificate of its own making, and the roots that know it.
fn certified(name: &str) -> (rustls::ServerConfig, rustls::RootCertStore) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    (builder.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap(), roots)
}

#[tokio::test]
async fn a_stop_waits_a_moment_for_attempts_and_not_for_hanging_ones() {
    let mut hanging = Receiver::start(|_, _| Reply::Hang).await;
    let mut trial = Trial::start(vec![sample::webhook("ops", &hanging.url())]).await;
    trial.deliver(sample::delivery(7, "ops", "inc_1")).await;
    hanging.next().await;
    trial.cancel.cancel();
    const { assert!(NOTIFY_DRAIN.0 < 1_000_000 && NOTIFY_DRAIN.0 < DELIVERY_DEADLINE.0 / 2) };
    let half = Duration::from(DELIVERY_DEADLINE) / 2;
    timeout(half, trial.stage).await.expect("the stage ends before the attempt would").unwrap();
    assert!(trial.intake.recv().await.is_none(), "an attempt without an end is not reported");
}

#[tokio::test]
async fn what_came_of_attempts_under_way_is_told_after_the_stop() {
    let mut receiver = Receiver::start(|_, _| Reply::Say(OK.to_owned())).await;
    let mut trial = Trial::start(vec![sample::webhook("ops", &receiver.url())]).await;
    trial.deliver(sample::delivery(7, "ops", "inc_1")).await;
    receiver.next().await;
    trial.cancel.cancel();
    assert_eq!(trial.attempt().await.state, DeliveryState::Delivered);
    trial.stage.await.unwrap();
}
