//! The client's end of the HTTP API.
//!
//! A second home of the HTTP client beside `notify`: a stage must not be imported for its transport, and what this one
//! wants (a token, JSON, one request) has little in common with delivering alerts.

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
pub(super) use reqwest::Method;
use reqwest::{Client, Url, header};
use serde_json::Value;

use crate::{
    config::{Config, Environment, read_bounded},
    limits,
    model::Secret,
};

const SERVER_DEFAULT: &str = "http://127.0.0.1:8080";
const TOKEN_FILE: &str = "admin.token";

/// Which aggregator is asked, and by whose leave.
#[derive(Debug, Args)]
pub(super) struct ApiArguments {
    /// The aggregator's URL [default: that of the configuration, or http://127.0.0.1:8080]
    #[arg(long, env = "QUORATE_SERVER", value_name = "URL", global = true, help_heading = "Aggregator")]
    server: Option<String>,
    /// The API token; better in the environment than in a shell's history
    #[arg(
        long,
        env = "QUORATE_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN",
        global = true,
        help_heading = "Aggregator"
    )]
    token: Option<String>,
    /// A file that holds the token [default: admin.token in the configuration's data folder]
    #[arg(long, value_name = "FILE", global = true, help_heading = "Aggregator")]
    token_file: Option<PathBuf>,
    /// The configuration that says where both are, where they are not given
    #[arg(
        long,
        value_name = "FILE",
        default_value = "quorate.toml",
        global = true,
        help_heading = "Aggregator"
    )]
    config: PathBuf,
}

/// Why the API did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The server's URL is none.
    #[error("--server {0}: wanted an http:// or https:// URL, such as {SERVER_DEFAULT}")]
    Server(String),
    /// No token was found.
    #[error(
        "no API token: {path} {problem}. Give --token, QUORATE_TOKEN or --token-file; `quorate serve` writes the first one to admin.token in its data folder"
    )]
    Token {
        /// Where it was looked for.
        path: PathBuf,
        /// What was there.
        problem: String,
    },
    /// The client cannot be made.
    #[error("the HTTP client cannot be made: {0}")]
    Client(reqwest::Error),
    /// The aggregator does not answer.
    #[error("no answer from {server}: {problem}. Is the aggregator running there? --server names another")]
    NoAnswer {
        /// Which one.
        server: String,
        /// Why not.
        problem: String,
    },
    /// The aggregator said no.
    #[error("the aggregator at {server} refused: {message}")]
    Refused {
        /// Which one.
        server: String,
        /// In its words.
        message: String,
    },
    /// The answer makes no sense.
    #[error("{0} does not answer as an aggregator does: is something else listening there?")]
    Strange(String),
}

impl ApiError {
    /// Whether the aggregator was reached and said no.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}

/// The way to one aggregator.
#[derive(Debug)]
pub(super) struct Api {
    client: Client,
    server: Url,
    token: Secret,
}

impl Api {
    /// Finds out which aggregator is meant, and the token.
    ///
    /// # Errors
    /// [`ApiError::Server`], [`ApiError::Token`], [`ApiError::Client`].
    pub(super) fn new(arguments: &ApiArguments) -> Result<Self, ApiError> {
        // A configuration that is not there or has faults is no obstacle: everything can be said without it.
        let config = Config::load(&arguments.config, &Environment::of_process()).ok();
        let server = config.as_ref().map(|loaded| loaded.config.server.clone());
        let url =
            arguments.server.clone().or_else(|| Some(format!("http://{}", local(server.as_ref()?.http))));
        let url = url.unwrap_or_else(|| SERVER_DEFAULT.to_owned());
        let parsed = Url::parse(&url).ok().filter(|url| ["http", "https"].contains(&url.scheme()));
        let server_url = parsed.ok_or(ApiError::Server(url))?;
        let token = match &arguments.token {
            Some(token) => Secret::new(token.trim()),
            None => {
                let data = server.map_or_else(|| PathBuf::from("quorate-data"), |server| server.data);
                token_in(arguments.token_file.clone().unwrap_or_else(|| data.join(TOKEN_FILE)))?
            }
        };
        let client = Client::builder()
            .tls_backend_preconfigured(tls())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .http1_only()
            .user_agent(concat!("quorate/", env!("CARGO_PKG_VERSION")))
            .timeout(Duration::from_secs(limits::API_CLIENT_SECONDS_MAX))
            .build()
            .map_err(ApiError::Client)?;
        Ok(Self { client, server: server_url, token })
    }

    /// Asks, and returns the answer's JSON.
    ///
    /// # Errors
    /// [`ApiError::NoAnswer`], [`ApiError::Refused`], [`ApiError::Strange`].
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, ApiError> {
        let bytes = self.fetch(method, path, body, limits::API_CLIENT_BYTES_MAX).await?;
        serde_json::from_slice(&bytes).map_err(|_| ApiError::Strange(self.name()))
    }

    /// Asks, and returns the answer as it is.
    ///
    /// # Errors
    /// As [`Api::ask`].
    pub(super) async fn fetch(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        bytes_max: usize,
    ) -> Result<Vec<u8>, ApiError> {
        let server = self.name();
        let mut request =
            self.client.request(method, format!("{server}{path}")).bearer_auth(self.token.expose());
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let no_answer = |error: reqwest::Error| {
            let mut problem: &dyn std::error::Error = &error;
            while let Some(source) = problem.source() {
                problem = source;
            }
            ApiError::NoAnswer { server: server.clone(), problem: problem.to_string() }
        };
        let mut response = request.send().await.map_err(no_answer)?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(no_answer)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > bytes_max {
                return Err(ApiError::Strange(server));
            }
        }
        if status.is_success() {
            return Ok(bytes);
        }
        let answer = serde_json::from_slice::<Value>(&bytes).unwrap_or_default();
        let message = answer.pointer("/error/message").and_then(Value::as_str);
        match message {
            Some(message) => Err(ApiError::Refused { server, message: message.to_owned() }),
            None => Err(ApiError::Strange(server)),
        }
    }

    /// Every row of a list, page by page.
    ///
    /// # Errors
    /// As [`Api::ask`].
    pub(super) async fn all(&self, list: &str) -> Result<Vec<Value>, ApiError> {
        let mut rows = Vec::new();
        let mut path = format!("{list}?limit={}", limits::PAGE_ROWS_MAX);
        loop {
            let page = self.ask(Method::GET, &path, None).await?;
            rows.extend(page.get("items").and_then(Value::as_array).into_iter().flatten().cloned());
            let Some(next) = page.get("next").and_then(Value::as_str) else { return Ok(rows) };
            let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
            path = format!("{list}?limit={}&before={next}", limits::PAGE_ROWS_MAX);
        }
    }

    fn name(&self) -> String {
        self.server.as_str().trim_end_matches('/').to_owned()
    }
}

/// An address to listen on as one to connect to.
fn local(mut address: std::net::SocketAddr) -> std::net::SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn token_in(path: PathBuf) -> Result<Secret, ApiError> {
    let bytes = match read_bounded(&path) {
        Ok(bytes) => bytes,
        Err(error) => return Err(ApiError::Token { path, problem: format!("cannot be read ({error})") }),
    };
    match String::from_utf8(bytes) {
        Ok(text) if is_token(text.trim()) => Ok(Secret::new(text.trim())),
        Ok(text) if !text.trim().is_empty() => {
            Err(ApiError::Token { path, problem: "holds something else than one token".to_owned() })
        }
        Ok(_) | Err(_) => Err(ApiError::Token { path, problem: "holds none".to_owned() }),
    }
}

/// One word; anything else could not even be sent.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn tls() -> rustls::ClientConfig {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    #[expect(clippy::expect_used, reason = "the provider supports the library's default versions")]
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs supports TLS 1.2 and 1.3");
    builder.with_root_certificates(roots).with_no_client_auth()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_file_holds_one_token() {
        let folder = tempfile::tempdir().unwrap();
        let told = |text: &str| {
            let path = folder.path().join("token");
            std::fs::write(&path, text).unwrap();
            token_in(path).err().map(|error| error.to_string())
        };
        assert_eq!(told("qt_abc\n"), None);
        for (text, problem) in
            [(" \n", "holds none"), ("[server]\ndata = 1\n", "holds something else than one token")]
        {
            assert!(told(text).unwrap().contains(problem), "{text}");
        }
    }
}
