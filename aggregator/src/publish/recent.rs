//! Recently resolved incidents and other events for the status page: asked of the store seldom, and never waited for long.

use std::sync::Arc;

use quorate_proto::Micros;
use quorate_quorum::Moment;
use tokio::sync::Mutex;

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
}

#[derive(Debug, Default)]
struct Latest {
    past: Option<Arc<Past>>,
    /// What was open, and how many events there had been, when the store was asked: when that changes, it is asked again,
    /// so that an incident that was resolved does not vanish from the page for a while.
    state: (Vec<String>, u64),
    asked: Option<Moment>,
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
            match ask(reader).await {
                Ok(past) if latest.past.as_deref() == Some(&past) => {}
                Ok(past) => latest.past = Some(Arc::new(past)),
                Err(error) => tracing::debug!(%error, "the page shows an older list of what is over"),
            }
        }
        latest.past.clone()
    }
}

async fn ask(reader: &Reader) -> Result<Past, StoreError> {
    let resolved = Cursor { before: None, limit: limits::PAGE_RESOLVED_MAX };
    let latest = Cursor { before: None, limit: limits::PAGE_EVENTS_MAX };
    let answers = async {
        let incidents = reader.incidents(None, Some(false), &resolved).await?.items;
        let events = reader.events(None, &latest).await?.items;
        Ok(Past { incidents, events })
    };
    tokio::time::timeout(limits::PAGE_RESOLVED_WAIT_MAX, answers).await.unwrap_or(Err(StoreError::Busy))
}
