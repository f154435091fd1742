//! A webhook as the product sends it, verified by a library that we did not write.
//!
//! The reference library of Standard Webhooks comes from PyPI into `tests/.cache/venv`. Where that is missing the test
//! says so and passes; `QUORATE_REQUIRE_SERVERS=1` makes it fail.

use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use quorate::{
    config::{Channel, ChannelKind},
    model::{Alert, AlertEvent, Delivery, DeliveryState, Dispatch, Secret},
    notify::{self, WebhookSecret},
};
use quorate_proto::WallMicros;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(30);

type Request = (BTreeMap<String, String>, String);

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_library_accepts_our_signature_and_no_other() -> Result<()> {
    let Some(python) = python()? else { return Ok(()) };
    let [current, next, foreign] = [secret()?, secret()?, secret()?];
    let (headers, body) = sent_webhook(vec![current.clone(), next.clone()]).await?;

    let with = |name: &str, value: &str| {
        let mut headers = headers.clone();
        headers.insert(name.to_owned(), value.to_owned());
        headers
    };
    let timestamp: i64 = headers.get("webhook-timestamp").context("no webhook-timestamp")?.parse()?;
    let later = with("webhook-timestamp", &(timestamp + 1).to_string());
    let mut unsigned = headers.clone();
    unsigned.remove("webhook-signature");
    let cases = [
        ("current-secret", &current, headers.clone(), body.clone(), "accepted"),
        ("next-secret", &next, headers.clone(), body.clone(), "accepted"),
        ("foreign-secret", &foreign, headers.clone(), body.clone(), "refused"),
        ("changed-body", &current, headers.clone(), body.replacen("down", "up", 1), "refused"),
        ("changed-timestamp", &current, later, body.clone(), "refused"),
        ("changed-id", &current, with("webhook-id", "msg_other"), body.clone(), "refused"),
        ("no-signature", &current, unsigned, body.clone(), "refused"),
    ];
    ensure!(body.contains("down"), "the changed body is no different: {body}");
    let told: Vec<Value> = cases
        .iter()
        .map(|(name, secret, headers, body, _)| {
            json!({ "name": name, "secret": secret.expose(), "headers": headers, "body": body })
        })
        .collect();
    let wanted: String = cases.iter().map(|(name, .., verdict)| format!("{name} {verdict}\n")).collect();
    let said = verify(&python, &Value::from(told))?;
    ensure!(said == wanted, "the library said:\n{said}and should have said:\n{wanted}");
    Ok(())
}

fn secret() -> Result<Secret> {
    WebhookSecret::generate().context("no randomness")
}

/// The interpreter that has the library, or none where the test is skipped.
fn python() -> Result<Option<PathBuf>> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/venv/bin/python");
    let found = Command::new(&python).args(["-c", "import standardwebhooks"]).output();
    if found.is_ok_and(|output| output.status.success()) {
        return Ok(Some(python));
    }
    ensure!(
        std::env::var_os("QUORATE_REQUIRE_SERVERS").is_none_or(|value| value != "1"),
        "the PyPI package standardwebhooks is not in tests/.cache/venv"
    );
    // Not by `eprintln`, which the test harness hides where the test passes.
    let said = "SKIPPED: webhook signatures by a reference library: no standardwebhooks in tests/.cache/venv";
    writeln!(std::io::stderr(), "{said}")?;
    Ok(None)
}

/// Has the product send one alert and gives what the receiver got.
async fn sent_webhook(secrets: Vec<Secret>) -> Result<Request> {
    let (received, mut requests) = mpsc::channel(1);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/hook", listener.local_addr()?);
    let app = Router::new().route("/hook", post(receive)).with_state(received);
    let server = tokio::spawn(async move { axum::serve(listener, app).await });

    let (dispatch, orders) = mpsc::channel(4);
    let (intake, _reports) = mpsc::channel(4);
    let cancel = CancellationToken::new();
    let options = notify::Options { page_url: None, page_title: "Status".to_owned() };
    let stage = tokio::spawn(notify::run(options, orders, intake, cancel.clone()));
    let kind = ChannelKind::Webhook { url: Secret::new(url), secrets };
    let channel = Channel {
        id: "ops".to_owned(),
        kind,
        partial: false,
        operator: true,
        events: false,
        degraded: false,
    };
    dispatch.send(Dispatch::Channels(vec![channel])).await?;
    dispatch.send(Dispatch::Deliver(Box::new(delivery()))).await?;
    let request = tokio::time::timeout(PATIENCE, requests.recv()).await?.context("no webhook came")?;
    cancel.cancel();
    stage.await?;
    server.abort();
    Ok(request)
}

async fn receive(
    State(received): State<mpsc::Sender<Request>>,
    headers: HeaderMap,
    body: Bytes,
) -> &'static str {
    let headers = headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let _ = received.send((headers, String::from_utf8_lossy(&body).into_owned())).await;
    "ok"
}

/// A notice whose text is not ASCII, so that bytes and characters differ.
fn delivery() -> Delivery {
    let summary = "Speicher schläft: „down“ 🔴 <&>".to_owned();
    Delivery {
        id: 1,
        channel: "ops".to_owned(),
        alert: Alert {
            id: "msg_01935d2c7a5f7c3e8f0a1b2c3d4e5f60".to_owned(),
            event: AlertEvent::Notice { kind: "storage_failing".to_owned(), summary },
            decided_at: WallMicros(1_795_371_108_200_000),
        },
        state: DeliveryState::Pending,
        attempts: 0,
        due_at: None,
        first_sent_at: None,
        delivered_at: None,
        status: None,
        error: None,
    }
}

fn verify(python: &Path, cases: &Value) -> Result<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("system/verify_webhook.py");
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()?;
    child.stdin.take().context("no standard input")?.write_all(cases.to_string().as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "the verifying script failed");
    Ok(String::from_utf8(output.stdout)?)
}
