//! The task around the core: `select` awaits, [`Core::apply`] decides, effects are carried out in order.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use arc_swap::ArcSwap;
use quorate_proto::{AggregatorKey, WallMicros, frame::AggregatorControl, limits::ASSIGNMENTS_PER_FRAME_MAX};
use quorate_quorum::Moment;
use tokio::{
    sync::{mpsc, oneshot},
    task::{JoinSet, spawn_blocking},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    effect::{Effect, HandOver, HandedOver, Input, Now, Parcel},
    start::ForeignKey,
    state::Core,
};
use crate::{
    clock,
    config::Config,
    limits,
    model::{Dispatch, Intake, Push, Roster, Snapshot},
    store::{CommitError, Recovered, Store},
};

/// What the core is made of.
#[derive(Debug)]
pub struct Options {
    /// What the operator wants.
    pub config: Arc<Config>,
    /// The aggregator's key, for join strings and for the database that belongs to it.
    pub key: AggregatorKey,
    /// `host:port` at which agents reach the aggregator, for join strings.
    pub address: String,
    /// Where to write.
    pub store: Store,
    /// What was there at the start.
    pub recovered: Recovered,
}

/// Runs the core until it is cancelled or every sender of its intake is gone. It then commits what it has, hands nothing
/// more to `notify`, and closes the store. What is owed is sent after the next start.
///
/// The roster and the first picture are there before this first awaits anything.
///
/// # Errors
/// [`ForeignKey`], before anything is done.
pub async fn run(
    options: Options,
    mut intake: mpsc::Receiver<Intake>,
    dispatch: mpsc::Sender<Dispatch>,
    roster: Arc<ArcSwap<Roster>>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    cancel: CancellationToken,
) -> Result<(), ForeignKey> {
    let Options { config, key, address, store, recovered } = options;
    let mut clocks = Clocks::default();
    let mut core = Core::start(config, key, address, recovered, clocks.read())?;
    let mut shell = Shell {
        clocks,
        store,
        roster,
        snapshot,
        committing: None,
        handing_over: JoinSet::new(),
        dispatches: Dispatches::default(),
    };
    loop {
        shell.carry_out(&mut core);
        let input = tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            outcome = ended(&mut shell.committing) => Input::Committed(outcome),
            Some(Ok(ended)) = shell.handing_over.join_next() => Input::HandedOver(ended),
            Ok(room) = dispatch.reserve(), if !shell.dispatches.is_empty() => {
                if let Some(next) = shell.dispatches.pop() {
                    room.send(next);
                }
                continue;
            }
            message = intake.recv() => match message {
                Some(message) => Input::Intake(Box::new(message)),
                None => break,
            },
            () = sleep(core.wake_at().since(clock::now()).into()) => Input::Time,
        };
        core.apply(input, shell.clocks.read());
    }
    shell.stop(core, intake).await;
    Ok(())
}

/// The hands of the core.
struct Shell {
    clocks: Clocks,
    store: Store,
    roster: Arc<ArcSwap<Roster>>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    committing: Option<oneshot::Receiver<Result<(), CommitError>>>,
    handing_over: JoinSet<HandedOver>,
    /// What `notify` had no room for yet.
    dispatches: Dispatches,
}

impl Shell {
    fn carry_out(&mut self, core: &mut Core) {
        for effect in std::mem::take(&mut core.effects) {
            match effect {
                Effect::Commit(commit) => self.committing = Some(self.store.submit(commit)),
                Effect::HandOver(parcel) => {
                    self.handing_over.spawn(hand_over(parcel));
                }
                Effect::Dispatch(dispatch) => self.dispatches.push(dispatch),
                Effect::Roster(roster) => self.roster.store(Arc::new(roster)),
                Effect::Picture(picture) => self.snapshot.store(Arc::from(picture)),
                // A connection without room is one that takes nothing: its own deadlines end it.
                Effect::Push(push, message) => drop(push.try_send(message)),
                // Whoever asked may have gone.
                Effect::Ack(ack, verdict) => drop(ack.send(verdict)),
                Effect::Joined(reply, answer) => drop(reply.send(answer)),
                Effect::Added(reply, answer) => drop(reply.send(answer)),
                Effect::Revoked(reply, answer) => drop(reply.send(answer)),
                Effect::Maintained(reply, answer) => drop(reply.send(answer)),
            }
        }
    }

    /// Takes what has come already, commits it, and closes the store.
    async fn stop(mut self, mut core: Core, mut intake: mpsc::Receiver<Intake>) {
        intake.close();
        while let Ok(message) = intake.try_recv() {
            core.apply(Input::Intake(Box::new(message)), self.clocks.read());
            self.carry_out(&mut core);
        }
        let last = async {
            core.farewell(self.clocks.read());
            core.apply(Input::Time, self.clocks.read());
            self.carry_out(&mut core);
            while self.committing.is_some() && core.ledger.is_writable() {
                let outcome = ended(&mut self.committing).await;
                core.ledger.hurry();
                core.apply(Input::Committed(outcome), self.clocks.read());
                self.carry_out(&mut core);
            }
        };
        if timeout(limits::CORE_STOP_WAIT, last).await.is_err() || !core.ledger.is_idle() {
            tracing::error!("the last commit was not made; agents send its results again");
        }
        let store = self.store;
        let closed = timeout(limits::CORE_STOP_WAIT, spawn_blocking(move || store.close())).await;
        if closed.is_err() {
            tracing::error!("the store did not close in time; nothing that was acknowledged is lost");
        }
    }
}

/// Messages for `notify`, in order. A delivery that waits here already is not added again by a refill, so that there are
/// never more than [`limits::OUTBOX_MAX`].
#[derive(Default)]
struct Dispatches {
    queue: VecDeque<Dispatch>,
    deliveries: BTreeSet<u64>,
}

impl Dispatches {
    fn push(&mut self, dispatch: Dispatch) {
        let is_new = match &dispatch {
            Dispatch::Deliver(delivery) => self.deliveries.insert(delivery.id),
            Dispatch::Channels(_) => true,
        };
        if is_new {
            self.queue.push_back(dispatch);
        }
    }

    fn pop(&mut self) -> Option<Dispatch> {
        let next = self.queue.pop_front()?;
        if let Dispatch::Deliver(delivery) = &next {
            self.deliveries.remove(&delivery.id);
        }
        Some(next)
    }

    fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

/// Both clocks, kept in step.
///
/// The two are read one after the other, so that what lies between them differs a little every time. It is taken anew
/// only when it has really changed, by a correction of the wall clock or by drift; otherwise what people see of one
/// moment would be another text each time.
#[derive(Default)]
struct Clocks {
    /// The wall clock less the steady one.
    offset: i64,
}

impl Clocks {
    fn read(&mut self) -> Now {
        self.step(clock::now(), clock::wall())
    }

    fn step(&mut self, moment: Moment, wall: WallMicros) -> Now {
        let steady = moment.to_wall().0;
        let offset = wall.0.saturating_sub(steady);
        if offset.abs_diff(self.offset) > limits::CLOCKS_APART_MAX.0 {
            self.offset = offset;
        }
        Now { moment, wall: WallMicros(steady.saturating_add(self.offset)) }
    }
}

/// Waits for the commit under way; for ever where there is none.
async fn ended(
    committing: &mut Option<oneshot::Receiver<Result<(), CommitError>>>,
) -> Result<(), CommitError> {
    match committing {
        Some(outcome) => {
            let outcome = outcome.await.unwrap_or(Err(CommitError::Closed));
            *committing = None;
            outcome
        }
        None => std::future::pending().await,
    }
}

/// Gives a connection its assignments, frame by frame.
async fn hand_over(parcel: HandOver) -> HandedOver {
    let HandOver { agent, connection, push, revision, parcel } = parcel;
    let mut whole = true;
    for frame in frames(parcel, revision) {
        let sent = timeout(limits::HAND_OVER_WAIT, push.send(Push::Send(frame))).await;
        whole = matches!(sent, Ok(Ok(())));
        if !whole {
            break;
        }
    }
    HandedOver { agent, connection, revision, whole }
}

/// A parcel as frames, made one by one. An empty one is a frame too: its revision matters.
fn frames(parcel: Parcel, revision: u64) -> Box<dyn Iterator<Item = AggregatorControl> + Send> {
    let parts = |count: usize| count.div_ceil(ASSIGNMENTS_PER_FRAME_MAX).max(1);
    match parcel {
        Parcel::Full(assignments) => {
            let count = parts(assignments.len());
            Box::new((0..count).map(move |part| AggregatorControl::Assign {
                revision,
                assignments: chunk(&assignments, part),
                first: part == 0,
                last: part + 1 == count,
            }))
        }
        Parcel::Change { changed, removed } => {
            let count = parts(changed.len());
            Box::new((0..count).map(move |part| {
                let last = part + 1 == count;
                let removed = if last { removed.clone() } else { Vec::new() };
                AggregatorControl::Change { revision, changed: chunk(&changed, part), removed, last }
            }))
        }
    }
}

fn chunk<T: Clone>(list: &[T], part: usize) -> Vec<T> {
    list.iter().skip(part * ASSIGNMENTS_PER_FRAME_MAX).take(ASSIGNMENTS_PER_FRAME_MAX).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_stay_in_step_until_the_wall_clock_is_corrected() {
        let mut clocks = Clocks::default();
        let mut wall = |moment, wall| clocks.step(Moment(moment), WallMicros(wall)).wall.0;
        assert_eq!(wall(1_000_000, 1_000_007), 1_000_000);
        assert_eq!(wall(2_000_000, 2_000_003), 2_000_000);
        assert_eq!(wall(3_000_000, 63_000_000), 63_000_000, "set forward by a minute");
        assert_eq!(wall(4_000_000, 64_000_020), 64_000_000);
    }

    #[test]
    fn a_refill_adds_nothing_that_waits_already() {
        use crate::model::fixture::{alert, delivery, incident};
        let row = |id| {
            let row = delivery(id, "x", alert("msg_1", &incident("inc_1", "shop")));
            Dispatch::Deliver(Box::new(row))
        };
        let mut dispatches = Dispatches::default();
        for id in [1, 2, 1] {
            dispatches.push(row(id));
        }
        assert_eq!(
            (dispatches.pop(), dispatches.pop(), dispatches.pop()),
            (Some(row(1)), Some(row(2)), None)
        );
        dispatches.push(row(1));
        assert!(!dispatches.is_empty());
    }

    #[test]
    fn assignments_fit_their_frames() {
        let ids = (0..100).map(|number| format!("m{number}").parse().unwrap()).collect::<Vec<_>>();
        let parts = |frames: Box<dyn Iterator<Item = AggregatorControl> + Send>| {
            let words = frames.map(|frame| match frame {
                AggregatorControl::Assign { assignments, first, last, .. } => {
                    (assignments.len(), 0, first, last)
                }
                AggregatorControl::Change { changed, removed, last, .. } => {
                    (changed.len(), removed.len(), false, last)
                }
                AggregatorControl::Welcome(_)
                | AggregatorControl::Confirm { .. }
                | AggregatorControl::Revoke
                | AggregatorControl::Controls(_) => {
                    panic!("no assignments")
                }
            });
            words.collect::<Vec<_>>()
        };
        let assignment = |id: &quorate_proto::MonitorId| quorate_proto::Assignment {
            spec: crate::model::fixture::monitor(id.as_str(), &["a"]).spec,
            slot: quorate_proto::Slot { index: 0, of: 1 },
        };
        let set = ids.iter().map(assignment).collect::<Vec<_>>();
        let full = |count: usize| Parcel::Full(set.iter().take(count).cloned().collect());
        assert_eq!(parts(frames(full(0), 7)), [(0, 0, true, true)]);
        assert_eq!(parts(frames(full(32), 7)), [(32, 0, true, true)]);
        assert_eq!(
            parts(frames(full(65), 7)),
            [(32, 0, true, false), (32, 0, false, false), (1, 0, false, true)]
        );
        let change = Parcel::Change { changed: set.into_iter().take(33).collect(), removed: ids };
        assert_eq!(parts(frames(change, 7)), [(32, 0, false, false), (1, 100, false, true)]);
    }
}
