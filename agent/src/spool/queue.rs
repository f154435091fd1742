//! What the spool holds, in order, and what becomes of it: pure bookkeeping under the spool's lock.
//!
//! Every unit that is not acknowledged has an entry here, by epoch and sequence number. Its bytes are in memory, on
//! disk, or both. A batch that has to go without an acknowledgement leaves a gap behind: an entry that says, signed,
//! what is missing. Neighbouring gaps grow together, except one that is on its way.
//!
//! What is handed out on one connection has no holes: where units are missing that were acknowledged once, a gap over
//! them goes ahead. An aggregator that has them answers that it is stored already; one that was restored from an older
//! copy would otherwise wait for ever for units that this agent was told to forget.

mod stored;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use quorate_proto::{
    AggregatorKey, BootEpoch, Digest, Gap, GapCause, Sequence, SignedUnit, SigningKey,
    frame::AckVerdict,
    unit::{Content, Place},
};

use super::{Counts, Parcel};
use crate::{clock::Tick, limits};

pub(super) type Key = (BootEpoch, Sequence);

/// Where a record stands on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) segment: u64,
    pub(super) offset: u64,
    pub(super) bytes: usize,
}

/// What the uplink gets when it asks for more.
#[derive(Debug)]
pub(super) enum Next {
    Parcel(Parcel),
    /// The next unit is on disk: it was asked for, and its arrival will be told.
    OnDisk,
    Nothing,
}

/// A unit to be written to disk.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) key: Key,
    pub(super) unit: Arc<[u8]>,
    pub(super) results: u32,
    stamp: u64,
}

pub(super) struct Queue {
    key: Arc<SigningKey>,
    aggregator: AggregatorKey,
    entries: BTreeMap<Key, Entry>,
    /// No entry below this one waits to be handed out.
    cursor: Key,
    /// The ends of what was handed out on this connection, by epoch.
    handed_to: BTreeMap<BootEpoch, (Sequence, Digest)>,
    /// Entries that are not on disk.
    pending: BTreeSet<Key>,
    pending_since: Option<Tick>,
    pending_bytes: usize,
    /// Bytes in memory of entries that are on disk too.
    cached_bytes: usize,
    segments: BTreeMap<u64, Segment>,
    wanted: Option<Key>,
    stamps: u64,
    pub(super) counts: Counts,
    pub(super) closing: bool,
}

struct Entry {
    body: Body,
    /// The digest of the unit before.
    previous: Digest,
    location: Option<Location>,
    handed: bool,
    /// Changes with the body, so that a write that took a while is not taken for one of what is here since.
    stamp: u64,
}

enum Body {
    Batch { bytes: Option<Arc<[u8]>>, digest: Digest, results: u32, signed_at: Option<Tick> },
    Gap(Gap),
}

#[derive(Clone, Copy, Default)]
struct Segment {
    bytes: u64,
    live: usize,
}

impl Queue {
    pub(super) fn new(key: Arc<SigningKey>, aggregator: AggregatorKey) -> Self {
        Self {
            key,
            aggregator,
            entries: BTreeMap::new(),
            cursor: Key::default(),
            handed_to: BTreeMap::new(),
            pending: BTreeSet::new(),
            pending_since: None,
            pending_bytes: 0,
            cached_bytes: 0,
            segments: BTreeMap::new(),
            wanted: None,
            stamps: 0,
            counts: Counts::default(),
            closing: false,
        }
    }

    /// Takes a fresh unit. Where that is too much for the memory, the oldest that is nowhere else goes.
    pub(super) fn push(&mut self, unit: &SignedUnit, results: u32, now: Tick) {
        let place = unit.place();
        let body = Body::Batch {
            bytes: Some(unit.as_bytes().into()),
            digest: unit.digest(),
            results,
            signed_at: Some(now),
        };
        self.insert((place.epoch, place.sequence), body, place.previous, None, now);
        while self.pending_bytes > limits::SPOOL_MEMORY_BYTES_MAX
            && let Some(key) = self.pending.iter().copied().find(|key| self.is_batch(key))
        {
            self.lose(key, GapCause::SpoolFull, now);
        }
        self.bound_units(now);
    }

    /// Loses the oldest batches while there are more entries than the memory may hold.
    pub(super) fn bound_units(&mut self, now: Tick) {
        while self.entries.len() > limits::SPOOL_UNITS_MAX
            && let Some(key) = self.entries.keys().copied().find(|key| self.is_batch(key))
        {
            self.lose(key, GapCause::SpoolFull, now);
        }
    }

    /// The oldest unit that was not handed out yet on this connection.
    pub(super) fn next(&mut self) -> Next {
        let Some((&key, entry)) = self.entries.range_mut(self.cursor..).find(|(_, entry)| !entry.handed)
        else {
            return Next::Nothing;
        };
        self.cursor = key;
        let (end, digest) = entry.end(key);
        let handed_to = self.handed_to.entry(key.0).or_default();
        let (expected, previous) = *handed_to;
        if key.1 > expected {
            *handed_to = (key.1, entry.previous);
            let gap = Gap {
                resume: key.1,
                resume_previous: entry.previous,
                results: 0,
                cause: GapCause::Forgotten,
            };
            return self.parcel_of_gap((key.0, expected), previous, gap);
        }
        let next = self.hand_out(key);
        if matches!(next, Next::Parcel(_)) && end > expected {
            self.handed_to.insert(key.0, (end, digest));
        }
        next
    }

    fn hand_out(&mut self, key: Key) -> Next {
        let Some(entry) = self.entries.get_mut(&key) else { return Next::Nothing };
        match &mut entry.body {
            Body::Gap(gap) => {
                let (gap, previous) = (*gap, entry.previous);
                entry.handed = true;
                self.parcel_of_gap(key, previous, gap)
            }
            Body::Batch { bytes, signed_at, .. } => {
                let Some(unit) = bytes.clone() else {
                    self.wanted = Some(key);
                    return Next::OnDisk;
                };
                entry.handed = true;
                if entry.location.is_some() {
                    *bytes = None;
                    self.cached_bytes = self.cached_bytes.saturating_sub(unit.len());
                }
                Next::Parcel(parcel(key, &unit, *signed_at))
            }
        }
    }

    /// A new connection: everything that is not acknowledged is handed out again.
    pub(super) fn rewind(&mut self) {
        for entry in self.entries.values_mut() {
            entry.handed = false;
        }
        self.cursor = Key::default();
        self.handed_to.clear();
    }

    /// The aggregator's word on a unit that was handed out. One that was not, or that is gone, is passed over.
    pub(super) fn settle(&mut self, key: Key, verdict: AckVerdict, now: Tick) {
        let Some(entry) = self.entries.get(&key).filter(|entry| entry.handed) else { return };
        match verdict {
            AckVerdict::Stored => {
                self.remove(key);
            }
            AckVerdict::Refused if matches!(entry.body, Body::Gap(_)) => {
                self.remove(key);
            }
            AckVerdict::Refused => self.lose(key, GapCause::Refused, now),
            AckVerdict::Busy => {}
        }
    }

    /// Units held, gaps included.
    pub(super) fn units(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of all segments.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.segments.values().map(|segment| segment.bytes).sum()
    }

    fn is_batch(&self, key: &Key) -> bool {
        self.entries.get(key).is_some_and(|entry| matches!(entry.body, Body::Batch { .. }))
    }

    fn insert(&mut self, key: Key, body: Body, previous: Digest, location: Option<Location>, now: Tick) {
        self.stamps += 1;
        let entry = Entry { body, previous, location, handed: false, stamp: self.stamps };
        match location {
            Some(location) => self.segments.entry(location.segment).or_default().live += 1,
            None => {
                if let Body::Batch { bytes: Some(bytes), .. } = &entry.body {
                    self.pending_bytes += bytes.len();
                }
                self.pending.insert(key);
                self.pending_since.get_or_insert(now);
            }
        }
        self.entries.insert(key, entry);
        self.cursor = self.cursor.min(key);
    }

    fn remove(&mut self, key: Key) -> Option<Entry> {
        let entry = self.entries.remove(&key)?;
        self.forget_location(entry.location);
        let bytes = match &entry.body {
            Body::Batch { bytes: Some(bytes), .. } => bytes.len(),
            Body::Batch { bytes: None, .. } | Body::Gap(_) => 0,
        };
        if self.pending.remove(&key) {
            self.pending_bytes = self.pending_bytes.saturating_sub(bytes);
        } else {
            self.cached_bytes = self.cached_bytes.saturating_sub(bytes);
        }
        if self.pending.is_empty() {
            self.pending_since = None;
        }
        Some(entry)
    }

    /// An entry that is on disk is not, or not as it is since.
    fn unwritten(&mut self, key: Key, now: Tick) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        self.stamps += 1;
        entry.stamp = self.stamps;
        let location = entry.location.take();
        self.forget_location(location);
        self.pending.insert(key);
        self.pending_since.get_or_insert(now);
    }

    fn forget_location(&mut self, location: Option<Location>) {
        if let Some(segment) = location.and_then(|location| self.segments.get_mut(&location.segment)) {
            segment.live = segment.live.saturating_sub(1);
        }
    }

    /// A batch goes without an acknowledgement: a gap says so in its place.
    fn lose(&mut self, key: Key, cause: GapCause, now: Tick) {
        let Some(entry) = self.remove(key) else { return };
        let (resume, resume_previous) = entry.end(key);
        let results = match &entry.body {
            Body::Batch { results, .. } => u64::from(*results),
            Body::Gap(gap) => gap.results,
        };
        if cause == GapCause::SpoolFull {
            self.counts.results_dropped += results;
        }
        let mut gap = Gap { resume, resume_previous, results, cause };
        // The gap behind it, if that touches and is not on its way, is taken in; then the one before takes in this one.
        let behind = (key.0, resume);
        if let Some(Entry { body: Body::Gap(next), handed: false, .. }) = self.entries.get(&behind) {
            gap.resume = next.resume;
            gap.resume_previous = next.resume_previous;
            gap.results += next.results;
            self.remove(behind);
        }
        let before = self.entries.range_mut(..key).next_back();
        if let Some((&before, Entry { body: Body::Gap(wider), handed: false, .. })) = before
            && before.0 == key.0
            && wider.resume == key.1
        {
            *wider = Gap { results: wider.results + gap.results, ..gap };
            self.unwritten(before, now);
        } else {
            self.insert(key, Body::Gap(gap), entry.previous, None, now);
        }
    }

    fn parcel_of_gap(&self, key: Key, previous: Digest, gap: Gap) -> Next {
        match self.sign_gap(key, previous, gap) {
            Some(unit) => Next::Parcel(parcel(key, &unit, None)),
            None => Next::Nothing,
        }
    }

    fn sign_gap(&self, (epoch, sequence): Key, previous: Digest, gap: Gap) -> Option<Arc<[u8]>> {
        let agent = self.key.agent_key();
        let place = Place { aggregator: self.aggregator, agent, epoch, sequence, previous };
        match SignedUnit::sign(&place, &Content::Gap(gap), &self.key) {
            Ok(unit) => Some(unit.as_bytes().into()),
            Err(error) => {
                tracing::error!(%error, "a gap cannot be signed");
                None
            }
        }
    }
}

impl Entry {
    /// The sequence number after this entry, and the digest that the unit there names as its predecessor.
    fn end(&self, key: Key) -> (Sequence, Digest) {
        match &self.body {
            Body::Batch { digest, .. } => (key.1.next(), *digest),
            Body::Gap(gap) => (gap.resume, gap.resume_previous),
        }
    }
}

fn parcel((epoch, sequence): Key, unit: &[u8], signed_at: Option<Tick>) -> Parcel {
    Parcel { epoch, sequence, unit: unit.to_vec(), signed_at }
}
