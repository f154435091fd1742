//! The core's state, and the one way to change it: [`Core::apply`].

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};

use quorate_proto::{AgentKey, AggregatorKey, Chains, Micros, MonitorId, Region, frame::Health};
use quorate_quorum::{
    Calibration, Engine, Event, Moment, Paging, PagingEvent, Policy,
    quality::{self, Quality},
};
use tokio::sync::mpsc;

use super::{
    assign::Assignments,
    doubts::Doubted,
    effect::{Effect, Input, Now},
    enrol::Enrolment,
    ledger::Ledger,
    maintenance::MaintenanceDesk,
    outbox::Outbox,
    picture::Canvas,
    standing::Standing,
    units::{Ticket, Upload},
};
use crate::{
    config::{Config, Monitor},
    decide::Sighting,
    limits,
    model::{CalibrationKept, ChannelId, Counts, Intake, Push, QualityKept, Said, Tracked},
    store::{StoredTls, StoredVerdict},
};

/// The core. Everything that it knows, and no way to touch anything but by [`Effect`]s.
///
/// Call [`Core::apply`] with everything that happens, in order; carry out [`Core::effects`] after each call; call it
/// with [`Input::Time`] at [`Core::wake_at`].
pub(super) struct Core {
    pub(super) aggregator: AggregatorKey,
    /// Where agents are told to connect.
    pub(super) address: String,
    pub(super) config: Arc<Config>,
    pub(super) engine: Engine,
    /// How well monitors work that do.
    pub(super) quality: Quality,
    pub(super) enrolment: Enrolment,
    pub(super) agents: BTreeMap<AgentKey, Agent>,
    pub(super) monitors: BTreeMap<MonitorId, Watched>,
    pub(super) assignments: Assignments,
    /// Open incidents, by monitor.
    pub(super) incidents: BTreeMap<MonitorId, Tracked>,
    /// What was last decided before the start, until the monitor is taken up.
    pub(super) restored: BTreeMap<MonitorId, StoredVerdict>,
    /// What was said, and what TLS agreed on, before the start, until the monitor is taken up.
    pub(super) remembered: Remembered,
    pub(super) maintenance: MaintenanceDesk,
    pub(super) outbox: Outbox,
    pub(super) paging: Paging,
    /// Who was told of each group, and of each monitor that flaps, by the key under which the store keeps it.
    pub(super) told: BTreeMap<String, BTreeSet<ChannelId>>,
    /// What was seen last of each monitor that flaps.
    pub(super) causes_of_flapping: BTreeMap<MonitorId, String>,
    pub(super) ledger: Ledger,
    /// When the first parked unit has waited for too long.
    pub(super) parked_until: Option<Moment>,
    pub(super) counts: Counts,
    pub(super) canvas: Canvas,
    pub(super) effects: Vec<Effect>,
    pub(super) ticked_at: Moment,
    /// When the windows were last looked at.
    pub(super) judged_at: Moment,
    /// When the store was last told that the aggregator runs.
    pub(super) pulsed_at: Moment,
    pub(super) applied_at: Moment,
}

/// An agent that is or was enrolled.
#[derive(Debug, Default)]
pub(super) struct Agent {
    /// Units on the disk.
    pub(super) stored: Chains,
    /// Those, and the units of the commit under way and of the group.
    pub(super) admitted: Chains,
    /// Those, and units that were decided on and could not be stored: they are not decided on again when they come
    /// to be stored.
    pub(super) decided: Chains,
    /// Units whose predecessor has not come yet.
    pub(super) parked: Vec<Upload>,
    /// The monitors that it was ever given, on the disk.
    pub(super) given: BTreeSet<MonitorId>,
    pub(super) connection: Option<Connection>,
    pub(super) seen_at: Option<Moment>,
    pub(super) software: Option<String>,
    pub(super) health: Option<Health>,
    pub(super) doubted: Doubted,
}

/// The connection of an agent.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) number: u64,
    pub(super) remote: SocketAddr,
    pub(super) push: mpsc::Sender<Push>,
    /// The revision of the assignments that it has or is being given; none where that is not known.
    pub(super) revision: Option<u64>,
    /// Whether a hand-over is under way.
    pub(super) handing_over: bool,
    /// Whether what it is to be given is being recorded.
    pub(super) recording: bool,
    pub(super) handed_at: Moment,
}

/// What the store remembers of monitors besides verdicts.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    pub(super) said: BTreeMap<MonitorId, Said>,
    pub(super) tls: BTreeMap<MonitorId, BTreeMap<Region, StoredTls>>,
    pub(super) quality: BTreeMap<MonitorId, QualityKept>,
    pub(super) calibration: BTreeMap<MonitorId, CalibrationKept>,
}

/// A monitor that is watched.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) monitor: Monitor,
    pub(super) policy: Policy,
    /// The latest check of each agent that the engine was told of.
    pub(super) sightings: BTreeMap<AgentKey, Seen>,
    /// What is known of each region besides.
    pub(super) standings: BTreeMap<Region, Standing>,
    /// What has been said of it by events.
    pub(super) said: Said,
    /// Why it is degraded, who was told, and what is usual for it.
    pub(super) quality: QualityKept,
    /// How its paths behave by themselves, and the numbers that fit them.
    pub(super) calibration: Calibration,
}

/// The latest check of one agent.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) ended: Moment,
    pub(super) sighting: Sighting,
}

impl Core {
    /// Takes one thing that happened, and then does whatever is due.
    pub(super) fn apply(&mut self, input: Input, now: Now) {
        let stood_still = now.moment.since(self.applied_at);
        self.applied_at = now.moment;
        if stood_still > limits::STANDSTILL_MIN {
            tracing::warn!(
                seconds = stood_still.as_secs_f64(),
                "stood still; verdicts are held until agents are heard"
            );
            self.was_away(now.wall.before(stood_still), now);
            self.maintenance.settling_since = Some(now.moment);
            self.feed(Event::Paused, now);
        }
        match input {
            Input::Intake(intake) => self.take(*intake, now),
            Input::Committed(outcome) => self.committed(&outcome, now),
            Input::HandedOver(ended) => self.handed_over(ended, now),
            Input::Time => {}
        }
        self.on_time(now);
    }

    /// When [`Core::apply`] is to be called even if nothing happens.
    pub(super) fn wake_at(&self) -> Moment {
        let quality = self.judge_at();
        [self.tick_at(), quality, self.ledger.wake_at(), self.parked_until, Some(self.canvas.due_at())]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or_default()
    }

    /// When something is due by the engine or by paging.
    fn tick_at(&self) -> Option<Moment> {
        let due = [self.engine.next_deadline(), self.paging.next_deadline()].into_iter().flatten().min();
        due.map(|at| at.max(self.ticked_at.after(TICK_PAUSE)))
    }

    /// Tells the engine something, and does what it wants done.
    pub(super) fn feed(&mut self, event: Event, now: Now) {
        if let Some(event) = PagingEvent::of_event(&event) {
            self.page(event, now);
        }
        for effect in self.engine.handle(event, now.moment) {
            match effect {
                quorate_quorum::Effect::Confirm { monitor, regions, request } => {
                    self.confirm(&monitor, &regions, request);
                }
                quorate_quorum::Effect::Changed(change) => self.changed(&change, now),
                quorate_quorum::Effect::Restarted { monitor, regions, began: _, took } => {
                    self.restarted(&monitor, &regions, took, now);
                }
                quorate_quorum::Effect::Withheld(change) => self.withheld(&change, now),
                quorate_quorum::Effect::Outlier(outlier) => self.outlier(&outlier, now),
                quorate_quorum::Effect::OutlierOver { outlier, until } => {
                    self.outlier_over(&outlier, until, now);
                }
                quorate_quorum::Effect::Suspected { monitor, suspect } => {
                    self.page(PagingEvent::Suspected { monitor, suspect }, now);
                }
            }
        }
    }

    fn take(&mut self, intake: Intake, now: Now) {
        match intake {
            Intake::Connected { agent, connection, hello, remote, push } => {
                self.connected(agent, connection, hello, remote, push, now);
            }
            Intake::Health { agent, connection, health, received: _ } => {
                self.reported(agent, connection, health, now);
            }
            Intake::Unit { unit, connection, held, received, ack } => {
                let ticket = Ticket { connection, held, received, since: now.moment, decided: false, ack };
                self.unit(Upload { unit: *unit, ticket }, now);
            }
            Intake::Disconnected { agent, connection } => self.disconnected(agent, connection),
            Intake::Join { agent, request, reply } => self.join(agent, &request, reply, now),
            Intake::Attempted(attempt) => self.attempted(attempt, now),
            Intake::Refill { channel } => self.refill(&channel),
            Intake::Admin(admin) => self.admin(admin, now),
            Intake::Configure(config) => self.configure(config, now),
        }
    }

    pub(super) fn on_time(&mut self, now: Now) {
        if self.tick_at().is_some_and(|at| at <= now.moment) {
            self.ticked_at = now.moment;
            self.feed(Event::Tick, now);
            self.page(PagingEvent::Tick, now);
            self.canvas.touch_rest();
        }
        if self.judge_at().is_some_and(|at| at <= now.moment) {
            self.judged_at = now.moment;
            self.judge(quality::Event::Tick, now);
            self.canvas.touch_rest();
        }
        self.expire_parked(now);
        self.watch_storage(now);
        self.maintain(now);
        self.pulse(now);
        self.submit(now);
        self.paint(now);
    }

    /// When windows are to be looked at: many at once, because each monitor has its own moment.
    fn judge_at(&self) -> Option<Moment> {
        self.quality.next_deadline().map(|at| at.max(self.judged_at.after(limits::QUALITY_PAUSE)))
    }

    /// Enrolled agents of a region that are connected.
    pub(super) fn connections_in(&self, region: &Region) -> impl Iterator<Item = (AgentKey, &Connection)> {
        self.enrolment
            .active()
            .filter(move |record| record.region == *region)
            .filter_map(|record| Some((record.key, self.agents.get(&record.key)?.connection.as_ref()?)))
    }
}

/// A deadline of the engine that stands in the past is kept after this long, so that it cannot make the core spin.
const TICK_PAUSE: Micros = Micros::from_millis(1);

const _: () = assert!(TICK_PAUSE.0 < limits::GROUP_WAIT.0);
