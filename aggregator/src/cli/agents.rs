//! `quorate agents`: enrols, lists and revokes agents of a running aggregator, through its HTTP API.

use std::{fmt::Write as _, process::ExitCode};

use clap::{Args, Subcommand};
use quorate_proto::{AgentName, Region};
use serde_json::{Value, json};

use super::{
    CliError,
    api::{Api, ApiArguments, Method},
    print,
};

/// Arguments of `quorate agents`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorate agents add eu-1 --region eu-west --label provider=aws --label network=as16509
  ssh eu-1 quorate-agent run --state /var/lib/quorate-agent --join $(quorate agents add eu-1 --region eu-west)
  QUORATE_SERVER=https://watch.example.org QUORATE_TOKEN=qat_… quorate agents list")]
pub(super) struct Arguments {
    #[command(flatten)]
    api: ApiArguments,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print a join string for a new agent: for one use, within 15 minutes
    Add {
        /// What to call it: a-z, 0-9, '.', '_' and '-'
        name: AgentName,
        /// Where it stands; one of the configured regions
        #[arg(long)]
        region: Region,
        /// What it shares with others and may fail with, such as provider=aws; may be repeated
        #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
        labels: Vec<(String, String)>,
    },
    /// List the agents that are enrolled
    List {
        /// As JSON, with everything that is known of each
        #[arg(long)]
        json: bool,
    },
    /// Revoke an agent: its connection is closed at once, and its key is not admitted again
    Revoke {
        /// Which one
        name: AgentName,
    },
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let api = Api::new(&arguments.api)?;
    match arguments.command {
        Command::Add { name, region, labels } => add(&api, &name, &region, labels).await,
        Command::List { json } => list(&api, json).await,
        Command::Revoke { name } => revoke(&api, &name).await,
    }
}

/// The join string alone goes to standard output, so that it can be used in a command; what to do with it goes to
/// standard error.
async fn add(
    api: &Api,
    name: &AgentName,
    region: &Region,
    labels: Vec<(String, String)>,
) -> Result<ExitCode, CliError> {
    let labels: std::collections::BTreeMap<_, _> = labels.into_iter().collect();
    let body = json!({ "name": name, "region": region, "labels": labels });
    let answer = api.ask(Method::POST, "/api/v1/agents", Some(body)).await?;
    let text = |key| answer.get(key).and_then(Value::as_str).unwrap_or_default();
    print(&format!("{}\n", text("join")))?;
    anstream::eprintln!(
        "for one use until {}. Where {name} will run:\n  quorate-agent run --state DIR --join JOIN-STRING",
        text("expires_at")
    );
    Ok(ExitCode::SUCCESS)
}

async fn list(api: &Api, as_json: bool) -> Result<ExitCode, CliError> {
    let agents = all(api).await?;
    if as_json {
        print(&format!("{:#}\n", Value::Array(agents)))?;
    } else if agents.is_empty() {
        print("no agent is enrolled; quorate agents add NAME --region REGION prints a join string\n")?;
    } else {
        print(&table(&agents))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Every agent, page by page.
async fn all(api: &Api) -> Result<Vec<Value>, CliError> {
    let mut agents = Vec::new();
    let mut path = "/api/v1/agents?limit=500".to_owned();
    loop {
        let page = api.ask(Method::GET, &path, None).await?;
        agents.extend(page.get("items").and_then(Value::as_array).into_iter().flatten().cloned());
        let Some(next) = page.get("next").and_then(Value::as_str) else { return Ok(agents) };
        let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
        path = format!("/api/v1/agents?limit=500&before={next}");
    }
}

fn table(agents: &[Value]) -> String {
    let row = |agent: &Value| {
        let text = |key: &str| agent.get(key).and_then(Value::as_str).unwrap_or("-").to_owned();
        let labels = agent.get("labels").and_then(Value::as_object).into_iter().flatten();
        let labels: Vec<String> =
            labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
        [text("name"), text("region"), state(agent), text("last_seen_at"), text("software"), labels.join(" ")]
    };
    let head = ["NAME", "REGION", "STATE", "LAST SEEN", "SOFTWARE", "LABELS"].map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(head).chain(agents.iter().map(row)).collect();
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect::<String>() + &reasons(agents)
}

/// How an agent stands, in a word; one that doubts itself has no vote, and the reasons stand below the table.
fn state(agent: &Value) -> String {
    let connected = agent.get("connected").and_then(Value::as_bool).unwrap_or(false);
    let is_outlier = agent.get("outlier").is_some_and(Value::is_object);
    match (connected, doubts(agent).next().is_some(), is_outlier) {
        (false, _, _) => "away",
        (true, true, _) => "in doubt",
        (true, false, true) => "outlier",
        (true, false, false) => "connected",
    }
    .to_owned()
}

fn doubts(agent: &Value) -> impl Iterator<Item = &Value> {
    agent.get("doubts").and_then(Value::as_array).into_iter().flatten()
}

/// A paragraph for each doubt of each connected agent.
fn reasons(agents: &[Value]) -> String {
    let mut text = String::new();
    for agent in agents.iter().filter(|agent| state(agent) == "in doubt") {
        for doubt in doubts(agent) {
            let word = |key: &str| doubt.get(key).and_then(Value::as_str).unwrap_or_default();
            let lasting = doubt.get("lasting_s").and_then(Value::as_f64).unwrap_or_default();
            let name = agent.get("name").and_then(Value::as_str).unwrap_or_default();
            let seen = match word("detail") {
                "" => String::new(),
                detail => format!("\n  {detail}"),
            };
            // Writing to a text cannot fail.
            let _ =
                write!(text, "\n{name}, for {lasting:.0} s: {}. {}{seen}\n", word("doubt"), word("summary"));
        }
    }
    text
}

async fn revoke(api: &Api, name: &AgentName) -> Result<ExitCode, CliError> {
    api.ask(Method::DELETE, &format!("/api/v1/agents/{name}"), None).await?;
    print(&format!("{name} is revoked\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("wanted KEY=VALUE, such as provider=aws".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_listed_in_columns() {
        let agents = [
            json!({ "name": "eu-1", "region": "eu-west", "labels": { "provider": "aws" }, "connected": true,
                    "last_seen_at": "2026-11-22T18:12:00.123456Z", "software": "quorate-agent 0.1.0" }),
            json!({ "name": "us-1", "region": "us", "labels": {}, "connected": false, "last_seen_at": null, "software": null }),
            json!({ "name": "us-2", "region": "us", "labels": {}, "connected": true, "outlier": { "compared": 12 } }),
        ];
        assert_eq!(
            table(&agents),
            "NAME  REGION   STATE      LAST SEEN                    SOFTWARE             LABELS\n\
             eu-1  eu-west  connected  2026-11-22T18:12:00.123456Z  quorate-agent 0.1.0  provider=aws\n\
             us-1  us       away       -                            -\n\
             us-2  us       outlier    -                            -\n"
        );
    }

    #[test]
    fn an_agent_in_doubt_says_why() {
        let doubt = json!({ "doubt": "spool_failing", "lasting_s": 12.4, "detail": "no space left",
                            "summary": "The agent doubts itself: its spool cannot be written. Make room." });
        let agent = |connected| {
            let agent = json!({ "name": "a", "region": "r", "connected": connected, "doubts": [doubt] });
            table(&[agent])
        };
        assert!(agent(true).ends_with(
            "a     r       in doubt  -          -\n\n\
             a, for 12 s: spool_failing. The agent doubts itself: its spool cannot be written. Make room.\n  no space left\n"
        ), "{}", agent(true));
        assert!(agent(false).ends_with("a     r       away   -          -\n"), "{}", agent(false));
    }

    #[test]
    fn labels_are_pairs() {
        assert_eq!(label("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(label("a").is_err() && label("=b").is_err() && label("a=").is_err());
    }
}
