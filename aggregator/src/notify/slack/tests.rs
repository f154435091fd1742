//! What a Slack message says, and that it never passes a limit of Slack's.

use serde_json::Value;

use super::{Options, body};
use crate::{
    model::{AlertEvent, Degradation, Incident},
    notify::sample::{self, SENT_AT},
};

/// Slack's own limits, as its reference gives them; the bounds of this program are tighter.
const BLOCKS_MAX: usize = 50;
const HEADER_MAX: usize = 150;
const SECTION_MAX: usize = 3000;
const FIELDS_MAX: usize = 10;
const FIELD_MAX: usize = 2000;
const ELEMENTS_MAX: usize = 10;
const ALL_TEXT_MAX: usize = 10_000;

fn options() -> Options {
    Options {
        page_url: Some("https://status.example.com/?a=1&b=2".to_owned()),
        page_title: "Acme <status>".to_owned(),
    }
}

fn events() -> Vec<(&'static str, AlertEvent)> {
    let down = sample::incident("inc_1");
    let mut partial = down.clone();
    partial.verdict = "partial".to_owned();
    for region in partial.regions.iter_mut().skip(2) {
        *region = sample::region(region.region.as_str(), "ok", None);
    }
    let mut unobserved = down.clone();
    unobserved.verdict = "unobserved".to_owned();
    unobserved.cause.summary = "Too few regions have a vote.".to_owned();
    unobserved.cause.hint = "Look at the agents of the silent regions.".to_owned();
    for region in unobserved.regions.iter_mut().skip(1) {
        *region = sample::region(region.region.as_str(), "abstain", Some("stale"));
    }
    let mut resolved = down.clone();
    resolved.resolved_at = Some(sample::wall(723.9));
    resolved
        .regions
        .iter_mut()
        .for_each(|region| *region = sample::region(region.region.as_str(), "ok", None));
    let mut no_more = sample::degradation();
    no_more.recovered_at = Some(sample::wall(1_914.1));
    let summary =
        "The store cannot be written: database or disk is full. Paging goes on from memory; make room.";
    let mut events = vec![
        ("opened", AlertEvent::Opened(Box::new(down))),
        ("opened_partial", AlertEvent::Opened(Box::new(partial.clone()))),
        ("updated_partial", AlertEvent::Updated(Box::new(partial))),
        ("opened_unobserved", AlertEvent::Opened(Box::new(unobserved))),
        ("resolved", AlertEvent::Resolved(Box::new(resolved))),
        ("notice", AlertEvent::Notice { kind: "storage_failing".to_owned(), summary: summary.to_owned() }),
        ("degraded", AlertEvent::Degraded(Box::new(sample::degradation()))),
        ("recovered", AlertEvent::Recovered(Box::new(no_more))),
    ];
    events.extend(sample::of_paging());
    events
}

#[test]
fn messages_read_as_intended() {
    for (name, event) in events() {
        let message = body(&sample::alert(event), SENT_AT, &options());
        check_limits(name, &message);
        sample::golden(&format!("slack_{name}.json"), &message);
    }
}

#[test]
fn no_limit_is_passed_whatever_the_texts_are() {
    for (name, text) in [
        ("letters", "x".repeat(20_000)),
        ("escapes", "<&>".repeat(20_000)),
        ("wide", "\u{1F534}".repeat(20_000)),
        ("lines", "\n".repeat(20_000)),
        ("nothing", String::new()),
    ] {
        let page_url = (!text.is_empty()).then(|| format!("https://a/{text}"));
        let options = Options { page_url, page_title: text.clone() };
        for (event_name, event) in events() {
            let event = match event {
                AlertEvent::Opened(incident) => AlertEvent::Opened(Box::new(absurd(*incident, &text))),
                AlertEvent::Updated(incident) => AlertEvent::Updated(Box::new(absurd(*incident, &text))),
                AlertEvent::Resolved(incident) => AlertEvent::Resolved(Box::new(absurd(*incident, &text))),
                AlertEvent::Event(mut event) => {
                    event.summary.clone_from(&text);
                    event.monitor.name.clone_from(&text);
                    event.monitor.url.clone_from(&text);
                    AlertEvent::Event(event)
                }
                AlertEvent::Notice { .. } => AlertEvent::Notice { kind: text.clone(), summary: text.clone() },
                AlertEvent::Degraded(one) => AlertEvent::Degraded(Box::new(endless(*one, &text))),
                AlertEvent::Recovered(one) => AlertEvent::Recovered(Box::new(endless(*one, &text))),
                AlertEvent::GroupOpened(_)
                | AlertEvent::GroupUpdated(_)
                | AlertEvent::GroupResolved(_)
                | AlertEvent::FlappingStarted(_)
                | AlertEvent::FlappingDigest(_)
                | AlertEvent::FlappingEnded(_)
                | AlertEvent::AgentsOffline(_)
                | AlertEvent::AgentsBack(_) => sample::absurd_of_paging(event, &text),
            };
            let message = body(&sample::alert(event), SENT_AT, &options);
            check_limits(&format!("{name}, {event_name}"), &message);
        }
    }
}

fn endless(mut degradation: Degradation, text: &str) -> Degradation {
    degradation.monitor.name = text.to_owned();
    degradation.monitor.url = text.to_owned();
    degradation.reasons[0].summary = text.to_owned();
    degradation.reasons = vec![degradation.reasons[0].clone(); 16];
    let trips = degradation.round_trips.as_mut().unwrap();
    trips.regions = vec![trips.regions[0].clone(); 300];
    degradation
}

fn absurd(mut incident: Incident, text: &str) -> Incident {
    let Incident { id, monitor, verdict, worst, cause, rule, .. } = &mut incident;
    for field in
        [id, &mut monitor.name, &mut monitor.url, &mut cause.kind, &mut cause.summary, &mut cause.hint, rule]
    {
        *field = text.to_owned();
    }
    cause.mend = vec![text.to_owned(); 3];
    if !text.is_empty() {
        *verdict = text.to_owned();
        *worst = text.to_owned();
    }
    let votes = ["ok", "fail", "abstain"];
    incident.regions = (0..300)
        .map(|n| sample::region(&format!("{n}{}", "r".repeat(60)), votes[n % 3], Some(text)))
        .collect();
    incident
}

#[test]
fn regions_beyond_ten_are_counted() {
    let mut incident = sample::incident("inc_1");
    incident.regions =
        (0..12).map(|n| sample::region(&format!("r{n}"), if n < 8 { "fail" } else { "ok" }, None)).collect();
    let message = body(&sample::alert(AlertEvent::Opened(Box::new(incident))), SENT_AT, &options());
    let fields = message["blocks"][2]["fields"].as_array().unwrap();
    assert_eq!(fields.len(), 10);
    assert_eq!(fields[9]["text"], "and 3 more: 3 passing");
}

#[test]
fn nobody_is_mentioned_by_a_text_from_outside() {
    let incident = absurd(sample::incident("inc_1"), "<!channel> & <@U123> <https://evil.example|click>");
    let message =
        body(&sample::alert(AlertEvent::Opened(Box::new(incident))), SENT_AT, &options()).to_string();
    for token in ["<!channel", "<@U123", "<https://evil"] {
        assert!(!message.contains(token), "{message}");
    }
    assert!(message.contains("&lt;!channel&gt; &amp; &lt;@U123&gt;"));
}

fn check_limits(name: &str, message: &Value) {
    let length = |text: &Value| text.as_str().unwrap().chars().map(char::len_utf16).sum::<usize>();
    let mut all = length(&message["text"]);
    assert!(all > 0, "{name}: a fallback is always there");
    let blocks = message["blocks"].as_array().unwrap();
    assert!(blocks.len() <= BLOCKS_MAX, "{name}");
    for block in blocks {
        let mut check = |text: &Value, max: usize| {
            let length = length(&text["text"]);
            assert!((1..=max).contains(&length), "{name}: {length} of {max} in {text}");
            all += length;
        };
        match block["type"].as_str().unwrap() {
            "header" => check(&block["text"], HEADER_MAX),
            "section" if block.get("fields").is_some() => {
                let fields = block["fields"].as_array().unwrap();
                assert!(fields.len() <= FIELDS_MAX, "{name}");
                fields.iter().for_each(|field| check(field, FIELD_MAX));
            }
            "section" => check(&block["text"], SECTION_MAX),
            "context" => {
                let elements = block["elements"].as_array().unwrap();
                assert!(elements.len() <= ELEMENTS_MAX, "{name}");
                elements.iter().for_each(|element| check(element, SECTION_MAX));
            }
            other => panic!("{name}: block {other}"),
        }
    }
    assert!(all < ALL_TEXT_MAX, "{name}: {all}");
}
