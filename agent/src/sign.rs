//! Results become signed batches, each chained to the one before. Pure: the time is an argument.
//!
//! When all is well a batch waits for [`limits::BATCH_WINDOW`], so that a busy agent signs ten times a second and not
//! a thousand times. A failure does not wait: it closes its batch at once, or within [`limits::BATCH_SPACING`] of the one
//! before, so that a hundred failures at once are a few batches. While the spool is behind, nobody decides on what is
//! signed here, and batches are made larger: [`limits::BATCH_WINDOW_BEHIND`].

use std::sync::Arc;

use quorate_proto::{
    AggregatorKey, BatchBody, BootEpoch, CheckResult, Digest, Failure, FailureKind, Micros, MonitorId,
    Outcome, Sequence, SignedUnit, SigningKey, WallMicros,
    canary::{CanaryEvent, CanaryResult, IdleFinding, IdleTimeoutResult},
    codec::CodecError,
    limits::BATCH_RESULTS_MAX,
    unit::Content,
    unit::Place,
};

use crate::{clock::Tick, limits};

/// Signs for one start of the agent.
#[derive(Debug)]
pub struct Signer {
    key: Arc<SigningKey>,
    place: Place,
    revision: u64,
    open: Vec<Waiting>,
    open_bytes: usize,
    /// When the open batch is to be closed.
    due: Option<Tick>,
    last_signed: Option<Tick>,
}

#[derive(Debug)]
struct Waiting {
    entry: Entry,
    at: Tick,
}

/// One entry of a batch. Its age is set when the batch is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A check's result.
    Check(Box<CheckResult>),
    /// Something that happened to a canary.
    Canary(CanaryResult),
    /// What a search for an idle timeout found.
    IdleTimeout(IdleTimeoutResult),
}

/// A signed batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The unit.
    pub unit: SignedUnit,
    /// Entries in it, of all kinds.
    pub results: u32,
    /// When it was signed.
    pub at: Tick,
}

/// What a result is made under, and what becomes of the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// The revision of the assignments under which the check was made.
    pub revision: u64,
    /// Whether the spool is behind, so that nothing is gained by haste.
    pub behind: bool,
}

impl Signer {
    /// A signer at the start of an epoch.
    pub fn new(key: Arc<SigningKey>, aggregator: AggregatorKey, epoch: BootEpoch) -> Self {
        let agent = key.agent_key();
        let place = Place { aggregator, agent, epoch, sequence: Sequence(0), previous: Digest::NONE };
        Self { key, place, revision: 0, open: Vec::new(), open_bytes: 0, due: None, last_signed: None }
    }

    /// Takes an entry of what was over at `at`. Gives the batch before it, where this one has no place in it.
    ///
    /// # Errors
    /// [`CodecError`] where a batch cannot be signed; its results are lost and the chain goes on.
    pub fn push(
        &mut self,
        entry: Entry,
        at: Tick,
        circumstances: Circumstances,
        now: Tick,
        wall: WallMicros,
    ) -> Result<Option<Signed>, CodecError> {
        let bytes = bytes_max_of(&entry);
        let closes_before = !self.open.is_empty()
            && (circumstances.revision != self.revision
                || self.open_bytes + bytes > limits::BATCH_BYTES_MAX
                || self.open.len() >= BATCH_RESULTS_MAX);
        let signed = if closes_before { self.flush(now, wall)? } else { None };
        let due = now.after(self.window(entry.is_urgent(), circumstances.behind, now));
        self.due = Some(self.due.map_or(due, |other| other.min(due)));
        self.revision = circumstances.revision;
        self.open_bytes += bytes;
        self.open.push(Waiting { entry, at });
        Ok(signed)
    }

    /// When the open batch is to be flushed; none while there is none.
    pub fn deadline(&self) -> Option<Tick> {
        self.due
    }

    /// Closes the open batch, if there is one.
    ///
    /// # Errors
    /// [`CodecError`] where it cannot be signed; its results are lost and the chain goes on.
    pub fn flush(&mut self, now: Tick, wall: WallMicros) -> Result<Option<Signed>, CodecError> {
        self.due = None;
        self.open_bytes = 0;
        let waiting = std::mem::take(&mut self.open);
        if waiting.is_empty() {
            return Ok(None);
        }
        let count = u32::try_from(waiting.len()).unwrap_or(u32::MAX);
        let mut body = BatchBody {
            signed_at: wall,
            revision: self.revision,
            results: Vec::new(),
            canaries: Vec::new(),
            idle_timeouts: Vec::new(),
        };
        for Waiting { entry, at } in waiting {
            let age = now.since(at);
            match entry {
                Entry::Check(result) => body.results.push(CheckResult { age, ..*result }),
                Entry::Canary(result) => body.canaries.push(CanaryResult { age, ..result }),
                Entry::IdleTimeout(result) => body.idle_timeouts.push(IdleTimeoutResult { age, ..result }),
            }
        }
        let unit = SignedUnit::sign(&self.place, &Content::Batch(body), &self.key)?;
        self.place.sequence = self.place.sequence.next();
        self.place.previous = unit.digest();
        self.last_signed = Some(now);
        Ok(Some(Signed { unit, results: count, at: now }))
    }

    fn window(&self, urgent: bool, behind: bool, now: Tick) -> Micros {
        match urgent {
            _ if behind => limits::BATCH_WINDOW_BEHIND,
            false => limits::BATCH_WINDOW,
            true => self
                .last_signed
                .map_or(Micros::ZERO, |last| limits::BATCH_SPACING.saturating_sub(now.since(last))),
        }
    }
}

impl Entry {
    /// On which monitor.
    pub fn monitor(&self) -> &MonitorId {
        match self {
            Self::Check(result) => &result.monitor,
            Self::Canary(result) => &result.monitor,
            Self::IdleTimeout(result) => &result.monitor,
        }
    }

    /// Whether every bounded field is within its bound.
    pub fn is_within_limits(&self) -> bool {
        match self {
            Self::Check(result) => result.is_within_limits(),
            Self::Canary(result) => result.is_within_limits(),
            Self::IdleTimeout(result) => result.is_within_limits(),
        }
    }

    /// Whether somebody waits for it: it may be the first sign of an outage.
    fn is_urgent(&self) -> bool {
        match self {
            Self::Check(result) => matches!(result.outcome, Outcome::Failed(_)),
            Self::Canary(result) => match result.event {
                CanaryEvent::Ended { .. } | CanaryEvent::NotOpened { .. } => true,
                CanaryEvent::Opened { .. } | CanaryEvent::Alive { .. } | CanaryEvent::Left { .. } => false,
            },
            Self::IdleTimeout(_) => false,
        }
    }
}

/// At most so many bytes does one address take, besides a close reason: itself, the kind with its numbers, and a span.
const ADDRESS_BYTES_FIXED: usize = 18 + 12 + 9;

/// At most so many bytes does an entry take when it is encoded: its texts, and every number at its longest.
fn bytes_max_of(entry: &Entry) -> usize {
    let texts = match entry {
        Entry::Check(result) => {
            let addresses = result
                .addresses
                .iter()
                .map(|address| ADDRESS_BYTES_FIXED + address.failure.as_ref().map_or(0, reason_bytes));
            result.failure().map_or(0, text_bytes) + addresses.sum::<usize>()
        }
        Entry::Canary(result) => result.event.failure().map_or(0, text_bytes),
        Entry::IdleTimeout(result) => match &result.finding {
            IdleFinding::Cut { failure, .. } | IdleFinding::Failed(failure) => text_bytes(failure),
            IdleFinding::NotWithin(_) => 0,
        },
    };
    limits::RESULT_BYTES_FIXED + entry.monitor().as_str().len() + texts
}

/// Bytes of all texts of a failure.
fn text_bytes(failure: &Failure) -> usize {
    let refusal = failure.refusal.as_ref().map_or(0, |refusal| {
        let headers: usize = refusal.headers.iter().map(|header| header.len() + 3).sum();
        refusal.body.len() + refusal.server.as_ref().map_or(0, String::len) + headers
    });
    reason_bytes(&failure.kind) + failure.detail.len() + refusal
}

fn reason_bytes(kind: &FailureKind) -> usize {
    if let FailureKind::Closed { reason, .. } = kind { reason.len() } else { 0 }
}

#[cfg(test)]
mod tests;
