//! The spool: signed units that the aggregator has not acknowledged yet, in memory and on disk.
//!
//! ```text
//! sign -> Spool::push -> queue (memory) -> Parcels::next -> uplink
//!                          |      ^                           |
//!                          v      | read ahead                v
//!                        disk thread: segments      Parcels::settle: forget
//! ```
//!
//! A fresh unit goes to the uplink from memory, without waiting for the disk. What is not acknowledged within
//! [`limits::SPOOL_WRITE_DELAY`] is written to an append-only segment and synced. A segment is deleted when everything in
//! it is acknowledged; which units of a segment are is not written down, because sending one again does no harm.
//! Above its bound the spool gives up its oldest segment, and a signed gap says so to the aggregator.

mod disk;
mod queue;
mod recover;
mod segment;
#[cfg(feature = "simulation")]
mod simulated;
#[cfg(test)]
mod tests;

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use quorate_proto::{AggregatorKey, BootEpoch, Micros, Sequence, SignedUnit, SigningKey, frame::AckVerdict};
use tokio::sync::{Notify, oneshot};

use crate::{
    clock::{self, Tick},
    limits,
};
use disk::Disk;
use queue::{Next, Queue};

/// What a spool has to know.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the segments are; made where it is not there.
    pub folder: PathBuf,
    /// Bytes of all segments together; raised to [`limits::SPOOL_BYTES_MIN`]. Above it the oldest go.
    pub bytes_max: u64,
    /// Signs gaps.
    pub key: Arc<SigningKey>,
    /// For whom the units are.
    pub aggregator: AggregatorKey,
}

/// Why a spool was not opened.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The folder cannot be made or read.
    #[error("the spool in {folder}: {error}", folder = folder.display())]
    Folder {
        /// Which folder.
        folder: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A segment was written by a newer version of this program.
    #[error("{path} was written by a newer version of quorate-agent: run that one", path = path.display())]
    Version {
        /// Which file.
        path: PathBuf,
    },
    /// The system gave no thread.
    #[error("no thread for the spool: {0}")]
    Thread(io::Error),
}

/// What became of units since the start, apart from being acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Results dropped because the spool was full.
    pub results_dropped: u64,
    /// Damaged or torn records found on disk.
    pub records_torn: u64,
    /// Whether the disk takes no writes.
    pub failing: bool,
}

/// How full the spool is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Units that are not acknowledged.
    pub units: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// What became of the others.
    pub counts: Counts,
}

/// A unit on its way to the uplink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// The unit's epoch.
    pub epoch: BootEpoch,
    /// The unit's place in it.
    pub sequence: Sequence,
    /// The signed unit.
    pub unit: Vec<u8>,
    /// When it was signed; none where that was before this start, so that its age is unknown.
    pub signed_at: Option<Tick>,
}

/// The agent's end of the spool. Dropping it ends the disk's thread after a last write.
#[derive(Debug)]
pub struct Spool {
    shared: Arc<Shared>,
    ended: Option<oneshot::Receiver<()>>,
}

/// The uplink's end of the spool: units in the order in which they are to be sent.
#[derive(Debug)]
pub struct Parcels {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Told to the uplink: there may be a unit.
    arrived: Notify,
    /// Told to whoever waits for the end: something was acknowledged.
    settled: Notify,
    /// Told to the disk: there may be work.
    work: Condvar,
    /// The same to a simulated one.
    #[cfg(feature = "simulation")]
    work_simulated: Notify,
}

/// Opens the spool, reads what an earlier start left in it, and starts the disk's thread. Blocks while it reads.
///
/// # Errors
/// Any [`SpoolError`]. A disk that is full is none: the spool opens, and says [`Counts::failing`].
pub fn open(options: Options) -> Result<(Spool, Parcels), SpoolError> {
    let Options { folder, bytes_max, key, aggregator } = options;
    let agent = key.agent_key();
    let mut queue = Queue::new(key, aggregator);
    let next_segment = recover::recover(&folder, agent, aggregator, &mut queue)?;
    let shared = Arc::new(Shared {
        queue: Mutex::new(queue),
        arrived: Notify::new(),
        settled: Notify::new(),
        work: Condvar::new(),
        #[cfg(feature = "simulation")]
        work_simulated: Notify::new(),
    });
    let disk = Disk::new(Arc::clone(&shared), folder, bytes_max, next_segment);
    let (end, ended) = oneshot::channel();
    start(disk, end).map_err(SpoolError::Thread)?;
    Ok((Spool { shared: Arc::clone(&shared), ended: Some(ended) }, Parcels { shared }))
}

/// Gives the disk a thread.
fn start(disk: Disk, end: oneshot::Sender<()>) -> io::Result<()> {
    #[cfg(feature = "simulation")]
    if crate::simulation::world().is_some() {
        tokio::spawn(async move {
            disk.run_simulated().await;
            let _ = end.send(());
        });
        return Ok(());
    }
    let work = move || {
        disk.run();
        let _ = end.send(());
    };
    std::thread::Builder::new().name("spool".into()).spawn(work).map(drop)
}

impl Spool {
    /// Takes a unit with so many results that was signed at this moment. Never waits for the disk.
    pub fn push(&self, unit: &SignedUnit, results: u32, signed_at: Tick) {
        self.shared.lock().push(unit, results, signed_at);
        self.shared.arrived.notify_one();
        self.shared.wake_disk();
    }

    /// How full it is.
    pub fn standing(&self) -> Standing {
        let queue = self.shared.lock();
        Standing { units: queue.units() as u64, bytes: queue.disk_bytes(), counts: queue.counts }
    }

    /// Waits until nothing is left to be acknowledged.
    pub async fn emptied(&self) {
        loop {
            let settled = self.shared.settled.notified();
            if self.shared.lock().units() == 0 {
                return;
            }
            settled.await;
        }
    }

    /// Writes what is not on disk yet, and ends the disk's thread. Waits for at most [`limits::SPOOL_CLOSE_WITHIN`].
    /// Whether everything that is not acknowledged is on disk then.
    pub async fn close(mut self) -> bool {
        self.shared.close();
        if let Some(ended) = self.ended.take() {
            let _ = tokio::time::timeout(limits::SPOOL_CLOSE_WITHIN.into(), ended).await;
        }
        self.shared.lock().pending().is_none()
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Parcels {
    /// The oldest unit that was not handed out yet on this connection; waits until there is one. Dropping the future
    /// loses nothing.
    pub async fn next(&mut self) -> Parcel {
        loop {
            let next = self.shared.lock().next();
            match next {
                Next::Parcel(parcel) => return parcel,
                Next::OnDisk => {
                    self.shared.wake_disk();
                    self.shared.arrived.notified().await;
                }
                Next::Nothing => self.shared.arrived.notified().await,
            }
        }
    }

    /// Starts again at the oldest unit that is not acknowledged: to be called for every new connection, and when units
    /// that met a busy aggregator are to be sent in order again.
    pub fn rewind(&mut self) {
        self.shared.lock().rewind();
        self.shared.arrived.notify_one();
    }

    /// Tells what the aggregator said of a unit that [`Parcels::next`] gave on this connection. Stored: it is forgotten.
    /// Refused: it is forgotten, and a signed gap takes its place; of a refused gap nothing is left, and the next unit of its
    /// epoch closes the hole. Busy: it is kept, and comes again after [`Parcels::rewind`].
    pub fn settle(&self, epoch: BootEpoch, sequence: Sequence, verdict: AckVerdict) {
        self.shared.lock().settle((epoch, sequence), verdict, clock::tick());
        self.shared.arrived.notify_one();
        self.shared.settled.notify_waiters();
        self.shared.wake_disk();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for work, and at most so long.
    fn wait<'a>(&self, queue: MutexGuard<'a, Queue>, at_most: Option<Micros>) -> MutexGuard<'a, Queue> {
        match at_most {
            Some(span) => {
                let woken = self.work.wait_timeout(queue, span.into());
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.work.wait(queue).unwrap_or_else(PoisonError::into_inner),
        }
    }

    fn close(&self) {
        self.lock().closing = true;
        self.wake_disk();
    }

    fn wake_disk(&self) {
        self.work.notify_one();
        #[cfg(feature = "simulation")]
        self.work_simulated.notify_one();
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}
