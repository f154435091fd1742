//! The body of a webhook: Standard Webhooks 1.0.0, `{"type","timestamp","data"}`.
//!
//! The bytes follow from the alert, from when it was first sent and from the page's URL alone, so that every attempt
//! of a delivery carries the same.

use quorate_proto::WallMicros;
use serde::Serialize;

use crate::{
    limits::WEBHOOK_BODY_BYTES_MAX,
    model::{
        AgentsAlert, Alert, AlertEvent, Degradation, FlappingAlert, GroupAlert, Incident, MonitorEvent,
        MonitorReference, rfc3339,
    },
};

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    #[serde(with = "rfc3339")]
    timestamp: WallMicros,
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Data<'a> {
    Incident(IncidentBody<'a>),
    Event(&'a MonitorEvent),
    Notice { kind: &'a str, summary: &'a str },
    Degradation(DegradationBody<'a>),
    Group(&'a GroupAlert),
    Flapping(&'a FlappingAlert),
    Agents(&'a AgentsAlert),
}

#[derive(Serialize)]
struct IncidentBody<'a> {
    #[serde(flatten)]
    incident: &'a Incident,
    /// Regions that were left out because the body would be too large.
    #[serde(skip_serializing_if = "Option::is_none")]
    regions_omitted: Option<usize>,
    page_url: Option<&'a str>,
}

#[derive(Serialize)]
struct DegradationBody<'a> {
    #[serde(flatten)]
    degradation: &'a Degradation,
    page_url: Option<&'a str>,
}

/// How much of an incident is told, from everything down to what certainly fits: characters of each text, and
/// regions.
const CUTS: [(usize, usize); 6] =
    [(usize::MAX, usize::MAX), (500, usize::MAX), (200, 64), (120, 32), (80, 12), (40, 4)];

/// Writes the body of an alert that was first sent at `sent_at`; under [`WEBHOOK_BODY_BYTES_MAX`] bytes.
///
/// # Errors
/// The JSON library's own, which has no known cause.
pub(super) fn body(
    alert: &Alert,
    sent_at: WallMicros,
    page_url: Option<&str>,
) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = Vec::new();
    for (chars, regions) in CUTS {
        bytes = match &alert.event {
            AlertEvent::Opened(incident) | AlertEvent::Updated(incident) | AlertEvent::Resolved(incident) => {
                let mut told = incident.as_ref().clone();
                told.timeline.sent_at = Some(sent_at);
                let regions_omitted = shorten(&mut told, chars, regions);
                write(alert, Data::Incident(IncidentBody { incident: &told, regions_omitted, page_url }))?
            }
            AlertEvent::Event(event) => {
                let mut told = event.as_ref().clone();
                for text in [&mut told.monitor.name, &mut told.monitor.url, &mut told.summary] {
                    *text = cut(text, chars).to_owned();
                }
                write(alert, Data::Event(&told))?
            }
            AlertEvent::Notice { kind, summary } => {
                write(alert, Data::Notice { kind: cut(kind, chars), summary: cut(summary, chars) })?
            }
            AlertEvent::Degraded(degradation) | AlertEvent::Recovered(degradation) => {
                let mut told = degradation.as_ref().clone();
                shorten_degradation(&mut told, chars, regions);
                write(alert, Data::Degradation(DegradationBody { degradation: &told, page_url }))?
            }
            AlertEvent::GroupOpened(group)
            | AlertEvent::GroupUpdated(group)
            | AlertEvent::GroupResolved(group) => {
                let mut told = group.as_ref().clone();
                told.monitors_omitted += shorten_list(&mut told.monitors, regions);
                told.monitors.iter_mut().for_each(|one| shorten_reference(&mut one.monitor, chars));
                told.summary = cut(&told.summary, chars).to_owned();
                write(alert, Data::Group(&told))?
            }
            AlertEvent::FlappingStarted(flapping)
            | AlertEvent::FlappingDigest(flapping)
            | AlertEvent::FlappingEnded(flapping) => {
                let mut told = flapping.as_ref().clone();
                shorten_reference(&mut told.monitor, chars);
                told.cause = told.cause.map(|cause| cut(&cause, chars).to_owned());
                told.summary = cut(&told.summary, chars).to_owned();
                write(alert, Data::Flapping(&told))?
            }
            AlertEvent::AgentsOffline(agents) | AlertEvent::AgentsBack(agents) => {
                let mut told = agents.as_ref().clone();
                told.agents_omitted += shorten_list(&mut told.agents, regions);
                told.monitors_omitted += shorten_list(&mut told.monitors, regions);
                told.monitors.iter_mut().for_each(|one| shorten_reference(&mut one.monitor, chars));
                told.summary = cut(&told.summary, chars).to_owned();
                write(alert, Data::Agents(&told))?
            }
        };
        if bytes.len() < WEBHOOK_BODY_BYTES_MAX {
            break;
        }
    }
    Ok(bytes)
}

fn write(alert: &Alert, data: Data<'_>) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Body { r#type: alert.event.name(), timestamp: alert.decided_at, data })
}

/// Cuts every text of free length, and the list of regions, of which failing ones are kept first. Returns how many
/// regions were left out.
fn shorten(incident: &mut Incident, chars: usize, regions: usize) -> Option<usize> {
    let Incident { monitor, cause, rule, .. } = incident;
    for text in [&mut monitor.name, &mut monitor.url, &mut cause.summary, &mut cause.hint, rule] {
        *text = cut(text, chars).to_owned();
    }
    // The first cut keeps the mend whole; where the body does not fit it goes as a whole, because half of it misleads.
    if chars != usize::MAX {
        cause.mend.clear();
    }
    let omitted = incident.regions.len().saturating_sub(regions);
    if omitted > 0 {
        incident.regions.sort_by_key(|region| match region.vote.as_str() {
            "fail" => 0,
            "abstain" => 1,
            _ => 2,
        });
        incident.regions.truncate(regions);
    }
    for failure in incident.regions.iter_mut().filter_map(|region| region.failure.as_mut()) {
        *failure = cut(failure, chars).to_owned();
    }
    (omitted > 0).then_some(omitted)
}

/// Cuts every text, and the regions, of which the slowest are kept.
fn shorten_degradation(degradation: &mut Degradation, chars: usize, regions: usize) {
    let Degradation { monitor, reasons, round_trips, .. } = degradation;
    let summaries = reasons.iter_mut().map(|reason| &mut reason.summary);
    for text in [&mut monitor.name, &mut monitor.url].into_iter().chain(summaries) {
        *text = cut(text, chars).to_owned();
    }
    if let Some(trips) = round_trips.as_mut().filter(|trips| trips.regions.len() > regions) {
        trips.regions.sort_by(|a, b| b.quantiles.p95_ms.total_cmp(&a.quantiles.p95_ms));
        trips.regions.truncate(regions);
    }
}

fn shorten_reference(monitor: &mut MonitorReference, chars: usize) {
    for text in [&mut monitor.name, &mut monitor.url] {
        *text = cut(text, chars).to_owned();
    }
}

/// Keeps the first of a list; gives how many were left out.
fn shorten_list<T>(list: &mut Vec<T>, kept: usize) -> usize {
    let omitted = list.len().saturating_sub(kept);
    list.truncate(kept);
    omitted
}

/// The first `chars` characters.
fn cut(text: &str, chars: usize) -> &str {
    text.char_indices().nth(chars).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::notify::sample::{self, SENT_AT};

    const PAGE: Option<&str> = Some("https://status.example.com/");

    #[test]
    fn bodies_are_as_documented() {
        let incident = Box::new(sample::incident("inc_1"));
        let mut resolved = incident.clone();
        resolved.resolved_at = Some(sample::wall(723.9));
        let notice = AlertEvent::Notice {
            kind: "storage_failing".to_owned(),
            summary: "The disk is full.".to_owned(),
        };
        for (name, event) in [
            ("opened", AlertEvent::Opened(incident.clone())),
            ("updated", AlertEvent::Updated(incident)),
            ("resolved", AlertEvent::Resolved(resolved)),
            ("notice", notice),
            ("degraded", AlertEvent::Degraded(Box::new(sample::degradation()))),
        ]
        .into_iter()
        .chain(sample::of_paging())
        {
            let bytes = body(&sample::alert(event), SENT_AT, PAGE).unwrap();
            sample::golden(&format!("webhook_{name}.json"), &serde_json::from_slice(&bytes).unwrap());
        }
    }

    #[test]
    fn a_body_is_always_under_the_limit() {
        for (name, text, regions) in [
            ("many regions", "x".repeat(512), 1000),
            ("long texts", "\u{1}".repeat(9000), 5),
            ("both", "\u{1F534}".repeat(9000), 200),
        ] {
            let mut incident = sample::incident("inc_1");
            for field in [&mut incident.cause.summary, &mut incident.cause.hint, &mut incident.monitor.name] {
                field.clone_from(&text);
            }
            incident.monitor.url = format!("wss://a/{text}");
            incident.regions =
                (0..regions).map(|n| sample::region(&format!("ok-{n}"), "ok", Some(&text))).collect();
            incident.regions.push(sample::region("bad", "fail", Some(&text)));
            let bytes = body(&sample::alert(AlertEvent::Opened(Box::new(incident))), SENT_AT, PAGE).unwrap();
            assert!(bytes.len() < WEBHOOK_BODY_BYTES_MAX, "{name}: {}", bytes.len());
            let told: Value = serde_json::from_slice(&bytes).unwrap();
            let told = &told["data"]["incident"];
            let kept = told["regions"].as_array().unwrap();
            assert!(
                kept.iter().any(|region| region["region"] == "bad"),
                "{name}: the failing region is told"
            );
            let omitted = told["regions_omitted"].as_u64().unwrap_or(0) as usize;
            assert_eq!(kept.len() + omitted, regions + 1, "{name}");
        }
        for (name, event) in sample::of_paging() {
            for text in ["x".repeat(900), "\u{1}".repeat(900), "\u{1F534}".repeat(900)] {
                let event = sample::absurd_of_paging(event.clone(), &text);
                let bytes = body(&sample::alert(event), SENT_AT, PAGE).unwrap();
                assert!(bytes.len() < WEBHOOK_BODY_BYTES_MAX, "{name}: {}", bytes.len());
            }
        }
        let mut degraded = sample::degradation();
        degraded.reasons = vec![degraded.reasons[0].clone(); crate::limits::DEGRADED_REASONS_MAX];
        degraded.reasons.iter_mut().for_each(|reason| reason.summary = "\u{1}".repeat(3_000));
        let trips = degraded.round_trips.as_mut().unwrap();
        trips.regions = vec![trips.regions[0].clone(); 1_000];
        let degraded = AlertEvent::Recovered(Box::new(degraded));
        assert!(body(&sample::alert(degraded), SENT_AT, PAGE).unwrap().len() < WEBHOOK_BODY_BYTES_MAX);
        let notice = AlertEvent::Notice { kind: "k".repeat(30_000), summary: "\"".repeat(30_000) };
        assert!(body(&sample::alert(notice), SENT_AT, PAGE).unwrap().len() < WEBHOOK_BODY_BYTES_MAX);
    }
}
