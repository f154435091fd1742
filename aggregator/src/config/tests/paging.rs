//! Whom to tell, and when not.

use quorate_quorum::PagingSettings;

use super::*;

/// Monitors with what they depend on.
fn monitors(depends_on: &[(&str, &str)]) -> String {
    depends_on
        .iter()
        .map(|(id, parents)| {
            format!("[[monitors]]\nid = \"{id}\"\nurl = \"wss://h/\"\ndepends_on = {parents}\n")
        })
        .collect()
}

#[test]
fn parents_are_known_by_their_ids() {
    let text = monitors(&[("chat", "[\"api\", \"gateway\"]"), ("api", "[\"gateway\"]"), ("gateway", "[]")]);
    let config = parsed(&text).unwrap().config;
    let parents = |index: usize| {
        config.monitors[index].depends_on.iter().map(|parent| parent.as_str()).collect::<Vec<_>>()
    };
    assert_eq!([parents(0), parents(1), parents(2)], [vec!["api", "gateway"], vec!["gateway"], vec![]]);
}

#[test]
fn bad_parents_get_their_faults() {
    check(
        &monitors(&[("chat", "[\"gatewy\"]"), ("gateway", "[]")]),
        &["4: monitors[0].depends_on[0]: wanted a configured monitor, perhaps \"gateway\", found \"gatewy\""],
    );
    check(
        &monitors(&[("chat", "[\"chat\"]"), ("b", "[\"chat\", \"chat\"]")]),
        &[
            "4: monitors[0].depends_on[0]: wanted another monitor than itself, found \"chat\"",
            "8: monitors[1].depends_on[1]: wanted each monitor once, found \"chat\"",
        ],
    );
    check(
        &monitors(&[("chat", "\"gateway\""), ("gateway", "[]")]),
        &[
            "4: monitors[0].depends_on: wanted a list of monitor ids, such as [\"gateway\"], found \"gateway\"",
        ],
    );
}

#[test]
fn cycles_are_refused_by_name_and_once() {
    check(
        &monitors(&[("a", "[\"b\"]"), ("b", "[\"c\"]"), ("c", "[\"a\"]"), ("d", "[\"a\"]")]),
        &[
            "12: monitors[2].depends_on[0]: wanted no cycle of monitors that depend on one another, found a -> b -> c -> a",
        ],
    );
    check(
        &monitors(&[("a", "[\"b\", \"c\"]"), ("b", "[\"a\"]"), ("c", "[\"d\"]"), ("d", "[\"c\"]")]),
        &[
            "8: monitors[1].depends_on[0]: wanted no cycle of monitors that depend on one another, found a -> b -> a",
            "16: monitors[3].depends_on[0]: wanted no cycle of monitors that depend on one another, found c -> d -> c",
        ],
    );
    // Several ways to one ancestor are none.
    check(&monitors(&[("a", "[\"b\", \"c\"]"), ("b", "[\"d\"]"), ("c", "[\"d\"]"), ("d", "[]")]), &[]);
}

/// A monitor of which a channel hears, and whose parent it does not hear of, could fail without a word.
#[test]
fn who_would_hear_nothing_is_warned_of() {
    let text = "
[[channels]]
id = \"ops\"
type = \"slack\"
url = \"https://hooks.slack.com/services/a\"
[[channels]]
id = \"dev\"
type = \"slack\"
url = \"https://hooks.slack.com/services/b\"
[[monitors]]
id = \"gateway\"
url = \"wss://h/\"
channels = [\"ops\"]
[[monitors]]
id = \"chat\"
url = \"wss://h/\"
depends_on = [\"gateway\"]
";
    let warnings = parsed(text).unwrap().warnings;
    let text = warnings.iter().map(|warning| warning.text.as_str()).collect::<Vec<_>>().join("\n");
    assert!(
        text.contains(
            "while \"gateway\" is down this monitor is not paged, and \"gateway\" is not told to: dev"
        ),
        "{text}"
    );
}

#[test]
fn numbers_of_paging() {
    assert_eq!(parsed("").unwrap().config.paging, PagingSettings::default());
    let text = "[paging]\noffline_patience = \"0s\"\nfleet_share = 50\nfleet_hold = \"2s\"\nflapping = false\nflapping_digest = \"1h\"\nflapping_outage = \"2m\"";
    let seconds = Micros::from_secs;
    assert_eq!(
        parsed(text).unwrap().config.paging,
        PagingSettings {
            offline_patience: seconds(0),
            fleet_share: 50,
            fleet_hold: seconds(2),
            flapping: false,
            flapping_digest: seconds(3600),
            flapping_outage: seconds(120),
        }
    );
    check(
        "[paging]\nfleet_share = 0\nfleet_hold = \"1m\"\nflapping_end = 1",
        &[
            "2: paging.fleet_share: wanted a share of all monitors in percent, 1 to 100 (100: never), found 0",
            "3: paging.fleet_hold: wanted a span with its unit between 0s and 15s, such as \"30s\", \"1m 30s\" or \"500ms\", found \"1m\"",
            "4: paging.flapping_end: wanted a known key, perhaps \"flapping\", found \"flapping_end\"",
        ],
    );
}
