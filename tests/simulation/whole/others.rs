//! What is not ours: the WebSocket server that is watched, and the receiver of pages.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use turmoil::net::{TcpListener, TcpStream};

use crate::machine::Machine;

/// Where the server listens.
pub(crate) const SERVER_PORT: u16 = 9000;
/// Where the receiver listens.
pub(crate) const RECEIVER_PORT: u16 = 8080;

/// A page that came in.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// Since the start.
    pub(crate) at: Duration,
    /// `webhook-id`.
    pub(crate) id: String,
    pub(crate) body: Value,
    /// The status that was answered; 0 where nothing was.
    pub(crate) answered: u16,
}

impl Page {
    /// The event type.
    pub(crate) fn event(&self) -> &str {
        self.body.get("type").and_then(Value::as_str).unwrap_or_default()
    }
}

/// All pages, and what the receiver does with the next ones: statuses, 0 for no answer; 200 when they are used up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inbox(Arc<Mutex<(Vec<Page>, Vec<u16>)>>);

impl Inbox {
    pub(crate) fn with_answers(answers: Vec<u16>) -> Self {
        Self(Arc::new(Mutex::new((Vec::new(), answers))))
    }

    pub(crate) fn pages(&self) -> Vec<Page> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    fn take(&self, at: Duration, id: String, body: Value) -> u16 {
        let mut inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answered = inside.1.pop().unwrap_or(200);
        inside.0.push(Page { at, id, body, answered });
        answered
    }
}

/// A WebSocket server that answers pings and echoes nothing.
pub(crate) async fn serve() -> turmoil::Result {
    let listener = TcpListener::bind(("0.0.0.0", SERVER_PORT)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
            while let Some(Ok(_)) = socket.next().await {}
        });
    }
}

/// A receiver of webhooks.
pub(crate) async fn receive(machine: Machine, inbox: Inbox) -> turmoil::Result {
    let listener = TcpListener::bind(("0.0.0.0", RECEIVER_PORT)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let (machine, inbox) = (machine.clone(), inbox.clone());
        tokio::spawn(async move { take(stream, &machine, &inbox).await });
    }
}

async fn take(mut stream: TcpStream, machine: &Machine, inbox: &Inbox) -> Option<()> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8_lossy(bytes.get(..head)?).into_owned();
    let header = |wanted: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim().to_owned())
    };
    let length: usize = header("content-length")?.parse().ok()?;
    while bytes.len() < head + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body: Value = serde_json::from_slice(bytes.get(head..head + length)?).ok()?;
    let id = header("webhook-id").unwrap_or_default();
    let kind = body.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let answer = inbox.take(machine.elapsed(), id.clone(), body);
    machine.note(format_args!("page {kind} {id} answered {answer}"));
    if answer == 0 {
        return std::future::pending().await;
    }
    let head = format!("HTTP/1.1 {answer} Said\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}
