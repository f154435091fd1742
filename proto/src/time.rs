//! Two kinds of time, kept apart by type: spans, which may decide, and wall clocks, which may not.

use std::{fmt, ops, time::Duration};

use serde::{Deserialize, Serialize};

/// A span of time in microseconds. Arithmetic saturates: an absurd span stays absurd instead of wrapping into a
/// plausible one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Micros(pub u64);

impl Micros {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// The longest span there is; stands for "unknown, and therefore too long".
    pub const MAX: Self = Self(u64::MAX);

    /// A span of whole seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// A span of whole milliseconds.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(milliseconds.saturating_mul(1_000))
    }

    /// The span in milliseconds, with its fraction, for people and for JSON.
    pub fn as_millis_f64(self) -> f64 {
        self.0 as f64 / 1e3
    }

    /// The span in seconds, with its fraction, for metrics.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// The span in whole milliseconds, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }

    /// The difference, or zero where the other is longer.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl From<Duration> for Micros {
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
    }
}

impl From<Micros> for Duration {
    fn from(span: Micros) -> Self {
        Duration::from_micros(span.0)
    }
}

impl ops::Add for Micros {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl ops::Mul<u64> for Micros {
    type Output = Self;
    fn mul(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }
}

impl ops::Div<u64> for Micros {
    type Output = Self;
    /// Division by zero gives [`Micros::MAX`].
    fn div(self, divisor: u64) -> Self {
        Self(self.0.checked_div(divisor).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Micros {
    /// As people write it: `850us`, `12.4ms`, `3.2s`, `5m`, `2h`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            us @ 0..1_000 => write!(f, "{us}us"),
            us @ 1_000..1_000_000 => write!(f, "{}ms", trim(us as f64 / 1e3)),
            us @ 1_000_000..120_000_000 => write!(f, "{}s", trim(us as f64 / 1e6)),
            us @ 120_000_000..7_200_000_000 => write!(f, "{}m", trim(us as f64 / 6e7)),
            us => write!(f, "{}h", trim(us as f64 / 3.6e9)),
        }
    }
}

/// One decimal, and none where it would be zero.
fn trim(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// A wall clock's reading: microseconds since 1970-01-01T00:00:00Z. For people to read; it decides nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WallMicros(pub i64);

impl WallMicros {
    /// The reading `span` earlier.
    pub fn before(self, span: Micros) -> Self {
        Self(self.0.saturating_sub_unsigned(span.0))
    }

    /// The reading `span` later.
    pub fn after(self, span: Micros) -> Self {
        Self(self.0.saturating_add_unsigned(span.0))
    }

    /// The span since an earlier reading, or zero where that reading is later.
    pub fn since(self, earlier: Self) -> Micros {
        Micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn as_unix_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_people_write_them() {
        for (span, text) in [
            (Micros(850), "850us"),
            (Micros(12_400), "12.4ms"),
            (Micros::from_secs(3), "3s"),
            (Micros::from_secs(90), "90s"),
            (Micros::from_secs(300), "5m"),
            (Micros::from_secs(7200), "2h"),
        ] {
            assert_eq!(span.to_string(), text);
        }
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Micros::MAX + Micros(1), Micros::MAX);
        assert_eq!(Micros::ZERO.saturating_sub(Micros(1)), Micros::ZERO);
        assert_eq!(WallMicros(5).since(WallMicros(9)), Micros::ZERO);
        assert_eq!(Micros(1) / 0, Micros::MAX);
    }
}
