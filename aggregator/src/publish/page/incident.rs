//! Incidents on the status page.

use quorate_proto::WallMicros;
use quorate_quorum::Verdict;

use crate::{
    model::{Incident, IncidentTimeline},
    publish::words::{self, When},
};

/// An incident that is not resolved.
pub(super) struct OpenIncident<'a> {
    pub(super) id: &'a str,
    pub(super) monitor: &'a str,
    /// `partial`, `down` or `unobserved`: class and symbol.
    pub(super) state: &'static str,
    pub(super) predicate: &'static str,
    pub(super) started: When,
    pub(super) lasts: String,
    pub(super) summary: &'a str,
    pub(super) hint: &'a str,
    /// The exact mend, in lines; empty where there is none.
    pub(super) mend: String,
    pub(super) rule: &'a str,
    /// Why it is not paged on its own.
    pub(super) unpaged: Option<String>,
    pub(super) steps: Vec<Step>,
    /// From the first failure to the alert, or else to the decision.
    pub(super) speed: Option<String>,
}

/// One step from the first failure to the alert.
pub(super) struct Step {
    pub(super) label: &'static str,
    pub(super) at: When,
    /// From the first failure; empty for itself.
    pub(super) after: String,
}

/// An incident that is over.
pub(super) struct ResolvedIncident<'a> {
    pub(super) id: &'a str,
    pub(super) monitor: &'a str,
    pub(super) state: &'static str,
    pub(super) predicate: &'static str,
    pub(super) started: When,
    pub(super) resolved: Option<When>,
    pub(super) lasted: String,
    pub(super) summary: &'a str,
    pub(super) speed: Option<String>,
}

impl<'a> OpenIncident<'a> {
    pub(super) fn of(incident: &'a Incident, now: WallMicros) -> Self {
        let verdict = verdict(&incident.verdict);
        Self {
            id: &incident.id,
            monitor: &incident.monitor.name,
            state: verdict.name(),
            predicate: match verdict {
                Verdict::Down => "is down",
                Verdict::Partial => "fails in some regions",
                Verdict::Unobserved | Verdict::Up => "is not observed",
            },
            started: words::when(incident.started_at, now),
            lasts: words::span(now.since(incident.started_at)),
            summary: &incident.cause.summary,
            hint: &incident.cause.hint,
            mend: incident.cause.mend.join("\n"),
            rule: &incident.rule,
            unpaged: words::unpaged(&incident.held_by, incident.flapping, incident.group.is_some()),
            steps: steps(&incident.timeline, now),
            speed: speed(&incident.timeline, None),
        }
    }
}

impl<'a> ResolvedIncident<'a> {
    pub(super) fn of(incident: &'a Incident, now: WallMicros) -> Self {
        let verdict = verdict(&incident.worst);
        let end = incident.resolved_at.unwrap_or(now);
        let started = words::when(incident.started_at, now);
        Self {
            id: &incident.id,
            monitor: &incident.monitor.name,
            state: verdict.name(),
            predicate: match verdict {
                Verdict::Down => "was down",
                Verdict::Partial => "failed in some regions",
                Verdict::Unobserved | Verdict::Up => "was not observed",
            },
            resolved: incident.resolved_at.map(|at| words::end(&started, at, now)),
            started,
            lasted: words::span(end.since(incident.started_at)),
            summary: &incident.cause.summary,
            speed: speed(&incident.timeline, incident.resolved_at),
        }
    }
}

fn steps(timeline: &IncidentTimeline, now: WallMicros) -> Vec<Step> {
    let first = timeline.first_failure_at;
    let all = [
        ("First failure", first),
        ("Regions asked", timeline.suspected_at),
        ("Quorum reached", timeline.quorum_at),
        ("Decided", timeline.decided_at),
        ("Alert sent", timeline.sent_at),
    ];
    let step = |(label, at): (&'static str, Option<WallMicros>)| {
        let at = at?;
        let after = match first {
            Some(first) if label != "First failure" => format!("+{}", words::fine_span(at.since(first))),
            Some(_) | None => String::new(),
        };
        Some(Step { label, at: words::when(at, now), after })
    };
    all.into_iter().filter_map(step).collect()
}

/// How quickly it went. Of an incident that is over only what came before its end is told: its last decision, and the
/// alert about that, are the end itself.
fn speed(timeline: &IncidentTimeline, resolved_at: Option<WallMicros>) -> Option<String> {
    let first = timeline.first_failure_at?;
    let steps = [
        ("Alert sent", timeline.sent_at),
        ("Decided", timeline.decided_at),
        ("Quorum reached", timeline.quorum_at),
    ];
    let before_end = |at: &WallMicros| resolved_at.is_none_or(|end| *at < end);
    let (what, at) = steps.into_iter().find_map(|(what, at)| Some((what, at.filter(before_end)?)))?;
    Some(format!("{what} {} after the first failure", words::fine_span(at.since(first))))
}

fn verdict(name: &str) -> Verdict {
    Verdict::from_name(name).unwrap_or(Verdict::Unobserved)
}
