//! Incidents explained, and their evidence.

use super::{House, sample};
use crate::{
    evidence::{Pins, verify},
    model::Incident,
    store::fixture::AGGREGATOR,
};

const HOSTILE: &str = "<script>alert(1)</script>\"'&";

fn incident(id: &str) -> Incident {
    let mut incident = sample::resolved();
    incident.id = id.to_owned();
    incident.monitor.name = HOSTILE.to_owned();
    incident.rule = HOSTILE.to_owned();
    incident
}

#[tokio::test]
async fn an_incident_has_a_page_that_escapes_what_it_shows() {
    let house = House::new(sample::snapshot()).await;
    house.keep(incident("inc_01a")).await;
    let page = house.get("/incidents/inc_01a").await;
    assert_eq!(page.status, 200);
    assert!(!page.body.contains("<script>") && page.body.contains("alert(1)"), "{}", page.body);
    assert!(page.body.contains("How it was decided was not kept"), "{}", page.body);
    for absent in ["/incidents/inc_01", "/incidents/last", "/incidents/orders"] {
        assert_eq!(house.get(absent).await.status, 404, "strangers must know the whole id: {absent}");
    }
}

#[tokio::test]
async fn evidence_is_for_operators_and_sealed() {
    let house = House::new(sample::snapshot()).await;
    house.keep(incident("inc_01a")).await;
    for path in ["/api/v1/incidents/inc_01a/evidence", "/api/v1/incidents/last/explanation", "/api/v1/keys"] {
        assert_eq!(house.get(path).await.status, 401, "{path}");
        assert_eq!(house.ask(path).await.status, 200, "{path}");
    }
    let file = house.ask("/api/v1/incidents/inc_01/evidence").await.body;
    let pins = Pins { aggregator: Some(AGGREGATOR), ..Pins::default() };
    let report = verify(file.as_bytes(), &pins);
    assert!(
        report.holds() && !report.is_proven(),
        "it holds, and has nothing that could be proven: {report:#?}"
    );

    house.keep(incident("inc_01b")).await;
    let (status, code, message) = house.ask("/api/v1/incidents/inc_01/explanation").await.error();
    assert_eq!((status, code.as_str()), (404, "not_found"));
    assert!(message.contains("inc_01a, inc_01b"), "{message}");
    let keys = house.ask("/api/v1/keys").await.body;
    assert!(keys.starts_with(&format!("aggregator {AGGREGATOR}\nagent ")), "{keys}");
    assert_eq!(house.ask("/api/v1/keys?x=1").await.status, 400);
}
