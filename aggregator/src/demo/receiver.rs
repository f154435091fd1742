//! A webhook receiver that believes nothing: it verifies the signature by itself and hands on what arrives.

use std::{io, net::SocketAddr};

use aws_lc_rs::hmac;
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use data_encoding::BASE64;
use quorate_quorum::Moment;
use serde::Deserialize;
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};

use crate::{
    clock, limits,
    model::{Incident, Secret},
};

/// One message that arrived.
#[derive(Debug)]
pub(super) struct Arrival {
    /// When.
    pub(super) at: Moment,
    /// The `webhook-id`.
    pub(super) id: String,
    /// Whether the signature is good.
    pub(super) signed: bool,
    /// What it says; none where it cannot be read.
    pub(super) message: Option<Message>,
}

/// The body of a message.
#[derive(Debug, Deserialize)]
pub(super) struct Message {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) data: Data,
}

/// Its data.
#[derive(Debug, Deserialize)]
pub(super) struct Data {
    pub(super) incident: Option<Incident>,
}

/// A running receiver. Ends when dropped.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    pub(super) arrivals: mpsc::Receiver<Arrival>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Starts on a free port of the loopback interface.
    pub(super) async fn start(secret: &Secret) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (sender, arrivals) = mpsc::channel(limits::DEMO_ARRIVALS_MAX);
        let encoded = secret.expose().trim_start_matches("whsec_");
        let key = BASE64.decode(encoded.as_bytes()).map_err(io::Error::other)?;
        let state = Shared { key: hmac::Key::new(hmac::HMAC_SHA256, &key), sender };
        let router = Router::new()
            .route("/", post(receive))
            .layer(DefaultBodyLimit::max(limits::DEMO_BODY_BYTES_MAX))
            .with_state(state);
        let task = tokio::spawn(async move {
            // Ends with the demo; until then axum retries what can be retried by itself.
            let _ended = axum::serve(listener, router).await;
        });
        Ok(Self { address, arrivals, task })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone, Debug)]
struct Shared {
    key: hmac::Key,
    sender: mpsc::Sender<Arrival>,
}

async fn receive(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let arrival = Arrival {
        at: clock::now(),
        id: header(&headers, "webhook-id").to_owned(),
        signed: is_signed(&shared.key, &headers, &body),
        message: serde_json::from_slice(&body).ok(),
    };
    let answer = if arrival.signed { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED };
    match shared.sender.try_send(arrival) {
        Ok(()) => answer,
        Err(_) => StatusCode::TOO_MANY_REQUESTS,
    }
}

/// Standard Webhooks 1.0.0: one of the signatures is ours, over id, timestamp and body. Written apart from the signing
/// so that the demo notices when both sides stop agreeing.
fn is_signed(key: &hmac::Key, headers: &HeaderMap, body: &[u8]) -> bool {
    let mut signed =
        format!("{}.{}.", header(headers, "webhook-id"), header(headers, "webhook-timestamp")).into_bytes();
    signed.extend_from_slice(body);
    let signatures = header(headers, "webhook-signature").split(' ');
    let mut tags = signatures
        .filter_map(|text| text.strip_prefix("v1,").and_then(|tag| BASE64.decode(tag.as_bytes()).ok()));
    tags.any(|tag| hmac::verify(key, &signed, &tag).is_ok())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Standard Webhooks' own reference libraries.
    #[test]
    fn the_reference_signature_is_good_and_a_changed_body_is_not() {
        let key = BASE64.decode(b"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek".parse().unwrap());
        headers.insert("webhook-timestamp", "1614265330".parse().unwrap());
        let signature =
            "v1,bm9ldHUjKzFob2VudXRob2VodWUzMjRvdWVvdW9ldQo= v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        headers.insert("webhook-signature", signature.parse().unwrap());
        assert!(is_signed(&key, &headers, b"{\"test\": 2432232314}"));
        assert!(!is_signed(&key, &headers, b"{\"test\": 2432232315}"));
        assert!(!is_signed(&key, &HeaderMap::new(), b""));
    }
}
