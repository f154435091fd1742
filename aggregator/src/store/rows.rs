//! A commit as rows: every statement that writes.

mod canaries;
mod evidence;
mod uptime;

use quorate_proto::{
    AgentKey, CheckKind, CheckResult, FailureKind, Gap, Micros, MonitorId, Region, Sequence,
    limits as protocol,
    outcome::{AddressResult, RoundTrips},
    unit::{Content, Place},
};
use rusqlite::{Connection, OptionalExtension as _, Params, Transaction, params};

use super::{
    commit::{Change, Commit, EntryFacts, MonitorForm, StoredTls, UnitRows},
    reader::AddressRow,
};
use crate::model::{AgentRecord, Delivery, JoinToken, MonitorEvent, Tracked};

pub(super) use self::evidence::prune as prune_evidence;
pub(in crate::store) use self::uptime::GONE;

type Rows = Result<(), rusqlite::Error>;

/// Writes all of a commit into a transaction.
pub(super) fn write(transaction: &Transaction<'_>, commit: &Commit) -> Rows {
    for unit in &commit.units {
        write_unit(transaction, unit)?;
    }
    for change in &commit.changes {
        write_change(transaction, change)?;
    }
    Ok(())
}

/// The bits of an unsigned number as SQLite's signed one. Order is kept below 2^63, which no counter here reaches.
pub(super) fn signed(number: u64) -> i64 {
    number.cast_signed()
}

/// The way back from [`signed`].
pub(super) fn unsigned(number: i64) -> u64 {
    number.cast_unsigned()
}

fn write_unit(connection: &Connection, rows: &UnitRows) -> Rows {
    let unit = rows.unit.get();
    let Place { agent, epoch, sequence, .. } = &unit.place;
    match &unit.content {
        Content::Batch(batch) => {
            // Where the log has it already, whatever the chain's memory says, its results are not stored again.
            if write_batch(connection, rows)? {
                let (region, facts) = (&rows.region, &rows.facts);
                for (result, facts) in batch.results.iter().zip(&facts.results) {
                    write_result(connection, agent, region, result, *facts)?;
                    uptime::roll_up(connection, region, result, *facts)?;
                }
                uptime::mend(connection, region, batch, &rows.facts)?;
                for (canary, facts) in batch.canaries.iter().zip(&facts.canaries) {
                    canaries::write_canary(connection, agent, region, canary, *facts)?;
                }
                for (found, facts) in batch.idle_timeouts.iter().zip(&facts.idle_timeouts) {
                    canaries::write_idle_timeout(connection, agent, region, found, *facts)?;
                }
            }
        }
        Content::Gap(gap) => write_gap(connection, rows, gap)?,
    }
    connection
        .prepare_cached(
            "INSERT INTO chain_head (agent, epoch, next, digest) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (agent, epoch) DO UPDATE SET next = excluded.next, digest = excluded.digest",
        )?
        .execute(params![agent.0, signed(epoch.0), signed(rows.head.next.0), rows.head.digest.0])?;
    if *sequence == Sequence(0) {
        forget_epochs(connection, agent)?;
    }
    Ok(())
}

/// Gives whether the row is new.
fn write_batch(connection: &Connection, rows: &UnitRows) -> Result<bool, rusqlite::Error> {
    let unit = rows.unit.get();
    let place = &unit.place;
    let inserted = connection
        .prepare_cached(
            "INSERT INTO batch (agent, epoch, sequence, digest, received_at, bytes, received_us, held_us)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            place.agent.0,
            signed(place.epoch.0),
            signed(place.sequence.0),
            unit.digest.0,
            rows.received_at.0,
            unit.signed.as_bytes(),
            signed(rows.received.0),
            rows.held.map(|held| signed(held.0)),
        ])?;
    Ok(inserted > 0)
}

fn write_gap(connection: &Connection, rows: &UnitRows, gap: &Gap) -> Rows {
    let unit = rows.unit.get();
    let place = &unit.place;
    connection
        .prepare_cached(
            "INSERT INTO gap (agent, epoch, sequence, resume, results, cause, received_at, bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            place.agent.0,
            signed(place.epoch.0),
            signed(place.sequence.0),
            signed(gap.resume.0),
            signed(gap.results),
            gap.cause.name(),
            rows.received_at.0,
            unit.signed.as_bytes()
        ])?;
    Ok(())
}

/// Keeps one epoch more than the chains remember, so that they know after a restart which epochs are over.
fn forget_epochs(connection: &Connection, agent: &AgentKey) -> Rows {
    let kept = i64::try_from(protocol::EPOCHS_REMEMBERED_MAX).unwrap_or(i64::MAX);
    let oldest_kept: Option<i64> = connection
        .prepare_cached(
            "SELECT epoch FROM chain_head WHERE agent = ?1 ORDER BY epoch DESC LIMIT 1 OFFSET ?2",
        )?
        .query_row(params![agent.0, kept], |row| row.get(0))
        .optional()?;
    if let Some(oldest) = oldest_kept {
        connection
            .prepare_cached("DELETE FROM chain_head WHERE agent = ?1 AND epoch < ?2")?
            .execute(params![agent.0, oldest])?;
    }
    Ok(())
}

fn write_result(
    connection: &Connection,
    agent: &AgentKey,
    region: &Region,
    result: &CheckResult,
    facts: EntryFacts,
) -> Rows {
    let failure = result.failure();
    let refusal = failure.and_then(|failure| failure.refusal.as_ref());
    let span = |span: Option<Micros>| span.map(|span| signed(span.0));
    let timings = &result.timings;
    let trips = |of: fn(RoundTrips) -> Micros| span(timings.samples.map(of));
    connection
        .prepare_cached(
            "INSERT INTO result (monitor, region, agent, confirming, ended_at, late, failure, phase, detail, status,
                 server, body, total_us, round_trip_us, dns_us, tcp_us, tls_us, upgrade_us, exchange_us, close_us,
                 address, canary_lives, addresses, round_trips, round_trip_min_us, round_trip_p50_us,
                 round_trip_max_us, jitter_us)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
                 ?22, ?23, ?24, ?25, ?26, ?27, ?28)",
        )?
        .execute(params![
            result.monitor.as_str(),
            region.as_str(),
            agent.0,
            matches!(result.kind, CheckKind::Confirming { .. }),
            facts.at.0,
            facts.late,
            failure.map(|failure| failure.kind.name()),
            failure.map(|failure| failure.phase.name()),
            failure.map(|failure| failure.detail.as_str()),
            refusal.map(|refusal| refusal.status),
            refusal.and_then(|refusal| refusal.server.as_deref()),
            refusal.map(|refusal| refusal.body.as_str()),
            signed(timings.total.0),
            span(timings.round_trip),
            span(timings.dns),
            span(timings.tcp),
            span(timings.tls),
            span(timings.upgrade),
            span(timings.exchange),
            span(timings.close),
            result.address.map(|address| address.to_string()),
            failure.is_some_and(|failure| failure.canary_lives),
            addresses(result)?,
            timings.samples.map(|trips| trips.count),
            trips(|trips| trips.min),
            trips(|trips| trips.p50),
            trips(|trips| trips.max),
            trips(|trips| trips.jitter),
        ])?;
    Ok(())
}

/// What each of several addresses found, in JSON; none where one alone was looked at.
fn addresses(result: &CheckResult) -> Result<Option<String>, rusqlite::Error> {
    if result.addresses.is_empty() {
        return Ok(None);
    }
    let row = |found: &AddressResult| AddressRow {
        address: found.address.to_string(),
        failure: found.failure.as_ref().map(FailureKind::to_string),
        total_ms: found.total.as_millis_f64(),
    };
    json(&result.addresses.iter().map(row).collect::<Vec<_>>()).map(Some)
}

fn write_change(connection: &Connection, change: &Change) -> Rows {
    match change {
        Change::Incident(tracked) => write_incident(connection, tracked),
        Change::IncidentEvent { incident, at, verdict, rule } => put(
            connection,
            "INSERT INTO incident_event (incident, at, verdict, rule) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
            params![incident, at.0, verdict, rule],
        ),
        Change::Verdict { monitor, verdict, since } => put(
            connection,
            "INSERT INTO verdict (monitor, verdict, since) VALUES (?1, ?2, ?3)
             ON CONFLICT (monitor) DO UPDATE SET verdict = excluded.verdict, since = excluded.since",
            params![monitor.as_str(), verdict.name(), since.0],
        ),
        Change::Turn { monitor, at, verdict } => uptime::write_turn(connection, monitor, *at, *verdict),
        Change::Away(stretch) => uptime::write_away(connection, *stretch),
        Change::Maintenance(maintenance) => uptime::write_maintenance(connection, maintenance),
        Change::MonitorGone { monitor } => {
            put(connection, "DELETE FROM verdict WHERE monitor = ?1", [monitor.as_str()])?;
            put(connection, "DELETE FROM monitor WHERE monitor = ?1", [monitor.as_str()])?;
            put(connection, "DELETE FROM said WHERE monitor = ?1", [monitor.as_str()])?;
            put(connection, "DELETE FROM quality WHERE monitor = ?1", [monitor.as_str()])?;
            put(connection, "DELETE FROM calibration WHERE monitor = ?1", [monitor.as_str()])?;
            put(connection, "DELETE FROM tls WHERE monitor = ?1", [monitor.as_str()])
        }
        Change::Event(event) => write_event(connection, event),
        Change::Said { monitor, said } => put(
            connection,
            "INSERT INTO said (monitor, body) VALUES (?1, ?2)
             ON CONFLICT (monitor) DO UPDATE SET body = excluded.body",
            params![monitor.as_str(), json(said)?],
        ),
        Change::Tls { monitor, region, stored } => write_tls(connection, monitor, region, stored),
        Change::Delivery(delivery) => write_delivery(connection, delivery),
        Change::Agent(agent) => write_agent(connection, agent),
        Change::JoinToken(token) => write_join_token(connection, token),
        Change::Given { agent, monitors } => monitors.iter().try_for_each(|monitor| {
            put(
                connection,
                "INSERT INTO assignment_given (agent, monitor) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                params![agent.0, monitor.as_str()],
            )
        }),
        Change::Revision(revision) => write_meta(connection, "revision", &revision.to_be_bytes()),
        Change::Monitor(MonitorForm { monitor, fingerprint, revision }) => put(
            connection,
            "INSERT INTO monitor (monitor, fingerprint, revision) VALUES (?1, ?2, ?3)
             ON CONFLICT (monitor) DO UPDATE SET
                 fingerprint = excluded.fingerprint, revision = excluded.revision",
            params![monitor.as_str(), fingerprint.0, signed(*revision)],
        ),
        Change::Pulse(at) => write_meta(connection, "pulse", &at.0.to_be_bytes()),
        Change::AggregatorKey(key) => write_meta(connection, "aggregator_key", &key.0),
        Change::ApiToken { sha256, name, created_at } => put(
            connection,
            "INSERT INTO api_token (sha256, name, created_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            params![sha256, name, created_at.0],
        ),
        Change::Paging { key, kept: Some(kept) } => put(
            connection,
            "INSERT INTO paging (key, body) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET body = excluded.body",
            params![key, json(kept)?],
        ),
        Change::Paging { key, kept: None } => put(connection, "DELETE FROM paging WHERE key = ?1", [key]),
        Change::Quality { monitor, kept } => put(
            connection,
            "INSERT INTO quality (monitor, body) VALUES (?1, ?2)
             ON CONFLICT (monitor) DO UPDATE SET body = excluded.body",
            params![monitor.as_str(), json(kept)?],
        ),
        Change::Evidence(one) => evidence::write(connection, one),
        Change::Calibration { monitor, kept } => put(
            connection,
            "INSERT INTO calibration (monitor, body) VALUES (?1, ?2)
             ON CONFLICT (monitor) DO UPDATE SET body = excluded.body",
            params![monitor.as_str(), json(kept)?],
        ),
    }
}

fn write_event(connection: &Connection, event: &MonitorEvent) -> Rows {
    put(
        connection,
        "INSERT INTO monitor_event (id, monitor, at, kind, body) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO NOTHING",
        params![event.id, event.monitor.id.as_str(), event.at.0, event.kind.name(), json(event)?],
    )
}

fn write_tls(connection: &Connection, monitor: &MonitorId, region: &Region, stored: &StoredTls) -> Rows {
    let StoredTls { facts, since } = stored;
    put(
        connection,
        "INSERT INTO tls (monitor, region, since, version, cipher, not_after, fingerprint, verified)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (monitor, region) DO UPDATE SET since = excluded.since, version = excluded.version,
             cipher = excluded.cipher, not_after = excluded.not_after, fingerprint = excluded.fingerprint,
             verified = excluded.verified",
        params![
            monitor.as_str(),
            region.as_str(),
            since.0,
            facts.version,
            facts.cipher,
            facts.not_after.map(|at| at.0),
            facts.fingerprint,
            facts.verified
        ],
    )
}

fn write_incident(connection: &Connection, tracked: &Tracked) -> Rows {
    let Tracked { incident, opened_at, told } = tracked;
    put(
        connection,
        "INSERT INTO incident (id, monitor, opened_at, resolved_at, told, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE SET
             resolved_at = excluded.resolved_at, told = excluded.told, body = excluded.body",
        params![
            incident.id,
            incident.monitor.id.as_str(),
            opened_at.0,
            incident.resolved_at.map(|at| at.0),
            json(told)?,
            json(incident)?
        ],
    )
}

fn write_delivery(connection: &Connection, delivery: &Delivery) -> Rows {
    connection
        .prepare_cached(
            "INSERT INTO delivery (id, channel, incident, alert, state, attempts, due_at, first_sent_at, delivered_at,
                 status, error, decided_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
             ON CONFLICT (id) DO UPDATE SET state = excluded.state, attempts = excluded.attempts,
                 due_at = excluded.due_at, first_sent_at = excluded.first_sent_at,
                 delivered_at = excluded.delivered_at, status = excluded.status, error = excluded.error",
        )?
        .execute(params![
            signed(delivery.id),
            delivery.channel,
            delivery.alert.event.incident().map(|incident| incident.id.as_str()),
            json(&delivery.alert)?,
            delivery.state.name(),
            delivery.attempts,
            delivery.due_at.map(|at| at.0),
            delivery.first_sent_at.map(|at| at.0),
            delivery.delivered_at.map(|at| at.0),
            delivery.status,
            delivery.error,
            delivery.alert.decided_at.0,
        ])?;
    Ok(())
}

fn write_agent(connection: &Connection, agent: &AgentRecord) -> Rows {
    connection
        .prepare_cached(
            "INSERT INTO agent (key, name, region, labels, enrolled_at, revoked_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (key) DO UPDATE SET name = excluded.name, region = excluded.region,
                 labels = excluded.labels, enrolled_at = excluded.enrolled_at, revoked_at = excluded.revoked_at",
        )?
        .execute(params![
            agent.key.0,
            agent.name.as_str(),
            agent.region.as_str(),
            json(&agent.labels)?,
            agent.enrolled_at.0,
            agent.revoked_at.map(|at| at.0),
        ])?;
    Ok(())
}

fn write_join_token(connection: &Connection, token: &JoinToken) -> Rows {
    connection
        .prepare_cached(
            "INSERT INTO join_token (id, secret_hash, name, region, labels, expires_at, used_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (id) DO UPDATE SET used_by = excluded.used_by",
        )?
        .execute(params![
            token.id,
            token.secret_hash,
            token.name.as_str(),
            token.region.as_str(),
            json(&token.labels)?,
            token.expires_at.0,
            token.used_by.map(|key| key.0),
        ])?;
    Ok(())
}

fn write_meta(connection: &Connection, key: &str, value: &[u8]) -> Rows {
    connection
        .prepare_cached(
            "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )?
        .execute(params![key, value])?;
    Ok(())
}

fn put(connection: &Connection, statement: &str, values: impl Params) -> Rows {
    connection.prepare_cached(statement)?.execute(values).map(drop)
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, rusqlite::Error> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
