//! What is known of a monitor in one region besides its vote: the canary, TLS, and the host's addresses.
//!
//! Counts are since the start of this process, as those of `/metrics` are. What is said to people is decided in
//! `decide/events.rs`, from what is gathered here.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::IpAddr,
};

use quorate_proto::{
    AgentKey, Failure, FailureKind, Micros, WallMicros,
    canary::CanaryEvent,
    outcome::{AddressResult, TlsFacts},
};
use quorate_quorum::{Moment, Vote};

use super::observe::When;
use crate::{
    decide, limits,
    model::{
        CanaryView,
        view::{CANARY_SECONDS_BOUNDS, RECONNECT_SECONDS_BOUNDS},
    },
    store::StoredTls,
};

/// What is known of one region.
#[derive(Debug, Default)]
pub(super) struct Standing {
    pub(super) canary: CanaryStanding,
    pub(super) tls: Option<TlsStanding>,
    /// What each address found at the latest check that looked at several.
    pub(super) addresses: Vec<AddressResult>,
    /// When that check ended.
    pub(super) addresses_at: Moment,
}

/// The canaries of a region's agents on one monitor.
#[derive(Debug, Default)]
pub(super) struct CanaryStanding {
    /// Counts of all of them.
    counted: CanaryView,
    /// The connection of each agent.
    held: BTreeMap<AgentKey, Held>,
}

#[derive(Debug, Default)]
struct Held {
    open_since: Option<WallMicros>,
    /// When it was last heard of.
    heard: Moment,
    /// Its latest reconnections.
    reconnects: VecDeque<Moment>,
}

/// What TLS agreed on last.
#[derive(Clone, Copy, Debug)]
pub(super) struct TlsStanding {
    pub(super) stored: StoredTls,
    /// Since when this certificate is shown and no other; none where that was before the start and was not seen since.
    pub(super) shown: Option<(Moment, Moment)>,
}

impl Standing {
    /// What is watched has changed: what is counted stays.
    pub(super) fn begin_anew(&mut self) {
        self.tls = None;
        self.addresses.clear();
    }

    /// The addresses that failed at the latest check that looked at several.
    pub(super) fn failing(&self) -> BTreeSet<IpAddr> {
        decide::events::failing(&self.addresses)
    }
}

impl CanaryStanding {
    /// Takes what happened. Late events count, and tell where the connection stands; they make no rate.
    pub(super) fn hear(&mut self, agent: AgentKey, event: &CanaryEvent, when: When) {
        self.forget_old(&agent, when);
        let held = self.held.entry(agent).or_default();
        if let Some(moment) = when.moment {
            held.heard = held.heard.max(moment);
        }
        let counted = &mut self.counted;
        match event {
            CanaryEvent::Opened { took: _, after, failed_attempts: _, tls: _ } => {
                counted.opened += 1;
                held.open_since = Some(when.at);
                if let Some(after) = after {
                    let seconds = bounded(*after).as_secs_f64();
                    enter(&mut counted.reconnect_seconds, &RECONNECT_SECONDS_BOUNDS, seconds);
                    counted.reconnect_seconds_sum += seconds;
                    if let Some(moment) = when.fresh {
                        held.reconnects.push_back(moment);
                        if held.reconnects.len() > limits::RECONNECTS_REMEMBERED_MAX {
                            held.reconnects.pop_front();
                        }
                    }
                }
            }
            CanaryEvent::NotOpened { failure: _ } => held.open_since = None,
            CanaryEvent::Alive { open_for, heartbeats: _, round_trips } => {
                held.open_since = Some(when.at.before(*open_for));
                if let Some(round_trips) = round_trips {
                    counted.round_trip = Some(round_trips.p50);
                }
            }
            CanaryEvent::Ended { open_for, heartbeats: _, quiet_for: _, failure } => {
                held.open_since = None;
                Self::count_end(counted, *open_for, failure);
                counted.last_end = decide::vote_words(Vote::Fail, Some(failure));
                counted.last_ended_at = Some(when.at);
            }
            CanaryEvent::Left { open_for: _ } => held.open_since = None,
        }
    }

    /// How often one agent's canary reconnected within the last minute.
    pub(super) fn reconnects(&self, agent: &AgentKey, at: Moment) -> u32 {
        self.held.get(agent).map_or(0, |held| held.reconnects_until(at))
    }

    /// How the latest one ended.
    pub(super) fn last_end(&self) -> Option<&str> {
        self.counted.last_end.as_deref()
    }

    /// As it stands.
    pub(super) fn view(&self, at: Moment) -> CanaryView {
        let is_heard = |held: &&Held| at.since(held.heard) <= limits::CANARY_HEARD_MAX;
        let open = self.held.values().filter(is_heard).filter_map(|held| held.open_since);
        CanaryView {
            open_since: open.min(),
            reconnects_last_minute: self.held.values().map(|held| held.reconnects_until(at)).sum(),
            ..self.counted.clone()
        }
    }

    fn count_end(counted: &mut CanaryView, open_for: Micros, failure: &Failure) {
        let lasted = bounded(open_for);
        counted.ended += 1;
        counted.lost_within_10s += u64::from(lasted < Micros::from_secs(10));
        counted.silent_drops += u64::from(matches!(failure.kind, FailureKind::SilentDrop(_)));
        enter(&mut counted.lasted_seconds, &CANARY_SECONDS_BOUNDS, lasted.as_secs_f64());
        counted.lasted_seconds_sum += lasted.as_secs_f64();
        let code = failure.kind.close_code();
        let is_known =
            counted.close_codes.contains_key(&code) || counted.close_codes.len() < limits::CLOSE_CODES_MAX;
        *counted.close_codes.entry(if is_known { code } else { 0 }).or_default() += 1;
    }

    /// Agents come and go: what was not heard of for long is dropped when there are many.
    fn forget_old(&mut self, agent: &AgentKey, when: When) {
        if self.held.len() < limits::CANARY_AGENTS_MAX || self.held.contains_key(agent) {
            return;
        }
        let Some(moment) = when.moment else { return };
        self.held.retain(|_, held| moment.since(held.heard) <= limits::CANARY_HEARD_MAX);
    }
}

impl Held {
    fn reconnects_until(&self, at: Moment) -> u32 {
        let recent = self.reconnects.iter().filter(|then| at.since(**then) < limits::RECONNECTS_SPAN);
        u32::try_from(recent.count()).unwrap_or(u32::MAX)
    }
}

impl TlsStanding {
    /// What was stored before the start.
    pub(super) fn restored(stored: StoredTls) -> Self {
        Self { stored, shown: None }
    }

    /// Takes what TLS agreed on; gives what to store, where that is new.
    pub(super) fn see(
        known: &mut Option<Self>,
        facts: TlsFacts,
        moment: Moment,
        at: WallMicros,
    ) -> Option<StoredTls> {
        let before = known.as_ref();
        let same = before.filter(|before| before.stored.facts.fingerprint == facts.fingerprint);
        let since = same.map_or(at, |before| before.stored.since);
        let from = same.and_then(|before| before.shown).map_or(moment, |(from, _)| from);
        let stored = StoredTls { facts, since };
        let is_new = before.is_none_or(|before| before.stored.facts != facts);
        *known = Some(Self { stored, shown: Some((from, moment)) });
        is_new.then_some(stored)
    }

    /// For how long this certificate and another were shown at the same time.
    pub(super) fn overlap(&self, other: &Self) -> Micros {
        let (Some((from, to)), Some((other_from, other_to))) = (self.shown, other.shown) else {
            return Micros::ZERO;
        };
        to.min(other_to).since(from.max(other_from))
    }
}

/// Counts a figure in a histogram: each bucket for itself, and a last one for what is above every bound.
pub(super) fn enter(buckets: &mut Vec<u64>, bounds: &[f64], figure: f64) {
    buckets.resize(bounds.len() + 1, 0);
    let bucket = bounds.iter().take_while(|bound| figure > **bound).count();
    if let Some(count) = buckets.get_mut(bucket) {
        *count += 1;
    }
}

fn bounded(span: Micros) -> Micros {
    span.min(limits::CANARY_LASTED_MAX)
}

#[cfg(test)]
mod tests {
    use quorate_proto::Phase;

    use super::*;

    const S: fn(u64) -> Micros = Micros::from_secs;

    fn at(second: u64) -> When {
        let moment = Moment(0).after(S(second));
        When { moment: Some(moment), fresh: Some(moment), at: moment.to_wall() }
    }

    fn opened(after: Option<Micros>) -> CanaryEvent {
        CanaryEvent::Opened { took: Micros(5), after, failed_attempts: 0, tls: None }
    }

    fn ended(open_for: Micros, kind: FailureKind) -> CanaryEvent {
        let failure = Failure::new(kind, Phase::Exchange, "as seen");
        CanaryEvent::Ended { open_for, heartbeats: 0, quiet_for: Micros(0), failure }
    }

    #[test]
    fn a_canary_is_open_while_it_is_heard_of() {
        let agent = AgentKey([1; 32]);
        let mut standing = CanaryStanding::default();
        standing.hear(agent, &opened(None), at(100));
        let open = |standing: &CanaryStanding, second| standing.view(Moment(0).after(S(second))).open_since;
        assert_eq!(open(&standing, 120), Some(at(100).at));
        assert_eq!(open(&standing, 251), None, "it was to say that it lives");
        let alive = CanaryEvent::Alive { open_for: S(200), heartbeats: 3, round_trips: None };
        standing.hear(agent, &alive, at(300));
        assert_eq!(open(&standing, 301), Some(at(100).at));
        standing.hear(agent, &ended(S(205), FailureKind::Dropped), at(305));
        assert_eq!(open(&standing, 306), None);
        assert_eq!(standing.last_end(), Some("dropped: as seen"));
    }

    #[test]
    fn ends_are_counted_by_how_and_how_soon() {
        let agent = AgentKey([1; 32]);
        let mut standing = CanaryStanding::default();
        let closed = |code| FailureKind::Closed { code, reason: String::new() };
        let silent = FailureKind::SilentDrop(quorate_proto::outcome::SilentDrop::Stuck);
        for (lasted, kind) in [
            (S(9), closed(1001)),
            (S(60), FailureKind::Dropped),
            (Micros::MAX, silent),
            (S(10), closed(1005)),
        ] {
            standing.hear(agent, &ended(lasted, kind), at(1));
        }
        let view = standing.view(Moment(0));
        assert_eq!((view.ended, view.lost_within_10s, view.silent_drops), (4, 1, 1));
        assert_eq!(view.close_codes, BTreeMap::from([(1001, 1), (1005, 1), (1006, 2)]));
        assert_eq!(view.lasted_seconds, [0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 1]);
        for code in 4000..5000 {
            standing.hear(agent, &ended(S(1), closed(code)), at(1));
        }
        let codes = standing.view(Moment(0)).close_codes;
        assert_eq!((codes.len(), codes.values().sum::<u64>()), (limits::CLOSE_CODES_MAX + 1, 1_004));
    }

    #[test]
    fn reconnections_of_the_last_minute_are_counted_and_bounded() {
        let agent = AgentKey([1; 32]);
        let mut standing = CanaryStanding::default();
        standing.hear(agent, &opened(None), at(0));
        for second in [10, 30, 75] {
            standing.hear(agent, &opened(Some(Micros::from_millis(700))), at(second));
        }
        assert_eq!(standing.reconnects(&agent, Moment(0).after(S(76))), 2);
        let late = When { fresh: None, ..at(76) };
        standing.hear(agent, &opened(Some(S(2))), late);
        let view = standing.view(Moment(0).after(S(76)));
        assert_eq!((view.opened, view.reconnects_last_minute), (5, 2));
        assert_eq!(view.reconnect_seconds, [0, 0, 0, 3, 1, 0, 0, 0, 0]);
        for _ in 0..1_000 {
            standing.hear(agent, &opened(Some(S(0))), at(77));
        }
        assert_eq!(standing.reconnects(&agent, Moment(0).after(S(77))), 60);
        for number in 0..1_000_u32 {
            let mut key = [9; 32];
            key[..4].copy_from_slice(&number.to_be_bytes());
            standing.hear(AgentKey(key), &opened(None), at(1_000 * u64::from(number)));
        }
        assert!(standing.held.len() <= limits::CANARY_AGENTS_MAX);
    }

    #[test]
    fn certificates_are_shown_side_by_side() {
        let facts = |fingerprint| TlsFacts {
            version: 0x0304,
            cipher: 0x1301,
            not_after: None,
            fingerprint: [fingerprint; 32],
            verified: true,
        };
        let see = |known: &mut Option<TlsStanding>, fingerprint, second| {
            let at = at(second);
            TlsStanding::see(known, facts(fingerprint), at.moment.unwrap(), at.at).is_some()
        };
        let (mut eu, mut us) = (None, None);
        // A renewal: each region goes over at its own time.
        assert!(see(&mut eu, 1, 0) && see(&mut us, 1, 5) && !see(&mut eu, 1, 30) && see(&mut us, 2, 35));
        let overlap = |eu: &Option<TlsStanding>, us: &Option<TlsStanding>| eu.unwrap().overlap(&us.unwrap());
        assert_eq!(overlap(&eu, &us), Micros::ZERO);
        assert!(!see(&mut us, 2, 65) && !see(&mut eu, 1, 90));
        assert_eq!(overlap(&eu, &us), S(30));
        assert!(see(&mut eu, 2, 91) && see(&mut eu, 1, 120));
        assert_eq!(overlap(&eu, &us), Micros::ZERO, "begun anew");
        let restored = Some(TlsStanding::restored(us.unwrap().stored));
        assert_eq!(overlap(&eu, &restored), Micros::ZERO, "nobody has seen it since the start");
    }
}
