//! `--control`, `--control-resolves`: what an agent looks at to see whether it is the fault itself.

use clap::Args;
use quorate_proto::{Controls, Micros, limits};

/// From one look at a control to the next.
const EVERY: Micros = Micros::from_secs(15);
/// No name below `.example` exists (RFC 6761 section 6.5), and resolvers ask for it all the same.
const RESOLVES_NOT: &str = "quorate-control.example";

#[derive(Debug, Args)]
pub(super) struct ControlArguments {
    /// A server that answers as a rule, to tell an outage from a broken network of this machine: wss://, ws://, https:// or
    /// http:// URL, or tcp://HOST:PORT. At least three, on different networks; repeated or separated by commas. Instead
    /// of those that the aggregator's configuration names
    #[arg(long = "control", value_name = "URL", value_delimiter = ',', value_parser = target, env = "QUORATE_CONTROLS")]
    targets: Vec<String>,
    /// A name that this machine's nameservers must resolve; they must also know that quorate-control.example does not exist
    #[arg(long = "control-resolves", value_name = "NAME", env = "QUORATE_CONTROL_RESOLVES")]
    resolves: Option<String>,
}

impl ControlArguments {
    /// What to look at; none where nothing was said.
    ///
    /// # Errors
    /// In words, where there are too few or too many.
    pub(super) fn read(self) -> Result<Option<Controls>, String> {
        let Self { targets, resolves } = self;
        let resolves_not = resolves.as_ref().map(|_| RESOLVES_NOT.to_owned());
        let controls = Controls { targets, every: EVERY, resolves, resolves_not };
        if controls.is_empty() {
            return Ok(None);
        }
        if !controls.is_within_limits() {
            return Err(format!(
                "--control: {} targets are given; {} to {} are wanted, on different networks, so that one that is broken \
                 does not silence this agent",
                controls.targets.len(),
                limits::CONTROLS_MIN,
                limits::CONTROLS_MAX
            ));
        }
        Ok(Some(controls))
    }
}

fn target(text: &str) -> Result<String, String> {
    const WANTED: &str = "wanted a wss://, ws://, https:// or http:// URL, or tcp://HOST:PORT";
    let url = url::Url::parse(text).map_err(|error| format!("{WANTED}: {error}"))?;
    let is_known = ["wss", "ws", "https", "http"].contains(&url.scheme());
    let is_plain = url.scheme() == "tcp" && url.port().is_some();
    if !(is_known || is_plain)
        || url.host_str().is_none_or(str::is_empty)
        || text.len() > limits::CONTROL_BYTES_MAX
    {
        return Err(WANTED.to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_servers() {
        for good in ["wss://a.example/", "https://a.example", "tcp://192.0.2.1:443", "tcp://[2001:db8::1]:53"]
        {
            assert_eq!(target(good).as_deref(), Ok(good));
        }
        for bad in ["", "a.example", "tcp://a.example", "ftp://a.example/", "wss://"] {
            assert!(target(bad).unwrap_err().contains("tcp://HOST:PORT"), "{bad}");
        }
    }

    #[test]
    fn fewer_than_three_are_refused() {
        let read = |count: usize, resolves: Option<&str>| {
            let targets = vec!["tcp://192.0.2.1:443".to_owned(); count];
            ControlArguments { targets, resolves: resolves.map(str::to_owned) }.read()
        };
        assert_eq!(read(0, None), Ok(None));
        assert!(read(2, None).unwrap_err().contains("2 targets are given; 3 to 16"));
        assert_eq!(read(3, None).unwrap().unwrap().targets.len(), 3);
        let resolver = read(0, Some("example.com")).unwrap().unwrap();
        assert_eq!(resolver.resolves_not.as_deref(), Some("quorate-control.example"));
    }
}
