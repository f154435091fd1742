//! Connections of agents: hello, reports of health, and the end.
//!
//! An agent judges itself, and says why it is not to be trusted: it knows what it measured, and sees its own trouble seconds
//! before a figure in a report does.

use std::net::SocketAddr;

use quorate_proto::{
    AgentKey, Doubt,
    frame::{CloseCode, Health, Hello},
};
use quorate_quorum::{Event, Heartbeat};
use tokio::sync::mpsc;

use super::{
    effect::{Effect, Now},
    state::{Connection, Core},
};
use crate::{limits, model::Push};

impl Core {
    /// An agent said hello on a new connection.
    pub(super) fn connected(
        &mut self,
        key: AgentKey,
        number: u64,
        hello: Hello,
        remote: SocketAddr,
        push: mpsc::Sender<Push>,
        now: Now,
    ) {
        if !self.enrolment.is_active(&key) {
            return self.effects.push(Effect::Push(push, Push::Close(CloseCode::Revoked)));
        }
        tracing::info!(agent = self.enrolment.name(&key), %remote, software = hello.software, "agent connected");
        let revision = (hello.revision == self.assignments.revision).then_some(hello.revision);
        let agent = self.agents.entry(key).or_default();
        // Its uploads over the older connection are lost with it and come again over this one.
        agent.parked.clear();
        let connection = Connection {
            number,
            remote,
            push,
            revision,
            handing_over: false,
            recording: false,
            handed_at: now.moment,
        };
        if let Some(older) = agent.connection.replace(connection) {
            self.effects.push(Effect::Push(older.push, Push::Close(CloseCode::Superseded)));
        }
        agent.software = Some(hello.software);
        // What it last said of itself holds until it says otherwise, which it does at once.
        let sick = agent.health.as_ref().and_then(Health::gravest_doubt);
        self.heard(key, hello.revision, sick, now);
        self.assign(key, now);
        self.greet_with_controls(key);
    }

    /// An agent reported its health.
    pub(super) fn reported(&mut self, key: AgentKey, number: u64, health: Health, now: Now) {
        let revision = self.assignments.revision;
        let Some(agent) = self.agents.get_mut(&key) else { return };
        let Some(connection) = agent.connection.as_mut().filter(|one| one.number == number) else { return };
        let lags = now.moment.since(connection.handed_at) >= limits::ASSIGN_AGAIN;
        if health.revision != revision && lags && !connection.handing_over {
            connection.revision = None;
        }
        let sick = health.gravest_doubt();
        let reported = health.revision;
        agent.health = Some(health);
        self.heard(key, reported, sick, now);
        self.watch_doubt(key, now);
        self.assign(key, now);
    }

    /// A connection ended.
    pub(super) fn disconnected(&mut self, key: AgentKey, number: u64) {
        let Some(agent) = self.agents.get_mut(&key) else { return };
        agent.parked.retain(|upload| upload.ticket.connection != number);
        if agent.connection.as_ref().is_some_and(|one| one.number == number) {
            agent.connection = None;
            tracing::info!(agent = self.enrolment.name(&key), "agent disconnected");
        }
        self.canvas.touch_agents();
    }

    fn heard(&mut self, agent: AgentKey, revision: u64, sick: Option<Doubt>, now: Now) {
        let Some(region) = self.enrolment.region(&agent) else { return };
        if let Some(known) = self.agents.get_mut(&agent) {
            known.seen_at = Some(now.moment);
        }
        self.feed(Event::Heartbeat(Heartbeat { agent, region, revision, sick }), now);
        self.canvas.touch_agents();
    }
}
