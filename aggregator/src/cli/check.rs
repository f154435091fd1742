//! `quorate check`: the agent's diagnosis, which here may speak a preset as well.

use std::process::ExitCode;

use clap::Args;

use crate::config::presets::{self, PresetOptions};

/// Arguments of `quorate check`.
#[derive(Clone, Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    check: quorate_agent::check::Args,
    /// Speak this protocol: see `quorate presets`. What the other flags say goes before what it says
    #[arg(long, value_name = "NAME", help_heading = "What is said and expected")]
    preset: Option<String>,
    /// Set an option of the preset; may be repeated
    #[arg(long, value_name = "NAME=VALUE", requires = "preset", value_parser = option, help_heading = "What is said and expected")]
    preset_option: Vec<(String, String)>,
}

/// Makes the check.
pub(super) async fn run(arguments: Arguments) -> ExitCode {
    let Arguments { check, preset, preset_option } = arguments;
    let options: PresetOptions = preset_option.into_iter().collect();
    let speak = move |spec: &mut quorate_proto::MonitorSpec| match preset {
        None => Ok(()),
        Some(name) => presets::apply(&name, &options, spec).map_err(|error| error.to_string()),
    };
    quorate_agent::check::run_with(check, speak).await
}

fn option(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("wanted NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}
