//! Controls: servers that answer as a rule, and names whose answer is known. Where they fail, the fault is the agent's own
//! network. Pure: this says when to look at which of them, and what the answers come to.
//!
//! Each is looked at every few seconds, all of them staggered over that time, whatever happens: so the load is small,
//! constant, and the same for everybody's servers. One that failed is looked at again after [`limits::CONTROL_AGAIN`]; and
//! when a check of a monitor fails all are, at most that often, so that an agent that is cut off knows before a quorum of
//! such agents has made an outage of it.
//!
//! Targets make a doubt when at least three have answered or failed, and half of those or more fail. The line to the
//! aggregator counts as one more that answers while it is there. Where it is not, it does not count: the aggregator may
//! have been restarted, and all agents would doubt themselves at once.
//!
//! A name that must be resolved makes a doubt when it was not, twice on end: a datagram is lost now and then. A name
//! that must not be makes one at once: no accident invents an address.

use quorate_proto::{Controls, Doubt, Micros};

use crate::{clock::Tick, limits};

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A server that answers as a rule.
    Target(String),
    /// A name that must be resolved.
    Resolves(String),
    /// A name that must not be.
    ResolvesNot(String),
}

/// What came of one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// What it should be.
    Good,
    /// It failed, and how.
    Bad(String),
    /// It says nothing: the egress filter does not allow it, or it cannot be read.
    Barred(String),
}

/// When to look at which control, and what was found.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    every: Micros,
    looks: Vec<Look>,
}

#[derive(Clone, Debug)]
struct Look {
    subject: Subject,
    due: Tick,
    is_running: bool,
    started: Option<Tick>,
    /// The latest answer; none before the first.
    answer: Option<Answer>,
    /// Bad ones on end.
    bad: u32,
}

impl Watch {
    /// A watch over these controls. The first looks are staggered as all others are.
    pub fn new(controls: &Controls, now: Tick) -> Self {
        let Controls { targets, every, resolves, resolves_not } = controls.clone();
        let targets = targets.into_iter().map(Subject::Target);
        let names = resolves.map(Subject::Resolves).into_iter().chain(resolves_not.map(Subject::ResolvesNot));
        let subjects: Vec<_> = targets.chain(names).collect();
        let step = every / u64::try_from(subjects.len().max(1)).unwrap_or(u64::MAX);
        let look = |(subject, due): (Subject, Tick)| Look {
            subject,
            due,
            is_running: false,
            started: None,
            answer: None,
            bad: 0,
        };
        let dues = std::iter::successors(Some(now), |due| Some(due.after(step)));
        Self { every, looks: subjects.into_iter().zip(dues).map(look).collect() }
    }

    /// The next look that is due, with the number under which its answer is to be given.
    pub fn take_due(&mut self, now: Tick) -> Option<(usize, Subject)> {
        let is_due = |(_, look): &(usize, &mut Look)| !look.is_running && look.due <= now;
        let (number, look) = self.looks.iter_mut().enumerate().find(is_due)?;
        (look.is_running, look.started, look.due) = (true, Some(now), now.after(self.every));
        Some((number, look.subject.clone()))
    }

    /// When the next look is due.
    pub fn deadline(&self) -> Option<Tick> {
        self.looks.iter().filter(|look| !look.is_running).map(|look| look.due).min()
    }

    /// A look is over. True where it is the first that is barred: somebody should be told.
    pub fn answered(&mut self, number: usize, answer: Answer, now: Tick) -> bool {
        let Some(look) = self.looks.get_mut(number) else { return false };
        look.is_running = false;
        match &answer {
            Answer::Bad(_) => {
                look.bad = look.bad.saturating_add(1);
                look.due = look.due.min(now.after(limits::CONTROL_AGAIN));
            }
            Answer::Good | Answer::Barred(_) => look.bad = 0,
        }
        let is_barred = |answer: &Answer| matches!(answer, Answer::Barred(_));
        let is_news = is_barred(&answer) && !look.answer.as_ref().is_some_and(is_barred);
        look.answer = Some(answer);
        is_news
    }

    /// Somebody doubts this agent's network: looks at everything that was not looked at just now.
    pub fn hurry(&mut self, now: Tick) {
        for look in &mut self.looks {
            let again = look.started.map_or(now, |started| started.after(limits::CONTROL_AGAIN));
            look.due = look.due.min(again.max(now));
        }
    }

    /// What is wrong at this moment. `connected`: whether the line to the aggregator is there.
    pub fn wrong(&self, connected: bool) -> Vec<(Doubt, String)> {
        let mut wrong = Vec::new();
        wrong.extend(self.failing(connected).map(|detail| (Doubt::ControlsFailing, detail)));
        for look in &self.looks {
            let Some(Answer::Bad(why)) = &look.answer else { continue };
            match &look.subject {
                Subject::Resolves(name) if look.bad >= limits::LOOKUPS_BAD_MIN => {
                    wrong.push((Doubt::ResolverFailing, format!("{name}: {why}")));
                }
                Subject::ResolvesNot(name) => wrong.push((Doubt::ResolverLying, format!("{name}: {why}"))),
                Subject::Resolves(_) | Subject::Target(_) => {}
            }
        }
        wrong
    }

    /// The targets that fail, in words, where they are half or more of at least three.
    fn failing(&self, connected: bool) -> Option<String> {
        let (mut good, mut bad) = (usize::from(connected), Vec::new());
        for look in &self.looks {
            match (&look.subject, &look.answer) {
                (Subject::Target(_), Some(Answer::Good)) => good += 1,
                (Subject::Target(target), Some(Answer::Bad(why))) => bad.push(format!("{target} ({why})")),
                (Subject::Target(_) | Subject::Resolves(_) | Subject::ResolvesNot(_), _) => {}
            }
        }
        let asked = good + bad.len();
        (asked >= quorate_proto::limits::CONTROLS_MIN && bad.len() * 2 >= asked)
            .then(|| format!("{} of {asked} do not answer: {}", bad.len(), bad.join(", ")))
    }
}
