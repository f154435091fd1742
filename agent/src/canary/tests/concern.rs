//! Which changes close a connection.

use quorate_proto::{Micros, MonitorSpec, Step, canary::IdleSearch, monitor::Family};

use super::{super::concerns_connection, CanaryMode, spec};

#[test]
fn what_only_checks_use_does_not_concern_a_connection() {
    let base = |mode| spec("ws://127.0.0.1/", mode, 1_000, 1_000);
    type Change = fn(&mut MonitorSpec);
    let changes: [(Change, [bool; 3]); 9] = [
        (|_| {}, [false, false, false]),
        (|spec| spec.interval = Micros::from_secs(5), [false, false, false]),
        (|spec| spec.timeout = Micros::from_secs(5), [false, false, false]),
        (|spec| spec.samples = 5, [false, false, false]),
        (
            |spec| spec.idle_search = Some(IdleSearch { every: Micros::MAX, max: Micros::MAX }),
            [false, false, false],
        ),
        (|spec| spec.steps.push(Step::send("a")), [false, true, true]),
        (|spec| spec.hello.push(Step::send("a")), [true, true, true]),
        (|spec| spec.url.push('a'), [true, true, true]),
        (|spec| spec.family = Family::V4, [true, true, true]),
    ];
    for (number, (change, concerns)) in changes.into_iter().enumerate() {
        for (mode, concerns) in
            [CanaryMode::Ping, CanaryMode::Steps, CanaryMode::Listen].into_iter().zip(concerns)
        {
            let (one, mut other) = (base(mode), base(mode));
            change(&mut other);
            assert_eq!(concerns_connection(&one, &other), concerns, "change {number}, {mode:?}");
        }
    }
    assert!(concerns_connection(&base(CanaryMode::Ping), &base(CanaryMode::Listen)));
}
