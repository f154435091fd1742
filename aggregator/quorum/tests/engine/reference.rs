//! The rules once more, slow and obvious: everything that was ever said is kept, and read from its beginning at every
//! look. Written from the crate's page, with its own arithmetic; `compared.rs` plays both.
//!
//! One monitor, no canaries, whole seconds; agent *a* of *n* regions stands in region *a mod n*. Which rounds are asked is a matter of rations and not of
//! verdicts, so the model is told of rounds and does not ask for any.

use std::collections::BTreeMap;

use quorate_proto::Micros;
use quorate_quorum::{Calibrated, Policy, Quorum, Sensitivity, Verdict};

/// Whole seconds.
pub(crate) type Second = u64;

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Pass,
    Fail,
    OwnFault,
}

/// One check that was heard of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Check {
    pub(crate) agent: usize,
    pub(crate) started: Second,
    pub(crate) ended: Second,
    pub(crate) found: Found,
}

/// What the model says of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) at: Second,
    pub(crate) from: Option<Verdict>,
    pub(crate) to: Verdict,
    /// `fast`, `majority`, `single`, `some`, `few`, `recovered` or `first`.
    pub(crate) rule: &'static str,
    pub(crate) failing: usize,
    pub(crate) eligible: usize,
}

#[derive(Debug)]
pub(crate) struct Reference {
    policy: Policy,
    regions: usize,
    agents: usize,
    /// Checks that were taken, in order of arrival.
    checks: Vec<Check>,
    /// Heartbeats: when, whose, and whether sick.
    beats: Vec<(Second, usize, bool)>,
    watched_since: Second,
    held_until: Second,
    pub(crate) verdict: Option<Verdict>,
    /// Regions whose failure is established, with the end of the latest failing check.
    settled: BTreeMap<usize, Second>,
    /// Since when a quorum, and more than half, fail; and where that evidence begins.
    quorum: Option<(Second, Second)>,
    majority: Option<(Second, Second)>,
    asked: BTreeMap<usize, Second>,
    answers_until: Second,
}

/// What one region says.
#[derive(Clone, Copy, Debug, Default)]
struct Say {
    vote: Option<bool>,
    start: Second,
    end: Second,
    checks: usize,
    may_vote: bool,
    awaited: bool,
}

struct Count {
    says: Vec<Say>,
    failing: usize,
    passing: usize,
    eligible: usize,
}

impl Reference {
    pub(crate) fn new(policy: Policy, agents: usize, at: Second) -> Self {
        let mut reference = Self {
            regions: policy.regions.len(),
            agents,
            policy,
            checks: Vec::new(),
            beats: Vec::new(),
            watched_since: at,
            held_until: 0,
            verdict: None,
            settled: BTreeMap::new(),
            quorum: None,
            majority: None,
            asked: BTreeMap::new(),
            answers_until: 0,
        };
        reference.held_until = at + reference.lifetime();
        reference
    }

    pub(crate) fn beat(&mut self, agent: usize, sick: bool, at: Second) -> Vec<Turn> {
        self.beats.push((at, agent, sick));
        self.look(at)
    }

    /// A check that is heard of when it is too old, or after a later one of the same agent, is not taken.
    pub(crate) fn hear(&mut self, check: Check, at: Second) -> Vec<Turn> {
        let latest = self.of(check.agent).last();
        let is_late = check.ended + self.lifetime() <= at;
        if is_late || latest.is_some_and(|latest| check.ended < latest.ended) {
            return Vec::new();
        }
        self.checks.push(check);
        let region = check.agent % self.regions;
        if self.asked.get(&region).is_some_and(|asked| check.started >= *asked) {
            self.asked.remove(&region);
        }
        self.look(at)
    }

    /// An agent is revoked: nothing that it said counts any more.
    pub(crate) fn forget(&mut self, agent: usize, at: Second) -> Vec<Turn> {
        self.beats.retain(|(_, of, _)| *of != agent);
        self.checks.retain(|check| check.agent != agent);
        self.look(at)
    }

    /// A round is asked.
    pub(crate) fn ask(&mut self, regions: &[usize], at: Second) {
        for region in regions {
            self.asked.insert(*region, at);
        }
        self.answers_until = at + seconds(self.policy.timeout.0) + 2;
    }

    /// Whether a region's answer is awaited.
    pub(crate) fn is_asked(&self, region: usize) -> bool {
        self.asked.contains_key(&region)
    }

    /// What was decided before a restart.
    pub(crate) fn restore(&mut self, verdict: Verdict, at: Second) -> Vec<Turn> {
        self.verdict = Some(verdict);
        self.hold(at, self.grace());
        self.look(at)
    }

    /// The aggregator stood still.
    pub(crate) fn pause(&mut self, at: Second) -> Vec<Turn> {
        self.hold(at, self.grace());
        self.look(at)
    }

    /// Another form of the monitor: what was found of the old one is void.
    pub(crate) fn renew(&mut self, policy: Policy, at: Second) -> Vec<Turn> {
        self.policy = policy;
        self.checks.clear();
        self.settled.clear();
        self.watched_since = at;
        self.hold(at, self.lifetime());
        self.look(at)
    }

    /// Other numbers for the same monitor.
    pub(crate) fn recalibrate(&mut self, policy: Policy, at: Second) -> Vec<Turn> {
        self.policy = policy;
        self.look(at)
    }

    fn hold(&mut self, at: Second, span: Second) {
        self.held_until = at + span;
        (self.quorum, self.majority) = (None, None);
        if self.verdict == Some(Verdict::Down) {
            self.settled = (0..self.regions).map(|region| (region, at)).collect();
        }
    }

    /// Looks at everything, and says what changes.
    pub(crate) fn look(&mut self, at: Second) -> Vec<Turn> {
        let count = self.count(at);
        if self.answers_until <= at {
            self.asked.clear();
        }
        self.asked.retain(|region, _| count.says[*region].may_vote);
        let begins = self.evidence_begins(&count);
        let since =
            |before: Option<(Second, Second)>, holds: bool| holds.then(|| before.unwrap_or((at, begins)));
        self.quorum = since(self.quorum, count.failing >= self.needed(count.eligible));
        self.majority = since(self.majority, count.failing > count.eligible / 2);

        let mut turns = Vec::new();
        // One verdict may be overtaken at once by the next.
        for _ in 0..3 {
            self.settle(&count, at);
            let Some((to, rule)) = self.due(&count, at).filter(|(to, _)| Some(*to) != self.verdict) else {
                break;
            };
            let (failing, eligible) = (count.failing, count.eligible);
            turns.push(Turn { at, from: self.verdict.replace(to), to, rule, failing, eligible });
            if to == Verdict::Up {
                self.settled.retain(|region, _| count.says[*region].vote == Some(false));
            }
        }
        turns
    }

    fn count(&self, at: Second) -> Count {
        let says: Vec<_> = (0..self.regions).map(|region| self.say(region, at)).collect();
        let voting = |vote| says.iter().filter(|say| say.vote == Some(vote)).count();
        let (failing, passing) = (voting(false), voting(true));
        let awaited = says.iter().filter(|say| say.awaited).count();
        let eligible = if at < self.held_until { self.voters() } else { failing + passing + awaited };
        Count { says, failing, passing, eligible }
    }

    /// What most of a region's agents say. A tie says nothing.
    fn say(&self, region: usize, at: Second) -> Say {
        if self.is_noisy(region) {
            return Say::default();
        }
        let well: Vec<_> =
            self.agents_of(region).filter(|agent| self.well_since(*agent, at).is_some()).collect();
        let Some(well_since) = well.iter().filter_map(|agent| self.well_since(*agent, at)).max() else {
            return Say::default();
        };
        let latest =
            |agent: &usize| self.of(*agent).last().filter(|check| at < check.ended + self.lifetime());
        let found = |found| well.iter().filter_map(latest).filter(move |check| check.found == found);
        let (failing, passing) = (found(Found::Fail).count(), found(Found::Pass).count());
        let nothing = Say { may_vote: true, ..Say::default() };
        if failing == 0 && passing == 0 {
            let is_at_fault = found(Found::OwnFault).count() > 0;
            let awaited = !is_at_fault && at < well_since.max(self.watched_since) + self.lifetime();
            return Say { awaited, ..nothing };
        }
        if failing == passing {
            return nothing;
        }
        let most = (failing + passing) / 2 + 1;
        let agreeing: Vec<_> = found(if failing > passing { Found::Fail } else { Found::Pass }).collect();
        let mut starts: Vec<_> = agreeing.iter().map(|check| self.run(check.agent).0).collect();
        let mut ends: Vec<_> = agreeing.iter().map(|check| check.ended).collect();
        starts.sort_unstable();
        ends.sort_unstable();
        Say {
            vote: Some(passing > failing),
            start: starts[most - 1],
            end: ends[ends.len() - most],
            checks: agreeing.iter().map(|check| self.run(check.agent).1).sum(),
            ..nothing
        }
    }

    fn agents_of(&self, region: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.agents).filter(move |agent| agent % self.regions == region)
    }

    /// Since when the agent has been heard from without a break, and not sick; none where it is not well.
    fn well_since(&self, agent: usize, at: Second) -> Option<Second> {
        let mut well: Option<(Second, Second)> = None;
        for (beat, _, sick) in self.beats.iter().filter(|(_, of, _)| *of == agent) {
            well = match well {
                _ if *sick => None,
                Some((since, last)) if *beat < last + 15 => Some((since, *beat)),
                _ => Some((*beat, *beat)),
            };
        }
        well.filter(|(_, last)| at < last + 15).map(|(since, _)| since)
    }

    /// The start of the unbroken run that the latest check continues, and the checks in it.
    fn run(&self, agent: usize) -> (Second, usize) {
        let mut run: Option<(Check, Second, usize)> = None;
        for check in self.of(agent) {
            run = Some(match run {
                Some((last, _, _)) if last.found != check.found => (check, check.started.max(last.ended), 1),
                Some((last, start, checks)) if check.started < last.ended + self.lifetime() => {
                    (check, start, checks + 1)
                }
                _ => (check, check.started, 1),
            });
        }
        run.map_or((0, 0), |(_, start, checks)| (start, checks))
    }

    fn of(&self, agent: usize) -> impl Iterator<Item = Check> + Clone + '_ {
        self.checks.iter().copied().filter(move |check| check.agent == agent)
    }

    /// The start of the first failure that is news; where none is, of the latest.
    fn evidence_begins(&self, count: &Count) -> Second {
        let failing = || count.says.iter().enumerate().filter(|(_, say)| say.vote == Some(false));
        let news = failing().filter(|(region, _)| !self.settled.contains_key(region));
        let start = |(_, say): (usize, &Say)| say.start;
        news.map(start).min().or_else(|| failing().map(start).max()).unwrap_or(0)
    }

    fn settle(&mut self, count: &Count, at: Second) {
        let is_down = self.verdict == Some(Verdict::Down);
        let may_settle = is_down || !self.is_too_early_for_partial(count, at);
        for (region, say) in count.says.iter().enumerate() {
            let confirmed = |span| say.checks >= 2 && say.end.saturating_sub(say.start) >= span;
            match (say.vote, self.settled.get(&region).copied()) {
                (Some(false), before) => {
                    if is_down || before.is_some() || (may_settle && confirmed(self.span(count.eligible))) {
                        self.settled.insert(region, say.end);
                    }
                }
                (vote, Some(failed)) => {
                    let still = self.fails_until(region, at).filter(|_| self.is_noisy(region));
                    let failed = still.map_or(failed, |still| still.max(failed));
                    self.settled.insert(region, failed);
                    let is_unheard = self.agents_of(region).all(|agent| self.of(agent).next().is_none());
                    let is_gone = is_unheard && !is_down;
                    let is_over = vote == Some(true) && confirmed(self.recovery());
                    if is_gone || is_over || failed + self.lifetime() <= at {
                        self.settled.remove(&region);
                    }
                }
                (_, None) => {}
            }
        }
    }

    /// Until when most agents of a region fail, whoever they are.
    fn fails_until(&self, region: usize, at: Second) -> Option<Second> {
        let latest = self.agents_of(region).filter_map(|agent| self.of(agent).last());
        let fresh: Vec<_> = latest.filter(|check| at < check.ended + self.lifetime()).collect();
        let failing = fresh.iter().filter(|check| check.found == Found::Fail);
        let passing = fresh.iter().filter(|check| check.found == Found::Pass);
        if failing.clone().count() > passing.count() { failing.map(|check| check.ended).max() } else { None }
    }

    fn due(&self, count: &Count, at: Second) -> Option<(Verdict, &'static str)> {
        let Count { says, failing, passing, eligible } = count;
        let is_single = self.regions == 1;
        if *eligible < if is_single { 1 } else { 2 } {
            return Some((Verdict::Unobserved, "few"));
        }
        if let Some(rule) = self.down(count) {
            return Some((Verdict::Down, rule));
        }
        let early = self.is_too_early_for_partial(count, at);
        let fails_for_good = says
            .iter()
            .enumerate()
            .any(|(region, say)| say.vote == Some(false) && self.settled.contains_key(&region));
        let is_partial = fails_for_good && !early && !is_single;
        let partial = (Verdict::Partial, "some");
        let up = self.is_recovered(count).then_some((Verdict::Up, "recovered"));
        match self.verdict {
            None if *passing > eligible / 2 && self.quorum.is_none() => {
                Some(if is_partial { partial } else { (Verdict::Up, "first") })
            }
            None => (at >= self.held_until && *failing > 0 && !early && !is_single).then_some(partial),
            Some(Verdict::Up) => is_partial.then_some(partial),
            Some(Verdict::Partial) => {
                let all_heard = *passing == self.voters() || at >= self.held_until;
                up.filter(|_| *failing == 0 && self.settled.is_empty() && all_heard)
            }
            Some(Verdict::Down) if up.is_none() || *failing == 0 => up,
            Some(Verdict::Down) => (!early && !is_single).then_some(partial),
            Some(Verdict::Unobserved) if fails_for_good => is_partial.then_some(partial),
            Some(Verdict::Unobserved) => up,
        }
    }

    fn down(&self, count: &Count) -> Option<&'static str> {
        let failing = count.says.iter().filter(|say| say.vote == Some(false));
        let mut ends: Vec<_> = failing.clone().map(|say| say.end).collect();
        ends.sort_unstable_by(|one, other| other.cmp(one));
        let mut starts: Vec<_> = failing.clone().map(|say| say.start).collect();
        starts.sort_unstable();
        // Until which so many of them fail, less where the evidence begins: with the first of them, or the last.
        let spans = |begins: Second, of: usize, together: bool| {
            let start = starts.get(if together { of - 1 } else { 0 }).copied().unwrap_or(0);
            ends.get(of - 1).map_or(0, |end| end.saturating_sub(start.max(begins)))
        };
        if let Some((_, begins)) = self.quorum {
            let together = self.calibrated().is_some_and(|calibrated| calibrated.together);
            let spans = spans(begins, self.needed(count.eligible), together);
            if spans >= self.span(count.eligible) {
                if self.regions > 1 {
                    return Some("fast");
                }
                if failing.clone().any(|say| say.checks >= 3) {
                    return Some("single");
                }
            }
        }
        let (_, begins) = self.majority.filter(|_| self.regions > 1)?;
        let usual = if count.eligible >= 5 { 90 } else { 300 } * self.doubled();
        let wanted = self.fitting(count.eligible, usual, |calibrated| calibrated.majority_span);
        (spans(begins, count.eligible / 2 + 1, true) >= wanted).then_some("majority")
    }

    fn is_recovered(&self, count: &Count) -> bool {
        let passed = |say: &&Say| {
            say.vote == Some(true) && say.checks >= 2 && say.end.saturating_sub(say.start) >= self.recovery()
        };
        let passed = count.says.iter().filter(passed).count();
        let failed =
            |(region, say): &(usize, &Say)| say.vote == Some(false) || self.settled.contains_key(region);
        let failed = count.says.iter().enumerate().filter(failed).count();
        passed > count.eligible / 2 && failed < self.needed(count.eligible)
    }

    /// Answers are on their way, or a quorum fails and only its span lacks, for a minute at most.
    fn is_too_early_for_partial(&self, count: &Count, at: Second) -> bool {
        let quorum = self.quorum.filter(|_| self.verdict != Some(Verdict::Down) && count.failing > 0);
        quorum.is_some_and(|(since, _)| at < since + 60)
            || (!self.asked.is_empty() && at < self.answers_until)
    }

    fn needed(&self, eligible: usize) -> usize {
        let more_than_half = eligible / 2 + 1;
        let needed = match self.policy.quorum {
            Quorum::Default => eligible - eligible / 5,
            Quorum::Majority => more_than_half,
            Quorum::AllButOne => eligible.saturating_sub(1).max(more_than_half),
            Quorum::All => eligible,
            Quorum::AtLeast(quorum) => usize::from(quorum).min(eligible),
        };
        needed.max(if self.regions == 1 { 1 } else { 2 })
    }

    fn span(&self, eligible: usize) -> Second {
        if let Some(span) = self.policy.confirm_for {
            return seconds(span.0);
        }
        let span = match eligible {
            0..=2 => 30,
            3 | 4 => 20,
            _ => 11,
        };
        let usual = if self.policy.sensitivity == Sensitivity::Fast { 0 } else { span * self.doubled() };
        self.fitting(eligible, usual, |calibrated| calibrated.span)
    }

    /// What was measured, where the operator left it to that.
    fn calibrated(&self) -> Option<&Calibrated> {
        let is_left = self.policy.confirm_for.is_none() && self.policy.sensitivity != Sensitivity::Fast;
        self.policy.calibrated.as_ref().filter(|calibrated| {
            let left = self.regions - calibrated.noisy.len();
            is_left && self.regions > 1 && left >= 2 && left * 2 > self.regions
        })
    }

    /// The number that was measured for so many voters; with fewer the usual one where it is larger.
    fn fitting(&self, eligible: usize, usual: Second, of: impl Fn(&Calibrated) -> Micros) -> Second {
        match self.calibrated() {
            None => usual,
            Some(one) if eligible < usize::from(one.voters) => seconds(of(one).0).max(usual),
            Some(one) => seconds(of(one).0),
        }
    }

    fn is_noisy(&self, region: usize) -> bool {
        let name = self.policy.regions.iter().nth(region);
        self.calibrated().zip(name).is_some_and(|(calibrated, name)| calibrated.noisy.contains(name))
    }

    fn voters(&self) -> usize {
        (0..self.regions).filter(|region| !self.is_noisy(*region)).count()
    }

    fn recovery(&self) -> Second {
        10 * self.doubled()
    }

    fn doubled(&self) -> Second {
        if self.policy.sensitivity == Sensitivity::Strict { 2 } else { 1 }
    }

    /// How long a vote lives.
    fn lifetime(&self) -> Second {
        let interval = seconds(self.policy.interval.0);
        (2 * interval).max(interval + 15)
    }

    fn grace(&self) -> Second {
        self.lifetime().max(seconds(self.policy.interval.0) + 60)
    }
}

fn seconds(micros: u64) -> Second {
    micros / 1_000_000
}
