//! Who may read what, and what is answered where nothing is.

use axum::{
    body::Body,
    http::{Method, Request, header},
};

use super::{Answer, House, TOKEN, sample};
use crate::model::Snapshot;

const PUBLIC: [&str; 7] = [
    "/",
    "/assets/style.css",
    "/status.json",
    "/api/v2/summary.json",
    "/api/v2/status.json",
    "/healthz",
    "/readyz",
];

const PRIVATE: [&str; 13] = [
    "/metrics",
    "/api/v1/monitors",
    "/api/v1/monitors/chat",
    "/api/v1/monitors/chat/results",
    "/api/v1/monitors/chat/canaries",
    "/api/v1/monitors/chat/canaries?alive=true&region=eu-west",
    "/api/v1/monitors/chat/idle-timeouts",
    "/api/v1/events",
    "/api/v1/incidents",
    "/api/v1/incidents/inc_0193510c-0000-7000-8000-000000000003",
    "/api/v1/agents",
    "/api/v1/deliveries",
    "/api/v1/deliveries?limit=1",
];

async fn house() -> House {
    let house = House::new(sample::snapshot()).await;
    house.keep(sample::resolved()).await;
    house
}

async fn with_authorization(house: &House, method: Method, path: &str, value: Option<&str>) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(value) = value {
        request = request.header(header::AUTHORIZATION, value);
    }
    house.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn every_route_asks_for_a_token_or_does_not() {
    let house = house().await;
    let good = format!("Bearer {TOKEN}");
    let bad = good.replace("EBA", "EBB");
    let values = [None, Some("Bearer x"), Some(bad.as_str()), Some(good.as_str())];
    for path in PUBLIC {
        for value in values {
            let answer = with_authorization(&house, Method::GET, path, value).await;
            assert_eq!(answer.status, 200, "{path} with {value:?}: {}", answer.body);
        }
    }
    for path in PRIVATE {
        for value in values {
            for method in [Method::GET, Method::HEAD] {
                let answer = with_authorization(&house, method.clone(), path, value).await;
                let wanted = if value == Some(&good) { 200 } else { 401 };
                assert_eq!(answer.status, wanted, "{method} {path} with {value:?}: {}", answer.body);
                assert_eq!(answer.headers.contains_key(header::WWW_AUTHENTICATE), wanted == 401);
            }
        }
    }
    for (method, path) in [(Method::POST, "/api/v1/agents"), (Method::DELETE, "/api/v1/agents/eu-west-1")] {
        for value in [None, Some(bad.as_str())] {
            let answer = with_authorization(&house, method.clone(), path, value).await;
            assert_eq!(answer.status, 401, "{method} {path} with {value:?}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn a_refusal_says_where_a_token_is() {
    let house = house().await;
    let (status, code, message) = house.get("/api/v1/agents").await.error();
    assert_eq!((status, code.as_str()), (401, "unauthorized"));
    assert!(message.contains("admin.token"), "{message}");
}

#[tokio::test]
async fn a_head_has_the_headers_and_no_body() {
    let house = house().await;
    for path in PUBLIC.into_iter().chain(PRIVATE) {
        let get = house.ask(path).await;
        let head = with_authorization(&house, Method::HEAD, path, Some(&format!("Bearer {TOKEN}"))).await;
        assert_eq!((head.status, head.body.as_str()), (get.status, ""), "{path}");
        for name in [header::CONTENT_TYPE, header::ETAG, header::CONTENT_LENGTH] {
            let of = |answer: &Answer| answer.headers.get(&name).cloned();
            if name != header::CONTENT_LENGTH || of(&get).is_some() {
                assert_eq!(of(&head), of(&get), "{path} {name}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_to_people_and_to_programs() {
    let house = house().await;
    for path in
        ["/api", "/api/v1/nothing", "/api/v2/components.json", "/nothing.json", "/api/v1/incidents/inc_x"]
    {
        let answer = house.ask(path).await;
        assert_eq!((answer.error().0, answer.error().1.as_str()), (404, "not_found"), "{path}");
    }
    for (path, what) in
        [("/api/v1/monitors/none", "monitor \"none\""), ("/api/v1/monitors/A%20B", "monitor \"A B\"")]
    {
        assert_eq!(house.ask(path).await.error().2, format!("there is no {what}"));
    }
    let answer = house.get("/nothing").await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.header(header::CONTENT_TYPE), "text/html; charset=utf-8");
    assert!(answer.body.contains("There is nothing here"));
}

#[tokio::test]
async fn another_method_is_refused_with_those_that_there_are() {
    let house = house().await;
    for (method, path, allow) in [
        (Method::POST, "/status.json", "GET,HEAD"),
        (Method::DELETE, "/", "GET,HEAD"),
        (Method::PUT, "/api/v1/agents", "GET,HEAD,POST"),
        (Method::GET, "/api/v1/agents/eu-west-1", "DELETE"),
        (Method::POST, "/metrics", "GET,HEAD"),
    ] {
        let answer = with_authorization(&house, method, path, Some(&format!("Bearer {TOKEN}"))).await;
        assert_eq!((answer.error().0, answer.error().1.as_str()), (405, "method_not_allowed"), "{path}");
        assert_eq!(answer.header(header::ALLOW), allow, "{path}");
    }
}

#[tokio::test]
async fn public_documents_are_cached_and_readable_by_all() {
    let house = house().await;
    for (path, cache, cross_origin) in [
        ("/", "no-cache", ""),
        ("/assets/style.css", "public, max-age=31536000, immutable", ""),
        ("/status.json", "public, max-age=1", "*"),
        ("/api/v2/summary.json", "public, max-age=30", "*"),
        ("/api/v2/status.json", "public, max-age=30", "*"),
    ] {
        let answer = house.get(path).await;
        assert_eq!(answer.header(header::CACHE_CONTROL), cache, "{path}");
        assert_eq!(answer.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), cross_origin, "{path}");
        let known = Request::get(path).header(header::IF_NONE_MATCH, answer.header(header::ETAG));
        let again = house.send(known.body(Body::empty()).unwrap()).await;
        assert_eq!((again.status.as_u16(), again.body.as_str()), (304, ""), "{path}");
    }
    // A picture with another time and nothing else new is the same to a Statuspage reader.
    let before = house.get("/api/v2/summary.json").await;
    let later = Snapshot { at: sample::ago(-5.0), ..sample::snapshot() };
    house.sources.snapshot.store(later.into());
    assert_eq!(house.get("/api/v2/summary.json").await.header(header::ETAG), before.header(header::ETAG));
    assert_ne!(house.get("/status.json").await.json()["updated_at"], before.json()["page"]["updated_at"]);
}

#[tokio::test]
async fn every_answer_has_safe_headers() {
    let house = house().await;
    for path in PUBLIC.into_iter().chain(PRIVATE).chain(["/nothing", "/api/nothing"]) {
        let answer = house.get(path).await;
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{path}");
        assert_eq!(answer.header(header::REFERRER_POLICY), "no-referrer", "{path}");
        let policy = answer.header(header::CONTENT_SECURITY_POLICY);
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}");
        assert!(!answer.header(header::CACHE_CONTROL).is_empty(), "{path}");
    }
}

#[tokio::test]
async fn readiness_is_a_picture_and_tells_of_the_store() {
    let house = House::new(Snapshot::default()).await;
    let answer = house.get("/readyz").await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (503, "not ready: still starting\n"));
    assert_eq!(house.get("/healthz").await.body, "ok\n");
    house.sources.snapshot.store(sample::calm().into());
    assert_eq!(house.get("/readyz").await.body, "ok\n");
    house.sources.snapshot.store(sample::snapshot().into());
    let answer = house.get("/readyz").await;
    assert_eq!(answer.status, 200, "a store that fails does not take the aggregator out of service");
    assert!(answer.body.contains("database or disk is full"));
}

#[tokio::test]
async fn lists_are_read_page_by_page() {
    let house = house().await;
    let mut ids = Vec::new();
    let mut path = "/api/v1/monitors?limit=3".to_owned();
    loop {
        let json = house.ask(&path).await.json();
        ids.extend(
            json["items"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()),
        );
        let Some(next) = json["next"].as_str() else { break };
        path = format!("/api/v1/monitors?limit=3&before={next}");
    }
    assert_eq!(ids, ["chat", "orders", "quotes", "lab"]);
}

#[tokio::test]
async fn stored_lists_are_read_page_by_page_and_filtered() {
    let house = house().await;
    for index in 0..7 {
        let mut incident = sample::resolved();
        incident.id = format!("inc_0193510c-0000-7000-8000-00000000010{index}");
        if index % 2 == 0 {
            incident.resolved_at = None;
            incident.monitor.id = "chat".parse().unwrap();
        }
        incident.started_at = sample::ago(1_000.0 - f64::from(index));
        house.keep(incident).await;
    }
    for (filter, count) in
        [("", 8), ("&open=true", 4), ("&open=false", 4), ("&monitor=chat", 4), ("&monitor=lab", 0)]
    {
        let mut seen = Vec::new();
        let mut before = String::new();
        loop {
            let json = house.ask(&format!("/api/v1/incidents?limit=3{filter}{before}")).await.json();
            let items = json["items"].as_array().unwrap();
            seen.extend(items.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
            let Some(next) = json["next"].as_str() else { break };
            before = format!("&before={next}");
        }
        let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
        assert_eq!((seen.len(), distinct.len()), (count, count), "{filter}");
    }
}

#[tokio::test]
async fn a_bad_parameter_is_named() {
    let house = house().await;
    for (path, wanted) in [
        ("/api/v1/monitors?limit=0", "parameter limit: "),
        ("/api/v1/monitors?before=gone", "parameter before: "),
        ("/api/v1/incidents?before=%00%ff", "parameter before: "),
        ("/api/v1/deliveries?before=x", "parameter before: "),
        ("/api/v1/incidents?open=maybe", "parameter open: wanted true or false, found \"maybe\""),
        ("/api/v1/incidents?monitor=A", "parameter monitor: "),
        ("/api/v1/monitors/chat/results?region=-", "parameter region: "),
        ("/api/v1/monitors/chat?limit=1", "parameter limit: is not known here; known parameters: none"),
        ("/api/v1/agents?nmae=x", "parameter nmae: is not known here"),
    ] {
        let (status, code, message) = house.ask(path).await.error();
        assert_eq!((status, code.as_str()), (400, "bad_parameter"), "{path}");
        assert!(message.starts_with(wanted), "{path}: {message}");
    }
}

#[tokio::test]
async fn an_incident_comes_with_its_deliveries() {
    let house = house().await;
    let json = house.ask("/api/v1/incidents/inc_0193510c-0000-7000-8000-000000000003").await.json();
    assert_eq!(json["monitor"]["id"], "orders");
    assert_eq!(json["deliveries"], serde_json::json!([]));
}

#[tokio::test]
async fn nothing_private_is_public() {
    let house = house().await;
    for path in PUBLIC {
        let body = house.get(path).await.body;
        let key = quorate_proto::AgentKey([9; 32]).to_string();
        for secret in ["token=secret", "198.51.100.4", &key, "quorate-agent", "eu-west-1"] {
            assert!(!body.contains(secret), "{path} shows {secret}");
        }
    }
}
