//! Every write and every sync of the store fails once, or is the last thing that the process does: whatever was said to be
//! on the disk is there when the store is opened again, once, and the store goes on.
//!
//! The faults are injected by strace into a process of its own: this test binary, with nothing but [`driver`] to run. strace
//! counts each system call of each thread apart, so a place is the *n*-th of one call. The store opens in one thread and
//! writes in another: with a database that is there already the opening writes nothing, and all places are the writer's; with
//! none they are those of making it. Some places of each kind of fault are tried; with `QUORATE_FAULTS=all` every one.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rusqlite::{Connection, OpenFlags};

use super::*;

/// Names the folder to a driver.
const FOLDER: &str = "QUORATE_FAULTS_FOLDER";
/// Units that a driver commits, one after the other.
const UNITS: i64 = 12;
/// How often it tries to commit one.
const TRIES: usize = 3;
/// Places of each kind of fault, and each kind of start, that are tried without being asked for all.
const PLACES: usize = 12;

/// What is done at one place.
struct Fault {
    name: &'static str,
    inject: &'static str,
    /// Whether it lasts from there on.
    lasts: bool,
}

const FAULTS: [Fault; 4] = [
    Fault { name: "EIO", inject: "error=EIO", lasts: false },
    Fault { name: "ENOSPC", inject: "error=ENOSPC", lasts: false },
    Fault { name: "EIO from there on", inject: "error=EIO", lasts: true },
    Fault { name: "SIGKILL", inject: "signal=KILL", lasts: false },
];

#[test]
fn whatever_write_or_sync_fails_nothing_acknowledged_is_lost_or_doubled() {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        assert!(env::var_os("QUORATE_REQUIRE_SERVERS").is_none(), "strace is missing");
        eprintln!("SKIPPED whatever_write_or_sync_fails: this machine lacks strace");
        return;
    }
    let all = env::var("QUORATE_FAULTS").is_ok_and(|which| which == "all");
    for exists in [true, false] {
        let whole = Run::make(exists, None);
        assert_eq!(
            whole.acknowledged(),
            (0..UNITS).collect(),
            "without a fault all is taken: {}",
            whole.log()
        );
        let places = whole.places();
        let stride = if all { 1 } else { places.len().div_ceil(PLACES) };
        for (number, fault) in FAULTS.iter().enumerate() {
            let (mut tried, mut reached, mut short) = (0, 0, 0);
            // Kinds of faults look at other places, so that a few runs of the test see more of them.
            for (call, place) in places.iter().skip(number % stride).step_by(stride) {
                let run = Run::make(exists, Some((fault, call, *place)));
                tried += 1;
                reached += usize::from(run.has_reached());
                short += usize::from(run.acknowledged().len() < whole.acknowledged().len());
                run.check(&format!("{} at {call} {place}, exists: {exists}", fault.name));
            }
            let file = if exists { "a database that is there" } else { "a database that is made" };
            println!(
                "MEASURED {file}, {}: {reached} of {tried} runs reached their fault, of {} places; in {short} some units were \
                 not acknowledged; every acknowledged one was there, once",
                fault.name,
                places.len()
            );
            // Two runs differ in a write or two.
            assert!(reached * 10 >= tried * 8, "{file}, {}: {reached} of {tried}", fault.name);
        }
    }
}

/// Commits units and writes down which were acknowledged. Does nothing where it was not asked to.
#[test]
fn driver() {
    let Some(folder) = env::var_os(FOLDER).map(PathBuf::from) else { return };
    let mut acknowledged = fs::File::create(folder.join("acknowledged")).unwrap();
    let Ok((store, reader, _)) = Store::open(&folder) else { return };
    let mut agent = Agent::new("a", "eu");
    for number in 0..UNITS {
        let commit = Commit { units: vec![agent.passed("shop", number)], changes: vec![] };
        // As an agent does that is told to come again.
        let taken =
            (0..TRIES).any(|_| store.submit(commit.clone()).blocking_recv().is_ok_and(|made| made.is_ok()));
        if !taken {
            break;
        }
        writeln!(acknowledged, "{number}").unwrap();
    }
    drop(reader);
    store.close();
}

/// One driver that ran.
struct Run {
    folder: tempfile::TempDir,
}

impl Run {
    fn make(exists: bool, fault: Option<(&Fault, &str, usize)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        if exists {
            let (store, reader, _) = Store::open(folder.path()).unwrap();
            drop(reader);
            store.close();
        }
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o"]).arg(folder.path().join("log"));
        for suffix in ["", "-wal", "-journal"] {
            strace.arg("-P").arg(folder.path().join(format!("quorate.db{suffix}")));
        }
        strace.arg("-e").arg(format!("trace={}", CALLS.join(",")));
        if let Some((fault, call, place)) = fault {
            let on = if fault.lasts { "+" } else { "" };
            strace.arg("-e").arg(format!("inject={call}:{}:when={place}{on}", fault.inject));
        }
        let status = strace
            .arg(env::current_exe().unwrap())
            .args(["--exact", "store::tests::faults::driver", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        let run = Self { folder };
        assert_eq!(status.success(), !run.log().contains(KILLED), "{}", run.log());
        run
    }

    /// Every place of a run without a fault: the system call, and which of them it is in its thread.
    fn places(&self) -> Vec<(&'static str, usize)> {
        let mut counts = BTreeMap::new();
        for line in self.log().lines() {
            let mut words = line.split_whitespace();
            let (thread, rest) =
                (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default());
            if let Some(call) = CALLS.into_iter().find(|call| rest.starts_with(&format!("{call}("))) {
                *counts.entry((call, thread)).or_insert(0) += 1;
            }
        }
        let of = |call| counts.iter().filter(move |((of, _), _)| *of == call).map(|(_, count)| *count).max();
        CALLS
            .into_iter()
            .flat_map(|call| (1..=of(call).unwrap_or(0)).map(move |place| (call, place)))
            .collect()
    }

    fn has_reached(&self) -> bool {
        self.log().contains("(INJECTED)") || self.log().contains(KILLED)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn acknowledged(&self) -> BTreeSet<i64> {
        let text = fs::read_to_string(self.folder.path().join("acknowledged")).unwrap_or_default();
        text.lines().map(|line| line.parse().unwrap()).collect()
    }

    /// Opens what is left as the next start would, and compares.
    fn check(&self, what: &str) {
        let acknowledged = self.acknowledged();
        let opened = Store::open(self.folder.path());
        let (store, reader, recovered) = opened.unwrap_or_else(|error| panic!("{what}: {error}"));
        let database = open_read_only(self.folder.path());
        let integrity: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(integrity, "ok", "{what}");
        let list = |sql: &str| -> Vec<i64> {
            let mut statement = database.prepare(sql).unwrap();
            let rows = statement.query_map([], |row| row.get(0)).unwrap();
            rows.map(Result::unwrap).collect()
        };
        let units = list("SELECT sequence FROM batch ORDER BY sequence");
        let stored: BTreeSet<i64> = units.iter().copied().collect();
        assert_eq!(units.len(), stored.len(), "{what}: nothing twice in the log");
        assert!(
            acknowledged.is_subset(&stored),
            "{what}: {acknowledged:?} were acknowledged, {stored:?} are there"
        );
        assert_eq!(stored, (0..i64::try_from(units.len()).unwrap()).collect(), "{what}: no hole");
        // Each unit has one result, whose time is its number.
        assert_eq!(
            list("SELECT ended_at FROM result ORDER BY ended_at"),
            units,
            "{what}: the history is the log's"
        );
        let heads = list("SELECT next FROM chain_head");
        assert_eq!(heads.first().copied().unwrap_or_default(), i64::try_from(units.len()).unwrap(), "{what}");
        assert_eq!(recovered.chains.len(), heads.len(), "{what}");
        // And it goes on.
        let mut other = Agent::new("b", "eu");
        let commit = Commit { units: vec![other.passed("shop", 1_000)], changes: vec![] };
        store.submit(commit).blocking_recv().unwrap().unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(list("SELECT count(*) FROM batch"), [i64::try_from(units.len()).unwrap() + 1], "{what}");
        drop((database, reader));
        store.close();
    }
}

fn open_read_only(folder: &Path) -> Connection {
    Connection::open_with_flags(folder.join("quorate.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

/// What writes, and what brings it to the disk.
const CALLS: [&str; 5] = ["pwrite64", "write", "fdatasync", "fsync", "ftruncate"];

/// What strace says of a process that its fault ended.
const KILLED: &str = "+++ killed by SIGKILL";
