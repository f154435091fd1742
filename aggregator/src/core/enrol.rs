//! Who is enrolled: join tokens, joining, revoking, and the roster that `ingest` looks at.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::constant_time;
use quorate_proto::{
    AgentKey, AgentName, Digest, Region, WallMicros,
    frame::{CloseCode, JoinReply, JoinRequest},
    join::JoinString,
    limits as protocol,
};
use quorate_quorum::Event;
use tokio::sync::oneshot;

use super::{
    chance,
    effect::{Effect, Now},
    ledger::After,
    state::Core,
};
use crate::{
    limits,
    model::{Admin, AdminError, AgentRecord, JoinToken, Push, Roster},
    store::Change,
};

/// Agents and join tokens.
#[derive(Debug, Default)]
pub(super) struct Enrolment {
    pub(super) records: BTreeMap<AgentKey, AgentRecord>,
    pub(super) tokens: BTreeMap<[u8; 8], JoinToken>,
}

type AddReply = oneshot::Sender<Result<JoinString, AdminError>>;
type RevokeReply = oneshot::Sender<Result<AgentRecord, AdminError>>;

impl Enrolment {
    /// Agents that are not revoked.
    pub(super) fn active(&self) -> impl Iterator<Item = &AgentRecord> {
        self.records.values().filter(|record| record.revoked_at.is_none())
    }

    pub(super) fn is_active(&self, agent: &AgentKey) -> bool {
        self.records.get(agent).is_some_and(|record| record.revoked_at.is_none())
    }

    pub(super) fn record(&self, agent: &AgentKey) -> Option<&AgentRecord> {
        self.records.get(agent)
    }

    pub(super) fn region(&self, agent: &AgentKey) -> Option<Region> {
        self.records.get(agent).map(|record| record.region.clone())
    }

    /// The name of an agent, for logs.
    pub(super) fn name(&self, agent: &AgentKey) -> String {
        self.records.get(agent).map(|record| record.name.to_string()).unwrap_or_default()
    }

    /// Takes a join back that could not be made durable.
    pub(super) fn undo_join(&mut self, agent: AgentKey, token: &[u8; 8], before: Option<AgentRecord>) {
        match before {
            Some(record) => self.records.insert(agent, record),
            None => self.records.remove(&agent),
        };
        if let Some(token) = self.tokens.get_mut(token) {
            token.used_by = None;
        }
    }

    fn by_name(&self, name: &AgentName) -> Option<&AgentRecord> {
        self.active().find(|record| record.name == *name)
    }

    fn roster(&self) -> Roster {
        let open = self.tokens.values().filter(|token| token.used_by.is_none());
        Roster {
            agents: self.active().map(|record| (record.key, record.clone())).collect(),
            joining_until: open.map(|token| token.expires_at).max(),
        }
    }

    /// The token that a request may use, or why it may not. What is wrong is for the log alone.
    fn token(
        &self,
        request: &JoinRequest,
        agent: AgentKey,
        wall: WallMicros,
    ) -> Result<&JoinToken, &'static str> {
        let token = self.tokens.get(&request.token).ok_or("the token is not known")?;
        let hash = Digest::of(&request.secret).0;
        constant_time::verify_slices_are_equal(&hash, &token.secret_hash)
            .map_err(|_| "the secret is wrong")?;
        match token.used_by {
            Some(user) if user == agent && self.is_active(&agent) => return Ok(token),
            Some(_) => return Err("the token is used"),
            None => {}
        }
        if token.expires_at <= wall {
            return Err("the token has expired");
        }
        if self.is_active(&agent) {
            return Err("the key is enrolled already");
        }
        if self.by_name(&token.name).is_some() {
            return Err("an agent of that name is enrolled already");
        }
        Ok(token)
    }

    /// Makes room for one more token.
    fn forget_tokens(&mut self, wall: WallMicros) {
        self.tokens.retain(|_, token| token.expires_at > wall);
        while self.tokens.len() >= limits::JOIN_TOKENS_MAX {
            let first = self.tokens.values().min_by_key(|token| token.expires_at).map(|token| token.id);
            if first.and_then(|first| self.tokens.remove(&first)).is_none() {
                break;
            }
        }
    }
}

impl Core {
    /// Replaces the roster.
    pub(super) fn publish_roster(&mut self) {
        self.effects.push(Effect::Roster(self.enrolment.roster()));
    }

    /// An operator wants something.
    pub(super) fn admin(&mut self, admin: Admin, now: Now) {
        match admin {
            Admin::AddAgent { name, region, labels, reply } => {
                let wanted = self.checked(&name, &region);
                match wanted {
                    Ok(()) => self.add(name, region, labels, reply, now),
                    Err(error) => self.effects.push(Effect::Added(reply, Err(error))),
                }
            }
            Admin::RevokeAgent { name, reply } => self.revoke(&name, reply, now),
        }
    }

    /// A stranger wants to join.
    pub(super) fn join(
        &mut self,
        agent: AgentKey,
        request: &JoinRequest,
        reply: oneshot::Sender<JoinReply>,
        now: Now,
    ) {
        let token = match self.enrolment.token(request, agent, now.wall) {
            Ok(token) => token.clone(),
            Err(reason) => {
                tracing::warn!(%agent, software = request.software, reason, "join refused");
                return self.effects.push(Effect::Joined(reply, JoinReply::Refused));
            }
        };
        if token.used_by.is_some() {
            // The same key asks again: the answer was lost.
            return self.joined(agent, false, reply, now);
        }
        if !self.ledger.is_writable() {
            return;
        }
        let record = AgentRecord {
            key: agent,
            name: token.name.clone(),
            region: token.region.clone(),
            labels: token.labels.clone(),
            enrolled_at: now.wall,
            revoked_at: None,
        };
        let used = JoinToken { used_by: Some(agent), ..token };
        let token = used.id;
        self.ledger.wish(Change::Agent(record.clone()), now.moment);
        self.ledger.wish(Change::JoinToken(used.clone()), now.moment);
        self.enrolment.tokens.insert(token, used);
        let before = self.enrolment.records.insert(agent, record);
        self.ledger.after(After::Joined { agent, token, before, reply }, now.moment);
        self.ledger.hurry();
    }

    /// An agent's enrolment is on the disk; `moved` says whether it was enrolled before, in another region.
    pub(super) fn joined(
        &mut self,
        agent: AgentKey,
        moved: bool,
        reply: oneshot::Sender<JoinReply>,
        now: Now,
    ) {
        let Some(record) = self.enrolment.records.get(&agent) else { return };
        let answer = JoinReply::Enrolled { name: record.name.clone(), region: record.region.clone() };
        tracing::info!(%agent, name = %record.name, region = %record.region, "agent enrolled");
        self.agents.entry(agent).or_default();
        self.publish_roster();
        self.enrolled(&agent, now);
        if moved {
            // The agent may still have what it was given in its old region.
            self.next_revision(BTreeSet::new(), now);
            self.assign_all(now);
        }
        self.effects.push(Effect::Joined(reply, answer));
        self.canvas.touch_agents();
        self.assign(agent, now);
    }

    fn checked(&self, name: &AgentName, region: &Region) -> Result<(), AdminError> {
        if !self.config.regions.contains(region) {
            let known = self.config.regions.iter().map(Region::as_str).collect::<Vec<_>>().join(", ");
            return Err(AdminError::NoSuchRegion { region: region.clone(), known });
        }
        if self.enrolment.by_name(name).is_some() {
            return Err(AdminError::NameTaken(name.clone()));
        }
        if !self.ledger.is_writable() {
            return Err(AdminError::Storage);
        }
        Ok(())
    }

    fn add(
        &mut self,
        name: AgentName,
        region: Region,
        labels: BTreeMap<String, String>,
        reply: AddReply,
        now: Now,
    ) {
        let (Ok(id), Ok(secret)) = (chance::secret::<8>(), chance::secret::<16>()) else {
            tracing::error!("the system gave no random bytes for a join token");
            return self.effects.push(Effect::Added(reply, Err(AdminError::Storage)));
        };
        let token = JoinToken {
            id,
            secret_hash: Digest::of(&secret).0,
            name,
            region,
            labels,
            expires_at: now.wall.after(protocol::JOIN_TOKEN_LIFETIME),
            used_by: None,
        };
        let join =
            JoinString { aggregator: self.aggregator, token: id, secret, address: self.address.clone() };
        self.ledger.wish(Change::JoinToken(token.clone()), now.moment);
        self.enrolment.forget_tokens(now.wall);
        self.enrolment.tokens.insert(id, token);
        self.ledger.after(After::Added { join, reply }, now.moment);
        self.ledger.hurry();
    }

    /// Revokes at once, whatever the store does: only the answer waits for the disk.
    fn revoke(&mut self, name: &AgentName, reply: RevokeReply, now: Now) {
        let Some(mut record) = self.enrolment.by_name(name).cloned() else {
            return self.effects.push(Effect::Revoked(reply, Err(AdminError::NoSuchAgent(name.clone()))));
        };
        record.revoked_at = Some(now.wall);
        self.enrolment.records.insert(record.key, record.clone());
        let agent = self.agents.entry(record.key).or_default();
        agent.parked.clear();
        if let Some(connection) = agent.connection.take() {
            self.effects.push(Effect::Push(connection.push, Push::Close(CloseCode::Revoked)));
        }
        tracing::info!(agent = %record.key, name = %record.name, "agent revoked");
        self.publish_roster();
        for watched in self.monitors.values_mut() {
            watched.sightings.remove(&record.key);
        }
        self.feed(Event::Forget { agent: record.key }, now);
        self.warn_of_domains();
        self.canvas.reset();
        self.ledger.change(Change::Agent(record.clone()), now.moment);
        match self.ledger.is_writable() {
            true => self.ledger.after(After::Revoked { record, reply }, now.moment),
            false => self.effects.push(Effect::Revoked(reply, Err(AdminError::Storage))),
        }
        self.ledger.hurry();
    }
}
