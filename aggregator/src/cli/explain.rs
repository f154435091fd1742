//! `quorate explain`: why an incident was decided as it was.

use std::{
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use serde_json::Value;

use super::{
    CliError,
    api::{Api, ApiArguments, ApiError, Method},
    print,
};
use crate::{
    evidence::{
        Explanation,
        drawing::{self, Paper},
        explain,
    },
    store::{Dossier, Meant, Reader},
};

/// Columns of a drawing that goes to no terminal.
const COLUMNS_PLAIN: usize = 80;
const COLUMNS_MAX: usize = 120;

/// Arguments of `quorate explain`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorate explain last                    the latest incident
  quorate explain chat                    the latest incident of the monitor chat
  quorate explain inc_0193ab              an incident by the beginning of its id
  quorate explain last --json             everything that it was decided from
  quorate explain last --data DIR         without a running aggregator

Exit codes: 0 explained, 1 there is no such incident, 2 it could not be looked up")]
pub(super) struct Arguments {
    #[command(flatten)]
    api: ApiArguments,
    /// An incident's id, a beginning of one, `last`, or a monitor's id for its latest
    incident: String,
    /// Read the database of this data folder, and ask no aggregator
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// For machines: the sentences, the timeline, and everything that was decided from
    #[arg(long)]
    json: bool,
    /// Draw with letters alone
    #[arg(long)]
    ascii: bool,
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let explanation = match &arguments.data {
        Some(folder) => {
            let explanation = explain(&dossier(folder, &arguments.incident).await?);
            serde_json::to_value(explanation).unwrap_or_default()
        }
        None => {
            let api = Api::new(&arguments.api)?;
            api.ask(Method::GET, &path(&arguments.incident, "explanation"), None).await?
        }
    };
    if arguments.json {
        print(&format!("{explanation:#}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let explanation = read(explanation)?;
    print(&text(&explanation, paper(arguments.ascii)))?;
    Ok(ExitCode::SUCCESS)
}

/// The path of something of an incident in the API.
pub(super) fn path(incident: &str, what: &str) -> String {
    let incident: String = url::form_urlencoded::byte_serialize(incident.as_bytes()).collect();
    format!("/api/v1/incidents/{incident}/{what}")
}

/// An incident in a data folder.
pub(super) async fn dossier(folder: &Path, word: &str) -> Result<Dossier, CliError> {
    let reader = Reader::of_folder(folder)?;
    let none = || CliError::Incident(format!("there is no incident {word:?} in {}", folder.display()));
    match reader.meant(word).await? {
        Meant::One(id) => reader.dossier(&id).await?.ok_or_else(none),
        Meant::None => Err(none()),
        Meant::Several(ids) => Err(CliError::Incident(format!(
            "{word:?} is the beginning of several incidents: {}",
            ids.join(", ")
        ))),
    }
}

fn read(explanation: Value) -> Result<Explanation, CliError> {
    let strange =
        |error: serde_json::Error| ApiError::Strange(format!("the aggregator's explanation ({error})"));
    Ok(serde_json::from_value(explanation).map_err(strange)?)
}

/// Headline, drawing, sentences; long ones are broken at spaces.
pub(crate) fn text(explanation: &Explanation, paper: Paper) -> String {
    let bold = anstyle::Style::new().bold();
    let mut text = format!("{bold}{}{bold:#}\n", explanation.headline);
    if let Some(timeline) = &explanation.timeline {
        text.push('\n');
        text.push_str(&drawing::draw(timeline, paper));
    }
    for section in &explanation.sections {
        text.push_str(&format!("\n{bold}{}{bold:#}\n", section.title));
        for line in &section.lines {
            text.push_str(&wrapped(line, paper.columns));
        }
    }
    text
}

fn wrapped(line: &str, columns: usize) -> String {
    let mut text = String::new();
    let mut width = 0;
    for word in line.split_inclusive(' ') {
        let length = word.trim_end().chars().count();
        if width > 0 && width + length > columns {
            text.truncate(text.trim_end().len());
            text.push_str("\n    ");
            width = 4;
        } else if width == 0 {
            text.push_str("  ");
            width = 2;
        }
        text.push_str(word);
        width += word.chars().count();
    }
    text.push('\n');
    text
}

/// The terminal's width, and whether it is known to show more than ASCII.
fn paper(is_ascii: bool) -> Paper {
    let out = io::stdout();
    if !out.is_terminal() {
        return Paper { columns: COLUMNS_PLAIN, is_ascii };
    }
    let size = rustix::termios::tcgetwinsize(&out).ok();
    let columns = size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0);
    let speaks = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale =
        speaks("LC_ALL").or_else(|| speaks("LC_CTYPE")).or_else(|| speaks("LANG")).unwrap_or_default();
    let is_utf8 = locale.to_ascii_lowercase().replace('-', "").contains("utf8");
    Paper { columns: columns.unwrap_or(COLUMNS_PLAIN).min(COLUMNS_MAX), is_ascii: is_ascii || !is_utf8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_sentences_are_broken_at_spaces() {
        assert_eq!(wrapped("one two three four", 12), "  one two\n    three\n    four\n");
        assert_eq!(wrapped("short", 40), "  short\n");
    }

    #[test]
    fn incidents_stand_in_paths() {
        assert_eq!(path("inc_1/../x y", "evidence"), "/api/v1/incidents/inc_1%2F..%2Fx+y/evidence");
    }
}
