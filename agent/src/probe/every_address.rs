//! Each of a host's addresses, checked on its own: at once, with the same server name, under one deadline.
//!
//! A load balancer in front of one dead server of four answers three visitors of four, and a check that takes the first
//! address sees it one time in four. The check passes where one address does, since a client tries another one; which of
//! them fail stands beside it.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use futures_util::future::join_all;
use quorate_proto::{
    Failure, FailureKind, Micros, Outcome, Phase,
    limits::ADDRESSES_MAX,
    monitor::{Addresses, Family},
    outcome::AddressResult,
};
use tokio::time::timeout;

use super::{Deadline, Prober, connect::To, plan::Plan, progress::Progress, route::Route};

impl Prober {
    /// Checks each of the host's addresses on its own, all at once, under the one deadline.
    pub(super) async fn check_each(
        &self,
        plan: &Plan,
        span: Micros,
        avoid: Option<IpAddr>,
        progress: &mut Progress,
    ) -> (Outcome, Vec<AddressResult>) {
        let Route { addresses, family, .. } = plan.route;
        let deadline = Deadline { started: progress.started(), span };
        let found = match timeout(deadline.left(), self.server(&plan.route, avoid, progress)).await {
            Ok(Ok(found)) => found,
            Ok(Err(failure)) => return (Outcome::Failed(failure), Vec::new()),
            Err(_) => return (progress.waited(span).map_or(Outcome::Passed, Outcome::Failed), Vec::new()),
        };
        let attempts = join_all(chosen(found, addresses, family).into_iter().map(async |address| {
            let mut progress = Progress::new();
            let outcome = self.attempt(plan, To::Only(address), deadline, &mut progress).await;
            progress.finish();
            Attempt { address: address.ip(), outcome, progress }
        }));
        match judge(attempts.await) {
            Some((told, results)) => {
                progress.adopt(told.progress);
                (told.outcome, results)
            }
            None => {
                let detail = format!("{} has no address", plan.route.host);
                (Outcome::Failed(progress.fail((FailureKind::AgentFault, detail))), Vec::new())
            }
        }
    }
}

/// What was found at one address.
struct Attempt {
    address: IpAddr,
    outcome: Outcome,
    progress: Progress,
}

/// Which of the addresses found are checked: all of them, or the first of each family. Of more than [`ADDRESSES_MAX`] the
/// same ones every time, in whatever order the nameserver gives them.
fn chosen(mut found: Vec<SocketAddr>, addresses: Addresses, family: Family) -> Vec<SocketAddr> {
    if addresses == Addresses::First && family == Family::Both {
        let first = |is_v4: bool| found.iter().find(|address| address.is_ipv4() == is_v4).copied();
        return first(false).into_iter().chain(first(true)).collect();
    }
    let mut seen: Vec<_> = found.iter().map(SocketAddr::ip).collect();
    seen.sort_unstable();
    seen.dedup();
    seen.truncate(ADDRESSES_MAX);
    found.retain(|address| match seen.iter().position(|kept| *kept == address.ip()) {
        None => false,
        Some(at) => {
            seen.swap_remove(at);
            true
        }
    });
    found
}

/// Makes one outcome of all attempts, and gives the attempt that everything else is told of: the first that passed, or the
/// one whose failure says most. The results are in the order of the addresses.
fn judge(attempts: Vec<Attempt>) -> Option<(Attempt, Vec<AddressResult>)> {
    let count = attempts.len();
    let results: BTreeMap<_, _> =
        attempts.iter().map(|attempt| (attempt.address, attempt.result())).collect();
    // Of equals `max_by_key` takes the last.
    let mut told = attempts.into_iter().rev().max_by_key(Attempt::weight)?;
    if let Outcome::Failed(failure) = &told.outcome {
        let kind = &failure.kind;
        let alike = results.values().filter(|result| result.failure.as_ref() == Some(kind)).count();
        told.outcome = Outcome::Failed(all_fail(failure, count, alike, told.address));
    }
    Some((told, results.into_values().collect()))
}

/// The failure of all addresses, told by the one that says most.
fn all_fail(failure: &Failure, count: usize, alike: usize, address: IpAddr) -> Failure {
    let detail = match (count, alike) {
        (0 | 1, _) => return failure.clone(),
        (count, alike) if count == alike => {
            format!("{count} of {count} addresses fail; {address}: {}", failure.detail)
        }
        (count, alike) => {
            format!("{count} of {count} addresses fail, {alike} of them so; {address}: {}", failure.detail)
        }
    };
    let told = Failure::new(failure.kind.clone(), failure.phase, detail);
    Failure { refusal: failure.refusal.clone(), canary_lives: failure.canary_lives, ..told }
}

impl Attempt {
    fn result(&self) -> AddressResult {
        let failure = match &self.outcome {
            Outcome::Passed => None,
            Outcome::Failed(failure) => Some(failure.kind.clone()),
        };
        AddressResult { address: self.address, failure, total: self.progress.timings.total }
    }

    /// How much it says: that it passed; otherwise a failure of the server's before one of our own, and a later phase before
    /// an earlier one, since it got further.
    fn weight(&self) -> (bool, bool, Option<Phase>) {
        match &self.outcome {
            Outcome::Passed => (true, true, None),
            Outcome::Failed(failure) => (false, !failure.kind.is_agents_own(), Some(failure.phase)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(last: u8, failed: Option<(FailureKind, Phase)>) -> Attempt {
        let outcome = failed.map_or(Outcome::Passed, |(kind, phase)| {
            Outcome::Failed(Failure::new(kind, phase, format!("trouble {last}")))
        });
        Attempt { address: IpAddr::from([10, 0, 0, last]), outcome, progress: Progress::new() }
    }

    #[test]
    fn several_outcomes_are_one() {
        let refused = |last| attempt(last, Some((FailureKind::ConnectionRefused, Phase::Tcp)));
        let full = |last| attempt(last, Some((FailureKind::UpgradeStatus(503), Phase::Upgrade)));
        let blocked = |last| attempt(last, Some((FailureKind::EgressBlocked, Phase::Tcp)));
        let own = |last| attempt(last, Some((FailureKind::AgentFault, Phase::Exchange)));
        for (attempts, told, detail) in [
            (vec![refused(2), attempt(4, None), attempt(3, None)], 4, None),
            (vec![refused(1)], 1, Some("trouble 1")),
            (vec![refused(2), refused(1)], 2, Some("2 of 2 addresses fail; 10.0.0.2: trouble 2")),
            (
                vec![refused(1), full(3), full(2)],
                3,
                Some("3 of 3 addresses fail, 2 of them so; 10.0.0.3: trouble 3"),
            ),
            // What is the agent's own says nothing about the server, however far it came.
            (vec![own(1), refused(2)], 2, Some("2 of 2 addresses fail, 1 of them so; 10.0.0.2: trouble 2")),
            (vec![blocked(1), blocked(2)], 1, Some("2 of 2 addresses fail; 10.0.0.1: trouble 1")),
        ] {
            let count = attempts.len();
            let (attempt, results) = judge(attempts).unwrap();
            assert_eq!(attempt.address, IpAddr::from([10, 0, 0, told]));
            let said = match &attempt.outcome {
                Outcome::Passed => None,
                Outcome::Failed(failure) => Some(failure.detail.as_str()),
            };
            assert_eq!(said, detail);
            assert!(results.len() == count && results.is_sorted_by_key(|result| result.address));
        }
        assert!(judge(Vec::new()).is_none());
    }

    #[test]
    fn the_choice_does_not_hang_on_the_nameservers_order() {
        let at = |last: u8| SocketAddr::from(([10, 0, 0, last], 80));
        let v6 = |last: u16| SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, last], 80));
        let (all, first) = (Addresses::All, Addresses::First);
        for (found, addresses, family, wanted) in [
            (vec![at(2), at(1), at(2)], all, Family::Any, vec![at(2), at(1)]),
            ((1..=40).rev().map(at).collect(), all, Family::Any, (1..=16).rev().map(at).collect()),
            (vec![at(2), v6(1), at(1), v6(2)], first, Family::Both, vec![v6(1), at(2)]),
            (vec![at(2), v6(1), at(1)], all, Family::Both, vec![at(2), v6(1), at(1)]),
            (vec![at(2), at(1)], first, Family::Both, vec![at(2)]),
            (vec![], all, Family::Any, vec![]),
        ] {
            assert_eq!(chosen(found, addresses, family), wanted);
        }
    }
}
