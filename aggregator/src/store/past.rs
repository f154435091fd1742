//! What was stored of one monitor, read back in order: for commands that look at the past. Read-only, and beside a
//! running aggregator.

use std::path::Path;

use quorate_proto::{AgentKey, FailureKind, Micros, MonitorId, Region, WallMicros};
use quorate_quorum::Finding;
use rusqlite::{Connection, Row, params};

use super::{
    columns::parsed,
    open::{self, OpenError},
    rows::unsigned,
};
use crate::limits;

/// The past of a data folder.
#[derive(Debug)]
pub struct Past {
    connection: Connection,
    file: std::path::PathBuf,
}

/// A check that decided, or could have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastCheck {
    /// From where.
    pub region: Region,
    /// By whom.
    pub agent: AgentKey,
    /// When it ended.
    pub ended: WallMicros,
    /// How long it took.
    pub took: Micros,
    /// What it found.
    pub finding: Finding,
    /// Whether the aggregator had asked for it.
    pub confirming: bool,
}

/// A canary that opened, or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastCanary {
    /// From where.
    pub region: Region,
    /// Whose.
    pub agent: AgentKey,
    /// When.
    pub at: WallMicros,
    /// None: it opened; otherwise the close code by which its end is counted.
    pub ended: Option<u16>,
}

/// Why the past cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// There is no database, or it cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// One monitor has more results than fit.
    #[error("{monitor} has more than {max} results since then: choose a shorter --since", max = limits::PAST_CHECKS_MAX)]
    TooMany {
        /// Which.
        monitor: MonitorId,
    },
}

impl Past {
    /// Opens the database of a data folder.
    ///
    /// # Errors
    /// Where there is none, or it is another program's, of another schema or damaged.
    pub fn open(folder: &Path) -> Result<Self, PastError> {
        let (connection, file) = open::open_to_read(folder)?;
        Ok(Self { connection, file })
    }

    /// The checks of a monitor since a moment that came in time to decide, in order of their ends.
    ///
    /// # Errors
    /// Where there are too many, or the database cannot be read.
    pub fn checks(&self, monitor: &MonitorId, since: WallMicros) -> Result<Vec<PastCheck>, PastError> {
        let limit = i64::try_from(limits::PAST_CHECKS_MAX).unwrap_or(i64::MAX).saturating_add(1);
        let read = || -> Result<Vec<PastCheck>, rusqlite::Error> {
            self.connection
                .prepare_cached(
                    "SELECT region, agent, ended_at, total_us, failure, confirming FROM result
                     WHERE monitor = ?1 AND ended_at >= ?2 AND NOT late ORDER BY ended_at, id LIMIT ?3",
                )?
                .query_map(params![monitor.as_str(), since.0, limit], check)?
                .collect()
        };
        let checks = read().map_err(|error| OpenError::sqlite(&self.file, error))?;
        match checks.len() > limits::PAST_CHECKS_MAX {
            true => Err(PastError::TooMany { monitor: monitor.clone() }),
            false => Ok(checks),
        }
    }

    /// What happened to canaries of a monitor since a moment, in order.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub fn canaries(&self, monitor: &MonitorId, since: WallMicros) -> Result<Vec<PastCanary>, PastError> {
        let read = || -> Result<Vec<PastCanary>, rusqlite::Error> {
            self.connection
                .prepare_cached(
                    "SELECT region, agent, at, event, code FROM canary
                     WHERE monitor = ?1 AND at >= ?2 AND NOT late AND event IN ('opened', 'ended') ORDER BY at, id",
                )?
                .query_map(params![monitor.as_str(), since.0], canary)?
                .collect()
        };
        Ok(read().map_err(|error| OpenError::sqlite(&self.file, error))?)
    }

    /// When a monitor was said to be down since a moment, in order.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub fn downs(&self, monitor: &MonitorId, since: WallMicros) -> Result<Vec<WallMicros>, PastError> {
        let read = || -> Result<Vec<WallMicros>, rusqlite::Error> {
            self.connection
                .prepare_cached(
                    "SELECT e.at FROM incident_event e JOIN incident i ON i.id = e.incident
                     WHERE i.monitor = ?1 AND e.at >= ?2 AND e.verdict = 'down' ORDER BY e.at",
                )?
                .query_map(params![monitor.as_str(), since.0], |row| row.get(0).map(WallMicros))?
                .collect()
        };
        Ok(read().map_err(|error| OpenError::sqlite(&self.file, error))?)
    }
}

fn check(row: &Row<'_>) -> Result<PastCheck, rusqlite::Error> {
    let failure: Option<String> = row.get(4)?;
    let own = [FailureKind::EgressBlocked, FailureKind::AgentFault, FailureKind::Proxy];
    let finding = match failure.as_deref() {
        None => Finding::Passed,
        Some(name) if own.iter().any(|kind| kind.name() == name) => Finding::AgentsOwnFault,
        Some(_) => Finding::Failed,
    };
    Ok(PastCheck {
        region: parsed(row, 0)?,
        agent: AgentKey(row.get(1)?),
        ended: WallMicros(row.get(2)?),
        took: Micros(unsigned(row.get(3)?)),
        finding,
        confirming: row.get(5)?,
    })
}

fn canary(row: &Row<'_>) -> Result<PastCanary, rusqlite::Error> {
    let event: String = row.get(3)?;
    let code: Option<u16> = row.get(4)?;
    Ok(PastCanary {
        region: parsed(row, 0)?,
        agent: AgentKey(row.get(1)?),
        at: WallMicros(row.get(2)?),
        ended: (event == "ended").then(|| code.unwrap_or(1006)),
    })
}
