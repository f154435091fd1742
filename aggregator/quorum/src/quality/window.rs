//! The round trips of one region over a while that moves on: counted by slot of time and bucket, so that what is old can
//! be forgotten a tenth of the window at a time.

use quorate_proto::{Micros, MonitorId};

use super::sketch::{Bucket, Sketch};
use crate::Moment;

/// Slots of a window. A decision is that much of a window late at most.
const SLOTS: u32 = 10;

/// Slots and buckets of one region's window that are counted apart, 32 KiB. A path whose round trips scatter over a factor
/// of ten fills 200 buckets a slot; what scatters more than this many allow is not counted.
const ENTRIES_MAX: usize = 4_096;

/// Where the slots of one monitor begin. Each monitor has its own phase, so that not all are looked at in one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slots {
    length: Micros,
    phase: Micros,
}

/// The round trips of one region.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    /// In order of slot and bucket.
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    slot: u32,
    bucket: Bucket,
    count: u16,
}

impl Slots {
    pub(super) fn new(over: Micros, monitor: &MonitorId) -> Self {
        let length = Micros((over / u64::from(SLOTS)).0.max(1));
        // FNV-1a: any hash that is the same everywhere.
        let hash = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = monitor.as_str().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, hash);
        Self { length, phase: Micros(hash.checked_rem(length.0).unwrap_or(0)) }
    }

    /// The number of the slot of a moment.
    pub(super) fn of(self, at: Moment) -> u32 {
        let number = at.after(self.phase).0.checked_div(self.length.0).unwrap_or(0);
        u32::try_from(number).unwrap_or(u32::MAX)
    }

    /// When the slot of a moment is over.
    pub(super) fn end(self, at: Moment) -> Moment {
        Moment((u64::from(self.of(at)) + 1).saturating_mul(self.length.0)).before(self.phase)
    }
}

impl Window {
    pub(super) fn add(&mut self, slot: u32, span: Micros, times: u16) {
        let bucket = Bucket::of(span);
        match self.entries.binary_search_by_key(&(slot, bucket), |entry| (entry.slot, entry.bucket)) {
            Ok(index) => {
                if let Some(entry) = self.entries.get_mut(index) {
                    entry.count = entry.count.saturating_add(times);
                }
            }
            Err(index) if self.entries.len() < ENTRIES_MAX => {
                self.entries.insert(index, Entry { slot, bucket, count: times });
            }
            Err(_) => {}
        }
    }

    /// Forgets what is older than the window that ends where `slot` begins.
    pub(super) fn move_to(&mut self, slot: u32) {
        let first = slot.saturating_sub(SLOTS);
        let gone = self.entries.partition_point(|entry| entry.slot < first);
        if gone > 0 {
            self.entries.drain(..gone);
            // A window shrinks when its region falls silent, and grows again by itself.
            if self.entries.capacity() > 4 * self.entries.len() + 16 {
                self.entries.shrink_to_fit();
            }
        }
    }

    /// The window that ends where `slot` begins.
    pub(super) fn sketch(&self, slot: u32) -> Sketch {
        let mut sketch = Sketch::default();
        let first = slot.saturating_sub(SLOTS);
        for entry in self.entries.iter().filter(|entry| (first..slot).contains(&entry.slot)) {
            sketch.count_in(entry.bucket, u64::from(entry.count));
        }
        sketch
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.entries = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_window_is_forgotten_slot_by_slot() {
        let slots = Slots::new(Micros::from_secs(300), &"shop".parse().unwrap());
        let begin = slots.end(Moment(1_795_371_120_000_000));
        let at = |second| begin.after(Micros::from_secs(second));
        let mut window = Window::default();
        for second in 0..300 {
            window.add(slots.of(at(second)), Micros::from_millis(second), 1);
        }
        let counted = |window: &Window, second| window.sketch(slots.of(at(second))).count();
        assert_eq!(counted(&window, 299), 270, "the slot that runs is not looked at");
        assert_eq!(counted(&window, 300), 300);
        assert_eq!(slots.end(at(300)), at(330));
        window.move_to(slots.of(at(330)));
        assert_eq!(counted(&window, 330), 270);
        window.move_to(slots.of(at(599)));
        assert_eq!(counted(&window, 599), 30);
        window.move_to(slots.of(at(600)));
        assert!(window.is_empty());
    }

    /// A window gives back what it does not need any more, and keeps what it soon will.
    #[test]
    fn a_window_that_was_full_shrinks() {
        for (left, shrinks) in [(0, true), (100, true), (1_500, false)] {
            let mut window = Window::default();
            for number in 0..ENTRIES_MAX as u64 - left {
                window.add(0, Micros(number * number * number), 1);
            }
            let before = window.entries.capacity();
            for number in 0..left {
                window.add(20, Micros(number * number * number), 1);
            }
            let before = before.max(window.entries.capacity());
            let kept = window.entries.iter().filter(|entry| entry.slot == 20).count();
            window.move_to(20);
            assert_eq!(window.entries.len(), kept);
            assert_eq!(window.entries.capacity() < before, shrinks, "{kept} of {before}");
        }
    }

    #[test]
    fn a_window_is_bounded_whatever_an_agent_says() {
        let mut window = Window::default();
        for number in 0..100_000_u64 {
            window.add(u32::try_from(number % 10).unwrap(), Micros(number * number), u16::MAX);
        }
        assert!(window.entries.len() <= ENTRIES_MAX);
        assert_eq!(size_of::<Entry>(), 8);
    }
}
