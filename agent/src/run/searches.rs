//! Searches for idle timeouts, rarely and in the background.

use std::{collections::BTreeMap, sync::Arc};

use quorate_proto::{
    Micros, MonitorId,
    canary::{IdleSearch, IdleTimeoutResult},
};
use tokio::task::{AbortHandle, JoinSet};

use crate::{
    clock::{self, Tick},
    idle, limits,
    probe::{Prepared, Prober},
};

/// All searches of assigned monitors.
pub(super) struct Searches {
    prober: Arc<Prober>,
    tasks: JoinSet<Found>,
    monitors: BTreeMap<MonitorId, Searched>,
    running: usize,
}

/// What a search found.
pub(super) struct Found {
    pub(super) result: IdleTimeoutResult,
    /// When it ended.
    pub(super) at: Tick,
}

struct Searched {
    monitor: Arc<Prepared>,
    search: IdleSearch,
    state: State,
}

enum State {
    /// It is due then.
    Due(Tick),
    Running(AbortHandle),
}

impl Drop for Searched {
    fn drop(&mut self) {
        if let State::Running(task) = &self.state {
            task.abort();
        }
    }
}

impl Searches {
    pub(super) fn new(prober: Arc<Prober>) -> Self {
        Self { prober, tasks: JoinSet::new(), monitors: BTreeMap::new(), running: 0 }
    }

    /// Searches for these monitors, where they want it, and for no others. One that has not changed keeps its turn. The
    /// first turn comes within a tenth of the interval, at random: neither all monitors at once, nor all agents.
    pub(super) fn set<'monitor>(
        &mut self,
        monitors: impl Iterator<Item = &'monitor Arc<Prepared>>,
        now: Tick,
    ) {
        let mut before = std::mem::take(&mut self.monitors);
        for monitor in monitors {
            let Some(search) = monitor.spec().idle_search else { continue };
            let id = &monitor.spec().id;
            let same = before.remove(id).filter(|searched| Arc::ptr_eq(&searched.monitor, monitor));
            let searched = same.unwrap_or_else(|| {
                let state = State::Due(now.after(tenth(search.every)));
                Searched { monitor: Arc::clone(monitor), search, state }
            });
            self.monitors.insert(id.clone(), searched);
        }
    }

    /// Starts what is due, as far as there is room.
    pub(super) fn start_due(&mut self, now: Tick) {
        for searched in self.monitors.values_mut() {
            let State::Due(due) = searched.state else { continue };
            if due > now || self.running >= limits::IDLE_SEARCHES_MAX {
                continue;
            }
            let (prober, monitor) = (Arc::clone(&self.prober), Arc::clone(&searched.monitor));
            let max = searched.search.max;
            let task = self.tasks.spawn(async move {
                let finding = idle::search_prepared(&prober, &monitor, max, |_| {}).await;
                let (monitor, at) = (monitor.spec().id.clone(), clock::wall());
                let result = IdleTimeoutResult { monitor, at, age: Micros::ZERO, finding };
                Found { result, at: clock::tick() }
            });
            searched.state = State::Running(task);
            self.running += 1;
        }
    }

    /// When the next one is due; none while there is no room for it.
    pub(super) fn deadline(&self) -> Option<Tick> {
        let due = self.monitors.values().filter_map(|searched| match searched.state {
            State::Due(due) => Some(due),
            State::Running(_) => None,
        });
        due.min().filter(|_| self.running < limits::IDLE_SEARCHES_MAX)
    }

    /// The next search that is over. Waits for ever while none is under way.
    pub(super) async fn next(&mut self) -> Found {
        loop {
            let Some(ended) = self.tasks.join_next_with_id().await else {
                std::future::pending::<()>().await;
                continue;
            };
            self.running = self.running.saturating_sub(1);
            match ended {
                Ok((task, found)) => {
                    self.rest(task);
                    return found;
                }
                Err(error) => {
                    if error.is_panic() {
                        tracing::error!(%error, "a search for an idle timeout was lost");
                    }
                    self.rest(error.id());
                }
            }
        }
    }

    /// Gives up everything under way.
    pub(super) fn abort(&mut self) {
        self.monitors.clear();
    }

    /// The search of this task is over: the next one of its monitor is due after its interval.
    fn rest(&mut self, task: tokio::task::Id) {
        let is_it = |searched: &&mut Searched| matches!(&searched.state, State::Running(running) if running.id() == task);
        if let Some(searched) = self.monitors.values_mut().find(is_it) {
            let every = searched.search.every;
            searched.state = State::Due(clock::tick().after(every + tenth(every)));
        }
    }
}

/// A random span of up to a tenth.
fn tenth(span: Micros) -> Micros {
    Micros(fastrand::u64(..=span.0 / 10))
}
