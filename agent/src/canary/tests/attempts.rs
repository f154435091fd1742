//! When attempts are made, and what is told of them.

use proptest::prelude::*;
use quorate_proto::{Failure, FailureKind, Micros, Phase, canary::CanaryEvent};

use super::super::attempts::Attempts;
use crate::{clock::Tick, limits};

fn failure() -> Failure {
    Failure::new(FailureKind::ConnectionRefused, Phase::Tcp, "")
}

fn seconds(seconds: u64) -> Micros {
    Micros::from_secs(seconds)
}

#[test]
fn of_a_spell_the_first_failure_is_told_and_then_the_opening() {
    let now = Tick(seconds(100));
    let mut attempts = Attempts::new(now, 0);
    assert_eq!(attempts.failed(failure(), now, 0), Some(CanaryEvent::NotOpened { failure: failure() }));
    assert_eq!(attempts.failed(failure(), now, 0), None);
    let opened = attempts.opened(seconds(1), None, now);
    let (took, tls) = (seconds(1), None);
    assert_eq!(opened, CanaryEvent::Opened { took, after: None, failed_attempts: 2, tls });

    attempts.ended(seconds(60), now, 0);
    assert!(attempts.failed(failure(), now, 0).is_some(), "a new spell");
    let later = now.after(seconds(7));
    let opened = attempts.opened(took, None, later);
    assert_eq!(opened, CanaryEvent::Opened { took, after: Some(seconds(7)), failed_attempts: 1, tls });
}

#[test]
fn the_first_attempt_comes_at_once_and_pauses_double() {
    let now = Tick(seconds(100));
    let pauses = |chance: u64| {
        let mut attempts = Attempts::new(now, chance);
        let start = attempts.next().since(now);
        attempts.ended(limits::CANARY_SETTLED_AFTER, now, chance);
        let mut pauses = vec![start.as_millis(), attempts.next().since(now).as_millis()];
        for _ in 0..7 {
            attempts.failed(failure(), now, chance);
            pauses.push(attempts.next().since(now).as_millis());
        }
        pauses
    };
    assert_eq!(pauses(0), [0, 0, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
    assert_eq!(pauses(u64::MAX), [1_000, 250, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

    /// Whatever a server does, it is not stormed: what ends at once is tried ever more rarely, what lasted is tried anew
    /// no more often than it lasted.
    #[test]
    fn no_server_is_stormed(happenings in prop::collection::vec((any::<bool>(), 0..20_000_u64, any::<u64>()), 1..200)) {
        let mut now = Tick(seconds(1));
        let mut attempts = Attempts::new(now, 0);
        let mut made: Vec<Tick> = Vec::new();
        for (opens, lasts, chance) in happenings {
            prop_assert!(attempts.next() >= now && attempts.next().since(now) <= limits::CANARY_PAUSE_MAX);
            now = attempts.next();
            made.push(now);
            if opens {
                attempts.opened(Micros(1), None, now);
                let open_for = Micros::from_millis(lasts);
                now = now.after(open_for);
                attempts.ended(open_for, now, chance);
            } else {
                attempts.failed(failure(), now, chance);
            }
        }
        // The most there can be: connections that last just long enough, with three failures between each and the next.
        for (index, at) in made.iter().enumerate() {
            let within = made[index..].iter().take_while(|other| other.since(*at) < seconds(60)).count();
            prop_assert!(within <= 20, "{within} attempts in a minute");
        }
    }
}
