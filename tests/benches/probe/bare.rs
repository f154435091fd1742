//! The limit: what a check costs that does nothing but what every check must do.

use std::{net::SocketAddr, path::Path, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use rustls::{
    ClientConfig, HandshakeKind, RootCertStore,
    client::Resumption,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Message,
        protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode},
    },
};

use super::client::Target;

/// The message that is echoed: as long as the probe's.
const MESSAGE: &str = r#"{"type":"ping","id":"0123456789abcdef"}"#;

/// A client with nothing around it.
pub(super) struct Bare {
    address: SocketAddr,
    url: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    resumes: bool,
}

/// The one setting that the library's default gets wrong for many connections: a read buffer of 128 KiB.
pub(super) fn configuration() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(quorate_agent::limits::READ_BUFFER_BYTES)
}

impl Bare {
    pub(super) fn ws(target: &Target) -> Self {
        Self { address: target.ws, url: format!("ws://{}/", target.ws), tls: None, resumes: false }
    }

    pub(super) fn wss(target: &Target, resumes: bool) -> Result<Self> {
        let mut configuration = tls(&target.ca)?;
        if !resumes {
            configuration.resumption = Resumption::disabled();
        }
        let name = ServerName::from(target.wss.ip());
        let tls = Some((TlsConnector::from(Arc::new(configuration)), name));
        Ok(Self { address: target.wss, url: format!("wss://{}/", target.wss), tls, resumes })
    }

    /// Connect, echo, close.
    pub(super) async fn visit(&self) -> Result<()> {
        let reply = self.ask(MESSAGE).await?;
        ensure!(reply == MESSAGE, "not an echo: {reply}");
        Ok(())
    }

    /// The same with other words.
    pub(super) async fn ask(&self, question: &'static str) -> Result<String> {
        match self.connect().await? {
            Connected::Plain(socket) => converse(*socket, question).await,
            Connected::Tls(socket) => converse(*socket, question).await,
        }
    }

    /// Connects and waits for whatever comes, as a canary does. Gives the connection's life.
    pub(super) async fn hold(&self) -> Result<impl Future<Output = ()> + Send + 'static> {
        let connected = self.connect().await?;
        Ok(async move {
            match connected {
                Connected::Plain(mut socket) => while let Some(Ok(_)) = socket.next().await {},
                Connected::Tls(mut socket) => while let Some(Ok(_)) = socket.next().await {},
            }
        })
    }

    async fn connect(&self) -> Result<Connected> {
        let tcp = TcpStream::connect(self.address).await?;
        tcp.set_nodelay(true)?;
        let Some((connector, name)) = &self.tls else {
            return Ok(Connected::Plain(Box::new(upgrade(&self.url, tcp).await?)));
        };
        let tls = connector.connect(name.clone(), tcp).await?;
        let is_full = tls.get_ref().1.handshake_kind() != Some(HandshakeKind::Resumed);
        ensure!(is_full || self.resumes, "a session was resumed");
        Ok(Connected::Tls(Box::new(upgrade(&self.url, tls).await?)))
    }
}

enum Connected {
    Plain(Box<WebSocketStream<TcpStream>>),
    Tls(Box<WebSocketStream<tokio_rustls::client::TlsStream<TcpStream>>>),
}

async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(url: &str, stream: S) -> Result<WebSocketStream<S>> {
    Ok(client_async_with_config(url, stream, Some(configuration())).await?.0)
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut socket: WebSocketStream<S>,
    question: &'static str,
) -> Result<String> {
    socket.send(Message::text(question)).await?;
    let reply = socket.next().await.context("no reply")??.into_text()?.to_string();
    let goodbye = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    socket.send(Message::Close(Some(goodbye))).await?;
    while let Some(Ok(message)) = socket.next().await {
        if message.is_close() {
            break;
        }
    }
    Ok(reply)
}

/// The roots that the agent has too: Mozilla's and one more.
fn tls(ca: &Path) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    roots.add(CertificateDer::from_pem_file(ca).map_err(|error| anyhow::anyhow!("the CA file: {error}"))?)?;
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut configuration = builder.with_root_certificates(roots).with_no_client_auth();
    configuration.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(configuration)
}
