//! Public documents, each rendered once per picture of the present: a crowd of readers costs one rendering.

use std::sync::Arc;

use quorate_proto::WallMicros;
use tokio::sync::Mutex;

use super::{document::Document, error::Error, recent::Past};
use crate::{config::Page, model::Snapshot};

/// All that a public document is made of.
#[derive(Clone, Debug)]
pub(super) struct Picture {
    /// The present.
    pub(super) snapshot: Arc<Snapshot>,
    /// What the page calls itself.
    pub(super) page: Arc<Page>,
    /// What is over, where the document shows it; none where the store did not say.
    pub(super) past: Option<Arc<Past>>,
}

/// Whether the core has made a picture; before that there is an empty one.
pub(super) fn is_made(snapshot: &Snapshot) -> bool {
    snapshot.at != WallMicros::default()
}

/// The latest rendering of every public document.
#[derive(Debug, Default)]
pub(super) struct Pictures {
    pub(super) page: Rendering,
    pub(super) status_json: Rendering,
    pub(super) statuspage_summary: Rendering,
    pub(super) statuspage_status: Rendering,
    pub(super) statuspage_maintenance: Rendering,
    pub(super) statuspage_upcoming: Rendering,
    pub(super) statuspage_active: Rendering,
}

/// The latest rendering of one document.
#[derive(Debug, Default)]
pub(super) struct Rendering(Mutex<Option<(Picture, Document)>>);

impl Rendering {
    /// The document of this picture, rendered only where the latest was of another one.
    ///
    /// # Errors
    /// Those of `render`.
    pub(super) async fn of(
        &self,
        picture: Picture,
        render: impl FnOnce(&Picture) -> Result<Document, Error>,
    ) -> Result<Document, Error> {
        let mut latest = self.0.lock().await;
        if let Some((rendered, document)) = latest.as_ref()
            && rendered.is_same(&picture)
        {
            return Ok(document.clone());
        }
        let document = render(&picture)?;
        *latest = Some((picture, document.clone()));
        Ok(document)
    }
}

impl Picture {
    /// Whether this is the very same picture; its parts are kept, so that an address cannot come to mean another one.
    fn is_same(&self, other: &Self) -> bool {
        let same_past = match (&self.past, &other.past) {
            (Some(one), Some(another)) => Arc::ptr_eq(one, another),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        same_past && Arc::ptr_eq(&self.snapshot, &other.snapshot) && Arc::ptr_eq(&self.page, &other.page)
    }
}
