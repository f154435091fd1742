//! The spool: signed units that the aggregator has not acknowledged yet, in memory and on disk.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use quorate_proto::{BootEpoch, Sequence, frame::AckVerdict};
use tokio::sync::Notify;

use crate::clock::Tick;

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

type Key = (BootEpoch, Sequence);

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    arrived: Notify,
}

#[derive(Default)]
struct Queue {
    units: BTreeMap<Key, Parcel>,
    handed: BTreeSet<Key>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The uplink's end of the spool: units in the order in which they are to be sent.
pub struct Parcels {
    shared: Arc<Shared>,
}

impl Parcels {
    /// The oldest unit that was not handed out yet on this connection; waits until there is one. Dropping the future
    /// loses nothing.
    pub async fn next(&mut self) -> Parcel {
        loop {
            let arrived = self.shared.arrived.notified();
            if let Some(parcel) = self.shared.lock().hand_out() {
                return parcel;
            }
            arrived.await;
        }
    }

    /// Starts again at the oldest unit that is not acknowledged: to be called for every new connection.
    pub fn rewind(&mut self) {
        self.shared.lock().handed.clear();
        self.shared.arrived.notify_one();
    }

    /// Tells what the aggregator said of a unit. Stored: it is forgotten. Refused: it is forgotten, and a signed gap
    /// takes its place. Busy: it is kept, and handed out again after the next [`Parcels::rewind`].
    pub fn settle(&self, epoch: BootEpoch, sequence: Sequence, verdict: AckVerdict) {
        match verdict {
            AckVerdict::Stored | AckVerdict::Refused => {
                self.shared.lock().units.remove(&(epoch, sequence));
            }
            AckVerdict::Busy => {}
        }
    }
}

impl Queue {
    fn hand_out(&mut self) -> Option<Parcel> {
        let (key, parcel) = self.units.iter().find(|(key, _)| !self.handed.contains(key))?;
        self.handed.insert(*key);
        Some(parcel.clone())
    }
}
