//! Servers that a canary meets: an upgrade by the library, and then whatever a test says, byte by byte.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    time::sleep,
};
use tokio_rustls::TlsAcceptor;

/// What a server does, one thing after the other.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Writes bytes.
    Say(Vec<u8>),
    /// Answers what it reads as a server does, for so long.
    Serve(Duration),
    /// Resets the connection.
    Reset,
    /// Reads nothing more, and keeps the connection.
    Stop,
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

/// Serves a script to everyone who connects, and drops the connection at its end.
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

async fn play(stream: TcpStream, script: Vec<Act>) {
    let Ok(socket) = tokio_tungstenite::accept_async(stream).await else { return };
    let mut stream = socket.into_inner();
    for act in script {
        match act {
            Act::Say(bytes) => stream.write_all(&bytes).await.unwrap(),
            Act::Serve(span) => {
                let _ = tokio::time::timeout(span, pongs(&mut stream)).await;
            }
            Act::Reset => {
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
                return;
            }
            Act::Stop => sleep(Duration::from_secs(3600)).await,
        }
    }
}

/// Answers pings with pongs, by hand: nothing else is ever sent by a canary that pings.
async fn pongs(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    loop {
        let mut head = [0; 6];
        if stream.read_exact(&mut head).await.is_err() {
            return;
        }
        let [first, length, mask @ ..] = head;
        let mut payload = vec![0; usize::from(length & 0x7f)];
        stream.read_exact(&mut payload).await.unwrap();
        for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
        if first == 0x89 {
            stream.write_all(&frame(0x8a, &payload)).await.unwrap();
        }
    }
}

/// A server behind TLS, behind something that spoils the first byte that a client sends once the connection is
/// `unspoilt` old: the server's TLS then ends the connection with an alert.
pub(super) async fn spoilt_tls(unspoilt: Duration) -> SocketAddr {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            let (near, far) = tokio::io::duplex(64 * 1024);
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(far).await else { return };
                let Ok(socket) = tokio_tungstenite::accept_async(stream).await else { return };
                pongs(&mut socket.into_inner()).await;
            });
            tokio::spawn(spoil(client, near, unspoilt));
        }
    });
    address
}

async fn spoil(mut client: TcpStream, mut server: tokio::io::DuplexStream, unspoilt: Duration) {
    let _ = tokio::time::timeout(unspoilt, copy_bidirectional(&mut client, &mut server)).await;
    let mut record = [0; 1024];
    let count = client.read(&mut record).await.unwrap();
    record[count - 1] ^= 1;
    server.write_all(&record[..count]).await.unwrap();
    let _ = copy_bidirectional(&mut client, &mut server).await;
}
