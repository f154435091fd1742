//! The numbers of paging, and why they are what they are.

use quorate_proto::Micros;

/// What an operator may set about paging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PagingSettings {
    /// For how long an agent that does not vote any more ([`quorate_proto::limits::HEARTBEAT_STALE`]) is waited for before
    /// its operator is told. Default 60 s: an agent that is restarted, or a machine that boots, is silent for less.
    pub offline_patience: Micros,
    /// The share of all monitors, in percent, above which monitors that fail at once are one page. Default 30; with 100
    /// they never are.
    pub fleet_share: u8,
    /// How long a page may wait for others to become one with. Default 5 s; zero: none waits.
    pub fleet_hold: Micros,
    /// Whether a monitor that goes up and down is told of as flapping. Default true; otherwise each outage is a page.
    pub flapping: bool,
    /// From one message about a flapping monitor to the next. Default 30 min.
    pub flapping_digest: Micros,
    /// A flapping monitor that stays down for this long is paged all the same. Default 5 min.
    pub flapping_outage: Micros,
}

impl Default for PagingSettings {
    fn default() -> Self {
        Self {
            offline_patience: Micros::from_secs(60),
            fleet_share: 30,
            fleet_hold: Micros::from_secs(5),
            flapping: true,
            flapping_digest: Micros::from_secs(30 * 60),
            flapping_outage: Micros::from_secs(5 * 60),
        }
    }
}

/// Monitors that fall due within this are *at once*: two intervals of the usual 30 s, in which every region has looked.
pub(super) const FLEET_WINDOW: Micros = Micros::from_secs(60);
/// Fewer monitors are never a fleet: with three monitors, one is a third of them.
pub(super) const FLEET_MONITORS_MIN: usize = 5;
/// Fewer targets are one operator's outage, whatever is watched of it.
pub(super) const FLEET_TARGETS_MIN: usize = 5;
/// No monitor joins a group later than this after its beginning: an outage of its own is told on its own.
pub(super) const GROUP_GROWS_MAX: Micros = Micros::from_secs(300);
/// Members that are back are told of together.
pub(super) const GROUP_SHRINKS: Micros = Micros::from_secs(60);

/// How long a page waits for the verdict on a parent that is suspect. Both found the same fault at most a stagger and a
/// timeout apart; 11 s of evidence and some for the way. A page that waits goes out within 23 s + 15 s of a total outage.
pub(super) const PARENT_WAIT: Micros = Micros::from_secs(15);

/// Edges that make a monitor flap.
pub(super) const FLAPPING_EDGES: usize = 3;
/// Within which they do, and the time without one that ends it.
pub(super) const FLAPPING_WINDOW: Micros = Micros::from_secs(600);

/// Agents that fall silent, or come back, within this are one notice. Twice the interval of their reports: what cuts
/// several off at once shows within one.
pub(super) const AGENTS_GATHER: Micros = Micros::from_secs(10);
/// The longest pause of an agent between two attempts to reconnect: so long it is waited for after a start.
pub(super) const RECONNECT_MAX: Micros = Micros::from_secs(60);
