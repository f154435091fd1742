//! `quorate serve`: the aggregator alone.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::Args;

use super::{CliError, config::summary, print, stop_signal};
use crate::{
    config::{Config, Environment, Loaded},
    run::{Aggregator, Options},
};

/// Arguments of `quorate serve`.
#[derive(Debug, Args)]
#[command(after_help = "\
The first start makes the aggregator's key (aggregator.key) and the first API token (admin.token) in the data folder.
Then, for each region:
  quorate agents add eu-1 --region eu-west       on this machine: prints a join string
  quorate-agent run --state DIR --join STRING    on that one

The configuration is read again when it changes and on SIGHUP; one with faults is not taken.
SIGTERM and Ctrl-C end it in order; whatever is owed then is sent after the next start.")]
pub(super) struct Arguments {
    /// The configuration; `quorate init` writes one
    #[arg(long, default_value = "quorate.toml", value_name = "FILE")]
    config: PathBuf,
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let loaded = load(&arguments.config)?;
    warn(&loaded);
    let config = Arc::new(loaded.config.clone());
    let mut running = Aggregator::start(Options { config, watched: Some(arguments.config) }).await?;
    print(&format!(
        "status page  http://{}/\nagents       udp {}\nadmin token  {}\nwatching\n{}",
        running.http_addr,
        running.quic_addr,
        running.admin_token_file.display(),
        summary(&loaded)
    ))?;
    let ended = running.until(stop_signal()).await;
    running.stop().await;
    Ok(ended.map(|()| ExitCode::SUCCESS)?)
}

/// Loads a configuration; where there is none, says what can be done.
pub(super) fn load(path: &std::path::Path) -> Result<Loaded, CliError> {
    if matches!(path.try_exists(), Ok(false)) {
        return Err(CliError::NoConfig(path.to_owned()));
    }
    Config::load(path, &Environment::of_process()).map_err(CliError::Config)
}

/// Puts what is allowed and unwise into the log.
pub(super) fn warn(loaded: &Loaded) {
    for warning in &loaded.warnings {
        tracing::warn!(%warning, "configuration");
    }
}
