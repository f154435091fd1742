//! Recently resolved incidents for the status page: asked of the store seldom, and never waited for long.

use std::sync::Arc;

use quorate_proto::Micros;
use quorate_quorum::Moment;
use tokio::sync::Mutex;

use crate::{
    clock, limits,
    model::{Incident, Snapshot},
    store::{Cursor, Reader, StoreError},
};

/// The latest answer.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<Latest>);

#[derive(Debug, Default)]
struct Latest {
    incidents: Option<Arc<Vec<Incident>>>,
    /// What was open when the store was asked: when that changes, it is asked again, so that an incident that was
    /// resolved does not vanish from the page for a while.
    open: Vec<String>,
    asked: Option<Moment>,
}

impl Recent {
    /// Resolved incidents, newest first; none where the store has not answered yet. An old answer is better than none.
    pub(super) async fn get(&self, reader: &Reader, snapshot: &Snapshot) -> Option<Arc<Vec<Incident>>> {
        let mut latest = self.0.lock().await;
        let open: Vec<String> = snapshot.incidents_open.iter().map(|incident| incident.id.clone()).collect();
        let now = clock::now();
        let age_max = Micros::from(limits::PAGE_RESOLVED_AGE_MAX);
        let is_fresh = latest.asked.is_some_and(|asked| now.since(asked) < age_max) && latest.open == open;
        if !is_fresh {
            latest.asked = Some(now);
            latest.open = open;
            match ask(reader).await {
                Ok(incidents) if latest.incidents.as_deref() == Some(&incidents) => {}
                Ok(incidents) => latest.incidents = Some(Arc::new(incidents)),
                Err(error) => tracing::debug!(%error, "the page shows an older list of resolved incidents"),
            }
        }
        latest.incidents.clone()
    }
}

async fn ask(reader: &Reader) -> Result<Vec<Incident>, StoreError> {
    let cursor = Cursor { before: None, limit: limits::PAGE_RESOLVED_MAX };
    let answer = reader.incidents(None, Some(false), &cursor);
    match tokio::time::timeout(limits::PAGE_RESOLVED_WAIT_MAX, answer).await {
        Ok(answer) => answer.map(|paged| paged.items),
        Err(_) => Err(StoreError::Busy),
    }
}
