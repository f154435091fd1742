//! Receivers that misbehave: each gets its alert as soon as it takes it, and none delays another.

use anyhow::Result;
use quorate_tests::{
    clock::{self, Stopwatch},
    cluster::{Cluster, Plan, monitor, webhook},
    receiver::{Behaviour, Receiver},
    requirement::{Requirement, available},
    servers,
};

#[test]
fn each_receiver_gets_its_alert_and_none_delays_another() -> Result<()> {
    if !available("each_receiver_gets_its_alert", &[Requirement::NodeWs]) {
        return Ok(());
    }
    let good = Receiver::start(Behaviour::Take)?;
    let broken = Receiver::start(Behaviour::Refuse { status: 500, times: 2, retry_after: None })?;
    let busy = Receiver::start(Behaviour::Refuse { status: 429, times: 1, retry_after: Some(6) })?;
    let hanging = Receiver::start(Behaviour::Hang)?;
    let redirecting = Receiver::start(Behaviour::Redirect(good.url()))?;
    let folder = tempfile::tempdir()?;
    let port = servers::free_port()?;
    let mut server = servers::node_ws(folder.path(), port)?;
    let tables = webhook("hanging", &hanging.url())
        + &webhook("redirecting", &redirecting.url())
        + &webhook("busy", &busy.url())
        + &webhook("broken", &broken.url())
        + &webhook("good", &good.url())
        + &monitor("chat", &format!("ws://127.0.0.1:{port}/"), "5s", "3s");
    let cluster = Cluster::start(&Plan { tables, ..Plan::default() })?;
    cluster.wait_until_up("chat", 60.0);

    let fault = Stopwatch::start();
    server.kill()?;
    let first = good.incident("incident.opened", "chat", 30.0);
    println!(
        "MEASURED beside a hanging receiver, T=5 s: fault to webhook {:.1} s",
        fault.seconds_until(&first.at)
    );

    broken.wait_for("taken at the third attempt", 30.0, |hit| hit.answered == Some(200));
    busy.wait_for("taken after Retry-After", 40.0, |hit| hit.answered == Some(200));
    for receiver in [&broken, &busy] {
        let hits = receiver.hits();
        let same = |hit: &&quorate_tests::receiver::Hit| hit.id == hits[0].id && hit.body == hits[0].body;
        assert!(hits.iter().all(|hit| same(&hit)), "one id and one body on every attempt: {hits:#?}");
    }
    let waited = busy.hits()[0].at.seconds_until(&busy.hits()[1].at);
    assert!(waited >= 6.0, "Retry-After was 6 s, the next attempt came after {waited:.1} s");
    clock::wait_for("a redirect to be tried again", 30.0, || (redirecting.hits().len() >= 2).then_some(()));
    assert_eq!(good.hits().len(), 1, "a redirect is not followed: {:#?}", good.hits());
    assert!(!hanging.hits().is_empty());

    let deliveries = cluster.json("/api/v1/deliveries?limit=50")?;
    let items = deliveries["items"].as_array().cloned().unwrap_or_default();
    let state = |channel: &str| {
        let found = items.iter().find(|item| item["channel"] == channel);
        found.and_then(|item| item["state"].as_str()).unwrap_or("missing").to_owned()
    };
    assert_eq!(state("good"), "delivered", "{deliveries:#}");
    assert_eq!(state("hanging"), "pending", "{deliveries:#}");
    assert_eq!(state("redirecting"), "pending", "{deliveries:#}");
    Ok(())
}
