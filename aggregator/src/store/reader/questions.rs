//! Every statement that reads for the faces. Each goes along an index and stops at the page's end.

use quorate_proto::{Micros, MonitorId, Region, WallMicros};
use rusqlite::{Connection, OptionalExtension as _, Row, ToSql, params};

use super::{
    Paged, PhasesMs, ResultRow, RoundTripsMs,
    cursor::{Page, Place},
};
use crate::{
    limits,
    model::{Delivery, Incident, rfc3339},
    store::{
        columns::{delivery, json, parsed},
        rows::unsigned,
    },
};

pub(super) type Answer<T> = Result<T, rusqlite::Error>;

const DELIVERY_COLUMNS: &str =
    "id, channel, alert, state, attempts, due_at, first_sent_at, delivered_at, status, error";

pub(super) fn results(
    connection: &Connection,
    monitor: &MonitorId,
    region: Option<&Region>,
    page: &Page<i64>,
) -> Answer<Paged<ResultRow>> {
    let mut question = Question::new(
        "SELECT r.id, r.ended_at, r.region, a.name, r.confirming, r.failure, r.phase, r.detail, r.status,
             r.total_us, r.round_trip_us, r.dns_us, r.tcp_us, r.tls_us, r.upgrade_us, r.exchange_us, r.close_us,
             r.address, r.late, r.canary_lives, r.addresses, r.round_trips, r.round_trip_min_us, r.round_trip_p50_us,
             r.round_trip_max_us, r.jitter_us
         FROM result r LEFT JOIN agent a ON a.key = r.agent",
    );
    question.only("r.monitor = ?", monitor.as_str().to_owned());
    if let Some(region) = region {
        question.only("r.region = ?", region.as_str().to_owned());
    }
    if let Some(Place { at, id }) = page.before {
        question.below("(r.ended_at, r.id)", at, id);
    }
    let rows = question.ask(connection, "r.ended_at DESC, r.id DESC", page.rows_asked(), |row| {
        Ok((Place { id: row.get(0)?, at: row.get(1)? }, result(row)?))
    })?;
    Ok(page.answer(rows))
}

pub(super) fn incidents(
    connection: &Connection,
    monitor: Option<&MonitorId>,
    open: Option<bool>,
    page: &Page<String>,
) -> Answer<Paged<Incident>> {
    let mut question = Question::new("SELECT id, opened_at, body FROM incident");
    if let Some(monitor) = monitor {
        question.only("monitor = ?", monitor.as_str().to_owned());
    }
    match open {
        Some(true) => question.clause("resolved_at IS NULL"),
        Some(false) => question.clause("resolved_at IS NOT NULL"),
        None => {}
    }
    if let Some(Place { at, id }) = &page.before {
        question.below("(opened_at, id)", *at, id.clone());
    }
    let rows = question.ask(connection, "opened_at DESC, id DESC", page.rows_asked(), |row| {
        Ok((Place { id: row.get(0)?, at: row.get(1)? }, json(row, 2)?))
    })?;
    Ok(page.answer(rows))
}

pub(super) fn incident(connection: &Connection, id: &str) -> Answer<Option<(Incident, Vec<Delivery>)>> {
    let incident = connection
        .prepare_cached("SELECT body FROM incident WHERE id = ?1")?
        .query_row([id], |row| json::<Incident>(row, 0))
        .optional()?;
    let Some(incident) = incident else { return Ok(None) };
    let deliveries = connection
        .prepare_cached(&format!(
            "SELECT {DELIVERY_COLUMNS} FROM delivery WHERE incident = ?1 ORDER BY id LIMIT ?2"
        ))?
        .query_map(params![id, limits::INCIDENT_DELIVERIES_MAX], delivery)?
        .collect::<Answer<Vec<_>>>()?;
    Ok(Some((incident, deliveries)))
}

pub(super) fn deliveries(
    connection: &Connection,
    channel: Option<&str>,
    page: &Page<i64>,
) -> Answer<Paged<Delivery>> {
    let mut question = Question::new(&format!("SELECT {DELIVERY_COLUMNS} FROM delivery"));
    if let Some(channel) = channel {
        question.only("channel = ?", channel.to_owned());
    }
    if let Some(Place { id, .. }) = page.before {
        question.only("id < ?", id);
    }
    let rows = question.ask(connection, "id DESC", page.rows_asked(), |row| {
        Ok((Place { id: row.get(0)?, at: 0 }, delivery(row)?))
    })?;
    Ok(page.answer(rows))
}

pub(super) fn has_token(connection: &Connection, sha256: &[u8; 32]) -> Answer<bool> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM api_token WHERE sha256 = ?1)")?
        .query_row([sha256], |row| row.get(0))
}

/// A span in microseconds as milliseconds.
pub(super) fn ms(row: &Row<'_>, column: usize) -> Answer<Option<f64>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(|us| Micros(unsigned(us)).as_millis_f64()))
}

/// Round trips out of five columns: count, quickest, middle, slowest, jitter.
pub(super) fn round_trips(row: &Row<'_>, first: usize) -> Answer<Option<RoundTripsMs>> {
    let Some(count) = row.get(first)? else { return Ok(None) };
    let ms = |place| Ok::<_, rusqlite::Error>(ms(row, first + place)?.unwrap_or(0.0));
    Ok(Some(RoundTripsMs { count, min: ms(1)?, p50: ms(2)?, max: ms(3)?, jitter: ms(4)? }))
}

/// A question put together from the parts that were asked for; values are always bound.
pub(super) struct Question {
    text: String,
    values: Vec<Box<dyn ToSql>>,
    has_clause: bool,
}

impl Question {
    pub(super) fn new(select: &str) -> Self {
        Self { text: select.to_owned(), values: Vec::new(), has_clause: false }
    }

    pub(super) fn clause(&mut self, clause: &str) {
        self.text.push_str(if self.has_clause { " AND " } else { " WHERE " });
        self.text.push_str(clause);
        self.has_clause = true;
    }

    pub(super) fn only(&mut self, clause: &str, value: impl ToSql + 'static) {
        self.clause(clause);
        self.values.push(Box::new(value));
    }

    pub(super) fn below(&mut self, columns: &str, at: i64, id: impl ToSql + 'static) {
        self.clause(&format!("{columns} < (?, ?)"));
        self.values.push(Box::new(at));
        self.values.push(Box::new(id));
    }

    pub(super) fn ask<T>(
        mut self,
        connection: &Connection,
        order: &str,
        rows: u32,
        read: impl Fn(&Row<'_>) -> Answer<T>,
    ) -> Answer<Vec<T>> {
        self.text.push_str(&format!(" ORDER BY {order} LIMIT ?"));
        self.values.push(Box::new(rows));
        let mut statement = connection.prepare_cached(&self.text)?;
        let values = rusqlite::params_from_iter(self.values.iter());
        statement.query_map(values, |row| read(row))?.collect()
    }
}

fn result(row: &Row<'_>) -> Answer<ResultRow> {
    let ms = |column| ms(row, column);
    let failure: Option<String> = row.get(5)?;
    let total_ms = ms(9)?.unwrap_or(0.0);
    Ok(ResultRow {
        region: parsed(row, 2)?,
        agent: row.get::<_, Option<String>>(3)?.and_then(|name| name.parse().ok()),
        kind: if row.get(4)? { "confirming" } else { "scheduled" },
        ended_at: rfc3339::text(WallMicros(row.get(1)?)),
        passed: failure.is_none(),
        failure,
        phase: row.get(6)?,
        detail: row.get(7)?,
        status: row.get(8)?,
        latency_ms: ms(10)?.unwrap_or(total_ms),
        total_ms,
        phases_ms: PhasesMs {
            dns: ms(11)?,
            tcp: ms(12)?,
            tls: ms(13)?,
            upgrade: ms(14)?,
            exchange: ms(15)?,
            close: ms(16)?,
        },
        address: row.get(17)?,
        late: row.get(18)?,
        canary_lives: row.get(19)?,
        addresses: match row.get::<_, Option<String>>(20)? {
            Some(_) => json(row, 20)?,
            None => Vec::new(),
        },
        round_trips: round_trips(row, 21)?,
    })
}
