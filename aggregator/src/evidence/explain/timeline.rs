//! The timeline of a decision: one lane a region, with its checks and what became of them. Terminal and page draw it.

use std::collections::BTreeSet;

use quorate_proto::{Micros, WallMicros};
use quorate_quorum::Finding;
use serde::{Deserialize, Serialize};

use super::Paged;
use crate::{
    evidence::rebuild::Checks,
    model::{DecisionRecord, evidence::RegionRecord, rfc3339},
};

/// How much is drawn before the first failing check, and after the last step, at least.
const MARGIN: Micros = Micros::from_secs(1);
/// The longest that is drawn before the verdict: of a failure that was established for hours the end is enough.
const BEFORE_MAX: Micros = Micros::from_secs(330);

/// A drawing's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// Its left edge.
    #[serde(with = "rfc3339")]
    pub start: WallMicros,
    /// Its right edge.
    #[serde(with = "rfc3339")]
    pub end: WallMicros,
    /// The verdict that fell.
    pub verdict: String,
    /// One for each region, in order.
    pub lanes: Vec<Lane>,
    /// The steps towards the verdict and the page.
    pub moments: Moments,
}

/// One region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// Its name.
    pub region: String,
    /// `ok`, `fail` or `abstain`.
    pub vote: String,
    /// Why it abstained.
    pub abstains: Option<String>,
    /// Its checks and what it was asked, in order.
    pub marks: Vec<Mark>,
}

/// One thing in a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// What.
    pub kind: MarkKind,
    /// When it began; the same as the end for what takes no time.
    #[serde(with = "rfc3339")]
    pub from: WallMicros,
    /// When it ended.
    #[serde(with = "rfc3339")]
    pub to: WallMicros,
}

/// What a mark stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    /// The region was asked to check.
    Asked,
    /// A check passed.
    Passed,
    /// The agent could not check.
    Fault,
    /// A check failed.
    Failed,
}

/// The steps towards a verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moments {
    /// The start of the first failing check.
    #[serde(with = "rfc3339::option")]
    pub first_failure: Option<WallMicros>,
    /// When all regions were asked.
    #[serde(with = "rfc3339::option")]
    pub asked: Option<WallMicros>,
    /// When enough regions failed.
    #[serde(with = "rfc3339::option")]
    pub quorum: Option<WallMicros>,
    /// When the verdict fell.
    #[serde(with = "rfc3339::option")]
    pub decided: Option<WallMicros>,
    /// When the page was sent.
    #[serde(with = "rfc3339::option")]
    pub page: Option<WallMicros>,
}

impl Moments {
    /// Those that are known, in order, each with its letter and its words.
    pub fn steps(&self) -> Vec<(char, &'static str, WallMicros)> {
        [
            ('F', "first failing check", self.first_failure),
            ('A', "all regions asked", self.asked),
            ('Q', "enough regions fail", self.quorum),
            ('D', "verdict", self.decided),
            ('P', "page sent", self.page),
        ]
        .into_iter()
        .filter_map(|(letter, words, at)| Some((letter, words, at?)))
        .collect()
    }
}

pub(super) fn draw(decision: &DecisionRecord, checks: &Checks<'_>, paged: Paged) -> Timeline {
    let wall = |us: u64| decision.wall(us);
    let decided = wall(decision.decided_us);
    let moments = Moments {
        first_failure: decision.first_failure_us.map(wall),
        asked: decision.suspected_us.map(wall),
        quorum: decision.quorum_us.map(wall),
        decided: Some(decided),
        page: paged.sent,
    };
    let earliest = moments.first_failure.into_iter().chain(moments.asked).min();
    let first =
        earliest.unwrap_or_else(|| decided.before(Micros::from_secs(20))).max(decided.before(BEFORE_MAX));
    // A page that had to wait for its channel must not press all the rest together.
    let last =
        paged.sent.filter(|sent| sent.since(decided) < Micros::from_secs(60)).unwrap_or(decided).max(decided);
    let margin = MARGIN.max(last.since(first) / 16);
    let (start, end) = (first.before(margin), last.after(margin));
    let within = |mark: &Mark| mark.to >= start && mark.from <= end;
    let lane = |region: &RegionRecord| {
        let mut marks = marks(decision, region, checks);
        marks.retain(within);
        Lane {
            region: region.region.to_string(),
            vote: region.vote.clone(),
            abstains: region.abstains.clone(),
            marks,
        }
    };
    let lanes = decision.regions.iter().map(lane).collect();
    Timeline { start, end, verdict: decision.to.clone(), lanes, moments }
}

/// The checks of a region's agents up to the verdict, and the rounds that they answer: the number of a request is the moment
/// at which it was made, as far as no earlier one has it.
fn marks(decision: &DecisionRecord, region: &RegionRecord, checks: &Checks<'_>) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut requests = BTreeSet::new();
    for ballot in &region.ballots {
        for check in checks.values().filter(|check| check.source.agent == ballot.agent) {
            let Some(times) = check.times.filter(|times| times.received.0 <= decision.decided_us) else {
                continue;
            };
            let kind = match check.finding() {
                Finding::Passed => MarkKind::Passed,
                Finding::Failed => MarkKind::Failed,
                Finding::AgentsOwnFault => MarkKind::Fault,
            };
            let to = decision.wall(times.ended.0);
            let took = check.result.timings.total.min(Micros(decision.policy.timeout_us));
            marks.push(Mark { kind, from: to.before(took), to });
            requests.extend(check.request());
        }
    }
    let asked = requests.into_iter().chain(region.asked_us).filter(|us| *us <= decision.decided_us);
    marks.extend(asked.map(|us| Mark {
        kind: MarkKind::Asked,
        from: decision.wall(us),
        to: decision.wall(us),
    }));
    marks.sort_by_key(|mark| (mark.from, mark.kind));
    marks.dedup();
    marks
}
