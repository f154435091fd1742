//! Events: what is worth a word and is no outage, and how often it is worth it.
//!
//! Every function here is told what was seen of one monitor and what has been said of it, and says whether there is news.
//! What it says it remembers in [`Said`], which is stored with the event: so nothing is told twice, whatever is
//! restarted in between. The rules, each chosen so that a state is told once and not as often as it is seen:
//!
//! - *Reconnects*: once a spell. A spell is over when a region has been quiet for a quarter of an hour.
//! - *Certificates that end*: once when the warning time begins, and again 7 days and 1 day before the end. Certificates of
//!   one fleet that end together are one.
//! - *Certificates that differ*: when two regions have each been shown their own for ten minutes at the same time, and not
//!   again before they have agreed for a day. A renewal that passes through a fleet is over by then; a node here and there
//!   that answers with another certificate breaks the ten minutes; a network that shows each region its own is told of once.
//! - *Idle timeouts*: when what was found contradicts what was found before. A search gives a range, so that two that
//!   overlap agree.
//! - *Addresses*: when the same address failed in two checks on end while others passed, and when all have passed in two.

use std::{collections::BTreeSet, fmt::Write as _, net::IpAddr};

use quorate_proto::{
    Micros, Region, WallMicros,
    canary::IdleFinding,
    outcome::{AddressResult, TlsFacts},
};

use super::{Announcement, reference};
use crate::{
    config::{Channel, Monitor},
    limits,
    model::{
        AlertEvent, CertificateSaid, Degradation, DegradedReason, EventKind, IdleSaid, MonitorEvent, Said,
        Severity, rfc3339,
    },
};

/// News of a monitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// What happened.
    pub kind: EventKind,
    /// How much it matters.
    pub severity: Severity,
    /// In which region, where it is of one.
    pub region: Option<Region>,
    /// In one or two sentences, with the numbers and what to do.
    pub summary: String,
}

impl News {
    fn new(kind: EventKind, region: Option<&Region>, summary: String) -> Self {
        Self { kind, severity: kind.severity(), region: region.cloned(), summary }
    }

    /// The event, and who is to hear of it: the monitor's channels that ask for events.
    pub fn into_event(
        self,
        monitor: &Monitor,
        channels: &[Channel],
        id: String,
        at: WallMicros,
    ) -> (MonitorEvent, Announcement) {
        let Self { kind, severity, region, summary } = self;
        let event = MonitorEvent { id, monitor: reference(monitor), region, at, kind, severity, summary };
        let wants = |channel: &&Channel| channel.events && monitor.channels.contains(&channel.id);
        let channels = channels.iter().filter(wants).map(|channel| channel.id.clone()).collect();
        let announcement = Announcement { event: AlertEvent::Event(Box::new(event.clone())), channels };
        (event, announcement)
    }
}

/// The server announced a restart, and a quorum has reconnected.
pub fn restarted(regions: &[Region], took: Micros) -> News {
    let names = regions.iter().map(Region::as_str).collect::<Vec<_>>().join(", ");
    let summary = format!(
        "The server said that it restarts, and {} connected again within {took} ({names}). Nobody was paged.",
        if regions.len() == 1 {
            "1 region was".to_owned()
        } else {
            format!("{} regions were", regions.len())
        },
    );
    News::new(EventKind::Restarted, None, summary)
}

/// A region's canary has reconnected so often within the last minute; `why` is how the latest one ended.
pub fn reconnected(
    said: &mut Said,
    region: &Region,
    times: u32,
    why: Option<&str>,
    at: WallMicros,
) -> Option<News> {
    if times <= limits::RECONNECTS_USUAL {
        return None;
    }
    let before = said.reconnects.get(region).copied();
    if before.is_some_and(|before| at.since(before) < limits::SAID_REFRESHED) {
        return None;
    }
    said.reconnects.insert(region.clone(), at);
    if before.is_some_and(|before| at.since(before) < limits::RECONNECTS_SPELL) {
        return None;
    }
    let why = why.map(|why| format!(" The latest ended with {why}.")).unwrap_or_default();
    let summary = format!(
        "The connection held open from {region} had to be opened again {times} times within a minute.{why} Clients there \
         are likely to fare no better: look for limits, crashes and idle timeouts on the way."
    );
    Some(News::new(EventKind::ReconnectsFrequent, Some(region), summary))
}

/// A certificate that ends within the warning time.
pub fn certificate_expires(
    said: &mut Said,
    warning: Micros,
    region: &Region,
    facts: &TlsFacts,
    at: WallMicros,
) -> Option<News> {
    let not_after = facts.not_after?;
    let left = not_after.since(at);
    let reminders = limits::CERTIFICATE_REMINDERS.into_iter().filter(|before| *before < warning);
    let before = reminders.chain([warning]).filter(|before| left <= *before).min()?;
    if warning == Micros::ZERO {
        return None;
    }
    let key = data_encoding::HEXLOWER.encode(&facts.fingerprint);
    let is_said = |one: &CertificateSaid| one.before <= before;
    if said.certificates.get(&key).is_some_and(is_said) {
        return None;
    }
    let apart = |one: &CertificateSaid| one.not_after.since(not_after).max(not_after.since(one.not_after));
    let is_known =
        said.certificates.values().any(|one| is_said(one) && apart(one) <= limits::CERTIFICATES_TOGETHER);
    said.certificates.insert(key, CertificateSaid { before, not_after });
    while said.certificates.len() > limits::CERTIFICATES_SAID_MAX {
        let first = said.certificates.iter().min_by_key(|(_, one)| one.not_after).map(|(key, _)| key.clone());
        first.map(|key| said.certificates.remove(&key));
    }
    if is_known {
        return None;
    }
    let day = rfc3339::text(not_after);
    let when = if left == Micros::ZERO {
        format!("ended at {day}")
    } else {
        format!("ends in {}, at {day}", days(left))
    };
    let summary = format!(
        "The certificate that the server shows, or one of its chain, {when}. Renew it and have the server load the new file: \
         clients refuse the connection from then on."
    );
    Some(News::new(EventKind::CertificateExpiring, Some(region), summary))
}

/// Two regions have each been shown their own certificate for so long, at the same time.
pub fn certificates_differ(
    said: &mut Said,
    shown: [(&Region, &TlsFacts); 2],
    span: Micros,
    at: WallMicros,
) -> Option<News> {
    if span < limits::CERTIFICATES_DIFFER_FOR {
        return None;
    }
    let before = said.differing;
    if before.is_some_and(|before| at.since(before) < limits::SAID_REFRESHED) {
        return None;
    }
    said.differing = Some(at);
    if before.is_some_and(|before| at.since(before) < limits::CERTIFICATES_AGREE_FOR) {
        return None;
    }
    let [one, other] = shown.map(|(region, facts)| {
        let fingerprint = data_encoding::HEXLOWER.encode(&facts.fingerprint);
        format!("{region} {}…", fingerprint.get(..16).unwrap_or_default())
    });
    let summary = format!(
        "Regions are shown different certificates (SHA-256 {one}, {other}). Where that is not meant, some nodes did not load \
         the renewed certificate, or something on the way of one region opens the connection."
    );
    Some(News::new(EventKind::CertificatesDiffer, None, summary))
}

/// What a search for the idle timeout found.
pub fn idle_timeout(said: &mut Said, region: &Region, finding: &IdleFinding) -> Option<News> {
    let found = match finding {
        IdleFinding::Cut { survived, cut, failure } => {
            IdleSaid { survived: *survived, cut: Some(*cut), how: failure.kind.to_string() }
        }
        IdleFinding::NotWithin(survived) => IdleSaid { survived: *survived, cut: None, how: String::new() },
        IdleFinding::Failed(_) => return None,
    };
    let before = said.idle.get(region);
    if before.is_some_and(|before| !contradicts(before, &found)) {
        // A range that agrees and says less is no better knowledge.
        let is_narrower = |before: &IdleSaid| match (before.cut, found.cut) {
            (Some(before), Some(found)) => found <= before,
            (Some(_), None) => false,
            (None, _) => found.cut.is_some() || found.survived >= before.survived,
        };
        if before.is_some_and(is_narrower) {
            said.idle.insert(region.clone(), found);
        }
        return None;
    }
    let news = match before {
        None if found.cut.is_none() => None,
        None => {
            let summary = format!(
                "The path from {region} cuts idle connections {}. Heartbeats must come more often than that.",
                idle_words(&found)
            );
            let news = News::new(EventKind::IdleTimeoutChanged, Some(region), summary);
            Some(News { severity: Severity::Info, ..news })
        }
        Some(before) => {
            let verb =
                if found.cut.is_some() { "cuts idle connections" } else { "does not cut idle connections" };
            let summary = format!(
                "The path from {region} {verb} {}; before, {}. Something on the way was changed: see that heartbeats come more \
                 often than that.",
                idle_words(&found),
                if before.cut.is_some() {
                    format!("it did {}", idle_words(before))
                } else {
                    format!("it did not {}", idle_words(before))
                },
            );
            Some(News::new(EventKind::IdleTimeoutChanged, Some(region), summary))
        }
    };
    said.idle.insert(region.clone(), found);
    news
}

/// The idle timeout that is known of a region, in words: `after 60s (dropped)`, `within 20m`.
pub fn idle_words(known: &IdleSaid) -> String {
    match known.cut {
        Some(cut) => format!("after {cut} ({})", known.how),
        None => format!("within {}", known.survived),
    }
}

/// What each of several addresses found, in one check and in the one before it from the same region.
pub fn addresses(
    said: &mut Said,
    region: &Region,
    before: &BTreeSet<IpAddr>,
    found: &[AddressResult],
) -> Option<News> {
    let failing = failing(found);
    if failing.len() == found.len() {
        // All of them: an outage, told as one.
        return None;
    }
    let told = said.addresses.get(region);
    let twice = failing.intersection(before).copied().collect::<BTreeSet<_>>();
    if twice.iter().any(|address| told.is_none_or(|told| !told.contains(address))) {
        let summary = format!(
            "{} in {region}. Clients that are given {} fail; take {} out of DNS, or mend the host.",
            address_words(found)?,
            if twice.len() == 1 { "that address" } else { "those addresses" },
            if twice.len() == 1 { "it" } else { "them" },
        );
        said.addresses.insert(region.clone(), twice);
        return Some(News::new(EventKind::AddressesFailing, Some(region), summary));
    }
    if told.is_some() && failing.is_empty() && before.is_empty() {
        said.addresses.remove(region);
        let summary = format!("All {} addresses pass again in {region}.", found.len());
        return Some(News::new(EventKind::AddressesRecovered, Some(region), summary));
    }
    None
}

/// The addresses that failed.
pub fn failing(found: &[AddressResult]) -> BTreeSet<IpAddr> {
    found.iter().filter(|one| one.failure.is_some()).map(|one| one.address).collect()
}

/// Which of several addresses fail: `1 of 4 addresses fails: 192.0.2.7 (connection_refused)`. None where none does.
pub fn address_words(found: &[AddressResult]) -> Option<String> {
    let mut list = String::new();
    let mut count = 0_usize;
    for one in found {
        let Some(failure) = &one.failure else { continue };
        let comma = if count > 0 { ", " } else { "" };
        // Writing to a text cannot fail.
        let _ = write!(list, "{comma}{} ({failure})", one.address);
        count += 1;
    }
    let verb = if count == 1 { "fails" } else { "fail" };
    (count > 0).then(|| format!("{count} of {} addresses {verb}: {list}", found.len()))
}

/// A reason began for which the monitor is degraded. It is announced apart, with all of them.
pub fn degraded(reason: &DegradedReason) -> News {
    News::new(EventKind::Degraded, None, reason.summary.clone())
}

/// The monitor is not degraded any more. It is announced apart.
pub fn recovered(degradation: &Degradation) -> News {
    let kinds = degradation.reasons.iter().map(|reason| reason.kind.as_str()).collect::<BTreeSet<_>>();
    let kinds = kinds.into_iter().collect::<Vec<_>>().join(", ");
    let lasted = degradation.recovered_at.map(|at| at.since(degradation.since));
    let lasted = lasted.map(|lasted| format!(" after {lasted}")).unwrap_or_default();
    News::new(EventKind::Recovered, None, format!("It is not degraded any more{lasted} ({kinds})."))
}

/// Whether two findings cannot both be true.
fn contradicts(before: &IdleSaid, found: &IdleSaid) -> bool {
    // Timers and the network are no more exact than that.
    let slack = |span: Micros| (span / 20).max(Micros::from_secs(1));
    let ends_below =
        |one: &IdleSaid, other: &IdleSaid| one.cut.is_some_and(|cut| cut + slack(cut) < other.survived);
    ends_below(before, found) || ends_below(found, before)
}

pub(super) fn days(span: Micros) -> String {
    let hours = span.0 / 3_600_000_000;
    match (hours / 24, hours % 24) {
        (0, 0) => "less than an hour".to_owned(),
        (0, 1) => "1 hour".to_owned(),
        (0, hours) => format!("{hours} hours"),
        (1, _) => "1 day".to_owned(),
        (days, _) => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests;
