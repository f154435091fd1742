//! One monitor on the status page.

use quorate_proto::{Region, WallMicros};
use quorate_quorum::{Verdict, Vote};

use super::{
    held,
    quality::{self, Trips},
};
use crate::{
    model::{MonitorView, RegionView},
    publish::{
        tally,
        words::{self, When},
    },
};

/// One monitor's card.
pub(super) struct MonitorCard<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) url: String,
    /// `up`, `partial`, `down` or `unobserved`: class and symbol.
    pub(super) state: &'static str,
    pub(super) word: &'static str,
    /// Since when and for how long; none before the first verdict.
    pub(super) since: Option<(When, String)>,
    pub(super) is_suspect: bool,
    /// Why it is not paged on its own.
    pub(super) unpaged: Option<String>,
    pub(super) is_tls_unverified: bool,
    pub(super) does_one_region_decide: bool,
    pub(super) quorum: &'a str,
    pub(super) interval: String,
    pub(super) votes: Vec<VoteCell<'a>>,
    pub(super) reasons: Vec<Reason<'a>>,
    /// Why it is degraded.
    pub(super) degraded: Vec<&'a str>,
    /// How long round trips took.
    pub(super) trips: Option<Trips<'a>>,
    /// How many held connections are open.
    pub(super) held: Option<String>,
    /// When the certificate ends.
    pub(super) certificate: Option<String>,
}

/// One region's vote.
pub(super) struct VoteCell<'a> {
    pub(super) region: &'a Region,
    /// `ok`, `fail` or `abstain`: class and symbol.
    pub(super) vote: &'static str,
    pub(super) word: &'static str,
    pub(super) latency: Option<String>,
    pub(super) checked: Option<When>,
}

/// What regions that do not say ok have seen; regions that say the same stand together.
pub(super) struct Reason<'a> {
    pub(super) regions: Vec<&'a str>,
    pub(super) text: String,
    pub(super) is_failure: bool,
}

impl<'a> MonitorCard<'a> {
    pub(super) fn of(monitor: &'a MonitorView, now: WallMicros) -> Self {
        // Degraded since its first reason, and not since it is up.
        let degraded_since = monitor.degraded.iter().map(|reason| reason.since).min();
        let began = degraded_since.filter(|_| tally::is_degraded(monitor)).unwrap_or(monitor.since);
        let since =
            monitor.verdict.is_some().then(|| (words::when(began, now), words::span(now.since(began))));
        Self {
            id: monitor.id.as_str(),
            name: &monitor.name,
            url: words::public_url(&monitor.url),
            // Amber, as whatever is not well and not down.
            state: if tally::is_degraded(monitor) { "partial" } else { tally::verdict(monitor).name() },
            word: if tally::is_degraded(monitor) { "Degraded" } else { word(monitor.verdict) },
            since,
            is_suspect: monitor.suspect,
            unpaged: words::unpaged(&monitor.held_by, monitor.flapping, false),
            is_tls_unverified: !monitor.verify_tls,
            does_one_region_decide: monitor.regions.len() == 1,
            quorum: &monitor.quorum,
            interval: monitor.interval.to_string(),
            votes: monitor.regions.iter().map(|region| VoteCell::of(region, now)).collect(),
            reasons: reasons(monitor),
            degraded: monitor.degraded.iter().map(|reason| reason.summary.as_str()).collect(),
            trips: quality::trips(monitor),
            held: held::connections(monitor, now),
            certificate: held::certificate(monitor, now),
        }
    }
}

impl<'a> VoteCell<'a> {
    fn of(region: &'a RegionView, now: WallMicros) -> Self {
        let word = match region.vote {
            Vote::Ok => "ok",
            Vote::Fail => "fail",
            Vote::Abstain(_) => "no vote",
        };
        // The latency of a check that does not count says nothing.
        let counts = !matches!(region.vote, Vote::Abstain(_));
        Self {
            region: &region.region,
            vote: region.vote.name(),
            word,
            latency: region.latency.filter(|_| counts).map(words::latency),
            checked: region.last_checked_at.map(|at| words::when(at, now)),
        }
    }
}

fn reasons(monitor: &MonitorView) -> Vec<Reason<'_>> {
    let of_vote = |region| words::failure(region).map(|text| (region, text));
    let votes = monitor.regions.iter().filter_map(of_vote);
    let votes = votes.map(|(region, text)| (region.region.as_str(), text, region.vote == Vote::Fail));
    let remarks = held::remarks(monitor).into_iter().map(|(region, text)| (region, text, false));
    let mut reasons: Vec<Reason<'_>> = Vec::new();
    for (region, text, is_failure) in votes.chain(remarks) {
        match reasons.iter_mut().find(|reason| reason.text == text) {
            Some(reason) => reason.regions.push(region),
            None => reasons.push(Reason { regions: vec![region], text, is_failure }),
        }
    }
    reasons.sort_by_key(|reason| !reason.is_failure);
    reasons
}

fn word(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        Some(Verdict::Up) => "Up",
        Some(Verdict::Partial) => "Partial",
        Some(Verdict::Down) => "Down",
        Some(Verdict::Unobserved) => "Not observed",
        None => "Waiting",
    }
}
