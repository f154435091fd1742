//! The status page as HTML.

use std::{path::PathBuf, sync::Arc};

use axum::http::header;

use super::{House, sample};
use crate::{
    limits,
    model::{Incident, MonitorView, Snapshot, StorageState},
    publish::{page, picture::Picture, recent::Past},
};

const HOSTILE: &str = "</title><script>alert(1)</script><img src=x onerror=alert(2)>\"'&";

fn render(snapshot: Snapshot, resolved: Option<Vec<Incident>>) -> String {
    let past = |incidents| Arc::new(Past { incidents, events: vec![sample::event()] });
    let picture =
        Picture { snapshot: Arc::new(snapshot), page: Arc::new(sample::page()), past: resolved.map(past) };
    String::from_utf8(page::render(&picture).unwrap().body().to_vec()).unwrap()
}

#[test]
fn the_page_says_what_the_picture_shows() {
    let html = render(sample::snapshot(), Some(vec![sample::resolved()]));
    for text in [
        "1 of 4 endpoints is down",
        "1 fails in some regions, 1 is not observed, 1 answers",
        "The store cannot be written.",
        "systemctl status orders",
        "5 of 5 held connections open, the longest for 90 min",
        "certificate ends in 23 d 3 h",
        "idle connections: cut after 60.0 s without a close frame",
        "The server restarted: 5 of 5 regions were back within 3.1 s.",
        "Order stream is down",
        "nothing listens on 203.0.113.7:443",
        "Alert sent 11.6 s after the first failure",
        "Market quotes fails in some regions",
        "<strong>Up</strong> for 4 d 3 h",
        "wss://lab.example.org/ws<",
        "certificate is not verified",
        "One region alone decides",
        "A failure is being confirmed",
        "Quorum: 4 of 5 regions for 11s",
        "checked every 10s",
        "<strong>us-west:</strong> its agents are silent",
        "<strong>ap-south, eu-central, eu-west, us-east:</strong> connection_refused",
        "was down for 13 min",
        "4 of 5 connected",
    ] {
        assert!(html.contains(text), "the page does not say {text:?}");
    }
    let first = html.find("id=\"m-orders\"").unwrap();
    assert!(first < html.find("id=\"m-chat\"").unwrap(), "what is down comes first");
}

#[test]
fn what_is_not_paged_on_its_own_says_why() {
    let mut snapshot = sample::snapshot();
    let view = MonitorView { held_by: vec!["gateway".parse().unwrap()], ..(*snapshot.monitors[0]).clone() };
    snapshot.monitors[0] = view.into();
    let incident = (*snapshot.incidents_open[0]).clone();
    let held =
        Incident { held_by: vec!["gateway".parse().unwrap(), "dns".parse().unwrap()], ..incident.clone() };
    let flapping = Incident { flapping: true, ..incident.clone() };
    let grouped = Incident { group: Some("grp_1".into()), ..incident };
    snapshot.incidents_open = vec![held.into(), flapping.into(), grouped.into()];
    let html = render(snapshot, Some(Vec::new()));
    for text in [
        "<li>Held: depends on gateway</li>",
        "<li>Held: depends on gateway, dns</li>",
        "<li>Flapping: told of in a digest</li>",
        "<li>One of many at once: told of as a group</li>",
    ] {
        assert_eq!(html.matches(text).count(), 1, "{text}");
    }
}

#[test]
fn a_calm_page_shows_no_trouble() {
    let html = render(sample::calm(), Some(Vec::new()));
    assert!(html.contains("All 3 endpoints answer"));
    for text in ["Open incidents", "cannot be written", "not verified", "alone decides", "class=\"reasons\""]
    {
        assert!(!html.contains(text), "the page says {text:?}");
    }
}

#[test]
fn a_degraded_monitor_says_why_and_where_it_is_slow() {
    let mut snapshot = sample::calm();
    let last = snapshot.monitors.len() - 1;
    snapshot.monitors[last] = sample::degraded(&snapshot.monitors[last]);
    let html = render(snapshot, None);
    for text in [
        "1 of 3 endpoints is degraded",
        "<strong>Degraded</strong> for 5 min 10 s",
        "slower than promised",
        "50 round trips over 5 min · promised: 95 of 100 within 100 ms",
        "<tr class=\"slow\"><th scope=\"row\">all</th><td>112 ms</td><td>168 ms</td><td>224 ms</td></tr>",
        "<tr><th scope=\"row\">eu-west</th>",
    ] {
        assert!(html.contains(text), "the page does not say {text:?}\n{html}");
    }
    assert!(html.find("Degraded") < html.find("<strong>Up</strong>"), "first");
}

#[test]
fn an_empty_page_is_a_page() {
    let html = render(Snapshot::default(), None);
    for text in ["Starting", "None is known yet", "Cannot be read at present", "No agent"] {
        assert!(html.contains(text), "the page does not say {text:?}");
    }
}

#[tokio::test]
async fn hostile_texts_are_only_texts() {
    let mut snapshot = sample::snapshot();
    snapshot.storage = StorageState::Failing(HOSTILE.into());
    for monitor in &mut snapshot.monitors {
        let view = Arc::make_mut(monitor);
        (view.name, view.quorum) = (HOSTILE.into(), HOSTILE.into());
        view.url = format!("wss://example.org/{HOSTILE}");
        for region in &mut view.regions {
            region.failure = Some(HOSTILE.into());
        }
        let view = Arc::make_mut(monitor);
        *view = MonitorView::clone(&sample::degraded(view));
        view.degraded[0].summary = HOSTILE.into();
    }
    for incident in &mut snapshot.incidents_open {
        *incident = Arc::new(hostile(incident));
    }
    let house = House::new(snapshot).await;
    house.keep(hostile(&sample::resolved())).await;
    house.rename(HOSTILE);
    let html = house.get("/").await.body;
    assert!(html.contains("Recently resolved") && html.contains("was down for"));
    for tag in ["<script", "<img", "onerror=alert(2)>\""] {
        assert!(!html.contains(tag), "{tag} came through");
    }
    assert_eq!(html.matches("<title>").count(), 1);
    assert_eq!(html.matches("</title>").count(), 1);
}

fn hostile(incident: &Incident) -> Incident {
    let mut incident = incident.clone();
    incident.id = format!("inc_{}", incident.id.len());
    incident.monitor.name = HOSTILE.into();
    incident.rule = HOSTILE.into();
    incident.cause.summary = HOSTILE.into();
    incident.cause.hint = HOSTILE.into();
    incident
}

#[tokio::test]
async fn the_page_follows_the_picture_its_title_and_the_store() {
    let house = House::new(sample::calm()).await;
    let html = house.get("/").await;
    assert_eq!(html.header(header::CONTENT_TYPE), "text/html; charset=utf-8");
    assert!(html.body.contains("No incident so far") && html.body.contains("<h1>Example status</h1>"));
    house.rename("Another");
    assert!(house.get("/").await.body.contains("<h1>Another</h1>"));
    house.sources.snapshot.store(sample::snapshot().into());
    assert!(house.get("/").await.body.contains("1 of 4 endpoints is down"));
    // An incident that is resolved moves down the page at once: its end changes the list of open ones.
    let resolved =
        Incident { resolved_at: Some(sample::NOW), ..(*sample::snapshot().incidents_open[0]).clone() };
    house.keep(resolved).await;
    house.sources.snapshot.store(sample::calm().into());
    assert!(house.get("/").await.body.contains("was down for"));
}

#[test]
fn a_large_page_is_bounded() {
    let mut snapshot = sample::calm();
    let view = snapshot.monitors[0].clone();
    snapshot.monitors = (0..3 * limits::PAGE_MONITORS_MAX)
        .map(|index| Arc::new(MonitorView { id: format!("m{index}").parse().unwrap(), ..(*view).clone() }))
        .collect();
    let html = render(snapshot, Some(Vec::new()));
    assert_eq!(html.matches("<article").count(), limits::PAGE_MONITORS_MAX);
    assert!(html.contains("And 800 more"));
    assert!(html.len() < 1 << 20, "{} bytes", html.len());
}

/// Writes pages with their style sheet for a look with a browser: `QUORATE_PAGES=folder`.
#[test]
fn pages_can_be_looked_at() {
    let Some(folder) = std::env::var_os("QUORATE_PAGES").map(PathBuf::from) else { return };
    let assets = folder.join("assets");
    std::fs::create_dir_all(&assets).unwrap();
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets/style.css");
    std::fs::copy(source, assets.join("style.css")).unwrap();
    for (name, html) in [
        ("trouble", render(sample::snapshot(), Some(vec![sample::resolved(), sample::resolved()]))),
        ("calm", render(sample::calm(), Some(vec![sample::resolved()]))),
        ("empty", render(Snapshot::default(), None)),
    ] {
        std::fs::write(folder.join(format!("{name}.html")), html).unwrap();
    }
}
