//! Publish: what people and programs read over HTTP. The only home of axum.
//!
//! | path | for | asks for a token |
//! |---|---|---|
//! | `/`, `/assets/style.css` | people: the status page | no |
//! | `/incidents/{id}` | people: one incident explained, with its timeline | no |
//! | `/status.json` | programs: the same in our words | no |
//! | `/api/v2/{summary,status}.json` | programs that read Statuspage v2 | no |
//! | `/api/v2/scheduled-maintenances{,/upcoming,/active}.json` | the same | no |
//! | `/healthz`, `/readyz` | whatever started this process | no |
//! | `/metrics` | Prometheus | yes |
//! | `/api/v1/…` | operators: everything, with paging, and the enrolment of agents | yes |
//!
//! Reads never wait for the writer: handlers look at the latest [`Snapshot`] and ask the [`Reader`], which has
//! connections of its own. Only what an operator wants changed goes through the core, under a deadline.

mod api;
mod auth;
mod document;
mod error;
mod exposition;
mod health;
mod metrics;
mod page;
mod parameters;
mod picture;
mod recent;
#[cfg(test)]
mod sample;
mod serve;
mod status_json;
mod statuspage;
mod tally;
#[cfg(test)]
mod tests;
mod uptime;
mod view;
mod words;

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderValue, header},
    middleware,
    routing::get,
};
use quorate_proto::AggregatorKey;
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::sync::CancellationToken;
use tower_http::{catch_panic::CatchPanicLayer, set_header::SetResponseHeaderLayer};

use crate::{
    config::Page,
    limits,
    model::{Intake, Snapshot},
    store::{Dossier, Reader},
};

pub use exposition::{Family, FamilyKind, Sample};

/// How publish listens.
#[derive(Debug)]
pub struct Options {
    /// Where HTTP is served, bound already so that the caller knows the port and hears of a port in use.
    pub listener: TcpListener,
}

/// What publish reads and whom it asks.
#[derive(Clone)]
pub struct Sources {
    /// The picture of the present. One that was made (`at` is not zero) means that the aggregator is ready.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// What the status page calls itself; replaced on reload.
    pub page: Arc<ArcSwap<Page>>,
    /// History.
    pub reader: Reader,
    /// The core, for what an operator wants changed.
    pub intake: mpsc::Sender<Intake>,
    /// The aggregator's key, for those who pin it.
    pub aggregator: AggregatorKey,
    /// Seals evidence with that key.
    pub sealer: Sealer,
    /// Metrics that another stage keeps; called at each scrape, so it must be quick and never wait.
    pub further_metrics: FurtherMetrics,
}

/// Makes a sealed file of an incident's evidence; none where it cannot be written, which is a defect.
pub type Sealer = Arc<dyn Fn(&Dossier) -> Option<String> + Send + Sync>;

/// Gives the metrics of another stage. Their names are that stage's promise, and not in the golden list of this one.
pub type FurtherMetrics = Arc<dyn Fn() -> Vec<Family> + Send + Sync>;

/// Serves until `cancel`, and then for at most [`limits::HTTP_DRAIN_MAX`] more, so that begun answers are ended.
pub async fn run(options: Options, sources: Sources, cancel: CancellationToken) {
    let local_url = match options.listener.local_addr() {
        Ok(address) => format!("http://{address}"),
        Err(_) => "http://localhost".to_owned(),
    };
    let shared = Arc::new(Shared::new(sources, local_url));
    serve::serve(options.listener, router(shared), &cancel).await;
}

/// What every handler sees.
struct Shared {
    sources: Sources,
    tokens: auth::Tokens,
    recent: recent::Recent,
    pictures: picture::Pictures,
    /// Stands in for the page's URL where none is configured.
    local_url: String,
}

impl Shared {
    fn new(sources: Sources, local_url: String) -> Self {
        let tokens = auth::Tokens::new(sources.reader.clone());
        let recent = recent::Recent::default();
        Self { sources, tokens, recent, pictures: picture::Pictures::default(), local_url }
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.sources.snapshot.load_full()
    }
}

fn router(shared: Arc<Shared>) -> Router {
    let private = Router::new()
        .route("/metrics", get(metrics::serve))
        .merge(api::router())
        .route_layer(middleware::from_fn_with_state(Arc::clone(&shared), auth::require));
    let public = Router::new()
        .route("/", get(page::serve))
        .route(page::STYLE_PATH, get(page::style))
        .route("/incidents/{id}", get(page::story::serve))
        .route("/status.json", get(status_json::serve))
        .route("/api/v2/summary.json", get(statuspage::summary))
        .route("/api/v2/status.json", get(statuspage::status))
        .route("/api/v2/scheduled-maintenances.json", get(statuspage::maintenance::all))
        .route("/api/v2/scheduled-maintenances/upcoming.json", get(statuspage::maintenance::upcoming))
        .route("/api/v2/scheduled-maintenances/active.json", get(statuspage::maintenance::active))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready));
    let routes = public
        .merge(private)
        .fallback(error::absent)
        .method_not_allowed_fallback(error::not_allowed)
        .with_state(shared);
    guarded(routes)
}

/// Puts around the routes what holds for every answer: bounds, a deadline, a net under panics, safe headers.
fn guarded(routes: Router) -> Router {
    let fixed = |name, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    routes
        .layer(DefaultBodyLimit::max(limits::HTTP_BODY_BYTES_MAX))
        .layer(middleware::from_fn(error::deadline))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(fixed(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(fixed(header::REFERRER_POLICY, "no-referrer"))
        .layer(fixed(header::CONTENT_SECURITY_POLICY, page::CONTENT_SECURITY_POLICY))
        .layer(fixed(header::CACHE_CONTROL, "no-store"))
}
