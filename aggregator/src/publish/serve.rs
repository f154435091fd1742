//! Connections: accepts, bounds and ends them.
//!
//! axum's own `serve` would do, but for three bounds: how many connections there are, how long the head of a request
//! may take (and with it how long a connection may idle), and how long a connection may live whatever its peer does.
//! With those a crowd of slow or silent peers costs at most [`limits::HTTP_CONNECTIONS_MAX`] small buffers, and gives
//! its places back.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::limits;

/// The pause after an accept that failed, which is mostly for want of file descriptors: others must close first.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `cancel`, then ends every connection within [`limits::HTTP_DRAIN_MAX`].
pub(super) async fn serve(listener: TcpListener, router: Router, cancel: &CancellationToken) {
    let slots = Arc::new(Semaphore::new(limits::HTTP_CONNECTIONS_MAX));
    let connections = TaskTracker::new();
    let _: Option<Infallible> = cancel
        .run_until_cancelled(async {
            loop {
                let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { std::future::pending().await };
                match listener.accept().await {
                    Ok((stream, _)) => {
                        connections.spawn(connection(stream, router.clone(), slot, cancel.clone()));
                    }
                    Err(error) => rest_after(&error).await,
                }
            }
        })
        .await;
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn rest_after(error: &io::Error) {
    let is_peers = matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset);
    if !is_peers {
        tracing::warn!(%error, "no connection can be accepted");
        time::sleep(ACCEPT_PAUSE).await;
    }
}

async fn connection(
    stream: TcpStream,
    router: Router,
    slot: OwnedSemaphorePermit,
    cancel: CancellationToken,
) {
    let _held_to_the_end = slot;
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HTTP_HEAD_MAX)
        .max_buf_size(limits::HTTP_HEAD_BYTES_MAX);
    let connection = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
            return;
        }
        () = cancel.cancelled() => {}
        () = time::sleep(limits::HTTP_CONNECTION_LIFE_MAX) => {}
    }
    connection.as_mut().graceful_shutdown();
    if time::timeout(limits::HTTP_DRAIN_MAX, connection).await.is_err() {
        tracing::debug!("a connection was cut: its peer did not take the answer in time");
    }
}
