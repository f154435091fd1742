//! The body of a webhook: Standard Webhooks 1.0.0, `{"type","timestamp","data"}`.
//!
//! The bytes follow from the alert, from when it was first sent and from the page's URL alone, so that every attempt
//! of a delivery carries the same.

use quorate_proto::WallMicros;
use serde::Serialize;

use crate::{
    limits::WEBHOOK_BODY_BYTES_MAX,
    model::{Alert, AlertEvent, Incident, rfc3339},
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
    Notice { kind: &'a str, summary: &'a str },
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
            AlertEvent::Notice { kind, summary } => {
                write(alert, Data::Notice { kind: cut(kind, chars), summary: cut(summary, chars) })?
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

/// The first `chars` characters.
fn cut(text: &str, chars: usize) -> &str {
    text.char_indices().nth(chars).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}
