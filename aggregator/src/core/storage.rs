//! Commits as the core sees them: when one goes off, what follows when it ended, and what is said when the store fails.

use quorate_proto::frame::{AckVerdict, JoinReply};

use super::{
    effect::{Effect, Now},
    ledger::After,
    state::Core,
};
use crate::{
    decide, limits,
    model::{AdminError, StorageState},
    store::CommitError,
};

impl Core {
    /// Sends the next commit off, where one is due.
    pub(super) fn submit(&mut self, now: Now) {
        let agents = &self.agents;
        let chains = |agent| agents.get(&agent).map(|agent| agent.admitted.clone());
        if let Some(commit) = self.ledger.submit(now.moment, chains) {
            self.effects.push(Effect::Commit(commit));
        }
    }

    /// The commit under way ended.
    pub(super) fn committed(&mut self, outcome: &Result<(), CommitError>, now: Now) {
        let Some(ended) = self.ledger.ended(outcome, now.moment) else { return };
        match outcome {
            Ok(()) => {
                self.counts.commits += 1;
                self.counts.units_stored += ended.units;
                for (agent, chains) in ended.chains {
                    self.agents.entry(agent).or_default().stored = chains;
                }
            }
            Err(error) => {
                self.counts.commits_failed += 1;
                self.storage_fails(error.to_string(), now);
            }
        }
        self.canvas.touch_counts();
        for after in ended.after {
            match outcome {
                Ok(()) => self.on_disk(after, now),
                Err(_) => self.not_on_disk(after),
            }
        }
        if outcome.is_ok() && self.ledger.trouble().is_some() {
            self.assign_all(now);
        }
    }

    /// Notices a commit that has become too slow, and a store that has become good again.
    pub(super) fn watch_storage(&mut self, now: Now) {
        if self.ledger.stalls(now.moment) {
            self.storage_fails(format!("a commit takes longer than {}", limits::COMMIT_STALLED), now);
        }
        if self.ledger.recovers(now.moment) {
            tracing::info!("the store can be written again");
            let summary =
                "The store can be written again: agents send what they have kept, and nothing is lost.";
            let notice = decide::notice("storage_recovered", summary.to_owned(), &self.config.channels);
            self.announce(notice, now);
            self.canvas.touch_counts();
        }
    }

    /// How the store fares, for people.
    pub(super) fn storage_state(&self) -> StorageState {
        match self.ledger.trouble() {
            None => StorageState::Good,
            Some(reason) => StorageState::Failing(reason.to_owned()),
        }
    }

    /// The store fails: from here on pages go out without it, and agents keep what they have.
    fn storage_fails(&mut self, reason: String, now: Now) {
        let is_news = self.ledger.fails(reason.clone(), now.moment);
        for after in self.ledger.release_units() {
            self.not_on_disk(after);
        }
        self.fall_back();
        for delivery in self.ledger.release_deliveries() {
            self.deliver(delivery);
        }
        if is_news {
            tracing::error!(reason, "the store cannot be written: deciding and paging go on from memory");
            let summary = format!(
                "Quorate cannot write its store: {reason}. Checks, decisions and alerts go on from memory; agents keep \
                 their results and send them again. Make room on the disk of the data folder, or see the log."
            );
            let notice = decide::notice("storage_failing", summary, &self.config.channels);
            self.announce(notice, now);
        }
        self.canvas.touch_counts();
    }

    fn on_disk(&mut self, after: After, now: Now) {
        match after {
            After::Ack { agent, epoch, end, ack } => {
                let stored = self.agents.get(&agent).is_some_and(|agent| agent.has_stored(epoch, end));
                let verdict = if stored { AckVerdict::Stored } else { AckVerdict::Busy };
                self.effects.push(Effect::Ack(ack, verdict));
            }
            After::Deliver(delivery) => self.deliver(delivery),
            After::Given { agent, monitors } => self.given(agent, monitors, now),
            After::Joined { agent, before, reply, .. } => {
                let region = self.enrolment.region(&agent);
                let moved = before.is_some_and(|before| Some(before.region) != region);
                self.joined(agent, moved, reply, now);
            }
            After::Added { join, reply } => {
                self.publish_roster();
                self.effects.push(Effect::Added(reply, Ok(join)));
            }
            After::Revoked { record, reply } => self.effects.push(Effect::Revoked(reply, Ok(record))),
            After::Maintained { maintenance, reply } => {
                self.effects.push(Effect::Maintained(reply, Ok(maintenance)));
            }
        }
    }

    fn not_on_disk(&mut self, after: After) {
        match after {
            After::Ack { ack, .. } => self.effects.push(Effect::Ack(ack, AckVerdict::Busy)),
            After::Deliver(delivery) => self.deliver(delivery),
            After::Given { agent, .. } => self.not_given(agent),
            After::Joined { agent, token, before, reply } => {
                self.enrolment.undo_join(agent, &token, before);
                // The stranger gets no answer and asks again; this is no refusal.
                drop::<tokio::sync::oneshot::Sender<JoinReply>>(reply);
            }
            After::Added { join, reply } => {
                self.enrolment.tokens.remove(&join.token);
                self.effects.push(Effect::Added(reply, Err(AdminError::Storage)));
            }
            After::Revoked { reply, .. } => {
                self.effects.push(Effect::Revoked(reply, Err(AdminError::Storage)));
            }
            // It is in force, and written as soon as the store can be.
            After::Maintained { maintenance, reply } => {
                self.effects.push(Effect::Maintained(reply, Ok(maintenance)));
            }
        }
    }
}
