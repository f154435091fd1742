//! `quorate init`: a starter configuration that explains itself.

use std::{
    fs,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;

use super::{CliError, print};

/// The starter, which works as it is.
const STARTER: &str = include_str!("starter.toml");

/// Arguments of `quorate init`.
#[derive(Debug, Args)]
#[command(after_help = "A file that is there already is never overwritten.")]
pub(super) struct Arguments {
    /// Where to write it
    #[arg(default_value = "quorate.toml")]
    path: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, CliError> {
    let path = &arguments.path;
    write(path)?;
    print(&format!(
        "wrote {path}\nnext: put your server's URL into it, then\n  quorate config check {path}\n  quorate up --config {path}\n",
        path = path.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the starter where nothing is.
fn write(path: &Path) -> Result<(), CliError> {
    let file = fs::OpenOptions::new().write(true).create_new(true).open(path);
    let written = file.and_then(|mut file| file.write_all(STARTER.as_bytes()));
    written.map_err(|error| {
        let path = path.to_owned();
        if error.kind() == ErrorKind::AlreadyExists {
            CliError::Exists(path)
        } else {
            CliError::File { path, done: "written", error }
        }
    })
}

#[cfg(test)]
mod tests {
    use crate::config::{Environment, parse};

    use super::*;

    #[test]
    fn the_starter_is_good_as_it_is_and_with_every_example_in_force() {
        let environment = Environment {
            variable: Box::new(|name| match name {
                "WEBHOOK_SECRET" => Some("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".to_owned()),
                "SLACK_URL" => Some("https://hooks.slack.com/services/T/B/x".to_owned()),
                "CHAT_TOKEN" => Some("t0ken".to_owned()),
                _ => None,
            }),
            file: Box::new(|_| Err(std::io::Error::from(std::io::ErrorKind::NotFound))),
            folder: Box::new(|_| Err(std::io::Error::from(std::io::ErrorKind::NotFound))),
        };
        let starter = parse(STARTER, "quorate.toml", &environment).unwrap();
        assert_eq!(starter.config.monitors.len(), 1);

        // Lines of the form `#key = …`, `#[table]` and `#  {…` are examples; prose has one space after the `#`.
        let all: String = STARTER
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(example) if !example.starts_with(' ') || example.starts_with("  {") => {
                    format!("{example}\n")
                }
                _ => format!("{line}\n"),
            })
            .collect();
        let all = parse(&all, "quorate.toml", &environment).unwrap();
        assert_eq!(all.config.channels.len(), 2);
        let [_, feed, live] = all.config.monitors.as_slice() else { panic!("three monitors") };
        assert_eq!((feed.spec.hello.len(), feed.spec.steps.len(), feed.spec.samples), (2, 2, 3));
        assert_eq!(live.spec.url, "wss://live.example.org/socket.io/?EIO=4&transport=websocket");
    }

    #[test]
    fn a_file_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("quorate.toml");
        write(&path).unwrap();
        fs::write(&path, "mine").unwrap();
        assert!(matches!(write(&path), Err(CliError::Exists(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }
}
