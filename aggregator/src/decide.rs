//! From verdicts to incidents and alerts: who hears of what, and in which words.
//!
//! The engine says that a verdict changed. Here it becomes an incident (or the next turn of one), and alerts for the
//! channels that are to hear of it:
//!
//! - every verdict but *up* opens an incident, and *up* resolves it;
//! - a channel hears `incident.opened` the first time that it is told of an incident, whatever the verdict is by then:
//!   *down* goes to every channel of the monitor, *partial* to those that asked for it, *unobserved* to the operator's;
//! - a channel that knows of an incident hears `incident.updated` at every change of its verdict: otherwise its readers
//!   would go on believing the one before;
//! - `incident.resolved` goes to every channel that got the opening, whatever was configured since, and to no other.
//!
//! Pure: time, ids and what was seen come in as arguments.

mod calibration;
mod cause;
mod domains;
pub mod events;
mod outlier;
pub mod paging;
mod policy;
pub mod quality;
mod rule;
#[cfg(test)]
mod tests;
mod url;

pub use calibration::recalibrated;
pub use domains::reason;
pub use outlier::{outlier, outlier_over};
pub use policy::policy;
pub use rule::sentence;
pub use url::{shown_url, target};

use std::collections::{BTreeMap, BTreeSet};

use quorate_proto::{AgentName, Failure, Micros, Region, WallMicros};
use quorate_quorum::{Abstention, CountedVote, Verdict, VerdictChange, Vote};

use crate::{
    config::{Channel, Monitor},
    model::{AlertEvent, ChannelId, Incident, IncidentTimeline, MonitorReference, RegionEvidence, Tracked},
};

/// What a verdict changed in, and all that is needed to say so.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The monitor.
    pub monitor: &'a Monitor,
    /// Every channel that there is.
    pub channels: &'a [Channel],
    /// The monitor's open incident.
    pub open: Option<&'a Tracked>,
    /// What the engine says.
    pub change: &'a VerdictChange,
    /// The latest check of each region that has one.
    pub sightings: &'a BTreeMap<Region, Sighting>,
    /// The change's timeline by the wall clock.
    pub timeline: IncidentTimeline,
    /// The id for an incident, should one be opened.
    pub incident_id: &'a str,
    /// When it is decided.
    pub at: WallMicros,
}

/// One region's latest check, as far as people want to know.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    /// Who checked.
    pub agent: AgentName,
    /// How long it took.
    pub latency: Micros,
    /// What it found, where it did not pass.
    pub failure: Option<Failure>,
}

/// What follows from a change of verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The incident as it stands; resolved where the verdict is up.
    pub tracked: Tracked,
    /// The rule that applied, in one sentence.
    pub rule: String,
    /// What is to be said, and to whom; no channel twice.
    pub announcements: Vec<Announcement>,
}

/// One alert, and the channels that it goes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Announcement {
    /// What it says.
    pub event: AlertEvent,
    /// Where it goes.
    pub channels: Vec<ChannelId>,
}

/// Decides what follows from a change of verdict; nothing where it neither opens nor concerns an incident.
pub fn decide(situation: &Situation<'_>) -> Option<Decision> {
    let change = situation.change;
    let rule = reason(change);
    if change.to == Verdict::Up {
        return situation.open.map(|open| resolve(situation, open, rule));
    }
    let fresh;
    let before = match situation.open {
        Some(open) => open,
        None => {
            fresh = open(situation);
            &fresh
        }
    };
    let is_news = situation.open.is_none() || before.incident.verdict != change.to.name();
    let mut tracked = before.clone();
    let incident = &mut tracked.incident;
    incident.verdict = change.to.name().to_owned();
    if rank(&incident.worst) < rank(&incident.verdict) {
        incident.worst.clone_from(&incident.verdict);
    }
    if let Some(cause) = cause::of(situation) {
        incident.cause = cause;
    }
    incident.rule.clone_from(&rule);
    incident.regions = evidence(situation);
    incident.timeline = situation.timeline;
    incident.monitor = reference(situation.monitor);
    let announcements = match is_news {
        true => announce(situation.monitor, situation.channels, change.to, &mut tracked),
        false => Vec::new(),
    };
    Some(Decision { tracked, rule, announcements })
}

/// A maintenance is over and the incident is not: from then on it is as any other. Gives its verdict's name as well.
pub fn release(open: &Tracked) -> (Decision, &'static str) {
    let mut tracked = open.clone();
    let incident = &mut tracked.incident;
    incident.held_for_maintenance = false;
    incident.timeline.sent_at = None;
    let rule = format!("The maintenance is over, and the monitor is {}.", incident.verdict);
    let verdict = Verdict::from_name(&incident.verdict).map_or("unobserved", Verdict::name);
    (Decision { tracked, rule, announcements: Vec::new() }, verdict)
}

/// Ends an incident whose monitor is not configured any more: whoever got the opening would wait for ever.
pub fn withdraw(open: &Tracked, at: WallMicros) -> Decision {
    let mut tracked = open.clone();
    let rule = "The monitor was removed from the configuration.".to_owned();
    tracked.incident.rule.clone_from(&rule);
    tracked.incident.resolved_at = Some(at);
    tracked.incident.held_for_maintenance = false;
    tracked.incident.timeline.decided_at = Some(at);
    tracked.incident.timeline.sent_at = None;
    let announcements = resolved(&tracked);
    Decision { tracked, rule, announcements }
}

/// An operator's notice, for the channels that want those.
pub fn notice(kind: &str, summary: String, channels: &[Channel]) -> Announcement {
    Announcement {
        event: AlertEvent::Notice { kind: kind.to_owned(), summary },
        channels: channels
            .iter()
            .filter(|channel| channel.operator)
            .map(|channel| channel.id.clone())
            .collect(),
    }
}

/// A region's failure or abstention in words: the failure's name and detail, or why it has no say.
pub fn vote_words(vote: Vote, failure: Option<&Failure>) -> Option<String> {
    let failed = || {
        failure.map(|failure| match failure.detail.is_empty() {
            true => failure.kind.to_string(),
            false => format!("{}: {}", failure.kind, failure.detail),
        })
    };
    match vote {
        Vote::Ok => None,
        Vote::Fail => failed(),
        Vote::Abstain(Abstention::Sick(doubt)) => Some(format!("sick ({doubt}): {}", doubt.words())),
        Vote::Abstain(abstention) => Some(abstention.name().to_owned()),
    }
}

fn open(situation: &Situation<'_>) -> Tracked {
    let timeline = situation.timeline;
    Tracked {
        incident: Incident {
            id: situation.incident_id.to_owned(),
            monitor: reference(situation.monitor),
            verdict: situation.change.to.name().to_owned(),
            worst: situation.change.to.name().to_owned(),
            cause: cause::unobserved(situation),
            rule: String::new(),
            started_at: timeline.first_failure_at.unwrap_or(situation.at),
            resolved_at: None,
            regions: Vec::new(),
            maintenance: None,
            held_for_maintenance: false,
            timeline,
            held_by: Vec::new(),
            group: None,
            flapping: false,
        },
        opened_at: situation.at,
        told: BTreeSet::new(),
    }
}

fn resolve(situation: &Situation<'_>, open: &Tracked, rule: String) -> Decision {
    let mut tracked = open.clone();
    let incident = &mut tracked.incident;
    incident.rule.clone_from(&rule);
    incident.resolved_at = Some(situation.at);
    incident.held_for_maintenance = false;
    incident.regions = evidence(situation);
    // The steps towards the outage stay: they are what one wants to read when it is over.
    incident.timeline =
        IncidentTimeline { decided_at: situation.timeline.decided_at, sent_at: None, ..incident.timeline };
    let announcements = resolved(&tracked);
    Decision { tracked, rule, announcements }
}

fn resolved(tracked: &Tracked) -> Vec<Announcement> {
    let event = AlertEvent::Resolved(Box::new(tracked.incident.clone()));
    announcement(event, tracked.told.iter().cloned().collect()).into_iter().collect()
}

fn announce(
    monitor: &Monitor,
    channels: &[Channel],
    verdict: Verdict,
    tracked: &mut Tracked,
) -> Vec<Announcement> {
    let of_monitor = |channel: &&Channel| monitor.channels.contains(&channel.id);
    let channels = || channels.iter().filter(of_monitor);
    let knowing = channels()
        .filter(|channel| tracked.told.contains(&channel.id))
        .map(|channel| channel.id.clone())
        .collect::<Vec<_>>();
    let new = channels()
        .filter(|channel| !tracked.told.contains(&channel.id) && wants(channel, verdict))
        .map(|channel| channel.id.clone())
        .collect::<Vec<_>>();
    tracked.told.extend(new.iter().cloned());
    let incident = Box::new(tracked.incident.clone());
    let opened = announcement(AlertEvent::Opened(incident.clone()), new);
    let updated = announcement(AlertEvent::Updated(incident), knowing);
    opened.into_iter().chain(updated).collect()
}

fn announcement(event: AlertEvent, channels: Vec<ChannelId>) -> Option<Announcement> {
    (!channels.is_empty()).then_some(Announcement { event, channels })
}

fn wants(channel: &Channel, verdict: Verdict) -> bool {
    match verdict {
        Verdict::Down => true,
        Verdict::Partial => channel.partial,
        Verdict::Unobserved => channel.operator,
        Verdict::Up => false,
    }
}

/// How bad a verdict is, by its name.
fn rank(verdict: &str) -> u8 {
    match Verdict::from_name(verdict) {
        None | Some(Verdict::Up) => 0,
        Some(Verdict::Unobserved) => 1,
        Some(Verdict::Partial) => 2,
        Some(Verdict::Down) => 3,
    }
}

/// How people know a monitor.
pub fn reference(monitor: &Monitor) -> MonitorReference {
    MonitorReference {
        id: monitor.spec.id.clone(),
        name: monitor.name.clone(),
        url: shown_url(&monitor.spec.url),
    }
}

fn evidence(situation: &Situation<'_>) -> Vec<RegionEvidence> {
    let of = |counted: &CountedVote| {
        let sighting = situation.sightings.get(&counted.region);
        RegionEvidence {
            region: counted.region.clone(),
            vote: counted.vote.name().to_owned(),
            failure: vote_words(counted.vote, sighting.and_then(|sighting| sighting.failure.as_ref())),
            agent: sighting.map(|sighting| sighting.agent.to_string()),
            latency_ms: sighting.map(|sighting| sighting.latency.as_millis_f64()),
        }
    };
    situation.change.votes.iter().map(of).collect()
}
