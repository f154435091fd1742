//! What a round trip may take, by what it is for: one table for `quorate check --sla` and for a monitor's `latency`.

use crate::time::Micros;

/// A usual bound on round trips, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlaPreset {
    /// What it is for, as it stands in configurations.
    pub name: &'static str,
    /// 95 of 100 round trips take no longer.
    pub p95: Micros,
}

/// The usual ones, the strictest first: people trade on a price feed, see a cursor move in what is shared live, and wait
/// for an answer in a chat.
pub const SLA_PRESETS: [SlaPreset; 3] = [
    SlaPreset { name: "market_data", p95: Micros::from_millis(50) },
    SlaPreset { name: "realtime", p95: Micros::from_millis(100) },
    SlaPreset { name: "chat", p95: Micros::from_millis(500) },
];

impl SlaPreset {
    /// The preset of a name.
    pub fn named(name: &str) -> Option<Self> {
        SLA_PRESETS.into_iter().find(|preset| preset.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_have_names_of_their_own_and_come_in_order() {
        assert!(SLA_PRESETS.is_sorted_by(|stricter, laxer| stricter.p95 < laxer.p95));
        for preset in SLA_PRESETS {
            assert_eq!(SlaPreset::named(preset.name), Some(preset));
        }
        assert_eq!(SlaPreset::named("realtme"), None);
    }
}
