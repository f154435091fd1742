//! What the core has to know when it starts.

use std::collections::{BTreeMap, BTreeSet};

use quorate_proto::{
    AgentKey, AggregatorKey, BootEpoch, Chains, Digest, MonitorId, Region, Sequence, WallMicros,
    outcome::TlsFacts, verify::Head,
};
use quorate_quorum::Verdict;
use rusqlite::{Connection, OptionalExtension as _, Row, types::FromSqlError};

use super::{
    columns::{delivery, json, parsed, wall},
    commit::{MonitorForm, StoredTls},
    reader::maintenances,
    rows::unsigned,
};
use crate::{
    limits,
    model::{
        AgentRecord, CalibrationKept, Delivery, JoinToken, Kept, Maintenance, QualityKept, Said, Tracked,
    },
};

/// Everything that the core needs at its start.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Every agent that was ever enrolled, revoked ones too.
    pub agents: Vec<AgentRecord>,
    /// Every join token.
    pub join_tokens: Vec<JoinToken>,
    /// Whether any token of the HTTP API is stored.
    pub has_api_token: bool,
    /// Where each agent's chains stand.
    pub chains: BTreeMap<AgentKey, Chains>,
    /// The monitors that each agent was ever given.
    pub given: BTreeMap<AgentKey, BTreeSet<MonitorId>>,
    /// What was last decided of each monitor.
    pub verdicts: BTreeMap<MonitorId, StoredVerdict>,
    /// Incidents that are not resolved, oldest first.
    pub incidents_open: Vec<Tracked>,
    /// Deliveries that are owed, oldest first.
    pub deliveries_pending: Vec<Delivery>,
    /// The number for the next delivery.
    pub delivery_next: u64,
    /// The revision of the assignments.
    pub revision: u64,
    /// The form of each monitor that agents were given.
    pub monitors: BTreeMap<MonitorId, MonitorForm>,
    /// What has been said of each monitor by events.
    pub said: BTreeMap<MonitorId, Said>,
    /// What TLS agreed on last with each monitor's server, in each region.
    pub tls: BTreeMap<MonitorId, BTreeMap<Region, StoredTls>>,
    /// How well each monitor works, where that is known.
    pub quality: BTreeMap<MonitorId, QualityKept>,
    /// What was measured of each monitor's paths, and chosen for them.
    pub calibration: BTreeMap<MonitorId, CalibrationKept>,
    /// When the aggregator last ran, as far as the store knows; none in a new one.
    pub ran_until: Option<WallMicros>,
    /// Maintenance that has begun, or was planned by hand, the latest to end first.
    pub maintenance: Vec<Maintenance>,
    /// What paging kept, by key.
    pub paging: BTreeMap<String, Kept>,
    /// The key that this database's agents know their aggregator by; none in a new one.
    pub aggregator_key: Option<AggregatorKey>,
}

/// What was last decided of a monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredVerdict {
    /// The verdict.
    pub verdict: Verdict,
    /// Since when.
    pub since: WallMicros,
}

/// Reads all of it.
pub(super) fn recover(connection: &Connection) -> Result<Recovered, rusqlite::Error> {
    Ok(Recovered {
        agents: list(
            connection,
            "SELECT key, name, region, labels, enrolled_at, revoked_at FROM agent ORDER BY key",
            agent,
        )?,
        join_tokens: list(
            connection,
            "SELECT id, secret_hash, name, region, labels, expires_at, used_by FROM join_token ORDER BY id",
            join_token,
        )?,
        has_api_token: connection
            .query_row("SELECT EXISTS (SELECT 1 FROM api_token)", [], |row| row.get(0))?,
        chains: chains(connection)?,
        given: given(connection)?,
        verdicts: list(connection, "SELECT monitor, verdict, since FROM verdict", verdict)?
            .into_iter()
            .collect(),
        incidents_open: list(
            connection,
            "SELECT body, opened_at, told FROM incident WHERE resolved_at IS NULL ORDER BY opened_at, id",
            open_incident,
        )?,
        deliveries_pending: list(
            connection,
            "SELECT id, channel, alert, state, attempts, due_at, first_sent_at, delivered_at, status, error
             FROM delivery WHERE state = 'pending' ORDER BY id",
            delivery,
        )?,
        delivery_next: connection
            .query_row("SELECT coalesce(max(id), 0) + 1 FROM delivery", [], |row| row.get(0).map(unsigned))?,
        revision: meta(connection, "revision")?.map(u64::from_be_bytes).unwrap_or(0),
        monitors: list(connection, "SELECT monitor, fingerprint, revision FROM monitor", form)?
            .into_iter()
            .map(|form| (form.monitor.clone(), form))
            .collect(),
        said: list(connection, "SELECT monitor, body FROM said", |row| Ok((parsed(row, 0)?, json(row, 1)?)))?
            .into_iter()
            .collect(),
        tls: tls(connection)?,
        quality: list(connection, "SELECT monitor, body FROM quality", |row| {
            Ok((parsed(row, 0)?, json(row, 1)?))
        })?
        .into_iter()
        .collect(),
        calibration: list(connection, "SELECT monitor, body FROM calibration", |row| {
            Ok((parsed(row, 0)?, json(row, 1)?))
        })?
        .into_iter()
        .collect(),
        ran_until: ran_until(connection)?,
        maintenance: maintenances(connection, limits::MAINTENANCE_REMEMBERED_MAX)?,
        paging: list(connection, "SELECT key, body FROM paging", |row| Ok((row.get(0)?, json(row, 1)?)))?
            .into_iter()
            .collect(),
        aggregator_key: meta(connection, "aggregator_key")?.map(AggregatorKey),
    })
}

/// The latest that is known to have been done: whatever stands in the store was written by a running aggregator.
fn ran_until(connection: &Connection) -> Result<Option<WallMicros>, rusqlite::Error> {
    let latest = |query| connection.query_row(query, [], |row| wall(row, 0));
    let pulse = meta(connection, "pulse")?.map(|bytes| WallMicros(i64::from_be_bytes(bytes)));
    let received = latest("SELECT max(received_at) FROM batch")?;
    Ok(pulse.max(received).max(latest("SELECT max(since) FROM turn")?))
}

fn list<T>(
    connection: &Connection,
    query: &str,
    read: impl Fn(&Row<'_>) -> Result<T, rusqlite::Error>,
) -> Result<Vec<T>, rusqlite::Error> {
    connection.prepare(query)?.query_map([], |row| read(row))?.collect()
}

fn agent(row: &Row<'_>) -> Result<AgentRecord, rusqlite::Error> {
    Ok(AgentRecord {
        key: AgentKey(row.get(0)?),
        name: parsed(row, 1)?,
        region: parsed(row, 2)?,
        labels: json(row, 3)?,
        enrolled_at: WallMicros(row.get(4)?),
        revoked_at: wall(row, 5)?,
    })
}

fn join_token(row: &Row<'_>) -> Result<JoinToken, rusqlite::Error> {
    Ok(JoinToken {
        id: row.get(0)?,
        secret_hash: row.get(1)?,
        name: parsed(row, 2)?,
        region: parsed(row, 3)?,
        labels: json(row, 4)?,
        expires_at: WallMicros(row.get(5)?),
        used_by: row.get::<_, Option<[u8; 32]>>(6)?.map(AgentKey),
    })
}

fn chains(connection: &Connection) -> Result<BTreeMap<AgentKey, Chains>, rusqlite::Error> {
    let mut heads = BTreeMap::<AgentKey, Vec<(BootEpoch, Head)>>::new();
    let rows = list(connection, "SELECT agent, epoch, next, digest FROM chain_head", |row| {
        let head = Head { next: Sequence(unsigned(row.get(2)?)), digest: Digest(row.get(3)?) };
        Ok((AgentKey(row.get(0)?), (BootEpoch(unsigned(row.get(1)?)), head)))
    })?;
    for (agent, head) in rows {
        heads.entry(agent).or_default().push(head);
    }
    Ok(heads.into_iter().map(|(agent, heads)| (agent, Chains::restore(heads))).collect())
}

fn given(connection: &Connection) -> Result<BTreeMap<AgentKey, BTreeSet<MonitorId>>, rusqlite::Error> {
    let mut given = BTreeMap::<AgentKey, BTreeSet<MonitorId>>::new();
    let rows = list(connection, "SELECT agent, monitor FROM assignment_given", |row| {
        Ok((AgentKey(row.get(0)?), parsed(row, 1)?))
    })?;
    for (agent, monitor) in rows {
        given.entry(agent).or_default().insert(monitor);
    }
    Ok(given)
}

fn tls(connection: &Connection) -> Result<BTreeMap<MonitorId, BTreeMap<Region, StoredTls>>, rusqlite::Error> {
    let mut all = BTreeMap::<MonitorId, BTreeMap<Region, StoredTls>>::new();
    let rows = list(
        connection,
        "SELECT monitor, region, since, version, cipher, not_after, fingerprint, verified FROM tls",
        |row| {
            let facts = TlsFacts {
                version: row.get(3)?,
                cipher: row.get(4)?,
                not_after: wall(row, 5)?,
                fingerprint: row.get(6)?,
                verified: row.get(7)?,
            };
            let stored = StoredTls { facts, since: WallMicros(row.get(2)?) };
            Ok((parsed(row, 0)?, parsed(row, 1)?, stored))
        },
    )?;
    for (monitor, region, stored) in rows {
        all.entry(monitor).or_default().insert(region, stored);
    }
    Ok(all)
}

fn verdict(row: &Row<'_>) -> Result<(MonitorId, StoredVerdict), rusqlite::Error> {
    let name: String = row.get(1)?;
    let verdict = Verdict::from_name(&name).ok_or(FromSqlError::InvalidType)?;
    Ok((parsed(row, 0)?, StoredVerdict { verdict, since: WallMicros(row.get(2)?) }))
}

fn open_incident(row: &Row<'_>) -> Result<Tracked, rusqlite::Error> {
    Ok(Tracked { incident: json(row, 0)?, opened_at: WallMicros(row.get(1)?), told: json(row, 2)? })
}

fn form(row: &Row<'_>) -> Result<MonitorForm, rusqlite::Error> {
    Ok(MonitorForm {
        monitor: parsed(row, 0)?,
        fingerprint: Digest(row.get(1)?),
        revision: unsigned(row.get(2)?),
    })
}

fn meta<const N: usize>(connection: &Connection, key: &str) -> Result<Option<[u8; N]>, rusqlite::Error> {
    connection.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()
}
