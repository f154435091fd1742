//! (to be written)

use std::process::ExitCode;

/// (to be written)
#[derive(Clone, Debug, clap::Args)]
pub struct Args {}

/// (to be written)
pub async fn run(_args: Args) -> ExitCode {
    ExitCode::from(2)
}
