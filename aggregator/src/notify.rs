//! Getting alerts to people: the outbox's sending end.
//!
//! The core owns the outbox. It tells this stage which channels there are and what is owed ([`Dispatch`]), and hears
//! of every attempt ([`Intake::Attempted`]); a delivery is done with once the core has stored that. So every alert is
//! sent at least once under one id, and twice at worst where the program is killed between a receiver's yes and the
//! commit of it: receivers tell by the `webhook-id`.
//!
//! One task owns all queues and awaits nothing that a receiver could hold up: attempts run as tasks of their own, at
//! most [`CHANNEL_IN_FLIGHT_MAX`](crate::limits::CHANNEL_IN_FLIGHT_MAX) a channel, each under its deadline. A channel
//! that hangs delays no other. When what is tried again, and how a receiver's answer is read, is said in `schedule`,
//! `answer` and `desk`, which are pure.
//!
//! # What a receiver may be
//! The operator chooses the URLs in a file of their own, so private and loopback addresses are allowed: an
//! Alertmanager bridge on the same machine is a usual receiver. Nothing that comes from outside chooses an address:
//! redirects are not followed, proxies of the environment are not used, and of an answer at most 4 KiB are read.
//!
//! # Secrets
//! Webhook URLs and signing secrets are never logged. A receiver is named by scheme and host, in logs and in the
//! errors that the API shows, and its own words are shown without the parts of its URL.

mod answer;
mod desk;
mod post;
mod queue;
#[cfg(test)]
mod sample;
mod schedule;
mod sign;
mod slack;
#[cfg(test)]
mod trial;
mod webhook;

use std::{collections::VecDeque, panic::AssertUnwindSafe};

use futures_util::FutureExt;
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use self::{
    answer::{Answer, Outcome},
    desk::{Desk, Job, Settled, Step},
    post::Post,
};
use crate::{
    clock,
    config::{Channel, ChannelKind},
    limits::{NOTIFY_DRAIN, REPORTS_WAITING_MAX},
    model::{Attempt, DeliveryState, Dispatch, Intake},
};

pub use sign::{SecretError, WebhookSecret};

/// What alerts say of the status page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Where people reach it; none: alerts hold no link.
    pub page_url: Option<String>,
    /// What it calls itself.
    pub page_title: String,
}

/// Sends what `dispatch` owes until `cancel`, or until either channel closes, and tells `intake` of every attempt.
///
/// [`Dispatch::Channels`] comes first: a delivery for a channel that is not known then is reported as failed. After
/// `cancel` no attempt is begun, those under way get under a second to end in, and what they came to is reported as
/// long as `intake` takes it.
pub async fn run(
    options: Options,
    mut dispatch: mpsc::Receiver<Dispatch>,
    intake: mpsc::Sender<Intake>,
    cancel: CancellationToken,
) {
    let post = match Post::new(options, post::public_roots()) {
        Ok(post) => post,
        Err(error) => {
            error!(%error, "no alert can be sent: the HTTP client cannot be made");
            return;
        }
    };
    let mut clerk = Clerk {
        desk: Desk::new(fastrand::u64(..)),
        post,
        under_way: JoinSet::new(),
        reports: VecDeque::new(),
    };
    loop {
        let wait = clerk.advance();
        tokio::select! {
            () = cancel.cancelled() => break,
            permit = intake.reserve(), if !clerk.reports.is_empty() => {
                let (Ok(permit), Some(report)) = (permit, clerk.reports.pop_front()) else { break };
                permit.send(report);
            }
            Some(Ok(settled)) = clerk.under_way.join_next() => clerk.settle(settled),
            told = dispatch.recv() => match told {
                Some(told) => clerk.take(told),
                None => break,
            },
            () = wait => {}
        }
    }
    if timeout(NOTIFY_DRAIN.into(), clerk.drain(&intake)).await.is_err() {
        info!(
            attempts = clerk.under_way.len(),
            "attempts under way were cut off; they are made again after the start"
        );
    }
}

/// The desk with its hands: the attempts under way and the reports on their way to the core.
struct Clerk {
    desk: Desk,
    post: Post,
    under_way: JoinSet<Settled>,
    reports: VecDeque<Intake>,
}

impl Clerk {
    /// Begins what may begin. Returns the wait until there may be more.
    fn advance(&mut self) -> impl Future<Output = ()> + use<> {
        let (now, wall) = (clock::now(), clock::wall());
        while self.reports.len() < REPORTS_WAITING_MAX
            && let Some(step) = self.desk.step(now, wall)
        {
            match step {
                Step::Send(job) => {
                    self.under_way.spawn(attempt(self.post.clone(), job));
                }
                Step::Report(attempt) => {
                    let Attempt { delivery, channel, error, .. } = &attempt;
                    info!(delivery, channel, error = error.as_deref(), "alert given up without an attempt");
                    self.reports.push_back(Intake::Attempted(attempt));
                }
            }
        }
        while let Some(channel) = self.desk.refill(now) {
            debug!(channel, "a full queue has room again");
            self.reports.push_back(Intake::Refill { channel });
        }
        // With as many reports waiting nothing more begins; the next report that is taken comes back here.
        let wake_at = self.desk.wake_at().filter(|_| self.reports.len() < REPORTS_WAITING_MAX);
        let wait = wake_at.map(|wake_at| wake_at.since(clock::now()));
        async move {
            match wait {
                Some(wait) => sleep(wait.into()).await,
                None => std::future::pending().await,
            }
        }
    }

    fn take(&mut self, told: Dispatch) {
        let now = clock::now();
        match told {
            Dispatch::Channels(channels) => {
                channels.iter().for_each(warn_if_unsigned);
                self.desk.channels(channels, now);
            }
            Dispatch::Deliver(delivery) => self.desk.deliver(delivery, now, clock::wall()),
        }
    }

    fn settle(&mut self, settled: Settled) {
        let gone = settled.answer.outcome == Outcome::Gone;
        let attempt = self.desk.settle(settled, clock::now(), clock::wall());
        log(&attempt);
        if gone {
            warn!(channel = attempt.channel, "the channel is closed until the configuration is read again");
        }
        self.reports.push_back(Intake::Attempted(attempt));
    }

    /// Waits for the attempts under way and for the core to take all reports.
    async fn drain(&mut self, intake: &mpsc::Sender<Intake>) {
        while let Some(ended) = self.under_way.join_next().await {
            if let Ok(settled) = ended {
                self.settle(settled);
            }
            // What is known is told at once: a later attempt may take all the time that there is.
            while let Some(report) = self.reports.pop_front() {
                match intake.try_send(report) {
                    Ok(()) => {}
                    Err(TrySendError::Full(report)) => {
                        self.reports.push_front(report);
                        break;
                    }
                    Err(TrySendError::Closed(_)) => return,
                }
            }
        }
        for report in self.reports.drain(..) {
            if intake.send(report).await.is_err() {
                return;
            }
        }
    }
}

/// Makes one attempt. A fault of our own costs that attempt, not the stage.
async fn attempt(post: Post, job: Job) -> Settled {
    let began = clock::now();
    let answer = AssertUnwindSafe(post.attempt(&job)).catch_unwind().await;
    let answer =
        answer.unwrap_or_else(|_| Answer::refused("a fault of Quorate's own; see its standard error"));
    Settled { job, answer, took: clock::now().since(began) }
}

fn warn_if_unsigned(channel: &Channel) {
    if let ChannelKind::Webhook { secrets, .. } = &channel.kind
        && secrets.is_empty()
    {
        warn!(
            channel = channel.id,
            "webhooks of this channel are not signed: its receiver cannot tell them from forged ones"
        );
    }
}

fn log(attempt: &Attempt) {
    let Attempt { delivery, channel, state, status, error, took, due_at, .. } = attempt;
    let error = error.as_deref();
    match state {
        DeliveryState::Delivered => info!(delivery, channel, status, %took, "alert delivered"),
        DeliveryState::Pending => {
            let due_at = due_at.map(crate::model::rfc3339::text);
            info!(delivery, channel, status, error, %took, due_at, "alert not delivered, and tried again");
        }
        DeliveryState::Failed => warn!(delivery, channel, status, error, "alert given up"),
    }
}
