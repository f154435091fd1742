//! The state folder on a real file system.

use quorate_proto::{Micros, MonitorSpec, Slot, monitor::Header};

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("agents/one");
    (parent, folder)
}

fn enrolment() -> Enrolment {
    Enrolment {
        aggregator: AggregatorKey([7; 32]),
        address: "watch.example.org:4433".into(),
        name: "one".parse().unwrap(),
        region: "eu-west".parse().unwrap(),
    }
}

#[test]
fn a_folder_is_made_and_found_again() {
    let (_parent, folder) = folder();
    assert!(!State::is_there(&folder));
    let mut state = State::open(&folder).unwrap();
    let key = state.key().agent_key();
    assert_eq!(state.enrolment(), None);
    state.enrol(enrolment()).unwrap();
    assert_eq!((mode(&folder), mode(&folder.join("agent.key"))), (0o700, 0o600));
    drop(state);
    assert!(State::is_there(&folder));
    let state = State::open(&folder).unwrap();
    assert_eq!((state.key().agent_key(), state.enrolment()), (key, Some(&enrolment())));
}

#[test]
fn two_agents_cannot_share_a_folder() {
    let (_parent, folder) = folder();
    let first = State::open(&folder).unwrap();
    assert!(matches!(State::open(&folder), Err(StateError::InUse { .. })));
    drop(first);
    State::open(&folder).unwrap();
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let (_parent, folder) = folder();
    drop(State::open(&folder).unwrap());
    let path = folder.join("agent.key");
    for bits in [0o640, 0o604, 0o660] {
        fs::set_permissions(&path, fs::Permissions::from_mode(bits)).unwrap();
        let error = State::open(&folder).unwrap_err();
        assert!(matches!(&error, StateError::KeyIsOpen { mode, .. } if *mode == bits));
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    State::open(&folder).unwrap();
    fs::write(&path, b"not a key").unwrap();
    assert!(matches!(State::open(&folder), Err(StateError::Key { .. })));
}

#[test]
fn epochs_only_grow() {
    let (_parent, folder) = folder();
    let state = State::open(&folder).unwrap();
    let mut last = BootEpoch(0);
    for wall in [1_000, 1_000, 5, -1, 2_000, 1_999] {
        let epoch = state.next_epoch(WallMicros(wall)).unwrap();
        assert!(epoch > last, "{epoch:?} after {last:?} at {wall}");
        last = epoch;
    }
    fs::remove_file(folder.join("epoch")).unwrap();
    assert!(state.next_epoch(WallMicros(3_000)).unwrap() > last, "an older copy of the folder");
}

#[test]
fn assignments_are_kept_and_damage_is_passed_over() {
    let (_parent, folder) = folder();
    let state = State::open(&folder).unwrap();
    assert_eq!(state.assigned(), Assigned::default());
    let (interval, timeout) = (Micros::from_secs(30), Micros::from_secs(10));
    let spec = MonitorSpec {
        headers: vec![Header { name: "A".into(), value: "b".into() }],
        ..MonitorSpec::new("shop".parse().unwrap(), "wss://shop.example", interval, timeout)
    };
    let assignments = vec![Assignment { spec, slot: Slot { index: 1, of: 5 } }];
    let assigned = Assigned { revision: 7, assignments };
    let json = serde_json::to_string(&assigned).unwrap();
    state.assignments_file().keep(&assigned).unwrap();
    let path = folder.join("assignments.json");
    assert_eq!((state.assigned(), mode(&path)), (assigned, 0o600));
    for damage in ["", "{", r#"{"revision":1}"#, &json.replace("30000000", "1")] {
        fs::write(&path, damage).unwrap();
        assert_eq!(state.assigned(), Assigned::default(), "{damage}");
    }
}

#[test]
fn a_revoked_agent_forgets_what_was_assigned_until_it_joins_anew() {
    let (_parent, folder) = folder();
    let mut state = State::open(&folder).unwrap();
    state.assignments_file().keep(&Assigned { revision: 3, assignments: Vec::new() }).unwrap();
    assert!(!state.is_revoked());
    state.revoke().unwrap();
    state.revoke().unwrap();
    assert_eq!((state.is_revoked(), state.assigned().revision), (true, 0));
    state.enrol(enrolment()).unwrap();
    assert!(!state.is_revoked());
}

#[test]
fn a_broken_enrolment_is_named() {
    let (_parent, folder) = folder();
    drop(State::open(&folder).unwrap());
    let path = folder.join("aggregator.json");
    for broken in ["{}", r#"{"key":"x","address":"a:1","name":"a","region":"r"}"#] {
        fs::write(&path, broken).unwrap();
        let error = State::open(&folder).unwrap_err();
        assert!(matches!(error, StateError::Enrolment { .. }), "{error}");
    }
}
