//! What is watched: one WebSocket URL, what to say to it, what to expect, how often.
//!
//! A [`MonitorSpec`] is the agent's half of a monitor. Who votes and when people are paged is the aggregator's half
//! and never leaves it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    canary::{Canary, IdleSearch},
    codec,
    id::MonitorId,
    limits,
    step::{Reply, Step},
    time::Micros,
};

/// What an agent has to know to check one monitor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorSpec {
    /// The monitor's id.
    pub id: MonitorId,
    /// A `ws://` or `wss://` URL, without a fragment (RFC 6455 section 3).
    pub url: String,
    /// From the start of one scheduled check to the start of the next.
    pub interval: Micros,
    /// The deadline around a whole check, from DNS to close.
    pub timeout: Micros,
    /// What is said and expected first on every connection, once: a login, a subscription.
    pub hello: Vec<Step>,
    /// One round trip: what is said and expected then. None: nothing is checked beyond the hello.
    pub steps: Vec<Step>,
    /// How often a check makes the round trip on its one connection; at least 1.
    pub samples: u16,
    /// What is answered to the server's own heartbeats, whenever they come.
    pub replies: Vec<Reply>,
    /// Extra request headers of the upgrade, in order.
    pub headers: Vec<Header>,
    /// Subprotocols offered, in order of preference. The server must choose one of them or none.
    pub subprotocols: Vec<String>,
    /// The `Origin` header, where the server wants one.
    pub origin: Option<String>,
    /// The server name sent and verified in TLS, where it is not the URL's host.
    pub sni: Option<String>,
    /// `host:port` to connect to instead of the URL's, as when testing a server behind a load balancer.
    pub connect_to: Option<String>,
    /// Certificates (PEM) trusted besides the bundled Mozilla roots.
    pub ca_pem: Option<String>,
    /// Whether the server's certificate is verified. Where it is not, every face says so.
    pub verify_tls: bool,
    /// The certificate that the agent shows to the server, where it wants one.
    pub client_certificate: Option<ClientCertificate>,
    /// The proxy that connections go through, where the server is not reached without.
    pub proxy: Option<Proxy>,
    /// Which of the host's addresses are checked.
    pub addresses: Addresses,
    /// Of which family.
    pub family: Family,
    /// Whether and how each agent holds a connection open.
    pub canary: Option<Canary>,
    /// Whether and how rarely agents look for the idle timeout of the path.
    pub idle_search: Option<IdleSearch>,
}

/// A certificate for the client's side of TLS, with its key. Neither `Debug` nor any face prints the key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCertificate {
    /// The chain in PEM, the client's own certificate first.
    pub chain_pem: String,
    /// Its private key in PEM.
    pub key_pem: String,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate(***)")
    }
}

/// An HTTP proxy that makes a tunnel by `CONNECT` (RFC 9110 section 9.3.6).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proxy {
    /// Where it listens: `host:port`.
    pub address: String,
    /// The value of `Proxy-Authorization`, where it wants one. Neither `Debug` nor any face prints it.
    pub authorization: Option<String>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({})", self.address)
    }
}

/// Which of a host's addresses a check looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Addresses {
    /// The first that answers (RFC 8305), as a client would.
    #[default]
    First,
    /// Each of them, on its own, with the same server name. The check passes where one does, and tells of the others.
    All,
}

/// Which addresses count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    /// What there is, whichever answers.
    #[default]
    Any,
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
    V6,
    /// Both: one address of each is checked on its own, as with [`Addresses::All`].
    Both,
}

/// One extra request header. Its value may be a secret: neither `Debug` nor any face prints it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The field name (RFC 9110 section 5.1).
    pub name: String,
    /// The field value.
    pub value: String,
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ***", self.name)
    }
}

/// A monitor given to one agent, with the agent's place in the stagger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// What to check.
    pub spec: MonitorSpec,
    /// Where in the interval this agent starts.
    pub slot: Slot,
}

/// The place of one region among those that watch a monitor: region `index` of `of` starts at `index * T / of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// From zero.
    pub index: u16,
    /// At least one.
    pub of: u16,
}

impl MonitorSpec {
    /// A specification that asks for a protocol ping and is plain in everything else.
    pub fn new(id: MonitorId, url: impl Into<String>, interval: Micros, timeout: Micros) -> Self {
        Self {
            id,
            url: url.into(),
            interval,
            timeout,
            hello: Vec::new(),
            steps: vec![Step::Ping { within: None }],
            samples: 1,
            replies: Vec::new(),
            headers: Vec::new(),
            subprotocols: Vec::new(),
            origin: None,
            sni: None,
            connect_to: None,
            ca_pem: None,
            verify_tls: true,
            client_certificate: None,
            proxy: None,
            addresses: Addresses::First,
            family: Family::Any,
            canary: None,
            idle_search: None,
        }
    }

    /// Whether every bound of [`limits`] holds, so that a specification off the wire cannot make an agent allocate
    /// or spin without end. The aggregator's configuration says the same in words that help.
    pub fn is_within_limits(&self) -> bool {
        let fits = |text: &Option<String>, bytes_max: usize| {
            text.as_ref().is_none_or(|text| text.len() <= bytes_max)
        };
        self.url.len() <= limits::URL_BYTES_MAX
            && (limits::INTERVAL_MIN..=limits::INTERVAL_MAX).contains(&self.interval)
            && (limits::TIMEOUT_MIN..=limits::TIMEOUT_MAX).contains(&self.timeout)
            && self.timeout <= self.interval
            && self.hello.len() <= limits::STEPS_MAX
            && self.steps.len() <= limits::STEPS_MAX
            && self.hello.iter().chain(&self.steps).all(Step::is_within_limits)
            && (1..=limits::SAMPLES_MAX).contains(&self.samples)
            && self.replies.len() <= limits::REPLIES_MAX
            && self.replies.iter().all(Reply::is_within_limits)
            && self.headers.len() <= limits::HEADERS_MAX
            && self
                .headers
                .iter()
                .all(|header| header.name.len() + header.value.len() <= limits::HEADER_BYTES_MAX)
            && self.subprotocols.len() <= limits::SUBPROTOCOLS_MAX
            && self.subprotocols.iter().all(|name| name.len() <= limits::SUBPROTOCOL_BYTES_MAX)
            && fits(&self.origin, limits::URL_BYTES_MAX)
            && fits(&self.sni, limits::ADDRESS_BYTES_MAX)
            && fits(&self.connect_to, limits::ADDRESS_BYTES_MAX)
            && fits(&self.ca_pem, limits::CA_PEM_BYTES_MAX)
            && self.client_certificate.as_ref().is_none_or(|certificate| {
                certificate.chain_pem.len() + certificate.key_pem.len() <= limits::CA_PEM_BYTES_MAX
            })
            && self.proxy.as_ref().is_none_or(|proxy| {
                proxy.address.len() <= limits::ADDRESS_BYTES_MAX
                    && fits(&proxy.authorization, limits::HEADER_BYTES_MAX)
            })
            && self.canary.as_ref().is_none_or(|canary| {
                let spans = limits::CANARY_SPAN_MIN..=limits::CANARY_SPAN_MAX;
                spans.contains(&canary.heartbeat) && spans.contains(&canary.grace)
            })
            && self.idle_search.as_ref().is_none_or(IdleSearch::is_within_limits)
            && codec::encode(self, limits::SPEC_BYTES_MAX).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_above_their_bounds_are_seen() {
        let good = || {
            MonitorSpec::new(
                MonitorId::try_from("m".to_owned()).unwrap(),
                "wss://chat.example/",
                Micros::from_secs(60),
                Micros::from_secs(10),
            )
        };
        let long = |bytes: usize| "x".repeat(bytes);
        let proxy = |address: usize, authorization: usize| {
            let authorization = Some(long(authorization));
            MonitorSpec { proxy: Some(Proxy { address: long(address), authorization }), ..good() }
        };
        let shown = |chain: usize, key: usize| {
            let certificate = ClientCertificate { chain_pem: long(chain), key_pem: long(key) };
            MonitorSpec { client_certificate: Some(certificate), ..good() }
        };
        for (spec, fits) in [
            (good(), true),
            (MonitorSpec { url: long(limits::URL_BYTES_MAX + 1), ..good() }, false),
            (MonitorSpec { origin: Some(long(limits::URL_BYTES_MAX)), ..good() }, true),
            (MonitorSpec { origin: Some(long(limits::URL_BYTES_MAX + 1)), ..good() }, false),
            (MonitorSpec { sni: Some(long(limits::ADDRESS_BYTES_MAX + 1)), ..good() }, false),
            (MonitorSpec { connect_to: Some(long(limits::ADDRESS_BYTES_MAX + 1)), ..good() }, false),
            (MonitorSpec { ca_pem: Some(long(limits::CA_PEM_BYTES_MAX + 1)), ..good() }, false),
            (proxy(limits::ADDRESS_BYTES_MAX, limits::HEADER_BYTES_MAX), true),
            (proxy(limits::ADDRESS_BYTES_MAX + 1, 1), false),
            (proxy(1, limits::HEADER_BYTES_MAX + 1), false),
            (shown(1_000, 1_000), true),
            (shown(limits::CA_PEM_BYTES_MAX, 1), false),
        ] {
            assert_eq!(spec.is_within_limits(), fits, "{spec:.200?}");
        }
    }
}
