//! Wall-clock readings as RFC 3339 in UTC with microseconds, as every JSON of ours shows them. For `#[serde(with)]`.

use quorate_proto::WallMicros;
use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// A reading as text, such as `2026-11-22T18:12:00.123456Z`.
pub fn text(wall: WallMicros) -> String {
    jiff::Timestamp::from_microsecond(wall.0)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .strftime("%FT%T.%6fZ")
        .to_string()
}

/// Reads such a text, with any offset.
pub fn parse(text: &str) -> Option<WallMicros> {
    text.parse::<jiff::Timestamp>().ok().map(|timestamp| WallMicros(timestamp.as_microsecond()))
}

/// Serializes a reading.
///
/// # Errors
/// The serializer's own.
pub fn serialize<S: Serializer>(wall: &WallMicros, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text(*wall))
}

/// Deserializes a reading.
///
/// # Errors
/// Where the text is not RFC 3339.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<WallMicros, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| D::Error::custom("not an RFC 3339 timestamp"))
}

/// The same for a reading that may be absent, which is `null`.
pub mod option {
    use super::{Deserialize, Deserializer, Error, Serializer, WallMicros, parse, text};

    /// Serializes a reading or `null`.
    ///
    /// # Errors
    /// The serializer's own.
    pub fn serialize<S: Serializer>(wall: &Option<WallMicros>, serializer: S) -> Result<S::Ok, S::Error> {
        match wall {
            Some(wall) => serializer.serialize_str(&text(*wall)),
            None => serializer.serialize_none(),
        }
    }

    /// Deserializes a reading or `null`.
    ///
    /// # Errors
    /// Where the text is not RFC 3339.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<WallMicros>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        parse(&text).map(Some).ok_or_else(|| D::Error::custom("not an RFC 3339 timestamp"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_survive_their_text() {
        let wall = WallMicros(1_795_371_120_123_456);
        assert_eq!(text(wall), "2026-11-22T18:12:00.123456Z");
        assert_eq!(parse(&text(wall)), Some(wall));
        assert_eq!(parse("2026-11-22T19:12:00.123456+01:00"), Some(wall));
    }
}
