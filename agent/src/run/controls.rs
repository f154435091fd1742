//! Looks at controls: starts them when they are due, each a task with a deadline of its own.

use std::{collections::BTreeMap, sync::Arc};

use quorate_proto::{Controls, Doubt, FailureKind};
use tokio::task::{Id, JoinSet};

use crate::{
    clock::{self, Tick},
    doubt::controls::{Answer, Subject, Watch},
    probe::{ControlTarget, Prober},
};

/// All controls of this agent.
pub(super) struct Looks {
    prober: Arc<Prober>,
    /// Whether the agent was started with controls of its own, which those of the aggregator do not replace.
    has_own: bool,
    controls: Controls,
    watch: Watch,
    /// Targets, read once.
    targets: BTreeMap<String, Arc<ControlTarget>>,
    tasks: JoinSet<Look>,
    /// The number of the look that each task makes, where its answer is still wanted.
    running: BTreeMap<Id, usize>,
}

/// A look that is over.
pub(super) struct Look {
    pub(super) subject: Subject,
    answer: Answer,
}

impl Looks {
    /// Those that the agent was started with, where it was.
    pub(super) fn new(prober: Arc<Prober>, own: Option<Controls>, now: Tick) -> Self {
        let mut looks = Self {
            prober,
            has_own: own.is_some(),
            controls: Controls::default(),
            watch: Watch::default(),
            targets: BTreeMap::new(),
            tasks: JoinSet::new(),
            running: BTreeMap::new(),
        };
        looks.replace(own.unwrap_or_default(), now);
        looks
    }

    /// The aggregator says what to look at.
    pub(super) fn set(&mut self, controls: Controls, now: Tick) {
        if !self.has_own && controls != self.controls {
            tracing::info!(targets = controls.targets.len(), "controls changed");
            self.replace(controls, now);
        }
    }

    /// Starts what is due.
    pub(super) fn start_due(&mut self, now: Tick) {
        while let Some((number, subject)) = self.watch.take_due(now) {
            let prober = Arc::clone(&self.prober);
            let target = match &subject {
                Subject::Target(text) => self.targets.get(text).cloned(),
                Subject::Resolves(_) | Subject::ResolvesNot(_) => None,
            };
            let task = self.tasks.spawn(async move {
                let answer = look(&prober, &subject, target.as_deref()).await;
                Look { subject, answer }
            });
            self.running.insert(task.id(), number);
        }
    }

    /// When the next look is due.
    pub(super) fn deadline(&self) -> Option<Tick> {
        self.watch.deadline()
    }

    /// Waits for the next look that is over, and takes its answer. Waits for ever while none is under way.
    pub(super) async fn next(&mut self) -> Look {
        loop {
            match self.tasks.join_next_with_id().await {
                Some(Ok((id, look))) => {
                    self.take(id, &look.subject, look.answer.clone());
                    return look;
                }
                // They are aborted with their plan only, and then nobody waits for their answer.
                Some(Err(error)) => {
                    if error.is_panic() {
                        tracing::error!(%error, "a look at a control was lost");
                    }
                    let (id, answer) = (error.id(), Answer::Barred("the look at it broke off".to_owned()));
                    self.take(id, &Subject::Target(String::new()), answer);
                }
                None => std::future::pending().await,
            }
        }
    }

    /// A check has failed: perhaps it is this agent's own network.
    pub(super) fn hurry(&mut self, now: Tick) {
        self.watch.hurry(now);
    }

    /// What is wrong at this moment.
    pub(super) fn wrong(&self, connected: bool) -> Vec<(Doubt, String)> {
        self.watch.wrong(connected)
    }

    /// Gives up everything.
    pub(super) fn abort(&mut self) {
        self.watch = Watch::default();
        self.running.clear();
        self.tasks.abort_all();
    }

    fn replace(&mut self, controls: Controls, now: Tick) {
        self.abort();
        let read = |text: &String| (text.clone(), Arc::new(self.prober.control(text)));
        self.targets = controls.targets.iter().map(read).collect();
        self.watch = Watch::new(&controls, now);
        self.controls = controls;
    }

    fn take(&mut self, task: Id, subject: &Subject, answer: Answer) {
        let Some(number) = self.running.remove(&task) else { return };
        let is_news = self.watch.answered(number, answer.clone(), clock::tick());
        match answer {
            Answer::Good => {}
            Answer::Bad(why) => tracing::debug!(?subject, why, "a control fails"),
            Answer::Barred(why) if is_news => {
                tracing::warn!(?subject, why, "a control cannot be looked at, and does not count");
            }
            Answer::Barred(_) => {}
        }
    }
}

async fn look(prober: &Prober, subject: &Subject, target: Option<&ControlTarget>) -> Answer {
    match (subject, target) {
        (Subject::Target(_), Some(target)) => match prober.look(target).await {
            Ok(()) => Answer::Good,
            Err(failure) if failure.kind == FailureKind::EgressBlocked => Answer::Barred(failure.detail),
            Err(failure) => Answer::Bad(failure.kind.to_string()),
        },
        (Subject::Target(_), None) => Answer::Barred("it was not read".to_owned()),
        (Subject::Resolves(name), _) => match prober.has_address(name).await {
            Ok(true) => Answer::Good,
            Ok(false) => Answer::Bad("it has no address, they say".to_owned()),
            Err(failure) => Answer::Bad(failure.detail),
        },
        (Subject::ResolvesNot(name), _) => match prober.has_address(name).await {
            Ok(true) => Answer::Bad("it has an address, they say".to_owned()),
            // Nameservers that say nothing do not lie.
            Ok(false) | Err(_) => Answer::Good,
        },
    }
}
