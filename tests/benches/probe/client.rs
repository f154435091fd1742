//! The clients that are compared, and what they are told about the server.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr, sync::Arc};

use anyhow::{Context as _, Result, bail, ensure};
use quorate::config::{Environment, parse};
use quorate_agent::{
    egress::Egress,
    limits::BEAT,
    probe::{Nameservers, Options, Prepared, Prober},
};
use quorate_proto::{MonitorSpec, Outcome};
use tokio::runtime::{Builder, Runtime};

use super::bare::Bare;

/// Where the server is.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) ws: SocketAddr,
    pub(super) wss: SocketAddr,
    /// The certificate that signed the server's, in PEM.
    pub(super) ca: PathBuf,
}

/// Who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The bare loop.
    Bare,
    /// The agent's probe, or its canary.
    Ours,
}

/// Over what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Ws,
    Wss,
}

/// One client, ready.
pub(super) enum Client {
    Bare(Bare),
    Ours(Box<Prober>, Box<Prepared>),
}

/// One thread that has a beat, as in the agent: without one, every shorter timer wakes the thread that sets it.
pub(super) fn runtime() -> Result<Runtime> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.spawn(async {
        let mut beat = tokio::time::interval(BEAT.into());
        loop {
            beat.tick().await;
        }
    });
    Ok(runtime)
}

impl Client {
    pub(super) fn new(kind: Kind, scheme: Scheme, target: &Target) -> Result<Self> {
        Ok(match (kind, scheme) {
            (Kind::Bare, Scheme::Ws) => Self::Bare(Bare::ws(target)),
            (Kind::Bare, Scheme::Wss) => Self::Bare(Bare::wss(target, false)?),
            (Kind::Ours, scheme) => {
                let prober = Box::new(prober()?);
                // Once for all checks, as in the agent.
                let prepared = prober.prepare(Arc::new(spec(scheme, target)?));
                Self::Ours(prober, Box::new(prepared))
            }
        })
    }

    /// Makes so many checks, one after the other.
    pub(super) async fn visit(&self, times: usize) -> Result<()> {
        for _ in 0..times {
            match self {
                Self::Bare(bare) => bare.visit().await?,
                Self::Ours(prober, prepared) => {
                    let checked = prober.check_prepared(prepared, None).await;
                    ensure!(checked.outcome == Outcome::Passed, "the check failed: {checked:?}");
                }
            }
        }
        Ok(())
    }
}

pub(super) fn prober() -> Result<Prober> {
    let region = Some("eu-west".parse()?);
    Ok(Prober::new(Options {
        egress: Egress::Private,
        region,
        nameservers: Nameservers::System,
        proxy: None,
    })?)
}

/// A monitor as a user writes it: a JSON ping with a nonce, and a reply that must contain it.
pub(super) fn spec(scheme: Scheme, target: &Target) -> Result<MonitorSpec> {
    let (url, trust) = match scheme {
        Scheme::Ws => (format!("ws://{}/", target.ws), String::new()),
        Scheme::Wss => (format!("wss://{}/", target.wss), format!("ca_file = {:?}\n", target.ca)),
    };
    let text = format!(
        "[[monitors]]\nid = \"bench\"\nurl = {url:?}\ncanary = true\n{trust}\
         steps = [{{ send = '{{\"type\":\"ping\",\"id\":\"{{{{nonce}}}}\"}}' }}, \
         {{ expect = {{ contains = \"{{{{nonce}}}}\" }} }}]\n"
    );
    let loaded = parse(&text, "bench.toml", &Environment::of_process());
    let loaded = loaded.map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
    Ok(loaded.config.monitors.into_iter().next().context("no monitor")?.spec)
}

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Ours => "ours",
        }
    }
}

impl Scheme {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }
}

impl FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> Result<Self> {
        [Self::Bare, Self::Ours].into_iter().find(|kind| kind.word() == word).context("bare or ours")
    }
}

impl FromStr for Scheme {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> Result<Self> {
        [Self::Ws, Self::Wss].into_iter().find(|scheme| scheme.word() == word).context("ws or wss")
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{}", self.ws, self.wss, self.ca.display())
    }
}

impl FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<_> = text.splitn(3, ',').collect();
        let [ws, wss, ca] = parts.as_slice() else { bail!("{text:?} is not a target") };
        Ok(Self { ws: ws.parse()?, wss: wss.parse()?, ca: ca.into() })
    }
}
