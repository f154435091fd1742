//! One attempt over HTTP: connect, post, read what matters of the answer, all under one deadline.

#[cfg(feature = "simulation")]
mod simulated;

use std::{error::Error, sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::{Client, Request, Url, header};
use rustls::RootCertStore;

use super::{
    Options,
    answer::{Answer, Response, judge, origin},
    desk::Job,
    sign::{self, SecretError, WebhookSecret},
    slack, webhook,
};
use crate::{
    clock,
    config::ChannelKind,
    limits::{
        DELIVERY_BODY_BYTES_MAX, DELIVERY_BODY_DEADLINE, DELIVERY_CONNECT_DEADLINE, DELIVERY_DEADLINE,
        RECEIVER_IDLE, RECEIVER_IDLE_CONNECTIONS_MAX,
    },
};

/// The HTTP client that all channels share. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Post {
    client: Client,
    options: Arc<Options>,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// The TLS library refuses its own defaults.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// The HTTP library refuses its settings.
    #[error(transparent)]
    Http(#[from] reqwest::Error),
}

/// Why a request could not be made. The operator's fault, and told to the operator.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error("the channel's url is not a URL")]
    Url,
    #[error("the channel's url is not http or https")]
    Scheme,
    #[error("a secret of the channel is not usable: {0}")]
    Secret(#[from] SecretError),
    #[error("the message cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the request cannot be made")]
    Request,
}

impl Post {
    /// Makes the client: trusts `roots`, uses no proxy, follows no redirects, keeps few connections.
    ///
    /// # Errors
    /// The TLS library's or the HTTP library's own, neither of which has a known cause.
    pub(super) fn new(options: Options, roots: RootCertStore) -> Result<Self, ClientError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls(roots)?)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .http1_only()
            .user_agent(concat!("quorate/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(DELIVERY_CONNECT_DEADLINE.into())
            .pool_max_idle_per_host(RECEIVER_IDLE_CONNECTIONS_MAX)
            .pool_idle_timeout(Duration::from(RECEIVER_IDLE))
            .build()?;
        Ok(Self { client, options: Arc::new(options) })
    }

    /// Makes one attempt. Ends by [`DELIVERY_DEADLINE`].
    pub(super) async fn attempt(&self, job: &Job) -> Answer {
        let request = match self.request(job) {
            Ok(request) => request,
            Err(error) => return Answer::refused(error.to_string()),
        };
        let exchange = self.exchange(request);
        match tokio::time::timeout(DELIVERY_DEADLINE.into(), exchange).await {
            Ok(answer) => answer,
            Err(_) => Answer::trouble(format!("no answer within {DELIVERY_DEADLINE}")),
        }
    }

    fn request(&self, Job { channel, delivery, at }: &Job) -> Result<Request, RequestError> {
        let alert = &delivery.alert;
        let sent_at = delivery.first_sent_at.unwrap_or(*at);
        let (url, body, headers) = match &channel.kind {
            ChannelKind::Slack { url } => {
                (url, slack::body(alert, sent_at, &self.options).to_string().into_bytes(), Vec::new())
            }
            ChannelKind::Webhook { url, secrets } => {
                let body = webhook::body(alert, sent_at, self.options.page_url.as_deref())?;
                let secrets: Vec<_> = secrets
                    .iter()
                    .map(|text| WebhookSecret::parse(text.expose()))
                    .collect::<Result<_, _>>()?;
                let seconds = at.as_unix_seconds();
                let mut headers =
                    vec![("webhook-id", alert.id.clone()), ("webhook-timestamp", seconds.to_string())];
                let signature = sign::signature(&secrets, &alert.id, seconds, &body);
                headers.extend(signature.map(|signature| ("webhook-signature", signature)));
                (url, body, headers)
            }
        };
        let url = Url::parse(url.expose()).map_err(|_| RequestError::Url)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(RequestError::Scheme);
        }
        let mut request = self.client.post(url).header(header::CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.body(body).build().map_err(|_| RequestError::Request)
    }

    async fn exchange(&self, request: Request) -> Answer {
        let url = request.url().clone();
        let response = match self.execute(request, &url).await {
            Ok(response) => response,
            Err(error) => return Answer::trouble(error),
        };
        let status = response.status();
        let headers = response.headers().clone();
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        // A receiver that says yes has taken it, whatever becomes of the rest of its answer.
        let body = if status.is_success() { Bytes::new() } else { start_of_body(response).await };
        let response = Response {
            status,
            location: text(header::LOCATION),
            retry_after: text(header::RETRY_AFTER),
            body: &body,
        };
        judge(response, &url, clock::wall())
    }

    /// Sends a request, and says in words why nothing came back.
    async fn execute(&self, request: Request, url: &Url) -> Result<reqwest::Response, String> {
        #[cfg(feature = "simulation")]
        let request = match simulated::execute(request).await {
            Ok(executed) => return executed,
            Err(request) => request,
        };
        self.client.execute(request).await.map_err(|error| no_answer(&error, url))
    }
}

/// Reads what comes of a body within [`DELIVERY_BODY_DEADLINE`], up to [`DELIVERY_BODY_BYTES_MAX`].
async fn start_of_body(mut response: reqwest::Response) -> Bytes {
    let mut body = Vec::new();
    let read = async {
        while body.len() < DELIVERY_BODY_BYTES_MAX
            && let Ok(Some(chunk)) = response.chunk().await
        {
            body.extend(chunk.iter().take(DELIVERY_BODY_BYTES_MAX - body.len()));
        }
    };
    // What was read until then is kept: it is for people, and half a sentence helps them too.
    let _ = tokio::time::timeout(DELIVERY_BODY_DEADLINE.into(), read).await;
    body.into()
}

/// Why no answer came. The library's own text would show the URL.
fn no_answer(error: &reqwest::Error, url: &Url) -> String {
    let origin = origin(url);
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match (error.is_connect(), error.is_timeout()) {
        (true, true) => format!("no connection to {origin} within {DELIVERY_CONNECT_DEADLINE}"),
        (true, false) => format!("cannot connect to {origin}: {innermost}"),
        (false, _) => format!("no answer from {origin}: {innermost}"),
    }
}

/// The certificate authorities that Mozilla trusts.
pub(super) fn public_roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// TLS 1.2 and 1.3, with the cryptography that the rest of the program uses.
fn tls(roots: RootCertStore) -> Result<rustls::ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
