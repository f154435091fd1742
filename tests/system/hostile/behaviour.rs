//! One row of the table: what a server does, what the probe wants of it, and what the probe must find.

use std::{io, sync::Arc};

use quorate_proto::{Matcher, Micros, MonitorSpec, Phase, Step};
use rustls::ServerConfig;

use super::{
    peer::{Peer, Play, Server},
    records::{Authority, authority},
};

/// The deadline of a check that waits in vain.
const SHORT: Micros = Micros::from_millis(300);

/// The deadline of a check that ends by a count: an unoptimised build on a busy machine gets through by then.
const LONG: Micros = Micros::from_secs(30);

/// What the probe says and expects.
#[derive(Clone, Copy, Debug)]
pub enum Wants {
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
pub struct Behaviour {
    /// What the server does.
    pub name: &'static str,
    /// What the probe finds, as [`quorate_proto::FailureKind`] is written; or `passed`.
    pub found: &'static str,
    /// Where it finds it.
    pub phase: Phase,
    play: Play,
    wants: Wants,
    timeout: Micros,
    is_secure: bool,
    behind: Option<fn(&Authority) -> Arc<ServerConfig>>,
}

/// A behaviour on a plain connection, against a probe that wants the upgrade alone.
pub fn behaviour(name: &'static str, found: &'static str, phase: Phase, play: Play) -> Behaviour {
    let (wants, timeout) = (Wants::Nothing, SHORT);
    Behaviour { name, found, phase, play, wants, timeout, is_secure: false, behind: None }
}

impl Behaviour {
    /// The probe wants this.
    pub fn wants(mut self, wants: Wants) -> Self {
        self.wants = wants;
        self
    }

    /// The probe has time: the check ends by another bound than its deadline.
    pub fn patient(mut self) -> Self {
        self.timeout = LONG;
        self
    }

    /// The probe waits for a message, unless it wants something else.
    pub fn after_upgrade(mut self) -> Self {
        let is_passing = self.found == "passed";
        if let (Wants::Nothing, false) = (self.wants, is_passing) {
            self.wants = Wants::Never;
        }
        self
    }

    /// The probe wants TLS, and the server does what it does on the bare connection.
    pub fn secure(mut self) -> Self {
        self.is_secure = true;
        self
    }

    /// The server has a TLS stack.
    pub fn behind(mut self, configuration: fn(&Authority) -> Arc<ServerConfig>) -> Self {
        self.behind = Some(configuration);
        self.secure()
    }

    /// Starts the server, and gives what is to be checked.
    pub fn start(&self) -> io::Result<(Server, MonitorSpec)> {
        let server = Server::start(self.play, self.behind.map(|configuration| configuration(authority())))?;
        let scheme = if self.is_secure { "wss" } else { "ws" };
        let mut spec = monitor(&format!("{scheme}://localhost:{}/", server.address.port()), self.timeout);
        spec.connect_to = Some(server.address.to_string());
        spec.ca_pem = self.is_secure.then(|| authority().pem.clone());
        spec.steps = self.wants.steps();
        Ok((server, spec))
    }
}

impl Wants {
    fn steps(self) -> Vec<Step> {
        let expect = |matcher| Step::Expect { matcher, within: None };
        let contains = |text: &str| expect(Matcher::Contains(text.into()));
        let ping = || Step::Ping { within: None };
        match self {
            Self::Nothing => vec![],
            Self::Never => vec![contains("never")],
            Self::Hello => vec![contains("hello")],
            Self::MuchSent => {
                let send = Step::Send { text: "{{nonce}}".repeat(400) };
                [vec![send; quorate_proto::limits::STEPS_MAX - 1], vec![contains("never")]].concat()
            }
            Self::Json => vec![expect(Matcher::JsonEquals { pointer: "/a".into(), value: "[[1]]".into() })],
            Self::Pattern => vec![expect(Matcher::Regex("n[e]ver$".into()))],
            Self::Pong => vec![ping()],
            Self::PongThenNever => vec![ping(), contains("never")],
        }
    }
}

/// A monitor without steps.
pub fn monitor(url: &str, timeout: Micros) -> MonitorSpec {
    MonitorSpec {
        id: "hostile".parse().unwrap(),
        url: url.to_owned(),
        interval: Micros::from_secs(60),
        timeout,
        steps: Vec::new(),
        headers: Vec::new(),
        subprotocols: Vec::new(),
        origin: None,
        sni: None,
        connect_to: None,
        ca_pem: None,
        verify_tls: true,
    }
}

/// What a good server does: it answers one message with the same words, and closes when it is asked to.
pub fn echo(peer: &mut Peer) -> io::Result<()> {
    use tokio_tungstenite::tungstenite;
    let mut socket = tungstenite::accept(peer).map_err(|error| io::Error::other(error.to_string()))?;
    loop {
        let message = socket.read().map_err(io::Error::other)?;
        if message.is_text() {
            socket.send(message).map_err(io::Error::other)?;
        }
    }
}
