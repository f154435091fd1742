//! What can go wrong on the command line, in words for whoever typed it.

use std::{io, path::PathBuf, process::ExitCode};

use super::api::ApiError;
use crate::{
    config::{Fault, presets::PresetError},
    limits,
    run::{KeyFileError, LocalAgentError, StageEnded, StartError},
    store::{OpenError, StoreError},
};

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The system gave no event loop.
    #[error("the event loop cannot be started: {0}")]
    Runtime(io::Error),
    /// The log's filter cannot be read.
    #[error(
        "--log {0}: wanted error, warn, info, debug, trace, or targets such as info,quorate::ingest=debug"
    )]
    LogFilter(String),
    /// Standard output cannot be written.
    #[error("standard output cannot be written: {0}")]
    Output(io::Error),
    /// A configuration has faults.
    #[error("{}", shown(.0))]
    Config(Vec<Fault>),
    /// There is no configuration.
    #[error("there is no {0}; `quorate init` writes one, and `quorate up --url wss://…` needs none")]
    NoConfig(PathBuf),
    /// A file is there already.
    #[error("{0} is there already, and stays as it is: choose another name or move it away")]
    Exists(PathBuf),
    /// A file or folder cannot be used.
    #[error("{path} cannot be {done}: {error}")]
    File {
        /// Which one.
        path: PathBuf,
        /// What was to be done: `read`, `written`.
        done: &'static str,
        /// The system's own words.
        error: io::Error,
    },
    /// A preset cannot be used.
    #[error(transparent)]
    Preset(#[from] PresetError),
    /// A folder of presets cannot be used.
    #[error("wanted {wanted}, found {found}")]
    PresetFolder {
        /// What was wanted of it.
        wanted: String,
        /// What is there.
        found: String,
    },
    /// What `--set` says makes no sense.
    #[error(transparent)]
    WhatIf(#[from] super::what_if::WhatIfError),
    /// What is stored cannot be read.
    #[error(transparent)]
    Past(#[from] crate::store::past::PastError),
    /// Arguments contradict each other.
    #[error("{0}")]
    Arguments(&'static str),
    /// The aggregator's API did not do it.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A data folder cannot be read.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// A question to a data folder was not answered.
    #[error(transparent)]
    Question(#[from] StoreError),
    /// The aggregator's key cannot be had.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// No incident is meant by a word, or more than one.
    #[error("{0}")]
    Incident(String),
    /// A list of keys cannot be used.
    #[error("{path}:{line}: {problem}", path = path.display())]
    Keys {
        /// Which file.
        path: PathBuf,
        /// Which line.
        line: usize,
        /// What is wrong with it, and what is wanted.
        problem: String,
    },
    /// The aggregator did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The aggregator ended by itself.
    #[error(transparent)]
    Ended(#[from] StageEnded),
    /// A local agent did not start.
    #[error(transparent)]
    LocalAgent(#[from] LocalAgentError),
    /// The demo's own servers did not start.
    #[error("the demo cannot {done}: {error}")]
    Demo {
        /// What was to be done.
        done: &'static str,
        /// The system's own words.
        error: io::Error,
    },
}

impl CliError {
    /// 1: the answer is no; 2: it could not be tried.
    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::Exists(_) | Self::Preset(_) | Self::Incident(_) => ExitCode::from(1),
            Self::Api(error) if error.is_refusal() => ExitCode::from(1),
            Self::Runtime(_)
            | Self::LogFilter(_)
            | Self::Output(_)
            | Self::NoConfig(_)
            | Self::File { .. }
            | Self::Arguments(_)
            | Self::WhatIf(_)
            | Self::Past(_)
            | Self::PresetFolder { .. }
            | Self::Api(_)
            | Self::Start(_)
            | Self::Store(_)
            | Self::Question(_)
            | Self::Key(_)
            | Self::Keys { .. }
            | Self::Ended(_)
            | Self::LocalAgent(_)
            | Self::Demo { .. } => ExitCode::from(2),
        }
    }
}

/// All faults, one a line, under a line that counts them.
fn shown(faults: &[Fault]) -> String {
    let count = faults.len();
    let mut text = format!("the configuration has {count} fault{}", if count == 1 { "" } else { "s" });
    for fault in faults.iter().take(limits::FAULTS_PRINTED_MAX) {
        text.push_str(&format!("\n{fault}"));
    }
    if let Some(more @ 1..) = count.checked_sub(limits::FAULTS_PRINTED_MAX) {
        text.push_str(&format!("\n… and {more} more"));
    }
    text
}
