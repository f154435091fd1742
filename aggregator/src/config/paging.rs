//! `[paging]`, and `depends_on` of monitors: whom to tell, and when not.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use quorate_proto::{Micros, MonitorId, limits};
use quorate_quorum::PagingSettings;

use super::{
    Monitor,
    document::{Item, Section},
    server::unknown,
    spans::span,
};

/// Told at once, up to a quarter of an hour, in which a machine has surely started.
const OFFLINE_PATIENCE_BOUNDS: RangeInclusive<Micros> = Micros::ZERO..=Micros::from_secs(900);
/// A page goes out within 60 s of a fault: 23 s until it is decided, and no more than this.
const FLEET_HOLD_BOUNDS: RangeInclusive<Micros> = Micros::ZERO..=Micros::from_secs(15);
/// Flapping ends after ten stable minutes: a digest that came more often would say nothing new.
const FLAPPING_DIGEST_BOUNDS: RangeInclusive<Micros> = Micros::from_secs(600)..=Micros::from_secs(86_400);
/// From one check and its evidence up to the ten minutes after which flapping is over.
const FLAPPING_OUTAGE_BOUNDS: RangeInclusive<Micros> = Micros::from_secs(30)..=Micros::from_secs(600);

pub(super) fn settings(root: &Section<'_>) -> PagingSettings {
    let section = root.section("paging");
    let base = PagingSettings::default();
    let spanned = |key, bounds| section.get(key).and_then(|item| span(&item, bounds));
    let settings = PagingSettings {
        offline_patience: spanned("offline_patience", OFFLINE_PATIENCE_BOUNDS)
            .unwrap_or(base.offline_patience),
        fleet_share: section.get("fleet_share").and_then(|item| share(&item)).unwrap_or(base.fleet_share),
        fleet_hold: spanned("fleet_hold", FLEET_HOLD_BOUNDS).unwrap_or(base.fleet_hold),
        flapping: section.get("flapping").and_then(|item| item.boolean()).unwrap_or(base.flapping),
        flapping_digest: spanned("flapping_digest", FLAPPING_DIGEST_BOUNDS).unwrap_or(base.flapping_digest),
        flapping_outage: spanned("flapping_outage", FLAPPING_OUTAGE_BOUNDS).unwrap_or(base.flapping_outage),
    };
    section.close();
    settings
}

/// What monitors say that they depend on, with the places where they do.
#[derive(Default)]
pub(super) struct Family<'d> {
    parents: BTreeMap<String, Vec<(String, Item<'d>)>>,
}

impl<'d> Family<'d> {
    /// Reads `depends_on` of a monitor.
    pub(super) fn read(&mut self, section: &Section<'d>) {
        let Some(list) = section.get("depends_on") else { return };
        let items = list.list("a list of monitor ids, such as [\"gateway\"]").unwrap_or_default();
        let Some(child) = section.get("id").and_then(|item| item.value().as_str()) else { return };
        let parents = self.parents.entry(child.to_owned()).or_default();
        for item in items {
            let Some(parent) = item.text("a monitor's id") else { continue };
            if parents.iter().any(|(known, _)| *known == parent) {
                item.refuse("each monitor once");
            } else {
                parents.push((parent, item));
            }
        }
    }

    /// Refuses what is unknown and what depends on itself, and gives every monitor its parents. `known` are the ids that
    /// stand in the file: a reference to a monitor with a fault is no fault of its own.
    pub(super) fn settle(self, monitors: &mut [Monitor], known: &BTreeSet<String>) {
        for (child, parents) in &self.parents {
            for (parent, item) in parents {
                if parent == child {
                    item.refuse("another monitor than itself");
                } else if !known.contains(parent) {
                    let others = known.iter().filter(|known| *known != child).map(String::as_str);
                    unknown(item, "monitor", parent, others);
                }
            }
        }
        self.refuse_cycles();
        let channels = monitors
            .iter()
            .map(|monitor| (monitor.spec.id.to_string(), monitor.channels.clone()))
            .collect::<BTreeMap<_, _>>();
        for monitor in monitors {
            let Some(parents) = self.parents.get(monitor.spec.id.as_str()) else { continue };
            for (parent, item) in parents {
                let Some(heard) = channels.get(parent) else { continue };
                let deaf = monitor.channels.iter().filter(|channel| !heard.contains(channel));
                let deaf = deaf.map(String::as_str).collect::<Vec<_>>().join(", ");
                if !deaf.is_empty() {
                    item.warn(format!(
                        "while \"{parent}\" is down this monitor is not paged, and \"{parent}\" is not told to: {deaf}"
                    ));
                }
            }
            monitor.depends_on =
                parents.iter().filter_map(|(parent, _)| parent.parse::<MonitorId>().ok()).collect();
        }
    }

    /// Refuses every cycle, once, where it is closed.
    fn refuse_cycles(&self) {
        let mut done = BTreeSet::new();
        for child in self.parents.keys() {
            self.walk(child, &mut done);
        }
    }

    /// Looks at all ancestors of a monitor, without recursion: a chain may be as long as there are monitors.
    fn walk<'s>(&'s self, from: &'s str, done: &mut BTreeSet<&'s str>) {
        let mut way: Vec<(&str, usize)> = vec![(from, 0)];
        while let Some((child, next)) = way.last_mut() {
            let child = *child;
            let parent = self.parents.get(child).and_then(|parents| parents.get(*next));
            *next += 1;
            let Some((parent, item)) = parent.filter(|_| !done.contains(child)) else {
                done.insert(child);
                way.pop();
                continue;
            };
            match way.iter().position(|(known, _)| known == parent) {
                Some(_) if parent == child => {}
                Some(start) => {
                    let names = way.iter().skip(start).map(|(name, _)| *name).chain([parent.as_str()]);
                    let names = names.take(CYCLE_SHOWN_MAX).collect::<Vec<_>>().join(" -> ");
                    item.refuse_for("no cycle of monitors that depend on one another", names);
                }
                None => way.push((parent, 0)),
            }
        }
    }
}

/// Monitors of a cycle that are named; a longer one is cut.
const CYCLE_SHOWN_MAX: usize = 12;

const _: () = assert!(CYCLE_SHOWN_MAX <= limits::MONITORS_PER_AGENT_MAX);

/// Of all monitors, in percent.
fn share(item: &Item<'_>) -> Option<u8> {
    const WANTED: &str = "a share of all monitors in percent, 1 to 100 (100: never)";
    let share =
        item.integer().and_then(|share| u8::try_from(share).ok()).filter(|share| (1..=100).contains(share));
    if share.is_none() {
        item.refuse(WANTED);
    }
    share
}
