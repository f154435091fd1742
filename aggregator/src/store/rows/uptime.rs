//! What uptime is made of: turns of verdicts, the counts of hours and days, and what late results mend.

use std::collections::{BTreeMap, BTreeSet};

use quorate_proto::{BatchBody, CheckKind, CheckResult, Failure, MonitorId, Region, WallMicros};
use quorate_quorum::{
    Verdict,
    uptime::{LateVotes, MendRule, Stretch},
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Rows, json, put};
use crate::{
    model::Maintenance,
    store::{
        columns::parsed,
        commit::{BatchFacts, EntryFacts},
    },
};

/// The verdict's name of a monitor that is not watched.
pub(in crate::store) const GONE: &str = "gone";

pub(super) const HOUR: i64 = 3_600_000_000;
pub(super) const DAY: i64 = 24 * HOUR;

/// Writes a turn. One that changes nothing is none; and where the wall clock was set back, it comes right after the one
/// before, because what was decided last is what stands.
pub(super) fn write_turn(
    connection: &Connection,
    monitor: &MonitorId,
    at: WallMicros,
    verdict: Option<Verdict>,
) -> Rows {
    let name = verdict.map_or(GONE, Verdict::name);
    let latest = connection
        .prepare_cached("SELECT since, verdict FROM turn WHERE monitor = ?1 ORDER BY since DESC LIMIT 1")?
        .query_row([monitor.as_str()], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))
        .optional()?;
    let since = match latest {
        Some((_, latest)) if latest == name => return Ok(()),
        Some((since, _)) => at.0.max(since.saturating_add(1)),
        None => at.0,
    };
    put(
        connection,
        "INSERT INTO turn (monitor, since, verdict) VALUES (?1, ?2, ?3)",
        params![monitor.as_str(), since, name],
    )
}

pub(super) fn write_away(connection: &Connection, stretch: Stretch) -> Rows {
    put(
        connection,
        "INSERT INTO away (since, until) VALUES (?1, ?2)
         ON CONFLICT (since) DO UPDATE SET until = max(until, excluded.until)",
        params![stretch.from.0, stretch.to.0],
    )
}

pub(super) fn write_maintenance(connection: &Connection, maintenance: &Maintenance) -> Rows {
    put(
        connection,
        "INSERT INTO maintenance (id, since, until, monitors, body) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO UPDATE SET since = excluded.since, until = excluded.until,
             monitors = excluded.monitors, body = excluded.body",
        params![
            maintenance.id,
            maintenance.from.0,
            maintenance.until.0,
            maintenance.monitors.as_ref().map(json).transpose()?,
            json(maintenance)?
        ],
    )
}

/// How a check counts: one of these is 1.
#[derive(Default)]
struct Count {
    passed: u8,
    failed: u8,
    confirming: u8,
    own_fault: u8,
    maintained: u8,
}

/// Counts a check in the hour and the day in which it ended.
pub(super) fn roll_up(
    connection: &Connection,
    region: &Region,
    result: &CheckResult,
    facts: EntryFacts,
) -> Rows {
    let failure = result.failure();
    let count = match (&result.kind, failure) {
        (_, Some(failure)) if failure.kind.is_agents_own() => Count { own_fault: 1, ..Count::default() },
        _ if facts.maintained => Count { maintained: 1, ..Count::default() },
        (CheckKind::Confirming { .. }, _) => Count { confirming: 1, ..Count::default() },
        (_, None) => Count { passed: 1, ..Count::default() },
        (_, Some(_)) => Count { failed: 1, ..Count::default() },
    };
    let (hour, day) = (begin(facts.at, HOUR), begin(facts.at, DAY));
    let hours = if count.passed + count.failed > 0 { 1_i64 << ((hour - day) / HOUR) } else { 0 };
    let Count { passed, failed, confirming, own_fault, maintained } = count;
    let (monitor, region) = (result.monitor.as_str(), region.as_str());
    connection
        .prepare_cached(
            "INSERT INTO rollup_hour (monitor, at, region, passed, failed, confirming, own_fault, maintained, late,
                 failures)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, '{}')
             ON CONFLICT DO UPDATE SET passed = passed + excluded.passed, failed = failed + excluded.failed,
                 confirming = confirming + excluded.confirming, own_fault = own_fault + excluded.own_fault,
                 maintained = maintained + excluded.maintained, late = late + excluded.late",
        )?
        .execute(params![
            monitor, hour, region, passed, failed, confirming, own_fault, maintained, facts.late
        ])?;
    connection
        .prepare_cached(
            "INSERT INTO rollup_day (monitor, at, region, passed, failed, confirming, own_fault, maintained, late,
                 hours, failures)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, '{}')
             ON CONFLICT DO UPDATE SET passed = passed + excluded.passed, failed = failed + excluded.failed,
                 confirming = confirming + excluded.confirming, own_fault = own_fault + excluded.own_fault,
                 maintained = maintained + excluded.maintained, late = late + excluded.late,
                 hours = hours | excluded.hours",
        )?
        .execute(params![
            monitor, day, region, passed, failed, confirming, own_fault, maintained, facts.late, hours
        ])?;
    match failure {
        Some(failure) if failed + confirming > 0 => {
            name_failure(connection, monitor, region, [hour, day], failure)
        }
        Some(_) | None => Ok(()),
    }
}

/// Counts a failure by its name, whose alphabet needs no quoting.
fn name_failure(
    connection: &Connection,
    monitor: &str,
    region: &str,
    [hour, day]: [i64; 2],
    failure: &Failure,
) -> Rows {
    let path = format!("$.{}", failure.kind.name());
    for (update, at) in [
        (
            "UPDATE rollup_hour SET failures = json_set(failures, ?4, coalesce(json_extract(failures, ?4), 0) + 1)
             WHERE monitor = ?1 AND at = ?2 AND region = ?3",
            hour,
        ),
        (
            "UPDATE rollup_day SET failures = json_set(failures, ?4, coalesce(json_extract(failures, ?4), 0) + 1)
             WHERE monitor = ?1 AND at = ?2 AND region = ?3",
            day,
        ),
    ] {
        put(connection, update, params![monitor, at, region, path])?;
    }
    Ok(())
}

/// Takes the late votes of a batch, and decides the slots anew in which they are.
pub(super) fn mend(connection: &Connection, region: &Region, batch: &BatchBody, facts: &BatchFacts) -> Rows {
    let mut touched = BTreeSet::<(&MonitorId, Stretch)>::new();
    for (result, entry) in batch.results.iter().zip(&facts.results) {
        let says_nothing = result.failure().is_some_and(|failure| failure.kind.is_agents_own());
        let is_scheduled = matches!(result.kind, CheckKind::Scheduled);
        let Some(rule) = facts.mending.get(&result.monitor) else { continue };
        if !entry.late || !is_scheduled || says_nothing {
            continue;
        }
        let slot = rule.slot_of(entry.at);
        let passed = u8::from(result.failure().is_none());
        connection
            .prepare_cached(
                "INSERT INTO late_vote (monitor, slot, until, region, passed, failed) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO UPDATE SET passed = passed + excluded.passed, failed = failed + excluded.failed",
            )?
            .execute(params![
                result.monitor.as_str(),
                slot.from.0,
                slot.to.0,
                region.as_str(),
                passed,
                1 - passed
            ])?;
        touched.insert((&result.monitor, slot));
    }
    for (monitor, slot) in touched {
        if let Some(rule) = facts.mending.get(monitor) {
            decide_slot(connection, monitor, slot, rule)?;
        }
    }
    Ok(())
}

fn decide_slot(connection: &Connection, monitor: &MonitorId, slot: Stretch, rule: &MendRule) -> Rows {
    let place = params![monitor.as_str(), slot.from.0, slot.to.0];
    let votes = connection
        .prepare_cached(
            "SELECT region, passed, failed FROM late_vote WHERE monitor = ?1 AND slot = ?2 AND until = ?3",
        )?
        .query_map(place, |row| {
            Ok((parsed(row, 0)?, LateVotes { passed: row.get(1)?, failed: row.get(2)? }))
        })?
        .collect::<Result<BTreeMap<Region, LateVotes>, _>>()?;
    match rule.decide(&votes) {
        Some(verdict) => put(
            connection,
            "INSERT INTO mend (monitor, since, until, verdict) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET verdict = excluded.verdict",
            params![monitor.as_str(), slot.from.0, slot.to.0, verdict.name()],
        ),
        None => put(connection, "DELETE FROM mend WHERE monitor = ?1 AND since = ?2 AND until = ?3", place),
    }
}

fn begin(at: WallMicros, length: i64) -> i64 {
    at.0.div_euclid(length) * length
}
