//! The spool against real files and a real disk thread, judged by the gate that an aggregator has.

mod model;

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use quorate_proto::{
    Admission, BatchBody, Chains, CheckKind, CheckResult, Digest, Failure, FailureKind, Gap, GapCause,
    Outcome, Phase, Timings, Verified, WallMicros,
    frame::AckVerdict,
    unit::{Content, Place},
    verify::{self, Unit},
};

use super::*;

/// An agent, its aggregator's gate, and a folder.
pub(super) struct World {
    key: Arc<SigningKey>,
    aggregator: AggregatorKey,
    pub(super) chains: Chains,
    /// Sequence numbers stored, by epoch.
    stored: BTreeSet<(u64, u64)>,
    gaps: Vec<Gap>,
    folder: tempfile::TempDir,
}

/// The agent's side of one epoch.
pub(super) struct Epoch {
    epoch: BootEpoch,
    next: Sequence,
    previous: Digest,
}

impl Epoch {
    pub(super) fn new(epoch: u64) -> Self {
        Self { epoch: BootEpoch(epoch), next: Sequence(0), previous: Digest::NONE }
    }

    /// The next unit, with so many results of about `bytes` each.
    pub(super) fn unit(&mut self, world: &World, results: usize, bytes: usize) -> SignedUnit {
        let detail = "x".repeat(bytes);
        let result = CheckResult {
            monitor: "shop".parse().unwrap(),
            kind: CheckKind::Scheduled,
            started_at: WallMicros(1),
            age: Micros(1),
            outcome: Outcome::Failed(Failure::new(FailureKind::Dropped, Phase::Exchange, detail)),
            timings: Timings::default(),
            address: None,
            tls: None,
            addresses: Vec::new(),
        };
        let batch = BatchBody {
            signed_at: WallMicros(2),
            revision: 1,
            results: vec![result; results],
            canaries: Vec::new(),
            idle_timeouts: Vec::new(),
        };
        let place = Place {
            aggregator: world.aggregator,
            agent: world.key.agent_key(),
            epoch: self.epoch,
            sequence: self.next,
            previous: self.previous,
        };
        let unit = SignedUnit::sign(&place, &Content::Batch(batch), &world.key).unwrap();
        self.next = self.next.next();
        self.previous = unit.digest();
        unit
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            key: Arc::new(SigningKey::generate().unwrap()),
            aggregator: SigningKey::generate().unwrap().aggregator_key(),
            chains: Chains::default(),
            stored: BTreeSet::new(),
            gaps: Vec::new(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(super) fn queue(&self) -> Queue {
        Queue::new(Arc::clone(&self.key), self.aggregator)
    }

    fn open(&self) -> (Spool, Parcels) {
        self.open_in(self.folder.path())
    }

    fn open_in(&self, folder: &Path) -> (Spool, Parcels) {
        open(Options {
            folder: folder.to_owned(),
            bytes_max: limits::SPOOL_BYTES_MIN,
            key: Arc::clone(&self.key),
            aggregator: self.aggregator,
        })
        .unwrap()
    }

    /// What an aggregator does with a unit.
    pub(super) fn receive(&mut self, unit: Vec<u8>) -> AckVerdict {
        let unit = SignedUnit::parse(unit).unwrap();
        let unit = verify::authenticate(unit, &self.key.agent_key(), &self.aggregator).unwrap();
        match verify::admit(unit, &self.chains, |_| true).unwrap() {
            Admission::Next(unit) => {
                self.chains.advance(&unit);
                self.note(&unit);
                AckVerdict::Stored
            }
            Admission::Duplicate => AckVerdict::Stored,
            Admission::Early(unit) => panic!("sent too early: {:?}", unit.place()),
        }
    }

    fn note(&mut self, unit: &Verified<Unit>) {
        match &unit.get().content {
            Content::Batch(_) => {
                let place = unit.get().place;
                assert!(self.stored.insert((place.epoch.0, place.sequence.0)), "stored twice");
            }
            Content::Gap(gap) => self.gaps.push(*gap),
        }
    }

    /// Uploads everything there is, as a new connection does.
    async fn drain(&mut self, parcels: &mut Parcels) {
        parcels.rewind();
        while parcels.shared.lock().units() > 0 {
            let parcel = soon(parcels.next()).await;
            let verdict = self.receive(parcel.unit);
            parcels.settle(parcel.epoch, parcel.sequence, verdict);
        }
    }

    fn segments(&self) -> Vec<PathBuf> {
        let mut paths: Vec<_> =
            fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    }

    fn bytes_on_disk(&self) -> u64 {
        self.segments().iter().filter_map(|path| fs::metadata(path).ok()).map(|meta| meta.len()).sum()
    }

    fn sequences(&self, epoch: u64) -> Vec<u64> {
        self.stored.range((epoch, 0)..(epoch + 1, 0)).map(|(_, sequence)| *sequence).collect()
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it came in time")
}

#[expect(clippy::disallowed_methods, reason = "a bound around polling, not a measurement")]
fn poll(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "it did not come about in time");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn all_written(spool: &Spool) -> bool {
    spool.shared.lock().pending().is_none()
}

#[tokio::test]
async fn a_live_unit_comes_from_memory_and_leaves_nothing_behind() {
    let mut world = World::new();
    let (spool, mut parcels) = world.open();
    let mut epoch = Epoch::new(1);
    for _ in 0..10 {
        spool.push(&epoch.unit(&world, 1, 10), 1, Tick(Micros(7)));
        let parcel = soon(parcels.next()).await;
        assert_eq!(parcel.signed_at, Some(Tick(Micros(7))));
        world.receive(parcel.unit);
        parcels.settle(parcel.epoch, parcel.sequence, AckVerdict::Stored);
    }
    assert_eq!(spool.standing().units, 0);
    assert!(spool.close().await);
    assert_eq!(world.sequences(1), (0..10).collect::<Vec<_>>());
    assert_eq!(world.segments(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn what_was_not_acknowledged_is_there_after_a_start() {
    let mut world = World::new();
    for start in 1..=3 {
        let (spool, _parcels) = world.open();
        let mut epoch = Epoch::new(start);
        for _ in 0..5 {
            spool.push(&epoch.unit(&world, 2, 10), 2, Tick::default());
        }
        assert!(spool.close().await);
    }
    let (spool, mut parcels) = world.open();
    assert_eq!(spool.standing().units, 15);
    assert_eq!(soon(parcels.next()).await.signed_at, None, "its age is not known");
    world.drain(&mut parcels).await;
    for epoch in 1..=3 {
        assert_eq!(world.sequences(epoch), [0, 1, 2, 3, 4]);
    }
    assert_eq!(world.gaps, []);
}

#[tokio::test]
async fn an_acknowledged_unit_may_come_again_and_no_other_is_missing() {
    let mut world = World::new();
    let (spool, mut parcels) = world.open();
    let mut epoch = Epoch::new(1);
    for _ in 0..6 {
        spool.push(&epoch.unit(&world, 1, 10), 1, Tick::default());
    }
    poll(|| all_written(&spool));
    for _ in 0..3 {
        let parcel = soon(parcels.next()).await;
        world.receive(parcel.unit);
        parcels.settle(parcel.epoch, parcel.sequence, AckVerdict::Stored);
    }
    assert_eq!(spool.standing().units, 3);
    assert!(spool.close().await);
    let (_spool, mut parcels) = world.open();
    world.drain(&mut parcels).await;
    assert_eq!((world.sequences(1), world.gaps.as_slice()), ((0..6).collect(), [].as_slice()));
}

#[tokio::test]
async fn killed_at_any_moment_it_has_every_synced_unit() {
    let mut world = World::new();
    let (spool, _parcels) = world.open();
    let mut epoch = Epoch::new(1);
    for _ in 0..5 {
        spool.push(&epoch.unit(&world, 1, 10), 1, Tick::default());
    }
    poll(|| all_written(&spool));
    // What a killed process leaves is what the files hold at that moment.
    let left = tempfile::tempdir().unwrap();
    for path in world.segments() {
        fs::copy(&path, left.path().join(path.file_name().unwrap())).unwrap();
    }
    let (_spool, mut parcels) = world.open_in(left.path());
    world.drain(&mut parcels).await;
    assert_eq!(world.sequences(1), [0, 1, 2, 3, 4]);
}

/// Writes five units of two results into one segment, and gives it.
async fn five(world: &World) -> PathBuf {
    let (spool, _parcels) = world.open();
    let mut epoch = Epoch::new(1);
    for _ in 0..5 {
        spool.push(&epoch.unit(world, 2, 10), 2, Tick::default());
    }
    assert!(spool.close().await);
    world.segments().into_iter().next().unwrap()
}

#[tokio::test]
async fn a_tail_torn_at_any_byte_costs_the_last_unit_alone() {
    let mut world = World::new();
    let path = five(&world).await;
    let whole = fs::read(&path).unwrap();
    let scan = segment::scan(&whole).unwrap();
    let Some(segment::Item::Unit { record, .. }) = scan.items.last() else { panic!("no unit") };
    for end in record.clone() {
        fs::write(&path, &whole[..end]).unwrap();
        let (spool, mut parcels) = world.open();
        assert_eq!(spool.standing().counts.records_torn, u64::from(end > record.start), "cut at {end}");
        assert_eq!(spool.standing().units, 4);
        assert_eq!(fs::metadata(&path).unwrap().len() as usize, record.start);
        if end + 1 == record.end {
            world.drain(&mut parcels).await;
            assert_eq!(world.sequences(1), [0, 1, 2, 3]);
        }
        drop(spool);
    }
}

#[tokio::test]
async fn a_damaged_record_becomes_a_gap() {
    for damaged in 0..4_u64 {
        let mut world = World::new();
        let path = five(&world).await;
        let mut bytes = fs::read(&path).unwrap();
        let scan = segment::scan(&bytes).unwrap();
        let Some(segment::Item::Unit { unit, .. }) = scan.items.get(damaged as usize) else {
            panic!("no unit")
        };
        bytes[unit.start + 20] ^= 4;
        fs::write(&path, &bytes).unwrap();
        let (spool, mut parcels) = world.open();
        assert_eq!(spool.standing().counts.records_torn, 1);
        world.drain(&mut parcels).await;
        assert_eq!(world.sequences(1), (0..5).filter(|sequence| *sequence != damaged).collect::<Vec<_>>());
        let [gap] = world.gaps.as_slice() else { panic!("{:?}", world.gaps) };
        assert_eq!(
            (gap.resume.0, gap.results, gap.cause),
            (damaged + 1, 2, GapCause::SpoolDamaged),
            "damaged: {damaged}"
        );
    }
}

#[tokio::test]
async fn whatever_is_damaged_the_rest_is_in_order() {
    let original = World::new();
    for start in 1..=2 {
        let (spool, _parcels) = original.open();
        let mut epoch = Epoch::new(start);
        for _ in 0..4 {
            spool.push(&epoch.unit(&original, 1, 5), 1, Tick::default());
        }
        assert!(spool.close().await);
    }
    let files: Vec<(String, Vec<u8>)> = original
        .segments()
        .iter()
        .map(|path| (path.file_name().unwrap().to_str().unwrap().into(), fs::read(path).unwrap()))
        .collect();
    let mut chance = fastrand::Rng::with_seed(7);
    for round in 0..150 {
        let mut world = World::new();
        (world.key, world.aggregator) = (Arc::clone(&original.key), original.aggregator);
        for (name, bytes) in &files {
            let mut bytes = bytes.clone();
            for _ in 0..chance.usize(0..4) {
                let (from, to) = (chance.usize(8..bytes.len()), chance.usize(8..bytes.len()));
                match chance.u8(0..4) {
                    0 => bytes[from] ^= 1 << chance.u8(0..8),
                    1 => bytes[from..].fill(0),
                    2 => bytes.truncate(from),
                    // A part of the file stands in another place, as after a mended file system.
                    _ => bytes.copy_within(from.min(to)..from.max(to), 8),
                }
                bytes.resize(bytes.len().max(9), 0);
            }
            fs::write(world.folder.path().join(name), bytes).unwrap();
        }
        let (spool, mut parcels) = world.open();
        world.drain(&mut parcels).await;
        assert_eq!(spool.standing().units, 0, "round {round}");
    }
}

#[tokio::test]
async fn a_record_damaged_while_it_waits_becomes_a_gap() {
    let mut world = World::new();
    let path = five(&world).await;
    let (spool, mut parcels) = world.open();
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    world.drain(&mut parcels).await;
    assert_eq!(world.sequences(1), [0, 1, 3, 4]);
    assert_eq!(world.gaps.iter().map(|gap| gap.cause).collect::<Vec<_>>(), [GapCause::SpoolDamaged]);
    assert_eq!(spool.standing().counts.records_torn, 1);
}

#[tokio::test]
async fn above_the_bound_the_oldest_go_and_a_gap_says_so() {
    let mut world = World::new();
    let (spool, _parcels) = world.open();
    let mut epoch = Epoch::new(1);
    let units = 70_u64;
    for _ in 0..units {
        spool.push(&epoch.unit(&world, 200, 500), 200, Tick::default());
        poll(|| all_written(&spool));
        assert!(world.bytes_on_disk() <= limits::SPOOL_BYTES_MIN);
    }
    let dropped = spool.standing().counts.results_dropped;
    assert!(dropped >= 200 * 30, "about 7 MB were put into 4: {dropped}");
    assert!(world.bytes_on_disk() > limits::SPOOL_BYTES_MIN / 2, "no more than needed goes");
    assert!(spool.close().await);
    let (_spool, mut parcels) = world.open();
    world.drain(&mut parcels).await;
    let [gap] = world.gaps.as_slice() else { panic!("{:?}", world.gaps) };
    assert_eq!((gap.cause, gap.results), (GapCause::SpoolFull, dropped));
    assert_eq!(world.sequences(1), (gap.resume.0..units).collect::<Vec<_>>());
    assert_eq!(gap.resume.0 * 200, dropped);
}

#[tokio::test]
async fn a_refused_unit_becomes_a_gap_and_a_busy_one_comes_again() {
    let mut world = World::new();
    let (spool, mut parcels) = world.open();
    let mut epoch = Epoch::new(1);
    for _ in 0..3 {
        spool.push(&epoch.unit(&world, 3, 10), 3, Tick::default());
    }
    for sequence in 0..3 {
        assert_eq!(soon(parcels.next()).await.sequence, Sequence(sequence));
    }
    for (sequence, verdict) in
        [AckVerdict::Busy, AckVerdict::Refused, AckVerdict::Busy].into_iter().enumerate()
    {
        parcels.settle(BootEpoch(1), Sequence(sequence as u64), verdict);
    }
    assert_eq!(soon(parcels.next()).await.sequence, Sequence(1), "the gap");
    world.drain(&mut parcels).await;
    assert_eq!(world.sequences(1), [0, 2]);
    assert_eq!(
        world.gaps.iter().map(|gap| (gap.cause, gap.results)).collect::<Vec<_>>(),
        [(GapCause::Refused, 3)]
    );
    assert_eq!(spool.standing().units, 0);
}

#[tokio::test]
async fn an_aggregator_restored_from_an_older_copy_goes_on() {
    let mut world = World::new();
    let (spool, mut parcels) = world.open();
    let mut epoch = Epoch::new(1);
    for _ in 0..4 {
        spool.push(&epoch.unit(&world, 1, 10), 1, Tick::default());
    }
    let copy = world.chains.clone();
    world.drain(&mut parcels).await;
    spool.push(&epoch.unit(&world, 1, 10), 1, Tick::default());
    world.chains = copy;
    world.drain(&mut parcels).await;
    assert_eq!(
        world.gaps.iter().map(|gap| (gap.resume.0, gap.cause)).collect::<Vec<_>>(),
        [(4, GapCause::Forgotten)]
    );
    assert_eq!(world.sequences(1), [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn units_of_another_aggregator_are_passed_over() {
    let mut world = World::new();
    five(&world).await;
    world.aggregator = SigningKey::generate().unwrap().aggregator_key();
    let (spool, _parcels) = world.open();
    assert_eq!(spool.standing().units, 0);
    assert!(spool.close().await);
    assert_eq!(world.segments(), Vec::<PathBuf>::new());
}

#[test]
fn a_segment_of_a_newer_version_is_refused() {
    let world = World::new();
    fs::write(world.folder.path().join("0000000000000003.seg"), b"QSPOOL2\nwho knows").unwrap();
    let options = Options {
        folder: world.folder.path().to_owned(),
        bytes_max: 0,
        key: Arc::clone(&world.key),
        aggregator: world.aggregator,
    };
    assert!(matches!(open(options), Err(SpoolError::Version { .. })));
}

/// The name under which the next test starts itself again.
const FULL_DISK_CHILD: &str = "QUORATE_TEST_FULL_DISK";

/// A disk that takes no more: a process that may not write files above a size, which fails the way a full disk does,
/// with part of a record written. The signal that comes with it is ignored by the shell around it.
#[test]
fn with_the_disk_full_units_still_go_up_and_the_spool_mends_itself() {
    if std::env::var_os(FULL_DISK_CHILD).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        return runtime.block_on(on_a_full_disk());
    }
    let status = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" --exact \"$1\" --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .arg("spool::tests::with_the_disk_full_units_still_go_up_and_the_spool_mends_itself")
        .env(FULL_DISK_CHILD, "1")
        .status()
        .unwrap();
    assert!(status.success());
}

async fn on_a_full_disk() {
    let mut world = World::new();
    let (spool, mut parcels) = world.open();
    let mut epoch = Epoch::new(1);
    spool.push(&epoch.unit(&world, 1, 10), 1, Tick::default());
    poll(|| all_written(&spool));
    let limit = |bytes| {
        let maximum = rustix::process::getrlimit(rustix::process::Resource::Fsize).maximum;
        let limit = rustix::process::Rlimit { current: bytes, maximum };
        rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).unwrap();
    };
    limit(Some(20_000));
    for _ in 0..20 {
        spool.push(&epoch.unit(&world, 10, 400), 10, Tick::default());
    }
    poll(|| spool.standing().counts.failing);
    world.drain(&mut parcels).await;
    assert_eq!(world.sequences(1), (0..21).collect::<Vec<_>>(), "live units go up from memory");

    // More than the memory may hold: the oldest go, and a gap says so.
    let units = 2 + limits::SPOOL_MEMORY_BYTES_MAX / 100_000;
    for _ in 0..units {
        spool.push(&epoch.unit(&world, 200, 500), 200, Tick::default());
    }
    assert!(spool.standing().counts.results_dropped > 0);
    assert!(spool.shared.lock().pending().unwrap().1 <= limits::SPOOL_MEMORY_BYTES_MAX);
    limit(None);
    poll(|| !spool.standing().counts.failing && all_written(&spool));
    assert!(spool.close().await);
    let _spool;
    (_spool, parcels) = world.open();
    world.drain(&mut parcels).await;
    let lost: u64 = world.gaps.iter().map(|gap| gap.results / 200).sum();
    assert_eq!(world.sequences(1).len() as u64 + lost, 21 + units as u64);
}
