//! HTTP over a simulation's TCP: one connection a request, no TLS. With the feature `simulation` alone.

use std::{io, net::SocketAddr};

use axum::http;
use bytes::Bytes;
use hyper::{client::conn::http1, header};
use hyper_util::rt::TokioIo;
use quorate_agent::simulation::{self, Connection};
use reqwest::{Body, Request, Response};

/// Makes a request in the world that this thread is in, and says what came of it. Gives the request back where the thread
/// is in none.
pub(super) async fn execute(request: Request) -> Result<Result<Response, String>, Request> {
    let host = request.url().host_str().and_then(|host| host.parse().ok());
    let address = SocketAddr::new(
        host.unwrap_or(std::net::Ipv4Addr::LOCALHOST.into()),
        request.url().port_or_known_default().unwrap_or(80),
    );
    match simulation::connect(address) {
        Some(connecting) => {
            let connected = connecting.await;
            Ok(exchange(connected, address, request).await)
        }
        None => Err(request),
    }
}

async fn exchange(
    connected: io::Result<Box<dyn Connection>>,
    address: SocketAddr,
    request: Request,
) -> Result<Response, String> {
    let connection = connected.map_err(|error| format!("cannot connect to http://{address}: {error}"))?;
    let failed = |error: &dyn std::error::Error| format!("no answer from http://{address}: {error}");
    let handshake = http1::handshake::<_, Body>(TokioIo::new(connection)).await;
    let (mut sender, driver) = handshake.map_err(|error| failed(&error))?;
    tokio::spawn(driver);
    let path = request.url().path().to_owned();
    let mut request = http::Request::<Body>::try_from(request).map_err(|error| failed(&error))?;
    *request.uri_mut() = path.parse().map_err(|error: http::uri::InvalidUri| failed(&error))?;
    let host = address.to_string().parse();
    request
        .headers_mut()
        .insert(header::HOST, host.map_err(|error: header::InvalidHeaderValue| failed(&error))?);
    let response = sender.send_request(request).await.map_err(|error| failed(&error))?;
    let (head, mut incoming) = response.into_parts();
    let mut body = Vec::new();
    while let Some(frame) = next_frame(&mut incoming).await {
        body.extend_from_slice(&frame);
    }
    Ok(http::Response::from_parts(head, Bytes::from(body)).into())
}

async fn next_frame(body: &mut hyper::body::Incoming) -> Option<Bytes> {
    use hyper::body::Body as _;
    let frame = std::future::poll_fn(|context| std::pin::Pin::new(&mut *body).poll_frame(context)).await;
    frame?.ok()?.into_data().ok()
}
