//! Who hears of what.

use quorate_proto::{FailureKind, Phase};
use quorate_quorum::{Abstention, Rule, Timeline};

use super::*;
use crate::model::fixture::*;

/// Channel ids with what they ask for: `p` for partial, `o` for the operator's.
fn channels(wanted: &[&str]) -> Vec<Channel> {
    wanted.iter().map(|text| channel(text)).collect()
}

fn change(to: Verdict, votes: &[(&str, Vote)]) -> VerdictChange {
    let failing = u16::try_from(votes.iter().filter(|(_, vote)| *vote == Vote::Fail).count()).unwrap();
    let eligible = u16::try_from(votes.len()).unwrap();
    let rule = match to {
        Verdict::Up => Rule::Recovered { passing: eligible, eligible },
        Verdict::Partial | Verdict::Down => Rule::SomeFail { failing, eligible },
        Verdict::Unobserved => Rule::TooFewVoters { eligible: 1, configured: eligible },
    };
    let votes = votes.iter().map(|(region, vote)| CountedVote {
        region: region.parse().unwrap(),
        vote: *vote,
        source: None,
        ended: None,
    });
    VerdictChange {
        monitor: "shop".parse().unwrap(),
        from: None,
        to,
        rule,
        timeline: Timeline::default(),
        votes: votes.collect(),
        grounds: quorate_quorum::Grounds::default(),
    }
}

/// Walks through verdicts, and gives for each who heard what.
fn walk(configured: &[&str], verdicts: &[Verdict]) -> Vec<String> {
    let (monitor, channels) = (monitor("shop", &["a", "b"]), channels(configured));
    let mut open = None;
    let mut heard = Vec::new();
    for verdict in verdicts {
        let decision = decide(&Situation {
            monitor: &monitor,
            channels: &channels,
            open: open.as_ref(),
            change: &change(*verdict, &[("a", Vote::Fail), ("b", Vote::Ok)]),
            sightings: &BTreeMap::new(),
            timeline: IncidentTimeline::default(),
            incident_id: "inc_1",
            at: WallMicros(5),
        });
        let words = |announcement: &Announcement| {
            let name = announcement.event.name().trim_start_matches("incident.").to_owned();
            format!("{name} {}", announcement.channels.join(","))
        };
        heard.push(match &decision {
            Some(decision) => decision.announcements.iter().map(words).collect::<Vec<_>>().join("; "),
            None => "-".to_owned(),
        });
        open = decision
            .map(|decision| decision.tracked)
            .filter(|tracked| tracked.incident.resolved_at.is_none());
    }
    heard
}

#[test]
fn every_channel_hears_what_it_asked_for_and_how_it_ended() {
    use Verdict::{Down, Partial, Unobserved, Up};
    let cases: &[(&[&str], &[Verdict], &[&str])] = &[
        (&["x"], &[Up, Down, Up, Up], &["-", "opened x", "resolved x", "-"]),
        (&["x", "y:p"], &[Partial, Down, Up], &["opened y", "opened x; updated y", "resolved x,y"]),
        (&["x"], &[Partial, Up], &["", ""]),
        (&["x", "z:o"], &[Unobserved, Up], &["opened z", "resolved z"]),
        (
            &["x", "z:o"],
            &[Down, Unobserved, Down, Up],
            &["opened x,z", "updated x,z", "updated x,z", "resolved x,z"],
        ),
        (&["x"], &[Down, Down, Up], &["opened x", "", "resolved x"]),
    ];
    for (configured, verdicts, heard) in cases {
        assert_eq!(walk(configured, verdicts), *heard, "{configured:?} {verdicts:?}");
    }
}

#[test]
fn a_channel_of_another_monitor_hears_nothing() {
    let mut monitor = monitor("shop", &["a"]);
    monitor.channels = vec!["x".to_owned()];
    let decision = decide(&Situation {
        monitor: &monitor,
        channels: &channels(&["x", "other"]),
        open: None,
        change: &change(Verdict::Down, &[("a", Vote::Fail)]),
        sightings: &BTreeMap::new(),
        timeline: IncidentTimeline::default(),
        incident_id: "inc_1",
        at: WallMicros(5),
    })
    .unwrap();
    assert_eq!(decision.announcements.len(), 1);
    assert_eq!(decision.announcements[0].channels, ["x"]);
}

#[test]
fn the_resolution_goes_where_the_opening_went_even_if_that_channel_is_gone() {
    let tracked = Tracked {
        incident: incident("inc_1", "shop"),
        opened_at: WallMicros(1),
        told: BTreeSet::from(["gone".to_owned()]),
    };
    let monitor = monitor("shop", &["a"]);
    let situation = Situation {
        monitor: &monitor,
        channels: &channels(&["x"]),
        open: Some(&tracked),
        change: &change(Verdict::Up, &[("a", Vote::Ok)]),
        sightings: &BTreeMap::new(),
        timeline: IncidentTimeline { decided_at: Some(WallMicros(9)), ..IncidentTimeline::default() },
        incident_id: "inc_2",
        at: WallMicros(9),
    };
    for decision in [decide(&situation).unwrap(), withdraw(&tracked, WallMicros(9))] {
        assert_eq!(decision.announcements.len(), 1);
        assert_eq!(decision.announcements[0].channels, ["gone"]);
        assert_eq!(decision.tracked.incident.id, "inc_1");
        assert_eq!(decision.tracked.incident.resolved_at, Some(WallMicros(9)));
    }
}

#[test]
fn the_cause_is_what_most_failing_regions_saw() {
    let saw = |kind: FailureKind| {
        let failure = Failure::new(kind, Phase::Upgrade, "as seen");
        let agent = "agent".parse().unwrap();
        Sighting { agent, latency: Micros::from_millis(7), failure: Some(failure) }
    };
    let monitor = monitor("shop", &["a", "b", "c"]);
    let decided = |kinds: [FailureKind; 3], votes: [Vote; 3]| {
        let regions = ["a", "b", "c"];
        let sightings =
            regions.iter().zip(kinds).map(|(region, kind)| (region.parse().unwrap(), saw(kind))).collect();
        let votes = regions.into_iter().zip(votes).collect::<Vec<_>>();
        let decision = decide(&Situation {
            monitor: &monitor,
            channels: &[],
            open: None,
            change: &change(Verdict::Down, &votes),
            sightings: &sightings,
            timeline: IncidentTimeline { first_failure_at: Some(WallMicros(3)), ..Default::default() },
            incident_id: "inc_1",
            at: WallMicros(5),
        });
        decision.unwrap().tracked.incident
    };
    let (dropped, refused) = (FailureKind::Dropped, FailureKind::ConnectionRefused);
    let incident = decided([dropped.clone(), refused.clone(), dropped.clone()], [Vote::Fail; 3]);
    assert_eq!(incident.cause.kind, "dropped");
    assert_eq!(incident.started_at, WallMicros(3));
    assert_eq!(incident.regions[1].failure.as_deref(), Some("connection_refused: as seen"));
    assert_eq!(incident.regions[1].latency_ms, Some(7.0));
    let equal = decided([dropped.clone(), FailureKind::UpgradeStatus(502), refused.clone()], [Vote::Fail; 3]);
    assert_eq!(equal.cause.kind, "connection_refused", "the first by name");
    let silent = Vote::Abstain(Abstention::Silent);
    let abstaining = decided([dropped, refused.clone(), refused], [Vote::Fail, silent, silent]);
    assert_eq!(abstaining.cause.kind, "dropped", "abstaining regions have no say in it");
    assert_eq!(abstaining.regions[2].failure.as_deref(), Some("silent"));
}

#[test]
fn the_worst_verdict_is_kept() {
    let monitor = monitor("shop", &["a"]);
    let mut open: Option<Tracked> = None;
    let mut worst = Vec::new();
    for verdict in [Verdict::Unobserved, Verdict::Partial, Verdict::Down, Verdict::Partial] {
        let decision = decide(&Situation {
            monitor: &monitor,
            channels: &[],
            open: open.as_ref(),
            change: &change(verdict, &[("a", Vote::Fail)]),
            sightings: &BTreeMap::new(),
            timeline: IncidentTimeline::default(),
            incident_id: "inc_1",
            at: WallMicros(5),
        });
        worst.push(decision.as_ref().unwrap().tracked.incident.worst.clone());
        open = decision.map(|decision| decision.tracked);
    }
    assert_eq!(worst, ["unobserved", "partial", "down", "down"]);
}

#[test]
fn notices_go_to_the_operators_channels() {
    let notice = notice("storage_failing", "full".to_owned(), &channels(&["x", "y:p", "z:o"]));
    assert_eq!(notice.channels, ["z"]);
}
