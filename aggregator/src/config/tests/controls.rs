//! `[controls]`: what agents look at to see whether they are the fault themselves.

use quorate_proto::Controls;

use super::{Loaded, Micros, parsed};

fn warnings(loaded: &Loaded) -> Vec<&str> {
    loaded.warnings.iter().map(|warning| warning.text.as_str()).collect()
}

#[test]
fn nothing_is_looked_at_unless_somebody_says_so() {
    let controls = parsed("").unwrap().config.controls;
    assert!(controls.is_empty() && controls.is_within_limits());
}

#[test]
fn controls_are_what_the_table_says() {
    let loaded = parsed(
        "[controls]\ntargets = [\"wss://a.example/x\", \"https://b.example\", \"tcp://192.0.2.1:443\"]\nevery = \"30s\"\n\
         resolves = \"example.com\"\n",
    )
    .unwrap();
    assert_eq!(warnings(&loaded), [""; 0]);
    assert_eq!(
        loaded.config.controls,
        Controls {
            targets: ["wss://a.example/x", "https://b.example", "tcp://192.0.2.1:443"]
                .map(str::to_owned)
                .into(),
            every: Micros::from_secs(30),
            resolves: Some("example.com".to_owned()),
            resolves_not: Some("quorate-control.example".to_owned()),
        }
    );
    assert!(loaded.config.controls.is_within_limits());
}

#[test]
fn targets_that_may_fail_together_are_warned_of() {
    for (targets, warned) in [
        ("\"https://a.example.org\", \"https://b.example.org\", \"https://c.example.net\"", true),
        ("\"tcp://192.0.2.1:443\", \"tcp://192.0.2.200:443\", \"https://c.example.net\"", true),
        ("\"tcp://[2001:db8::1]:443\", \"tcp://[2001:db8:9::1]:443\", \"https://c.example.net\"", true),
        ("\"https://a.example.co.uk\", \"https://b.other.co.uk\", \"https://c.example.net\"", false),
        ("\"tcp://192.0.2.1:443\", \"tcp://198.51.100.1:443\", \"https://c.example.net\"", false),
    ] {
        let loaded = parsed(&format!("[controls]\ntargets = [{targets}]\n")).unwrap();
        let told =
            warnings(&loaded).iter().filter(|text| text.contains("may share its network with")).count();
        assert_eq!(told, usize::from(warned), "{targets}");
    }
}

#[test]
fn nonsense_is_named() {
    for (text, faults) in [
        (
            "targets = [\"https://a.example\", \"https://b.example\"]",
            "2: controls.targets: wanted a list of 3 to 16 servers on different networks, such as [\"wss://a.example/\", \
             \"https://b.example/\", \"tcp://192.0.2.1:443\"], found 2",
        ),
        (
            "targets = [\"https://a.example\", \"ftp://b.example\", \"tcp://c.example:1\"]",
            "2: controls.targets[1]: wanted a URL with wss://, ws://, https:// or http://, or tcp://host:port; without user \
             and fragment, found \"ftp://b.example\"",
        ),
        (
            "targets = [\"https://a.example\", \"tcp://b.example\", \"tcp://c.example:1\"]",
            "2: controls.targets[1]: wanted a URL with wss://, ws://, https:// or http://, or tcp://host:port; without user \
             and fragment, found \"tcp://b.example\"",
        ),
        (
            "targets = [\"https://a.example\", \"https://a.example\", \"tcp://c.example:1\"]",
            "2: controls.targets[1]: wanted each target once, found \"https://a.example\"",
        ),
        (
            "every = \"1s\"",
            "2: controls.every: wanted a span with its unit between 5s and 5m, such as \"30s\", \"1m 30s\" or \"500ms\", \
             found \"1s\"",
        ),
        (
            "resolves_not = \"nothing.invalid\"",
            "2: controls.resolves_not: wanted a name that nameservers are asked for, which they are not for .invalid, .onion and \
             localhost, found \"nothing.invalid\"",
        ),
        (
            "resolves = \"192.0.2.1\"",
            "2: controls.resolves: wanted a name in DNS, such as \"example.com\", found \"192.0.2.1\"",
        ),
    ] {
        assert_eq!(parsed(&format!("[controls]\n{text}\n")).unwrap_err(), [faults], "{text}");
    }
}
