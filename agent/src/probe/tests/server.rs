//! Servers that do exactly what a test says, right or wrong.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use quorate_proto::monitor::ClientCertificate;
use rcgen::{CertificateParams, CertifiedIssuer, DistinguishedName, IsCa, KeyPair};
use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
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
    /// Lets what was written arrive on its own.
    Pause,
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
    scripted_on("127.0.0.1:0", script).await
}

/// The same on an address of the test's choice.
pub(super) async fn scripted_on(address: &str, script: Vec<Act>) -> SocketAddr {
    let listener = TcpListener::bind(address).await.unwrap();
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
            Act::Pause => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok(())
            }
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

pub(super) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<String> {
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
    pub(super) leaf: CertificateDer<'static>,
    acceptor: TlsAcceptor,
}

/// What a server of [`Certificates`] is to be like, beside having a certificate for `localhost`.
pub(super) struct Wanted<'a> {
    pub(super) from: i32,
    pub(super) until: i32,
    pub(super) versions: &'a [&'static rustls::SupportedProtocolVersion],
    /// The year in which a certificate between the server's and the authority's ends; none: there is no such one.
    pub(super) intermediate_until: Option<i32>,
    /// Whose client certificates it wants to see.
    pub(super) clients: Option<&'a Client>,
}

impl Default for Wanted<'_> {
    fn default() -> Self {
        Self {
            from: 2020,
            until: 2100,
            versions: rustls::ALL_VERSIONS,
            intermediate_until: None,
            clients: None,
        }
    }
}

impl Certificates {
    /// A certificate for `localhost`, valid in the years given.
    pub(super) fn valid(from: i32, until: i32) -> Self {
        Self::like(Wanted { from, until, ..Wanted::default() })
    }

    pub(super) fn like(wanted: Wanted<'_>) -> Self {
        let Wanted { from, until, versions, intermediate_until, clients } = wanted;
        let root = authority(2100);
        let ca_pem = root.pem();
        let key = KeyPair::generate().unwrap();
        let mut leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        leaf.not_before = rcgen::date_time_ymd(from, 1, 1);
        leaf.not_after = rcgen::date_time_ymd(until, 1, 1);
        let chain = match intermediate_until {
            None => vec![leaf.signed_by(&key, &root).unwrap().der().clone()],
            Some(year) => {
                let between =
                    CertifiedIssuer::signed_by(ca(year), KeyPair::generate().unwrap(), &root).unwrap();
                vec![leaf.signed_by(&key, &between).unwrap().der().clone(), between.der().clone()]
            }
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(client) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(client.ca.clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let server = builder.with_single_cert(chain.clone(), key).unwrap();
        Self { ca_pem, leaf: chain[0].clone(), acceptor: TlsAcceptor::from(Arc::new(server)) }
    }

    /// An echo server behind TLS.
    pub(super) async fn echo(&self) -> SocketAddr {
        self.serve(async |stream| send_back(stream).await).await
    }

    /// A server behind TLS that refuses every upgrade.
    pub(super) async fn refuse(&self, answer: &'static str) -> SocketAddr {
        self.serve(async |mut stream| {
            if read_head(&mut stream).await.is_ok() {
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        })
        .await
    }

    async fn serve<F>(&self, serve: impl Fn(TlsStream<TcpStream>) -> F + Send + Clone + 'static) -> SocketAddr
    where
        F: Future<Output = ()> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = self.acceptor.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, serve) = (acceptor.clone(), serve.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream).await;
                    }
                });
            }
        });
        address
    }
}

/// A client's certificate, and who signed it.
pub(super) struct Client {
    ca: CertificateDer<'static>,
    pub(super) certificate: ClientCertificate,
}

impl Client {
    /// One of an authority of this name.
    pub(super) fn of(authority: &str) -> Self {
        let mut ca = ca(2100);
        ca.distinguished_name.push(rcgen::DnType::OrganizationName, authority);
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut own = CertificateParams::new(vec!["agent.example".to_owned()]).unwrap();
        own.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let own = own.signed_by(&key, &ca).unwrap();
        let certificate = ClientCertificate { chain_pem: own.pem(), key_pem: key.serialize_pem() };
        Self { ca: ca.der().clone(), certificate }
    }
}

fn authority(until: i32) -> CertifiedIssuer<'static, KeyPair> {
    CertifiedIssuer::self_signed(ca(until), KeyPair::generate().unwrap()).unwrap()
}

fn ca(until: i32) -> CertificateParams {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    ca.distinguished_name = DistinguishedName::new();
    ca.distinguished_name.push(rcgen::DnType::CommonName, format!("test authority until {until}"));
    ca.not_after = rcgen::date_time_ymd(until, 1, 1);
    ca
}

/// An HTTP proxy that makes tunnels, and the heads that it was sent.
pub(super) async fn proxy() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                let Ok(head) = read_head(&mut client).await else { return };
                let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
                kept.lock().unwrap().push(head);
                let Ok(mut server) = TcpStream::connect(&target).await else {
                    let _ = client.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await;
                    return;
                };
                let made = b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n";
                if client.write_all(made).await.is_ok() {
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                }
            });
        }
    });
    (address, heads)
}

/// What a scripted nameserver says about a name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Record {
    /// These A records, and no AAAA.
    A(&'static [[u8; 4]]),
    /// These A and AAAA records.
    Of(&'static [[u8; 4]], &'static [[u8; 16]]),
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
    let bytes = |addresses: &[[u8; 4]]| addresses.iter().map(|address| address.to_vec()).collect();
    let (code, addresses): (u8, Vec<Vec<u8>>) = match (record, is_a) {
        (Record::A(addresses) | Record::Of(addresses, _), true) => (0, bytes(addresses)),
        (Record::Of(_, addresses), false) => (0, addresses.iter().map(|address| address.to_vec()).collect()),
        (Record::AWithoutWordOfAaaa(address), true) => (0, bytes(&[address])),
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
