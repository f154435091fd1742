//! `quorate up`: aggregator and local agents in one process, from a file or from the command line alone.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use clap::Args;

use super::{
    CliError,
    config::{summary, without_user},
    print,
    serve::{load, warn},
    stop_signal,
};
use crate::{
    config::{self, Environment, Fault, Loaded},
    limits,
    run::{Aggregator, LocalAgents, Options},
};

/// Arguments of `quorate up`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorate up --url wss://chat.example.org/ws
  quorate up --url wss://a.example.org/ --url wss://b.example.org/ --webhook https://example.org/hook --interval 10s
  quorate up --config quorate.toml

With --url no file is read, and data goes to ./quorate-data. All agents stand on this machine: a broken network here
looks like a broken server. For a quorum of regions run `quorate serve` and agents elsewhere.")]
pub(super) struct Arguments {
    /// The configuration [default: quorate.toml]
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    config: Option<PathBuf>,
    /// Watch this URL without any file; may be repeated
    #[arg(long, value_name = "URL")]
    url: Vec<String>,
    /// Post alerts to this webhook (with --url; unsigned, since there is no secret); may be repeated
    #[arg(long, value_name = "URL", requires = "url")]
    webhook: Vec<String>,
    /// Post alerts to this Slack incoming webhook (with --url); may be repeated
    #[arg(long, value_name = "URL", requires = "url", env = "QUORATE_SLACK", hide_env_values = true)]
    slack: Vec<String>,
    /// The data folder (with --url) [default: ./quorate-data]
    #[arg(long, value_name = "DIR", requires = "url")]
    data: Option<PathBuf>,
    /// Where the status page is served (with --url) [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", requires = "url")]
    http: Option<SocketAddr>,
    /// How often to check (with --url) [default: 15s]
    #[arg(long, value_name = "SPAN", requires = "url")]
    interval: Option<String>,
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let (loaded, watched) = if arguments.url.is_empty() {
        let path = arguments.config.clone().unwrap_or_else(|| PathBuf::from("quorate.toml"));
        (load(&path)?, Some(path))
    } else {
        (from_command_line(&arguments).map_err(CliError::Config)?, None)
    };
    if loaded.config.local_regions.is_empty() {
        return Err(CliError::Arguments(
            "no region is local: add `[local]` with `regions = [\"…\"]` to the configuration, one of its regions; or \
             run `quorate serve` and agents elsewhere",
        ));
    }
    warn(&loaded);
    let config = Arc::new(loaded.config.clone());
    let mut running = Aggregator::start(Options { config: Arc::clone(&config), watched }).await?;
    let regions = config.local_regions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    print(&format!(
        "status page  http://{}/\nadmin token  {}\nlocal agents {regions}\nwatching\n{}",
        running.http_addr,
        running.admin_token_file.display(),
        summary(&Loaded { config: loaded.config, warnings: Vec::new() })
    ))?;
    let agents =
        LocalAgents::start(&running, &config.local_regions, &config.server.data.join("agents")).await;
    let agents = match agents {
        Ok(agents) => agents,
        Err(error) => {
            running.stop().await;
            return Err(error.into());
        }
    };
    let ended = running.until(stop_signal()).await;
    agents.stop().await;
    running.stop().await;
    Ok(ended.map(|()| ExitCode::SUCCESS)?)
}

/// Makes the configuration that the arguments stand for. It is written as a file would be and read by the same code, so
/// that one place knows what is good.
fn from_command_line(arguments: &Arguments) -> Result<Loaded, Vec<Fault>> {
    let data = std::path::absolute(arguments.data.as_deref().unwrap_or(std::path::Path::new("quorate-data")));
    let data = data.unwrap_or_default();
    let mut lines = vec!["[server]".to_owned(), key("data", &data.to_string_lossy())];
    // Only local agents connect, and a fixed port lets them find the aggregator again after a restart.
    lines.push(key("quic", "127.0.0.1:4433"));
    lines.extend(arguments.http.map(|address| key("http", &address.to_string())));
    lines.extend(["[defaults]".to_owned(), key("interval", arguments.interval.as_deref().unwrap_or("15s"))]);
    let channels = [("webhook", &arguments.webhook), ("slack", &arguments.slack)];
    for (kind, urls) in channels {
        for (index, url) in urls.iter().enumerate() {
            lines.push("[[channels]]".to_owned());
            lines.push(key("id", &numbered(kind, index)));
            lines.push(key("type", kind));
            lines.push(key("url", url));
        }
    }
    let mut ids: Vec<String> = Vec::new();
    for url in &arguments.url {
        let id =
            (0..).map(|index| numbered(&id_of(url), index)).find(|id| !ids.contains(id)).unwrap_or_default();
        lines.push("[[monitors]]".to_owned());
        lines.push(key("id", &id));
        lines.push(key("name", &without_user(url).chars().take(limits::TITLE_CHARS_MAX).collect::<String>()));
        lines.push(key("url", url));
        ids.push(id);
    }
    // Faults then name the key, and the line says which one of several.
    config::parse(&lines.join("\n"), "command line", &Environment::of_process())
}

/// One line of TOML. JSON's strings are TOML's basic strings; `${` means nothing more here than it says.
fn key(key: &str, value: &str) -> String {
    format!("{key} = {}", serde_json::Value::from(value.replace("${", "$${")))
}

fn numbered(name: &str, index: usize) -> String {
    if index == 0 { name.to_owned() } else { format!("{name}-{}", index + 1) }
}

/// A monitor's id out of its URL: the host, with what a name cannot hold left out.
fn id_of(url: &str) -> String {
    let parsed = url::Url::parse(url).ok();
    let host = parsed.as_ref().and_then(url::Url::host_str).unwrap_or("monitor").to_ascii_lowercase();
    let id: String = host
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || ".-_".contains(letter) { letter } else { '-' })
        .take(quorate_proto::limits::NAME_BYTES_MAX - 4)
        .collect();
    let id = id.trim_matches(['-', '.', '_']);
    if id.is_empty() { "monitor".to_owned() } else { id.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(url: &[&str], webhook: &[&str]) -> Arguments {
        Arguments {
            config: None,
            url: url.iter().map(|url| (*url).to_owned()).collect(),
            webhook: webhook.iter().map(|url| (*url).to_owned()).collect(),
            slack: vec![],
            data: None,
            http: None,
            interval: None,
        }
    }

    #[test]
    fn the_command_line_stands_for_a_configuration() {
        let urls =
            ["wss://chat.example.org/a", "wss://chat.example.org/b", "ws://[::1]:8080/", "wss://u:p@h/${X}"];
        let config = from_command_line(&arguments(&urls, &["https://h/1", "https://h/2"])).unwrap().config;
        let ids: Vec<_> = config.monitors.iter().map(|monitor| monitor.spec.id.as_str()).collect();
        assert_eq!(ids, ["chat.example.org", "chat.example.org-2", "1", "h"]);
        assert_eq!(config.monitors[3].name, "wss://h/${X}".replace('{', "%7B").replace('}', "%7D"));
        assert_eq!(config.monitors[0].channels, ["webhook", "webhook-2"]);
        assert_eq!(config.server.quic.to_string(), "127.0.0.1:4433");
        assert!(config.server.data.is_absolute());
    }

    #[test]
    fn a_bad_url_is_a_fault_and_not_a_crash() {
        let faults = from_command_line(&arguments(&["http://h\"\n[[channels]]"], &["nonsense"])).unwrap_err();
        assert_eq!(faults.len(), 2, "{faults:?}");
    }
}
