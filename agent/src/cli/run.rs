//! `quorate-agent run`.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use quorate_proto::{join::JoinString, monitor::Proxy};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{CliError, controls::ControlArguments};
use crate::{
    egress::Egress,
    limits,
    probe::{Nameservers, parse_proxy},
    run::{self, RunError},
    state::{Enrolment, State},
    uplink,
};

#[derive(Debug, Args)]
#[command(after_help = "\
The state folder is the agent: its private key, what it was last assigned, and results that the aggregator has not
acknowledged. Keep it from one start to the next, and give it to one agent alone.

Examples:
  quorate-agent run --state /var/lib/quorate-agent --join qj1_…
                                               the first start; the string is good once, for 15 minutes
  quorate-agent run --state /var/lib/quorate-agent
                                               every later start
  quorate-agent run --state ./state --egress 10.20.0.0/16,192.0.2.7
                                               probe these networks and nothing else
  quorate-agent run --state ./state --proxy proxy.example.org:3128 --egress private
                                               probe through a proxy in the private network
  quorate-agent run --state ./state --control https://a.example/,https://b.example/,tcp://192.0.2.1:443
                                               abstain while half of these do not answer")]
pub(super) struct Arguments {
    /// Where the agent keeps its key and its state; made where it is not there
    #[arg(long, value_name = "DIR", env = "QUORATE_STATE")]
    state: PathBuf,
    /// The join string of the first start, as `quorate agents add` prints it
    #[arg(long, value_name = "STRING", env = "QUORATE_JOIN", hide_env_values = true)]
    join: Option<String>,
    /// Which addresses may be probed: `public`, `private` (public, loopback and private networks), or networks such as
    /// 10.0.0.0/8,2001:db8::/32
    #[arg(long, value_name = "WHICH", default_value = "public", env = "QUORATE_EGRESS")]
    egress: Egress,
    /// Check through this HTTP proxy (CONNECT), where a monitor names none of its own: USER:PASSWORD@HOST:PORT, or
    /// HOST:PORT. The proxy resolves the names of servers, and its own rules decide where it connects to; --egress judges
    /// the proxy's address and servers that are given as addresses
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_proxy, env = "QUORATE_PROXY", hide_env_values = true)]
    proxy: Option<Proxy>,
    #[command(flatten)]
    controls: ControlArguments,
    /// Bytes on disk for results that are not acknowledged; above it the oldest go, and the aggregator is told
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size, env = "QUORATE_SPOOL_MAX")]
    spool_max: u64,
}

/// Joins where that is to be done, and probes until a signal comes.
pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let Arguments { state: folder, join, egress, proxy, controls, spool_max } = arguments;
    let controls = controls.read().map_err(CliError::Controls)?;
    let join = join.map(|join| join.parse::<JoinString>()).transpose()?;
    if join.is_none() && !State::is_there(&folder) {
        return Err(CliError::NotEnrolled(folder.display().to_string()));
    }
    let mut state = State::open(&folder)?;
    match &join {
        Some(join) => enrol(&mut state, join).await?,
        None if state.enrolment().is_none() => {
            return Err(CliError::NotEnrolled(folder.display().to_string()));
        }
        None => {}
    }
    let cancel = CancellationToken::new();
    cancel_on_signal(&cancel)?;
    let nameservers = Nameservers::default();
    let options = run::Options { state, egress, nameservers, proxy, controls, spool_bytes_max: spool_max };
    run::run(options, cancel).await.map_err(|error: RunError| CliError::Run(error))?;
    Ok(ExitCode::SUCCESS)
}

/// Joins, unless that was done: a join string may stay in a service's definition.
async fn enrol(state: &mut State, join: &JoinString) -> Result<(), CliError> {
    if let Some(enrolment) = state.enrolment() {
        if enrolment.aggregator != join.aggregator {
            return Err(CliError::OtherAggregator { address: enrolment.address.clone() });
        }
        if !state.is_revoked() {
            tracing::info!(
                agent = %enrolment.name, region = %enrolment.region, aggregator = %enrolment.address,
                "this agent has joined before; the join string is not used"
            );
            return Ok(());
        }
    }
    match uplink::join(join, state.key(), run::SOFTWARE).await {
        Ok(uplink::Joined { name, region }) => {
            tracing::info!(agent = %name, %region, aggregator = %join.address, "joined");
            let JoinString { aggregator, address, .. } = join.clone();
            state.enrol(Enrolment { aggregator, address, name, region })?;
            Ok(())
        }
        // A revoked agent may have been admitted again without its doing.
        Err(error) if state.enrolment().is_some() => {
            tracing::warn!(%error, "this agent was refused before and cannot join anew; trying as it is");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

fn cancel_on_signal(cancel: &CancellationToken) -> Result<(), CliError> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(CliError::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(CliError::Signals)?;
    let cancel = cancel.clone();
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        };
        tracing::info!(signal = name, "stopping");
        cancel.cancel();
    });
    Ok(())
}

/// A size as people write it: `64MiB`, `1GiB`, `500 MB`, or bytes.
fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "kib" => Some(1 << 10),
        "mib" => Some(1 << 20),
        "gib" => Some(1 << 30),
        "kb" => Some(1_000),
        "mb" => Some(1_000_000),
        "gb" => Some(1_000_000_000),
        _ => None,
    };
    let bytes =
        number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    match bytes {
        None => Err("wanted a size such as 64MiB, 1GiB or 500MB".into()),
        Some(bytes) if bytes < limits::SPOOL_BYTES_MIN => {
            Err(format!("at least {} MiB are needed", limits::SPOOL_BYTES_MIN >> 20))
        }
        Some(bytes) => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_write_them() {
        for (text, bytes) in
            [("64MiB", 64 << 20), ("1 gib", 1 << 30), ("500MB", 500_000_000), ("4194304", 4 << 20)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "64MB/s", "-1", "1.5GiB", "99999999999GiB"] {
            assert!(size(text).unwrap_err().contains("such as"), "{text}");
        }
        assert!(size("1MiB").unwrap_err().contains("at least 4 MiB"));
        assert_eq!(size("64MiB"), Ok(limits::SPOOL_BYTES_DEFAULT), "the default of --spool-max");
    }
}
