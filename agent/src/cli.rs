//! The command line of `quorate-agent`.

mod controls;
mod log;
mod run;

use std::{io, process::ExitCode};

use clap::{Parser, Subcommand};
use quorate_proto::join::JoinStringError;

use crate::{check, run::RunError, state::StateError, uplink::JoinError};

const EXAMPLES: &str = "\
Examples:
  quorate agents add eu-1 --region eu-west     on the aggregator's side: prints a join string, good once, for 15 minutes
  quorate-agent run --state /var/lib/quorate-agent --join qj1_…
                                               the first start: joins with it
  quorate-agent run --state /var/lib/quorate-agent
                                               every later start
  quorate-agent check wss://chat.example.org/ws
                                               what is wrong with it, from here

Exit codes:
  0  done; for run: stopped by a signal; for check: passed
  1  the answer is no: a check failed, the aggregator refused the join string
  2  it could not be tried: wrong arguments, a file or an address that cannot be used
  3  the aggregator does not admit this agent: it was revoked";

/// Probes WebSocket endpoints from where it stands, for an aggregator that decides by quorum.
#[derive(Debug, Parser)]
#[command(name = "quorate-agent", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    log: log::LogArguments,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Probe for an aggregator, until stopped
    Run(run::Arguments),
    /// What is wrong with a WebSocket server, from here: a waterfall, the likely cause and the mend, conformance, a checklist
    Check(Box<check::Args>),
}

/// Why a command did not do its work. Told to the user as it stands.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(
        "--log {0}: wanted error, warn, info, debug, trace, or targets such as info,quorate_agent::probe=trace"
    )]
    LogFilter(String),
    #[error("the system gives no event loop: {0}")]
    Runtime(io::Error),
    #[error("signals cannot be waited for: {0}")]
    Signals(io::Error),
    /// Without the string itself, which holds a secret.
    #[error("what stands after --join {0}")]
    JoinString(#[from] JoinStringError),
    #[error(
        "{0} belongs to no aggregator yet: start with --join STRING. On the aggregator's side, \
         `quorate agents add NAME --region REGION` prints such a string"
    )]
    NotEnrolled(String),
    #[error(
        "this agent belongs to the aggregator at {address} already, and the join string is from another one. To serve \
         both, give each its own --state folder; to move, delete this one"
    )]
    OtherAggregator { address: String },
    #[error("{0}")]
    Controls(String),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Join(#[from] JoinError),
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Reads the arguments of this process and does what they say.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let default = match &arguments.command {
        Command::Run(_) => "info",
        Command::Check(_) => "warn",
    };
    let done = arguments.log.install(default).and_then(|()| command(arguments.command));
    done.unwrap_or_else(|error| {
        anstream::eprintln!("quorate-agent: {error}");
        ExitCode::from(exit_code(&error))
    })
}

fn command(command: Command) -> Result<ExitCode, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(CliError::Runtime)?;
    match command {
        Command::Run(arguments) => runtime.block_on(run::run(arguments)),
        Command::Check(arguments) => Ok(runtime.block_on(check::run(*arguments))),
    }
}

fn exit_code(error: &CliError) -> u8 {
    match error {
        CliError::Run(RunError::Revoked(_)) => 3,
        CliError::Join(JoinError::Refused) => 1,
        CliError::LogFilter(_)
        | CliError::Runtime(_)
        | CliError::Signals(_)
        | CliError::JoinString(_)
        | CliError::NotEnrolled(_)
        | CliError::OtherAggregator { .. }
        | CliError::Controls(_)
        | CliError::State(_)
        | CliError::Join(_)
        | CliError::Run(_) => 2,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_make_sense() {
        Arguments::command().debug_assert();
    }
}
