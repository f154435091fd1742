//! Whether the process lives, and whether it is of use.

use std::sync::Arc;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::{Shared, picture};
use crate::model::StorageState;

/// `GET /healthz`: the process lives and answers. Nothing else is looked at, so that nothing else gets it killed.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: 200 once the core has made its first picture of the present.
///
/// A store that cannot be written is told and leaves the answer at 200: the aggregator still decides and pages from
/// memory, and taking it out of service, or starting it anew, would end just that.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let snapshot = shared.snapshot();
    if !picture::is_made(&snapshot) {
        return (StatusCode::SERVICE_UNAVAILABLE, "not ready: still starting\n").into_response();
    }
    match &snapshot.storage {
        StorageState::Good => "ok\n".into_response(),
        StorageState::Failing(why) => format!("ok, but the store cannot be written: {why}\n").into_response(),
    }
}
