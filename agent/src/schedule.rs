//! When which monitor is checked. Pure: the time is an argument.
//!
//! Each monitor has a grid on the wall clock: slot *i* of *n* starts at `i * T / n` into every interval `T`, plus an offset
//! hashed from the monitor's id. The offset is the same everywhere, so that regions stay apart by `T / n`, and monitors
//! do not all start at once. The wall clock chooses the grid and nothing else: how long to wait is reckoned on the clock
//! that never jumps. A check is due at the first grid point that is more than `T / 2` after the last start, so that
//! whatever the wall clock does, two starts are between `T / 2` and `3 T / 2` apart (and by what a start was late).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use quorate_proto::{Assignment, Digest, Micros, MonitorId, MonitorSpec, Slot, WallMicros};

use crate::{clock::Tick, limits};

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// On the clock that measures spans.
    pub tick: Tick,
    /// On the wall clock.
    pub wall: WallMicros,
}

/// A check that is to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// What to check.
    pub spec: Arc<MonitorSpec>,
    /// The revision of the assignments.
    pub revision: u64,
    /// How late it is.
    pub lag: Micros,
}

/// What is assigned, and when each of it is due.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    revision: u64,
    monitors: BTreeMap<MonitorId, Entry>,
    queue: BTreeSet<(Tick, MonitorId)>,
    skipped: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    spec: Arc<MonitorSpec>,
    slot: Slot,
    offset: u64,
    due: Tick,
    last_start: Option<Tick>,
    running: bool,
}

impl Schedule {
    /// Replaces all assignments. A monitor that stays, with its interval and slot, keeps its turn.
    pub fn set(&mut self, revision: u64, assignments: Vec<Assignment>, now: Moment) {
        let kept: BTreeSet<MonitorId> =
            assignments.iter().map(|assignment| assignment.spec.id.clone()).collect();
        let gone: Vec<MonitorId> = self.monitors.keys().filter(|id| !kept.contains(*id)).cloned().collect();
        self.change(revision, assignments, &gone, now);
    }

    /// Changes some assignments.
    pub fn change(&mut self, revision: u64, changed: Vec<Assignment>, removed: &[MonitorId], now: Moment) {
        self.revision = revision;
        for id in removed {
            if let Some(entry) = self.monitors.remove(id) {
                self.queue.remove(&(entry.due, id.clone()));
            }
        }
        for assignment in changed {
            self.assign(assignment, now);
        }
    }

    /// The check that has been due for longest, if any is. Its monitor's next turn is set, so each due check is given
    /// once. A monitor whose former check still runs misses its turn.
    pub fn take_due(&mut self, now: Moment) -> Option<Due> {
        loop {
            let (due, _) = self.queue.first().filter(|(due, _)| *due <= now.tick)?;
            let lag = now.tick.since(*due);
            let (_, id) = self.queue.pop_first()?;
            let Some(entry) = self.monitors.get_mut(&id) else { continue };
            let missed = entry.running;
            entry.running = true;
            entry.last_start = Some(now.tick);
            entry.due = entry.next_turn(now);
            self.queue.insert((entry.due, id));
            if missed {
                self.skipped += 1;
                continue;
            }
            return Some(Due { spec: Arc::clone(&entry.spec), revision: self.revision, lag });
        }
    }

    /// A check that [`Schedule::take_due`] gave is over.
    pub fn finish(&mut self, monitor: &MonitorId) {
        if let Some(entry) = self.monitors.get_mut(monitor) {
            entry.running = false;
        }
    }

    /// When the next check is due.
    pub fn deadline(&self) -> Option<Tick> {
        self.queue.first().map(|(due, _)| *due)
    }

    /// What is assigned under this id.
    pub fn spec(&self, monitor: &MonitorId) -> Option<&Arc<MonitorSpec>> {
        self.monitors.get(monitor).map(|entry| &entry.spec)
    }

    /// All that is assigned, by id.
    pub fn assignments(&self) -> impl Iterator<Item = Assignment> + '_ {
        self.monitors
            .values()
            .map(|entry| Assignment { spec: MonitorSpec::clone(&entry.spec), slot: entry.slot })
    }

    /// What is assigned, by id.
    pub fn specs(&self) -> impl Iterator<Item = &Arc<MonitorSpec>> {
        self.monitors.values().map(|entry| &entry.spec)
    }

    /// The revision of the assignments.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Monitors assigned.
    pub fn len(&self) -> usize {
        self.monitors.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.monitors.is_empty()
    }

    /// Turns missed since the start because the former check still ran.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    fn assign(&mut self, assignment: Assignment, now: Moment) {
        let Assignment { spec, slot } = assignment;
        let id = spec.id.clone();
        let offset = offset(&id);
        let mut entry = Entry {
            spec: Arc::new(spec),
            slot,
            offset,
            due: Tick::default(),
            last_start: None,
            running: false,
        };
        let former = self.monitors.remove(&id);
        if let Some(former) = &former {
            self.queue.remove(&(former.due, id.clone()));
            entry.last_start = former.last_start;
            entry.running = former.running;
        }
        entry.due = match former {
            Some(former) if former.spec.interval == entry.spec.interval && former.slot == slot => former.due,
            Some(Entry { last_start: Some(last_start), .. }) => entry.turn_after(last_start, now),
            Some(_) | None => entry.first_turn(now),
        };
        self.queue.insert((entry.due, id.clone()));
        self.monitors.insert(id, entry);
    }
}

impl Entry {
    /// The first check of a new monitor comes on its grid, and within [`limits::FIRST_CHECK_WITHIN`] of long intervals.
    fn first_turn(&self, now: Moment) -> Tick {
        let wait = self.wait_for_grid(now.wall);
        now.tick.after(Micros(wait.0 % limits::FIRST_CHECK_WITHIN.0))
    }

    fn next_turn(&self, start: Moment) -> Tick {
        self.turn_after(start.tick, start)
    }

    /// The first grid point that is more than half an interval after the last start. Where the grid was moved in the
    /// middle of a turn and that is too long a pause, the check comes between two points for once.
    fn turn_after(&self, last_start: Tick, now: Moment) -> Tick {
        let earliest = last_start.after(self.spec.interval / 2 + Micros(1)).max(now.tick);
        let wall = now.wall.after(earliest.since(now.tick));
        let latest = last_start.after(self.spec.interval * 3 / 2).max(now.tick);
        earliest.after(self.wait_for_grid(wall)).min(latest)
    }

    /// From a wall clock's reading to the next grid point; zero on one.
    fn wait_for_grid(&self, wall: WallMicros) -> Micros {
        let interval = i128::from(self.spec.interval.0.max(1));
        let slots = i128::from(self.slot.of.max(1));
        let phase = i128::from(self.slot.index) * interval / slots + i128::from(self.offset);
        let wait = (phase - i128::from(wall.0)).rem_euclid(interval);
        Micros(u64::try_from(wait).unwrap_or(0))
    }
}

/// A monitor's offset: the same in every region and every release.
fn offset(monitor: &MonitorId) -> u64 {
    let [a, b, c, d, ..] = Digest::of(monitor.as_str().as_bytes()).0;
    // Micros, up to 71 minutes: more than the longest interval.
    u64::from(u32::from_be_bytes([a, b, c, d]))
}

#[cfg(test)]
mod tests;
