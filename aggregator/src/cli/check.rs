//! `quorate check`: a single check, as both programs make it, with presets.

use std::process::ExitCode;

use clap::Args;
use quorate_proto::MonitorSpec;

use crate::config::presets::{self, PresetOptions};

/// Arguments of `quorate check`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    check: quorate_agent::check::Args,
    /// Speak this protocol; `quorate presets` lists them. --send, --expect-… and --subprotocol go before what it says
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// Set an option of the preset; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = option, requires = "preset")]
    preset_option: Vec<(String, String)>,
}

pub(super) async fn run(arguments: Arguments) -> ExitCode {
    let Arguments { check, preset, preset_option } = arguments;
    let options: PresetOptions = preset_option.into_iter().collect();
    let prepare = |spec: &mut MonitorSpec| match preset {
        Some(name) => presets::apply(&name, &options, spec).map_err(|error| error.to_string()),
        None => Ok(()),
    };
    quorate_agent::check::run_with(check, prepare).await
}

fn option(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("wanted NAME=VALUE, such as namespace=/chat")?;
    Ok((name.to_owned(), value.to_owned()))
}
