//! A server that keeps the rules, and one that takes whatever comes.

use std::collections::BTreeMap;

use futures_util::{SinkExt as _, StreamExt as _};
use quorate_proto::Micros;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::tungstenite::{Message, handshake::derive_accept_key, protocol::CloseFrame};

use super::*;
use crate::probe::tests::{prober, spec};

/// Points of each kind, for those who draw them.
pub(crate) fn some_points() -> Vec<Point> {
    let found = [
        (Verdict::Pass, ""),
        (Verdict::Pass, ""),
        (Verdict::Unknown, "no message is invented: give one with --send"),
        (Verdict::Warn, "400 without Sec-WebSocket-Version"),
        (Verdict::Pass, ""),
        (Verdict::Pass, "with 1002"),
        (Verdict::Fail, "it was taken: a ping behind it was answered"),
        (Verdict::Pass, "with 1002"),
        (Verdict::Pass, "with 1002"),
        (Verdict::Warn, "without a close frame, where 1002 says why"),
        (Verdict::Pass, "with 1007"),
        (Verdict::Pass, "taken up"),
        (Verdict::Unknown, "any Origin may connect"),
    ];
    provoke::rules().zip(found).map(|(rule, (verdict, found))| rule.point(verdict, found)).collect()
}

/// Serves each connection with a task of its own, and gives the URL.
async fn serve<F: Future<Output = ()> + Send + 'static>(
    each: impl Fn(TcpStream) -> F + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(each(stream));
        }
    });
    url
}

/// The WebSocket library as a server; it echoes, and says why it gives up.
async fn strict(stream: TcpStream) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    while let Some(received) = socket.next().await {
        let answer = match received {
            Ok(message) if message.is_text() => message,
            Ok(_) => continue,
            Err(error) => {
                let code = crate::probe::classify::close_code(&error);
                Message::Close(Some(CloseFrame { code, reason: "".into() }))
            }
        };
        if socket.send(answer).await.is_err() {
            return;
        }
    }
}

/// Upgrades whoever comes, pings once, and answers every ping, whatever came before it.
async fn lax(mut stream: TcpStream) {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        bytes.push(byte);
    }
    let head = String::from_utf8(bytes).unwrap();
    let header = |wanted: &str| {
        let line = head.lines().find(|line| line.to_lowercase().starts_with(wanted))?;
        Some(line.split_once(": ")?.1.to_owned())
    };
    let accept = derive_accept_key(header("sec-websocket-key:").unwrap_or_default().as_bytes());
    let extension = match header("sec-websocket-extensions:") {
        Some(_) => "Sec-WebSocket-Extensions: permessage-deflate; window=9\r\n",
        None => "",
    };
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{extension}\
         Sec-WebSocket-Accept: {accept}\r\n\r\n\u{89}"
    );
    // The last character stands for the first byte of a ping.
    let mut answer = answer.into_bytes();
    answer.truncate(answer.len() - 2);
    answer.extend_from_slice(&[0x89, 0]);
    stream.write_all(&answer).await.unwrap();
    loop {
        let mut start = [0; 2];
        if stream.read_exact(&mut start).await.is_err() {
            return;
        }
        let length = match start[1] & 0x7f {
            126 => usize::from(stream.read_u16().await.unwrap()),
            length => usize::from(length),
        };
        let mut key = [0; 4];
        if start[1] & 0x80 != 0 {
            stream.read_exact(&mut key).await.unwrap();
        }
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.unwrap();
        for (byte, key) in payload.iter_mut().zip(key.iter().cycle()) {
            *byte ^= key;
        }
        if start[0] & 0x0f == raw::PING && length < 126 {
            let pong = raw::unmasked(raw::FIN | raw::PONG, &payload);
            if stream.write_all(&pong).await.is_err() {
                return;
            }
        }
    }
}

async fn findings(url: &str, message: Option<&str>) -> (Findings, BTreeMap<&'static str, (Verdict, String)>) {
    let wanted = Wanted { conformance: true, listen: None, message: message.map(str::to_owned) };
    let found = prober().conformance(&spec(url), &wanted).await;
    let points = found.points.iter().map(|point| (point.rule.name, (point.verdict, point.found.clone())));
    let points: BTreeMap<_, _> = points.collect();
    assert_eq!(points.len(), found.points.len(), "names are unique");
    (found, points)
}

#[tokio::test]
async fn a_server_that_keeps_the_rules_passes() {
    let url = serve(strict).await;
    let (found, points) = findings(&url, Some("hello")).await;
    for name in [
        "ping_answered",
        "ping_between_fragments",
        "fragments",
        "unmasked_refused",
        "opcode_refused",
        "reserved_bit_refused",
        "fragmented_control_refused",
        "long_control_refused",
        "utf8_refused",
        "extension_offered",
    ] {
        assert_eq!(points[name].0, Verdict::Pass, "{name}: {points:?}");
    }
    assert_eq!(points["fragments"].1, "and answered");
    assert_eq!(found.extensions, None);
    let heard = found.heard.unwrap();
    assert_eq!((heard.fault, heard.pings, heard.ended), (None, 0, None));
}

#[tokio::test]
async fn without_a_message_of_the_callers_none_is_sent() {
    let url = serve(|stream| async move {
        let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
        while let Some(Ok(message)) = socket.next().await {
            assert!(!message.is_text() && !message.is_binary(), "{message:?}");
        }
    })
    .await;
    let (_, points) = findings(&url, None).await;
    assert_eq!(points["fragments"].0, Verdict::Unknown);
    assert_eq!(points["ping_between_fragments"].0, Verdict::Pass);
}

#[tokio::test]
async fn a_server_that_takes_everything_fails() {
    let url = serve(lax).await;
    let (found, points) = findings(&url, None).await;
    for name in [
        "version_refused",
        "key_missing_refused",
        "unmasked_refused",
        "opcode_refused",
        "reserved_bit_refused",
        "fragmented_control_refused",
        "long_control_refused",
        "extension_offered",
    ] {
        assert_eq!(points[name].0, Verdict::Fail, "{name}: {points:?}");
    }
    assert_eq!(points["extension_offered"].1, "it has the unknown parameter \"window=9\"");
    assert_eq!(points["ping_answered"].0, Verdict::Pass);
    let heard = found.heard.unwrap();
    assert_eq!(heard.pings, 1, "{heard:?}");
}

/// A server that hangs is waited for, and not for ever.
#[tokio::test]
async fn a_silent_server_cannot_be_judged() {
    let url = serve(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let spec = MonitorSpec { timeout: Micros::from_millis(200), ..spec(&url) };
    let wanted = Wanted { conformance: true, listen: Some(Micros::from_millis(300)), message: None };
    let found = prober().conformance(&spec, &wanted).await;
    for point in &found.points {
        let is_key = point.rule.name == "key_missing_refused";
        assert_eq!(point.verdict, if is_key { Verdict::Warn } else { Verdict::Unknown }, "{point:?}");
    }
    assert!(found.heard.unwrap().fault.unwrap().contains("no answer within"), "it says why");
}

#[tokio::test]
async fn a_page_is_asked_for_without_the_upgrades_headers() {
    let url = serve(|mut stream| async move {
        let mut head = vec![0; 2048];
        let count = stream.read(&mut head).await.unwrap();
        let head = String::from_utf8_lossy(&head[..count]).to_lowercase();
        assert!(
            head.starts_with("get / http/1.1") && !head.contains("upgrade") && !head.contains("websocket")
        );
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await.unwrap();
    })
    .await;
    let plain = prober().without_upgrade(&spec(&url)).await;
    assert_eq!(plain, Some(Plain { status: 200, body: "hello".into() }));
}
