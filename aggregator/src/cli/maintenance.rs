//! `quorate maintenance`: starts, lists and ends maintenance of a running aggregator, through its HTTP API.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    CliError,
    api::{Api, ApiArguments, Method},
    columns, print,
};

/// Arguments of `quorate maintenance`.
#[derive(Debug, Args)]
#[command(after_help = "\
During maintenance checks and verdicts go on, the incident is recorded, and nobody is paged. If the monitor is still down
at its end, the page goes out then. The time counts neither as up nor as down. What recurs belongs into the configuration,
as [[maintenance]].

Examples:
  quorate maintenance start chat orders --for 30m --reason 'a new certificate'
  quorate maintenance start --all --for 2h --from 2026-12-24T22:00:00+01:00 --name 'Data centre move'
  quorate maintenance list
  quorate maintenance end mnt_0193510c-0000-7000-8000-000000000001")]
pub(super) struct Arguments {
    #[command(flatten)]
    api: ApiArguments,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a maintenance now, or plan one; prints its id
    Start {
        /// The monitors
        #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "MONITOR")]
        monitors: Vec<String>,
        /// All monitors
        #[arg(long)]
        all: bool,
        /// How long, such as 30m or 2h; at most 30d
        #[arg(long = "for", value_name = "SPAN")]
        lasts: String,
        /// When it begins, as RFC 3339 [default: now]
        #[arg(long, value_name = "MOMENT")]
        from: Option<String>,
        /// What it is for; shown on the status page
        #[arg(long)]
        reason: Option<String>,
        /// What people call it [default: Maintenance]
        #[arg(long)]
        name: Option<String>,
    },
    /// List what is planned and on, and what was lately
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// End a maintenance before its time, or take back one that is planned
    End {
        /// Its id, as listed
        id: String,
    },
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let api = Api::new(&arguments.api)?;
    match arguments.command {
        Command::Start { monitors, all, lasts, from, reason, name } => {
            let mut body = json!({ "for": lasts, "all": all });
            if let Some(body) = body.as_object_mut() {
                let given = [("from", from), ("reason", reason), ("name", name)];
                let given = given.into_iter().filter_map(|(key, value)| Some((key, Value::String(value?))));
                body.extend(given.map(|(key, value)| (key.to_owned(), value)));
                if !all {
                    body.insert("monitors".to_owned(), json!(monitors));
                }
            }
            let answer = api.ask(Method::POST, "/api/v1/maintenance", Some(body)).await?;
            print(&format!("{}\n", text(&answer, "id")))?;
            let (from, until) = (text(&answer, "from"), text(&answer, "until"));
            anstream::eprintln!("from {from} until {until}; quorate maintenance end ID ends it before");
        }
        Command::List { json } => {
            let rows = api.all("/api/v1/maintenance").await?;
            print(&match (json, rows.is_empty()) {
                (true, _) => format!("{:#}\n", Value::Array(rows)),
                (false, true) => "no maintenance is on or planned\n".to_owned(),
                (false, false) => table(&rows),
            })?;
        }
        Command::End { id } => {
            let path: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
            let answer = api.ask(Method::DELETE, &format!("/api/v1/maintenance/{path}"), None).await?;
            print(&format!("{} ended at {}\n", text(&answer, "name"), text(&answer, "until")))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn table(rows: &[Value]) -> String {
    let head = ["STATE", "FROM", "UNTIL", "MONITORS", "NAME", "ID"].map(str::to_owned).to_vec();
    let row = |one: &Value| {
        let monitors = one
            .get("monitors")
            .and_then(Value::as_array)
            .map(|monitors| monitors.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","));
        let seconds = |key: &str| {
            let moment = text(one, key);
            moment.split('.').next().map_or_else(|| moment.clone(), |whole| format!("{whole}Z"))
        };
        vec![
            text(one, "state"),
            seconds("from"),
            seconds("until"),
            monitors.unwrap_or_else(|| "all".to_owned()),
            text(one, "name"),
            text(one, "id"),
        ]
    };
    columns(&std::iter::once(head).chain(rows.iter().map(row)).collect::<Vec<_>>())
}

fn text(of: &Value, key: &str) -> String {
    of.get(key).and_then(Value::as_str).unwrap_or("-").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maintenance_is_listed_in_columns() {
        let row = json!({
            "state": "active", "from": "2026-11-22T18:12:00.000000Z", "until": "2026-11-22T18:42:00.000000Z",
            "monitors": ["chat", "orders"], "name": "Disk", "id": "mnt_1",
        });
        assert_eq!(
            table(&[row]),
            "STATE   FROM                  UNTIL                 MONITORS     NAME  ID\n\
             active  2026-11-22T18:12:00Z  2026-11-22T18:42:00Z  chat,orders  Disk  mnt_1\n"
        );
    }
}
