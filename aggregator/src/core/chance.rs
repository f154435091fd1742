//! The only place of the core that asks for random numbers.

use aws_lc_rs::rand;
use quorate_proto::WallMicros;

/// The system gave no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gave no random bytes")]
pub(super) struct NoChance;

/// Bytes that nobody can guess.
pub(super) fn secret<const N: usize>() -> Result<[u8; N], NoChance> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| NoChance)?;
    Ok(bytes)
}

/// A new id: a prefix and a UUID, version 7, so that ids sort by time. Unique, not secret.
pub(super) fn id(prefix: &str, wall: WallMicros) -> String {
    let mut bytes = [0; 10];
    #[cfg(feature = "simulation")]
    if let Some(world) = quorate_agent::simulation::world() {
        (world.fill)(&mut bytes);
        return text(prefix, wall, &bytes);
    }
    if rand::fill(&mut bytes).is_err() {
        fastrand::fill(&mut bytes);
    }
    text(prefix, wall, &bytes)
}

fn text(prefix: &str, wall: WallMicros, bytes: &[u8; 10]) -> String {
    let milliseconds = u64::try_from(wall.0 / 1_000).unwrap_or(0);
    let uuid = uuid::Builder::from_unix_timestamp_millis(milliseconds, bytes).into_uuid();
    format!("{prefix}{}", uuid.simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_have_no_dot() {
        let (first, second) = (id("msg_", WallMicros(1_000_000)), id("msg_", WallMicros(2_000_000)));
        assert!(first < second && first.starts_with("msg_") && !first.contains('.'));
        assert_ne!(id("msg_", WallMicros(1)), id("msg_", WallMicros(1)));
    }
}
