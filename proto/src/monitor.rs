//! What is watched: one WebSocket URL, what to say to it, what to expect, how often.
//!
//! A [`MonitorSpec`] is the agent's half of a monitor. Who votes and when people are paged is the aggregator's half
//! and never leaves it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{id::MonitorId, limits, time::Micros};

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
    /// What is said and expected once the connection is open. None: the upgrade alone is checked.
    pub steps: Vec<Step>,
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

/// One thing said or expected on the open connection. In every text `{{nonce}}` is a fresh random token of the check
/// and `{{now_ms}}` the milliseconds since 1970 when the text is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Send one text message.
    Send {
        /// The message.
        text: String,
    },
    /// Wait for a message that matches; others are skipped, up to the agent's limit. The round trip is measured from
    /// the latest `Send` to the match.
    Expect {
        /// What the message must be.
        matcher: Matcher,
        /// At most this long, and never past the check's own deadline.
        within: Option<Micros>,
    },
    /// Send a protocol ping (RFC 6455 section 5.5.2) with a payload of its own and wait for the pong that carries it.
    Ping {
        /// At most this long, and never past the check's own deadline.
        within: Option<Micros>,
    },
}

/// What an expected message must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Matcher {
    /// Any text or binary message.
    Any,
    /// The message is JSON, and the value at `pointer` (RFC 6901) equals `value`.
    JsonEquals {
        /// A JSON pointer, such as `/result/id`; empty for the whole message.
        pointer: String,
        /// The wanted value, as JSON text; numbers compare by value.
        value: String,
    },
    /// The message contains this text.
    Contains(String),
    /// The message matches this regular expression anywhere (the `regex-lite` dialect: no look-around, no `\p{}`).
    Regex(String),
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
    /// Whether every bound of [`limits`] holds, so that a specification off the wire cannot make an agent allocate
    /// or spin without end. The aggregator's configuration says the same in words that help.
    pub fn is_within_limits(&self) -> bool {
        let texts_fit = self.steps.iter().all(|step| match step {
            Step::Send { text } => text.len() <= limits::STEP_TEXT_BYTES_MAX,
            Step::Expect { matcher, .. } => matcher.text_bytes() <= limits::STEP_TEXT_BYTES_MAX,
            Step::Ping { .. } => true,
        });
        texts_fit
            && self.url.len() <= limits::URL_BYTES_MAX
            && (limits::INTERVAL_MIN..=limits::INTERVAL_MAX).contains(&self.interval)
            && (limits::TIMEOUT_MIN..=limits::TIMEOUT_MAX).contains(&self.timeout)
            && self.timeout <= self.interval
            && self.steps.len() <= limits::STEPS_MAX
            && self.headers.len() <= limits::HEADERS_MAX
            && self
                .headers
                .iter()
                .all(|header| header.name.len() + header.value.len() <= limits::HEADER_BYTES_MAX)
            && self.subprotocols.len() <= limits::SUBPROTOCOLS_MAX
            && self.subprotocols.iter().all(|name| name.len() <= limits::SUBPROTOCOL_BYTES_MAX)
            && self.ca_pem.as_ref().is_none_or(|pem| pem.len() <= limits::CA_PEM_BYTES_MAX)
    }
}

impl Matcher {
    /// Bytes of all its texts.
    pub fn text_bytes(&self) -> usize {
        match self {
            Self::Any => 0,
            Self::JsonEquals { pointer, value } => pointer.len() + value.len(),
            Self::Contains(text) | Self::Regex(text) => text.len(),
        }
    }
}
