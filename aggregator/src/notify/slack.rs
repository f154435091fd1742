//! The body of a Slack message: what is broken, since when, seen from where, the likely cause and what to do. It is
//! read on a phone at three in the morning, so the first line says it all and the last line is for the curious.
//!
//! The body follows from the alert, from when it was first sent and from the options alone: every attempt says the
//! same. An incoming webhook returns no message id, so an update is a message of its own.

mod paging;
mod quality;
#[cfg(test)]
mod tests;
mod text;

use quorate_proto::WallMicros;
use serde_json::{Value, json};

use self::paging::Stage;
use self::text::{block, code, link, local, plain, span, utc};
use super::Options;
use crate::{
    limits::{
        SLACK_CONTEXT_CHARS_MAX, SLACK_FALLBACK_CHARS_MAX, SLACK_FIELD_CHARS_MAX, SLACK_FIELDS_MAX,
        SLACK_HEADER_CHARS_MAX, SLACK_SECTION_CHARS_MAX,
    },
    model::{Alert, AlertEvent, Incident, MonitorEvent, RegionEvidence, Severity},
};

/// Characters of the parts of a section; together with what stands between them they fit into it.
const URL_CHARS_MAX: usize = 500;
const SUMMARY_CHARS_MAX: usize = 700;
const HINT_CHARS_MAX: usize = 450;
const MEND_CHARS_MAX: usize = 540;
const LINK_CHARS_MAX: usize = 400;
const STATEMENT_CHARS_MAX: usize = 350;
const _: () = assert!(
    STATEMENT_CHARS_MAX
        + URL_CHARS_MAX
        + SUMMARY_CHARS_MAX
        + HINT_CHARS_MAX
        + MEND_CHARS_MAX
        + LINK_CHARS_MAX
        + 50
        < SLACK_SECTION_CHARS_MAX
);

/// A message before it is laid out. Every text is escaped and cut.
struct Message {
    header: String,
    section: Vec<String>,
    fields: Vec<String>,
    context: Vec<String>,
    fallback: String,
}

/// Writes the message for an alert that was first sent at `sent_at`.
pub(super) fn body(alert: &Alert, sent_at: WallMicros, options: &Options) -> Value {
    let message = match &alert.event {
        AlertEvent::Opened(incident) => broken(incident, false, sent_at, options),
        AlertEvent::Updated(incident) => broken(incident, true, sent_at, options),
        AlertEvent::Resolved(incident) => recovered(incident, options),
        AlertEvent::Event(event) => noted(event, options),
        AlertEvent::Notice { kind, summary } => notice(kind, summary, alert.decided_at, options),
        AlertEvent::Degraded(degradation) | AlertEvent::Recovered(degradation) => {
            quality::message(degradation, options)
        }
        AlertEvent::GroupOpened(group) => paging::group(group, Stage::Opened, options),
        AlertEvent::GroupUpdated(group) => paging::group(group, Stage::Updated, options),
        AlertEvent::GroupResolved(group) => paging::group(group, Stage::Resolved, options),
        AlertEvent::FlappingStarted(flapping) | AlertEvent::FlappingDigest(flapping) => {
            paging::flapping(flapping, false, options)
        }
        AlertEvent::FlappingEnded(flapping) => paging::flapping(flapping, true, options),
        AlertEvent::AgentsOffline(agents) => paging::agents(agents, false, options),
        AlertEvent::AgentsBack(agents) => paging::agents(agents, true, options),
    };
    let header = json!({ "type": "plain_text", "emoji": true, "text": message.header });
    let mut blocks = vec![json!({ "type": "header", "text": header })];
    let section = message.section.join("\n");
    if !section.is_empty() {
        blocks.push(json!({ "type": "section", "text": mrkdwn(section) }));
    }
    if !message.fields.is_empty() {
        let fields: Vec<Value> = message.fields.into_iter().map(mrkdwn).collect();
        blocks.push(json!({ "type": "section", "fields": fields }));
    }
    let context: Vec<String> = message.context.into_iter().filter(|part| !part.is_empty()).collect();
    if !context.is_empty() {
        blocks.push(json!({ "type": "context", "elements": [mrkdwn(context.join(" · "))] }));
    }
    json!({ "text": message.fallback, "blocks": blocks })
}

fn mrkdwn(text: String) -> Value {
    json!({ "type": "mrkdwn", "text": text })
}

fn broken(incident: &Incident, changed: bool, sent_at: WallMicros, options: &Options) -> Message {
    let (light, state) = match (incident.verdict.as_str(), changed) {
        ("down", false) => ("🔴", "Down"),
        ("down", true) => ("🔴", "Now down"),
        ("partial", false) => ("🟡", "Failing in some regions"),
        ("partial", true) => ("🟡", "Now failing in some regions"),
        ("unobserved", false) => ("⚪", "Not observed"),
        ("unobserved", true) => ("⚪", "Now not observed"),
        (verdict, _) => ("🔴", verdict),
    };
    let headline = format!("{light} {state}: {}", incident.monitor.name);
    let counts = counts(incident);
    let statement = format!("*{counts}* since {}.", local(incident.started_at));
    let mut section = vec![statement, code(&incident.monitor.url, URL_CHARS_MAX)];
    section.push(format!("*Seen:* {}", plain(&incident.cause.summary, SUMMARY_CHARS_MAX)));
    if !incident.cause.hint.is_empty() {
        section.push(format!("*What to do:* {}", plain(&incident.cause.hint, HINT_CHARS_MAX)));
    }
    section.extend(block(&incident.cause.mend, MEND_CHARS_MAX));
    section.extend(page_link(options));
    let fallback = format!(
        "{}. {counts} since {}. {}",
        plain(&headline, SLACK_HEADER_CHARS_MAX),
        utc(incident.started_at),
        plain(&incident.cause.summary, SLACK_FALLBACK_CHARS_MAX - SLACK_HEADER_CHARS_MAX - 150),
    );
    Message {
        header: plain(&headline, SLACK_HEADER_CHARS_MAX),
        section,
        fields: fields(&incident.regions),
        context: vec![
            timeline(incident, sent_at),
            plain(&incident.rule, SLACK_CONTEXT_CHARS_MAX / 4),
            plain(&incident.id, SLACK_CONTEXT_CHARS_MAX / 10),
            plain(&options.page_title, SLACK_CONTEXT_CHARS_MAX / 10),
        ],
        fallback,
    }
}

fn recovered(incident: &Incident, options: &Options) -> Message {
    let headline = format!("🟢 Up again: {}", incident.monitor.name);
    let worst = match incident.worst.as_str() {
        "down" => "was down",
        "partial" => "failed in some regions",
        "unobserved" => "was not observed",
        _ => "was not up",
    };
    let lasted = incident.resolved_at.map(|resolved| span(resolved.since(incident.started_at)));
    let lasted = lasted.map(|lasted| format!(" for {lasted}")).unwrap_or_default();
    let back = incident.resolved_at.map(|resolved| format!(", and is back since {}", local(resolved)));
    let statement =
        format!("It *{worst}{lasted}*, from {}{}.", local(incident.started_at), back.unwrap_or_default());
    let mut section = vec![statement, code(&incident.monitor.url, URL_CHARS_MAX)];
    section.push(format!("*Was seen:* {}", plain(&incident.cause.summary, SUMMARY_CHARS_MAX)));
    section.extend(page_link(options));
    let header = plain(&headline, SLACK_HEADER_CHARS_MAX);
    Message {
        fallback: format!("{header}. It {worst}{lasted}, from {}.", utc(incident.started_at)),
        header,
        section,
        fields: fields(&incident.regions),
        context: vec![
            plain(&incident.id, SLACK_CONTEXT_CHARS_MAX / 10),
            plain(&options.page_title, SLACK_CONTEXT_CHARS_MAX / 10),
        ],
    }
}

fn noted(event: &MonitorEvent, options: &Options) -> Message {
    let light = match event.severity {
        Severity::Info => "🔵",
        Severity::Warning => "🟠",
    };
    let headline = format!("{light} {}", event.monitor.name);
    let mut section = vec![plain(&event.summary, SUMMARY_CHARS_MAX), code(&event.monitor.url, URL_CHARS_MAX)];
    section.extend(page_link(options));
    let fallback = format!(
        "{}. {}",
        plain(&headline, SLACK_HEADER_CHARS_MAX),
        plain(&event.summary, SLACK_FALLBACK_CHARS_MAX - SLACK_HEADER_CHARS_MAX - 10),
    );
    Message {
        header: plain(&headline, SLACK_HEADER_CHARS_MAX),
        section,
        fields: Vec::new(),
        context: vec![local(event.at), plain(&options.page_title, SLACK_CONTEXT_CHARS_MAX / 10)],
        fallback,
    }
}

fn notice(kind: &str, summary: &str, at: WallMicros, options: &Options) -> Message {
    let header = plain(&format!("⚠️ Quorate: {}", kind.replace('_', " ")), SLACK_HEADER_CHARS_MAX);
    let mut section = vec![plain(summary, SUMMARY_CHARS_MAX + HINT_CHARS_MAX)];
    section.extend(page_link(options));
    Message {
        fallback: format!(
            "{header}. {}",
            plain(summary, SLACK_FALLBACK_CHARS_MAX - SLACK_HEADER_CHARS_MAX - 2)
        ),
        header,
        section,
        fields: Vec::new(),
        context: vec![local(at), plain(&options.page_title, SLACK_CONTEXT_CHARS_MAX / 10)],
    }
}

fn page_link(options: &Options) -> Option<String> {
    link(options.page_url.as_deref()?, "Open the status page", LINK_CHARS_MAX)
}

/// Who fails, and of how many.
fn counts(incident: &Incident) -> String {
    let all = incident.regions.len();
    let of = |vote: &str| incident.regions.iter().filter(|region| region.vote == vote).count();
    let (fail, silent) = (of("fail"), of("abstain"));
    if incident.verdict == "unobserved" {
        let voting = all - silent;
        let have = if voting == 1 { "has" } else { "have" };
        return format!("Only {voting} of {all} regions {have} a say, too few to tell up from down,");
    }
    let fails = if fail == 1 { "fails" } else { "fail" };
    let no_say = match silent {
        0 => String::new(),
        1 => " (1 has no say)".to_owned(),
        n => format!(" ({n} have no say)"),
    };
    format!("{fail} of {all} regions {fails}{no_say}")
}

/// One field a region, the failing ones first; what does not fit is counted in the last field.
fn fields(regions: &[RegionEvidence]) -> Vec<String> {
    let mut sorted: Vec<&RegionEvidence> = regions.iter().collect();
    sorted.sort_by_key(|region| rank(region));
    let shown = if sorted.len() > SLACK_FIELDS_MAX { SLACK_FIELDS_MAX - 1 } else { sorted.len() };
    let rest = sorted.split_off(shown);
    let mut fields: Vec<String> = sorted.into_iter().map(field).collect();
    if !rest.is_empty() {
        let kinds = [(0, "failing"), (1, "without a say"), (2, "passing")];
        let counted =
            kinds.map(|(kind, word)| (rest.iter().filter(|region| rank(region) == kind).count(), word));
        let words = counted
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"));
        fields.push(format!("and {} more: {}", rest.len(), words.collect::<Vec<_>>().join(", ")));
    }
    fields
}

fn rank(region: &RegionEvidence) -> u8 {
    match region.vote.as_str() {
        "fail" => 0,
        "abstain" => 1,
        _ => 2,
    }
}

fn field(region: &RegionEvidence) -> String {
    let failure = plain(region.failure.as_deref().unwrap_or("no detail"), SLACK_FIELD_CHARS_MAX - 100);
    match rank(region) {
        0 => format!("🔴 *{}* fails\n{failure}", region.region),
        1 => format!("⚪ *{}* has no say\n{}", region.region, failure.replace('_', " ")),
        _ => {
            let latency =
                region.latency_ms.map(|latency_ms| format!("\n{latency_ms:.0} ms")).unwrap_or_default();
            format!("🟢 *{}* passes{latency}", region.region)
        }
    }
}

/// How long it took from the first failing check to this message, and where the time went.
fn timeline(incident: &Incident, sent_at: WallMicros) -> String {
    let timeline = &incident.timeline;
    let Some(first) = timeline.first_failure_at else { return String::new() };
    let steps =
        [("heard", timeline.suspected_at), ("quorum", timeline.quorum_at), ("decided", timeline.decided_at)];
    let steps = steps.into_iter().filter_map(|(step, at)| Some(format!("{step} {}", span(at?.since(first)))));
    let steps = steps.collect::<Vec<_>>().join(", ");
    let total = span(sent_at.since(first));
    if steps.is_empty() {
        format!("first failure → page: *{total}*")
    } else {
        format!("first failure → page: *{total}* ({steps})")
    }
}
