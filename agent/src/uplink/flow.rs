//! What follows from the aggregator's verdicts. Pure: no stream, no clock.
//!
//! ```text
//! going ---busy---> stalled on the oldest busy unit ---taken---> draining ---nothing on the way---> going, from the start
//!   \--------------------------refused------------------------------^
//! ```

use quorate_proto::{BootEpoch, Micros, Sequence, frame::AckVerdict};

use crate::{limits, spool::Parcel};

/// Where the flow of units stands.
#[derive(Debug)]
pub(super) struct Flow {
    state: State,
    pause: Micros,
}

#[derive(Debug)]
enum State {
    /// All is well.
    Going,
    /// This unit was not taken, and is sent again after a pause. Newer ones go out meanwhile.
    Stalled(Parcel),
    /// No unit goes out until none is on the way; then all that are left go out again, in order.
    Draining,
}

impl Default for Flow {
    fn default() -> Self {
        Self { state: State::Going, pause: limits::BUSY_PAUSE_FIRST }
    }
}

impl Flow {
    /// Whether units of the spool may go out.
    pub(super) fn takes_new(&self) -> bool {
        match self.state {
            State::Going | State::Stalled(_) => true,
            State::Draining => false,
        }
    }

    /// The unit to send again after the pause.
    pub(super) fn stalled(&self) -> Option<&Parcel> {
        match &self.state {
            State::Stalled(parcel) => Some(parcel),
            State::Going | State::Draining => None,
        }
    }

    /// Takes a verdict; no verdict in time counts as busy. Where something is returned, that is the pause after which
    /// [`Flow::stalled`] is to be sent again.
    pub(super) fn handle(&mut self, parcel: Parcel, verdict: AckVerdict) -> Option<Micros> {
        match verdict {
            AckVerdict::Stored => {
                if self.stalled().is_some_and(|stalled| key(stalled) == key(&parcel)) {
                    self.state = State::Draining;
                }
                self.pause = limits::BUSY_PAUSE_FIRST;
                None
            }
            AckVerdict::Refused => {
                self.state = State::Draining;
                None
            }
            AckVerdict::Busy => {
                let stall = match &self.state {
                    State::Going => true,
                    State::Stalled(stalled) => key(&parcel) <= key(stalled),
                    State::Draining => false,
                };
                if !stall {
                    return None;
                }
                self.state = State::Stalled(parcel);
                let pause = self.pause;
                self.pause = (pause * 2).min(limits::BUSY_PAUSE_MAX);
                Some(pause)
            }
        }
    }

    /// To be called when nothing is on the way: whether the spool is to start again at its oldest unit.
    pub(super) fn starts_again(&mut self) -> bool {
        let again = matches!(self.state, State::Draining);
        if again {
            self.state = State::Going;
        }
        again
    }
}

fn key(parcel: &Parcel) -> (BootEpoch, Sequence) {
    (parcel.epoch, parcel.sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(sequence: u64) -> Parcel {
        Parcel { epoch: BootEpoch(1), sequence: Sequence(sequence), unit: vec![], signed_at: None }
    }

    #[test]
    fn a_busy_unit_is_sent_again_alone_and_the_rest_in_order_once_it_is_taken() {
        let mut flow = Flow::default();
        assert_eq!(flow.handle(parcel(5), AckVerdict::Busy), Some(limits::BUSY_PAUSE_FIRST));
        assert_eq!(flow.handle(parcel(6), AckVerdict::Busy), None, "a newer one changes nothing");
        assert!(flow.takes_new(), "newer units still reach the aggregator");
        assert_eq!(flow.handle(parcel(4), AckVerdict::Busy), Some(limits::BUSY_PAUSE_FIRST * 2));
        assert_eq!(flow.stalled(), Some(&parcel(4)), "the oldest one is in the way");
        assert_eq!(flow.handle(parcel(5), AckVerdict::Stored), None);
        assert!(flow.takes_new() && flow.stalled().is_some());
        flow.handle(parcel(4), AckVerdict::Stored);
        assert!(!flow.takes_new() && flow.stalled().is_none());
        assert_eq!(flow.handle(parcel(7), AckVerdict::Busy), None, "it will be sent again anyway");
        assert!(flow.starts_again() && flow.takes_new());
        assert!(!flow.starts_again());
        assert_eq!(flow.handle(parcel(8), AckVerdict::Busy), Some(limits::BUSY_PAUSE_FIRST));
    }

    #[test]
    fn the_pause_grows_to_its_bound() {
        let mut flow = Flow::default();
        let pauses: Vec<_> = (0..20).filter_map(|_| flow.handle(parcel(1), AckVerdict::Busy)).collect();
        assert_eq!(pauses.first(), Some(&limits::BUSY_PAUSE_FIRST));
        assert_eq!(pauses.last(), Some(&limits::BUSY_PAUSE_MAX));
        assert!(pauses.is_sorted());
    }

    #[test]
    fn after_a_refusal_the_gap_that_takes_its_place_goes_out_first() {
        let mut flow = Flow::default();
        assert_eq!(flow.handle(parcel(3), AckVerdict::Refused), None);
        assert!(!flow.takes_new());
        assert!(flow.starts_again());
    }
}
