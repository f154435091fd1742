//! Where the log goes: standard error, so that standard output stays for what was asked for.

use std::io;

use clap::Args;
use tracing_subscriber::{
    Layer as _, filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use super::CliError;

/// How much is logged, and how.
#[derive(Clone, Debug, Args)]
pub(super) struct LogArguments {
    /// How much to log: error, warn, info, debug, trace, or targets such as `info,quorate_agent::probe=trace`
    #[arg(long, global = true, value_name = "LEVEL", env = "QUORATE_LOG", help_heading = "Log")]
    log: Option<String>,
    /// Log as JSON, one object a line
    #[arg(long, global = true, env = "QUORATE_LOG_JSON", help_heading = "Log")]
    log_json: bool,
}

impl LogArguments {
    /// Starts the log of this process.
    pub(super) fn install(&self, default: &str) -> Result<(), CliError> {
        let filter = filter(self.log.as_deref().unwrap_or(default))?;
        let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
        let registry = tracing_subscriber::registry();
        // A second installation is refused; the first one serves as well.
        let _already = if self.log_json {
            registry.with(layer.json().with_filter(filter)).try_init()
        } else {
            let ansi = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
            registry.with(layer.with_ansi(ansi).with_filter(filter)).try_init()
        };
        Ok(())
    }
}

/// A bare level means our own packages; libraries then speak from `warn` on.
fn filter(text: &str) -> Result<Targets, CliError> {
    let text = match text.trim() {
        level @ ("error" | "off") => level.to_owned(),
        level @ ("warn" | "info" | "debug" | "trace") => {
            format!("warn,quorate_agent={level},quorate_proto={level}")
        }
        other => other.to_owned(),
    };
    text.parse().map_err(|_| CliError::LogFilter(text))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn a_bare_level_is_for_our_own_packages() {
        for (text, target, level, wanted) in [
            ("info", "quorate_agent::run", Level::INFO, true),
            ("info", "quorate_agent::run", Level::DEBUG, false),
            ("info", "quinn", Level::INFO, false),
            ("debug", "quinn", Level::WARN, true),
            ("error", "quinn", Level::WARN, false),
            ("quinn=trace", "quinn", Level::TRACE, true),
            ("quinn=trace", "quorate_agent", Level::ERROR, false),
        ] {
            assert_eq!(filter(text).unwrap().would_enable(target, &level), wanted, "{text} {target} {level}");
        }
        assert!(matches!(filter("quorate_agent=loud"), Err(CliError::LogFilter(_))));
    }
}
