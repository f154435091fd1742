//! Evidence: what is kept of it, for how long, and how an incident is found.

use super::*;
use crate::model::{
    DecisionRecord, Evidence, UnitSpan,
    evidence::{PolicyRecord, RuleRecord, StateRecord},
};

fn evidence(incident: &str, at: i64, spans: Vec<UnitSpan>) -> Change {
    let record = DecisionRecord {
        decided_us: u64::try_from(at).unwrap(),
        wall_offset_us: 0,
        from: Some("up".to_owned()),
        to: "down".to_owned(),
        rule: RuleRecord { name: "majority".to_owned(), numbers: Default::default() },
        sentence: String::new(),
        first_failure_us: None,
        suspected_us: None,
        quorum_us: None,
        policy: PolicyRecord {
            interval_us: 1,
            timeout_us: 1,
            quorum: "default".to_owned(),
            confirm_for_us: None,
            sensitivity: "balanced".to_owned(),
            restart_budget_us: 0,
            domains: Default::default(),
            min_domains: 2,
            calibrated: None,
            revision: 0,
        },
        state: StateRecord::default(),
        regions: Vec::new(),
    };
    let decided_at = WallMicros(at);
    Change::Evidence(Box::new(Evidence { incident: incident.to_owned(), decided_at, record, spans }))
}

/// What a decision rests on outlives the log, and goes with the evidence.
#[tokio::test]
async fn units_are_kept_as_long_as_the_evidence_that_refers_to_them() {
    const DAY: i64 = 24 * 3_600_000_000;
    let folder = tempfile::tempdir().unwrap();
    let opened = crate::store::open::open(folder.path()).unwrap();
    let reader = Reader::open(&opened.file).unwrap();
    let (connection, wall) = (opened.connection, |day: i64| WallMicros(day * DAY));
    let mut agent = Agent::new("eu-a", "eu");
    let units = (0..6).map(|_| agent.failed("shop", DAY, "refused")).collect();
    let span = |first, last| UnitSpan {
        agent: agent.key(),
        epoch: agent.epoch,
        first: quorate_proto::Sequence(first),
        last: quorate_proto::Sequence(last),
    };
    let mut resolved = incident("inc_1", "shop");
    resolved.resolved_at = Some(wall(2));
    let tracked = Tracked { incident: resolved, opened_at: wall(1), told: Default::default() };
    let changes = vec![
        Change::Incident(Box::new(tracked)),
        evidence("inc_1", DAY, vec![span(1, 3), span(3, 4)]),
        evidence("inc_1", DAY + 1, vec![span(4, 4)]),
    ];
    let transaction = connection.unchecked_transaction().unwrap();
    crate::store::rows::write(&transaction, &Commit { units, changes }).unwrap();
    transaction.commit().unwrap();

    let retention = Retention::default();
    let prune = |day| {
        crate::store::rows::prune_evidence(&connection, wall(day), retention.batches, retention.records)
            .unwrap();
        let statement = "DELETE FROM batch WHERE received_at < ?1";
        connection.execute(statement, [wall(day).before(retention.batches).0]).unwrap();
    };
    let kept = async || {
        let dossier = reader.dossier("inc_1").await.unwrap().unwrap();
        let sequence = |unit: &crate::model::StoredUnit| {
            assert_eq!(unit.held, Some(quorate_proto::Micros::ZERO));
            quorate_proto::SignedUnit::parse(unit.bytes.clone()).unwrap().place().sequence.0
        };
        (dossier.decisions.len(), dossier.units.iter().map(sequence).collect::<Vec<_>>())
    };
    assert_eq!(kept().await, (2, vec![1, 2, 3, 4]), "from the log");
    prune(40);
    let left: i64 = connection.query_row("SELECT count(*) FROM batch", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
    assert_eq!(kept().await, (2, vec![1, 2, 3, 4]), "taken over from the log");
    prune(402);
    assert_eq!(kept().await, (0, vec![]));
    for table in ["evidence", "evidence_span", "evidence_unit"] {
        let rows: i64 =
            connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

#[tokio::test]
async fn of_an_incident_that_goes_to_and_fro_the_middle_is_forgotten() {
    let Opened { store, reader, .. } = opened();
    let mut all = vec![Change::Incident(Box::new(Tracked {
        incident: incident("inc_1", "shop"),
        opened_at: WallMicros(1),
        told: Default::default(),
    }))];
    all.extend((1..=50).map(|at| evidence("inc_1", at, vec![])));
    store.commit(changes(all)).await.unwrap();
    let decisions = reader.dossier("inc_1").await.unwrap().unwrap().decisions;
    let at: Vec<u64> = decisions.iter().map(|decision| decision.decided_us).collect();
    assert_eq!(at, (1..=16).chain(35..=50).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_incident_is_found_by_what_people_say() {
    let Opened { store, reader, .. } = opened();
    let tracked = |id: &str, monitor: &str, at| {
        let incident = incident(id, monitor);
        Change::Incident(Box::new(Tracked { incident, opened_at: WallMicros(at), told: Default::default() }))
    };
    let all =
        vec![tracked("inc_01aa", "shop", 1), tracked("inc_01ab", "chat", 2), tracked("inc_01b0", "shop", 3)];
    store.commit(changes(all)).await.unwrap();
    for (word, meant) in [
        ("inc_01aa", Meant::One("inc_01aa".to_owned())),
        ("inc_01b", Meant::One("inc_01b0".to_owned())),
        ("01ab", Meant::One("inc_01ab".to_owned())),
        ("last", Meant::One("inc_01b0".to_owned())),
        ("shop", Meant::One("inc_01b0".to_owned())),
        ("chat", Meant::One("inc_01ab".to_owned())),
        ("inc_01a", Meant::Several(vec!["inc_01aa".to_owned(), "inc_01ab".to_owned()])),
        ("nobody", Meant::None),
        ("'; DROP TABLE incident; --", Meant::None),
    ] {
        assert_eq!(reader.meant(word).await.unwrap(), meant, "{word}");
    }
}
