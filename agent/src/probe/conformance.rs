//! What of RFC 6455 a server keeps: judged from the check itself, and from a few extra connections on which something is
//! said that a good server answers in a known way.
//!
//! None of it may harm a server in production. There are about ten extra connections, a few at a time, each with a handful
//! of tiny frames. What is wrong on purpose is a control frame, or a frame that no server hands to its application; no
//! message is invented, since an application might not bear it: only a text that the caller gave is ever sent as one.

mod handshake;
mod listen;
mod provoke;
mod raw;
#[cfg(test)]
pub(crate) mod tests;

use futures_util::{StreamExt as _, stream};
use quorate_proto::{Failure, FailureKind, Micros, MonitorSpec};
use tokio::time::timeout;

pub use self::{handshake::of_check, listen::Heard};
use self::{
    provoke::{PROBES, Probe},
    raw::{Opened, Variant},
};
use super::{Prober, quote};
use crate::limits;

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Pass,
    /// Allowed, and worth a thought.
    Warn,
    /// Not as it should be.
    Fail,
    /// It cannot be told from here.
    Unknown,
}

/// A rule of a standard.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable, for JSON.
    pub name: &'static str,
    /// Where it stands: a section of RFC 6455, or another RFC's.
    pub section: &'static str,
    /// What is asked, in a few words.
    pub text: &'static str,
}

/// How a server stands with a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// The rule.
    pub rule: &'static Rule,
    /// How it stands.
    pub verdict: Verdict,
    /// What was seen; empty where the verdict says it all.
    pub found: String,
}

/// What extra connections are made for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Whether conformance is looked at.
    pub conformance: bool,
    /// How long the server is listened to, on a connection where nothing is said; none is for as long as the rest takes.
    pub listen: Option<Micros>,
    /// A message that the application takes, to be sent in fragments; none is not to send any.
    pub message: Option<String>,
}

/// What the extra connections found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Rules, in the order in which they are shown.
    pub points: Vec<Point>,
    /// What the server makes of an offer of `permessage-deflate`: its `Sec-WebSocket-Extensions`; none where it offers
    /// none, or was not asked.
    pub extensions: Option<String>,
    /// What a server says by itself; none where it was not listened to.
    pub heard: Option<Heard>,
    /// How many connections were made.
    pub connections: usize,
}

/// What a server says to the request without the headers of an upgrade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    /// The HTTP status.
    pub status: u16,
    /// The first bytes of the body.
    pub body: String,
}

impl Verdict {
    /// The stable name, for JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
        }
    }
}

impl Rule {
    fn point(&'static self, verdict: Verdict, found: impl Into<String>) -> Point {
        Point { rule: self, verdict, found: found.into() }
    }
}

impl Prober {
    /// Makes the extra connections to a server that takes upgrades. Each ends by the monitor's deadline and a little.
    pub async fn conformance(&self, spec: &MonitorSpec, wanted: &Wanted) -> Findings {
        let spec = &MonitorSpec { steps: Vec::new(), hello: Vec::new(), ..spec.clone() };
        let mut heard = Heard::default();
        let listening = listen::listen(self, spec, wanted.listen, &mut heard);
        let probing = async {
            let probes: &[Probe] = if wanted.conformance { &PROBES } else { &[] };
            let probes = stream::iter(probes).map(|probe| probe.run(self, spec, wanted));
            probes.buffered(limits::CONFORMANCE_CONCURRENT).collect::<Vec<_>>().await
        };
        let probed = match wanted.listen {
            // A listener with a span of its own is waited for; one without listens for as long as the rest takes.
            Some(_) => tokio::join!(probing, listening).0,
            None => tokio::select! {
                biased;
                probed = probing => probed,
                () = async { listening.await; std::future::pending().await } => Vec::new(),
            },
        };
        let connections = probed.len() + 1;
        let extensions = probed.iter().find_map(|(_, extensions)| extensions.clone());
        let points = probed.into_iter().flat_map(|(points, _)| points).collect();
        Findings { points, extensions, heard: Some(heard), connections }
    }

    /// Asks the same without the headers of an upgrade. Where the answer is the same as to the upgrade, the server never got
    /// to see those headers.
    pub async fn without_upgrade(&self, spec: &MonitorSpec) -> Option<Plain> {
        let asking = async {
            let mut opened = Opened::new(self, spec, PLAIN).await.ok()?;
            let wanted = opened.answer.body_bytes().unwrap_or(usize::MAX);
            let wanted = wanted.min(quorate_proto::limits::BODY_EXCERPT_BYTES_MAX);
            let mut body = Vec::new();
            if let Ok(read) = timeout(limits::REFUSAL_BODY_WAIT.into(), opened.raw.body(wanted)).await {
                body = read;
            }
            let body = if opened.answer.is_chunked() { super::answer::unchunked(&body) } else { body };
            let body = quote::block(&body, quorate_proto::limits::BODY_EXCERPT_BYTES_MAX);
            Some(Plain { status: opened.answer.status, body })
        };
        timeout(spec.timeout.into(), asking).await.ok().flatten()
    }
}

/// The request of a page.
const PLAIN: Variant = Variant {
    without: &[
        "upgrade",
        "connection",
        "sec-websocket-key",
        "sec-websocket-version",
        "sec-websocket-protocol",
    ],
    with: &["Connection: close"],
};

/// Opens a connection, or says why it cannot be told what it was to find out.
async fn open(prober: &Prober, spec: &MonitorSpec, variant: Variant) -> Result<Opened, String> {
    match timeout(spec.timeout.into(), Opened::new(prober, spec, variant)).await {
        Ok(Ok(opened)) => Ok(opened),
        Ok(Err(failure)) => Err(told(&failure)),
        Err(_) => Err(format!("no answer within {}", spec.timeout)),
    }
}

/// The same for one that must be upgraded.
async fn open_whole(prober: &Prober, spec: &MonitorSpec, variant: Variant) -> Result<Opened, String> {
    let opened = open(prober, spec, variant).await?;
    match opened.is_open(spec) {
        true => Ok(opened),
        false => Err(format!("this connection was answered with {}", opened.answer.status)),
    }
}

fn told(failure: &Failure) -> String {
    if failure.kind == FailureKind::Dropped {
        return failure.detail.clone();
    }
    format!("{}: {}", failure.kind, failure.detail)
}
