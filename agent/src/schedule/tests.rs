//! The schedule under a clock that the test turns.

use proptest::prelude::*;
use quorate_proto::limits as protocol;

use super::*;

fn assignment(id: &str, interval: Micros, index: u16, of: u16) -> Assignment {
    let spec = MonitorSpec::new(id.parse().unwrap(), "wss://example.org/", interval, interval);
    Assignment { spec, slot: Slot { index, of } }
}

fn at(tick: Micros, wall: u64) -> Moment {
    Moment { tick: Tick(tick), wall: WallMicros(wall as i64) }
}

/// Start times of one monitor until `end`, with clocks that agree from `wall` on.
fn starts(assignment: Assignment, wall: u64, end: Micros) -> Vec<u64> {
    let mut schedule = Schedule::default();
    schedule.set(1, vec![assignment.clone()], at(Micros(0), wall));
    let mut starts = Vec::new();
    while let Some(due) = schedule.deadline().filter(|due| due.0 < end) {
        let taken = schedule.take_due(at(due.0, wall + due.0.0)).unwrap();
        assert_eq!((taken.lag, taken.revision), (Micros::ZERO, 1));
        schedule.finish(&assignment.spec.id);
        starts.push(wall + due.0.0);
    }
    starts
}

const SECOND: u64 = 1_000_000;

#[test]
fn regions_keep_an_even_distance() {
    let interval = Micros::from_secs(30);
    let of = 5;
    let mut all: Vec<u64> = (0..of)
        .flat_map(|index| {
            // Agents start at any time.
            starts(
                assignment("shop", interval, index, of),
                1_000_000 * SECOND + u64::from(index) * 777,
                interval * 9,
            )
        })
        .filter(|start| *start >= 1_000_060 * SECOND)
        .collect();
    all.sort_unstable();
    assert!(all.windows(2).all(|pair| pair[1] - pair[0] == 6 * SECOND), "{all:?}");
    assert!(all.len() > 30);
}

#[test]
fn monitors_are_spread() {
    let interval = Micros::from_secs(30);
    let first = |id: &str| starts(assignment(id, interval, 0, 1), 0, interval)[0];
    let firsts: BTreeSet<u64> = (0..100).map(|number| first(&format!("monitor-{number}")) / SECOND).collect();
    assert!(firsts.len() > 20, "a hundred monitors start in {} different seconds", firsts.len());
}

#[test]
fn the_first_check_does_not_wait_for_a_long_interval() {
    for number in 0..50 {
        let first = starts(
            assignment(&format!("m{number}"), protocol::INTERVAL_MAX, 1, 2),
            5,
            protocol::INTERVAL_MAX,
        )[0];
        assert!(first < 5 + limits::FIRST_CHECK_WITHIN.0);
    }
}

#[test]
fn a_change_leaves_others_alone() {
    let interval = Micros::from_secs(10);
    let mut schedule = Schedule::default();
    schedule.set(1, vec![assignment("a", interval, 0, 2), assignment("b", interval, 0, 2)], at(Micros(0), 0));
    let due = |schedule: &Schedule, id: &str| schedule.monitors[id].due;
    let (a, b) = (due(&schedule, "a"), due(&schedule, "b"));
    let mut other_url = assignment("a", interval, 0, 2);
    other_url.spec.url = "wss://example.com/".into();
    schedule.change(2, vec![other_url, assignment("c", interval, 0, 2)], &[], at(Micros(77), 77));
    assert_eq!((due(&schedule, "a"), due(&schedule, "b"), schedule.len()), (a, b, 3));
    assert_eq!(schedule.spec(&"a".parse().unwrap()).unwrap().url, "wss://example.com/");
    schedule.set(3, vec![assignment("b", interval, 0, 2)], at(Micros(99), 99));
    assert_eq!((due(&schedule, "b"), schedule.len(), schedule.queue.len()), (b, 1, 1));
    assert_eq!(schedule.revision(), 3);
}

#[test]
fn a_slow_check_costs_its_turn_and_a_late_start_is_measured() {
    let interval = Micros::from_secs(10);
    let mut schedule = Schedule::default();
    schedule.set(1, vec![assignment("a", interval, 0, 1)], at(Micros(0), 0));
    let first = schedule.deadline().unwrap();
    let late = Micros::from_secs(2);
    let moment = |tick: Tick| at(tick.0, tick.0.0);
    assert_eq!(schedule.take_due(moment(first.after(late))).unwrap().lag, late);
    let second = schedule.deadline().unwrap();
    assert_eq!(second.since(first), interval, "the grid is kept");
    assert_eq!(schedule.take_due(moment(second)), None);
    assert_eq!(schedule.skipped(), 1);
    schedule.finish(&"a".parse().unwrap());
    let third = schedule.deadline().unwrap();
    assert_eq!(third.since(second), interval);
    assert!(schedule.take_due(moment(third)).is_some());
}

/// What happens between two looks at the schedule.
#[derive(Clone, Debug)]
enum Happening {
    /// The wall clock is set, by microseconds.
    Jump(i64),
    /// Nobody looks at the schedule for so long.
    Stall(u64),
    /// The aggregator sends the same monitor again, in this slot, so many percent of the way to its turn.
    Assigned(u16, u64),
}

fn happening(interval: u64) -> impl Strategy<Value = Option<Happening>> {
    prop_oneof![
        4 => Just(None),
        1 => (-100_000_000_000_i64..100_000_000_000).prop_map(|span| Some(Happening::Jump(span))),
        1 => (-5_000_000_i64..5_000_000).prop_map(|span| Some(Happening::Jump(span))),
        1 => (0..3 * interval).prop_map(|span| Some(Happening::Stall(span))),
        1 => (0..3_u16, 0..100_u64).prop_map(|(slot, percent)| Some(Happening::Assigned(slot, percent))),
    ]
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

    /// Whatever the wall clock does, starts are neither too close nor too far apart.
    #[test]
    fn starts_keep_their_distance(
        (interval, happenings) in (protocol::INTERVAL_MIN.0..=protocol::INTERVAL_MAX.0)
            .prop_flat_map(|interval| (Just(interval), prop::collection::vec(happening(interval), 1..60))),
        wall in 0..2_000_000_000_000_000_i64,
    ) {
        let interval = Micros(interval);
        let mut schedule = Schedule::default();
        let mut wall = i128::from(wall);
        let mut tick = Tick(Micros(0));
        let moment = |tick: Tick, wall: i128| Moment { tick, wall: WallMicros(wall as i64) };
        schedule.set(1, vec![assignment("shop", interval, 0, 3)], moment(tick, wall));
        let mut last: Option<Tick> = None;
        for happening in happenings {
            let due = schedule.deadline().unwrap();
            prop_assert!(due.since(last.unwrap_or(tick)) <= interval * 3 / 2 + Micros(2));
            let mut wait = due.since(tick);
            match happening {
                Some(Happening::Jump(span)) => wall += i128::from(span),
                Some(Happening::Stall(span)) => wait = wait + Micros(span),
                Some(Happening::Assigned(slot, percent)) => {
                    wait = wait * percent / 100;
                    tick = tick.after(wait);
                    wall += i128::from(wait.0);
                    schedule.set(2, vec![assignment("shop", interval, slot, 3)], moment(tick, wall));
                    continue;
                }
                None => {}
            }
            tick = tick.after(wait);
            wall += i128::from(wait.0);
            let lag = tick.since(due);
            let taken = schedule.take_due(moment(tick, wall));
            prop_assert_eq!(taken.map(|due| due.lag), Some(lag));
            prop_assert_eq!(schedule.take_due(moment(tick, wall)), None);
            schedule.finish(&"shop".parse().unwrap());
            if let Some(last) = last {
                prop_assert!(tick.since(last) > interval / 2, "too close");
                prop_assert!(tick.since(last) <= interval * 3 / 2 + Micros(2) + lag, "too far apart");
            }
            last = Some(tick);
        }
    }
}
