//! Servers that do exactly what a test says, right or wrong.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rcgen::{CertificateParams, CertifiedIssuer, DistinguishedName, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// One thing a scripted server does.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Reads the request's head.
    Head,
    /// Reads a request's head and answers it rightly, with these header lines more.
    Upgrade(&'static str),
    /// Answers the head that was read with this; `ACCEPT` in it becomes the right digest.
    Answer(&'static str),
    /// Writes bytes.
    Say(Vec<u8>),
    /// Writes one byte after the other, slowly, for ever.
    Drip(&'static [u8]),
    /// Writes the same bytes for ever, as fast as they are taken.
    Flood(Vec<u8>),
    /// Waits until the client has sent something.
    Hear,
    /// Reads until the client goes away, and says nothing.
    Hold,
    /// Resets the connection.
    Reset,
}

/// A text frame of a server.
pub(super) fn text(payload: &str) -> Vec<u8> {
    frame(0x81, payload.as_bytes())
}

/// A frame of a server: first byte and payload.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    assert!(length < 126);
    [&[first, length], payload].concat()
}

/// A close frame.
pub(super) fn close(code: u16, reason: &str) -> Vec<u8> {
    frame(0x88, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

/// Serves a script to everyone who connects.
pub(super) async fn scripted(script: Vec<Act>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(play(stream, script.clone()));
        }
    });
    address
}

async fn play(mut stream: TcpStream, script: Vec<Act>) {
    let mut head = String::new();
    for act in script {
        let done = match act {
            Act::Head => read_head(&mut stream).await.map(|found| head = found),
            Act::Upgrade(extra) => match read_head(&mut stream).await {
                Ok(head) => stream.write_all(right_answer(&head, extra).as_bytes()).await,
                Err(error) => Err(error),
            },
            Act::Answer(answer) => {
                let answer = answer.replace("ACCEPT", &accept(&head));
                stream.write_all(answer.as_bytes()).await
            }
            Act::Say(bytes) => stream.write_all(&bytes).await,
            Act::Drip(bytes) => loop {
                for byte in bytes {
                    if stream.write_all(&[*byte]).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            },
            Act::Flood(bytes) => loop {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            },
            Act::Hear => stream.read(&mut [0; 16 * 1024]).await.map(|_| ()),
            Act::Hold => loop {
                match stream.read(&mut [0; 1024]).await {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
            },
            Act::Reset => socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)),
        };
        if done.is_err() {
            return;
        }
    }
}

async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8(head).unwrap())
}

fn right_answer(head: &str, extra: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n{extra}\r\n",
        accept(head)
    )
}

fn accept(head: &str) -> String {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let key = lines.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
    derive_accept_key(key.map_or("", |(_, value)| value).as_bytes())
}

/// A server that we did not write: the library's own handshake, and every message sent back.
pub(super) async fn echo() -> SocketAddr {
    echo_on("127.0.0.1:0").await
}

/// The same on an address of the test's choice.
pub(super) async fn echo_on(address: &str) -> SocketAddr {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(send_back(stream));
        }
    });
    address
}

async fn send_back(stream: impl AsyncRead + AsyncWrite + Unpin) {
    use futures_util::{SinkExt, StreamExt};
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    while let Some(Ok(message)) = socket.next().await {
        if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
            return;
        }
    }
}

/// A certificate authority, and a server certificate of it.
pub(super) struct Certificates {
    pub(super) ca_pem: String,
    acceptor: TlsAcceptor,
}

impl Certificates {
    /// A certificate for `localhost`, valid in the years given.
    pub(super) fn valid(from: i32, until: i32) -> Self {
        Self::with_versions(from, until, rustls::ALL_VERSIONS)
    }

    /// The same, on a server that speaks only some versions of TLS.
    pub(super) fn with_versions(
        from: i32,
        until: i32,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        ca.distinguished_name = DistinguishedName::new();
        let ca = CertifiedIssuer::self_signed(ca, ca_key).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        leaf.not_before = rcgen::date_time_ymd(from, 1, 1);
        leaf.not_after = rcgen::date_time_ymd(until, 1, 1);
        let leaf = leaf.signed_by(&key, &ca).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap();
        Self { ca_pem: ca.pem(), acceptor: TlsAcceptor::from(Arc::new(server)) }
    }

    /// An echo server behind TLS.
    pub(super) async fn echo(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = self.acceptor.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        send_back(stream).await;
                    }
                });
            }
        });
        address
    }
}

/// What a scripted nameserver says about a name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Record {
    /// These A records, and no AAAA.
    A(&'static [[u8; 4]]),
    /// One of these A records after the other, a question each, and the last of them ever after; no AAAA.
    Turns(&'static [[u8; 4]]),
    /// This AAAA record, and no A.
    Aaaa([u8; 16]),
    /// An A record, and never an answer for AAAA.
    AWithoutWordOfAaaa([u8; 4]),
    /// NXDOMAIN.
    NotFound,
    /// No records, and no error.
    NoData,
    /// SERVFAIL.
    ServFail,
    /// No answer.
    Silence,
}

/// A nameserver (UDP) that knows one name and says it of every other.
pub(super) async fn nameserver(record: Record) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut packet = [0; 1500];
        let mut turn = 0;
        while let Ok((count, client)) = socket.recv_from(&mut packet).await {
            if let Some(answer) = answer(&packet[..count], record, &mut turn) {
                let _ = socket.send_to(&answer, client).await;
            }
        }
    });
    address
}

/// RFC 1035 section 4: the query's id and question, and what the record says. `turn` counts the answers given in turns.
fn answer(query: &[u8], record: Record, turn: &mut usize) -> Option<Vec<u8>> {
    let mut end = 12;
    while query[end] != 0 {
        end += usize::from(query[end]) + 1;
    }
    let is_a = query[end + 2] == 1;
    let question = &query[12..end + 5];
    let (code, addresses): (u8, Vec<Vec<u8>>) = match (record, is_a) {
        (Record::A(addresses), true) => (0, addresses.iter().map(|address| address.to_vec()).collect()),
        (Record::AWithoutWordOfAaaa(address), true) => (0, vec![address.to_vec()]),
        (Record::Turns(addresses), true) => {
            let address = addresses[(*turn).min(addresses.len() - 1)];
            *turn += 1;
            (0, vec![address.to_vec()])
        }
        (Record::Aaaa(address), false) => (0, vec![address.to_vec()]),
        (Record::A(_) | Record::Turns(_) | Record::Aaaa(_) | Record::NoData, _) => (0, vec![]),
        (Record::NotFound, _) => (3, vec![]),
        (Record::ServFail, _) => (2, vec![]),
        (Record::Silence | Record::AWithoutWordOfAaaa(_), _) => return None,
    };
    let mut packet = query[..2].to_vec();
    packet.extend([0x81, 0x80 | code, 0, 1, 0, u8::try_from(addresses.len()).unwrap(), 0, 0, 0, 0]);
    packet.extend(question);
    for address in addresses {
        let kind = if is_a { 1 } else { 28 };
        packet.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, u8::try_from(address.len()).unwrap()]);
        packet.extend(address);
    }
    Some(packet)
}
