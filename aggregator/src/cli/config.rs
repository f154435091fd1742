//! `quorate config check`: what a file means, before it is in force.

use std::{fmt::Write as _, path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use serde_json::json;

use super::{CliError, print};
use crate::config::{ChannelKind, Config, Environment, Fault, Loaded, Warning};

/// Commands under `quorate config`.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check a file: all faults with line and key, or a summary of what would be watched
    Check(CheckArguments),
}

/// Arguments of `quorate config check`.
#[derive(Debug, Args)]
#[command(after_help = "Exit code 0: the file is good. 1: it has faults. Warnings do not change it.\n\
    ${NAME} is taken from this command's environment, so run it with that of the service.")]
pub(super) struct CheckArguments {
    /// The file
    #[arg(default_value = "quorate.toml")]
    file: PathBuf,
    /// For machines: one JSON object with ok, faults, warnings and what would be watched
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &Command) -> Result<ExitCode, CliError> {
    let Command::Check(arguments) = command;
    let loaded = Config::load(&arguments.file, &Environment::of_process());
    let good = loaded.is_ok();
    if arguments.json {
        print(&format!("{:#}\n", as_json(&loaded)))?;
    } else {
        let loaded = loaded.map_err(CliError::Config)?;
        print(&format!("{}: good\n{}", arguments.file.display(), summary(&loaded)))?;
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// What would be watched, in lines for people.
pub(super) fn summary(loaded: &Loaded) -> String {
    let config = &loaded.config;
    let mut text = String::new();
    for monitor in &config.monitors {
        let channels = match monitor.channels.as_slice() {
            [] => "nobody".to_owned(),
            channels => channels.join(", "),
        };
        let id_width =
            config.monitors.iter().map(|monitor| monitor.spec.id.as_str().len()).max().unwrap_or(0);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  {:id_width$}  {}  every {}, from {}, pages {channels}",
            monitor.spec.id,
            without_user(&monitor.spec.url),
            monitor.spec.interval,
            regions(&monitor.regions),
        );
    }
    if config.monitors.is_empty() {
        text.push_str("  nothing is watched: add a [[monitors]] table\n");
    }
    for warning in &loaded.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    text
}

/// A URL as it may be shown.
pub(super) fn without_user(url: &str) -> String {
    let Ok(mut url) = url::Url::parse(url) else { return "***".to_owned() };
    // Both fail only for URLs that cannot have them.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

fn regions(regions: &[quorate_proto::Region]) -> String {
    match regions {
        [one] => one.to_string(),
        several if several.len() <= 5 => {
            several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
        many => format!("{} regions", many.len()),
    }
}

fn as_json(loaded: &Result<Loaded, Vec<Fault>>) -> serde_json::Value {
    let fault = |fault: &Fault| json!({ "file": fault.file, "line": fault.line, "key": fault.key, "wanted": fault.wanted, "found": fault.found });
    let warning = |warning: &Warning| json!({ "file": warning.file, "line": warning.line, "key": warning.key, "text": warning.text });
    match loaded {
        Err(faults) => json!({ "ok": false, "faults": faults.iter().map(fault).collect::<Vec<_>>() }),
        Ok(Loaded { config, warnings }) => json!({
            "ok": true,
            "faults": [],
            "warnings": warnings.iter().map(warning).collect::<Vec<_>>(),
            "regions": config.regions,
            "monitors": config.monitors.iter().map(|monitor| json!({
                "id": monitor.spec.id,
                "name": monitor.name,
                "url": without_user(&monitor.spec.url),
                "interval_ms": monitor.spec.interval.as_millis(),
                "timeout_ms": monitor.spec.timeout.as_millis(),
                "regions": monitor.regions,
                "channels": monitor.channels,
            })).collect::<Vec<_>>(),
            "channels": config.channels.iter().map(|channel| json!({
                "id": channel.id,
                "type": match channel.kind {
                    ChannelKind::Webhook { .. } => "webhook",
                    ChannelKind::Slack { .. } => "slack",
                },
            })).collect::<Vec<_>>(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment<'static> {
        let files = |path: &std::path::Path| match path.file_name().and_then(std::ffi::OsStr::to_str) {
            Some("client.pem" | "ca.pem") => Ok(CLIENT[0].clone().into_bytes()),
            Some("client.key") => Ok(CLIENT[1].clone().into_bytes()),
            _ => crate::config::read_bounded(path),
        };
        Environment {
            variable: Box::new(|name| match name {
                "SLACK_URL" => Some("https://hooks.slack.com/services/T/B/x".to_owned()),
                "WEBHOOK_SECRET" => Some("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".to_owned()),
                "FEED_TOKEN" | "CHAT_TOKEN" => Some("t0ken".to_owned()),
                _ => None,
            }),
            file: Box::new(files),
            ..Environment::of_process()
        }
    }

    static CLIENT: std::sync::LazyLock<[String; 2]> = std::sync::LazyLock::new(|| {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new(["agent".to_owned()]).unwrap().self_signed(&key).unwrap();
        [certificate.pem(), key.serialize_pem()]
    });

    fn shipped(name: &str) -> Loaded {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name);
        Config::load(&path, &environment()).unwrap()
    }

    #[test]
    fn the_reference_has_every_key_and_is_good() {
        let loaded = shipped("quorate.reference.toml");
        assert_eq!(loaded.warnings, []);
        assert!(loaded.config.monitors.iter().any(|monitor| monitor.spec.idle_search.is_some()));
        let text = include_str!("../../../deploy/quorate.reference.toml");
        // A key that nothing has makes the message that lists all that a monitor may have.
        let unknown = "[[monitors]]\nid = \"m\"\nurl = \"wss://h/\"\nzzzzzzzzzzzzzzzz = 1";
        let faults = crate::config::parse(unknown, "x", &environment()).unwrap_err();
        let keys = faults[0].wanted.strip_prefix("one of the keys ").unwrap();
        for key in keys.split(", ") {
            assert!(text.contains(&format!("\n{key} = ")) || text.contains(&format!("#{key} = ")), "{key}");
        }
    }

    #[test]
    fn the_example_for_deployment_is_good() {
        let loaded = shipped("quorate.example.toml");
        assert_eq!(loaded.warnings, []);
        assert_eq!(
            summary(&loaded),
            "  chat     wss://chat.example.org/ws  every 30s, from eu-west, us-east, us-west, ap-south, sa-east, pages slack, on-call\n  \
             prices   wss://feed.example.org/v1  every 10s, from eu-west, us-east, us-west, ap-south, sa-east, pages slack, on-call\n  \
             graphql  wss://api.example.org/graphql  every 30s, from eu-west, us-east, us-west, ap-south, sa-east, pages slack\n"
        );
        let json = as_json(&Ok(loaded));
        assert_eq!(json.pointer("/monitors/1/interval_ms"), Some(&json!(10_000)));
        assert!(!json.to_string().contains("t0ken"));
    }
}
