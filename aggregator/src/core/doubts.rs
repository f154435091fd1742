//! Agents and their doubts of themselves: what they are to look at, and what people are told of one that does not get well.

use quorate_proto::{
    AgentKey,
    frame::{AggregatorControl, Health},
};
use quorate_quorum::Moment;

use super::{
    effect::{Effect, Now},
    state::Core,
};
use crate::{decide, limits, model::Push};

/// Since when an agent doubts itself, as far as this process knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Doubted {
    since: Option<Moment>,
    /// Whether people were told.
    told: bool,
}

impl Core {
    /// Tells an agent that has just connected what to look at. It has forgotten what it was told before.
    pub(super) fn greet_with_controls(&mut self, key: AgentKey) {
        if !self.config.controls.is_empty() {
            self.give_controls(key);
        }
    }

    fn give_controls(&mut self, key: AgentKey) {
        let connection = self.agents.get(&key).and_then(|agent| agent.connection.as_ref());
        if let Some(connection) = connection {
            let controls = AggregatorControl::Controls(self.config.controls.clone());
            self.effects.push(Effect::Push(connection.push.clone(), Push::Send(controls)));
        }
    }

    /// Tells every connected agent what to look at, also where that is nothing.
    pub(super) fn give_controls_to_all(&mut self) {
        for agent in self.agents.keys().copied().collect::<Vec<_>>() {
            self.give_controls(agent);
        }
    }

    /// Follows an agent's doubts, report by report. Where one does not end, people are told once, and once that it is over.
    pub(super) fn watch_doubt(&mut self, key: AgentKey, now: Now) {
        let Some(agent) = self.agents.get_mut(&key) else { return };
        let Some(health) = &agent.health else { return };
        let name = self.enrolment.name(&key);
        let place = self.enrolment.region(&key).map(|region| format!(" in {region}")).unwrap_or_default();
        let notice = if health.doubts.is_empty() {
            let over = std::mem::take(&mut agent.doubted);
            over.told.then(|| {
                let summary = format!("The agent {name}{place} trusts itself again, and has its vote back.");
                decide::notice("agent_trusted_again", summary, &self.config.channels)
            })
        } else {
            let since = *agent.doubted.since.get_or_insert(now.moment);
            let lasting = now.moment.since(since);
            let is_news = lasting >= limits::DOUBT_TOLD_AFTER && !agent.doubted.told;
            agent.doubted.told |= is_news;
            is_news.then(|| {
                tracing::warn!(agent = name, %lasting, "the agent does not get well, and has no vote");
                let summary = format!(
                    "The agent {name}{place} has not trusted itself for {lasting}, and has no vote: {}",
                    told(health)
                );
                decide::notice("agent_in_doubt", summary, &self.config.channels)
            })
        };
        if let Some(notice) = notice {
            self.announce(notice, now);
        }
    }
}

/// Every doubt, with what was seen and what to do.
fn told(health: &Health) -> String {
    let one = |report: &quorate_proto::DoubtReport| {
        let seen = if report.detail.is_empty() { String::new() } else { format!(" ({})", report.detail) };
        format!("{}{seen}. {}", report.doubt.words(), report.doubt.advice())
    };
    health.doubts.iter().map(one).collect::<Vec<_>>().join(" Also, ")
}
