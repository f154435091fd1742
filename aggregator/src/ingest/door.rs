//! Lets connections in: address validation, handshake, and the choice between serving and joining.

use std::sync::Arc;

use quinn::{Connection, ConnectionError, Endpoint, Incoming, TransportErrorCode};
use quorate_proto::frame::{ALPN, ALPN_JOIN, CloseCode};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};
use tokio_util::task::TaskTracker;

use super::{Shared, connection, join, tls, wire::close_code};
use crate::{clock, limits};

/// TLS alerts (RFC 8446 section 6.2) that say why a handshake was refused.
const HANDSHAKE_FAILURE: u8 = 40;
const BAD_CERTIFICATE: u8 = 42;
const UNSUPPORTED_CERTIFICATE: u8 = 43;
const ACCESS_DENIED: u8 = 49;
const CERTIFICATE_REQUIRED: u8 = 116;
const NO_APPLICATION_PROTOCOL: u8 = 120;

/// Takes connections for as long as it is polled.
pub(super) async fn open(endpoint: &Endpoint, shared: &Arc<Shared>, tasks: &TaskTracker) {
    while let Some(incoming) = endpoint.accept().await {
        if !incoming.remote_address_validated() {
            // Only who answers from the address it claims costs us a handshake. It may always be asked to retry.
            let _ = incoming.retry();
            continue;
        }
        // With all handshakes in use the next ones wait here, and quinn refuses those above its own bound.
        let Ok(permit) = Arc::clone(&shared.handshakes).acquire_owned().await else { return };
        let shared = Arc::clone(shared);
        tasks.spawn(async move { admit(&shared, incoming, permit).await });
    }
}

async fn admit(shared: &Shared, incoming: Incoming, permit: OwnedSemaphorePermit) {
    let remote = incoming.remote_address();
    let connection = match timeout(limits::HANDSHAKE_DEADLINE.into(), incoming).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return refuse(shared, remote, reason(&error), &error),
        Err(_) => return refuse(shared, remote, "timeout", &ConnectionError::TimedOut),
    };
    drop(permit);
    let Some(agent) = tls::agent_key(&connection) else {
        // Cannot be: the handshake wants a raw key.
        connection.close(close_code(CloseCode::Hostile), b"no key");
        return;
    };
    match tls::protocol(&connection).as_deref() {
        Some(ALPN_JOIN) => join::serve(shared, &connection, agent).await,
        Some(ALPN) => serve(shared, connection, agent).await,
        Some(_) | None => connection.close(close_code(CloseCode::Hostile), b"no protocol"),
    }
}

async fn serve(shared: &Shared, connection: Connection, agent: quorate_proto::AgentKey) {
    let Ok(_permit) = shared.connections.try_acquire() else {
        shared.counts.handshake_refused("full");
        connection.close(close_code(CloseCode::GoingAway), b"full");
        return;
    };
    connection::serve(shared, connection, agent).await;
}

fn refuse(shared: &Shared, remote: std::net::SocketAddr, reason: &'static str, error: &ConnectionError) {
    shared.counts.handshake_refused(reason);
    if let Some(suppressed) = shared.ration.take(clock::now()) {
        tracing::info!(%remote, reason, %error, suppressed, "a connection was not admitted");
    }
}

/// The stable name of why a handshake failed.
fn reason(error: &ConnectionError) -> &'static str {
    match error {
        ConnectionError::TransportError(error) => alert(error.code),
        ConnectionError::TimedOut => "timeout",
        ConnectionError::VersionMismatch | ConnectionError::ConnectionClosed(_) => "tls",
        ConnectionError::CidsExhausted => "full",
        ConnectionError::ApplicationClosed(_) | ConnectionError::Reset | ConnectionError::LocallyClosed => {
            "lost"
        }
    }
}

fn alert(code: TransportErrorCode) -> &'static str {
    let is = |alert| code == TransportErrorCode::crypto(alert);
    if is(ACCESS_DENIED) {
        "unknown_key"
    } else if is(NO_APPLICATION_PROTOCOL) {
        "protocol"
    } else if [HANDSHAKE_FAILURE, BAD_CERTIFICATE, UNSUPPORTED_CERTIFICATE, CERTIFICATE_REQUIRED]
        .into_iter()
        .any(is)
    {
        "no_raw_key"
    } else {
        "tls"
    }
}
