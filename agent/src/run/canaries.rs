//! The canaries of all assigned monitors that want one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use quorate_proto::{MonitorId, canary::CanaryEvent};
use tokio::{
    sync::{Semaphore, mpsc},
    task::{Id, JoinSet},
};

use crate::{
    canary::{self, Line, Report, Shared},
    clock::Tick,
    limits,
    probe::{Prepared, Prober, held::Farewell},
};

/// All canaries.
pub(super) struct Canaries {
    shared: Shared,
    reports: mpsc::Receiver<Report>,
    tasks: JoinSet<()>,
    posts: BTreeMap<MonitorId, Post>,
    /// At most so many.
    places: usize,
    /// Monitors that want one and have none because all places are taken.
    without: usize,
    /// Canaries so far.
    numbers: u64,
    has_warned: bool,
}

/// One canary, as the agent sees it.
struct Post {
    number: u64,
    line: Arc<Line>,
    task: Id,
    is_open: bool,
}

impl Canaries {
    /// None yet. `places` is how many there may be.
    pub(super) fn new(prober: Arc<Prober>, places: usize) -> Self {
        let (send, reports) = mpsc::channel(limits::CANARY_REPORTS_WAITING_MAX);
        let openings = Arc::new(Semaphore::new(limits::CANARIES_OPENING_MAX));
        let shared = Shared { prober, openings, reports: send };
        Self {
            shared,
            reports,
            tasks: JoinSet::new(),
            posts: BTreeMap::new(),
            places,
            without: 0,
            numbers: 0,
            has_warned: false,
        }
    }

    /// Holds a connection for each of these monitors that wants one, and for no other. What is open stays open where it is
    /// not concerned.
    pub(super) fn set<'monitor>(&mut self, monitors: impl Iterator<Item = &'monitor Arc<Prepared>>) {
        let wanted: Vec<_> = monitors.filter(|prepared| prepared.spec().canary.is_some()).collect();
        let ids: BTreeSet<&MonitorId> = wanted.iter().map(|prepared| &prepared.spec().id).collect();
        self.posts.retain(|id, post| {
            let stays = ids.contains(id);
            if !stays {
                post.line.leave(Farewell::Done);
            }
            stays
        });
        self.without = 0;
        for prepared in wanted {
            self.hold(prepared);
        }
        if self.without > 0 && !self.has_warned {
            self.has_warned = true;
            tracing::warn!(
                canaries = self.posts.len(),
                without = self.without,
                "the limit of open files (RLIMIT_NOFILE) leaves no room for more canaries; raise it, as with \
                 LimitNOFILE= of the service"
            );
        }
    }

    /// Closes all of them, because the agent stops.
    pub(super) fn leave(&mut self) {
        for post in self.posts.values() {
            post.line.leave(Farewell::GoingAway);
        }
        self.posts.clear();
    }

    /// What happened next. Waits for ever while nothing does.
    pub(super) async fn next(&mut self) -> Report {
        loop {
            tokio::select! {
                biased;
                Some(report) = self.reports.recv() => {
                    self.note(&report);
                    return report;
                }
                Some(ended) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => {
                    if let Err(error) = ended {
                        self.restart(error.id(), &error);
                    }
                }
            }
        }
    }

    /// What happened last, once all have been told to leave; none when the last is gone.
    pub(super) async fn last(&mut self) -> Option<Report> {
        loop {
            tokio::select! {
                biased;
                Some(report) = self.reports.recv() => return Some(report),
                ended = self.tasks.join_next() => if ended.is_none() {
                    return self.reports.try_recv().ok();
                }
            }
        }
    }

    /// Whether the canary on a monitor is open. Then it was heard from within its heartbeat and grace, or it would not be;
    /// and one whose server takes its time to answer is not said to live. Called by whoever doubts it, so it asks.
    pub(super) fn lives(&self, monitor: &MonitorId, now: Tick) -> bool {
        let Some(post) = self.posts.get(monitor).filter(|post| post.is_open) else { return false };
        post.line.ask();
        post.line.unanswered_for(now).is_none_or(|span| span < limits::CANARY_DOUBT_AFTER)
    }

    /// Canaries that are open.
    pub(super) fn open(&self) -> usize {
        self.posts.values().filter(|post| post.is_open).count()
    }

    /// Monitors that want a canary and have none, because the system gives this process too few descriptors.
    pub(super) fn without(&self) -> usize {
        self.without
    }

    fn hold(&mut self, prepared: &Arc<Prepared>) {
        let id = &prepared.spec().id;
        if let Some(post) = self.posts.get_mut(id) {
            if !canary::concerns_connection(post.line.prepared().spec(), prepared.spec()) {
                post.line.update(Arc::clone(prepared));
                return;
            }
            post.line.leave(Farewell::Done);
            self.posts.remove(id);
        }
        if self.posts.len() >= self.places {
            self.without += 1;
            return;
        }
        self.spawn(Arc::clone(prepared));
    }

    fn spawn(&mut self, prepared: Arc<Prepared>) {
        let Some(canary) = prepared.spec().canary else { return };
        self.numbers += 1;
        let (number, id) = (self.numbers, prepared.spec().id.clone());
        let line = Arc::new(Line::new(number, prepared));
        let task = self.tasks.spawn(canary::hold(self.shared.clone(), Arc::clone(&line), canary)).id();
        self.posts.insert(id, Post { number, line, task, is_open: false });
    }

    /// A canary panicked. Another one takes its post.
    fn restart(&mut self, task: Id, error: &tokio::task::JoinError) {
        let Some((id, post)) = self.posts.iter().find(|(_, post)| post.task == task) else { return };
        tracing::error!(monitor = %id, %error, "a canary was lost");
        let prepared = post.line.prepared();
        self.spawn(prepared);
    }

    fn note(&mut self, report: &Report) {
        let post = self.posts.get_mut(&report.result.monitor);
        let Some(post) = post.filter(|post| post.number == report.number) else { return };
        post.is_open = match report.result.event {
            CanaryEvent::Opened { .. } | CanaryEvent::Alive { .. } => true,
            CanaryEvent::NotOpened { .. } | CanaryEvent::Ended { .. } | CanaryEvent::Left { .. } => false,
        };
    }
}
