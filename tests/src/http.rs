//! A small HTTP/1.1 client for loopback: one request, one connection, one deadline.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::Value;

/// A response, read to its end.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The head, as text.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Response {
    /// The body as JSON.
    ///
    /// # Errors
    /// Where it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("not JSON: {}", self.body))
    }
}

/// Fetches a path, with a bearer token where one is given.
///
/// # Errors
/// Where there is no whole answer within 10 s.
pub fn get(server: SocketAddr, path: &str, token: Option<&str>) -> Result<Response> {
    request(server, "GET", path, token)
}

/// Makes a request without a body.
///
/// # Errors
/// Where there is no whole answer within 10 s.
pub fn request(server: SocketAddr, method: &str, path: &str, token: Option<&str>) -> Result<Response> {
    let deadline = Duration::from_secs(10);
    let mut stream = TcpStream::connect_timeout(&server, deadline)?;
    stream.set_read_timeout(Some(deadline))?;
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: {server}\r\n{authorization}Connection: close\r\n\r\n")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").context("no HTTP head")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no HTTP status")?;
    Ok(Response { status, head: head.to_owned(), body: body.to_owned() })
}
