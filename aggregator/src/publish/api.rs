//! `/api/v1`: everything that operators may read, as JSON with paging, and the enrolment of agents.
//!
//! A list answers `{"items": […], "next": …}`; `next` is what to pass as `before` for the following page, and `null`
//! at the end. `limit` is 1 to [`crate::limits::PAGE_ROWS_MAX`].

mod agents;
mod events;
mod incidents;
mod keys;
mod maintenance;
mod monitors;
mod uptime;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, RawQuery, State},
    routing::{delete, get},
};

use super::{Shared, error::Error, parameters::Parameters};
use crate::{
    model::Delivery,
    store::{Cursor, Paged},
};

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/v1/monitors", get(monitors::list))
        .route("/api/v1/monitors/{id}", get(monitors::one))
        .route("/api/v1/monitors/{id}/results", get(monitors::results))
        .route("/api/v1/monitors/{id}/canaries", get(monitors::canaries))
        .route("/api/v1/monitors/{id}/idle-timeouts", get(monitors::idle_timeouts))
        .route("/api/v1/monitors/{id}/uptime", get(uptime::one))
        .route("/api/v1/events", get(events::list))
        .route("/api/v1/incidents", get(incidents::list))
        .route("/api/v1/incidents/{id}", get(incidents::one))
        .route("/api/v1/incidents/{id}/explanation", get(incidents::explanation))
        .route("/api/v1/incidents/{id}/evidence", get(incidents::evidence))
        .route("/api/v1/keys", get(keys::list))
        .route("/api/v1/agents", get(agents::list).post(agents::add))
        .route("/api/v1/agents/{name}", delete(agents::revoke))
        .route("/api/v1/maintenance", get(maintenance::list).post(maintenance::start))
        .route("/api/v1/maintenance/{id}", delete(maintenance::end))
        .route("/api/v1/deliveries", get(deliveries))
}

/// `GET /api/v1/deliveries?channel=&limit=&before=`: alerts on their way, newest first.
async fn deliveries(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Paged<Delivery>>, Error> {
    let mut parameters = Parameters::read(query.as_deref());
    let cursor = parameters.take_cursor()?;
    let channel = parameters.take("channel")?;
    parameters.finish()?;
    Ok(Json(shared.sources.reader.deliveries(channel.as_deref(), &cursor).await?))
}

/// A part of a path as a name; what cannot be one names nothing.
fn named<T: std::str::FromStr>(Path(text): &Path<String>, thing: &str) -> Result<T, Error> {
    text.parse().map_err(|_| absent(thing, text))
}

fn absent(thing: &str, name: &str) -> Error {
    Error::NotFound(format!("{thing} {name:?}"))
}

/// One page of a list that is in memory, in its own order. The cursor is the name of the last row of the page before.
///
/// # Errors
/// [`Error::Store`] where no row has that name (any more).
fn page<'a, T, J>(
    rows: &'a [T],
    cursor: &Cursor,
    name: impl Fn(&T) -> &str,
    json: impl Fn(&'a T) -> J,
) -> Result<Paged<J>, Error> {
    let start = match &cursor.before {
        None => 0,
        Some(before) => match rows.iter().position(|row| name(row) == before) {
            Some(index) => index + 1,
            None => return Err(Error::Store(crate::store::StoreError::Cursor)),
        },
    };
    let limit = usize::try_from(cursor.limit).unwrap_or(usize::MAX);
    let (shown, rest) = rows
        .get(start..)
        .unwrap_or_default()
        .split_at_checked(limit)
        .unwrap_or_else(|| (rows.get(start..).unwrap_or_default(), &[]));
    let next = if rest.is_empty() { None } else { shown.last().map(|row| name(row).to_owned()) };
    Ok(Paged { items: shown.iter().map(json).collect(), next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_in_memory_is_read_page_by_page() {
        let rows = ["a", "b", "c", "d", "e"];
        for limit in 1..=6 {
            let mut cursor = Cursor { before: None, limit };
            let mut read = Vec::new();
            loop {
                let paged = page(&rows, &cursor, |row| row, |row| *row).unwrap();
                assert!(!paged.items.is_empty() && paged.items.len() <= limit as usize);
                read.extend(paged.items);
                let Some(next) = paged.next else { break };
                cursor.before = Some(next);
            }
            assert_eq!(read, rows, "limit {limit}");
        }
        let gone = Cursor { before: Some("x".into()), limit: 1 };
        assert!(page(&rows, &gone, |row| row, |row| *row).is_err());
        assert_eq!(
            page(&[], &Cursor { before: None, limit: 1 }, |row: &&str| row, |row| *row).unwrap().next,
            None
        );
    }
}
