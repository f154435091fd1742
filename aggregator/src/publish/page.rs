//! `GET /`: the status page. Drawn here as a whole, so that it works without any script; it asks for itself again every
//! ten seconds.
//!
//! This file answers and lays the page out; `page/monitor.rs` and `page/incident.rs` make its parts. They turn the
//! picture into texts, and the templates only place them, escaping every one.

mod event;
mod held;
mod incident;
mod monitor;
mod quality;
pub(super) mod story;

use std::sync::{Arc, LazyLock};

use askama::Template;
use axum::{extract::State, http::HeaderMap, response::Response};
use quorate_proto::Region;
use quorate_quorum::Verdict;

use self::{
    event::Event,
    incident::{OpenIncident, ResolvedIncident},
    monitor::MonitorCard,
};
use super::{
    Shared,
    document::{Document, short_hash},
    error::Error,
    picture::{self, Picture},
    tally::{self, Tally},
    words::{self, When},
};
use crate::{
    limits,
    model::{AgentView, MonitorView, Snapshot, StorageState},
};

/// Where the style sheet is.
pub(super) const STYLE_PATH: &str = "/assets/style.css";

/// What the page may do: be drawn with our own style sheet and an icon from itself. No scripts, no frames, no forms.
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const STYLE: &str = include_str!("../../assets/style.css");

static STYLE_DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
    Document::new(STYLE, "text/css; charset=utf-8", "public, max-age=31536000, immutable", &[])
});

/// Relative, so that the page can be served below another path by a proxy; with the sheet's hash, so that a browser
/// keeps it for ever and still gets the next one.
static STYLE_REFERENCE: LazyLock<String> = LazyLock::new(|| {
    let path = STYLE_PATH.trim_start_matches('/');
    format!("{path}?v={}", short_hash(STYLE.as_bytes()))
});

#[derive(Template)]
#[template(path = "status.html")]
struct StatusPage<'a> {
    title: &'a str,
    style: &'a str,
    icon: String,
    /// `up`, `partial`, `down` or `unobserved`: the class and the symbol of the banner.
    state: &'static str,
    headline: String,
    rest: String,
    /// None before the first picture.
    updated: Option<When>,
    storage_trouble: Option<&'a str>,
    incidents: Vec<OpenIncident<'a>>,
    incidents_further: usize,
    monitors: Vec<MonitorCard<'a>>,
    monitors_further: usize,
    resolved: Vec<ResolvedIncident<'a>>,
    is_past_known: bool,
    events: Vec<Event<'a>>,
    agents: Agents<'a>,
    version: &'static str,
}

/// Who probes.
struct Agents<'a> {
    connected: usize,
    total: usize,
    regions: Vec<RegionAgents<'a>>,
}

struct RegionAgents<'a> {
    region: &'a Region,
    connected: usize,
    total: usize,
}

/// Answers `GET /`.
pub(super) async fn serve(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<Response, Error> {
    let snapshot = shared.snapshot();
    let past = shared.recent.get(&shared.sources.reader, &snapshot).await;
    let picture = Picture { snapshot, page: shared.sources.page.load_full(), past };
    let document = shared.pictures.page.of(picture, render).await?;
    Ok(document.answer(&headers))
}

/// Answers `GET /assets/style.css`.
pub(super) async fn style(headers: HeaderMap) -> Response {
    STYLE_DOCUMENT.answer(&headers)
}

/// Draws the page.
pub(super) fn render(picture: &Picture) -> Result<Document, Error> {
    let html = layout(picture).render().map_err(|error| {
        tracing::error!(%error, "the status page was not rendered");
        Error::Internal
    })?;
    Ok(Document::new(html, "text/html; charset=utf-8", "no-cache", &[]))
}

fn layout(picture: &Picture) -> StatusPage<'_> {
    let snapshot = &picture.snapshot;
    let tally = Tally::of(snapshot);
    let is_degraded = tally.worst() == Verdict::Up && tally.degraded > 0;
    let shown = if is_degraded { Verdict::Partial } else { tally.worst() };
    let state = shown.name();
    let is_starting = !picture::is_made(snapshot);
    let open = &snapshot.incidents_open;
    let resolved = picture.past.iter().flat_map(|past| &past.incidents);
    let events = picture.past.iter().flat_map(|past| &past.events);
    StatusPage {
        title: &picture.page.title,
        style: &STYLE_REFERENCE,
        icon: icon(shown),
        state,
        headline: if is_starting { "Starting".to_owned() } else { tally.headline() },
        rest: tally.rest(),
        updated: (!is_starting).then(|| words::when(snapshot.at, snapshot.at)),
        storage_trouble: match &snapshot.storage {
            StorageState::Good => None,
            StorageState::Failing(why) => Some(why),
        },
        incidents: open
            .iter()
            .take(limits::PAGE_INCIDENTS_MAX)
            .map(|incident| OpenIncident::of(incident, snapshot.at))
            .collect(),
        incidents_further: open.len().saturating_sub(limits::PAGE_INCIDENTS_MAX),
        monitors: in_order(snapshot)
            .take(limits::PAGE_MONITORS_MAX)
            .map(|monitor| MonitorCard::of(monitor, snapshot.at))
            .collect(),
        monitors_further: snapshot.monitors.len().saturating_sub(limits::PAGE_MONITORS_MAX),
        resolved: resolved.map(|incident| ResolvedIncident::of(incident, snapshot.at)).collect(),
        is_past_known: picture.past.is_some(),
        events: events.map(|event| Event::of(event, snapshot.at)).collect(),
        agents: Agents::of(&snapshot.agents),
        version: env!("CARGO_PKG_VERSION"),
    }
}

/// Monitors in trouble first, and otherwise as the operator ordered them.
fn in_order(snapshot: &Snapshot) -> impl Iterator<Item = &MonitorView> {
    let mut monitors: Vec<&MonitorView> = snapshot.monitors.iter().map(Arc::as_ref).collect();
    monitors.sort_by_key(|monitor| match tally::verdict(monitor) {
        Verdict::Down => 0,
        Verdict::Partial => 1,
        Verdict::Unobserved => 2,
        Verdict::Up if tally::is_degraded(monitor) => 3,
        Verdict::Up => 4,
    });
    monitors.into_iter()
}

impl<'a> Agents<'a> {
    fn of(agents: &'a [AgentView]) -> Self {
        let mut regions: Vec<RegionAgents<'a>> = Vec::new();
        for agent in agents {
            let index = regions.iter().position(|known| *known.region == agent.region);
            if index.is_none() {
                regions.push(RegionAgents { region: &agent.region, connected: 0, total: 0 });
            }
            let known = match index {
                Some(index) => regions.get_mut(index),
                None => regions.last_mut(),
            };
            if let Some(known) = known {
                known.total += 1;
                known.connected += usize::from(agent.connected);
            }
        }
        regions.sort_by_key(|known| known.region);
        let connected = agents.iter().filter(|agent| agent.connected).count();
        Self { connected, total: agents.len(), regions }
    }
}

/// The tab's icon: a disc in the state's colour with the state's symbol.
fn icon(verdict: Verdict) -> String {
    let (colour, symbol) = match verdict {
        Verdict::Up => ("1a7f4b", "M10 17l4 4 8-9"),
        Verdict::Partial => ("b7791f", "M16 9v9M16 23v.1"),
        Verdict::Down => ("c62828", "M11 11l10 10M21 11L11 21"),
        Verdict::Unobserved => ("6b7280", "M10 16h12"),
    };
    format!(
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E\
         %3Ccircle cx='16' cy='16' r='15' fill='%23{colour}'/%3E\
         %3Cpath d='{symbol}' fill='none' stroke='white' stroke-width='4' stroke-linecap='round'/%3E%3C/svg%3E"
    )
}
