//! Rows of canaries and of idle timeouts.

use quorate_proto::{
    AgentKey, Failure, Micros, Region,
    canary::{CanaryEvent, CanaryResult, IdleFinding, IdleTimeoutResult},
    outcome::RoundTrips,
};
use rusqlite::{Connection, params};

use super::{Rows, signed};
use crate::store::commit::EntryFacts;

/// One row of `canary`, as far as the kind of event fills it.
#[derive(Default)]
struct Columns<'a> {
    took: Option<Micros>,
    after: Option<Micros>,
    failed_attempts: Option<u32>,
    open_for: Option<Micros>,
    heartbeats: Option<u64>,
    quiet_for: Option<Micros>,
    round_trips: Option<RoundTrips>,
    code: Option<u16>,
    failure: Option<&'a Failure>,
}

impl<'a> From<&'a CanaryEvent> for Columns<'a> {
    fn from(event: &'a CanaryEvent) -> Self {
        match event {
            CanaryEvent::Opened { took, after, failed_attempts, tls: _ } => Self {
                took: Some(*took),
                after: *after,
                failed_attempts: Some(*failed_attempts),
                ..Self::default()
            },
            CanaryEvent::NotOpened { failure } => Self { failure: Some(failure), ..Self::default() },
            CanaryEvent::Alive { open_for, heartbeats, round_trips } => Self {
                open_for: Some(*open_for),
                heartbeats: Some(*heartbeats),
                round_trips: *round_trips,
                ..Self::default()
            },
            CanaryEvent::Ended { open_for, heartbeats, quiet_for, failure } => Self {
                open_for: Some(*open_for),
                heartbeats: Some(*heartbeats),
                quiet_for: Some(*quiet_for),
                code: Some(failure.kind.close_code()),
                failure: Some(failure),
                ..Self::default()
            },
            CanaryEvent::Left { open_for } => Self { open_for: Some(*open_for), ..Self::default() },
        }
    }
}

pub(super) fn write_canary(
    connection: &Connection,
    agent: &AgentKey,
    region: &Region,
    canary: &CanaryResult,
    facts: EntryFacts,
) -> Rows {
    let columns = Columns::from(&canary.event);
    let span = |span: Option<Micros>| span.map(|span| signed(span.0));
    let trips = |of: fn(RoundTrips) -> Micros| span(columns.round_trips.map(of));
    connection
        .prepare_cached(
            "INSERT INTO canary (monitor, region, agent, at, late, event, address, took_us, after_us, failed_attempts,
                 open_for_us, heartbeats, quiet_for_us, round_trips, round_trip_min_us, round_trip_p50_us,
                 round_trip_max_us, jitter_us, code, failure, phase, detail, status)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
                 ?22, ?23)",
        )?
        .execute(params![
            canary.monitor.as_str(),
            region.as_str(),
            agent.0,
            facts.at.0,
            facts.late,
            canary.event.name(),
            canary.address.map(|address| address.to_string()),
            span(columns.took),
            span(columns.after),
            columns.failed_attempts,
            span(columns.open_for),
            columns.heartbeats.map(signed),
            span(columns.quiet_for),
            columns.round_trips.map(|trips| trips.count),
            trips(|trips| trips.min),
            trips(|trips| trips.p50),
            trips(|trips| trips.max),
            trips(|trips| trips.jitter),
            columns.code,
            columns.failure.map(|failure| failure.kind.name()),
            columns.failure.map(|failure| failure.phase.name()),
            columns.failure.map(|failure| failure.detail.as_str()),
            columns.failure.and_then(|failure| failure.refusal.as_ref()).map(|refusal| refusal.status),
        ])?;
    Ok(())
}

pub(super) fn write_idle_timeout(
    connection: &Connection,
    agent: &AgentKey,
    region: &Region,
    result: &IdleTimeoutResult,
    facts: EntryFacts,
) -> Rows {
    let (name, survived, cut, failure) = match &result.finding {
        IdleFinding::Cut { survived, cut, failure } => ("cut", Some(*survived), Some(*cut), Some(failure)),
        IdleFinding::NotWithin(survived) => ("not_within", Some(*survived), None, None),
        IdleFinding::Failed(failure) => ("failed", None, None, Some(failure)),
    };
    connection
        .prepare_cached(
            "INSERT INTO idle_timeout (monitor, region, agent, at, late, finding, survived_us, cut_us, code, failure,
                 detail)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            result.monitor.as_str(),
            region.as_str(),
            agent.0,
            facts.at.0,
            facts.late,
            name,
            survived.map(|span| signed(span.0)),
            cut.map(|span| signed(span.0)),
            cut.and(failure).map(|failure| failure.kind.close_code()),
            failure.map(|failure| failure.kind.name()),
            failure.map(|failure| failure.detail.as_str()),
        ])?;
    Ok(())
}
