//! What a round trip may take, by what it is for. The names and numbers are those of monitors (`quorate_proto::sla`).

use std::str::FromStr;

use quorate_proto::{
    Micros,
    sla::{SLA_PRESETS, SlaPreset},
};

use super::span::round_trip;

/// What a round trip may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sla {
    /// What for; none for one of the user's own.
    pub(super) name: Option<&'static str>,
    /// The span.
    pub(super) max: Micros,
}

impl Sla {
    /// The usual ones, the strictest first.
    pub(super) fn usual() -> impl Iterator<Item = Self> {
        SLA_PRESETS.into_iter().map(Self::from)
    }
}

impl From<SlaPreset> for Sla {
    fn from(preset: SlaPreset) -> Self {
        Self { name: Some(preset.name), max: preset.p95 }
    }
}

impl FromStr for Sla {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // On a command line a hyphen comes as easily.
        if let Some(preset) = SlaPreset::named(&text.replace('-', "_")) {
            return Ok(preset.into());
        }
        match round_trip(text) {
            Ok(max) => Ok(Self { name: None, max }),
            Err(_) => Err("wanted market_data, realtime, chat, or a span such as 200ms".to_owned()),
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
