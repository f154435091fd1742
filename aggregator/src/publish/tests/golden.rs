//! Documents whose form is a promise, compared with files, and checked against what they promise to be.

use std::{
    collections::BTreeSet,
    io::Write as _,
    process::{Command, Stdio},
};

use axum::http::header;
use serde_json::Value;

use super::{House, check_golden, sample};
use crate::{
    model::{MonitorView, Snapshot},
    publish::{
        FamilyKind,
        exposition::{Family, text},
        metrics,
    },
};
use quorate_quorum::Verdict;

fn pretty(value: &Value) -> String {
    format!("{}\n", serde_json::to_string_pretty(value).unwrap())
}

#[tokio::test]
async fn status_json_keeps_its_form() {
    let house = House::new(sample::snapshot()).await;
    check_golden("status.json", &pretty(&house.get("/status.json").await.json()));
}

#[tokio::test]
async fn the_api_keeps_its_form() {
    let house = House::new(sample::snapshot()).await;
    check_golden("monitor.json", &pretty(&house.ask("/api/v1/monitors/lab").await.json()));
    check_golden("agents.json", &pretty(&house.ask("/api/v1/agents?limit=1").await.json()));
}

#[tokio::test]
async fn statuspage_json_has_the_form_that_readers_expect() {
    let house = House::new(sample::snapshot()).await;
    let summary = house.get("/api/v2/summary.json").await.json();
    check_golden("statuspage_summary.json", &pretty(&summary));
    let status = house.get("/api/v2/status.json").await.json();
    check_golden("statuspage_status.json", &pretty(&status));

    let page = "id name url time_zone updated_at";
    let component = "id name status created_at updated_at position description showcase start_date group_id \
                     page_id group only_show_if_degraded";
    let incident = "id name status created_at updated_at monitoring_at resolved_at impact shortlink started_at \
                    page_id incident_updates components";
    let update = "id status body incident_id created_at updated_at display_at affected_components \
                  deliver_notifications custom_tweet tweet_id";
    check_keys(&summary, "page components incidents scheduled_maintenances status");
    check_keys(&status, "page status");
    check_keys(&summary["page"], page);
    check_keys(&summary["status"], "indicator description");
    for row in rows(&summary["components"]) {
        check_keys(row, component);
    }
    for row in rows(&summary["incidents"]) {
        check_keys(row, incident);
        let times: Vec<_> = rows(&row["incident_updates"])
            .iter()
            .map(|update| update["created_at"].as_str().unwrap())
            .collect();
        assert!(times.is_sorted_by(|newer, older| newer >= older), "newest first: {times:?}");
        for row in rows(&row["incident_updates"]) {
            check_keys(row, update);
            for affected in row["affected_components"].as_array().into_iter().flatten() {
                check_keys(affected, "code name old_status new_status");
            }
        }
    }
}

fn rows(value: &Value) -> &[Value] {
    let rows = value.as_array().unwrap();
    assert!(!rows.is_empty());
    rows
}

fn check_keys(value: &Value, wanted: &str) {
    let found: BTreeSet<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(found, wanted.split_whitespace().collect());
}

#[tokio::test]
async fn the_indicator_is_red_only_where_something_is_down() {
    use Verdict::{Down, Partial, Unobserved, Up};
    for (verdicts, indicator) in [
        (vec![Up, Up], "none"),
        (vec![Up, Partial], "minor"),
        (vec![Up, Unobserved], "minor"),
        (vec![], "minor"),
        (vec![Up, Down], "major"),
        (vec![Partial, Down, Up], "major"),
        (vec![Down, Down], "critical"),
    ] {
        let calm = sample::calm();
        let view = calm.monitors[0].clone();
        let monitor = |verdict: &Verdict| MonitorView { verdict: Some(*verdict), ..(*view).clone() }.into();
        let snapshot = Snapshot { monitors: verdicts.iter().map(monitor).collect(), ..calm };
        let house = House::new(snapshot).await;
        let status = house.get("/api/v2/status.json").await.json();
        assert_eq!(status["status"]["indicator"], indicator, "{verdicts:?}");
        let is_green = status["status"]["description"] == "All Systems Operational";
        assert_eq!(is_green, indicator == "none", "{verdicts:?}");
    }
}

#[tokio::test]
async fn what_works_and_not_well_is_minor() {
    let mut snapshot = sample::calm();
    snapshot.monitors[0] = sample::degraded(&snapshot.monitors[0]);
    let house = House::new(snapshot).await;
    let summary = house.get("/api/v2/summary.json").await.json();
    assert_eq!(summary["status"]["indicator"], "minor");
    assert_eq!(summary["status"]["description"], "1 of 3 endpoints is degraded");
    let status = |index: usize| summary["components"][index]["status"].as_str().unwrap();
    assert_eq!([status(0), status(1)], ["degraded_performance", "operational"]);
    assert_eq!(summary["page"]["updated_at"], "2026-11-22T18:06:50.000000Z", "a poll after it gets the news");
    check_golden("monitor_degraded.json", &pretty(&house.ask("/api/v1/monitors/chat").await.json()));
    let metrics = house.ask("/metrics").await.body;
    for line in [
        "quorate_monitor_degraded{monitor=\"chat\",reason=\"latency\"} 1",
        "quorate_monitor_degraded{monitor=\"chat\",reason=\"closes\"} 0",
        "quorate_monitor_state{monitor=\"chat\"} 2",
        "quorate_monitor_round_trip_seconds{monitor=\"chat\",percentile=\"95\"} 0.168",
        "quorate_monitor_round_trip_sla_seconds{monitor=\"chat\"} 0.1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "no line {line} in\n{metrics}");
    }
}

#[test]
fn metric_names_are_a_promise() {
    let mut lines: Vec<String> = metrics::families(&sample::snapshot())
        .iter()
        .map(|family| {
            let labels: BTreeSet<&str> = family
                .samples
                .iter()
                .flat_map(|sample| sample.labels.iter().map(|(name, _)| *name))
                .collect();
            let labels = labels.into_iter().collect::<Vec<_>>().join(",");
            format!("{} {:?} {{{labels}}}\n", family.name, family.kind).to_lowercase()
        })
        .collect();
    lines.sort();
    check_golden("metric_names.txt", &lines.concat());
}

#[tokio::test]
async fn metrics_tell_what_the_picture_shows() {
    let house = House::new(sample::snapshot()).await;
    let answer = house.ask("/metrics").await;
    assert_eq!(answer.header(header::CONTENT_TYPE), "text/plain; version=0.0.4; charset=utf-8");
    for line in [
        "quorate_monitor_state{monitor=\"orders\"} 0",
        "quorate_monitor_state{monitor=\"lab\"} -1",
        "quorate_region_vote{monitor=\"quotes\",region=\"us-west\"} -1",
        "probe_success{monitor=\"chat\",region=\"eu-west\"} 1",
        "probe_success{monitor=\"orders\",region=\"eu-west\"} 0",
        "probe_duration_seconds{monitor=\"chat\",region=\"eu-west\"} 0.0234",
        "probe_websocket_connection_upgraded{monitor=\"orders\",region=\"eu-west\"} 0",
        "probe_websocket_connection_upgraded{monitor=\"quotes\",region=\"us-east\"} 1",
        "quorate_agent_connected{agent=\"us-west-1\",region=\"us-west\"} 0",
        "quorate_first_failure_to_decision_seconds_bucket{le=\"15\"} 2",
        "quorate_first_failure_to_decision_seconds_count 3",
        "quorate_delivery_attempts_total{channel=\"ops\",outcome=\"retry\"} 2",
        "quorate_storage_failing 1",
        "quorate_confirmation_rounds_denied_total 3",
    ] {
        assert!(answer.body.lines().any(|found| found == line), "no line {line} in\n{}", answer.body);
    }
    assert!(!answer.body.contains("probe_success{monitor=\"quotes\",region=\"us-west\"}"));
}

#[test]
fn what_two_stages_count_is_added_up() {
    let family = |labels: &[(&'static str, &str)]| Family::counter("a_total", "A.").with(labels, 2.0);
    let mut families = vec![family(&[("x", "1")])];
    let further = vec![family(&[("x", "1")]), family(&[("x", "2")]), Family::gauge("b", "B.").with(&[], 1.0)];
    metrics::merge(&mut families, further);
    let wanted = "# HELP a_total A.\n# TYPE a_total counter\na_total{x=\"1\"} 4\na_total{x=\"2\"} 2\n\
                  # HELP b B.\n# TYPE b gauge\nb 1\n";
    assert_eq!(text(&families), wanted);
}

#[test]
fn promtool_accepts_the_metrics() {
    let mut families = metrics::families(&sample::snapshot());
    families.push(
        Family::counter("quorate_hostile_total", "A \"help\"\nof two lines.")
            .with(&[("name", "a\\b\"c\nd")], 1.0),
    );
    assert!(families.iter().any(|family| family.kind == FamilyKind::Histogram));
    for families in [families, metrics::families(&Snapshot::default())] {
        let Some(complaints) = promtool(&text(&families)) else {
            let required = std::env::var_os("QUORATE_REQUIRE_SERVERS").is_some_and(|value| value == "1");
            assert!(!required, "promtool is not installed (Debian package prometheus)");
            eprintln!("SKIPPED: promtool is not installed (Debian package prometheus)");
            return;
        };
        assert_eq!(complaints, "");
    }
}

/// What promtool says of a text, and nothing where it is content; none where it is not installed.
fn promtool(text: &str) -> Option<String> {
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success() || !said.is_empty());
    Some(said)
}
