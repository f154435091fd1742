//! What a round trip may take, by what it is for.

use std::str::FromStr;

use quorate_proto::Micros;

use super::span::round_trip;

/// The usual ones, the strictest first.
pub(super) const USUAL: [Sla; 3] = [
    Sla { name: Some("market-data"), max: Micros::from_millis(50) },
    Sla { name: Some("realtime"), max: Micros::from_millis(100) },
    Sla { name: Some("chat"), max: Micros::from_millis(500) },
];

/// What a round trip may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sla {
    /// What for; none for one of the user's own.
    pub(super) name: Option<&'static str>,
    /// The span.
    pub(super) max: Micros,
}

impl FromStr for Sla {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(usual) = USUAL.into_iter().find(|usual| usual.name == Some(text)) {
            return Ok(usual);
        }
        match round_trip(text) {
            Ok(max) => Ok(Self { name: None, max }),
            Err(_) => Err("wanted market-data, realtime, chat, or a span such as 200ms".to_owned()),
        }
    }
}

impl std::fmt::Display for Sla {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name {
            Some(name) => write!(f, "{name} ({})", self.max),
            None => write!(f, "{}", self.max),
        }
    }
}
