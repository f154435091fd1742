//! Messages about more than one incident: groups of monitors, monitors that flap, agents that are offline.

use super::{
    HINT_CHARS_MAX, Message, SUMMARY_CHARS_MAX, URL_CHARS_MAX, code, local, page_link, plain, span, utc,
};
use crate::{
    limits::{
        SLACK_CONTEXT_CHARS_MAX, SLACK_FALLBACK_CHARS_MAX, SLACK_HEADER_CHARS_MAX, SLACK_SECTION_CHARS_MAX,
    },
    model::{AgentsAlert, FlappingAlert, GroupAlert},
    notify::Options,
};

/// Characters of a list; with all that stands beside it, it fits into a section.
const LIST_CHARS_MAX: usize = 1_000;
/// Characters of one line of a list.
const LINE_CHARS_MAX: usize = 120;
const _: () = assert!(LIST_CHARS_MAX + SUMMARY_CHARS_MAX + HINT_CHARS_MAX + 600 < SLACK_SECTION_CHARS_MAX);

/// Where a group stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Opened,
    Updated,
    Resolved,
}

pub(super) fn group(group: &GroupAlert, stage: Stage, options: &Options) -> Message {
    let headline = match stage {
        Stage::Opened => format!("🔴 {} of {} monitors down at once", group.open, group.monitors_watched),
        Stage::Updated => format!("🔴 {} of {} monitors still down", group.open, group.size),
        Stage::Resolved => format!("🟢 All {} monitors up again", group.size),
    };
    let mut section = vec![plain(&group.summary, SUMMARY_CHARS_MAX)];
    if !group.hint.is_empty() {
        section.push(format!("*What to do:* {}", plain(&group.hint, HINT_CHARS_MAX)));
    }
    let line = |monitor: &crate::model::GroupedMonitor| {
        let light = if monitor.over { "🟢" } else { "🔴" };
        let remark = match (monitor.new && stage == Stage::Updated, monitor.paged) {
            (true, _) => " (new)",
            (false, true) => " (paged on its own before)",
            (false, false) => "",
        };
        format!("{light} {}{remark}", plain(&monitor.monitor.name, LINE_CHARS_MAX - 40))
    };
    if stage != Stage::Resolved {
        section.extend(lines(group.monitors.iter().map(line), group.monitors_omitted));
    }
    let lasted = group.resolved_at.map(|at| format!("lasted {}", span(at.since(group.began_at))));
    message(
        headline,
        section,
        &group.summary,
        options,
        vec![
            format!("since {}", local(group.began_at)),
            lasted.unwrap_or_default(),
            plain(&group.id, SLACK_CONTEXT_CHARS_MAX / 10),
        ],
    )
}

pub(super) fn flapping(flapping: &FlappingAlert, has_ended: bool, options: &Options) -> Message {
    let name = &flapping.monitor.name;
    let headline = match (has_ended, flapping.verdict.as_deref()) {
        (false, _) => format!("🟠 Flapping: {name}"),
        (true, Some("up")) => format!("🟢 Stable, and up: {name}"),
        (true, Some("down")) => format!("🔴 Stable, and down: {name}"),
        (true, Some("partial")) => format!("🟡 Stable, and failing in some regions: {name}"),
        (true, Some(_)) => format!("⚪ Stable, and not observed: {name}"),
        (true, None) => format!("⚪ Removed: {name}"),
    };
    let mut section =
        vec![plain(&flapping.summary, SUMMARY_CHARS_MAX), code(&flapping.monitor.url, URL_CHARS_MAX)];
    if let Some(cause) = &flapping.cause {
        section.push(format!("*Seen last:* {}", plain(cause, HINT_CHARS_MAX)));
    }
    let since = format!("since {}", local(flapping.since));
    message(headline, section, &flapping.summary, options, vec![since])
}

pub(super) fn agents(agents: &AgentsAlert, are_back: bool, options: &Options) -> Message {
    let count = agents.agents.len() + agents.agents_omitted;
    let noun = if count == 1 { "agent" } else { "agents" };
    let headline = match are_back {
        false => format!("⚠️ Quorate: {count} {noun} offline"),
        true => format!("🟢 Quorate: {count} {noun} back"),
    };
    let mut section = vec![plain(&agents.summary, SUMMARY_CHARS_MAX)];
    if !agents.hint.is_empty() {
        section.push(format!("*What to do:* {}", plain(&agents.hint, HINT_CHARS_MAX)));
    }
    let line = |losing: &crate::model::LosingMonitor| {
        let name = plain(&losing.monitor.name, LINE_CHARS_MAX - 60);
        let (voters, of) = (losing.voters, losing.of);
        match losing.needed {
            Some(needed) => format!("🟡 {name}: {voters} of {of} regions left, {needed} must fail for down"),
            None => format!("⚪ {name}: {voters} of {of} regions left, too few to tell"),
        }
    };
    section.extend(lines(agents.monitors.iter().map(line), agents.monitors_omitted));
    let last = agents.agents.iter().filter_map(|agent| agent.last_seen_at).max();
    let last = last.map(|at| format!("last heard {} ({})", local(at), utc(at))).unwrap_or_default();
    message(headline, section, &agents.summary, options, vec![last])
}

fn message(
    headline: String,
    mut section: Vec<String>,
    summary: &str,
    options: &Options,
    mut context: Vec<String>,
) -> Message {
    let header = plain(&headline, SLACK_HEADER_CHARS_MAX);
    section.extend(page_link(options));
    context.push(plain(&options.page_title, SLACK_CONTEXT_CHARS_MAX / 10));
    let rest = plain(summary, SLACK_FALLBACK_CHARS_MAX - SLACK_HEADER_CHARS_MAX - 10);
    Message { fallback: format!("{header}. {rest}"), header, section, fields: Vec::new(), context }
}

/// One line each, as many as fit; the rest is counted.
fn lines(list: impl Iterator<Item = String>, omitted: usize) -> Option<String> {
    let (mut text, mut omitted) = (String::new(), omitted);
    let length = |text: &str| text.chars().map(char::len_utf16).sum::<usize>();
    for line in list {
        if length(&text) + length(&line) < LIST_CHARS_MAX {
            text.push_str(&line);
            text.push('\n');
        } else {
            omitted += 1;
        }
    }
    if omitted > 0 {
        text.push_str(&format!("and {omitted} more"));
    }
    (!text.is_empty()).then(|| text.trim_end().to_owned())
}
