//! Uptime and maintenance as their readers see them.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use quorate_proto::WallMicros;
use quorate_quorum::{Verdict, uptime::Stretch};
use serde_json::{Value, json};

use super::{House, bearing, check_golden, sample};
use crate::{
    model::{Admin, AdminError, Intake, Maintenance, MaintenanceOrigin, MonitorView, Snapshot},
    store::Change,
};

fn pretty(value: &Value) -> String {
    format!("{}\n", serde_json::to_string_pretty(value).unwrap())
}

fn maintenance(id: &str, from: WallMicros, until: WallMicros, monitors: Option<&str>) -> Maintenance {
    Maintenance {
        id: id.to_owned(),
        name: "Database work".to_owned(),
        reason: "a new disk".to_owned(),
        monitors: monitors.map(|id| [id.parse().unwrap()].into()),
        from,
        until,
        origin: MaintenanceOrigin::Operator,
        ended_early: false,
    }
}

/// `chat` is maintained; something else is planned, and something was.
fn maintained() -> Snapshot {
    let mut snapshot = sample::snapshot();
    let now = sample::NOW;
    let hours = |hours: u64| quorate_proto::Micros::from_secs(3_600 * hours);
    let on = maintenance("mnt_on", sample::ago(1_800.0), now.after(hours(1)), Some("chat"));
    snapshot.maintenance = Arc::new([
        maintenance("mnt_over", sample::ago(90_000.0), sample::ago(86_400.0), None),
        on.clone(),
        maintenance("weekly@1795600800", now.after(hours(60)), now.after(hours(61)), Some("orders")),
    ]);
    snapshot.monitors[0] =
        Arc::new(MonitorView { maintenance: Some(on), ..MonitorView::clone(&snapshot.monitors[0]) });
    snapshot
}

/// What `chat` went through in the last three days.
async fn with_past(snapshot: Snapshot) -> House {
    let house = House::new(snapshot).await;
    let turn = |seconds, verdict| Change::Turn {
        monitor: "chat".parse().unwrap(),
        at: sample::ago(seconds),
        verdict: Some(verdict),
    };
    let day = 86_400.0;
    let stretch = |from, to| Stretch { from: sample::ago(from), to: sample::ago(to) };
    house
        .commit(vec![
            turn(3.0 * day, Verdict::Up),
            turn(2.0 * day, Verdict::Down),
            turn(2.0 * day - 65.0, Verdict::Partial),
            turn(2.0 * day - 185.0, Verdict::Up),
            Change::Away(stretch(day, day - 600.0)),
            Change::Maintenance(Box::new(maintenance(
                "mnt_over",
                sample::ago(7_200.0),
                sample::ago(3_600.0),
                None,
            ))),
        ])
        .await;
    house
}

#[tokio::test]
async fn uptime_keeps_its_form() {
    let house = with_past(sample::snapshot()).await;
    let answer = house.ask("/api/v1/monitors/chat/uptime?window=7d").await;
    check_golden("uptime.json", &pretty(&answer.json()));
    let json = answer.json();
    let seconds = json["seconds"].as_object().unwrap();
    let sum: f64 =
        seconds.iter().filter(|(key, _)| *key != "mended").map(|(_, value)| value.as_f64().unwrap()).sum();
    assert_eq!(sum, 7.0 * 86_400.0);
    for window in ["24h", "30d", "90d"] {
        let answer = house.ask(&format!("/api/v1/monitors/chat/uptime?window={window}")).await;
        assert_eq!(answer.json()["window"], window);
    }
    let (status, code, message) = house.ask("/api/v1/monitors/chat/uptime?window=1y").await.error();
    assert_eq!((status, code.as_str()), (400, "bad_parameter"));
    assert!(message.contains("24h, 7d, 30d or 90d"), "{message}");
    assert_eq!(house.ask("/api/v1/monitors/nope/uptime").await.status, StatusCode::NOT_FOUND);
    assert_eq!(house.get("/api/v1/monitors/chat/uptime").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_page_shows_ninety_days_and_what_is_maintained() {
    let house = with_past(maintained()).await;
    let html = house.get("/").await.body;
    for text in [
        "aria-label=\"Uptime over 90 days: 99.974 %, 1 day with downtime, 0.3 % not observed\"",
        "title=\"20 Nov 2026: 99.924 % up; down 65 s; failing in some regions 2 min\"",
        "<i class=\"unobserved\" title=\"21 Nov 2026: 100 % up; not observed 10 min\"></i>",
        "<i class=\"not_yet\" title=\"25 Aug 2026: not watched yet\"></i>",
        "<strong>99.974 %</strong> up, 0.3 % not observed",
        "<strong>Maintenance</strong></p>",
        "Database work: a new disk. Until 22 Nov 2026, 19:12 UTC nobody is paged; checks go on and say: up.",
        "1 is maintained",
        "<symbol id=\"maintenance\"",
    ] {
        assert!(html.contains(text), "the page does not say {text:?}");
    }
    assert_eq!(html.matches("<figure").count(), 1, "of the others nothing is known");
}

#[tokio::test]
async fn metrics_tell_uptime_and_maintenance() {
    let house = with_past(maintained()).await;
    let text = house.ask("/metrics").await.body;
    for line in [
        "quorate_monitor_maintenance{monitor=\"chat\"} 1",
        "quorate_monitor_maintenance{monitor=\"orders\"} 0",
        "quorate_monitor_uptime_ratio{monitor=\"chat\"} 0.9997",
        "quorate_monitor_unobserved_ratio{monitor=\"chat\"} 0.002",
    ] {
        assert!(text.contains(line), "no {line:?} in {text}");
    }
}

#[tokio::test]
async fn maintenance_has_the_form_that_readers_of_statuspage_expect() {
    let house = House::new(maintained()).await;
    let all = house.get("/api/v2/scheduled-maintenances.json").await;
    check_golden("statuspage_maintenances.json", &pretty(&all.json()));
    let of = |json: &Value| {
        let list = json["scheduled_maintenances"].as_array().unwrap().clone();
        list.iter()
            .map(|one| format!("{} {}", one["id"].as_str().unwrap(), one["status"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(&all.json()), ["weekly@1795600800 scheduled", "mnt_on in_progress", "mnt_over completed"]);
    let upcoming = house.get("/api/v2/scheduled-maintenances/upcoming.json").await;
    assert_eq!(of(&upcoming.json()), ["weekly@1795600800 scheduled"]);
    let active = house.get("/api/v2/scheduled-maintenances/active.json").await;
    assert_eq!(of(&active.json()), ["mnt_on in_progress"]);
    assert_eq!(active.json()["scheduled_maintenances"][0]["components"][0]["id"], "chat");
    let summary = house.get("/api/v2/summary.json").await.json();
    assert_eq!(of(&summary), ["mnt_on in_progress", "weekly@1795600800 scheduled"]);
    assert_eq!(summary["components"][0]["status"], "under_maintenance");
    assert_eq!(summary["status"]["indicator"], "major", "what is down elsewhere is told");

    let mut calm = maintained();
    calm.monitors.truncate(1);
    let house = House::new(calm).await;
    let status = house.get("/api/v2/status.json").await.json();
    assert_eq!(status["status"], json!({ "indicator": "none", "description": "Service Under Maintenance" }));
    let ours = house.get("/status.json").await.json();
    assert_eq!(
        (&ours["status"], &ours["monitors"][0]["status"]),
        (&json!("maintenance"), &json!("maintenance"))
    );
}

#[tokio::test]
async fn maintenance_is_started_listed_and_ended() {
    let House { router, mut core, .. } = House::new(maintained()).await;
    let send = |method: Method, path: &str, body: &str| {
        let request = bearing(Request::builder().method(method).uri(path)).body(Body::from(body.to_owned()));
        let router = router.clone();
        async move {
            use tower::ServiceExt as _;
            super::Answer::of(router.oneshot(request.unwrap()).await.unwrap()).await
        }
    };
    let path = "/api/v1/maintenance";
    let rows = send(Method::GET, path, "").await.json();
    let states = rows["items"].as_array().unwrap().iter().map(|row| row["state"].as_str().unwrap());
    assert_eq!(states.collect::<Vec<_>>(), ["scheduled", "active", "over"]);

    let asked = send(Method::POST, path, r#"{"monitors":["chat"],"for":"30m","reason":"a new disk"}"#);
    let answering = async {
        let Some(Intake::Admin(Admin::StartMaintenance { wish, reply })) = core.recv().await else {
            panic!("nothing was asked")
        };
        assert_eq!((wish.lasts.as_secs_f64(), wish.from), (1_800.0, None));
        let started = Maintenance {
            reason: wish.reason.clone(),
            ..maintenance("mnt_new", sample::NOW, sample::NOW.after(wish.lasts), Some("chat"))
        };
        reply.send(Ok(started)).unwrap();
        let Some(Intake::Admin(Admin::EndMaintenance { id, reply })) = core.recv().await else {
            panic!("nothing was asked")
        };
        reply.send(Err(AdminError::NoSuchMaintenance(id))).unwrap();
    };
    let asking = async {
        let answer = asked.await;
        assert_eq!((answer.status, &answer.json()["state"]), (StatusCode::CREATED, &json!("active")));
        let (status, code, _) = send(Method::DELETE, "/api/v1/maintenance/x", "").await.error();
        assert_eq!((status, code.as_str()), (404, "not_found"));
    };
    tokio::join!(asking, answering);

    for (body, wanted) in [
        (r#"{"for":"30m"}"#, "all = true"),
        (r#"{"for":"30m","monitors":[]}"#, "at least one id"),
        (r#"{"for":"30m","monitors":["a"],"all":true}"#, "found both"),
        (r#"{"for":"soon","all":true}"#, "such as \"30m\""),
        (r#"{"for":"31d","all":true}"#, "30d"),
        (r#"{"for":"1h","all":true,"from":"tomorrow"}"#, "RFC 3339"),
        (r#"{"for":"1h","all":true,"name":"a\nb"}"#, "name: wanted one line"),
        (r#"{"for":"1h","al":true}"#, "unknown field"),
    ] {
        let (status, code, message) = send(Method::POST, path, body).await.error();
        assert_eq!((status, code.as_str()), (400, "bad_body"), "{body}");
        assert!(message.contains(wanted), "{body}: {message}");
    }
}
