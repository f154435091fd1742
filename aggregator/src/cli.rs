//! The command line: what may be said, and which part answers.

mod agents;
mod api;
mod check;
mod config;
mod error;
mod explain;
mod export;
mod init;
mod log;
mod maintenance;
mod policy;
mod presets;
mod replay;
mod serve;
mod stop;
mod up;
mod uptime;
mod verify;
mod what_if;

#[cfg(test)]
pub(crate) use explain::text as explained;

use std::{io, process::ExitCode};

use clap::{Parser, Subcommand};

pub use error::CliError;
pub use stop::stop_signal;

use crate::demo;

const EXAMPLES: &str = "\
Examples:
  quorate demo --for 90s                       see a page within half a minute, all on this machine
  quorate up --url wss://chat.example.org/ws --slack https://hooks.slack.com/services/…
                                               watch a real server at once, from this machine
  quorate init && quorate up                   the same with a configuration file
  quorate serve --config quorate.toml          the aggregator alone, for agents in several regions
  quorate agents add eu-1 --region eu-west     a join string for an agent there
  quorate check wss://chat.example.org/ws      what is wrong with it, from here
  quorate presets                              Socket.IO, GraphQL, MQTT and others, ready to be spoken
  quorate explain last                         why the latest incident was decided as it was

Exit codes:
  0  done; for check: passed; for demo: every fault was paged, or rightly not paged
  1  the answer is no: a check failed, a configuration has faults, the aggregator refused
  2  it could not be tried: wrong arguments, a file or an address that cannot be used";

/// WebSocket monitoring that pages only when a quorum of regions agrees, within 60 seconds.
#[derive(Debug, Parser)]
#[command(name = "quorate", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    log: log::LogArguments,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show everything on this machine: servers that break on purpose, five agents, pages that arrive
    Demo(demo::Arguments),
    /// Watch from this machine: aggregator and local agents in one process
    Up(up::Arguments),
    /// Run the aggregator alone; agents connect to it from their regions
    Serve(serve::Arguments),
    /// Write a commented starter configuration
    Init(init::Arguments),
    /// Check a configuration without running it
    #[command(subcommand)]
    Config(config::Command),
    /// List the well-known protocols that a monitor can speak by `preset = "…"`, or show one whole
    Presets(presets::Arguments),
    /// What the rules cost and give: expected false pages, and the time from an outage to the page; and what-ifs
    Policy(policy::Arguments),
    /// The stored past through the engine, as configured and under other rules: which pages, and how soon
    Replay(replay::Arguments),
    /// Enrol, list and revoke agents of a running aggregator
    Agents(agents::Arguments),
    /// How much monitors were up, over a day to a quarter
    Uptime(uptime::Arguments),
    /// Start, list and end maintenance, in which nobody is paged
    Maintenance(maintenance::Arguments),
    /// What is wrong with a WebSocket server, from here: a waterfall, the likely cause and the mend, conformance, a checklist
    Check(Box<check::Arguments>),
    /// Why an incident was decided as it was: in plain sentences, with a timeline
    Explain(explain::Arguments),
    /// Write an incident's evidence as one file, signed, for whoever doubts it
    Export(export::Arguments),
    /// Verify an evidence file, with nothing but the file and the keys that you pin
    Verify(verify::Arguments),
}

/// Reads the arguments of this process and does what they say.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let default = match &arguments.command {
        Command::Up(_) | Command::Serve(_) => log::Level::Info,
        // The demo narrates on standard output, and provokes what is otherwise worth a warning.
        Command::Demo(_) => log::Level::Error,
        Command::Init(_)
        | Command::Config(_)
        | Command::Presets(_)
        | Command::Policy(_)
        | Command::Replay(_)
        | Command::Agents(_)
        | Command::Uptime(_)
        | Command::Maintenance(_)
        | Command::Check(_)
        | Command::Explain(_)
        | Command::Export(_)
        | Command::Verify(_) => log::Level::Warn,
    };
    let done = arguments.log.install(default).and_then(|()| run(arguments.command));
    done.unwrap_or_else(|error| {
        anstream::eprintln!("quorate: {error}");
        error.exit_code()
    })
}

fn run(command: Command) -> Result<ExitCode, CliError> {
    match command {
        Command::Demo(arguments) => on_all_cores(demo::run(arguments)),
        Command::Up(arguments) => on_all_cores(up::run(arguments)),
        Command::Serve(arguments) => on_all_cores(serve::run(arguments)),
        Command::Init(arguments) => init::run(&arguments),
        Command::Config(command) => config::run(&command),
        Command::Presets(arguments) => presets::run(&arguments),
        Command::Policy(arguments) => policy::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Agents(arguments) => on_one_core(agents::run(arguments)),
        Command::Uptime(arguments) => on_one_core(uptime::run(arguments)),
        Command::Maintenance(arguments) => on_one_core(maintenance::run(arguments)),
        Command::Check(arguments) => on_one_core(async { Ok(check::run(*arguments).await) }),
        Command::Explain(arguments) => on_one_core(explain::run(arguments)),
        Command::Export(arguments) => on_one_core(export::run(arguments)),
        Command::Verify(arguments) => verify::run(&arguments),
    }
}

fn on_all_cores(work: impl Future<Output = Result<ExitCode, CliError>>) -> Result<ExitCode, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(CliError::Runtime)?.block_on(work)
}

fn on_one_core(work: impl Future<Output = Result<ExitCode, CliError>>) -> Result<ExitCode, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(CliError::Runtime)?.block_on(work)
}

/// Writes to standard output; a reader that went away, as `head` does, is no error.
fn print(text: &str) -> Result<(), CliError> {
    use io::Write as _;
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CliError::Output(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Rows of cells in columns, two spaces apart; the last of each row is as long as it is.
fn columns(rows: &[Vec<String>]) -> String {
    let mut widths = Vec::<usize>::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
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
