//! Which clusters cannot page, whatever the engine does: they are counted and not run.
//!
//! A region's vote is *fail* at most from the start of an outage of it until a scheduled check that began after the
//! outage has passed. So at any moment the regions that vote *fail* are among those whose such *window* covers it, and
//! one more for each confirming attempt that is lost. Down wants, at one moment, `k` regions that vote *fail*, and their
//! evidence to span `W`: from the start of the first failure to the end of a failing check of the `k`-th latest. A
//! failure starts no earlier than its window, and a failing check ends no later than its outage and a timeout. So where
//! at no moment `k` windows overlap that far, for rule 3 or rule 4, nobody is paged. What is starved has no vote in part
//! of the time, which makes `k` smaller: the smallest that it may become is taken.

use quorate_proto::Micros;
use quorate_quorum::{Moment, Policy};

use super::{Fault, Outage, Setup, clusters::Cluster};

/// A cluster of more outages than this is looked at in parts.
const LONG: usize = 64;

/// No outage is longer: one of a mean of minutes is so with a chance that nobody will see.
const LONGEST: Micros = Micros::from_secs(7_200);

/// What a rule for down wants.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    regions: usize,
    span: Micros,
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
        if let ([outage], []) = (cluster.outages.as_slice(), cluster.lost.as_slice())
            && self.is_alone(outage)
        {
            return Vec::new();
        }
        let starving = cluster.outages.iter().filter(|outage| outage.fault == Fault::Starved);
        let starved = starving.fold(0_u32, |regions, outage| regions | outage.regions).count_ones() as usize;
        let Some(wanted) = self.wanted.get(starved.min(self.wanted.len() - 1)) else { return Vec::new() };
        let is_long = cluster.outages.len() > LONG;
        // An agent that always fails is one of the regions that vote so. In a long cluster attempts that are lost are few
        // beside outages.
        let lost = if is_long { 0 } else { cluster.lost.len() };
        let helpers = lost + usize::from(self.setup.has_constant_failure());
        let moments = self.moments(&cluster.outages, wanted, helpers);
        match (moments.is_empty(), is_long) {
            (true, _) => Vec::new(),
            (false, false) => vec![cluster.clone()],
            (false, true) => self.around(&moments, &cluster.outages),
        }
    }

    /// The moments at which it cannot be excluded that down is about to be said, in order.
    fn moments(&self, outages: &[Outage], wanted: &[Wanted], helpers: usize) -> Vec<Moment> {
        let mut active: Vec<Window> = Vec::new();
        let mut moments = Vec::new();
        for window in self.windows(outages) {
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

    /// Whether an outage by itself cannot page: nearly all are of this kind, so this is looked at first.
    fn is_alone(&self, outage: &Outage) -> bool {
        self.fewest > 1
            && !self.setup.has_constant_failure()
            && outage.fault != Fault::Starved
            && outage.regions.count_ones() < self.fewest
    }

    /// Of each region, with those that touch made one; in order of their start.
    fn windows(&self, outages: &[Outage]) -> Vec<Window> {
        let lingers = self.setup.interval + self.setup.timeout * 2;
        let mut windows: Vec<Window> = Vec::with_capacity(outages.len());
        for outage in outages {
            for region in (0..self.setup.regions).filter(|region| outage.regions & (1 << region) != 0) {
                let (fails_until, closes) = (outage.end.after(self.setup.timeout), outage.end.after(lingers));
                let touching = windows.iter_mut().rev().take(LONG).find(|window| window.region == region);
                match touching.filter(|window| outage.start <= window.closes) {
                    Some(window) => {
                        window.fails_until = window.fails_until.max(fails_until);
                        window.closes = window.closes.max(closes);
                    }
                    None => windows.push(Window { region, start: outage.start, fails_until, closes }),
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
    [
        Wanted { regions: usize::from(fast), span: spans(Policy::span_needed) },
        Wanted { regions: usize::from(majority), span: spans(Policy::majority_span_needed) },
    ]
}

/// Whether regions that may fail at one moment are enough, and may have evidence that spans long enough.
fn reaches<'a>(covering: impl Iterator<Item = &'a Window> + Clone, wanted: &Wanted, helpers: usize) -> bool {
    let count = covering.clone().count();
    if count + helpers < wanted.regions {
        return false;
    }
    if helpers > 0 || wanted.span == Micros::ZERO {
        return true;
    }
    let start = covering.clone().map(|window| window.start).min().unwrap_or_default();
    let later = |end: Moment| covering.clone().filter(|window| window.fails_until >= end).count();
    let end =
        covering.clone().map(|window| window.fails_until).filter(|end| later(*end) >= wanted.regions).max();
    end.is_some_and(|end| end.since(start) >= wanted.span)
}
