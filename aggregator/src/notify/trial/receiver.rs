//! A receiver on the loopback that does with each request what a test says.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::PATIENCE;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What a receiver does with a request.
pub(super) enum Reply {
    /// Writes this and goes on with the connection.
    Say(String),
    /// Writes this and closes.
    SayAndClose(&'static str),
    /// Writes this and then more and more.
    SayWithoutEnd(&'static str),
    /// Never answers.
    Hang,
}

#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) path: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    pub(super) received: mpsc::UnboundedReceiver<Received>,
}

impl Receiver {
    /// Speaks plain HTTP.
    pub(super) async fn start(behave: impl Fn(&Received, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::bind(None, behave).await
    }

    /// Speaks HTTPS.
    pub(super) async fn start_tls(
        tls: rustls::ServerConfig,
        behave: impl Fn(&Received, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::bind(Some(TlsAcceptor::from(Arc::new(tls))), behave).await
    }

    async fn bind(
        tls: Option<TlsAcceptor>,
        behave: impl Fn(&Received, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, received) = mpsc::unbounded_channel();
        let behave = Arc::new(behave);
        let count = Arc::new(AtomicUsize::new(0));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, behave, sender, count) =
                    (tls.clone(), behave.clone(), sender.clone(), count.clone());
                tokio::spawn(async move {
                    let mut stream: Box<dyn Stream> = match tls {
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => Box::new(stream),
                            Err(_) => return,
                        },
                        None => Box::new(stream),
                    };
                    while let Some(request) = read_request(stream.as_mut()).await {
                        let nth = count.fetch_add(1, Ordering::Relaxed);
                        let reply = behave(&request, nth);
                        let _ = sender.send(request);
                        if !say(stream.as_mut(), reply).await {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, received }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/hooks/s3cr3t-t0k3n", self.address)
    }

    pub(super) async fn next(&mut self) -> Received {
        timeout(PATIENCE, self.received.recv()).await.expect("a request comes").unwrap()
    }
}

async fn read_request(stream: &mut dyn Stream) -> Option<Received> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut lines = head.lines();
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers["content-length"].parse().unwrap();
    let mut body = bytes.split_off(head_end + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Received { path, headers, body })
}

/// Whether the connection goes on.
async fn say(stream: &mut dyn Stream, reply: Reply) -> bool {
    match reply {
        Reply::Say(text) => stream.write_all(text.as_bytes()).await.is_ok(),
        Reply::SayAndClose(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
            false
        }
        Reply::SayWithoutEnd(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
            while stream.write_all(&[b'x'; 1024]).await.is_ok() {}
            false
        }
        Reply::Hang => std::future::pending().await,
    }
}
