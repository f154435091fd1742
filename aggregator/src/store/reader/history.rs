//! Statements that read canaries, idle timeouts and events. Each goes along an index and stops at the page's end.

use quorate_proto::{MonitorId, Region, WallMicros};
use rusqlite::{Connection, Row};

use super::{
    CanaryRow, IdleTimeoutRow, Paged,
    cursor::{Page, Place},
    questions::{Answer, Question, ms, round_trips},
};
use crate::{
    model::{MonitorEvent, rfc3339},
    store::{
        columns::{json, parsed},
        rows::unsigned,
    },
};

const IDLE_COLUMNS: &str =
    "r.region, a.name, r.at, r.finding, r.survived_us, r.cut_us, r.code, r.failure, r.detail, r.late";

pub(super) fn canaries(
    connection: &Connection,
    monitor: &MonitorId,
    region: Option<&Region>,
    alive: bool,
    page: &Page<i64>,
) -> Answer<Paged<CanaryRow>> {
    let mut question = Question::new(
        "SELECT r.id, r.at, r.region, a.name, r.event, r.address, r.took_us, r.after_us, r.failed_attempts,
             r.open_for_us, r.heartbeats, r.quiet_for_us, r.round_trips, r.round_trip_min_us, r.round_trip_p50_us,
             r.round_trip_max_us, r.jitter_us, r.code, r.failure, r.phase, r.detail, r.status, r.late
         FROM canary r LEFT JOIN agent a ON a.key = r.agent",
    );
    question.only("r.monitor = ?", monitor.as_str().to_owned());
    if !alive {
        // In the words of the index that leaves them out.
        question.clause("r.event <> 'alive'");
    }
    if let Some(region) = region {
        question.only("r.region = ?", region.as_str().to_owned());
    }
    if let Some(Place { at, id }) = page.before {
        question.below("(r.at, r.id)", at, id);
    }
    let rows = question.ask(connection, "r.at DESC, r.id DESC", page.rows_asked(), |row| {
        Ok((Place { id: row.get(0)?, at: row.get(1)? }, canary(row)?))
    })?;
    Ok(page.answer(rows))
}

pub(super) fn idle_timeouts(
    connection: &Connection,
    monitor: &MonitorId,
    region: Option<&Region>,
    page: &Page<i64>,
) -> Answer<Paged<IdleTimeoutRow>> {
    let mut question = Question::new(&format!(
        "SELECT {IDLE_COLUMNS}, r.id FROM idle_timeout r LEFT JOIN agent a ON a.key = r.agent"
    ));
    question.only("r.monitor = ?", monitor.as_str().to_owned());
    if let Some(region) = region {
        question.only("r.region = ?", region.as_str().to_owned());
    }
    if let Some(Place { at, id }) = page.before {
        question.below("(r.at, r.id)", at, id);
    }
    let rows = question.ask(connection, "r.at DESC, r.id DESC", page.rows_asked(), |row| {
        Ok((Place { id: row.get(10)?, at: row.get(2)? }, idle_timeout(row)?))
    })?;
    Ok(page.answer(rows))
}

pub(super) fn idle_timeouts_latest(
    connection: &Connection,
    monitor: &MonitorId,
) -> Answer<Vec<IdleTimeoutRow>> {
    // One row a region: beside the one `max`, SQLite takes the other columns from the row that has it.
    connection
        .prepare_cached(&format!(
            "SELECT {IDLE_COLUMNS}, max(r.at) FROM idle_timeout r LEFT JOIN agent a ON a.key = r.agent
             WHERE r.monitor = ?1 GROUP BY r.region ORDER BY r.region"
        ))?
        .query_map([monitor.as_str()], idle_timeout)?
        .collect()
}

pub(super) fn events(
    connection: &Connection,
    monitor: Option<&MonitorId>,
    page: &Page<String>,
) -> Answer<Paged<MonitorEvent>> {
    let mut question = Question::new("SELECT id, at, body FROM monitor_event");
    if let Some(monitor) = monitor {
        question.only("monitor = ?", monitor.as_str().to_owned());
    }
    if let Some(Place { at, id }) = &page.before {
        question.below("(at, id)", *at, id.clone());
    }
    let rows = question.ask(connection, "at DESC, id DESC", page.rows_asked(), |row| {
        Ok((Place { id: row.get(0)?, at: row.get(1)? }, json(row, 2)?))
    })?;
    Ok(page.answer(rows))
}

fn canary(row: &Row<'_>) -> Answer<CanaryRow> {
    Ok(CanaryRow {
        region: parsed(row, 2)?,
        agent: row.get::<_, Option<String>>(3)?.and_then(|name| name.parse().ok()),
        event: row.get(4)?,
        at: rfc3339::text(WallMicros(row.get(1)?)),
        address: row.get(5)?,
        took_ms: ms(row, 6)?,
        after_ms: ms(row, 7)?,
        failed_attempts: row.get(8)?,
        open_for_ms: ms(row, 9)?,
        heartbeats: row.get::<_, Option<i64>>(10)?.map(unsigned),
        quiet_for_ms: ms(row, 11)?,
        round_trips: round_trips(row, 12)?,
        code: row.get(17)?,
        failure: row.get(18)?,
        phase: row.get(19)?,
        detail: row.get(20)?,
        status: row.get(21)?,
        late: row.get(22)?,
    })
}

fn idle_timeout(row: &Row<'_>) -> Answer<IdleTimeoutRow> {
    Ok(IdleTimeoutRow {
        region: parsed(row, 0)?,
        agent: row.get::<_, Option<String>>(1)?.and_then(|name| name.parse().ok()),
        at: rfc3339::text(WallMicros(row.get(2)?)),
        finding: row.get(3)?,
        survived_ms: ms(row, 4)?,
        cut_ms: ms(row, 5)?,
        code: row.get(6)?,
        failure: row.get(7)?,
        detail: row.get(8)?,
        late: row.get(9)?,
    })
}
