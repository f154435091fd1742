//! What `quorate explain` prints of an incident, and what its page draws: a promise to people, compared to the byte.

use super::bench::Bench;
use crate::{
    cli::explained,
    evidence::{drawing::Paper, explain, svg},
    golden,
    store::Dossier,
};

/// An outage of five regions, of which one is silent and one sees it later than the others.
fn incident() -> Dossier {
    let mut bench = Bench::watching(&["x"]);
    bench.provide(["aws", "aws", "gcp", "hetzner", "gcp"]);
    bench.work(30, &[]);
    bench.agents[4].pushes = None;
    bench.work(20, &[]);
    bench.work(3, &[0, 1, 2]);
    bench.work(20, &[0, 1, 2, 3]);
    bench.settle(&bench.dispatched.clone());
    bench.work(17, &[0, 1, 2, 3]);
    bench.work(60, &[]);
    bench.settle(&bench.dispatched.clone());
    let mut dossier = bench.dossier();
    // Ids are made by chance.
    dossier.incident.id = "inc_019ab9d4c0007000800000000000000f".to_owned();
    dossier
}

#[test]
fn an_incident_is_printed_and_drawn_to_the_byte() {
    let explanation = explain(&incident());
    for (name, columns, is_ascii) in [("incident.txt", 80, false), ("incident_ascii.txt", 60, true)] {
        let text = explained(&explanation, Paper { columns, is_ascii });
        golden::check(&format!("evidence/golden/{name}"), &anstream::adapter::strip_str(&text).to_string());
    }
    let picture = svg::draw(explanation.timeline.as_ref().unwrap(), &explanation.headline);
    golden::check("evidence/golden/incident.svg", &picture);
    golden::check("evidence/golden/incident_public.txt", &explanation.public().text());
}
