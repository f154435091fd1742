//! Domains: regions that may fail together, because their agents have a provider or a network in common.
//!
//! A domain is named by the value of a label, or by the region where an agent lacks the label. The domains of a failing
//! vote are those of the agents that carry it. A domain is *there* while an agent of it has a say on the monitor, is
//! waited for, or has fallen silent so lately that the check it passed would still count: an agent that restarts must not
//! leave the others' word to one domain.

use std::collections::BTreeSet;

use quorate_proto::Region;

use super::{
    eligibility::{AgentId, Fleet},
    evidence::Opinion,
    monitor::{Ballot, Lane, Monitor},
};
use crate::{Abstention, Finding, Moment, Spread, Vote};

/// The domains of one label.
#[derive(Clone, Debug, Default)]
struct Found<'a> {
    failing: BTreeSet<&'a str>,
    there: BTreeSet<&'a str>,
}

/// Enough regions fail, of too few domains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lack {
    pub(super) domains: u16,
    pub(super) needed: u16,
    /// When time alone may take a domain away.
    changes_at: Option<Moment>,
}

impl Monitor {
    /// Whether the failing regions are of too few domains to make down, and by how many.
    pub(super) fn lacks_domains(&self, fleet: &Fleet, opinions: &[Opinion], at: Moment) -> Option<Lack> {
        if self.policy.min_domains < 2 || !fleet.has_labels() {
            return None;
        }
        let lack = |label: &String| {
            let mut changes_at = None;
            let found = self.domains_of(label, fleet, opinions, at, &mut changes_at);
            let needed = self.domains_needed(&found);
            let domains = count(found.failing.len());
            (domains < needed).then_some(Lack { domains, needed, changes_at })
        };
        self.policy.domains.iter().find_map(lack)
    }

    /// The same from a spread as stated. Of a region that fails and is not stated, the domain is its own.
    pub(super) fn lack_of(&self, spread: &[Spread], opinions: &[Opinion]) -> Option<Lack> {
        let failing = || {
            let lanes = self.lanes.iter().zip(opinions);
            lanes.filter(|(_, opinion)| opinion.vote == Vote::Fail).map(|(lane, _)| &lane.region)
        };
        let lack = |spread: &Spread| {
            let stated = spread.failing.values().filter(|regions| failing().any(|one| regions.contains(one)));
            let unstated =
                failing().filter(|one| spread.failing.values().all(|regions| !regions.contains(*one)));
            let there = spread.there.iter().chain(spread.failing.keys()).collect::<BTreeSet<_>>();
            let (stated, unstated) = (stated.count(), unstated.count());
            let needed = self.policy.min_domains.min(count(there.len() + unstated));
            let domains = count(stated + unstated);
            (domains < needed).then_some(Lack { domains, needed, changes_at: None })
        };
        spread.iter().filter(|spread| self.policy.domains.contains(&spread.label)).find_map(lack)
    }

    /// How the failing regions spread, in full and by name.
    pub(super) fn spread(&self, fleet: &Fleet, opinions: &[Opinion], at: Moment) -> Vec<Spread> {
        if !fleet.has_labels() || opinions.iter().all(|opinion| opinion.vote != Vote::Fail) {
            return Vec::new();
        }
        let of = |label: &String| {
            let found = self.domains_of(label, fleet, opinions, at, &mut None);
            let regions = |domain: &str| {
                let lanes = self.lanes.iter().zip(opinions);
                let failing = lanes.filter(|(lane, opinion)| {
                    let domains = self.carriers(lane, opinion, fleet, at);
                    domains.map(|agent| fleet.domain(agent, label, &lane.region)).any(|one| one == domain)
                });
                failing.map(|(lane, _)| lane.region.clone()).collect::<BTreeSet<Region>>()
            };
            Spread {
                label: label.clone(),
                needed: self.domains_needed(&found),
                failing: found.failing.iter().map(|one| ((*one).to_owned(), regions(one))).collect(),
                there: found.there.iter().map(|one| (*one).to_owned()).collect(),
            }
        };
        self.policy.domains.iter().map(of).collect()
    }

    /// When a lack of domains may end by time alone.
    pub(super) fn domains_change_at(&self) -> Option<Moment> {
        self.lack.and_then(|lack| lack.changes_at)
    }

    /// As many as the policy wants, or all where fewer are there.
    fn domains_needed(&self, found: &Found<'_>) -> u16 {
        self.policy.min_domains.min(count(found.there.len()))
    }

    fn domains_of<'a>(
        &'a self,
        label: &str,
        fleet: &'a Fleet,
        opinions: &[Opinion],
        at: Moment,
        changes_at: &mut Option<Moment>,
    ) -> Found<'a> {
        let mut found = Found::default();
        let voters = self.lanes.iter().zip(opinions).filter(|(lane, _)| !self.policy.is_noisy(&lane.region));
        for (lane, opinion) in voters {
            let domain = |agent: AgentId| fleet.domain(agent, label, &lane.region);
            found.failing.extend(self.carriers(lane, opinion, fleet, at).map(domain));
            for ballot in lane.ballots.iter().filter(|ballot| ballot.is_fresh(self, at)) {
                let until = ballot.ended.after(self.policy.stale_after());
                match fleet.may_vote(ballot.agent, self.policy.revision, at) {
                    Ok(()) if ballot.finding != Finding::AgentsOwnFault => {
                        found.there.insert(domain(ballot.agent));
                    }
                    Err(Abstention::Silent) if ballot.finding == Finding::Passed => {
                        found.there.insert(domain(ballot.agent));
                        *changes_at = Some(changes_at.map_or(until, |sooner| sooner.min(until)));
                    }
                    Ok(()) | Err(_) => {}
                }
            }
            let is_absent = self.is_graced(at) && matches!(opinion.vote, Vote::Abstain(_));
            if opinion.is_awaited || is_absent {
                let agents = fleet.stationed(lane.id);
                found.there.extend(agents.iter().map(|agent| domain(*agent)));
                if agents.is_empty() {
                    found.there.insert(lane.region.as_str());
                }
            }
        }
        found
    }

    /// The agents that carry a region's failing vote.
    fn carriers<'a>(
        &'a self,
        lane: &'a Lane,
        opinion: &Opinion,
        fleet: &'a Fleet,
        at: Moment,
    ) -> impl Iterator<Item = AgentId> + use<'a> {
        let ballots = if opinion.vote == Vote::Fail { lane.ballots.as_slice() } else { &[] };
        let carries = move |ballot: &&Ballot| {
            ballot.finding == Finding::Failed
                && ballot.is_fresh(self, at)
                && fleet.is_eligible(ballot.agent, self.policy.revision, at)
        };
        ballots.iter().filter(carries).map(|ballot| ballot.agent)
    }
}

fn count(domains: usize) -> u16 {
    u16::try_from(domains).unwrap_or(u16::MAX)
}
