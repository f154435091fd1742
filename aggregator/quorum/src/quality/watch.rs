//! One monitor: its round trips, its canaries, and the spells that go on.

use std::collections::BTreeMap;

use quorate_proto::{Micros, MonitorId, Region};

use super::{
    CanaryNews, Memory, Reason,
    figures::{Figures, Quantiles},
    sketch::Sketch,
    spell::{self, Look, Spell, Turn},
    terms::{Kind, Terms, Trips},
    usual::{HEARD_MAX, Usual},
    window::{Slots, Window},
};
use crate::{Moment, Verdict};

/// Reconnections within a minute that nobody minds. A client that comes back more than once a minute is one of a storm.
const RECONNECTS_USUAL: u32 = 1;
/// For how long a region's frequent reconnections stand.
const RECONNECTS_SPAN: Micros = Micros::from_secs(60);
/// Without frequent reconnections for so long it is over: the longest pause between two attempts of a client, many times.
const RECONNECTS_CALM: Micros = Micros::from_secs(15 * 60);
/// Ends have been usual for so long: as long as they are counted.
const CLOSES_CALM: Micros = super::usual::CLOSES_SPAN;
/// Nobody was shown the old certificate for so long: nodes behind one name take a new one within minutes of each other.
const CERTIFICATE_CALM: Micros = Micros::from_secs(3_600);
/// How often a spell of canaries is looked at.
const SPELL_PERIOD: Micros = Micros::from_secs(60);

/// One monitor.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    terms: Terms,
    slots: Slots,
    verdict: Option<Verdict>,
    /// As the terms' regions.
    regions: Box<[RegionWatch]>,
    measured: Option<Measured>,
    spells: BTreeMap<Kind, Spell>,
    /// Where it stands in the agenda.
    pub(super) due: Option<Moment>,
}

/// What the latest look at the windows found.
#[derive(Clone, Debug)]
struct Measured {
    merged: Quantiles,
    /// As the terms' regions.
    regions: Box<[Option<Quantiles>]>,
}

#[derive(Clone, Debug, Default)]
struct RegionWatch {
    window: Window,
    canary: Option<Box<Canary>>,
}

#[derive(Clone, Debug, Default)]
struct Canary {
    usual: Usual,
    /// When it last reconnected more often than is usual, and how often within a minute.
    frequent: Option<(Moment, u32)>,
}

/// What follows from something that happened to one monitor.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum News {
    Began(Reason),
    Ended(Kind),
    Withdrawn(Kind),
    Learned,
}

impl Watch {
    pub(super) fn new(monitor: &MonitorId, terms: Terms) -> Self {
        let regions = terms.regions.iter().map(|_| RegionWatch::default()).collect();
        Self {
            slots: Slots::new(terms.over(), monitor),
            verdict: None,
            regions,
            measured: None,
            spells: BTreeMap::new(),
            due: None,
            terms,
        }
    }

    /// Takes up other terms; what is known of regions that stay is kept, and what is judged no more ends.
    pub(super) fn configure(&mut self, monitor: &MonitorId, terms: Terms) -> Vec<News> {
        if self.terms == terms {
            return Vec::new();
        }
        let mut before =
            self.terms.regions.iter().zip(std::mem::take(&mut self.regions)).collect::<BTreeMap<_, _>>();
        self.regions = terms.regions.iter().map(|region| before.remove(region).unwrap_or_default()).collect();
        if terms.regions != self.terms.regions {
            // It is in the order of the regions before.
            self.measured = None;
        }
        let slots = Slots::new(terms.over(), monitor);
        if slots != self.slots {
            self.slots = slots;
            self.begin_anew();
        }
        self.terms = terms;
        self.withdraw()
    }

    /// What was known before a start.
    pub(super) fn restore(&mut self, memory: Memory, at: Moment) -> Vec<News> {
        for (kind, since) in memory.since {
            self.spells.insert(kind, Spell::restored(since.min(at), at));
        }
        for (region, baseline) in memory.usual {
            if let Some(known) = self.region_mut(&region) {
                known.canary = Some(Box::new(Canary { usual: Usual::restored(baseline), frequent: None }));
            }
        }
        self.withdraw()
    }

    /// What must survive a start.
    pub(super) fn memory(&self) -> Memory {
        let canaries = self.by_region().filter_map(|(region, watch)| Some((region, watch.canary.as_ref()?)));
        Memory {
            since: self.spells.iter().map(|(kind, spell)| (*kind, spell.since)).collect(),
            usual: canaries.map(|(region, canary)| (region.clone(), canary.usual.baseline)).collect(),
        }
    }

    /// The round trips as last looked at.
    pub(super) fn figures(&self) -> Option<Figures> {
        let measured = self.measured.as_ref()?;
        let regions = self.terms.regions.iter().zip(&measured.regions);
        let regions = regions.filter_map(|(region, quantiles)| Some((region.clone(), (*quantiles)?)));
        Some(Figures { merged: measured.merged, regions: regions.collect() })
    }

    /// What goes on, and since when.
    pub(super) fn spells(&self) -> impl Iterator<Item = (Kind, Moment)> {
        self.spells.iter().map(|(kind, spell)| (*kind, spell.since))
    }

    /// When something that goes on was last seen.
    pub(super) fn last_seen(&self, kind: Kind) -> Option<Moment> {
        self.spells.get(&kind)?.seen_at
    }

    /// What is watched may be another server.
    pub(super) fn begin_anew(&mut self) {
        self.regions.iter_mut().for_each(|region| region.window.clear());
        self.measured = None;
    }

    pub(super) fn decided(&mut self, verdict: Verdict, at: Moment) {
        let is_judged_before = self.is_judged();
        self.verdict = Some(verdict);
        if verdict == Verdict::Down {
            // What happens in an outage is told as one.
            self.begin_anew();
            for canary in self.regions.iter_mut().filter_map(|region| region.canary.as_mut()) {
                canary.usual.forget_recent();
                canary.frequent = None;
            }
        }
        if self.is_judged() && !is_judged_before {
            self.spells.values_mut().for_each(|spell| spell.hold(at));
        }
    }

    pub(super) fn checked(&mut self, region: &Region, trips: Trips, ended: Moment) {
        let slot = self.slots.of(ended);
        if self.verdict == Some(Verdict::Down) {
            return;
        }
        let Some(known) = self.region_mut(region) else { return };
        for (span, times) in trips.spans().into_iter().filter(|(_, times)| *times > 0) {
            known.window.add(slot, span, times);
        }
    }

    pub(super) fn canary(&mut self, region: &Region, news: CanaryNews, at: Moment) -> Vec<News> {
        let is_down = self.verdict == Some(Verdict::Down);
        if !self.terms.canary {
            return Vec::new();
        }
        let Some(known) = self.region_mut(region) else { return Vec::new() };
        let canary = known.canary.get_or_insert_default();
        let learned = canary.usual.heard(at);
        let (reconnects, closes) = match news {
            CanaryNews::Alive => (false, false),
            CanaryNews::Reconnected { within_minute } if within_minute > RECONNECTS_USUAL && !is_down => {
                canary.frequent = Some((at, within_minute));
                (true, false)
            }
            CanaryNews::Reconnected { .. } => (false, false),
            CanaryNews::Ended { code: code @ (1006 | 1011) } if !is_down => {
                canary.usual.ended(code, at);
                (false, true)
            }
            CanaryNews::Ended { .. } => (false, false),
        };
        let mut news = Vec::new();
        news.extend(reconnects.then(|| self.look_at_reconnects(at)).flatten());
        news.extend(closes.then(|| self.look_at_closes(at)).flatten());
        news.extend(learned.then_some(News::Learned));
        news
    }

    /// A region was shown a certificate that ends so soon.
    pub(super) fn certificate(&mut self, region: &Region, left: Micros, at: Moment) -> Option<News> {
        if !self.terms.judges(Kind::Certificate) || !self.is_judged() {
            return None;
        }
        let look = if left < self.terms.certificate { Look::Seen } else { Look::NotSeen };
        let reason = |_: &Self| Reason::Certificate { left, region: region.clone() };
        self.look(Kind::Certificate, look, CERTIFICATE_CALM, at, reason)
    }

    /// Looks at what time alone may have changed.
    pub(super) fn look_at_all(&mut self, at: Moment) -> Vec<News> {
        let mut news = Vec::new();
        news.extend(self.look_at_latency(at));
        if self.spells.contains_key(&Kind::Reconnects) {
            news.extend(self.look_at_reconnects(at));
        }
        if self.spells.contains_key(&Kind::Closes) {
            let canaries = self.regions.iter_mut().filter_map(|region| region.canary.as_mut());
            let learned = canaries.fold(false, |any, canary| canary.usual.forget_old(at) | any);
            news.extend(self.look_at_closes(at));
            news.extend(learned.then_some(News::Learned));
        }
        news
    }

    /// When time alone may change something.
    pub(super) fn next_look(&self, at: Moment) -> Option<Moment> {
        let measures = self.measured.is_some() || self.regions.iter().any(|region| !region.window.is_empty());
        let slot = measures.then(|| self.slots.end(at));
        let spell = (!self.spells.is_empty()).then(|| at.after(SPELL_PERIOD));
        slot.into_iter().chain(spell).min()
    }

    fn look_at_latency(&mut self, at: Moment) -> Option<News> {
        let slot = self.slots.of(at);
        let mut merged = Sketch::default();
        let mut regions = Vec::with_capacity(self.regions.len());
        for watch in &mut self.regions {
            watch.window.move_to(slot);
            let sketch = watch.window.sketch(slot);
            merged.merge(&sketch);
            regions.push(Quantiles::of(&sketch));
        }
        let merged = Quantiles::of(&merged);
        self.measured = merged.map(|merged| Measured { merged, regions: regions.into() });
        let sla = self.terms.latency?;
        let known = merged.filter(|merged| merged.count >= u64::from(sla.min_samples));
        let look = match known {
            Some(known) if known.p95 > sla.p95 => Look::Seen,
            Some(_) => Look::NotSeen,
            None => Look::Unknown,
        };
        self.look(Kind::Latency, look, sla.over, at, |watch| Reason::Latency {
            sla,
            figures: watch.figures().unwrap_or_default(),
        })
    }

    fn look_at_reconnects(&mut self, at: Moment) -> Option<News> {
        let held = self.held(at).count();
        let frequent = |canary: &Canary| {
            canary.frequent.filter(|(when, _)| at.since(*when) < RECONNECTS_SPAN).map(|(_, times)| times)
        };
        let regions = self
            .held(at)
            .filter_map(|(region, canary)| Some((region.clone(), frequent(canary)?)))
            .collect::<Vec<_>>();
        let look = if held == 0 { Look::Unknown } else { seen(self.terms.is_quorum(regions.len(), held)) };
        self.look(Kind::Reconnects, look, RECONNECTS_CALM, at, |_| Reason::Reconnects { regions, of: held })
    }

    fn look_at_closes(&mut self, at: Moment) -> Option<News> {
        let judging = self.held(at).filter(|(_, canary)| canary.usual.can_judge()).count();
        let mut codes = BTreeMap::<u16, u32>::new();
        let (mut regions, mut usual) = (Vec::new(), 0.0_f64);
        for (region, canary) in self.held(at).filter(|(_, canary)| canary.usual.spikes()) {
            regions.push(region.clone());
            usual = usual.max(canary.usual.baseline.per_day());
            canary.usual.codes().for_each(|code| *codes.entry(code).or_default() += 1);
        }
        let look =
            if judging == 0 { Look::Unknown } else { seen(self.terms.is_quorum(regions.len(), judging)) };
        let reason = |_: &Self| Reason::Closes { regions, of: judging, codes, usual_per_day: usual };
        self.look(Kind::Closes, look, CLOSES_CALM, at, reason)
    }

    fn look(
        &mut self,
        kind: Kind,
        look: Look,
        calm: Micros,
        at: Moment,
        reason: impl FnOnce(&Self) -> Reason,
    ) -> Option<News> {
        let look = if self.is_judged() { look } else { Look::Unknown };
        let mut spell = self.spells.remove(&kind);
        let turn = spell::look(&mut spell, look, calm, at);
        if let Some(spell) = spell {
            self.spells.insert(kind, spell);
        }
        turn.map(|turn| match turn {
            Turn::Begins => News::Began(reason(self)),
            Turn::Ends => News::Ended(kind),
        })
    }

    /// Ends what is judged no more.
    fn withdraw(&mut self) -> Vec<News> {
        let gone = self.spells.keys().copied().filter(|kind| !self.terms.judges(*kind)).collect::<Vec<_>>();
        for kind in &gone {
            self.spells.remove(kind);
        }
        if !self.terms.canary {
            self.regions.iter_mut().for_each(|region| region.canary = None);
        }
        gone.into_iter().map(News::Withdrawn).collect()
    }

    /// Whether it works, as far as a quorum can tell: otherwise there is worse to say of it.
    fn is_judged(&self) -> bool {
        matches!(self.verdict, Some(Verdict::Up | Verdict::Partial))
    }

    /// The regions whose canaries were heard of lately.
    fn held(&self, at: Moment) -> impl Iterator<Item = (&Region, &Canary)> {
        let canaries =
            self.by_region().filter_map(|(region, watch)| Some((region, watch.canary.as_deref()?)));
        canaries.filter(move |(_, canary)| canary.usual.is_held(at))
    }

    fn by_region(&self) -> impl Iterator<Item = (&Region, &RegionWatch)> {
        self.terms.regions.iter().zip(&self.regions)
    }

    fn region_mut(&mut self, region: &Region) -> Option<&mut RegionWatch> {
        let index = self.terms.regions.binary_search(region).ok()?;
        self.regions.get_mut(index)
    }
}

fn seen(is: bool) -> Look {
    if is { Look::Seen } else { Look::NotSeen }
}

const _: () = assert!(HEARD_MAX.0 > SPELL_PERIOD.0);
