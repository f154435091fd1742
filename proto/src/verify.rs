//! The gate between what was received and what may be stored or decided on.
//!
//! A unit passes when the agent of this connection signed it for this aggregator, when it continues that agent's
//! chain, and when it speaks only of monitors that the agent was given. [`Verified`] has no other constructor, and the
//! store takes nothing else.

use std::collections::BTreeMap;

use crate::{
    id::MonitorId,
    key::{AgentKey, AggregatorKey},
    limits,
    unit::{BootEpoch, Content, Digest, Place, Sequence, SignedUnit, UnitError},
};

/// A value that has passed the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// The value.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// The value, by itself.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// A unit with its body decoded, and the bytes that were signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Where it stands.
    pub place: Place,
    /// What it says.
    pub content: Content,
    /// As signed and as received.
    pub signed: SignedUnit,
    /// The digest of `signed`.
    pub digest: Digest,
}

/// Why a unit is refused. Nothing of it is stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The bytes are not a unit, or its body is not decodable.
    #[error("malformed: {0}")]
    Malformed(#[from] UnitError),
    /// It names another agent than the one whose connection it came over.
    #[error("names agent {0}, which is not the one connected")]
    ForeignAgent(AgentKey),
    /// It was signed for another aggregator.
    #[error("is for aggregator {0}")]
    ForeignAggregator(AggregatorKey),
    /// The signature is not the agent's.
    #[error("has a bad signature")]
    Signature,
    /// It takes a sequence number that another unit holds, or names another predecessor: history was rewritten.
    #[error("contradicts the chain at epoch {} sequence {}", epoch.0, sequence.0)]
    Chain {
        /// The epoch.
        epoch: BootEpoch,
        /// The sequence number.
        sequence: Sequence,
    },
    /// It is of an epoch that is over and forgotten.
    #[error("is of epoch {}, which is over", .0.0)]
    Epoch(BootEpoch),
    /// It speaks of a monitor that the agent was never given.
    #[error("has a result for monitor {0}, which the agent was not given")]
    ForeignMonitor(MonitorId),
}

impl Refusal {
    /// The stable name, for a metric's label.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::ForeignAgent(_) => "foreign_agent",
            Self::ForeignAggregator(_) => "foreign_aggregator",
            Self::Signature => "signature",
            Self::Chain { .. } => "chain",
            Self::Epoch(_) => "epoch",
            Self::ForeignMonitor(_) => "foreign_monitor",
        }
    }
}

/// A unit that this connection's agent signed for this aggregator, with a body within its bounds. Whether it continues
/// the agent's chain is not known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentic(Unit);

impl Authentic {
    /// Where it stands.
    pub fn place(&self) -> &Place {
        &self.0.place
    }
}

/// The first half of the gate, which needs no memory and may run anywhere: keys, signature, body and bounds.
///
/// # Errors
/// A [`Refusal`] that says why.
pub fn authenticate(
    unit: SignedUnit,
    agent: &AgentKey,
    aggregator: &AggregatorKey,
) -> Result<Authentic, Refusal> {
    let place = *unit.place();
    if place.agent != *agent {
        return Err(Refusal::ForeignAgent(place.agent));
    }
    if place.aggregator != *aggregator {
        return Err(Refusal::ForeignAggregator(place.aggregator));
    }
    if !unit.is_signed() {
        return Err(Refusal::Signature);
    }
    let content = unit.content()?;
    let digest = unit.digest();
    Ok(Authentic(Unit { place, content, signed: unit, digest }))
}

/// What is to be done with a unit that is not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is the next one: store it, and then [`Chains::advance`].
    Next(Box<Verified<Unit>>),
    /// It is there already: acknowledge it again.
    Duplicate,
    /// One before it is still on its way: try again when that has come.
    Early(Box<Authentic>),
}

/// The second half of the gate: the chain, and whether the agent was ever given the monitors it speaks of.
///
/// # Errors
/// A [`Refusal`] that says why.
pub fn admit(
    unit: Authentic,
    chains: &Chains,
    was_given: impl Fn(&MonitorId) -> bool,
) -> Result<Admission, Refusal> {
    let Authentic(unit) = unit;
    if let Content::Batch(batch) = &unit.content
        && let Some(foreign) = batch.monitors().find(|monitor| !was_given(monitor))
    {
        return Err(Refusal::ForeignMonitor(foreign.clone()));
    }
    Ok(match chains.place(&unit.place, &unit.content, &unit.digest)? {
        Standing::Next => Admission::Next(Box::new(Verified(unit))),
        Standing::Past => Admission::Duplicate,
        Standing::Early => Admission::Early(Box::new(Authentic(unit))),
    })
}

/// Where each of an agent's latest epochs stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chains {
    heads: BTreeMap<BootEpoch, Head>,
    /// Epochs below this one are forgotten.
    floor: BootEpoch,
}

/// The end of one epoch's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The sequence number that comes next.
    pub next: Sequence,
    /// The digest that the next unit must name.
    pub digest: Digest,
}

enum Standing {
    Next,
    Past,
    Early,
}

impl Chains {
    /// Takes up stored heads, in any order.
    pub fn restore(heads: impl IntoIterator<Item = (BootEpoch, Head)>) -> Self {
        let mut chains = Self { heads: heads.into_iter().collect(), floor: BootEpoch(0) };
        chains.forget();
        chains
    }

    /// The heads, oldest epoch first.
    pub fn heads(&self) -> impl Iterator<Item = (BootEpoch, Head)> + '_ {
        self.heads.iter().map(|(epoch, head)| (*epoch, *head))
    }

    /// The head of an epoch, where the epoch is known.
    pub fn head(&self, epoch: BootEpoch) -> Option<Head> {
        self.heads.get(&epoch).copied()
    }

    /// Moves past a unit that was admitted as next.
    pub fn advance(&mut self, unit: &Verified<Unit>) {
        let Unit { place, content, digest, .. } = unit.get();
        let head = match content {
            Content::Batch(_) => Head { next: place.sequence.next(), digest: *digest },
            Content::Gap(gap) => Head { next: gap.resume, digest: gap.resume_previous },
        };
        self.heads.insert(place.epoch, head);
        self.forget();
    }

    fn forget(&mut self) {
        while self.heads.len() > limits::EPOCHS_REMEMBERED_MAX
            && let Some((epoch, _)) = self.heads.pop_first()
        {
            self.floor = BootEpoch(epoch.0.saturating_add(1));
        }
    }

    fn place(&self, place: &Place, content: &Content, digest: &Digest) -> Result<Standing, Refusal> {
        if place.epoch < self.floor {
            return Err(Refusal::Epoch(place.epoch));
        }
        let contradiction = Refusal::Chain { epoch: place.epoch, sequence: place.sequence };
        let head =
            self.heads.get(&place.epoch).copied().unwrap_or(Head { next: Sequence(0), digest: Digest::NONE });
        if let Content::Gap(gap) = content {
            return match (place.sequence <= head.next, gap.resume > head.next) {
                _ if gap.resume <= place.sequence => Err(contradiction),
                (true, true) => Ok(Standing::Next),
                (true, false) => Ok(Standing::Past),
                (false, _) => Ok(Standing::Early),
            };
        }
        if place.sequence > head.next {
            return Ok(Standing::Early);
        }
        if place.sequence < head.next {
            // Only the latest unit's digest is at hand. An older one that was rewritten is taken for a repetition: it is
            // acknowledged, and nothing of it is stored.
            let rewritten = place.sequence.next() == head.next && *digest != head.digest;
            return if rewritten { Err(contradiction) } else { Ok(Standing::Past) };
        }
        if place.previous == head.digest { Ok(Standing::Next) } else { Err(contradiction) }
    }
}
