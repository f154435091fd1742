//! Publish as its readers see it: every route through the router, and the server over a real socket.

mod admin;
mod evidence;
mod golden;
mod html;
mod routes;
mod server;
mod uptime;

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, Response, StatusCode, header},
};
use serde_json::Value;
use tokio::sync::mpsc;
use tower::ServiceExt as _;

use super::{Shared, Sources, auth, router, sample};
use crate::{
    config::Page,
    evidence::EvidenceFile,
    model::{Incident, Intake, Snapshot, incident::Tracked},
    store::{Change, Commit, Store},
};

/// A token that the house's store knows.
const TOKEN: &str = "qat_EBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBA";

/// Publish with a store, a picture and a core that is the test itself.
struct House {
    router: Router,
    sources: Sources,
    core: mpsc::Receiver<Intake>,
    store: Store,
    _folder: tempfile::TempDir,
}

/// What came back.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl House {
    async fn new(snapshot: Snapshot) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, reader, _) = Store::open(folder.path()).unwrap();
        let sha256 = auth::hash(TOKEN);
        let token = Change::ApiToken { sha256, name: "first".into(), created_at: sample::NOW };
        let (intake, core) = mpsc::channel(1);
        let sources = Sources {
            snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
            page: Arc::new(ArcSwap::from_pointee(sample::page())),
            reader,
            intake,
            aggregator: crate::store::fixture::AGGREGATOR,
            sealer: Arc::new(|dossier| {
                let key = crate::store::fixture::aggregator();
                EvidenceFile::of(dossier, key.aggregator_key(), sample::NOW).sealed(&key)
            }),
            further_metrics: Arc::new(Vec::new),
        };
        let router = router(Arc::new(Shared::new(sources.clone(), "http://127.0.0.1:8080".into())));
        let house = Self { router, sources, core, store, _folder: folder };
        house.commit(vec![token]).await;
        house
    }

    async fn commit(&self, changes: Vec<Change>) {
        self.store.commit(Commit { units: Vec::new(), changes }).await.unwrap();
    }

    /// Stores an incident, opened when it started.
    async fn keep(&self, incident: Incident) {
        let opened_at = incident.started_at;
        let tracked = Tracked { incident, opened_at, told: [].into() };
        self.commit(vec![Change::Incident(Box::new(tracked))]).await;
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        Answer::of(self.router.clone().oneshot(request).await.unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// With the good token.
    async fn ask(&self, path: &str) -> Answer {
        self.send(bearing(Request::get(path)).body(Body::empty()).unwrap()).await
    }

    fn rename(&self, title: &str) {
        self.sources.page.store(Arc::new(Page { title: title.into(), ..sample::page() }));
    }
}

fn bearing(builder: axum::http::request::Builder) -> axum::http::request::Builder {
    builder.header(header::AUTHORIZATION, format!("Bearer {TOKEN}"))
}

impl Answer {
    async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 24).await.unwrap();
        Self { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The code and the message of an error.
    fn error(&self) -> (u16, String, String) {
        let json = self.json();
        let text = |key: &str| json["error"][key].as_str().unwrap().to_owned();
        (self.status.as_u16(), text("code"), text("message"))
    }
}

/// Compares a text with the file of that name in `golden/`.
fn check_golden(name: &str, text: &str) {
    crate::golden::check(&format!("publish/golden/{name}"), text);
}
