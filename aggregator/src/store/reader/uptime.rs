//! Statements that read what uptime is made of. Each goes along an index; the number of rows is bounded.

use std::collections::{BTreeMap, BTreeSet};

use quorate_proto::{MonitorId, WallMicros};
use quorate_quorum::{
    Verdict,
    uptime::{History, Mend, Stretch, Turn},
};
use rusqlite::{Connection, OptionalExtension as _, Row, params, types::FromSqlError};

use super::{Grain, Rollup, questions::Answer};
use crate::{
    limits,
    model::Maintenance,
    store::{
        columns::{json, parsed},
        rows::{GONE, unsigned},
    },
};

/// The past of several monitors in a window, one that has none included.
pub(super) fn histories(
    connection: &Connection,
    monitors: &[MonitorId],
    window: Stretch,
) -> Answer<BTreeMap<MonitorId, History>> {
    let away = away(connection, window)?;
    let maintenance = maintained(connection, window)?;
    let mut histories = BTreeMap::new();
    for monitor in monitors {
        let concerns = |of: &Option<BTreeSet<MonitorId>>| of.as_ref().is_none_or(|of| of.contains(monitor));
        let history = History {
            turns: turns(connection, monitor, window)?,
            mends: mends(connection, monitor, window)?,
            away: away.clone(),
            maintenance: maintenance
                .iter()
                .filter(|(_, of)| concerns(of))
                .map(|(stretch, _)| *stretch)
                .collect(),
        };
        histories.insert(monitor.clone(), history);
    }
    Ok(histories)
}

/// The turns in a window, and the one before, which says how it begins.
fn turns(connection: &Connection, monitor: &MonitorId, window: Stretch) -> Answer<Vec<Turn>> {
    let before = connection
        .prepare_cached(
            "SELECT since, verdict FROM turn WHERE monitor = ?1 AND since <= ?2 ORDER BY since DESC LIMIT 1",
        )?
        .query_row(params![monitor.as_str(), window.from.0], turn)
        .optional()?;
    let mut turns = connection
        .prepare_cached(
            "SELECT since, verdict FROM turn WHERE monitor = ?1 AND since > ?2 AND since < ?3
             ORDER BY since DESC LIMIT ?4",
        )?
        .query_map(params![monitor.as_str(), window.from.0, window.to.0, limits::UPTIME_TURNS_MAX], turn)?
        .collect::<Answer<Vec<_>>>()?;
    turns.extend(before);
    turns.reverse();
    Ok(turns)
}

fn turn(row: &Row<'_>) -> Answer<Turn> {
    let name: String = row.get(1)?;
    let verdict = match Verdict::from_name(&name) {
        None if name != GONE => return Err(FromSqlError::InvalidType.into()),
        verdict => verdict,
    };
    Ok(Turn { at: WallMicros(row.get(0)?), verdict })
}

fn mends(connection: &Connection, monitor: &MonitorId, window: Stretch) -> Answer<Vec<Mend>> {
    connection
        .prepare_cached(
            "SELECT since, until, verdict FROM mend WHERE monitor = ?1 AND since >= ?2 AND since < ?3
             ORDER BY since DESC LIMIT ?4",
        )?
        .query_map(
            // A slot that began before the window reaches into it.
            params![
                monitor.as_str(),
                window.from.before(limits::MEND_SLOT_MAX).0,
                window.to.0,
                limits::UPTIME_MENDS_MAX
            ],
            |row| {
                let name: String = row.get(2)?;
                let verdict = Verdict::from_name(&name).ok_or(FromSqlError::InvalidType)?;
                Ok(Mend { stretch: stretch(row)?, verdict })
            },
        )?
        .collect()
}

fn away(connection: &Connection, window: Stretch) -> Answer<Vec<Stretch>> {
    connection
        .prepare_cached(
            "SELECT since, until FROM away WHERE until > ?1 AND since < ?2 ORDER BY since DESC LIMIT ?3",
        )?
        .query_map(params![window.from.0, window.to.0, limits::UPTIME_AWAY_MAX], stretch)?
        .collect()
}

fn maintained(
    connection: &Connection,
    window: Stretch,
) -> Answer<Vec<(Stretch, Option<BTreeSet<MonitorId>>)>> {
    connection
        .prepare_cached(
            "SELECT since, until, monitors FROM maintenance WHERE until > ?1 AND since < ?2
             ORDER BY until DESC LIMIT ?3",
        )?
        .query_map(params![window.from.0, window.to.0, limits::UPTIME_MAINTENANCE_MAX], |row| {
            let monitors = match row.get::<_, Option<String>>(2)? {
                Some(_) => Some(json(row, 2)?),
                None => None,
            };
            Ok((stretch(row)?, monitors))
        })?
        .collect()
}

/// The counts of one monitor's hours or days that lie in a window, in order of time.
pub(super) fn rollups(
    connection: &Connection,
    monitor: &MonitorId,
    grain: Grain,
    window: Stretch,
) -> Answer<Vec<Rollup>> {
    let statement = match grain {
        Grain::Hour => {
            "SELECT region, at, passed, failed, confirming, own_fault, maintained, late, failures,
                 CASE WHEN passed + failed > 0 THEN 1 ELSE 0 END
             FROM rollup_hour WHERE monitor = ?1 AND at >= ?2 AND at < ?3 ORDER BY at, region LIMIT ?4"
        }
        Grain::Day => {
            "SELECT region, at, passed, failed, confirming, own_fault, maintained, late, failures, hours
             FROM rollup_day WHERE monitor = ?1 AND at >= ?2 AND at < ?3 ORDER BY at, region LIMIT ?4"
        }
    };
    connection
        .prepare_cached(statement)?
        .query_map(params![monitor.as_str(), window.from.0, window.to.0, limits::UPTIME_ROLLUPS_MAX], rollup)?
        .collect()
}

fn rollup(row: &Row<'_>) -> Answer<Rollup> {
    let count = |column| Ok::<_, rusqlite::Error>(unsigned(row.get(column)?));
    Ok(Rollup {
        region: parsed(row, 0)?,
        at: WallMicros(row.get(1)?),
        passed: count(2)?,
        failed: count(3)?,
        confirming: count(4)?,
        own_fault: count(5)?,
        maintained: count(6)?,
        late: count(7)?,
        failures: json(row, 8)?,
        hours: count(9)?.count_ones(),
    })
}

/// Maintenance that has begun, or was planned by hand, the latest to end first.
pub(in crate::store) fn maintenances(connection: &Connection, limit: u32) -> Answer<Vec<Maintenance>> {
    connection
        .prepare_cached("SELECT body FROM maintenance ORDER BY until DESC, id LIMIT ?1")?
        .query_map([limit], |row| json(row, 0))?
        .collect()
}

fn stretch(row: &Row<'_>) -> Answer<Stretch> {
    Ok(Stretch { from: WallMicros(row.get(0)?), to: WallMicros(row.get(1)?) })
}
