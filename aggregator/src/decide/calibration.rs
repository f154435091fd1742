//! What operators are told of paths that are too noisy to vote.

use quorate_quorum::{PathQuality, Policy, Recalibrated};

use super::{Announcement, notice};
use crate::config::{Channel, Monitor};

/// The votes of some paths do not count from here on, or do again.
pub fn recalibrated(
    monitor: &Monitor,
    policy: &Policy,
    change: &Recalibrated,
    channels: &[Channel],
) -> Vec<Announcement> {
    let name = &monitor.name;
    let voters = policy.voters();
    let noisy = change.turned_noisy.iter().map(|(region, quality)| {
        let summary = format!(
            "The path from {region} to {name} fails by itself: {}, while most other regions pass. With its votes, false \
             pages would be expected more often than once in 2,000 years, so it abstains until it is better; the other \
             {voters} regions decide: {}. Look at the network between that region and the server.",
            how(quality),
            policy.describe(),
        );
        notice("path_noisy", summary, channels)
    });
    let calmed = change.calmed.iter().map(|region| {
        let summary = format!(
            "The path from {region} to {name} is good enough again, and its votes count: {}.",
            policy.describe()
        );
        notice("path_noisy_over", summary, channels)
    });
    noisy.chain(calmed).collect()
}

fn how(quality: &PathQuality) -> String {
    let share = quality.share * 100.0;
    let share = if share < 10.0 { format!("{share:.1}") } else { format!("{share:.0}") };
    format!("{share} % of the time, for {:.0} s at a time", quality.spell.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use quorate_proto::Micros;
    use quorate_quorum::Calibrated;

    use super::*;
    use crate::model::{AlertEvent, fixture};

    #[test]
    fn operators_read_which_path_and_what_follows() {
        let monitor = fixture::monitor("chat", &["r1", "r2", "r3", "r4", "r5"]);
        let regions: BTreeSet<_> = monitor.regions.iter().cloned().collect();
        let noisy = monitor.regions[4].clone();
        let calibrated = Calibrated {
            span: Micros::from_secs(20),
            together: true,
            majority_span: Micros::from_secs(300),
            voters: 4,
            noisy: [noisy.clone()].into(),
        };
        let policy = Policy {
            calibrated: Some(calibrated.clone()),
            ..Policy::new(regions, Micros::from_secs(30), Micros::from_secs(10))
        };
        let quality = PathQuality {
            share: 0.042,
            spell: Micros::from_secs(95),
            wait: Micros::from_secs(5),
            together: 0.01,
        };
        let change = Recalibrated {
            calibrated: Some(calibrated),
            turned_noisy: vec![(noisy, quality)],
            calmed: vec![monitor.regions[0].clone()],
            expected: 0.2,
        };
        let told =
            recalibrated(&monitor, &policy, &change, &[fixture::channel("x"), fixture::channel("z:o")]);
        let texts: Vec<_> = told
            .into_iter()
            .map(|announcement| {
                assert_eq!(announcement.channels, ["z"], "the operator's channels alone");
                let AlertEvent::Notice { kind, summary } = announcement.event else { panic!("a notice") };
                format!("{kind}: {summary}")
            })
            .collect();
        assert_eq!(
            texts,
            [
                "path_noisy: The path from r5 to CHAT fails by itself: 4.2 % of the time, for 95 s at a time, while most \
                 other regions pass. With its votes, false pages would be expected more often than once in 2,000 years, so \
                 it abstains until it is better; the other 4 regions decide: 4 of 4 regions together for 20s. Look at the \
                 network between that region and the server.",
                "path_noisy_over: The path from r1 to CHAT is good enough again, and its votes count: 4 of 4 regions \
                 together for 20s.",
            ]
        );
    }
}
