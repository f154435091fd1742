//! The spool's own thread: everything that may wait for a disk.
//!
//! It takes what is due from the queue under the lock, works without it, and enters the outcome under it again. A
//! write that fails is tried again every second into a new segment; what it was to write stays in memory until then.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use quorate_proto::Micros;

use super::{
    Shared,
    queue::{Key, Location, Queue, Write},
    segment,
};
use crate::{
    clock::{self, Tick},
    limits,
};

pub(super) struct Disk {
    pub(super) shared: Arc<Shared>,
    pub(super) folder: PathBuf,
    bytes_max: u64,
    segment_bytes_max: u64,
    active: Option<Active>,
    next_id: u64,
    retry_at: Option<Tick>,
    /// A write failed after the spool was closed: there is no other attempt.
    gave_up: bool,
}

/// The segment that is written to.
struct Active {
    id: u64,
    file: File,
    /// Bytes that are written and synced.
    bytes: u64,
}

/// What there is to do.
pub(super) enum Job {
    Read(Vec<(Key, Location)>),
    Write { doomed: Vec<u64>, writes: Vec<Write> },
    Delete(Vec<u64>),
    End,
}

impl Disk {
    pub(super) fn new(shared: Arc<Shared>, folder: PathBuf, bytes_max: u64, next_id: u64) -> Self {
        let bytes_max = bytes_max.max(limits::SPOOL_BYTES_MIN);
        let segment_bytes_max = (bytes_max / limits::SPOOL_SEGMENTS)
            .clamp(limits::SPOOL_SEGMENT_BYTES_MIN, limits::SPOOL_SEGMENT_BYTES_MAX);
        Self {
            shared,
            folder,
            bytes_max,
            segment_bytes_max,
            active: None,
            next_id,
            retry_at: None,
            gave_up: false,
        }
    }

    /// Works until the spool is closed.
    pub(super) fn run(mut self) {
        loop {
            match self.job() {
                Job::Read(reads) => self.read(&reads),
                Job::Write { doomed, writes } => self.write(&doomed, &writes),
                Job::Delete(segments) => self.delete(&segments),
                Job::End => return,
            }
        }
    }

    /// Waits for work.
    fn job(&mut self) -> Job {
        let shared = Arc::clone(&self.shared);
        let mut queue = shared.lock();
        loop {
            match self.look(&mut queue) {
                Ok(job) => return job,
                Err(wait) => queue = shared.wait(queue, wait),
            }
        }
    }

    /// What is to be done, or for how long there is nothing to do.
    pub(super) fn look(&mut self, queue: &mut Queue) -> Result<Job, Option<Micros>> {
        let now = clock::tick();
        if let Some(reads) = queue.reads(limits::SPOOL_GROUP_BYTES_MAX) {
            return Ok(Job::Read(reads));
        }
        let closing = queue.closing;
        let due = self.due(queue);
        if due.is_some_and(|due| due <= now || closing) && !self.gave_up {
            return Ok(self.write_job(queue, now));
        }
        let dead = self.dead(queue);
        if !dead.is_empty() {
            return Ok(Job::Delete(dead));
        }
        if closing { Ok(Job::End) } else { Err(due.map(|due| due.since(now))) }
    }

    /// When something is to be written.
    fn due(&self, queue: &Queue) -> Option<Tick> {
        let pending = queue.pending().map(|(since, bytes)| {
            let full = bytes >= limits::SPOOL_MEMORY_BYTES_MAX / 2;
            since.after(if full { Micros::ZERO } else { limits::SPOOL_WRITE_DELAY })
        });
        // After a failure the disk is tried even when nothing waits, so that its recovery is noticed.
        self.retry_at.or(pending)
    }

    fn write_job(&mut self, queue: &mut Queue, now: Tick) -> Job {
        let slack = 2 * limits::SPOOL_GROUP_BYTES_MAX as u64;
        let doomed = queue.make_room(self.bytes_max.saturating_sub(slack), now);
        if self.active.as_ref().is_some_and(|active| doomed.contains(&active.id)) {
            self.active = None;
        }
        Job::Write { doomed, writes: queue.writes(limits::SPOOL_GROUP_BYTES_MAX) }
    }

    fn dead(&self, queue: &Queue) -> Vec<u64> {
        let dead = queue.dead_segments().into_iter().filter(|(id, bytes)| {
            let active = self.active.as_ref().is_some_and(|active| active.id == *id);
            !active || queue.closing || *bytes >= limits::SPOOL_SEGMENT_STALE_BYTES
        });
        dead.map(|(id, _)| id).collect()
    }

    pub(super) fn read(&self, reads: &[(Key, Location)]) {
        let mut open: Option<(u64, File)> = None;
        for (key, location) in reads {
            let unit = self.read_one(&mut open, location);
            let mut queue = self.shared.lock();
            match unit {
                Ok(unit) => queue.loaded(*key, &unit),
                Err(error) => {
                    let (epoch, sequence) = (key.0.0, key.1.0);
                    tracing::warn!(epoch, sequence, %error, "a spooled unit cannot be read and is lost");
                    queue.unreadable(*key, clock::tick());
                }
            }
        }
        self.shared.arrived.notify_one();
    }

    fn read_one(&self, open: &mut Option<(u64, File)>, location: &Location) -> io::Result<Vec<u8>> {
        let file = match open {
            Some((id, file)) if *id == location.segment => file,
            _ => {
                &mut open
                    .insert((location.segment, File::open(segment_path(&self.folder, location.segment))?))
                    .1
            }
        };
        let mut record = vec![0; location.bytes];
        file.read_exact_at(&mut record, location.offset)?;
        segment::unit_of(&record)
            .map(<[u8]>::to_vec)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the record is damaged"))
    }

    pub(super) fn write(&mut self, doomed: &[u64], writes: &[Write]) {
        let outcome = self.append(writes);
        if let Err(error) = &outcome {
            self.failed(error);
        }
        // Only behind the write that says what they held.
        for segment in doomed {
            self.remove_file(*segment);
        }
        let Ok(locations) = outcome else { return };
        self.retry_at = None;
        let mut queue = self.shared.lock();
        if std::mem::take(&mut queue.counts.failing) {
            tracing::info!("the spool can be written again");
        }
        if let Some(active) = &self.active {
            queue.segment_has(active.id, active.bytes);
        }
        for (write, location) in writes.iter().zip(locations) {
            queue.segment_has(location.segment, location.offset + location.bytes as u64);
            queue.written(write, location);
        }
    }

    /// Writes and syncs; an error leaves the active segment as it was before.
    fn append(&mut self, writes: &[Write]) -> io::Result<Vec<Location>> {
        let active = match &mut self.active {
            Some(active) => active,
            none => none.insert(Self::create(&self.folder, &mut self.next_id)?),
        };
        let mut bytes = Vec::new();
        let mut locations = Vec::with_capacity(writes.len());
        for write in writes {
            let offset = active.bytes + bytes.len() as u64;
            segment::encode(&mut bytes, &write.unit, write.results);
            let record_bytes = segment::record_bytes(write.unit.len());
            locations.push(Location { segment: active.id, offset, bytes: record_bytes });
        }
        active.file.write_all(&bytes)?;
        active.file.sync_data()?;
        active.bytes += bytes.len() as u64;
        if active.bytes >= self.segment_bytes_max {
            self.active = None;
        }
        Ok(locations)
    }

    fn create(folder: &Path, next_id: &mut u64) -> io::Result<Active> {
        let id = *next_id;
        let path = segment_path(folder, id);
        let mut file = File::create_new(&path)?;
        *next_id += 1;
        let header = file.write_all(segment::FILE_HEADER).and_then(|()| File::open(folder)?.sync_all());
        if let Err(error) = header {
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        Ok(Active { id, file, bytes: segment::FILE_HEADER.len() as u64 })
    }

    /// What of the active segment was synced stays; what was not is cut off, or found torn after the next start.
    fn failed(&mut self, error: &io::Error) {
        let now = clock::tick();
        self.retry_at = Some(now.after(limits::SPOOL_RETRY_PAUSE));
        if let Some(active) = self.active.take() {
            if active.bytes > segment::FILE_HEADER.len() as u64 {
                let _ = active.file.set_len(active.bytes);
            } else {
                self.delete(&[active.id]);
            }
        }
        let mut queue = self.shared.lock();
        self.gave_up = queue.closing;
        if !std::mem::replace(&mut queue.counts.failing, true) {
            let folder = self.folder.display();
            tracing::warn!(%folder, %error, "the spool cannot be written: results are kept in memory alone");
        }
    }

    pub(super) fn delete(&mut self, segments: &[u64]) {
        for segment in segments {
            if self.active.as_ref().is_some_and(|active| active.id == *segment) {
                self.active = None;
            }
            self.remove_file(*segment);
            self.shared.lock().segment_gone(*segment);
        }
    }

    /// A file that stays is read again at the next start, and what is in it is sent once more, which does no harm.
    fn remove_file(&self, segment: u64) {
        let path = segment_path(&self.folder, segment);
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "a spool segment cannot be deleted");
        }
    }
}

/// Where a segment's file is.
pub(super) fn segment_path(folder: &Path, segment: u64) -> PathBuf {
    folder.join(format!("{segment:016x}.seg"))
}
