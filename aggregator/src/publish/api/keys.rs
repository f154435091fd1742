//! `GET /api/v1/keys`: the keys that evidence is verified with, as `quorate verify --keys` reads them.

use std::{fmt::Write as _, sync::Arc};

use axum::extract::{RawQuery, State};

use super::{Error, Parameters, Shared};

/// One key a line: the aggregator's, and that of every agent that is enrolled.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<String, Error> {
    Parameters::read(query.as_deref()).finish()?;
    let mut text = format!("aggregator {}\n", shared.sources.aggregator);
    for agent in &shared.snapshot().agents {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "agent {} {}", agent.name, agent.key);
    }
    Ok(text)
}
