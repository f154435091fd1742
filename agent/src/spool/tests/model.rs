//! The queue under random happenings, judged by the gate that an aggregator has.

use proptest::strategy::{Just, Strategy};

use super::{super::queue::Location, *};

/// What happens to a queue.
#[derive(Clone, Debug)]
enum Happening {
    Signed,
    Uploaded { acknowledged: bool },
    Refused,
    Reconnected,
    Written,
    MadeRoom,
    Restarted,
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

    /// Whatever happens, every unit is stored in order, or a gap covers it; nothing waits for ever.
    #[test]
    fn nothing_is_lost_without_a_word(happenings in proptest::collection::vec(happening(), 0..120)) {
        check(&happenings);
    }
}

/// What chance found once.
#[test]
fn what_was_lost_without_a_word_once_is_not() {
    use Happening::{MadeRoom, Refused, Restarted, Signed, Uploaded, Written};
    let unheard = Uploaded { acknowledged: false };
    for happenings in [
        &[Signed, Signed, Signed, Signed, Written, MadeRoom, Signed, Signed, Signed, Written, Restarted][..],
        // Gaps that are refused: one behind which nothing comes, and one of which the aggregator has a part.
        &[Signed, Refused, Refused],
        &[Signed, Written, MadeRoom, Refused],
        &[Signed, unheard.clone(), Signed, Refused, unheard, Refused],
    ] {
        check(happenings);
    }
}

fn check(happenings: &[Happening]) {
    let mut world = World::new();
    let mut queue = world.queue();
    let mut epoch = Epoch::new(1);
    let mut disk: Vec<(SignedUnit, Location)> = Vec::new();
    let mut is_gap_refused = false;
    for happening in happenings {
        is_gap_refused |= happen(happening, &mut world, &mut queue, &mut epoch, &mut disk);
    }
    if is_gap_refused {
        // There is nothing else to say in its place, so it is forgotten: the next unit closes the hole.
        queue.push(&epoch.unit(&world, 1, 5), 1, Tick::default());
    }
    queue.rewind();
    upload_all(&mut world, &mut queue, &disk);
    assert_eq!(queue.units(), 0);
    let covered = world.chains.head(epoch.epoch).map_or(Sequence(0), |head| head.next);
    assert_eq!(covered, epoch.next, "of this start, every unit is stored or in a gap");
    let may_lose = |happening: &Happening| match happening {
        Happening::Refused | Happening::MadeRoom | Happening::Restarted => true,
        Happening::Signed | Happening::Uploaded { .. } | Happening::Reconnected | Happening::Written => false,
    };
    if !happenings.iter().any(may_lose) {
        assert_eq!(world.sequences(1).len() as u64, epoch.next.0);
    }
}

fn happening() -> impl Strategy<Value = Happening> {
    proptest::prop_oneof![
        8 => Just(Happening::Signed),
        6 => proptest::bool::ANY.prop_map(|acknowledged| Happening::Uploaded { acknowledged }),
        1 => Just(Happening::Refused),
        1 => Just(Happening::Reconnected),
        3 => Just(Happening::Written),
        1 => Just(Happening::MadeRoom),
        1 => Just(Happening::Restarted),
    ]
}

/// Lets something happen; says whether it was the refusal of a gap.
fn happen(
    happening: &Happening,
    world: &mut World,
    queue: &mut Queue,
    epoch: &mut Epoch,
    disk: &mut Vec<(SignedUnit, Location)>,
) -> bool {
    match happening {
        Happening::Signed => queue.push(&epoch.unit(world, 1, 5), 1, Tick::default()),
        Happening::Uploaded { acknowledged } => {
            if let Some(parcel) = next_parcel(queue, disk) {
                let verdict = world.receive(parcel.unit);
                if *acknowledged {
                    queue.settle((parcel.epoch, parcel.sequence), verdict, Tick::default());
                }
            }
        }
        Happening::Refused => {
            if let Some(parcel) = next_parcel(queue, disk) {
                queue.settle((parcel.epoch, parcel.sequence), AckVerdict::Refused, Tick::default());
                // What is behind it waits for the gap.
                queue.rewind();
                let unit = SignedUnit::parse(parcel.unit).unwrap();
                return matches!(unit.content().unwrap(), Content::Gap(_));
            }
        }
        Happening::Reconnected => queue.rewind(),
        Happening::Written => {
            for write in queue.writes(1_000) {
                let offset = disk.last().map_or(0, |(_, last)| last.offset + 1);
                let location = Location { segment: offset / 3, offset, bytes: 1 };
                disk.push((SignedUnit::parse(write.unit.to_vec()).unwrap(), location));
                queue.segment_has(location.segment, 100);
                queue.written(&write, location);
            }
        }
        Happening::MadeRoom => {
            let doomed = queue.make_room(queue.disk_bytes().saturating_sub(100), Tick::default());
            disk.retain(|(_, location)| !doomed.contains(&location.segment));
        }
        Happening::Restarted => {
            *queue = world.queue();
            for (unit, location) in disk.iter() {
                queue.segment_has(location.segment, 100);
                queue.restore(unit, 1, *location);
            }
            queue.fill_holes(&std::collections::BTreeMap::new(), Tick::default());
            *epoch = Epoch::new(epoch.epoch.0 + 1);
        }
    }
    false
}

fn next_parcel(queue: &mut Queue, disk: &[(SignedUnit, Location)]) -> Option<Parcel> {
    loop {
        match queue.next() {
            Next::Parcel(parcel) => return Some(parcel),
            Next::Nothing => return None,
            Next::OnDisk => {
                for (key, location) in queue.reads(1_000).unwrap() {
                    let (unit, _) = disk.iter().find(|(_, other)| *other == location).unwrap();
                    queue.loaded(key, unit.as_bytes());
                }
            }
        }
    }
}

fn upload_all(world: &mut World, queue: &mut Queue, disk: &[(SignedUnit, Location)]) {
    while let Some(parcel) = next_parcel(queue, disk) {
        let verdict = world.receive(parcel.unit);
        queue.settle((parcel.epoch, parcel.sequence), verdict, Tick::default());
    }
}
