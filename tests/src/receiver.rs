//! A webhook receiver that behaves as told and remembers what came and when.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Result;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use crate::clock::{self, Stopwatch};

/// What a receiver does with a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Takes it.
    Take,
    /// Answers with this status, the first `times` times; takes it then.
    Refuse {
        /// The status.
        status: u16,
        /// How often.
        times: usize,
        /// The `Retry-After` header, in seconds.
        retry_after: Option<u32>,
    },
    /// Never answers.
    Hang,
    /// Points elsewhere.
    Redirect(String),
}

/// One delivery that came in.
#[derive(Clone, Debug)]
pub struct Hit {
    /// When.
    pub at: Stopwatch,
    /// `webhook-id`.
    pub id: String,
    /// `webhook-timestamp`.
    pub timestamp: String,
    /// `webhook-signature`.
    pub signature: String,
    /// The body.
    pub body: Value,
    /// The status that was answered; none where nothing was.
    pub answered: Option<u16>,
}

impl Hit {
    /// The event type.
    pub fn event(&self) -> &str {
        self.body.get("type").and_then(Value::as_str).unwrap_or_default()
    }

    /// A value in `data.incident`, by JSON pointer.
    pub fn incident(&self, pointer: &str) -> &Value {
        const NULL: &Value = &Value::Null;
        self.body.pointer(&format!("/data/incident{pointer}")).unwrap_or(NULL)
    }

    /// The monitor's id.
    pub fn monitor(&self) -> &str {
        self.incident("/monitor/id").as_str().unwrap_or_default()
    }
}

/// A running receiver. Ends with its value.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    _runtime: tokio::runtime::Runtime,
}

#[derive(Debug)]
struct Shared {
    behaviour: Behaviour,
    hits: Mutex<Vec<Hit>>,
}

impl Receiver {
    /// Starts a receiver on a port of its own.
    ///
    /// # Errors
    /// Where it cannot listen.
    pub fn start(behaviour: Behaviour) -> Result<Self> {
        let shared = Arc::new(Shared { behaviour, hits: Mutex::default() });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let router = Router::new().fallback(take).with_state(Arc::clone(&shared));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, shared, _runtime: runtime })
    }

    /// Where to post.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// All that came so far.
    pub fn hits(&self) -> Vec<Hit> {
        self.shared.hits().clone()
    }

    /// Waits for the first delivery that fits.
    ///
    /// # Panics
    /// Where none comes within `seconds`.
    pub fn wait_for(&self, what: &str, seconds: f64, fits: impl Fn(&Hit) -> bool) -> Hit {
        clock::wait_for(format!("a delivery: {what}"), seconds, || {
            self.shared.hits().iter().find(|hit| fits(hit)).cloned()
        })
    }

    /// Waits for an incident of a monitor to be told as `event`.
    ///
    /// # Panics
    /// Where it is not within `seconds`.
    pub fn incident(&self, event: &str, monitor: &str, seconds: f64) -> Hit {
        self.wait_for(&format!("{event} of {monitor}"), seconds, |hit| {
            hit.event() == event && hit.monitor() == monitor
        })
    }
}

impl Shared {
    fn hits(&self) -> MutexGuard<'_, Vec<Hit>> {
        self.hits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn take(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let header =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let count = {
        let mut hits = shared.hits();
        let answered = match &shared.behaviour {
            Behaviour::Take => Some(200),
            Behaviour::Refuse { status, times, .. } => Some(if hits.len() < *times { *status } else { 200 }),
            Behaviour::Hang => None,
            Behaviour::Redirect(_) => Some(302),
        };
        hits.push(Hit {
            at: Stopwatch::start(),
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp"),
            signature: header("webhook-signature"),
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
            answered,
        });
        hits.len()
    };
    match &shared.behaviour {
        Behaviour::Take => StatusCode::OK.into_response(),
        Behaviour::Refuse { status, times, retry_after } if count <= *times => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            match retry_after {
                Some(seconds) => (status, [("retry-after", seconds.to_string())]).into_response(),
                None => status.into_response(),
            }
        }
        Behaviour::Refuse { .. } => StatusCode::OK.into_response(),
        Behaviour::Hang => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            StatusCode::OK.into_response()
        }
        Behaviour::Redirect(to) => (StatusCode::FOUND, [("location", to.clone())]).into_response(),
    }
}
