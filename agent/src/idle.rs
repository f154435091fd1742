//! The idle timeout of a path: after how long it cuts a connection on which nothing is said, and how.
//!
//! Proxies, load balancers, firewalls and NATs all have one, and few say so. [`search`] holds connections side by side and
//! is silent on each for another while. `planner.rs` says for how long and what it means; `watch.rs` holds one connection.

mod planner;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use quorate_proto::{Micros, MonitorSpec, canary::IdleFinding, limits as protocol};

use self::planner::Planner;
use crate::{
    clock::tick,
    limits,
    probe::{Prepared, Prober},
};

/// How far a search has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Since its start.
    pub elapsed: Micros,
    /// When the present round ends at the latest, since the start of the search.
    pub round_ends: Micros,
    /// Rounds so far, the present one included.
    pub round: usize,
    /// Connections that are held at present, or being opened.
    pub held: usize,
    /// Connections of all rounds so far.
    pub connections: usize,
    /// The longest idle time that a connection survived.
    pub survived: Micros,
    /// The shortest idle time after which one was cut, where one was.
    pub cut: Option<Micros>,
}

/// Finds after how long the path to a monitor's server cuts an idle connection, up to `max` (at most
/// [`protocol::IDLE_SEARCH_MAX_MAX`]), and how. Takes a little more than the timeout where the cut can be seen as it
/// happens, a little more than `max` where there is none, and up to four times `max` where it must be narrowed down. Opens
/// at most [`limits::IDLE_CONNECTIONS_MAX`] connections, [`limits::IDLE_RUNGS`] of them at a time.
///
/// `progress` is called whenever something is found, and once a second.
pub async fn search(
    prober: &Prober,
    spec: &MonitorSpec,
    max: Micros,
    progress: impl FnMut(&Standing),
) -> IdleFinding {
    search_prepared(prober, &prober.prepare(Arc::new(spec.clone())), max, progress).await
}

/// The same for a monitor that was made ready.
pub(crate) async fn search_prepared(
    prober: &Prober,
    prepared: &Prepared,
    max: Micros,
    mut progress: impl FnMut(&Standing),
) -> IdleFinding {
    let max = max.clamp(protocol::IDLE_SEARCH_MAX_MIN, protocol::IDLE_SEARCH_MAX_MAX);
    let started = tick();
    let mut planner = Planner::new(max);
    let mut round = 0;
    while let Some(idle_times) = planner.next_round(tick().since(started)) {
        round += 1;
        let longest = idle_times.first().copied().unwrap_or_default();
        let round_ends = tick().since(started) + longest + prepared.spec().timeout * 2;
        let mut watched: FuturesUnordered<_> = idle_times
            .into_iter()
            .zip(0..)
            .map(|(idle, place)| watch::watch(prober, prepared, idle, limits::IDLE_STAGGER * place, started))
            .collect();
        let mut second = tokio::time::interval(std::time::Duration::from_secs(1));
        while !watched.is_empty() {
            let is_over = tokio::select! {
                Some(observation) = watched.next() => planner.take(observation),
                _ = second.tick() => false,
            };
            let (survived, cut) = planner.bracket();
            let (elapsed, held) = (tick().since(started), watched.len());
            let connections = planner.connections();
            progress(&Standing { elapsed, round_ends, round, held, connections, survived, cut });
            if is_over {
                break;
            }
        }
    }
    planner.finding()
}
