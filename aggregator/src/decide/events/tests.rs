//! What is told, and how often.

use quorate_proto::{Failure, FailureKind, Phase};

use super::*;

const DAY: Micros = Micros::from_secs(86_400);
const S: fn(u64) -> Micros = Micros::from_secs;

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

fn start() -> WallMicros {
    WallMicros(1_795_371_120_000_000)
}

fn facts(fingerprint: u8, not_after: WallMicros) -> TlsFacts {
    TlsFacts {
        version: 0x0304,
        cipher: 0x1301,
        not_after: Some(not_after),
        fingerprint: [fingerprint; 32],
        verified: true,
    }
}

#[test]
fn frequent_reconnections_are_told_once_a_spell() {
    let (mut said, eu) = (Said::default(), region("eu"));
    let mut told = Vec::new();
    // Twice a minute for ten minutes, quiet for twenty, and twice a minute again.
    for second in (0..600).step_by(20).chain((1_800..2_000).step_by(20)) {
        let times = if second % 60 == 0 { 1 } else { 2 };
        let news = reconnected(&mut said, &eu, times, Some("closed 1013"), start().after(S(second)));
        told.extend(news.map(|news| (second, news)));
    }
    assert_eq!(told.iter().map(|(second, _)| *second).collect::<Vec<_>>(), [20, 1_820]);
    let news = &told[0].1;
    assert_eq!((news.kind, news.severity), (EventKind::ReconnectsFrequent, Severity::Warning));
    assert!(
        news.summary.contains(
            "from eu had to be opened again 2 times within a minute. The latest ended with \
        closed 1013."
        ),
        "{}",
        news.summary
    );
    assert!(
        reconnected(&mut said, &region("us"), 5, None, start().after(S(1_900))).is_some(),
        "another region"
    );
}

#[test]
fn a_certificate_is_announced_at_the_warning_and_twice_after() {
    let mut said = Said::default();
    let ends = start().after(DAY * 30);
    let mut told = Vec::new();
    for hour in 0..24 * 31 {
        let at = start().after(S(3_600) * hour);
        let shown = facts(1, ends);
        // What is remembered has been through the store.
        said = serde_json::from_str(&serde_json::to_string(&said).unwrap()).unwrap();
        told.extend(certificate_expires(&mut said, DAY * 14, &region("eu"), &shown, at).map(|_| hour / 24));
    }
    assert_eq!(told, [16, 23, 29]);
    let renewed = facts(2, ends.after(DAY * 90));
    assert_eq!(
        certificate_expires(&mut said, DAY * 14, &region("eu"), &renewed, start().after(DAY * 29)),
        None
    );
}

#[test]
fn certificates_of_a_fleet_that_end_together_are_one() {
    let mut said = Said::default();
    let at = start();
    let mut tell = |number: u8, days: u64| {
        let shown = facts(number, at.after(DAY * days).after(S(u64::from(number))));
        certificate_expires(&mut said, DAY * 14, &region("eu"), &shown, at)
    };
    let news = tell(0, 10).unwrap();
    assert!(news.summary.contains("ends in 10 days, at 2026-12-"), "{}", news.summary);
    assert!((1..200).all(|number| tell(number, 10).is_none()));
    assert!(tell(200, 5).is_some(), "one that ends earlier is another");
    assert!(said.certificates.len() <= limits::CERTIFICATES_SAID_MAX);
    let none = certificate_expires(&mut Said::default(), Micros::ZERO, &region("eu"), &facts(1, at), at);
    assert_eq!(none, None, "nobody wants to be warned");
    let ended = certificate_expires(&mut Said::default(), DAY, &region("eu"), &facts(1, at), at).unwrap();
    assert!(ended.summary.contains("ended at"), "{}", ended.summary);
}

#[test]
fn different_certificates_are_told_once_until_they_have_agreed_for_a_day() {
    let mut said = Said::default();
    let (eu, us, one, other) = (region("eu"), region("us"), facts(1, start()), facts(2, start()));
    let mut tell =
        |span, at| certificates_differ(&mut said, [(&eu, &one), (&us, &other)], span, at).is_some();
    assert!(!tell(S(599), start()), "a renewal passes through the fleet");
    assert!(tell(S(600), start()));
    let differs = (1..2_000).filter(|minute| tell(S(600 + minute * 60), start().after(S(minute * 60))));
    assert_eq!(differs.count(), 0, "it goes on");
    assert!(!tell(S(600), start().after(DAY * 2)), "agreed for less than a day");
    assert!(tell(S(600), start().after(DAY * 4)));
}

#[test]
fn an_idle_timeout_is_told_when_it_contradicts_what_was_known() {
    let cut = |survived, cut| IdleFinding::Cut {
        survived: S(survived),
        cut: S(cut),
        failure: Failure::new(FailureKind::Dropped, Phase::Exchange, ""),
    };
    let failed = || IdleFinding::Failed(Failure::new(FailureKind::ConnectionRefused, Phase::Tcp, ""));
    let not_within = |span| IdleFinding::NotWithin(S(span));
    // What is found, one after the other, and whether it is told: as news (i) or as a warning (w).
    let cases: &[(&[IdleFinding], &str)] = &[
        (&[cut(50, 60), cut(59, 60), cut(55, 62), failed(), cut(59, 60)], "i----"),
        (&[cut(59, 60), cut(74, 75), cut(74, 75), cut(59, 60)], "iw-w"),
        (&[not_within(1_200), not_within(1_200), cut(59, 60), not_within(1_200)], "--ww"),
        (&[not_within(30), cut(59, 60)], "--"),
        (&[cut(59, 60), not_within(30), cut(89, 90)], "i-w"),
        (&[failed()], "-"),
    ];
    for (findings, expected) in cases {
        let mut said = Said::default();
        let told = findings.iter().map(|finding| match idle_timeout(&mut said, &region("eu"), finding) {
            None => '-',
            Some(news) if news.severity == Severity::Info => 'i',
            Some(_) => 'w',
        });
        assert_eq!(told.collect::<String>(), *expected, "{findings:?}");
    }
    let mut said = Said::default();
    let news = idle_timeout(&mut said, &region("eu"), &cut(59, 60)).unwrap();
    assert!(
        news.summary.starts_with("The path from eu cuts idle connections after 60s (dropped)."),
        "{}",
        news.summary
    );
    let news = idle_timeout(&mut said, &region("eu"), &not_within(1_200)).unwrap();
    assert!(
        news.summary.starts_with(
            "The path from eu does not cut idle connections within 20m; before, it did after 60s (dropped)."
        ),
        "{}",
        news.summary
    );
}

#[test]
fn addresses_are_told_when_they_fail_twice_and_pass_twice() {
    let of = |failing: &[u8]| {
        let one = |last: u8| AddressResult {
            address: [192, 0, 2, last].into(),
            failure: failing.contains(&last).then_some(FailureKind::ConnectionRefused),
            total: Micros(1),
        };
        (1..=4).map(one).collect::<Vec<_>>()
    };
    let (mut said, eu, mut before) = (Said::default(), region("eu"), BTreeSet::new());
    let mut told = String::new();
    let checks: [&[u8]; 14] =
        [&[], &[3], &[], &[3], &[3], &[3], &[3, 4], &[3, 4], &[1, 2, 3, 4], &[3], &[], &[3], &[], &[]];
    let mut words = Vec::new();
    for failing_now in checks {
        let found = of(failing_now);
        let news = addresses(&mut said, &eu, &before, &found);
        told.push(match news.as_ref().map(|news| news.kind) {
            None => '-',
            Some(EventKind::AddressesFailing) => 'f',
            Some(_) => 'r',
        });
        words.extend(news.map(|news| news.summary));
        before = failing(&found);
    }
    assert_eq!(told, "----f--f-----r");
    assert!(
        words[0].starts_with("1 of 4 addresses fails: 192.0.2.3 (connection_refused) in eu."),
        "{}",
        words[0]
    );
    assert!(
        words[1].starts_with("2 of 4 addresses fail: 192.0.2.3 (connection_refused), 192.0.2.4"),
        "{}",
        words[1]
    );
    assert_eq!(words[2], "All 4 addresses pass again in eu.");
    assert!(said.addresses.is_empty());
}

#[test]
fn events_go_to_the_monitors_channels_that_ask_for_them() {
    use crate::model::fixture::{channel, monitor};
    let mut watched = monitor("shop", &["eu"]);
    watched.channels = vec!["x".to_owned(), "y".to_owned()];
    let channels = ["x", "y:e", "other:e"].map(channel);
    let news = restarted(&[region("eu"), region("us")], S(12));
    let (event, announcement) = news.into_event(&watched, &channels, "evt_1".to_owned(), start());
    assert_eq!(announcement.channels, ["y"]);
    assert_eq!(announcement.event.name(), "monitor.event");
    assert_eq!((event.kind, event.severity, event.region), (EventKind::Restarted, Severity::Info, None));
    assert_eq!(
        event.summary,
        "The server said that it restarts, and 2 regions were connected again within 12s (eu, us). Nobody was paged."
    );
}
