//! One preset, one server, and the probe between them.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use quorate::config::{self, Environment};
use quorate_agent::{
    egress::Egress,
    probe::{Checked, Nameservers, Options, Prober},
};
use quorate_proto::{Failure, FailureKind, MonitorSpec, Outcome};
use quorate_tests::{
    process::Process,
    requirement::{Requirement, available},
    servers::free_port,
};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The timeout of every check: what a healthy server on this machine never needs.
const TIMEOUT: &str = "2s";

/// A place for one server of one preset.
pub(crate) struct Bench {
    preset: &'static str,
    /// Where the server is to listen.
    pub(crate) port: u16,
    folder: TempDir,
    prober: Prober,
    runtime: Runtime,
}

impl Bench {
    /// Makes ready, where the server is there.
    pub(crate) fn new(preset: &'static str, requirement: Requirement) -> Result<Option<Self>> {
        if !available(&format!("preset {preset}"), &[requirement]) {
            return Ok(None);
        }
        Self::of(preset).map(Some)
    }

    /// Makes ready.
    pub(crate) fn of(preset: &'static str) -> Result<Self> {
        Ok(Self {
            preset,
            port: free_port()?,
            folder: tempfile::tempdir()?,
            prober: Prober::new(Options {
                egress: Egress::Private,
                region: None,
                nameservers: Nameservers::System,
                proxy: None,
            })?,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        })
    }

    /// A folder for the server.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A monitor with the preset, and with these lines, passes.
    pub(crate) fn passes(&self, path: &str, lines: &str) -> Result<()> {
        let checked = self.check(path, lines)?;
        ensure!(checked.outcome == Outcome::Passed, "{} {path} {lines}: {:?}", self.preset, checked.outcome);
        let total_ms = checked.timings.total.0 as f64 / 1000.0;
        println!("MEASURED preset {}: passed in {total_ms:.1} ms ({path} {lines})", self.preset);
        Ok(())
    }

    /// It fails in this way: the kind's name, and its number where it has one.
    pub(crate) fn fails(&self, path: &str, lines: &str, wanted: &str) -> Result<()> {
        let checked = self.check(path, lines)?;
        let Outcome::Failed(Failure { kind, detail, .. }) = &checked.outcome else {
            bail!("{} passed: {path} {lines}", self.preset);
        };
        let mut found = kind.name().to_owned();
        if let FailureKind::UpgradeStatus(number) | FailureKind::Closed { code: number, .. } = kind {
            found.push_str(&format!(" {number}"));
        }
        if let FailureKind::Content(fault) = kind {
            found.push_str(&format!(" {}", fault.name()));
        }
        println!("MEASURED preset {}: {found}: {detail} ({path} {lines})", self.preset);
        ensure!(
            found == wanted,
            "{} {path} {lines}: {wanted} was due, and not {found}: {detail}",
            self.preset
        );
        Ok(())
    }

    /// A server that is stopped while TCP lives takes connections, and upgrades none.
    pub(crate) fn is_silent_when_stopped(&self, path: &str, server: &Process) -> Result<()> {
        server.signal(Signal::STOP)?;
        self.fails(path, "", "upgrade_timeout")?;
        server.signal(Signal::CONT)
    }

    fn check(&self, path: &str, lines: &str) -> Result<Checked> {
        let spec = self.spec(path, lines)?;
        Ok(self.runtime.block_on(self.prober.check(&spec, None)))
    }

    /// The monitor as an operator writes it.
    fn spec(&self, path: &str, lines: &str) -> Result<MonitorSpec> {
        let timeout =
            if lines.contains("timeout") { String::new() } else { format!("timeout = \"{TIMEOUT}\"\n") };
        let text = format!(
            "[[monitors]]\nid = \"m\"\nurl = \"ws://127.0.0.1:{}{path}\"\n{timeout}preset = \"{}\"\n{lines}",
            self.port, self.preset
        );
        let loaded = config::parse(&text, "quorate.toml", &Environment::of_process())
            .map_err(|faults| anyhow::anyhow!("{text}\n{faults:?}"))?;
        Ok(loaded.config.monitors.into_iter().next().context("no monitor")?.spec)
    }
}
