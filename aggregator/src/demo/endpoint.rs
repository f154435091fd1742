//! A WebSocket server that breaks on purpose: it echoes what it is told, until it is told to fail.

use std::{io, net::SocketAddr, sync::Arc};

use futures_util::{SinkExt as _, StreamExt as _};
use quorate_proto::{Micros, Region};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    accept_hdr_async_with_config,
    tungstenite::{
        handshake::server::{Request, Response},
        protocol::WebSocketConfig,
    },
};

use crate::limits;

/// How the server behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// It upgrades, and echoes every message.
    Healthy,
    /// It listens no more, and every connection is dropped: a killed process.
    Killed,
    /// It upgrades and then says nothing: the silent drop.
    Silent,
    /// It echoes later than its clients wait.
    Slow(Micros),
    /// It is silent towards clients of one region: a broken path.
    CutOff(Region),
}

/// A running server. Ends when dropped.
#[derive(Debug)]
pub(super) struct Endpoint {
    address: SocketAddr,
    behaviour: watch::Sender<Behaviour>,
    task: JoinHandle<()>,
}

impl Endpoint {
    /// Starts a healthy server on a free port of the loopback interface.
    pub(super) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (behaviour, watched) = watch::channel(Behaviour::Healthy);
        let task = tokio::spawn(serve(listener, address, watched));
        Ok(Self { address, behaviour, task })
    }

    pub(super) fn url(&self) -> String {
        format!("ws://{}/", self.address)
    }

    pub(super) fn behave(&self, behaviour: Behaviour) {
        self.behaviour.send_replace(behaviour);
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, address: SocketAddr, mut behaviour: watch::Receiver<Behaviour>) {
    let mut listening = Some(listener);
    let room = Arc::new(Semaphore::new(limits::DEMO_CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        if *behaviour.borrow_and_update() == Behaviour::Killed {
            listening = None;
            connections.abort_all();
        } else if listening.is_none() {
            listening = listen_again(address).ok();
        }
        tokio::select! {
            changed = behaviour.changed() => if changed.is_err() { return },
            accepted = accept(listening.as_ref()) => {
                // Without room a connection is refused, as any server that is full would.
                if let (Ok(stream), Ok(permit)) = (accepted, Arc::clone(&room).try_acquire_owned()) {
                    let behaviour = behaviour.clone();
                    connections.spawn(async move {
                        let _permit = permit;
                        let _ended = timeout(limits::DEMO_CONNECTION_LIFETIME, talk(stream, behaviour)).await;
                    });
                }
            }
            Some(_) = connections.join_next() => {}
            // A port that someone else took for a moment is tried again.
            () = sleep(limits::DEMO_REBIND_PAUSE), if listening.is_none() => {}
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}

fn listen_again(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

async fn talk(stream: TcpStream, behaviour: watch::Receiver<Behaviour>) {
    let _ = stream.set_nodelay(true);
    let mut region = None;
    #[expect(clippy::result_large_err, reason = "the signature is the library's")]
    let remember = |request: &Request, response: Response| {
        region = region_of(request);
        Ok(response)
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(limits::DEMO_BUFFER_BYTES)
        .max_message_size(Some(limits::DEMO_MESSAGE_BYTES_MAX))
        .max_frame_size(Some(limits::DEMO_MESSAGE_BYTES_MAX));
    let Ok(mut socket) = accept_hdr_async_with_config(stream, remember, Some(config)).await else { return };
    loop {
        // Read nothing while silent: pongs and closing handshakes fail to appear as well.
        let now = behaviour.borrow().clone();
        let silent = match &now {
            Behaviour::Silent => true,
            Behaviour::CutOff(cut) => region.as_ref() == Some(cut),
            Behaviour::Healthy | Behaviour::Killed | Behaviour::Slow(_) => false,
        };
        if silent {
            return std::future::pending().await;
        }
        let Some(Ok(message)) = socket.next().await else { return };
        if !(message.is_text() || message.is_binary()) {
            continue;
        }
        let now = behaviour.borrow().clone();
        if let Behaviour::Slow(by) = now {
            sleep(by.into()).await;
        }
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

/// The region that an agent names in its `User-Agent`, as `(region=eu-west)`.
fn region_of(request: &Request) -> Option<Region> {
    let agent = request.headers().get("user-agent")?.to_str().ok()?;
    agent.split_once("(region=")?.1.split_once(')')?.0.parse().ok()
}
