//! Columns as our types. A value that is not one of ours is damage, and says in which column it is.

use std::{error::Error, str::FromStr};

use quorate_proto::WallMicros;
use rusqlite::{Row, types::Type};
use serde::de::DeserializeOwned;

use super::rows::unsigned;
use crate::model::{Delivery, DeliveryState};

/// A text in the form of a name.
pub(super) fn parsed<T: FromStr<Err: Error + Send + Sync + 'static>>(
    row: &Row<'_>,
    column: usize,
) -> Result<T, rusqlite::Error> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error| damaged(column, error))
}

/// A text in JSON.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T, rusqlite::Error> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| damaged(column, error))
}

/// A reading of the wall clock that may be absent.
pub(super) fn wall(row: &Row<'_>, column: usize) -> Result<Option<WallMicros>, rusqlite::Error> {
    Ok(row.get::<_, Option<i64>>(column)?.map(WallMicros))
}

/// A delivery out of the columns `id, channel, alert, state, attempts, due_at, first_sent_at, delivered_at, status,
/// error`.
pub(super) fn delivery(row: &Row<'_>) -> Result<Delivery, rusqlite::Error> {
    let state: String = row.get(3)?;
    Ok(Delivery {
        id: row.get(0).map(unsigned)?,
        channel: row.get(1)?,
        alert: json(row, 2)?,
        state: [DeliveryState::Pending, DeliveryState::Delivered, DeliveryState::Failed]
            .into_iter()
            .find(|known| known.name() == state)
            .unwrap_or(DeliveryState::Failed),
        attempts: row.get(4)?,
        due_at: wall(row, 5)?,
        first_sent_at: wall(row, 6)?,
        delivered_at: wall(row, 7)?,
        status: row.get(8)?,
        error: row.get(9)?,
    })
}

fn damaged(column: usize, error: impl Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}
