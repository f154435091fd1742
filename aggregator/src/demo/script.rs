//! What breaks when, and what must come of it: a pure machine that the demo steps with what arrives.
//!
//! ```text
//! wait until every monitor is up
//!   -> for each act: break it; when it was paged (or has held for long enough without a page) heal it
//!   -> wait for the resolved alerts -> done, or once more
//! ```
//! An act that must page gives up after a minute: that is the promise. Resolved alerts are awaited while later acts
//! already run, because each act has a monitor of its own.

use quorate_proto::{Micros, limits::INTERVAL_MIN};
use quorate_quorum::Moment;

/// One thing that breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// The server's process is gone.
    Killed,
    /// The server takes connections and says nothing.
    Silent,
    /// The server answers too late.
    Slow,
    /// One region of five does not get through.
    OneRegion,
}

/// How long the fault of one region is held: longer than any other fault takes to be paged.
const HOLD: Micros = Micros::from_secs(20);
/// After this an outage that was not paged counts as missed.
const PAGE_WITHIN: Micros = Micros::from_secs(60);
/// After this a resolved alert that did not come counts as missed.
const RESOLVE_WITHIN: Micros = Micros::from_secs(60);
/// What one run of the script takes on an idle machine, with some room.
pub(super) const SCRIPT_TAKES: Micros = Micros::from_secs(80);

/// How one fault went.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Act {
    pub(super) fault: Fault,
    pub(super) injected: Option<Moment>,
    pub(super) paged: Option<Moment>,
    pub(super) healed: Option<Moment>,
    pub(super) resolved: Option<Moment>,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Break(Fault),
    Heal(Fault),
    /// The script is through once.
    Through,
}

/// The script's place.
#[derive(Debug)]
pub(super) struct Script {
    /// Every act so far, the current one last.
    acts: Vec<Act>,
    /// Acts of this run that are still to come, in reverse.
    coming: Vec<Fault>,
    /// Pages that nothing of the script explains.
    pub(super) unexplained: u32,
}

impl Fault {
    pub(super) const ALL: [Self; 4] = [Self::Killed, Self::Silent, Self::Slow, Self::OneRegion];

    /// The monitor that it hits.
    pub(super) const fn monitor(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Silent => "silent",
            Self::Slow => "slow",
            Self::OneRegion => "one-region",
        }
    }

    pub(super) const fn pages(self) -> bool {
        !matches!(self, Self::OneRegion)
    }

    pub(super) fn of_monitor(monitor: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.monitor() == monitor)
    }
}

impl Act {
    /// Whether what had to come of it came.
    pub(super) fn is_good(&self) -> bool {
        self.injected.is_some()
            && if self.fault.pages() {
                self.seconds_to_page().is_some_and(|seconds| seconds <= PAGE_WITHIN.as_secs_f64())
            } else {
                // Healed means that it was held for its time.
                self.paged.is_none() && self.healed.is_some()
            }
    }

    pub(super) fn seconds_to_page(&self) -> Option<f64> {
        Some(since(self.paged?, self.injected?).as_secs_f64())
    }

    pub(super) fn seconds_to_resolve(&self) -> Option<f64> {
        Some(since(self.resolved?, self.healed?).as_secs_f64())
    }
}

impl Script {
    pub(super) fn new() -> Self {
        let mut script = Self { acts: Vec::new(), coming: Vec::new(), unexplained: 0 };
        script.again();
        script
    }

    /// Starts over: what was is forgotten.
    pub(super) fn again(&mut self) {
        self.acts.clear();
        self.coming = Fault::ALL.into_iter().rev().collect();
    }

    pub(super) fn acts(&self) -> &[Act] {
        &self.acts
    }

    /// Whether everything that was on the programme went as it must.
    pub(super) fn is_good(&self) -> bool {
        self.coming.is_empty() && self.unexplained == 0 && self.acts.iter().all(Act::is_good)
    }

    /// The same of what is over.
    pub(super) fn is_good_so_far(&self) -> bool {
        self.unexplained == 0 && self.acts.iter().all(|act| act.healed.is_none() || act.is_good())
    }

    /// What to do at a moment; `all_up` says whether every monitor is up. To be called until it returns nothing.
    pub(super) fn poll(&mut self, at: Moment, all_up: bool) -> Option<Action> {
        if let Some(current) = self.acts.last_mut().filter(|act| act.healed.is_none()) {
            let injected = current.injected?;
            let held = since(at, injected);
            let over = if current.fault.pages() {
                current.paged.is_some() || held > PAGE_WITHIN
            } else {
                held >= HOLD
            };
            if !over {
                return None;
            }
            current.healed = Some(at);
            return Some(Action::Heal(current.fault));
        }
        if self.acts.is_empty() && !all_up {
            return None;
        }
        if let Some(fault) = self.coming.pop() {
            self.acts.push(Act { fault, injected: Some(at), paged: None, healed: None, resolved: None });
            return Some(Action::Break(fault));
        }
        let settled = self.acts.iter().all(|act| {
            act.paged.is_none() || act.resolved.is_some() || {
                act.healed.is_some_and(|healed| since(at, healed) > RESOLVE_WITHIN)
            }
        });
        (settled && all_up || self.has_waited(at)).then_some(Action::Through)
    }

    /// A page arrived. Says how many seconds after its fault, where one explains it.
    pub(super) fn handle_page(&mut self, monitor: &str, at: Moment) -> Option<f64> {
        let act = self.open_act(monitor).filter(|act| act.paged.is_none());
        let Some(act) = act else {
            self.unexplained += 1;
            return None;
        };
        act.paged = Some(at);
        act.seconds_to_page()
    }

    /// A resolved alert arrived. Says how many seconds after the healing.
    pub(super) fn handle_resolved(&mut self, monitor: &str, at: Moment) -> Option<f64> {
        let act = self.open_act(monitor).filter(|act| act.paged.is_some() && act.resolved.is_none())?;
        act.resolved = Some(at);
        act.seconds_to_resolve()
    }

    fn open_act(&mut self, monitor: &str) -> Option<&mut Act> {
        let fault = Fault::of_monitor(monitor)?;
        self.acts.iter_mut().rev().find(|act| act.fault == fault)
    }

    /// Whether the last healing is so long ago that nothing more will come.
    fn has_waited(&self, at: Moment) -> bool {
        let last = self.acts.iter().filter_map(|act| act.healed).max();
        last.is_some_and(|healed| since(at, healed) > RESOLVE_WITHIN + INTERVAL_MIN)
    }
}

/// The span between two moments.
pub(super) fn since(later: Moment, earlier: Moment) -> Micros {
    Micros(later.0.saturating_sub(earlier.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment(seconds * 1_000_000)
    }

    /// Plays the script with a world that pages and resolves after so many seconds.
    fn play(pages: impl Fn(Fault) -> Option<u64>, resolves: Option<u64>) -> (Script, Vec<(u64, Action)>) {
        let mut script = Script::new();
        let mut done = Vec::new();
        let mut due: Vec<(u64, Fault, bool)> = Vec::new();
        for second in 0..1000 {
            due.retain(|(when, fault, page)| {
                if *when != second {
                    return true;
                }
                if *page {
                    script.handle_page(fault.monitor(), at(second));
                } else {
                    script.handle_resolved(fault.monitor(), at(second));
                }
                false
            });
            while let Some(action) = script.poll(at(second), second >= 5) {
                done.push((second, action));
                match action {
                    Action::Break(fault) => {
                        due.extend(pages(fault).map(|after| (second + after, fault, true)));
                    }
                    Action::Heal(fault) => {
                        due.extend(resolves.map(|after| (second + after, fault, false)));
                    }
                    Action::Through => return (script, done),
                }
            }
        }
        panic!("the script never ends");
    }

    #[test]
    fn all_goes_well() {
        let (script, done) = play(|fault| fault.pages().then_some(12), Some(15));
        use Action::{Break, Heal, Through};
        assert_eq!(
            done,
            [
                (5, Break(Fault::Killed)),
                (17, Heal(Fault::Killed)),
                (17, Break(Fault::Silent)),
                (29, Heal(Fault::Silent)),
                (29, Break(Fault::Slow)),
                (41, Heal(Fault::Slow)),
                (41, Break(Fault::OneRegion)),
                (61, Heal(Fault::OneRegion)),
                (61, Through),
            ]
        );
        assert!(script.is_good());
        assert_eq!(script.acts()[0].seconds_to_page(), Some(12.0));
        assert_eq!(script.acts()[2].seconds_to_resolve(), Some(15.0));
    }

    #[test]
    fn a_missing_page_a_false_page_and_an_early_end_are_not_good() {
        let (missing, _) = play(|fault| (fault == Fault::Killed).then_some(12), Some(15));
        assert!(!missing.is_good());
        let (falsely, _) = play(|_| Some(12), Some(15));
        assert!(!falsely.is_good());
        let (no_resolve, _) = play(|fault| fault.pages().then_some(12), None);
        assert!(no_resolve.is_good() && no_resolve.acts()[0].resolved.is_none());

        let mut early = Script::new();
        assert_eq!(early.poll(at(0), true), Some(Action::Break(Fault::Killed)));
        assert!(!early.is_good());
        let mut stray = Script::new();
        assert_eq!(stray.handle_page("killed", at(1)), None);
        assert_eq!(stray.unexplained, 1);
    }
}
