//! Which clusters cannot page, whatever the engine does: they are counted and not run.
//!
//! # Windows
//! A region's vote is *fail* at most from the start of an outage of it until a scheduled check that began after the last
//! failing one had ended has passed and arrived. So at any moment the regions that vote *fail* are among those whose such
//! *window* covers it. Down wants, at one moment, `k` regions that vote *fail*, and their evidence to span `W`: from the
//! start of the first failure (or of the `k`-th, where they have to fail together: rule 4) to the end of a failing check of
//! the `k`-th latest. A failure starts no earlier than its window, and a failing check ends no later than its outage and
//! what such a check takes: nearly nothing where it is refused, a timeout where it is not answered. So where at no moment
//! `k` windows overlap that far, for rule 3 or rule 4, nobody is paged. What is starved has no vote in part of the time,
//! which makes `k` smaller: the smallest that it may become is taken. Rules that want more besides, such as domains, page
//! less still.
//!
//! # Attempts that are lost
//! A confirming attempt may be lost without any outage. Scheduled checks are not (that is an outage of its own), so by the
//! next one a region without a window passes again. Let `h` attempts of a cluster be lost.
//! - *Enough*: of the `k` regions at most `h` have no window. The others' windows are wider than thought: an attempt that is
//!   lost just before makes a stretch begin sooner, and one that is lost just after makes it go on. By seconds where `h` is 1,
//!   for the other attempt of the pair, a second apart, passes or has an outage; by up to an interval where it is more.
//! - *For long enough*: each of the `k` has a failing check until the end of the span. One that needs a lost attempt for that
//!   takes one of the `h`; so `k - h` of the windows reach as far by their outages.
//! - The span begins with a window, or with a region that has none, and then no earlier than those seconds or that interval
//!   before the moment. So where `W` is no longer than that, nothing is said about the span. Where `k` have to fail together,
//!   it begins no earlier than the `k - h`-th of the windows.
//!
//! An agent that always fails helps like a lost attempt, and its stretch is as old as any span: that so many fewer windows
//! overlap is enough, unless they have to fail together.

use quorate_proto::Micros;
use quorate_quorum::{Moment, Policy};

use super::{Fault, Outage, Setup, clusters::Cluster};

/// A cluster of more outages than this is looked at in parts.
const LONG: usize = 64;

/// From a scheduled check's start to the arrival of its pass: 0.15 s for the check, 0.1 s in the agent, less than 0.9 s on the way.
const PASS_ARRIVES: Micros = Micros::from_secs(2);

/// How much wider one lost attempt may make a window: two attempts are one second apart, and the second one's pass arrives.
const LOST_WIDENS: Micros = Micros::from_secs(3);

/// No outage is longer: one of a mean of minutes is so with a chance that nobody will see.
const LONGEST: Micros = Micros::from_secs(7_200);

/// What a rule for down wants.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    regions: usize,
    span: Micros,
    /// Whether so many have to fail from its beginning.
    together: bool,
}

/// The part of a region's time in which it may vote *fail*.
#[derive(Clone, Copy, Debug)]
struct Window {
    region: u16,
    start: Moment,
    /// Failing checks end before that.
    fails_until: Moment,
    closes: Moment,
}

/// Says of clusters whether they may page.
pub(super) struct Skip {
    setup: Setup,
    /// For every number of regions that are starved.
    wanted: Vec<[Wanted; 2]>,
    /// Regions that have to fail at least where none is starved.
    fewest: u32,
}

/// Regions that may vote *fail* without a window.
#[derive(Clone, Copy, Debug)]
struct Helpers {
    count: usize,
    /// How much sooner a stretch may begin than the outage, or before the moment that is looked at where there is none; and
    /// how much longer a vote may last.
    wider: Micros,
    /// How much longer checks fail than by outages.
    longer: Micros,
    /// One of them always fails.
    is_old: bool,
}

impl Skip {
    pub(super) fn new(setup: &Setup) -> Self {
        let policy = setup.policy();
        let voters = setup.regions - setup.noisy();
        let wanted = (0..=voters).map(|starved| wanted(&policy, voters - starved, setup.regions));
        let fewest = u32::from(policy.needed(voters).min(voters / 2 + 1));
        Self { setup: *setup, wanted: wanted.collect(), fewest }
    }

    /// The parts of a cluster that may page: none where it cannot, and the whole of a short one. Of a long one, on paths
    /// that are bad so often that there is no quiet between, those outages that lie within [`Setup::quiet`] of a moment
    /// at which enough windows overlap. What the engine remembers of a region's earlier outages is gone by then; the
    /// rounds that were spent before are not counted, so that confirmations are rationed a little less than they would be.
    pub(super) fn parts(&self, cluster: &Cluster) -> Vec<Cluster> {
        if self.is_lone(cluster) {
            return Vec::new();
        }
        let starving = cluster.outages.iter().filter(|outage| outage.fault == Fault::Starved);
        let starved = starving.fold(0_u32, |regions, outage| regions | outage.regions).count_ones() as usize;
        let Some(wanted) = self.wanted.get(starved.min(self.wanted.len() - 1)) else { return Vec::new() };
        let is_long = cluster.outages.len() > LONG;
        // An agent that always fails is one of the regions that vote so. In a long cluster attempts that are lost are few
        // beside outages.
        let lost = if is_long { 0 } else { cluster.lost.len() };
        let helpers = self.helpers(lost);
        let failing = cluster.outages.iter().fold(0_u32, |regions, outage| regions | outage.regions);
        let fewest = wanted.iter().map(|wanted| wanted.regions).min().unwrap_or_default();
        if (failing.count_ones() as usize) + helpers.count < fewest {
            return Vec::new();
        }
        let moments = self.moments(&cluster.outages, wanted, helpers);
        match (moments.is_empty(), is_long) {
            (true, _) => Vec::new(),
            (false, false) => vec![cluster.clone()],
            (false, true) => self.around(&moments, &cluster.outages),
        }
    }

    fn helpers(&self, lost: usize) -> Helpers {
        let is_old = self.setup.has_constant_failure();
        let (wider, longer) = match lost {
            0 => (Micros::ZERO, Micros::ZERO),
            1 => (LOST_WIDENS, LOST_WIDENS),
            2.. => (LOST_WIDENS + self.setup.interval, LOST_WIDENS),
        };
        Helpers { count: lost + usize::from(is_old), wider, longer, is_old }
    }

    /// The moments at which it cannot be excluded that down is about to be said, in order.
    fn moments(&self, outages: &[Outage], wanted: &[Wanted], helpers: Helpers) -> Vec<Moment> {
        let mut active: Vec<Window> = Vec::new();
        let mut moments = Vec::new();
        for window in self.windows(outages, helpers) {
            active.retain(|other| window.start < other.closes);
            active.push(window);
            if wanted.iter().any(|wanted| reaches(active.iter(), wanted, helpers)) {
                moments.push(window.start);
            }
        }
        moments
    }

    fn around(&self, moments: &[Moment], outages: &[Outage]) -> Vec<Cluster> {
        let quiet = self.setup.quiet();
        let mut spans: Vec<(Moment, Moment)> = Vec::new();
        for moment in moments {
            let (start, end) = (moment.before(quiet * 2), moment.after(quiet));
            match spans.last_mut().filter(|last| start <= last.1) {
                Some(last) => last.1 = end,
                None => spans.push((start, end)),
            }
        }
        let part = |(start, end): &(Moment, Moment)| {
            let from = outages.partition_point(|outage| outage.start < start.before(LONGEST));
            let mine = outages.iter().skip(from).take_while(|outage| outage.start < *end);
            let outages = mine.filter(|outage| outage.end > *start).copied().collect();
            Cluster { outages, lost: Vec::new() }
        };
        spans.iter().map(part).collect()
    }

    /// Whether it is one outage that by itself cannot page: nearly all are of this kind, so this is looked at first.
    #[inline]
    pub(super) fn is_lone(&self, cluster: &Cluster) -> bool {
        let ([outage], []) = (cluster.outages.as_slice(), cluster.lost.as_slice()) else { return false };
        self.fewest > 1
            && !self.setup.has_constant_failure()
            && outage.fault != Fault::Starved
            && outage.regions.count_ones() < self.fewest
    }

    /// Of each region, with those that touch made one; in order of their start.
    fn windows(&self, outages: &[Outage], helpers: Helpers) -> Vec<Window> {
        let mut windows: Vec<Window> = Vec::with_capacity(outages.len());
        for outage in outages {
            let start = outage.start.before(helpers.wider);
            let fails_until = outage.end.after(outage.fault.takes(self.setup.timeout)).after(helpers.longer);
            let closes = fails_until.after(self.setup.interval).after(PASS_ARRIVES).after(helpers.wider);
            for region in (0..self.setup.regions).filter(|region| outage.regions & (1 << region) != 0) {
                let touching = windows.iter_mut().rev().take(LONG).find(|window| window.region == region);
                match touching.filter(|window| start <= window.closes) {
                    Some(window) => {
                        window.fails_until = window.fails_until.max(fails_until);
                        window.closes = window.closes.max(closes);
                    }
                    None => windows.push(Window { region, start, fails_until, closes }),
                }
            }
        }
        windows
    }
}

/// The rules for down as they may apply to `fewest` to `most` regions with a vote.
fn wanted(policy: &Policy, fewest: u16, most: u16) -> [Wanted; 2] {
    let voters = || fewest.max(1)..=most;
    let spans =
        |span: fn(&Policy, u16) -> Micros| voters().map(|m| span(policy, m)).min().unwrap_or_default();
    let fast = voters().map(|eligible| policy.needed(eligible)).min().unwrap_or(1);
    let majority = voters().map(|eligible| eligible / 2 + 1).min().unwrap_or(1);
    let (fast_span, majority_span) = (spans(Policy::span_needed), spans(Policy::majority_span_needed));
    [
        Wanted { regions: usize::from(fast), span: fast_span, together: policy.counts_together() },
        Wanted { regions: usize::from(majority), span: majority_span, together: true },
    ]
}

/// Whether regions that may fail at one moment are enough, and may have evidence that spans long enough.
fn reaches<'a>(
    covering: impl Iterator<Item = &'a Window> + Clone,
    wanted: &Wanted,
    helpers: Helpers,
) -> bool {
    let count = covering.clone().count();
    if count + helpers.count < wanted.regions {
        return false;
    }
    let windows = wanted.regions.saturating_sub(helpers.count);
    let is_old = helpers.is_old && !wanted.together;
    if windows == 0 || is_old || wanted.span <= helpers.wider {
        return true;
    }
    let begun = |start: Moment| covering.clone().filter(|window| window.start <= start).count();
    let begins_with = if wanted.together { windows } else { 1 };
    let starts = covering.clone().map(|window| window.start);
    let start = starts.filter(|start| begun(*start) >= begins_with).min();
    let reaching = |end: Moment| covering.clone().filter(|window| window.fails_until >= end).count();
    let ends = covering.clone().map(|window| window.fails_until);
    let end = ends.filter(|end| reaching(*end) >= windows).max();
    start.zip(end).is_some_and(|(start, end)| end.since(start) >= wanted.span)
}
