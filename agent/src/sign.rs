//! Results become signed batches, each chained to the one before. Pure: the time is an argument.
//!
//! When all is well a batch waits for [`limits::BATCH_WINDOW`], so that a busy agent signs ten times a second and not
//! a thousand times. A failure does not wait: it closes its batch at once, or within [`limits::BATCH_SPACING`] of the one
//! before, so that a hundred failures at once are a few batches. While the spool is behind, nobody decides on what is
//! signed here, and batches are made larger: [`limits::BATCH_WINDOW_BEHIND`].

use std::sync::Arc;

use quorate_proto::{
    AggregatorKey, BatchBody, BootEpoch, CheckResult, Digest, FailureKind, Micros, Outcome, Sequence,
    SignedUnit, SigningKey, WallMicros, codec::CodecError, limits::BATCH_RESULTS_MAX, outcome::AddressResult,
    unit::Content, unit::Place,
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
    result: CheckResult,
    ended: Tick,
}

/// A signed batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The unit.
    pub unit: SignedUnit,
    /// Results in it.
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

    /// Takes the result of a check that ended at `ended`. Gives a batch where this one closes it, before or after.
    /// [`CheckResult::age`] is set when the batch is signed.
    ///
    /// # Errors
    /// [`CodecError`] where a batch cannot be signed; its results are lost and the chain goes on.
    pub fn push(
        &mut self,
        result: CheckResult,
        ended: Tick,
        circumstances: Circumstances,
        now: Tick,
        wall: WallMicros,
    ) -> Result<Option<Signed>, CodecError> {
        let bytes = bytes_max_of(&result);
        let closes_before = !self.open.is_empty()
            && (circumstances.revision != self.revision
                || self.open_bytes + bytes > limits::BATCH_BYTES_MAX
                || self.open.len() >= BATCH_RESULTS_MAX);
        let signed = if closes_before { self.flush(now, wall)? } else { None };
        let due = now.after(self.window(&result.outcome, circumstances.behind, now));
        self.due = Some(self.due.map_or(due, |other| other.min(due)));
        self.revision = circumstances.revision;
        self.open_bytes += bytes;
        self.open.push(Waiting { result, ended });
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
        let results: Vec<CheckResult> = waiting
            .into_iter()
            .map(|Waiting { result, ended }| CheckResult { age: now.since(ended), ..result })
            .collect();
        let count = u32::try_from(results.len()).unwrap_or(u32::MAX);
        let body = BatchBody {
            signed_at: wall,
            revision: self.revision,
            results,
            canaries: Vec::new(),
            idle_timeouts: Vec::new(),
        };
        let unit = SignedUnit::sign(&self.place, &Content::Batch(body), &self.key)?;
        self.place.sequence = self.place.sequence.next();
        self.place.previous = unit.digest();
        self.last_signed = Some(now);
        Ok(Some(Signed { unit, results: count, at: now }))
    }

    fn window(&self, outcome: &Outcome, behind: bool, now: Tick) -> Micros {
        match outcome {
            _ if behind => limits::BATCH_WINDOW_BEHIND,
            Outcome::Passed => limits::BATCH_WINDOW,
            Outcome::Failed(_) => self
                .last_signed
                .map_or(Micros::ZERO, |last| limits::BATCH_SPACING.saturating_sub(now.since(last))),
        }
    }
}

/// At most so many bytes does one address take, besides a close reason: itself, the kind with its numbers, and a span.
const ADDRESS_BYTES_FIXED: usize = 18 + 12 + 9;

/// At most so many bytes does a result take when it is encoded: its texts, and every number at its longest.
fn bytes_max_of(result: &CheckResult) -> usize {
    let texts = result.failure().map_or(0, |failure| {
        let reason = if let FailureKind::Closed { reason, .. } = &failure.kind { reason.len() } else { 0 };
        let refusal = failure.refusal.as_ref();
        reason
            + failure.detail.len()
            + refusal.map_or(0, |refusal| {
                let headers: usize = refusal.headers.iter().map(|header| header.len() + 3).sum();
                refusal.body.len() + refusal.server.as_ref().map_or(0, String::len) + headers
            })
    });
    let reason_of = |address: &AddressResult| match &address.failure {
        Some(FailureKind::Closed { reason, .. }) => reason.len(),
        Some(_) | None => 0,
    };
    let addresses =
        result.addresses.iter().map(|address| ADDRESS_BYTES_FIXED + reason_of(address)).sum::<usize>();
    limits::RESULT_BYTES_FIXED + result.monitor.as_str().len() + texts + addresses
}

#[cfg(test)]
mod tests;
