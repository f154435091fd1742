//! What becomes of a message that came: a step takes it, it is kept for a later one, or it is passed over.

use std::{collections::VecDeque, sync::Arc};

use quorate_proto::FailureKind;

use super::{
    Conversation, State, Wrong, capture, demand, demand::Remembered, unfit, unreadable, waiting::Waiting,
};
use crate::{
    clock::{Now, Tick},
    limits,
    probe::{
        expand::Role,
        script::{Act, Awaited, Flow, Requirement, Rule},
    },
};

impl Conversation {
    pub(super) fn handle_pong(&mut self, now: Now, pong: &[u8]) {
        if let State::Pinging { payload, sent } = &self.state
            && pong == payload
        {
            self.note_round_trip(now.tick.since(*sent));
            self.end_step();
        } else {
            self.waiting.control();
        }
    }

    /// Takes a message that no reply is due to.
    pub(super) fn take(&mut self, now: Now, arrived: Tick, message: &[u8]) -> Result<(), Wrong> {
        let script = Arc::clone(&self.script);
        match (&self.state, self.act(&script)) {
            (State::Expecting { pattern, .. }, Some(Act::Expect(awaited))) => {
                self.has_overlooked = true;
                if pattern.matches(message) {
                    return self.take_expected(awaited, now, arrived, message);
                }
                self.waiting.skip(message, &self.values);
            }
            (State::Streaming { pattern, .. }, Some(Act::Stream(flow))) => {
                if pattern.matches(message) {
                    return self.take_streamed(flow, now, message);
                }
                self.waiting.skip(message, &self.values);
            }
            (State::Pinging { .. }, _) => {
                self.waiting.skip(message, &self.values);
                self.keep(arrived, message);
            }
            (State::Next, _) => self.keep(arrived, message),
            _ => self.has_overlooked = true,
        }
        Ok(())
    }

    fn take_expected(
        &mut self,
        awaited: &Awaited,
        now: Now,
        arrived: Tick,
        message: &[u8],
    ) -> Result<(), Wrong> {
        if let Some(sent) = self.sent {
            self.note_round_trip(arrived.since(sent));
        }
        for taking in &awaited.takings {
            let value = capture::take(taking, message, &self.values, now.wall).map_err(unreadable)?;
            self.values
                .capture(&taking.name, &value)
                .map_err(|error| unreadable(format!("{{{{{}}}}} cannot be kept: {error}", taking.name)))?;
        }
        self.judge(&awaited.requirements, now, message)?;
        self.end_step();
        Ok(())
    }

    fn take_streamed(&mut self, flow: &Flow, now: Now, message: &[u8]) -> Result<(), Wrong> {
        self.judge(&flow.requirements, now, message)?;
        self.waiting = Waiting::default();
        if let State::Streaming { came, last, .. } = &mut self.state {
            *came = came.saturating_add(1);
            *last = now.tick;
            if *came >= flow.messages && !self.is_listening {
                self.end_step();
            }
        }
        Ok(())
    }

    /// Goes through what came while another step was under way.
    pub(super) fn take_kept(&mut self, now: Now) -> Result<(), Wrong> {
        while let State::Expecting { .. } | State::Streaming { .. } = self.state
            && let Some((message, arrived)) = self.kept.pop_front()
        {
            self.kept_bytes = self.kept_bytes.saturating_sub(message.len());
            self.take(now, arrived, &message)?;
        }
        if self.kept.is_empty() {
            self.kept = VecDeque::new();
        }
        Ok(())
    }

    /// Keeps a message that a later step may be waiting for. A copy: what it was cut from is the size of a read buffer.
    fn keep(&mut self, arrived: Tick, message: &[u8]) {
        let fits = self.kept_bytes + message.len() <= limits::KEPT_BYTES_MAX;
        if fits && self.kept.len() < limits::MESSAGES_KEPT_MAX {
            self.kept_bytes += message.len();
            self.kept.push_back((message.into(), arrived));
        } else {
            self.has_overlooked = true;
        }
    }

    fn judge(&mut self, requirements: &[Requirement], now: Now, message: &[u8]) -> Result<(), Wrong> {
        for Requirement { pointer, rule } in requirements {
            let pointer =
                self.values.fill(pointer, Role::Pointer, now.wall).map_err(|error| unfit(&error))?;
            let remembered = Remembered { memory: &self.script.memory, followed: &mut self.followed };
            demand::judge(message, &pointer, *rule, now, remembered)
                .map_err(|(fault, detail)| (FailureKind::Content(fault), detail))?;
        }
        Ok(())
    }

    /// A stream of which something may have been missed begins its sequence anew.
    pub(super) fn forget_sequence(&mut self, requirements: &[Requirement]) {
        for Requirement { rule, .. } in requirements {
            if let Rule::Follow { place } = rule
                && let Some(last) = self.followed.get_mut(*place)
            {
                *last = None;
            }
        }
    }
}
