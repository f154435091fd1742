//! The decision engine: a pure fold from events to effects.
//!
//! Time comes in as an argument, nothing is ordered by a hash, and no event has a cause outside this crate's types.
//! See [`Engine`] for the order of calls. The rest of this page says what the engine decides, and why.
//!
//! # Votes
//! A region's vote on a monitor is what the latest check of its agent found; where it has several agents, what most of
//! them found, and a tie abstains. A vote counts while
//! - its agent is *eligible*: heard from within 15 s, working under the monitor's present form, not in doubt of itself,
//!   and no outlier by the word of the others; and
//! - it is *fresh*: its check ended less than `max(2T, T + 15 s)` ago.
//!
//! `m` is the number of regions whose vote counts. Regions that are eligible and have simply not checked yet (new, or back
//! from an absence) are in `m` as well, for as long as a vote lives: those who come first must not decide by the rules
//! of few. A region that is silent, sick, outdated, an outlier, stale, tied or at fault itself is not in `m`. It counts neither way.
//!
//! # Self-doubt
//! An agent that is starved, cut off or lied to sees faults that are its own. It measures that itself and says so with a
//! reason ([`quorate_proto::Doubt`]); from that heartbeat on until one without a reason its vote abstains, and it is asked
//! nothing. The engine adds no patience of its own: the agent is in doubt until it has been clean for 30 s. What it measured
//! in the trouble comes as its own fault, also where that is known only afterwards, as after a standstill; so the
//! votes that count when it is back are those of its clean time. At a start nobody is in doubt before it says so.
//!
//! # Suspicion
//! The first failing check of a region that was well makes the monitor *suspect*, which nobody is told. Every eligible
//! region is asked to check at once, with up to two attempts each, and asked again when the evidence is about to be
//! complete; so a verdict waits for evidence and not for the schedule, and an interval of five minutes decides as quickly
//! after its first failure as one of ten seconds. When a region that had just passed begins to fail too, all are asked
//! anew. Rounds are rationed to a quarter of the steady load (`engine/ration.rs` has the numbers); when the ration is
//! spent the scheduled checks serve, by the same rules and up to an interval later.
//!
//! A suspicion ends without a word when the failing regions pass again.
//!
//! # Evidence
//! The evidence of a region is its *stretch*: the unbroken run of failing checks, from the start of the first to the end of
//! the latest. A check that waited ten seconds for a reply is evidence for those ten, so silent servers need one round
//! where refusing ones need two. One check that passes breaks the run; so does a gap as long as a vote lives.
//!
//! The *evidence span* of `k` failing regions runs from the start of the first failure to the moment until which `k` of
//! them have failing checks. Both ends are deliberate:
//! - *until which `k` of them*: not until the latest of all. Otherwise the one region that answers a round first would
//!   complete the span for three whose passes are still on their way.
//! - *the first failure* leaves out regions whose failure was *settled* (confirmed, shown as partial) before enough regions
//!   failed. Otherwise one broken path would make the rules hair-triggered: with it failing for an hour, a server that
//!   restarts in two seconds would be paged. Where all that fail are settled, and one of them passed for a moment, the
//!   evidence starts with the latest of their stretches.
//!
//! # Down
//! *Rule 3, fast.* At least `m - floor(m/5)` regions fail ([`Policy::needed`]; 2/2, 3/3, 4/4, 4/5, 5/6), and their evidence
//! spans `W` ([`Policy::span_needed`]): 11 s from five regions on, 20 s for three or four, 30 s for two. The fewer can
//! corroborate, the longer they have to insist. `W` exceeds the usual hiccup of a path, and is short enough that four
//! more things fit into a minute: the wait for the first check, a timeout, the confirmation, the page.
//!
//! *Rule 4, majority.* More than half fail *together* for 90 s, or 300 s below five regions: from the moment since which so
//! many fail without a break, to that until which so many do. For faults that are real and not total, such as a server
//! that three regions of five cannot reach. Until then it is partial. Counted from the first failure it would page for
//! a broken path beside two that hiccup; it has the time to want all of them for all of it.
//!
//! *Rule 5, a single region*, where the operator configured one and no more: three attempts over 30 s.
//!
//! Exactly half is never down, and what is down does not end by it.
//!
//! # Partial
//! A region's failure is *settled* when at least two checks failed over `W`. A monitor with a settled failure that is not
//! down is partial. It is held back while answers are on their way, or while a quorum fails and only its span lacks (for
//! at most 60 s), so that a total outage is not announced twice. A blip that is over by the second round is nothing.
//!
//! # Unobserved
//! `m < 2` (or no vote at all of a single configured region). It takes effect at once, whatever the verdict was: the
//! engine claims neither up nor down when nobody looks. It ends as partial and down begin, or as recovery does.
//!
//! # Up again
//! *Rule 6.* More than half pass twice, each over at least 10 s, and the failures that are not over by that measure are
//! fewer than the quorum. The first pass after a failure makes all regions be asked, and again when the 10 s are over. If
//! some region still fails, down becomes partial. Partial ends when no region fails and each that did passed twice over
//! 10 s (or has been absent for a vote's lifetime). As down wants more than half to fail and up wants more than half to
//! pass, each without a break, neither rule can be had by the regions that made the other.
//!
//! # Canaries
//! An agent may hold a connection open, its *canary*. Its end is no vote, but an alarm: all regions are asked at once, and
//! the monitor is suspect until they have answered. So a crashed server is confirmed within seconds whatever the interval is.
//! Such rounds never take the lower half of the ration: connections that come and go leave enough to confirm a fault. A
//! canary that opens where checks fail is a hint in the same manner: they are made anew.
//!
//! A server that closes canaries with 1001, 1012 or 1013 says that it will be back. When it says so to as many regions as
//! the fast rule needs, within 10 s, then down and partial are withheld for the *restart budget* (30 s), counted from the
//! first announcement. Evidence is gathered meanwhile, so that a server which stays away is paged at the end of the budget.
//! When as many regions have reconnected before, it was a *restart*: told as an event, and what failed before a region was
//! back is no evidence any more, or its last failing checks would page after it was over. Partial still waits for the end of the budget,
//! for regions that take longer.
//!
//! What fewer regions' canaries say withholds nothing. Nor can a quorum of them withhold for long: a reprieve is not
//! renewed before evidence of its own time counts, so that a server which goes round and round is paged in the pause.
//! `engine/canary.rs` has the numbers.
//!
//! # Starts
//! *A new monitor* has no verdict until more than half of its configured regions pass, or a rule for down applies, or its
//! grace of `max(2T, T + 15 s)` is over; then those that have a vote decide. In the grace absent regions are in `m`, and
//! nothing turns unobserved.
//!
//! *After a restart* the stored verdicts are restored, and held in the same manner for as long as an agent may need to
//! reconnect and check ([`Policy::restart_grace`]). Two regions of five that are back first cannot page; four of five
//! can, at once, by fresh votes alone. What was partial stays so until every region had its say. *A changed monitor* (a
//! policy with a newer revision) forgets the checks of its old form and holds its verdict in the same way.
//!
//! # Grounds
//! Every verdict carries its [`Grounds`]: the policy, each region's vote with the run of checks behind it and the signed
//! units that hold them, what was waited for, and since when enough regions failed. [`judge`] lays them out as a monitor
//! and lets the same rules look at them, so that anyone who has the signed units can see that the rules applied to these
//! votes give this verdict. Whoever states fewer checks or a shorter run than was signed can only lose a verdict by it;
//! what no check shows (that a region was silent or sick, or that a failure was settled) is the aggregator's word.
//! They are built when a verdict changes, and at no other time.
//!
//! # Uptime
//! Verdicts over time become shares of time in [`uptime`]: how unobserved and maintained time is reckoned, and how results
//! that come late mend what nobody saw. None of it decides.
//!
//! # Domains
//! Regions fail together when they stand with one provider, or behind one network, and then it is not the server that is
//! down. The labels that [`Policy::domains`] names (`provider` and `network`) form *domains*: the agents that share a
//! label's value. An agent without the label is of a domain of its own, its region. The domains of a failing vote are
//! those of the agents that carry it, so a region with agents of two providers speaks for both where both fail.
//!
//! For rules 3 and 4 the failing regions must be of at least [`Policy::min_domains`] domains, 2 by default, by each label:
//! *no domain makes down alone while another one is there*. A domain is there while an agent of it votes or its region is
//! waited for, even where it is outvoted in its region; and, for a vote's lifetime, where it has fallen silent after a
//! pass, so that the restart of one agent does not leave the word to the others. Where fewer domains are there than are
//! wanted, all of them have to fail: where every voter is of one domain, that one decides. It would be worse to see an
//! outage and not say so because one provider has all the agents that are left.
//!
//! Until enough domains fail a quorum is none: its evidence begins when they do, and what is settled by then is left out,
//! as with any broken path. What fails is *partial* meanwhile, and the rule says how many domains fail and how many had
//! to ([`Rule::TooFewDomains`]; [`Effect::Withheld`] where it was partial before).
//!
//! *Up* asks for no domains. It claims less: a region that fails keeps partial standing whatever the others pass, and the
//! next failure is news again; whereas an incident that cannot end because one provider is silent teaches people to look
//! away. An outage that is down does not end when one domain passes: that takes the majority of rule 6. *Starts* are as
//! without domains: in the grace an absent region's domain is there, so that one provider which is back first waits for
//! the others for as long as any few would.
//!
//! The price: four regions with one provider and a single one elsewhere give that single one a veto on down. Partial is
//! shown and the reason is told; who does not want that spreads regions, or sets 1.
//!
//! # Outliers
//! The quorum holds against any one region, whatever it says: of five, one cannot make four fail, nor keep four from
//! failing. What one sick or lying agent can do is to make everything look partial, to use up the margin that a second
//! fault needs, and among three regions to delay a page to rule 4. So an agent is set aside, its votes abstain as
//! [`Abstention::Outlier`] and it is not asked any more, when for 180 s it contradicts the others on more than half of ten
//! or more *unrelated* targets ([`Policy::target`]): it fails what they pass, or passes what they find failing. It votes
//! again when no check of it was contradicted for 600 s. The operator hears of both ([`Effect::Outlier`],
//! [`Effect::OutlierOver`]).
//!
//! A check is judged once the agent's next has come, by regions that found the same before it began and after it ended;
//! so the first to see an outage, or its end, contradicts nobody. A target counts when two of its last four judged checks
//! were contradicted. The others' word is that of the fast rule's quorum of them: two at least to contradict a pass,
//! three, and of more than one domain where the agent is of another, to contradict a failure: to silence a region that
//! passes makes down easier. Where two of five agree with each other, nobody can tell who lies, and nobody is set aside.
//!
//! With fewer than ten targets, or monitors that name no target, there are no outliers, only the quorum. After a restart
//! everyone begins anew: a liar is found again within four minutes, during which the quorum holds as it did before, and
//! an agent that was mended meanwhile is not punished. `engine/outliers.rs` has the numbers.
//!
//! # What it comes to
//! The simulation in `tests/src/years.rs` measures it: with five regions, T = 30 s and paths that are out for 20 s or 60 s
//! 0.1 % of the time, no false page in 2,000 monitor-years; a refusing server is decided within 18 s, a silent one within 27 s.
//! [`Forecast`] reckons the same in closed form.
//!
//! # Calibration
//! The spans above hold for paths of which nothing is known. A false page takes paths that fail by themselves at the same
//! time, and how often that happens can be reckoned from how often each fails alone, and for how long. [`Calibration`]
//! measures both, and puts into a policy what fits (the field [`calibrated`](field@Policy::calibrated)): the smallest span
//! with fewer than half a false page expected in 1,000 years, from 11 s up to what lets a page come within a minute. Where
//! paths are bad it is a span over which
//! the quorum fails *together*, and the majority's is doubled; a path that is far worse than most abstains
//! ([`Abstention::Noisy`]): it is not in `m`, not asked, of no domain, and its failures make nothing partial; but what was
//! partial by them before stays so while they go on. A majority of the configured regions keeps its say whatever is measured. With fewer voters than were reckoned with, the usual spans are
//! the least. What the operator set (`confirm_for`, [`Sensitivity::Fast`]) stands.
//!
//! # Paging
//! Whom to tell of a verdict, and when not, is decided behind the engine by another fold, [`paging`]: it has a page of its own.

mod calibration;
mod effect;
mod engine;
mod event;
mod forecast;
mod grounds;
pub mod paging;
mod paths;
mod policy;
pub mod quality;
pub mod uptime;
mod verdict;

pub use calibration::{Calibration, PAGES_MAX, Recalibrated};
pub use effect::{Contradiction, CountedVote, Effect, Outlier, Rule, Timeline, VerdictChange};
pub use engine::{Engine, Judgement, MonitorState, RegionState, judge, run_of};
pub use event::{CanaryReport, CanaryTurn, Event, Finding, Heartbeat, Observation, Source};
pub use forecast::{Forecast, PageTime, PathQuality};
pub use grounds::{BallotGrounds, Crossed, Grounds, RegionGrounds, Reprieved, Spread};
pub use paging::{Paging, PagingEffect, PagingEvent, PagingSettings};
pub use paths::{PathSums, Paths};
pub use policy::{
    CONFIRM_FOR_MAX, Calibrated, DOMAIN_LABELS, MIN_DOMAINS, Policy, PolicyError, Quorum,
    SINGLE_REGION_ATTEMPTS, Sensitivity,
};
pub use verdict::{Abstention, Verdict, Vote};

use quorate_proto::{Micros, WallMicros};

/// A reading of the aggregator's own steady clock: microseconds since 1970 by its wall clock *at its start*, and from
/// then on counted by a monotonic clock. It never jumps; it may drift from the wall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

impl Moment {
    /// The moment `span` later.
    #[must_use]
    pub const fn after(self, span: Micros) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// The moment `span` earlier.
    #[must_use]
    pub const fn before(self, span: Micros) -> Self {
        Self(self.0.saturating_sub(span.0))
    }

    /// The span since an earlier moment, or zero where that one is later.
    pub const fn since(self, earlier: Self) -> Micros {
        Micros(self.0.saturating_sub(earlier.0))
    }

    /// The moment as a wall clock would have shown it, for people.
    pub fn to_wall(self) -> WallMicros {
        WallMicros(i64::try_from(self.0).unwrap_or(i64::MAX))
    }
}
