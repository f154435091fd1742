//! How many confirmations may be asked for. Every number of the rationing, and why.
//!
//! A monitoring fleet must not answer trouble with load: when a provider falls, ten thousand monitors become suspect in
//! the same second, and ten thousand rounds of confirmations would be an attack on whoever is still standing. So
//! confirmations are paid from two buckets, and what cannot be paid is left to the scheduled checks, which come anyway
//! and obey the same rules; a page is then later by up to an interval, and never wrong.

use quorate_proto::{Micros, limits};

use crate::{Moment, Policy};

/// The part of the steady load that confirmations may add in the long run: one check for every four scheduled ones.
const SHARE_OF_LOAD: u64 = 4;

/// Checks that may be asked for at once even by a small fleet. A fault seen by five regions costs two rounds to decide
/// and two to see it gone, of five regions and up to two attempts each: 40 checks. So this much confirms seven whole
/// faults within a minute, which is all that one to five monitors can bring up, and is still less than what a browser
/// does to open a few pages.
const BURST_MIN: u64 = 300;

/// What a large fleet may ask for at once: this much time's worth of its share.
const BURST_SPAN: Micros = Micros::from_secs(10);

/// Attempts that one asked region makes at most. Charged in full, so that "at most" is true.
const ATTEMPTS: u64 = 2;

/// Rounds that one monitor may ask for at once: two whole faults. Without it one flapping server would eat the ration of
/// all others.
const ROUNDS_AT_ONCE: u64 = 8;

/// The time in which a monitor earns another round.
const ROUND_EARNED_IN: Micros = Micros::from_secs(30);

/// Rounds for alarms may spend one of so many parts of a bucket. Half of a monitor's is one whole fault.
const ALARM_PART: u64 = 2;

const MICRO: u128 = 1_000_000;

/// The grains of one check. A load of one millionth of a check a second earns one grain a microsecond: whole numbers, so
/// that nothing is lost however often it is counted.
const GRAINS: u128 = MICRO * MICRO * SHARE_OF_LOAD as u128;

/// The bucket of the whole engine.
#[derive(Clone, Debug, Default)]
pub(super) struct Ration {
    /// Scheduled checks per second, in millionths.
    load_micro: u128,
    /// What was asked for and is not yet earned back, in [`GRAINS`].
    spent_grains: u128,
    at: Moment,
    denied: u64,
}

/// The bucket of one monitor: the moment up to which its earnings are spent.
#[derive(Clone, Debug, Default)]
pub(super) struct Rounds(Moment);

impl Ration {
    /// A monitor is watched under a policy, or not any more.
    pub(super) fn carry(&mut self, policy: &Policy, carried: bool, at: Moment) {
        self.earn(at);
        let interval = policy.interval.max(limits::INTERVAL_MIN);
        let load_micro = policy.regions.len() as u128 * MICRO * MICRO / u128::from(interval.0);
        self.load_micro = if carried {
            self.load_micro.saturating_add(load_micro)
        } else {
            self.load_micro.saturating_sub(load_micro)
        };
    }

    /// Pays for a round of one monitor, from both buckets or from none. A round for an `alarm`, a canary's end that no
    /// check has confirmed, is paid from the upper half of each: what is left confirms a fault whatever canaries do.
    pub(super) fn pay(&mut self, rounds: &mut Rounds, regions: usize, alarm: bool, at: Moment) -> bool {
        self.earn(at);
        let cost_grains = regions as u128 * u128::from(ATTEMPTS) * GRAINS;
        let burst_grains =
            self.load_micro.saturating_mul(u128::from(BURST_SPAN.0)).max(u128::from(BURST_MIN) * GRAINS);
        let part = if alarm { ALARM_PART } else { 1 };
        let affordable = self.spent_grains.saturating_add(cost_grains) <= burst_grains / u128::from(part);
        if affordable && rounds.pay(ROUNDS_AT_ONCE / part, at) {
            self.spent_grains = self.spent_grains.saturating_add(cost_grains);
            return true;
        }
        self.denied = self.denied.saturating_add(1);
        false
    }

    /// Rounds that were not asked for because a bucket was empty.
    pub(super) const fn denied(&self) -> u64 {
        self.denied
    }

    fn earn(&mut self, at: Moment) {
        let earned_grains = self.load_micro.saturating_mul(u128::from(at.since(self.at).0));
        self.spent_grains = self.spent_grains.saturating_sub(earned_grains);
        self.at = at;
    }
}

impl Rounds {
    fn pay(&mut self, at_once: u64, at: Moment) -> bool {
        let spent_until = self.0.max(at).after(ROUND_EARNED_IN);
        let affordable = spent_until <= at.after(ROUND_EARNED_IN * at_once);
        if affordable {
            self.0 = spent_until;
        }
        affordable
    }
}

#[cfg(test)]
mod tests {
    use quorate_proto::Micros;

    use super::*;

    fn policy(seconds: u64) -> Policy {
        Policy {
            revision: 0,
            ..Policy::new(
                ["a", "b", "c", "d", "e"].iter().map(|region| region.parse().unwrap()).collect(),
                Micros::from_secs(seconds),
                Micros::from_secs(10),
            )
        }
    }

    #[test]
    fn a_small_fleet_confirms_seven_faults_at_once() {
        let mut ration = Ration::default();
        let mut rounds: [Rounds; 8] = Default::default();
        ration.carry(&policy(30), true, Moment(0));
        let mut paid = 0;
        for _ in 0..4 {
            for rounds in &mut rounds {
                paid += u64::from(ration.pay(rounds, 5, false, Moment(0)));
            }
        }
        assert_eq!((paid, ration.denied()), (30, 2), "of eight faults with four rounds each");
    }

    #[test]
    fn in_the_long_run_confirmations_are_a_quarter_of_the_load() {
        let mut ration = Ration::default();
        for _ in 0..600 {
            ration.carry(&policy(30), true, Moment(0)); // 100 checks a second
        }
        let mut paid = 0;
        for second in 0..10_000 {
            for _ in 0..10 {
                // Ten monitors at a time, so that no monitor's own bucket is the narrow one.
                let mut rounds = Rounds::default();
                paid += u64::from(ration.pay(&mut rounds, 5, false, Moment(second * 1_000_000))) * 10;
            }
        }
        assert!((250_000..=250_400).contains(&paid), "{paid} of 1,000,000 scheduled checks");
    }

    #[test]
    fn one_flapping_monitor_leaves_most_to_the_others() {
        let (mut ration, mut rounds) = (Ration::default(), Rounds::default());
        ration.carry(&policy(1), true, Moment(0));
        let paid =
            (0..600).filter(|second| ration.pay(&mut rounds, 5, false, Moment(second * 1_000_000))).count();
        assert_eq!(paid, 8 + 19, "eight at once and one each 30 s");
    }

    #[test]
    fn alarms_leave_enough_for_a_fault() {
        let (mut ration, mut rounds) = (Ration::default(), Rounds::default());
        ration.carry(&policy(1), true, Moment(0));
        let paid =
            (0..600).filter(|second| ration.pay(&mut rounds, 5, true, Moment(second * 1_000_000))).count();
        assert_eq!(paid, 4 + 19, "four at once and one each 30 s");
        let now = Moment(599_000_000);
        assert_eq!((0..9).filter(|_| ration.pay(&mut rounds, 5, false, now)).count(), 4, "and a whole fault");

        let mut ration = Ration::default();
        ration.carry(&policy(3600), true, Moment(0));
        let mut pays = |alarm| ration.pay(&mut Rounds::default(), 5, alarm, Moment(0));
        assert_eq!((0..99).filter(|_| pays(true)).count(), 15, "of many monitors");
        assert_eq!((0..99).filter(|_| pays(false)).count(), 15);
    }
}
