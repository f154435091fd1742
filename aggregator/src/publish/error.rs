//! Why a request was not answered, and how that is said: as JSON to programs, as a small page to people.
//!
//! What a client is told is not what the log is told: a fault of the store or of ours is logged with its text and
//! answered with a sentence.

use std::any::Any;

use axum::{
    Json,
    extract::Request,
    http::{HeaderValue, StatusCode, Uri, header},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use serde_json::json;

use crate::{limits, model::AdminError, store::StoreError};

/// Why a request was not answered. `Display` is for the client.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The client's fault: a parameter of the query.
    #[error("parameter {name}: {problem}")]
    Parameter {
        /// Which one.
        name: String,
        /// What is wrong with it, and what is wanted.
        problem: String,
    },
    /// The client's fault: the body.
    #[error("body: {0}")]
    Body(String),
    /// The client's fault: the body is above its bound.
    #[error("the body is larger than {} bytes", limits::HTTP_BODY_BYTES_MAX)]
    BodyTooLarge,
    /// The client's fault: no token, or none that is stored.
    #[error(
        "{0}: send `Authorization: Bearer qat_…`; the first token is in the file admin.token of the aggregator's \
         data folder"
    )]
    Unauthorized(&'static str),
    /// The client's fault, or that of time: there is no such thing.
    #[error("there is no {0}")]
    NotFound(String),
    /// The client's fault: the path is known, the method is not.
    #[error("this path does not take that method; the Allow header names those that it takes")]
    MethodNotAllowed,
    /// The operator's wish was refused; nothing changed.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The store did not answer; nothing changed.
    #[error("{}", store_text(.0))]
    Store(#[from] StoreError),
    /// Our fault: the core took no message in time; nothing changed.
    #[error("the aggregator is too busy to take this; nothing was changed, try again")]
    NotTaken,
    /// Our fault: the core took the message and did not answer in time; it may have done it.
    #[error(
        "the aggregator did not say in time whether it was done: look at GET /api/v1/agents before trying again"
    )]
    Unanswered,
    /// Our fault: the answer was not ready in time.
    #[error("no answer within {} seconds; try again", limits::HTTP_REQUEST_MAX.as_secs())]
    Late,
    /// Our fault: a defect.
    #[error("something went wrong inside; the log says what")]
    Internal,
}

fn store_text(error: &StoreError) -> &'static str {
    match error {
        StoreError::Cursor => "parameter before: is not a cursor that this list gave out as `next`",
        StoreError::Busy => "the store is busy; try again",
        StoreError::Sqlite(_) => "the store cannot be read at present; the log says why",
    }
}

impl Error {
    /// HTTP status and stable name.
    fn code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Parameter { .. } | Self::Store(StoreError::Cursor) => {
                (StatusCode::BAD_REQUEST, "bad_parameter")
            }
            Self::Body(_) => (StatusCode::BAD_REQUEST, "bad_body"),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::Unauthorized(_) => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::NotFound(_)
            | Self::Admin(AdminError::NoSuchAgent(_) | AdminError::NoSuchMaintenance(_)) => {
                (StatusCode::NOT_FOUND, "not_found")
            }
            Self::Admin(AdminError::NoSuchMonitor(_)) => (StatusCode::BAD_REQUEST, "unknown_monitor"),
            Self::Admin(AdminError::TooMuchMaintenance(_)) => (StatusCode::CONFLICT, "too_much"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::Admin(AdminError::NameTaken(_)) => (StatusCode::CONFLICT, "name_taken"),
            Self::Admin(AdminError::NoSuchRegion { .. }) => (StatusCode::BAD_REQUEST, "unknown_region"),
            Self::Admin(AdminError::Storage) | Self::Store(StoreError::Sqlite(_)) => {
                (StatusCode::SERVICE_UNAVAILABLE, "storage")
            }
            Self::Store(StoreError::Busy) | Self::NotTaken => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::Unanswered => (StatusCode::GATEWAY_TIMEOUT, "unanswered"),
            Self::Late => (StatusCode::SERVICE_UNAVAILABLE, "late"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, code) = self.code();
        if let Self::Store(error @ StoreError::Sqlite(_)) = &self {
            tracing::warn!(%error, "a question to the store was not answered");
        }
        let body = json!({ "error": { "code": code, "message": self.to_string() } });
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"quorate\""));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// The answer where no route fits.
pub(super) async fn absent(uri: Uri) -> Response {
    if is_for_programs(uri.path()) {
        return Error::NotFound("such path".to_owned()).into_response();
    }
    no_page()
}

/// The answer where there is no such page.
pub(super) fn no_page() -> Response {
    (StatusCode::NOT_FOUND, Html(include_str!("../../templates/not_found.html"))).into_response()
}

/// The answer where the path fits and the method does not. The router adds `Allow`.
pub(super) async fn not_allowed() -> Response {
    Error::MethodNotAllowed.into_response()
}

fn is_for_programs(path: &str) -> bool {
    path == "/api" || path.starts_with("/api/") || path.ends_with(".json")
}

/// Ends a request that takes longer than [`limits::HTTP_REQUEST_MAX`], a body that trickles in included.
pub(super) async fn deadline(request: Request, next: Next) -> Response {
    match tokio::time::timeout(limits::HTTP_REQUEST_MAX, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Error::Late.into_response(),
    }
}

/// The answer where a handler panicked.
#[expect(clippy::needless_pass_by_value, reason = "the signature is tower-http's")]
pub(super) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no text");
    tracing::error!(panic = text, "a handler panicked");
    Error::Internal.into_response()
}
