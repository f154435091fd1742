//! One row of the table: what a server does, what the probe wants of it, and what the probe must find.

use std::{io, sync::Arc};

use anyhow::Result;
use quorate_agent::{
    egress::Egress,
    probe::{Nameservers, Options, Prober},
};
use quorate_proto::{Matcher, Micros, MonitorSpec, Phase, Step};
use rustls::ServerConfig;

use super::{
    names::{Answers, nameserver},
    peer::{Peer, Play, Server},
    records::{Authority, authority},
};

/// The deadline of a check that waits in vain.
const SHORT: Micros = Micros::from_millis(300);

/// The deadline of a check that ends by a count: an unoptimised build on a busy machine gets through by then.
const LONG: Micros = Micros::from_secs(30);

/// What the probe says and expects.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wants {
    /// The upgrade alone.
    Nothing,
    /// A message that never comes.
    Never,
    /// The message `hello`.
    Hello,
    /// To say more than fits the window of a server that reads nothing, and a message that never comes.
    MuchSent,
    /// A JSON value.
    Json,
    /// A match of a regular expression.
    Pattern,
    /// A pong.
    Pong,
    /// A pong, and then a message that never comes.
    PongThenNever,
}

/// One row.
pub(crate) struct Behaviour {
    /// What the server does.
    pub(crate) name: &'static str,
    /// What the probe finds, as [`quorate_proto::FailureKind`] is written; or `passed`. Where the server's packets and the
    /// probe's own cross, either of two may be what is seen: both stand here, with `|` between them.
    pub(crate) found: &'static str,
    /// Where it finds it; or in the phase before, where the end of that one is what crosses.
    pub(crate) phase: Phase,
    crossing: Option<Phase>,
    play: Play,
    wants: Wants,
    timeout: Micros,
    is_secure: bool,
    behind: Option<fn(&Authority) -> Arc<ServerConfig>>,
    names: Option<Answers>,
}

/// A behaviour on a plain connection, against a probe that wants the upgrade alone.
pub(crate) fn behaviour(name: &'static str, found: &'static str, phase: Phase, play: Play) -> Behaviour {
    let (wants, timeout) = (Wants::Nothing, SHORT);
    Behaviour {
        name,
        found,
        phase,
        play,
        wants,
        timeout,
        is_secure: false,
        behind: None,
        crossing: None,
        names: None,
    }
}

impl Behaviour {
    /// The probe wants this.
    pub(crate) fn wants(mut self, wants: Wants) -> Self {
        self.wants = wants;
        self
    }

    /// The probe may be in this phase yet.
    pub(crate) fn or_in(mut self, phase: Phase) -> Self {
        self.crossing = Some(phase);
        self
    }

    /// Whether this is what the probe must find.
    pub(crate) fn is_right(&self, found: &str, phase: &str) -> bool {
        let at = [Some(self.phase), self.crossing];
        let right_phase = found == "passed" || at.into_iter().flatten().any(|right| right.name() == phase);
        right_phase && self.found.split('|').any(|right| right == found)
    }

    /// The probe has time: the check ends by another bound than its deadline.
    pub(crate) fn patient(mut self) -> Self {
        self.timeout = LONG;
        self
    }

    /// The probe waits for a message, unless it wants something else.
    pub(crate) fn after_upgrade(mut self) -> Self {
        let is_passing = self.found == "passed";
        if let (Wants::Nothing, false) = (self.wants, is_passing) {
            self.wants = Wants::Never;
        }
        self
    }

    /// The probe wants TLS, and the server does what it does on the bare connection.
    pub(crate) fn secure(mut self) -> Self {
        self.is_secure = true;
        self
    }

    /// The server has a TLS stack.
    pub(crate) fn behind(mut self, configuration: fn(&Authority) -> Arc<ServerConfig>) -> Self {
        self.behind = Some(configuration);
        self.secure()
    }

    /// The server has a name, and this nameserver.
    pub(crate) fn named_by(mut self, answers: Answers) -> Self {
        self.names = Some(answers);
        self
    }

    /// A probe for it, where the usual one does not do.
    pub(crate) fn prober(&self) -> Result<Option<Prober>> {
        let Some(answers) = self.names else { return Ok(None) };
        let nameservers = Nameservers::Explicit(vec![nameserver(answers)?]);
        Ok(Some(Prober::new(Options { egress: Egress::Private, region: None, nameservers, proxy: None })?))
    }

    /// Starts the server, and gives what is to be checked.
    pub(crate) fn start(&self) -> Result<(Server, MonitorSpec)> {
        let server = Server::start(self.play, self.behind.map(|configuration| configuration(authority())))?;
        let scheme = if self.is_secure { "wss" } else { "ws" };
        let mut spec = monitor(&format!("{scheme}://localhost:{}/", server.address.port()), self.timeout)?;
        if self.names.is_some() {
            spec.url = "ws://hostile.example:1/".to_owned();
        } else {
            spec.connect_to = Some(server.address.to_string());
        }
        spec.ca_pem = self.is_secure.then(|| authority().pem.clone());
        spec.steps = self.wants.steps();
        Ok((server, spec))
    }
}

impl Wants {
    fn steps(self) -> Vec<Step> {
        let expect = |matcher| Step::expect(matcher, None);
        let never = || expect(Matcher::contains("never"));
        let ping = || Step::Ping { within: None };
        match self {
            Self::Nothing => vec![],
            Self::Never => vec![never()],
            Self::Hello => vec![expect(Matcher::contains("hello"))],
            Self::MuchSent => {
                let send = Step::send("{{nonce}}".repeat(400));
                [vec![send; quorate_proto::limits::STEPS_MAX - 1], vec![never()]].concat()
            }
            Self::Json => vec![expect(Matcher::json_equals("/a", "[[1]]"))],
            Self::Pattern => vec![expect(Matcher::regex("n[e]ver$"))],
            Self::Pong => vec![ping()],
            Self::PongThenNever => vec![ping(), never()],
        }
    }
}

/// A monitor without steps.
pub(crate) fn monitor(url: &str, timeout: Micros) -> Result<MonitorSpec> {
    let id = "hostile".parse()?;
    Ok(MonitorSpec { steps: Vec::new(), ..MonitorSpec::new(id, url, Micros::from_secs(60), timeout) })
}

/// What a good server does: it answers one message with the same words, and closes when it is asked to.
pub(crate) fn echo(peer: &mut Peer) -> io::Result<()> {
    use tokio_tungstenite::tungstenite;
    let mut socket = tungstenite::accept(peer).map_err(|error| io::Error::other(error.to_string()))?;
    loop {
        let message = socket.read().map_err(io::Error::other)?;
        if message.is_text() {
            socket.send(message).map_err(io::Error::other)?;
        }
    }
}
