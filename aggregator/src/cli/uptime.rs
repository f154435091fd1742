//! `quorate uptime`: how much monitors were up, as the running aggregator reckons it.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::{
    CliError,
    api::{Api, ApiArguments, Method},
    columns, print,
};

/// Arguments of `quorate uptime`.
#[derive(Debug, Args)]
#[command(after_help = "\
UPTIME is the share of observed time in which a quorum passed, or failed in some regions only; it is cut, never rounded
up. UNOBSERVED is the share of time in which nobody could tell: it is in neither. Maintenance is taken out. MENDED is what
agents told later of time in which the aggregator was away. A region's line is the share of its own checks that passed.

Examples:
  quorate uptime                       every monitor over 30 days
  quorate uptime chat --window 90d     one monitor, with its regions
  quorate uptime chat --json | jq '.spans[] | select(.state == \"down\")'")]
pub(super) struct Arguments {
    #[command(flatten)]
    api: ApiArguments,
    /// Which monitor; without it, all of them
    monitor: Option<String>,
    /// How far back
    #[arg(long, value_enum, default_value_t = Window::Month)]
    window: Window,
    /// As JSON, with seconds, spans, regions and days
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Window {
    #[value(name = "24h")]
    Day,
    #[value(name = "7d")]
    Week,
    #[value(name = "30d")]
    Month,
    #[value(name = "90d")]
    Quarter,
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let api = Api::new(&arguments.api)?;
    let monitors = match &arguments.monitor {
        Some(monitor) => vec![monitor.clone()],
        None => all(&api).await?,
    };
    let window = arguments.window.to_possible_value();
    let window = window.as_ref().map_or("30d", |value| value.get_name());
    let mut reports = Vec::new();
    for monitor in &monitors {
        let monitor: String = url::form_urlencoded::byte_serialize(monitor.as_bytes()).collect();
        let path = format!("/api/v1/monitors/{monitor}/uptime?window={window}");
        reports.push(api.ask(Method::GET, &path, None).await?);
    }
    let text = match (arguments.json, reports.as_slice()) {
        (true, [one]) if arguments.monitor.is_some() => format!("{one:#}\n"),
        (true, _) => format!("{:#}\n", Value::Array(reports)),
        (false, []) => "no monitor is configured\n".to_owned(),
        (false, reports) => table(reports, arguments.monitor.is_some()),
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The ids of all monitors, page by page.
async fn all(api: &Api) -> Result<Vec<String>, CliError> {
    let rows = api.all("/api/v1/monitors").await?;
    Ok(rows.iter().filter_map(|row| row.get("id")?.as_str().map(str::to_owned)).collect())
}

/// A line for each monitor, and where `regions` is set for each of its regions.
fn table(reports: &[Value], regions: bool) -> String {
    let head = ["MONITOR", "UPTIME", "UNOBSERVED", "DOWN", "PARTIAL", "MAINTENANCE", "MENDED"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for report in reports {
        let seconds = |state: &str| {
            let seconds = report.pointer(&format!("/seconds/{state}")).and_then(Value::as_f64).unwrap_or(0.0);
            if seconds > 0.0 { span(seconds) } else { "-".to_owned() }
        };
        rows.push(vec![
            text(report, "monitor"),
            percent(report, "uptime"),
            percent(report, "unobserved"),
            seconds("down"),
            seconds("partial"),
            seconds("maintenance"),
            seconds("mended"),
        ]);
        if regions {
            let regions = report.get("regions").and_then(Value::as_array).into_iter().flatten();
            rows.extend(regions.map(|region| {
                let count = |key: &str| region.get(key).and_then(Value::as_u64).unwrap_or(0);
                let figures = format!("{} of {} checks failed", count("failed"), count("checks"));
                vec![format!("  {}", text(region, "region")), percent(region, "uptime"), figures]
            }));
        }
    }
    columns(&rows)
}

fn text(of: &Value, key: &str) -> String {
    of.get(key).and_then(Value::as_str).unwrap_or("-").to_owned()
}

fn percent(of: &Value, key: &str) -> String {
    // The API has cut them already; this only moves the point.
    of.get(key)
        .and_then(Value::as_f64)
        .map_or_else(|| "-".to_owned(), |share| format!("{:.3} %", share * 100.0))
}

fn span(seconds: f64) -> String {
    quorate_proto::Micros((seconds * 1e6) as u64).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_for_each_monitor_and_region() {
        let report = json!({
            "monitor": "chat", "uptime": 0.99931, "unobserved": 0.0002,
            "seconds": { "down": 65.0, "partial": 0.0, "maintenance": 3600.0, "mended": 0.0 },
            "regions": [{ "region": "eu-west", "uptime": 1.0, "failed": 0, "checks": 2880 }],
        });
        assert_eq!(
            table(&[report], true),
            "MONITOR    UPTIME     UNOBSERVED               DOWN  PARTIAL  MAINTENANCE  MENDED\n\
             chat       99.931 %   0.020 %                  65s   -        60m          -\n  \
             eu-west  100.000 %  0 of 2880 checks failed\n"
        );
        let nothing = json!({ "monitor": "new", "uptime": null, "unobserved": null, "seconds": {} });
        assert!(
            table(&[nothing], false)
                .ends_with("new      -       -           -     -        -            -\n")
        );
    }
}
