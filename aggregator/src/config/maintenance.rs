//! `[[maintenance]]`: stretches of time in which nobody is paged and no uptime is reckoned, once or every week.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{
    Timestamp, ToSpan as _,
    civil::{Time, Weekday},
    tz::TimeZone,
};
use quorate_proto::{Micros, MonitorId, WallMicros};
use quorate_quorum::uptime::Stretch;

use super::{
    Monitor,
    channels::own_id,
    document::{Item, Section},
    server::{title, unknown},
    spans::span,
};
use crate::{
    limits::{self, MAINTENANCE_LASTS_MAX as LASTS_MAX, MAINTENANCE_LASTS_MIN as LASTS_MIN},
    model::rfc3339,
};

/// One `[[maintenance]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct MaintenancePlan {
    /// Its id.
    pub id: String,
    /// What people call it; default: the id.
    pub name: String,
    /// What it is for; empty where that is not said.
    pub reason: String,
    /// The monitors that are maintained; none: all.
    pub monitors: Option<BTreeSet<MonitorId>>,
    /// When.
    pub times: MaintenanceTimes,
}

/// When a maintenance is.
#[derive(Clone, Debug, PartialEq)]
pub enum MaintenanceTimes {
    /// Once.
    Once(Stretch),
    /// Again and again, by the clocks of a place.
    Recurring {
        /// On which day of the week; none: on every day.
        day: Option<Weekday>,
        /// At which time of the day it begins. Where clocks are set forward over it, an hour later; where they are set
        /// back and it comes twice, the first time.
        at: Time,
        /// How long it lasts.
        lasts: Micros,
        /// Where.
        zone: TimeZone,
    },
}

impl MaintenancePlan {
    /// Whether it comes again.
    pub const fn recurs(&self) -> bool {
        matches!(self.times, MaintenanceTimes::Recurring { .. })
    }

    /// Its occurrences that have any part in a stretch of time, in order. The stretch should not be much longer than
    /// what may be asked for: a year of days is looked at one by one.
    pub fn occurrences(&self, within: Stretch) -> Vec<Stretch> {
        let meets = |one: &Stretch| one.from < within.to && one.to > within.from;
        match &self.times {
            MaintenanceTimes::Once(once) => Some(*once).into_iter().filter(meets).collect(),
            MaintenanceTimes::Recurring { day, at, lasts, zone } => {
                // One that began before may still be on; and a day more, whatever the zone.
                let earliest = within.from.before(*lasts).before(Micros::from_secs(86_400));
                let Ok(first) = Timestamp::from_microsecond(earliest.0) else { return Vec::new() };
                let first = first.to_zoned(zone.clone()).date();
                let begins = (0_i32..).map_while(|days| first.checked_add(days.days()).ok());
                let begins = begins.filter(|date| day.is_none_or(|day| date.weekday() == day));
                let starts = begins.map_while(|date| date.to_datetime(*at).to_zoned(zone.clone()).ok());
                let starts = starts.map(|start| WallMicros(start.timestamp().as_microsecond()));
                let stretches = starts.map(|from| Stretch { from, to: from.after(*lasts) });
                stretches.take_while(|one| one.from < within.to).filter(meets).collect()
            }
        }
    }
}

pub(super) fn maintenance(root: &Section<'_>, monitors: &[Monitor]) -> Vec<MaintenancePlan> {
    let mut plans = Vec::new();
    let mut lines = BTreeMap::new();
    for item in root.list("maintenance", "maintenance, each as a [[maintenance]] table") {
        if lines.len() == limits::MAINTENANCE_PLANS_MAX {
            item.refuse_for(format!("at most {} maintenance", limits::MAINTENANCE_PLANS_MAX), "one more");
            break;
        }
        let Some(section) = item.section() else { continue };
        plans.extend(plan(&section, monitors, &mut lines));
        section.close();
    }
    plans
}

fn plan(
    section: &Section<'_>,
    monitors: &[Monitor],
    lines: &mut BTreeMap<String, usize>,
) -> Option<MaintenancePlan> {
    let id = own_id(section, "maintenance", lines);
    let name = section.get("name").and_then(|item| title(&item));
    let reason = section.get("reason").and_then(|item| title(&item)).unwrap_or_default();
    let monitors = concerned(section, monitors);
    let times = if section.has("every") { recurring(section) } else { once(section) };
    let id = id?;
    Some(MaintenancePlan { name: name.unwrap_or_else(|| id.clone()), id, reason, monitors, times: times? })
}

/// `monitors`, each of which must be there; none where all are meant.
fn concerned(section: &Section<'_>, monitors: &[Monitor]) -> Option<BTreeSet<MonitorId>> {
    let list = section.get("monitors")?;
    let items = list.list("a list of ids of monitors; without it, all are maintained")?;
    if items.is_empty() {
        list.refuse_for("at least one monitor, or no such key: then all are maintained", "none");
    }
    let mut concerned = BTreeSet::new();
    for item in items {
        let Some(word) = item.text("the id of a monitor") else { continue };
        match monitors.iter().find(|monitor| monitor.spec.id.as_str() == word) {
            Some(monitor) => {
                concerned.insert(monitor.spec.id.clone());
            }
            None => {
                let known = monitors.iter().map(|monitor| monitor.spec.id.as_str());
                unknown(&item, "monitor", &word, known);
            }
        }
    }
    Some(concerned)
}

fn once(section: &Section<'_>) -> Option<MaintenanceTimes> {
    let from = section
        .require("from", "when it begins, as RFC 3339; or every, at and for")
        .map(|item| moment(&item));
    let until = section.require("until", "when it ends, as RFC 3339").map(|item| (moment(&item), item));
    for key in ["at", "for", "zone"] {
        if let Some(item) = section.get(key) {
            item.refuse_for(
                "no such key beside from and until: it belongs to a recurring one, with every",
                key,
            );
        }
    }
    let (from, (until, item)) = (from??, until?);
    let stretch = Stretch { from, to: until? };
    if !(LASTS_MIN..=LASTS_MAX).contains(&stretch.lasts()) {
        item.refuse(format!("an end between {LASTS_MIN} and 30d after from"));
        return None;
    }
    Some(MaintenanceTimes::Once(stretch))
}

fn moment(item: &Item<'_>) -> Option<WallMicros> {
    const WANTED: &str =
        "a moment as RFC 3339, such as \"2026-12-24T22:00:00Z\" or \"2026-12-24T23:00:00+01:00\"";
    let moment = rfc3339::parse(&item.text(WANTED)?);
    if moment.is_none() {
        item.refuse(WANTED);
    }
    moment
}

fn recurring(section: &Section<'_>) -> Option<MaintenanceTimes> {
    let day = section.get("every").and_then(|item| every(&item));
    let at = section.require("at", "at which time of the day it begins, such as \"02:00\"");
    let at = at.and_then(|item| clock_time(&item));
    // What lasts for more than half of the time is no maintenance.
    let longest = if day == Some(None) { Micros::from_secs(86_400) } else { Micros::from_secs(7 * 86_400) };
    let lasts = section.require("for", "how long it lasts, such as \"1h\"");
    let lasts = lasts.and_then(|item| span(&item, LASTS_MIN..=Micros(longest.0 / 2)));
    let zone = section.get("zone").map_or(Some(TimeZone::UTC), |item| place(&item));
    for key in ["from", "until"] {
        if let Some(item) = section.get(key) {
            item.refuse_for("either from and until, or every, at and for", "both");
        }
    }
    Some(MaintenanceTimes::Recurring { day: day?, at: at?, lasts: lasts?, zone: zone? })
}

/// A day of the week; none within for every day.
fn every(item: &Item<'_>) -> Option<Option<Weekday>> {
    const WANTED: &str = "\"day\", or a day of the week such as \"sunday\"";
    const DAYS: [(&str, Weekday); 7] = [
        ("monday", Weekday::Monday),
        ("tuesday", Weekday::Tuesday),
        ("wednesday", Weekday::Wednesday),
        ("thursday", Weekday::Thursday),
        ("friday", Weekday::Friday),
        ("saturday", Weekday::Saturday),
        ("sunday", Weekday::Sunday),
    ];
    let word = item.text(WANTED)?.to_lowercase();
    let day = DAYS.into_iter().find(|(name, _)| *name == word).map(|(_, day)| Some(day));
    let day = day.or((word == "day").then_some(None));
    if day.is_none() {
        item.refuse(WANTED);
    }
    day
}

fn clock_time(item: &Item<'_>) -> Option<Time> {
    const WANTED: &str = "a time of the day, such as \"02:00\"";
    let text = item.text(WANTED)?;
    let time = text.split_once(':').and_then(|(hour, minute)| {
        let number = |digits: &str| (digits.len() == 2).then(|| digits.parse::<i8>().ok()).flatten();
        Time::new(number(hour)?, number(minute)?, 0, 0).ok()
    });
    if time.is_none() {
        item.refuse(WANTED);
    }
    time
}

fn place(item: &Item<'_>) -> Option<TimeZone> {
    const WANTED: &str = "the name of a time zone, such as \"Europe/Berlin\"";
    let zone = TimeZone::get(&item.text(WANTED)?).ok();
    if zone.is_none() {
        item.refuse(WANTED);
    }
    zone
}
