//! Reading what decisions were made from.

use std::collections::BTreeSet;

use quorate_proto::{AgentKey, BootEpoch, Micros, Sequence, SignedUnit, unit::Content};
use quorate_quorum::Moment;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::questions::{Answer, incident};
use crate::{
    limits,
    model::{DecisionRecord, Delivery, Incident, StoredUnit, UnitSpan},
    store::{
        columns::json,
        rows::{signed, unsigned},
    },
};

/// An incident with everything that is kept of how it was decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Dossier {
    /// The incident.
    pub incident: Incident,
    /// What was sent about it.
    pub deliveries: Vec<Delivery>,
    /// Every decision that is kept, oldest first. Empty for incidents that an older version decided.
    pub decisions: Vec<DecisionRecord>,
    /// The signed units that they rest on, in order of agent, epoch and sequence.
    pub units: Vec<StoredUnit>,
    /// Whether units that say nothing of the monitor were left out because there are so many.
    pub is_reduced: bool,
}

/// Which incident is meant by a word of the user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meant {
    /// This one.
    One(String),
    /// None.
    None,
    /// Several begin so; some of them.
    Several(Vec<String>),
}

/// Finds the incident that is meant: an id, a beginning of one that no other has, `last`, or a monitor for its latest.
pub(super) fn meant(connection: &Connection, word: &str) -> Answer<Meant> {
    let one = |query: &str| {
        connection.prepare_cached(query)?.query_row([word], |row| row.get::<_, String>(0)).optional()
    };
    if let Some(id) = one("SELECT id FROM incident WHERE id = ?1")? {
        return Ok(Meant::One(id));
    }
    if word == "last" {
        let id = one("SELECT id FROM incident WHERE ?1 = 'last' ORDER BY opened_at DESC, id DESC LIMIT 1")?;
        return Ok(id.map_or(Meant::None, Meant::One));
    }
    if let Some(id) =
        one("SELECT id FROM incident WHERE monitor = ?1 ORDER BY opened_at DESC, id DESC LIMIT 1")?
    {
        return Ok(Meant::One(id));
    }
    let beginning = if word.starts_with("inc_") { word.to_owned() } else { format!("inc_{word}") };
    let mut found: Vec<String> = connection
        .prepare_cached("SELECT id FROM incident WHERE id >= ?1 AND id < ?1 || '~' ORDER BY id LIMIT 4")?
        .query_map([&beginning], |row| row.get(0))?
        .collect::<Answer<_>>()?;
    Ok(match (found.len(), found.pop()) {
        (1, Some(id)) => Meant::One(id),
        (0, _) | (_, None) => Meant::None,
        (_, Some(last)) => {
            found.push(last);
            Meant::Several(found)
        }
    })
}

/// Reads an incident with its evidence.
pub(super) fn dossier(connection: &Connection, id: &str) -> Answer<Option<Dossier>> {
    let Some((incident, deliveries)) = incident(connection, id)? else { return Ok(None) };
    let decisions = decisions(connection, id)?;
    let spans = connection
        .prepare_cached("SELECT agent, epoch, first, last FROM evidence_span WHERE incident = ?1")?
        .query_map([id], span)?
        .collect::<Answer<Vec<_>>>()?;
    let (units, is_reduced) = units(connection, &spans, &incident)?;
    Ok(Some(Dossier { incident, deliveries, decisions, units, is_reduced }))
}

/// The decisions about an incident, oldest first.
pub(super) fn decisions(connection: &Connection, id: &str) -> Answer<Vec<DecisionRecord>> {
    connection
        .prepare_cached("SELECT body FROM evidence WHERE incident = ?1 ORDER BY decided_at, verdict")?
        .query_map(params![id], |row| json(row, 0))?
        .collect()
}

fn units(
    connection: &Connection,
    spans: &[UnitSpan],
    incident: &Incident,
) -> Answer<(Vec<StoredUnit>, bool)> {
    let mut reading = Reading { seen: BTreeSet::new(), units: Vec::new(), bytes: 0 };
    // All of them where there is room; otherwise those that say something of the monitor.
    for only_monitor in [false, true] {
        reading = Reading { seen: BTreeSet::new(), units: Vec::new(), bytes: 0 };
        for span in spans {
            reading.read(connection, span, only_monitor.then_some(incident))?;
        }
        if reading.has_room() {
            return Ok((reading.in_order(), only_monitor));
        }
    }
    Ok((reading.in_order(), true))
}

struct Reading {
    seen: BTreeSet<(AgentKey, BootEpoch, Sequence)>,
    units: Vec<((AgentKey, BootEpoch, Sequence), StoredUnit)>,
    bytes: usize,
}

impl Reading {
    fn has_room(&self) -> bool {
        self.bytes < limits::EVIDENCE_UNIT_BYTES_MAX && self.units.len() < limits::EVIDENCE_UNITS_MAX
    }

    fn read(&mut self, connection: &Connection, span: &UnitSpan, only: Option<&Incident>) -> Answer<()> {
        let mut statement = connection.prepare_cached(
            "SELECT sequence, received_us, held_us, bytes FROM batch
                 WHERE agent = ?1 AND epoch = ?2 AND sequence BETWEEN ?3 AND ?4
             UNION ALL SELECT sequence, received_us, held_us, bytes FROM evidence_unit
                 WHERE agent = ?1 AND epoch = ?2 AND sequence BETWEEN ?3 AND ?4
             UNION ALL SELECT sequence, NULL, NULL, bytes FROM gap
                 WHERE agent = ?1 AND epoch = ?2 AND sequence BETWEEN ?3 AND ?4
             ORDER BY sequence",
        )?;
        let ends = params![span.agent.0, signed(span.epoch.0), signed(span.first.0), signed(span.last.0)];
        let mut rows = statement.query(ends)?;
        while let Some(row) = rows.next()? {
            if !self.has_room() {
                break;
            }
            let place = (span.agent, span.epoch, Sequence(unsigned(row.get(0)?)));
            let unit = StoredUnit {
                received: row.get::<_, Option<i64>>(1)?.map(|us| Moment(unsigned(us))),
                held: row.get::<_, Option<i64>>(2)?.map(|us| Micros(unsigned(us))),
                bytes: row.get(3)?,
            };
            if only.is_none_or(|incident| speaks_of(&unit, incident)) && self.seen.insert(place) {
                self.bytes = self.bytes.saturating_add(unit.bytes.len());
                self.units.push((place, unit));
            }
        }
        Ok(())
    }

    fn in_order(mut self) -> Vec<StoredUnit> {
        self.units.sort_by_key(|(place, _)| *place);
        self.units.into_iter().map(|(_, unit)| unit).collect()
    }
}

fn speaks_of(unit: &StoredUnit, incident: &Incident) -> bool {
    let content = SignedUnit::parse(unit.bytes.clone()).and_then(|unit| unit.content());
    match content {
        Ok(Content::Batch(batch)) => batch.results.iter().any(|result| result.monitor == incident.monitor.id),
        Ok(Content::Gap(_)) | Err(_) => true,
    }
}

fn span(row: &Row<'_>) -> Answer<UnitSpan> {
    Ok(UnitSpan {
        agent: AgentKey(row.get(0)?),
        epoch: BootEpoch(unsigned(row.get(1)?)),
        first: Sequence(unsigned(row.get(2)?)),
        last: Sequence(unsigned(row.get(3)?)),
    })
}
