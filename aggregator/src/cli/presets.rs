//! `quorate presets`: which well-known protocols are spoken, and how.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf, process::ExitCode};

use clap::Args;
use serde_json::{Value, json};

use super::{CliError, print};
use crate::config::{
    Environment,
    presets::{Parameter, Preset, PresetError, Presets},
};

/// Arguments of `quorate presets`.
#[derive(Debug, Args)]
#[command(after_help = "In a configuration:\n  \
    [[monitors]]\n  id = \"chat\"\n  url = \"wss://chat.example.org\"\n  preset = \"socketio\"\n  \
    preset_options = { namespace = \"/chat\" }\n\n\
    What the monitor itself says takes the place of what the preset says.\n\
    More presets: presets = \"folder\" in the configuration; each file NAME.toml there is one.")]
pub(super) struct Arguments {
    /// Show one whole: its file, and its options
    name: Option<String>,
    /// List those of this folder, too
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// For machines: a JSON list, or with a name one object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, CliError> {
    let environment = Environment::of_process();
    let presets = match &arguments.folder {
        None => Presets::built_in(),
        Some(folder) => Presets::with_folder(folder, &environment)
            .map_err(|(wanted, found)| CliError::PresetFolder { wanted, found })?,
    };
    let text = match &arguments.name {
        Some(name) => {
            let preset = presets.describe(name, &environment)?;
            let text = presets.text(name).unwrap_or_default();
            if arguments.json { format!("{:#}\n", as_json(&preset)) } else { whole(&preset, text) }
        }
        None => {
            let all = presets.names().map(|name| presets.describe(name, &environment));
            let all = all.collect::<Result<Vec<_>, PresetError>>()?;
            match arguments.json {
                true => format!("{:#}\n", all.iter().map(as_json).collect::<Value>()),
                false => table(&all),
            }
        }
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn table(presets: &[Preset]) -> String {
    let width = presets.iter().map(|preset| preset.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for preset in presets {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:width$}  {}", preset.name, preset.description);
        let options: Vec<&str> = preset.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        if !options.is_empty() {
            let _ = writeln!(text, "{:width$}    options: {}", "", options.join(", "));
        }
    }
    text.push_str(
        "\nOne of them whole: quorate presets NAME. Against a server: quorate check URL --preset NAME\n",
    );
    text
}

fn whole(preset: &Preset, file: &str) -> String {
    let mut text = format!("{}: {}\n\n", preset.name, preset.description);
    // Writing to a String cannot fail.
    let _ = writeln!(text, "  specified in  {}", preset.source);
    let _ = writeln!(text, "  answers       {}", preset.healthy);
    if let Some(path) = &preset.path {
        let _ = writeln!(text, "  path          {path} (where the URL has none)");
    }
    let query: Vec<_> = preset.query.iter().filter(|(_, value)| !value.is_empty()).collect();
    if !query.is_empty() {
        let pairs: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let _ = writeln!(text, "  query         {}", pairs.join("&"));
    }
    if !preset.subprotocols().is_empty() {
        let _ = writeln!(text, "  subprotocols  {}", preset.subprotocols().join(", "));
    }
    let _ = writeln!(text, "  heartbeat     {} (of a canary)", preset.canary_mode().name());
    if !preset.parameters.is_empty() {
        text.push_str("\noptions (preset_options):\n");
    }
    let width = preset.parameters.iter().map(|parameter| parameter.name.len()).max().unwrap_or(0);
    for Parameter { name, description, default, secret: _ } in &preset.parameters {
        let default = match default.as_deref() {
            None => " (must be set)".to_owned(),
            Some("") => String::new(),
            Some(default) => format!(" (default {default})"),
        };
        let _ = writeln!(text, "  {name:width$}  {description}{default}");
    }
    let _ = write!(text, "\nfile:\n\n{file}");
    text
}

fn as_json(preset: &Preset) -> Value {
    json!({
        "name": preset.name,
        "description": preset.description,
        "source": preset.source,
        "healthy": preset.healthy,
        "path": preset.path,
        "query": preset.query.iter().cloned().collect::<BTreeMap<_, _>>(),
        "subprotocols": preset.subprotocols(),
        "canary_mode": preset.canary_mode().name(),
        "parameters": preset.parameters.iter().map(|parameter| json!({
            "name": parameter.name,
            "description": parameter.description,
            "default": parameter.default,
            "secret": parameter.secret,
        })).collect::<Vec<_>>(),
        "hello": preset.hello(),
        "steps": preset.steps(),
        "replies": preset.replies(),
    })
}
