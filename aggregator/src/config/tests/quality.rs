//! What is promised of latency and certificates.

use quorate_quorum::quality::LatencySla;

use super::*;

const REGIONS: &str = "regions = [\"a\", \"b\", \"c\"]\n";

fn latency(defaults: &str, lines: &str) -> Option<LatencySla> {
    let text = format!("{REGIONS}[defaults]\n{defaults}\n{}", monitor(lines));
    parsed(&text).unwrap().config.monitors.remove(0).latency
}

fn fault(lines: &str, fault: &str) {
    check(&format!("{REGIONS}{}", monitor(lines)), &[&format!("5: monitors[0].{fault}")]);
}

#[test]
fn a_preset_or_a_table_says_what_is_promised() {
    let ms = Micros::from_millis;
    for (text, p95) in [("realtime", 100), ("chat", 500), ("market_data", 50)] {
        assert_eq!(latency("", &format!("latency = \"{text}\"")), Some(LatencySla::of(ms(p95))));
    }
    let sla = LatencySla { p95: ms(80), over: Micros::from_secs(600), min_samples: 12 };
    assert_eq!(latency("", "latency = { p95 = \"80ms\", over = \"10m\", min_samples = 12 }"), Some(sla));
    assert_eq!(latency("", "latency = { p95 = \"80ms\" }"), Some(LatencySla::of(ms(80))));
    assert_eq!(latency("", ""), None);
    assert_eq!(latency("latency = \"chat\"", ""), Some(LatencySla::of(ms(500))));
    assert_eq!(latency("latency = \"chat\"", "latency = \"realtime\""), Some(LatencySla::of(ms(100))));
    assert_eq!(latency("latency = \"chat\"", "latency = false"), None);
}

#[test]
fn a_promise_that_cannot_be_judged_is_refused() {
    fault("latency = \"realtme\"", "latency: wanted a known preset, perhaps \"realtime\", found \"realtme\"");
    fault(
        "latency = \"zzzzzzzzzzzzz\"",
        "latency: wanted \"market_data\" (50ms), \"realtime\" (100ms), \"chat\" (500ms), a table such as { p95 = \"100ms\" }, or \
         false, found \"zzzzzzzzzzzzz\"",
    );
    fault(
        "latency = {}",
        "latency.p95: wanted what 95 of 100 round trips may take, such as \"100ms\", found nothing",
    );
    fault(
        "latency = { p95 = \"0s\" }",
        "latency.p95: wanted a span with its unit between 1ms and 60s, such as \"30s\", \"1m 30s\" or \"500ms\", found \"0s\"",
    );
    fault(
        "latency = { p95 = \"100ms\", min_samples = 0 }",
        "latency.min_samples: wanted a number of round trips from 1 on, found 0",
    );
    fault(
        "latency = { p95 = \"11s\" }",
        "latency: wanted a p95 of at most timeout, which is 10s: slower checks fail, found 11s",
    );
    fault(
        "latency = { p95 = \"100ms\", over = \"59s\" }",
        "latency: wanted over of at least two intervals, 60s, found 59s",
    );
    // Three regions every 30 s for 5 minutes make 30.
    fault(
        "latency = { p95 = \"100ms\", min_samples = 31 }",
        "latency: wanted min_samples of at most 30: no more round trips are made over 5m (3 regions, every 30s, 1 a check), \
         found 31",
    );
    assert!(latency("", "latency = { p95 = \"100ms\", min_samples = 60 }\nsamples = 2").is_some());
    // What the defaults promise must suit the monitor.
    check(
        &format!("{REGIONS}[defaults]\nlatency = \"chat\"\n{}", monitor("interval = \"5m\"")),
        &["4: monitors[0].latency: wanted over of at least two intervals, 10m, found 5m"],
    );
}

#[test]
fn certificates_degrade_after_they_were_warned_of() {
    let degraded =
        |lines: &str| parsed(&monitor(lines)).unwrap().config.monitors.remove(0).certificate_degraded;
    let days = |days: u64| Micros::from_secs(days * 86_400);
    assert_eq!(degraded(""), days(3));
    assert_eq!(degraded("certificate_warning = \"1d\""), days(1), "never before the warning");
    assert_eq!(degraded("certificate_warning = false"), days(3));
    assert_eq!(degraded("certificate_degraded = false"), Micros::ZERO);
    assert_eq!(degraded("certificate_degraded = \"7d\""), days(7));
    check(
        &monitor("certificate_degraded = \"15d\""),
        &[
            "4: monitors[0].certificate_degraded: wanted at most certificate_warning, which is 336h: people are warned first, found 360h",
        ],
    );
}

#[test]
fn channels_that_ask_for_more_than_outages_hear_of_degraded_monitors() {
    let degraded = |lines: &str| {
        let text = format!("[[channels]]\nid = \"x\"\ntype = \"slack\"\nurl = \"https://h/\"\n{lines}");
        parsed(&text).unwrap().config.channels.remove(0).degraded
    };
    for (lines, wanted) in [
        ("", false),
        ("partial = true", true),
        ("events = true", true),
        ("events = true\ndegraded = false", false),
        ("degraded = true", true),
    ] {
        assert_eq!(degraded(lines), wanted, "{lines}");
    }
}
