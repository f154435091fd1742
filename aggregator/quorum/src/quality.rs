//! Degraded: working, and not well. A pure machine of its own beside the engine, fed with the same checks and canaries.
//!
//! Degraded is no verdict: it stands beside *up* and *partial*, opens no incident and pages nobody. It is told once when
//! it begins, and once when all of it is over. See [`Quality`] for the order of calls; this page says what is judged.
//!
//! # Reasons
//! A monitor is degraded while any of these goes on. Each begins when it is seen, and ends when it was looked for and not
//! seen for as long as it is *calm* by its own measure. Where nobody can tell (too few round trips, no canary heard of,
//! nobody observes), nothing begins and nothing comes nearer to its end.
//!
//! *Latency.* The 95th percentile of the round trips of all regions together exceeds the promise
//! ([`LatencySla`]) over its window (5 minutes), with at least so many of them (20). It ends when it has not exceeded it for a
//! whole window. Not at once, or a server at the edge would come and go at every look; and not below some fraction of the
//! promise, or one that is well and only just so would be degraded for ever. So it ends a window or two after the last slow one.
//!
//! - Regions are merged by adding up their sketches, and a round trip counts the same wherever it was made: the percentile is
//!   that of the round trips, not a mean of percentiles, which would be the percentile of nothing. What one region of five
//!   finds is a fifth of it: where a twentieth of its round trips are slow that is a hundredth of all, and shows in that
//!   region's line alone; where all of them are, the promise is not kept for a fifth of the users, and that is said, with the
//!   region's name.
//! - Only checks that passed, fresh and by schedule count. What failed is the verdict's matter; what came late is history; and
//!   confirmations are made when something is wrong, so that they would weigh bad minutes more than good ones.
//! - What an agent measures that doubts itself is its own slowness, and an outlier's word counts for nothing: the caller leaves
//!   both out, here and below.
//! - The heartbeats of canaries are not mixed in. They run on a connection that stands, on a server process that was
//!   chosen long ago; they are shown beside.
//! - A check that makes several round trips tells the quickest, the middle and the slowest: [`Trips`] says how they count.
//!
//! *Certificate.* A region was shown a certificate that ends within so many days (3). One region is enough: it is a fact and no
//! opinion, and a node that did not load the new certificate is found by one region first. It ends when nobody was
//! shown one for an hour.
//!
//! *Reconnects.* In a quorum of the regions whose canaries are held ([`Policy::needed`], as for pages), each has reconnected more
//! than once within the same minute. It ends after a quarter of an hour without. One region's path that drops is that
//! path's matter: an event, and no more.
//!
//! *Closes.* In a quorum of those regions canaries ended with 1006 or 1011 within an hour more often than is usual *for
//! that region and monitor*. It ends after an hour without. 1001, 1012 and 1013 are announced, 1000 and 4000 and above the
//! application's own: none of them counts.
//!
//! # What is usual
//! For each canary the abnormal ends and the hours for which it was held, each forgotten by half in a week
//! ([`Baseline`]): a mean over some two weeks. Not by hour of the day: a healthy server has a few such ends in a week,
//! and spread over 168 hours nothing would be known of any of them.
//!
//! A spike is so many ends within an hour that, did they come by chance at the usual rate, fewer than 0.5 false spikes would be
//! seen of one canary in 1,000 years: the promise for pages. With the rate *r* an hour, an end is the last of *k* within
//! an hour with the chance *P(N >= k - 1)*, *N* Poisson of mean *r*; so false spikes are `8,766,000 r P(N >= k - 1)`, and
//! *k* is the smallest number, from 3 on, for which this is at most 0.5. With none in two weeks *k* is 4, with one a day
//! 5, with one an hour 12. *r* is taken as if two more ends had been seen, so that a short history makes nobody bold, and
//! before a day of history nothing is judged.
//!
//! That bound holds for one canary. The quorum makes it smaller where ends are the paths' own, and leaves it as it is where they
//! are the server's. Chance is not all there is: a server that is restarted without a word four times in an
//! hour makes a spike, and should; when it does so every day, it becomes usual. What ends in the hour that is judged
//! becomes usual when it has left it, and while there is a spike nothing does, for a week: one bad day blinds nobody,
//! nobody is told that all is well because it has been bad for hours, and what stays for a week is usual.
//!
//! # While it is down
//! Nothing is judged while the verdict is down or unobserved, or before there is one. What is measured while it is down is
//! forgotten, and windows begin anew when it is over: an outage is told as one. What went on before goes on
//! after it, and its calm begins anew; who was told that it began is told when it is over.
//!
//! # Starts
//! What goes on and what is usual survive a restart ([`Memory`]), so that nobody is told twice; the windows do not, and fill within
//! their length. A reason that the terms do not judge any more is withdrawn.
//!
//! # What it costs
//! Some 2,600 bytes a monitor of five regions at T = 30 s with canaries, so that 100,000 of them take 260 MB; a check takes 1 us
//! and a look at the windows 13 us (`cargo run --release -p quorate-quorum --example quality` measures it). A monitor is looked
//! at ten times in a window, at a phase of its own. A region's window is bounded by 4,096 entries (32 KiB) whatever agents say.

mod figures;
mod sketch;
mod spell;
mod terms;
mod usual;
mod watch;
mod window;

use std::collections::{BTreeMap, BTreeSet};

use quorate_proto::{Micros, MonitorId, Region};

use self::watch::{News, Watch};
pub use self::{
    figures::{Figures, Quantiles},
    sketch::Sketch,
    terms::{Kind, LatencySla, Terms, Trips},
    usual::Baseline,
};
#[cfg(doc)]
use crate::Policy;
use crate::{Moment, Verdict};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A monitor is there, or its terms changed. What is known of it is kept.
    Configure {
        /// Which monitor.
        monitor: MonitorId,
        /// What is promised of it.
        terms: Terms,
    },
    /// It is watched in another form: it may be another server, and its round trips are measured anew.
    Reformed {
        /// Which monitor.
        monitor: MonitorId,
    },
    /// A monitor is gone.
    Remove {
        /// Which monitor.
        monitor: MonitorId,
    },
    /// After a start, and after [`Event::Configure`]: what was known.
    Restore {
        /// Which monitor.
        monitor: MonitorId,
        /// What was known of it.
        memory: Memory,
    },
    /// The verdict, whenever it changes, and after a start.
    Decided {
        /// Of which monitor.
        monitor: MonitorId,
        /// What it is.
        verdict: Verdict,
    },
    /// A scheduled check passed, and is fresh.
    Checked {
        /// Of which monitor.
        monitor: MonitorId,
        /// From which region.
        region: Region,
        /// When it ended.
        ended: Moment,
        /// How long its round trips took.
        trips: Trips,
    },
    /// Something of a canary that is fresh.
    Canary {
        /// On which monitor.
        monitor: MonitorId,
        /// In which region.
        region: Region,
        /// What.
        news: CanaryNews,
    },
    /// A region was shown a certificate.
    Certificate {
        /// Of which monitor's server.
        monitor: MonitorId,
        /// Which region.
        region: Region,
        /// How soon the first certificate of its chain ends.
        left: Micros,
    },
    /// Nothing happened, and time passed.
    Tick,
}

/// What happened to a canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CanaryNews {
    /// It is held: opened, or still open.
    Alive,
    /// It was opened again.
    Reconnected {
        /// How often its agent did so within the last minute.
        within_minute: u32,
    },
    /// It ended, and not by us.
    Ended {
        /// By which close code: 1005 where the close frame had none, 1006 where there was no close frame.
        code: u16,
    },
}

/// What a reason is made of, as it was seen when it began.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// Round trips are slower than promised.
    Latency {
        /// What was promised.
        sla: LatencySla,
        /// What was measured.
        figures: Figures,
    },
    /// A certificate is about to end.
    Certificate {
        /// How soon.
        left: Micros,
        /// The region that was shown it.
        region: Region,
    },
    /// Canaries reconnect more than once a minute.
    Reconnects {
        /// How often within a minute, by region.
        regions: Vec<(Region, u32)>,
        /// How many regions hold canaries.
        of: usize,
    },
    /// Canaries end abnormally more often than is usual.
    Closes {
        /// Where.
        regions: Vec<Region>,
        /// How many regions can tell.
        of: usize,
        /// How often within the last hour in those regions together, by close code.
        codes: BTreeMap<u16, u32>,
        /// How often a day is usual for one of them, the one with the most.
        usual_per_day: f64,
    },
}

/// What follows.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A reason began. Where another went on already, the monitor was degraded before.
    Began {
        /// Of which monitor.
        monitor: MonitorId,
        /// Which.
        reason: Reason,
    },
    /// A reason ended. Where none goes on, the monitor is not degraded any more.
    Ended {
        /// Of which monitor.
        monitor: MonitorId,
        /// Which.
        kind: Kind,
        /// Whether it is only not judged any more.
        withdrawn: bool,
    },
    /// What must survive a start has changed: [`Quality::memory`] has it.
    Learned {
        /// Of which monitor.
        monitor: MonitorId,
    },
}

/// What must survive a start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// What goes on, and since when.
    pub since: BTreeMap<Kind, Moment>,
    /// What is usual for each region's canary.
    pub usual: BTreeMap<Region, Baseline>,
}

/// How well every monitor works.
///
/// Call [`Quality::handle`] with everything that happens, in order, and with [`Event::Tick`] at
/// [`Quality::next_deadline`]; carry out what it gives.
#[derive(Clone, Debug, Default)]
pub struct Quality {
    monitors: BTreeMap<MonitorId, Watch>,
    /// When each monitor is looked at next. An entry may be earlier than needed, never later.
    agenda: BTreeSet<(Moment, MonitorId)>,
}

impl Quality {
    /// Takes one thing that happened, and says what follows.
    pub fn handle(&mut self, event: Event, at: Moment) -> Vec<Effect> {
        let (monitor, news) = match event {
            Event::Configure { monitor, terms } => {
                let news = match self.monitors.get_mut(&monitor) {
                    Some(watch) => watch.configure(&monitor, terms),
                    None => {
                        self.monitors.insert(monitor.clone(), Watch::new(&monitor, terms));
                        Vec::new()
                    }
                };
                (monitor, news)
            }
            Event::Remove { monitor } => {
                if let Some(due) = self.monitors.remove(&monitor).and_then(|watch| watch.due) {
                    self.agenda.remove(&(due, monitor));
                }
                return Vec::new();
            }
            Event::Tick => return self.tick(at),
            Event::Reformed { monitor } => self.tell(monitor, |watch| {
                watch.begin_anew();
                Vec::new()
            }),
            Event::Restore { monitor, memory } => self.tell(monitor, |watch| watch.restore(memory, at)),
            Event::Decided { monitor, verdict } => self.tell(monitor, |watch| {
                watch.decided(verdict, at);
                Vec::new()
            }),
            Event::Checked { monitor, region, ended, trips } => self.tell(monitor, |watch| {
                watch.checked(&region, trips, ended);
                Vec::new()
            }),
            Event::Canary { monitor, region, news } => {
                self.tell(monitor, |watch| watch.canary(&region, news, at))
            }
            Event::Certificate { monitor, region, left } => {
                self.tell(monitor, |watch| watch.certificate(&region, left, at).into_iter().collect())
            }
        };
        self.enter(&monitor, at);
        effects(&monitor, news)
    }

    /// When [`Event::Tick`] is due.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.agenda.first().map(|(due, _)| *due)
    }

    /// The round trips of a monitor over its window, as last looked at; none where there are none.
    pub fn figures(&self, monitor: &MonitorId) -> Option<Figures> {
        self.monitors.get(monitor)?.figures()
    }

    /// What goes on with a monitor, and since when.
    pub fn degraded(&self, monitor: &MonitorId) -> impl Iterator<Item = (Kind, Moment)> {
        self.monitors.get(monitor).into_iter().flat_map(Watch::spells)
    }

    /// When something that goes on with a monitor was last seen: not at all since a start from which it is only remembered,
    /// or while nothing is judged because it is down.
    pub fn last_seen(&self, monitor: &MonitorId, kind: Kind) -> Option<Moment> {
        self.monitors.get(monitor)?.last_seen(kind)
    }

    /// What of a monitor must survive a start.
    pub fn memory(&self, monitor: &MonitorId) -> Memory {
        self.monitors.get(monitor).map(Watch::memory).unwrap_or_default()
    }

    fn tell(
        &mut self,
        monitor: MonitorId,
        hear: impl FnOnce(&mut Watch) -> Vec<News>,
    ) -> (MonitorId, Vec<News>) {
        let news = self.monitors.get_mut(&monitor).map(hear).unwrap_or_default();
        (monitor, news)
    }

    fn tick(&mut self, at: Moment) -> Vec<Effect> {
        let mut all = Vec::new();
        while self.agenda.first().is_some_and(|(due, _)| *due <= at) {
            let Some((_, monitor)) = self.agenda.pop_first() else { break };
            let Some(watch) = self.monitors.get_mut(&monitor) else { continue };
            watch.due = None;
            let news = watch.look_at_all(at);
            self.enter(&monitor, at);
            all.extend(effects(&monitor, news));
        }
        all
    }

    /// Enters a monitor in the agenda, in place of a later entry.
    fn enter(&mut self, monitor: &MonitorId, at: Moment) {
        let Some(watch) = self.monitors.get_mut(monitor) else { return };
        let Some(due) = watch.next_look(at) else { return };
        if watch.due.is_some_and(|entered| entered <= due) {
            return;
        }
        if let Some(entered) = watch.due.replace(due) {
            self.agenda.remove(&(entered, monitor.clone()));
        }
        self.agenda.insert((due, monitor.clone()));
    }
}

impl Reason {
    /// Which it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Latency { .. } => Kind::Latency,
            Self::Certificate { .. } => Kind::Certificate,
            Self::Reconnects { .. } => Kind::Reconnects,
            Self::Closes { .. } => Kind::Closes,
        }
    }
}

fn effects(monitor: &MonitorId, news: Vec<News>) -> Vec<Effect> {
    let effect = |news| {
        let monitor = monitor.clone();
        match news {
            News::Began(reason) => Effect::Began { monitor, reason },
            News::Ended(kind) => Effect::Ended { monitor, kind, withdrawn: false },
            News::Withdrawn(kind) => Effect::Ended { monitor, kind, withdrawn: true },
            News::Learned => Effect::Learned { monitor },
        }
    };
    news.into_iter().map(effect).collect()
}
