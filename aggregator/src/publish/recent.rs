//! Recently resolved incidents, other events and the last 90 days, for the status page: asked of the store seldom, and never
//! waited for long.

use std::{collections::BTreeMap, sync::Arc};

use quorate_proto::{Micros, MonitorId, WallMicros};
use quorate_quorum::{
    Moment,
    uptime::{Shares, Stretch},
};
use tokio::sync::Mutex;

use super::uptime;
use crate::{
    clock, limits,
    model::{Incident, MonitorEvent, Snapshot},
    store::{Cursor, Reader, StoreError},
};

/// The latest answer.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<Latest>);

/// What is over, newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Past {
    /// Resolved incidents.
    pub(super) incidents: Vec<Incident>,
    /// Events that are no incident.
    pub(super) events: Vec<MonitorEvent>,
    /// The last 90 days of each monitor that the page shows.
    pub(super) days: Arc<BTreeMap<MonitorId, Days>>,
}

/// The last 90 days in UTC of one monitor.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Days {
    /// When each began, and how much of it was spent in which state; the last one is today.
    pub(super) days: Vec<(WallMicros, Shares)>,
    /// All of them.
    pub(super) whole: Shares,
}

#[derive(Debug, Default)]
struct Latest {
    past: Option<Arc<Past>>,
    /// What was open, and how many events there had been, when the store was asked: when that changes, it is asked again,
    /// so that an incident that was resolved does not vanish from the page for a while.
    state: (Vec<String>, u64),
    asked: Option<Moment>,
    /// The last 90 days, and when the store was asked for them.
    days: Option<(Moment, Arc<BTreeMap<MonitorId, Days>>)>,
}

impl Recent {
    /// What is over; none where the store has not answered yet. An old answer is better than none.
    pub(super) async fn get(&self, reader: &Reader, snapshot: &Snapshot) -> Option<Arc<Past>> {
        let mut latest = self.0.lock().await;
        let open = snapshot.incidents_open.iter().map(|incident| incident.id.clone()).collect();
        let state = (open, snapshot.counts.events.values().sum());
        let now = clock::now();
        let age_max = Micros::from(limits::PAGE_RESOLVED_AGE_MAX);
        let is_fresh = latest.asked.is_some_and(|asked| now.since(asked) < age_max) && latest.state == state;
        if !is_fresh {
            latest.asked = Some(now);
            latest.state = state;
            match ask(reader, snapshot, &mut latest.days, now).await {
                Ok(past) if latest.past.as_deref() == Some(&past) => {}
                Ok(past) => latest.past = Some(Arc::new(past)),
                Err(error) => tracing::debug!(%error, "the page shows an older list of what is over"),
            }
        }
        latest.past.clone()
    }
}

async fn ask(
    reader: &Reader,
    snapshot: &Snapshot,
    days: &mut Option<(Moment, Arc<BTreeMap<MonitorId, Days>>)>,
    now: Moment,
) -> Result<Past, StoreError> {
    let resolved = Cursor { before: None, limit: limits::PAGE_RESOLVED_MAX };
    let latest = Cursor { before: None, limit: limits::PAGE_EVENTS_MAX };
    let answers = async {
        let incidents = reader.incidents(None, Some(false), &resolved).await?.items;
        let events = reader.events(None, &latest).await?.items;
        let is_fresh = |asked: &Moment| now.since(*asked) < Micros::from(limits::PAGE_DAYS_AGE_MAX);
        let days = match days {
            Some((asked, days)) if is_fresh(asked) && has_all(days, snapshot) => Arc::clone(days),
            _ => {
                let read = Arc::new(read_days(reader, snapshot).await?);
                *days = Some((now, Arc::clone(&read)));
                read
            }
        };
        Ok(Past { incidents, events, days })
    };
    tokio::time::timeout(limits::PAGE_RESOLVED_WAIT_MAX, answers).await.unwrap_or(Err(StoreError::Busy))
}

/// Whether every monitor that the page shows is there.
fn has_all(days: &BTreeMap<MonitorId, Days>, snapshot: &Snapshot) -> bool {
    let mut shown = snapshot.monitors.iter().take(limits::PAGE_MONITORS_MAX);
    shown.all(|monitor| days.contains_key(&monitor.id))
}

/// The days of 90 days that end now, the first one whole.
async fn read_days(reader: &Reader, snapshot: &Snapshot) -> Result<BTreeMap<MonitorId, Days>, StoreError> {
    const DAY: Micros = Micros::from_secs(86_400);
    let today = uptime::begin(snapshot.at, DAY);
    let window = Stretch { from: today.before(DAY * (limits::PAGE_DAYS - 1)), to: snapshot.at };
    let shown = snapshot.monitors.iter().take(limits::PAGE_MONITORS_MAX);
    let histories = reader.histories(shown.map(|monitor| monitor.id.clone()).collect(), window).await?;
    let days = histories.into_iter().map(|(monitor, history)| {
        let spans = history.spans(window);
        let of = |stretch: Stretch| (stretch.from, Shares::of(&spans, stretch));
        let days = uptime::days(window).map(of).collect();
        (monitor, Days { days, whole: Shares::of(&spans, window) })
    });
    Ok(days.collect())
}
