//! Units: whether they continue their agent's chain, what is decided on them, and where they wait to be stored.
//!
//! Three chains are kept of each agent. As long as the store is well, *decided* and *admitted* are the same, and *stored*
//! is one commit behind. When it is not, units go on being decided on, and *admitted* falls back to what the disk has:
//! the agent is told `Busy`, sends them again later, and then they are stored without being decided on a second time.

use quorate_proto::{
    Admission, AgentKey, Authentic, BootEpoch, Micros, Refusal, Sequence, Verified,
    frame::{AckVerdict, CloseCode},
    limits as protocol,
    verify::{self, Unit},
};
use quorate_quorum::Moment;
use tokio::sync::oneshot;

use super::{
    effect::{Effect, Now},
    ledger::After,
    observe::is_waited_for,
    state::{Agent, Core},
};
use crate::{
    limits,
    model::Push,
    store::{BatchFacts, UnitRows},
};

/// A unit on its way through the core.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) unit: Authentic,
    pub(super) ticket: Ticket,
}

/// What came with a unit, and the way to acknowledge it.
#[derive(Debug)]
pub(super) struct Ticket {
    pub(super) connection: u64,
    pub(super) held: Option<Micros>,
    pub(super) received: Moment,
    /// When the core first saw it.
    pub(super) since: Moment,
    /// Whether it was decided on, and waits to be stored alone.
    pub(super) decided: bool,
    pub(super) ack: oneshot::Sender<AckVerdict>,
}

impl Upload {
    fn expires_at(&self) -> Moment {
        self.ticket.since.after(limits::PARKED_TIME_MAX)
    }
}

impl Core {
    /// A unit came: takes it, and then those that have waited for it.
    pub(super) fn unit(&mut self, upload: Upload, now: Now) {
        let key = upload.unit.place().agent;
        if !self.enrolment.is_active(&key) {
            // Revoked a moment ago: its connection is being closed, and nobody waits for this answer.
            return;
        }
        self.admit(key, upload, now);
        while let Some(next) = self.agents.get_mut(&key).and_then(Agent::unpark) {
            self.admit(key, next, now);
        }
    }

    /// Answers units that have waited for their predecessor for too long.
    pub(super) fn expire_parked(&mut self, now: Now) {
        if self.parked_until.is_none_or(|until| until > now.moment) {
            return;
        }
        for agent in self.agents.values_mut() {
            for upload in agent.parked.extract_if(.., |upload| upload.expires_at() <= now.moment) {
                self.effects.push(Effect::Ack(upload.ticket.ack, AckVerdict::Busy));
            }
        }
        self.parked_until =
            self.agents.values().flat_map(|agent| &agent.parked).map(Upload::expires_at).min();
    }

    /// The store fails: units that wait to be stored are let go, and chains fall back to what is, or may soon be, on the
    /// disk.
    pub(super) fn fall_back(&mut self) {
        for (key, agent) in &mut self.agents {
            let disk = self.ledger.chains_under_way(key).unwrap_or(&agent.stored);
            if agent.admitted != *disk {
                agent.admitted = disk.clone();
            }
            for upload in agent.parked.extract_if(.., |upload| upload.ticket.decided) {
                self.effects.push(Effect::Ack(upload.ticket.ack, AckVerdict::Busy));
            }
        }
    }

    fn admit(&mut self, key: AgentKey, upload: Upload, now: Now) {
        let Upload { unit, ticket } = upload;
        let epoch = unit.place().epoch;
        let agent = self.agents.entry(key).or_default();
        if agent.decided.head(epoch) != agent.admitted.head(epoch) {
            return self.admit_behind(key, unit, ticket, now);
        }
        match verify::admit(unit, &agent.decided, |monitor| agent.given.contains(monitor)) {
            Ok(Admission::Next(unit)) => {
                let facts = self.decide_on(&unit, &ticket, now);
                self.store(*unit, facts, ticket, now);
            }
            Ok(Admission::Duplicate) => self.acknowledge_again(key, epoch, ticket, now),
            Ok(Admission::Early(unit)) => self.park(key, Upload { unit: *unit, ticket }),
            Err(refusal) => self.refuse(key, ticket, &refusal),
        }
    }

    /// Takes a unit of an epoch whose units were decided on further than they were stored: it passes the gate once for
    /// each.
    fn admit_behind(&mut self, key: AgentKey, unit: Authentic, mut ticket: Ticket, now: Now) {
        let epoch = unit.place().epoch;
        let agent = self.agents.entry(key).or_default();
        let facts = match verify::admit(unit.clone(), &agent.decided, |monitor| agent.given.contains(monitor))
        {
            Ok(Admission::Next(unit)) => Some(self.decide_on(&unit, &ticket, now)),
            Ok(Admission::Duplicate) => None,
            Ok(Admission::Early(unit)) => return self.park(key, Upload { unit: *unit, ticket }),
            Err(refusal) => return self.refuse(key, ticket, &refusal),
        };
        let agent = self.agents.entry(key).or_default();
        match verify::admit(unit, &agent.admitted, |monitor| agent.given.contains(monitor)) {
            Ok(Admission::Next(unit)) => {
                let facts = facts.unwrap_or_else(|| self.decided_before(unit.get(), &ticket, now));
                self.store(*unit, facts, ticket, now);
            }
            Ok(Admission::Duplicate) => self.acknowledge_again(key, epoch, ticket, now),
            Ok(Admission::Early(unit)) if facts.is_none() && self.ledger.takes_units() => {
                ticket.decided = true;
                self.park(key, Upload { unit: *unit, ticket });
            }
            // Those before it are on the agent's disk alone, and so must it be.
            Ok(Admission::Early(_)) => self.effects.push(Effect::Ack(ticket.ack, AckVerdict::Busy)),
            Err(refusal) => self.refuse(key, ticket, &refusal),
        }
    }

    /// Decides on a unit that is the next one of its chain.
    fn decide_on(&mut self, unit: &Verified<Unit>, ticket: &Ticket, now: Now) -> BatchFacts {
        let key = unit.get().place.agent;
        let facts = self.observe(unit.get(), ticket, now);
        self.agents.entry(key).or_default().decided.advance(unit);
        facts
    }

    fn store(&mut self, unit: Verified<Unit>, facts: BatchFacts, ticket: Ticket, now: Now) {
        let (agent, epoch) = (unit.get().place.agent, unit.get().place.epoch);
        let region = self.enrolment.region(&agent);
        let chains = self.agents.entry(agent).or_default();
        let room = self.ledger.takes_units().then_some(());
        let head = room.and_then(|()| {
            chains.admitted.advance(&unit);
            chains.admitted.head(epoch)
        });
        let (Some(head), Some(region)) = (head, region) else {
            return self.effects.push(Effect::Ack(ticket.ack, AckVerdict::Busy));
        };
        if is_waited_for(unit.get()) {
            self.ledger.hurry();
        }
        let received_at = now.wall_of(ticket.received);
        let (received, held) = (ticket.received, ticket.held);
        let rows = UnitRows { unit, head, received_at, received, held, region, facts };
        self.ledger.unit(rows, now.moment);
        self.ledger.after(After::Ack { agent, epoch, end: head.next, ack: ticket.ack }, now.moment);
    }

    /// A unit came again: it is acknowledged when everything up to it is on the disk.
    fn acknowledge_again(&mut self, agent: AgentKey, epoch: BootEpoch, ticket: Ticket, now: Now) {
        self.counts.units_duplicate += 1;
        let chains = self.agents.entry(agent).or_default();
        let admitted = chains.admitted.head(epoch);
        if chains.stored.head(epoch) == admitted {
            return self.effects.push(Effect::Ack(ticket.ack, AckVerdict::Stored));
        }
        match admitted {
            Some(head) if self.ledger.is_writable() => {
                self.ledger.after(After::Ack { agent, epoch, end: head.next, ack: ticket.ack }, now.moment);
            }
            Some(_) | None => self.effects.push(Effect::Ack(ticket.ack, AckVerdict::Busy)),
        }
    }

    fn park(&mut self, agent: AgentKey, upload: Upload) {
        let parked = &mut self.agents.entry(agent).or_default().parked;
        if parked.len() >= protocol::UPLOADS_IN_FLIGHT_MAX {
            return self.effects.push(Effect::Ack(upload.ticket.ack, AckVerdict::Busy));
        }
        let until = upload.expires_at();
        self.parked_until = Some(self.parked_until.map_or(until, |earlier| earlier.min(until)));
        parked.push(upload);
    }

    fn refuse(&mut self, agent: AgentKey, ticket: Ticket, refusal: &Refusal) {
        *self.counts.units_refused.entry(refusal.name()).or_default() += 1;
        let name = self.enrolment.name(&agent);
        tracing::warn!(agent = %agent, name, refusal = refusal.name(), "unit refused: it {refusal}");
        self.effects.push(Effect::Ack(ticket.ack, AckVerdict::Refused));
        let is_hostile = match refusal {
            Refusal::Chain { .. } | Refusal::ForeignMonitor(_) => true,
            // The rest is judged where it is found, or is no sign of ill will.
            Refusal::Malformed(_)
            | Refusal::ForeignAgent(_)
            | Refusal::ForeignAggregator(_)
            | Refusal::Signature
            | Refusal::Epoch(_) => false,
        };
        let connection = self.agents.get(&agent).and_then(|agent| agent.connection.as_ref());
        if let Some(connection) = connection.filter(|one| is_hostile && one.number == ticket.connection) {
            self.effects.push(Effect::Push(connection.push.clone(), Push::Close(CloseCode::Hostile)));
        }
    }
}

impl Agent {
    /// Whether everything of an epoch up to a sequence number is on the disk.
    pub(super) fn has_stored(&self, epoch: BootEpoch, end: Sequence) -> bool {
        self.stored.head(epoch).is_some_and(|head| head.next >= end)
    }

    /// A parked unit whose turn has come.
    fn unpark(&mut self) -> Option<Upload> {
        let Self { decided, admitted, parked, .. } = self;
        let has_come = |upload: &Upload| {
            let chains = if upload.ticket.decided { &*admitted } else { &*decided };
            let place = upload.unit.place();
            place.sequence <= chains.head(place.epoch).map_or(Sequence(0), |head| head.next)
        };
        let index = parked.iter().position(has_come)?;
        Some(parked.swap_remove(index))
    }
}
