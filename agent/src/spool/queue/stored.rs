//! The disk's side of the queue: what is to be written, read and deleted, and what a start found.

use std::{collections::BTreeMap, sync::Arc};

use quorate_proto::{Gap, GapCause, Sequence, SignedUnit, unit::Content};

use super::{Body, Entry, Key, Location, Queue, Write};
use crate::{clock::Tick, limits};

impl Queue {
    /// Since when something waits to be written, and how many bytes of it there are.
    pub(in crate::spool) fn pending(&self) -> Option<(Tick, usize)> {
        self.pending_since.map(|since| (since, self.pending_bytes))
    }

    /// The oldest units that are not on disk, about so many bytes of them and at least one.
    pub(in crate::spool) fn writes(&self, bytes_max: usize) -> Vec<Write> {
        let mut bytes = 0;
        let mut writes = Vec::new();
        for key in &self.pending {
            let Some(entry) = self.entries.get(key) else { continue };
            let (unit, results) = match &entry.body {
                Body::Batch { bytes: Some(unit), results, .. } => (Arc::clone(unit), *results),
                Body::Batch { bytes: None, .. } => continue,
                Body::Gap(gap) => match self.sign_gap(*key, entry.previous, *gap) {
                    Some(unit) => (unit, 0),
                    None => continue,
                },
            };
            bytes += unit.len();
            writes.push(Write { key: *key, unit, results, stamp: entry.stamp });
            if bytes >= bytes_max {
                break;
            }
        }
        writes
    }

    /// A unit is on disk, and will be after a power cut.
    pub(in crate::spool) fn written(&mut self, write: &Write, location: Location) {
        let Some(entry) = self.entries.get_mut(&write.key).filter(|entry| entry.stamp == write.stamp) else {
            return;
        };
        entry.location = Some(location);
        if self.pending.remove(&write.key)
            && let Body::Batch { bytes, .. } = &mut entry.body
        {
            self.pending_bytes = self.pending_bytes.saturating_sub(write.unit.len());
            if self.cached_bytes + write.unit.len() > limits::SPOOL_CACHE_BYTES_MAX {
                *bytes = None;
            } else {
                self.cached_bytes += write.unit.len();
            }
        }
        self.segments.entry(location.segment).or_default().live += 1;
        if self.pending.is_empty() {
            self.pending_since = None;
        }
    }

    /// Where the unit that was asked for stands, and those behind it that are on disk alone. None where nothing was
    /// asked for; empty where it is not needed any more.
    pub(in crate::spool) fn reads(&mut self, bytes_max: usize) -> Option<Vec<(Key, Location)>> {
        let wanted = self.wanted.take()?;
        let mut reads = Vec::new();
        let mut bytes = 0;
        for (key, entry) in self.entries.range(wanted..) {
            match (&entry.body, entry.location) {
                (Body::Batch { bytes: None, .. }, Some(location)) if bytes < bytes_max && !entry.handed => {
                    bytes += location.bytes;
                    reads.push((*key, location));
                }
                (Body::Batch { .. } | Body::Gap(_), _) => break,
            }
        }
        Some(reads)
    }

    /// A unit was read from disk.
    pub(in crate::spool) fn loaded(&mut self, key: Key, unit: &[u8]) {
        if let Some(Entry { body: Body::Batch { bytes: bytes @ None, .. }, .. }) = self.entries.get_mut(&key)
        {
            *bytes = Some(unit.into());
            self.cached_bytes += unit.len();
        }
    }

    /// A unit could not be read from disk.
    pub(in crate::spool) fn unreadable(&mut self, key: Key, now: Tick) {
        let gone =
            self.entries.get(&key).is_some_and(|entry| matches!(entry.body, Body::Batch { bytes: None, .. }));
        if gone {
            self.counts.records_torn += 1;
            self.lose(key, GapCause::SpoolDamaged, now);
        }
    }

    /// A segment has so many bytes.
    pub(in crate::spool) fn segment_has(&mut self, segment: u64, bytes: u64) {
        self.segments.entry(segment).or_default().bytes = bytes;
    }

    /// A segment's file is gone, or was never made.
    pub(in crate::spool) fn segment_gone(&mut self, segment: u64) {
        self.segments.remove(&segment);
    }

    /// Segments of which nothing is needed any more.
    pub(in crate::spool) fn dead_segments(&self) -> Vec<(u64, u64)> {
        let dead = self.segments.iter().filter(|(_, segment)| segment.live == 0);
        dead.map(|(id, segment)| (*id, segment.bytes)).collect()
    }

    /// Gives up oldest segments until all others have at most so many bytes: their batches become gaps. The files are
    /// the caller's to delete.
    pub(in crate::spool) fn make_room(&mut self, bytes_max: u64, now: Tick) -> Vec<u64> {
        let mut doomed = Vec::new();
        while self.disk_bytes() > bytes_max
            && let Some((&oldest, _)) = self.segments.first_key_value()
        {
            let inside = |entry: &Entry| entry.location.is_some_and(|location| location.segment == oldest);
            let keys: Vec<Key> =
                self.entries.iter().filter(|(_, entry)| inside(entry)).map(|(key, _)| *key).collect();
            for key in keys {
                if self.is_batch(&key) {
                    self.lose(key, GapCause::SpoolFull, now);
                } else {
                    self.unwritten(key, now);
                }
            }
            self.segments.remove(&oldest);
            doomed.push(oldest);
        }
        doomed
    }

    /// Takes up a unit found on disk. A gap takes the place of what it covers.
    pub(in crate::spool) fn restore(&mut self, unit: &SignedUnit, results: u32, location: Location) {
        let place = *unit.place();
        let key = (place.epoch, place.sequence);
        let body = match unit.as_bytes().first() {
            Some(2) => match unit.content() {
                Ok(Content::Gap(gap)) => Body::Gap(gap),
                Ok(Content::Batch(_)) | Err(_) => return,
            },
            _ => Body::Batch { bytes: None, digest: unit.digest(), results, signed_at: None },
        };
        if let Body::Gap(gap) = &body {
            let covered: Vec<Key> =
                self.entries.range(key..(place.epoch, gap.resume)).map(|(key, _)| *key).collect();
            for key in covered {
                self.remove(key);
            }
        }
        self.remove(key);
        self.insert(key, body, place.previous, Some(location), Tick::default());
    }

    /// Puts gaps where damaged records were: in front of each of these units, with the results that were lost.
    pub(in crate::spool) fn fill_holes(&mut self, lost: &BTreeMap<Key, u64>, now: Tick) {
        for (key, results) in lost {
            let Some(resume_previous) = self.entries.get(key).map(|entry| entry.previous) else { continue };
            let before = self.entries.range((key.0, Sequence(0))..*key).next_back();
            let (start, previous) =
                before.map_or_else(Default::default, |(before, entry)| entry.end(*before));
            if start < key.1 {
                let gap =
                    Gap { resume: key.1, resume_previous, results: *results, cause: GapCause::SpoolDamaged };
                self.insert((key.0, start), Body::Gap(gap), previous, None, now);
            }
        }
    }
}
