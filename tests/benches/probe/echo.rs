//! The server of the bench: echoes over `ws://` and `wss://`, in a process of its own.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context as _, Result};
use futures_util::{SinkExt as _, StreamExt as _};
use quorate_tests::process::Process;
use rcgen::{CertificateParams, CertifiedIssuer, DistinguishedName, IsCa, KeyPair};
use rustls::{HandshakeKind, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::{accept_async_with_config, tungstenite::Message};

use super::{bare, client::Target, memory};

/// What a client says to learn how many TLS handshakes were full ones.
pub(super) const HANDSHAKES: &str = "handshakes?";

/// The server, as the process that started it sees it.
pub(super) struct Echo {
    pub(super) target: Target,
    _process: Process,
    _folder: tempfile::TempDir,
}

impl Echo {
    pub(super) fn start() -> Result<Self> {
        let folder = tempfile::TempDir::with_prefix("quorate-bench-")?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("serve").arg(folder.path());
        let process = Process::start("echo", folder.path(), &mut command)?;
        let target = process.line("serving ").parse()?;
        Ok(Self { target, _process: process, _folder: folder })
    }
}

/// Handshakes that were seen, full and resumed.
#[derive(Default)]
struct Handshakes {
    full: AtomicU64,
    resumed: AtomicU64,
}

/// Serves until killed.
pub(super) fn serve(folder: &Path) -> Result<()> {
    memory::raise_file_limit()?;
    let runtime = super::client::runtime()?;
    runtime.block_on(async {
        let (acceptor, ca) = acceptor(folder)?;
        let handshakes = Arc::new(Handshakes::default());
        let plain = TcpListener::bind("127.0.0.1:0").await?;
        let tls = TcpListener::bind("127.0.0.1:0").await?;
        let target = Target { ws: plain.local_addr()?, wss: tls.local_addr()?, ca };
        writeln!(std::io::stdout(), "serving {target}")?;
        loop {
            tokio::select! {
                accepted = plain.accept() => {
                    let stream = accepted?.0;
                    stream.set_nodelay(true)?;
                    tokio::spawn(echo(stream, Arc::clone(&handshakes)));
                }
                accepted = tls.accept() => {
                    let stream = accepted?.0;
                    stream.set_nodelay(true)?;
                    let (acceptor, handshakes) = (acceptor.clone(), Arc::clone(&handshakes));
                    tokio::spawn(async move {
                        let Ok(stream) = acceptor.accept(stream).await else { return };
                        let counter = match stream.get_ref().1.handshake_kind() {
                            Some(HandshakeKind::Resumed) => &handshakes.resumed,
                            _ => &handshakes.full,
                        };
                        counter.fetch_add(1, Ordering::Relaxed);
                        echo(stream, handshakes).await;
                    });
                }
            }
        }
    })
}

async fn echo(stream: impl AsyncRead + AsyncWrite + Unpin, handshakes: Arc<Handshakes>) {
    let Ok(mut socket) = accept_async_with_config(stream, Some(bare::configuration())).await else { return };
    while let Some(Ok(message)) = socket.next().await {
        let reply = match message {
            Message::Text(text) if text.as_str() == HANDSHAKES => {
                let [full, resumed] =
                    [&handshakes.full, &handshakes.resumed].map(|count| count.load(Ordering::Relaxed));
                Message::text(format!("{full} full, {resumed} resumed"))
            }
            Message::Text(_) | Message::Binary(_) => message,
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => continue,
        };
        if socket.send(reply).await.is_err() {
            return;
        }
    }
}

/// A server of today: a leaf and its authority on P-256, and tickets for whoever wants to resume.
fn acceptor(folder: &Path) -> Result<(TlsAcceptor, PathBuf)> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    authority.distinguished_name = DistinguishedName::new();
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&key, &authority)?;
    let ca = folder.join("ca.pem");
    fs::write(&ca, authority.pem()).context("writing the CA file")?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let configuration = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))?;
    Ok((TlsAcceptor::from(Arc::new(configuration)), ca))
}
