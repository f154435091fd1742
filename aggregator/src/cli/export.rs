//! `quorate export`: an incident's evidence as one file, sealed by the aggregator.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{
    CliError,
    api::{Api, ApiArguments, ApiError, Method},
    explain, print,
};
use crate::{clock, evidence::EvidenceFile, limits, run::existing_key};

/// Arguments of `quorate export`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorate export last > evidence.json
  quorate export chat --data /var/lib/quorate > evidence.json
  quorate verify evidence.json

The file holds the decisions, the settings and the rule's numbers, who voted, and the signed results of every agent over the
stretch that made the decision; agents sign several monitors' results together, so results of others may be among them.

Exit codes: 0 written, 1 there is no such incident, 2 it could not be looked up")]
pub(super) struct Arguments {
    #[command(flatten)]
    api: ApiArguments,
    /// An incident's id, a beginning of one, `last`, or a monitor's id for its latest
    incident: String,
    /// Read database and key of this data folder, and ask no aggregator
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let sealed = match &arguments.data {
        Some(folder) => {
            let dossier = explain::dossier(folder, &arguments.incident).await?;
            let key = existing_key(folder)?;
            let file = EvidenceFile::of(&dossier, key.aggregator_key(), clock::wall());
            file.sealed(&key).unwrap_or_default()
        }
        None => {
            let api = Api::new(&arguments.api)?;
            let path = explain::path(&arguments.incident, "evidence");
            let bytes = api.fetch(Method::GET, &path, None, limits::EVIDENCE_FILE_BYTES_MAX).await?;
            String::from_utf8(bytes).map_err(|_| ApiError::Strange("the aggregator".to_owned()))?
        }
    };
    print(&sealed)?;
    Ok(ExitCode::SUCCESS)
}
