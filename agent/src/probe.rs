//! The probe: one check of one WebSocket endpoint, phase by phase.
//!
//! DNS, TCP, TLS, upgrade, steps, close: each is timed on its own, all of it is under one deadline, and what went wrong is
//! one [`Failure`] out of a closed set. The deadline stands outside the WebSocket library and outside every phase, so a
//! server that is silent, drips, or floods cannot hold a check. Nothing is shared between checks but the trusted roots
//! and the nameservers' addresses: no cache, no session, no connection.

mod answer;
mod certificate;
mod classify;
pub mod conformance;
mod connect;
mod control;
mod conversation;
mod dial;
mod every_address;
mod exchange;
mod expand;
mod frames;
mod framing;
pub(crate) mod held;
mod matcher;
mod plan;
mod pointer;
mod prepared;
mod progress;
mod proxy;
mod quote;
mod refusal;
mod request;
mod resolve;
mod route;
mod script;
mod tcp;
#[cfg(test)]
mod tests;
mod tls;
mod transport;
mod turns;
mod upgrade;

use std::{net::IpAddr, sync::Arc, time::Duration};

use quorate_proto::{
    CheckKind, CheckResult, Failure, FailureKind, Micros, MonitorId, MonitorSpec, Outcome, Phase, Region,
    Timings, WallMicros, limits as protocol,
    monitor::Proxy,
    outcome::{AddressResult, TlsFacts},
};
use tokio::time::timeout;

pub use self::{
    certificate::Certificate,
    control::ControlTarget,
    prepared::Prepared,
    proxy::{ProxyParseError, parse as parse_proxy},
    resolve::Nameservers,
};
use self::{
    connect::To,
    exchange::{Exchange, Socket},
    expand::Seeds,
    plan::Plan,
    progress::Progress,
    proxy::ProxyRoute,
    resolve::Resolver,
    tls::Tls,
    transport::Transport,
};
use crate::{
    clock::{self, Tick},
    egress::Egress,
};

/// How the probe works.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which addresses may be dialled.
    pub egress: Egress,
    /// Where the agent stands; told to servers in the `User-Agent` so that their operators can tell checks apart.
    pub region: Option<Region>,
    /// Who is asked for addresses.
    pub nameservers: Nameservers,
    /// The proxy that checks go through where the monitor names none.
    pub proxy: Option<Proxy>,
}

/// Why there is no probe. The agent cannot work.
#[derive(Debug, thiserror::Error)]
pub enum ProberError {
    /// The TLS library refuses its own defaults.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// [`Nameservers::Explicit`] names none.
    #[error("no nameserver is named")]
    NoNameserver,
    /// [`Options::proxy`] is not one.
    #[error("the proxy cannot be used: {0}")]
    Proxy(String),
    /// Keys and nonces cannot be made.
    #[error("the system gives no random bytes")]
    Random,
}

/// Makes checks. One serves a whole agent; any number of checks may be under way at once.
pub struct Prober {
    egress: Egress,
    region: Option<Region>,
    resolver: Resolver,
    tls: Tls,
    proxy: Option<ProxyRoute>,
}

/// What one check found, and all that was seen on the way.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Passed, or the one failure that ended it.
    pub outcome: Outcome,
    /// How long each phase took.
    pub timings: Timings,
    /// The address that was dialled, where it came to that: a proxy's, where one stands in between.
    pub address: Option<IpAddr>,
    /// What each address found, where the monitor wants them checked on their own.
    pub addresses: Vec<AddressResult>,
    /// The wall clock at the start. For people.
    pub started_at: WallMicros,
    /// The start.
    pub started: Tick,
    /// The end.
    pub ended: Tick,
    /// What was seen on the way. For a person who looks at this one check.
    pub facts: Facts,
}

/// What was seen on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Every address that the host has, in the order in which they are tried.
    pub resolved: Vec<IpAddr>,
    /// The proxy that the connection went through.
    pub proxy: Option<String>,
    /// What TLS agreed on; none for `ws://`, or where it did not come to that.
    pub tls: Option<TlsSeen>,
    /// The HTTP status of the answer to the upgrade.
    pub status: Option<u16>,
    /// The `Server` header of that answer.
    pub server: Option<String>,
    /// The subprotocol that the server chose.
    pub subprotocol: Option<String>,
    /// The code of the server's close frame in the closing handshake; none where none came in time.
    pub close_code: Option<u16>,
}

/// What was seen of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSeen {
    /// What it agreed on, as it goes into the result.
    pub facts: TlsFacts,
    /// The key exchange group.
    pub key_exchange: String,
    /// What the server's own certificate says, where it could be read.
    pub certificate: Option<Certificate>,
}

impl Prober {
    /// Makes ready what checks share.
    ///
    /// # Errors
    /// [`ProberError`] where no check could ever be made.
    pub fn new(options: Options) -> Result<Self, ProberError> {
        let Options { egress, region, nameservers, proxy } = options;
        if nameservers == Nameservers::Explicit(Vec::new()) {
            return Err(ProberError::NoNameserver);
        }
        let proxy = proxy.as_ref().map(ProxyRoute::new).transpose();
        let proxy = proxy.map_err(|error| ProberError::Proxy(error.to_string()))?;
        // The library's generator takes its time to gather entropy when it is first used; no check shall pay for that.
        Seeds::random().ok_or(ProberError::Random)?;
        Ok(Self { egress, region, resolver: Resolver::new(nameservers), tls: Tls::new()?, proxy })
    }

    /// Makes one check. It ends by the monitor's deadline, whatever the server does.
    ///
    /// Where the host has several addresses, `avoid` is tried last: a confirming check looks at another one.
    pub async fn check(&self, spec: &MonitorSpec, avoid: Option<IpAddr>) -> Checked {
        self.check_prepared(&self.prepare(Arc::new(spec.clone())), avoid).await
    }

    /// Makes one check of a monitor that was made ready, as [`Prober::check`].
    pub async fn check_prepared(&self, prepared: &Prepared, avoid: Option<IpAddr>) -> Checked {
        match prepared.plan() {
            Ok(plan) => self.check_plan(plan, prepared.spec().timeout, avoid).await,
            Err(failure) => checked(Outcome::Failed(failure.clone()), clock::wall(), Progress::new()),
        }
    }

    /// Makes one check of a monitor that was made ready.
    pub(crate) async fn check_plan(&self, plan: &Plan, span: Micros, avoid: Option<IpAddr>) -> Checked {
        let started_at = clock::wall();
        let mut progress = Progress::new();
        let (outcome, addresses) = if plan.route.is_for_each() && self.proxy_of(&plan.route).is_none() {
            self.check_each(plan, span, avoid, &mut progress).await
        } else {
            let deadline = Deadline { started: progress.started(), span };
            (self.attempt(plan, avoid.into(), deadline, &mut progress).await, Vec::new())
        };
        Checked { addresses, ..checked(outcome, started_at, progress) }
    }

    /// Everything from the first packet to the close, under the deadline.
    async fn attempt(&self, plan: &Plan, to: To, deadline: Deadline, progress: &mut Progress) -> Outcome {
        let span = deadline.span;
        let mut open = None;
        let ran = timeout(deadline.left(), self.run(plan, to, progress, &mut open)).await;
        let outcome = match (ran, &open) {
            (Ok(Ok(())), _) => Outcome::Passed,
            (Ok(Err(failure)), _) => Outcome::Failed(failure),
            (Err(_), Some(open)) if progress.phase() == Phase::Exchange => {
                Outcome::Failed(open.exchange.overdue(span))
            }
            (Err(_), _) => progress.waited(span).map_or(Outcome::Passed, Outcome::Failed),
        };
        if let Some(open) = open {
            open.exchange.note(&mut progress.timings);
            if let Outcome::Failed(_) = &outcome {
                open.socket.part();
            }
        }
        outcome
    }

    async fn run(
        &self,
        plan: &Plan,
        to: To,
        progress: &mut Progress,
        open: &mut Option<Open>,
    ) -> Result<(), Failure> {
        let Open { socket, exchange } = open.insert(self.meet(plan, to, progress).await?);
        if !plan.script.is_empty() {
            progress.enter(Phase::Exchange, "");
            exchange.run(socket).await?;
            progress.leave();
        }
        socket.close(progress).await;
        Ok(())
    }

    /// Everything up to the first word of the conversation.
    async fn meet(&self, plan: &Plan, to: impl Into<To>, progress: &mut Progress) -> Result<Open, Failure> {
        let socket = self.open(plan, to, progress).await?;
        let Some(seeds) = Seeds::random() else {
            return Err(
                progress.fail((FailureKind::AgentFault, "the system gave no random bytes".to_owned()))
            );
        };
        Ok(Open { socket, exchange: Exchange::new(plan, seeds) })
    }

    /// Everything up to the verified upgrade. Takes as long as it takes: the caller has the deadline.
    async fn open(&self, plan: &Plan, to: impl Into<To>, progress: &mut Progress) -> Result<Socket, Failure> {
        let mut transport = self.reach(plan, to, progress).await?;
        progress.enter(Phase::Upgrade, "no answer to the upgrade request came");
        let first = upgrade::upgrade(&mut transport, plan, progress).await?;
        progress.leave();
        Ok(Socket::new(transport, first).await)
    }

    /// Everything up to the upgrade: names, TCP, a proxy, TLS.
    async fn reach(
        &self,
        plan: &Plan,
        to: impl Into<To>,
        progress: &mut Progress,
    ) -> Result<Transport, Failure> {
        let tcp = self.connect(&plan.route, to.into(), progress).await?;
        let Some(tls) = &plan.route.tls else { return Ok(Transport::plain(tcp)) };
        progress.enter(Phase::Tls, "the handshake did not end");
        let stream = self.tls.handshake(tcp, tls, progress).await?;
        progress.leave();
        Ok(Transport::tls(stream))
    }
}

/// An open connection and the conversation on it.
struct Open {
    socket: Socket,
    exchange: Exchange,
}

/// The end of patience with a whole check.
#[derive(Clone, Copy, Debug)]
struct Deadline {
    started: Tick,
    span: Micros,
}

impl Deadline {
    fn left(self) -> Duration {
        let span = self.span.min(protocol::TIMEOUT_MAX);
        span.saturating_sub(clock::tick().since(self.started)).into()
    }
}

fn checked(outcome: Outcome, started_at: WallMicros, mut progress: Progress) -> Checked {
    let ended = progress.finish();
    let started = progress.started();
    let Progress { timings, address, facts, .. } = progress;
    Checked { outcome, timings, address, addresses: Vec::new(), started_at, started, ended, facts }
}

impl Checked {
    /// The failure, where there is one.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.outcome {
            Outcome::Passed => None,
            Outcome::Failed(failure) => Some(failure),
        }
    }

    /// The result to be signed and sent; `age` runs from the end of the check to that.
    pub fn into_result(self, monitor: MonitorId, kind: CheckKind, age: Micros) -> CheckResult {
        let Self { outcome, timings, address, addresses, started_at, facts, .. } = self;
        let tls = facts.tls.map(|tls| tls.facts);
        CheckResult { monitor, kind, started_at, age, outcome, timings, address, tls, addresses }
    }
}
