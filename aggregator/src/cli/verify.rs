//! `quorate verify`: an evidence file, with nothing but the file and the keys that are pinned.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use quorate_proto::{AgentKey, AggregatorKey};

use super::{CliError, print};
use crate::{
    config::read_bounded,
    evidence::{
        Pins, Report, verify,
        verify::{DecisionReport, Proof},
    },
    limits,
};

/// Arguments of `quorate verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorate verify evidence.json --keys keys.txt
  quorate verify evidence.json --aggregator-key 6Fd… --agent-key eu-1=Q3x…
  quorate export last | quorate verify -

Keys are pinned when they come from somewhere else than the file: from whoever runs the aggregator and the agents. A file of
keys has one a line: `aggregator KEY`, `agent NAME KEY`; # begins a remark.

Exit codes:
  0  nothing was altered, and the rules give every verdict for the votes that were signed
  1  refused: something was altered, or contradicts what was signed
  2  it could not be tried
  3  nothing was altered, and not every verdict can be proven; the text says which and why")]
pub(super) struct Arguments {
    /// The file, or - for standard input
    file: PathBuf,
    /// Keys to pin, one a line
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// The aggregator's key
    #[arg(long, value_name = "KEY")]
    aggregator_key: Option<AggregatorKey>,
    /// An agent's key, with or without its name; may be repeated. Then every agent of the file must be pinned
    #[arg(long = "agent-key", value_name = "[NAME=]KEY", value_parser = agent_key)]
    agent_keys: Vec<(Option<String>, AgentKey)>,
    /// For machines
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, CliError> {
    let mut pins = match &arguments.keys {
        Some(path) => keys_in(path)?,
        None => Pins::default(),
    };
    pins.aggregator = arguments.aggregator_key.or(pins.aggregator);
    pins.agents.extend(arguments.agent_keys.iter().map(|(name, key)| (*key, name.clone())));
    let report = verify(&bytes_of(&arguments.file)?, &pins);
    let text = match arguments.json {
        true => serde_json::to_string_pretty(&report).unwrap_or_default() + "\n",
        false => told(&report),
    };
    print(&text)?;
    Ok(ExitCode::from(match (report.holds(), report.is_proven()) {
        (false, _) => 1,
        (true, false) => 3,
        (true, true) => 0,
    }))
}

/// The file's bytes; one more than are read where there are too many.
fn bytes_of(path: &Path) -> Result<Vec<u8>, CliError> {
    let bound = u64::try_from(limits::EVIDENCE_FILE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    let read = match path.as_os_str() == "-" {
        true => io::stdin().lock().take(bound).read_to_end(&mut bytes),
        false => File::open(path).and_then(|file| file.take(bound).read_to_end(&mut bytes)),
    };
    read.map_err(|error| CliError::File { path: path.to_owned(), done: "read", error })?;
    Ok(bytes)
}

fn keys_in(path: &Path) -> Result<Pins, CliError> {
    let bytes =
        read_bounded(path).map_err(|error| CliError::File { path: path.to_owned(), done: "read", error })?;
    let text = String::from_utf8_lossy(&bytes);
    let mut pins = Pins { aggregator: None, agents: BTreeMap::new() };
    for (line, number) in text.lines().zip(1..) {
        let fault = |problem: String| CliError::Keys { path: path.to_owned(), line: number, problem };
        let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        match words.as_slice() {
            [] => {}
            ["aggregator", key] => {
                pins.aggregator = Some(key.parse().map_err(|error| fault(format!("{key:?} {error}")))?);
            }
            ["agent", key] => {
                pins.agents.insert(key.parse().map_err(|error| fault(format!("{key:?} {error}")))?, None);
            }
            ["agent", name, key] => {
                let key = key.parse().map_err(|error| fault(format!("{key:?} {error}")))?;
                pins.agents.insert(key, Some((*name).to_owned()));
            }
            _ => return Err(fault("wanted `aggregator KEY` or `agent NAME KEY`".to_owned())),
        }
    }
    Ok(pins)
}

fn agent_key(text: &str) -> Result<(Option<String>, AgentKey), String> {
    let (name, key) = match text.split_once('=') {
        Some((name, key)) => (Some(name.to_owned()), key),
        None => (None, text),
    };
    key.parse().map(|key| (name, key)).map_err(|error| format!("{key:?} {error}"))
}

/// The report in sentences.
fn told(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    if let (Some(incident), Some(monitor)) = (&report.incident, &report.monitor) {
        let _ = writeln!(text, "incident {incident} of monitor {monitor}");
    }
    for fault in &report.faults {
        let _ = writeln!(text, "REFUSED  {}: {}", fault.place, fault.problem);
    }
    for decision in &report.decisions {
        text.push_str(&told_of(decision));
    }
    for gap in &report.gaps {
        let which = match gap.first == gap.last {
            true => format!("unit {}", gap.first),
            false => format!("units {} to {}", gap.first, gap.last),
        };
        let why = match gap.signed {
            Some(cause) => format!("the agent signed that they are lost ({cause})"),
            None => "not in the file; what they said is the aggregator's word".to_owned(),
        };
        let _ = writeln!(text, "gap      agent {}, epoch {}: {which}: {why}", gap.name, gap.epoch);
    }
    text.push_str(&summary(report));
    text
}

fn told_of(decision: &DecisionReport) -> String {
    let proof = match decision.proof {
        Proof::Proven => "proven ",
        Proof::NotProven => "NOT PROVEN",
        Proof::Refuted => "REFUTED",
    };
    let mut text = format!(
        "{proof}  {} at {}: {} ({} votes found in signed units)\n",
        decision.verdict, decision.decided_at, decision.rule, decision.votes_proven
    );
    for remark in &decision.remarks {
        let _ = writeln!(text, "           {remark}");
    }
    text
}

fn summary(report: &Report) -> String {
    let mut text = String::new();
    if report.holds() {
        let _ = writeln!(
            text,
            "{} signed units, their chains and the aggregator's seal hold{}",
            report.units,
            if report.is_proven() { "; the rules give every verdict for these votes" } else { "" }
        );
    }
    let key = report.aggregator.as_deref().unwrap_or("none");
    match (report.aggregator_pinned, report.agents_pinned) {
        (true, true) => {}
        (aggregator, agents) => {
            let which = match (aggregator, agents) {
                (false, false) => "Neither the aggregator's key nor the agents' were pinned",
                (false, true) => "The aggregator's key was not pinned",
                _ => "The agents' keys were not pinned",
            };
            let _ = writeln!(
                text,
                "{which}: this was only checked against the keys in the file itself, which whoever wrote it has chosen \
                 (aggregator {key}). --keys or --aggregator-key and --agent-key pin them."
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_keys_are_read_and_faults_named_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.txt");
        let (one, two) = (AggregatorKey([1; 32]), AgentKey([2; 32]));
        std::fs::write(&path, format!("# ours\naggregator {one}\nagent eu-1 {two} # in Dublin\n\n")).unwrap();
        let pins = keys_in(&path).unwrap();
        assert_eq!((pins.aggregator, pins.agents.get(&two)), (Some(one), Some(&Some("eu-1".to_owned()))));
        for (line, problem) in [("agent eu-1 short", "43 characters"), ("key x", "wanted `aggregator KEY`")] {
            std::fs::write(&path, format!("\n{line}\n")).unwrap();
            let error = keys_in(&path).unwrap_err().to_string();
            assert!(error.contains("keys.txt:2: ") && error.contains(problem), "{error}");
        }
    }

    #[test]
    fn a_report_says_what_was_pinned() {
        let report = verify(b"{}", &Pins::default());
        let text = told(&report);
        assert!(text.starts_with("REFUSED  line 1"), "{text}");
        assert!(text.contains("only checked against the keys in the file itself"), "{text}");
    }
}
