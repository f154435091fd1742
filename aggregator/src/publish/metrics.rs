//! `GET /metrics`: the present and the counts since the start, for Prometheus.
//!
//! Labels are bounded by what the operator configured (monitor, region, channel) or enrolled (agent), and by closed
//! enums. Names are a promise, kept in `golden/metric_names.txt`. Beside our own stand the names of the blackbox
//! exporter where they mean the same, so that existing dashboards and rules work.

mod canaries;
mod quality;
pub(super) mod uptime;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use quorate_proto::WallMicros;
use quorate_quorum::{Verdict, Vote};

use super::{
    Shared, exposition,
    exposition::{Family, Sample, text},
};
use crate::model::{
    AgentView, Counts, MonitorView, RegionView, Snapshot, StorageState, view::PAGE_SECONDS_BOUNDS,
};

/// Answers `GET /metrics`.
pub(super) async fn serve(State(shared): State<Arc<Shared>>) -> Response {
    let snapshot = shared.snapshot();
    let mut families = families(&snapshot);
    if let Some(past) = shared.recent.get(&shared.sources.reader, &snapshot).await {
        merge(&mut families, uptime::uptime(&past.days));
    }
    merge(&mut families, (shared.sources.further_metrics)());
    ([(header::CONTENT_TYPE, exposition::MEDIA_TYPE)], text(&families)).into_response()
}

/// Adds the families of another stage. The format allows each name once and each set of labels once, so what both
/// count is added up.
pub(super) fn merge(families: &mut Vec<Family>, further: Vec<Family>) {
    for family in further {
        match families.iter_mut().find(|known| known.name == family.name) {
            None => families.push(family),
            Some(known) => {
                for sample in family.samples {
                    let is_same =
                        |known: &&mut Sample| known.suffix == sample.suffix && known.labels == sample.labels;
                    match known.samples.iter_mut().find(is_same) {
                        Some(known) => known.value += sample.value,
                        None => known.samples.push(sample),
                    }
                }
            }
        }
    }
}

/// Every family of a picture.
pub(super) fn families(snapshot: &Snapshot) -> Vec<Family> {
    let mut families = present(snapshot);
    families.extend(monitors(&snapshot.monitors));
    families.extend(uptime::maintenance(&snapshot.monitors));
    families.extend(uptime::uptime(&BTreeMap::new()));
    families.extend(canaries::canaries(&snapshot.monitors));
    families.extend(canaries::certificates(&snapshot.monitors));
    families.extend(quality::quality(&snapshot.monitors));
    families.extend(agents(&snapshot.agents));
    families.extend(counts(&snapshot.counts));
    families
}

fn present(snapshot: &Snapshot) -> Vec<Family> {
    let is_failing = snapshot.storage != StorageState::Good;
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    vec![
        Family::gauge("quorate_build_info", "Always 1; the label says which version runs.")
            .with(&version, 1.0),
        Family::gauge(
            "quorate_snapshot_timestamp_seconds",
            "When the picture behind these numbers was made.",
        )
        .with(&[], seconds(snapshot.at)),
        Family::gauge("quorate_configuration_revision", "The revision of the assignments in force.")
            .with(&[], snapshot.revision as f64),
        Family::gauge("quorate_storage_failing", "1 while the store cannot be written.")
            .with(&[], f64::from(u8::from(is_failing))),
        Family::gauge("quorate_incidents_open", "Incidents that are not resolved.")
            .with(&[], snapshot.incidents_open.len() as f64),
    ]
}

fn monitors(monitors: &[Arc<MonitorView>]) -> Vec<Family> {
    let mut state = Family::gauge(
        "quorate_monitor_state",
        "The quorum's verdict: 2 up, 1 partial, 0 down, -1 unobserved.",
    );
    let mut suspect = Family::gauge("quorate_monitor_suspect", "1 while a failure is being confirmed.");
    let mut since =
        Family::gauge("quorate_monitor_state_since_timestamp_seconds", "Since when the verdict stands.");
    let mut vote = Family::gauge("quorate_region_vote", "A region's vote: 1 ok, 0 fail, -1 abstain.");
    let mut success =
        Family::gauge("probe_success", "1 where the region's latest check passed; absent where it abstains.");
    let mut duration = Family::gauge(
        "probe_duration_seconds",
        "Round trip, or else duration, of the region's latest check.",
    );
    let mut upgraded = Family::gauge(
        "probe_websocket_connection_upgraded",
        "1 where the region's latest check got through the upgrade; absent where that is not known.",
    );
    for monitor in monitors {
        let id = monitor.id.as_str();
        state.push(&[("monitor", id)], state_number(monitor.verdict));
        suspect.push(&[("monitor", id)], f64::from(u8::from(monitor.suspect)));
        since.push(&[("monitor", id)], seconds(monitor.since));
        for region in &monitor.regions {
            let labels = [("monitor", id), ("region", region.region.as_str())];
            vote.push(&labels, vote_number(region.vote));
            if !matches!(region.vote, Vote::Abstain(_)) {
                success.push(&labels, f64::from(u8::from(region.vote == Vote::Ok)));
            }
            if let Some(latency) = region.latency {
                duration.push(&labels, latency.as_secs_f64());
            }
            if let Some(is_upgraded) = is_upgraded(region) {
                upgraded.push(&labels, f64::from(u8::from(is_upgraded)));
            }
        }
    }
    vec![state, suspect, since, vote, success, duration, upgraded]
}

fn state_number(verdict: Option<Verdict>) -> f64 {
    match verdict {
        Some(Verdict::Up) => 2.0,
        Some(Verdict::Partial) => 1.0,
        Some(Verdict::Down) => 0.0,
        Some(Verdict::Unobserved) | None => -1.0,
    }
}

fn vote_number(vote: Vote) -> f64 {
    match vote {
        Vote::Ok => 1.0,
        Vote::Fail => 0.0,
        Vote::Abstain(_) => -1.0,
    }
}

/// Whether the latest check got through the upgrade, as far as the failure's name tells: a drop, a reset or a broken
/// frame may have come before or after it.
fn is_upgraded(region: &RegionView) -> Option<bool> {
    match region.vote {
        Vote::Ok => return Some(true),
        Vote::Abstain(_) => return None,
        Vote::Fail => {}
    }
    let failure = region.failure.as_deref()?;
    let name = failure.split(|c: char| c != '_' && !c.is_ascii_lowercase()).next()?;
    match name {
        "reply_timeout" | "reply_mismatch" | "closed" | "stream_stale" | "content" => Some(true),
        "dropped" | "connection_reset" | "protocol_violation" | "too_large" | "tls_alert" | "" => None,
        _ => Some(false),
    }
}

fn agents(agents: &[AgentView]) -> Vec<Family> {
    type Read = fn(&quorate_proto::frame::Health) -> f64;
    let mut families = vec![connected(agents), seen(agents), doubts(agents), outlier(agents)];
    let gauges: [(&str, &str, Read); 6] = [
        ("quorate_agent_monitors", "Monitors in the agent's schedule.", |h| f64::from(h.monitors)),
        ("quorate_agent_spool_units", "Units in the agent's spool.", |h| h.spool_units as f64),
        ("quorate_agent_spool_bytes", "Size of the agent's spool on disk.", |h| h.spool_bytes as f64),
        ("quorate_agent_spool_failing", "1 while the agent's spool cannot be written.", |h| {
            f64::from(u8::from(h.spool_failing))
        }),
        (
            "quorate_agent_event_loop_lag_seconds",
            "Largest delay of the agent's event loop between its last two reports.",
            |h| h.event_loop_lag_max.as_secs_f64(),
        ),
        (
            "quorate_agent_schedule_lag_seconds",
            "Largest delay of a scheduled check between the agent's last two reports.",
            |h| h.schedule_lag_max.as_secs_f64(),
        ),
    ];
    let counters: [(&str, &str, Read); 3] = [
        ("quorate_agent_checks_total", "Checks since the agent's start.", |h| h.checks as f64),
        (
            "quorate_agent_results_dropped_total",
            "Results that the agent dropped since its start because its spool was full.",
            |h| h.results_dropped as f64,
        ),
        (
            "quorate_agent_records_torn_total",
            "Damaged or torn spool records that the agent found since its start.",
            |h| h.records_torn as f64,
        ),
    ];
    let gauges = gauges.map(|(name, help, read)| (Family::gauge(name, help), read));
    let counters = counters.map(|(name, help, read)| (Family::counter(name, help), read));
    for (mut family, read) in gauges.into_iter().chain(counters) {
        for agent in agents {
            if let Some(health) = &agent.health {
                family.push(&agent_labels(agent), read(health));
            }
        }
        families.push(family);
    }
    families
}

fn connected(agents: &[AgentView]) -> Family {
    let mut family = Family::gauge("quorate_agent_connected", "1 while the agent is connected.");
    for agent in agents {
        family.push(&agent_labels(agent), f64::from(u8::from(agent.connected)));
    }
    family
}

fn seen(agents: &[AgentView]) -> Family {
    let mut family =
        Family::gauge("quorate_agent_last_seen_timestamp_seconds", "When the agent was last heard from.");
    for agent in agents {
        if let Some(at) = agent.last_seen_at {
            family.push(&agent_labels(agent), seconds(at));
        }
    }
    family
}

/// A series for each doubt that stands: none is the usual case.
fn doubts(agents: &[AgentView]) -> Family {
    let mut family = Family::gauge(
        "quorate_agent_doubt",
        "1 for each reason why the agent does not trust itself and abstains.",
    );
    for agent in agents {
        for report in agent.health.iter().flat_map(|health| &health.doubts) {
            let [name, region] = agent_labels(agent);
            family.push(&[name, region, ("doubt", report.doubt.name())], 1.0);
        }
    }
    family
}

fn outlier(agents: &[AgentView]) -> Family {
    let mut family = Family::gauge(
        "quorate_agent_outlier",
        "1 while the agent's votes do not count because it contradicts the others.",
    );
    for agent in agents {
        family.push(&agent_labels(agent), f64::from(u8::from(agent.outlier.is_some())));
    }
    family
}

fn agent_labels(agent: &AgentView) -> [(&'static str, &str); 2] {
    [("agent", agent.name.as_str()), ("region", agent.region.as_str())]
}

fn counts(counts: &Counts) -> Vec<Family> {
    let plain = |name, help, value: u64| Family::counter(name, help).with(&[], value as f64);
    vec![
        by_two(
            Family::counter("quorate_checks_total", "Checks, by region and what they found."),
            ["region", "outcome"],
            counts.checks.iter().map(|((region, outcome), count)| (region.as_str(), *outcome, *count)),
        ),
        plain("quorate_units_stored_total", "Signed units stored.", counts.units_stored),
        plain(
            "quorate_units_duplicate_total",
            "Signed units that were stored already.",
            counts.units_duplicate,
        ),
        by_name(
            Family::counter("quorate_units_refused_total", "Signed units refused, by reason."),
            "reason",
            &counts.units_refused,
        ),
        plain(
            "quorate_results_late_total",
            "Results that came too late to decide; they are history.",
            counts.results_late,
        ),
        by_name(
            Family::counter("quorate_results_lost_total", "Results that agents report as lost, by cause."),
            "cause",
            &counts.results_lost,
        ),
        plain("quorate_confirmations_total", "Confirmations asked of agents.", counts.confirmations),
        plain(
            "quorate_confirmation_rounds_denied_total",
            "Rounds of confirmations not asked for because they were rationed; scheduled checks served instead, up to an \
             interval later.",
            counts.confirmation_rounds_denied,
        ),
        by_name(
            Family::counter("quorate_verdict_changes_total", "Verdict changes, by the new verdict."),
            "verdict",
            &counts.verdict_changes,
        ),
        by_name(
            Family::counter("quorate_monitor_events_total", "Events that are no incident, by kind."),
            "kind",
            &counts.events,
        ),
        by_name(
            Family::counter("quorate_alerts_total", "Alerts decided, by event type."),
            "event",
            &counts.alerts,
        ),
        by_two(
            Family::counter("quorate_delivery_attempts_total", "Attempts to deliver an alert."),
            ["channel", "outcome"],
            counts.attempts.iter().map(|((channel, outcome), count)| (channel.as_str(), *outcome, *count)),
        ),
        by_name(
            Family::gauge("quorate_deliveries_pending", "Alerts that are owed and not delivered yet."),
            "channel",
            &counts.deliveries_pending,
        ),
        plain("quorate_commits_total", "Transactions committed.", counts.commits),
        plain("quorate_commits_failed_total", "Transactions that failed.", counts.commits_failed),
        Family::histogram(
            "quorate_first_failure_to_decision_seconds",
            "From the start of the first failing check to the decision to page; 60 is the promise.",
            &PAGE_SECONDS_BOUNDS,
            &counts.page_seconds,
            counts.page_seconds_sum,
        ),
    ]
}

fn by_name<K: AsRef<str>>(mut family: Family, label: &'static str, counts: &BTreeMap<K, u64>) -> Family {
    for (name, count) in counts {
        family.push(&[(label, name.as_ref())], *count as f64);
    }
    family
}

fn by_two<'a>(
    mut family: Family,
    labels: [&'static str; 2],
    counts: impl Iterator<Item = (&'a str, &'a str, u64)>,
) -> Family {
    let [first, second] = labels;
    for (one, another, count) in counts {
        family.push(&[(first, one), (second, another)], count as f64);
    }
    family
}

fn seconds(at: WallMicros) -> f64 {
    at.0 as f64 / 1e6
}
