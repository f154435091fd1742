//! `[[maintenance]]`, and when what recurs comes again.

use quorate_proto::{Micros, WallMicros};
use quorate_quorum::uptime::Stretch;

use super::{MaintenancePlan, MaintenanceTimes, parsed};
use crate::model::rfc3339;

const MONITORS: &str = "[[monitors]]\nid = \"shop\"\nurl = \"wss://a.example\"\n[[monitors]]\nid = \"chat\"\nurl = \"wss://b.example\"\n[[maintenance]]\nid = \"m\"\n";

fn plan(lines: &str) -> MaintenancePlan {
    let loaded = parsed(&format!("{MONITORS}{lines}")).unwrap();
    let [plan] = loaded.config.maintenance.try_into().unwrap();
    plan
}

fn at(text: &str) -> WallMicros {
    rfc3339::parse(text).unwrap()
}

/// When a plan's occurrences begin in a stretch, and how long each lasts, in hours.
fn occurrences(lines: &str, from: &str, to: &str) -> Vec<(String, f64)> {
    let within = Stretch { from: at(from), to: at(to) };
    let of = |one: &Stretch| (rfc3339::text(one.from)[..16].to_owned(), one.lasts().as_secs_f64() / 3_600.0);
    plan(lines).occurrences(within).iter().map(of).collect()
}

#[test]
fn once_is_a_stretch_of_time() {
    let plan = plan(
        "name = \"Move\"\nreason = \"a new data centre\"\nmonitors = [\"shop\"]\nfrom = \"2026-12-24T22:00:00Z\"\n\
         until = \"2026-12-25T00:00:00+01:00\"\n",
    );
    assert_eq!(
        (plan.name.as_str(), plan.reason.as_str(), plan.recurs()),
        ("Move", "a new data centre", false)
    );
    assert_eq!(plan.monitors, Some(["shop".parse().unwrap()].into()));
    let MaintenanceTimes::Once(stretch) = plan.times else { panic!("it recurs") };
    assert_eq!((stretch.from, stretch.lasts()), (at("2026-12-24T22:00:00Z"), Micros::from_secs(3_600)));
}

#[test]
fn what_recurs_goes_by_the_clocks_of_its_place() {
    let sundays = "every = \"sunday\"\nat = \"02:00\"\nfor = \"1h\"\nzone = \"Europe/Berlin\"\n";
    let hour = |begin: &str| (begin.to_owned(), 1.0);
    assert_eq!(
        occurrences(sundays, "2026-11-20T00:00:00Z", "2026-12-04T00:00:00Z"),
        [hour("2026-11-22T01:00"), hour("2026-11-29T01:00")]
    );
    // In summer two o'clock is midnight in UTC; and on the day on which there is no two o'clock it is three.
    assert_eq!(
        occurrences(sundays, "2026-03-22T00:00:00Z", "2026-04-06T00:00:00Z"),
        [hour("2026-03-22T01:00"), hour("2026-03-29T01:00"), hour("2026-04-05T00:00")]
    );
    // It comes once on the day that has two of it, the first time.
    assert_eq!(
        occurrences(sundays, "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z"),
        [hour("2026-10-25T00:00")]
    );
    // One that is on at the beginning is there; one that is just over is not.
    assert_eq!(
        occurrences(sundays, "2026-11-22T01:59:59Z", "2026-11-22T03:00:00Z"),
        [hour("2026-11-22T01:00")]
    );
    assert_eq!(occurrences(sundays, "2026-11-22T02:00:00Z", "2026-11-22T03:00:00Z"), []);
    let daily = "every = \"day\"\nat = \"23:30\"\nfor = \"90m\"\n";
    assert_eq!(
        occurrences(daily, "2026-11-22T00:30:00Z", "2026-11-23T00:00:00Z"),
        [("2026-11-21T23:30".to_owned(), 1.5), ("2026-11-22T23:30".to_owned(), 1.5)]
    );
    assert_eq!(plan(daily).monitors, None);
}

#[test]
fn bad_maintenance_gets_its_faults() {
    let faults = |lines: &str| parsed(&format!("{MONITORS}{lines}")).unwrap_err().join("\n");
    let once = "from = \"2026-12-24T22:00:00Z\"\nuntil = \"2026-12-24T23:00:00Z\"\n";
    for (lines, wanted) in [
        ("", "7: maintenance[0].from: wanted when it begins"),
        ("from = \"tomorrow\"\nuntil = \"2026-12-24T23:00:00Z\"", "2026-12-24T22:00:00Z"),
        ("from = \"2026-12-24T22:00:00Z\"\nuntil = \"2026-12-24T21:00:00Z\"", "an end between"),
        ("every = \"sundy\"\nat = \"02:00\"\nfor = \"1h\"", "a day of the week such as"),
        ("every = \"sunday\"\nat = \"25:00\"\nfor = \"1h\"", "a time of the day"),
        ("every = \"sunday\"\nat = \"2\"\nfor = \"1h\"", "a time of the day"),
        ("every = \"day\"\nat = \"02:00\"\nfor = \"20h\"", "between 60s and 12h"),
        ("every = \"sunday\"\nat = \"02:00\"\nfor = \"1h\"\nzone = \"Mars\"", "\"Europe/Berlin\""),
        ("every = \"sunday\"\nat = \"02:00\"", "maintenance[0].for: wanted how long"),
        ("every = \"sunday\"\nat = \"02:00\"\nfor = \"1h\"\nuntil = \"x\"", "either from and until"),
        (&format!("{once}zone = \"UTC\""), "belongs to a recurring one"),
        (&format!("{once}monitors = [\"shp\"]"), "perhaps \"shop\""),
        (&format!("{once}monitors = []"), "at least one monitor"),
        (&format!("{once}reson = \"x\""), "perhaps \"reason\""),
        (&format!("{once}[[maintenance]]\nid = \"m\"\n{once}"), "an id that no other maintenance has"),
    ] {
        let found = faults(lines);
        assert!(found.contains(wanted), "{lines}\ngives {found}");
    }
}
