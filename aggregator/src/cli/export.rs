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
  quorate export --keys > keys.txt        once, and kept by whoever will verify
  quorate verify evidence.json --keys keys.txt

The file holds the decisions, the settings and the rule's numbers, who voted, and the signed results of every agent over the
stretch that made the decision; agents sign several monitors' results together, so results of others may be among them.

Exit codes: 0 written, 1 there is no such incident, 2 it could not be looked up")]
pub(super) struct Arguments {
    #[command(flatten)]
    api: ApiArguments,
    /// An incident's id, a beginning of one, `last`, or a monitor's id for its latest
    #[arg(required_unless_present = "keys")]
    incident: Option<String>,
    /// Write the keys instead that whoever verifies is to pin: the aggregator's and those of the enrolled agents
    #[arg(long, conflicts_with_all = ["incident", "data"])]
    keys: bool,
    /// Read database and key of this data folder, and ask no aggregator
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let incident = arguments.incident.unwrap_or_default();
    let text = match &arguments.data {
        Some(folder) => {
            let dossier = explain::dossier(folder, &incident).await?;
            let key = existing_key(folder)?;
            let file = EvidenceFile::of(&dossier, key.aggregator_key(), clock::wall());
            file.sealed(&key).unwrap_or_default()
        }
        None => {
            let api = Api::new(&arguments.api)?;
            let path = match arguments.keys {
                true => "/api/v1/keys".to_owned(),
                false => explain::path(&incident, "evidence"),
            };
            let bytes = api.fetch(Method::GET, &path, None, limits::EVIDENCE_FILE_BYTES_MAX).await?;
            String::from_utf8(bytes).map_err(|_| ApiError::Strange("the aggregator".to_owned()))?
        }
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}
