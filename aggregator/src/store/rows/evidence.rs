//! Evidence: written with the decision, and what it refers to kept when the log is pruned.

use quorate_proto::{Digest, Micros, WallMicros};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Rows, json, put, signed};
use crate::{
    limits,
    model::{Evidence, evidence::digest_text},
};

/// Writes what a decision was made from. The units of the same transaction are there already, so that their digests can be
/// pinned.
pub(super) fn write(connection: &Connection, evidence: &Evidence) -> Rows {
    let mut record = evidence.record.clone();
    for ballot in record.regions.iter_mut().flat_map(|region| &mut region.ballots) {
        let digest = connection
            .prepare_cached("SELECT digest FROM batch WHERE agent = ?1 AND epoch = ?2 AND sequence = ?3")?
            .query_row(params![ballot.agent.0, signed(ballot.epoch), signed(ballot.sequence)], |row| {
                row.get(0)
            })
            .optional()?;
        ballot.digest = digest.map(|digest| digest_text(Digest(digest)));
    }
    let (incident, decided_at) = (&evidence.incident, evidence.decided_at.0);
    put(
        connection,
        "INSERT INTO evidence (incident, decided_at, verdict, body) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        params![incident, decided_at, record.to, json(&record)?],
    )?;
    for span in &evidence.spans {
        put(
            connection,
            "INSERT INTO evidence_span (incident, agent, epoch, first, last, decided_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
            params![
                incident,
                span.agent.0,
                signed(span.epoch.0),
                signed(span.first.0),
                signed(span.last.0),
                decided_at
            ],
        )?;
    }
    forget_the_middle(connection, incident)
}

/// Keeps the bound of one incident: its first decisions and its latest.
fn forget_the_middle(connection: &Connection, incident: &str) -> Rows {
    let half = limits::EVIDENCE_DECISIONS_MAX / 2;
    put(
        connection,
        "DELETE FROM evidence WHERE incident = ?1
             AND (decided_at, verdict) NOT IN (SELECT decided_at, verdict FROM evidence WHERE incident = ?1
                 ORDER BY decided_at, verdict LIMIT ?2)
             AND (decided_at, verdict) NOT IN (SELECT decided_at, verdict FROM evidence WHERE incident = ?1
                 ORDER BY decided_at DESC, verdict DESC LIMIT ?2)",
        params![incident, half],
    )?;
    put(
        connection,
        "DELETE FROM evidence_span WHERE incident = ?1
             AND decided_at NOT IN (SELECT decided_at FROM evidence WHERE incident = ?1)",
        params![incident],
    )
}

/// Takes over the units that are about to leave the log and are referred to, and deletes one bite of evidence that is too
/// old. What an incident that is not resolved rests on stays.
pub(in crate::store) fn prune(
    connection: &Connection,
    wall: WallMicros,
    batches: Micros,
    records: Micros,
) -> Rows {
    put(
        connection,
        "INSERT INTO evidence_unit (agent, epoch, sequence, received_at, received_us, held_us, bytes)
             SELECT agent, epoch, sequence, received_at, received_us, held_us, bytes FROM batch
             WHERE rowid IN (SELECT rowid FROM batch WHERE received_at < ?1 LIMIT ?2)
                 AND EXISTS (SELECT 1 FROM evidence_span span
                     WHERE span.agent = batch.agent AND span.epoch = batch.epoch
                         AND span.last >= batch.sequence AND span.first <= batch.sequence)
             ON CONFLICT DO NOTHING",
        params![wall.before(batches).0, limits::PRUNE_ROWS],
    )?;
    for statement in [
        "DELETE FROM evidence WHERE (incident, decided_at, verdict) IN
             (SELECT incident, decided_at, verdict FROM evidence WHERE decided_at < ?1
                 AND NOT EXISTS (SELECT 1 FROM incident
                     WHERE incident.id = evidence.incident AND incident.resolved_at IS NULL) LIMIT ?2)",
        "DELETE FROM evidence_span WHERE (incident, agent, epoch, first, last) IN
             (SELECT incident, agent, epoch, first, last FROM evidence_span WHERE decided_at < ?1
                 AND NOT EXISTS (SELECT 1 FROM incident
                     WHERE incident.id = evidence_span.incident AND incident.resolved_at IS NULL) LIMIT ?2)",
        "DELETE FROM evidence_unit WHERE rowid IN
             (SELECT rowid FROM evidence_unit WHERE received_at < ?1
                 AND NOT EXISTS (SELECT 1 FROM evidence_span span
                     WHERE span.agent = evidence_unit.agent AND span.epoch = evidence_unit.epoch
                         AND span.last >= evidence_unit.sequence AND span.first <= evidence_unit.sequence)
                 LIMIT ?2)",
    ] {
        put(connection, statement, params![wall.before(records).0, limits::PRUNE_ROWS])?;
    }
    Ok(())
}
