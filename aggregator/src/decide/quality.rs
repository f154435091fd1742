//! Degraded in words: what is said of a reason, and who hears that a monitor is degraded and that it is not any more.
//!
//! It goes to the monitor's channels with `degraded`, which without being said is: those that ask for more than outages,
//! `partial` or `events`. A pager that is to wake people for outages alone stays silent. Whoever heard that it began hears that
//! it is over, whatever was configured since; a further reason that begins meanwhile is told too, with all that go on, and
//! the end of one of several is not.

use quorate_proto::{Micros, Region, WallMicros};
use quorate_quorum::quality::{Figures, LatencySla, Reason};

use super::{Announcement, announcement, events::days, reference};
use crate::{
    config::{Channel, Monitor},
    model::{AlertEvent, ChannelId, Degradation, DegradedReason, QualityKept},
};

/// A reason in words, as it begins.
pub fn reason(reason: &Reason, at: WallMicros) -> DegradedReason {
    let summary = match reason {
        Reason::Latency { sla, figures } => latency(sla, figures),
        Reason::Certificate { left, region } => format!(
            "The certificate that {region} is shown, or one of its chain, {}. Renew it and have the server load the new file: \
             clients refuse the connection from then on.",
            if *left == Micros::ZERO { "has ended".to_owned() } else { format!("ends in {}", days(*left)) },
        ),
        Reason::Reconnects { regions, of } => {
            let most = regions.iter().map(|(_, times)| *times).max().unwrap_or(0);
            format!(
                "The connections held open from {} of {of} regions ({}) had to be opened again up to {most} times within a \
                 minute. Clients fare no better: look for limits, crashes and idle timeouts at the server or before it.",
                regions.len(),
                names(regions.iter().map(|(region, _)| region)),
            )
        }
        Reason::Closes { regions, of, codes, usual_per_day } => {
            let counts = codes.iter().map(|(code, times)| format!("{times} with {code}"));
            format!(
                "Connections held open from {} of {of} regions ({}) ended abnormally within the last hour: {}. Usual is {} a \
                 day and region. 1006 is an end without a close frame, as when a process or a proxy dies; 1011 an error in \
                 the server: look at their logs.",
                regions.len(),
                names(regions.iter()),
                counts.collect::<Vec<_>>().join(", "),
                if *usual_per_day < 0.1 { "less than one".to_owned() } else { format!("{usual_per_day:.1}") },
            )
        }
    };
    DegradedReason { kind: reason.kind().name().to_owned(), since: at, ended_at: None, summary }
}

/// A reason began: what goes on now, and who hears of it.
pub fn began(
    kept: &mut QualityKept,
    monitor: &Monitor,
    channels: &[Channel],
    reason: DegradedReason,
    seen: Option<&Figures>,
    id: impl FnOnce() -> String,
) -> Option<Announcement> {
    let degradation = kept.degradation.get_or_insert_with(|| Degradation {
        id: id(),
        monitor: reference(monitor),
        since: reason.since,
        recovered_at: None,
        reasons: Vec::new(),
        round_trips: None,
    });
    degradation.reasons.push(reason);
    // One that comes and goes while another stays is told of as often, and remembered the last few times.
    while degradation.reasons.len() > crate::limits::DEGRADED_REASONS_MAX {
        let oldest = degradation.reasons.iter().position(|reason| reason.ended_at.is_some());
        degradation.reasons.remove(oldest.unwrap_or(0));
    }
    tell(kept, monitor, channels, seen)
}

/// What began in a maintenance goes on after it: who hears of it, with all that goes on.
pub fn released(
    kept: &mut QualityKept,
    monitor: &Monitor,
    channels: &[Channel],
    seen: Option<&Figures>,
) -> Option<Announcement> {
    if std::mem::take(&mut kept.held).is_empty() {
        return None;
    }
    tell(kept, monitor, channels, seen)
}

fn tell(
    kept: &mut QualityKept,
    monitor: &Monitor,
    channels: &[Channel],
    seen: Option<&Figures>,
) -> Option<Announcement> {
    let degradation = kept.degradation.as_mut()?;
    degradation.round_trips = seen.map(Into::into);
    let wants = |channel: &&Channel| channel.degraded && monitor.channels.contains(&channel.id);
    let channels: Vec<ChannelId> = channels.iter().filter(wants).map(|channel| channel.id.clone()).collect();
    kept.told.extend(channels.iter().cloned());
    announcement(AlertEvent::Degraded(Box::new(degradation.clone())), channels)
}

/// All reasons have ended: who hears of it.
pub fn recovered(
    kept: &mut QualityKept,
    seen: Option<&Figures>,
    at: WallMicros,
) -> Option<(Degradation, Option<Announcement>)> {
    let mut degradation = kept.degradation.take()?;
    degradation.recovered_at = Some(at);
    degradation.round_trips = seen.map(Into::into);
    kept.held.clear();
    let told = std::mem::take(&mut kept.told).into_iter().collect();
    let announcement = announcement(AlertEvent::Recovered(Box::new(degradation.clone())), told);
    Some((degradation, announcement))
}

/// What is said of a reason that is not judged any more.
pub const WITHDRAWN: &str = " It is not judged any more, since the configuration has changed.";

fn latency(sla: &LatencySla, figures: &Figures) -> String {
    let merged = figures.merged;
    let slow = figures.slower_than(sla.p95).collect::<Vec<_>>();
    let others = figures.regions.len() - slow.len();
    let slow_ones = figures.regions.iter().filter(|(region, _)| slow.contains(&region));
    let list = slow_ones.map(|(region, quantiles)| format!("{region} {}", quantiles.p95)).collect::<Vec<_>>();
    let of_regions = match (list.is_empty(), others) {
        (true, _) => "no region alone is above it".to_owned(),
        (false, 0) => format!("in every region: {}", list.join(", ")),
        (false, _) => format!("above it: {}; {others} of {} are not", list.join(", "), figures.regions.len()),
    };
    format!(
        "Round trips are slower than promised: 95 of 100 took up to {} over {}, and {} are promised ({} round trips; p50 {}, p99 \
         {}; {of_regions}). Where every region is slow it is the server: its load, what it waits for; where one is, the way.",
        merged.p95, sla.over, sla.p95, merged.count, merged.p50, merged.p99,
    )
}

fn names<'a>(regions: impl Iterator<Item = &'a Region>) -> String {
    regions.map(Region::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use quorate_quorum::quality::Quantiles;

    use super::*;

    fn figures(p95: [u64; 3]) -> Figures {
        let quantiles = |ms| Quantiles {
            count: 10,
            p50: Micros::from_millis(20),
            p95: Micros::from_millis(ms),
            p99: Micros::from_millis(ms + 1),
        };
        let regions =
            ["a", "b", "c"].iter().zip(p95).map(|(name, ms)| (name.parse().unwrap(), quantiles(ms)));
        Figures { merged: Quantiles { count: 30, ..quantiles(140) }, regions: regions.collect() }
    }

    #[test]
    fn reasons_carry_their_numbers() {
        let sla = LatencySla::of(Micros::from_millis(100));
        let region = |name: &str| name.parse::<Region>().unwrap();
        for (of, parts) in [
            (
                Reason::Latency { sla, figures: figures([140, 30, 40]) },
                &[
                    "up to 140ms over 5m",
                    "100ms are promised",
                    "30 round trips",
                    "above it: a 140ms; 2 of 3 are not",
                ][..],
            ),
            (
                Reason::Latency { sla, figures: figures([140, 130, 140]) },
                &["in every region: a 140ms, b 130ms"],
            ),
            (Reason::Latency { sla, figures: figures([90, 90, 90]) }, &["no region alone"]),
            (
                Reason::Certificate { left: Micros::from_secs(200_000), region: region("eu") },
                &["that eu is shown", "ends in 2 days"],
            ),
            (Reason::Certificate { left: Micros::ZERO, region: region("eu") }, &["has ended"]),
            (
                Reason::Reconnects { regions: vec![(region("eu"), 2), (region("us"), 5)], of: 2 },
                &["2 of 2 regions (eu, us)", "up to 5 times"],
            ),
            (
                Reason::Closes {
                    regions: vec![region("eu")],
                    of: 1,
                    codes: [(1006, 4), (1011, 1)].into(),
                    usual_per_day: 0.42,
                },
                &["4 with 1006, 1 with 1011", "Usual is 0.4 a day"],
            ),
        ] {
            let summary = reason(&of, WallMicros(0)).summary;
            for part in parts {
                assert!(summary.contains(part), "{part} in {summary}");
            }
        }
    }
}
