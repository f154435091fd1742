//! What is promised of one monitor, and who has to see that it is not kept.

use std::fmt;

use quorate_proto::{Micros, Region, Timings, limits, outcome::RoundTrips};

use crate::Policy;

/// How quick round trips have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatencySla {
    /// 95 of 100 round trips take no longer.
    pub p95: Micros,
    /// The window over which they are looked at. Default 5 minutes.
    pub over: Micros,
    /// With fewer of them in the window nothing is said. Default 20: of fewer, the slowest is the 95th percentile.
    pub min_samples: u32,
}

/// The terms of one monitor.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// The regions that watch it, in order.
    pub(super) regions: Box<[Region]>,
    /// How many of so many regions make a quorum, from none on.
    needed: Box<[u16]>,
    /// How quick round trips have to be; none: they are measured and not judged.
    pub latency: Option<LatencySla>,
    /// From so long before the end of a certificate on the monitor is degraded; zero: never.
    pub certificate: Micros,
    /// Whether agents hold canaries.
    pub canary: bool,
}

/// The round trips that one check tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trips {
    /// One.
    One(Micros),
    /// Several, of which the quickest, the middle and the slowest are known.
    Several(RoundTrips),
}

/// Something that makes a monitor degraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Round trips are slower than promised.
    Latency,
    /// The server's certificate is about to end.
    Certificate,
    /// Canaries reconnect more than once a minute, in a quorum of regions.
    Reconnects,
    /// Canaries end with 1006 or 1011 more often than is usual, in a quorum of regions.
    Closes,
}

impl Terms {
    /// The terms of a monitor that is watched under a policy.
    pub fn new(policy: &Policy, latency: Option<LatencySla>, certificate: Micros, canary: bool) -> Self {
        let regions = policy.regions.iter().cloned().collect::<Box<[Region]>>();
        let count = u16::try_from(regions.len()).unwrap_or(u16::MAX);
        let needed = (0..=count).map(|eligible| policy.needed(eligible)).collect();
        Self { regions, needed, latency, certificate, canary }
    }

    /// Whether so many of the regions that can tell are a quorum.
    pub(super) fn is_quorum(&self, count: usize, of: usize) -> bool {
        self.needed.get(of).is_some_and(|needed| count >= usize::from(*needed))
    }

    pub(super) fn judges(&self, kind: Kind) -> bool {
        match kind {
            Kind::Latency => self.latency.is_some(),
            Kind::Certificate => self.certificate > Micros::ZERO,
            Kind::Reconnects | Kind::Closes => self.canary,
        }
    }

    /// The window over which round trips are looked at.
    pub(super) fn over(&self) -> Micros {
        self.latency.map_or(LatencySla::OVER, |sla| sla.over)
    }
}

impl LatencySla {
    /// The usual window.
    pub const OVER: Micros = Micros::from_secs(300);
    /// The usual number of round trips below which nothing is said.
    pub const MIN_SAMPLES: u32 = 20;

    /// This 95th percentile, over the usual window.
    pub const fn of(p95: Micros) -> Self {
        Self { p95, over: Self::OVER, min_samples: Self::MIN_SAMPLES }
    }
}

impl Trips {
    /// The round trips of a check that passed. One whose steps have none tells of the upgrade: a request and its answer,
    /// over a connection that stands, and the nearest thing to a message and its reply. The whole check would add the way
    /// to the server three times over, and what the resolver took.
    pub fn of(timings: &Timings) -> Option<Self> {
        match timings.samples {
            Some(several) if several.count > 1 => Some(Self::Several(several)),
            Some(_) | None => timings.round_trip.or(timings.upgrade).map(Self::One),
        }
    }

    /// Each with how often it counts. Of several the ones between the ends are taken for the middle one: a percentile of
    /// many checks is then right at its lower end and in the middle, and above that no lower than it is.
    pub(super) fn spans(self) -> [(Micros, u16); 3] {
        match self {
            Self::One(span) => [(span, 1), (span, 0), (span, 0)],
            Self::Several(trips) => {
                let count = u16::try_from(trips.count).unwrap_or(u16::MAX).min(limits::SAMPLES_MAX);
                [(trips.min, 1), (trips.p50, count.saturating_sub(2)), (trips.max, 1)]
            }
        }
    }
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Latency, Self::Certificate, Self::Reconnects, Self::Closes];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Certificate => "certificate",
            Self::Reconnects => "reconnects",
            Self::Closes => "closes",
        }
    }

    /// The kind of a stable name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
