//! The past of one monitor through the real engine, under any rules: which pages it would have sent, and when.
//!
//! What is stored is what agents checked then. What they would have checked under other rules is not known, and this much
//! is done about it:
//! - A confirmation that the engine asks for in the replay, and that nobody asked for then, is answered as the region's
//!   checks before and after agree; where they do not, it is not answered, and scheduled checks serve. Both are counted.
//! - Heartbeats are not stored. An agent is taken to be there between two of its checks that are at most a vote's
//!   lifetime apart, and not to be sick.
//! - Other monitors are not looked at: what they would say of a region or an agent is not in it.

use std::collections::BTreeMap;

use quorate_proto::{
    AgentKey, BootEpoch, Micros, MonitorId, Region, Sequence, WallMicros, limits::HEARTBEAT_STALE,
};
use quorate_quorum::{
    CanaryReport, CanaryTurn, Effect, Engine, Event, Finding, Heartbeat, Moment, Observation, Policy, Source,
    Verdict,
};

use crate::store::past::{PastCanary, PastCheck};

/// From one heartbeat that is made up to the next: often enough that no agent falls silent.
const HEARTBEAT: Micros = Micros(HEARTBEAT_STALE.0 / 2);
/// From a round's request to the start of the check that answers it.
const ASKED_IN: Micros = Micros::from_millis(100);
/// Close codes by which a server announces that it will be back.
const ANNOUNCED: [u16; 3] = [1001, 1012, 1013];

/// What came of a replay.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replayed {
    /// Pages, in order.
    pub pages: Vec<Page>,
    /// Confirmations that were answered as the checks before and after agree.
    pub assumed: u64,
    /// Confirmations that nothing answers.
    pub unknown: u64,
}

/// One page: the verdict turned down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The start of the first failing check of its evidence.
    pub began: WallMicros,
    /// When it was decided.
    pub at: WallMicros,
    /// Until the verdict was another; none: it still was down at the end.
    pub until: Option<WallMicros>,
}

/// Plays a monitor's past under a policy. Checks and canaries are in order of time.
pub fn replay(
    monitor: &MonitorId,
    policy: &Policy,
    checks: &[PastCheck],
    canaries: &[PastCanary],
) -> Replayed {
    let mut player = Player {
        monitor,
        engine: Engine::default(),
        happenings: happenings(policy, checks, canaries),
        checks: by_region(checks),
        timeout: policy.timeout,
        stale_after: policy.stale_after(),
        sequence: 0,
        replayed: Replayed::default(),
    };
    let start = checks.first().map_or(Moment(0), |check| moment(check.ended).before(check.took));
    player.tell(
        Event::Configure { monitor: monitor.clone(), policy: Policy { revision: 0, ..policy.clone() } },
        start,
    );
    while let Some(entry) = player.happenings.first_entry() {
        let (at, _) = *entry.key();
        match player.engine.next_deadline().filter(|due| *due < at) {
            Some(due) => player.tell(Event::Tick, due),
            None => {
                let happening = entry.remove();
                player.happen(happening, at);
            }
        }
    }
    player.replayed
}

/// Something that is played.
enum Happening<'a> {
    Check(&'a PastCheck),
    /// What a region would have answered.
    Answer {
        check: &'a PastCheck,
        started: Moment,
    },
    Canary(&'a PastCanary),
    Heartbeat {
        agent: AgentKey,
        region: &'a Region,
    },
}

struct Player<'a> {
    monitor: &'a MonitorId,
    engine: Engine,
    /// By time, and by a number of their own.
    happenings: BTreeMap<(Moment, u64), Happening<'a>>,
    checks: BTreeMap<&'a Region, Vec<&'a PastCheck>>,
    timeout: Micros,
    stale_after: Micros,
    sequence: u64,
    replayed: Replayed,
}

impl<'a> Player<'a> {
    fn happen(&mut self, happening: Happening<'a>, at: Moment) {
        match happening {
            Happening::Check(check) => self.observe(check, at.before(check.took), at),
            Happening::Answer { check, started } => self.observe(check, started, at),
            Happening::Canary(canary) => {
                let turn = match canary.ended {
                    None => CanaryTurn::Opened,
                    Some(code) => CanaryTurn::Ended { announced: ANNOUNCED.contains(&code) },
                };
                let (monitor, region, agent) = (self.monitor.clone(), canary.region.clone(), canary.agent);
                self.tell(Event::Canary(CanaryReport { monitor, region, agent, at, turn, revision: 0 }), at);
            }
            Happening::Heartbeat { agent, region } => {
                let region = region.clone();
                self.tell(Event::Heartbeat(Heartbeat { agent, region, revision: 0, sick: None }), at);
            }
        }
    }

    fn observe(&mut self, check: &PastCheck, started: Moment, ended: Moment) {
        self.sequence += 1;
        let source =
            Source { agent: check.agent, epoch: BootEpoch(0), sequence: Sequence(self.sequence), index: 0 };
        let observation = Observation {
            monitor: self.monitor.clone(),
            region: check.region.clone(),
            started,
            ended,
            finding: check.finding,
            revision: 0,
            source,
        };
        self.tell(Event::Observed(observation), ended);
    }

    fn tell(&mut self, event: Event, at: Moment) {
        for effect in self.engine.handle(event, at) {
            match effect {
                Effect::Confirm { regions, .. } => {
                    regions.iter().for_each(|region| self.answer(region, at.after(ASKED_IN)));
                }
                Effect::Changed(change) => {
                    let decided = change.timeline.decided_at.to_wall();
                    if change.from == Some(Verdict::Down)
                        && let Some(page) = self.replayed.pages.last_mut()
                    {
                        page.until = Some(decided);
                    }
                    if change.to == Verdict::Down {
                        let began = change.timeline.first_failure_at.map_or(decided, Moment::to_wall);
                        self.replayed.pages.push(Page { began, at: decided, until: None });
                    }
                }
                // What is told to people besides pages is not counted.
                Effect::Restarted { .. }
                | Effect::Suspected { .. }
                | Effect::Withheld(_)
                | Effect::Outlier(_)
                | Effect::OutlierOver { .. } => {}
            }
        }
    }

    /// Answers a confirmation that begins at a moment, where it is known what it would have found.
    fn answer(&mut self, region: &Region, started: Moment) {
        let Some(checks) = self.checks.get(region) else {
            self.replayed.unknown += 1;
            return;
        };
        let next = checks.partition_point(|check| moment(check.ended).before(check.took) < started);
        let before = next.checked_sub(1).and_then(|index| checks.get(index));
        let after = checks.get(next);
        if after
            .is_some_and(|check| check.confirming && moment(check.ended) <= started.after(self.timeout * 2))
        {
            return; // It was asked then as well, and its answer is about to come.
        }
        let agreed = before.zip(after).filter(|(before, after)| {
            before.finding == after.finding
                && moment(after.ended).since(moment(before.ended)) <= self.stale_after
        });
        let Some((check, _)) = agreed else {
            self.replayed.unknown += 1;
            return;
        };
        self.replayed.assumed += 1;
        let ended = started.after(check.took.min(self.timeout));
        self.sequence += 1;
        self.happenings.insert((ended, u64::MAX - self.sequence), Happening::Answer { check, started });
    }
}

fn happenings<'a>(
    policy: &Policy,
    checks: &'a [PastCheck],
    canaries: &'a [PastCanary],
) -> BTreeMap<(Moment, u64), Happening<'a>> {
    let mut all: Vec<(Moment, Happening<'a>)> = Vec::new();
    let mut seen: BTreeMap<AgentKey, Moment> = BTreeMap::new();
    for check in checks.iter().filter(|check| policy.regions.contains(&check.region)) {
        let at = moment(check.ended);
        let here = |at| (at, Happening::Heartbeat { agent: check.agent, region: &check.region });
        let since = seen.insert(check.agent, at).filter(|since| at.since(*since) <= policy.stale_after());
        // From the check before to this one; an agent that was away is there again with its check.
        let mut beat = since.map_or(at, |since| since.after(HEARTBEAT));
        while beat < at {
            all.push(here(beat));
            beat = beat.after(HEARTBEAT);
        }
        all.push(here(at));
        all.push((at, Happening::Check(check)));
    }
    let watched = canaries.iter().filter(|canary| policy.regions.contains(&canary.region));
    all.extend(watched.map(|canary| (moment(canary.at), Happening::Canary(canary))));
    all.into_iter().zip(0..).map(|((at, happening), number)| ((at, number), happening)).collect()
}

fn by_region(checks: &[PastCheck]) -> BTreeMap<&Region, Vec<&PastCheck>> {
    let mut regions: BTreeMap<&Region, Vec<&PastCheck>> = BTreeMap::new();
    for check in checks.iter().filter(|check| check.finding != Finding::AgentsOwnFault) {
        regions.entry(&check.region).or_default().push(check);
    }
    regions
}

fn moment(wall: WallMicros) -> Moment {
    Moment(u64::try_from(wall.0).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Micros = Micros::from_secs;

    fn policy() -> Policy {
        Policy::new(["a", "b", "c", "d", "e"].map(|name| name.parse().unwrap()).into(), S(30), S(10))
    }

    /// Scheduled checks of five regions over an hour; `fails` says what they find.
    fn hour(fails: impl Fn(u8, u64) -> bool) -> Vec<PastCheck> {
        let checks = (0..3_600).step_by(6).map(|second| {
            let number = u8::try_from(second / 6 % 5).unwrap();
            let finding = if fails(number, second) { Finding::Failed } else { Finding::Passed };
            PastCheck {
                region: char::from(b'a' + number).to_string().parse().unwrap(),
                agent: AgentKey([number; 32]),
                ended: WallMicros(i64::try_from(1_000_000_000_000 + second * 1_000_000).unwrap()),
                took: Micros::from_millis(40),
                finding,
                confirming: false,
            }
        });
        checks.collect()
    }

    fn pages(policy: &Policy, checks: &[PastCheck]) -> Vec<(u64, u64)> {
        let second = |at: WallMicros| u64::try_from(at.0).unwrap() / 1_000_000 - 1_000_000;
        let replayed = replay(&"m".parse().unwrap(), policy, checks, &[]);
        replayed.pages.iter().map(|page| (second(page.began), second(page.at))).collect()
    }

    #[test]
    fn an_outage_is_paged_as_it_would_have_been() {
        let checks = hour(|_, second| (1_000..1_300).contains(&second));
        // Nobody was asked then, and the checks before and after the first failure disagree: so the fourth region's own
        // schedule decides.
        assert_eq!(pages(&policy(), &checks), [(1_001, 1_020)]);
        let later = Policy { confirm_for: Some(S(60)), ..policy() };
        assert_eq!(pages(&later, &checks), [(1_001, 1_062)]);
    }

    #[test]
    fn three_of_five_page_under_a_smaller_quorum() {
        let checks = hour(|number, second| number < 3 && (1_000..1_060).contains(&second));
        assert_eq!(pages(&policy(), &checks), []);
        let smaller = Policy { quorum: quorate_quorum::Quorum::AtLeast(3), ..policy() };
        assert_eq!(pages(&smaller, &checks).len(), 1);
    }

    #[test]
    fn nobody_is_paged_for_a_pause_of_everything() {
        let mut checks = hour(|_, _| false);
        checks.retain(|check| !(1_500_000_000..2_500_000_000).contains(&(check.ended.0 - 1_000_000_000_000)));
        assert_eq!(pages(&policy(), &checks), []);
    }
}
